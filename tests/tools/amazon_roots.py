#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Prints platform/mbedtls/amazon_roots.def from the certificates of Debian's ca-certificates.

usage: amazon_roots.py [--check FILE]     --check: FILE must have these roots and say so

The fingerprints (SHA-256 of the DER form) are those that https://www.amazontrust.com/repository/
names; a certificate with another one is refused.
"""
import base64
import hashlib
import pathlib
import re
import sys

FOLDER = pathlib.Path("/usr/share/ca-certificates/mozilla")
ROOTS = (
    ("Amazon_Root_CA_1", "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"),
    ("Amazon_Root_CA_2", "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4"),
    ("Amazon_Root_CA_3", "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4"),
    ("Amazon_Root_CA_4", "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092"),
    ("Starfield_Services_Root_Certificate_Authority_-_G2",
     "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5"),
)
HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* The roots that Amazon asks its clients to trust (https://www.amazontrust.com/repository/), each
 * a string. Made by tests/tools/amazon_roots.py, which knows the fingerprints that are told here:
 * SHA-256 of the DER form. */
"""


def fingerprint(pem):
    return hashlib.sha256(base64.b64decode("".join(pem.split("\n")[1:-1]))).hexdigest()


def render(name, pem):
    lines = "\n".join(f'"{line}\\n"' for line in pem.split("\n"))
    return f"\n/* {name.replace('_', ' ')}\n * {fingerprint(pem)} */\n{lines},\n"


def print_roots():
    text = HEAD
    for name, expected in ROOTS:
        pem = (FOLDER / f"{name}.crt").read_text(encoding="ascii").strip()
        if fingerprint(pem) != expected:
            sys.exit(f"amazon_roots.py: {name} has another fingerprint: {fingerprint(pem)}")
        text += render(name, pem)
    print(text, end="")


def check(path):
    """The file's certificates, their fingerprints and what its comments say of them agree."""
    text = pathlib.Path(path).read_text(encoding="ascii")
    strings = "".join(re.findall(r'^"(.*)\\n",?$', text, re.M))
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", strings)
    found = [hashlib.sha256(base64.b64decode(block)).hexdigest() for block in blocks]
    told = re.findall(r"^ \* ([0-9a-f]{64}) \*/$", text, re.M)
    wanted = [expected for _, expected in ROOTS]
    if found != wanted or told != wanted:
        sys.exit(f"{path} is not what amazon_roots.py would print")
    print(f"{len(found)} roots")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"] and len(sys.argv) == 3:
        check(sys.argv[2])
    elif len(sys.argv) == 1:
        print_roots()
    else:
        sys.exit(__doc__)
