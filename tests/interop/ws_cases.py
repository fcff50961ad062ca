#!/usr/bin/env python3
"""Every case of tests/data/websocket_cases.json over sockets, against the SDK's echo client (BACKENDAI_WS_CLIENT).

The peer is raw Python sockets and shares no code with the SDK: a table of bytes to write, and of frames to expect. Once on
our own sockets, as httplib_transport has them, and once on libcurl's.
"""
import base64
import hashlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from common import Tap, clean_environment  # noqa: E402


def flatten(pieces):
    return b"".join(bytes.fromhex(p["hex"]) if "hex" in p else bytes([p["byte"]]) * p["count"] for p in pieces)


def shake_hands(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("no handshake")
        head += byte
    key = [line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    accept = base64.b64encode(hashlib.sha1(key[0] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


def next_frame(data, at):
    """The frame that begins at `at`: (its first byte, its second, its mask, its payload as sent, where it ends), or None
    while a part of it is missing."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    size, more = second & 0x7F, {126: "!H", 127: "!Q"}.get(second & 0x7F)
    at += 2
    if more:
        if len(data) < at + struct.calcsize(more):
            return None
        size, at = struct.unpack_from(more, data, at)[0], at + struct.calcsize(more)
        assert size > (125 if more == "!H" else 65535), "length not in its shortest form"
    end = at + 4 + size
    return (first, second, data[at:at + 4], data[at + 4:end], end) if len(data) >= end else None


def parse(data):
    """What a client sent, strictly: (messages and pongs, close code or None)."""
    frames, message, kind, at = [], b"", None, 0
    while at < len(data):
        frame = next_frame(data, at)
        assert frame, "a frame that is cut off"
        first, second, mask, masked, at = frame
        size = len(masked)
        assert first & 0x70 == 0, "reserved bits"
        assert second & 0x80, "a client's frame without a mask"
        pad = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(masked, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        opcode, last = first & 15, first >> 7
        if opcode == 8:
            assert at == len(data), "something follows the close frame"
            return frames, struct.unpack("!H", payload[:2])[0] if payload else 1005
        if opcode in (9, 10):
            frames.append((opcode, payload))
            continue
        assert (opcode == 0) == (kind is not None), "fragments out of order"
        kind = kind or opcode
        message += payload
        if last:
            frames.append((kind, message))
            message, kind = b"", None
    return frames, None


def play(listener, case):
    """The server's side of one case: what the client sent."""
    connection, _ = listener.accept()
    connection.settimeout(20)
    received = bytearray()
    with connection:
        shake_hands(connection)

        def read():
            at = 0
            try:
                while True:
                    data = connection.recv(1 << 20)
                    if not data:
                        return
                    received.extend(data)
                    while frame := next_frame(received, at):
                        at = frame[-1]
                        if frame[0] & 15 == 8:  # the client waits for the server to end the connection
                            connection.shutdown(socket.SHUT_WR)
            except (OSError, AssertionError):
                pass  # judge() says what is wrong with what came

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for write in case["writes"][:case.get("fail_after")]:
                data = flatten(write)
                chunk = case["chunk"] or len(data) or 1
                for at in range(0, len(data), chunk):
                    connection.sendall(data[at:at + chunk])
        except OSError:
            pass  # the client has failed the connection, as most cases want it to
        reader.join(20)
        assert not reader.is_alive(), "the client did not end"
    return bytes(received)


def judge(case, data):
    frames, code = parse(data)
    assert code == case["close"], f"close code {code}, not {case['close']}"
    wanted = [(r["opcode"], flatten(r["payload"])) for r in case["replies"]]
    # A pong may be missing when a later ping followed.
    at = 0
    for i, frame in enumerate(wanted):
        if at < len(frames) and frames[at] == frame:
            at += 1
        else:
            later = any(opcode == 10 for opcode, _ in wanted[i + 1:])
            assert frame[0] == 10 and later, f"reply {i} is missing: {frame[0]} of {len(frame[1])} bytes"
    assert at == len(frames), f"{len(frames) - at} replies too many"


def run(tap, cases, transport):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    client = subprocess.Popen([os.environ["BACKENDAI_WS_CLIENT"], "cases", transport], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, env=clean_environment())
    for case in cases:
        limits = case.get("limits", {"max_frame_size": 0, "max_message_size": 64 << 20})
        name = f"{transport}: case {case['id']} {case['name']}"
        received = None
        try:
            client.stdin.write(f"{listener.getsockname()[1]} {limits['max_frame_size']} {limits['max_message_size']}\n")
            client.stdin.flush()
            received = play(listener, case)
            ended = client.stdout.readline().strip()  # before anything fails: the next case's answer is the next line
            judge(case, received)
            wanted = ("closed", "error protocol") if case["close"] in (1002, 1007, 1009) else ("closed",)
            assert ended.startswith(wanted), "the client ended with " + repr(ended)
            tap.result(True, name)
        except (AssertionError, OSError, IndexError) as error:
            if client.poll() == 77:
                tap.skip(f"cases on {transport}", "the client was built without it")
                return
            tap.result(False, name, str(error))
            if received is None:
                client.kill()  # where it stands is not known: its next answer might be this case's
                client.wait()
            if client.poll() is not None:
                break
    client.stdin.close()
    tap.result(client.wait(20) == 0, f"{transport}: the client ends cleanly")


def main():
    cases = json.loads((ROOT / "tests" / "data" / "websocket_cases.json").read_text())
    tap = Tap()
    for transport in ("sockets", "curl"):
        run(tap, cases, transport)
    tap.end()


if __name__ == "__main__":
    main()
