#!/usr/bin/env python3
"""backend.ai app and proxy, with real requests through them.

usage: tunnels.py BACKEND.AI GATEWAY"""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

import _cli


def stop(t, name, process, number=signal.SIGINT):
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    t.check(name, process.returncode == 0 and not _cli.TRACE.search(err), process.returncode, err)
    return err


def apps(t):
    t.cli('start', '-t', 'apps', 'python')
    t.cli('run', '-q', '-t', 'apps', '-c', 'import os; open("large.bin", "wb").write(bytes(range(256)) * 40000)', 'python')
    process = t.start('app', '-p', '0', 'apps', 'jupyter')
    address = process.stdout.readline().strip()
    port = int(address.rsplit(':', 1)[1])
    t.check('-p 0 takes any port', port > 0 and address.startswith('http://127.0.0.1:'), address)
    got = _cli.curl(t, 'curl gets all of an answer', address + '/large.bin')
    if got is not None:
        t.check('curl gets all of an answer', got == bytes(range(256)) * 40000, len(got))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(urllib.request.urlopen(address + '/large.bin', timeout=120).read())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.check('eight at once', [len(x) for x in answers] == [10240000] * 8, [len(x) for x in answers])
    idle = socket.create_connection(('127.0.0.1', port))
    stop(t, 'Ctrl-C with an open connection', process)
    # With or without a 503, or reset while it waited to be accepted, by how far it had come.
    idle.settimeout(60)
    try:
        while idle.recv(1000):
            pass
        ended = True
    except ConnectionResetError:
        ended = True
    except TimeoutError:
        ended = False
    t.check('which is closed', ended)
    idle.close()
    process = t.start('app', '--bind', '127.0.0.1', '-p', '0', '--output', 'json', 'apps', 'echo')
    lines = []
    while not lines or lines[-1] != '}\n':
        lines.append(process.stdout.readline())
    told = json.loads(''.join(lines))
    with socket.create_connection(('127.0.0.1', told['port']), timeout=60) as peer:
        peer.sendall(b'hello over tcp')
        got = b''
        while len(got) < 14 and (chunk := peer.recv(100)):
            got += chunk
    t.check('a TCP service, and the address as JSON', got == b'hello over tcp' and told['address'].startswith('tcp://'), got, told)
    stop(t, 'SIGTERM ends app, too', process, signal.SIGTERM)
    process = t.start('app', '-p', '0', 'apps', 'jupyter')
    address = process.stdout.readline().strip()
    t.cli('rm', 'apps')
    try:
        urllib.request.urlopen(address, timeout=60)
        status = 200
    except urllib.error.HTTPError as error:
        status = error.code
    err = stop(t, 'a session that is gone', process)
    t.check('a browser is told so, and the terminal, too', status == 404 and 'backend.ai ps' in err, status, err)


class WebSocket:
    """A client of a few lines, so that nothing is needed to test with."""

    def __init__(self, port, path, origin=None):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(('GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
                             'Sec-WebSocket-Key: %s\r\n%s\r\n' % (path, key, 'Origin: %s\r\n' % origin if origin else '')).encode())
        self.bytes = b''
        while b'\r\n\r\n' not in self.bytes:
            more = self.socket.recv(4096)
            if not more:
                break
            self.bytes += more
        head, _, self.bytes = self.bytes.partition(b'\r\n\r\n')
        self.status = int(head.split()[1])
        accept = base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest())
        self.is_good = accept in head

    def send(self, text):
        data = text.encode()
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x81, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def take(self, count):
        while len(self.bytes) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.bytes += more
        result, self.bytes = self.bytes[:count], self.bytes[count:]
        return result

    def receive(self):
        """(opcode, payload)"""
        first, length = self.take(2)
        if length == 126:
            length = struct.unpack('>H', self.take(2))[0]
        elif length == 127:
            length = struct.unpack('>Q', self.take(8))[0]
        return first & 15, self.take(length)


def call(address, method, path, body=None, **headers):
    request = urllib.request.Request(address + path, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def proxies(t):
    t.cli('start', '-t', 'proxied', 'python')
    t.cli('vfolder', 'create', 'large')
    (t.work / 'large.bin').write_bytes(os.urandom(1 << 20) * 8)
    t.cli('vfolder', 'upload', 'large', 'large.bin')
    process = t.start('proxy', '-p', '0')
    address = process.stdout.readline().strip()
    port = int(address.rsplit(':', 1)[1])
    kind = {'Content-Type': 'application/json'}
    status, body, _ = call(address, 'GET', '/kernel/proxied')
    t.check('a request without a signature', status == 200 and json.loads(body)['lang'], status, body)
    status, body, _ = call(address, 'POST', '/v4/auth/test', b'{"echo": "through"}', **kind)
    t.check('with a version in its path, and a body', status == 200 and json.loads(body)['echo'] == 'through', status, body)
    status, body, headers = call(address, 'GET', '/kernel/nobody')
    t.check('errors come as they are', status == 404 and json.loads(body)['type'].endswith('kernel-not-found')
            and headers['Content-Type'].startswith('application/problem+json'), status, body)
    status, body, _ = call(address, 'DELETE', '/kernel/proxied/nothing')
    t.check('other methods', status == 404, status, body)
    status, body, headers = call(address, 'GET', '/folders/large/download', b'{"files": ["large.bin"]}', **kind)
    t.check('a large answer, streamed', status == 200 and len(body) > 1 << 20 and headers['X-TOTAL-PAYLOADS-LENGTH'] == str(8 << 20), status,
            len(body))
    boundary = 'x' * 20
    content = os.urandom(1 << 20) * 20
    form = ('--%s\r\nContent-Disposition: form-data; name="src"; filename="up.bin"\r\n\r\n' % boundary).encode() + content + (
        '\r\n--%s--\r\n' % boundary).encode()
    status, body, _ = call(address, 'POST', '/folders/large/upload', form, **{'Content-Type': 'multipart/form-data; boundary=' + boundary})
    listed = json.loads(t.cli('vfolder', 'ls', 'large', '--output', 'json').stdout)
    t.check('a large request, streamed', status in (200, 201) and {'up.bin': len(content)}.items() <= {x['filename']: x['size'] for x in listed}.items(),
            status, body, listed)
    peer = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    answers = []
    for text in (b'in chunks', b'once more'):
        peer.request('POST', '/auth/test', iter([b'{"echo": "', text, b'"}']), {'Content-Type': 'application/json'}, encode_chunked=True)
        answers.append((text in peer.getresponse().read(), peer.sock))
    t.check('chunks, and two on one connection', answers == [(True, answers[0][1])] * 2 and answers[0][1] is not None, answers)
    peer.close()

    ws = WebSocket(port, '/stream/kernel/proxied/execute')
    ws.send(json.dumps({'mode': 'query', 'code': 'print(input("n? "))', 'options': {}}))
    seen, asked = '', False
    while 'finished' not in seen:
        opcode, data = ws.receive()
        seen += data.decode(errors='replace') if opcode == 1 else ''
        if 'waiting-input' in seen and not asked:
            asked = True
            ws.send('web')
    t.check('a websocket both ways', ws.status == 101 and ws.is_good and 'web' in seen, seen)
    t.check('its end comes through', ws.receive()[0] == 8)
    t.check('a websocket that is refused', WebSocket(port, '/stream/kernel/nobody/execute').status == 404)

    for name, headers, wanted in (('a page of another site', {'Origin': 'http://evil.example'}, 403), ('another host name', {'Host': 'evil.example'}, 403),
                                  ('the same host', {'Host': 'localhost:%d' % port}, 200)):
        t.check(name, call(address, 'GET', '/kernel/proxied', **headers)[0] == wanted)
    t.check('a websocket of another site', WebSocket(port, '/stream/kernel/proxied/execute', 'http://evil.example').status == 403)
    for name, text in (('nonsense', b'nonsense\r\n\r\n'), ('two lengths', b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'),
                       ('an absurd length', b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n')):
        with socket.create_connection(('127.0.0.1', port), timeout=60) as peer:
            peer.sendall(text)
            t.check(name + ' is answered with 400', peer.recv(1000).startswith(b'HTTP/1.1 400'))
    open_ws = WebSocket(port, '/stream/kernel/proxied/pty')
    stop(t, 'Ctrl-C with an open websocket', process)
    try:
        while open_ws.receive()[0] != 8:
            pass
        ended = True
    except (EOFError, ConnectionError):
        ended = True
    t.check('which ends', ended)
    process = t.start('proxy', '-p', '0', '--bind', '127.0.0.1', '--allow-origin', 'http://localhost:3000')
    address = process.stdout.readline().strip()
    status, body, headers = call(address, 'GET', '/kernel/proxied', Origin='http://localhost:3000')
    t.check('a site that is allowed', status == 200 and headers['Access-Control-Allow-Origin'] == 'http://localhost:3000', status)
    t.gateway.process.send_signal(signal.SIGSTOP)
    caller = threading.Thread(target=lambda: ask(address, '/kernel/proxied'))
    caller.start()
    time.sleep(0.5)
    stop(t, 'Ctrl-C while a request waits', process)
    t.gateway.process.send_signal(signal.SIGCONT)
    caller.join()
    process = t.start('proxy', '-p', '0', env={'BACKEND_ENDPOINT': 'http://127.0.0.1:1', })
    address = process.stdout.readline().strip()
    t.check('a server that is not there', call(address, 'GET', '/')[0] == 502)
    err = stop(t, 'it ends all the same', process)
    t.check('and has told why', 'cannot be reached' in err, err)


def limits(t):
    process = t.start('proxy', '-p', '0')
    address = process.stdout.readline().strip()
    port = int(address.rsplit(':', 1)[1])
    idle = [socket.create_connection(('127.0.0.1', port)) for _ in range(256)]
    t.check('more connections than it takes are told so', ask(address)[0] == 503, ask(address))
    t.check('the others stay', not select.select(idle, [], [], 0)[0])
    for peer in idle:
        peer.close()
    t.check('when they have gone, it goes on', recovers(address))
    size = memory_of(process)
    if size > 1 << 40:
        t.skip('no threads', "a sanitizer's program has its own idea of memory")
    else:
        stop(t, 'it ends', process)
        process = t.start('proxy', '-p', '0')  # a fresh one, that has no ended threads whose stacks can be used again
        address = process.stdout.readline().strip()
        size = memory_of(process)
        before = resource.prlimit(process.pid, resource.RLIMIT_AS)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (size + (4 << 20), before[1]))  # less than a thread's stack
        answers = [ask(address)[0] for _ in range(3)]
        resource.prlimit(process.pid, resource.RLIMIT_AS, before)
        t.check('where the system gives no thread, 503', answers == [503] * 3, answers)
        t.check('when it does again, it goes on', recovers(address))
        resource.prlimit(process.pid, resource.RLIMIT_AS, (memory_of(process), before[1]))
        peers = []
        for _ in range(400):
            peers.append(socket.create_connection(('127.0.0.1', int(address.rsplit(':', 1)[1])), timeout=60))
            with contextlib.suppress(OSError):
                peers[-1].sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
        for peer in peers:
            peer.close()
        resource.prlimit(process.pid, resource.RLIMIT_AS, before)
        t.check('where it gives no memory at all, neither', recovers(address))
    stop(t, 'and ends as ever', process)


def memory_of(process):
    with open('/proc/%d/status' % process.pid) as text:
        return next(int(line.split()[1]) << 10 for line in text if line.startswith('VmSize'))


def ask(address, target='/auth/test?echo=x'):
    try:
        return call(address, 'GET', target)
    except (OSError, http.client.HTTPException) as error:
        return 0, error, None


def recovers(address):
    for _ in range(100):
        status = ask(address)[0]
        if status not in (0, 503):
            return True
        time.sleep(0.1)
    return False


def addresses(t):
    for bind in ('127.1', '0x7f.0.0.1', '::ffff:127.0.0.1'):
        process = t.start('proxy', '--bind', bind, '-p', '0')
        address = 'http://127.0.0.1:' + process.stdout.readline().strip().rsplit(':', 1)[1]
        got = [call(address, 'GET', '/', Host=host)[0] for host in ('localhost', 'evil.example')]
        t.check('proxy on ' + bind + ' is for this machine only', got == [200, 403], got)
        stop(t, 'proxy on ' + bind + ' ends', process)
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError as error:
        t.skip('IPv6', error)
        return
    t.cli('start', '-t', 'six-apps', 'python')
    process = t.start('app', '--bind', '::1', '-p', '0', 'six-apps', 'jupyter')
    address = process.stdout.readline().strip()
    t.check('app on ::1 tells an address with brackets', address.startswith('http://[::1]:') and call(address, 'GET', '/')[0] == 200, address)
    stop(t, 'app on ::1 ends', process)
    process = t.start('proxy', '--bind', '::1', '-p', '0')
    address = process.stdout.readline().strip()
    port = address.rsplit(':', 1)[1]
    t.check('proxy on ::1 tells an address with brackets', address == 'http://[::1]:' + port, address)
    for host, status in (('[::1]:' + port, 200), ('[::1]', 200), ('localhost:' + port, 200), ('127.0.0.1', 200), ('evil.example:' + port, 403),
                         ('127.evil.example', 403), ('[::2]:' + port, 403), ('[', 403), ('[::1', 403), ('[::1].evil.example', 403)):
        t.check('proxy on ::1 asked as ' + host, call(address, 'GET', '/kernel/six-apps', Host=host)[0] == status)
    stop(t, 'proxy on ::1 ends', process)


_cli.main(apps, proxies, limits, addresses)
