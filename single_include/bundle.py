#!/usr/bin/env python3
"""Writes one file that holds the SDK and the user's own httplib.h and nlohmann/json.hpp.

bundle.py [--httplib PATH] [--json PATH] -o out.hpp     PATHs default to those in the system's include folders.
json may be the single file or the tree of many headers; the result still wants CPPHTTPLIB_OPENSSL_SUPPORT and OpenSSL.
"""
import argparse
import pathlib
import sys

import amalgamate

SYSTEM = [pathlib.Path("/usr/local/include"), pathlib.Path("/usr/include"), pathlib.Path("/opt/homebrew/include")]


def locate(given, name):
    for path in [pathlib.Path(given)] if given else [folder / name for folder in SYSTEM]:
        if path.is_file():
            return path.resolve()
    raise amalgamate.Problem(f"{given or name} was not found", f"name it: --{'httplib' if name == 'httplib.h' else 'json'} PATH")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--httplib")
    parser.add_argument("--json")
    parser.add_argument("-o", dest="out", required=True)
    args = parser.parse_args()
    httplib, json = locate(args.httplib, "httplib.h"), locate(args.json, "nlohmann/json.hpp")

    def resolve(name, including):
        if name == "httplib.h":
            return httplib
        if name.startswith("nlohmann/"):
            inner = json.parent.parent / name if json.parent.name == "nlohmann" else json
            if inner.is_file():
                return inner
            # Upstream's single json.hpp may come without json_fwd.hpp: it declares all of it.
            return json if name in ("nlohmann/json.hpp", "nlohmann/json_fwd.hpp") else amalgamate.Problem(
                f"no {name} beside {json}", "give --json the json.hpp inside its nlohmann folder")
        return amalgamate.project_file(name, including)

    bundle = amalgamate.Inliner(resolve)
    bundle.add(amalgamate.INCLUDE / "backendai.hpp")
    text = "\n".join(amalgamate.banner("bundle", "Backend.AI client SDK with httplib.h and json.hpp") + bundle.out) + "\n"
    pathlib.Path(args.out).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    try:
        main()
    except amalgamate.Problem as problem:
        sys.exit(str(problem))
