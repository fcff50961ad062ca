#!/usr/bin/env python3
"""forward.py OUT: for each header of include/backendai/ a file of the same name that includes the single header holding it."""
import pathlib
import sys

include = pathlib.Path(__file__).resolve().parents[2] / "include"
out = pathlib.Path(sys.argv[1])
for path in sorted((include / "backendai").glob("**/*.hpp")):
    name = path.relative_to(include)
    single = "backendai_testing.hpp" if name.parts[1] == "testing" else "backendai.hpp"
    target = out / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"#include <{single}>\n", encoding="utf-8")
