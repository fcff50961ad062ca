#!/usr/bin/env python3
"""coverage.py BUILD MINIMUM: line coverage of include/ from the gcov data in BUILD.

gcov knows only code that some test made the compiler emit: a template or inline function that no test uses is absent,
not uncovered. So function bodies without any line known to gcov are looked for in the headers, and each of their lines
that ends a statement counts as uncovered; a header that no test includes counts with all its bodies.
"""
import json
import pathlib
import re
import subprocess
import sys

from common import ROOT

sys.path.insert(0, str(ROOT / "single_include"))
from amalgamate import mask  # noqa: E402  (needs the path)

INCLUDE = ROOT / "include"
TYPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")


def bodies(text):
    """[(first line, last line, lines that end a statement)] of the outermost function bodies of a header."""
    code = mask(text)
    code = re.sub(r'"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])+\'', lambda m: "_" * len(m.group(0)), code)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M)
    found, stack, start, line, head, statements = [], [], 0, 1, "", set()
    for char in code:
        if char == "\n":
            line += 1
        if char == "{":
            # `template <class T> void f() {` is a function: what a template's parameter list says is no type's head.
            is_type = TYPE.search(re.sub(r"template\s*<[^{}]*?>\s*(?=\w)", "", head)) and "(" not in head.split("=")[0] or \
                re.match(r"\s*(inline\s+)?(namespace|class|struct|union|enum|extern)\b", head)
            inside = bool(stack) and stack[-1] == "body"
            stack.append("body" if inside or not is_type else "type")
            if stack[-1] == "body" and not inside:
                start, statements = line, set()
            head = ""
        elif char == "}":
            if stack and stack.pop() == "body" and (not stack or stack[-1] != "body") and statements:
                found.append((start, line, statements))
            head = ""
        elif char == ";":
            if stack and stack[-1] == "body":
                statements.add(line)
            head = ""
        else:
            head += char
    return found




def counts(build):
    """{header: {line: the most often that one program's copy of it ran}}, by gcov itself: what merges its functions by
    name fails where the same one has another line under another standard."""
    known = {}
    for data in sorted(build.glob("**/*.gcda")):
        report = subprocess.run(["gcov", "--json-format", "--stdout", data.relative_to(build)], cwd=build, check=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for document in map(json.loads, report.splitlines()):
            for entry in document["files"]:
                path = (build / entry["file"]).resolve()
                if INCLUDE not in path.parents:
                    continue
                lines = known.setdefault(path, {})
                for row in entry["lines"]:
                    lines[row["line_number"]] = max(lines.get(row["line_number"], 0), row["count"])
    return known


build, minimum = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2])
known = counts(build)
total = hit = unused = 0
table = []
for path in sorted(INCLUDE.glob("**/*.hpp")):
    lines = known.get(path.resolve(), {})
    absent = set()
    for first, last, statements in bodies(path.read_text(encoding="utf-8")):
        if not any(first <= number <= last for number in lines):
            absent |= statements
    everything, run = len(lines) + len(absent), sum(1 for count in lines.values() if count)
    total, hit, unused = total + everything, hit + run, unused + len(absent)
    if everything:
        table.append((run / everything, f"{100 * run / everything:6.1f} %  {run:5}/{everything:<5} {len(absent):4} never instantiated  "
                      + path.relative_to(ROOT).as_posix()))
for _, text in sorted(table):
    print(text)
percent = 100 * hit / total if total else 0.0
print(f"{hit} of {total} lines, {unused} of them in functions that no test instantiates")
print(f"line coverage of include/: {percent:.1f} %")
sys.exit(0 if percent >= minimum else f"below {minimum:g} %")
