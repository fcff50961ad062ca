#!/usr/bin/env python3
"""tunnel_killed.py GATEWAY: 200 connections through a tunnel (BACKENDAI_TUNNEL_PEER), when the gateway is killed, and when it
falls silent: all of them end within the deadline, and the tunnel goes on to say so to new ones."""
import os
import pathlib
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from common import Tap, clean_environment  # noqa: E402

COUNT = 200


def exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, "the connection ended"
        data += piece
    return data


def time_to_end(connections):
    """Seconds until all of them have ended; nothing when one has not within a minute."""
    start, left = time.monotonic(), {c.fileno(): c for c in connections}
    poll = select.poll()
    for number in left:
        poll.register(number, select.POLLIN)
    while left and time.monotonic() - start < 60:
        for number, _ in poll.poll(100):
            try:
                ended = left[number].recv(65536) == b""
            except OSError:
                ended = True
            if ended:
                poll.unregister(number)
                del left[number]
    return None if left else time.monotonic() - start


def check(tap, program, transport, number, deadline, folder):
    title = f"{transport or 'sockets'}: {'killed' if number == signal.SIGKILL else 'silent'}"
    gateway = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env={**clean_environment(), "TMPDIR": folder})  # its files stay behind
    exported = dict(shlex.split(gateway.stdout.readline())[1].split("=", 1) for _ in range(3))
    peer = subprocess.Popen([os.environ["BACKENDAI_TUNNEL_PEER"], *transport.split()], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**clean_environment(), **exported})
    connections = []
    try:
        ports = peer.stdout.readline().split()
        if not ports and peer.wait(10) == 77:
            tap.skip(title, "the peer was built without libcurl")
            return
        echo, web = map(int, ports)
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/page.txt", timeout=30) as answer:
            tap.result(answer.read() == b"carried by a tunnel", f"{title}: a page")
        for i in range(COUNT):
            connections.append(socket.create_connection(("127.0.0.1", echo), timeout=60))
        for i, connection in enumerate(connections):
            connection.sendall(b"%06d" % i * 1000)
        good = sum(exactly(connection, 6000) == b"%06d" % i * 1000 for i, connection in enumerate(connections))
        tap.result(good == COUNT, f"{title}: {COUNT} connections at once carry their own bytes", str(good))
        gateway.send_signal(number)
        took = time_to_end(connections)
        tap.result(took is not None and took < deadline, f"{title}: all end within {deadline} s", str(took))
        print(f"# {title}: all {COUNT} ended after {took:.2f} s", flush=True)
        if number == signal.SIGKILL:
            with socket.create_connection(("127.0.0.1", echo), timeout=30) as late:
                tap.result(late.recv(1) == b"", f"{title}: later ones end too")
        left, complaints = peer.communicate("", timeout=60)
        tap.result(peer.returncode == 0 and left.strip() == "0", f"{title}: none is left behind", left)
        tap.result(len(complaints.strip().split("\n")) >= COUNT, f"{title}: the program is told of each", complaints[-500:])
    finally:
        for process in (gateway, peer):
            process.kill()
            process.wait()
        for connection in connections:
            connection.close()


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        for transport in ("", "curl"):
            check(tap, sys.argv[1], transport, signal.SIGKILL, 5, folder)
            # The ping interval, the time for the answer, how often both are looked at, and a loaded machine.
            check(tap, sys.argv[1], transport, signal.SIGSTOP, 15, folder)
    tap.end()


if __name__ == "__main__":
    main()
