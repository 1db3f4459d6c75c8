#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
runnel identity: a key made on the device, the request for its certificate, which a CA of openssl
signs, and the pair that takes the place of another while the agent runs.

An IoT server that asks for certificates gives the keys; what it does not take, or what is not this
device's, is not installed, and the pair of before is the same byte by byte.
"""
import datetime
import json
import os
import pathlib
import pty
import shutil
import ssl
import stat
import subprocess
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import harness
from harness import check, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
# pylint: disable=wrong-import-position
import clock_shim
import credentials
from matrix_world import Authority, openssl, sanitizers

NOBODY = 65534


class Device(credentials.Agent):
    """An agent that gets its keys with a certificate in CERT_FILE, and runnel identity."""

    def __init__(self, run, world, name="device", folder=None, **config):
        files = folder or run.folder / name / "state"
        self.cert_file, self.key_file = files / "device.pem", files / "device.key"
        self.world = world
        config.setdefault("credentials", {"default": {
            "provider": "iot", "endpoint": f"https://localhost:{world.giver.port}",
            "role_alias": "runnel", "thing": "gw-17", "cert_file": str(self.cert_file),
            "key_file": str(self.key_file), "ca_file": str(world.authority.pem)}})
        super().__init__(run, world.sink, name, **config)
        self.store = self.state / "identity"
        self.said = ""

    def identity(self, *arguments, code=0, words="", stdin=None):
        """What it printed; WORDS are in what it said otherwise."""
        result = self.call("identity", arguments[0], "-c", self.config_file, *arguments[1:],
                           stdin=stdin)
        self.said += result.stdout + result.stderr
        what = " ".join(map(str, arguments))
        check(result.returncode == code, f"{what}: {result.returncode}: {result.stderr}")
        check(words in result.stderr, f"{what}: {words!r} is not in {result.stderr!r}")
        return result.stdout

    def request(self):
        """The request, as a file."""
        path = self.folder / "request"
        path.write_text(self.identity("csr"))
        return path

    def sign(self, authority=None, name="gw-17", **options):
        return (authority or self.world.authority).sign_request(name, self.request(), **options)

    def install(self, chain, *options, **expected):
        return self.identity("install", *options, chain, **expected)

    def commission(self):
        self.identity("create")
        self.install(self.sign(), "--untested", words="was not tried")
        return self

    def pair(self):
        """What readers see, "" for what they do not."""
        return tuple(path.read_text() if path.exists() else ""
                     for path in (self.cert_file, self.key_file))

    def show(self, code=0):
        return json.loads(self.identity("show", "--json", code=code))

    def check_refused(self, chain, words, *options, stdin=None):
        """It says WORDS, and nothing has changed."""
        before = self.pair(), sorted(self.store.iterdir())
        self.identity("install", *options, *([] if chain is None else [chain]), code=1, words=words,
                      stdin=stdin)
        check((self.pair(), sorted(self.store.iterdir())) == before, f"changed by: {words}")

    def check_files(self):
        """No key is for others, nor in anything that was said."""
        for path in self.state.rglob("*"):
            mode = stat.S_IMODE(path.lstat().st_mode)
            if path.suffix == ".key" and not path.is_symlink():
                check(mode == 0o600, f"{path}: {mode:o}")
                secret = path.read_text().splitlines()[1]
                check(secret not in self.said, f"{path} was printed")
                if self.log.exists():
                    check(secret not in self.log.read_text(), f"{path} is in the log")
            elif path.name == "device.pem" and not path.is_symlink():
                check(mode & 0o137 == 0, f"{path}: {mode:o}")
        check(not list(self.state.rglob("*.new")), "something was left behind")


class World:
    def __init__(self, run):
        self.run = run
        self.sink = harness.Sink(run)
        self.authority = Authority(run.folder)
        self.authority.sign("localhost")
        self.giver = credentials.Giver(self.sink, self.authority.folder)

    def der(self, chain):
        return ssl.PEM_cert_to_DER_cert(chain.read_text())


# ---- create, csr ----


def check_request(path):
    """By openssl, and by somebody else."""
    text = path.read_text()
    openssl("req", "-in", path, "-verify", "-noout")
    check(max(map(len, text.splitlines())) <= 64 and text.startswith("-----BEGIN CERT"), text)
    request = x509.load_pem_x509_csr(text.encode())
    check(request.is_signature_valid, text)
    check(request.subject.rfc4514_string() == "CN=gw-17", str(request.subject))
    check(isinstance(request.public_key().curve, ec.SECP256R1), text)
    check(isinstance(request.signature_hash_algorithm, hashes.SHA256), text)


def test_first(run, world):
    """From a device without a key to its first delivery."""
    device = Device(run, world)
    device.identity("csr", code=1, words="runnel identity create makes one")
    device.identity("show", code=1)
    check("next.key made" in device.identity("create"), device.said)
    device.identity("create", code=1, words="waits for its certificate")
    key = (device.store / "next.key").read_text()
    check_request(device.request())
    device.identity("create", "--force")
    check((device.store / "next.key").read_text() != key, "--force makes another key")
    shown = device.show(code=1)
    check(shown["next_key_file"] == str(device.store / "next.key"), str(shown))
    chain = device.sign()
    check("installed: CN=gw-17" in device.install(chain), device.said)
    check(world.giver.peers == [world.der(chain)], "it was tried once, with this certificate")
    device.start()
    device.wait_delivery("with the first certificate")
    check("is this certificate already" in device.install(chain), device.said)
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    shown = device.show()
    check(shown["fingerprint"] == certificate.fingerprint(hashes.SHA256()).hex(), str(shown))
    check(shown["key_matches"] is True and shown["next_key_file"] is None, str(shown))
    check(int(shown["serial"].replace(":", ""), 16) == certificate.serial_number, str(shown))
    check(shown["not_after"] == "2049-12-31T23:59:59.000Z", str(shown))
    check("subject      CN=gw-17" in device.identity("show"), device.said)
    device.check_files()
    device.end()


def test_subjects(run, world):
    device = Device(run, world, "subjects")
    device.identity("create")
    path = device.folder / "other"
    path.write_text(device.identity("csr", "--subject", "CN=pump 4,O=Pumps"))
    request = x509.load_pem_x509_csr(path.read_bytes())
    check(request.subject.rfc4514_string() == "O=Pumps,CN=pump 4", str(request.subject))
    openssl("ec", "-in", device.store / "next.key", "-out", device.key_file, "-aes256", "-passout",
            "pass:secret")
    device.store.joinpath("next.key").unlink()
    device.identity("csr", code=1, words="without a password")
    for subject in ("pump", "CN=a+O=b", "CN=\n"):
        device.identity("csr", "--subject", subject, code=2, words="write it like")
    for arguments in (("csr", "--json"), ("create", "--next", "--force"), ("show", "x"),
                      ("install", "a", "b"), ("destroy",)):
        device.identity(*arguments, code=2, words="usage:")
    device.check_files()


def test_without_configuration(run, world):
    """An image may have its configuration later than its key."""
    device = Device(run, world, "bare")
    device.config_file.write_text("{")
    device.identity("create", code=78, words="--state")
    device.identity("create", "--state", device.state)
    device.identity("csr", "--state", device.state, code=1, words="--subject")
    path = device.folder / "request"
    path.write_text(device.identity("csr", "--state", device.state, "--subject", "CN=gw-17"))
    chain = world.authority.sign_request("bare", path)
    device.identity("install", "--state", device.state, chain, words="nobody who would take it")
    check(device.pair()[0] == chain.read_text(), "device.pem in the state directory")
    device.identity("create", "--next", "--state", device.state / "none", code=1, words="make it")


# ---- what is refused ----


def test_refusals(run, world):
    device = Device(run, world, "refusals").commission()
    other = Authority(run.folder, "other")
    request = device.request()
    now = datetime.datetime.now(datetime.timezone.utc)

    def day(days):
        return (now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
    ours = world.authority.sign_request("ours", request)
    second = ours.read_text() + world.authority.pem.read_text()
    rsa, rsa_key = world.authority.sign("rsa", rsa=True)
    files = {"garbage": "hello", "empty": "", "request": request.read_text(),
             "key": ours.read_text() + rsa_key.read_text(),
             "spoilt": ours.read_text().replace("MII", "MI*", 1),
             "nothing": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
             "half": ours.read_text() + "-----BEGIN CERTIFICATE-----\nAAAA\n"
                                        "-----END CERTIFICATE-----\n",
             "reversed": world.authority.pem.read_text() + ours.read_text(),
             "large": second * 100}
    for name, text in files.items():
        (run.folder / name).write_text(text)
    rows = (
        (run.folder / "garbage", "there is no -----BEGIN CERTIFICATE"),
        (run.folder / "empty", "there is no -----BEGIN CERTIFICATE"),
        (run.folder / "missing", "No such file"),
        (run.folder / "request", '"CERTIFICATE REQUEST" is no certificate'),
        (run.folder / "key", "a private key"),
        (run.folder / "spoilt", "line 2: "),
        (run.folder / "nothing", "was it copied whole?"),
        (run.folder / "half", "was it copied whole?"),
        (run.folder / "reversed", "not the first in its chain"),
        (run.folder / "large", "too large"),
        (rsa, "P-256"),
        (world.authority.sign("stranger")[0], "belongs to no key of this device"),
        (world.authority.sign_request("old", request, end=day(-1)), "was valid until"),
        (world.authority.sign_request("early", request, start=day(1), end=day(9)),
         "is the clock right?"),
        # What only who is asked can know.
        (other.sign_request("foreign", request), "nothing was installed"))
    for chain, words in rows:
        device.check_refused(chain, words)
    text = ours.read_text().rstrip()
    for count in range(0, len(text), 29):
        device.check_refused(None, "", "--untested", stdin=text[:count])
    device.install(run.folder / "garbage", "--untested", code=1)
    device.check_files()


def test_unset_clock(run, world):
    """Dates say nothing where nobody knows what day it is; that is said."""
    device = Device(run, world, "1970").commission()
    clocks = clock_shim.Clocks(run)
    clocks.preload(device.environment)
    own = sanitizers(run.program("runnel"))
    if any("tsan" in library for library in own):
        return  # it does not bear others in front of the system's
    device.environment["LD_PRELOAD"] = ":".join([*own, device.environment["LD_PRELOAD"]])
    clocks.reboot(60)
    chain = device.sign(name="epoch")
    device.install(chain, words="is not set (1970-01-01)")
    check(device.show()["days"] is None, "days left by an unset clock")
    check("days left    not known" in device.identity("show"), device.said)


# ---- rotation ----


def test_rotation(run, world):
    """A next key beside the one in use; refused or alone, the old pair goes on."""
    giver = world.giver
    device = Device(run, world, "rotation").commission()
    device.start()
    device.wait_delivery("with the old pair")
    device.identity("create", code=1, words="--next")
    device.identity("create", "--next")
    device.identity("create", "--next", code=1, words="--force")
    chain = device.sign(name="next")
    giver.answer = (403, '{"message":"Access Denied"}')
    device.check_refused(chain, "nothing was installed, what was in use stays so. The trial failed")
    giver.answer = None
    giver.stop()
    device.check_refused(chain, "--untested does without")
    giver.restart()
    check("installed" in device.install(chain), device.said)
    check(giver.peers[-1] == world.der(chain), "it was tried")
    giver.peers.clear()
    world.sink.expire_key(giver.given[-2])
    wait_until("the agent with the new pair", lambda: world.der(chain) in giver.peers or None)
    device.wait_delivery("with the new pair")
    check(device.pair()[0] == chain.read_text() and not (device.store / "next.key").exists(),
          "the next key is in use")
    check(len(list(device.store.glob("pair-*"))) == 1, "the old pair is gone")
    renewed = device.sign(name="renewed")     # for the same key
    key = device.pair()[1]
    text = renewed.read_text() + world.authority.pem.read_text()
    pasted = "$ runnel identity install\r\n" + "".join(f"> {line}\r\n" for line in text.split("\n"))
    device.identity("install", stdin=pasted)
    check(device.pair() == (text, key), "a chain as a console pastes it")
    check(device.show()["chain"] == 2, str(device.show()))
    device.check_files()
    device.end()


def test_console(run, world):
    """On a terminal it says what to do, and takes what is typed there until Ctrl-D."""
    device = Device(run, world, "console").commission()
    chain = device.sign(name="typed")
    master, slave = pty.openpty()
    command = device.command("identity", "install", "-c", device.config_file)
    process = harness.Process(command, device.folder / "console", env=device.environment,
                              stdin=slave, stdout=slave)
    os.close(slave)
    wait_until("the prompt", lambda: "Ctrl-D" in process.tail())
    os.write(master, chain.read_text().replace("\n", "\r").encode() + b"\x04")
    check(process.wait() == 0, process.tail())
    os.close(master)
    check(device.pair()[0] == chain.read_text(), "what was typed is in use")


def test_plain_files(run, world):
    """Files that somebody else put elsewhere become links, and what lay there is taken over."""
    folder = run.folder / "etc"
    folder.mkdir()
    device = Device(run, world, "plain", folder=folder)
    chain, key = world.authority.sign("factory", usage="clientAuth")
    shutil.copy(chain, device.cert_file)
    shutil.copy(key, device.key_file)
    device.key_file.chmod(0o600)
    device.start()
    device.wait_delivery("with plain files")
    device.identity("create", "--next")
    device.check_refused(run.folder / "etc", "")
    device.install(device.sign(name="own"))
    check(os.readlink(device.key_file) == str(device.store / "current/device.key"), "a link")
    check(device.show()["key_matches"], "the new pair")
    device.check_files()
    device.end()


def test_route(run, world):
    """The certificate of a route, where no source of keys has one."""
    device = Device(run, world, "route", credentials={"default": {"provider": "chain"}})
    route = {"name": "gate", "destination": "apigateway", "auth": "none", "body": "lines",
             "url": f"https://localhost:{world.giver.port}/lines",
             "ca_file": str(world.authority.pem), "cert_file": str(device.cert_file),
             "key_file": str(device.key_file)}
    device.config["routes"] = [route]
    device.write_config()
    device.identity("create")
    other = Authority(run.folder, "elsewhere")
    device.check_refused(device.sign(other, "not-taken"), "The trial failed")
    chain = device.sign(name="gate")
    device.install(chain)
    check(world.giver.peers[-1] == world.der(chain), "the route's endpoint was asked")
    device.check_files()


def test_rights(run, world):
    """Root works with the rights of the agent, and is not led to files of others."""
    if os.geteuid() != 0:
        return
    device = Device(run, world, "rights")
    secret = run.folder / "secret"
    secret.write_text("of somebody else")
    secret.chmod(0o600)
    for folder in (run.folder, device.folder):
        folder.chmod(0o755)
    os.chown(device.state, NOBODY, NOBODY)
    device.key_file.symlink_to(secret)
    device.identity("create", code=1, words="Permission denied")
    device.identity("create", "--next")
    device.install(device.sign(name="nobody"), "--untested")
    for path in (device.store, *device.store.rglob("*")):
        check(path.lstat().st_uid == NOBODY, f"{path} belongs to {path.lstat().st_uid}")
        check(path.is_dir() or path.read_text() != secret.read_text(), f"{path} has the secret")
    check(device.show()["key_matches"] and secret.exists(), "the pair is in use")
    device.check_files()
    device.identity("create", "--next")
    stranger = subprocess.run(
        [run.program("runnel"), "identity", "csr", "-c", device.config_file],
        env=device.environment, user=NOBODY - 1, group=NOBODY - 1, extra_groups=[],
        capture_output=True, text=True, check=False)
    check("next.key: Permission denied; ask as root" in stranger.stderr, stranger.stderr)
    elsewhere = run.folder / "of-root"
    elsewhere.mkdir()
    led = Device(run, world, "led", folder=elsewhere)
    os.chown(led.state, NOBODY, NOBODY)
    led.identity("create")
    led.identity("install", "--untested", led.sign(name="led"), code=1, words="Permission denied")
    check(not list(elsewhere.iterdir()), "root wrote where the configuration said")


# ---- expiry ----


def test_expiry(run, world):
    """Once the time is known, status and log say how long it is valid."""
    device = Device(run, world, "expiry").commission()
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=20, hours=1)
    device.install(device.sign(name="short", end=end.strftime("%Y%m%d%H%M%SZ")))
    device.start()
    device.wait_delivery("that tells the time")
    status = wait_until("the days", lambda: (status := device.status()) and
                        status["certificate"]["days"] is not None and status)
    certificate = status["certificate"]
    check(certificate == {"file": str(device.cert_file), "days": 20,
                          "expires": end.strftime("%Y-%m-%dT%H:%M:%S.000Z")}, str(certificate))
    check(any("expires in 20 days" in line for line in status["warnings"]), str(status["warnings"]))
    check("warning: the certificate" in device.call("status").stdout, "the text says it")
    device.end()
    check(device.log.read_text().count("certificate-expires days=20 ") == 1, device.tail())


def scenario(run):
    world = World(run)
    tests = (test_first, test_subjects, test_without_configuration, test_refusals, test_unset_clock,
             test_rotation, test_console, test_plain_files, test_route, test_rights, test_expiry)
    for test in tests:
        test(run, world)
        print(f"{test.__name__}: good", flush=True)
    world.giver.stop()
    world.sink.stop()


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
