"""The checks of official_client.py; runs inside its virtual environment, with BACKEND_* set to the gateway."""
import sys
import warnings
from datetime import datetime, timedelta

warnings.simplefilter('ignore')  # deprecations that the client's age brings along

from ai.backend.client import request as client_request
from ai.backend.client.config import APIConfig, get_config
from ai.backend.client.exceptions import BackendAPIError
from ai.backend.client.session import Session

failures = 0


def check(name, good, detail=''):
    global failures
    failures += 0 if good else 1
    print('%s %s%s' % ('ok  ' if good else 'FAIL', name, '' if good else ': %r' % (detail,)), flush=True)


def loop(kernel, code, answers=(), mode='query', opts=None):
    """The run loop as the manual gives it. Returns the last result, the console joined, and the statuses."""
    answers = list(answers)
    console, statuses, records = {'stdout': '', 'stderr': ''}, [], []
    run_id = None
    while True:
        result = kernel.execute(run_id, code, mode=mode, opts=opts)
        run_id = result['runId']
        statuses.append(result['status'])
        for kind, text in result['console'] or ():
            if kind in console:
                console[kind] += text
            else:
                records.append((kind, text))
        if result['status'] == 'finished':
            return result, console, statuses, records
        if result['status'] == 'waiting-input':
            mode, code = 'input', answers.pop(0)
        else:
            mode, code = 'continue', ''


def refused(function, status):
    try:
        function()
    except BackendAPIError as error:
        return error.args[0] == status, error.args
    return False, 'no error'


def main():
    with Session() as session:
        hello = session.Kernel.hello()
        check('hello', hello['version'] == 'v4.20190315', hello)
        kernel = session.Kernel.get_or_create('python:3.6-ubuntu', client_token='interop-1', envs={'COLOUR': 'green'})
        check('get_or_create', kernel.created is True and kernel.kernel_id == 'interop-1', kernel.kernel_id)
        again = session.Kernel.get_or_create('python:3.6-ubuntu', client_token='interop-1')
        check('get_or_create again', again.created is False)
        check('get_or_create with another image',
              *refused(lambda: session.Kernel.get_or_create('bash', client_token='interop-1'), 400))
        check('get_or_create of an unknown image', *refused(lambda: session.Kernel.get_or_create('nothing:1'), 400))
        result, console, _, _ = loop(kernel, 'import os\nx = 20\nprint("hello", os.environ["COLOUR"])')
        check('execute', console['stdout'] == 'hello green\n' and result['exitCode'] == 0, (console, result))
        _, console, _, _ = loop(kernel, 'print(x + 1)')
        check('state between queries', console['stdout'] == '21\n', console)
        code = 'import time\nfor i in range(6):\n    print(i)\n    time.sleep(0.5)\n'
        _, console, statuses, _ = loop(kernel, code)
        check('continued output', console['stdout'] == '0\n1\n2\n3\n4\n5\n' and 'continued' in statuses, statuses)
        code = 'import getpass\nname = input("who? ")\nsecret = getpass.getpass()\nprint(name, secret)'
        _, console, statuses, _ = loop(kernel, code, ['me', 'letmein'])
        check('user input', console['stdout'].endswith('me letmein\n') and statuses.count('waiting-input') == 2, console)
        result, console, _, _ = loop(kernel, '1 / 0')
        check('exception', 'ZeroDivisionError' in console['stderr'] and result['exitCode'] != 0, console)
        _, _, _, records = loop(kernel, 'backendai_media("image/png", b"\\x89PNG")')
        check('media record', records == [('image/png', 'data:image/png;base64,iVBORw==')], records)
        found = kernel.complete('os.pat')
        check('complete', 'os.path' in found['result']['completions'], found)
        result = kernel.execute(None, 'while True: pass')
        check('endless code is continued', result['status'] == 'continued', result)
        kernel.interrupt()
        result = kernel.execute(result['runId'], '', mode='continue')
        text = ''.join(part for _, part in result['console'])
        check('interrupt', result['status'] == 'finished' and 'KeyboardInterrupt' in text, result)
        _, console, _, _ = loop(kernel, 'print(x)')
        check('usable after an interrupt', console['stdout'] == '20\n', console)
        result, console, statuses, _ = loop(kernel, '', mode='batch', opts={
            'clean': 'rm -f made', 'build': 'echo built > made', 'exec': 'cat made; exit 5'})
        check('batch', statuses == ['clean-finished', 'build-finished', 'finished'] and result['exitCode'] == 5 and
              console['stdout'] == 'built\n', (statuses, console))
        info = kernel.get_info()
        check('get_info', info['lang'] == 'python:3.6-ubuntu' and info['numQueriesExecuted'] >= 8, info)
        logs = kernel.get_logs()
        check('get_logs', 'hello green' in logs['result']['logs'], logs)
        kernel.restart()
        _, console, _, _ = loop(kernel, 'print("x" in globals(), open("made").read())')
        check('restart', console['stdout'] == 'False built\n\n', console)
        check('manager status', session.Manager.status()['status'] == 'running')
        ended = kernel.destroy()
        check('destroy', 'stats' in ended, ended)
        check('gone after destroy', *refused(kernel.get_info, 404))
    config = get_config()
    wrong = APIConfig(endpoint=str(config.endpoint), access_key=config.access_key, secret_key='x' * 40)
    with Session(config=wrong) as session:
        check('wrong secret key refused', *refused(lambda: session.Kernel.get_or_create('python'), 401))
    wrong = APIConfig(endpoint=str(config.endpoint), access_key='AKIAWRONG', secret_key=config.secret_key)
    with Session(config=wrong) as session:
        check('unknown access key refused', *refused(lambda: session.Kernel.get_or_create('python'), 401))

    class LateClock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(minutes=16)

    client_request.datetime = LateClock
    with Session() as session:
        check('wrong date refused', *refused(lambda: session.Kernel.get_or_create('python'), 400))
    print('%d failed' % failures)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
