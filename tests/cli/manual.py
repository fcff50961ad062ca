#!/usr/bin/env python3
"""Every command line of the manual's section 2.2, typed as it is printed there.

usage: manual.py BACKEND.AI GATEWAY"""
import pathlib
import re
import signal
import socket
import time
import urllib.request

import _cli


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(('127.0.0.1', port)) != 0


def listing(t):
    for line in ('backend.ai ps', 'backend.ai admin sessions'):
        done = t.shell(line)
        t.check(line, done.returncode == 0 and 'no compute sessions running' in done.stderr and done.stdout == '', done)
    done = t.shell('backend.ai --help')
    t.check('backend.ai --help', done.returncode == 0 and 'vfolder' in done.stdout and 'BACKEND_ACCESS_KEY' in done.stdout, done)


def simple(t):
    done = t.shell("""backend.ai run --rm -c 'print("hello world")' python""")
    t.check('run --rm -c', done.returncode == 0 and done.stdout == 'hello world\n', done)
    (t.work / 'myscript.py').write_text('import sys\nprint(sys.argv[1:])\n')
    done = t.shell("""backend.ai run --rm --exec 'python myscript.py arg1 arg2' \\
           python ./myscript.py""")
    t.check('run --rm --exec', done.returncode == 0 and done.stdout == "['arg1', 'arg2']\n", done)
    t.check('--rm has removed them', t.sessions() == [], t.sessions())


def accelerators(t):
    (t.work / 'mygpucode.py').write_text('print("on half a device")\n')
    done = t.shell("""backend.ai run --rm -r gpu=0.5 \\
           python-tensorflow ./mygpucode.py""")
    t.check('run --rm -r gpu=0.5', done.returncode == 0 and done.stdout == 'on half a device\n', done)


def terminating(t):
    first, second = (t.shell('backend.ai start python').stdout.strip() for _ in range(2))
    t.check('start prints the id, ps shows it', sorted(t.sessions()) == sorted([first, second]), t.sessions(), first, second)
    done = t.shell('backend.ai ps')
    t.check('backend.ai ps with sessions', first in done.stdout and 'Session ID' in done.stdout and 'RUNNING' in done.stdout, done)
    done = t.shell('backend.ai rm ' + first + ' ' + second)
    t.check('backend.ai rm <sessionID> <sessionID>', done.returncode == 0 and t.sessions() == [], done)


def jupyter(t):
    done = t.shell('backend.ai start -t mysession python')
    t.check('start -t mysession', done.returncode == 0 and 'jupyter' in done.stderr and done.stdout == 'mysession\n', done)
    if not is_free(9900):
        t.skip('app -p 9900 mysession jupyter', 'port 9900 is in use here')
    else:
        process = t.start('app', '-p', '9900', 'mysession', 'jupyter')
        address = process.stdout.readline().strip()
        t.check('app prints the address', address == 'http://127.0.0.1:9900', address)
        with urllib.request.urlopen(address, timeout=60) as answer:
            body = answer.read().decode()
        t.check('app carries a request', answer.status == 200 and 'Directory listing' in body, body[:300])
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        t.check('app ends cleanly on Ctrl-C', process.returncode == 0 and 'has terminated' in err and not _cli.TRACE.search(err)
                and time.monotonic() - begin < 20, process.returncode, err)
        t.check('the port is free again', is_free(9900))
    t.shell('backend.ai rm mysession')


def vfolders(t):
    (t.work / 'bigdata.csv').write_text('a,b\n1,2\n')
    done = t.shell('backend.ai vfolder create mydata1')
    t.check('vfolder create', done.returncode == 0 and 'mydata1' in done.stdout, done)
    done = t.shell('backend.ai vfolder upload mydata1 ./bigdata.csv')
    t.check('vfolder upload', done.returncode == 0, done)
    done = t.shell("backend.ai run --rm -m mydata1 python -c "
                   "'open(\"mydata1/bigresult.txt\", \"w\").write(open(\"mydata1/bigdata.csv\").read().upper())'")
    t.check('run -m mydata1', done.returncode == 0, done)
    done = t.shell('backend.ai vfolder download mydata1 ./bigresult.txt')
    (t.work / 'mycode.py').write_text('print(open("mydata1/bigdata.csv").read())')
    done_file = t.shell('backend.ai run --rm -m mydata1 python ./mycode.py')
    t.check('run -m mydata1 with a file', done_file.returncode == 0 and 'a,b' in done_file.stdout, done_file)
    text = (t.work / 'bigresult.txt').read_text() if (t.work / 'bigresult.txt').exists() else None
    t.check('vfolder download', done.returncode == 0 and text == 'A,B\n1,2\n', done, text)


def config(t):
    done = t.shell('backend.ai config')
    secret = t.environment['BACKEND_SECRET_KEY']
    t.check('backend.ai config', done.returncode == 0 and t.environment['BACKEND_ENDPOINT'] in done.stdout
            and t.environment['BACKEND_ACCESS_KEY'] in done.stdout, done)
    parts = [secret[i:i + 6] for i in range(len(secret) - 5)]
    text = (done.stdout + done.stderr).replace(t.environment['BACKEND_ACCESS_KEY'], '')
    t.check('no part of the secret key is shown', not any(part in text for part in parts), text)
    done = t.shell('backend.ai --version')
    t.check('backend.ai --version', done.returncode == 0 and re.fullmatch(r'backend\.ai, version \d+\.\d+\.\d+\n', done.stdout), done)


def readme(t):
    """The README's command lines are among those that were run here."""
    section = (pathlib.Path(__file__).resolve().parents[2] / 'README.md').read_text().split('## Command line', 1)[1]
    lines = [line for line in re.search(r'```sh\n(.*?)```', section, re.S)[1].split('\n') if line]
    run_here = {' '.join(line.replace('\\\n', ' ').split()) for line in t.lines} | {'backend.ai app -p 9900 mysession jupyter'}
    t.check('README.md: every command line is run', lines and not set(lines) - run_here, set(lines) - run_here)


_cli.main(listing, simple, accelerators, terminating, jupyter, vfolders, config, readme)
