#!/usr/bin/env python3
"""Checks that functions.md has a row for every public function of the SDK that makes requests, and no row for one that is gone.

The functions are read from the headers: members of the API classes that return through the mode (`result<T>`, `page_range`).
Rows that are no such function (a tunnel, one half of a terminal) stand in EXTRA.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLASS = re.compile(r"^class (?:basic_)?(\w+?)(?:_functions)?(?: final)? (?:: .*)?{", re.M)
FUNCTION = re.compile(r"^    (?:typename Mode::template result<|result<|page_range<Mode>)[^()=]*?(?:>|\s)(\w+)\(", re.M)
EXTRA = {"app_tunnel", "async_session", "session.closed"}


def functions():
    found = set()
    for header in sorted((ROOT / "include/backendai").rglob("*.hpp")):
        if "testing" in header.parts:
            continue
        text = header.read_text(encoding="utf-8")
        classes = list(CLASS.finditer(text))
        for index, begin in enumerate(classes):
            end = text.find("\n};", begin.end())
            private = text.find("\nprivate:", begin.end(), end)
            body = text[begin.end():private if private != -1 else end]
            name = {"session_view": "session"}.get(begin.group(1), begin.group(1))
            found |= {f"{name}.{function}" for function in FUNCTION.findall(body)}
    return {name for name in found if not name.startswith(("page_range.", "future."))}


def main():
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (works|canned|impossible) \|", (ROOT / "tests/real/functions.md").read_text(), re.M))
    wanted = functions() | EXTRA
    problems = [f"no row for {name}" for name in sorted(wanted - rows.keys())]
    problems += [f"a row for {name}, which is no function" for name in sorted(rows.keys() - wanted)]
    for problem in problems:
        print("functions.md:", problem)
    verdicts = [f"{list(rows.values()).count(verdict)} {verdict}" for verdict in ("works", "canned", "impossible")]
    print(f"functions.md: {len(rows)} rows ({', '.join(verdicts)}), {len(functions())} functions in the headers")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
