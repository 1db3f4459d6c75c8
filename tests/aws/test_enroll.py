#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/enroll against a registry in memory: which requests it takes, what it makes of them,
interrupted before and behind every step, and what each of its commands does.
"""
import contextlib
import csv
import io
import json
import os
import random
import re
import ssl
import unittest
from unittest import mock

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import iot
from enrolling_case import FOLDER, Case, Fleet, enroll

README = (FOLDER / "README.md").read_text("utf-8")
THING = "gw-0000"


class Killed(BaseException):
    """The process ended there."""


class Steps:
    """
    Counts what a run does that others see: each call, before and behind it, each fsync and each
    rename. At step AT the process is killed, and does nothing any more.
    """

    def __init__(self, account, at=None):
        self.at = at
        self.count = 0
        self.client = iot.Client(account, lambda name, is_done: self.step())

    def step(self):
        """One of them."""
        if self.at is not None and self.count >= self.at:
            raise Killed()
        self.count += 1

    @contextlib.contextmanager
    def on_disk(self):
        """Counts fsync and rename, too."""
        def stepped(work):
            def call(*arguments):
                self.step()
                work(*arguments)
                self.step()
            return call
        with mock.patch("os.fsync", stepped(os.fsync)), \
                mock.patch("os.replace", stepped(os.replace)):
            yield


class Interruption(Case):
    """Ended at every step."""

    def life(self, account, at, *words):
        """One run that is killed at step AT; returns its exit code, or None, and its steps."""
        steps = Steps(account, at)
        with steps.on_disk():
            try:
                return self.call(steps.client, *words, "--settle", "0")[0], steps.count
            except Killed:
                return None, steps.count

    def lives(self, command, lag, prepare, *ends):
        """Runs COMMAND for a new fleet of one, ended at each of ENDS, then to its end."""
        for name in os.listdir(self.folder):
            (self.folder / name).unlink()
        account = iot.Account(list_lag=lag)
        fleet = Fleet(self.folder, 1)
        prepare(account, fleet)
        for at in ends:
            if self.life(account, at, command, self.folder)[0] is not None:
                return None
        code, count = self.life(account, None, command, self.folder)
        self.assertEqual(code, 0, ends)
        return account, fleet, count

    def each_step(self, command, prepare=lambda account, fleet: None, check=None, lag=0, pairs=0):
        """The faults there are after an interruption at each step, and at PAIRS of steps."""
        check = check or (lambda account, fleet: fleet.faults(account))
        _, _, steps = self.lives(command, lag, prepare)
        faults, count = [], 0
        chance = random.Random(1)
        for ends in [(first,) for first in range(steps)] + [
                (chance.randrange(steps), chance.randrange(steps)) for _ in range(pairs)]:
            lived = self.lives(command, lag, prepare, *ends)
            if lived is not None:       # the second is not reached behind some first ones
                count += 1
                faults += [(ends, fault) for fault in check(*lived[:2])]
        self.assertGreaterEqual(count, steps + pairs // 2)
        return faults

    def test_add(self):
        """One active certificate and nothing left over, wherever it ended, and twice."""
        self.assertEqual(self.each_step("add", pairs=20), [])

    def test_late_list(self):
        """Also where a list does not yet have what was made."""
        self.assertEqual(self.each_step("add", lag=1, pairs=20), [])

    def test_replace(self):
        """The old certificate stays active, and only that."""
        def prepare(account, fleet):
            self.call(iot.Client(account), "add", self.folder)
            account.may_have_two = True
            fleet.old = fleet.keys[THING]
            fleet.add(THING)

        def check(account, fleet):
            active = [one.key for one in account.active(THING)]
            if active != [fleet.old, fleet.keys[THING]] or len(account.certificates) != 2:
                yield f"{len(active)} active of {len(account.certificates)}"
        self.assertEqual(self.each_step("replace", prepare, check), [])

    def test_controls(self):
        """Three ways to do it that look alike and are not."""
        def eager(self, text):
            answer = self.call("create_certificate_from_csr", is_repeatable=False,
                               certificateSigningRequest=text, setAsActive=True)
            return self.certificate(answer["certificateId"])
        real = enroll.steps.Enrolment
        for name, patch in (
                ("active at once", mock.patch.object(
                    enroll.registry.Registry, "create_certificate", eager)),
                ("without a search", mock.patch.object(real, "search", lambda *_: None)),
                ("without settling", mock.patch.object(real, "settle", lambda *_: None))):
            with self.subTest(name), patch:
                self.assertNotEqual(self.each_step("add", lag=int(name == "without settling")), [])


class Torn(Case):
    """A journal that the end of a run tore, or that is lost."""

    def test_torn(self):
        """Cut anywhere, or gone, the journal costs reading alone."""
        account, fleet = iot.Account(), Fleet(self.folder, 2)
        self.call(iot.Client(account), "add", self.folder)
        path = self.folder / "enroll.journal"
        whole = path.read_bytes()
        for length in range(0, len(whole), 19):
            path.write_bytes(whole[:length])
            account.calls.clear()
            code, output, errors = self.call(iot.Client(account), "add", self.folder, "--settle",
                                             "0")
            self.assertEqual((code, account.writes(), fleet.faults(account)), (0, [], []), errors)
            self.assertIn("gw-0001: was enrolled", output)
        path.unlink()
        account.calls.clear()
        self.assertEqual(self.call(iot.Client(account), "add", self.folder)[0], 0)
        self.assertEqual(account.writes(), [])

    def test_other_account(self):
        """A folder is enrolled in each account by itself."""
        Fleet(self.folder, 1)
        self.call(iot.Client(iot.Account()), "add", self.folder)
        with mock.patch.object(iot, "ACCOUNT", "210987654321"):
            other = iot.Account()
            code, _, errors = self.call(iot.Client(other), "add", self.folder)
        self.assertEqual((code, len(other.active(THING))), (0, 1), errors)

    def test_two_at_once(self):
        """The second is told."""
        Fleet(self.folder, 1)
        client = iot.Client(iot.Account())
        journal = enroll.Journal(self.folder, "x")
        code, _, errors = self.call(client, "add", self.folder)
        journal.close()
        self.assertEqual(code, 1)
        self.assertIn("another enroll is at work", errors)
        self.assertEqual(self.call(client, "add", self.folder)[0], 0)


class Network(Case):
    """What a network and a busy service do."""

    def spoil(self, operation, is_done, error, times):
        """(account, fleet, result) where the first TIMES calls of OPERATION end in ERROR."""
        account, fleet, left = iot.Account(), Fleet(self.folder, 2), [times]

        def hook(name, at_end):
            if name == operation and at_end == is_done and left[0]:
                left[0] -= 1
                raise error
        return account, fleet, self.call(iot.Client(account, hook), "add", self.folder, "--settle",
                                         "0")

    def test_lost_replies(self):
        """Each operation's reply is lost: done once."""
        closed = ConnectionClosedError(endpoint_url="iot")
        failed = iot.error_of("InternalFailureException", "x", 500)
        for operation in ("CreateCertificateFromCsr", "CreateThing", "AttachPolicy",
                          "AttachThingPrincipal", "UpdateCertificate", "ListThingPrincipals",
                          "ListCertificates", "GetPolicy"):
            for error in (closed, failed):
                for is_done in (False, True):
                    with self.subTest(operation, is_done=is_done):
                        for name in os.listdir(self.folder):
                            (self.folder / name).unlink()
                        account, fleet, result = self.spoil(operation, is_done, error, 2)
                        self.assertEqual(result[0], 0, result)
                        self.assertEqual(fleet.faults(account), [])

    def test_throttled(self):
        """Throttled often: asked once more, and not searched for."""
        throttled = iot.error_of("ThrottlingException", "x", 400)
        account, fleet, result = self.spoil("CreateCertificateFromCsr", False, throttled, 7)
        self.assertEqual((result[0], fleet.faults(account)), (0, []))
        self.assertEqual(account.calls.count("ListCertificates"), 1)

    def test_stops(self):
        """What concerns all ends it at the first; devices are not asked for one by one."""
        for error in (iot.error_of("UnauthorizedException", "x", 401),
                      iot.error_of("ExpiredTokenException", "x", 403),
                      EndpointConnectionError(endpoint_url="iot")):
            with self.subTest(str(error)):
                account, _, (code, _, errors) = self.spoil("CreateThing", False, error, 1000)
                self.assertEqual((code, errors.count("gw-")), (1, 0), errors)
                self.assertEqual(account.calls.count("CreateCertificateFromCsr"), 1)
                self.assertEqual([one.status for one in account.certificates.values()],
                                 ["INACTIVE"])
                for name in os.listdir(self.folder):
                    (self.folder / name).unlink()

    def test_stops_all(self):
        """Several at a time, it ends as soon."""
        account = iot.Account()
        Fleet(self.folder, 40)

        def hook(name, is_done):
            if name == "CreateThing":
                raise iot.error_of("UnauthorizedException", name, 401)
        code, output, errors = self.call(iot.Client(account, hook), "add", self.folder, jobs=8)
        self.assertEqual((code, output, errors.count("\n")), (1, "", 1), errors)
        self.assertLessEqual(account.calls.count("CreateCertificateFromCsr"), 8)

    def test_one_fails(self):
        """One device's failure leaves the others; it is named at the end, and done by the next."""
        account, fleet = iot.Account(), Fleet(self.folder, 5)
        account.things["gw-0002"] = iot.Thing("other")
        code, output, errors = self.call(iot.Client(account), "add", self.folder, "--type",
                                         "gateway", "--attribute", "site=pump-4")
        self.assertEqual((code, len(output.splitlines())), (1, 4))
        self.assertIn("enroll: 4 done, 1 failed\n"
                      "enroll: gw-0002: the thing is there, of type other", errors)
        self.assertEqual(account.things["gw-0001"], iot.Thing("gateway", {"site": "pump-4"}))
        code, _, errors = self.call(iot.Client(account), "add", self.folder)
        self.assertEqual((code, fleet.faults(account)), (0, []), errors)

    def test_settles(self):
        """Behind a lost reply it waits, so that what was made late is found."""
        Fleet(self.folder, 1)
        account = iot.Account(list_lag=1)
        lost, waits = [ConnectionClosedError(endpoint_url="iot")], []

        def hook(name, is_done):
            if name == "CreateCertificateFromCsr" and is_done and lost:
                raise lost.pop()
        with mock.patch("time.sleep", waits.append), \
                mock.patch.object(enroll.steps.Enrolment.__init__, "__defaults__",
                                  (waits.append,)):
            code, _, errors = self.call(iot.Client(account, hook), "add", self.folder)
        self.assertEqual((code, len(account.certificates)), (0, 1), errors)
        self.assertEqual(len(waits), 1)
        self.assertTrue(50 < waits[0] <= 60, waits)


def resigned(text):
    """The request TEXT with the last bit of its signature changed."""
    data = bytearray(ssl.PEM_cert_to_DER_cert(
        text.replace("CERTIFICATE REQUEST", "CERTIFICATE")))
    data[-1] ^= 1
    return ssl.DER_cert_to_PEM_cert(bytes(data)).replace("CERTIFICATE", "CERTIFICATE REQUEST")


class Requests(Case):
    """Which requests are taken."""

    def refused(self, text, name="gw-1.csr", *words):
        """What is said of the request TEXT; nothing reaches IoT."""
        (self.folder / name).write_text(text)
        account = iot.Account()
        code, _, errors = self.call(iot.Client(account), "add", self.folder, *words)
        (self.folder / name).unlink()
        self.assertEqual((code, account.writes()), (1, []))
        return errors

    def test_keys(self):
        """Weak and unusual keys."""
        for key, said in ((rsa.generate_private_key(65537, 1024), "1024 bits; 2048 are wanted"),
                          (ec.generate_private_key(ec.SECP384R1()), "curve secp384r1"),
                          (ec.generate_private_key(ec.SECP192R1()), "curve secp192r1")):
            self.assertIn(said, self.refused(iot.make_csr(key, "gw-1")))
        edwards = iot.make_csr(ed25519.Ed25519PrivateKey.generate(), "gw-1", hash_=None)
        self.assertIn("neither P-256 nor RSA", self.refused(edwards))
        with mock.patch.object(enroll.csr, "HASHES", ("sha384",)):
            self.assertIn("signed with sha256", self.refused(iot.make_csr(iot.make_key(), "gw-1")))
        (self.folder / "gw-1.csr").write_text(
            iot.make_csr(rsa.generate_private_key(65537, 2048), "gw-1"))
        self.assertEqual(self.call(iot.Client(iot.Account()), "add", self.folder)[0], 0)

    def test_names(self):
        """The common name is the file's, and that a thing's."""
        key = iot.make_key()
        self.assertIn("common name is 'gw-2'", self.refused(iot.make_csr(key, "gw-2")))
        self.assertIn("common name is missing", self.refused(iot.make_csr(key)))
        self.assertIn("'gw-1', 'gw-2'", self.refused(iot.make_csr(key, "gw-1", "gw-2")))
        self.assertIn("not the name of a thing",
                      self.refused(iot.make_csr(key, "gw 1"), "gw 1.csr"))
        (self.folder / "gw-1.csr").write_text(iot.make_csr(key, "pump"))
        account = iot.Account()
        self.call(iot.Client(account), "add", self.folder, "--any-name")
        self.assertEqual(len(account.active("gw-1")), 1)

    def test_damage(self):
        """Wrong signature, no request, too long, every byte changed."""
        good = iot.make_csr(iot.make_key(), "gw-1")
        self.assertIn("signature is wrong", self.refused(resigned(good)))
        self.assertIn("not a certificate signing request", self.refused("hello"))
        self.assertIn("not a certificate signing request", self.refused(""))
        self.assertIn("larger than", self.refused(good + "\n" * 70000))
        (self.folder / "gw-1.csr").mkdir()
        self.assertIn("directory", self.call(iot.Client(iot.Account()), "add", self.folder)[2])
        (self.folder / "gw-1.csr").rmdir()
        path = self.folder / "gw-1.csr"
        for at in range(28, len(good) - 27, 3):
            if good[at] == "\n":
                continue
            path.write_text(good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1:])
            try:
                device = enroll.csr.load(path)
            except enroll.Fault:
                continue
            self.assertEqual(device.csr, good)      # bits that base64 passes over

    def test_one_key(self):
        """Two devices with one key are refused, the third is not."""
        fleet = Fleet(self.folder, 2)
        fleet.add("gw-0009", fleet.add("gw-0005"))
        account = iot.Account()
        code, output, errors = self.call(iot.Client(account), "add", self.folder)
        self.assertEqual((code, len(output.splitlines())), (1, 2))
        self.assertIn("gw-0005.csr: the same key is in gw-0009.csr", errors)
        self.assertIn("gw-0009.csr: the same key is in gw-0005.csr", errors)

    def test_colons(self):
        """A thing named by its hardware address, in a file that FAT takes; not twice."""
        thing, file = "02:00:5e:00:53:01", "02_00_5e_00_53_01"
        for name in (f"{file}.csr", f"{thing}.csr"):
            (self.folder / name).write_text(iot.make_csr(iot.make_key(), thing))
        account = iot.Account()
        client = iot.Client(account)
        code, _, errors = self.call(client, "add", self.folder)
        self.assertEqual((code, list(account.things)), (1, []), errors)
        self.assertIn(f"the same thing is in {file}.csr", errors)
        (self.folder / f"{thing}.csr").unlink()
        code, _, errors = self.call(client, "add", self.folder)
        self.assertEqual((code, list(account.things)), (0, [thing]), errors)
        self.assertTrue((self.folder / f"{file}.pem").is_file())
        self.assertEqual(self.call(client, "check", self.folder)[0], 0)

    def test_targets(self):
        """One request; an empty folder; two folders; what is no request."""
        fleet = Fleet(self.folder, 2)
        account = iot.Account()
        client = iot.Client(account)
        code, _, errors = self.call(client, "add", self.folder / "gw-0001.csr")
        self.assertEqual((code, list(account.things)), (0, ["gw-0001"]), errors)
        (self.folder / "empty").mkdir()
        (self.folder / "empty/._gw-0001.csr").write_text("a Mac's own")
        other = Fleet(self.folder / "empty", 0)
        for said, targets in (("has no file *.csr", [self.folder / "empty"]),
                              ("neither a folder", [self.folder / "gw-0001.pem"])):
            self.assertIn(said, self.call(client, "add", *targets)[2])
        other.add("gw-0007")
        self.assertIn("several folders", self.call(client, "add", fleet.folder, other.folder)[2])


class Commands(Case):
    """The commands beside add."""

    def setUp(self):
        super().setUp()
        self.account = iot.Account(detach_lag=2, page=2)
        self.client = iot.Client(self.account)
        self.fleet = Fleet(self.folder, 3)
        self.run_it("add", self.folder)

    def run_it(self, *words, code=0):
        """Output and errors of a run that ends with CODE."""
        result = self.call(self.client, *words)
        self.assertEqual(result[0], code, result)
        return result[1] + result[2]

    def test_again(self):
        """A second run asks for the policy alone; a verifying one reads."""
        self.account.calls.clear()
        self.run_it("add", self.folder)
        self.assertEqual(self.account.calls, ["GetPolicy"])
        self.run_it("add", self.folder, "--verify")
        self.assertEqual(self.account.writes(), [])
        self.assertIn("DescribeCertificate", self.account.calls)

    def test_mends(self):
        """--verify brings back what someone took; a lost PEM comes back without it."""
        one, = self.account.active(THING)
        one.policies.clear()
        self.run_it("add", self.folder)
        self.assertNotEqual(self.fleet.faults(self.account), [])
        self.run_it("add", self.folder, "--verify")
        (self.folder / f"{THING}.pem").unlink()
        self.run_it("add", self.folder)
        self.assertEqual(self.fleet.faults(self.account), [])
        one.status = "INACTIVE"
        self.assertIn("was made inactive since",
                      self.run_it("add", self.folder, "--verify", code=1))

    def test_deleted(self):
        """A certificate that someone deleted is made anew, and its PEM replaced."""
        one, = self.account.active(THING)
        del self.account.certificates[one.arn.rsplit("/", 1)[1]]
        self.run_it("add", self.folder, "--verify")
        self.assertEqual(self.fleet.faults(self.account), [])

    def test_replace(self):
        """Two until it is finished; then one; the old one deleted if that is wanted."""
        old, = self.account.active(THING)
        self.fleet.add(THING)
        self.assertIn("'replace' gives it a second one", self.run_it("add", self.folder, code=1))
        self.assertIn("nothing was changed", self.run_it("finish", self.folder, code=1))
        self.account.may_have_two = True
        self.run_it("replace", self.folder / f"{THING}.csr")
        self.assertEqual(len(self.account.active(THING)), 2)
        self.assertIn("2 active certificates", self.run_it("check", self.folder, code=1))
        self.run_it("finish", self.folder)
        self.assertEqual((old.status, old.things), ("INACTIVE", {THING}))
        self.run_it("check", self.folder)
        self.run_it("finish", self.folder, "--delete")
        self.assertNotIn(old, self.account.certificates.values())
        self.assertEqual(self.fleet.faults(self.account), [])
        self.account.calls.clear()
        self.run_it("finish", self.folder, "--delete")
        self.assertEqual(self.account.writes(), [])

    def test_revoke(self):
        """Its rights are gone, the others stay; the key cannot come back; again is nothing."""
        one, = self.account.active(THING)
        self.assertIn("revoked", self.run_it("revoke", THING))
        self.assertEqual((one.status, one.policies, one.things), ("REVOKED", set(), set()))
        self.assertEqual(len(self.account.active("gw-0001")), 1)
        self.assertIn("had no certificate", self.run_it("revoke", THING))
        self.assertIn("no such thing", self.run_it("revoke", "gw-9", code=1))
        self.assertIn("needs a new key", self.run_it("add", self.folder, "--verify", code=1))
        (self.folder / "enroll.journal").unlink()
        self.assertIn("needs a new key", self.run_it("add", self.folder, code=1))
        self.fleet.add(THING)
        self.run_it("add", self.folder)
        self.assertEqual(self.fleet.faults(self.account), [])

    def test_revoke_one(self):
        """One of two by its id; deleted where that is wanted."""
        first, = self.account.active(THING)
        self.fleet.add(THING)
        self.account.may_have_two = True
        self.run_it("replace", self.folder)
        self.assertIn("has no certificate abc",
                      self.run_it("revoke", THING, "--certificate", "abc", code=1))
        self.run_it("revoke", THING, "--certificate", first.arn.rsplit("/", 1)[1], "--delete")
        self.assertNotIn(first, self.account.certificates.values())
        self.assertEqual(self.fleet.faults(self.account), [])
        with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()):
            enroll.main(["revoke", "a", "b", "--certificate", "x"])
        self.assertEqual(ended.exception.code, 2)

    def test_check(self):
        """A line for each request, and each thing that is wrong."""
        self.assertEqual(self.run_it("check", self.folder).count(" ok\n"), 3)
        self.account.active("gw-0000")[0].policies = {"other"}
        (self.folder / "gw-0001.pem").unlink()
        self.account.active("gw-0002")[0].status = "INACTIVE"
        self.fleet.add("gw-0003")
        (self.folder / "gw-0004.csr").write_text("x")
        self.account.calls.clear()
        output = self.run_it("check", self.folder, "--csv", code=1)
        rows = {row["thing"]: row["remark"] for row in csv.DictReader(io.StringIO(output))}
        self.assertEqual(self.account.writes(), [])
        self.assertEqual(rows["gw-0000"], "without the policy telemetry")
        self.assertEqual(rows["gw-0001"], "gw-0001.pem is missing or another one")
        self.assertEqual(rows["gw-0002"], "not active")
        self.assertEqual(rows["gw-0003"], "no such thing")
        self.assertIn("not a certificate signing request", rows["gw-0004.csr"])

    def test_spare(self):
        """A certificate that nothing uses is seen by check and removed by the next add."""
        text = (self.folder / f"{THING}.csr").read_text()
        self.account.create_certificate_from_csr(text)
        self.assertIn("spare certificate", self.run_it("check", self.folder, code=1))
        (self.folder / "enroll.journal").unlink()
        self.run_it("add", self.folder)
        self.assertEqual(self.fleet.faults(self.account), [])

    def test_list(self):
        """Every certificate with the policy, over several pages, in a table."""
        lines = self.run_it("list").splitlines()
        self.assertEqual([line.split()[0] for line in lines],
                         ["thing", "gw-0000", "gw-0001", "gw-0002"])
        self.account.policies.clear()
        self.assertIn("there is no policy telemetry", self.run_it("list", code=1))
        self.assertRegex(lines[1], r"^gw-0000 +[0-9a-f]{64} +ACTIVE +2026-11-28 +2049-12-31$")


class Page(unittest.TestCase):
    """What README.md says."""

    def test_commands(self):
        """Each command that the page shows is one."""
        found = re.findall(r"platform/aws/enroll ([^`\n#]+)", README)
        self.assertGreaterEqual(len(found), 6)
        for one in found:
            with self.subTest(one):
                enroll.build_parser().parse_args(one.split())

    def test_permissions(self):
        """The operator's policy has what is called, and nothing else."""
        block, = re.findall(r"^    (\{\n(?:    .*\n)+?    \})\n", README, re.MULTILINE)[-1:]
        allowed = [one for statement in json.loads(block)["Statement"]
                   for one in statement["Action"]]
        source = (FOLDER / "enrolling/registry.py").read_text("utf-8")
        called = set(re.findall(r'(?:call|_pages)\("(\w+)"', source))
        names = {iot.xform_name(name): name for name in iot.model().operation_names}
        wanted = {f"iot:{names[one]}" for one in called} | {"cloudformation:DescribeStacks"}
        self.assertEqual(set(allowed), wanted)
        self.assertEqual(len(allowed), len(set(allowed)))

    def test_stack(self):
        """The policy is that of the stack's outputs."""
        class Stacks:
            """CloudFormation."""
            outputs = [{"OutputKey": "PolicyName", "OutputValue": "pumps"}]

            def describe_stacks(self, StackName):
                """One stack."""
                return {"Stacks": [{"StackName": StackName, "Outputs": self.outputs}]}
        with mock.patch.object(enroll.registry, "client_of", lambda *_: Stacks()):
            self.assertEqual(enroll.registry.policy_of("pumps"), "pumps")
            Stacks.outputs = []
            with self.assertRaisesRegex(enroll.Stop, "Iot=on"):
                enroll.registry.policy_of("pumps")


if __name__ == "__main__":
    unittest.main()
