#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The agent at an API that refuses, as the template has it: the message tells what to mend, nothing is
lost or given up, and when it is mended each line arrives exactly once.

  body       another form of body than the API's schema has there
  document   one document that breaks the schema: it alone becomes a dead letter, which arrives when
             the schema is corrected and it is sent again
  key        an API key that is missing, and one that is wrong
  rate       more requests than the stage's settings let through, and than the usage plan does
  quota      a usage plan whose quota is used up
  controls   an API that does not enforce it fails each of these
"""
import json

from cloud import Cloud, resolve, run_cases
from client import line, record
from flows import Agent
from test_gateway import no_quota, no_settings, no_validation
import harness
from harness import check, wait_until

COUNT = 60
BATCH = 5
ODD = COUNT // 2
WRONG_KEY = "x" * 40


class Scene:
    """RESOLVED, running, and an agent that is to deliver COUNT lines to it."""

    def __init__(self, run, name, resolved, write=harness.lines_file, **route):
        self.run = run
        self.name = name
        self.clouds = []
        self.source = run.folder / f"{name}.jsonl"
        write(self.source, COUNT)
        cloud = self.start(resolved)
        self.agent = Agent(run, None, cloud.ca, name=f"{name}-agent",
                           spool={"lanes": {"normal": {"age": "50ms"}}},
                           sensors=[harness.lines_sensor(self.source)],
                           routes=[self.route_to(cloud, **route)])

    def start(self, resolved):
        cloud = Cloud(self.run, resolved, "--shards", "1", name=f"{self.name}-{len(self.clouds)}")
        self.clouds.append(cloud)
        return cloud

    def key_file(self, text):
        path = self.run.folder / f"{self.name}-key"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def route_to(self, cloud, path="/records", **route):
        """Signed where the template has no keys, else with the key that ROUTE or the API says."""
        auth = route.get("auth", "api-key" if cloud.api_keys else "iam")
        keys = {"iam": {"region": cloud.region}, "none": {}, "api-key": {}}[auth]
        if auth == "api-key":
            keys = {"api_key_file": self.key_file(route.pop("api_key", cloud.api_keys[0]))}
        return {"name": "gate", "destination": "apigateway", "url": cloud.url(path), "auth": auth,
                "body": "records", "batch": {"records": BATCH}, **harness.NO_QUESTION, **keys,
                **route}

    def expect_message(self, words, state="needs-operator"):
        """The agent, given all lines, says WORDS, and has all that it did not deliver."""
        process = self.agent.begin_drain()
        route = wait_until("a refusal", lambda: self.refused() or not process.running())
        check(route is not True, f"nothing is refused: {self.agent.tail()}")
        check(words.replace('"', "'") in route["error"], f"no {words!r} in {route['error']!r}")
        check(route["state"] == state, f"{route['state']}: {route['error']!r}")
        counters = route["lanes"]["normal"]
        harness.check_identity(counters)
        check(counters["accepted"] == counters["stored"] + counters["delivered"] == COUNT, counters)
        check(counters["delivered"] == len(self.stored()), f"{counters} {len(self.stored())}")
        self.agent.stop()

    def refused(self):
        status = self.agent.status()
        return status and status["routes"]["gate"]["error"] and status["routes"]["gate"]

    def route(self, cloud, **route):
        self.agent.config["routes"] = [self.route_to(cloud, **route)]
        Agent.fill_route(self.agent.config["routes"][0], None, cloud.ca)
        self.agent.write_config()

    def mend(self, cloud, **route):
        """The route is put right: every line arrives, once."""
        self.route(cloud, **route)
        self.finish()

    def finish(self):
        check(self.agent.drain() == 0, f"it was not mended: {self.agent.tail()}")
        lines = self.source.read_text().splitlines()
        check([json.loads(data)["data"] for data in self.stored()] == list(map(json.loads, lines)),
              f"{len(self.stored())} of {len(lines)} lines, or in another order")
        self.stop()

    def stop(self):
        for cloud in self.clouds:
            cloud.stop()

    def stored(self):
        return [data for cloud in self.clouds for _, data in cloud.stored()]


def plain(_):
    """Nothing is planted."""


def planted(plant, **parameters):
    resolved = resolve(**parameters)
    plant(resolved)
    return resolved


def body(run, plant=plain):
    for form, path in (("array", "/records"), ("single", "/array")):
        scene = Scene(run, f"body-{form}-{plant.__name__}", planted(plant), body=form, path=path)
        scene.expect_message("Invalid request body")
        check("choose the 'body' that 'url' takes" in scene.agent.tail(), scene.agent.tail())
        scene.mend(scene.clouds[0], body=form, path=f"/{form}")


def documents(path, count):
    """What the API takes for records, but for one, whose time it does not know."""
    with path.open("w", encoding="ascii") as file:
        for number in range(count):
            ts = "2026-11-23 22:31:26" if number == ODD else "2026-11-23T22:31:26.123Z"
            file.write(line(record(number, ts=ts)) + "\n")


def any_time(resolved):
    schema = resolved["Resources"]["ArrayModel"]["Properties"]["Schema"]
    del schema["properties"]["records"]["items"]["properties"]["ts"]["pattern"]


def document(run, plant=plain):
    route = {"body": "array", "path": "/array", "format": "raw"}
    scene = Scene(run, f"document-{plant.__name__}", planted(plant), documents, **route)
    lines = scene.source.read_text().splitlines()
    check(scene.agent.drain() == 0, f"not drained: {scene.agent.tail()}")
    check(scene.stored() == [text.encode() for number, text in enumerate(lines) if number != ODD],
          f"{len(scene.stored())} documents, or not as they were")
    scene.route(scene.start(planted(any_time)), **route)
    scene.agent.set_sensors([])
    scene.agent.start()
    counters = scene.agent.counters("gate")
    harness.check_identity(counters)
    check(counters["delivered"] == COUNT - 1 and counters["dead"] == 1, counters)
    letter = json.loads(scene.agent.call("dead", "list", "--json").stdout)
    check("Invalid request body" in letter["reason"], letter)
    check(scene.agent.call("dead", "resend", "--all").returncode == 0, "it is not sent again")
    wait_until("the letter", lambda: len(scene.stored()) == COUNT)
    check(scene.stored()[-1].decode() == lines[ODD], scene.stored()[-1])
    check(scene.agent.stop() == 0, f"the agent ended badly: {scene.agent.tail()}")
    scene.stop()


def key(run, plant=plain):
    for name, words, route in (
            ("missing", '"auth": "api-key"', {"auth": "none"}),
            ("wrong", 'check the API key in "api_key_file"', {"api_key": WRONG_KEY})):
        scene = Scene(run, f"key-{name}-{plant.__name__}", planted(plant, ApiAuth="api-key"),
                      **route)
        scene.expect_message(words)
        scene.mend(scene.clouds[0])


def slow_stage(resolved):
    for setting in resolved["Resources"]["Stage"]["Properties"]["MethodSettings"]:
        setting.update(ThrottlingRateLimit=1, ThrottlingBurstLimit=2)


def slow_plan(resolved):
    plan = resolved["Resources"]["UsagePlan"]["Properties"]
    plan["Throttle"] = {"RateLimit": 1, "BurstLimit": 2}


def rate(run, plants=((slow_stage, {}), (slow_plan, {"ApiAuth": "api-key"}))):
    """Five requests at least, of which two may come at once."""
    for plant, parameters in plants:
        scene = Scene(run, f"rate-{plant.__name__}", planted(plant, **parameters),
                      batch={"records": 12})
        scene.finish()
        check("raise the throttling" in scene.agent.log.read_text(), "no word of throttling")


def quota(run, plant=plain):
    scene = Scene(run, f"quota-{plant.__name__}",
                  planted(plant, ApiAuth="api-key", ApiKeyQuotaPerDay="3"))
    scene.expect_message("the usage plan's quota is used up: raise it")
    check(len(scene.stored()) == 3 * BATCH, len(scene.stored()))
    scene.mend(scene.start(resolve(ApiAuth="api-key")))


def records_without_key(resolved):
    resolved["Resources"]["KinesisRecordsMethod"]["Properties"]["ApiKeyRequired"] = False


def controls(run):
    for name, case in (("body", lambda: body(run, no_validation)),
                       ("document", lambda: document(run, no_validation)),
                       ("key", lambda: key(run, records_without_key)),
                       ("rate", lambda: rate(run, ((no_settings, {}),))),
                       ("quota", lambda: quota(run, no_quota))):
        try:
            case()
        except harness.Failure as found:
            print(f"{name}: found, {str(found).splitlines()[0]}", flush=True)
            continue
        raise harness.Failure(f"an API that does not enforce it: {name} saw nothing")


CASES = {one.__name__: one for one in (body, document, key, rate, quota, controls)}

if __name__ == "__main__":
    run_cases(__doc__, CASES)
