#!/usr/bin/python3
"""Archives of Python's tarfile, GNU tar and bsdtar must extract here as they do there: names, bytes, modes, times.

BACKENDAI_FILES_PEER names the program. The trees are those of tests/tools/files_make_archives.py, where links are
taken out for the comparison: an archive that holds one is refused by the link's name, which is checked too.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
sys.dont_write_bytecode = True
import files_make_archives  # noqa: E402

PEER = os.environ["BACKENDAI_FILES_PEER"]
LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}


def by_tarfile(form):
    def make(root, path):
        with tarfile.open(path, "w", format=form) as archive:
            archive.add(f"{root}/tree", "tree")

    def extract(path, target):
        with tarfile.open(path) as archive:
            archive.extractall(target)

    return make, extract


def by_program(program, form):
    def make(root, path):
        subprocess.run([program, f"--format={form}", "-cf", path, "tree"], cwd=root, check=True, env=LOCALE)

    def extract(path, target):
        subprocess.run([program, "-xpf", path, "-C", target], check=True, env=LOCALE)

    return make, extract


def tools():
    yield "tarfile ustar", by_tarfile(tarfile.USTAR_FORMAT)
    yield "tarfile gnu", by_tarfile(tarfile.GNU_FORMAT)
    yield "tarfile pax", by_tarfile(tarfile.PAX_FORMAT)
    for form in ("v7", "oldgnu", "gnu", "ustar", "pax"):
        yield f"GNU tar {form}", by_program("tar", form)
    if shutil.which("bsdtar"):
        for form in ("v7", "gnutar", "ustar", "pax"):
            yield f"bsdtar {form}", by_program("bsdtar", form)
    else:
        print("without bsdtar, which is not installed (libarchive-tools)")


def description(root):
    result = {}
    for directory, names, leaves in os.walk(root):
        for name in names + leaves:
            path = pathlib.Path(directory, name)
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
            result[str(path.relative_to(root))] = (content, oct(status.st_mode), status.st_mtime_ns)
    return result


def add_extremes(root):
    """What the tree for the fuzzer does without: many sizes, odd modes, old times, names at the formats' limits."""
    for size in (1, 511, 512, 513, 10240, 10241, 1_000_000):
        pathlib.Path(root, f"tree/size {size}").write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    for mode in (0o400, 0o444, 0o600, 0o700, 0o755, 0o777):
        path = pathlib.Path(root, f"tree/mode {mode:o}")
        path.write_bytes(b"mode")
        path.chmod(mode)
    for length in (99, 100, 101):
        pathlib.Path(root, "tree", "n" * (length - 5)).write_bytes(b"name")
    pathlib.Path(root, "tree/old").write_bytes(b"old")
    os.mkdir(f"{root}/tree/nobody writes here", 0o755)
    pathlib.Path(root, "tree/nobody writes here/file").write_bytes(b"file")
    os.chmod(f"{root}/tree/nobody writes here", 0o555)
    # Python takes times through floating point numbers, so only some of them come out as they went in.
    for directory, names, leaves in os.walk(f"{root}/tree"):
        for name in names + leaves:
            os.utime(os.path.join(directory, name), ns=(0, 1_600_000_000_500_000_000 + len(name) * 10**9))
    os.utime(f"{root}/tree", ns=(0, 1_650_000_000_750_000_000))
    os.utime(f"{root}/tree/old", (1, 1))


def main():
    os.umask(0o022)
    compared = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        plain, linked = f"{folder}/plain", f"{folder}/linked"
        for root in (plain, linked):
            os.mkdir(root)
            files_make_archives.make_tree(root)
        os.unlink(f"{plain}/tree/link")
        os.unlink(f"{plain}/tree/same")
        add_extremes(plain)
        # v7 has no prefix field, so that it cannot have the long name.
        short = f"{folder}/short"
        shutil.copytree(plain, short)
        shutil.rmtree(f"{short}/{'/'.join(files_make_archives.LONG.split('/')[:2])}")
        for length in (95, 96):
            os.unlink(f"{short}/tree/{'n' * length}")
        for name, (make, extract) in tools():
            archive, there, here = (f"{folder}/{name} {x}" for x in ("archive", "there", "here"))
            os.mkdir(there)
            make(short if name.endswith("v7") else plain, archive)
            extract(archive, there)
            with open(archive, "rb") as file:
                subprocess.run([PEER, "extract", here], stdin=file, check=True)
            left, right = description(there), description(here)
            different = [key for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]
            assert not different, (name, [(key, left.get(key), right.get(key)) for key in different])
            assert len(right) > 20, right
            compared += 1
            if name.endswith("v7"):
                continue
            make(linked, archive)
            with open(archive, "rb") as file:
                done = subprocess.run([PEER, "extract", here + "2"], stdin=file, stderr=subprocess.PIPE, text=True)
            assert done.returncode == 1 and "link" in done.stderr and "'tree/" in done.stderr, (name, done)
            assert not os.path.exists(here + "2"), name
            refused += 1
        for directory, names, _ in os.walk(folder):
            for name in names:
                os.chmod(os.path.join(directory, name), 0o755)  # so that it can be removed without root's rights
    print(compared, "archives extract alike,", refused, "with links are refused by name")


main()
