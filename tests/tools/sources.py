#!/usr/bin/env python3
"""sources.py FOLDER [SUFFIX]: the files of a folder of the source tree, sorted, one absolute path a line."""
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parents[2]
for path in sorted((root / sys.argv[1]).glob("*" + (sys.argv[2] if len(sys.argv) > 2 else ".cpp"))):
    print(path.as_posix())
