#!/usr/bin/env python3
"""Writes single_include/backendai.hpp and backendai_testing.hpp from include/. No arguments; --check only compares.

Every header keeps its include guard, so split and single headers may meet in one file. A header is inlined where it
is first included. What was inlined inside a branch of an #if counts as seen in that branch only: when it is needed
again outside, it is written again, and the guard makes one of the two copies vanish.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent / "include"
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)(.*)$")
INCLUDE_LINE = re.compile(r'^\s*[<"]([^>"]+)[>"]\s*$')
# What may hide text that only looks like a directive: comments, raw strings (scripts in them have '# if'), strings.
OPAQUE = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^()\\\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])+\'', re.S)


class Problem(Exception):
    def __init__(self, why, fix):
        super().__init__(f"Why: {why}\nFix: {fix}")


def mask(text):
    """The text with comments and raw strings blanked, line structure kept, so that only real directives are seen."""
    def blank(found):
        part = found.group(0)
        return part if part[0] in "\"'" else re.sub(r"[^\n]", " ", part)
    return OPAQUE.sub(blank, text)


def project_file(name, _including):
    """The file behind <backendai...>; None for what stays an include (system and third-party headers)."""
    if not (name == "backendai.hpp" or name.startswith("backendai/")):
        return None
    path = INCLUDE / name
    return path if path.is_file() else Problem(f"there is no include/{name}", "correct the #include, or add the header")


class Inliner:
    def __init__(self, resolve=project_file, seen=()):
        self.resolve, self.out, self.reached = resolve, [], set()
        self.scopes = [set(seen)]  # one per open #if branch: the headers already written there
        self.stack = []

    def seen(self, path):
        return any(path in scope for scope in self.scopes)

    def add(self, path):
        self.reached.add(path)
        if path in self.stack:
            return  # a circle; the guard of the file would skip it here too
        text = path.read_text(encoding="utf-8")
        shown = path.relative_to(INCLUDE).as_posix() if INCLUDE in path.parents else path.name
        masked = mask(text).split("\n")
        directives = [m.groups() for m in map(DIRECTIVE.match, masked) if m]
        guarded = len(directives) > 1 and directives[0][0] == "ifndef" and directives[1][0] == "define" \
            and directives[0][1].split()[:1] == directives[1][1].split()[:1]
        once = ("pragma", " once") in [(a, b.rstrip()) for a, b in directives]
        if INCLUDE in path.parents and not guarded:
            raise Problem(f"{shown} does not begin with an include guard", "wrap it in #ifndef BACKENDAI_..._HPP")
        if guarded or once:
            self.scopes[-1].add(path)
        self.stack.append(path)
        marker = "BACKENDAI_BUNDLED_" + re.sub(r"\W", "_", "/".join(path.parts[-3:])).upper()
        self.out.append(f"// ---- {shown}")
        if once and not guarded:
            self.out += [f"#ifndef {marker}", f"#define {marker}"]
        self.body(path, shown, text.rstrip("\n").split("\n"), masked, guarded)
        if once and not guarded:
            self.out.append("#endif")
        self.stack.pop()

    def body(self, path, shown, lines, masked, guarded):
        depth = 0
        for number, (line, code) in enumerate(zip(lines, masked), 1):
            found = DIRECTIVE.match(code)
            word, rest = found.groups() if found else ("", "")
            if word in ("if", "ifdef", "ifndef"):
                depth += 1
                if depth > guarded:  # the guard itself is no condition
                    self.scopes.append(set())
            elif word in ("else", "elif") and depth > guarded:
                self.scopes[-1] = set()
            elif word == "endif":
                if depth > guarded:
                    self.scopes.pop()
                depth -= 1
            elif word == "pragma" and rest.strip() == "once":
                continue
            elif word == "include":
                where = f"{shown}:{number}"
                if len(re.findall(r"#\s*include\b", code)) > 1:
                    raise Problem(f"{where} has two includes on one line", "write one include per line")
                named = INCLUDE_LINE.match(rest)
                target = self.resolve(named.group(1), path) if named else None
                if isinstance(target, Problem):
                    raise Problem(f"{where}: cannot resolve {line.strip()}: " + str(target).split("\n")[0][5:],
                                  str(target).split("\n")[1][5:])
                if target is not None:
                    self.reached.add(target)
                    if not self.seen(target):
                        self.add(target)
                    continue
            elif re.search(r"#\s*include\s*<backendai", code) and word != "":
                raise Problem(f"{shown}:{number} has two directives on one line", "write one per line")
            self.out.append(line)


def banner(name, what):
    version = re.search(r'BACKENDAI_VERSION "([^"]+)"', (INCLUDE / "backendai/version.hpp").read_text(encoding="utf-8"))
    return [f"// {name}: {what}, version {version.group(1)}", "// SPDX-License-Identifier: MIT",
            "// Generated from include/ by single_include/amalgamate.py. Do not edit: change include/ and run that script.", ""]


def generate():
    """{file name: text} of both outputs."""
    umbrella = INCLUDE / "backendai.hpp"
    if not umbrella.is_file():
        raise Problem("there is no include/backendai.hpp", "add the umbrella header")
    main = Inliner()
    main.add(umbrella)
    testing = Inliner(seen=main.scopes[0])
    for path in sorted((INCLUDE / "backendai/testing").glob("**/*.hpp")):
        if not testing.seen(path):
            testing.add(path)
    for path in sorted(INCLUDE.glob("**/*.hpp")):
        if path not in main.reached | testing.reached:
            raise Problem(f"include/{path.relative_to(INCLUDE).as_posix()} is reached by neither output",
                          "include it from backendai.hpp or core.hpp, or from a header in testing/, or delete it")
    guard = ["#ifndef BACKENDAI_TESTING_SINGLE_HPP", "#define BACKENDAI_TESTING_SINGLE_HPP", '#include "backendai.hpp"']
    return {
        "backendai.hpp": "\n".join(banner("backendai.hpp", "Backend.AI client SDK for C++") + main.out) + "\n",
        "backendai_testing.hpp": "\n".join(banner("backendai_testing.hpp", "the embedded gateway and the test transport")
                                           + guard + testing.out + ["#endif"]) + "\n",
    }


def main():
    try:
        texts = generate()
    except Problem as problem:
        sys.exit(str(problem))
    stale = []
    for name, text in texts.items():
        target = HERE / name
        if "--check" not in sys.argv[1:]:
            target.write_text(text, encoding="utf-8", newline="\n")
        elif not target.is_file() or target.read_bytes() != text.encode("utf-8"):
            stale.append(name)
    if stale:
        sys.exit(f"Why: single_include/{', '.join(stale)} differs from include/\nFix: python3 single_include/amalgamate.py")


if __name__ == "__main__":
    main()
