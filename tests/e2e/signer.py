# SPDX-License-Identifier: Apache-2.0
"""What botocore would send as Authorization, for requests as they were sent."""
import re

from harness import ACCESS_KEY, SECRET_KEY, check

import botocore.auth
import botocore.awsrequest
import botocore.credentials


class Unsigned(Exception):
    """A request whose Authorization is none of AWS."""


def named(authorization):
    """(access key, region, service, names of the headers) of an Authorization header."""
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/([^/]*)/([\w-]+)/aws4_request, "
                         r"SignedHeaders=([^,]+), Signature=[0-9a-f]{64}", authorization)
    if not found:
        raise Unsigned(authorization)
    key, region, service, names = found.groups()
    return key, region, service, names.split(";")


def lower(items):
    """The headers ITEMS by their names in lower case, none of which may come twice."""
    headers = {}
    for name, value in items:
        check(name.lower() not in headers, f"{name} comes twice")
        headers[name.lower()] = value.strip()
    return headers


def sign(headers, body, method="POST", path="/", service="kinesis", region="us-east-1",
         keys=(ACCESS_KEY, SECRET_KEY), auth=None):
    """
    The Authorization of a request with BODY and HEADERS as lower() gives them, at the time that
    they say, over those of them that were signed, among which must be all that AWS wants to be.
    AUTH: another way than SERVICE has.
    """
    signed = named(headers["authorization"])[3]
    required = {"host", "x-amz-date"} | {
        name for name in headers if name == "content-type" or name.startswith("x-amz-")}
    check(required <= set(signed), f"not signed: {required - set(signed)}")
    if auth is None:
        auth = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    request = botocore.awsrequest.AWSRequest(
        method, f"https://{headers['host']}{path}", data=body,
        headers={name: headers[name] for name in signed})
    request.context["timestamp"] = headers["x-amz-date"]
    token = headers.get("x-amz-security-token")
    signer = auth(botocore.credentials.Credentials(*keys, token), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    names = signer.signed_headers(signer.headers_to_sign(request))
    return (f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, "
            f"Signature={signer.signature(text, request)}")
