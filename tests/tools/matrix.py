#!/usr/bin/env python3
"""Compilers, standards, libraries and versions of cpp-httplib that the SDK must work with.

A choice of cells in which each value meets each other value at least once. Most are only read by the compiler, with all
functions of the default session instantiated in both modes; some run a program against the embedded gateway; the unit
suite runs on an emulated 32-bit ARM. All of them take about seven minutes of CPU: by hand or at night. --quick is for
every change: at most 150 s of CPU, one cell for each thing that no other stage of the CI meets (cpp-httplib in full and
newer, libc++, no RTTI, C++23 with a program that runs, two versions of the SDK, the TLS macro, Windows, 32 bit; of the
unit suite some codecs). Needs Debian 12, and root or sudo where packages are missing: it installs them, and skips the
cells of what cannot be had. The last line is `N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import functools
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from common import ROOT, gateway

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
TLS = "-DCPPHTTPLIB_OPENSSL_SUPPORT"
LIBRARIES = ["-lssl", "-lcrypto", "-lz", "-pthread"]
# What Debian calls the compilers and libraries, by the words in a cell's name.
PACKAGES = {"g++": "g++", "clang++": "clang", "-stdlib=libc++": "libc++-14-dev libc++abi-14-dev", "split": "libcpp-httplib-dev",
            "mingw-w64": "g++-mingw-w64-x86-64-posix", "armhf": "g++-arm-linux-gnueabihf", "qemu": "qemu-user"}
ALWAYS = ["dpkg-dev", "g++", "nlohmann-json3-dev", "libssl-dev", "zlib1g-dev", "doctest-dev", "libcpp-httplib-dev"]
# Upstream's single header, as Debian's source packages hold it: version -> suite.
UPSTREAM = {"0.11.4": "bookworm", "0.18": "trixie", "0.41": "trixie-backports"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--quick", action="store_true", help="the cells for every change")
parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX", help="cells whose name matches")
parser.add_argument("--gateway", help="the program of examples/gateway.cpp (default: made in the cache)")
parser.add_argument("--httplib", type=pathlib.Path, metavar="FOLDER",
                    help="only two cells: both compilers with this folder's httplib.h, such as the newest release's")
parser.add_argument("cache", nargs="?", default=pathlib.Path.home() / ".cache/backendai-matrix",
                    help="folder for what is downloaded and built (default: %(default)s)")
options = parser.parse_args()
cache = pathlib.Path(options.cache).resolve()
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


def cpu_seconds():
    """Of all programs that ended so far."""
    times = os.times()
    return times.children_user + times.children_system


def cell(name, check, *arguments):
    if not options.only.search(name):
        return
    start, before = time.monotonic(), cpu_seconds()
    try:
        absent = [p for word in name.split() if word in PACKAGES for p in PACKAGES[word].split() if p in missing]
        if absent:
            raise Skip("cannot be installed: " + " ".join(absent))
        check(*arguments)
        outcome, text = "passed", ""
    except Skip as reason:
        outcome, text = "skipped", f" ({' '.join(str(reason).split())})"
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        outcome, text = "failed", f"\n{failure}"
    counts[outcome] += 1
    cpu = cpu_seconds() - before
    print(f"{outcome:8}{name} [{cpu:.1f} s of CPU, {time.monotonic() - start:.0f} s]{text}", flush=True)


# --- what the cells need ----------------------------------------------------------------------------------------------

def sudo():
    return [] if os.getuid() == 0 else ["sudo"]


def not_installed(packages):
    have = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    return [p for p in packages if f"{p} install ok installed" not in have]


def install():
    """Installs what is missing, and gives what could not be."""
    packages = sorted({*ALWAYS, *" ".join(PACKAGES.values()).split()})
    wanted = not_installed(packages)
    if wanted:
        print("installing:", *wanted, flush=True)
        try:
            run(*sudo(), "apt-get", "update", "-qq")
            run(*sudo(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
                "--no-install-recommends", *wanted)
        except (RuntimeError, OSError) as failure:
            print(failure, flush=True)
    return not_installed(packages)


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


@functools.lru_cache(None)
def sources():
    """Options for an apt with the suites' source packages, and what it knows of ours."""
    try:
        apt_options = apt("sources", f"Types: deb-src\nURIs: {mirror()}\nSuites: {' '.join(UPSTREAM.values())}\n"
                                     f"Components: main\nSigned-By: {KEYRING}\n")
        run("apt-get", *apt_options, "update")
        return apt_options, run("apt-cache", *apt_options, "showsrc", "cpp-httplib")
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        return [], str(failure)


def upstream(version):
    """The folder of that release's httplib.h."""
    folder = cache / "httplib" / version
    if not (folder / "httplib.h").is_file():
        apt_options, listed = sources()
        # The newest packaging of that release: the upstream file is the same in all.
        known = [v for v in re.findall(r"^Version: (\S+)", listed, re.M) if v.startswith(version)]
        if not known:
            raise Skip(f"no source package of cpp-httplib {version} in {UPSTREAM[version]}: {listed[-300:]}")
        with contextlib.suppress(RuntimeError):  # the packaging's own archive may be gone; the file below may not
            run("apt-get", *apt_options, "source", "--tar-only", f"cpp-httplib={known[-1]}", cwd=cache / "sources")
        archives = sorted((cache / "sources").glob(f"cpp-httplib_{version}*.orig.tar.*"))
        if not archives:
            raise Skip(f"the source package of cpp-httplib {version} could not be had")
        folder.mkdir(parents=True, exist_ok=True)
        text = subprocess.run(["tar", "xOf", archives[-1], "--wildcards", "*/httplib.h"], stdout=subprocess.PIPE).stdout
        if b"CPPHTTPLIB_VERSION" not in text:
            raise RuntimeError(f"{archives[-1].name} holds no httplib.h")
        (folder / "httplib.h").write_bytes(text)
    return folder


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
    if version == "given":
        return ["-isystem", options.httplib.resolve()]
    return [] if version == "split" else ["-isystem", upstream(version)]


def compiled(compiler, source, name, *flags):
    """An object file; compiled by way of ccache where that is installed."""
    run(*CCACHE, compiler, "-O0", *STRICT, *flags, "-c", source, "-o", work / f"{name}.o")
    return work / f"{name}.o"


GATEWAY = "backendai/testing/gateway.hpp"


def syntax(compiler, standard, version, *flags):
    """Reads the umbrella; where GATEWAY is among the flags, the embedded gateway too."""
    source = work / "umbrella.cpp"
    names = ["backendai.hpp"] + [GATEWAY] * (GATEWAY in flags)
    # The form of the SDK in which one file makes the blocking session with all of its functions; of the other mode here.
    # Without an instantiation a template's body is hardly looked at.
    classes = re.findall(r"^BACKENDAI_TEMPLATE class (\w+)<", HTTPLIB.read_text(), re.M)
    source.write_text("#define BACKENDAI_EXTERN_HTTPLIB\n#define BACKENDAI_HTTPLIB_IMPLEMENTATION\n" +
                      "".join(f"#include <{name}>\n" for name in names) +
                      "".join(f"template class backendai::{name}<backendai::httplib_transport, backendai::async>;\n"
                              for name in classes))
    flags = [flag for flag in flags if flag != GATEWAY]
    command = [compiler, f"-std={standard}", "-fsyntax-only", *STRICT, TLS, f"-I{ROOT / 'include'}", *flags]
    run(*command, *library(version), source)


def smoke(compiler, standard, version, *flags):
    program, source = work / "smoke", ROOT / "tests/matrix/smoke.cpp"
    link = (["-lcpp-httplib"] if version == "split" else []) + LIBRARIES
    made = compiled(compiler, source, "smoke", f"-std={standard}", TLS, f"-I{ROOT / 'include'}", *flags, *library(version))
    run(compiler, *[flag for flag in flags if flag.startswith("-stdlib")], made, "-o", program, *link)
    # What two versions of the SDK in one program could share by accident.
    bare = [line for line in run("nm", "-C", program).splitlines()
            if re.search(r" [TWVuBD] (.*[ (<])?backendai::(?!v\d+_\d+_\d+)", line)]
    if bare:
        raise RuntimeError("symbols without the version in their name:\n" + "\n".join(bare[:20]))
    with gateway(gateway_program()) as environment:
        if run(program, env={**os.environ, **environment}, timeout=120) != "ok\n":
            raise RuntimeError("the program did not print ok")


def gateway_program():
    if options.gateway:
        return options.gateway
    made = compiled("g++", ROOT / "examples/gateway.cpp", "gateway", "-std=c++17", TLS, f"-I{ROOT / 'include'}")
    run("g++", made, "-o", cache / "gateway", "-lcpp-httplib", *LIBRARIES)
    return cache / "gateway"


def two_versions():
    version = re.search(r'#define BACKENDAI_VERSION "(.*)"', (ROOT / "include/backendai/version.hpp").read_text()).group(1)
    shutil.copytree(ROOT / "include", work / "other", dirs_exist_ok=True)
    header = work / "other/backendai/version.hpp"
    header.write_text(header.read_text().replace(version, "97.98.99").replace("v" + version.replace(".", "_"), "v97_98_99"))
    source, objects = ROOT / "tests/matrix/versions.cpp", [work / "first.o", work / "second.o"]
    for name, include, extra in (("first", ROOT / "include", []), ("second", work / "other", ["-DSECOND"])):
        compiled("g++", source, name, "-std=c++17", f"-I{include}", *extra)
    for order in (objects, objects[::-1]):
        run("g++", *order, "-o", work / "versions", *LIBRARIES)
        agents = run(work / "versions").splitlines()
        if len(agents) != 2 or not agents[0].endswith(version) or not agents[1].endswith("97.98.99"):
            raise RuntimeError(f"the files got each other's version: {agents}")


def without_tls_macro():
    try:
        run("g++", "-std=c++17", "-fsyntax-only", "-Wfatal-errors", f"-I{ROOT / 'include'}", ROOT / "tests/matrix/tls_macro.cpp")
    except RuntimeError as failure:
        if "define CPPHTTPLIB_OPENSSL_SUPPORT" not in str(failure):
            raise
        return
    raise RuntimeError("accepted without CPPHTTPLIB_OPENSSL_SUPPORT")


def mixed_tls_macro(compiler):
    source, include = ROOT / "tests/matrix/tls_macro.cpp", f"-I{ROOT / 'include'}"
    objects = [compiled(compiler, source, "plain", "-std=c++17", include, "-DBACKENDAI_ALLOW_PLAIN_HTTP"),
               compiled(compiler, source, "tls", "-std=c++17", include, TLS, "-DSECOND")]
    try:
        run(compiler, *objects, "-o", work / "mixed", "-lcpp-httplib", *LIBRARIES)
    except RuntimeError as failure:
        if "cpphttplib_openssl_support_must_be_defined_in_all_files_or_in_none" not in str(failure):
            raise RuntimeError(f"refused, but the message does not say why:\n{failure}") from None
        return
    raise RuntimeError("a file with CPPHTTPLIB_OPENSSL_SUPPORT and one without it were linked")


def foreign(compiler, version, *flags):
    syntax(compiler, "c++17", version, "-isystem", foreign_headers(), *flags)


def arm_sysroot():
    """OpenSSL and zlib for armhf, unpacked beside the system and not installed in it."""
    folder = cache / "armhf"
    if not (folder / "complete").exists():
        apt_options = apt("arm-packages", f"Types: deb\nURIs: {mirror()}\nSuites: bookworm\nComponents: main\n"
                                          f"Signed-By: {KEYRING}\n")
        apt_options += ["-o", "APT::Architectures=amd64,armhf", "-o", "APT::Architectures::=amd64", "-o",
                        "APT::Architectures::=armhf"]
        try:
            run("apt-get", *apt_options, "update")
            run("apt-get", *apt_options, "download", "libssl-dev:armhf", "libssl3:armhf", "zlib1g:armhf",
                "zlib1g-dev:armhf", cwd=cache / "arm-packages")
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            raise Skip(f"OpenSSL and zlib for armhf cannot be had: {str(failure)[-300:]}") from None
        for package in (cache / "arm-packages").glob("*_armhf.deb"):
            run("dpkg", "-x", package, folder)
        (folder / "complete").touch()
    return folder


def units_on_arm(*patterns):
    root = arm_sysroot()
    merged, program = work / "unit.cpp", work / "unit-arm"
    run(sys.executable, ROOT / "tests/tools/merge.py", merged, *sorted(s for p in patterns for s in (ROOT / "tests/unit").glob(p)))
    # To g++ all but the merged file is a header, where it warns of types with members from unnamed namespaces.
    flags = ["-std=c++17", "-Wno-psabi", "-Wno-subobject-linkage", TLS, f"-I{ROOT / 'include'}", f"-I{ROOT / 'tests/unit'}",
             f'-DBACKENDAI_TEST_DATA="{ROOT / "tests/data"}"', "-isystem", root / "usr/include/arm-linux-gnueabihf",
             "-isystem", foreign_headers(), "-isystem", cache / "doctest"]
    (cache / "doctest").mkdir(exist_ok=True)
    shutil.copytree("/usr/include/doctest", cache / "doctest/doctest", dirs_exist_ok=True)
    libraries = root / "usr/lib/arm-linux-gnueabihf"
    objects = [compiled("arm-linux-gnueabihf-g++", source, f"arm-{source.stem}", *flags, *library("0.11.4"))
               for source in (ROOT / "tests/main.cpp", merged)]
    run("arm-linux-gnueabihf-g++", *objects, "-o", program, f"-L{libraries}", f"-L{root / 'lib/arm-linux-gnueabihf'}", *LIBRARIES)
    path = f"{libraries}:{root / 'lib/arm-linux-gnueabihf'}"
    print(run("qemu-arm", "-L", "/usr/arm-linux-gnueabihf", "-E", f"LD_LIBRARY_PATH={path}", program,
              timeout=3600, cwd=ROOT).strip().splitlines()[-2])


HTTPLIB = ROOT / "include/backendai/transport/httplib.hpp"
missing = install()
CCACHE = ["ccache"] if shutil.which("ccache") else []
SYNTAX = (("g++", "c++17", "0.41", "-fno-rtti"),
          ("g++", "c++20", "0.11.4", "-fno-rtti"),
          ("g++", "c++23", "0.18", GATEWAY),
          ("g++", "c++23", "split", "-fno-rtti"),
          ("clang++", "c++17", "0.18", "-stdlib=libc++", "-fno-rtti"),
          ("clang++", "c++20", "0.41", "-stdlib=libc++", GATEWAY),
          ("clang++", "c++2b", "0.11.4", "-stdlib=libc++"),
          ("clang++", "c++20", "split"))
RUN = (("g++", "c++17", "0.11.4"),
       ("g++", "c++20", "0.18", "-fno-rtti"),
       ("clang++", "c++2b", "0.41", "-stdlib=libc++"),
       ("clang++", "c++17", "split", "-fno-rtti"))
if options.httplib:
    SYNTAX, RUN = [("g++", "c++20", "given", GATEWAY)], [("clang++", "c++17", "given", "-stdlib=libc++", "-fno-rtti")]
# The rest of the CI meets Debian's split library in all stages, and the standards in those of the compilers.
for compiler, standard, version, *flags in () if options.quick else SYNTAX:
    cell(" ".join(("syntax", compiler, standard, "httplib", version, *flags)), syntax, compiler, standard, version, *flags)
for compiler, standard, version, *flags in RUN[:3] if options.quick else RUN:
    cell(" ".join(("run", compiler, standard, "httplib", version, *flags)), smoke, compiler, standard, version, *flags)
if not options.httplib:
    cell("two versions of the SDK in one program", two_versions)
    cell("a file without the TLS macro", without_tls_macro)
    cell("files with and without the TLS macro, by clang++", mixed_tls_macro, "clang++")
    cell("syntax mingw-w64 httplib 0.18", foreign, "x86_64-w64-mingw32-g++-posix", "0.18", "-D_WIN32_WINNT=0x0A00")
    cell("syntax armhf httplib 0.41", foreign, "arm-linux-gnueabihf-g++", "0.41", "-Wno-psabi")
    if options.quick:
        # Where sizes, offsets and times are calculated with, and short on an emulator.
        cell("part of the unit suite on armhf under qemu", units_on_arm, "codec_date.cpp", "codec_gzip.cpp",
             "codec_signature.cpp", "codec_tar.cpp", "codec_websocket_frames.cpp")
    else:
        cell("unit suite on armhf under qemu", units_on_arm, "*.cpp")
print(f"{cpu_seconds():.0f} s of CPU")
print(", ".join(f"{number} {what}" for what, number in counts.items()))
sys.exit(1 if counts["failed"] or not sum(counts.values()) else 0)
