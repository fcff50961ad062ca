#!/usr/bin/env python3
"""A web page of a service in a session, through backend.ai app: it fetches files and talks over a websocket to where it came
from. Asked by headless Chromium, where that is installed, and by aiohttp's client and curl.

usage: browser.py BACKEND.AI GATEWAY"""
import asyncio
import contextlib
import hashlib
import json
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import _cli

try:
    import aiohttp
    from aiohttp import web
except ImportError:
    print('1..0 # SKIP python has no aiohttp (Debian: python3-aiohttp)')
    raise SystemExit(0)

FILE = bytes(range(256)) * 20000  # 5 MB
BYTES = bytes(i * 7 % 251 for i in range(3_000_000))  # of the large binary message: many reads of the tunnel
TEXTS = ['hello', '', 'z\u00fcrich \ud55c\uad6d\uc5b4 \U0001f600', 'x' * 200000]

# The image holds the load event back until the page has reported, and --dump-dom waits for that event.
PAGE = '''<!doctype html><meta charset="utf-8"><title>waiting</title><pre id="seen"></pre><img src="/held">
<script>
const seen = {texts: [], sizes: [], sums: []}, texts = %s;
const sum = async data => Array.from(new Uint8Array(await digest(data)), x => x.toString(16).padStart(2, '0')).join('');
const digest = data => crypto.subtle.digest('SHA-256', data);
const bytes = Uint8Array.from({length: %d}, (_, i) => i * 7 %% 251);
async function talk() {
    seen.data = await (await fetch('/data.json?a=%%20b', {headers: {'X-Page': 'yes'}})).json();
    const files = await Promise.all(Array.from({length: 6}, async () => sum(await (await fetch('/file.bin')).arrayBuffer())));
    seen.files = [...new Set(files)];
    const socket = new WebSocket('ws://' + location.host + '/socket', ['none', 'echo.v1']);
    socket.binaryType = 'arraybuffer';
    const messages = [];
    let wake = () => {};
    socket.onmessage = event => { messages.push(event.data); wake(); };
    const next = async () => { while (!messages.length) await new Promise(done => wake = done); return messages.shift(); };
    const closed = new Promise(done => socket.onclose = done);
    closed.then(() => { messages.push('closed'); wake(); });
    await new Promise((done, failed) => { socket.onopen = done; socket.onerror = () => failed(new Error('no websocket')); });
    seen.protocol = socket.protocol;
    seen.greeting = await next();
    for (const text of texts) { socket.send(text); seen.texts.push(await next() === text); }
    for (const size of [1, 125, 126, 65536, bytes.length]) {
        socket.send(bytes.slice(0, size));
        const data = await next();
        seen.sizes.push(data.byteLength);
        seen.sums.push(await sum(data) === await sum(bytes.slice(0, size)));
    }
    for (let i = 0; i < 200; ++i) socket.send('burst ' + i);
    seen.burst = true;
    for (let i = 0; i < 200; ++i) seen.burst = await next() === 'burst ' + i && seen.burst;
    socket.send('please close');
    const end = await closed;
    seen.end = [end.code, end.reason, end.wasClean];
}
talk().catch(error => { seen.error = String(error); }).then(() => {
    document.getElementById('seen').textContent = JSON.stringify(seen);
    document.title = 'over';
    return fetch('/report', {method: 'POST', body: JSON.stringify(seen)});
});
</script>''' % (json.dumps(TEXTS), len(BYTES))

WANTED = {'data': {'query': ' b', 'page': 'yes'}, 'files': [hashlib.sha256(FILE).hexdigest()], 'protocol': 'echo.v1',
          'greeting': 'the service speaks first', 'texts': [True] * len(TEXTS), 'sizes': [1, 125, 126, 65536, len(BYTES)], 'sums': [True] * 5,
          'burst': True, 'end': [4321, 'as asked', True]}


class Service:
    """What stands for a web application in a session: aiohttp's server, in a thread."""

    def __init__(self):
        self.reports = []
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,))
        self.thread.start()
        if not started.wait(30):
            raise RuntimeError('the service did not start')

    def run(self, started):
        asyncio.set_event_loop(self.loop)
        self.reported = asyncio.Event()
        application = web.Application()
        application.add_routes([web.get('/', self.page), web.get('/data.json', self.data), web.get('/file.bin', self.file),
                                web.get('/held', self.held), web.post('/report', self.report), web.get('/socket', self.socket)])
        runner = web.AppRunner(application)
        self.loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, '127.0.0.1', 0, shutdown_timeout=1)
        self.loop.run_until_complete(site.start())
        self.port = site._server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())
        self.loop.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)

    async def page(self, request):
        self.reported.clear()
        return web.Response(text=PAGE, content_type='text/html')

    async def data(self, request):
        return web.json_response({'query': request.query['a'], 'page': request.headers.get('X-Page')})

    async def file(self, request):
        return web.Response(body=FILE)

    async def held(self, request):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.reported.wait(), 120)
        return web.Response(status=404)

    async def report(self, request):
        self.reports.append(json.loads(await request.text()))
        self.reported.set()
        return web.Response(text='thank you')

    async def socket(self, request):
        socket = web.WebSocketResponse(protocols=['echo.v1'], max_msg_size=0)
        await socket.prepare(request)
        await socket.send_str('the service speaks first')
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.data == 'please close':
                await socket.close(code=4321, message=b'as asked')
            else:
                await socket.send_str(message.data)
        return socket


@contextlib.contextmanager
def tunnel(t, service, protocol):
    """The address of the service behind backend.ai app, on a gateway of that protocol."""
    gateway = _cli.Gateway(t.gateway_program, t.base, ['--protocol', protocol, '--service', 'web:http:%d' % service.port])
    process = None
    try:
        started = t.cli('start', '-t', 'webs', 'python', env=gateway.environment)
        process = t.start('app', '-p', '0', 'webs', 'web', env=gateway.environment)
        address = process.stdout.readline().strip()
        t.check(protocol + ': app tells its address', address.startswith('http://127.0.0.1:'), address, started)
        yield address
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        t.check(protocol + ': app ends well', process.returncode == 0 and 'cannot' not in err and not _cli.TRACE.search(err), process.returncode, err)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.communicate()
        gateway.end()


async def talk(address):
    """The page's conversation, held by aiohttp's client."""
    seen = {'texts': [], 'sizes': [], 'sums': []}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        async with session.get(address + '/data.json?a=%20b', headers={'X-Page': 'yes'}) as answer:
            seen['data'] = await answer.json()

        async def file():
            async with session.get(address + '/file.bin') as answer:
                return hashlib.sha256(await answer.read()).hexdigest()
        seen['files'] = list(set(await asyncio.gather(*[file() for _ in range(6)])))
        async with session.ws_connect(address + '/socket', protocols=['none', 'echo.v1'], max_msg_size=0) as socket:
            seen['protocol'] = socket.protocol
            seen['greeting'] = await socket.receive_str(timeout=60)
            for text in TEXTS:
                await socket.send_str(text)
                seen['texts'].append(await socket.receive_str(timeout=60) == text)
            for size in WANTED['sizes']:
                await socket.send_bytes(BYTES[:size])
                data = await socket.receive_bytes(timeout=60)
                seen['sizes'].append(len(data))
                seen['sums'].append(data == BYTES[:size])
            for i in range(200):
                await socket.send_str('burst %d' % i)
            seen['burst'] = [await socket.receive_str(timeout=60) for _ in range(200)] == ['burst %d' % i for i in range(200)]
            await socket.send_str('please close')
            end = await socket.receive(timeout=60)
            seen['end'] = [end.data, end.extra, end.type == aiohttp.WSMsgType.CLOSE]
    return seen


def browse(t, address, name, service):
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if chromium is None:
        t.skip(name + ': Chromium', 'not installed (Debian: chromium)')
        return
    service.reports.clear()
    with tempfile.TemporaryDirectory(prefix='backendai-chromium-', ignore_cleanup_errors=True) as profile:
        done = subprocess.run([chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
                               '--no-proxy-server', '--user-data-dir=' + profile, '--dump-dom', address + '/'],
                              env={**t.base, 'HOME': profile}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=240)
    shown = re.search(r'<pre id="seen">(\{.*?\})</pre>', done.stdout)
    seen = json.loads(shown[1]) if shown else None
    t.check(name + ': Chromium shows what the page fetched and heard', seen == WANTED and '<title>over</title>' in done.stdout, seen, done.returncode,
            done.stdout[-2000:], done.stderr[-2000:])
    t.check(name + ': and the service got its report', service.reports == [WANTED], service.reports)


def pages(t):
    for wrong in ('web', 'web:http', 'web:http:x', 'web:http:65536', 'web:http:0', 'web:ftp:80', ':http:80'):
        done = subprocess.run([t.gateway_program, '--service', wrong], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        t.check('the gateway takes no service "%s"' % wrong, done.returncode == 2 and 'NAME:PROTOCOL:PORT' in done.stderr and not done.stdout,
                done.returncode, done.stderr)
    service = Service()
    try:
        for name, protocol in (('v4', 'v4.20190315'), ('modern', 'v8.20240915')):
            with tunnel(t, service, protocol) as address:
                got = _cli.curl(t, name + ': curl gets the page', address + '/')
                if got is not None:
                    t.check(name + ': curl gets the page', got.decode() == PAGE, len(got))
                seen = asyncio.run(talk(address))
                t.check(name + ': aiohttp fetches and hears what the page would', seen == WANTED, seen)
                browse(t, address, name, service)
    finally:
        service.stop()


_cli.main(pages)
