# SPDX-License-Identifier: Apache-2.0
"""
Certificate signing requests: which of them may be signed, and whose key they carry.

A request is what a stranger handed in: nothing of it goes to AWS before its signature (the sender
has the key), its key and its name were looked at, and then as this module wrote it, not as it came.
"""
import collections
import dataclasses
import hashlib
import pathlib
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .faults import Fault, Stop

LONGEST_BYTES = 64 << 10
RSA_BITS = 2048
HASHES = ("sha256", "sha384", "sha512")
# IoT's pattern of ThingName.
THING = re.compile(r"[a-zA-Z0-9:_-]{1,128}")


@dataclasses.dataclass(frozen=True)
class Device:
    """A request that may be signed. `key` identifies the key in it: SHA-256 of its public half."""
    thing: str
    csr: str
    key: str
    kind: str
    path: pathlib.Path

    @property
    def folder(self):
        """Where the request lies."""
        return self.path.parent

    @property
    def pem(self):
        """Where its certificate goes: beside the request."""
        return self.path.with_suffix(".pem")


def fingerprint(public_key):
    """Names a key, the same in a request and in a certificate."""
    return hashlib.sha256(public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def key_of_certificate(pem):
    """The fingerprint of the key in the certificate PEM (a text), None if it is none."""
    try:
        return fingerprint(x509.load_pem_x509_certificate(pem.encode()).public_key())
    except (ValueError, UnsupportedAlgorithm):
        return None


def _kind_of(key):
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name != "secp256r1":
            raise Fault(f"its key is on the curve {key.curve.name}; P-256 is wanted")
        return "P-256"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS:
            raise Fault(f"its RSA key has {key.key_size} bits; {RSA_BITS} are wanted")
        return f"RSA {key.key_size}"
    raise Fault("its key is neither P-256 nor RSA")


def _parse(data):
    """(request, its public key); they belong together."""
    try:
        request = x509.load_pem_x509_csr(data)
        key = request.public_key()
        is_valid = request.is_signature_valid
    except InvalidSignature:
        is_valid = False
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Fault(f"not a certificate signing request in PEM ({error})") from None
    if not is_valid:
        raise Fault("its signature is wrong: it was changed on its way, or is not by its own key")
    return request, key


def _common_names(request):
    try:
        return [one.value for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError as error:
        raise Fault(f"its subject cannot be read ({error})") from None


def load(path, any_name=False):
    """
    The device of the file PATH, THING.csr. Raises Fault if it is not to be signed.

    FAT takes no colon: a gateway writes _ for it, and then the common name has the thing's.
    """
    thing = path.name.removesuffix(".csr")
    if not THING.fullmatch(thing):
        raise Fault("not the name of a thing: up to 128 of a-z, A-Z, 0-9, '-', '_' and ':'")
    try:
        with open(path, "rb") as file:
            data = file.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise Fault(error.strerror) from None
    if len(data) > LONGEST_BYTES:
        raise Fault(f"larger than {LONGEST_BYTES >> 10} KiB")
    request, key = _parse(data)
    kind = _kind_of(key)
    hash_name = request.signature_hash_algorithm.name
    if hash_name not in HASHES:
        raise Fault(f"it is signed with {hash_name}; SHA-256 or better is wanted")
    names = _common_names(request)
    if not any_name and [name.replace(":", "_") for name in names] == [thing]:
        thing = names[0]
    if not any_name and names != [thing]:
        raise Fault(f"its common name is {', '.join(map(repr, names)) or 'missing'}, not the "
                    "file's name; --any-name takes it all the same")
    return Device(thing, request.public_bytes(serialization.Encoding.PEM).decode(),
                  fingerprint(key), kind, path)


def paths_of(targets):
    """The files *.csr of TARGETS, which are one folder, or files of one folder."""
    paths = []
    for target in map(pathlib.Path, targets):
        # A Mac puts a ._THING.csr beside each file of a FAT medium.
        found = sorted(target.glob("[!.]*.csr")) if target.is_dir() else [target]
        if not found:
            raise Stop(f"{target} has no file *.csr")
        if any(one.suffix != ".csr" for one in found):
            raise Stop(f"{target} is neither a folder nor a file *.csr")
        paths += found
    paths = sorted({path.absolute() for path in paths})
    if len({path.parent for path in paths}) > 1:
        raise Stop("the requests are in several folders; one folder at a time")
    return paths


def load_all(paths, any_name=False):
    """
    ([device], [(path's name, why not)]). Two requests of one key are refused both: a key that two
    devices have is nobody's. So are two of one thing.
    """
    devices, refused = [], []
    for path in paths:
        try:
            devices.append(load(path, any_name))
        except Fault as fault:
            refused.append((path.name, str(fault)))
    for what in ("key", "thing"):
        files = collections.defaultdict(list)
        for device in devices:
            files[getattr(device, what)].append(device.path.name)
        doubles = [one for one in devices if len(files[getattr(one, what)]) > 1]
        refused += [(one.path.name, f"the same {what} is in " + ", ".join(
            name for name in files[getattr(one, what)] if name != one.path.name))
                    for one in doubles]
        devices = [one for one in devices if one not in doubles]
    return devices, sorted(refused)
