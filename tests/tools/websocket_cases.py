#!/usr/bin/env python3
"""Writes tests/data/websocket_cases.json: what a server may send to a websocket client, and what the client must answer.

The cases follow RFC 6455 and are grouped by number as conformance suites for websocket clients usually group them:
1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 sizes and limits,
10 masks and lengths. The client under test is an echo client: every text or binary message goes back with the same type
and payload, pings are answered, and the closing handshake is completed.

Fields of a case:
  id, name   number and subject
  writes     what the peer writes, one list of pieces per write; a piece is {"hex": "..."} or {"byte": n, "count": n}
  chunk      if not 0, each write is cut into writes of that many bytes
  replies    the frames the client must send, in order: {"opcode": 1|2|10, "payload": [pieces]}. The pong for a ping that
             a later ping followed may be missing (section 5.5.3)
  close      the code of the client's close frame, after which it sends nothing; 1005: a close frame without a code
  fail_after the client must have failed after that many writes: the peer sends no more and awaits the close frame
  limits     max_frame_size and max_message_size of the client, where not the defaults

Run without arguments to rewrite the file, with --check to verify that it is up to date.
"""
import json
import pathlib
import struct
import sys

TARGET = pathlib.Path(__file__).resolve().parent.parent / "data" / "websocket_cases.json"
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CASES = []


class Fill:
    """A run of one byte, kept short in the file."""

    def __init__(self, byte, count):
        self.byte, self.count = byte, count

    def __len__(self):
        return self.count


def as_list(payload):
    return payload if isinstance(payload, list) else [payload]


def size_of(payload):
    return sum(len(part) for part in as_list(payload))


def frame(opcode, payload=b"", fin=True, rsv=0, mask=None, length_form=None, length=None):
    """One frame as a list of parts. length_form (7, 16, 64) and length override what the payload asks for."""
    length = size_of(payload) if length is None else length
    if length_form is None:
        length_form = 7 if length < 126 else 16 if length < 65536 else 64
    mask_bit = 0x80 if mask else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if length_form == 7:
        head += bytes([mask_bit | length])
    elif length_form == 16:
        head += bytes([mask_bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    if mask:
        flat = b"".join(bytes([p.byte]) * p.count if isinstance(p, Fill) else p for p in as_list(payload))
        return [head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(flat))]
    return [head] + as_list(payload)


def close(code=1000, reason=b""):
    return frame(CLOSE, (struct.pack("!H", code) if code is not None else b"") + reason)


def pieces(parts):
    out, run = [], b""
    for part in parts:
        if isinstance(part, Fill):
            if run:
                out.append({"hex": run.hex()})
            run = b""
            if part.count:
                out.append({"byte": part.byte, "count": part.count})
        else:
            run += part
    if run:
        out.append({"hex": run.hex()})
    return out


def case(number, name, writes, replies=(), code=1000, chunk=0, fail_after=None, limits=None, goodbye=None):
    """Adds a case. A case that does not fail ends with the peer's close 1000 unless goodbye=False."""
    writes = [list(w) for w in writes]
    if goodbye is None:
        goodbye = code == 1000
    if goodbye:
        writes.append(close())
    entry = {"id": number, "name": name, "writes": [pieces(w) for w in writes], "chunk": chunk,
             "replies": [{"opcode": op, "payload": pieces(as_list(p))} for op, p in replies], "close": code}
    if fail_after:
        entry["fail_after"] = fail_after
    if limits:
        entry["limits"] = limits
    CASES.append(entry)


def joined(*frames):
    return [part for f in frames for part in f]


def framing():
    sizes = [0, 1, 124, 125, 126, 127, 128, 65535, 65536]
    for group, opcode, byte in ((1, TEXT, 0x2A), (2, BINARY, 0xFE)):
        word = "text" if opcode == TEXT else "binary"
        for i, size in enumerate(sizes, 1):
            case(f"1.{group}.{i}", f"{word} of {size} bytes", [frame(opcode, Fill(byte, size))],
                 [(opcode, Fill(byte, size))])
        case(f"1.{group}.{len(sizes) + 1}", f"{word} of 65536 bytes in chunks of 997",
             [frame(opcode, Fill(byte, 65536))], [(opcode, Fill(byte, 65536))], chunk=997)
        case(f"1.{group}.{len(sizes) + 2}", f"{word} of 200 bytes byte by byte",
             [frame(opcode, Fill(byte, 200))], [(opcode, Fill(byte, 200))], chunk=1)


def pings():
    case("2.1", "ping without payload", [frame(PING)], [(PONG, b"")])
    case("2.2", "ping with text", [frame(PING, b"Hello, world!")], [(PONG, b"Hello, world!")])
    case("2.3", "ping with bytes that are not UTF-8", [frame(PING, bytes([0, 255, 254, 253, 0]))],
         [(PONG, bytes([0, 255, 254, 253, 0]))])
    case("2.4", "ping of 125 bytes", [frame(PING, Fill(0xFE, 125))], [(PONG, Fill(0xFE, 125))])
    case("2.5", "ping of 126 bytes", [frame(PING, Fill(0xFE, 126))], code=1002)
    case("2.6", "ping of 125 bytes byte by byte", [frame(PING, Fill(0xFE, 125))], [(PONG, Fill(0xFE, 125))], chunk=1)
    case("2.7", "pong that nobody asked for", [frame(PONG)])
    case("2.8", "pong with payload that nobody asked for", [frame(PONG, b"unasked")])
    case("2.9", "unasked pong, then ping", [joined(frame(PONG, b"unasked"), frame(PING, b"asked"))],
         [(PONG, b"asked")])
    ten = [f"ping {i}".encode() for i in range(10)]
    case("2.10", "ten pings at once", [joined(*[frame(PING, p) for p in ten])], [(PONG, p) for p in ten])
    case("2.11", "ten pings byte by byte", [joined(*[frame(PING, p) for p in ten])], [(PONG, p) for p in ten], chunk=1)
    case("2.12", "pong of 126 bytes", [frame(PONG, Fill(0xFE, 126))], code=1002)
    case("2.13", "fragmented ping", [joined(frame(PING, b"a", fin=False), frame(CONT, b"b"))], code=1002)
    case("2.14", "ping between two messages", [joined(frame(TEXT, b"a"), frame(PING, b"p"), frame(TEXT, b"b"))],
         [(TEXT, b"a"), (PONG, b"p"), (TEXT, b"b")])


def reserved_bits():
    n = 0
    for chunk in (0, 1):
        for rsv in range(1, 8):
            for opcode, word in ((TEXT, "text"), (BINARY, "binary"), (PING, "ping"), (CLOSE, "close")):
                if chunk and opcode in (BINARY, CLOSE):
                    continue
                n += 1
                payload = struct.pack("!H", 1000) if opcode == CLOSE else b"Hello"
                case(f"3.{n}", f"reserved bits {rsv:03b} in a {word} frame after a good message, chunk {chunk}",
                     [joined(frame(TEXT, b"good"), frame(opcode, payload, rsv=rsv), frame(PING))],
                     [(TEXT, b"good")], 1002, chunk=chunk)


def opcodes():
    n = 0
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        group = 1 if opcode < 8 else 2
        n = n + 1 if opcode != 11 else 1
        case(f"4.{group}.{n}", f"reserved opcode {opcode}, empty", [frame(opcode)], code=1002)
        n += 1
        case(f"4.{group}.{n}", f"reserved opcode {opcode} after a message, a ping behind it",
             [joined(frame(TEXT, b"good"), frame(opcode, b"reserved"), frame(PING))], [(TEXT, b"good")], 1002)
        n += 1
        case(f"4.{group}.{n}", f"reserved opcode {opcode} between fragments, byte by byte",
             [joined(frame(TEXT, b"frag", fin=False), frame(opcode, b"x"), frame(CONT, b"ment"))], code=1002, chunk=1)


def fragmentation():
    two = lambda op=TEXT: (frame(op, b"fragment1", fin=False), frame(CONT, b"fragment2"))
    whole = b"fragment1fragment2"
    case("5.1", "ping in two fragments", [joined(frame(PING, b"a", fin=False), frame(CONT, b"b"))], code=1002)
    case("5.2", "pong in two fragments", [joined(frame(PONG, b"a", fin=False), frame(CONT, b"b"))], code=1002)
    for i, (word, chunk, split) in enumerate((("at once", 0, False), ("one write per frame", 0, True),
                                              ("byte by byte", 1, False))):
        case(f"5.{3 + i}", f"text in two fragments, {word}", list(two()) if split else [joined(*two())],
             [(TEXT, whole)], chunk=chunk)
        first, second = two()
        ping = frame(PING, b"ping")
        case(f"5.{6 + i}", f"text in two fragments around a ping, {word}",
             [first, ping, second] if split else [joined(first, ping, second)],
             [(PONG, b"ping"), (TEXT, whole)], chunk=chunk)
        case(f"5.{9 + i}", f"continuation without a message, then text, {word}",
             [frame(CONT, b"none"), frame(TEXT, b"x")] if split else [joined(frame(CONT, b"none"), frame(TEXT, b"x"))],
             code=1002, chunk=chunk)
        case(f"5.{12 + i}", f"unfinished continuation without a message, {word}",
             [joined(frame(CONT, b"none", fin=False), frame(TEXT, b"x"))], code=1002, chunk=chunk)
        case(f"5.{15 + i}", f"text after a finished message continues nothing, {word}",
             [joined(*two(), frame(CONT, b"more"), frame(TEXT, b"x"))], [(TEXT, whole)], 1002, chunk=chunk)
        case(f"5.{18 + i}", f"new message inside a fragmented one, {word}",
             [joined(frame(TEXT, b"one", fin=False), frame(TEXT, b"two"))], code=1002, chunk=chunk)
    five = [frame(TEXT, b"f1", fin=False), frame(CONT, b"f2", fin=False), frame(PING, b"p1"),
            frame(CONT, b"f3", fin=False), frame(CONT, b"f4", fin=False), frame(PING, b"p2"), frame(CONT, b"f5")]
    answers = [(PONG, b"p1"), (PONG, b"p2"), (TEXT, b"f1f2f3f4f5")]
    case("5.21", "five fragments and two pings", [joined(*five)], answers)
    case("5.22", "five fragments and two pings, one write per frame", five, answers)
    case("5.23", "five fragments and two pings, byte by byte", [joined(*five)], answers, chunk=1)
    case("5.24", "binary in two fragments", [joined(*two(BINARY))], [(BINARY, whole)])
    case("5.25", "empty fragments only", [joined(frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT))],
         [(TEXT, b"")])
    case("5.26", "empty first and last fragment",
         [joined(frame(BINARY, fin=False), frame(CONT, b"middle", fin=False), frame(CONT))], [(BINARY, b"middle")])
    case("5.27", "binary message inside a text message",
         [joined(frame(TEXT, b"a", fin=False), frame(BINARY, b"b"))], code=1002)
    case("5.28", "a hundred fragments of one byte",
         [joined(frame(TEXT, b"x", fin=False), *[frame(CONT, b"x", fin=False)] * 98, frame(CONT, b"x"))],
         [(TEXT, Fill(0x78, 100))])
    case("5.29", "close between fragments ends the message",
         [joined(frame(TEXT, b"a", fin=False), close(1000), frame(CONT, b"b"))], code=1000, goodbye=False)
    case("5.30", "message follows message", [joined(*two(), *two(BINARY))], [(TEXT, whole), (BINARY, whole)])


VALID = [
    ("Greek word", bytes.fromhex("cebae1bdb9cf83cebcceb5")),
    ("first of 1 byte", b"\x00"), ("first of 2 bytes", b"\xc2\x80"), ("first of 3 bytes", b"\xe0\xa0\x80"),
    ("first of 4 bytes", b"\xf0\x90\x80\x80"), ("last of 1 byte", b"\x7f"), ("last of 2 bytes", b"\xdf\xbf"),
    ("last of 3 bytes", b"\xef\xbf\xbf"), ("last code point U+10FFFF", b"\xf4\x8f\xbf\xbf"),
    ("last before the surrogates", b"\xed\x9f\xbf"), ("first after the surrogates", b"\xee\x80\x80"),
    ("replacement character", b"\xef\xbf\xbd"), ("byte order mark", b"\xef\xbb\xbf"),
    ("noncharacter U+FFFE", b"\xef\xbf\xbe"), ("noncharacter U+FDD0", b"\xef\xb7\x90"),
    ("noncharacters U+1FFFE, U+1FFFF", b"\xf0\x9f\xbf\xbe\xf0\x9f\xbf\xbf"),
    ("noncharacters U+FFFFE, U+FFFFF", b"\xf3\xbf\xbf\xbe\xf3\xbf\xbf\xbf"),
    ("noncharacter U+10FFFE", b"\xf4\x8f\xbf\xbe"),
    ("Hangul", "\ubc31\uc5d4\ub4dc".encode()), ("all lengths", "a\u00e9\u20ac\U0001f600z".encode()),
    ("ASCII of 33 bytes, then 4 bytes", b"x" * 33 + b"\xf0\x9f\x98\x80"),
]
INVALID = [
    ("continuation byte 80", b"\x80"), ("continuation byte BF", b"\xbf"), ("two continuation bytes", b"\x80\xbf"),
    ("three continuation bytes", b"\x80\xbf\x80"), ("all continuation bytes", bytes(range(0x80, 0xC0))),
    ("lead C0 and space", b"\xc0 "), ("lead C1 and space", b"\xc1 "), ("lead DF and space", b"\xdf "),
    ("lead E0 and space", b"\xe0 "), ("lead EF and space", b"\xef "), ("lead F0 and space", b"\xf0 "),
    ("lead F4 and space", b"\xf4 "), ("lead F5", b"\xf5\x80\x80\x80"), ("lead F8", b"\xf8\x88\x80\x80\x80"),
    ("lead FC", b"\xfc\x84\x80\x80\x80\x80"), ("byte FE", b"\xfe"), ("byte FF", b"\xff"),
    ("bytes FE FE FF FF", b"\xfe\xfe\xff\xff"),
    ("2 bytes, last missing", b"\xc2"), ("3 bytes, last missing", b"\xe0\xa0"), ("3 bytes, two missing", b"\xe2"),
    ("4 bytes, last missing", b"\xf0\x90\x80"), ("4 bytes, two missing", b"\xf1\x80"), ("4 bytes, three missing", b"\xf4"),
    ("5 bytes", b"\xf8\x88\x80\x80\x80"), ("6 bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("overlong slash in 2", b"\xc0\xaf"), ("overlong slash in 3", b"\xe0\x80\xaf"),
    ("overlong slash in 4", b"\xf0\x80\x80\xaf"), ("overlong slash in 5", b"\xf8\x80\x80\x80\xaf"),
    ("overlong U+7F", b"\xc1\xbf"), ("overlong U+7FF", b"\xe0\x9f\xbf"), ("overlong U+FFFF", b"\xf0\x8f\xbf\xbf"),
    ("overlong NUL in 2", b"\xc0\x80"), ("overlong NUL in 3", b"\xe0\x80\x80"), ("overlong NUL in 4", b"\xf0\x80\x80\x80"),
    ("surrogate U+D800", b"\xed\xa0\x80"), ("surrogate U+DB7F", b"\xed\xad\xbf"), ("surrogate U+DB80", b"\xed\xae\x80"),
    ("surrogate U+DBFF", b"\xed\xaf\xbf"), ("surrogate U+DC00", b"\xed\xb0\x80"), ("surrogate U+DF80", b"\xed\xbe\x80"),
    ("surrogate U+DFFF", b"\xed\xbf\xbf"), ("surrogate pair", b"\xed\xa0\x80\xed\xb0\x80"),
    ("surrogate pair, last", b"\xed\xaf\xbf\xed\xbf\xbf"),
    ("U+110000", b"\xf4\x90\x80\x80"), ("U+13FFFF", b"\xf4\xbf\xbf\xbf"), ("U+1FFFFF", b"\xf7\xbf\xbf\xbf"),
]


def utf8():
    for i, (name, text) in enumerate(VALID, 1):
        case(f"6.1.{i}", f"valid: {name}", [frame(TEXT, text)], [(TEXT, text)])
    for i, (name, text) in enumerate(VALID, 1):
        parts = [frame(TEXT, text[:1], fin=False)] + [frame(CONT, text[j:j + 1], fin=False) for j in range(1, len(text))]
        case(f"6.2.{i}", f"valid, a fragment per byte: {name}", [joined(*parts, frame(CONT))], [(TEXT, text)])
    for i, (name, text) in enumerate(INVALID, 1):
        case(f"6.3.{i}", f"invalid: {name}", [frame(TEXT, b"before " + text)], code=1007)
    for i, (name, text) in enumerate(INVALID, 1):
        cut = len(text) // 2
        case(f"6.4.{i}", f"invalid across fragments: {name}",
             [joined(frame(TEXT, b"before " + text[:cut], fin=False), frame(CONT, text[cut:]))], code=1007,
             chunk=i % 2)
    bad = bytes.fromhex("cebae1bdb9cf83cebcceb5") + b"\xf4\x90\x80\x80" + b"edited"
    case("6.5.1", "fails at the fragment that is invalid, before the message ends",
         [frame(TEXT, bad[:11], fin=False), frame(CONT, bad[11:15], fin=False), frame(CONT, bad[15:])], code=1007,
         fail_after=2)
    head = frame(TEXT, bad)
    flat = head[0] + head[1]
    case("6.5.2", "fails inside the frame, before its payload ends", [[flat[:2 + 11]], [flat[13:15]], [flat[15:]]],
         code=1007, fail_after=2)
    case("6.5.3", "fails at the second byte of an overlong form", [[b"\x81\x03\xe0\x80"], [b"\x80"]], code=1007,
         fail_after=1)
    case("6.5.4", "fails at the second byte of a surrogate", [[b"\x81\x03\xed\xa0"], [b"\x80"]], code=1007,
         fail_after=1)
    case("6.5.5", "an unfinished character is no failure until the message ends",
         [frame(TEXT, b"\xf0\x9f", fin=False), frame(PING, b"p"), frame(CONT, b"\x98\x80")],
         [(PONG, b"p"), (TEXT, b"\xf0\x9f\x98\x80")])
    case("6.5.6", "binary messages need not be UTF-8", [frame(BINARY, b"\xff\xfe\x80")], [(BINARY, b"\xff\xfe\x80")])
    case("6.5.7", "the state of one message does not reach the next",
         [joined(frame(BINARY, b"\xf0\x9f"), frame(TEXT, b"ok"))], [(BINARY, b"\xf0\x9f"), (TEXT, b"ok")])


def closing():
    case("7.1.1", "message, then close", [frame(TEXT, b"Hello")], [(TEXT, b"Hello")])
    case("7.1.2", "two closes", [joined(close(), close(1001))], code=1000, goodbye=False)
    case("7.1.3", "ping after close", [joined(close(), frame(PING, b"late"))], code=1000, goodbye=False)
    case("7.1.4", "text after close", [joined(close(), frame(TEXT, b"late"))], code=1000, goodbye=False)
    case("7.1.5", "garbage after close", [joined(close(), [b"\xff\xff\xff\xff\x00"])], code=1000, goodbye=False)
    case("7.1.6", "256 KiB after close", [joined(frame(TEXT, b"a"), close(), frame(BINARY, Fill(0, 262144)))],
         [(TEXT, b"a")], code=1000, goodbye=False)
    case("7.3.1", "close without payload", [frame(CLOSE)], code=1005)
    case("7.3.2", "close of one byte", [frame(CLOSE, b"\x03")], code=1002)
    case("7.3.3", "close with a code", [close(1000)], code=1000, goodbye=False)
    case("7.3.4", "close with a code and a reason", [close(1000, b"Hello")], code=1000, goodbye=False)
    case("7.3.5", "close with the longest reason", [close(1000, b"*" * 123)], code=1000, goodbye=False)
    case("7.3.6", "close with a reason that is too long", [close(1000, b"*" * 124)], code=1002)
    case("7.3.7", "close with a reason in several scripts", [close(1000, "\u03ba\u1f79\u03c3 \ubc31".encode())],
         code=1000, goodbye=False)
    case("7.3.8", "close byte by byte", [close(1001, b"bye")], code=1001, chunk=1)
    case("7.3.9", "fragmented close", [joined(frame(CLOSE, b"\x03\xe8", fin=False), frame(CONT, b""))], code=1002)
    for i, (name, text) in enumerate((("surrogate", b"\xed\xa0\x80"), ("overlong", b"\xc0\xaf"), ("truncated", b"\xe2\x82"),
                                      ("beyond U+10FFFF", b"\xf4\x90\x80\x80"), ("byte FF", b"\xff")), 1):
        case(f"7.5.{i}", f"close with a reason that is not UTF-8: {name}", [close(1000, b"x" + text)], code=1007)
    for i, code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
                              4999), 1):
        case(f"7.7.{i}", f"valid close code {code}", [close(code)], code=code, goodbye=False)
    for i, code in enumerate((0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535), 1):
        case(f"7.9.{i}", f"invalid close code {code}", [close(code)], code=1002)
    for i, code in enumerate((0, 1005, 1006, 5000), 1):
        case(f"7.13.{i}", f"invalid close code {code} with a reason", [close(code, b"reason")], code=1002)


def sizes():
    n = 0
    for opcode, byte, word in ((TEXT, 0x61, "text"), (BINARY, 0x80, "binary")):
        for size in (4096, 16384, 65536, 262144):
            n += 1
            case(f"9.1.{n}", f"{word} of {size} bytes", [frame(opcode, Fill(byte, size))], [(opcode, Fill(byte, size))])
    n = 0
    for opcode, byte, word in ((TEXT, 0x61, "text"), (BINARY, 0x80, "binary")):
        for part in (64, 256, 1024, 4096, 16384):
            n += 1
            count = 65536 // part
            frames = [frame(opcode if i == 0 else CONT, Fill(byte, part), fin=i == count - 1) for i in range(count)]
            case(f"9.2.{n}", f"{word} of 65536 bytes in fragments of {part}", [joined(*frames)],
                 [(opcode, Fill(byte, 65536))])
    for n, chunk in enumerate((64, 128, 256, 512, 1024, 1401, 4096, 16385), 1):
        case(f"9.3.{n}", f"binary of 65536 bytes in chunks of {chunk}", [frame(BINARY, Fill(0xFE, 65536))],
             [(BINARY, Fill(0xFE, 65536))], chunk=chunk)
    case("9.4.1", "3-byte characters over 65536 bytes in chunks of 1000",
         [frame(TEXT, "\uc5d4".encode() * 1000, fin=False), frame(CONT, "\uc5d4".encode() * 1000)],
         [(TEXT, "\uc5d4".encode() * 2000)], chunk=1000)
    limit = {"max_frame_size": 0, "max_message_size": 1024}
    case("9.5.1", "message exactly at the limit", [frame(BINARY, Fill(1, 1024))], [(BINARY, Fill(1, 1024))], limits=limit)
    case("9.5.2", "message one byte over the limit", [frame(BINARY, Fill(1, 1025))], code=1009, limits=limit)
    case("9.5.3", "refused by the announced length alone", [frame(BINARY, b"", length=1 << 40, length_form=64)],
         code=1009, fail_after=1)
    case("9.5.4", "largest announced length", [frame(TEXT, b"", length=(1 << 63) - 1, length_form=64)], code=1009)
    case("9.5.5", "fragments together over the limit",
         [joined(frame(BINARY, Fill(1, 1000), fin=False)), frame(CONT, Fill(1, 25))], code=1009, limits=limit)
    case("9.5.6", "fragments together exactly at the limit",
         [joined(frame(BINARY, Fill(1, 1000), fin=False), frame(CONT, Fill(1, 24)))], [(BINARY, Fill(1, 1024))],
         limits=limit)
    case("9.5.7", "each message has the whole limit",
         [joined(frame(BINARY, Fill(1, 1000)), frame(BINARY, Fill(2, 1000)))],
         [(BINARY, Fill(1, 1000)), (BINARY, Fill(2, 1000))], limits=limit)
    frames = {"max_frame_size": 512, "max_message_size": 1024}
    case("9.6.1", "frame exactly at its limit", [joined(frame(TEXT, Fill(65, 512), fin=False), frame(CONT, Fill(65, 512)))],
         [(TEXT, Fill(65, 1024))], limits=frames)
    case("9.6.2", "frame one byte over its limit", [frame(TEXT, Fill(65, 513))], code=1009, limits=frames)
    case("9.6.3", "pings are no part of a message's size",
         [joined(frame(TEXT, Fill(65, 512), fin=False), frame(PING, Fill(66, 125)), frame(CONT, Fill(65, 512)))],
         [(PONG, Fill(66, 125)), (TEXT, Fill(65, 1024))], limits=frames)


def masks_and_lengths():
    key = b"\x37\xfa\x21\x3d"
    for i, (opcode, payload) in enumerate(((TEXT, b"Hello"), (BINARY, b"\x00"), (PING, b"p"), (PONG, b""),
                                           (CLOSE, b"\x03\xe8")), 1):
        case(f"10.1.{i}", f"masked frame from a server, opcode {opcode}", [frame(opcode, payload, mask=key)], code=1002)
    for i, size in enumerate((0, 1, 125), 1):
        case(f"10.2.{i}", f"{size} bytes with a 16-bit length", [frame(TEXT, Fill(97, size), length_form=16)], code=1002)
        case(f"10.3.{i}", f"{size} bytes with a 64-bit length", [frame(BINARY, Fill(97, size), length_form=64)], code=1002)
    case("10.3.4", "126 bytes with a 64-bit length", [frame(TEXT, Fill(97, 126), length_form=64)], code=1002)
    case("10.3.5", "65535 bytes with a 64-bit length", [frame(TEXT, Fill(97, 65535), length_form=64)], code=1002)
    case("10.4.1", "length with its highest bit set", [[b"\x82\x7f\x80" + b"\x00" * 7]], code=1002)
    case("10.4.2", "length of all ones", [[b"\x82\x7f" + b"\xff" * 8]], code=1002, chunk=1)
    case("10.4.3", "ping with a 16-bit length", [frame(PING, b"p", length_form=16)], code=1002)
    case("10.4.4", "ping with a 64-bit length", [frame(PING, b"p", length_form=64)], code=1002)
    case("10.5.1", "three messages in one write", [joined(*[frame(TEXT, t) for t in (b"a", b"bb", b"ccc")])],
         [(TEXT, b"a"), (TEXT, b"bb"), (TEXT, b"ccc")])
    case("10.5.2", "a message whose write ends inside the next header",
         [joined(frame(TEXT, b"a"), [b"\x82"]), [b"\x03xyz"]], [(TEXT, b"a"), (BINARY, b"xyz")])
    case("10.5.3", "nothing but a close", [close(1001, b"going away")], code=1001)


def main():
    for group in (framing, pings, reserved_bits, opcodes, fragmentation, utf8, closing, sizes, masks_and_lengths):
        group()
    ids = [c["id"] for c in CASES]
    assert len(ids) == len(set(ids)), "case numbers repeat"
    text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES) + "\n]\n"
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() != text:
            sys.exit(f"{TARGET} is not what this script writes: run it without arguments")
    else:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(text)
        print(f"{len(CASES)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
