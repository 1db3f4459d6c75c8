# SPDX-License-Identifier: Apache-2.0
"""
What is done for a device, in an order that may end anywhere and is gone on with by the next run:

    ask for a certificate (inactive) -> thing -> policy -> attachment -> PEM beside the request
    -> active

Active comes last: what is active is attached, has the policy, and its PEM is here.
"""
import collections
import concurrent.futures
import dataclasses
import itertools
import os
import threading
import time

from botocore.exceptions import ClientError

from .csr import key_of_certificate
from .faults import Fault, Stop, Unclear

ROUNDS = 5
SKIPPED = object()      # another one's Stop is the result of all


@dataclasses.dataclass(frozen=True)
class Wish:
    """What the things are to be, and how certificates that are there are taken."""
    type_name: str = None
    attributes: dict = None
    is_replacing: bool = False      # another active certificate of the thing may stay for now
    is_verifying: bool = False      # ask IoT also of what the journal has as done
    settle_s: int = 60


def write_pem(path, text):
    """All of TEXT or nothing, on the disk when it returns."""
    draft = path.with_name(path.name + ".new")
    try:
        with open(draft, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Stop(f"{path}: {error.strerror}") from None


def text_of(path):
    """What the file has, "" if it is missing or no text."""
    try:
        return path.read_text("ascii")
    except (OSError, ValueError):
        return ""


def remove(registry, certificate, thing=None):
    """Takes all that CERTIFICATE (not active) has, and deletes it. Another thing's stays."""
    others = [one for one in registry.things_of(certificate) if one != thing]
    if others:
        raise Fault(f"its certificate {certificate.id} is attached to {', '.join(others)}")
    registry.take_policies(certificate)
    if thing:
        registry.take_thing(thing, certificate)
    registry.delete_certificate(certificate)


class Crew:
    """JOBS threads that do one thing to many; a Stop of one ends all."""

    def __init__(self, jobs):
        self.pool = concurrent.futures.ThreadPoolExecutor(jobs)

    def each(self, work, items, note=lambda item, result: None):
        """[(item, WORK(item))] in the order of ITEMS; a Fault or Unclear is the result."""
        is_over = threading.Event()

        def tried(item):
            if is_over.is_set():
                return SKIPPED
            try:
                return work(item)
            except (Fault, Unclear) as error:
                return error
            except ClientError as error:
                return Fault(str(error))
            except BaseException:
                is_over.set()
                raise
        futures = {self.pool.submit(tried, item): item for item in items}
        try:
            for future in concurrent.futures.as_completed(futures):
                if future.result() is not SKIPPED:
                    note(futures[future], future.result())
        except BaseException:
            is_over.set()
            for future in futures:
                future.cancel()
            # What is under way still writes into the journal.
            concurrent.futures.wait(futures)
            raise
        return [(item, future.result()) for future, item in futures.items()]


def strays_of(registry, crew, is_wanted=lambda identifier: True):
    """{key: [certificate]} of the account's certificates that are not active."""
    strays = {}
    wanted = filter(is_wanted, registry.not_active())
    for identifier, certificate in crew.each(registry.certificate, wanted):
        if isinstance(certificate, Exception):
            raise Stop(f"certificate {identifier}: {certificate}")
        if certificate:
            strays.setdefault(certificate.key, []).append(certificate)
    return strays


class Enrolment:
    """Adds or replaces: each device has its certificate, active, when it is done."""

    def __init__(self, registry, journal, crew, wish, sleep=time.sleep):
        self.registry = registry
        self.journal = journal
        self.crew = crew
        self.wish = wish
        self.sleep = sleep
        self.strays = {}        # key: [certificate] that are not active, from the registry

    def run(self, devices, note=lambda device, result: None):
        """[(device, what was done or Fault)]."""
        results = {}

        def keep(device, result):
            results[device.thing] = result
            if not isinstance(result, Unclear):
                note(device, result)
        pending = devices
        for _ in range(ROUNDS):
            if any(not self.is_settled(device) for device in pending):
                self.search(devices)
            done = self.crew.each(self.enrol, pending, keep)
            pending = [device for device, result in done if isinstance(result, Unclear)]
            if not pending:
                break
        for device in pending:
            keep(device, Fault(f"asked {ROUNDS} times: {results[device.thing]}"))
        self.settle(devices)
        return [(device, results[device.thing]) for device in devices]

    def is_settled(self, device):
        """Whether its certificate is known to be the only one of its key."""
        return device.key in self.journal.made and not self.journal.is_unsettled(device)

    def search(self, devices):
        """Finds the inactive certificates of these devices' keys: what ended runs left."""
        keys = {device.key for device in devices}
        known = self.journal.keys
        self.strays = strays_of(self.registry, self.crew,
                                lambda one: one not in known or known[one] in keys)
        for certificate in itertools.chain.from_iterable(self.strays.values()):
            if certificate.id not in known:
                self.journal.seen(certificate.id, certificate.key)

    def settle(self, devices):
        """
        Removes what a request without an answer may have left. That may show late: in IoT's list,
        and a request may be carried out after its sender gave up.
        """
        unsettled = [one for one in devices if self.journal.is_unsettled(one)
                     and one.key in self.journal.made]
        if not unsettled:
            return
        asked_at = max(self.journal.asked_at[one.key] for one in unsettled)
        left_s = asked_at + self.wish.settle_s - self.journal.now()
        if left_s > 0:
            self.sleep(min(left_s, self.wish.settle_s))
        self.search(devices)
        for device, result in self.crew.each(
                lambda one: self.clear(one, self.journal.made[one.key]), unsettled):
            if result is None:
                self.journal.settled(device)

    def clear(self, device, chosen):
        """Deletes the inactive certificates of a device's key but the CHOSEN one."""
        for stray in self.strays.get(device.key, []):
            if stray.id != chosen and stray.status == "INACTIVE":
                remove(self.registry, stray, device.thing)

    def enrol(self, device):
        """One device; returns what was done."""
        if not self.wish.is_verifying and self.journal.is_done(device) \
                and key_of_certificate(text_of(device.pem)) == device.key:
            return "was enrolled"
        held = self.registry.certificates_of(device.thing)
        chosen, was_active = self.choose(device, held or [])
        if chosen is None:
            chosen = self.ask(device)
        self.equip(device, chosen, held)
        if text_of(device.pem) != chosen.pem:
            write_pem(device.pem, chosen.pem)
        if not was_active:
            self.registry.set_status(chosen, "ACTIVE")
        self.journal.done(device, chosen.id)
        self.clear(device, chosen.id)
        return "was enrolled" if was_active else "enrolled"

    def choose(self, device, held):
        """(the certificate that this key has, or None; whether all is done but for checks)."""
        attached = [self.registry.certificate(arn) for arn in held]
        known = {one.id: one for one in attached + self.strays.get(device.key, []) if one}
        made = self.journal.made.get(device.key)
        if made and made not in known:
            one = self.registry.certificate(made)
            known.update({one.id: one} if one else {})
        mine = [one for one in known.values() if one.key == device.key]
        if any(one.status == "REVOKED" for one in mine):
            raise Fault("a certificate of its key was revoked; it needs a new key")
        active = [one for one in mine if one.status == "ACTIVE"]
        if len(active) > 1:
            raise Fault("its key has the active certificates "
                        + ", ".join(one.id for one in active)
                        + "; revoke --certificate all but one")
        if active:
            return self.found(device, active[0]), True
        self.refuse_second(device, [one for one in known.values() if one not in mine])
        usable = [one for one in mine if one.status == "INACTIVE"]
        if not usable:
            return None, False
        if self.journal.is_done(device):
            raise Fault(f"its certificate {made} was active and was made inactive since")
        # The one that got furthest.
        usable.sort(key=lambda one: (one.arn in held, one.id == made), reverse=True)
        return self.found(device, usable[0]), False

    def refuse_second(self, device, others):
        """A device that has another active certificate gets a second only when it is replaced."""
        active = [one.id for one in others if one.status == "ACTIVE"]
        if active and not self.wish.is_replacing:
            raise Fault(f"the thing has the active certificate {active[0]} of another key; "
                        "'replace' gives it a second one")

    def found(self, device, certificate):
        """CERTIFICATE is the device's; noted, unless it is another's."""
        others = [one for one in self.registry.things_of(certificate) if one != device.thing]
        if others:
            raise Fault(f"its key has the certificate {certificate.id}, which is attached to "
                        + ", ".join(others))
        if self.journal.made.get(device.key) != certificate.id:
            self.journal.found(device, certificate.id)
        return certificate

    def ask(self, device):
        """A new certificate, inactive, whose id is on the disk."""
        self.journal.asked(device)
        try:
            certificate = self.registry.create_certificate(device.csr)
        except (ClientError, Fault):
            self.journal.refused(device)
            raise
        self.journal.answered(device, certificate.id)
        if certificate.key != device.key:
            raise Fault(f"IoT made the certificate {certificate.id}, which is of another key")
        return certificate

    def equip(self, device, certificate, held):
        """Thing, policy and attachment, as far as they are missing."""
        if held is None:
            self.registry.make_thing(device.thing, self.wish.type_name, self.wish.attributes)
        else:
            self.registry.expect_thing(device.thing, self.wish.type_name, self.wish.attributes)
        if certificate.status == "INACTIVE" \
                or self.registry.policy not in self.registry.policies_of(certificate):
            self.registry.attach_policy(certificate)
        if certificate.arn not in (held or []):
            self.registry.attach_thing(device.thing, certificate)


def finish(registry, device, is_deleting=False):
    """Ends a replacement: the device's other certificates are inactive (or deleted)."""
    held = [registry.certificate(arn) for arn in registry.certificates_of(device.thing) or []]
    held = [one for one in held if one]
    if not any(one.key == device.key and one.status == "ACTIVE" for one in held):
        raise Fault("the certificate of this request is not active; nothing was changed")
    others = [one for one in held if one.key != device.key]
    for other in others:
        if other.status == "ACTIVE":
            registry.set_status(other, "INACTIVE")
        if is_deleting:
            remove(registry, other, device.thing)
    if not others:
        return "had no other"
    return ("deleted " if is_deleting else "inactive ") + ", ".join(one.id for one in others)


def revoke(registry, thing, only=None, is_deleting=False):
    """Takes THING's certificates (ONLY that one) its rights for good."""
    held = registry.certificates_of(thing)
    if held is None:
        raise Fault("there is no such thing")
    held = [registry.certificate(arn) for arn in held
            if only is None or arn.rsplit("/", 1)[-1] == only]
    held = [one for one in held if one]
    if only and not held:
        raise Fault(f"it has no certificate {only}")
    for one in held:
        if one.status != "REVOKED":
            registry.set_status(one, "REVOKED")
        registry.take_policies(one)
        registry.take_thing(thing, one)
        if is_deleting:
            registry.delete_certificate(one)
    if not held:
        return "had no certificate"
    return ("revoked and deleted " if is_deleting else "revoked ") + ", ".join(
        one.id for one in held)


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table."""
    thing: str
    certificate: str
    status: str
    created: str
    expires: str
    remark: str

    TITLES = ("thing", "certificate", "status", "created", "expires", "remark")

    def cells(self):
        """In the order of TITLES."""
        return [getattr(self, name) for name in self.TITLES]


def row_of(thing, certificate, remark):
    """The Row of a certificate, which may be None."""
    if certificate is None:
        return Row(thing, "-", "-", "-", "-", remark)

    def day(moment):
        return moment.strftime("%Y-%m-%d") if moment else "-"
    return Row(thing, certificate.id, certificate.status, day(certificate.created),
               day(certificate.expires), remark)


def check(registry, device, strays):
    """The Row of a device; its remark is what is not as it should be, "ok" if nothing is."""
    held = registry.certificates_of(device.thing)
    if held is None:
        return row_of(device.thing, None, "no such thing")
    certificates = [one for one in map(registry.certificate, held) if one]
    mine = [one for one in certificates if one.key == device.key]
    mine.sort(key=lambda one: one.status != "ACTIVE")
    if not mine:
        return row_of(device.thing, None, "no certificate of this key")
    faults = []
    if mine[0].status == "ACTIVE" and registry.policy not in registry.policies_of(mine[0]):
        faults.append(f"without the policy {registry.policy}")
    if mine[0].status != "ACTIVE":
        faults.append("not active")
    active = collections.Counter(one.status for one in certificates)["ACTIVE"]
    if active > 1:
        faults.append(f"{active} active certificates")
    spare = [one for one in strays.get(device.key, [])
             if one.id != mine[0].id and one.status == "INACTIVE"]
    if spare:
        faults.append(f"spare certificate {spare[0].id}")
    if text_of(device.pem) != mine[0].pem:
        faults.append(f"{device.pem.name} is missing or another one")
    return row_of(device.thing, mine[0], "; ".join(faults) or "ok")


def rows_of(registry, arn):
    """The Rows of a certificate that has the policy: one for each of its things."""
    certificate = registry.certificate(arn)
    if certificate is None:
        return []
    things = registry.things_of(certificate)
    return [row_of(thing, certificate, "") for thing in things] \
        or [row_of("-", certificate, "attached to no thing")]
