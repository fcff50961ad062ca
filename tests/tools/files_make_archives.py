#!/usr/bin/env python3
"""Writes one tree as tar archives by Python's tarfile, GNU tar and bsdtar, into the directory given as argument.

The archives in tests/fuzz/corpus/tar are its output; tests/unit/codec_tar.cpp knows the tree. Each file begins with one
byte for the fuzzer (how to cut the input), the archive follows.
"""
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

LONG = "tree/" + "d" * 60 + "/" + "e" * 60 + "/" + "f" * 70 + ".txt"
SECONDS = 1_700_000_000


def make_tree(root):
    os.makedirs(f"{root}/{os.path.dirname(LONG)}")
    files = {
        "tree/empty": b"",
        "tree/hello.txt": b"hello\n",
        "tree/\u00fcn\u00ef \u00e7\u00f6de \u2603.txt": b"snow\r\n",
        "tree/block": b"x" * 512,
        LONG: b"long\n",
    }
    for name, content in files.items():
        with open(f"{root}/{name}", "wb") as file:
            file.write(content)
        os.chmod(f"{root}/{name}", 0o640)
    os.symlink("hello.txt", f"{root}/tree/link")
    os.link(f"{root}/tree/hello.txt", f"{root}/tree/same")
    for directory, names, leaves in os.walk(f"{root}/tree", topdown=False):
        for leaf in names + leaves:
            path = f"{directory}/{leaf}"
            if os.path.isdir(path):
                os.chmod(path, 0o755)
            os.utime(path, ns=(0, SECONDS * 10**9 + 250_000_000), follow_symlinks=False)
    os.chmod(f"{root}/tree", 0o755)
    os.utime(f"{root}/tree", ns=(0, SECONDS * 10**9 + 250_000_000))


def python_archive(root, path, form):
    def plain(info):
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info

    tarfile.RECORDSIZE = tarfile.BLOCKSIZE
    with tarfile.open(path, "w", format=form) as archive:
        archive.add(f"{root}/tree", "tree", filter=plain)


def main():
    target = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as root:
        make_tree(root)
        python_archive(root, f"{target}/python-gnu", tarfile.GNU_FORMAT)
        python_archive(root, f"{target}/python-pax", tarfile.PAX_FORMAT)
        python_archive(root, f"{target}/python-ustar", tarfile.USTAR_FORMAT)
        owner = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name"]
        made = ["python-gnu", "python-pax", "python-ustar"]
        for form in ("gnu", "oldgnu", "pax", "ustar"):
            subprocess.run(["tar", "-b1", *owner, f"--format={form}", "-cf", f"{target}/gnutar-{form}", "tree"],
                           cwd=root, check=True)
            made.append(f"gnutar-{form}")
        if shutil.which("bsdtar"):
            for form in ("pax", "ustar", "gnutar"):
                subprocess.run(["bsdtar", "-b1", "--uid=0", "--gid=0", "--numeric-owner", f"--format={form}", "-cf",
                                f"{target}/bsdtar-{form}", "tree"], cwd=root, check=True,
                               env={**os.environ, "LC_ALL": "C.UTF-8"})
                made.append(f"bsdtar-{form}")
    for name in made:
        with open(f"{target}/{name}", "rb") as file:
            content = file.read()
        with open(f"{target}/{name}", "wb") as file:
            file.write(b"\x3f" + content)


if __name__ == "__main__":
    main()
