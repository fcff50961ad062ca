#!/usr/bin/env python3
"""backend.ai run: exit codes, input, batches, many cases at once, Ctrl-C at each stage.

usage: runs.py BACKEND.AI GATEWAY"""
import json
import os
import re
import signal
import time

import _cli


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def exit_codes(t):
    for code in (0, 3, 255):
        done = t.cli('run', '--rm', '-c', 'import sys; sys.exit(%d)' % code, 'python')
        t.check('the code exits with %d' % code, done.returncode == code, done)
    done = t.cli('run', '--rm', '-c', 'raise ValueError("no")', 'python')
    t.check('an exception of the code', done.returncode == 1 and 'ValueError: no' in done.stderr and done.stdout == '', done)
    done = t.cli('run', '--rm', '-c', 'exit 7', 'bash')
    t.check('bash exits with 7', done.returncode == 7, done)
    (t.work / 'good.py').write_text('print("ran")')
    done = t.cli('run', '--rm', '--build', 'false', '--exec', 'python3 good.py', 'python', 'good.py')
    t.check('a build that fails', done.returncode != 0 and 'Build finished. (exit code = 1)' in done.stderr, done)
    done = t.cli('run', '--rm', '--exec', 'exit 9', 'python', 'good.py')
    t.check('a command that fails', done.returncode == 9, done)


def outputs(t):
    done = t.cli('run', '--rm', '-c', 'import sys; print("out"); print("err", file=sys.stderr)', 'python')
    t.check('stdout and stderr are apart', done.stdout == 'out\n' and 'err\n' in done.stderr, done)
    done = t.cli('run', '-q', '--rm', '-c', 'import sys; print("out"); print("err", file=sys.stderr)', 'python')
    t.check('--quiet leaves the code alone', done.stdout == 'out\n' and done.stderr == 'err\n', done)
    done = t.cli('run', '--rm', '-s', '-c', 'pass', 'python')
    t.check('--stats', done.returncode == 0 and 'Statistics' in done.stderr, done)
    done = t.cli('run', '--rm', '-c', 'print(input("name? "))', 'python', input='Ada\n')
    t.check('input from a pipe', done.returncode == 0 and done.stdout == 'name? Ada\n', done)
    done = t.cli('run', '--rm', '-c', 'print(input())', 'python')
    t.fails('input that is not there', done, 1, 'input')
    t.check('its session is gone', t.sessions() == [], t.sessions())
    done = t.cli('run', '--rm', '-c', '-x = 1\nprint(-x)'.replace('-x =', 'x ='), 'python')
    t.check('code with a minus', done.stdout == '-1\n', done)
    done = t.cli('run', '--rm', '-c', '[1,2]\nprint([1, 2])', 'python')
    t.check('code that begins with a bracket', done.stdout == '[1, 2]\n', done)


def options(t):
    done = t.cli('run', '--rm', '-e', 'A=1', '-e', 'B=x=y', '-c', 'import os; print(os.environ["A"], os.environ["B"])', 'python')
    t.check('-e, twice', done.stdout == '1 x=y\n', done)
    done = t.cli('run', '-t', 'kept-one', '--tag', 'my note', '--cluster-size', '1', '-c', 'x = 5', 'python')
    again = t.cli('run', '-t', 'kept-one', '-c', 'print(x)', 'python')
    t.check('-t takes the session again', again.stdout == '5\n' and 'is reused' in again.stderr, done, again)
    listed = json.loads(t.cli('ps', '--output', 'json').stdout)
    t.check('--tag is on it', [x['tag'] for x in listed] == ['my note'], listed)
    done = t.cli('info', 'kept-one')
    t.check('info', done.returncode == 0 and 'Session ID: kept-one' in done.stdout, done)
    t.check('info as JSON', json.loads(t.cli('info', 'kept-one', '--output', 'json').stdout)['sess_id'] == 'kept-one')
    (t.work / 'sub').mkdir(exist_ok=True)
    (t.work / 'sub' / 'data.txt').write_text('inside')
    done = t.cli('upload', 'kept-one', 'sub')
    done = t.cli('ls', 'kept-one', 'sub', '--output', 'json')
    t.check('upload and ls', [x['filename'] for x in json.loads(done.stdout)] == ['data.txt'], done)
    table = t.cli('ls', 'kept-one', 'sub')
    t.check('ls as a table', re.search(r'data\.txt +6 ', table.stdout), table)
    done = t.cli('download', 'kept-one', 'sub/data.txt', '--dest', 'fetched')
    t.check('download', (t.work / 'fetched' / 'data.txt').read_text() == 'inside', done)
    done = t.cli('logs', 'kept-one')
    t.check('logs', done.returncode == 0, done)
    done = t.cli('kill', 'kept-one', '--stats')
    t.check('kill --stats', done.returncode == 0 and t.sessions() == [], done)
    (t.work / 'base').mkdir(exist_ok=True)
    (t.work / 'base' / 'main.py').write_text('print("from the base directory")')
    done = t.cli('run', '--rm', '--basedir', 'base', 'python', 'base/main.py')
    t.check('--basedir and the default command', done.stdout == 'from the base directory\n', done)
    done = t.cli('run', '--rm', '--clean', 'echo cleaned', '--build', 'echo built', '--exec', 'echo $HOME', 'python', 'base')
    t.check('--clean, --build, --exec with a $ of the shell', done.returncode == 0 and '$HOME' not in done.stdout and '/' in done.stdout, done)


def aliases(t):
    done = t.shell("lpython --rm -c 'print(6 * 7)'")
    t.check('lpython', done.returncode == 0 and done.stdout == '42\n', done)
    done = t.shell('lpython')
    t.check('lpython alone helps', done.returncode == 0 and 'Usage: backend.ai run' in done.stdout, done)
    done = t.shell("lcc --rm -c '#include <stdio.h>\nint main(void) { puts(\"from C\"); return 4; }'")
    if 'image' in done.stderr and done.returncode == 1:
        t.skip('lcc', 'no C compiler here')
    else:
        t.check('lcc', done.returncode == 4 and done.stdout == 'from C\n', done)


def local_mode(t):
    done = t.cli('--local', 'run', '-c', 'print(1)', 'python', env={'BACKEND_ENDPOINT': 'http://127.0.0.1:9', 'BACKEND_ACCESS_KEY': '',
                                                                    'BACKEND_SECRET_KEY': ''})
    t.check('--local needs no cluster', done.returncode == 0 and done.stdout == '1\n', done)
    done = t.cli('run', '--local', '-c', 'print(2)', 'python')
    t.check('--local behind the command', done.returncode == 0 and done.stdout == '2\n', done)


def cases(t):
    logs = t.folder / 'home' / '.cache' / 'backend.ai' / 'client-logs'
    done = t.cli('run', '--rm', '-t', 'case', '-e', 'X=$x', '-e', 'Y=${y}-$z', '--env-range', 'x=linspace:0,1,3', '--env-range', 'y=case:a,b',
                 '-c', 'import os; print(os.environ["X"], os.environ["Y"])', 'python')
    got = [(logs / ('case-%d.stdout.log' % i)).read_text() for i in range(6)]
    t.check('every combination of two ranges, in order', done.returncode == 0 and got == [
        x + ' ' + y + '-$z\n' for x in ('0', '0.5', '1') for y in 'ab'], done, got)
    t.check('what happened is in the other log', 'Execution finished. (exit code = 0)' in (logs / 'case-0.stderr.log').read_text())
    (t.work / 'main.py').write_text('import sys\nprint(open("flag").read().strip(), sys.argv[1:])')
    done = t.cli('run', '--rm', '-t', 'built', '--build', 'echo $mode > flag', '--build-range', 'mode=case:fast,slow', '--exec',
                 'python3 main.py $n $$', '--exec-range', 'n=range:4,0,-2', 'python', 'main.py')
    got = [(logs / ('built-%d.stdout.log' % i)).read_text() for i in range(4)]
    t.check('build and exec ranges', done.returncode == 0 and [x.split("'")[0] for x in got] == ['fast [', 'fast [', 'slow [', 'slow [']
            and [x.split("'")[1] for x in got] == ['4', '2', '4', '2'], done, got)
    done = t.cli('run', '--rm', '-t', 'some', '--env-range', 'n=range:3', '-e', 'N=$n', '-c',
                 'import os, sys; sys.exit(int(os.environ["N"]) % 2)', 'python')
    t.check('one case of three fails', done.returncode == 1 and '1 of 3 cases' in done.stderr, done)
    done = t.cli('run', '--rm', '-t', 'same', '-e', 'N=1', '--env-range', 'n=range:3', '-c', 'print(1)', 'python')
    t.check('equal cases count once', done.returncode == 0 and done.stdout == '1\n', done)
    for text, word in (('x', 'NAME='), ('x=sweep:1', 'linspace'), ('x=range:1,2,0', 'STEP'), ('x=linspace:1,2', 'START'), ('1x=case:a', 'name'),
                       ('x=range:5,1', 'no value'), ('x=range:0,20000', '10000'), ('x=linspace:1,b,3', 'number')):
        t.fails('bad range ' + text, t.cli('run', '--env-range', text, '-c', 'pass', 'python'), 2, word)


def parallel(t):
    """How many sessions there were at once is the gateway's word."""
    gateway = _cli.Gateway(t.gateway_program, t.base)
    done = t.cli('run', '--rm', '-t', 'many', '--max-parallel', '3', '-e', 'N=$n', '--env-range', 'n=range:9', '-c', 'import time; time.sleep(0.5)', 'python',
                 env=gateway.environment)
    created, peak = gateway.end()
    t.check('nine cases', done.returncode == 0 and created == 9, done, created)
    t.check('never more than three at once, and not one by one', 2 <= peak <= 3, peak)


def interrupted(t):
    # Before there is a session: the gateway is stopped, and so does not answer.
    t.gateway.process.send_signal(signal.SIGSTOP)
    process = t.start('run', '--rm', '-t', 'never', '-c', 'pass', 'python')
    time.sleep(1)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    t.gateway.process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    t.check('Ctrl-C while the session is made', process.returncode == 130 and time.monotonic() - begin < 15 and not _cli.TRACE.search(err),
            process.returncode, err)
    t.check('no session is left of it', wait_for(lambda: t.sessions() == [], 20), t.sessions())

    flag = t.folder / 'stopped'
    code = ('import time\nprint("begun", flush=True)\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n'
            '    open(%r, "w").close()\n    raise' % str(flag))
    process = t.start('run', '-t', 'long', '-c', code, 'python')
    t.check('output comes at once', process.stdout.readline() == 'begun\n')
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    t.check('Ctrl-C interrupts the code there', process.returncode == 130 and wait_for(flag.exists, 20) and not _cli.TRACE.search(err),
            process.returncode, err)
    t.check('and leaves the session', t.sessions() == ['long'], t.sessions())
    t.check('which goes on to work', t.cli('run', '-q', '-t', 'long', '-c', 'print(1)', 'python').stdout == '1\n')
    t.cli('rm', 'long')

    process = t.start('run', '--rm', '-t', 'long2', '-c', code, 'python')
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    t.check('SIGTERM with --rm removes the session', process.returncode == 143 and t.sessions() == [], process.returncode, err, t.sessions())

    with t.terminal('run', '--rm', '-t', 'long3', '-c', code, 'python') as terminal:
        terminal.expect('begun')
        os.kill(terminal.pid, signal.SIGHUP)
        code_of_it = terminal.wait()
        t.check('a terminal that is closed, with --rm', code_of_it == 129 and t.sessions() == [], code_of_it, t.sessions())

    (t.work / 'main.py').write_text(code)
    process = t.start('run', '--rm', '--exec', 'python3 -u main.py', 'python', 'main.py')
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    t.check('Ctrl-C in a batch', process.returncode == 130 and t.sessions() == [], process.returncode, err, t.sessions())

    process = t.start('run', '--rm', '-e', 'N=$n', '--env-range', 'n=range:6', '-t', 'lots', '-c', code, 'python')
    wait_for(lambda: len(t.sessions()) == 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    t.check('Ctrl-C with many cases', process.returncode == 130 and wait_for(lambda: t.sessions() == [], 20), process.returncode, err,
            t.sessions())
    with t.terminal('run', '--rm', '-c', 'print(input("waits "))', 'python') as terminal:
        terminal.expect('waits ')
        terminal.send('\x03')
        t.check('Ctrl-C at a question', terminal.wait() == 130 and t.sessions() == [], terminal.text, t.sessions())


_cli.main(exit_codes, outputs, options, aliases, local_mode, cases, parallel, interrupted)
