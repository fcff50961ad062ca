#!/usr/bin/env python3
"""backend.ai vfolder cp with trees that are made to mislead it: links that lead out or in circles, depths without an end, and a
server whose file names are paths.

usage: copies.py BACKEND.AI GATEWAY"""
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.parse

import _cli


def names(t, path='.', folder='copies'):
    done = t.cli('vfolder', 'ls', folder, path, '--output', 'json')
    return sorted(x['filename'] for x in json.loads(done.stdout)) if done.returncode == 0 else done.stderr


def links(t):
    t.cli('vfolder', 'create', 'copies')
    tree, other = t.work / 'tree', t.work / 'other'
    (tree / 'sub').mkdir(parents=True)
    other.mkdir()
    (other / 'secret').write_text('not to be told')
    (tree / 'file').write_text('x')
    (tree / 'sub' / 'alias').symlink_to('../file')
    done = t.cli('vfolder', 'cp', '-r', 'tree', 'copies:good')
    t.check('a link within the tree is followed', done.returncode == 0 and names(t, 'good/sub') == ['alias'], done, names(t, 'good/sub'))
    for name, place, target in (('out of the tree', 'out', '../other/secret'), ('to a directory out of the tree', 'out', '../other'),
                                ('out of the tree, in full', 'out', str(other / 'secret')), ('to the directory it is in', 'sub/loop', '.'),
                                ('to the tree itself', 'sub/loop', '..'), ('to nothing', 'gone', 'nowhere'), ('to itself', 'circle', 'circle')):
        (tree / place).symlink_to(target)
        t.fails('a link ' + name + ' is refused', t.cli('vfolder', 'cp', '-r', 'tree', 'copies:bad', timeout=60), 1, place, 'symbolic link')
        (tree / place).unlink()
    t.check('and nothing was sent', names(t) == ['good'], names(t))
    far = t.folder / 'far'
    far.mkdir()
    (far / 'data').write_text('meant to be sent')
    (t.work / 'named').symlink_to(far / 'data')
    (t.work / 'named-tree').symlink_to(far)
    done = t.cli('vfolder', 'cp', 'named', 'copies:')
    t.check('a link that is named is followed', done.returncode == 0 and 'named' in names(t), done, names(t))
    for source in ('named-tree', 'named-tree/'):
        done = t.cli('vfolder', 'cp', '-r', source, 'copies:far')
        t.check('and one to a directory: ' + source, done.returncode == 0 and 'data' in names(t, 'far'), done, names(t, 'far'))
        t.cli('vfolder', 'rm', '-r', '-y', 'copies', 'far')
    back = t.cli('vfolder', 'cp', '-r', 'copies:good', 'back')
    t.check('and back', back.returncode == 0 and (t.work / 'back/sub/alias').read_text() == 'x', back)


def depths(t):
    here = os.open(t.work, os.O_RDONLY)
    os.mkdir('deep', dir_fd=here)
    top = here
    for _ in range(1500):
        below = os.open('deep' if top == here else 'd', os.O_RDONLY, dir_fd=top)
        if top != here:
            os.close(top)
        top = below
        os.mkdir('d', dir_fd=top)
    os.close(os.open('leaf', os.O_CREAT | os.O_WRONLY, dir_fd=top))
    os.close(top)
    os.close(here)
    begin = time.monotonic()
    t.fails('a tree deeper than any server takes', t.cli('vfolder', 'cp', '-r', 'deep', 'copies:deep'), 1, 'deep')
    t.check('which is told at once', time.monotonic() - begin < 20, time.monotonic() - begin)
    subprocess.run(['rm', '-rf', str(t.work / 'deep')], check=True)  # python's own would recurse too deep
    (t.work / 'hollow' / 'sub').mkdir(parents=True)
    t.cli('start', '-t', 'hollow-session', 'python')
    for line in (['vfolder', 'cp', '-r', 'hollow', 'copies:hollow'], ['vfolder', 'upload', 'copies', 'hollow'],
                 ['upload', 'hollow-session', 'hollow']):
        done = t.cli(*line)
        t.check('no files to send: ' + ' '.join(line), done.returncode == 0 and 'There are no files in hollow' in done.stderr, done)


class Liar(http.server.BaseHTTPRequestHandler):
    """A server whose listings are what the test says: `listed(path)` gives (name, is a directory) pairs."""
    protocol_version = 'HTTP/1.1'
    listed = None
    requests = 0

    def do_GET(self):
        Liar.requests += 1
        body = {'version': 'v4.20190315'}
        if '/files' in self.path:
            path = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or b'{}').get('path')
            if path is None:
                path = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get('path', ['.'])[0]
            entries = [{'filename': name, 'size': 1, 'mode': ('d' if directory else '-') + 'rw-r--r--', 'mtime': 1.0, 'ctime': 1.0, 'atime': 1.0}
                       for name, directory in Liar.listed(path)]
            body = {'files': json.dumps(entries), 'errors': None, 'folder_path': '/'}
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


def liars(t):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Liar)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    env = {'BACKEND_ENDPOINT': 'http://127.0.0.1:%d' % server.server_port}
    try:
        (t.work / 'mine').write_text('my own')
        for name in ('../mine', '..', '.', '', '/etc/hostname', 'a/b', 'x\x07'):
            Liar.listed = staticmethod(lambda path, name=name: [('results', True)] if path in ('.', '') else [(name, name in ('..', '.', ''))])
            done = t.cli('vfolder', 'cp', '-r', 'lies:results', 'taken', env=env, timeout=60)
            t.fails('a file called %r' % name, done, 1, 'slash' if name == 'a/b' else 'unsafe file name')
            t.check('which touches nothing here: %r' % name, (t.work / 'mine').read_text() == 'my own' and not (t.work / 'taken').exists())
        Liar.listed = staticmethod(lambda path: [('results', True)] if path in ('.', '') else [('d', True)])
        Liar.requests = 0
        t.fails('directories in directories without an end', t.cli('vfolder', 'cp', '-r', 'lies:results', 'taken', env=env), 1, 'deeper')
        t.check('of which 256 are asked for', Liar.requests < 300, Liar.requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_cli.main(links, depths, liars)
