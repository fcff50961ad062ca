#!/usr/bin/python3
"""The official client's command line (19.03.2) and this one, side by side on the same gateway.

usage: side_by_side.py BACKEND.AI GATEWAY [--write]

Runs every command and option of the official client with both programs, checks what is claimed of each, and that none of
them is missing here. The table is tests/cli/side_by_side.md; --write writes it anew. BACKENDAI_INTEROP_VENV names a
folder for the official client (default: a temporary one); skipped where it cannot be installed."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import _cli

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))
import official_client  # noqa: E402

TABLE = pathlib.Path(__file__).with_name('side_by_side.md')
INTROSPECTION = '''
import click, json
from ai.backend.client.cli import main
def walk(command, path):
    yield path, [sorted(p.opts) for p in command.params if isinstance(p, click.Option)]
    for name in sorted(getattr(command, 'commands', {})):
        yield from walk(command.commands[name], path + [name])
print(json.dumps(list(walk(main, []))))
'''


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return 'exit code %s, stdout %r, stderr %r' % (self.code, self.out[-600:], self.err[-1200:])


def ok(done):
    return done.code == 0


def says(*words):
    return lambda done: done.code == 0 and all(word in done.out + done.err for word in words)


def prints(text):
    return lambda done: done.code == 0 and done.out == text


def exits(code):
    return lambda done: done.code == code


def refuses(*words):
    """Fails, and says so without a stack trace."""
    return lambda done: done.code not in (0, None) and 'Traceback' not in done.err and all(word in done.out + done.err for word in words)


# What is run, what it covers ("COMMAND --option"), what is to be true of a good program, and the verdict with its reason:
# same: it is true of both; better: of this one only; different: of this one, and the reason says how they differ.
# {} is a name of the program's own; `stdin` is typed; a list of lists is a sequence, of which the last is judged.
SAME, BETTER, DIFFERENT = 'same', 'better', 'different'
RANGE = ['run', '--rm', '-t', '{}-cases', '-e', 'X=$x', '--env-range', 'x=case:a,b', '--max-parallel', '1', '-c', 'import os; print(os.environ["X"])', 'python']
ROWS = [
    ('--version', ['--version'], says('backend.ai, version'), SAME, ''),
    ('-h', ['-h'], says('vfolder', 'BACKEND_SECRET_KEY'), BETTER, 'the help tells of the environment, too'),
    ('--skip-sslcert-validation', ['--skip-sslcert-validation', 'vfolder', 'list'], ok, SAME, 'also behind the command'),
    ('config', ['config'], lambda d: ok(d) and 'wJalrX' not in d.out, BETTER, 'no part of the secret key is shown; theirs shows 16 characters of it'),
    ('run -c, --code; --rm', ['run', '--rm', '-c', 'print("hi")', 'python'], prints('hi\n'), SAME, 'notes go to stderr in both'),
    ('run (exit code)', ['run', '--rm', '-c', 'import sys; sys.exit(3)', 'python'], exits(3), BETTER, 'the exit code of the code is passed on; theirs is 0'),
    ('run (unknown image)', ['run', '--rm', '-c', '1', 'no-such-image'], refuses('image'), BETTER, 'a failure has exit code 1; theirs has 0'),
    ('run FILES --exec', ['run', '--rm', '--exec', 'python3 hello.py one', 'python', 'hello.py'], prints("hello ['one']\n"), SAME, ''),
    ('run --exec with $', ['run', '--rm', '--exec', 'python3 hello.py $HOME', 'python', 'hello.py'], lambda d: ok(d) and '/' in d.out, BETTER,
     'a $ that no range knows is the shell\'s; theirs ends in a KeyError'),
    ('run FILE', ['run', '--rm', 'python', 'hello.py'], prints('hello []\n'), BETTER, 'a single file is run, as the manual says; theirs wants main.py'),
    ('run --clean, --build', ['run', '--rm', '--clean', 'true', '--build', 'echo x > built', '--exec', 'cat built', 'python', 'hello.py'], says('x\n'), SAME, ''),
    ('run --basedir', ['run', '--rm', '--basedir', 'base', '--exec', 'cat in-base', 'python', 'base/in-base'], prints('base\n'), SAME, ''),
    ('run -e, --env', ['run', '--rm', '-e', 'A=1', '--env', 'B=2', '-c', 'import os; print(os.environ["A"] + os.environ["B"])', 'python'], prints('12\n'), SAME, ''),
    ('run -m, --mount', ['run', '--rm', '-m', 'shared', '-c', 'import os; print(os.path.isdir("shared"))', 'python'], prints('True\n'), SAME, ''),
    ('run -r, --resources', ['run', '--rm', '-r', 'cpu=1', '--resources', 'mem=256', '-c', 'print(1)', 'python'], prints('1\n'), SAME, ''),
    ('run --cluster-size, --tag', ['run', '--rm', '--cluster-size', '1', '--tag', 'note', '-c', 'print(1)', 'python'], prints('1\n'), SAME, ''),
    ('run -t, --session-id, --client-token', [['run', '-t', '{}-kept', '-c', 'x = 1', 'python'], ['run', '--session-id', '{}-kept', '--rm', '-c', 'print(x)', 'python']],
     prints('1\n'), SAME, ''),
    ('run -s, --stats', ['run', '--rm', '-s', '-c', 'print(1)', 'python'], lambda d: d.code == 0 and d.out == '1\n' and 'Statistics' in d.err, DIFFERENT,
     'statistics are a note on stderr; theirs stand in the code\'s output'),
    ('run -q, --quiet', ['run', '-q', '--rm', '-c', 'print(1)', 'python'], lambda d: d.code == 0 and d.out == '1\n' and d.err == '', SAME, ''),
    ('run --terminal', None, None, BETTER, 'a shell in this terminal; theirs raises NotImplementedError'),
    ('run --env-range, --max-parallel', RANGE, says('client-logs'), SAME, 'theirs reads --max-parallel and starts all at once'),
    ('run --max-parallel (sessions at once)', None, None, BETTER, 'as many sessions at once as it says; theirs makes all at once'),
    ('run --build-range, --exec-range', ['run', '--rm', '-t', '{}-many', '--build', 'echo $m > mode', '--build-range', 'm=case:a,b', '--exec', 'cat mode; echo $n',
                                         '--exec-range', 'n=range:1,3', 'python', 'hello.py'], says('client-logs'), SAME, ''),
    ('run with linspace of one', ['run', '--rm', '-e', 'X=$x', '--env-range', 'x=linspace:1,2,1', '-c', 'print(1)', 'python'], prints('1\n'), BETTER,
     'one step is the start; theirs divides by zero. Numbers have no needless zeros: 0.5, not 0.50'),
    ('start -t; terminate', [['start', '-t', '{}-started', 'python'], ['terminate', '{}-started']], ok, SAME, 'start prints the id on stdout for scripts, too'),
    ('start -e, -m, -r, --tag, --cluster-size', [['start', '-t', '{}-more', '-e', 'A=1', '-m', 'shared', '-r', 'cpu=1', '--tag', 'x', '--cluster-size', '1', 'python'],
                                                 ['terminate', '{}-more']], ok, SAME, ''),
    ('start -o, --owner, --owner-access-key', ['start', '-o', 'AKIAOTHEROTHEROTHER0', 'python'], refuses('19'), DIFFERENT,
     'said to need a server from 19.09 on; theirs sends it and an older server ignores it'),
    ('terminate -o, --owner, --owner-access-key', ['terminate', '-o', 'AKIAOTHEROTHEROTHER0', 'nobody'], refuses('19'), DIFFERENT, 'the same'),
    ('terminate (unknown session)', ['terminate', 'no-such-session'], refuses('ps'), BETTER, 'an error with a hint; theirs says "Done."'),
    ('terminate -s, --stats', [['start', '-t', '{}-stats', 'python'], ['rm', '-s', '{}-stats']], ok, SAME, ''),
    ('rm, kill', [['start', '-t', '{}-k1', 'python'], ['start', '-t', '{}-k2', 'python'], ['kill', '{}-k1', '{}-k2']], ok, SAME, 'the others are ended, too, when one cannot be'),
    ('ps', ['ps'], ok, BETTER, 'fits the terminal; theirs, for administrators, asks for a field (access_key) that servers of the 19.03 betas lack'),
    ('ps --id-only, --all', [['start', '-t', '{}-listed', 'python'], ['ps', '--id-only', '--all']], lambda d: d.code == 0 and re.search(r'^...-listed$', d.out, re.M),
     BETTER, 'the same; no pager'),
    ('ps --output json', ['ps', '--output', 'json'], lambda d: d.code == 0 and isinstance(json.loads(d.out), list), BETTER, 'all listings as JSON'),
    ('info', ['info', '{}-listed'], says('listed'), BETTER, 'theirs does not know it, although the manual does'),
    ('logs', ['logs', '{}-listed'], ok, SAME, 'nothing but the log on stdout'),
    ('upload', ['upload', '{}-listed', 'hello.py'], ok, SAME, 'directories, too, and --basedir'),
    ('ls', ['ls', '{}-listed', '.'], says('hello.py'), SAME, 'the working directory by default, /home/work or not'),
    ('download --dest', ['download', '{}-listed', 'hello.py', '--dest', '{}-down'], lambda d: ok(d), SAME, 'modes and times are kept, and a bad archive cannot write elsewhere'),
    ('app --bind, -p, --port', None, None, BETTER, 'prints the address on stdout, takes port 0, and half-closed connections get all of the answer; theirs does not start on Python 3.10 and later'),
    ('proxy --bind, -p, --port', None, None, DIFFERENT, 'web pages of other sites are refused unless --allow-origin names them; theirs lets any page use the keys'),
    ('vfolder create', ['vfolder', 'create', '{}-folder', 'local'], ok, SAME, ''),
    ('vfolder create (no host)', ['vfolder', 'create', '{}-folder2'], ok, SAME, 'as in the manual'),
    ('vfolder list', ['vfolder', 'list'], says('shared'), SAME, ''),
    ('vfolder list-hosts', ['vfolder', 'list-hosts'], None, SAME, ''),
    ('vfolder rename', [['vfolder', 'create', '{}-old', 'local'], ['vfolder', 'rename', '{}-old', '{}-new']], None, SAME, ''),
    ('vfolder info', ['vfolder', 'info', 'shared'], says('shared'), SAME, 'host and time, too'),
    ('vfolder upload', ['vfolder', 'upload', '{}-folder', 'hello.py'], ok, SAME, 'directories, too, and --basedir; any size in little memory'),
    ('vfolder mkdir', ['vfolder', 'mkdir', '{}-folder', 'deep/er'], ok, SAME, ''),
    ('vfolder ls', ['vfolder', 'ls', '{}-folder'], says('hello.py', 'deep'), SAME, ''),
    ('vfolder ls (unknown folder)', ['vfolder', 'ls', 'nothing'], refuses(), BETTER, 'theirs has exit code 0'),
    ('vfolder download', ['vfolder', 'download', '{}-folder', 'hello.py'], ok, SAME, 'keeps directories, --dest'),
    ('vfolder cp', ['vfolder', 'cp', 'hello.py', '{}-folder:copy.py'], ok, BETTER, 'theirs raises NotImplementedError'),
    ('vfolder rm, delete-file, -r', ['vfolder', 'rm', '-r', '{}-folder', 'deep'], ok, SAME, 'asks, unless -y', 'y\n'),
    ('vfolder rm (answer no)', ['vfolder', 'delete-file', '{}-folder', 'hello.py'], exits(1), DIFFERENT, 'exit code 1 when nothing was deleted; theirs is 0', 'n\n'),
    ('vfolder invite -p, --perm', ['vfolder', 'invite', '-p', 'ro', '{}-folder', 'other@example.com'], says('other@example.com'), SAME, 'wd, too'),
    ('vfolder invitations', ['vfolder', 'invitations'], ok, SAME, 'answers by options, too: --accept ID, --reject ID'),
    ('vfolder delete', ['vfolder', 'delete', '{}-folder'], ok, SAME, ''),
    ('admin agents -s, --status, --all', ['admin', 'agents', '-s', 'ALIVE', '--all'], ok, SAME, 'no pager'),
    ('admin agent -i, --id', ['admin', 'agent', '-i', 'AGENT'], says('ALIVE'), SAME, ''),
    ('admin images', ['admin', 'images'], says('python'), SAME, ''),
    ('admin rescan-images -r, --registry', ['admin', 'rescan-images', '-r', 'lablup'], ok, SAME, ''),
    ('admin alias-image, dealias-image', [['admin', 'alias-image', '{}-alias', 'python:latest'], ['admin', 'dealias-image', '{}-alias']], None, SAME, ''),
    ('admin keypair', ['admin', 'keypair'], says('AKIAIOSFODNN7EXAMPLE'), SAME, ''),
    ('admin keypairs add -a, --admin, -i, --inactive, -r, --rate-limit', ['admin', 'keypairs', 'add', '{}@example.com', 'default', '-a', '-i', '-r', '100'],
     says('Access Key'), SAME, 'RESOURCE_POLICY may be left out; --concurrency-limit'),
    ('admin keypairs -u, --user-id, --is-active', ['admin', 'keypairs', '-u', '{}@example.com', '--is-active', 'false'], says('@example.com'), SAME, ''),
    ('admin keypairs activate', ['admin', 'keypairs', 'activate', 'KEY'], ok, SAME, 'limits are kept'),
    ('admin keypairs deactivate', ['admin', 'keypairs', 'deactivate', 'KEY'], ok, SAME, ''),
    ('admin keypairs update --resource-policy, --is-admin, --is-active, --rate-limit', ['admin', 'keypairs', 'update', '--resource-policy', 'default', '--is-admin', 'false',
     '--is-active', 'true', '-r', '7', 'KEY'], ok, SAME, ''),
    ('admin keypairs delete', ['admin', 'keypairs', 'delete', 'KEY'], ok, SAME, ''),
    ('admin sessions --status, --access-key, --id-only, --all', ['admin', 'sessions', '--status', 'RUNNING', '--access-key', 'AKIAIOSFODNN7EXAMPLE', '--id-only', '--all'],
     says('listed'), BETTER, 'as ps'),
    ('admin session', ['admin', 'session', '{}-listed'], says('listed'), BETTER, 'theirs ends in a TypeError'),
    ('admin session -o, --owner, --owner-access-key', None, None, DIFFERENT, 'not here: theirs takes the option and then fails for it; GraphQL of the line has no such argument'),
    ('admin vfolders --access-key', ['admin', 'vfolders', '--access-key', 'AKIAOTHEROTHEROTHER0'], lambda d: ok(d) and 'shared' not in d.out, SAME, ''),
    ('admin resource-policy -n, --name', ['admin', 'resource-policy', '-n', 'default'], None, SAME, ''),
    ('admin resource-policies', ['admin', 'resource-policies'], None, SAME, ''),
    *[('admin resource-policies ' + command, ['admin', 'resource-policies', command, '--default-for-unspecified', 'LIMITED', '--total-resource-slots', '{"cpu": 1}',
                                               '--max-concurrent-sessions', '1', '--max-containers-per-session', '1', '--max-vfolder-count', '1', '--max-vfolder-size', '1',
                                               '--idle-timeout', '60', '--allowed-vfolder-hosts', 'local', '{}-policy'], None, SAME, 'with all options')
      for command in ('add', 'update')],
    ('admin resource-policies delete', ['admin', 'resource-policies', 'delete', 'default'], None, SAME, 'asks, unless -y', 'y\n'),
    ('manager status', ['manager', 'status'], says('running'), SAME, ''),
    ('manager freeze --wait, --force-kill', [['manager', 'freeze', '--force-kill'], ['manager', 'status']], says('frozen'), SAME, ''),
    ('manager freeze (--wait --force-kill)', ['manager', 'freeze', '--wait', '--force-kill'], exits(2), BETTER, 'wrong usage has exit code 2; theirs has 0'),
    ('manager unfreeze', [['manager', 'unfreeze'], ['manager', 'status']], says('running'), SAME, ''),
    ('a dead server', ['vfolder', 'list'], refuses('BACKEND_ENDPOINT'), BETTER, 'one paragraph that says what to check; theirs is a stack trace'),
    ('lpython', None, None, SAME, ''),
    ('lcc', None, None, SAME, ''),
]

ABSENT = {('admin session', '--owner')}  # with its reason in the table


class Program:
    """One of the two, with a name of its own for what it makes."""

    def __init__(self, t, command, name, folder):
        self.t, self.command, self.name, self.folder = t, command, name, folder
        (folder / 'base').mkdir(parents=True)
        (folder / 'hello.py').write_text('import sys\nprint("hello", sys.argv[1:])\n')
        (folder / 'base' / 'in-base').write_text('base\n')
        self.key = ''

    def start(self, arguments, **options):
        words = [word.replace('{}', self.name).replace('KEY', self.key).replace('AGENT', self.t.agent) if word in ('KEY', 'AGENT') or '{}' in word else word
                 for word in arguments]
        environment = {**self.t.environment, 'PAGER': 'cat', 'PYTHONWARNINGS': 'ignore', **options.pop('env', {})}
        return subprocess.Popen([*self.command, *words], cwd=self.folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def run(self, arguments, stdin='', **options):
        if arguments and isinstance(arguments[0], list):
            return [self.run(each, stdin, **options) for each in arguments][-1]
        process = self.start(arguments, **options)
        try:
            out, err = process.communicate(stdin, timeout=90)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Done(None, out, err)
        if 'add' in arguments and 'keypairs' in arguments:
            found = re.search(r'Access Key: (\S+)', out)
            self.key = found[1] if found else 'NONE'
        return Done(process.returncode, out, err)


def terminal(program):
    return 'hello 42' in program.run(['run', '--rm', '--terminal', '-c', 'x', 'bash'] if program.name == 'off' else ['run', '--rm', '--terminal', 'bash'],
                                     'echo hello $((6 * 7))\nexit\n').out


def parallel(program):
    """Whether no more than two sessions are there at once."""
    process = program.start(['run', '--rm', '-t', '{}-par', '-e', 'X=$x', '--env-range', 'x=range:6', '--max-parallel', '2', '-c', 'import time; time.sleep(1.5)', 'python'])
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(name.startswith(program.name + '-par') for name in program.t.sessions()))
    process.communicate()
    return process.returncode == 0 and 1 <= peak <= 2


def serves(program, arguments, path):
    """Whether it listens on a port, carries a request, and ends with 0 on Ctrl-C."""
    import socket
    import urllib.error
    import urllib.request
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    process = program.start([*arguments[:1], '--bind', '127.0.0.1', '-p', str(port), *arguments[1:]])
    good = False
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None and not good:
        try:
            good = urllib.request.urlopen('http://127.0.0.1:%d%s' % (port, path), timeout=10).status == 200
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    return good and process.returncode == 0


def app(program):
    return serves(program, ['app', program.name + '-listed', 'jupyter'], '/')


def proxy(program):
    return serves(program, ['proxy'], '/folders')


def alias(name, language, code):
    def run(program):
        command = program.command
        program.command = [str(pathlib.Path(command[0]).with_name(name))]
        try:
            return program.run(['--rm', '-c', code]).out == 'hi\n'
        finally:
            program.command = command
    return run


SPECIAL = {'run --terminal': terminal, 'run --max-parallel (sessions at once)': parallel, 'app --bind, -p, --port': app, 'proxy --bind, -p, --port': proxy,
           'lpython': alias('lpython', 'python', 'print("hi")'), 'lcc': alias('lcc', 'c', '#include <stdio.h>\nint main(void) { puts("hi"); }'),
           'admin session -o, --owner, --owner-access-key': lambda program: program.name == 'our'}


def covered(path, options, rows):
    """Whether a row runs the command with that option, or names both."""
    for row in rows:
        sequence = row[1] if row[1] and isinstance(row[1][0], list) else [row[1]] if row[1] else []
        for words in sequence:
            if words[:len(path)] == path and (set(options) & set(words) or not options):
                return True
        if row[0].startswith(' '.join(path)) and all(option in row[0] for option in options):
            return True
    return False


def compare(t, ours, theirs):
    lines = ['| command | compared | why |', '|---|---|---|']
    for name, arguments, good, verdict, why, *stdin in ROWS:
        options = {'env': {'BACKEND_ENDPOINT': 'http://127.0.0.1:1'}} if name == 'a dead server' else {}
        if name in SPECIAL:
            mine, its = SPECIAL[name](ours), SPECIAL[name](theirs)
            details = ()
        else:
            a, b = ours.run(arguments, *stdin, **options), theirs.run(arguments, *stdin, **options)
            # Where the gateway does not know what is asked for, both have to say so.
            mine, its = (good(a), good(b)) if good else (True, (a.code == 0) == (b.code == 0))
            details = ('ours: %r' % a, 'theirs: %r' % b)
        holds = mine and (its if verdict == SAME else True) and (not its if verdict == BETTER else True)
        t.check('%s: %s' % (name, verdict), holds, 'ours %s, theirs %s' % (mine, its), *details)
        lines.append('| `%s` | %s | %s |' % (name, verdict, why))
    return '\n'.join(lines) + '\n'


def skip(reason):
    print('1..0 # SKIP', reason)
    sys.exit(0)


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    official_client.skip = skip
    named = os.environ.get('BACKENDAI_INTEROP_VENV')
    directory = pathlib.Path(named or tempfile.mkdtemp(prefix='backendai-interop-'))
    python = official_client.make_environment(directory)
    t = _cli.Tests(sys.argv[1], sys.argv[2])
    try:
        t.agent = json.loads(t.cli('admin', 'agents', '--output', 'json').stdout)[0]['id']
        t.cli('vfolder', 'create', 'shared')
        ours = Program(t, [str(t.folder / 'bin' / 'backend.ai')], 'our', t.folder / 'ours')
        theirs = Program(t, [str(directory / 'bin' / 'backend.ai')], 'off', t.folder / 'theirs')
        known = json.loads(subprocess.run([python, '-W', 'ignore', '-c', INTROSPECTION], env=t.environment, stdout=subprocess.PIPE, check=True).stdout)
        for path, options in known:
            if path:
                t.check('the table has ' + ' '.join(path), covered(path, [], ROWS) or any(p[:len(path)] == path for p, _ in known if p != path))
            help_text = t.cli(*path, '-h').stdout
            for group in options:
                label = ' '.join([*path, *group])
                t.check('the table has ' + label, not path or covered(path, group, ROWS), label)
                missing = [option for option in group if option not in help_text and (' '.join(path), '--owner') not in ABSENT]
                t.check('it is here: ' + label, not missing, missing)
        table = compare(t, ours, theirs)
    finally:
        t.gateway.end()
        t._folder.cleanup()
        if not named:
            shutil.rmtree(directory, ignore_errors=True)
    heading = ('# The official command line (backend.ai-client 19.03.2) and this one\n\nMade by `tests/cli/side_by_side.py`, which runs each line with both programs on the '
               'embedded gateway.\nSame: what is asked for comes of both. Better: it comes of this one only. Different: it is meant to be.\n\n')
    if '--write' in sys.argv:
        TABLE.write_text(heading + table)
    t.check('the table in the tree is this one', TABLE.exists() and TABLE.read_text() == heading + table, 'write it with --write')
    t.end()


if __name__ == '__main__':
    main()
