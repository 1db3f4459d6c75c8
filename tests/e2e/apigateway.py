#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every way into an API behind API Gateway: each authorization and each body, with the server checking
both, exactly and with faults; what is wrong is told with what to do about it.

  deliver    each authorization, and with it a body, through throttling, lost and half replies and a
             time-out of the gateway: nothing missing, and twice only what a lost reply left unknown
  answers    records of which a part fails; a body that is too large; a body that a firewall bounds
  tokens     one that is refused is replaced once, a file that changed is read again, what a server
             gave is renewed early; a client certificate
  mistakes   a wrong key, secret, region, path, scope and so on
"""
import collections
import concurrent.futures
import json
import os
import struct
import time

import api as apis
import harness
from harness import check, wait_until

LINES = 60
FAULTS = ["throttle", None, "lost", None, "half", None, "504", None, "typed", None]
FAST = 30


class World:
    """Certificates, and agents towards APIs."""

    def __init__(self, run):
        self.run = run
        self.certificates = harness.make_certificates(run.folder / "certificates")
        self.secrets = []

    def api(self, auth="none", kind="records", **options):
        return apis.Api(self.certificates, auth, kind, **options)

    def secret_file(self, name, text):
        """Replaced as a whole, as whoever keeps tokens fresh does."""
        path, new = self.run.folder / name, self.run.folder / f"{name}.new"
        new.write_text(text)
        new.chmod(0o600)
        new.rename(path)
        self.secrets.append(text.strip())
        return str(path)

    def keys_of(self, api, **changes):
        """What a route needs for the authorization of API."""
        auth = changes.get("auth", api.auth)
        name, secret, scope = api.client
        keys = {"iam": lambda: {"region": apis.REGION},
                "api-key": lambda: {"api_key_file": self.secret_file("key", api.secret)},
                "oauth2": lambda: {"token_url": api.token_url, "client_id": name, "scope": scope,
                                   "client_secret_file": self.secret_file("client", secret)},
                "bearer": lambda: {"token_file": self.secret_file("token", min(api.tokens))},
                "header": lambda: {"header": "X-Device-Token",
                                   "header_value_file": self.secret_file("value", api.secret)},
                "none": dict}[auth]()
        return {"destination": "apigateway", "url": api.url, "auth": auth, "body": api.kind,
                **harness.NO_QUESTION, **keys, **changes}

    def agent(self, name, api, sensors, **changes):
        return harness.Agent(self.run, None, self.certificates / "ca.pem", name=name,
                             spool={"size": "256KiB"}, sensors=sensors,
                             routes=[self.keys_of(api, **changes)])

    def drain(self, name, api, count=LINES, **changes):
        """COUNT lines, all of which API has in the end."""
        source = harness.lines_file(self.run.folder / f"{name}.jsonl", count)
        changes.setdefault("batch", {"records": 6})
        agent = self.agent(name, api, [harness.lines_sensor(source)], **changes)
        check(agent.drain(timeout_s=harness.DEADLINE_S) == 0, f"{name}: {agent.tail()}")
        check(not api.errors, f"{name}: {api.errors[:3]}")
        check_exact(api, count, source)
        self.check_silence(agent, api)
        api.stop()
        return agent

    def check_silence(self, agent, api):
        """No secret is told, also where the server quotes it."""
        told = {"log": agent.log.read_text()}
        for command in (("status", "--json"), ("status",), ("check", "-c", agent.config_file)):
            result = agent.call(*command)
            told[command[0]] = told.get(command[0], "") + result.stdout + result.stderr
        for where, text in told.items():
            for secret in [*self.secrets, *api.tokens, *api.revoked]:
                check(secret not in text, f"{where} tells a secret: {secret[:20]}")


def check_exact(api, count, source):
    """Each line is there as it was, under one identity, and again only if a reply was lost."""
    lines = source.read_text().splitlines()
    times, identities = collections.Counter(), {}
    unknown = collections.Counter(json.loads(text)["data"]["id"] for text in api.unknown)
    for text in api.stored:
        record = json.loads(text)
        number = record["data"]["id"]
        check(record["data"] == json.loads(lines[number]), f"line {number} was changed: {text}")
        identity = (record["device"], record["spool"], record["seq"])
        check(identities.setdefault(number, identity) == identity, f"a second identity: {text}")
        times[number] += 1
    check(set(times) == set(range(count)), f"{count - len(times)} lines are missing")
    for number, seen in times.items():
        check(seen <= 1 + unknown[number], f"line {number} came {seen} times")


# ---- deliver ----

MODES = {"iam": ("records", {}), "api-key": ("lines", {}), "oauth2": ("array", {}),
         "bearer": ("single", {}), "header": ("records", {"compress": "gzip"}),
         "none": ("lines", {"compress": "gzip"})}


def make_api(world, auth, kind="records"):
    """With a secret of its own."""
    secret = {"api-key": "HUSHkey0123456789abcdef", "header": "Basic HUSHdmFsdWU="}.get(auth, "")
    api = world.api(auth, kind, secret=secret)
    if auth == "bearer":
        api.tokens = {"HUSHtoken.1"}
    return api


def together(*parts):
    """Each waits most of its time, as an agent does behind a failure."""
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        for future in [pool.submit(*part) for part in parts]:
            future.result()


def deliver_by(world, auth, kind, changes):
    api = make_api(world, auth, kind)
    api.faults = list(FAULTS)
    world.drain(f"deliver-{auth}", api, **changes)
    check(not api.faults, f"{auth}: faults were left: {api.faults}")
    check(api.statuses(403) == api.statuses(401) == 0, f"{auth}: refused")
    packed = [request for request in api.requests if request[1].get("content-encoding")]
    expected = len(api.requests) if changes else 0
    check(len(packed) == expected, f"{auth}: {len(packed)} in gzip")
    print(f"{auth}, {kind} {changes}: {len(api.stored)} records in {len(api.requests)} "
          f"requests, {len(api.unknown)} of them unknown", flush=True)


def deliver(world):
    together(*((deliver_by, world, auth, *how) for auth, how in MODES.items()))


# ---- answers ----

def check_parts(world):
    """What was stored is not sent again, whatever became of the rest."""
    api = world.api(kind="records")
    api.faults = ["partial"] * 3
    world.drain("parts", api)
    check(len(api.stored) == LINES, "a record came twice")
    api = world.api(kind="array")
    api.says = "records"
    api.faults = ["partial"] * 3
    world.drain("array-parts", api, success="per-record")
    check(len(api.stored) == LINES, "a record came twice")


def check_too_large(world):
    """A body that is too large is made smaller."""
    api = world.api(kind="array")
    api.body_bytes_max = 8192
    world.drain("too-large", api, batch={"records": 60})
    check(api.statuses(413) > 0, "no body was too large")


def check_bounded(world, kind):
    """One that has a bound is never larger."""
    api = world.api(kind=kind)
    api.body_bytes_max = 8192
    world.drain(f"bounded-{kind}", api, count=200, batch={"bytes": "8KiB"})
    sizes = [len(body) for _, _, body in api.requests]
    check(api.statuses(413) == 0, f"{kind}: {max(sizes)} bytes")
    check(max(sizes) > 7500, f"{kind}: no body has more than {max(sizes)} bytes")


def check_unfit(world):
    """A record that no body has room for is given up, with what leaves it none."""
    api = world.api(kind="lines")
    source = harness.lines_file(world.run.folder / "unfit.jsonl", LINES)
    with source.open("a") as lines:
        lines.write(json.dumps({"id": LINES, "text": "x" * 9000}) + "\n")
    agent = world.agent("unfit", api, [harness.lines_sensor(source)], batch={"bytes": "8KiB"})
    check(agent.drain(timeout_s=harness.DEADLINE_S) == 0, agent.tail())
    check(len(api.stored) == LINES, f"{len(api.stored)} were stored")
    dead = [line for line in agent.log.read_text().splitlines() if "record-dead" in line]
    check(len(dead) == 1 and "with batch.bytes as it is the route takes 8192" in dead[0], dead)
    api.stop()


def answers(world):
    together((check_parts, world), (check_too_large, world), (check_unfit, world),
             *((check_bounded, world, kind) for kind in ("records", "lines", "array")))


# ---- tokens ----

def send(agent, api):
    """One document, until it has arrived."""
    count = len(api.stored)
    check(agent.send("door", ['{"open":true}'], "--lane", "alarm") == 0, agent.tail())
    wait_until("the document", lambda: len(api.stored) > count)


def check_refused_token(world):
    api = make_api(world, "oauth2")
    agent = world.agent("revoked", api, [])
    agent.start()
    send(agent, api)
    api.revoke()
    send(agent, api)
    check(api.statuses(401) == 1, f"refused {api.statuses(401)} times")
    check(api.token_requests == 2, f"{api.token_requests} tokens")
    check(agent.stop() == 0, agent.tail())
    world.check_silence(agent, api)


def check_changed_file(world):
    api = make_api(world, "bearer")
    agent = world.agent("changed", api, [])
    agent.start()
    send(agent, api)
    api.revoke()
    api.tokens = {"HUSHtoken.2"}
    world.secret_file("token", "HUSHtoken.2\n")
    send(agent, api)
    check(api.statuses(401) == 1, f"refused {api.statuses(401)} times")
    check(agent.stop() == 0, agent.tail())
    world.check_silence(agent, api)


def check_early_renewal(world):
    """With a clock that runs faster a token is replaced before anybody refuses it."""
    library = world.run.build / "tests/fault/libfast_clock.so"
    if not library.is_file() or "SAN_OPTIONS" in " ".join(os.environ):
        return
    api = make_api(world, "oauth2")
    api.life_s = 200
    agent = world.agent("early", api, [{"name": "w", "driver": "sim", "lane": "alarm"}])
    pace = world.run.folder / "pace"
    pace.write_bytes(struct.pack("=7q", 0, FAST, time.monotonic_ns(), 0, 1, 0, 0))
    agent.environment |= {"LD_PRELOAD": str(library), "FAST_CLOCK": str(pace)}
    agent.start()
    wait_until("a second token", lambda: api.token_requests >= 2)
    latest = f".{api.token_requests:04}."
    wait_until("its use", lambda: latest in api.requests[-1][1]["authorization"])
    check(api.statuses(401) == 0, "a token was refused")
    agent.kill()


def check_certificate(world):
    api = world.api(client_ca=world.certificates / "ca.pem")
    world.drain("certificate", api, cert_file=str(world.certificates / "device.pem"),
                key_file=str(world.certificates / "device.key"))
    api = world.api(client_ca=world.certificates / "ca.pem")
    agent = world.agent("no-certificate", api, [{"name": "w", "driver": "sim", "lane": "alarm"}])
    agent.start()
    wait_until("an error", lambda: (agent.status() or {"routes": {"live": {"error": ""}}})
               ["routes"]["live"]["error"])
    check(not api.stored, "it was taken without a certificate")
    agent.stop()
    api.stop()


def tokens(world):
    check_refused_token(world)
    together((check_changed_file, world), (check_early_renewal, world), (check_certificate, world))


# ---- mistakes ----

def check_told(world, name, api, remedy, state="needs-operator", **changes):
    agent = world.agent(f"wrong-{name}", api, [{"name": "w", "driver": "sim", "lane": "alarm"}],
                        **changes)
    agent.start()
    route = wait_until(f"an error of {name}", lambda: next(
        (route for route in (agent.status() or {"routes": {}})["routes"].values()
         if route["error"]), None))
    remedy = remedy.replace('"', "'")  # as everything that the log quotes
    error = route["error"]
    check(error.count(remedy) == 1, f"{name}: {remedy!r} is not once in {error!r}")
    check(route["state"] == state, f"{name}: {route['state']}: {error!r}")
    check(not api.stored, f"{name}: something was stored")
    world.check_silence(agent, api)
    agent.stop()
    api.stop()


def mistakes(world):
    def wrong(name, wanted, remedy, path=None, **changes):
        api = make_api(world, wanted)
        if path is not None:
            changes["url"] = api.url.replace(apis.PATH, path)
        check_told(world, name, api, remedy, **changes)

    wrong("region", "iam", 'correct "region"', region="us-east-1")
    wrong("path", "iam", 'check "url"', path="/test/records")
    wrong("no-signature", "iam", '"auth": "iam"', auth="none")
    wrong("key", "api-key", '"api_key_file"',
          api_key_file=world.secret_file("other", "HUSHother"))
    wrong("no-key", "api-key", '"auth": "api-key"', auth="none")
    wrong("token", "bearer", '"token_file"', token_file=world.secret_file("stale", "HUSHstale"))
    wrong("no-token", "bearer", 'set "auth"', auth="none")
    wrong("value", "header", '"header_value_file"',
          header_value_file=world.secret_file("bad", "HUSHbad"))
    wrong("client", "oauth2", '"client_secret_file"',
          client_secret_file=world.secret_file("guess", "HUSHguess"))
    wrong("scope", "oauth2", 'check "scope"', scope="api/admin")
    wrong("no-file", "bearer", "No such file", token_file=str(world.run.folder / "absent"))

    def answer(name, always, remedy, kind="records", state="backing-off", **changes):
        api = world.api(kind=kind)
        api.always = always
        check_told(world, name, api, remedy, state, **changes)

    answer("page", apis.PAGE, "in the API's place", kind="lines")
    answer("portal", apis.PORTAL, "redirects are not followed", state="needs-operator")
    answer("typed", apis.TYPED, "more shards", kind="array")
    answer("no-results", apis.answer_json(200, {"ok": True}), '"success": "status"')


if __name__ == "__main__":
    PARTS = {"deliver": deliver, "answers": answers, "tokens": tokens, "mistakes": mistakes}
    options = harness.arguments(
        __doc__, (("parts",), {"nargs": "*", "default": list(PARTS), "metavar": "PART",
                               "type": harness.one_of(PARTS)}))

    def scenario(run):
        world = World(run)
        for part in options.parts:
            PARTS[part](world)

    harness.main(options, scenario)
