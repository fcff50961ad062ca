#!/usr/bin/env python3
"""merge.py OUTPUT SOURCE...: one file that includes all of the test sources, each within a namespace of its own.

Most of a test file's build is the same templates over again; merged files instantiate them once. What a source includes
comes first, outside of the namespaces: when the source includes it again, its include guard leaves nothing of it.
"""
import pathlib
import re
import sys


def prologue(source):
    """The preprocessor lines that a source begins with, without a conditional that goes on into its code."""
    found, whole, depth = [], 0, 0
    for line in source.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            depth += bool(re.match(r"#\s*if", text)) - bool(re.match(r"#\s*endif", text))
            found.append(text)
            whole = whole if depth else len(found)
        elif text and not text.startswith("//"):
            break
    return found[:whole]


output, *sources = sys.argv[1:]
sources = [pathlib.Path(source).resolve() for source in sources]
lines = []
for source in sources:
    for line in prologue(source):
        local = re.match(r'#\s*include "([^"]+)"', line)
        beside = local and source.parent / local.group(1)
        lines.append(f'#include "{beside}"' if beside and beside.exists() else line)
for source in sources:
    name = re.sub(r"\W", "_", f"{source.parent.name}_{source.stem}")
    lines += [f"namespace {name} {{", f'#include "{source}"', "}"]
pathlib.Path(output).write_text("\n".join(lines) + "\n", encoding="utf-8")
