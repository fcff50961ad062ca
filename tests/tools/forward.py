#!/usr/bin/env python3
"""forward.py OUT: for each header of include/backendai/ a file of the same name that includes the single header holding it."""
import pathlib
import sys

top = pathlib.Path(__file__).resolve().parents[2]
include = top / "include"
main = (top / "single_include/backendai.hpp").read_text(encoding="utf-8").splitlines()
out = pathlib.Path(sys.argv[1])
for path in sorted((include / "backendai").glob("**/*.hpp")):
    name = path.relative_to(include)
    single = "backendai.hpp" if f"// ---- {name.as_posix()}" in main else "backendai_testing.hpp"
    target = out / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"#include <{single}>\n", encoding="utf-8")
