"""Gets what the real-server suite runs: the pinned server in a virtual environment, and three services from Debian.

Why things are as they are:
- 23.09.10 is the last release of the line that runs on Python 3.11 whose four parts are all on PyPI (23.09.11 has no
  manager there). It has none of the keypair defect of 23.03.7 to 23.09.3.
- `--no-deps` and a list of pins: the agent asks for kernel-runner wheels of hundreds of megabytes, which only its Docker
  backend opens, and for type stubs. requirements.txt holds what is really imported.
- The environment is kept in a folder (BACKENDAI_REAL_CACHE, else ~/.cache/backendai-real) under a name made of the pins, so
  that another run does not install again.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
PACKAGES = {"postgresql": "initdb", "postgresql-contrib": "uuid-ossp.control", "redis-server": "redis-server", "etcd-server": "etcd"}


class Unavailable(Exception):
    """The suite cannot run here; the text says why."""


def python311():
    for name in (os.environ.get("PYTHON311"), "python3.11", "/usr/bin/python3", "python3"):
        found = name and shutil.which(name)
        if found and subprocess.run([found, "-c", "import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))"],
                                    stderr=subprocess.DEVNULL).returncode == 0:
            return found
    raise Unavailable("no Python 3.11 with the module venv (Debian: python3-venv)")


def last_words(process):
    """The last lines of what a failed command said; pip's list of a hundred releases is cut."""
    return " | ".join(line[:200] for line in (process.stdout + process.stderr).strip().splitlines()[-2:])


def environment():
    """The python of the virtual environment, made when there is none yet."""
    cache = pathlib.Path(os.environ.get("BACKENDAI_REAL_CACHE") or pathlib.Path.home() / ".cache/backendai-real")
    folder = cache / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    if (folder / "complete").exists():
        return folder / "bin/python"
    if folder.exists():
        shutil.rmtree(folder)
    python = python311()
    print(f"installing the server into {folder}", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    pip = subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-input", "--retries", "2",
                          "--disable-pip-version-check", "-r", REQUIREMENTS], capture_output=True, text=True)
    if pip.returncode != 0:
        raise Unavailable("PyPI is out of reach or lacks a package: " + last_words(pip))
    (folder / "complete").touch()
    return folder / "bin/python"


def service(name):
    """A service's program: from PATH, or from where Debian keeps those of PostgreSQL; None when it is missing."""
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return shutil.which(name) or next((str(path / name) for path in versions if (path / name).exists()), None)


def present(program):
    if program.endswith(".control"):  # of an extension of PostgreSQL that the server's schema creates
        return any(pathlib.Path("/usr/share/postgresql").glob("*/extension/" + program))
    return service(program) is not None


def services():
    missing = [package for package, program in PACKAGES.items() if not present(program)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Unavailable("not installed: " + ", ".join(missing))
    print("installing:", *missing, flush=True)
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    # Debian would start what it installs; a policy script that says no (101) keeps it from doing so.
    with tempfile.NamedTemporaryFile("w", delete=False) as policy:
        policy.write("#!/bin/sh\nexit 101\n")
    os.chmod(policy.name, 0o755)
    try:
        for command in (["apt-get", "update", "-qq"],
                        ["env", "DEBIAN_FRONTEND=noninteractive", "POLICYRCD=" + policy.name, "apt-get", "install", "-y", "-qq",
                         "--no-install-recommends", *missing]):
            apt = subprocess.run([*sudo, *command], capture_output=True, text=True)
            if apt.returncode != 0:
                raise Unavailable("cannot install " + ", ".join(missing) + ": " + last_words(apt))
    finally:
        os.unlink(policy.name)
