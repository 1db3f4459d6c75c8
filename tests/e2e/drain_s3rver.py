#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
JSON lines from a file through `runnel run --drain` into s3rver, an S3 that others wrote.

s3rver checks neither signatures nor conditions and never fails: what stands before it does. It
verifies each request by botocore, parses its headers back with botocore's model of PutObject,
answers 412 for what is there, says that the bucket is in another region, and has faults.
"""
import base64
import hashlib
import http.client
import http.server
import pathlib
import re
import ssl
import subprocess
import threading

import harness
import objects
from harness import check

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session

VERSION = "3.7.1"
BUCKET, REGION, ELSEWHERE = "telemetry-archive", "eu-west-1", "us-west-2"
KEY = "S3RVER"  # the only one that s3rver knows
# What happens to the requests in turn; behind the last all goes well.
FAULTS = ("slow-down", "lost", None, "internal", "conflict", None, "cut", "lost")


def xml(code, more=""):
    return f"<Error><Code>{code}</Code><Message>as told</Message>{more}</Error>".encode()


class Front(http.server.BaseHTTPRequestHandler):
    """One request at a time is all that a route ever has in flight."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *ignored):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"x-amz-request-id": "front", "Content-Length": len(body),
                            **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """Who asks for the time."""
        self.reply(403, xml("AccessDenied"))

    def do_PUT(self):
        world = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        scope = self.headers["Authorization"].split("Credential=")[1].split(",")[0].split("/")
        try:
            verify(self, body, scope)
        except harness.Failure as failure:
            world.complaints.append(str(failure))
        if scope[2] != REGION:
            world.redirected += 1
            self.reply(400, xml("AuthorizationHeaderMalformed", f"<Region>{REGION}</Region>"))
            return
        fault = world.faults.pop(0) if world.faults else None
        if fault in ("slow-down", "conflict"):
            status, code = {"slow-down": (503, "SlowDown"),
                            "conflict": (409, "ConditionalRequestConflict")}[fault]
            self.reply(status, xml(code))
            return
        if fault == "cut":
            self.close_connection = True
            return
        if self.path in world.stored and not world.blind:
            world.known += 1
            self.reply(412, xml("PreconditionFailed"))
            return
        status = self.forward(body)
        world.stored.append(self.path)
        if fault == "lost":
            self.close_connection = True
        elif fault == "internal":
            self.reply(500, xml("InternalError"))
        else:
            self.reply(status)

    def forward(self, body):
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        behind.request("PUT", self.path, body, dict(self.headers))
        reply = behind.getresponse()
        reply.read()
        behind.close()
        return reply.status


def verify(request, body, scope):
    """The signature as botocore makes it; the hash; headers that botocore's model knows."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    check(headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest(), "the hash is wrong")
    check(base64.b64decode(headers["x-amz-checksum-sha256"]) == hashlib.sha256(body).digest(),
          "the checksum is wrong")
    signed = re.search("SignedHeaders=([^,]+)", headers["authorization"]).group(1).split(";")
    url = f"https://{headers['host']}{request.path}"
    again = botocore.awsrequest.AWSRequest("PUT", url, data=body)
    for name in signed:
        again.headers[name] = headers[name]
    again.context["timestamp"] = headers["x-amz-date"]
    auth = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(KEY, KEY), "s3", scope[2])
    canonical = auth.canonical_request(again)
    signature = auth.signature(auth.string_to_sign(again, canonical), again)
    check(headers["authorization"].endswith(f"Signature={signature}"), "another signature")
    check(all(name in signed for name in headers if name.startswith("x-amz-")), "unsigned headers")
    parse_back(headers, request.server.shape)


def parse_back(headers, shape):
    """Every header that is neither HTTP's nor the signature's is a member of PutObject."""
    known = {member.serialization["name"].lower(): member for member in shape.members.values()
             if member.serialization.get("location") == "header"}
    known["if-none-match"] = None  # the model of this botocore may be older
    ours = set(headers) - {"host", "authorization", "user-agent", "x-amz-date",
                           "x-amz-content-sha256"}
    check(ours <= set(known), f"PutObject has no {sorted(ours - set(known))}")
    for name in ours:
        choices = getattr(known[name], "enum", None)
        check(not choices or headers[name] in choices, f"{name}: {headers[name]} is none of these")


def start_front(run, behind):
    folder = run.folder / "certificates"
    subprocess.run([run.program("runnel-sink"), "--certificates-only", "--dir", folder], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    front.socket = context.wrap_socket(front.socket, server_side=True)
    front.daemon_threads = True
    front.behind, front.faults, front.stored, front.complaints = behind, list(FAULTS), [], []
    front.redirected = front.known = 0
    front.blind = False
    front.shape = botocore.session.Session().get_service_model("s3").operation_model(
        "PutObject").input_shape
    threading.Thread(target=front.serve_forever, daemon=True).start()
    return front, folder / "ca.pem"


def start_s3rver(run):
    directory = run.folder / "bucket"
    directory.mkdir()
    modules = harness.modules_of("s3rver", VERSION)
    process = harness.Process(
        ["node", pathlib.Path(__file__).parent / "s3rver.js", modules, directory, BUCKET],
        run.folder / "log", stdout=subprocess.PIPE)
    port = process.popen.stdout.readline().decode().strip()
    check(port.isdigit(), f"s3rver did not start: {process.tail()}")
    return int(port)


def read_bucket(port):
    """Every object, by name."""
    client = botocore.session.Session().create_client(
        "s3", region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=KEY,
        aws_secret_access_key=KEY, config=botocore.config.Config(proxies={}))
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", ()):
            reply = client.get_object(Bucket=BUCKET, Key=entry["Key"])
            yield entry["Key"], reply["Body"].read()


def drain(run, count, blind):
    port = start_s3rver(run)
    front, ca = start_front(run, port)
    front.blind = blind
    source = harness.lines_file(run.folder / "lines.jsonl", count)
    route = {"name": "cold", "destination": "s3", "region": ELSEWHERE, "bucket": BUCKET,
             "prefix": "raw/v=1/", "batch": {"bytes": "256KiB"}, "sse": "aws:kms",
             "kms_key_id": "alias/k", "storage_class": "STANDARD_IA",
             "expected_bucket_owner": "123456789012",
             "endpoint": f"https://localhost:{front.server_port}", "ca_file": str(ca),
             "start_delay": "0s"}
    agent = harness.Agent(run, None, routes=[route], sensors=[harness.lines_sensor(source)])
    agent.environment.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=KEY)
    check(agent.drain(1800) == 0, f"the agent did not deliver: {agent.tail()}")
    check(not front.complaints, f"requests are wrong: {front.complaints}")
    check(not front.faults, f"these faults were not met: {front.faults}")
    check(front.redirected == 1, f"{front.redirected} requests went to the wrong region")

    records, found = [], 0
    for key, body in read_bucket(port):
        check(key.startswith("raw/v=1/"), f"{key} has not the prefix")
        records += objects.read(key[len("raw/v=1/"):], body)
        found += 1
    objects.check_lines(records, source.read_text().splitlines())
    check(found == len(front.stored), f"{found} objects, {len(front.stored)} were stored")
    check(front.known == 3, f"{front.known} requests met their object")
    print(f"s3rver {VERSION}: {count} lines exactly once in {found} objects, "
          f"{front.known} replies were lost", flush=True)


if __name__ == "__main__":
    options = harness.arguments(
        __doc__, (("--lines",), {"type": int, "default": 20000}),
        (("--blind",), {"action": "store_true",
                        "help": "a control: the front takes what it has once more"}))
    harness.main(options, lambda run: drain(run, options.lines, options.blind))
