#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A route that assumes a role: STS gives the keys with which the sink is sent to.

An STS of its own takes only what botocore signs in the same way, and gives keys that the sink knows
with their session token alone. It refuses, expires keys, has another clock, and gives in again;
nobody touches the agent. --plant has it check for another region than the agent signs for, which
must end in its refusal.
"""
import calendar
import email.utils
import http.server
import itertools
import os
import pathlib
import sys
import threading
import time
import urllib.parse

import harness
import signer
from harness import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
import credentials  # pylint: disable=wrong-import-position

ROLE = "arn:aws:iam::123456789012:role/gateways/writer"
EXTERNAL_ID = "tenant:7"
SKEW_S = 300
TOKEN = "HUSHSOURCETOKEN"
FORM = {"Action": ["AssumeRole"], "Version": ["2011-06-15"], "RoleArn": [ROLE],
        "RoleSessionName": ["gw-e2e"], "DurationSeconds": ["3600"], "ExternalId": [EXTERNAL_ID]}


class Sts:
    """Judges as STS does, the clock first; tells the sink of what it gives."""

    numbers = itertools.count(1)

    def __init__(self, sink, region):
        self.sink = sink
        self.region = region
        self.clock_s = 0  # how far its clock is ahead
        self.life_s = credentials.LIFE_S
        self.refusal = None  # an error's code, instead of keys
        self.on_token = {}  # session tokens that have expired, and what to do then
        self.answers = []  # codes, "" for keys
        self.given = []
        sts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = sts.reply(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + sts.clock_s, usegmt=True)

            def log_message(self, *arguments):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def judge(self, headers, body):
        """The code of what is wrong, or ""."""
        token = headers.get("x-amz-security-token")
        signed_s = calendar.timegm(time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        ahead_s = signed_s - time.time() - self.clock_s
        if abs(ahead_s) > SKEW_S:
            return "SignatureDoesNotMatch"
        expected = signer.sign(headers, body, service="sts", region=self.region)
        if headers["authorization"] != expected:
            return "SignatureDoesNotMatch"
        if token in self.on_token:
            self.on_token[token]()
            return "ExpiredToken"
        return self.refusal or ""

    def reply(self, path, message, body):
        headers = {name.lower(): value for name, value in message.items()}
        form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
        code = self.judge(headers, body)
        if path != "/" or form != FORM:
            code = "ValidationError"
        self.answers.append(code)
        if code:
            return 403, (f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>"
                         "no</Message></Error><RequestId>r</RequestId></ErrorResponse>")
        number = next(self.numbers)
        name, token = f"ASIAROLE{number:04}", f"HUSHROLE{number}" + "x" * 900
        self.sink.add_key(name, credentials.SECRET, token)
        self.given.append(name)
        expiration = credentials.iso(time.time() + self.clock_s + self.life_s)
        return 200, (
            "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>{credentials.SECRET}"
            f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expiration}"
            "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def make_agent(run, sink, sts, name, **environment):
    keys = {"AWS_ACCESS_KEY_ID": harness.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": harness.SECRET_KEY}
    agent = credentials.Agent(run, sink, name, AWS_ENDPOINT_URL_STS=sts.url,
                              **(environment or keys))
    agent.config["routes"][0] |= {"role_arn": ROLE, "external_id": EXTERNAL_ID}
    agent.write_config()
    return agent


def write_profile(path, token):
    fresh = path.with_suffix(".new")
    fresh.write_text(f"[default]\naws_access_key_id = {harness.ACCESS_KEY}\n"
                     f"aws_secret_access_key = {harness.SECRET_KEY}\naws_session_token = {token}\n")
    fresh.chmod(0o600)
    os.replace(fresh, path)


def test_role(run, sink, sts):
    """The role's keys sign what the sink gets; when it calls them expired, STS gives others."""
    agent = make_agent(run, sink, sts, "role")
    shown = agent.call("check", "-c", agent.config_file)
    check(f"as {ROLE}, by {sts.url}" in shown.stdout, shown.stdout + shown.stderr)
    agent.start()
    harness.wait_until("an answer of STS", lambda: sts.answers)
    check(sts.answers[0] == "", f"STS refused the first request: {sts.answers[0]}")
    agent.wait_delivery("with the role's first key")
    sink.expire_key(sts.given[0])
    harness.wait_until("the second key", lambda: len(sts.given) > 1)
    agent.wait_delivery("with the role's second key")
    agent.end()
    check(sts.answers == ["", ""], sts.answers)
    check(sink.keys()[harness.ACCESS_KEY]["requests"] == 0, "the source's key signed for the sink")
    check(all(sink.keys()[name]["requests"] > 0 for name in sts.given), sink.keys())


def test_clock(run, sink, sts):
    """STS is two hours ahead: it is asked again, by its own clock."""
    sts.clock_s = 7200
    agent = make_agent(run, sink, sts, "clock")
    agent.start()
    agent.wait_delivery("by STS's clock")
    agent.end()
    check(sts.answers == ["SignatureDoesNotMatch", ""], sts.answers)


def test_expired_source(run, sink, sts):
    """The keys in the file have expired, and are replaced while STS says so."""
    profile = run.folder / "profile"
    write_profile(profile, TOKEN)
    sts.on_token[TOKEN] = lambda: write_profile(profile, TOKEN + "2")
    agent = make_agent(run, sink, sts, "source", AWS_SHARED_CREDENTIALS_FILE=str(profile))
    agent.start()
    agent.wait_delivery("with the file's second keys")
    agent.end()
    check(sts.answers == ["ExpiredToken", ""], sts.answers)


def test_refusal_and_renewal(run, sink, sts):
    """One route is refused its role, and gets it later; the keys of another live for 48 s, and are
    replaced before."""
    sts.refusal = "AccessDenied"
    refused = make_agent(run, sink, sts, "refused")
    refused.start()
    check(refused.wait_error("trust policy")["state"] == "needs-operator", refused.route())
    check(refused.delivered() == 0, "something was delivered without the role")
    sts.refusal = None
    other = Sts(sink, sts.region)
    other.life_s = credentials.SHORT_LIFE_S
    renewed = make_agent(run, sink, other, "renewed")
    renewed.start()
    renewed.wait_delivery("with a short key")
    harness.wait_until("the next key", lambda: len(other.given) > 1, 120)
    sink.expire_key(other.given[0])
    renewed.wait_delivery("with the key that replaced it")
    renewed.end()
    other.stop()
    check(len(other.answers) == 2, f"asked {len(other.answers)} times: {other.answers}")
    refused.wait_delivery("with the role that was refused before")
    refused.end()
    check(sts.answers[-1] == "" and set(sts.answers[:-1]) == {"AccessDenied"}, sts.answers)


def scenario(run, plant):
    sink = harness.Sink(run)
    region = "eu-west-1" if plant else "us-east-1"
    for test in (test_role, test_clock, test_expired_source, test_refusal_and_renewal):
        started = time.monotonic()
        sts = Sts(sink, region)
        test(run, sink, sts)
        sts.stop()
        print(f"{test.__name__}: good ({time.monotonic() - started:.1f} s)", flush=True)
    summary = sink.stop()
    check(summary["identities"]["unexplained"] == 0, summary)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--plant",), {"action": "store_true", "help": "STS checks for another region"}))
    harness.main(chosen, lambda run: scenario(run, chosen.plant))
