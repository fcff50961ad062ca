#!/usr/bin/env python3
"""tunnel.py BENCH_STREAMS GATEWAY [VENV]: a tunnel of the SDK, and the official Python client's `app`, carry bytes to the
gateway's echo service and back, in turns. VENV is the folder that tests/interop/official_client.py made; without it only
the SDK is measured."""
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from common import clean_environment, gateway  # noqa: E402

bench, program = sys.argv[1], sys.argv[2]
venv = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
MAKE = ("from ai.backend.client.session import Session\n"
        "with Session() as session: session.Kernel.get_or_create('python', client_token='bench-tunnel')\n")


def carry(port, mib):
    done = subprocess.run([bench, "carry", str(port), str(mib)], stdout=subprocess.PIPE, text=True)
    print("   ", done.stdout.strip(), flush=True)
    if done.returncode != 0:
        sys.exit("the bytes were damaged")
    return float(done.stdout.split(",")[-1].split()[0])


def with_sdk(environment, mib):
    tunnel = subprocess.Popen([bench, "tunnel", "bench-tunnel", "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env=environment)
    rate = carry(int(tunnel.stdout.readline()), mib)
    print("   ", tunnel.communicate("")[0].strip())
    return rate


def with_python(environment, mib):
    checks = (ROOT / "tests" / "interop" / "_official_streams_checks.py").read_text()
    script = checks.split("APP = '''")[1].split("'''")[0]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = subprocess.Popen([str(venv / "bin" / "python"), "-W", "ignore", "-c", script, "bench-tunnel", "echo", "-p",
                                str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        return carry(port, mib)
    finally:
        command.kill()
        command.wait()


with gateway(program) as exported:
    environment = {**clean_environment(), **exported}
    if venv is None:
        sys.exit("a venv with the official client is needed to make the session")
    subprocess.run([str(venv / "bin" / "python"), "-W", "ignore", "-c", MAKE], env=environment, check=True)
    print("the SDK's tunnel, 1 GiB each way at once")
    first = with_sdk(environment, 1024)
    rates = []
    for _ in range(7):
        print("in turns: the SDK, the official client's app")
        rates.append(with_sdk(environment, 128) / with_python(environment, 128))
    print(f"ratio of the rates, median of 7: {sorted(rates)[3]:.1f}")
