#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A configuration from S3: what is new there goes on trial, what may not be said from afar is refused
with its reason, replies that are none change nothing, and nothing is fetched twice.
"""
import hashlib
import json

import bucket
import harness
import signer
from harness import check, wait_until

OBJECT = "/fleet/gw-e2e.json"
HTML = b"<html><body>Welcome to the Grand Hotel</body></html>"


class Documents(bucket.Bucket):
    """One object; `fault` is answered instead, if it is set. asked: the ETags that came."""

    def __init__(self, certificates):
        super().__init__(certificates)
        self.document = self.fault = None
        self.asked, self.given = [], 0

    def put_document(self, document):
        with self.lock:
            text = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.document = text
            self.fault, self.asked, self.given = None, [], 0

    def etag(self):
        return f'"{hashlib.md5(self.document).hexdigest()}"'

    def get(self, request):
        region = self.check_signature(request)
        if region is None:
            return bucket.error(403, "SignatureDoesNotMatch")
        if region != self.region:
            self.redirected += 1
            return bucket.error(400, "AuthorizationHeaderMalformed",
                                f"<Region>{self.region}</Region>")
        check(request.path == OBJECT, f"asked for {request.path}")
        self.asked.append(request.headers.get("if-none-match"))
        if self.fault is not None:
            return self.fault
        if self.document is None:
            return bucket.error(404, "NoSuchKey")
        if self.asked[-1] == self.etag():
            return 304, {"ETag": self.etag()}, b""
        self.given += 1
        return 200, {"ETag": self.etag()}, self.document

    def wait_for_questions(self, count):
        """COUNT more than there were."""
        wanted = len(self.asked) + count
        wait_until(f"{count} questions", lambda: len(self.asked) >= wanted)


class Fleet:
    """An agent that is told from afar what to do."""

    def __init__(self, run):
        self.sink = harness.Sink(run)
        self.documents = Documents(harness.make_certificates(run.folder / "certificates"))
        self.agent = harness.Agent(
            run, self.sink.endpoint, self.sink.ca, sensors=[self.sensor("1s")],
            config={"source": "s3://fleet/${device}.json", "interval": "1s", "confirm": "10s",
                    "region": bucket.REGION, "endpoint": self.documents.endpoint,
                    "ca_file": str(self.documents.ca)},
            credentials={"spare": {"provider": "web_identity", "token_file": "/etc/spare.token",
                                   "role_arn": "arn:aws:iam::123456789012:role/spare"}})
        self.note = self.agent.state / "config" / "source"

    @staticmethod
    def sensor(interval):
        return {"name": "w", "driver": "sim", "interval": interval}

    def document(self, interval="1s", **more):
        """One that runs, as long as nobody changes it."""
        return {"sensors": [self.sensor(interval)], "routes": self.agent.config["routes"], **more}

    def warning(self, words):
        """The warning that has WORDS, or None."""
        status = self.agent.status()
        found = [text for text in status["warnings"] if words in text] if status else []
        return found[0] if found else None

    def wait_for_warning(self, words):
        wait_until(f"a warning: {words}", lambda: self.warning(words))

    def config(self):
        return self.agent.status()["config"]

    def wait_for_config(self, **wanted):
        def there():
            status = self.agent.status()
            return status and all(status["config"].get(key) == value
                                  for key, value in wanted.items())
        wait_until(f"a configuration that is {wanted}", there)


def check_nothing_there(fleet):
    fleet.wait_for_warning("NoSuchKey")
    check("put an object there" in fleet.warning("NoSuchKey"), fleet.warning("NoSuchKey"))
    check(fleet.config()["state"] == "main" and not fleet.note.exists(), fleet.config())


def check_new(fleet):
    """A document goes on trial, and is confirmed by what its changed route delivers."""
    before = fleet.agent.status()["config_id"]
    routes = [{**route, "batch": {"records": 7}} for route in fleet.agent.config["routes"]]
    fleet.documents.put_document({**fleet.document("2s"), "routes": routes})
    fleet.wait_for_config(state="applied", origin="source", last_trial="confirmed")
    check(fleet.agent.status()["config_id"] != before, "config_id is what it was")
    check(fleet.documents.given == 1, f"fetched {fleet.documents.given} times")
    check(fleet.warning("s3://") is None, fleet.warning("s3://"))


def check_known_after_a_start(fleet):
    """The object is known again, and nothing is written for that."""
    fleet.documents.wait_for_questions(1)
    before = fleet.note.stat()
    check(fleet.agent.stop() == 0, f"the agent ended badly: {fleet.agent.tail()}")
    fleet.documents.put_document(fleet.documents.document)
    fleet.agent.start()
    fleet.documents.wait_for_questions(3)
    check(set(fleet.documents.asked) == {fleet.documents.etag()}, fleet.documents.asked)
    check(fleet.documents.given == 0, "fetched again")
    check(fleet.note.stat().st_mtime_ns == before.st_mtime_ns, "the note was written again")
    fleet.wait_for_config(state="applied", origin="source")


def check_forgotten(fleet):
    """What the store does not know any more is fetched again, although it was taken."""
    check(fleet.agent.stop() == 0, f"the agent ended badly: {fleet.agent.tail()}")
    (fleet.agent.state / "config" / "state.json").write_text("{")
    fleet.agent.start()
    fleet.wait_for_config(state="applied", origin="source", last_trial="confirmed")


def refusals(fleet):
    """(document, words of the reason)."""
    good = fleet.document()
    route = good["routes"][0]
    astray = {"name": "api", "destination": "apigateway", "url": "https://elsewhere.test/a",
              "auth": "bearer", "token_file": "/etc/spare.token"}
    return (
        ({**good, "device": "other"}, "device: cannot be changed by a fetched configuration"),
        ({**good, "credentials": {}}, "credentials: cannot be changed"),
        ({**good, "config": {"interval": "1h"}}, "config: cannot be changed"),
        ({**good, "spool": {"path": "/elsewhere"}}, "spool.path: cannot be changed"),
        ({**good, "routes": [{**route, "ca_file": "/etc/shadow"}]}, "ca_file: is a file that the"),
        ({**good, "routes": [{**route, "stream": "${file:/etc/shadow}"}]}, "names a file that the"),
        ({**good, "routes": [route, astray]}, "route api: tells its secret to a server"),
        ({**good, "routes": []}, "there is none, so nothing would be delivered"),
        (HTML, "is not applied"),
        (json.dumps(good).encode()[:-2], "is not applied"),
    )


def check_refusals(fleet):
    """Each is fetched once, told with its reason, and leaves what runs as it is."""
    before = fleet.agent.status()["config_id"]
    for document, words in refusals(fleet):
        fleet.documents.put_document(document)
        fleet.wait_for_warning(words)
        fleet.documents.wait_for_questions(2)
        check(fleet.documents.given == 1, f"{words}: fetched {fleet.documents.given} times")
        check(fleet.documents.asked[-1] == fleet.documents.etag(), fleet.documents.asked)
        check(fleet.agent.status()["config_id"] == before, f"{words}: something runs of it")
    check(" refused " in fleet.note.read_text(), fleet.note.read_text())
    check("shadow" not in fleet.agent.log.read_text().replace("file:/etc/shadow", ""), "it is told")


def faults(fleet):
    """(what S3, or somebody in its place, answers; words of the warning)."""
    body = fleet.documents.document
    tag = {"ETag": '"new"'}
    return (
        (bucket.error(403, "AccessDenied"), "allow s3:GetObject"),
        (bucket.error(500, "InternalError"), "InternalError"),
        (bucket.error(503, "SlowDown"), "SlowDown"),
        ((200, {**tag, "x-amz-request-id": ""}, HTML), "something between"),
        ((200, {"ETag": ""}, body), "something between"),
        ((200, {**tag, "Content-Length": len(body) + 1}, body), "cannot be fetched"),
        (None, "cannot be fetched"),
        ((200, tag, b" " * (64 * 1024) + body), "more than 64 KiB"),
    )


def check_faults(fleet):
    before = fleet.agent.status()["config_id"]
    for fault, words in faults(fleet):
        fleet.documents.fault = fault
        fleet.wait_for_warning(words)
    check(fleet.agent.status()["config_id"] == before, "something runs of it")
    fleet.documents.wait_for_questions(2)
    check(fleet.documents.asked[-1] == '"new"', "what is too large is fetched again")


def check_gone_back(fleet):
    """What did not pass its trial is not tried again before it changes."""
    before = fleet.agent.status()["config_id"]
    routes = [{**route, "stream": "of-nobody"} for route in fleet.agent.config["routes"]]
    fleet.documents.put_document({**fleet.document(), "routes": routes})
    fleet.wait_for_config(state="trial")
    fleet.wait_for_config(state="applied", last_trial="reverted")
    check(fleet.config()["reverted"]["route"] == "live", fleet.config())
    fleet.documents.wait_for_questions(3)
    check(fleet.documents.given == 1, f"fetched {fleet.documents.given} times")
    check(fleet.agent.status()["config_id"] == before, "another one runs")


def check_elsewhere(fleet):
    """S3 says in which region the bucket is."""
    fleet.documents.region = "us-west-2"
    fleet.documents.put_document(fleet.document("3s"))
    fleet.wait_for_config(state="applied", last_trial="confirmed")
    check(fleet.documents.redirected > 0, "nobody was led elsewhere")


def scenario(run):
    fleet = Fleet(run)
    fleet.agent.start()
    check_nothing_there(fleet)
    check_new(fleet)
    check_known_after_a_start(fleet)
    check_forgotten(fleet)
    check_refusals(fleet)
    check_faults(fleet)
    check_gone_back(fleet)
    check_elsewhere(fleet)
    check(fleet.documents.refused == 0, f"{fleet.documents.refused} requests were wrongly signed")
    check(harness.SECRET_KEY not in fleet.agent.log.read_text(), "the log has a secret")
    check(fleet.agent.stop() == 0, f"the agent ended badly: {fleet.agent.tail()}")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
