# SPDX-License-Identifier: Apache-2.0
"""
A bucket with TLS on loopback: it checks who asks by botocore's signature for S3, in which region,
and what the body is, keeps what it was asked, and stores under each key once.
"""
import base64
import collections
import hashlib
import http.server
import ssl
import threading

import harness
import signer

REGION = "eu-west-1"

Request = collections.namedtuple("Request", "method path headers body")


def error(status, code, more="", **headers):
    """(status, headers, body) as S3 refuses."""
    text = f"<Error><Code>{code}</Code><Message>as told</Message>{more}</Error>"
    return status, headers, text.encode()


STORED = (200, {}, b"")
THERE = error(412, "PreconditionFailed")


class Bucket:
    """
    Listens from its making. requests: a Request for each PUT that was rightly signed, in turn;
    objects: {path: body}; refused: how many others; redirected: how many went to another region.
    """

    def __init__(self, certificates, region=REGION, keys=(harness.ACCESS_KEY, harness.SECRET_KEY)):
        self.region, self.keys = region, keys
        self.requests, self.objects = [], {}
        self.refused = self.redirected = 0
        self.lock = threading.Lock()
        self.server = self.make_server(certificates)
        self.endpoint = f"https://localhost:{self.server.server_address[1]}"
        self.ca = certificates / "ca.pem"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def make_server(self, certificates):
        bucket = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                headers = signer.lower(self.headers.items())
                body = self.rfile.read(int(headers["content-length"]))
                with bucket.lock:
                    self.reply(bucket.answer(Request("PUT", self.path, headers, body)))

            def do_GET(self):
                headers = signer.lower(self.headers.items())
                with bucket.lock:
                    self.reply(bucket.get(Request("GET", self.path, headers, b"")))

            def reply(self, answer):
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"x-amz-request-id": "bucket", "Content-Length": len(body),
                                    **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):  # pylint: disable=arguments-differ
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "localhost.pem", certificates / "localhost.key")
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
        return server

    def get(self, _request):
        """As answer; those who put something ask for the time alone."""
        return error(403, "AccessDenied")

    def answer(self, request):
        """What is said to it; None: nothing, the connection ends."""
        headers, body = request.headers, request.body
        region = self.check_signature(request)
        if region is None:
            return error(403, "SignatureDoesNotMatch")
        digest = hashlib.sha256(body)
        if headers["x-amz-content-sha256"] != digest.hexdigest():
            self.refused += 1
            return error(400, "XAmzContentSHA256Mismatch")
        if headers["x-amz-checksum-sha256"] != base64.b64encode(digest.digest()).decode():
            self.refused += 1
            return error(400, "BadDigest")
        if region != self.region:
            self.redirected += 1
            return error(400, "AuthorizationHeaderMalformed", f"<Region>{self.region}</Region>")
        self.requests.append(request)
        return self.put(request)

    def check_signature(self, request):
        """The region that REQUEST was signed for, None if it was not rightly signed."""
        headers = request.headers
        _, region, service, _ = signer.named(headers["authorization"])
        expected = signer.sign(headers, request.body, request.method, request.path, "s3", region,
                               self.keys)
        if service == "s3" and headers["authorization"] == expected:
            return region
        self.refused += 1
        return None

    def put(self, request):
        """As answer, to what is right."""
        if request.path in self.objects:
            return THERE
        self.objects[request.path] = request.body
        return STORED
