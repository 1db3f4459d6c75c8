# SPDX-License-Identifier: Apache-2.0
"""
An AWS IoT registry in memory, as strict as the API reference has it and stricter where that is
silent; and a client that calls it without a network.

Operations have the names and members of botocore's model, from which iot_front.py serves them.
"""
import dataclasses
import datetime
import functools
import hashlib

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ACCOUNT, REGION, POLICY = "123456789012", "eu-west-1", "telemetry"
MOST_POLICIES = 10
START = datetime.datetime(2026, 11, 28, tzinfo=datetime.timezone.utc)
END = datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)


@functools.cache
def model():
    """botocore's model of the service."""
    return botocore.session.get_session().get_service_model("iot")


def make_key():
    """A device's key."""
    return ec.generate_private_key(ec.SECP256R1())


def make_csr(key, *names, hash_=hashes.SHA256()):
    """The text of a request with these common names."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hash_)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def public_of(key):
    """The public half, comparable."""
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


class Refusal(Exception):
    """An error of the model, by its name."""

    def __init__(self, name, text=""):
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text
        self.status = model().shape_for(name).metadata["error"]["httpStatusCode"]


@dataclasses.dataclass
class Held:
    """A certificate."""
    arn: str
    status: str
    pem: str
    key: bytes
    number: int
    listed_after: int
    policies: set = dataclasses.field(default_factory=set)
    things: set = dataclasses.field(default_factory=set)
    settling: int = 0       # so many deletions still see what was detached


@dataclasses.dataclass
class Thing:
    """A thing."""
    type_name: str = None
    attributes: dict = dataclasses.field(default_factory=dict)


def wanted(table, name, what):
    """TABLE's NAME, which must be there."""
    if name not in table:
        raise Refusal("ResourceNotFoundException", f"{what} {name}")
    return table[name]


class Account:
    """
    LIST_LAG: so many lists do not yet have a new certificate. DETACH_LAG: so many deletions still
    see what was detached. `broken` has what must not be at any moment.
    """

    def __init__(self, list_lag=0, detach_lag=0, page=None):
        self.certificates, self.things = {}, {}
        self.policies, self.types = {POLICY, "other"}, {"gateway"}
        self.list_lag, self.detach_lag, self.page = list_lag, detach_lag, page
        self.lists = 0
        self.calls, self.broken = [], []
        self.may_have_two = False
        self.ca_key = make_key()
        self.ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])

    def perform(self, name, arguments):
        """The answer of operation NAME. Raises Refusal."""
        self.calls.append(name)
        return getattr(self, xform_name(name))(**arguments) or {}

    def writes(self):
        """Calls that change something."""
        return [name for name in self.calls if not name.startswith(("List", "Describe", "Get"))]

    # -- certificates

    def _issue(self, request):
        now = START + datetime.timedelta(seconds=len(self.certificates))
        return (x509.CertificateBuilder().subject_name(request.subject).issuer_name(self.ca_name)
                .public_key(request.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now).not_valid_after(END).sign(self.ca_key, hashes.SHA256()))

    def _arn(self, kind, name):
        return f"arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{name}"

    def create_certificate_from_csr(self, certificateSigningRequest, setAsActive=False):
        """Another one each time."""
        try:
            request = x509.load_pem_x509_csr(certificateSigningRequest.encode())
            key = request.public_key()
            is_good = request.is_signature_valid and (
                isinstance(key, ec.EllipticCurvePublicKey)
                or isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
        except ValueError:
            is_good = False
        if not is_good:
            raise Refusal("InvalidRequestException", "request")
        made = self._issue(request)
        identifier = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()
        arn = self._arn("cert", identifier)
        self.certificates[identifier] = Held(
            arn, "ACTIVE" if setAsActive else "INACTIVE",
            made.public_bytes(serialization.Encoding.PEM).decode(), public_of(key),
            len(self.certificates), self.lists + self.list_lag)
        return {"certificateArn": arn, "certificateId": identifier,
                "certificatePem": self.certificates[identifier].pem}

    def _certificate_at(self, arn):
        found = wanted(self.certificates, arn.rsplit("/", 1)[-1], "certificate")
        if found.arn != arn:
            raise Refusal("ResourceNotFoundException", arn)
        return found

    def describe_certificate(self, certificateId):
        """With its PEM."""
        one = wanted(self.certificates, certificateId, "certificate")
        created = START + datetime.timedelta(seconds=one.number)
        return {"certificateDescription": {
            "certificateId": certificateId, "certificateArn": one.arn, "status": one.status,
            "certificatePem": one.pem, "creationDate": created,
            "validity": {"notBefore": created, "notAfter": END}}}

    def list_certificates(self, pageSize=25, marker=None, ascendingOrder=False):
        """Newest first unless asked for otherwise, without their PEM."""
        if marker is None:
            self.lists += 1
        found = [{"certificateId": identifier, "certificateArn": one.arn, "status": one.status,
                  "creationDate": START + datetime.timedelta(seconds=one.number)}
                 for identifier, one in self.certificates.items() if one.listed_after < self.lists]
        return self._page("certificates", found if ascendingOrder else found[::-1], pageSize,
                          marker, "nextMarker")

    def _page(self, name, found, size, marker, marker_name):
        if not 1 <= size <= 250:
            raise Refusal("InvalidRequestException", "page size")
        size = min(size, self.page or size)
        start = int(marker or 0)
        page = {name: found[start:start + size]}
        if start + size < len(found):
            page[marker_name] = str(start + size)
        return page

    def update_certificate(self, certificateId, newStatus):
        """What was revoked stays so."""
        one = wanted(self.certificates, certificateId, "certificate")
        if newStatus not in ("ACTIVE", "INACTIVE", "REVOKED"):
            raise Refusal("InvalidRequestException", newStatus)
        if one.status == "REVOKED" and newStatus != "REVOKED":
            raise Refusal("CertificateStateException", one.status)
        one.status = newStatus
        if newStatus == "ACTIVE":
            self._observe(one)

    def _observe(self, one):
        """No certificate is active before it is all there, and none beside another."""
        if POLICY not in one.policies or not one.things:
            self.broken.append(f"active before it was attached: {one.arn}")
        for thing in one.things:
            if len(self.active(thing)) > (2 if self.may_have_two else 1):
                self.broken.append(f"{thing} has several active ones")

    def delete_certificate(self, certificateId, forceDelete=False):
        """Not what is active or has something."""
        one = wanted(self.certificates, certificateId, "certificate")
        if one.status == "ACTIVE":
            raise Refusal("CertificateStateException", one.status)
        if one.policies and not forceDelete or one.things or one.settling:
            one.settling = max(0, one.settling - 1)
            raise Refusal("DeleteConflictException", certificateId)
        del self.certificates[certificateId]

    # -- things

    def create_thing(self, thingName, thingTypeName=None, attributePayload=None):
        """Twice the same is once."""
        made = Thing(thingTypeName, (attributePayload or {}).get("attributes", {}))
        if thingTypeName and thingTypeName not in self.types:
            raise Refusal("ResourceNotFoundException", f"type {thingTypeName}")
        if self.things.setdefault(thingName, made) != made:
            raise Refusal("ResourceAlreadyExistsException", thingName)
        return {"thingName": thingName, "thingArn": self._arn("thing", thingName)}

    def describe_thing(self, thingName):
        """Type and attributes."""
        one = wanted(self.things, thingName, "thing")
        answer = {"thingName": thingName, "attributes": one.attributes, "version": 1}
        return answer | ({"thingTypeName": one.type_name} if one.type_name else {})

    def attach_thing_principal(self, thingName, principal):
        """Twice is once."""
        wanted(self.things, thingName, "thing")
        self._certificate_at(principal).things.add(thingName)

    def detach_thing_principal(self, thingName, principal):
        """It may take a while."""
        wanted(self.things, thingName, "thing")
        one = self._certificate_at(principal)
        if thingName not in one.things:
            raise Refusal("ResourceNotFoundException", thingName)
        one.things.remove(thingName)
        one.settling = self.detach_lag

    def list_thing_principals(self, thingName, nextToken=None, maxResults=25):
        """ARNs."""
        wanted(self.things, thingName, "thing")
        found = [one.arn for one in self.certificates.values() if thingName in one.things]
        return self._page("principals", found, maxResults, nextToken, "nextToken")

    def list_principal_things(self, principal, nextToken=None, maxResults=25):
        """Names."""
        found = sorted(self._certificate_at(principal).things)
        return self._page("things", found, maxResults, nextToken, "nextToken")

    # -- policies

    def get_policy(self, policyName):
        """Its ARN."""
        wanted({name: name for name in self.policies}, policyName, "policy")
        return {"policyName": policyName, "policyArn": self._arn("policy", policyName)}

    def attach_policy(self, policyName, target):
        """Twice is once; ten at most."""
        self.get_policy(policyName)
        one = self._certificate_at(target)
        if len(one.policies | {policyName}) > MOST_POLICIES:
            raise Refusal("LimitExceededException", "policies")
        one.policies.add(policyName)

    def detach_policy(self, policyName, target):
        """Of what has it or not."""
        self.get_policy(policyName)
        self._certificate_at(target).policies.discard(policyName)

    def list_attached_policies(self, target, pageSize=25, marker=None):
        """Of a certificate."""
        found = [{"policyName": name, "policyArn": self._arn("policy", name)}
                 for name in sorted(self._certificate_at(target).policies)]
        return self._page("policies", found, pageSize, marker, "nextMarker")

    def list_targets_for_policy(self, policyName, pageSize=25, marker=None):
        """ARNs."""
        self.get_policy(policyName)
        found = [one.arn for one in self.certificates.values() if policyName in one.policies]
        return self._page("targets", found, pageSize, marker, "nextMarker")

    # -- what a test asks

    def active(self, thing):
        """Its active certificates."""
        return [one for one in self.certificates.values()
                if thing in one.things and one.status == "ACTIVE"]

    def faults(self, keys, folder):
        """What is not as it must be, when each thing of KEYS (name: public half) is enrolled."""
        yield from self.broken
        kept = set()
        for thing, key in keys.items():
            active = self.active(thing)
            if len(active) != 1:
                yield f"{thing} has {len(active)} active certificates"
                continue
            kept.add(active[0].arn)
            if active[0].key != key or active[0].things != {thing}:
                yield f"{thing} has another's certificate"
            if POLICY not in active[0].policies:
                yield f"{thing} has no policy"
            pem = folder / f"{thing}.pem"
            if not pem.exists() or pem.read_text() != active[0].pem:
                yield f"{thing}.pem is not its certificate"
        for one in self.certificates.values():
            if one.key in keys.values() and one.arn not in kept:
                yield f"a certificate is left over ({one.status})"


class Client:
    """
    boto3's client of ACCOUNT. HOOK(name, is_done) is called before and after each operation, and
    may raise.
    """

    def __init__(self, account, hook=lambda name, is_done: None):
        self.account = account
        self.hook = hook

    def __getattr__(self, name):
        operations = {xform_name(one): one for one in model().operation_names}
        if name not in operations:
            raise AttributeError(name)
        return functools.partial(self._call, operations[name])

    def _call(self, operation, **arguments):
        self.hook(operation, False)
        try:
            answer = self.account.perform(operation, arguments)
        except Refusal as refusal:
            raise error_of(refusal.name, operation, refusal.status) from None
        self.hook(operation, True)
        return answer


def error_of(code, operation, status):
    """What boto3 raises."""
    return ClientError({"Error": {"Code": code, "Message": code},
                        "ResponseMetadata": {"HTTPStatusCode": status}}, operation)
