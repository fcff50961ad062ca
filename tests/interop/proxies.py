#!/usr/bin/env python3
"""HTTP and websockets through HTTP proxies, on both transports: a proxy of this script, which can say no, and tinyproxy where
that is installed. The client is BACKENDAI_WS_CLIENT."""
import base64
import hashlib
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from common import Tap, clean_environment  # noqa: E402

CLIENT = os.environ["BACKENDAI_WS_CLIENT"]
ENVIRONMENT = {k: v for k, v in clean_environment().items() if not k.lower().endswith("_proxy")}
# No resolver knows it: only who asks the proxy gets there.
FAR = "backendai.invalid"


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("no request")
        head += byte
    return head.decode("latin-1")


def header(head, name):
    for line in head.split("\r\n")[1:]:
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    return None


class Server:
    """Calls serve(connection) in a thread for each connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.guarded, args=(connection,), daemon=True).start()

    def guarded(self, connection):
        try:
            with connection:
                self.serve(connection)
        except (OSError, ConnectionError):
            pass


class Origin(Server):
    """Answers a GET with a text, and a handshake with a websocket that echoes one text."""

    def __init__(self, pem=None):
        self.heads, self.context = [], None
        if pem:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pem)
        super().__init__()

    def serve(self, connection):
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
        while True:
            head = read_head(connection)
            self.heads.append(head)
            if not header(head, "Upgrade"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
                continue
            key = header(head, "Sec-WebSocket-Key").encode()
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            connection.sendall(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                               + accept + b"\r\n\r\n")
            while True:
                frame = connection.recv(65536)
                if not frame:
                    return
                size, mask = frame[1] & 127, frame[2:6]  # of short frames, which come whole
                payload = bytes(b ^ mask[i % 4] for i, b in enumerate(frame[6:6 + size]))
                connection.sendall(bytes([frame[0], size]) + payload)
                if frame[0] == 0x88:
                    return


def relay(one, other):
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            try:
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
    thread = threading.Thread(target=copy, args=(one, other), daemon=True)
    thread.start()
    copy(other, one)
    thread.join()


class Proxy(Server):
    """Knows CONNECT and whole URLs; every name is this machine to it."""

    def __init__(self, credentials=None, refusal=None):
        self.requests, self.refusal = [], refusal
        self.wanted = "Basic " + base64.b64encode(credentials.encode()).decode() if credentials else None
        super().__init__()

    def serve(self, connection):
        while True:
            head = read_head(connection)
            method, target, _ = head.split("\r\n")[0].split(" ")
            self.requests.append(f"{method} {target}")
            if self.wanted and header(head, "Proxy-Authorization") != self.wanted:
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                                   b"Content-Length: 3\r\n\r\nno!")
                continue
            if self.refusal:
                connection.sendall(f"HTTP/1.1 {self.refusal}\r\nContent-Length: 3\r\n\r\nno!".encode())
                continue
            if method == "CONNECT":
                with socket.create_connection(("127.0.0.1", int(target.rsplit(":", 1)[1]))) as far:
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
                    relay(connection, far)
                return
            host, path = target.removeprefix("http://").split("/", 1)
            with socket.create_connection(("127.0.0.1", int(host.rsplit(":", 1)[1]))) as far:
                lines = [f"{method} /{path} HTTP/1.1"] + [line for line in head.split("\r\n")[1:]
                                                          if not line.lower().startswith("proxy-")]
                far.sendall("\r\n".join(lines).encode("latin-1"))
                connection.sendall(far.recv(65536))


def call(what, url, *options, environment=None):
    done = subprocess.run([CLIENT, what, url, *options], input="over\n", text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, env={**ENVIRONMENT, **(environment or {})})
    return done.returncode, done.stdout.strip()


GOOD = {"get": (0, "200 here"), "echo": (0, "open \ntext over\nclosed 1000")}


def check(tap, folder, transport):
    title = "curl" if transport else "sockets"
    plain, secure = Origin(), Origin(folder / "good.pem")
    trust = ("--ca", str(folder / "ca.pem"))

    def say(name, good, *got):
        tap.result(good, f"{title}: {name}", repr(got))

    for what in ("get", "echo"):
        for credentials in ("", "user:pa:ss"):
            proxy = Proxy(credentials)
            at = f"http://{credentials.replace('pa:ss', 'pa%3Ass')}{'@' if credentials else ''}127.0.0.1:{proxy.port}"
            lock = "with a password" if credentials else "open"
            got = call(what, f"http://localhost:{plain.port}/x", *transport, "--proxy", at)
            tunnelled = [f"CONNECT localhost:{plain.port}"]
            asked = [f"GET http://localhost:{plain.port}/x"] if what == "get" else tunnelled
            say(f"{what}, {lock} proxy", got == GOOD[what] and proxy.requests == asked, got, proxy.requests)
            proxy.requests.clear()
            before = len(secure.heads)
            got = call(what, f"https://localhost:{secure.port}/x", *transport, *trust, "--proxy", at)
            say(f"{what} over TLS, {lock} proxy", got == GOOD[what] and proxy.requests == [f"CONNECT localhost:{secure.port}"],
                got, proxy.requests)
            told = [header(head, "Proxy-Authorization") for head in secure.heads[before:] + plain.heads]
            say(f"{what}, {lock} proxy: the server does not learn the password", told and not any(told), told)
            got = call(what, f"https://localhost:{secure.port}/x", *transport, "--proxy", at)
            say(f"{what}, {lock} proxy: certificates are still checked", got[0] == 1 and got[1].startswith("tls"), got)
        # Refusals: of a tunnel, the connection could not be made; of a plain request, it is the answer.
        for name, proxy in (("407", Proxy("other:secret")), ("403", Proxy(refusal="403 Forbidden"))):
            at = f"http://user:pass@127.0.0.1:{proxy.port}"
            before = len(secure.heads)
            got = call(what, f"https://localhost:{secure.port}/x", *transport, *trust, "--proxy", at)
            say(f"{what} over TLS: a proxy that says {name}", got[0] == 1 and got[1].startswith("connect") and name in got[1]
                and "pass" not in got[1].replace("pass through", "") and len(secure.heads) == before, got)
            got = call(what, f"http://localhost:{plain.port}/x", *transport, "--proxy", at)
            say(f"{what}: a proxy that says {name}", got[0] == 1 and name in got[1], got)
        nobody = socket.create_server(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        nobody.close()
        got = call(what, f"http://localhost:{plain.port}/x", *transport, "--proxy", f"http://127.0.0.1:{port}")
        say(f"{what}: no proxy there", got[0] == 1 and got[1].startswith("connect"), got)

        # What the environment says. The far name is looked up by nobody but the proxy.
        proxy = Proxy()
        at = f"http://127.0.0.1:{proxy.port}"
        far, far_secure = f"http://{FAR}:{plain.port}/x", f"https://{FAR}:{secure.port}/x"
        skip = ("--insecure",)  # the certificate names another host
        rows = [
            ("HTTPS_PROXY", far_secure, {"HTTPS_PROXY": at}, True),
            ("https_proxy", far_secure, {"https_proxy": at}, True),
            ("ALL_PROXY", far_secure, {"ALL_PROXY": at}, True),
            ("without its scheme", far_secure, {"HTTPS_PROXY": at.removeprefix("http://")}, True),
            ("http_proxy", far, {"http_proxy": at}, True),
            ("HTTP_PROXY, which is not for us", far, {"HTTP_PROXY": at}, False),
            ("HTTPS_PROXY is not for plain http", far, {"HTTPS_PROXY": at}, False),
            ("NO_PROXY", far_secure, {"HTTPS_PROXY": at, "NO_PROXY": f"other, {FAR}"}, False),
            ("no_proxy, a domain", far_secure, {"HTTPS_PROXY": at, "no_proxy": ".invalid"}, False),
            ("NO_PROXY, everything", far_secure, {"HTTPS_PROXY": at, "NO_PROXY": "*"}, False),
            ("NO_PROXY, another port", far_secure, {"HTTPS_PROXY": at, "NO_PROXY": f"{FAR}:1"}, True),
            ("NO_PROXY, another name", far_secure, {"HTTPS_PROXY": at, "NO_PROXY": "invalid.example,nvalid"}, True),
        ]
        for name, url, environment, used in rows:
            proxy.requests.clear()
            got = call(what, url, *transport, *skip, environment=environment)
            good = got == GOOD[what] and len(proxy.requests) == 1 if used else got[0] == 1 and not proxy.requests
            say(f"{what}: {name}", good, got, proxy.requests)
        proxy.requests.clear()
        got = call(what, f"https://localhost:{secure.port}/x", *transport, *trust, environment={"HTTPS_PROXY": at})
        say(f"{what}: this machine needs no proxy", got == GOOD[what] and not proxy.requests, got)
        got = call(what, far_secure, *transport, *skip, "--proxy", "", environment={"HTTPS_PROXY": at})
        say(f"{what}: the configuration's \"none\" goes before the environment", got[0] == 1 and not proxy.requests, got)


def check_tinyproxy(tap, folder, transport):
    title = "curl" if transport else "sockets"
    plain, secure = Origin(), Origin(folder / "good.pem")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth user secret\n"
                             f"ConnectPort {plain.port}\nConnectPort {secure.port}\nMaxClients 20\n")
    process = subprocess.Popen([shutil.which("tinyproxy"), "-d", "-c", str(configuration)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        for what in ("get", "echo"):
            for name, url, options in (("plain", f"http://localhost:{plain.port}/x", ()),
                                       ("over TLS", f"https://localhost:{secure.port}/x", ("--ca", str(folder / "ca.pem")))):
                got = call(what, url, *transport, *options, "--proxy", f"http://user:secret@127.0.0.1:{port}")
                tap.result(got == GOOD[what], f"{title}: tinyproxy, {what} {name}", repr(got))
                got = call(what, url, *transport, *options, "--proxy", f"http://user:wrong@127.0.0.1:{port}")
                tap.result(got[0] == 1, f"{title}: tinyproxy, {what} {name}, wrong password", repr(got))
    finally:
        process.kill()
        process.wait()


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run(["sh", str(ROOT / "tests" / "tools" / "make_certificates.sh"), name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for transport in ((), ("--curl",)):
            if transport and call("get", "http://127.0.0.1:1/", *transport)[0] == 77:
                tap.skip("curl", "the client was built without libcurl")
                continue
            check(tap, folder, transport)
            if shutil.which("tinyproxy"):
                check_tinyproxy(tap, folder, transport)
            else:
                tap.skip("tinyproxy", "it is not installed")
    tap.end()


if __name__ == "__main__":
    main()
