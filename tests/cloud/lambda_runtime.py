#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs a Lambda function's own code: one event per line of standard input, one answer per line of
standard output, {"value": ...} or {"errorType", "errorMessage"}.

usage: lambda_runtime.py FOLDER MODULE.HANDLER

boto3's clients go to the endpoints that AWS_ENDPOINT_URL_<SERVICE> names, as those of newer
versions do by themselves; to a service without one, none can be made.
"""
import importlib
import json
import os
import sys
import traceback
import uuid

import boto3
import botocore.config


class Context:
    """What a function may ask of its context."""

    def __init__(self, name):
        self.function_name = name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = "256"
        self.aws_request_id = str(uuid.uuid4())
        self.invoked_function_arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{name}"

    def get_remaining_time_in_millis(self):
        return 60000


def local_clients():
    """Makes boto3 know where the local services are."""
    session = boto3.session.Session(
        region_name=os.environ.get("AWS_REGION", "eu-west-1"),
        aws_access_key_id="S3RVER", aws_secret_access_key="S3RVER")  # which s3rver insists on

    def maker(make):
        def client(service, **options):
            endpoint = os.environ["AWS_ENDPOINT_URL_" + service.upper()]
            ours = botocore.config.Config(proxies={}, s3={"addressing_style": "path"})
            options["config"] = options.get("config", ours).merge(ours)
            options.setdefault("region_name", session.region_name)
            return make(service, **{**options, "endpoint_url": endpoint})
        return client

    boto3.client = maker(session.client)
    boto3.resource = maker(session.resource)


def load(folder, name):
    """The handler NAME (module.function) of the code in FOLDER."""
    sys.path.insert(0, folder)
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module), function)


def invoke(handler, event, name):
    """What HANDLER makes of EVENT, as Lambda would say it."""
    try:
        return {"value": handler(event, Context(name))}
    except Exception as error:  # whatever a function raises is its answer
        traceback.print_exc()
        return {"errorType": type(error).__name__, "errorMessage": str(error)}


def main():
    # What the code prints goes to the log.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    local_clients()
    handler = load(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        print(json.dumps(invoke(handler, json.loads(line), sys.argv[2])), file=answers, flush=True)


if __name__ == "__main__":
    main()
