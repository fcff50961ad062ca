#!/usr/bin/env python3
"""compile_cost.py [--size] [HTTPLIB_FOLDER...]: what the SDK costs a compiler, beside httplib.h and json.hpp alone.

CPU seconds (median of BENCH_ROUNDS, default 3, of all files in turns) and peak memory for one file at -O0, with the
installed cpp-httplib and with the upstream httplib.h of each folder; then the stripped size of a program, all inline,
at -O2 and at -Os. --size: the sizes only.
CXX names the compiler. Targets that are missed are marked, and then the exit status is 1.
"""
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE_ONLY = "--size" in sys.argv[1:2]
HTTPLIBS = list(map(pathlib.Path, sys.argv[2 if SIZE_ONLY else 1:]))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
COMPILER = shlex.split(os.environ.get("CXX", "g++"))
FLAGS = ["-std=c++17", "-DCPPHTTPLIB_OPENSSL_SUPPORT", f"-I{ROOT / 'include'}"]
SDK_MAIN = """#include <backendai.hpp>
#include <cstdio>
int main() {
    backendai::session session;
    std::puts(session.hello().version.c_str());
}
"""
FILES = {
    "json.hpp": "#include <nlohmann/json.hpp>\n"
                "int main(int, char** argv) { return nlohmann::json::parse(argv[0]).at(\"n\").get<int>(); }\n",
    "core.hpp": "#include <backendai/core.hpp>\nint main() {}\n",
    "extern form, a file that uses the session": "#define BACKENDAI_EXTERN_HTTPLIB\n" + SDK_MAIN,
    "extern form, the file that holds it": "#define BACKENDAI_EXTERN_HTTPLIB\n#define BACKENDAI_HTTPLIB_IMPLEMENTATION\n"
                                           "#include <backendai.hpp>\n",
    "httplib.h and json.hpp, included": "#include <httplib.h>\n#include <nlohmann/json.hpp>\nint main() {}\n",
    "umbrella, included": "#include <backendai.hpp>\nint main() {}\n",
    "httplib.h and json.hpp, hello": """#include <httplib.h>
#include <nlohmann/json.hpp>
#include <cstdio>
int main() {
    httplib::Client client("https://api.backend.ai");
    const auto answer = client.Get("/");
    if (!answer) return 1;
    std::puts(nlohmann::json::parse(answer->body).at("version").get<std::string>().c_str());
}
""",
    "umbrella, hello": SDK_MAIN,
}
WITH_HTTPLIB = [name for name in FILES if "httplib.h" in name or "umbrella" in name]
missed = []


def judge(name, value, target, unit=""):
    good = value <= target
    if not good:
        missed.append(name)
    print(f"  {name}: {value:.2f}{unit}, at most {target}{unit}{'' if good else '  MISSED'}", flush=True)


def measure(command):
    """CPU seconds and peak MB of a command's processes."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # a process of its own, whose children's peak is no one else's
        import resource
        status = subprocess.run(command).returncode
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(write, f"{status} {used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        status, seconds, memory = pipe.read().split()
    os.waitpid(child, 0)
    if status != "0":
        sys.exit(f"failed: {shlex.join(command)}")
    return float(seconds), float(memory)


def compile_all(folder, names, extra):
    table = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            source = folder / "file.cpp"
            source.write_text(FILES[name])
            table[name].append(measure([*COMPILER, *FLAGS, "-O0", *extra, "-c", str(source), "-o", str(folder / "file.o")]))
    result = {name: tuple(map(statistics.median, zip(*values))) for name, values in table.items()}
    for name, (seconds, memory) in result.items():
        print(f"  {name:<44}{seconds:7.2f} s {memory:6.0f} MB", flush=True)
    return {name: seconds for name, (seconds, _) in result.items()}


def program_size(folder, name, level, extra, link):
    source, program = folder / "hello.cpp", folder / "hello"
    source.write_text(FILES[name])
    subprocess.run([*COMPILER, *FLAGS, level, *extra, str(source), "-o", str(program), *link, "-lssl", "-lcrypto",
                    "-lz", "-pthread"], check=True)
    subprocess.run(["strip", str(program)], check=True)
    return program.stat().st_size / 1024


print(subprocess.run([*COMPILER, "--version"], stdout=subprocess.PIPE, text=True).stdout.splitlines()[0])
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for httplib in [None, *HTTPLIBS]:
        print(f"with {httplib / 'httplib.h' if httplib else 'the installed cpp-httplib'}")
        extra = ["-isystem", str(httplib)] if httplib else []
        if not SIZE_ONLY:
            times = compile_all(folder, WITH_HTTPLIB if httplib else list(FILES), extra)
            if not httplib:
                judge("extern form beyond json.hpp",
                      times["extern form, a file that uses the session"] - times["json.hpp"], 1.2, " s")
            for kind in ("included", "hello"):
                judge(f"umbrella to httplib.h and json.hpp, {kind}",
                      times[f"umbrella, {kind}"] / times[f"httplib.h and json.hpp, {kind}"], 1.25)
        split = httplib is None and any(pathlib.Path("/usr/lib").glob("*/libcpp-httplib.so"))
        for level in ("-O2", "-Os"):
            raw, ours = (program_size(folder, f"{which}, hello", level, extra, ["-lcpp-httplib"] if split else [])
                         for which in ("httplib.h and json.hpp", "umbrella"))
            print(f"  stripped at {level}: raw {raw:.0f} KB, SDK {ours:.0f} KB")
            judge(f"stripped size beyond raw at {level}", ours - raw, 300, " KB")
sys.exit(1 if missed else 0)
