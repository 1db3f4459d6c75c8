#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
usage: test_settings.py RUNNEL

What platform/aws/README.md says goes into runnel.json, by `runnel check`: its whole example, and
each other way in with the values that the stack's outputs have then.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import variants
from variants import cfn

README = (variants.TEMPLATE.parent / "README.md").read_text("utf-8")
TEMPLATE = cfn.load(variants.TEMPLATE)
BAD = 78

# By ApiAuth: the other settings of a route, as the page's table has them.
AUTH = {
    "iam": lambda outputs: {"auth": "iam", "region": outputs["Region"]},
    "api-key": lambda outputs: {"auth": "api-key", "api_key_file": "/etc/runnel/api-key"},
    "cognito": lambda outputs: {
        "auth": "oauth2", "token_url": outputs["TokenUrl"], "client_id": outputs["ClientId"],
        "scope": outputs["Scope"], "client_secret_file": "/etc/runnel/client-secret"},
    "lambda": lambda outputs: {"auth": "bearer", "token_file": "/etc/runnel/token"},
}
# A header of any name, where the authorizer looks for one.
HEADER = {"auth": "header", "header": "Authorization", "header_value_file": "/etc/runnel/token"}


def outputs_of(**parameters):
    """The stack's outputs for PARAMETERS."""
    resolved = cfn.resolve(TEMPLATE, {**variants.PLACES, **parameters})
    return {name: str(one["Value"]) for name, one in resolved["Outputs"].items()}


def api_routes():
    """(what it is, route) of every way through the API."""
    for by, settings in AUTH.items():
        outputs = outputs_of(ApiAuth=by, ApiLambda="on")
        for name in ("RecordsUrl", "FirehoseRecordsUrl", "LambdaRecordsUrl"):
            for body in ("records", "array", "lines", "single"):
                yield f"{by} {name} {body}", {
                    "destination": "apigateway", "body": body,
                    "url": outputs[name].replace("/records", "/" + body), **settings(outputs)}
    outputs = outputs_of(ApiAuth="lambda")
    yield "header", {"destination": "apigateway", "url": outputs["RecordsUrl"],
                     "body": "records", **HEADER}
    outputs = outputs_of(Api="private")
    yield "private", {
        "destination": "apigateway", "region": outputs["Region"], "body": "records", "auth": "iam",
        "url": "https://vpce-0a1b-xyz.execute-api.eu-west-1.vpce.amazonaws.com/"
               f"{outputs['StageName']}/records", "api_id": outputs["RestApiId"]}


def routes():
    """(what it is, route) of every way in."""
    outputs = outputs_of()
    region = outputs["Region"]
    yield "kinesis", {"destination": "kinesis", "region": region, "stream": outputs["StreamName"]}
    yield "firehose", {"destination": "firehose", "region": region,
                       "stream": outputs["FirehoseName"]}
    yield "s3", {"destination": "s3", "region": region, "prefix": "raw/${device}/",
                 "bucket": outputs["BucketName"].lower()}
    yield from api_routes()


def example():
    """The page's runnel.json, as text."""
    found, = re.findall(r"(?:^ {4}[^\n]*\n)+", README[README.index("\n    {\n"):], re.MULTILINE)[:1]
    return found


class Settings(unittest.TestCase):
    """`runnel check` of each."""

    @classmethod
    def setUpClass(cls):
        cls.features = subprocess.run([RUNNEL, "version"], capture_output=True, text=True,
                                      check=True, timeout=60).stdout.split()

    def check(self, settings):
        """(exit code, what it says, its complaints but those of a gateway's files, not here)."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "runnel.json"
            file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
            result = subprocess.run([RUNNEL, "check", "-c", file], capture_output=True, text=True,
                                    check=False, timeout=60)
        complaints = [line for line in result.stderr.splitlines(keepends=True)
                      if not re.search(r"warning: \S*_file: /\S+: No such file or directory;",
                                       line)]
        return result.returncode, result.stdout, "".join(complaints)

    def with_route(self, route):
        """The page's settings with another route."""
        return {**json.loads(example()), "routes": [{"name": "live", **route}]}

    def test_example(self):
        """As it stands, with the stream and the alias of the stack."""
        code, said, complaint = self.check(example())
        self.assertEqual((code, complaint), (0, ""))
        outputs = outputs_of()
        self.assertIn(f"stream {outputs['StreamName']} in {outputs['Region']}", said)
        self.assertEqual(json.loads(example())["credentials"]["default"]["role_alias"],
                         outputs["RoleAlias"])

    def test_routes(self):
        """Every way in, without a complaint; each with a key misspelt is refused by its name."""
        for what, route in routes():
            with self.subTest(what):
                if f"CONFIG_DEST_{route['destination'].upper()}" not in self.features:
                    self.skipTest("not in this program")
                code, _, complaint = self.check(self.with_route(route))
                self.assertEqual((code, complaint), (0, ""))
                key = list(route)[-1]
                wrong = {name + "s" * (name == key): one for name, one in route.items()}
                code, _, complaint = self.check(self.with_route(wrong))
                self.assertEqual(code, BAD)
                self.assertIn(key + "s", complaint)

    def test_objects(self):
        """The agent's own objects lie where the table raw looks, and where its role may write."""
        if "CONFIG_DEST_S3" not in self.features:
            self.skipTest("not in this program")
        code, said, _ = self.check(self.with_route(dict(routes())["s3"]))
        self.assertEqual(code, 0)
        keys = re.search(r"keys (\S+)", said)[1]
        resources = cfn.resolve(TEMPLATE)["Resources"]
        table = resources["RawTable"]["Properties"]["TableInput"]["Parameters"]
        place = table["storage.location.template"].removeprefix("s3://Bucket/")
        for name, value in (("thing", "gw-17"), ("dt", "..."), ("hour", "...")):
            place = place.replace("${" + name + "}", value)
        self.assertTrue(keys.startswith(place), (keys, place))
        written = [statement["Resource"] for statement in resources["GatewayRole"]["Properties"][
            "Policies"][0]["PolicyDocument"]["Statement"] if statement["Action"] == "s3:PutObject"]
        self.assertEqual(written, ["arn:aws:s3:::Bucket/raw/${credentials-iot:ThingName}/*"])

    def test_table(self):
        """The table names the keys that the routes have, and no other."""
        table = README[README.index("| destination | settings |"):README.index("`runnel check`")]
        named = set(re.findall(r"`(\w+)`: ", table))
        self.assertEqual({name for _, route in routes() for name in route}
                         - {"destination", "region"}, named)


if __name__ == "__main__":
    RUNNEL = sys.argv.pop()
    unittest.main()
