#!/usr/bin/env python3
"""vfolder, admin and manager: every command, listings for people and as JSON.

usage: listings.py BACKEND.AI GATEWAY"""
import http.server
import json
import re
import threading
import time

import _cli


def as_json(t, *arguments):
    done = t.cli(*arguments, '--output', 'json')
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError('no JSON of %r: %r' % (arguments, done)) from None


def folders(t):
    done = t.cli('vfolder', 'list')
    t.check('no folders', done.returncode == 0 and 'no virtual folders' in done.stderr and as_json(t, 'vfolder', 'list') == [], done)
    t.check('create', t.cli('vfolder', 'create', 'alpha').stdout == 'Virtual folder "alpha" is created.\n')
    t.check('create as JSON', as_json(t, 'vfolder', 'create', 'beta')['name'] == 'beta')
    done = t.cli('vfolder', 'list')
    t.check('list', re.search(r'^Name +ID +Owner +Permission', done.stdout) and re.search(r'^alpha +\S+ +yes', done.stdout, re.M), done)
    t.check('list as JSON', sorted(x['name'] for x in as_json(t, 'vfolder', 'list')) == ['alpha', 'beta'])
    for path in ('tree/a.txt', 'tree/deep/b.txt'):
        (t.work / path).parent.mkdir(parents=True, exist_ok=True)
        (t.work / path).write_text(path)
    t.check('upload of a directory', t.cli('vfolder', 'upload', 'alpha', 'tree').returncode == 0)
    t.check('upload with --basedir', t.cli('vfolder', 'upload', '--basedir', 'tree', 'beta', 'tree').returncode == 0)
    t.check('ls', {x['filename'] for x in as_json(t, 'vfolder', 'ls', 'alpha', 'tree')} == {'a.txt', 'deep'}
            and {x['filename'] for x in as_json(t, 'vfolder', 'ls', 'beta')} == {'a.txt', 'deep'})
    done = t.cli('vfolder', 'ls', 'alpha', 'tree')
    t.check('ls as a table', re.search(r'^file name +size +modified +mode', done.stdout) and re.search(r'^a\.txt +10 ', done.stdout, re.M), done)
    done = t.cli('vfolder', 'info', 'alpha')
    t.check('info', 'Number of files: 2' in done.stdout and as_json(t, 'vfolder', 'info', 'alpha')['numFiles'] == 2, done)
    done = t.cli('vfolder', 'download', 'alpha', 'tree/deep/b.txt', '--dest', 'down')
    t.check('download keeps directories', (t.work / 'down/tree/deep/b.txt').read_text() == 'tree/deep/b.txt', done)
    t.check('mkdir', t.cli('vfolder', 'mkdir', 'alpha', 'new/place').returncode == 0 and 'new' in t.cli('vfolder', 'ls', 'alpha').stdout)
    t.check('rm of a directory without -r', t.cli('vfolder', 'rm', '-y', 'alpha', 'tree').returncode == 1)
    t.check('rm -r', t.cli('vfolder', 'rm', '-y', '-r', 'alpha', 'tree').returncode == 0 and 'tree' not in t.cli('vfolder', 'ls', 'alpha').stdout)
    (t.work / '[odd].txt').write_text('odd')
    t.cli('vfolder', 'upload', 'alpha', '[odd].txt', '[odd]' if (t.work / '[odd]').exists() else '[odd].txt')
    (t.work / '[x]').write_text('bracket')
    t.cli('vfolder', 'upload', 'alpha', '[x]')
    names = {x['filename'] for x in as_json(t, 'vfolder', 'ls', 'alpha')}
    t.check('names with brackets', {'[odd].txt', '[x]'} <= names, names)
    t.check('rm of such a one', t.cli('vfolder', 'delete-file', '-y', 'alpha', '[x]').returncode == 0
            and {x['filename'] for x in as_json(t, 'vfolder', 'ls', 'alpha')} == names - {'[x]'})
    t.check('delete', t.cli('vfolder', 'delete', 'beta').returncode == 0 and [x['name'] for x in as_json(t, 'vfolder', 'list')] == ['alpha'])


def copies(t):
    t.cli('vfolder', 'create', 'cp')
    def there(path='.'):
        return sorted(x['filename'] for x in as_json(t, 'vfolder', 'ls', 'cp', path))
    def cp(*paths):
        done = t.cli('vfolder', 'cp', *paths)
        if done.returncode:
            raise AssertionError(str(done))
    for name in ('one.txt', 'two.txt'):
        (t.work / name).write_text(name)
    cp('one.txt', 'cp:')
    t.check('cp FILE NAME:', there() == ['one.txt'])
    cp('one.txt', 'cp:other.txt')
    t.check('cp under another name', there() == ['one.txt', 'other.txt'])
    cp('one.txt', str(t.work / 'two.txt'), 'cp:in/side/')
    t.check('cp of two into a directory', there('in/side') == ['one.txt', 'two.txt'])
    cp('two.txt', 'cp:in')
    t.check('cp into a directory that is there', there('in') == ['side', 'two.txt'])
    cp('-r', 'tree', 'cp:wood')
    t.check('cp -r under another name', there('wood') == ['a.txt', 'deep'] and there('wood/deep') == ['b.txt'])
    t.fails('cp of a directory without -r', t.cli('vfolder', 'cp', 'tree', 'cp:'), 2, '-r')
    cp('cp:in/side/two.txt', 'back.txt')
    t.check('cp back', (t.work / 'back.txt').read_text() == 'two.txt')
    (t.work / 'here').mkdir()
    cp('cp:one.txt', 'cp:in/two.txt', 'here')
    t.check('cp of two back', sorted(x.name for x in (t.work / 'here').iterdir()) == ['one.txt', 'two.txt'])
    cp('-r', 'cp:wood', 'forest')
    t.check('cp -r back', (t.work / 'forest/deep/b.txt').read_text() == 'tree/deep/b.txt'
            and sorted(x.name for x in (t.work / 'forest').iterdir()) == ['a.txt', 'deep'])
    t.check('nothing is left beside', not list(t.work.glob('.backend*')))
    t.fails('cp of what is not there', t.cli('vfolder', 'cp', 'cp:nothing', '.'), 1, 'nothing')
    t.fails('cp from folder to folder', t.cli('vfolder', 'cp', 'cp:one.txt', 'alpha:'), 2, 'NAME:PATH')


def administration(t):
    agents = as_json(t, 'admin', 'agents')
    done = t.cli('admin', 'agents')
    t.check('agents', len(agents) >= 1 and agents[0]['id'] in done.stdout and 'Occupied slots' in done.stdout, done)
    t.check('agents of another status', as_json(t, 'admin', 'agents', '-s', 'LOST') == [])
    done = t.cli('admin', 'agent', '-i', agents[0]['id'])
    t.check('agent', done.returncode == 0 and 'Status: ALIVE' in done.stdout
            and as_json(t, 'admin', 'agent', '-i', agents[0]['id'])['id'] == agents[0]['id'], done)
    t.fails('an agent that is none', t.cli('admin', 'agent', '-i', 'nobody'), 1, 'admin agents')
    images = as_json(t, 'admin', 'images')
    done = t.cli('admin', 'images')
    t.check('images', any(x['name'] == 'python' for x in images) and re.search(r'^Name +Registry +Tag', done.stdout), done)
    t.check('alias-image', t.cli('admin', 'alias-image', 'snake', images[0]['name']).returncode == 0)
    t.check('dealias-image', t.cli('admin', 'dealias-image', 'snake').returncode == 0)
    t.check('rescan-images', t.cli('admin', 'rescan-images').returncode == 0)
    t.check('vfolders', {'alpha', 'cp'} <= {x['name'] for x in as_json(t, 'admin', 'vfolders')}
            and 'alpha' in t.cli('admin', 'vfolders').stdout)
    t.check('vfolders of another', as_json(t, 'admin', 'vfolders', '--access-key', t.gateway.OTHER['BACKEND_ACCESS_KEY']) == [])
    t.cli('start', '-t', 'admin-sees', 'python')
    t.check('sessions', [x['sess_id'] for x in as_json(t, 'admin', 'sessions', '--status', 'RUNNING')] == ['admin-sees'])
    t.check('sessions --id-only', t.cli('admin', 'sessions', '--id-only', '--all').stdout == 'admin-sees\n')
    t.check('session', 'Session ID: admin-sees' in t.cli('admin', 'session', 'admin-sees').stdout)
    t.check('sessions of another', as_json(t, 'ps', '--access-key', t.gateway.OTHER['BACKEND_ACCESS_KEY']) == [])
    t.cli('rm', 'admin-sees')


class Scripted(http.server.BaseHTTPRequestHandler):
    """A server for what the embedded gateway does not know: keeps what it is asked, and answers as told."""
    asked, answers = [], []
    protocol_version = 'HTTP/1.1'

    def reply(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == '/':
            return self.reply({'version': 'v4.20190315'})
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.asked.append({'path': self.path, **(json.loads(body) if body else {})})
        self.reply(self.answers.pop(0))

    def log_message(self, *arguments):
        pass


def beyond_the_gateway(t):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    there = {'BACKEND_ENDPOINT': 'http://127.0.0.1:%d' % server.server_port}
    def ask(answer, *arguments, **options):
        Scripted.answers.append(answer)
        done = t.cli(*arguments, env=there, **options)
        return done, Scripted.asked[-1] if Scripted.asked else None
    policy = {'name': 'default', 'created_at': None, 'default_for_unspecified': 'UNLIMITED', 'total_resource_slots': '{}', 'max_concurrent_sessions': 30,
              'max_containers_per_session': 1, 'max_vfolder_count': 10, 'max_vfolder_size': 0, 'idle_timeout': 1800, 'allowed_vfolder_hosts': ['local', 'nas']}
    done, asked = ask({'keypair_resource_policy': policy}, 'admin', 'resource-policy', '-n', 'default')
    t.check('resource-policy', done.returncode == 0 and 'Idle Timeout: 1800\n' in done.stdout and 'local, nas' in done.stdout
            and asked['variables'] == {'name': 'default'} and 'idle_timeout' in asked['query'], done, asked)
    t.fails('resource-policy of none', ask({'keypair_resource_policy': None}, 'admin', 'resource-policy', '-n', 'x')[0], 1, 'resource-policies')
    done, asked = ask({'keypair_resource_policies': [policy, policy]}, 'admin', 'resource-policies')
    t.check('resource-policies', done.stdout.count('UNLIMITED') == 2, done)
    done, asked = ask({'create_keypair_resource_policy': {'ok': True, 'msg': ''}}, 'admin', 'resource-policies', 'add', '--allowed-vfolder-hosts', 'a,b', 'new')
    t.check('resource-policies add, with the official defaults', done.returncode == 0 and asked['variables'] == {'name': 'new', 'input': {
        'default_for_unspecified': 'UNLIMITED', 'total_resource_slots': '{}', 'max_concurrent_sessions': 30, 'max_containers_per_session': 1,
        'max_vfolder_count': 10, 'max_vfolder_size': 0, 'idle_timeout': 1800, 'allowed_vfolder_hosts': ['a', 'b']}}, done, asked)
    done, asked = ask({'modify_keypair_resource_policy': {'ok': True, 'msg': ''}}, 'admin', 'resource-policies', 'update', '--idle-timeout', '60', 'new')
    given = {key: value for key, value in asked['variables']['input'].items() if value is not None}
    t.check('resource-policies update changes what is given', done.returncode == 0 and given == {'idle_timeout': 60}, done, asked)
    done, asked = ask({'delete_keypair_resource_policy': {'ok': False, 'msg': 'is in use'}}, 'admin', 'resource-policies', 'delete', '-y', 'new')
    t.fails('resource-policies delete that the server refuses', done, 1, 'is in use')
    before = len(Scripted.asked)
    done = t.cli('admin', 'resource-policies', 'delete', 'new', env=there, input='n\n')
    t.check('resource-policies delete asks', done.returncode == 1 and 'Are you sure' in done.stderr and len(Scripted.asked) == before, done)
    t.fails('servers without resource policies', t.cli('admin', 'resource-policies'), 1, 'keypair_resource_policies')
    done, asked = ask({'default': 'nas', 'allowed': ['local', 'nas']}, 'vfolder', 'list-hosts')
    t.check('vfolder list-hosts', done.stdout == 'Default vfolder host: nas\nUsable hosts: local, nas\n' and asked['path'] == '/folders/_/hosts', done, asked)
    done, asked = ask({}, 'vfolder', 'rename', 'beta', 'gamma')
    t.check('vfolder rename', done.returncode == 0 and asked == {'path': '/folders/beta/rename', 'new_name': 'gamma'}, done, asked)
    server.shutdown()


def keypairs(t):
    done = t.cli('admin', 'keypair')
    t.check('keypair', t.environment['BACKEND_ACCESS_KEY'] in done.stdout and 'Rate Limit' in done.stdout, done)
    made = as_json(t, 'admin', 'keypairs', 'add', 'new@example.com', 'default')
    key = {'BACKEND_ACCESS_KEY': made['access_key'], 'BACKEND_SECRET_KEY': made['secret_key']}
    t.check('keypairs add makes one that works', t.cli('vfolder', 'list', env=key).returncode == 0)
    t.check('keypairs add for people', re.search(r'^Access Key: \S+\nSecret Key: \S+\n$', t.cli('admin', 'keypairs', 'add', 'x@example.com').stdout))
    def mine():
        return as_json(t, 'admin', 'keypairs', '-u', 'new@example.com')
    t.check('keypairs -u', [x['access_key'] for x in mine()] == [made['access_key']])
    t.check('keypairs', made['access_key'] in t.cli('admin', 'keypairs').stdout)
    t.check('deactivate', t.cli('admin', 'keypairs', 'deactivate', made['access_key']).returncode == 0 and not mine()[0]['is_active'])
    t.fails('its calls are refused', t.cli('vfolder', 'list', env=key), 1, 'BACKEND_ACCESS_KEY')
    t.check('keypairs --is-active', made['access_key'] in {x['access_key'] for x in as_json(t, 'admin', 'keypairs', '--is-active', 'false')})
    t.check('activate', t.cli('admin', 'keypairs', 'activate', made['access_key']).returncode == 0 and mine()[0]['is_active'])
    done = t.cli('admin', 'keypairs', 'update', '--rate-limit', '77', '--is-admin', 'true', made['access_key'])
    t.check('update', mine()[0]['rate_limit'] == 77 and mine()[0]['is_admin'], done)
    t.check('delete', t.cli('admin', 'keypairs', 'delete', made['access_key']).returncode == 0 and mine() == [])
    t.fails('delete of none', t.cli('admin', 'keypairs', 'delete', 'AKIANOBODY'), 1)
    t.fails('a user is no administrator', t.cli('admin', 'agents', env=t.gateway.OTHER), 1)


def manager(t):
    done = t.cli('manager', 'status')
    t.check('status', re.search(r'running +0', done.stdout) and as_json(t, 'manager', 'status')[0]['status'] == 'running', done)
    t.cli('start', '-t', 'in-the-way', 'python')
    process = t.start('manager', 'freeze', '--wait')
    time.sleep(1.5)
    t.check('freeze --wait waits', process.poll() is None and 'running' in t.cli('manager', 'status').stdout)
    t.cli('rm', 'in-the-way')
    out, err = process.communicate(timeout=60)
    t.check('and freezes', process.returncode == 0 and 'frozen' in t.cli('manager', 'status').stdout, err)
    t.check('unfreeze', t.cli('manager', 'unfreeze').returncode == 0 and 'running' in t.cli('manager', 'status').stdout)
    t.cli('start', '-t', 'to-be-killed', 'python')
    t.check('freeze --force-kill', t.cli('manager', 'freeze', '--force-kill').returncode == 0
            and as_json(t, 'manager', 'status')[0] == {'status': 'frozen', 'active_sessions': 0})
    t.cli('manager', 'unfreeze')


_cli.main(folders, copies, administration, beyond_the_gateway, keypairs, manager)
