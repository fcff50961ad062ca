#!/usr/bin/env python3
"""count.py BUILD...: what the last `meson test` of the build folders did, as `N passed, N failed, N skipped`.

A doctest program counts its cases and a TAP script its checks; a test of another kind counts as one. A program that
failed without a failed case (crash, sanitizer report, time-out) counts as one failure more. What failed is named before.
Exits 1 when anything failed.
"""
import json
import pathlib
import re
import sys

DOCTEST = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
TOLD = re.compile(r"^not ok |^# |: (FATAL )?ERROR: |^  values: |SUMMARY: |^Traceback|^\w*(Error|Exception)\b")


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text or "")


passed = failed = skipped = 0
for build in sys.argv[1:]:
    log = pathlib.Path(build) / "meson-logs/testlog.json"
    tests = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    if not tests:
        print(f"no test ran in {build}", file=sys.stderr)
        failed += 1
    for test in tests:
        text, bad = plain(test.get("stdout")), 0
        found = DOCTEST.search(text)
        tap = re.findall(r"^(ok|not ok) \d+([^\n]*)", text, re.M)
        if found:
            good, bad, left = int(found.group(2)), int(found.group(3)), int(found.group(4))
        elif tap:
            left = sum(1 for state, rest in tap if state == "ok" and "# SKIP" in rest)
            bad = sum(1 for state, _ in tap if state == "not ok")
            good = len(tap) - left - bad
        else:
            good, left = int(test["result"] == "OK"), int(test["result"] == "SKIP")
        if test["result"] not in ("OK", "SKIP"):
            bad = bad or 1
            errors = "\n".join([text, plain(test.get("stderr"))]).splitlines()
            told = [line for line in errors if TOLD.search(line)] or errors[-5:] or ["no output"]
            told.sort(key=lambda line: line.startswith("# "))  # scripts comment on what passed, too
            print("\n".join(f"failed {test['name']} ({test['result']}): {line[:400]}" for line in told[:20]))
        passed, failed, skipped = passed + good, failed + bad, skipped + left
        if test["result"] == "SKIP":
            print(f"skipped {test['name']}: {(text or test.get('stderr') or 'no reason given').strip().splitlines()[-1]}")
        for state, rest in tap:
            if "# SKIP" in rest:
                print(f"skipped {test['name']}: {rest.strip(' -')}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
