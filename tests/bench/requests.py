#!/usr/bin/python3
"""requests.py BENCH_REQUESTS [VENV]: what a request of the SDK costs, beside raw cpp-httplib and the official client.

One run measures all of them in turns, five rounds, and prints medians and ratios: only ratios of one run mean anything.
VENV is a folder for the official Python client, which is installed there (default: a temporary one). Figures that miss
their target are marked, and then the exit status is 1.

BENCH_COUNT  requests of a measurement (default 3000)
BENCH_ROUNDS rounds (default 5)
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from official_client import make_environment  # noqa: E402

COUNT = int(os.environ.get("BENCH_COUNT", "3000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
TURNS = 5  # of a client and method, twice a round
missed = []


def judge(name, value, target, smaller=False):
    good = value <= target if smaller else value >= target
    if not good:
        missed.append(name)
    print(f"  {name:<58} {value:6.2f}  {'<=' if smaller else '>='} {target}{'' if good else '  MISSED'}", flush=True)


class Client:
    """A client in a process of its own, which waits between its turns."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)

    def turn(self, method, count):
        """Seconds, and seconds of CPU, that so many requests took."""
        print(method, count, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("a client failed")
        return tuple(map(float, line.split()))

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def official_client(folder, port):
    try:
        python = make_environment(folder)
    except SystemExit:  # it has said why
        return None
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("BACKEND_", "SORNA_"))}
    environment.update(BACKEND_ENDPOINT=f"http://127.0.0.1:{port}", BACKEND_ACCESS_KEY="AKIAIOSFODNN7EXAMPLE",
                       BACKEND_SECRET_KEY="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    return Client(str(python), "-B", str(pathlib.Path(__file__).with_name("_official_client.py")), env=environment)


def measure(*words):
    return subprocess.run([program, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True).stdout


def instructions(client, method):
    """Instructions of the client's thread a request: the difference of two counts, so that start and end cancel out."""
    counts = []
    for count in (200, 600):
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, client, str(port)],
                              input=f"{method} {count}\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=True)
        counts.append(int(re.search(r"Collected\s*:\s*(\d+)", done.stderr).group(1)))
    return (counts[1] - counts[0]) / 400


program = sys.argv[1]
named = sys.argv[2] if len(sys.argv) > 2 else None
folder = pathlib.Path(named or tempfile.mkdtemp(prefix="backendai-bench-"))
server = subprocess.Popen([program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
clients = {}
try:
    port = int(server.stdout.readline())
    clients = {"raw": Client(program, "raw", str(port)), "sdk": Client(program, "sdk", str(port))}
    python = official_client(folder, port)
    if python is not None:
        clients["python"] = python
    rates, cpu = {}, {}
    for _ in range(ROUNDS):
        taken = {}
        for turn in range(TURNS * 2):  # short ones, so that what else the machine does meets all alike
            for method in ("GET", "POST"):
                # Each second turn the other way round: who comes after whom must not matter.
                for name, client in sorted(clients.items(), reverse=turn % 2 == 1):
                    count = COUNT // TURNS // (8 if name == "python" else 2)
                    for kind, took in enumerate(client.turn(method, count)):
                        taken[name, method, kind] = taken.get((name, method, kind), 0) + took / count / TURNS / 2
        for (name, method, kind), took in taken.items():
            (cpu if kind else rates).setdefault((name, method), []).append(took * 1e6 if kind else 1 / took)
    print(f"one thread, keep-alive, {ROUNDS} rounds of {COUNT}: requests a second, median (least to most); CPU us a request")
    for (name, method), values in rates.items():
        print(f"  {name:<8}{method:<6}{statistics.median(values):9.0f}  ({min(values):.0f} to {max(values):.0f})"
              f"{statistics.median(cpu[name, method]):9.1f}")
    print("ratios of the medians of requests a second (of CPU time)")
    for other, what, target in (("raw", "raw cpp-httplib", 0.85), ("python", "the official Python client", 7)):
        for method in ("GET", "POST"):
            if (other, method) in rates:
                ratio, lean = (statistics.median(table["sdk", method]) / statistics.median(table[other, method])
                               for table in (rates, cpu))
                judge(f"{method}, SDK to {what} ({1 / lean:.2f})", ratio, target)
    one = statistics.median(float(measure("parallel", 1, port)) for _ in range(ROUNDS))
    eight = statistics.median(float(measure("parallel", 8, port)) for _ in range(ROUNDS))
    judge("time of 8 threads on one session to that of one call, 200 ms", eight / one, 1.3, smaller=True)
    pairs = [tuple(map(float, measure("signature").split())) for _ in range(ROUNDS)]
    ours, bare = (statistics.median(column) for column in zip(*pairs))
    print(f"a signature: {ours:.0f} ns; one HMAC of OpenSSL: {bare:.0f} ns")
    judge("a signature to one bare HMAC", ours / bare, 2, smaller=True)
    if shutil.which("valgrind"):
        for method in ("GET", "POST"):
            ours, raw = instructions("sdk", method), instructions("raw", method)
            print(f"  instructions a {method}: SDK {ours:.0f}, raw {raw:.0f}, ratio {ours / raw:.2f}")
    else:
        print("SKIP: instructions a request: valgrind is not installed")
finally:
    for client in clients.values():
        client.end()
    server.stdin.close()
    server.wait(30)
    if not named:
        shutil.rmtree(folder, ignore_errors=True)
sys.exit(1 if missed else 0)
