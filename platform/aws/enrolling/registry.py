# SPDX-License-Identifier: Apache-2.0
"""
The registry of AWS IoT: things, certificates, and one way to call it.

boto3 may repeat nothing by itself, since one call (CreateCertificateFromCsr) must not be repeated
blindly; what may be is repeated here, after growing random waits.
"""
import dataclasses
import functools
import os
import random
import time

from botocore.exceptions import (BotoCoreError, ClientError, ConnectTimeoutError,
                                 EndpointConnectionError, HTTPClientError, IncompleteReadError,
                                 NoRegionError, ProxyConnectionError)
from botocore.parsers import ResponseParserError

from .csr import key_of_certificate
from .faults import Fault, Stop, Unclear

ATTEMPTS = 10
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 20.0
PAGE = 250

THROTTLED = {"ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException",
             "RequestLimitExceeded"}
# No device fares better than another with these.
DENIED = {"AccessDeniedException", "AccessDenied", "UnauthorizedException", "ExpiredToken",
          "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException",
          "SignatureDoesNotMatch", "UnrecognizedClientException", "IncompleteSignature",
          "MissingAuthenticationTokenException", "OptInRequired", "RequestExpired"}
NOT_SENT = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
BROKEN_OFF = (HTTPClientError, IncompleteReadError, ResponseParserError)


def code_of(error):
    """The service's name for an error, "" if it is none of the service."""
    if not isinstance(error, ClientError):
        return ""
    return error.response.get("Error", {}).get("Code", "")


def _status_of(error):
    if not isinstance(error, ClientError):
        return 0
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _was_not_done(error):
    return code_of(error) in THROTTLED or isinstance(error, NOT_SENT)


def _may_pass(error):
    return _was_not_done(error) or isinstance(error, BROKEN_OFF) or _status_of(error) >= 500


def _concerns_all(error):
    return (code_of(error) in DENIED or _status_of(error) in (401, 403)
            or isinstance(error, BotoCoreError) and not isinstance(error, BROKEN_OFF + NOT_SENT))


def _whole(answer):
    """
    ANSWER, unless it was cut off: botocore takes a body that ends early for one without members.
    """
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    length = int(headers.get("content-length", 0))
    if length > len("{}") and len(answer) == 1:
        raise IncompleteReadError(actual_bytes=0, expected_bytes=length)
    return answer


@dataclasses.dataclass(frozen=True)
class Certificate:
    """As IoT describes it; `key` as csr.fingerprint() has it."""
    id: str
    arn: str
    status: str
    pem: str
    key: str
    created: object = None
    expires: object = None


class Registry:
    """CLIENT is boto3's of "iot", without repetitions of its own."""

    def __init__(self, client, policy, sleep=time.sleep):
        self.client = client
        self.policy = policy
        self.sleep = sleep

    def call(self, name, is_repeatable=True, **arguments):
        """
        The answer of an operation. Raises Stop for what concerns every call; Fault when it fails
        again and again; Unclear when that could have been carried out and is not to be repeated;
        ClientError for what the service says of this one.
        """
        for attempt in range(ATTEMPTS):
            try:
                return _whole(getattr(self.client, name)(**arguments))
            except (ClientError, BotoCoreError, ResponseParserError) as error:
                if _concerns_all(error):
                    raise Stop(str(error)) from error
                if not _may_pass(error):
                    raise
                if not is_repeatable and not _was_not_done(error):
                    raise Unclear(str(error)) from error
                last = error
            if attempt < ATTEMPTS - 1:
                self._wait(attempt)
        if isinstance(last, BROKEN_OFF + NOT_SENT):
            raise Stop(f"AWS IoT does not answer ({last})")
        raise Fault(f"failed {ATTEMPTS} times: {last}")

    def _wait(self, attempt):
        self.sleep(random.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** attempt)))

    def _pages(self, name, result, size, marker="nextMarker", **arguments):
        """Each of RESULT in all pages; None if what it is asked of does not exist."""
        token = {"nextMarker": "marker", "nextToken": "nextToken"}[marker]
        found = []
        try:
            while True:
                page = self.call(name, **size, **arguments)
                found += page.get(result, [])
                if not page.get(marker):
                    return found
                arguments[token] = page[marker]
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None

    def where(self):
        """ "ACCOUNT/REGION", by the policy's ARN. Raises Stop if there is no such policy."""
        try:
            arn = self.call("get_policy", policyName=self.policy)["policyArn"]
        except ClientError as error:
            raise Stop(f"the policy {self.policy}: {error}") from error
        _, _, _, region, account, _ = arn.split(":", 5)
        return f"{account}/{region}"

    # -- what there is

    def certificates_of(self, thing):
        """ARNs of the certificates that THING has; None if there is no such thing."""
        found = self._pages("list_thing_principals", "principals", {"maxResults": PAGE},
                            "nextToken", thingName=thing)
        return None if found is None else [arn for arn in found if ":cert/" in arn]

    def things_of(self, certificate):
        """Names of the things that have CERTIFICATE."""
        return self._pages("list_principal_things", "things", {"maxResults": PAGE}, "nextToken",
                           principal=certificate.arn) or []

    def policies_of(self, certificate):
        """Names of its policies."""
        found = self._pages("list_attached_policies", "policies", {"pageSize": PAGE},
                            target=certificate.arn)
        return [one["policyName"] for one in found or []]

    def targets(self):
        """ARNs of the certificates that have the policy."""
        found = self._pages("list_targets_for_policy", "targets", {"pageSize": PAGE},
                            policyName=self.policy)
        if found is None:
            raise Stop(f"there is no policy {self.policy}")
        return [arn for arn in found if ":cert/" in arn]

    def not_active(self):
        """Ids of all certificates of the account that are not active."""
        found = self._pages("list_certificates", "certificates", {"pageSize": PAGE})
        return [one["certificateId"] for one in found if one["status"] != "ACTIVE"]

    def certificate(self, identifier):
        """By its id or ARN; None if there is none."""
        try:
            one = self.call("describe_certificate", certificateId=identifier.rsplit("/", 1)[-1])
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        one = one["certificateDescription"]
        return Certificate(one["certificateId"], one["certificateArn"], one["status"],
                           one["certificatePem"], key_of_certificate(one["certificatePem"]),
                           one.get("creationDate"), one.get("validity", {}).get("notAfter"))

    # -- what is changed; all but the first may be repeated

    def create_certificate(self, csr):
        """A new certificate, inactive. Raises Unclear if there may be one that nobody knows."""
        answer = self.call("create_certificate_from_csr", is_repeatable=False,
                           certificateSigningRequest=csr, setAsActive=False)
        pem = answer.get("certificatePem")
        if not pem or not answer.get("certificateId") or not answer.get("certificateArn"):
            raise Unclear("an answer without a certificate")
        return Certificate(answer["certificateId"], answer["certificateArn"], "INACTIVE", pem,
                           key_of_certificate(pem))

    def make_thing(self, thing, type_name=None, attributes=None):
        """Makes THING unless it exists; as it exists, it must have what is asked for."""
        arguments = {"thingName": thing}
        if type_name:
            arguments["thingTypeName"] = type_name
        if attributes:
            arguments["attributePayload"] = {"attributes": attributes}
        try:
            self.call("create_thing", **arguments)
            return
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise
        self.expect_thing(thing, type_name, attributes)

    def expect_thing(self, thing, type_name=None, attributes=None):
        """Raises Fault if the existing THING lacks what is asked for."""
        if not type_name and not attributes:
            return
        has = self.call("describe_thing", thingName=thing)
        if type_name and has.get("thingTypeName") != type_name:
            raise Fault(f"the thing is there, of type {has.get('thingTypeName') or '(none)'}")
        for name, value in (attributes or {}).items():
            if has.get("attributes", {}).get(name) != value:
                raise Fault(f"the thing is there, without the attribute {name}={value}")

    def attach_policy(self, certificate):
        """The stack's policy to CERTIFICATE."""
        self.call("attach_policy", policyName=self.policy, target=certificate.arn)

    def attach_thing(self, thing, certificate):
        """CERTIFICATE to THING."""
        self.call("attach_thing_principal", thingName=thing, principal=certificate.arn)

    def set_status(self, certificate, status):
        """ACTIVE, INACTIVE or REVOKED."""
        self.call("update_certificate", certificateId=certificate.id, newStatus=status)

    def take_policies(self, certificate):
        """All of them."""
        for name in self.policies_of(certificate):
            self.call("detach_policy", policyName=name, target=certificate.arn)

    def take_thing(self, thing, certificate):
        """CERTIFICATE from THING."""
        try:
            self.call("detach_thing_principal", thingName=thing, principal=certificate.arn)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise

    def delete_certificate(self, certificate):
        """One that is not active and has nothing. IoT takes seconds to see that it has nothing."""
        for attempt in range(ATTEMPTS):
            try:
                self.call("delete_certificate", certificateId=certificate.id)
                return
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return
                if code_of(error) != "DeleteConflictException" or attempt == ATTEMPTS - 1:
                    raise
            self._wait(attempt)


@functools.cache
def client_of(service, endpoint_url=None, jobs=1):
    """boto3's client. Raises Stop if this machine has no region or credentials."""
    # Only here: what is asked for with --help needs none of it.
    import boto3
    from botocore.config import Config
    try:
        # boto3 by itself reads AWS_DEFAULT_REGION alone.
        return boto3.Session(region_name=os.environ.get("AWS_REGION")).client(
            service, endpoint_url=endpoint_url,
            config=Config(connect_timeout=10, read_timeout=30, max_pool_connections=jobs,
                          retries={"total_max_attempts": 1}))
    except NoRegionError as error:
        raise Stop("no region; set AWS_REGION") from error
    except (BotoCoreError, ValueError) as error:
        raise Stop(str(error)) from error


def policy_of(stack):
    """The IoT policy that STACK made for gateways, by its outputs."""
    try:
        stacks = client_of("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (ClientError, BotoCoreError) as error:
        raise Stop(f"the stack {stack}: {error}") from error
    for one in stacks[0].get("Outputs", []):
        if one["OutputKey"] == "PolicyName":
            return one["OutputValue"]
    raise Stop(f"the stack {stack} has no policy for gateways; deploy it with Iot=on")
