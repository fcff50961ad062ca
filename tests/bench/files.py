#!/usr/bin/env python3
"""files.py BENCH_FILES [MIB [ROUNDS [VENV]]]: 4 GiB (or MIB) up and down, by the SDK on each of its transports, by curl, by
zlib alone and by the official Python client, in turns, against a server that does as little as a server can.

VENV is the folder that tests/interop/official_client.py made (BACKENDAI_INTEROP_VENV); without it that client is left out.
BACKENDAI_BENCH_OUT names the folder for what comes down: on a file system in memory the disk does not set the pace.
Each figure is the best of ROUNDS (3). Exit status 1 when one of these does not hold: the bytes are right; the memory of
the process peaks below 24 MiB; up, and down where the wire carries the file as it is, the rate is at least 0.85 of curl's;
down where the wire is gzip, at least 0.85 of zlib's own; and it is faster than the Python client.
"""
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from common import clean_environment  # noqa: E402

BLOCK = 16 << 20
BOUNDARY = "5b9e0e6d3f0d4b1c9a7c2f4e8d6a1b03"  # of the length that aiohttp makes
PYTHON = """
import sys, time
from ai.backend.client.session import Session
import ai.backend.client.vfolder
with Session() as session:
    start = time.monotonic()
    if sys.argv[1] == 'upload':
        session.VFolder('bench').upload([sys.argv[2]], basedir=sys.argv[3])
    else:
        session.VFolder('bench').download([sys.argv[2]])
    seconds = time.monotonic() - start
peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')][0]
print(seconds, peak)
"""


def make_block():
    """Text that compresses as logs and sources do, to a third or so."""
    generator = random.Random(11)
    words = ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz_", k=generator.randrange(2, 12))) for _ in range(4000)]
    lines, size = [], 0
    while size < BLOCK:
        lines.append(" ".join(generator.choices(words, k=5)) + f" = {generator.random():.9f};\n")
        size += len(lines[-1])
    return "".join(lines).encode()[:BLOCK]


def make_files(folder, blocks):
    """The file, and the same as one gzip member: the block is compressed once, and ends where nothing that follows
    refers to it, so that it can be repeated. The block's CRC-32."""
    block, check = make_block(), 0
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    with open(folder / "big", "wb") as plain, open(folder / "big.gz", "wb") as gzip:
        gzip.write(bytes.fromhex("1f8b08000000000000ff"))
        for _ in range(blocks):
            plain.write(block)
            gzip.write(packed)
            check = zlib.crc32(block, check)
        gzip.write(b"\3\0" + check.to_bytes(4, "little") + (blocks * BLOCK % 2**32).to_bytes(4, "little"))
    return check


class Server:
    """Throws uploads away, and sends the file below /gzip or /identity. A process of its own."""

    def __init__(self, folder):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            self.process = os.fork()
            if self.process == 0:
                while True:
                    threading.Thread(target=self.serve, args=(listener.accept()[0],), daemon=True).start()

    def close(self):
        os.kill(self.process, 9)
        os.waitpid(self.process, 0)

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        while line := stream.readline():
            method, target = line.decode().split(" ")[:2]
            headers = {}
            while field := stream.readline().strip().decode():
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            if "expect" in headers:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            received = self.take_body(connection, stream, int(headers.get("content-length", 0)))
            if target.endswith("/download"):
                self.send_file(connection, target.split("/")[1])
                continue
            answer = json.dumps({"version": "v4.20190315", "received": received}).encode()
            connection.sendall(b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                               % (201 if method == "POST" else 200, len(answer), answer))

    @staticmethod
    def take_body(connection, stream, length):
        """Throws the body away."""
        left = length - len(stream.read(min(length, len(stream.peek())) if length else 0))
        nothing = bytearray(1 << 20)
        while left:
            left -= connection.recv_into(nothing, min(left, len(nothing))) or sys.exit("the body was cut")
        return length

    def send_file(self, connection, encoding):
        path = self.folder / ("big.gz" if encoding == "gzip" else "big")
        head = f"--{BOUNDARY}\r\nContent-Encoding: {encoding}\r\nContent-Disposition: attachment; filename=\"big\"\r\n\r\n"
        tail = f"\r\n--{BOUNDARY}--\r\n"
        length = len(head) + path.stat().st_size + len(tail)
        connection.sendall((f"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary={BOUNDARY}\r\n"
                            f"X-TOTAL-PAYLOADS-LENGTH: {(self.folder / 'big').stat().st_size}\r\n"
                            f"Content-Length: {length}\r\n\r\n" + head).encode())
        with open(path, "rb") as file:
            connection.sendfile(file)
        connection.sendall(tail.encode())


class Bench:
    def __init__(self, program, folder, out, blocks, python):
        self.program, self.folder, self.out, self.size, self.python = program, folder, out, blocks * BLOCK, python
        self.check = make_files(folder, blocks)
        self.server = Server(folder)
        self.best, self.peak = {}, {}

    def measure(self, title, command, encoding, result=None, cwd=None):
        """Runs a command that prints its seconds and perhaps its peak, and looks at the file it made."""
        endpoint = f"http://127.0.0.1:{self.server.port}/{encoding}"
        environment = {**clean_environment(), "BACKEND_ENDPOINT": endpoint, "BACKEND_ACCESS_KEY": "AKIA",
                       "BACKEND_SECRET_KEY": "secret", "PYTHONWARNINGS": "ignore"}
        before = os.times()
        words = subprocess.run(command, env=environment, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        after = os.times()
        work = after.children_user - before.children_user + after.children_system - before.children_system
        rate = self.size / float(words[0]) / 2**20
        self.best[title] = max(self.best.get(title, 0), rate)
        if len(words) > 1:
            self.peak[title] = max(self.peak.get(title, 0), int(words[1]))
        print(f"    {title:34}{rate:8.0f} MiB/s{work:7.1f} s of CPU" +
              (f"{int(words[1]) / 1024:9.1f} MiB at most" if len(words) > 1 else ""), flush=True)
        if result:
            self.compare(title, result)

    def compare(self, title, path):
        check = 0
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                check = zlib.crc32(block, check)
        path.unlink()
        if check != self.check:
            sys.exit(f"FAIL: {title}: the file is not what was sent")

    def round(self):
        big, out = str(self.folder / "big"), self.out / "out"
        curl = ["curl", "--silent", "--show-error", "--fail", "--write-out", "%{time_total}", "--output"]
        base = f"http://127.0.0.1:{self.server.port}"
        if self.python:
            self.measure("up, Python client", [self.python, "-c", PYTHON, "upload", big, str(self.folder)], "identity")
            self.measure("down gzip, Python client", [self.python, "-c", PYTHON, "download", "big"], "gzip",
                         self.out / "big", self.out)
        self.measure("up, curl", curl + ["/dev/null", "--form", f"src=@{big};type=application/octet-stream",
                                         f"{base}/identity/folders/bench/upload"], "identity")
        for transport in ("httplib", "curl"):
            self.measure(f"up, SDK on {transport}", [self.program, "upload", transport, big], "identity")
        self.measure("down, curl", curl + [str(out), f"{base}/identity/folders/bench/download"], "identity")
        out.unlink()
        for transport in ("httplib", "curl"):
            self.measure(f"down, SDK on {transport}", [self.program, "download", transport, "big", str(out)], "identity",
                         out / "big")
        self.measure("down gzip, zlib without writing", [self.program, "inflate", big + ".gz"], "gzip")
        out.rmdir()
        self.measure("down gzip, zlib alone", [self.program, "inflate", big + ".gz", str(out)], "gzip", out)
        for transport in ("httplib", "curl"):
            self.measure(f"down gzip, SDK on {transport}", [self.program, "download", transport, "big", str(out)], "gzip",
                         out / "big")
        out.rmdir()

    def verdict(self):
        failures = 0
        for way, reference in (("up", "up, curl"), ("down", "down, curl"), ("down gzip", "down gzip, zlib alone")):
            for transport in ("httplib", "curl"):
                title = f"{way}, SDK on {transport}"
                share = self.best[title] / self.best[reference]
                good = share >= 0.85 and self.peak[title] < 24 * 1024
                text = f"{share:.2f} of {reference.split(', ')[1]}"
                python = self.best.get(f"{way}, Python client")
                if python:
                    text += f", {self.best[title] / python:.1f} times the Python client"
                    good = good and self.best[title] > python
                failures += not good
                print(f"{'ok  ' if good else 'FAIL'} {title}: {self.best[title]:.0f} MiB/s, {text}, "
                      f"{self.peak[title] / 1024:.1f} MiB of memory")
        return failures


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    mib = int(sys.argv[2]) if len(sys.argv) > 2 else 4096
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    python = str(pathlib.Path(sys.argv[4]) / "bin" / "python") if len(sys.argv) > 4 else None
    with tempfile.TemporaryDirectory(prefix="backendai-bench-") as folder, \
            tempfile.TemporaryDirectory(prefix="backendai-bench-", dir=os.environ.get("BACKENDAI_BENCH_OUT")) as out:
        bench = Bench(program, pathlib.Path(folder), pathlib.Path(out), max(1, mib * 2**20 // BLOCK), python)
        try:
            for number in range(rounds):
                print(f"round {number + 1} of {rounds}, {bench.size >> 20} MiB", flush=True)
                bench.round()
        finally:
            bench.server.close()
        return 1 if bench.verdict() else 0


if __name__ == "__main__":
    sys.exit(main())
