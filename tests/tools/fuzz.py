#!/usr/bin/env python3
"""fuzz.py NAME SECONDS [LIBRARY...]: builds tests/fuzz/NAME.cpp with libFuzzer and the address and undefined-behaviour
sanitizers, and runs it for so long on a copy of tests/fuzz/corpus/NAME. Input that breaks something is kept in the folder
that the environment's BACKENDAI_FUZZ_ARTIFACTS names (default: the current one). Exit status 77: no clang++ with
libFuzzer. Headers come from include/, or from single_include/ where BACKENDAI_FUZZ_INCLUDE says so."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
name, seconds, libraries = sys.argv[1], sys.argv[2], sys.argv[3:]
compiler = os.environ.get("BACKENDAI_FUZZ_CXX", "clang++")
SANITIZERS = "-fsanitize=fuzzer,address,undefined"
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    probe = folder / "probe.cpp"
    probe.write_text('extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n')
    if shutil.which(compiler) is None:
        print(f"SKIP: there is no {compiler}")
        sys.exit(77)
    if subprocess.run([compiler, SANITIZERS, str(probe), "-o", str(folder / "probe")], stderr=subprocess.DEVNULL).returncode:
        print(f"SKIP: {compiler} has no libFuzzer")
        sys.exit(77)
    program = folder / name
    subprocess.run([compiler, "-std=c++17", "-O1", "-g", SANITIZERS, "-fno-sanitize-recover=all", "-Wall", "-Wextra",
                    "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
                    "-I" + os.environ.get("BACKENDAI_FUZZ_INCLUDE", str(ROOT / "include")),
                    str(ROOT / "tests" / "fuzz" / (name + ".cpp")), "-o", str(program), *libraries], check=True)
    corpus = folder / "corpus"
    shutil.copytree(ROOT / "tests" / "fuzz" / "corpus" / name, corpus)
    artifacts = os.environ.get("BACKENDAI_FUZZ_ARTIFACTS", os.getcwd())
    done = subprocess.run([str(program), "-max_total_time=" + seconds, "-max_len=65536", "-rss_limit_mb=2048",
                           f"-artifact_prefix={artifacts}/fuzz-{name}-", "-print_final_stats=1", str(corpus)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    print("\n".join(done.stdout.split("\n")[-40:]))
    sys.exit(done.returncode)
