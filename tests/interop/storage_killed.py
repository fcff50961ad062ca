#!/usr/bin/env python3
"""Uploads to a storage proxy and downloads from it whose program is killed (SIGKILL) at random points and run anew until
it is through: the files are the same, and the gateway counts what went over the wire. Prints TAP."""
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

PEER = os.environ["BACKENDAI_STORAGE_PEER"]
SIZE, CHUNK, KILLS = 24 * 1024 * 1024 + 12345, 1024 * 1024, 20
tests = failures = 0


def check(good, what):
    global tests, failures
    tests += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {tests} - {what}", flush=True)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"


class Gateway:
    def __init__(self, directory):
        self.process = subprocess.Popen([PEER, "serve", str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        endpoint, access_key, secret_key = self.process.stdout.readline().split()
        self.environment = dict(os.environ, BACKEND_ENDPOINT=endpoint, BACKEND_ACCESS_KEY=access_key,
                                BACKEND_SECRET_KEY=secret_key, STORAGE_PEER_CHUNK=str(CHUNK))

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def run(gateway, words, kill_at=None):
    """Runs the peer, which is killed when it has come that far. Returns whether it was killed, and where it began: the
    first position that it told which is not 0; -1 when it went back from there."""
    limit = {} if kill_at is None else {"STORAGE_PEER_KILL_AT": str(kill_at)}
    peer = subprocess.Popen([PEER, *words], stdout=subprocess.PIPE, env={**gateway.environment, **limit}, text=True)
    begin = last = 0
    fell = False
    for line in peer.stdout:
        done = int(line) if line.strip().isdigit() else 0
        begin = begin or done
        fell, last = fell or done < last, done
    peer.stdout.close()
    status = peer.wait(120)
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"{words}: exit status {status}")
    return status != 0, -1 if fell else begin


seed = int(os.environ.get("STORAGE_KILLED_SEED", random.randrange(1 << 32)))
random.seed(seed)
print(f"# seed {seed}", flush=True)
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    (folder / "server").mkdir()
    gateway = Gateway(folder / "server")
    source, note, dest = folder / "large.bin", folder / "note", folder / "dest"
    source.write_bytes(random.randbytes(SIZE) if hasattr(random, "randbytes") else os.urandom(SIZE))
    wanted = digest(source)
    stored = next((folder / "server").glob("backendai-gateway-*")) / "vfolders" / "data" / "large.bin"

    # One kill in each upload, at a point of its own.
    same = again = 0
    for number in range(KILLS):
        before = gateway.ask("received")
        killed, _ = run(gateway, ["upload", str(source), str(note)], random.randrange(1, SIZE))
        resumed, _ = run(gateway, ["upload", str(source), str(note)])
        same += killed and not resumed and digest(stored) == wanted and not note.exists()
        again = max(again, gateway.ask("received") - before - SIZE)
        stored.unlink()
    check(same == KILLS, f"{same} of {KILLS} uploads, each killed once and run anew, have the same checksum")
    check(again == 0, f"the most that was sent twice in one of them: {again} bytes (a piece has {CHUNK})")

    # One upload, killed again and again.
    before, killed = gateway.ask("received"), 0
    for point in sorted(random.sample(range(1, SIZE), KILLS)):
        killed += run(gateway, ["upload", str(source), str(note)], point)[0]
    run(gateway, ["upload", str(source), str(note)])
    again = gateway.ask("received") - before - SIZE
    check(digest(stored) == wanted, f"an upload that was killed {killed} times has the same checksum")
    check(again == 0, f"{again} bytes of it were sent twice")
    check(gateway.ask("open") == 0, "no upload is left unfinished")

    # The same for downloads.
    same = again = 0
    for number in range(KILLS):
        killed, _ = run(gateway, ["download", "large.bin", str(dest)], random.randrange(1, SIZE))
        part = max((f.stat().st_size for f in dest.glob(".backendai-*.part")), default=0)
        resumed, begin = run(gateway, ["download", "large.bin", str(dest)])
        same += killed and not resumed and digest(dest / "large.bin") == wanted
        # Of a part that is whole the last byte is asked for again, to hear whether the file is still the same.
        if begin < min(part, SIZE - 1):
            again += 1
            print(f"# killed with {part} bytes there, began at {begin}", flush=True)
        same -= [f.name for f in dest.iterdir()] != ["large.bin"]
        (dest / "large.bin").unlink()
    check(same == KILLS, f"{same} of {KILLS} downloads, each killed once and run anew, have the same checksum")
    check(again == 0, f"{again} of them began before the end of what was there, or went back")
    killed = 0
    for point in sorted(random.sample(range(1, SIZE), KILLS)):
        killed += run(gateway, ["download", "large.bin", str(dest)], point)[0]
    run(gateway, ["download", "large.bin", str(dest)])
    check(digest(dest / "large.bin") == wanted, f"a download that was killed {killed} times has the same checksum")
    check([f.name for f in dest.iterdir()] == ["large.bin"], "nothing else is left behind")
    gateway.end()
print(f"1..{tests}")
print(f"{tests - failures} passed, {failures} failed, 0 skipped")
sys.exit(failures != 0)
