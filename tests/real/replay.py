#!/usr/bin/env python3
"""replay.py GATEWAY [TRANSCRIPT]: what the SDK asked of the real server a moment ago is asked of the gateway again, as the same
generation; the answers are compared as in tests/interop/transcript_replay.py, with the exceptions beside this file.

For the suite `real`, which makes the transcript and tells its place by BACKENDAI_REAL_TRANSCRIPT.
"""
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
import _replay  # noqa: E402

ACCOUNTS = {"admin": ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            "user": ("AKIAREALUSER1EXAMPLE", "a-secret-of-the-user")}


def renamed(record):
    """The gateway's first user has the address that the real server's second one has."""
    text = json.dumps(record).replace("user@example.com", "second@example.com").replace("admin@example.com", "user@example.com")
    return json.loads(text)


records = [renamed(record) for record in _replay.load(sys.argv[2] if len(sys.argv) > 2 else os.environ["BACKENDAI_REAL_TRANSCRIPT"])]
with _replay.Gateway(sys.argv[1], "v7.20230615", [":".join((*ACCOUNTS["user"], "second@example.com"))]) as gateway:
    replay = _replay.Replay(gateway, ACCOUNTS, _replay.read_exceptions(HERE / "replay_exceptions.json"),
                            verbose="--verbose" in sys.argv)
    sys.exit(0 if replay.run(records, 1000) else 1)
