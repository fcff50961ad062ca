#!/usr/bin/env python3
"""Writes tests/data/signature_oracle.json: signatures computed with Python's hashlib and hmac alone.

Covers what the recorded vectors do not: every hash, versions on both sides of v4.20181215, bodies of all kinds.
`--check` compares with the file instead of writing it."""
import hashlib
import hmac
import json
import pathlib
import sys

OUTPUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "signature_oracle.json"
HASHES = ["sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s",
          "sha3_224", "sha3_256", "sha3_384", "sha3_512"]
VERSIONS = ["v1.20160915", "v3.20170615", "v4.20181214", "v4.20181215",
            "v4.20190315", "v5.20191215", "v9.20240315"]
BODIES = [("GET", "text/plain", b""),
          ("POST", "application/json", b'{"mode": "query", "code": "print(\'\xec\x95\x88\xeb\x85\x95\')"}'),
          ("POST", "Application/JSON; charset=UTF-8", b'{"a": 1}'),
          ("PUT", "application/octet-stream", bytes(range(0, 256, 5))),
          ("POST", "multipart/form-data; boundary=x", b"--x\r\n\r\nfile\r\n--x--\r\n"),
          ("POST", "Multipart/Form-Data", b"--x--\r\n")]
PLACES = [("2019-02-14T09:30:00.123456+00:00", "api.backend.ai", "/"),
          ("2024-02-29T23:59:59.999999+00:00", "[::1]:9000", "/api/v4/kernel/my.session?path=a+b%2Bc")]


def sign(hash_type, secret, method, target, date, host, content_type, version, body):
    """The protocol's section on request signing, word by word."""
    hasher = getattr(hashlib, hash_type)
    media_type = content_type.split(";")[0].strip().lower()
    major, _, day = version[1:].partition(".")
    counts = (int(major), int(day)) < (4, 20181215) and not media_type.startswith("multipart/")
    text = "\n".join([method.upper(), target, date, "host:" + host, "content-type:" + media_type,
                      "x-backendai-version:" + version, hasher(body if counts else b"").hexdigest()])
    key = hmac.new(secret.encode(), date[:10].replace("-", "").encode(), hasher).digest()
    key = hmac.new(key, host.encode(), hasher).digest()
    return hmac.new(key, text.encode(), hasher).hexdigest()


def cases():
    number = 0
    for hash_type in HASHES:
        for version in VERSIONS:
            for method, content_type, body in BODIES:
                date, host, target = PLACES[number % len(PLACES)]
                # Longer than any block once in a while: such keys are hashed first.
                secret = ("s3cr3t-%d-" % number) * (20 if number % 13 == 0 else 2)
                access = "AKIA%016d" % number
                signature = sign(hash_type, secret, method, target, date, host, content_type, version, body)
                yield {"hash_type": hash_type, "version": version, "method": method, "content_type": content_type,
                       "body_hex": body.hex(), "date": date, "host": host, "target": target, "access_key": access,
                       "secret_key": secret, "authorization":
                       f"BackendAI signMethod=HMAC-{hash_type.upper()}, credential={access}:{signature}"}
                number += 1


def main():
    text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases()) + "\n]\n"
    if sys.argv[1:] == ["--check"]:
        if OUTPUT.read_text() != text:
            raise SystemExit(f"Why: {OUTPUT.name} is not what this script writes\nFix: run it without --check")
    else:
        OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
