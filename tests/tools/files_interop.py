#!/usr/bin/env python3
"""Checks the multipart and tar codecs against aiohttp and Python's tarfile. Argument: the built files_codec_pipe."""
import asyncio
import io
import os
import random
import subprocess
import sys
import tarfile

import aiohttp
from aiohttp import multipart
from aiohttp.base_protocol import BaseProtocol

PIPE = sys.argv[1]
NAMES = ["a.txt", "dir/with space.txt", "\u00fcn\u00ef \u2603.txt", 'quo"te', "back\\slash", "a\\\"b", "100%", "a%20b", "semi;colon", "x;y;z", "'",
         "a=b", "d/" + "n" * 200, "\U0001f600;\"\\%", "-dash", "~", "tab\there"]


def run(*arguments, stdin=b""):
    return subprocess.run([PIPE, *arguments], input=stdin, stdout=subprocess.PIPE, check=True).stdout


async def read_with_aiohttp(body, boundary, subtype="form-data"):
    stream = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16, loop=asyncio.get_running_loop())
    stream.feed_data(body)
    stream.feed_eof()
    reader = multipart.MultipartReader({"Content-Type": f"multipart/{subtype}; boundary={boundary}"}, stream)
    result = []
    async for part in reader:
        result.append((part.name, part.filename, bytes(await part.read())))
    return result


class Collector:
    def __init__(self):
        self.bytes = b""

    async def write(self, data):
        self.bytes += bytes(data)


async def write_with_aiohttp(form):
    collector = Collector()
    await form.write(collector)
    return collector.bytes


def parts_of(output):
    return [tuple(bytes.fromhex(x) for x in (line.split(" ") + [""])[:2]) for line in output.decode().splitlines()]


async def main():
    contents = ["content %d\r\n--b0\r\n" % i for i in range(len(NAMES))]
    contents[0] = ""
    arguments = [x for pair in zip(NAMES, contents) for x in pair]
    body = run("multipart-write", "0b0undary", *arguments)
    got = await read_with_aiohttp(body, "0b0undary")
    assert got == [("src", n, c.encode()) for n, c in zip(NAMES, contents)], got

    generator = random.Random(5)
    blobs = [bytes(generator.choice(b"\r\n-ab") for _ in range(generator.randrange(3000))) for _ in NAMES]
    form = aiohttp.FormData()
    for name, blob in zip(NAMES, blobs):
        form.add_field("src", io.BytesIO(blob), filename=name, content_type="application/octet-stream")
    payload = form()
    got = parts_of(run("multipart-read", payload.boundary, stdin=await write_with_aiohttp(payload)))
    from urllib.parse import quote  # aiohttp percent-encodes and its own reader does not undo it, nor do we
    assert got == [(quote(n, "").encode(), b) for n, b in zip(NAMES, blobs)], got

    mixed = aiohttp.MultipartWriter("mixed")
    for name, blob in zip(NAMES, blobs):
        mixed.append(blob, {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, '')}"})
    got = parts_of(run("multipart-read", mixed.boundary, stdin=await write_with_aiohttp(mixed)))
    assert got == [(n.encode(), b) for n, b in zip(NAMES, blobs)], got

    archive = run("tar-write")
    members = tarfile.open(fileobj=io.BytesIO(archive)).getmembers()
    assert [m.name for m in members] == ["d", "d/\u00fc \u2603", "d/" + "n" * 300, "p" * 120 + "/" + "n" * 90,
                                         "d/link", "d/hard"], members
    assert [m.size for m in members] == [0, 4, 513, 0, 0, 0]
    assert all(m.mtime == 1700000000.25 and m.mode == 0o640 for m in members)
    assert members[4].linkname == "t" * 150 and members[4].issym()
    assert members[5].linkname == "d/\u00fc \u2603" and members[5].islnk()
    for tool in (["tar", "-tf", "-"], ["bsdtar", "-tf", "-"]):
        listed = subprocess.run(tool, input=archive, stdout=subprocess.PIPE, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
        assert len(listed.splitlines()) == 6, (tool, listed)
    print("all agree")


asyncio.run(main())
