/// @file
/// The programs that run a session's code inside its interpreter: Python and shell.
///
/// A driver reads frames from descriptor 3 and writes frames to descriptor 4. A frame is a tag letter, a space, the
/// payload's length in bytes, a line feed, and the payload. To the driver: `q` code to run, `i` a line of input,
/// `c` a completion request (JSON). From the driver: `r` ready, `o` and `e` console text in order, `m` a record
/// (JSON [type, data]), `w` waiting for input (JSON {"is_password"}), `f` finished (JSON {"exitCode"}), `C` completions
/// (JSON list), `s` a mark that comes back as it is when all before it has been taken. What the code or its children
/// write to descriptors 1 and 2 is read beside that. The driver ends when descriptor 3 does.
#ifndef BACKENDAI_TESTING_GATEWAY_DRIVERS_HPP
#define BACKENDAI_TESTING_GATEWAY_DRIVERS_HPP

#include <backendai/version.hpp>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Run as `python3 -c 'exec(compile(argv.pop()...))' DRIVER`, so that its frames have a file name to leave out of
/// tracebacks.
inline const char* python_driver() {
    return R"PY(
import base64, builtins, getpass, io, json, linecache, os, re, select, signal, sys, threading, time, traceback, types
import rlcompleter

DRIVER = '<backendai-driver>'
STARTS_A_CHILD = {'os.system', 'os.fork', 'os.forkpty', 'os.posix_spawn', 'os.spawn', 'subprocess.Popen'}


class Channel:
    """Frames to and from the gateway. An interrupt never tears a frame apart: it is kept until the frame is out."""

    def __init__(self):
        self.lock = threading.RLock()
        self.busy = self.pending = self.executing = False
        self.forked = False
        self.buffer = b''
        self.marks = 0

    def send(self, tag, payload):
        data = memoryview(b'%s %d\n' % (tag, len(payload)) + payload)
        main = threading.current_thread() is threading.main_thread()
        if main:
            self.busy = True
        try:
            with self.lock:
                while data:
                    data = data[os.write(4, data):]
        finally:
            if main:
                self.busy = False
                if self.pending:
                    self.pending = False
                    raise KeyboardInterrupt

    def send_json(self, tag, value):
        self.send(tag, json.dumps(value).encode())

    def fill(self):
        data = os.read(3, 65536)
        self.buffer += data
        return bool(data)

    def receive(self):
        while b'\n' not in self.buffer:
            if not self.fill():
                return None, b''
        end = self.buffer.index(b'\n')
        tag, length = self.buffer[:end].split()
        last = end + 1 + int(length)
        while len(self.buffer) < last:
            if not self.fill():
                return None, b''
        payload, self.buffer = self.buffer[end + 1:last], self.buffer[last:]
        return tag, payload

    def ask(self, is_password):
        if self.forked:
            raise EOFError('no input in a child process')
        sys.stdout.flush()
        sys.stderr.flush()
        self.send_json(b'w', {'is_password': is_password})
        while True:
            tag, payload = self.receive()
            if tag is None:
                raise EOFError
            if tag == b'i':
                return payload.decode('utf-8', 'replace')

    def settle(self, event, arguments):
        """Before a child starts: what it prints has its own way out, and must not overtake what was printed here."""
        if event not in STARTS_A_CHILD or self.forked or not self.executing:
            return
        if threading.current_thread() is not threading.main_thread():
            return
        self.marks += 1
        mark = b'%d' % self.marks
        self.send(b's', mark)
        self.busy = True  # an interrupt must not tear the answer out of its frame
        try:
            limit = time.monotonic() + 1  # nobody may be asking for output just now
            while self.buffer or select.select([3], [], [], max(0, limit - time.monotonic()))[0]:
                if self.receive() in ((b's', mark), (None, b'')):
                    break
        finally:
            self.busy = False
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def on_interrupt(self, number, frame):
        if not self.executing:
            return
        if self.busy:
            self.pending = True
        else:
            raise KeyboardInterrupt

    def on_fork(self):
        self.forked = True
        self.lock = threading.RLock()


channel = Channel()


class Raw(io.RawIOBase):
    """Standard output as frames, so that what is printed keeps its order; a forked child writes to the pipe instead."""

    def __init__(self, tag, number):
        self.tag, self.number = tag, number

    def writable(self):
        return True

    def fileno(self):
        return self.number

    def write(self, data):
        data = bytes(data)
        if channel.forked:
            return os.write(self.number, data)
        for at in range(0, len(data), 32768):
            channel.send(self.tag, data[at:at + 32768])
        return len(data)


class Input(io.TextIOBase):
    encoding = 'utf-8'

    def readable(self):
        return True

    def readline(self, limit=-1):
        return channel.ask(False) + '\n'

    def read(self, limit=-1):
        return self.readline()

    def fileno(self):
        return 0


def ask_input(prompt=''):
    sys.stdout.write(str(prompt))
    return channel.ask(False)


def ask_password(prompt='Password: ', stream=None):
    sys.stdout.write(str(prompt))
    return channel.ask(True)


def media(mime, data):
    """Shows a record of any MIME type in the console of the run. Bytes become a data URI."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = 'data:' + mime + ';base64,' + base64.b64encode(bytes(data)).decode()
    elif not isinstance(data, str):
        data = json.dumps(data)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send_json(b'm', [mime, data])


def strip(report, seen):
    """Leaves the driver's own frames out of a traceback and of those it is chained to."""
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    kept = [entry for entry in report.stack if entry.filename != DRIVER]
    report.stack = traceback.StackSummary.from_list(kept)
    strip(report.__cause__, seen)
    strip(report.__context__, seen)
    for inner in getattr(report, 'exceptions', None) or ():
        strip(inner, seen)


def report(error):
    summary = traceback.TracebackException.from_exception(error)
    strip(summary, set())
    sys.stderr.write(''.join(summary.format()))


def run(code, name, namespace):
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    status = 0
    try:
        try:
            channel.executing = True
            exec(compile(code, name, 'exec', dont_inherit=True), namespace)
        finally:
            channel.executing = False
    except SystemExit as error:
        status = error.code
        if status is None:
            status = 0
        elif not isinstance(status, int):
            sys.stderr.write(str(status) + '\n')
            status = 1
    except BaseException as error:
        status = 1
        report(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    return status


def complete(request, completer):
    options = request.get('options') or {}
    text = request.get('code') or ''
    if not text:
        line = options.get('line') or ''
        text = line[:options.get('col') or len(line)]
    word = re.search(r'[\w.]*$', text).group()
    found = []
    try:
        for index in range(1000):
            match = completer.complete(word, index)
            if match is None:
                break
            match = match.rstrip(' ()')
            if match.strip() and match not in found:
                found.append(match)
    except Exception:
        pass
    return found


def end_with_gateway():
    """A gateway that was killed cannot end what it started, and code that runs would run for ever."""
    channel_end = select.poll()
    channel_end.register(3, 0)
    while not any(events & (select.POLLHUP | select.POLLERR) for _, events in channel_end.poll()):
        pass
    os.killpg(0, signal.SIGKILL)


def main():
    for number in (3, 4):
        os.set_inheritable(number, False)
    threading.Thread(target=end_with_gateway, daemon=True).start()
    module = types.ModuleType('__main__')
    module.__builtins__ = builtins
    sys.modules['__main__'] = module
    helper = types.ModuleType('backendai_kernel')
    helper.media = media
    sys.modules['backendai_kernel'] = helper
    builtins.backendai_media = media
    builtins.input = ask_input
    getpass.getpass = ask_password
    signal.signal(signal.SIGINT, channel.on_interrupt)
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=channel.on_fork)
    sys.stdin = Input()
    sys.stdout = io.TextIOWrapper(Raw(b'o', 1), encoding='utf-8', newline='', write_through=True)
    sys.stderr = io.TextIOWrapper(Raw(b'e', 2), encoding='utf-8', errors='backslashreplace', newline='',
                                  write_through=True)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ['']
    if hasattr(sys, 'addaudithook'):
        sys.addaudithook(channel.settle)
    completer = rlcompleter.Completer(module.__dict__)
    channel.send(b'r', b'')
    count = 0
    while True:
        tag, payload = channel.receive()
        if tag is None:
            os._exit(0)
        if tag == b'q':
            count += 1
            code = payload.decode('utf-8', 'replace')
            status = run(code, '<input-%d>' % count, module.__dict__)
            channel.send_json(b'f', {'exitCode': status})
        elif tag == b'c':
            channel.send_json(b'C', complete(json.loads(payload.decode()), completer))


main()
)PY";
}

/// Run as `bash --noprofile --norc -c DRIVER backendai [compiler]`. With a compiler the code is a whole C or C++
/// program. `read` asks for input when standard input has not been redirected. `exit` ends the shell, so the variables
/// are gone, and a new one takes over; an interrupt ends the innermost function or the code.
inline const char* bash_driver() {
    return R"SH(
__bai_compiler=$1 __bai_running=0
exec {__bai_in}<&3 {__bai_out}>&4 3<&- 4>&-
__bai_send() { local LC_ALL=C; builtin printf '%s %d\n%s' "$1" "${#2}" "$2" >&"$__bai_out"; }
__bai_receive() {
    local LC_ALL=C length
    builtin read -r -u "$__bai_in" __bai_tag length || return 1
    __bai_payload=
    [ "$length" -eq 0 ] || IFS= builtin read -r -u "$__bai_in" -N "$length" -d '' __bai_payload
}
read() {
    if ! [ /dev/fd/0 -ef /dev/null ]; then builtin read "$@"; return; fi
    local __bai_option __bai_password=false OPTIND=1 OPTARG
    while getopts ':rsea:d:i:n:N:p:t:u:' __bai_option; do
        case $__bai_option in
        s) __bai_password=true ;;
        p) builtin printf '%s' "$OPTARG" ;;
        u) builtin read "$@"; return ;;
        esac
    done
    __bai_send w "{\"is_password\": $__bai_password}"
    while __bai_receive; do
        if [ "$__bai_tag" = i ]; then builtin read "$@" <<<"$__bai_payload"; return; fi
    done
    return 1
}
backendai_media() {
    local data=$2
    data=${data//\\/\\\\}; data=${data//\"/\\\"}; data=${data//$'\n'/\\n}; data=${data//$'\t'/\\t}
    __bai_send m "[\"$1\", \"$data\"]"
}
__bai_eval() { eval "$1"; }
__bai_query() {
    if [ -z "$__bai_compiler" ]; then __bai_eval "$1"; return; fi
    local suffix=c
    case $__bai_compiler in *++) suffix=cpp ;; esac
    builtin printf '%s' "$1" >"main.$suffix"
    "$__bai_compiler" -o main "main.$suffix" -lm && ./main
}
__bai_complete() {
    local word names code
    code=${1#*\"code\":\"} # the request is {"code":TEXT,"options":{...}}
    set -- "${code%\",\"options\":*}"
    word=${1##*[[:space:];|&(\$\{]}
    names=$(compgen -A function -A variable -A builtin -A keyword -A command -A file -- "$word" | grep -v '^__bai' |
        sort -u | head -n 1000 | while IFS= builtin read -r name; do
            name=${name//\\/\\\\}; name=${name//\"/\\\"}; builtin printf ', "%s"' "$name"; done)
    __bai_send C "[${names#, }]"
}
trap '[ "$__bai_running" = 1 ] && { break 1000; return 130; } 2>/dev/null' INT
trap '__bai_status=$?
    if [ "$__bai_running" = 1 ]; then
        __bai_send f "{\"exitCode\": $__bai_status}"
        exec "$BASH" --noprofile --norc -c "$BASH_EXECUTION_STRING" backendai "$__bai_compiler" \
            3<&"$__bai_in" 4>&"$__bai_out"
    fi' EXIT
__bai_send r ''
while __bai_receive; do
    case $__bai_tag in
    q)
        __bai_running=1
        __bai_query "$__bai_payload"
        __bai_status=$?
        __bai_running=0
        __bai_send f "{\"exitCode\": $__bai_status}"
        ;;
    c) __bai_complete "$__bai_payload" ;;
    esac
done
)SH";
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
