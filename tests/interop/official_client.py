#!/usr/bin/python3
"""Runs the official Python client (19.03 line, from PyPI) against the embedded gateway.

usage: official_client.py GATEWAY_PROGRAM [VENV_DIRECTORY]

The program may also be named by BACKENDAI_GATEWAY, the directory by BACKENDAI_INTEROP_VENV (default: a temporary one).
Exit status: 0 every check passed, 1 one failed, 77 skipped. Wants Debian's python3-aiohttp, python3-yarl and
python3-venv; the client itself and its small pure-Python needs are installed into the virtual environment.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

# The client pins an old aiohttp; it is installed without its pins and runs on the system's.
PACKAGES = ['backend.ai-client==19.3.2', 'python-dateutil', 'six', 'tqdm', 'tabulate', 'click', 'humanize']


def skip(reason):
    print('SKIP:', reason)
    sys.exit(77)


def make_environment(directory):
    python = directory / 'bin' / 'python'
    if not (directory / 'complete').exists():
        command = ['/usr/bin/python3', '-m', 'venv', '--system-site-packages', str(directory)]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            skip('no virtual environment can be made (python3-venv)')
        command = [str(python), '-m', 'pip', 'install', '--quiet', '--no-deps', *PACKAGES]
        if subprocess.run(command).returncode != 0:
            skip('the official client could not be installed from PyPI')
        (directory / 'complete').touch()
    if subprocess.run([str(python), '-c', 'import aiohttp, yarl, multidict']).returncode != 0:
        skip('aiohttp, yarl or multidict are missing (python3-aiohttp)')
    return python


def start_gateway(program):
    gateway = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    environment = {}
    for _ in range(3):
        name, value = gateway.stdout.readline().strip().removeprefix('export ').split('=', 1)
        environment[name] = value
    return gateway, environment


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('BACKENDAI_GATEWAY')
    if not program:
        sys.exit(__doc__)
    named = sys.argv[2] if len(sys.argv) > 2 else os.environ.get('BACKENDAI_INTEROP_VENV')
    directory = pathlib.Path(named or tempfile.mkdtemp(prefix='backendai-interop-'))
    gateway = None
    try:
        python = make_environment(directory)
        gateway, environment = start_gateway(program)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(('BACKEND_', 'SORNA_'))}
        status = 0
        for name in ('_official_client_checks.py', '_official_streams_checks.py'):
            checks = pathlib.Path(__file__).with_name(name)
            result = subprocess.run([str(python), '-B', str(checks)], env={**clean, **environment}, timeout=300)
            status = status or result.returncode
        gateway.send_signal(signal.SIGTERM)
        if gateway.wait(20) != 0:
            sys.exit('FAIL: the gateway did not end in an orderly way')
        return status
    finally:
        if gateway is not None and gateway.poll() is None:
            gateway.kill()
            gateway.wait()
        if not named:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
