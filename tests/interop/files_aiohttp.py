#!/usr/bin/python3
"""Checks the multipart and tar codecs, and whole transfers, against aiohttp's own multipart writer and reader.

BACKENDAI_FILES_CODEC_PIPE and BACKENDAI_FILES_PEER name the programs. Exit status 77: skipped, with the reason.
"""
import asyncio
import io
import os
import random
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from urllib.parse import quote

try:
    import aiohttp
    from aiohttp import multipart, web
    from aiohttp.base_protocol import BaseProtocol
except ImportError as error:
    print("SKIP:", error, "(python3-aiohttp)")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
sys.dont_write_bytecode = True
from files_tree import make_tree, sums  # noqa: E402

PIPE = os.environ["BACKENDAI_FILES_CODEC_PIPE"]
PEER = os.environ["BACKENDAI_FILES_PEER"]
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


def server_of(root, encoding):
    """A folder's upload and download as a server on aiohttp has them: its multipart reader takes the one in, its
    writer, which also compresses, makes the other."""
    seen = []

    async def upload(request):
        async for part in await request.multipart():
            assert part.name == "src", part.name
            path = root / part.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                while chunk := await part.read_chunk():
                    file.write(chunk)
            seen.append(part.filename)
        return web.Response(status=201)

    async def download(request):
        files = (await request.json())["files"]
        writer, total = aiohttp.MultipartWriter("mixed"), 0
        for name in files:
            # Not all of a thousand can be open at once.
            content = (root / name).read_bytes() if (root / name).stat().st_size < 10**6 else open(root / name, "rb")
            part = writer.append(content, {"Content-Encoding": encoding} if encoding else {})
            part.set_content_disposition("attachment", filename=os.path.basename(name))
            total += (root / name).stat().st_size
        return web.Response(body=writer, headers={"X-TOTAL-PAYLOADS-LENGTH": str(total)})

    async def hello(request):
        return web.json_response({"version": "v4.20190315", "manager": "a test's"})

    application = web.Application(client_max_size=2**30)
    application.add_routes([web.get("/", hello), web.post("/folders/f/upload", upload),
                            web.get("/folders/f/download", download)])
    return application, seen


async def transfer(encoding):
    with tempfile.TemporaryDirectory() as folder:
        mine, theirs, back = (pathlib.Path(folder) / name for name in ("mine", "theirs", "back"))
        names = make_tree(mine)
        theirs.mkdir()
        application, seen = server_of(theirs, encoding)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("BACKEND_", "SORNA_"))}
        environment = {**clean, "BACKEND_ENDPOINT": f"http://127.0.0.1:{port}", "BACKEND_ACCESS_KEY": "AKIA",
                       "BACKEND_SECRET_KEY": "secret"}
        for arguments in (["vfolder-upload", "f", str(mine)], ["vfolder-download", "f", str(back), *names]):
            process = await asyncio.create_subprocess_exec(PEER, *arguments, env=environment)
            assert await asyncio.wait_for(process.wait(), 120) == 0, arguments
        await runner.cleanup()
        assert sorted(seen) == sorted(names), seen
        expected = sums(mine)
        assert len(expected) == 1000
        assert sums(theirs) == expected
        assert sums(back) == expected


async def main():
    for encoding in ("gzip", "deflate", None):
        await transfer(encoding)
        print("transfers agree, encoding", encoding)
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
    # aiohttp percent-encodes and its own reader does not undo it, nor do we
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
        if not shutil.which(tool[0]):
            print("without", tool[0], "which is not installed")
            continue
        listed = subprocess.run(tool, input=archive, stdout=subprocess.PIPE, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
        assert len(listed.splitlines()) == 6, (tool, listed)
    print("all agree")


asyncio.run(main())
