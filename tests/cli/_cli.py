"""What the tests of the command line share: the program run as a user does, in a pipe or in a terminal of its own."""
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tools'))
from common import Tap, clean_environment  # noqa: E402

# Whoever started the tests may have these ignored (nohup, a shell's background), which the programs here would inherit.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

TRACE = re.compile(r'terminate called|what\(\)|Traceback|core dumped|backendai::|std::|\.hpp|\.cpp')
ESCAPE = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')


def curl(t, name, *arguments):
    """What curl prints, which many users ask with; None, and a check that was skipped, where it is not installed."""
    if not shutil.which('curl'):
        t.skip(name, 'not installed (Debian: curl)')
        return None
    return subprocess.run(['curl', '-sS', '--noproxy', '*', *arguments], stdout=subprocess.PIPE, timeout=120).stdout


class Gateway:
    """examples/gateway with a second user, and what `options` say. `environment` is what it tells to export."""
    OTHER = {'BACKEND_ACCESS_KEY': 'AKIAOTHEROTHEROTHER0', 'BACKEND_SECRET_KEY': 'other-secret-key-other-secret-key-000000'}
    OTHER_EMAIL = 'other@example.com'

    def __init__(self, program, environment, options=()):
        user = ':'.join([*self.OTHER.values(), self.OTHER_EMAIL])
        self.process = subprocess.Popen([program, '--user', user, *options], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment)
        self.environment = {}
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            name, _, value = shlex.split(line)[1].partition('=')
            self.environment[name] = value
            if len(self.environment) == 3:
                break
        watchdog.cancel()
        if len(self.environment) != 3:
            raise SystemExit('the gateway did not start')
        self.report = ''
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        self.report = self.process.stderr.read()

    def end(self):
        """Ends it, and returns (sessions created, most at once)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reader.join()
        found = re.search(r'(\d+) sessions were created, of which (\d+) at most', self.report)
        return (int(found[1]), int(found[2])) if found else None


class Terminal:
    """A program in a pseudo-terminal. `text` is all that it has shown."""

    def __init__(self, command, environment, folder, size=(24, 80)):
        self.text = ''
        self.status = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(folder)
                os.execvpe(command[0], command, environment)
            finally:
                os._exit(127)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', *size, 0, 0))

    def read(self, seconds):
        """Reads for so long at most; False at the end of the terminal."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += data.decode(errors='replace')
        return bool(data)

    def expect(self, pattern, seconds=60):
        """Waits until the pattern is shown (and takes what was shown up to it); raises when it is not."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.seen = self.text[:found.end()]
                self.text = self.text[found.end():]
                return found
            if time.monotonic() > end or not self.read(0.2):
                found = re.search(pattern, self.text)
                if not found:
                    raise AssertionError('%r was not shown, but %r' % (pattern, self.text[-2000:]))

    def send(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def wait(self, seconds=60):
        """The exit code."""
        end = time.monotonic() + seconds
        while self.status is None:
            alive = self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                while select.select([self.master], [], [], 0)[0] and self.read(0):
                    pass
            elif time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError('it did not end; it has shown %r' % self.text[-2000:])
            elif not alive:
                time.sleep(0.05)
        return self.status

    def close(self):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


class Tests(Tap):
    """A folder with a home, the program by its name in PATH, and a gateway. Each test is a function of `tests`."""

    def __init__(self, program, gateway_program):
        super().__init__()
        self.program, self.gateway_program = os.path.abspath(program), os.path.abspath(gateway_program)
        self._folder = tempfile.TemporaryDirectory(prefix='backendai-cli-')
        self.folder = pathlib.Path(self._folder.name)
        self.work = self.folder / 'work'
        for name in ('bin', 'home', 'work'):
            (self.folder / name).mkdir()
        for name in ('backend.ai', 'lpython', 'lcc'):
            (self.folder / 'bin' / name).symlink_to(self.program)
        # The manual's command lines say "python", which not every system has under that name.
        (self.folder / 'bin' / 'python').symlink_to('/usr/bin/python3')
        self.base = {**clean_environment(), 'HOME': str(self.folder / 'home'), 'TERM': 'xterm', 'LC_ALL': 'C.UTF-8',
                     'PATH': str(self.folder / 'bin') + ':' + os.environ['PATH']}
        self.base.pop('NO_COLOR', None)
        self.lines = []
        for name in list(self.base):
            if name.lower().endswith('_proxy'):
                del self.base[name]
        self.gateway = Gateway(self.gateway_program, self.base)
        self.environment = {**self.base, **self.gateway.environment}

    def cli(self, *arguments, env=None, timeout=120, **options):
        """Runs backend.ai; .returncode, .stdout and .stderr of the result."""
        options.setdefault('stdin', subprocess.DEVNULL if 'input' not in options else None)
        if options['stdin'] is None:
            del options['stdin']
        options.setdefault('cwd', self.work)
        for name in ('stdout', 'stderr'):
            options.setdefault(name, subprocess.PIPE)
        return subprocess.run([self.program, *map(str, arguments)], text=True, timeout=timeout,
                              env={**self.environment, **(env or {})}, **options)

    def shell(self, line, env=None, **options):
        """Runs a command line as it is typed."""
        self.lines.append(line)
        return subprocess.run(['bash', '-c', line], text=True, cwd=self.work, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                              env={**self.environment, **(env or {})}, **options)

    def start(self, *arguments, env=None, **options):
        return subprocess.Popen([self.program, *map(str, arguments)], text=True, cwd=self.work, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.environment, **(env or {})}, **options)

    @contextlib.contextmanager
    def terminal(self, *arguments, env=None, size=(24, 80)):
        terminal = Terminal([self.program, *map(str, arguments)], {**self.environment, **(env or {})}, self.work, size)
        try:
            yield terminal
        finally:
            terminal.close()

    def sessions(self):
        return self.cli('ps', '--id-only').stdout.split()

    def check(self, name, good, *details):
        self.result(bool(good), name, '\n'.join(map(str, details)) or 'no details')

    def fails(self, name, done, code, *words):
        """Whether a command has failed as it should: the exit code, one paragraph that says these words, no trace."""
        text = done.stderr
        paragraph = text.strip() and '\n\n' not in text.strip() and not TRACE.search(text)
        good = done.returncode == code and paragraph and all(word in text for word in words)
        self.check(name, good, 'exit code %d' % done.returncode, 'stdout: ' + (done.stdout or '')[:500], 'stderr: ' + text[:2000],
                   'wanted: %d, %r' % (code, words))

    def run_all(self, *functions):
        try:
            for function in functions:
                try:
                    function(self)
                except Exception as error:  # a test that breaks is one that fails; the others go on
                    self.check(function.__name__, False, '%s: %s' % (type(error).__name__, error))
        finally:
            self.counts = self.gateway.end()
            self._folder.cleanup()
        self.end()


def main(*functions):
    if len(sys.argv) < 3:
        raise SystemExit('usage: %s BACKEND.AI GATEWAY' % sys.argv[0])
    Tests(sys.argv[1], sys.argv[2]).run_all(*functions)
