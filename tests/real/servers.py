"""Starts and stops the real server: PostgreSQL, Redis, etcd, manager, storage proxy, webserver and agent, all on loopback,
on ports that were free a moment before, with everything they write in one temporary folder.

Why things are as they are:
- PostgreSQL refuses to run as root: then it runs as Debian's user `postgres`, and its folder belongs to that user.
- DOCKER_HOST: the manager makes a Docker client object at its start and dies without one of an address; nothing listens there.
- `version.txt`: the storage proxy takes an empty volume for one of the old layout.
- The agent waits for `nodes/manager` in etcd, so it is the last one.
- Each process leads a group of its own; the storage proxy has been seen to ignore SIGTERM, so SIGKILL follows to the group.
- fsync is off: the data live as long as the run.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import install

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = "cr.backend.ai/stable/python:3.9-ubuntu20.04"
PASSWORD = "develove"
LOGGING = """
[logging]
level = "INFO"
drivers = ["console"]
[logging.pkg-ns]
"" = "WARNING"
"ai.backend" = "INFO"
[logging.console]
colored = false
format = "simple"
"""


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for port in held:
        port.bind(("127.0.0.1", 0))
    numbers = [port.getsockname()[1] for port in held]
    for port in held:
        port.close()
    return numbers


class Servers:
    def __init__(self, python):
        self.python = python
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="real-"))
        self.folder.chmod(0o755)
        self.processes = []
        names = ("postgres redis etcd etcd_peer manager storage storage_manager web agent agent_sock app_proxy "
                 "m_termui m_webui s_termui s_webui a_termui a_webui").split()
        self.port = dict(zip(names, free_ports(len(names))))
        self.endpoint = f"http://127.0.0.1:{self.port['manager']}"
        self.web_endpoint = f"http://127.0.0.1:{self.port['web']}"

    # --- processes ----------------------------------------------------------------------------------------------------
    def start(self, name, *command, user=None):
        if user:
            command = ("runuser", "-u", user, "--", *command)
        log = (self.folder / (name + ".log")).open("ab")
        environment = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:2375", "PYTHONUNBUFFERED": "1",
                       "ECHO_APP_PROXY": str(self.port["app_proxy"])}
        process = subprocess.Popen([str(part) for part in command], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True)
        self.processes.append((name, process))

    def run(self, *command, user=None, **more):
        if user:
            command = ("runuser", "-u", user, "--", *command)
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, **more)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(str(part) for part in command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def wait(self, what, ready, seconds=90):
        end = time.monotonic() + seconds
        while True:
            problem = None
            try:
                if ready():
                    return
            except (OSError, RuntimeError, urllib.error.URLError) as failure:
                problem = failure
            for name, process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.tail(name)}")
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not get ready in {seconds} s: {problem}\n{self.tail(what)}")
            time.sleep(0.2)

    def tail(self, name, lines=40):
        log = self.folder / (name + ".log")
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def stop(self):
        for name, process in reversed(self.processes):
            # Fast shutdown of PostgreSQL is SIGINT; with SIGTERM it would wait for its clients.
            self.signal(process, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        for name, process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
            self.signal(process, signal.SIGKILL)  # the group: whoever of it is left
            process.wait()
        self.processes.clear()

    @staticmethod
    def signal(process, number):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass

    def remove(self):
        shutil.rmtree(self.folder)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    # --- services -----------------------------------------------------------------------------------------------------
    def start_services(self):
        user = "postgres" if os.getuid() == 0 else None
        data = self.folder / "postgres"
        data.mkdir()
        self.write("password", PASSWORD)
        if user:
            shutil.chown(data, user)
        self.start("etcd", install.service("etcd"), "--data-dir", self.folder / "etcd",
                   "--listen-client-urls", f"http://127.0.0.1:{self.port['etcd']}",
                   "--advertise-client-urls", f"http://127.0.0.1:{self.port['etcd']}",
                   "--listen-peer-urls", f"http://127.0.0.1:{self.port['etcd_peer']}",
                   "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.port['etcd_peer']}",
                   "--initial-cluster", f"default=http://127.0.0.1:{self.port['etcd_peer']}")
        self.start("redis", install.service("redis-server"), "--port", self.port["redis"], "--bind", "127.0.0.1", "--save", "",
                   "--requirepass", PASSWORD)
        self.run(install.service("initdb"), "-D", data / "data", "-U", "postgres", "--auth=scram-sha-256", "--no-sync",
                 f"--pwfile={self.folder / 'password'}", "-E", "UTF8", "--locale=C", user=user)
        self.start("postgres", install.service("postgres"), "-D", data / "data", "-p", self.port["postgres"],
                   "-k", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off",
                   "-c", "max_connections=200", user=user)
        self.wait("postgres", lambda: self.sql("select 1", database="postgres"))
        self.sql("create database backend", database="postgres")
        self.wait("etcd", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port['etcd']}/health", timeout=5).status == 200)

    def sql(self, text, database="backend"):
        return self.run(install.service("psql"), "-h", "127.0.0.1", "-p", self.port["postgres"], "-U", "postgres", "-d", database,
                        "-v", "ON_ERROR_STOP=1", "-Atc", text, env={**os.environ, "PGPASSWORD": PASSWORD})

    # --- configuration ------------------------------------------------------------------------------------------------
    def write_configuration(self):
        port, folder = self.port, self.folder
        etcd = f"""[etcd]
namespace = "local"
addr = {{ host = "127.0.0.1", port = {port['etcd']} }}
user = ""
password = ""
"""
        debug = "[debug]\nenabled = false\n"
        self.write("manager.toml", etcd + LOGGING + debug + f"""[db]
type = "postgresql"
addr = {{ host = "127.0.0.1", port = {port['postgres']} }}
name = "backend"
user = "postgres"
password = "{PASSWORD}"
[manager]
num-proc = 1
service-addr = {{ host = "127.0.0.1", port = {port['manager']} }}
ipc-base-path = "{folder}/ipc"
heartbeat-timeout = 40.0
id = "i-manager01"
event-loop = "asyncio"
distributed-lock = "pg_advisory"
aiomonitor-termui-port = {port['m_termui']}
aiomonitor-webui-port = {port['m_webui']}
rpc-auth-manager-keypair = "{folder}/manager.key_secret"
[docker-registry]
ssl-verify = false
""")
        self.write("storage-proxy.toml", etcd + LOGGING + debug + f"""[storage-proxy]
node-id = "i-storage-proxy-01"
num-proc = 1
event-loop = "asyncio"
ipc-base-path = "{folder}/ipc"
secret = "private-secret"
session-expire = "1d"
max-upload-size = "1g"
aiomonitor-termui-port = {port['s_termui']}
aiomonitor-webui-port = {port['s_webui']}
[api.client]
service-addr = {{ host = "127.0.0.1", port = {port['storage']} }}
ssl-enabled = false
[api.manager]
service-addr = {{ host = "127.0.0.1", port = {port['storage_manager']} }}
ssl-enabled = false
secret = "shared-secret"
[volume]
[volume.volume1]
backend = "vfs"
path = "{folder}/volume1"
""")
        # `id`, `instance-type` and `region` keep the agent from asking a cloud's metadata service who it is.
        self.write("agent.toml", etcd + LOGGING + f"""[agent]
backend = "dummy"
rpc-listen-addr = {{ host = "127.0.0.1", port = {port['agent']} }}
agent-sock-port = {port['agent_sock']}
id = "i-local01"
instance-type = "local"
region = "local"
scaling-group = "default"
event-loop = "asyncio"
ipc-base-path = "{folder}/ipc"
var-base-path = "{folder}/var"
image-commit-path = "{folder}/commit"
aiomonitor-termui-port = {port['a_termui']}
aiomonitor-webui-port = {port['a_webui']}
[container]
port-range = [30000, 31000]
bind-host = "127.0.0.1"
stats-type = "docker"
sandbox-type = "docker"
scratch-type = "hostdir"
scratch-root = "{folder}/scratches"
[resource]
reserved-cpu = 1
reserved-mem = "1G"
reserved-disk = "1G"
[debug]
enabled = false
heartbeat-interval = 2.0
""")
        self.write("webserver.toml", LOGGING + debug + f"""[service]
ip = "127.0.0.1"
port = {port['web']}
mode = "static"
static_path = "{folder}"
[service.wsproxy]
url = ""
[resources]
[environments]
[plugin]
[pipeline]
[ui]
brand = "test"
[api]
domain = "default"
endpoint = "{self.endpoint}"
text = "test"
ssl_verify = false
[session]
[session.redis]
addr = "127.0.0.1:{port['redis']}"
password = "{PASSWORD}"
db = 5
[license]
[webserver]
event-loop = "asyncio"
ipc-base-path = "{folder}/ipc"
""")
        self.write("alembic.ini", f"""[alembic]
script_location = ai.backend.manager.models:alembic
sqlalchemy.url = postgresql://postgres:{PASSWORD}@127.0.0.1:{port['postgres']}/backend
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = simple
[logger_root]
level = WARN
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = simple
[formatter_simple]
format = %(message)s
""")
        self.write("etcd-config.json", json.dumps({
            "redis": {"addr": f"127.0.0.1:{port['redis']}", "password": PASSWORD},
            "docker": {"registry": {"cr.backend.ai": {"": "https://cr.backend.ai", "type": "harbor2", "project": "stable"}}}}))
        self.write("etcd-volumes.json", json.dumps({
            "_types": {"user": "", "group": ""}, "default_host": "local:volume1", "exposed_volume_info": "percentage",
            "proxies": {"local": {"client_api": f"http://127.0.0.1:{port['storage']}",
                                  "manager_api": f"http://127.0.0.1:{port['storage_manager']}", "secret": "shared-secret",
                                  "ssl_verify": "false"}}}))
        (folder / "volume1").mkdir()
        (folder / "volume1/version.txt").write_text("3\n")

    def manager_command(self, *arguments):
        return subprocess.Popen([str(self.python), "-m", "ai.backend.manager.cli", "-f", "manager.toml", *arguments],
                                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:2375"})

    @staticmethod
    def finish(*commands):
        for command in commands:
            output, _ = command.communicate()
            if command.returncode != 0 or "Traceback" in output:
                raise RuntimeError(f"{' '.join(command.args[3:])}: {output}")

    def fill(self):
        # Wanted at the start, though an agent without a key of its own is spoken to in the clear.
        self.run(self.python, "-c", "import zmq.auth; zmq.auth.create_certificates('.', 'manager')")
        self.finish(self.manager_command("schema", "oneshot", "-f", "alembic.ini"),
                    self.manager_command("etcd", "put-json", "config", "etcd-config.json"),
                    self.manager_command("etcd", "put-json", "volumes", "etcd-volumes.json"))
        fixture = (HERE / "fixture.json").read_text().replace("@APP_PROXY@", f"http://127.0.0.1:{self.port['app_proxy']}")
        self.write("fixture.json", fixture)
        self.finish(self.manager_command("fixture", "populate", "fixture.json"))
        # No registry can be scanned, and fixtures do not cover images. The digest's column has 72 characters.
        labels = json.dumps({"ai.backend.kernelspec": "1", "ai.backend.role": "COMPUTE", "ai.backend.runtime-type": "python",
                             "ai.backend.features": "batch query uid-match user-input", "ai.backend.resource.min.cpu": "1",
                             "ai.backend.resource.min.mem": "64m", "ai.backend.service-ports": "echo:tcp:[7000,7001]",
                             "ai.backend.base-distro": "ubuntu20.04"})
        resources = json.dumps({"cpu": {"min": "1", "max": None}, "mem": {"min": "64m", "max": None}})
        architecture = {"arm64": "aarch64"}.get(os.uname().machine, os.uname().machine)
        # A user without a main access key is nobody to this release. The two tables refer to each other: an update.
        self.sql(f"""update users set main_access_key = (select access_key from keypairs where "user" = users.uuid);
            insert into images (id, name, image, tag, registry, architecture, config_digest, size_bytes, is_local, type,
                                          labels, resources)
            values ('33333333-0000-4000-8000-000000000001', '{IMAGE}', 'stable/python', '3.9-ubuntu20.04', 'cr.backend.ai',
                    '{architecture}', '{('sha256:' + '0' * 64).ljust(72)}', 1000000, false, 'COMPUTE', '{labels}', '{resources}');
            insert into image_aliases (id, alias, image)
            values ('33333333-0000-4000-8000-000000000002', 'python:3.9', '33333333-0000-4000-8000-000000000001')""")

    def start_servers(self):
        python = self.python
        self.start("storage", python, "-m", "ai.backend.storage.server", "-f", "storage-proxy.toml")
        self.start("manager", python, "-m", "ai.backend.manager.server", "-f", "manager.toml")
        self.start("webserver", python, "-m", "ai.backend.web.server", "-f", "webserver.toml")
        self.wait("manager", lambda: self.answers(self.endpoint))
        self.start("agent", python, HERE / "agent.py", "-f", "agent.toml")
        self.wait("storage", lambda: socket.create_connection(("127.0.0.1", self.port["storage"])).close() is None)
        self.wait("webserver", lambda: self.answers(self.web_endpoint + "/func"))
        self.wait("agent", lambda: self.sql("select count(*) from agents where status = 'ALIVE'").strip() == "1")

    @staticmethod
    def answers(url):
        with urllib.request.urlopen(url + "/", timeout=5) as answer:
            return "version" in json.load(answer)

    def up(self):
        started = time.monotonic()
        self.start_services()
        self.write_configuration()
        self.fill()
        self.start_servers()
        print(f"the real server is up after {time.monotonic() - started:.0f} s: {self.endpoint}", flush=True)
