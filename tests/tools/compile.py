#!/usr/bin/env python3
"""compile.py CHECK BUILD -- LINK_ARGS: compile-time tests, with the compiler and flags of the build folder.

headers  each header is a translation unit of its own
poison   min, max and small are macros before the umbrella, as windows.h leaves them
link     two translation units with the umbrella link into one program
fail     tests/compile/fail/*.cpp: refused, with the text of `// expect: ...`; accepted with -DMUST_COMPILE
core     core.hpp does not bring httplib.h
code     a file pays for what it calls only, in code and in what the compiler instantiates
modes    every public API function is called in both modes by tests/loopback/async_api.cpp, async.cpp or events.cpp
"""
import pathlib
import re
import sys
import tempfile

from common import ROOT, Tap, compile_command, parallel, run

check, build, link = sys.argv[1], sys.argv[2], sys.argv[4:]
command = compile_command(build)
tap = Tap()
# #pragma once and unused statics in a file that is itself a header say nothing about its users; all else is an error.
strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
umbrella = [n for n in ("backendai.hpp", "backendai/testing/gateway.hpp") if (ROOT / "include" / n).is_file()]
includes = "".join(f"#include <{name}>\n" for name in umbrella)


def syntax(text, folder, name, extra=()):
    source = pathlib.Path(folder) / (re.sub(r"\W", "_", name) + ".cpp")
    source.write_text(text)
    return run(command + list(extra) + ["-fsyntax-only", str(source)], build)


with tempfile.TemporaryDirectory() as folder:
    if check == "headers":
        names = [p.relative_to(ROOT / "include").as_posix() for p in sorted((ROOT / "include").glob("**/*.hpp"))]
        # Twice in one file: the guard is tested as well.
        results = parallel(lambda n: syntax(f"#include <{n}>\n#include <{n}>\n", folder, n, strict), names)
        for name, (status, text) in zip(names, results):
            tap.result(status == 0, f"{name} compiles alone", text)
    elif check == "poison":
        poison = "#define min(a, b) poisoned min\n#define max(a, b) poisoned max\n#define small poisoned small\n"
        # The system's and other libraries' headers come first: only ours are under test.
        others = set()
        for path in (ROOT / "include").glob("**/*.hpp"):
            others |= set(re.findall(r"^#include (<(?!backendai|windows|winsock|ws2|io\.h|direct|process\.h|mach)[^>]+>)",
                                     path.read_text(), re.M))
        others.discard("<coroutine>")  # g++ refuses it before C++20
        first = "".join(f"#if __has_include({n})\n#include {n}\n#endif\n" for n in sorted(others))
        status, text = syntax(first + poison + includes, folder, "poison")
        tap.result(bool(umbrella) and status == 0, "min, max and small as macros", text)
    elif check == "link":
        parts = []
        for name, text in (("one", "int other();\nint main() { return other(); }\n"), ("two", "int other();\nint other() { return 0; }\n")):
            parts.append(pathlib.Path(folder) / f"{name}.cpp")
            parts[-1].write_text(includes + text)
        status, text = run(command + [str(p) for p in parts] + link + ["-o", f"{folder}/linked"], build)
        if status == 0:
            status, text = run([f"{folder}/linked"], build, timeout=60)
        tap.result(bool(umbrella) and status == 0, "two translation units with the umbrella link", text)
    elif check == "core":
        core = ROOT / "include/backendai/core.hpp"
        source = pathlib.Path(folder) / "core.cpp"
        source.write_text("#include <backendai/core.hpp>\n")
        split = [f"-I{ROOT / 'include'}"]  # first: in a single-header build the name would be forwarded
        flags = next(i for i, word in enumerate(command) if word.startswith("-"))
        status, text = run(command[:flags] + split + command[flags:] + ["-E", str(source)], build) if core.is_file() else (1, "no core.hpp")
        found = re.findall(r'^# \d+ "([^"]*httplib[^"]*)"', text, re.M)
        tap.result(status == 0 and not found, "core.hpp brings no httplib header", "\n".join(sorted(set(found))) or text)
    elif check == "code":
        def compiled(text, extra=()):
            source = pathlib.Path(folder) / "code.cpp"
            source.write_text(text)
            return run(command + ["-O0", *extra, "-c", str(source), "-o", f"{folder}/code.o"], build)

        hello = "#include <backendai.hpp>\nint main() { return backendai::session().hello().version.empty(); }\n"
        status, output = compiled(hello)
        if status == 0:
            status, output = run(["nm", "-C", "--defined-only", f"{folder}/code.o"], build)
        found = re.findall(r"^\S+ [TtWw] (.*(?:websocket_codec|tls_stream).*)", output, re.M)
        tap.result(status == 0 and " main" in output and not found, "a program without websockets holds no code for them",
                   "\n".join(found) or output)

        # What is instantiated costs time also when no code of it is left in the end; g++ tells it.
        dump = pathlib.Path(folder) / "instantiated.txt"
        is_clang = "clang" in run(command + ["--version"], build)[1]
        for name, text, unwanted, most in (
                ("little is instantiated for the umbrella alone", "#include <backendai.hpp>\nint main() {}\n", None, 50),
                ("the pipeline is not instantiated outside of the extern form's one file",
                 "#define BACKENDAI_EXTERN_HTTPLIB\n" + hello, r"session_state::session_state\(|make_attempts|resolve_config|parse_json", 80)):
            if is_clang:
                tap.skip(name, "only g++ tells what it instantiates")
                continue
            status, output = compiled(text, [f"-fdump-tree-original={dump}"])
            functions = re.findall(r"^;; Function (.*backendai::.*) \[with .*= void\b", dump.read_text(), re.M) if status == 0 else []
            found = [each for each in functions if unwanted and re.search(unwanted, each)]
            tap.result(status == 0 and 0 < len(functions) <= most and not found, name,
                       output or "\n".join(found or functions))
    elif check == "modes":
        declared = re.compile(r"^    (?:typename Mode::template )?result<.*> (\w+)\(")
        called = {name for file in ("async_api.cpp", "async.cpp", "events.cpp")
                  for name in re.findall(r"[.>](\w+)\(", (ROOT / "tests/loopback" / file).read_text())}
        headers = [ROOT / "include/backendai/session.hpp", ROOT / "include/backendai/request.hpp",
                   *sorted((ROOT / "include/backendai/api").glob("*.hpp"))]
        for header in headers:
            public, names = False, []
            for line in header.read_text().split("\n"):
                if line.startswith(("class ", "};")) or line.endswith(("public:", "private:", "protected:")):
                    public = line == "public:"
                found = declared.match(line)
                if public and found and found.group(1) not in names:
                    names.append(found.group(1))
            for name in names:
                tap.result(name in called, f"{name} of {header.name} is called in both modes")
    elif check == "fail":
        sources = sorted((ROOT / "tests/compile/fail").glob("*.cpp"))
        if not sources:
            tap.skip("must-not-compile files", "there are none in tests/compile/fail")

        def both(path):
            base = command + ["-fsyntax-only", str(path)]
            return run(base, build), run(base + ["-DMUST_COMPILE"], build)
        for path, ((refused, errors), (accepted, text)) in zip(sources, parallel(both, sources)):
            expected = re.findall(r"^// expect: (.+?)\s*$", path.read_text(), re.M)
            missing = [e for e in expected if e not in errors]
            tap.result(refused != 0 and bool(expected) and not missing, f"{path.name} is refused with its message",
                       f"expected: {missing or expected or 'no // expect: line'}\n{errors}")
            tap.result(accepted == 0, f"{path.name} compiles with MUST_COMPILE", text)
tap.end()
