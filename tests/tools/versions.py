#!/usr/bin/env python3
"""versions.py: servers' versions are compared in one place. Fails when a header besides the dialect's, or besides the
embedded gateway's own table, names a protocol version in its code or reads one as numbers."""
import re
import sys

from common import ROOT

PLACES = {"dialect.hpp", "protocol_version.hpp", "testing/gateway_protocol.hpp"}
ALLOWED = {"testing/gateway_types.hpp": 'protocol = "v4.20190315"',  # what it acts as by default
           "config.hpp": 'look like \\"v4.20190315\\"',              # an example in the text of an error
           "api/keypair.hpp": "ended with v4.20190315",               # texts of errors that tell the end of something
           "api/vfolder_sharing.hpp": "ended with protocol version v4.20190315"}
include = ROOT / "include" / "backendai"
found = []
for path in sorted(include.rglob("*.hpp")):
    name = path.relative_to(include).as_posix()
    if name in PLACES:
        continue
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        code = line.split("//")[0]
        if ALLOWED.get(name, "\0") in code:
            continue
        if re.search(r"parse_protocol_version|\bv\d+\.\d{8}\b|dialect_table|\.since\b", code):
            found.append(f"{name}:{number}: {line.strip()}")
print("\n".join(found) if found else "versions are compared in the dialect only")
sys.exit(bool(found))
