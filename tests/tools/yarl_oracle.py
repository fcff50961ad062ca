#!/usr/bin/python3
"""Writes tests/data/yarl_oracle.json: the spelling that yarl, the server's URL library, gives to paths and queries.

A server rebuilds the signed target with yarl, so only a spelling that yarl leaves alone verifies. What is written here
is a fixed point of yarl's re-quoting (and of aiohttp's parsing of a request line), reached from the wholly escaped
form for data, and from the text itself for texts that may hold escapes. Needs Debian's python3-yarl.
`--check` compares with the file instead of writing it and exits with 77 when there is no yarl."""
import json
import pathlib
import sys
import urllib.parse

try:
    import yarl
except ImportError as reason:
    print("skipped:", reason)
    raise SystemExit(77)

OUTPUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "yarl_oracle.json"
BASE = "http://h"


def requoted(target):
    """What a server that re-quotes sees of a request target."""
    url = yarl.URL(BASE + target)
    return url.raw_path_qs


def parsed(target):
    """What aiohttp 3.8's server makes of a request line (http_parser.py); str(request.rel_url) is what is signed."""
    path, _, query = target.partition("?")
    return str(yarl.URL.build(path=path, query_string=query, encoded=True))


def settled(target):
    for _ in range(5):
        after = requoted(target)
        if after == target:
            assert parsed(target) == target, target
            return target
        target = after
    raise AssertionError("no fixed point: " + target)


def plus(target):
    """yarl leaves both spellings of a space in a query alone; '+' is the one that official clients send."""
    spelled = settled(target).replace("%20", "+")
    assert settled(spelled) == spelled, spelled
    return spelled


def everything_escaped(text):
    return "".join("%%%02X" % byte for byte in text.encode())


DATA = [chr(c) for c in range(1, 128) if chr(c) not in "\r\n"] + [
    "a b", "a+b", "a%2Fb", "a/b", "%", "%%", "100%", "%41", "%2", "%zz", "\u00e9", "\ud55c\uae00", "\U0001f600", "\u03c0",
    "a;b", "a=b&c=d", "..a", "a..", "~user", "python:3.6-ubuntu", "x@y.z", "[1]", "{id}", "a\tb", "\\", "\"q\"", "+ +"]
# Texts as a caller may write them, escaped or not. '?' and '#' have a meaning of their own and are left to DATA.
TEXTS = [c + "x" for c in DATA if not set(c) & set("?#%\t") and 32 < ord(c[0])] + [
    "%%%02X" % c for c in range(1, 128) if c not in (10, 13, ord("."))] + [
    "%%%02x" % c for c in range(1, 128) if c not in (10, 13, ord("."))] + [
    "a%2fb", "a%2Fb", "a%2Bb", "a+b", "a b", "%C3%A9", "%c3%a9", "\u00e9", "100%", "%zz", "%4", "%a", "a%", "%25", "%2541", "%25zz"]


def cases():
    for text in DATA:
        if text not in (".", ".."):
            yield {"kind": "segment", "input": text,
                   "expected": settled("/x" + everything_escaped(text))[2:]}
        yield {"kind": "value", "input": text, "expected": plus("/?v=" + everything_escaped(text))[4:]}
    for text in TEXTS:
        yield {"kind": "path", "input": "/" + text, "expected": settled("/" + text)}
        yield {"kind": "query", "input": "v=" + text, "expected": plus("/?v=" + text)[2:]}
        yield {"kind": "query", "input": text + "=v&b=", "expected": plus("/?" + text + "=v&b=")[2:]}


def main():
    text = "[\n" + ",\n".join(json.dumps(case) for case in cases()) + "\n]\n"
    if sys.argv[1:] == ["--check"]:
        if OUTPUT.read_text() != text:
            raise SystemExit(f"Why: {OUTPUT.name} is not what yarl {yarl.__version__} makes\nFix: run without --check")
    else:
        OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
