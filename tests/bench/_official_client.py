"""A client for requests.py: reads lines `METHOD COUNT`, sends so many requests and prints the
seconds that they took, and the seconds of CPU.

Runs in the environment that tests/interop/official_client.py makes; BACKEND_* name the server and the keys.
"""
import sys
import time

from ai.backend.client.config import set_config, APIConfig
from ai.backend.client.request import Request
from ai.backend.client.session import Session

BODY = (b'{"query": "query($n: Int!) { compute_sessions(limit: $n) { id status } }", "variables": {"n": 6}}')

set_config(APIConfig(version='v4.20190315'))
with Session() as session:
    def send(method):
        request = Request(session, method, '/admin/graphql')
        if method == 'POST':
            request.set_content(BODY, content_type='application/json')
        with request.fetch() as response:
            if not response.json()['items']:
                sys.exit('an answer was not what the server sends')

    for _ in range(50):
        send('GET')
    for line in sys.stdin:
        method, count = line.split()
        cpu, start = time.process_time(), time.perf_counter()
        for _ in range(int(count)):
            send(method)
        print(time.perf_counter() - start, time.process_time() - cpu, flush=True)
