#!/usr/bin/env python3
"""transcript_replay.py GATEWAY: the gateway in its modern generation answers what a real 23.03.12 was asked, as that did."""
import pathlib
import sys

import _replay

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
ACCOUNTS = {
    "admin": ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "user": ("AKIANABBDUSEREXAMPLE", "a-secret-of-the-recorded-user"),
    "user2": ("AKIANATWOUSEREXAMPLE", "a-secret-of-another-user"),
}
USERS = [f"{access}:{secret}:{name}@lablup.com" for name, (access, secret) in ACCOUNTS.items() if name != "admin"]

records = _replay.load(DATA / "transcript-23.03.12.jsonl.gz")
with _replay.Gateway(sys.argv[1], "v7.20230615", USERS) as gateway:
    replay = _replay.Replay(gateway, ACCOUNTS, _replay.read_exceptions(DATA / "replay_exceptions.json"),
                            verbose="--verbose" in sys.argv)
    sys.exit(0 if replay.run(records, 1000) else 1)
