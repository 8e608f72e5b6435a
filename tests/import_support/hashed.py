"""Makes tokens and rows as the formats without a system to install have them, and prints both.

    python hashed.py sha256 | sanctum
"""

import hashlib
import json
import random
import string
import sys
import zlib

source = random.Random(sys.argv[1])


def drawn(length):
    return "".join(source.choices(string.ascii_letters + string.digits, k=length))


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def whole(text):
    return {"token": text, "row": {"hash": sha256(text)}}


def sanctum(row_id, secret):
    return {"token": f"{row_id}|{secret}", "row": {"id": row_id, "token": sha256(secret)}}


def with_checksum(start):
    entropy = drawn(40)
    return f"{start}{entropy}{zlib.crc32(entropy.encode()):08x}"


tokens = {
    # As of a package registry, as of a homemade system, and the visible characters, all of them.
    "sha256": lambda: [whole("cio" + drawn(32)), whole(drawn(24)), whole("old_" + drawn(12)),
                       whole("".join(map(chr, range(0x21, 0x7F)))), whole("x" * 512)],
    # As Sanctum made them: of 40 and 80 characters, then with a checksum, then with a prefix.
    "sanctum": lambda: [sanctum("1", drawn(40)), sanctum("12", drawn(80)),
                        sanctum("123456789", with_checksum("")),
                        sanctum("7", with_checksum("acme|_")),
                        sanctum("01961f1c-7a3b-7c2d-9e4f-5a6b7c8d9e0f", with_checksum("acme_"))],
}
print(json.dumps({"made_by": {"hashlib": "Python's"}, "tokens": tokens[sys.argv[1]]()}, indent=2))
