#!/usr/bin/env python3
"""terminal_signals.py GATEWAY: a program that is attached to a terminal (BACKENDAI_TERMINAL_PEER) leaves its own terminal as
it was, however it ends, and passes a change of its size on."""
import fcntl
import os
import pathlib
import pty
import select
import signal
import struct
import sys
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from common import Tap, clean_environment, gateway  # noqa: E402

PEER = os.environ["BACKENDAI_TERMINAL_PEER"]


class Attached:
    """The program on a terminal of its own, with the side that types and looks."""

    def __init__(self, environment, end):
        trigger, self.trigger = os.pipe()
        self.pid, self.main = pty.fork()
        if self.pid == 0:
            # Whoever started the tests may have them ignored (nohup, a shell's background), which a program inherits.
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(trigger, 3)
            os.execve(PEER, [PEER, end], environment)
        os.close(trigger)
        self.before = termios.tcgetattr(self.main)
        self.shown = b""
        self.wait(lambda: not termios.tcgetattr(self.main)[3] & termios.ICANON, "raw mode")
        self.wait(lambda: b"$" in self.shown or b"#" in self.shown, "the prompt")

    def wait(self, condition, what):
        end = time.monotonic() + 30
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"no {what}; shown: {self.shown!r}")
            if select.select([self.main], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.main, 65536)
                except OSError:
                    return  # the program has ended

    def ended(self):
        """The exit status, negative for a signal, and whether the terminal is as it was."""
        end, status = time.monotonic() + 30, None
        while status is None:
            assert time.monotonic() < end, "the program did not end"
            if select.select([self.main], [], [], 0.02)[0]:
                try:
                    self.shown += os.read(self.main, 65536)
                except OSError:
                    time.sleep(0.02)
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(raw) if pid else None
        same = termios.tcgetattr(self.main) == self.before
        os.close(self.main)
        os.close(self.trigger)
        return status, same


def main():
    tap = Tap()
    with gateway(sys.argv[1]) as exported:
        environment = {**clean_environment(), **exported}

        def check(name, end, wanted, act):
            try:
                program = Attached(environment, end)
                act(program)
                got = program.ended()
                tap.result(got == (wanted, True), name, repr((got, program.shown[-200:])))
            except AssertionError as error:
                tap.result(False, name, str(error))

        def kill(number):
            return lambda program: os.kill(program.pid, number)

        check("detached by its key", "quiet", 0, lambda program: os.write(program.main, b"\x1d"))
        check("ended by the shell", "quiet", 0, lambda program: os.write(program.main, b"exit\n"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            check(f"ended by {number.name}", "quiet", -number, kill(number))
        for end, status in (("abort", -signal.SIGABRT), ("segv", -signal.SIGSEGV), ("throw", -signal.SIGABRT), ("exit", 5)):
            check(f"ended by {end}", end, status, lambda program: os.write(program.trigger, b"x"))
        # A handler of the program's own is left alone, and so is what it does not do.
        program = Attached(environment, "own")
        os.kill(program.pid, signal.SIGTERM)
        tap.result(program.ended()[0] == 7, "the program's own handler is called")

        def resize(program):
            fcntl.ioctl(program.main, termios.TIOCSWINSZ, struct.pack("HHHH", 47, 133, 0, 0))
            seen = b""
            for _ in range(100):  # the shell hears of it a moment after the signal
                mark = len(program.shown)
                os.write(program.main, b"stty size\n")
                program.wait(lambda: program.shown.count(b"\n", mark) >= 2, "answer")
                seen = program.shown[mark:]
                if b"47 133" in seen:
                    break
                time.sleep(0.05)
            assert b"47 133" in seen, f"the size was not passed on: {seen!r}"
            os.write(program.main, b"\x1d")
        check("a change of size is passed on by the signal", "quiet", 0, resize)
    tap.end()


if __name__ == "__main__":
    main()
