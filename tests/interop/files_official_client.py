#!/usr/bin/python3
"""Files between the official Python client (see official_client.py) and the SDK, over the embedded gateway.

What the one uploads the other downloads, through virtual folders and compute sessions, compared by SHA-256.
Exit status 77: skipped, with the reason.
"""
import os
import pathlib
import signal
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from official_client import make_environment, start_gateway


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.environ['BACKENDAI_GATEWAY']
    named = os.environ.get('BACKENDAI_INTEROP_VENV')
    directory = pathlib.Path(named or tempfile.mkdtemp(prefix='backendai-interop-'))
    gateway = None
    try:
        python = make_environment(directory)
        gateway, environment = start_gateway(program)
        checks = pathlib.Path(__file__).with_name('_files_official_checks.py')
        clean = {name: value for name, value in os.environ.items() if not name.startswith(('BACKEND_', 'SORNA_'))}
        result = subprocess.run([str(python), '-B', str(checks)], env={**clean, **environment}, timeout=240)
        gateway.send_signal(signal.SIGTERM)
        if gateway.wait(20) != 0:
            sys.exit('FAIL: the gateway did not end in an orderly way')
        return result.returncode
    finally:
        if gateway is not None and gateway.poll() is None:
            gateway.kill()
            gateway.wait()
        if not named:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
