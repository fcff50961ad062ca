#!/usr/bin/env python3
"""The command line in a real terminal: shells, questions, passwords, colours, tables that fit.

usage: terminals.py BACKEND.AI GATEWAY"""
import signal
import termios
import time

import _cli


def shells(t):
    with t.terminal('run', '--rm', '--terminal', '-t', 'shell', 'bash', size=(30, 100)) as terminal:
        terminal.expect('Ctrl-]')
        terminal.send('echo $((6 * 7)) in here; stty size\n')
        terminal.expect('42 in here')
        terminal.expect('30 100')
        terminal.send('sleep 600\n')
        time.sleep(0.5)
        terminal.send('\x03')
        terminal.send('echo still "there"\n')
        terminal.expect('still there')
        terminal.send('exit\n')
        t.check('run --terminal, to the end of the shell', terminal.wait() == 0 and t.sessions() == [], terminal.text, t.sessions())
    with t.terminal('run', '--terminal', '-t', 'shell2', 'bash') as terminal:
        terminal.expect('Ctrl-]')
        terminal.send('echo ready "now"\n')
        terminal.expect('ready now')
        terminal.send('\x1d')
        terminal.expect('Detached')
        cooked = termios.tcgetattr(terminal.master)[3] & termios.ICANON
        t.check('Ctrl-] leaves it, and the terminal is as before', terminal.wait() == 0 and cooked and t.sessions() == ['shell2'],
                terminal.text, t.sessions())
    t.cli('rm', 'shell2')
    done = t.cli('run', '--rm', '--terminal', 'bash', input='echo from "a" pipe\nexit\n')
    t.check('a terminal with commands from a pipe', done.returncode == 0 and 'from a pipe' in done.stdout, done)
    with t.terminal('run', '--rm', '--terminal', '-t', 'shell3', 'bash') as terminal:
        terminal.expect('Ctrl-]')
        terminal.send('echo ready "now"\n')
        terminal.expect('ready now')
        import os
        os.kill(terminal.pid, signal.SIGTERM)
        code = terminal.wait()
        cooked = termios.tcgetattr(terminal.master)[3] & termios.ICANON
        t.check('SIGTERM in a terminal', code == 143 and cooked and t.sessions() == [], code, terminal.text, t.sessions())


def questions(t):
    with t.terminal('run', '--rm', '-c', 'import getpass\nprint("got", input("name? "), len(getpass.getpass("secret? ")))', 'python') as terminal:
        terminal.expect('name\\? ')
        terminal.send('Ada\n')
        terminal.expect('secret\\? ')
        for _ in range(100):
            if not terminal.echoes():
                break
            time.sleep(0.05)
        t.check('a password does not echo', not terminal.echoes())
        terminal.send('hunter2\n')
        terminal.expect('got Ada 7')
        t.check('and is nowhere on the screen', 'hunter2' not in terminal.seen and terminal.wait() == 0, terminal.seen)
        t.check('the echo is back', terminal.echoes())
    with t.terminal('run', '--rm', '-c', 'import getpass\ngetpass.getpass("secret? ")', 'python') as terminal:
        terminal.expect('secret\\? ')
        for _ in range(100):
            if not terminal.echoes():
                break
            time.sleep(0.05)
        terminal.send('\x03')
        t.check('Ctrl-C at a password', terminal.wait() == 130 and terminal.echoes() and t.sessions() == [], terminal.text)

    t.cli('vfolder', 'create', 'asked')
    for name in ('one', 'two'):
        (t.work / name).write_text(name)
    t.cli('vfolder', 'upload', 'asked', 'one', 'two')
    with t.terminal('vfolder', 'rm', 'asked', 'one') as terminal:
        terminal.expect(r'Are you sure\? \(y/n\): ')
        terminal.send('n\n')
        t.check('vfolder rm asks, and n keeps', terminal.wait() == 1 and 'one' in t.cli('vfolder', 'ls', 'asked').stdout, terminal.text)
    with t.terminal('vfolder', 'rm', 'asked', 'one') as terminal:
        terminal.expect(r'Are you sure\? \(y/n\): ')
        terminal.send('y\n')
        t.check('y deletes', terminal.wait() == 0 and 'one' not in t.cli('vfolder', 'ls', 'asked').stdout, terminal.text)
    done = t.cli('vfolder', 'rm', 'asked', 'two')
    t.fails('nobody to ask', done, 1, '-y')
    done = t.cli('vfolder', 'rm', '-y', 'asked', 'two')
    t.check('-y does not ask', done.returncode == 0 and 'two' not in t.cli('vfolder', 'ls', 'asked').stdout, done)


def invitations(t):
    other = t.gateway.OTHER
    done = t.cli('vfolder', 'invitations', env=other)
    t.check('no invitations', done.returncode == 0 and 'No invitations' in done.stderr, done)
    for name in ('shared1', 'shared2', 'shared3'):
        t.cli('vfolder', 'create', name)
        done = t.cli('vfolder', 'invite', '-p', 'ro', name, t.gateway.OTHER_EMAIL)
        t.check('invite to ' + name, done.returncode == 0 and t.gateway.OTHER_EMAIL in done.stdout, done)
    t.fails('invite to a bad permission', t.cli('vfolder', 'invite', '-p', 'x', 'shared1', 'a@b.c'), 2, 'perm')
    with t.terminal('vfolder', 'invitations', env=other, size=(24, 120)) as terminal:
        terminal.expect('read-only')
        terminal.expect('Choose invitation number to manage: ')
        terminal.send('1\n')
        terminal.expect(r'\(a\)ccept, \(r\)eject, \(c\)ancel: ')
        terminal.send('x\n')
        terminal.expect(r'\(a\)ccept, \(r\)eject, \(c\)ancel: ')
        terminal.send('a\n')
        t.check('accept', terminal.wait() == 0, terminal.text)
    listed = t.cli('vfolder', 'list', env=other).stdout
    t.check('the folder is there', 'shared' in listed, listed)
    with t.terminal('vfolder', 'invitations', env=other) as terminal:
        terminal.expect('number to manage: ')
        terminal.send('1\n')
        terminal.expect('ancel: ')
        terminal.send('r\n')
        t.check('reject', terminal.wait() == 0, terminal.text)
    with t.terminal('vfolder', 'invitations', env=other) as terminal:
        terminal.expect('number to manage: ')
        terminal.send('9\n')
        t.check('a number that is none', terminal.wait() == 1, terminal.text)
    import json
    left = json.loads(t.cli('vfolder', 'invitations', '--output', 'json', env=other).stdout)
    t.check('one is left', len(left) == 1, left)
    done = t.cli('vfolder', 'invitations', '--accept', left[0]['id'], env=other)
    t.check('--accept ID', done.returncode == 0 and t.cli('vfolder', 'list', env=other).stdout.count('shared') == 2, done)
    t.fails('--accept of none', t.cli('vfolder', 'invitations', '--accept', 'no-such-id', env=other), 1)


def looks(t):
    t.cli('start', '-t', 'a-session-with-quite-a-long-name', '--tag', 'h\u00e9llo \ud55c\uad6d\uc5b4', 'python')
    for columns in (40, 60, 80, 200):
        with t.terminal('ps', size=(24, columns)) as terminal:
            code = terminal.wait()
            lines = [_cli.ESCAPE.sub('', line.rstrip('\r')) for line in terminal.text.split('\n') if '\u2219' not in line]
            t.check('a table in %d columns' % columns, code == 0 and max(map(len, lines)) <= columns and any(line.startswith('Sess') for line in lines), terminal.text)
    wide = t.cli('ps').stdout
    t.check('a table in a pipe is whole', 'a-session-with-quite-a-long-name' in wide and 'CPU Using (%)' in wide, wide)
    with t.terminal('config') as terminal:
        terminal.wait()
        t.check('colours on a terminal', '\x1b[1m' in terminal.text, terminal.text)
    with t.terminal('config', env={'NO_COLOR': '1'}) as terminal:
        terminal.wait()
        t.check('none with NO_COLOR', '\x1b[' not in terminal.text and 'endpoint' in terminal.text, terminal.text)
    t.check('none in a pipe', '\x1b' not in t.cli('config').stdout)
    (t.work / 'big').write_bytes(b'x' * 5_000_000)
    t.cli('vfolder', 'create', 'bars')
    with t.terminal('vfolder', 'upload', 'bars', 'big') as terminal:
        code = terminal.wait()
        t.check('a bar on a terminal', code == 0 and '100%' in terminal.text, terminal.text)
    with t.terminal('vfolder', 'upload', 'bars', 'big', env={'NO_COLOR': '1'}) as terminal:
        code = terminal.wait()
        t.check('no bar with NO_COLOR', code == 0 and '%' not in terminal.text, terminal.text)
    done = t.cli('vfolder', 'upload', 'bars', 'big')
    t.check('no bar in a pipe', done.returncode == 0 and '%' not in done.stderr + done.stdout, done)
    t.cli('rm', 'a-session-with-quite-a-long-name')


_cli.main(shells, questions, invitations, looks)
