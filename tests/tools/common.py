"""What the test scripts share: the build's compile command, TAP output, a running gateway."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]


def compile_command(build):
    """Compiler and flags of the build's test programs, without file names and precompiled header."""
    for entry in json.loads((pathlib.Path(build) / "compile_commands.json").read_text()):
        if entry["file"].endswith("tests/main.cpp"):
            words, kept, skip = shlex.split(entry["command"]), [], False
            for word in words:
                if skip:
                    skip = False
                elif word in ("-o", "-MF", "-MQ", "-MT", "-include", "-include-pch"):
                    skip = True
                elif word not in ("-c", "-MD", "-MMD", "-Winvalid-pch", "-fpch-preprocess") and not word.endswith("tests/main.cpp"):
                    kept.append(word)
            return kept
    raise SystemExit("Why: tests/main.cpp is not in compile_commands.json\nFix: meson setup --reconfigure the build folder")


def run(command, build, **options):
    """Runs a command in the build folder (relative -I flags are relative to it): (status, both outputs)."""
    done = subprocess.run(command, cwd=build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)
    return done.returncode, done.stdout


class Tap:
    """Collects results and prints them in the Test Anything Protocol, which meson counts."""

    def __init__(self):
        self.count = self.bad = 0

    def result(self, good, name, text=""):
        self.count += 1
        self.bad += not good
        print(("ok" if good else "not ok"), self.count, "-", name)
        if not good:
            print("\n".join(["# " + name] + text.strip().split("\n")[:60]), file=sys.stderr)  # meson shows it

    def skip(self, name, reason):
        self.count += 1
        print("ok", self.count, "-", name, "# SKIP", reason)

    def end(self):
        print(f"1..{self.count}", flush=True)
        raise SystemExit(1 if self.bad else 0)


def parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def clean_environment():
    """The environment without a cluster that the developer may have configured."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("BACKEND_", "SORNA_"))}


@contextlib.contextmanager
def gateway(program, *options):
    """Runs examples/gateway and gives the environment it tells to export; ends it as a user does, by interrupt."""
    process = subprocess.Popen([str(program), *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env=clean_environment())
    exported = {}
    watchdog = threading.Timer(30, process.kill)  # a gateway that prints nothing must not hang the test
    watchdog.start()
    try:
        for line in process.stdout:
            words = shlex.split(line, comments=True)
            for word in words[1:] if words[:1] == ["export"] else []:
                key, _, value = word.partition("=")
                exported[key] = value
            if {"BACKEND_ENDPOINT", "BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY"} <= exported.keys():
                break
        watchdog.cancel()
        if "BACKEND_ENDPOINT" not in exported:
            raise RuntimeError("the gateway ended, or was silent for 30 s, before it printed what to export")
        # Keep the pipe empty: a gateway that logs to it must not block.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield exported
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                raise RuntimeError("the gateway was still running 15 s after an interrupt") from None
