#!/usr/bin/env python3
"""The SDK's websockets against real servers: aiohttp's (Debian's python3-aiohttp) and npm's ws, plain and over TLS.

A server that is not here is skipped, with the reason; with neither the exit status is 77. Certificates come from the openssl
program. The client is BACKENDAI_WS_CLIENT.
"""
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from common import Tap, clean_environment  # noqa: E402

CLIENT = os.environ["BACKENDAI_WS_CLIENT"]
# Echoes text and binary, says goodbye with 4000 at "close", and refuses what is not at /echo.
NODE = r"""
const fs = require('fs'), http = require('http'), https = require('https'), { WebSocketServer } = require('ws');
const folder = process.argv[2];
const start = (server, name) => {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: offered => offered.has('chat') ? 'chat' : false });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url.startsWith('/echo')) { socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!'); return; }
    sockets.handleUpgrade(request, socket, head, stream => {
      stream.on('message', (data, binary) => {
        if (!binary && data.toString() === 'close') stream.close(4000, 'as you say'); else stream.send(data, { binary });
      });
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(name + ' ' + server.address().port));
};
start(http.createServer(), 'plain');
for (const name of ['good', 'self-signed', 'expired', 'wrong-name']) {
  const pem = fs.readFileSync(folder + '/' + name + '.pem');
  start(https.createServer({ cert: pem, key: pem }), name);
}
"""
TRANSPORTS = ((), ("--curl",))
NAMES = ("good", "self-signed", "expired", "wrong-name")


class AiohttpPeer:
    """In a thread of this process."""
    title = "aiohttp"

    def __init__(self, folder):
        import asyncio
        from aiohttp import WSMsgType, web
        self.ports, started = {}, threading.Event()

        async def echo(request):
            stream = web.WebSocketResponse(protocols=("chat",))
            await stream.prepare(request)
            async for message in stream:
                if message.type == WSMsgType.TEXT and message.data == "close":
                    await stream.close(code=4000, message=b"as you say")
                elif message.type == WSMsgType.TEXT:
                    await stream.send_str(message.data)
                elif message.type == WSMsgType.BINARY:
                    await stream.send_bytes(message.data)
            return stream

        async def refuse(request):
            return web.Response(status=403, text="no!")

        async def serve():
            application = web.Application()
            application.router.add_get("/echo", echo)
            application.router.add_get("/{other:.*}", refuse)
            runner = web.AppRunner(application)
            await runner.setup()
            for name in ("plain",) + NAMES:
                context = None
                if name != "plain":
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(folder / f"{name}.pem")
                site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
                await site.start()
                self.ports[name] = site._server.sockets[0].getsockname()[1]
            started.set()
            await asyncio.Event().wait()

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        if not started.wait(30):
            raise RuntimeError("aiohttp's server did not start")

    def stop(self):
        pass  # ends with this process


class NodePeer:
    title = "ws"

    def __init__(self, folder, modules):
        script = folder / "peer.js"
        script.write_text(NODE)
        self.process = subprocess.Popen(["node", str(script), str(folder)], stdout=subprocess.PIPE, text=True,
                                        env={**clean_environment(), "NODE_PATH": str(modules)})
        self.ports = {}
        while len(self.ports) < 1 + len(NAMES):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the node server ended before it listened")
            name, port = line.split()
            self.ports[name] = int(port)

    def stop(self):
        self.process.kill()
        self.process.wait()


def find_ws(folder):
    """The folder of node modules with ws in it, or why there is none."""
    if shutil.which("node") is None:
        return None, "node is not installed"
    for known in (os.environ.get("BACKENDAI_NODE_MODULES"), "/usr/share/nodejs", "/usr/lib/node_modules"):
        if known and (pathlib.Path(known) / "ws").is_dir():
            return pathlib.Path(known), None
    if shutil.which("npm") is None:
        return None, "npm's ws is not installed, nor is npm"
    done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "ws@8"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if done.returncode != 0:
        return None, "npm install ws failed: " + done.stdout.strip().split("\n")[-1]
    return folder / "node_modules", None


def talk(url, lines, *options):
    done = subprocess.run([CLIENT, "echo", url, *options], input="".join(line + "\n" for line in lines), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, env=clean_environment())
    return done.returncode, done.stdout.split("\n")


def check(tap, peer, folder, transport):
    title = f"{peer.title}, {transport[0].lstrip('-') if transport else 'sockets'}"
    if transport and talk("http://127.0.0.1:1/", [], *transport)[0] == 77:
        tap.skip(title, "the client was built without libcurl")
        return

    def say(name, good, got):
        tap.result(good, f"{title}: {name}", "\n".join(map(str, got)) if isinstance(got, (list, tuple)) else str(got))

    plain = f"http://127.0.0.1:{peer.ports['plain']}/echo"
    secure = {name: f"https://localhost:{peer.ports[name]}/echo" for name in NAMES}
    texts = ["", "hello", "käse \U0001f600", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536, "x" * 300000]
    for where, url, options in (("plain", plain, transport), ("TLS", secure["good"], (*transport, "--ca", str(folder / "ca.pem")))):
        status, got = talk(url, texts, *options)
        say(f"{where}: texts of all sizes", (status, got) == (0, ["open "] + ["text " + t for t in texts] + ["closed 1000", ""]),
            [status] + [line[:60] for line in got])
        status, got = talk(url, texts, "--binary", *options)
        say(f"{where}: binary messages", got[1:-2] == ["binary " + t for t in texts] and status == 0, [status, got[-2:]])
        status, got = talk(url, ["one", "close"], *options)
        say(f"{where}: the server's close", (status, got) == (0, ["open ", "text one", "closed 4000 as you say", ""]), got)
        status, got = talk(url, ["one"], "--protocol", "other, chat", *options)
        say(f"{where}: a subprotocol", got[0] == "open chat", got)
        status, got = talk(url.replace("/echo", "/other"), ["one"], *options)
        say(f"{where}: a refusal", status == 1 and got[0].find("403") >= 0, got)
        status, got = talk(url, ["x"] * 300, "--ping", "20", *options)
        say(f"{where}: with pings in between", status == 0 and got[1:301] == ["text x"] * 300, got[-3:])
    for name in ("self-signed", "expired", "wrong-name"):
        status, got = talk(secure[name], ["one"], *transport, "--ca", str(folder / "ca.pem"))
        say(f"{name} certificate is refused", status == 1 and got[0].startswith("tls"), got)
        status, got = talk(secure[name], ["one"], *transport, "--insecure")
        say(f"{name} certificate, with the flag", got[:2] == ["open ", "text one"], got)
    status, got = talk(secure["good"], ["one"], *transport)
    say("an authority that is not the system's is refused", status == 1 and got[0].startswith("tls"), got)


def main():
    tap, peers = Tap(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run(["sh", str(ROOT / "tests" / "tools" / "make_certificates.sh"), name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            import aiohttp  # noqa: F401
        except ImportError:
            tap.skip("aiohttp", "this python has no aiohttp (Debian: python3-aiohttp)")
        else:
            peer = AiohttpPeer(folder)
            for transport in TRANSPORTS:
                check(tap, peer, folder, transport)
            peers += 1
        modules, why = find_ws(folder)
        if modules is None:
            tap.skip("ws", why)
        else:
            peer = NodePeer(folder, modules)
            try:
                for transport in TRANSPORTS:
                    check(tap, peer, folder, transport)
            finally:
                peer.stop()
            peers += 1
    if peers == 0:
        print("SKIP: neither aiohttp nor npm's ws is here")
        raise SystemExit(77)
    tap.end()


if __name__ == "__main__":
    main()
