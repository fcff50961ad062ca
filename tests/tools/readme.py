#!/usr/bin/env python3
"""readme.py BUILD GATEWAY -- LINK_ARGS: compiles and runs every ```cpp block of README.md.

A block with `int main` is a whole program and finds a running gateway in its environment. Any other block is a
snippet: its #include lines go to the top, the rest into a main() after `backendai::session session;`, against the
same gateway. A comment line before a block changes that:
  <!-- compile-only -->   the block is compiled, not run
  <!-- file-scope -->     the snippet holds declarations: it stands before main()
An ```output block after it (before the next cpp block) is what the program must print.
"""
import difflib
import pathlib
import re
import subprocess
import sys
import tempfile

from common import ROOT, Tap, clean_environment, compile_command, gateway, parallel, run

build, program, link = sys.argv[1], sys.argv[2], sys.argv[4:]
BLOCK = re.compile(r"^```(cpp|output)[^\n]*\n(.*?)^```[ \t]*$", re.M | re.S)
PREAMBLE = ["#include <backendai.hpp>", "#include <iostream>", "#include <string>"]
# Snippets share one copy of the default session's code, which takes longer to compile than they do.
EXTERN, IMPLEMENTATION = "-DBACKENDAI_EXTERN_HTTPLIB", "-DBACKENDAI_HTTPLIB_IMPLEMENTATION"


def is_program(text):
    return re.search(r"\bint\s+main\s*\(", text) is not None


def source(text, marks):
    if is_program(text):
        return text
    lines = text.split("\n")
    heads = PREAMBLE + ["#include <backendai/testing/gateway.hpp>"] * ("testing::" in text) + [x for x in lines if x.startswith("#include")]
    body = [x for x in lines if not x.startswith("#include")]
    if "file-scope" in marks:
        return "\n".join(heads + body + ["int main() {}", ""])
    return "\n".join(heads + ["int main() {", "backendai::session session;", "(void)session;"] + body + ["}", ""])


readme = (ROOT / "README.md").read_text(encoding="utf-8")
blocks = []
for found in BLOCK.finditer(readme):
    if found.group(1) == "output":
        if blocks:
            blocks[-1]["output"] = found.group(2)
        continue
    before = readme[:found.start()].rstrip().split("\n")[-1]
    blocks.append({"text": found.group(2), "line": readme[:found.start()].count("\n") + 1,
                   "marks": re.findall(r"<!--\s*([\w-]+)\s*-->", before), "output": None})

command, tap = compile_command(build), Tap()
with tempfile.TemporaryDirectory() as folder, gateway(program) as exported:
    def compiled(block):
        path = pathlib.Path(folder) / f"readme_{block['line']}.cpp"
        path.write_text(source(block["text"], block["marks"]), encoding="utf-8")
        unused = ["-Wno-unused", "-Wno-unused-result"]  # a snippet shows a call without using its result
        shared = [] if is_program(block["text"]) else [EXTERN, str(implementation.with_suffix(".o"))]
        return run(command + unused + [str(path)] + shared + link + ["-o", str(path.with_suffix(""))], build)

    implementation = pathlib.Path(folder) / "implementation.cpp"
    implementation.write_text("#include <backendai.hpp>\n", encoding="utf-8")
    status, text = run(command + [EXTERN, IMPLEMENTATION, "-c", str(implementation), "-o",
                                  str(implementation.with_suffix(".o"))], build)
    tap.result(status == 0, "the default session compiles", text)
    for block, (status, text) in zip(blocks, parallel(compiled, blocks)):
        name = f"README.md:{block['line']}"
        tap.result(status == 0, f"{name} compiles", text)
        if status == 0 and "compile-only" not in block["marks"]:
            work = pathlib.Path(folder) / f"work_{block['line']}"
            work.mkdir()
            try:
                done = subprocess.run([f"{folder}/readme_{block['line']}"], cwd=work, env={**clean_environment(), **exported},
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
                status, out, err = done.returncode, done.stdout, done.stderr
            except subprocess.TimeoutExpired:
                status, out, err = -1, "", "still running after 60 s"
            tap.result(status == 0, f"{name} runs", f"exit status {status}\n{out}\n{err}")
            if block["output"] is not None:
                diff = difflib.unified_diff(block["output"].split("\n"), out.split("\n"), "README.md", "printed", lineterm="")
                tap.result(out == block["output"], f"{name} prints what README.md says", "\n".join(diff))
if not blocks:
    tap.result(False, "README.md has cpp blocks", "none found")
tap.end()
