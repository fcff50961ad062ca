#!/usr/bin/env python3
"""tunnel.py BENCH_TUNNEL GATEWAY [VENV]: a tunnel of the SDK, and the official Python client's `app`, carry bytes to an echo
service and back, in turns: through the same gateway, by the same two programs at either end. VENV is the folder that
tests/interop/official_client.py made; without it only the SDK is measured, as far as it can be without a session.

The rates are bound by what all the processes share, two cores say; so beside them stands what the tunnel's own process took
of them, and what the two programs do without a tunnel between them."""
import contextlib
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from common import clean_environment, gateway  # noqa: E402

BOUND = 5.0  # the SDK's rate in those of the official client
ROUNDS = 7
TICK = os.sysconf("SC_CLK_TCK")
MAKE = ("from ai.backend.client.session import Session\n"
        "with Session() as session: session.Kernel.get_or_create('python', client_token='bench-tunnel')\n")


def cpu_of(pid):
    """Seconds that a process has had, in user mode and in the system, all threads together."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def child_named(name):
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            comm, _, rest = entry.read_text().partition("(")[2].rpartition(")")
            if comm == name and int(rest.split()[1]) == os.getpid():
                return int(entry.parent.name)
    sys.exit(f"no process {name}")


class Use:
    """What processes, and those that begin and end meanwhile, take of the processors."""

    def __init__(self, **pids):
        self.pids = pids
        self.before = {name: cpu_of(pid) for name, pid in pids.items()}
        self.ended = os.times()

    def take(self):
        now = os.times()
        self.seconds = {name: tuple(b - a for a, b in zip(self.before[name], cpu_of(pid))) for name, pid in self.pids.items()}
        self.seconds["load"] = (now.children_user - self.ended.children_user, now.children_system - self.ended.children_system)
        return self

    def per(self, amount):
        return ", ".join(f"{name} {(u + s) / amount:.2f} ({u / amount:.2f} user)" for name, (u, s) in self.seconds.items())


def run_user(arguments, **pids):
    """A program that uses the tunnel: the figure at the end of its line, and the processors' use."""
    use = Use(**pids)
    done = subprocess.run([bench, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + "the bytes were damaged")
    return float(re.findall(r"([0-9.]+)[^0-9]*$", done.stdout)[0]), use.take()


@contextlib.contextmanager
def sdk_tunnel(environment):
    tunnel = subprocess.Popen([bench, "tunnel", "bench-tunnel", "back"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env=environment)
    yield tunnel.pid, int(tunnel.stdout.readline())
    memory.append(tunnel.communicate("")[0].strip())


@contextlib.contextmanager
def python_tunnel(environment):
    checks = (ROOT / "tests" / "interop" / "_official_streams_checks.py").read_text()
    script = checks.split("APP = '''")[1].split("'''")[0]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = subprocess.Popen([str(venv / "bin" / "python"), "-W", "ignore", "-c", script, "bench-tunnel", "back", "-p",
                                str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield command.pid, port
    finally:
        command.kill()
        command.wait()


def compare(environment, arguments, unit, amount_of):
    """In turns, each with a tunnel of its own (the official client's keeps what its users leave, and takes 100 in all):
    the median of the rates' ratios."""
    rates, costs = {"SDK": [], "app": []}, {"SDK": [], "app": []}
    for _ in range(ROUNDS):
        for name, tunnel in (("SDK", sdk_tunnel), ("app", python_tunnel)):
            with tunnel(environment) as (pid, port):
                rate, use = run_user([arguments[0], port, *arguments[1:]], tunnel=pid, gateway=gateway_pid, echo=echo.pid)
            rates[name].append(rate)
            costs[name].append(sum(use.seconds["tunnel"]) / amount_of(rate))
            print(f"     {name}: {rate:8.1f} {unit}; CPU s: {use.per(amount_of(rate))}", flush=True)
    ratios = [fast / slow for fast, slow in zip(rates["SDK"], rates["app"])]
    speed, cost = ({name: statistics.median(values) for name, values in items.items()} for items in (rates, costs))
    print(f"  medians of {ROUNDS}: SDK {speed['SDK']:.1f}, app {speed['app']:.1f} {unit}, ratio "
          f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}); CPU of the tunnel's process: SDK "
          f"{cost['SDK']:.2f} s, app {cost['app']:.2f} s, ratio {cost['app'] / max(cost['SDK'], 1e-9):.1f}", flush=True)
    return statistics.median(ratios)


memory = []  # as the SDK's tunnels tell of it
bench, program = sys.argv[1], sys.argv[2]
venv = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
echo = subprocess.Popen([bench, "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
echo_port = int(echo.stdout.readline())
if venv is None:
    sys.exit("a venv with the official client is needed to make the session")
with gateway(program, "--service", f"back:tcp:{echo_port}") as exported:
    gateway_pid = child_named(pathlib.Path(program).name)
    environment = {**clean_environment(), **exported}
    subprocess.run([str(venv / "bin" / "python"), "-W", "ignore", "-c", MAKE], env=environment, check=True)
    print("bulk: without a tunnel, the same two programs; CPU seconds for 1 GiB each way")
    rate, use = run_user(["carry", echo_port, 1024], echo=echo.pid)
    print(f"     none: {rate:7.1f} MiB/s each way; CPU s: {use.per(1)}")
    print("bulk: the SDK's tunnel, 1 GiB each way at once")
    with sdk_tunnel(environment) as (pid, port):
        rate, use = run_user(["carry", port, 1024], tunnel=pid, gateway=gateway_pid, echo=echo.pid)
        print(f"     SDK: {rate:8.1f} MiB/s each way; CPU s: {use.per(1)}", flush=True)
    print(f"     SDK: {memory[-1]}")
    print("bulk: 512 MiB each way at once, in turns; CPU seconds for 1 GiB each way")
    bulk = compare(environment, ["carry", 512], "MiB/s each way", lambda rate: 0.5)
    print("talk: 64 connections, 1 KiB there and back, 2 s, in turns; CPU seconds for 100,000 round trips")
    rate, use = run_user(["talk", echo_port, 64, 1024, 2], echo=echo.pid)
    print(f"     none: {rate:7.0f} round trips a second; CPU s: {use.per(rate * 2 / 1e5)}")
    talk = compare(environment, ["talk", 64, 1024, 2], "round trips/s", lambda rate: rate * 2 / 1e5)
echo.communicate("")
print(f"ratio of the rates: bulk {bulk:.1f}, talk {talk:.1f}; bound {BOUND:.0f} for bulk: {'met' if bulk >= BOUND else 'NOT met'}")
sys.exit(0 if bulk >= BOUND else 1)
