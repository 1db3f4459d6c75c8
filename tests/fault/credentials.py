#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Who gives temporary keys is slow, wrong, or gone: the old ones go on until they expire, then records
wait; nothing is lost, nobody is asked in a loop (faults.md C1 to C3).

A giver speaks as IoT's credentials provider (with certificates of a CA made here), as a container's
endpoint, as EC2's metadata service and as STS. The sink takes the keys that it gave, and only while
they have not expired.
"""
import datetime
import email.utils
import http.server
import json
import os
import pathlib
import shutil
import ssl
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

SECRET = "HUSH/secret+key"
LIFE_S = 3600
SHORT_LIFE_S = 48


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


class Giver:
    """Gives a new key each time that it is asked rightly, and tells the sink of it."""

    def __init__(self, sink, certificates=None):
        self.sink = sink
        self.life_s = LIFE_S
        self.answer = None  # (status, body), instead of a key
        self.hangs = False
        self.asked = []  # (method, path, headers, body)
        self.peers = []  # certificates of those who asked, DER
        self.given = []
        self.clock_s = 0  # how far its clock is ahead
        self.ended = threading.Event()
        self.server = None
        self.port = 0
        self.certificates = certificates
        self.start()

    def start(self):
        giver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if giver.hangs:
                    giver.asked.append((self.command, self.path, self.headers, body))
                    giver.ended.wait()
                    return
                status, text = giver.reply(self.command, self.path, body)
                giver.asked.append((self.command, self.path, self.headers, body))
                if giver.certificates is not None:
                    giver.peers.append(self.connection.getpeercert(True))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = handle_one

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(giver.now(), usegmt=True)

            def log_message(self, *arguments):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # who hangs up, or shows no certificate

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        if self.certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificates / "localhost.pem",
                                    self.certificates / "localhost.key")
            context.load_verify_locations(self.certificates / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    def restart(self):
        self.ended = threading.Event()
        self.start()

    def now(self):
        return time.time() + self.clock_s

    def make_key(self):
        name = f"ASIAGIVEN{len(self.given) + 1:04}"
        token = f"HUSHTOKEN{len(self.given) + 1}" + "x" * 1800
        self.sink.add_key(name, SECRET, token)
        self.given.append(name)
        return name, token, iso(self.now() + self.life_s)

    def reply(self, method, path, body):
        if self.answer is not None:
            return self.answer[0], self.answer[1].encode()
        if method == "PUT":
            return 200, b"HUSHIMDS"
        if path.endswith("/security-credentials/"):
            return 200, b"the-role\n"
        name, token, expiration = self.make_key()
        if path.startswith("/role-aliases/"):
            text = json.dumps({"credentials": {
                "accessKeyId": name, "secretAccessKey": SECRET, "sessionToken": token,
                "expiration": expiration}})
        elif method == "POST":
            check(b"WebIdentityToken=HUSHWEB" in body, body)
            text = (f"<R><Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>{SECRET}"
                    f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>"
                    f"{expiration}</Expiration></Credentials></R>")
        else:
            text = json.dumps({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": SECRET,
                               "Token": token, "Expiration": expiration})
        return 200, text.encode()


class Agent(harness.Agent):
    """With a busy sensor and without the harness's permanent keys; looks at its log at the end."""

    def __init__(self, run, sink, name, credentials=None, **environment):
        super().__init__(run, sink.endpoint, sink.ca, name=name,
                         spool={"lanes": {"normal": {"age": "100ms"}}},
                         sensors=[{"name": "wave", "driver": "sim", "interval": "50ms"}],
                         **({} if credentials is None else {"credentials": credentials}))
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.environment[variable]
        self.environment.update(environment)

    def route(self):
        status = self.status()
        check(status is not None, f"the agent does not answer: {self.tail()}")
        harness.check_identity({**status["routes"]["live"]["lanes"]["normal"]})
        return status["routes"]["live"]

    def delivered(self):
        return self.route()["lanes"]["normal"]["delivered"]

    def wait_delivery(self, what):
        """That something is delivered which was not yet when this was asked for."""
        before = self.delivered()
        harness.wait_until(f"deliveries {what}", lambda: self.delivered() > before, 400)

    def wait_error(self, words):
        """The state of the route once its error holds WORDS."""
        def seen():
            route = self.route()
            return route if words in (route["error"] or "") else None
        return harness.wait_until(f"the error \"{words}\"", seen)

    def end(self):
        """Within its two seconds, whatever hangs; without a secret in its log."""
        check(self.stop() == 0, f"it ended badly: {self.tail()}")
        log = self.log.read_text(errors="replace")
        check("left-behind" not in log, f"a thread was left behind: {self.tail()}")
        check("HUSH" not in log, "a secret is in the log")


def iot(certificates, giver, **members):
    return {"default": {"provider": "iot", "endpoint": f"https://localhost:{giver.port}",
                        "role_alias": "runnel", "thing": "gw-17",
                        "cert_file": str(certificates / "device.pem"),
                        "key_file": str(certificates / "device.key"),
                        "ca_file": str(certificates / "ca.pem"), **members}}


def test_errors(run, sink, certificates):
    """Each error is told with what helps, and asked about once; the end is in time."""
    giver = Giver(sink, certificates)
    good = json.dumps({"credentials": {
        "accessKeyId": "ASIAOLD", "secretAccessKey": SECRET, "sessionToken": "HUSH",
        "expiration": iso(time.time() - 60)}})
    rows = (
        ("thing", (403, '{"message":"Invalid thing name passed"}'), "attached to the certificate",
         "needs-operator"),
        ("denied", (403, '{"message":"Access Denied"}'), "iot:AssumeRoleWithCertificate",
         "needs-operator"),
        ("alias", (404, '{"message":"Role alias does not exist"}'), "role_alias",
         "needs-operator"),
        ("busy", (429, '{"message":"Too Many Requests"}'), "answered 429", "offline"),
        ("past", (200, good), "had expired", "needs-operator"),
        ("half", (200, good[:len(good) // 2]), "is cut off", "offline"),
        ("html", (200, "<html>Log in</html>"), "is no JSON object", "offline"),
    )
    for name, answer, words, state in rows:
        giver.answer, giver.asked = answer, []
        agent = Agent(run, sink, name, iot(certificates, giver))
        agent.start()
        route = agent.wait_error(words)
        check(route["state"] == state, f"{name}: {route}")
        check(len(giver.asked) == 1, f"{name}: asked {len(giver.asked)} times")
        agent.end()
    giver.answer, giver.asked, giver.hangs = None, [], True
    agent = Agent(run, sink, "slow", iot(certificates, giver))
    agent.start()
    harness.wait_until("the question that hangs", lambda: giver.asked)
    agent.end()
    giver.stop()
    agent = Agent(run, sink, "down", iot(certificates, giver))
    agent.start()
    check(agent.wait_error("localhost")["state"] == "offline", agent.route())
    agent.end()
    check(sink.summary()["records"] == 0, "nothing was delivered without keys")


def test_key_files(run, sink, certificates):
    """A key that others may write is refused, one that is missing waited for, one that others may
    read is told of."""
    giver = Giver(sink, certificates)
    key = run.folder / "device.key"
    config = iot(certificates, giver, key_file=str(key))
    for name, words in (("missing", "device.key"), ("writable", "chmod go-w")):
        agent = Agent(run, sink, name, config)
        agent.start()
        check(agent.wait_error(words)["state"] == "needs-operator", agent.route())
        agent.end()
        shutil.copy(certificates / "device.key", key)
        key.chmod(0o666)
    check(not giver.asked, "nobody is asked with such a key")
    key.chmod(0o644)
    agent = Agent(run, sink, "readable", config)
    agent.start()
    agent.wait_delivery("with a key that others may read")
    limits = pathlib.Path(f"/proc/{agent.process.pid}/limits").read_text()
    check([line.split()[4] for line in limits.splitlines() if "core file" in line] == ["0"],
          f"a core dump would hold keys: {limits}")
    agent.end()
    check("credentials-file-readable" in agent.log.read_text(), agent.tail())
    giver.stop()


def test_expired_token(run, sink, certificates):
    """The other side says that a token has expired: a new one is asked for at once, and requests in
    flight come again. Both clocks are an hour apart, which only the lifetimes could mind."""
    giver = Giver(sink, certificates)
    giver.clock_s = -LIFE_S - 60
    agent = Agent(run, sink, "expired", iot(certificates, giver))
    agent.start()
    agent.wait_delivery("with the first key")
    method, path, headers, _ = giver.asked[0]
    check((method, path) == ("GET", "/role-aliases/runnel/credentials"), path)
    check(headers["x-amzn-iot-thingname"] == "gw-17" and headers["Host"].startswith("localhost"),
          str(headers))
    sink.faults(latency_ms=300)
    first = giver.given[-1]
    sink.expire_key(first)
    harness.wait_until("the next key", lambda: len(giver.given) > 1 or None)
    sink.faults(latency_ms=0)
    agent.wait_delivery("with the second key")
    check(sink.keys()[giver.given[1]]["requests"] > 0, sink.keys())
    agent.end()
    check(len(giver.given) == 2, f"asked for each expired reply once: {giver.given}")
    giver.stop()


def test_rotation_and_outage(run, sink, certificates):
    """Keys that live for 48 s: replaced before they expire; then their giver is away for longer."""
    giver = Giver(sink, certificates)
    giver.life_s = SHORT_LIFE_S
    agent = Agent(run, sink, "rotation", iot(certificates, giver))
    agent.start()
    agent.wait_delivery("with the first key")
    sink.faults(latency_ms=500)  # requests are in flight while the key is replaced
    harness.wait_until("the second key", lambda: len(giver.given) > 1 or None, 120)
    giver.stop()
    sink.expire_key(giver.given[0])
    sink.faults(latency_ms=0)
    agent.wait_delivery("with the second key")
    harness.wait_until("a question in vain",
                       lambda: "credentials-refresh-failed" in agent.log.read_text())
    agent.wait_delivery("with the old key, while nobody gives new ones")
    before = agent.wait_error("localhost")
    check(before["state"] != "connected", f"the old key went on: {before}")
    asked = len(giver.asked)
    sink.expire_key(giver.given[1])
    giver.restart()
    agent.wait_delivery("after the outage")
    check(len(giver.asked) == asked + 1, f"asked {len(giver.asked) - asked} times")
    agent.end()
    agent.set_sensors([])
    check(agent.drain() == 0, f"something was left: {agent.tail()}")
    giver.stop()


def test_container(run, sink, certificates):
    """By AWS_CONTAINER_CREDENTIALS_FULL_URI on the loopback, as Greengrass does."""
    del certificates
    giver = Giver(sink)
    token = run.folder / "token"
    token.write_text("HUSHAUTH\n")
    token.chmod(0o600)
    agent = Agent(run, sink, "container",
                  AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://localhost:{giver.port}/give?me=1",
                  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token),
                  HTTP_PROXY="http://127.0.0.1:9")
    agent.start()
    harness.wait_until("the question", lambda: giver.asked)
    agent.wait_delivery("with a container's key")
    method, path, headers, _ = giver.asked[0]
    check((method, path) == ("GET", "/give?me=1"), path)
    check(headers["Authorization"] == "HUSHAUTH", str(headers))
    agent.end()
    giver.stop()


def test_instance(run, sink, certificates):
    """By the metadata service, the last of the chain."""
    del certificates
    giver = Giver(sink)
    agent = Agent(run, sink, "instance", AWS_EC2_METADATA_DISABLED="false",
                  AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{giver.port}/")
    agent.start()
    agent.wait_delivery("with an instance's key")
    check([asked[0] for asked in giver.asked] == ["PUT", "GET", "GET"], str(giver.asked))
    check(giver.asked[2][1].endswith("/security-credentials/the-role"), giver.asked[2][1])
    check(giver.asked[2][2]["x-aws-ec2-metadata-token"] == "HUSHIMDS", str(giver.asked[2][2]))
    agent.end()
    giver.stop()


def test_web_identity(run, sink, certificates):
    """By STS for a token in a file."""
    del certificates
    giver = Giver(sink)
    token = run.folder / "web-token"
    token.write_text("HUSHWEB\n")
    token.chmod(0o600)
    agent = Agent(run, sink, "web", AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{giver.port}",
                  AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
                  AWS_ROLE_ARN="arn:aws:iam::123456789012:role/r")
    agent.start()
    agent.wait_delivery("with a web identity's key")
    form = urllib.parse.parse_qs(giver.asked[0][3].decode())
    check(form["RoleArn"] == ["arn:aws:iam::123456789012:role/r"] and
          form["RoleSessionName"] == ["gw-e2e"], str(form))
    agent.end()
    giver.stop()


def write_keys(path, name, how=None):
    text = f"[default]\naws_access_key_id = {name}\naws_secret_access_key = {SECRET}\n"
    fresh = path.with_suffix(".new")
    fresh.write_text(text if how is None else text[:how])
    fresh.chmod(0o600)
    os.replace(fresh, path)


def test_file_rotation(run, sink, certificates):
    """The shared file is half written, then replaced, while requests are on their way."""
    del certificates
    keys = run.folder / "keys"
    for number in (1, 2):
        sink.add_key(f"AKIAFILE{number}", SECRET)
    write_keys(keys, "AKIAFILE1")
    agent = Agent(run, sink, "file", AWS_SHARED_CREDENTIALS_FILE=str(keys))
    agent.start()
    agent.wait_delivery("with the first file")
    write_keys(keys, "AKIAFILE2", how=40)
    agent.wait_delivery("while the file is half written")
    check(sink.keys()["AKIAFILE2"]["requests"] == 0, "half a key was used")
    write_keys(keys, "AKIAFILE2")
    sink.expire_key("AKIAFILE1")
    agent.wait_delivery("with the second file")
    check(sink.keys()["AKIAFILE2"]["requests"] > 0, sink.keys())
    agent.end()


def scenario(run):
    certificates = harness.make_certificates(run.folder / "certificates")
    sink = harness.Sink(run)
    tests = (test_errors, test_key_files, test_expired_token, test_container, test_instance,
             test_web_identity, test_file_rotation, test_rotation_and_outage)
    for test in tests:
        started = time.monotonic()
        test(run, sink, certificates)
        print(f"{test.__name__}: good ({time.monotonic() - started:.1f} s)", flush=True)
    summary = sink.stop()
    check(summary["identities"]["unexplained"] == 0, summary)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
