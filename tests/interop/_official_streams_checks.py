"""The websocket checks of official_client.py; runs inside the official client's virtual environment, with BACKEND_* set to
the gateway: AsyncSession's stream_execute and stream_pty, and the command `app`."""
import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
import urllib.request
import warnings

warnings.simplefilter('ignore')  # deprecations that the client's age brings along

from ai.backend.client.session import AsyncSession, Session

failures = 0
# The client's `app` as its package installs it, but for one argument that Python 3.10 took away from asyncio.
APP = '''
import asyncio, sys
start = asyncio.start_server
asyncio.start_server = lambda *arguments, loop=None, **options: start(*arguments, **options)
from ai.backend.client.cli import main
import ai.backend.client.cli.app
sys.argv = ['backend.ai', 'app', *sys.argv[1:]]
main()
'''


def check(name, good, detail=''):
    global failures
    failures += 0 if good else 1
    print('%s %s%s' % ('ok  ' if good else 'FAIL', name, '' if good else ': %r' % (detail,)), flush=True)


async def collect(stream, answers=()):
    answers, console, statuses, last = list(answers), '', [], None
    async for message in stream:
        last = json.loads(message.data)
        statuses.append(last['status'])
        console += ''.join(text for kind, text in last.get('console') or () if kind == 'stdout')
        if last['status'] == 'waiting-input':
            await stream.send_str(answers.pop(0))
    return console, statuses, last


async def streams():
    async with AsyncSession() as session:
        kernel = await session.Kernel.get_or_create('python:3.6-ubuntu', client_token='interop-stream')
        async with kernel.stream_execute('print("hello")\nprint(6 * 7)') as stream:
            console, statuses, last = await collect(stream)
        check('stream_execute', console == 'hello\n42\n' and last['exitCode'] == 0, (console, last))
        check('stream_execute tells no run id', 'runId' not in last, last)
        async with kernel.stream_execute('print("you are", input("who? "))') as stream:
            console, statuses, last = await collect(stream, ['me'])
        check('stream_execute with input', console.endswith('you are me\n') and 'waiting-input' in statuses, console)
        options = {'clean': 'rm -f made', 'build': 'echo built > made', 'exec': 'cat made; exit 5'}
        async with kernel.stream_execute('', mode='batch', opts=options) as stream:
            console, statuses, last = await collect(stream)
        check('stream_execute in batch mode', [s for s in statuses if s != 'continued'] ==
              ['clean-finished', 'build-finished', 'finished'] and last['exitCode'] == 5 and console == 'built\n', statuses)
        async with kernel.stream_pty() as pty:
            await pty.send_str(json.dumps({'type': 'stdin', 'chars': base64.b64encode(b'echo $((8*8))\n').decode()}))
            shown = ''
            async for message in pty:
                shown += base64.b64decode(json.loads(message.data)['data']).decode()
                if '64' in shown:
                    break
        check('stream_pty', '64' in shown, shown)
        refused = ''
        try:
            async with session.Kernel('no-such-session').stream_execute('x') as stream:
                await collect(stream)
        except Exception as error:
            refused = repr(error)
        check('a session that is not there is refused', '404' in refused, refused)


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def app():
    with Session() as session:
        kernel = session.Kernel.get_or_create('python:3.6-ubuntu', client_token='interop-stream')
        kernel.execute(None, 'open("page.txt", "w").write("carried by a tunnel")', mode='query')
        port = free_port()
        command = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', APP, 'interop-stream', 'jupyter', '-p', str(port)],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        text, why, end = '', '', time.monotonic() + 30
        while not text and time.monotonic() < end and command.poll() is None:
            try:
                with urllib.request.urlopen('http://127.0.0.1:%d/page.txt' % port, timeout=10) as answer:
                    text = answer.read().decode()
            except OSError as error:
                why = repr(error)
                time.sleep(0.2)
        command.terminate()
        said = command.communicate(timeout=30)[0]
        check('app carries a page', text == 'carried by a tunnel', (text, why, said))
        kernel.destroy()


if __name__ == '__main__':
    asyncio.run(streams())
    app()
    print('%d failed' % failures)
    sys.exit(1 if failures else 0)
