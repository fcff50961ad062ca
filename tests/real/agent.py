#!/usr/bin/env python3
"""The stock agent of the real server with a backend of our own behind it: sessions are local processes.

The wheels on PyPI hold the agent's Docker and Kubernetes backends, but not the `dummy` one, which exists in the source
tree only. So this file is the module `ai.backend.agent.dummy`: what the agent's abstract classes want, made of a
folder and two processes per session (code_runner.py, and a shell on a pseudo-terminal). RPC, events, heartbeat,
resource accounting and everything a client sees are the stock agent's and manager's.

Services of each session, as its image's label `ai.backend.service-ports` names them: `echo` (TCP, primary and
secondary port) sends back what it gets. A stand-in for the app proxy, which start-service wants, answers `/status` and
`/v2/conf` on the port that ECHO_APP_PROXY names.
"""
import asyncio
import fcntl
import io
import json
import os
import pty
import secrets
import shutil
import signal
import struct
import sys
import tarfile
import termios
import types
from decimal import Decimal
from pathlib import Path

import zmq
import zmq.asyncio
from aiohttp import web

from ai.backend.agent import server
from ai.backend.agent.agent import ACTIVE_STATUS_SET, AbstractAgent, AbstractKernelCreationContext
from ai.backend.agent.alloc_map import AllocationStrategy, DeviceSlotInfo, DiscretePropertyAllocMap
from ai.backend.agent.kernel import AbstractKernel
from ai.backend.agent.resources import AbstractComputeDevice, AbstractComputePlugin, KernelResourceSpec, Mount
from ai.backend.agent.resources import known_slot_types
from ai.backend.agent.types import Container, ContainerStatus, LifecycleEvent
from ai.backend.common.events import KernelLifecycleEventReason
from ai.backend.common.types import CommitStatus, DeviceId, DeviceName, MountTypes, ResourceSlot, SlotName, SlotTypes
from ai.backend.common.types import current_resource_slots

RUNNER = Path(__file__).with_name("code_runner.py")
LIMIT = 1 << 20  # what a single file of a session may hold when it is fetched, as in the Docker backend
HOME = Path("/home/work")  # the name of a session's folder as its user knows it


def ipv4_port(sock):
    return sock.getsockname()[1]


class LocalKernel(AbstractKernel):
    """A session: a folder, an interpreter, a terminal, and the output that nobody fetched yet."""

    async def init(self, event_producer):
        # The stock method starts a code runner that talks ZeroMQ to a container.
        pass

    def prepare(self, folder):
        self.folder = folder
        self.interpreter = None
        self.batch = None
        self.output = asyncio.Queue()
        self.terminal = None
        self.child = None
        self.stopped = False

    # --- code ---------------------------------------------------------------------------------------------------------
    async def execute(self, run_id, mode, text, *, opts, api_version, flush_timeout):
        run_id = run_id or secrets.token_hex(8)
        if mode == "query" and text.startswith(("%resize ", "%ping")):  # how the manager passes on what a terminal says
            if text.startswith("%resize "):
                self.resize(*map(int, text.split()[1:3]))
            return self.result(run_id, "finished", 0, [])
        if mode == "query":
            await self.order({"code": text})
        elif mode == "batch":
            self.batch = asyncio.create_task(self.run_batch(opts))
        elif mode == "input":
            await self.order({"input": text})
        return await self.collect(run_id, flush_timeout)

    @staticmethod
    def result(run_id, status, exit_code, console, options=None):
        return {"runId": run_id, "status": status, "exitCode": exit_code, "options": options, "console": console}

    async def collect(self, run_id, flush_timeout):
        """Output until something ends or the time is over: what one answer of `execute` holds."""
        console = []
        end = None if flush_timeout is None else asyncio.get_running_loop().time() + flush_timeout
        while True:
            try:
                left = None if end is None else max(0, end - asyncio.get_running_loop().time())
                kind, value = await asyncio.wait_for(self.output.get(), left)
            except asyncio.TimeoutError:
                return self.result(run_id, "continued", None, console)
            if kind == "console":
                if console and console[-1][0] == value[0]:
                    console[-1][1] += value[1]
                else:
                    console.append(list(value))
            elif kind == "waiting":
                return self.result(run_id, "waiting-input", None, console, value)
            else:
                return self.result(run_id, kind, value, console)

    async def order(self, order):
        if self.interpreter is None or self.interpreter.returncode is not None:
            with open(self.folder / ".log", "ab") as log:
                self.interpreter = await asyncio.create_subprocess_exec(
                    sys.executable, "-u", str(RUNNER), cwd=self.folder / "work", stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE, stderr=log, limit=1 << 24, env={**os.environ, **self.environ})
            asyncio.create_task(self.listen(self.interpreter))
        self.interpreter.stdin.write(json.dumps(order).encode() + b"\n")
        await self.interpreter.stdin.drain()

    async def listen(self, interpreter):
        async for line in interpreter.stdout:
            [(kind, value)] = json.loads(line).items()
            await self.output.put((kind, value))
        if await interpreter.wait() != 0 and not self.stopped:
            await self.output.put(("finished", 130))

    async def run_batch(self, opts):
        """clean, build and exec, each with the shell; after each but the last its own status tells the client."""
        steps = [(name, opts.get(name)) for name in ("clean", "build", "exec") if opts.get(name)]
        code = 0
        for index, (name, command) in enumerate(steps):
            process = await asyncio.create_subprocess_shell(
                command, cwd=self.folder / "work", stdin=asyncio.subprocess.DEVNULL, env={**os.environ, **self.environ},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)

            async def pass_on(stream, kind):
                while data := await stream.read(65536):
                    await self.output.put(("console", (kind, data.decode(errors="replace"))))

            await asyncio.gather(pass_on(process.stdout, "stdout"), pass_on(process.stderr, "stderr"))
            code = await process.wait()
            if code != 0:
                break
            if name != "exec":
                await self.output.put((name + "-finished", code))
        await self.output.put(("finished", code))

    async def get_completions(self, text, opts):
        names = [name for name in dir(__builtins__) if name.startswith(text)]
        return {"status": "finished", "completions": names}

    async def get_logs(self):
        log = self.folder / ".log"
        return {"logs": log.read_text(errors="replace") if log.exists() else ""}

    async def interrupt_kernel(self):
        if self.interpreter is not None and self.interpreter.returncode is None:
            self.interpreter.send_signal(signal.SIGINT)
        return {"status": "finished"}

    # --- files --------------------------------------------------------------------------------------------------------
    def path_of(self, name):
        path = (HOME / name).resolve() if not str(name).startswith(str(HOME)) else Path(name)
        try:
            return self.folder / "work" / path.relative_to(HOME)
        except ValueError:
            raise PermissionError("outside of " + str(HOME)) from None

    async def accept_file(self, filename, filedata):
        path = self.path_of(filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(filedata)

    async def download_file(self, filepath):
        path, data = self.path_of(filepath), io.BytesIO()
        if not path.exists():
            raise ValueError(f"there is no file {filepath}")
        with tarfile.open(fileobj=data, mode="w") as archive:
            archive.add(path, arcname=path.name)
        if data.tell() > LIMIT:
            raise ValueError("too large file")
        return data.getvalue()

    async def download_single(self, filepath):
        path = self.path_of(filepath)
        if not path.is_file():
            raise ValueError(f"there is no file {filepath}")
        if path.stat().st_size > LIMIT:
            raise ValueError("too large file")
        return path.read_bytes()

    async def list_files(self, path):
        try:
            folder = self.path_of(path)
            entries = []
            for entry in sorted(folder.iterdir()):
                status = entry.stat(follow_symlinks=False)
                entries.append({"mode": tarfile.stat.filemode(status.st_mode), "size": status.st_size,
                                "ctime": status.st_ctime, "mtime": status.st_mtime, "atime": status.st_atime,
                                "filename": entry.name})
            return {"files": json.dumps(entries), "errors": "", "abspath": str(path)}
        except OSError as problem:
            return {"files": "", "errors": str(problem), "abspath": str(path)}

    # --- terminal: the manager's ends are a PUB socket for input and a SUB socket for output ---------------------------
    def open_terminal(self, context):
        self.stdin, self.stdout = context.socket(zmq.SUB), context.socket(zmq.PUB)
        self.stdin.subscribe(b"")
        ports = self.stdin.bind_to_random_port("tcp://127.0.0.1"), self.stdout.bind_to_random_port("tcp://127.0.0.1")
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(self.folder / "work")
            os.execvpe("bash", ["bash", "--norc", "-i"], {**os.environ, **self.environ, "PS1": "work$ ", "TERM": "dumb"})
        asyncio.get_running_loop().add_reader(self.terminal, self.terminal_says)
        self.typist = asyncio.create_task(self.type_in())
        return ports

    def terminal_says(self):
        try:
            data = os.read(self.terminal, 65536)
        except OSError:  # how Linux says that the shell is gone
            data = b""
        if data:
            self.stdout.send(data)
        else:
            asyncio.get_running_loop().remove_reader(self.terminal)

    async def type_in(self):
        while True:
            os.write(self.terminal, b"".join(await self.stdin.recv_multipart()))

    def resize(self, rows, columns):
        if self.terminal is not None:
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.write(self.terminal, b"\n")  # a prompt, so that whoever has just come sees one

    # --- services -----------------------------------------------------------------------------------------------------
    async def start_service(self, service, opts):
        return {"status": "running"} if service == "echo" else {"status": "failed", "error": f"no service {service}"}

    async def start_model_service(self, model_service):
        return {"status": "failed"}

    async def shutdown_service(self, service):
        return None

    async def get_service_apps(self):
        return {"status": "done", "data": []}

    # --- life ---------------------------------------------------------------------------------------------------------
    async def create_code_runner(self, event_producer, *, client_features, api_version):
        raise NotImplementedError

    async def check_status(self):
        return {"status": "running"}

    async def ping(self):
        return None

    async def check_duplicate_commit(self, kernel_id, subdir):
        return CommitStatus.READY

    async def commit(self, kernel_id, subdir, filename):
        raise NotImplementedError("a local session cannot become an image")

    async def notify_event(self, evdata):
        raise NotImplementedError

    def stop(self):
        self.stopped = True
        if self.batch is not None:
            self.batch.cancel()
        if self.interpreter is not None and self.interpreter.returncode is None:
            self.interpreter.kill()
        if self.child is not None:
            asyncio.get_running_loop().remove_reader(self.terminal)
            self.typist.cancel()
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            os.close(self.terminal)
            self.stdin.close(0)
            self.stdout.close(0)
            self.child = self.terminal = None

    async def close(self):
        self.stop()


class LocalCreation(AbstractKernelCreationContext):
    """One creation of a session. There is nothing to prepare but a folder."""

    def bind(self, agent):
        self.agent = agent
        self.folder = agent.folder_of(self.kernel_id)

    async def get_extra_envs(self):
        return {}

    async def prepare_resource_spec(self):
        if self.restarting:  # what the session holds already
            return self.agent.kernel_registry[self.kernel_id].resource_spec, self.kernel_config.get("resource_opts", {})
        slots = ResourceSlot.from_json(self.kernel_config["resource_slots"])
        current_resource_slots.set(known_slot_types)
        spec = KernelResourceSpec("", {**slots.normalize_slots(ignore_unknown=True)}, {}, 0)
        return spec, self.kernel_config.get("resource_opts", {})

    async def prepare_scratch(self):
        (self.folder / "work").mkdir(parents=True)

    async def get_intrinsic_mounts(self):
        return []

    async def apply_network(self, cluster_info):
        pass

    async def prepare_ssh(self, cluster_info):
        pass

    async def process_mounts(self, mounts):
        for mount in mounts:  # folders of the storage proxy, which is on this machine
            link = self.folder / "work" / mount.target.relative_to(HOME)
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(mount.source)

    async def apply_accelerator_allocation(self, computer, device_alloc):
        pass

    async def generate_accelerator_mounts(self, computer, device_alloc):
        return []

    def resolve_krunner_filepath(self, filename):
        return Path(filename)

    def get_runner_mount(self, type, src, target, perm="ro", opts=None):
        return Mount(MountTypes.BIND, Path(src), Path(target))

    async def mount_krunner(self, resource_spec, environ):
        pass

    async def spawn(self, resource_spec, environ, service_ports):
        kernel = await LocalKernel.new(
            self.kernel_id, self.session_id, self.agent_id, self.image_ref, self.kspec_version,
            agent_config=self.local_config, resource_spec=resource_spec, service_ports=service_ports, environ=environ, data={})
        kernel.prepare(self.folder)
        return kernel

    async def start_container(self, kernel_obj, cmdargs, resource_opts, preopen_ports):
        # Only what listens is a service: no sshd, no ttyd.
        ports = [port for port in kernel_obj.service_ports if port["name"] == "echo"]
        for port in ports:
            port["host_ports"] = tuple(self.agent.echo_port for _ in port["container_ports"])
        kernel_obj.service_ports[:] = ports
        stdin_port, stdout_port = kernel_obj.open_terminal(self.agent.context)
        return {"container_id": "local-" + self.kernel_id.hex, "kernel_host": "127.0.0.1", "repl_in_port": 0,
                "repl_out_port": 0, "stdin_port": stdin_port, "stdout_port": stdout_port, "host_ports": (),
                "domain_socket_proxies": [], "block_service_ports": False}


class LocalAgent(AbstractAgent):
    async def __ainit__(self):
        self.saved = {}
        self.context = zmq.asyncio.Context()
        self.echo = await asyncio.start_server(self.send_back, "127.0.0.1", 0)
        self.echo_port = ipv4_port(self.echo.sockets[0])
        await self.start_app_proxy(int(os.environ["ECHO_APP_PROXY"]))
        await super().__ainit__()

    @staticmethod
    async def send_back(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    @staticmethod
    async def start_app_proxy(port):
        async def status(request):
            return web.json_response({"api_version": "v1", "advertise_address": f"http://127.0.0.1:{port}"})

        async def conf(request):
            await request.json()
            return web.json_response({"token": "stand-in-token"})

        app = web.Application()
        app.add_routes([web.get("/status", status), web.post("/v2/conf", conf)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    def folder_of(self, kernel_id):
        return Path(self.local_config["container"]["scratch-root"]) / str(kernel_id)

    async def load_resources(self):
        computers = {DeviceName("cpu"): Cores({}, self.local_config), DeviceName("mem"): Memory({}, self.local_config)}
        for computer in computers.values():
            for slot_name, slot_type in computer.slot_types:
                known_slot_types[slot_name] = slot_type
        return computers

    async def scan_available_resources(self):
        return {slot: amount for computer in self.computers.values()
                for slot, amount in (await computer.instance.available_slots()).items()}

    async def enumerate_containers(self, status_filter=ACTIVE_STATUS_SET):
        if ContainerStatus.RUNNING not in status_filter:
            return []
        return [(kernel_id, Container(kernel["container_id"], ContainerStatus.RUNNING, str(kernel.image),
                                      {"ai.backend.session-id": str(kernel.session_id)}, [], None))
                for kernel_id, kernel in self.kernel_registry.items() if kernel.get("container_id")]

    async def reconstruct_resource_usage(self):
        # The stock method reads what the running containers' own files say; here the registry knows.
        async with self.resource_lock:
            for computer in self.computers.values():
                computer.alloc_map.clear()
            for kernel in self.kernel_registry.values():
                for name, computer in self.computers.items():
                    if name in kernel.resource_spec.allocations:
                        computer.alloc_map.apply_allocation(kernel.resource_spec.allocations[name])

    async def save_last_registry(self, force=False):
        pass  # a local session does not outlive its agent

    async def scan_images(self):
        return {}

    async def pull_image(self, image_ref, registry_conf):
        pass

    async def check_image(self, image_ref, image_id, auto_pull):
        return False

    async def init_kernel_context(self, kernel_id, session_id, kernel_config, *, restarting=False,
                                  cluster_ssh_port_mapping=None):
        creation = LocalCreation(kernel_id, session_id, self.id, self.event_producer, kernel_config, self.local_config,
                                 self.computers, restarting=restarting)
        creation.bind(self)
        return creation

    async def destroy_kernel(self, kernel_id, container_id):
        kernel = self.kernel_registry.get(kernel_id)
        if kernel is None:
            return
        kernel.stop()
        if container_id is None:
            # With an id the stock agent goes on to the cleaning by itself.
            await self.inject_container_lifecycle_event(kernel_id, kernel.session_id, LifecycleEvent.CLEAN,
                                                        KernelLifecycleEventReason.SELF_TERMINATED)

    async def clean_kernel(self, kernel_id, container_id, restarting):
        if not restarting:
            shutil.rmtree(self.folder_of(kernel_id), ignore_errors=True)

    async def create_local_network(self, network_name):
        pass

    async def destroy_local_network(self, network_name):
        pass

    async def restart_kernel__load_config(self, kernel_id, name):
        return self.saved[kernel_id, name]

    async def restart_kernel__store_config(self, kernel_id, name, data):
        self.saved[kernel_id, name] = data


class Plugin(AbstractComputePlugin):
    """A countable resource of this machine."""

    config_watch_enabled = False

    async def init(self, context=None):
        pass

    async def cleanup(self):
        pass

    async def update_plugin_config(self, new_plugin_config):
        pass

    def get_metadata(self):
        return {"slot_name": self.key, "description": self.key, "human_readable_name": self.key, "display_unit": "",
                "number_format": {"binary": False, "round_length": 0}, "display_icon": "cpu"}

    async def available_slots(self):
        return {self.slot_types[0][0]: self.amount}

    async def create_alloc_map(self):
        slot, kind = self.slot_types[0]
        each = self.amount / len(self.devices)
        return DiscretePropertyAllocMap(allocation_strategy=AllocationStrategy.FILL,
                                        device_slots={device.device_id: DeviceSlotInfo(kind, slot, each)
                                                      for device in self.devices})

    async def list_devices(self):
        return self.devices

    def get_version(self):
        return "1"

    async def extra_info(self):
        return {}

    async def gather_node_measures(self, ctx):
        return []

    async def gather_container_measures(self, ctx, container_ids):
        return []

    async def gather_process_measures(self, ctx, pid_map):
        return []

    async def get_hooks(self, distro, arch):
        return []

    async def generate_docker_args(self, docker, device_alloc):
        return {}

    async def restore_from_container(self, container, alloc_map):
        pass

    async def get_attached_devices(self, device_alloc):
        return []

    async def get_docker_networks(self, device_alloc):
        return []

    async def generate_mounts(self, source_path, device_alloc):
        return []


class Cores(Plugin):
    key = DeviceName("cpu")
    slot_types = [(SlotName("cpu"), SlotTypes.COUNT)]
    amount = Decimal(32)  # more than the machine has: nothing is really reserved
    devices = [AbstractComputeDevice(DeviceId(str(core)), "root", 0, 1, device_name=DeviceName("cpu")) for core in range(32)]


class Memory(Plugin):
    key = DeviceName("mem")
    slot_types = [(SlotName("mem"), SlotTypes.BYTES)]
    amount = Decimal(64 << 30)
    devices = [AbstractComputeDevice(DeviceId("root"), "root", 64 << 30, 0, device_name=DeviceName("mem"))]


async def no_environment(local_config):
    return {}


package = types.ModuleType("ai.backend.agent.dummy")
package.get_agent_cls = lambda: LocalAgent
package.__path__ = []
kernel = types.ModuleType("ai.backend.agent.dummy.kernel")
kernel.prepare_krunner_env = no_environment
sys.modules[package.__name__], sys.modules[kernel.__name__] = package, kernel

if __name__ == "__main__":
    sys.exit(server.main())
