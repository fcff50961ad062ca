/// @file
/// The programs that run a session's code inside its interpreter: JavaScript, Perl, Lua and Ruby. The frames are those
/// of gateway_drivers.hpp.
#ifndef BACKENDAI_TESTING_GATEWAY_DRIVERS_MORE_HPP
#define BACKENDAI_TESTING_GATEWAY_DRIVERS_MORE_HPP

#include <backendai/version.hpp>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A run is over when the event loop is empty; then, in 'beforeExit', the driver blocks for the next request.
inline const char* node_driver() {
    return R"JS(
'use strict';
const fs = require('fs'), vm = require('vm');
let buffer = Buffer.alloc(0), running = false, status = 0;
function send(tag, payload) {
    const body = Buffer.isBuffer(payload) ? payload : Buffer.from(String(payload));
    const frame = Buffer.concat([Buffer.from(tag + ' ' + body.length + '\n'), body]);
    for (let at = 0; at < frame.length;) at += fs.writeSync(4, frame, at);
}
function fill() {
    const piece = Buffer.alloc(65536), count = fs.readSync(3, piece, 0, piece.length, null);
    buffer = Buffer.concat([buffer, piece.subarray(0, count)]);
    return count > 0;
}
function receive() {
    let end;
    while ((end = buffer.indexOf(10)) < 0) if (!fill()) return null;
    const [tag, length] = buffer.toString('latin1', 0, end).split(' '), last = end + 1 + Number(length);
    while (buffer.length < last) if (!fill()) return null;
    const payload = buffer.subarray(end + 1, last).toString();
    buffer = buffer.subarray(last);
    return {tag, payload};
}
function ask(text, is_password) {
    if (text !== undefined) process.stdout.write(String(text));
    send('w', JSON.stringify({is_password}));
    for (let frame; (frame = receive()) !== null;) if (frame.tag === 'i') return frame.payload;
    return null;
}
for (const [name, tag] of [['stdout', 'o'], ['stderr', 'e']]) {
    process[name].write = (chunk, encoding, done) => {
        const body = typeof chunk === 'string' ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8')
                                               : Buffer.from(chunk);
        send(tag, body);
        const callback = typeof encoding === 'function' ? encoding : done;
        if (typeof callback === 'function') process.nextTick(callback);
        return true;
    };
}
class Exit { constructor(code) { this.code = code; } }
process.exit = code => { throw new Exit(Number(code === undefined ? process.exitCode || 0 : code)); };
function failed(error) {
    if (error instanceof Exit) { status = error.code; return; }
    status = 1;
    const text = error && error.stack ? error.stack.split('\n').filter(line => !line.includes('[eval]') &&
        !line.includes('node:')).join('\n') : 'Uncaught ' + String(error);
    send('e', text + '\n');
}
process.on('uncaughtException', failed);
process.on('SIGINT', () => {});
Object.assign(globalThis, {
    require, prompt: text => ask(text, false), getpass: text => ask(text, true),
    backendai_media: (mime, data) => send('m', JSON.stringify([mime, Buffer.isBuffer(data)
        ? 'data:' + mime + ';base64,' + data.toString('base64') : String(data)]))
});
function complete(request) {
    const text = request.code || (request.options && request.options.line) || '';
    const word = /[\w$.]*$/.exec(text)[0], dot = word.lastIndexOf('.');
    const base = dot < 0 ? '' : word.slice(0, dot), start = word.slice(dot + 1), found = new Set();
    if (!/^([A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*)?$/.test(base)) return [];
    try {
        let object = base ? vm.runInThisContext(base) : globalThis;
        for (object = Object(object); object !== null; object = Object.getPrototypeOf(object)) {
            for (const name of Object.getOwnPropertyNames(object)) {
                if (name.startsWith(start)) found.add(base ? base + '.' + name : name);
            }
        }
    } catch (error) { return []; }
    return [...found].sort();
}
let count = 0;
process.on('beforeExit', () => {
    if (running) {
        running = false;
        send('f', JSON.stringify({exitCode: status}));
    }
    for (;;) {
        const frame = receive();
        if (frame === null) process.reallyExit(0);
        if (frame.tag === 'c') { send('C', JSON.stringify(complete(JSON.parse(frame.payload)))); continue; }
        if (frame.tag !== 'q') continue;
        running = true;
        status = 0;
        setImmediate(() => {
            try {
                vm.runInThisContext(frame.payload, {filename: '<input-' + ++count + '>', breakOnSigint: true});
            } catch (error) { failed(error); }
        });
        return;
    }
});
send('r', '');
)JS";
}

inline const char* perl_driver() {
    return R"PL(
package BackendAI;
use strict; use warnings; use IO::Handle;
our ($in, $out, $running);
BEGIN { *CORE::GLOBAL::exit = sub { die bless {code => $_[0] // 0}, 'BackendAI::Exit' } }
open($in, '<&=', 3) or die; open($out, '>&=', 4) or die;
binmode $in; binmode $out;
sub put { my ($tag, $data) = @_; utf8::encode($data) if utf8::is_utf8($data);
    my $frame = $tag . ' ' . length($data) . "\n" . $data; my $at = 0;
    while ($at < length $frame) { my $n = syswrite($out, $frame, length($frame) - $at, $at); $at += $n if defined $n; } }
sub get { my $line = <$in>; return unless defined $line; my ($tag, $length) = split ' ', $line; my $data = '';
    read($in, $data, $length) if $length; return ($tag, $data); }
sub ask { STDOUT->flush; put('w', $_[0] ? '{"is_password": true}' : '{"is_password": false}');
    while (my ($tag, $data) = get()) { return "$data\n" if $tag eq 'i' } return undef; }
sub main::getpass { print @_; my $text = ask(1); chomp $text; return $text; }
sub main::backendai_media { my ($type, $data) = @_; STDOUT->flush; $data =~ s/(["\\])/\\$1/g; $data =~ s/\n/\\n/g;
    put('m', "[\"$type\", \"$data\"]"); }
package BackendAI::Input; sub TIEHANDLE { bless {}, shift } sub READLINE { BackendAI::ask(0) }
sub FILENO { 0 } sub CLOSE { 1 } sub EOF { 0 }
package BackendAI;
tie *STDIN, 'BackendAI::Input';
STDOUT->autoflush(1); STDERR->autoflush(1);
$SIG{INT} = sub { die "Interrupted\n" if $running };
put('r', '');
while (my ($tag, $data) = get()) {
    if ($tag eq 'q') {
        my $status = 0;
        utf8::decode($data);
        { local $@; $running = 1;
          eval { no strict; no warnings; package main; eval("no strict; no warnings;\n#line 1 \"input\"\n$data"); die $@ if ref $@ || $@; 1 };
          $BackendAI::running = 0;
          if (ref $@ eq 'BackendAI::Exit') { $status = int $@->{code} } elsif ($@) { print STDERR $@; $status = 1 } }
        STDOUT->flush; STDERR->flush;
        put('f', "{\"exitCode\": $status}");
    } elsif ($tag eq 'c') { put('C', '[]') }
}
)PL";
}

inline const char* lua_driver() {
    return R"LUA(
local input, output = assert(io.open('/dev/fd/3', 'rb')), assert(io.open('/dev/fd/4', 'wb'))
local function send(tag, data) output:write(tag, ' ', #data, '\n', data); output:flush() end
local function receive()
    local line = input:read('l')
    if not line then return nil end
    local tag, length = line:match('^(%S+) (%d+)$')
    return tag, tonumber(length) > 0 and input:read(tonumber(length)) or ''
end
local function ask(password)
    io.stdout:flush()
    send('w', password and '{"is_password": true}' or '{"is_password": false}')
    while true do
        local tag, data = receive()
        if not tag then return nil end
        if tag == 'i' then return data end
    end
end
io.stdout:setvbuf('no')
local read, default_input = io.read, io.input()
io.read = function(format, ...)
    if io.input() ~= default_input then return read(format, ...) end
    local text = ask(false)
    if format == 'n' or format == '*n' then return tonumber(text) end
    return text
end
getpass = function(prompt) io.write(prompt or ''); return ask(true) end
backendai_media = function(mime, data)
    io.stdout:flush()
    send('m', '["' .. mime .. '", "' .. data:gsub('[\\"]', '\\%0'):gsub('\n', '\\n') .. '"]')
end
os.exit = function(code)
    if code == nil or code == true then code = 0 elseif code == false then code = 1 end
    error({backendai_exit = code}, 0)
end
local function trace(message)
    if type(message) == 'table' then return message end
    return debug.traceback(tostring(message), 2):gsub("\n%s*%[C%]: in function 'xpcall'.*", '')
end
send('r', '')
while true do
    local tag, data = receive()
    if not tag then break end
    if tag == 'q' then
        local status, code, problem = 0, load(data, '=input')
        if not code then
            status = 1
            io.stderr:write(problem, '\n')
        else
            local good, failure = xpcall(code, trace)
            if not good then
                status = 1
                if type(failure) == 'table' and failure.backendai_exit then status = failure.backendai_exit
                else io.stderr:write(tostring(failure), '\n') end
            end
        end
        io.stdout:flush()
        send('f', '{"exitCode": ' .. math.tointeger(status) .. '}')
    elseif tag == 'c' then send('C', '[]') end
end
)LUA";
}

inline const char* ruby_driver() {
    return R"RB(
require 'json'
module BackendAI
  INPUT = IO.for_fd(3, 'rb'); OUTPUT = IO.for_fd(4, 'wb')
  INPUT.close_on_exec = OUTPUT.close_on_exec = true
  OUTPUT.sync = true
  def self.put(tag, data) = OUTPUT.write("#{tag} #{data.bytesize}\n".b + data.b)
  def self.get
    line = INPUT.gets or return nil
    tag, length = line.split
    [tag, length.to_i > 0 ? INPUT.read(length.to_i).force_encoding('UTF-8') : +'']
  end
  def self.ask(password)
    $stdout.flush
    put('w', JSON.generate({is_password: password}))
    while (frame = get)
      return frame[1] + "\n" if frame[0] == 'i'
    end
  end
end
$stdout.sync = $stderr.sync = true
def $stdin.gets(*) = BackendAI.ask(false)
def gets(*) = BackendAI.ask(false)
def getpass(prompt = '') = (print prompt; BackendAI.ask(true).chomp)
def backendai_media(mime, data) = BackendAI.put('m', JSON.generate([mime, data]))
$backendai_running = false
trap('INT') { Thread.main.raise(Interrupt, 'interrupted') if $backendai_running }
BackendAI.put('r', '')
while (frame = BackendAI.get)
  tag, data = frame
  if tag == 'q'
    status = 0
    begin
      $backendai_running = true
      begin
        TOPLEVEL_BINDING.eval(data, 'input')
      ensure
        $backendai_running = false
      end
    rescue SystemExit => error
      status = error.status
    rescue Exception => error
      status = 1
      $stderr.write(error.full_message(highlight: false))
    end
    BackendAI.put('f', JSON.generate({exitCode: status}))
  elsif tag == 'c'
    request = JSON.parse(data)
    word = (request['code'] || '')[/\w*\z/]
    names = TOPLEVEL_BINDING.local_variables + Object.constants + Kernel.methods
    BackendAI.put('C', JSON.generate(names.map(&:to_s).select { |name| name.start_with?(word) }.uniq.sort))
  end
end
)RB";
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
