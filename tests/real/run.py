#!/usr/bin/env python3
"""run.py [--keep] PROGRAM [ARGUMENT...] [-- PROGRAM...]: runs programs against the real Backend.AI server, which is started
for them.

Installs what is missing (install.py), starts the server on loopback (servers.py), runs the programs one after the other with
these variables, and stops everything that it started, whatever happened. Exit status: that of the first program that failed,
or 0; 77 with `SKIP: reason` on the last line where the server cannot be had.

  BACKENDAI_REAL_ENDPOINT          the manager
  BACKENDAI_REAL_WEB_ENDPOINT      the webserver, for sessions that log in
  BACKENDAI_REAL_TRANSCRIPT        a file for the transcript, when the caller did not name one: in the temporary folder
  BACKEND_ENDPOINT, BACKEND_ACCESS_KEY, BACKEND_SECRET_KEY: what any program finds its server by; BACKENDAI_SAME_IMAGE
Key pairs, users and images are those of fixture.json and servers.py. With --keep the temporary folder, which holds the logs,
stays; it stays after a failure, too.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import install
import servers


def stop_on_signal(number, _):
    raise SystemExit(128 + number)


def main():
    arguments = sys.argv[1:]
    keep = arguments[:1] == ["--keep"]
    programs = [[]]
    for argument in arguments[keep:]:
        if argument == "--":
            programs.append([])
        else:
            programs[-1].append(argument)
    if not all(programs):
        sys.exit(__doc__)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop_on_signal)
    try:
        install.services()
        python = install.environment()
    except install.Unavailable as reason:
        print(f"SKIP: {reason}")
        return 77
    started = time.monotonic()
    server = servers.Servers(python)
    status = 1
    try:
        server.up()
        admin = json.loads((install.HERE / "fixture.json").read_text())["keypairs"][0]
        environment = {**os.environ, "BACKENDAI_REAL_ENDPOINT": server.endpoint, "BACKENDAI_REAL_WEB_ENDPOINT": server.web_endpoint,
                       "BACKEND_ENDPOINT": server.endpoint, "BACKEND_ACCESS_KEY": admin["access_key"],
                       "BACKEND_SECRET_KEY": admin["secret_key"], "BACKENDAI_SAME_IMAGE": "python:3.9"}
        environment.setdefault("BACKENDAI_REAL_TRANSCRIPT", str(server.folder / "transcript.jsonl"))
        results = []
        for program in programs:
            print("---", pathlib.Path(program[0]).name, flush=True)
            results.append(subprocess.run(program, env=environment).returncode)
        status = next((result for result in results if result != 0), 0)
    except RuntimeError as problem:
        print(f"the real server did not start: {problem}", file=sys.stderr)
    finally:
        server.stop()
        if status == 0 and not keep:
            server.remove()
        else:
            print(f"logs: {server.folder}")
    print(f"real server: {time.monotonic() - started:.0f} s in all, status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
