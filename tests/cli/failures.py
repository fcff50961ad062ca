#!/usr/bin/env python3
"""What goes wrong: one paragraph on standard error that says what to do, the right exit code, no stack trace.

usage: failures.py BACKEND.AI GATEWAY"""
import os
import select
import signal
import socket
import subprocess
import time

import _cli


def usage(t):
    for line, *words in (([], 'Usage', 'vfolder'), (['vfolder'], 'Usage', 'mkdir'), (['admin'], 'Usage', 'agents'), (['manager'], 'Usage')):
        done = t.cli(*line)
        t.check('%s without a command shows its help' % ' '.join(['backend.ai', *line]),
                done.returncode == 2 and all(word in done.stderr for word in words) and done.stdout == '', done)
    for line, *words in ((['fly'], 'fly', 'backend.ai -h'), (['run'], 'LANG', 'backend.ai run -h'), (['run', 'python'], 'nothing to run'),
                         (['run', '-c', '1', 'python', 'x.py'], 'not both'), (['run', '--fly', 'python'], '--fly'),
                         (['run', '-c', '1', '--cluster-size', '9', 'python'], 'cluster-size'),
                         (['run', '-c', '1', '--max-parallel', '0', 'python'], 'max-parallel'),
                         (['run', '-c', '1', '-e', 'novalue', 'python'], 'KEY=VALUE'), (['run', '-c', '1', '-r', '=1', 'python'], 'KEY=VALUE'),
                         (['run', '--terminal', '-c', '1', 'python'], '--terminal'),
                         (['run', '-t', 'lots', '--terminal', '-e', 'A=$a', '--env-range', 'a=range:3', 'bash'], 'terminal'),
                         (['app', 'x'], 'APP'), (['app', '-p', '70000', 'x', 'y'], 'port'), (['ps', '--status', 'TIRED'], 'status'),
                         (['ps', '--output', 'xml'], 'output'), (['vfolder', 'ls'], 'NAME'), (['vfolder', 'cp', 'a'], 'PATHS'),
                         (['vfolder', 'cp', 'a', 'b'], 'NAME:PATH'), (['manager', 'freeze', '--wait', '--force-kill'], 'wait'),
                         (['rm'], 'SESSID'), (['ps', 'extra'], 'extra'), (['completion', 'tcsh'], 'bash'), (['upload', 'x'], 'FILES'),
                         (['download', 'x'], 'FILES'), (['download', 'x', '--dest', '.'], 'FILES'), (['vfolder', 'download', 'x'], 'FILES')):
        t.fails('usage: ' + ' '.join(line), t.cli(*line), 2, *words)


def servers(t):
    dead = {'BACKEND_ENDPOINT': 'http://127.0.0.1:1'}
    t.fails('a dead endpoint', t.cli('ps', env=dead), 1, 'http://127.0.0.1:1', 'BACKEND_ENDPOINT', 'Connection refused')
    t.fails('and by which address', t.cli('ps', env={'BACKEND_ENDPOINT': 'http://localhost:1'}), 1, 'localhost:1 at ', 'Connection refused')
    t.fails('a proxy that is not there', t.cli('ps', env={'BACKEND_ENDPOINT': 'https://backend.example', 'HTTPS_PROXY': 'http://127.0.0.1:1'}), 1,
            'proxy at 127.0.0.1, port 1', 'Connection refused')
    t.fails('an empty endpoint', t.cli('ps', env={'BACKEND_ENDPOINT': ''}), 1, 'BACKEND_ENDPOINT', 'empty')
    plain = {'BACKEND_ENDPOINT': t.gateway.environment['BACKEND_ENDPOINT'].replace('http:', 'https:')}
    begin = time.monotonic()
    for options in ([], ['--skip-sslcert-validation']):
        done = t.cli(*options, 'ps', env=plain)
        t.fails(' '.join(['TLS to a server without it', *options]), done, 1, 'TLS handshake', 'http://')
        t.check('which leads nobody to switch off checks', 'goes on without' not in done.stderr, done)
    t.check('and is told at once', time.monotonic() - begin < 20, time.monotonic() - begin)
    with socket.create_server(('127.0.0.1', 0)) as silent:
        process = t.start('ps', env={'BACKEND_ENDPOINT': 'https://127.0.0.1:%d' % silent.getsockname()[1]})
        seen = process.stderr.readline() if select.select([process.stderr], [], [], 60)[0] else ''
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        t.check('a server that says nothing: the first attempt is told, not only the last', 'no answer (attempt 1)' in seen, seen)
    t.fails('a dead endpoint for run', t.cli('run', '--rm', '-c', '1', 'python', env=dead), 1, 'cannot be reached')
    t.fails('no such host', t.cli('ps', env={'BACKEND_ENDPOINT': 'http://no-such-host.invalid'}), 1, 'no-such-host.invalid')
    t.fails('an endpoint that is no URL', t.cli('ps', env={'BACKEND_ENDPOINT': 'nonsense'}), 1, 'BACKEND_ENDPOINT')
    t.fails('a wrong secret key', t.cli('ps', env={'BACKEND_SECRET_KEY': 'wrong' * 8}), 1, '401', 'BACKEND_SECRET_KEY')
    t.fails('a wrong access key', t.cli('ps', env={'BACKEND_ACCESS_KEY': 'AKIANOBODY'}), 1, 'BACKEND_ACCESS_KEY')
    for name in ('BACKEND_ACCESS_KEY', 'BACKEND_SECRET_KEY'):
        t.fails('no ' + name, t.cli('ps', env={name: ''}), 1, name, '--local')
        t.fails('config without ' + name, t.cli('config', env={name: ''}), 1, name)
    t.check('the wrong key is not told', 'wrong' * 3 not in t.cli('ps', env={'BACKEND_SECRET_KEY': 'wrong' * 8}).stderr)
    t.fails('an unknown image', t.cli('run', '--rm', '-c', '1', 'no-such-language'), 1, 'image')
    t.fails('an unknown session', t.cli('logs', 'nobody'), 1, 'backend.ai ps')
    t.fails('an unknown session to rm', t.cli('rm', 'nobody'), 1, 'nobody', 'backend.ai ps')
    t.fails('an unknown session for app', t.cli('app', '-p', '0', 'nobody', 'jupyter'), 1, 'backend.ai ps')
    t.fails('an unknown session to show', t.cli('info', 'nobody'), 1, 'backend.ai ps')
    t.fails('an unknown folder', t.cli('vfolder', 'ls', 'nothing'), 1, 'vfolder list')
    t.fails('a folder twice', [t.cli('vfolder', 'create', 'twice') for _ in range(2)][1], 1, 'already')
    t.fails('a name that is none', t.cli('vfolder', 'create', '-', 'x'), 1, 'name')
    t.fails('a file that is not there', t.cli('vfolder', 'upload', 'twice', 'not-there.txt'), 1, 'not-there.txt')
    done = t.cli('start', '-t', 'ok-session', 'python')
    done = t.cli('rm', 'nobody', 'ok-session', 'nobody-else')
    t.check('rm goes on to the others', done.returncode == 1 and t.sessions() == [] and done.stderr.count('nobody') >= 2, done)
    t.cli('start', '-t', 'with-app', 'python')
    t.fails('an unknown app', t.cli('app', '-p', '0', 'with-app', 'photoshop'), 1, 'photoshop', 'jupyter')
    t.fails('a port in use', t.cli('app', '-p', t.gateway.environment['BACKEND_ENDPOINT'].rsplit(':')[-1], 'with-app', 'jupyter'), 1, 'listen')
    t.cli('rm', 'with-app')
    certificate = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout',
                                  str(t.folder / 'key.pem'), '-out', str(t.folder / 'cert.pem')], stderr=subprocess.DEVNULL)
    if certificate.returncode:
        t.skip('certificates', 'no openssl program')
        return
    server = subprocess.Popen(['openssl', 's_server', '-accept', '0', '-cert', str(t.folder / 'cert.pem'), '-key', str(t.folder / 'key.pem'), '-www'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=t.folder)
    port = next(line.strip().rsplit(':', 1)[1] for line in server.stdout if line.startswith('ACCEPT'))
    endpoint = {'BACKEND_ENDPOINT': 'https://127.0.0.1:' + port}
    t.fails('a certificate of nobody', t.cli('ps', env=endpoint), 1, '--skip-sslcert-validation')
    done = t.cli('--skip-sslcert-validation', 'manager', 'status', env=endpoint)
    t.check('--skip-sslcert-validation goes on', done.returncode == 1 and 'trusted' not in done.stderr, done)
    server.kill()
    server.wait()


def outputs(t):
    for line in (['--help'], ['config'], ['manager', 'status'], ['run', '--rm', '-c', 'print(1)', 'python'], ['completion', 'bash'], ['--version']):
        with open('/dev/full', 'w') as full:
            done = t.cli(*line, stdout=full)
        t.fails('a full disk: ' + ' '.join(line), done, 1, 'Standard output', 'No space')
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, 'w') as closed:
            done = t.cli(*line, stdout=closed)
        t.fails('a closed standard output: ' + ' '.join(line), done, 1, 'Standard output was closed')
    t.check('sessions of such runs are removed', t.sessions() == [], t.sessions())
    done = t.shell("set -o pipefail; backend.ai run --rm -t yes-man -c 'while True: print(\"y\")' python | head -2; echo ${PIPESTATUS[0]}")
    t.check('| head', done.stdout == 'y\ny\n1\n' and 'was closed' in done.stderr and not _cli.TRACE.search(done.stderr) and t.sessions() == [],
            done, t.sessions())
    done = t.shell('backend.ai ps >&-; echo $?')
    t.check('no standard output at all', not _cli.TRACE.search(done.stderr), done)
    done = t.shell('backend.ai config 2>&-; echo $?')
    t.check('no standard error at all', done.stdout.endswith('0\n'), done)


def disks(t):
    t.cli('vfolder', 'create', 'large')
    (t.work / 'large.bin').write_bytes(os.urandom(3_000_000))
    t.cli('vfolder', 'upload', 'large', 'large.bin')
    small = t.folder / 'small'
    small.mkdir()
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(small)], stderr=subprocess.DEVNULL).returncode:
        t.skip('a full disk at a download', 'no tmpfs can be mounted here')
        return
    try:
        done = t.cli('vfolder', 'download', 'large', 'large.bin', '--dest', small)
        t.fails('a full disk at a download', done, 1, 'large.bin', 'No space')
        t.check('nothing is left of it', list(small.iterdir()) == [], list(small.iterdir()))
        home = small / 'home'
        (small / 'fill').write_bytes(b'x' * 1_000_000)
        done = t.cli('run', '--rm', '-t', 'logs', '-e', 'N=$n', '--env-range', 'n=range:2', '-c', 'print("x" * 500000)', 'python',
                     env={'HOME': str(home)})
        t.check('a full disk under the logs', done.returncode == 1 and 'No space' in done.stderr and not _cli.TRACE.search(done.stderr)
                and t.sessions() == [], done, t.sessions())
    finally:
        subprocess.run(['umount', str(small)])


def frozen(t):
    t.cli('manager', 'freeze')
    t.fails('a frozen server', t.cli('run', '--rm', '-c', '1', 'python'), 1, 'maintenance')
    t.cli('manager', 'unfreeze')
    t.gateway.process.send_signal(signal.SIGSTOP)
    process = t.start('ps')
    try:
        process.communicate(timeout=1)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    t.gateway.process.send_signal(signal.SIGCONT)
    t.check('Ctrl-C while a server does not answer', process.returncode == 130 and out == '' and not _cli.TRACE.search(err), process.returncode, err)


_cli.main(usage, servers, outputs, disks, frozen)
