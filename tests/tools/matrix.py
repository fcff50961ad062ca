#!/usr/bin/env python3
"""matrix.py CACHE [GATEWAY]: compilers, standards, libraries and versions of cpp-httplib that the SDK must work with.

A choice of cells in which each value meets each other value at least once; most are only read by the compiler, some run
a program against the embedded gateway, and the unit suite runs on an emulated 32-bit ARM. Needs Debian 12 and root (or
sudo) to install compilers. CACHE is a folder for what is downloaded and built; GATEWAY the program of
examples/gateway.cpp, made there when it is not given. MATRIX_ONLY is a regular expression for the cells to run.
The last line is `N passed, N failed, N skipped`.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from common import ROOT, gateway

ONLY = re.compile(os.environ.get("MATRIX_ONLY", ""))
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
TLS = "-DCPPHTTPLIB_OPENSSL_SUPPORT"
LIBRARIES = ["-lssl", "-lcrypto", "-lz", "-pthread"]
PACKAGES = ["g++", "clang", "libc++-14-dev", "libc++abi-14-dev", "g++-mingw-w64-x86-64-posix", "g++-arm-linux-gnueabihf",
            "qemu-user", "dpkg-dev", "libcpp-httplib-dev", "nlohmann-json3-dev", "libssl-dev", "zlib1g-dev", "doctest-dev"]
# Upstream's single header, as Debian's source packages hold it: version -> suite.
UPSTREAM = {"0.11.4": "bookworm", "0.18": "trixie", "0.41": "trixie-backports"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

cache = pathlib.Path(sys.argv[1]).resolve()
cache.mkdir(parents=True, exist_ok=True)
work = cache / "work"
shutil.rmtree(work, ignore_errors=True)
work.mkdir()
counts = {"passed": 0, "failed": 0, "skipped": 0}


class Skip(Exception):
    pass


def run(*command, **options):
    """The output of a command; a RuntimeError that holds it when it fails."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=options.pop("timeout", 600), **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\nexit status {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout


def cell(name, check, *arguments):
    if not ONLY.search(name):
        return
    start, before = time.monotonic(), os.times()
    try:
        check(*arguments)
        outcome, text = "passed", ""
    except Skip as reason:
        outcome, text = "skipped", f" ({reason})"
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        outcome, text = "failed", f"\n{failure}"
    counts[outcome] += 1
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{outcome:8}{name} [{cpu:.1f} s of CPU, {time.monotonic() - start:.0f} s]{text}", flush=True)


# --- what the cells need ----------------------------------------------------------------------------------------------

def sudo():
    return [] if os.getuid() == 0 else ["sudo"]


def install():
    have = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *PACKAGES], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    missing = [p for p in PACKAGES if f"{p} install ok installed" not in have]
    if missing:
        print("installing:", *missing, flush=True)
        run(*sudo(), "apt-get", "update", "-qq")
        run(*sudo(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
            "--no-install-recommends", *missing)


def apt(folder, source_list):
    """Options for an apt with lists of its own, which leaves the system's alone."""
    (cache / folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = cache / folder / "list.sources"
    sources.write_text(source_list)
    return ["-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
            "-o", f"Dir::State::lists={cache / folder / 'lists'}", "-o", "Dir::Cache::pkgcache=", "-o",
            "Dir::Cache::srcpkgcache=", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]


def mirror():
    """The archive that this system's apt uses."""
    text = ""
    for path in [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*")]:
        text += path.read_text() + "\n" if path.is_file() else ""
    found = re.search(r"https?://\S+/debian/?(?=\s)", text)
    return found.group(0) if found else "http://deb.debian.org/debian"


def upstream_headers():
    """Folder of each upstream httplib.h."""
    folders = {version: cache / "httplib" / version for version in UPSTREAM}
    if all((folder / "httplib.h").is_file() for folder in folders.values()):
        return folders
    options = apt("sources", f"Types: deb-src\nURIs: {mirror()}\nSuites: {' '.join(UPSTREAM.values())}\n"
                             f"Components: main\nSigned-By: {KEYRING}\n")
    run("apt-get", *options, "update")
    listed = run("apt-cache", *options, "showsrc", "cpp-httplib")
    for version, folder in folders.items():
        # The newest packaging of that release: the upstream file is the same in all.
        known = [v for v in re.findall(r"^Version: (\S+)", listed, re.M) if v.startswith(version)]
        if not known:
            raise RuntimeError(f"no source package of cpp-httplib {version} in {UPSTREAM[version]}")
        with contextlib.suppress(RuntimeError):  # the packaging's own archive may be gone; the file below may not
            run("apt-get", *options, "source", "--tar-only", f"cpp-httplib={known[-1]}", cwd=cache / "sources")
        archives = sorted((cache / "sources").glob(f"cpp-httplib_{version}*.orig.tar.*"))
        if not archives:
            raise RuntimeError(f"the source package of cpp-httplib {version} could not be had")
        folder.mkdir(parents=True, exist_ok=True)
        text = subprocess.run(["tar", "xOf", archives[-1], "--wildcards", "*/httplib.h"], stdout=subprocess.PIPE).stdout
        (folder / "httplib.h").write_bytes(text)
    return folders


def foreign_headers():
    """The libraries' headers without those of this system's C library, for compilers of other systems."""
    folder = cache / "headers"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        machine = pathlib.Path("/usr/include") / run("gcc", "-print-multiarch").strip()
        for path in (pathlib.Path("/usr/include/openssl"), machine / "openssl", pathlib.Path("/usr/include/nlohmann")):
            if path.is_dir():
                shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
        for name in ("zlib.h", "zconf.h"):
            shutil.copy(next(p for p in (pathlib.Path("/usr/include") / name, machine / name) if p.is_file()), folder)
        (folder / "complete").touch()
    return folder


# --- cells ------------------------------------------------------------------------------------------------------------

def library(version):
    return [] if version == "split" else ["-isystem", headers[version]]


GATEWAY = "backendai/testing/gateway.hpp"


def syntax(compiler, standard, version, *flags):
    """Reads the umbrella; where GATEWAY is among the flags, the embedded gateway too."""
    source = work / "umbrella.cpp"
    names = ["backendai.hpp"] + [GATEWAY] * (GATEWAY in flags)
    source.write_text("".join(f"#include <{name}>\n" for name in names) + "int main() {}\n")
    flags = [flag for flag in flags if flag != GATEWAY]
    command = [compiler, f"-std={standard}", "-fsyntax-only", *STRICT, TLS, f"-I{ROOT / 'include'}", *flags]
    run(*command, *library(version), source)


def smoke(compiler, standard, version, *flags):
    program, text = work / "smoke", ROOT / "tests/matrix/smoke.cpp"
    link = (["-lcpp-httplib"] if version == "split" else []) + LIBRARIES
    run(compiler, f"-std={standard}", "-O0", *STRICT, TLS, f"-I{ROOT / 'include'}", *flags, *library(version), text,
        "-o", program, *link)
    # What two versions of the SDK in one program could share by accident.
    bare = [line for line in run("nm", "-C", program).splitlines()
            if re.search(r" [TWVuBD] (.*[ (<])?backendai::(?!v\d+_\d+_\d+)", line)]
    if bare:
        raise RuntimeError("symbols without the version in their name:\n" + "\n".join(bare[:20]))
    with gateway(gateway_program()) as environment:
        if run(program, env={**os.environ, **environment}, timeout=120) != "ok\n":
            raise RuntimeError("the program did not print ok")


def gateway_program():
    if len(sys.argv) > 2:
        return sys.argv[2]
    program = cache / "gateway"
    if not program.is_file():
        run("g++", "-std=c++17", "-O0", TLS, f"-I{ROOT / 'include'}", ROOT / "examples/gateway.cpp", "-o", program,
            "-lcpp-httplib", *LIBRARIES)
    return program


def two_versions():
    version = re.search(r'#define BACKENDAI_VERSION "(.*)"', (ROOT / "include/backendai/version.hpp").read_text()).group(1)
    shutil.copytree(ROOT / "include", work / "other", dirs_exist_ok=True)
    header = work / "other/backendai/version.hpp"
    header.write_text(header.read_text().replace(version, "97.98.99").replace("v" + version.replace(".", "_"), "v97_98_99"))
    source, objects = ROOT / "tests/matrix/versions.cpp", [work / "first.o", work / "second.o"]
    for name, include, extra in (("first", ROOT / "include", []), ("second", work / "other", ["-DSECOND"])):
        run("g++", "-std=c++17", "-O0", *STRICT, f"-I{include}", *extra, "-c", source, "-o", work / f"{name}.o")
    for order in (objects, objects[::-1]):
        run("g++", *order, "-o", work / "versions", *LIBRARIES)
        agents = run(work / "versions").splitlines()
        if len(agents) != 2 or not agents[0].endswith(version) or not agents[1].endswith("97.98.99"):
            raise RuntimeError(f"the files got each other's version: {agents}")


def without_tls_macro():
    try:
        run("g++", "-std=c++17", "-fsyntax-only", f"-I{ROOT / 'include'}", ROOT / "tests/matrix/tls_macro.cpp")
    except RuntimeError as failure:
        if "define CPPHTTPLIB_OPENSSL_SUPPORT" not in str(failure):
            raise
        return
    raise RuntimeError("accepted without CPPHTTPLIB_OPENSSL_SUPPORT")


def mixed_tls_macro(compiler):
    source, plain = ROOT / "tests/matrix/tls_macro.cpp", "-DBACKENDAI_ALLOW_PLAIN_HTTP"
    for name, flags in (("main", [plain]), ("plain", [plain, "-DSECOND"]), ("tls", [TLS, "-DSECOND"])):
        run(compiler, "-std=c++17", "-O0", *STRICT, f"-I{ROOT / 'include'}", *flags, "-c", source, "-o", work / f"{name}.o")
    run(compiler, work / "main.o", work / "plain.o", "-o", work / "mixed", "-lcpp-httplib", *LIBRARIES)
    try:
        run(compiler, work / "main.o", work / "tls.o", "-o", work / "mixed", "-lcpp-httplib", *LIBRARIES)
    except RuntimeError as failure:
        if "CPPHTTPLIB_OPENSSL_SUPPORT" not in str(failure):
            raise RuntimeError(f"refused, but the message does not say why:\n{failure}") from None
        return
    raise RuntimeError("a file with CPPHTTPLIB_OPENSSL_SUPPORT and one without it were linked")


def foreign(compiler, version, *flags):
    syntax(compiler, "c++17", version, "-isystem", foreign_headers(), *flags)


def arm_sysroot():
    """OpenSSL and zlib for armhf, unpacked beside the system and not installed in it."""
    folder = cache / "armhf"
    if not (folder / "complete").exists():
        options = apt("arm-packages", f"Types: deb\nURIs: {mirror()}\nSuites: bookworm\nComponents: main\n"
                                      f"Signed-By: {KEYRING}\n")
        options += ["-o", "APT::Architectures=amd64,armhf", "-o", "APT::Architectures::=amd64", "-o",
                    "APT::Architectures::=armhf"]
        run("apt-get", *options, "update")
        run("apt-get", *options, "download", "libssl-dev:armhf", "libssl3:armhf", "zlib1g:armhf", "zlib1g-dev:armhf",
            cwd=cache / "arm-packages")
        for package in (cache / "arm-packages").glob("*_armhf.deb"):
            run("dpkg", "-x", package, folder)
        (folder / "complete").touch()
    return folder


def units_on_arm():
    if "arm" not in run("arm-linux-gnueabihf-g++", "-dumpmachine"):
        raise Skip("no compiler for armhf")
    root = arm_sysroot()
    merged, program = work / "unit.cpp", work / "unit-arm"
    run(sys.executable, ROOT / "tests/tools/merge.py", merged, *sorted((ROOT / "tests/unit").glob("*.cpp")))
    flags = ["-std=c++17", "-O0", "-Wno-psabi", TLS, f"-I{ROOT / 'include'}", f"-I{ROOT / 'tests/unit'}",
             f'-DBACKENDAI_TEST_DATA="{ROOT / "tests/data"}"', "-isystem", root / "usr/include/arm-linux-gnueabihf",
             "-isystem", foreign_headers(), "-isystem", cache / "doctest"]
    (cache / "doctest").mkdir(exist_ok=True)
    shutil.copytree("/usr/include/doctest", cache / "doctest/doctest", dirs_exist_ok=True)
    libraries = root / "usr/lib/arm-linux-gnueabihf"
    run("arm-linux-gnueabihf-g++", *flags, *library("0.11.4"), ROOT / "tests/main.cpp", merged, "-o", program,
        f"-L{libraries}", f"-L{root / 'lib/arm-linux-gnueabihf'}", *LIBRARIES)
    path = f"{libraries}:{root / 'lib/arm-linux-gnueabihf'}"
    print(run("qemu-arm", "-L", "/usr/arm-linux-gnueabihf", "-E", f"LD_LIBRARY_PATH={path}", program,
              timeout=900, cwd=ROOT).strip().splitlines()[-2])


install()
headers = upstream_headers()
for compiler, standard, version, *flags in (
        ("g++", "c++17", "0.41"),
        ("g++", "c++20", "0.11.4", "-fno-rtti"),
        ("g++", "c++23", "0.18", GATEWAY),
        ("g++", "c++17", "split", "-fno-rtti"),
        ("clang++", "c++17", "0.18", "-stdlib=libc++", "-fno-rtti"),
        ("clang++", "c++20", "0.41", "-stdlib=libc++", GATEWAY),
        ("clang++", "c++2b", "0.11.4", "-stdlib=libc++"),
        ("clang++", "c++2b", "0.41"),
        ("clang++", "c++20", "split")):
    cell(" ".join(("syntax", compiler, standard, "httplib", version, *flags)), syntax, compiler, standard, version, *flags)
for compiler, standard, version, *flags in (
        ("g++", "c++17", "0.11.4"),
        ("g++", "c++20", "0.18", "-fno-rtti"),
        ("clang++", "c++17", "0.41", "-stdlib=libc++"),
        ("clang++", "c++2b", "split", "-fno-rtti")):
    cell(" ".join(("run", compiler, standard, "httplib", version, *flags)), smoke, compiler, standard, version, *flags)
cell("two versions of the SDK in one program", two_versions)
cell("a file without the TLS macro", without_tls_macro)
cell("files with and without the TLS macro", mixed_tls_macro, "clang++")
cell("syntax mingw-w64 httplib 0.18", foreign, "x86_64-w64-mingw32-g++-posix", "0.18", "-D_WIN32_WINNT=0x0A00")
cell("syntax armhf httplib 0.41", foreign, "arm-linux-gnueabihf-g++", "0.41", "-Wno-psabi")
cell("unit suite on armhf under qemu", units_on_arm)
print(", ".join(f"{number} {what}" for what, number in counts.items()))
sys.exit(1 if counts["failed"] else 0)
