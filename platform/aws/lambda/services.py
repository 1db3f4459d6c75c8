# SPDX-License-Identifier: Apache-2.0
"""
What the functions need of AWS: clients, made when first used, and one way to try again.

A test hands in clients of its own, a clock and a sleep: Services(s3=..., sleep=...).
"""
import random
import time

from botocore.exceptions import BotoCoreError, ClientError

CLIENTS = ("athena", "cloudwatch", "dynamodb", "firehose", "kinesis", "s3", "secretsmanager",
           "sqs", "ssm")
ATTEMPTS = 6
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 3.0

THROTTLED = {"LimitExceededException", "ProvisionedThroughputExceededException",
             "ProvisionedThroughputExceeded", "RequestLimitExceeded", "RequestThrottled",
             "SlowDown", "ThrottlingError", "ThrottlingException", "Throttling",
             "KMSThrottlingException", "TooManyRequestsException"}
TRANSIENT = {"InternalError", "InternalFailure", "InternalServerError", "RequestTimeout",
             "ServiceUnavailable", "ServiceUnavailableException", "TransactionConflict",
             "TransactionConflictException", "TransactionInProgressException", "Transport"}


class Services:
    """The clients by their names in CLIENTS."""

    def __init__(self, sleep=time.sleep, now=time.time, **clients):
        self.sleep = sleep
        self.now = now
        for name, client in clients.items():
            setattr(self, name, client)

    def __getattr__(self, name):
        if name not in CLIENTS:
            raise AttributeError(name)
        # Only here: a process that is given its clients runs without boto3.
        import boto3
        from botocore.config import Config
        client = boto3.client(name, config=Config(connect_timeout=5, read_timeout=20,
                                                  retries={"total_max_attempts": 2}))
        setattr(self, name, client)
        return client

    def retry(self, call, is_passing=None):
        """
        Returns what CALL does; throttled or failing transiently, it is called again after a
        random, growing wait, ATTEMPTS times in all. What remains is raised as it came.
        """
        is_passing = is_passing or (lambda error: code_of(error) in THROTTLED | TRANSIENT)
        for attempt in range(ATTEMPTS):
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                if attempt == ATTEMPTS - 1 or not is_passing(error):
                    raise
            self.wait(attempt)
        raise AssertionError("the last attempt returns or raises")

    def wait(self, attempt):
        self.sleep(random.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** attempt)))


def code_of(error):
    """AWS's code of an error; Transport where no answer came."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "")
    return "Transport"
