"""Replays a recorded transcript of a real server against the gateway and compares: status, the headers that matter, and the
shape of JSON answers (keys and types). What differs and may is listed, with the reason, in a file of exceptions.

Used by transcript_replay.py (the shared recording) and tests/real/replay.py (one that was just made).
"""
import datetime
import gzip
import hashlib
import hmac
import http.client
import json
import re
import subprocess
import sys
import urllib.parse

HEADERS = ("Content-Type", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Window", "Tus-Resumable", "Upload-Offset",
           "Upload-Length", "Accept-Ranges", "Content-Range", "Cache-Control", "Content-Disposition")
EXACT = ("Tus-Resumable", "Upload-Offset", "Upload-Length", "Accept-Ranges", "Content-Range")
# Uploads whose first request is not in the recording -> the file's name.
NEW_UPLOADS = {"tus.head.start": "d1/hello.txt", "tus.patch.wrong-offset": "x.txt", "tus.head.no-tus-header": "y.txt"}


def load(path):
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Gateway:
    """The gateway as a program, acting as some generation, until the block ends."""

    def __init__(self, program, protocol, users):
        arguments = [program, "--protocol", protocol]
        for user in users:
            arguments += ["--user", user]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.environment = {}
        while len(self.environment) < 3:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the gateway ended before it said where it is")
            found = re.search(r"(BACKEND_\w+)=(\S+)", line)
            if found:
                self.environment[found.group(1)] = found.group(2).strip("'\"")
        self.host = urllib.parse.urlsplit(self.environment["BACKEND_ENDPOINT"]).netloc

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def request(host, method, target, headers, body):
    # A stream of events that should have been refused never ends.
    connection = http.client.HTTPConnection(host, timeout=5 if target.startswith("/events/") else 60)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def sign(keys, host, method, target, version, content_type, now):
    date = now.isoformat()
    text = "\n".join([method, target, date, "host:" + host, "content-type:" + content_type.split(";")[0],
                      "x-backendai-version:" + version, hashlib.sha256(b"").hexdigest()])
    key = keys[1].encode()
    for part in (now.strftime("%Y%m%d"), host):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return {"Date": date, "Authorization": f"BackendAI signMethod=HMAC-SHA256, credential={keys[0]}:{signature}"}


def kind(value):
    return {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}.get(type(value), "null")


def differences(expected, found, path="$"):
    """Where the shape differs. A null says nothing of a type; of lists the first items stand for all."""
    if expected is None or found is None:
        return []
    if kind(expected) != kind(found):
        return [f"{path}: {kind(found)} in place of {kind(expected)}"]
    result = []
    if isinstance(expected, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in found:
                result.append(f"{path}.{key}: missing")
            elif key not in expected:
                result.append(f"{path}.{key}: not in the real one")
            else:
                result += differences(expected[key], found[key], f"{path}.{key}")
    elif isinstance(expected, list) and expected and found:
        result += differences(expected[0], found[0], path + "[0]")
    return result


class Replay:
    def __init__(self, gateway, accounts, exceptions, verbose=False):
        self.verbose = verbose
        self.gateway = gateway
        self.accounts = accounts       # the recording's `as` -> (access key, secret key)
        self.exceptions = exceptions   # [{"name": regex, "server"?, "reason": str, "only"?: regex on the difference}]
        self.names = {}                # what the recording calls something -> what the gateway does
        self.tokens = {"upload": None, "download": None}
        self.storage = None
        self.folder = None             # where uploads that the recording left out go
        self.times = {}                # Last-Modified and ETag, as names
        self.used = set()
        self.counts = {"same": 0, "excepted": 0, "different": 0, "left out": 0}

    def learn(self, expected, found):
        """Ids of the recording and of the gateway stand in the same places of the same answers."""
        if isinstance(expected, dict) and isinstance(found, dict):
            for key in expected.keys() & found.keys():
                self.learn(expected[key], found[key])
        elif isinstance(expected, list) and isinstance(found, list):
            for one, other in zip(expected, found):
                self.learn(one, other)
        elif isinstance(expected, str) and isinstance(found, str) and re.fullmatch(r"[0-9a-f-]{16,36}|AKIA\w{16}", expected):
            if expected not in [keys[0] for keys in self.accounts.values()]:
                self.names[expected] = found

    def translate(self, text):
        return re.sub(r"[0-9a-f-]{16,36}|AKIA\w{16}", lambda match: self.names.get(match.group(), match.group()), text)

    def prepare(self, record):
        """What the recording left out: the beginning of an upload, folders that sessions mount."""
        if record["name"] in NEW_UPLOADS:
            body = {"path": NEW_UPLOADS[record["name"]], "size": int(record["response_headers"]["Upload-Length"])}
            status, _, answer = self.ask("admin", "POST", f"/folders/{self.folder}/request-upload", body)
            if status == 200:
                self.tokens["upload"] = json.loads(answer)["token"]
                self.storage = urllib.parse.urlsplit(json.loads(answer)["url"]).netloc
        body = record.get("request_body")
        mounts = body.get("config", {}) if isinstance(body, dict) and isinstance(body.get("config"), dict) else {}
        for name in mounts.get("mounts") or []:
            if record["status"] == 201:
                self.ask("admin", "POST", "/folders", {"name": name})

    def ask(self, who, method, target, body):
        headers = {"X-BackendAI-Version": "v6.20230315", "Content-Type": "application/json", "Host": self.gateway.host}
        headers.update(sign(self.accounts[who], self.gateway.host, method, target, headers["X-BackendAI-Version"],
                            headers["Content-Type"], datetime.datetime.now(datetime.timezone.utc)))
        return request(self.gateway.host, method, target, headers, json.dumps(body).encode())

    def body_of(self, record):
        import base64
        form, value = record.get("request_body_kind"), record.get("request_body")
        if form == "json":
            return self.translate(json.dumps(value)).encode()
        if form == "text":
            return self.translate(value).encode()
        return base64.b64decode(value) if form == "base64" else b""

    def excepted(self, record, difference):
        for number, rule in enumerate(self.exceptions):
            if re.fullmatch(rule["name"], record["name"]) and re.search(rule.get("only", ""), difference):
                self.used.add(number)
                return rule["reason"]
        return None

    def play(self, record):
        """The differences of one exchange; None when it cannot be replayed."""
        if record.get("kind") in ("websocket", "sse") or record["server"] == "webserver":
            return None
        if record.get("request_body_kind") == "stream" or record.get("request_body_note"):
            return None
        if record["target"].startswith("/folders/v"):
            self.folder = record["target"].split("/")[2].split("?")[0] if "/mkdir" in record["target"] else self.folder
        self.prepare(record)
        target = self.translate(record["target"])
        headers = {name: self.times.get(value, value) for name, value in record["request_headers"].items()}
        content_type = headers.get("Content-Type", "")
        host = self.gateway.host
        if record["server"] == "storage-proxy":
            if self.storage is None:
                return None
            host = self.storage
            token = self.tokens["upload" if target.startswith("/upload") else "download"]
            target = target.replace("<masked>", urllib.parse.quote(token or "x"))
        else:
            now = datetime.datetime.now(datetime.timezone.utc)
            if record["name"].endswith(".date-old"):
                now -= datetime.timedelta(minutes=16)
            headers["Date"] = now.isoformat()
            if record.get("as"):
                if record["as"] not in self.accounts:
                    return None
                headers.update(sign(self.accounts[record["as"]], host, record["method"], target, headers.get(
                    "X-BackendAI-Version", ""), content_type or "application/octet-stream", now))
            if record["name"].endswith(".bad-signature"):
                headers["Authorization"] = headers["Authorization"][:-4] + "0000"
        headers["Host"] = host
        try:
            status, got, body = request(host, record["method"], target, headers, self.body_of(record))
        except TimeoutError:
            return ["no end of the answer"]
        result = []
        if status != record["status"]:
            result.append(f"status {status} in place of {record['status']}")
        expected_headers = record["response_headers"]
        for name in HEADERS:
            one, other = expected_headers.get(name), got.get(name)
            if (one is None) != (other is None):
                result.append(f"header {name}: {'missing' if other is None else 'not in the real one'}")
            elif one is not None and name == "Content-Type" and one.split(";")[0] != other.split(";")[0]:
                result.append(f"header {name}: {other} in place of {one}")
            elif one is not None and name in EXACT and one != other:
                result.append(f"header {name}: {other} in place of {one}")
        for name in ("Last-Modified", "Etag"):
            if name in expected_headers and got.get(name):
                self.times[expected_headers[name]] = got[name]
        if self.verbose and result:
            result.append(f"says {body[:300]!r}")
        if record["response_body_kind"] == "json":
            try:
                found = json.loads(body)
            except ValueError:
                return result + ["body: not JSON"]
            result += differences(record["response_body"], found)
            self.learn(record["response_body"], found)
            if status == 200 and isinstance(found, dict) and "/request-" in target and "token" in found:
                self.tokens["upload" if "request-upload" in target else "download"] = found["token"]
                self.storage = urllib.parse.urlsplit(found["url"]).netloc
        elif record["response_body_kind"] == "empty" and body:
            result.append(f"body: {len(body)} bytes in place of none")
        return result

    def run(self, records, show=60):
        shown = 0
        for record in records:
            found = self.play(record)
            if found is None:
                self.counts["left out"] += 1
                continue
            left = [difference for difference in found if self.excepted(record, difference) is None]
            if left:
                self.counts["different"] += 1
                if shown < show:
                    shown += 1
                    print(f"{record['n']} {record['name']}: {record['method']} {record['target']}: " + "; ".join(left[:6]))
            else:
                self.counts["excepted" if found else "same"] += 1
        for number, rule in enumerate(self.exceptions):
            if number not in self.used:
                print(f"an exception that nothing needs: {rule['name']}")
        print(", ".join(f"{count} {name}" for name, count in self.counts.items()))
        return self.counts["different"] == 0


def read_exceptions(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
