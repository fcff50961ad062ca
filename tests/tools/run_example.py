#!/usr/bin/env python3
"""run_example.py NAME PROGRAM [GATEWAY]: runs an example with --local, or against the gateway program, examples/NAME.input
as stdin, and compares examples/NAME.expected, or
looks for the lines of examples/NAME.contains where not every byte is known before (a terminal)."""
import contextlib
import difflib
import pathlib
import subprocess
import sys

from common import ROOT, clean_environment, gateway

name, program = sys.argv[1], str(pathlib.Path(sys.argv[2]).resolve())
if name == "gateway":
    with gateway(program) as exported:
        print("exports", *sorted(exported))
    sys.exit(0)
given, expected, contains = (ROOT / f"examples/{name}.{kind}" for kind in ("input", "expected", "contains"))
with contextlib.ExitStack() as stack:
    environment, arguments = clean_environment(), ["--local"]
    if len(sys.argv) > 3:  # a gateway program, for an example that has none of its own
        environment, arguments = {**environment, **stack.enter_context(gateway(sys.argv[3]))}, []
    done = subprocess.run([program, *arguments], input=given.read_text() if given.exists() else "",
                          stdout=subprocess.PIPE, text=True, env=environment, timeout=100, cwd=ROOT)
print(done.stdout)
if done.returncode != 0:
    sys.exit(f"exit status {done.returncode}")
if expected.exists() and expected.read_text() != done.stdout:
    sys.exit("\n".join(difflib.unified_diff(expected.read_text().split("\n"), done.stdout.split("\n"), "expected", "printed", lineterm="")))
for line in contains.read_text().splitlines() if contains.exists() else []:
    if line not in done.stdout.splitlines():
        sys.exit(f"this line is missing: {line}")
