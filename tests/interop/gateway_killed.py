#!/usr/bin/python3
"""gateway_killed.py GATEWAY_PROGRAM: what a killed gateway leaves behind. Code that runs in one of its interpreters must
not go on for ever when the gateway had no time to end it.
"""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time


def post(environment, path, body):
    """A signed request, made without the SDK."""
    host = environment['BACKEND_ENDPOINT'].split('//')[1]
    secret, now = environment['BACKEND_SECRET_KEY'], datetime.datetime.now(datetime.timezone.utc)
    date, text, version = now.isoformat(), json.dumps(body), 'v4.20190315'
    key = hmac.new(secret.encode(), now.strftime('%Y%m%d').encode(), 'sha256').digest()
    key = hmac.new(key, host.encode(), 'sha256').digest()
    empty = hashlib.sha256(b'').hexdigest()
    lines = ['POST', path, date, 'host:' + host, 'content-type:application/json', 'x-backendai-version:' + version, empty]
    signature = hmac.new(key, '\n'.join(lines).encode(), 'sha256').hexdigest()
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request('POST', path, text, {
        'Date': date, 'Content-Type': 'application/json', 'X-BackendAI-Version': version,
        'Authorization': f"BackendAI signMethod=HMAC-SHA256, credential={environment['BACKEND_ACCESS_KEY']}:{signature}"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def check(folder):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(('BACKEND_', 'SORNA_'))}
    clean['TMPDIR'] = folder  # its files stay behind
    gateway = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean)
    try:
        environment = dict(gateway.stdout.readline().strip().removeprefix('export ').split('=', 1) for _ in range(3))
        status, made = post(environment, '/kernel/create', {
            'lang': 'python:3.6', 'clientSessionToken': 'test-killed', 'config': {}})
        assert status == 201, (status, made)
        code = 'import os\nprint(os.getpid(), flush=True)\nwhile True: pass'
        status, answer = post(environment, '/kernel/test-killed', {
            'mode': 'query', 'code': code, 'runId': None, 'options': {}})
        assert status == 200 and answer['result']['status'] == 'continued', (status, answer)
        process = int(answer['result']['console'][0][1])
        assert pathlib.Path(f'/proc/{process}').exists()
    finally:
        gateway.kill()
        gateway.wait()
    deadline = time.monotonic() + 60
    while pathlib.Path(f'/proc/{process}').exists():
        state = pathlib.Path(f'/proc/{process}/stat').read_text().rsplit(')', 1)[1].split()[0]
        if state == 'Z':
            break  # dead, and nobody has fetched its status yet
        assert time.monotonic() < deadline, 'the code still runs'
        time.sleep(0.05)
    print('ok')


with tempfile.TemporaryDirectory() as folder:
    check(folder)
