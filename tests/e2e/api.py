# SPDX-License-Identifier: Apache-2.0
"""
An API as it stands behind API Gateway, with TLS on loopback: it checks who asks and what the body
is, keeps the records that came, answers as API Gateway does, and has faults on command. It gives
tokens as a Cognito user pool does, at /oauth2/token.
"""
import base64
import gzip
import http.server
import json
import re
import ssl
import threading
import urllib.parse

import signer

PATH = "/prod/records"
REGION = "eu-west-1"
CONTENT_TYPES = {"records": "application/json", "array": "application/json",
                 "single": "application/json", "lines": "application/x-ndjson"}


class Refusal(Exception):
    """(status, x-amzn-ErrorType, message)"""


def forbidden(code="ForbiddenException", message="Forbidden"):
    return Refusal(403, code, message)


def unauthorized(message="Unauthorized"):
    return Refusal(401, "UnauthorizedException", message)


# ---- who asks ----

def check_nothing(_api, headers, *_ignored):
    if "authorization" in headers or "x-api-key" in headers:
        raise forbidden("ForbiddenException", "nobody asked for that")


def check_api_key(api, headers, *_ignored):
    if headers.get("x-api-key") != api.secret:
        raise forbidden()


def check_bearer(api, headers, *_ignored):
    word, _, token = headers.get("authorization", "").partition(" ")
    if word != "Bearer" or token not in api.tokens:
        raise unauthorized("The incoming token has expired" if token in api.revoked
                           else "Unauthorized")


def check_header(api, headers, *_ignored):
    given = headers.get("x-device-token")
    if given != api.secret:
        raise unauthorized(f"Unauthorized: '{given}'")


def check_signature(api, headers, path, body):
    """As IAM does, with botocore's signature of the same request."""
    try:
        _, region, service, _ = signer.named(headers.get("authorization", ""))
    except signer.Unsigned:
        raise forbidden("MissingAuthenticationTokenException",
                        "Missing Authentication Token") from None
    if (region, service) != (REGION, "execute-api"):
        raise forbidden("InvalidSignatureException",
                        "Credential should be scoped to a valid region. ")
    if signer.sign(headers, body, "POST", path, service, region) != headers["authorization"]:
        raise forbidden("InvalidSignatureException",
                        "The request signature we calculated does not match")


CHECKS = {"iam": check_signature, "api-key": check_api_key, "oauth2": check_bearer,
          "bearer": check_bearer, "header": check_header, "none": check_nothing}


# ---- what is in a body ----

def entries_of(kind, body):
    """The records in BODY, as texts; a body of another form is a fault of the agent's."""
    if kind == "lines":
        assert body.endswith(b"\n"), body[-20:]
        return body[:-1].decode().split("\n")
    if kind == "single":
        json.loads(body)
        return [body.decode()]
    parsed = json.loads(body)
    if kind == "array":
        assert list(parsed) == ["records"], list(parsed)
        return [json.dumps(record) for record in parsed["records"]]
    assert list(parsed) == ["Records"], list(parsed)
    for entry in parsed["Records"]:
        assert sorted(entry) == ["Data", "PartitionKey"] and entry["PartitionKey"], entry
    return [base64.b64decode(entry["Data"], validate=True).decode() for entry in parsed["Records"]]


# ---- answers ----

def answer_json(status, value, code=None):
    headers = {"Content-Type": "application/json"}
    if code is not None:
        headers["x-amzn-ErrorType"] = code
    return status, headers, json.dumps(value).encode()


def answer_results(failed):
    """FAILED says of each record whether it was not stored."""
    results = [{"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."}
               if no else {"SequenceNumber": "49590", "ShardId": "shardId-000000000000"}
               for no in failed]
    return answer_json(200, {"FailedRecordCount": sum(failed), "Records": results})


def answer_stored(kind, count):
    return {"records": answer_results([False] * count), "lines": (202, {}, b""),
            "array": (204, {}, b""), "single": answer_json(200, {"ok": True})}[kind]


PAGE = (200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")
PORTAL = (302, {"Location": "https://portal.test/", "Content-Type": "text/html"}, b"<html></html>")
TYPED = answer_json(200, {"__type": "ProvisionedThroughputExceededException", "message": "Rate"})
THROTTLED = answer_json(429, {"message": "Too Many Requests"}, "TooManyRequestsException")
GATEWAY_TIMEOUT = answer_json(504, {"message": "Endpoint request timed out"},
                              "InternalServerErrorException")
TOO_LARGE = answer_json(413, {"message": "Request Too Long"}, "RequestTooLargeException")

# What becomes of a request: whether its records are stored, and what is said then. Of "half" and
# "lost" the connection ends before the reply does.
FAULTS = {"throttle": (False, THROTTLED), "typed": (False, TYPED), "page": (False, PAGE),
          "portal": (False, PORTAL), "lost": (True, None), "half": (True, None),
          "504": (True, GATEWAY_TIMEOUT), "partial": (None, None)}


class Api:
    """
    Listens from its making until stop(). requests: one (status, headers, body) for each; stored:
    the texts of all records that were, in order; unknown: those of which a reply could not tell;
    paths: what was asked for, with queries.
    """

    def __init__(self, certificates, auth="none", kind="records", secret="", client_ca=None):
        self.auth, self.kind, self.secret = auth, kind, secret
        self.says = kind  # how it answers: as that body is usually answered
        self.body_bytes_max = 10 * 1024 * 1024
        self.tokens, self.revoked, self.token_requests = set(), set(), 0
        self.life_s = 3600
        self.client = ("client", "top/secret", "api/write")
        self.faults = []  # of FAULTS, one a request
        self.always = None  # an answer to all of them
        self.requests, self.stored, self.unknown, self.paths = [], [], [], set()
        self.errors = []
        self.lock = threading.Lock()
        self.server = self.make_server(certificates, client_ca)
        self.port = self.server.server_address[1]
        self.url = f"https://localhost:{self.port}{PATH}"
        self.token_url = f"https://localhost:{self.port}/oauth2/token"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def make_server(self, certificates, client_ca):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with api.lock:
                    self.reply(api.serve(self.path, self.headers, body))

            def do_GET(self):
                self.reply(answer_json(403, {"message": "Missing Authentication Token"}))

            def reply(self, answer):
                cut = answer is None or answer[0] is None
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer if not cut else answer[1]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + (7 if cut else 0)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = self.close_connection or cut

            def log_message(self, *_arguments):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # who hangs up, or shows no certificate

        server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "localhost.pem", certificates / "localhost.key")
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
        return server

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- requests ----

    def serve(self, path, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        if path == "/oauth2/token":
            return self.give_token(headers, body)
        try:
            answer = self.take(path, headers, body)
        except Refusal as refusal:
            status, code, message = refusal.args
            answer = answer_json(status, {"message": message}, code)
        except (AssertionError, ValueError) as error:
            self.errors.append(repr(error))
            answer = answer_json(400, {"message": "Invalid request body"}, "BadRequestException")
        status = answer[0] if answer is not None else None
        self.requests.append((status, headers, body))
        return answer

    def take(self, path, headers, body):
        self.paths.add(path)
        if path.partition("?")[0] != PATH:
            raise forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
        CHECKS[self.auth](self, headers, path, body)
        if len(body) > self.body_bytes_max:
            return TOO_LARGE
        if self.always is not None:
            return self.always
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        assert headers["content-type"] == CONTENT_TYPES[self.kind], headers
        entries = entries_of(self.kind, body)
        fault = self.faults.pop(0) if self.faults else None
        return self.store(entries) if fault is None else self.fail(fault, entries)

    def store(self, entries):
        self.stored += entries
        return answer_stored(self.says, len(entries))

    def fail(self, fault, entries):
        stored, answer = FAULTS[fault]
        if fault == "partial":
            failed = [index % 3 == 0 for index in range(len(entries))]
            self.stored += [entry for entry, no in zip(entries, failed) if not no]
            return answer_results(failed)
        if stored:
            self.stored += entries
            self.unknown += entries
        if fault == "half":
            return None, answer_stored(self.says, len(entries))
        return answer

    # ---- tokens ----

    def give_token(self, headers, body):
        name, secret, scope = self.client
        given = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        self.token_requests += 1
        if [urllib.parse.unquote(part) for part in given.split(":")] != [name, secret]:
            return answer_json(400, {"error": "invalid_client",
                                     "error_description": f"{given} is not known"})
        if form.get("grant_type") != "client_credentials" or form.get("scope") != scope:
            return answer_json(400, {"error": "invalid_scope"})
        token = f"eyJhbGciOiJSUzI1NiJ9.{self.token_requests:04}.{'x' * 900}"
        self.tokens.add(token)
        return answer_json(200, {"access_token": token, "expires_in": self.life_s,
                                 "token_type": "Bearer"})

    def revoke(self):
        with self.lock:
            self.revoked |= self.tokens
            self.tokens = set()

    def statuses(self, status):
        return sum(1 for request in self.requests if request[0] == status)
