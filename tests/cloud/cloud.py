# SPDX-License-Identifier: Apache-2.0
"""
The far side on this machine: what platform/aws/template.yaml describes for some parameters, running
on loopback (cloud.mjs and what it imports), with the functions' own code.
"""
import base64
import gzip
import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/tools")]

# pylint: disable=wrong-import-position
import cfn
import harness
from consumer import Mapping
from harness import check
import npm

import botocore.config
import botocore.session

TEMPLATE = ROOT / "platform/aws/template.yaml"
CODE = ROOT / "platform/aws/lambda"


def resolve(**parameters):
    """The template for PARAMETERS over its defaults."""
    return cfn.resolve(TEMPLATE, parameters)


class Cloud:
    """
    All of it; RESOLVED is what resolve() gives, and CODE the functions' folder, changed as a test
    needs them. Ends with the scenario.

    url(path), aws (Kinesis and Firehose), token_url, ca      where clients go
    api_keys, clients {id: secret}                            what a user looks up on the console
    """

    def __init__(self, run, resolved, *options, name="cloud", code=CODE):
        self.folder = run.folder / name
        self.folder.mkdir()
        self.resources = resolved["Resources"]
        certificates = self.folder / "certificates"
        subprocess.run([run.program("runnel-sink"), "--certificates-only", "--dir", certificates],
                       check=True)
        self.ca = certificates / "ca.pem"
        (self.folder / "template.json").write_text(json.dumps(resolved))
        self.process = self.start(certificates, code, options)
        line = self.process.popen.stdout.readline()
        check(line, f"the cloud did not start: {self.process.tail()}")
        self.told = json.loads(line)
        self.aws = f"https://localhost:{self.told['aws']}"
        self.token_url = f"https://localhost:{self.told['tokens']}/oauth2/token"
        self.api_keys = self.told.get("apiKeys")
        self.clients = self.told["clients"]
        self.region = self.told["region"]
        self.mappings = None
        self.read = 0  # of the records of Firehose's source

    def start(self, certificates, code, options):
        try:
            modules = npm.install_locked(HERE)
        except npm.Unable as why:
            raise harness.Skip(str(why)) from None
        command = ["node", HERE / "cloud.mjs", "--template", self.folder / "template.json",
                   "--code", code, "--certificates", certificates, "--folder", self.folder,
                   "--key", f"{harness.ACCESS_KEY}:{harness.SECRET_KEY}", *options]
        # Its standard input ends with this program, and it with that.
        return harness.Process(
            command, self.folder / "log", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin",
                 "RUNNEL_CLOUD_MODULES": str(modules)})

    def url(self, path):
        """Of the API's method PATH."""
        return f"https://localhost:{self.told['gateway']}/{self.told['stage']}{path}"

    def ask(self, path, told=None):
        """What the cloud's admin port answers to TOLD."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.told['admin']}{path}",
                                         data=b"" if told is None else json.dumps(told).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=harness.DEADLINE_S) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            raise harness.Failure(f"{path}: {error.read().decode()}") from None

    def summary(self):
        return self.ask("/summary")

    def faults(self, **plans):
        """What faults.mjs lists: KIND=N, the next N times, {"at": N}, the Nth time, {"rate": R}."""
        self.ask("/faults", plans)

    def use_role(self, role="GatewayRole"):
        """From now on the agent's key may do what ROLE, a logical id, may, and no more."""
        self.ask("/keys", {"access_key": harness.ACCESS_KEY, "secret_key": harness.SECRET_KEY,
                           "role": role})

    def client(self, service):
        """botocore's, for a service behind the API; without TLS and faults."""
        return botocore.session.Session().create_client(
            service, region_name=self.region,
            endpoint_url=f"http://127.0.0.1:{self.told['local'][service]}",
            aws_access_key_id="S3RVER", aws_secret_access_key="S3RVER",
            config=botocore.config.Config(proxies={}, s3={"addressing_style": "path"}))

    def of_type(self, kind):
        """{logical id: properties}"""
        return {name: one.get("Properties", {}) for name, one in self.resources.items()
                if one["Type"] == kind}

    def stored(self, stream="telemetry"):
        """(partition key, data) of everything in a stream, shard by shard."""
        kinesis = self.client("kinesis")
        shards = kinesis.describe_stream(StreamName=stream)["StreamDescription"]["Shards"]
        for shard in shards:
            iterator = kinesis.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"],
                ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            while True:
                reply = kinesis.get_records(ShardIterator=iterator)
                if not reply["Records"]:
                    break
                for one in reply["Records"]:
                    yield one["PartitionKey"], one["Data"]
                iterator = reply["NextShardIterator"]

    def flush(self):
        """Lets Firehose deliver what it has, and what is in a stream that is its source."""
        for one in self.of_type("AWS::KinesisFirehose::DeliveryStream").values():
            source = one.get("KinesisStreamSourceConfiguration")
            if source is not None:
                data = list(self.stored(source["KinesisStreamARN"].split("/")[-1]))[self.read:]
                self.read += len(data)
                self.ask("/source", {"name": one["DeliveryStreamName"], "records":
                                     [base64.b64encode(text).decode() for _, text in data]})
        self.ask("/flush")

    def map_streams(self):
        """The template's event source mappings, from streams to functions."""
        return [Mapping(self.client("kinesis"), settings["EventSourceArn"], settings,
                        lambda event, name=settings["FunctionName"]: self.ask(
                            "/invoke", {"function": name, "event": event}),
                        self.give_up(settings))
                for settings in self.of_type("AWS::Lambda::EventSourceMapping").values()]

    def give_up(self, settings):
        """Lambda tells the queue where what it gave up lies in the stream."""
        queue = settings["DestinationConfig"]["OnFailure"]["Destination"].split(":")[-1]
        client = self.client("sqs")

        def tell(shard, records):
            numbers = [record["SequenceNumber"] for record in records]
            client.send_message(QueueUrl=f"{client.meta.endpoint_url}/queue/{queue}",
                                MessageBody=json.dumps({"KinesisBatchInfo": {
                                    "shardId": shard, "streamArn": settings["EventSourceArn"],
                                    "startSequenceNumber": numbers[0], "batchSize": len(numbers),
                                    "endSequenceNumber": numbers[-1]}}))
        return tell

    def consume(self):
        """Lets the consumer's function have all that the stream holds; counts records."""
        if self.mappings is None:
            self.mappings = self.map_streams()
            check(self.mappings, "the template maps no stream to a function")
        return sum(mapping.poll() for mapping in self.mappings)

    def objects(self, bucket=None):
        """(key, bytes) of every object of BUCKET, or of all buckets."""
        s3 = self.client("s3")
        names = [bucket] if bucket else [one["Name"] for one in s3.list_buckets()["Buckets"]]
        for name in names:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
                for one in page.get("Contents", ()):
                    yield one["Key"], s3.get_object(Bucket=name, Key=one["Key"])["Body"].read()

    def records(self, prefix=""):
        """Every JSON line of the objects below PREFIX, as a document."""
        for key, data in self.objects():
            if key.startswith(prefix):
                text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
                yield from map(json.loads, text.splitlines())

    def stop(self):
        self.process.popen.stdin.close()
        check(self.process.wait() == 0, f"the cloud ended badly: {self.process.tail()}")


def run_cases(description, cases):
    """A program that runs all CASES, {name: function of a run}, or those that it is told."""
    options = harness.arguments(
        description, (("cases",), {"nargs": "*", "default": list(cases), "metavar": "CASE",
                                   "type": harness.one_of(cases)}))

    def scenario(run):
        for case in options.cases:
            cases[case](run)
            print(f"{case}: ok", flush=True)

    harness.main(options, scenario)
