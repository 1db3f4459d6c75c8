# SPDX-License-Identifier: Apache-2.0
"""A client of the cloud that is not runnel: requests by http.client, signatures by botocore."""
import base64
import gzip
import http.client
import json
import ssl
import urllib.parse

import harness

import botocore.auth
import botocore.awsrequest
import botocore.credentials

SPOOL = "9f31c2a47be0d815"


def record(seq, **members):
    """A record as the agent renders it."""
    return {"device": "gw-1", "sensor": "plc", "ts": "2026-11-23T22:31:26.123Z", "seq": seq,
            "spool": SPOOL, "values": {"temp": 41.5}, **members}


def line(document):
    """DOCUMENT without a space too many."""
    return json.dumps(document, separators=(",", ":"))


def entry(document, key="gw-1", end=""):
    """One entry of a body of kind `records`."""
    data = base64.b64encode((line(document) + end).encode()).decode()
    return {"Data": data, "PartitionKey": key}


class Reply:
    """What came back: status, headers, text; json where it is that."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.type = response.headers.get("x-amzn-ErrorType")
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    def __str__(self):
        return f"{self.status} {self.type} {self.text[:300]}"


class Client:
    """Signs with KEY (access, secret, token) where it is not None."""

    def __init__(self, ca, key=None, region="eu-west-1", service="execute-api"):
        self.context = ssl.create_default_context(cafile=str(ca))
        self.key = key
        self.region = region
        self.service = service

    def signed(self, method, url, body, headers):
        if self.key is None:
            return headers
        request = botocore.awsrequest.AWSRequest(method=method, url=url, data=body, headers=headers)
        credentials = botocore.credentials.Credentials(*self.key)
        botocore.auth.SigV4Auth(credentials, self.service, self.region).add_auth(request)
        return dict(request.headers.items())

    def send(self, url, body, kind="application/json", method="POST", spoil=None, **headers):
        """
        BODY: bytes, text, or a document. Names in HEADERS have _ for -. SPOIL(headers) changes
        what was signed.
        """
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is not None:
            given["Content-Type"] = kind
        given = self.signed(method, url, body, given)
        if spoil is not None:
            spoil(given)
        target = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(target.hostname, target.port,
                                                 context=self.context, timeout=60)
        try:
            connection.request(method, target.path, body, given)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def zipped(self, url, body, **headers):
        return self.send(url, gzip.compress(json.dumps(body).encode()), Content_Encoding="gzip",
                         **headers)


def signer(cloud):
    """A client with the key that the cloud knows."""
    return Client(cloud.ca, (harness.ACCESS_KEY, harness.SECRET_KEY))


