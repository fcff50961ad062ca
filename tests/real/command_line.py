#!/usr/bin/env python3
"""command_line.py BACKEND.AI: the command line against the real server; to be run by run.py, which starts that one.

The same commands as the manual's, on a server of the 23.09 line: `run`, `start`, `app`, `vfolder` and `admin` must not care.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

program = os.path.abspath(sys.argv[1])
environment = {name: value for name, value in os.environ.items() if not name.startswith(("BACKEND_", "SORNA_")) and not name.lower().endswith("_proxy")}
environment.update(BACKEND_ENDPOINT=os.environ["BACKENDAI_REAL_ENDPOINT"], BACKEND_ACCESS_KEY="AKIAREALADMINEXAMPLE",
                   BACKEND_SECRET_KEY="real-suite-admin-secret-key-EXAMPLE-0001")
IMAGE = "python:3.9"
failures = 0


def cli(*arguments, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, timeout=120, **options)


def check(name, good, *details):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", name, flush=True)
    if not good:
        print(*details, sep="\n", flush=True)


def sessions():
    done = cli("run", "--rm", "-c", 'print("hello world")', IMAGE)
    check("run --rm -c", done.returncode == 0 and done.stdout == "hello world\n", done)
    done = cli("run", "--rm", "-c", "import sys; sys.exit(3)", IMAGE)
    check("the code's exit code", done.returncode == 3, done)
    done = cli("start", "-t", "mysession", IMAGE)
    check("start", done.returncode == 0 and len(done.stdout.split()) == 1, done)
    check("ps --id-only", cli("ps", "--id-only").stdout == "mysession\n", cli("ps"))
    check("ps --all", "mysession" in cli("ps", "--all").stdout)
    check("info", "Session ID: mysession" in cli("info", "mysession").stdout)
    pathlib.Path("data.txt").write_text("some data")
    check("upload", cli("upload", "mysession", "data.txt").returncode == 0)
    check("ls", [entry["filename"] for entry in json.loads(cli("ls", "mysession", "--output", "json").stdout)] == ["data.txt"])
    check("download", cli("download", "mysession", "data.txt", "--dest", "down").returncode == 0 and pathlib.Path("down/data.txt").read_text() == "some data")
    done = cli("app", "-p", "0", "mysession", "no-such-app")
    check("app of no service", done.returncode == 1 and "no service" in done.stderr, done)
    process = subprocess.Popen([program, "app", "-p", "0", "mysession", "echo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    address = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    check("app, to Ctrl-C", process.returncode == 0 and "127.0.0.1:" in address, address, err)
    done = cli("run", "--rm", "--terminal", IMAGE, input="exit\n")
    check("run --terminal", done.returncode == 0, done)
    check("rm", cli("rm", "mysession").returncode == 0 and cli("ps", "--id-only").stdout == "", cli("ps"))
    done = cli("logs", "nobody")
    check("an unknown session", done.returncode == 1 and "backend.ai ps" in done.stderr, done)


def folders():
    check("list-hosts", "local:volume1" in cli("vfolder", "list-hosts").stdout)
    check("create", cli("vfolder", "create", "cli1", "local:volume1").returncode == 0)
    pathlib.Path("bigdata.csv").write_text("a,b\n1,2\n")
    done = cli("vfolder", "upload", "cli1", "./bigdata.csv")
    check("upload to a folder", done.returncode == 0, done)
    check("ls of a folder", [entry["filename"] for entry in json.loads(cli("vfolder", "ls", "cli1", "--output", "json").stdout)] == ["bigdata.csv"])
    done = cli("vfolder", "download", "cli1", "./bigdata.csv", "--dest", "folder")
    check("download from a folder", done.returncode == 0 and pathlib.Path("folder/bigdata.csv").read_text() == "a,b\n1,2\n", done)
    done = cli("vfolder", "cp", "bigdata.csv", "cli1:in/other.csv")
    check("cp under another name", done.returncode == 0, done)
    done = cli("vfolder", "cp", "cli1:in/other.csv", "back.csv")
    check("cp back", done.returncode == 0 and pathlib.Path("back.csv").read_text() == "a,b\n1,2\n", done)
    check("rm in a folder", cli("vfolder", "rm", "-y", "cli1", "bigdata.csv").returncode == 0)
    check("rename", cli("vfolder", "rename", "cli1", "cli2").returncode == 0)
    check("delete", cli("vfolder", "delete", "cli2").returncode == 0)


def administration():
    for words in (["agents"], ["images"], ["keypair"], ["keypairs"], ["vfolders"], ["sessions"], ["resource-policy", "-n", "default"], ["resource-policies"]):
        done = cli("admin", *words, "--output", "json")
        check("admin " + " ".join(words), done.returncode == 0 and json.loads(done.stdout) is not None, done)
    done = cli("manager", "status")
    check("manager status", done.returncode == 0 and "running" in done.stdout, done)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for part in (sessions, folders, administration):
        try:
            part()
        except Exception as error:  # one that breaks is one that fails; the others go on
            check(part.__name__, False, repr(error))
    os.chdir("/")
print(failures, "failed")
sys.exit(1 if failures else 0)
