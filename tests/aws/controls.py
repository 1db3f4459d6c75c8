#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Plants a bug in a copy of the far side's functions and runs the test that has to find it.

usage: controls.py TEST   all bugs that test_TEST.py has to find
       controls.py --list
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FUNCTIONS = HERE.parents[1] / "platform/aws"
TIMEOUT_S = 120

# What the bug is: file, what to replace and by what, the test.
BUGS = {
    "kpl": {
        "the digest is not looked at": (
            "lambda/kpl.py", ".digest() != data[-DIGEST_BYTES:]", ".digest() == b''", "Vectors"),
        "a length may lie": (
            "lambda/kpl.py", "    if length > len(message) - at:\n        raise Damaged\n",
            "", "Messages.test_bounds"),
        "an index may lie": (
            "lambda/kpl.py", "    if index >= len(table):\n        raise Damaged\n", "",
            "Messages.test_indexes"),
        "fields that nobody knows are damage": (
            "lambda/kpl.py", "        if number in tables:\n", "        if number not in tables:\n"
            "            raise Damaged\n        else:\n", "Messages"),
    },
    "payload": {
        "a cut gzip is what it has": (
            "lambda/payload.py", 'raise Fault("a gzip that is cut off")', "return bytes(found)",
            "Faults"),
        "a gzip may unpack to anything": (
            "lambda/payload.py", "if len(found) > limit_bytes:", "if False:", "Faults"),
        "NaN is a number": (
            "lambda/payload.py", ", parse_constant=_refuse", "", "Faults"),
        "a number is written anew": (
            "lambda/exact.py", "class Number(str):", "class Number(float):\n    __str__ = "
            "float.__repr__\n\n\nclass Unused(str):", "Exact"),
        "true is the number 1": (
            "lambda/identity.py", "type(seq) is int", "isinstance(seq, int)", "Identities"),
        "names run together": (
            "lambda/identity.py", 'json.dumps([device, spool, seq // PAGE_NUMBERS], '
            'separators=(",", ":"))', 'f"{device},{spool},{seq // PAGE_NUMBERS}"', "Identities"),
    },
    "consumer": {
        "duplicates are not dropped": (
            "lambda/delivery.py", "elif not pages.has(entry.page, entry.seq):", "else:",
            "Duplicates.test_within_a_call"),
        "what is older than a page counts as seen": (
            "lambda/identity.py", 'json.dumps([device, spool, seq // PAGE_NUMBERS]',
            'json.dumps([device, spool]', "Duplicates.test_a_backlog_far_below_the_newest"),
        "a device is not part of the identity": (
            "lambda/identity.py", "json.dumps([device, spool,", 'json.dumps(["", spool,',
            "Duplicates.test_the_same_number_of_another_device_or_spool"),
        "what is settled comes before what is written": (
            "lambda/delivery.py", "        mine += objects\n",
            "        mine += objects\n"
            "        self.store.commit(owner, chunk[-1].position, pages)\n",
            "Deaths.test_killed_at_each_step"),
        "nothing is announced": (
            "lambda/delivery.py", "if objects or stale:", "if False:",
            "Deaths.test_killed_at_each_step"),
        "objects keep their key": (
            "lambda/delivery.py", "owner.version + 1)", "1)", "AtTheSameMoment"),
        "leftovers are not removed": (
            "lambda/delivery.py", "        self._remove(stale)\n        self.store.commit",
            "        self.store.commit", "Deaths.test_killed_at_each_step"),
        "leftovers of one's own are forgotten": (
            "lambda/delivery.py", "        mine += objects\n", "", "AtTheSameMoment"),
        "a removal is not announced": (
            "lambda/delivery.py", "if objects or stale:", "if objects:", "AtTheSameMoment"),
        "pages are written whoever wrote them": (
            "lambda/store.py", '        return {"Put": put}\n',
            '        if name.startswith("page"):\n            put.pop("ConditionExpression")\n'
            '            put.pop("ExpressionAttributeValues", None)\n'
            '        return {"Put": put}\n', "AtTheSameMoment"),
        "a conflict is success": (
            "lambda/store.py", "                raise Conflict from error\n",
            "                return None\n", "AtTheSameMoment"),
        "a repetition is another transaction": (
            "lambda/store.py", "ClientRequestToken=token)", "ClientRequestToken=str(uuid.uuid4()))",
            "Deaths.test_an_error_at_each_step"),
        "half of what was asked for is enough": (
            "lambda/store.py", "            if not wanted:\n", "            if True:\n",
            "Failures.test_reads_in_parts"),
        "reads may be old": (
            "lambda/store.py", '"ConsistentRead": True', '"ConsistentRead": False', "Plain"),
        "a failure is not reported": (
            "lambda/consumer.py", "if outcome.failed:", "if False:", "Failures"),
        "a failure is reported one too late": (
            "lambda/delivery.py", "outcome.failed = chunk[0].position",
            "outcome.failed = chunk[-1].position", "Failures"),
        "places are not looked at": (
            "lambda/delivery.py", "if entry.position > done:", "if True:",
            "Plain.test_documents_without_identity_are_known_by_their_place"),
        "a transaction takes anything": (
            "lambda/delivery.py", "MAX_PAGES = 90", "MAX_PAGES = 1000",
            "Failures.test_more_devices_than_a_transaction_takes"),
        "dead letters come behind the commit": (
            "lambda/delivery.py", "        for entry in dead:\n"
            "            self._bury(owner, entry)\n"
            "        self._remove(stale)\n        self.store.commit(owner, chunk[-1].position, "
            "pages)\n", "        self._remove(stale)\n        self.store.commit(owner, "
            "chunk[-1].position, pages)\n        for entry in dead:\n            "
            "self._bury(owner, entry)\n", "Failures.test_a_queue_that_fails_keeps_the_record"),
        "a letter of any size goes to the queue": (
            "lambda/delivery.py", "MAX_LETTER_BYTES = 128 << 10", "MAX_LETTER_BYTES = 128 << 20",
            "DeadLetters"),
        "the hour is that of the arrival": (
            "lambda/output.py", "    if match:\n", "    if False:\n",
            "Plain.test_hours_of_the_event"),
    },
    "transform": {
        "lines run together": (
            "lambda/transform.py", 'line + b"\\n" for line in lines', "line for line in lines",
            "Answers"),
        "a bad line is left out": (
            "lambda/transform.py", "            raise ValueError(item.fault)\n",
            "            continue\n", "Answers.test_results"),
        "a reply of any size": (
            "lambda/transform.py", "> limit_bytes:", "> limit_bytes * 100:", "Answers"),
        "lists are not redacted": (
            "lambda/transform.py", "return [self._redact(member, path) for member in value]",
            "return value", "Redaction"),
        "a path is not looked at": (
            "lambda/transform.py", "{name, place} & self.remove", "{name} & self.remove",
            "Redaction"),
        "an offset is left out": (
            "lambda/transform.py", "moment = moment.astimezone(datetime.timezone.utc)", "pass",
            "Normalisation"),
        "the last of two members wins": (
            "lambda/transform.py", "        elif name in flat:\n", "        elif False:\n",
            "Flattening"),
    },
    "authorizer": {
        "the digest is a token": (
            "lambda/authorizer.py", "        self._refresh(self.cache_s)\n",
            "        self._refresh(self.cache_s)\n"
            "        digest = token if DIGEST.match(token) else digest\n", "List"),
        "the search ends at the first": (
            "lambda/authorizer.py", "                found = device\n",
            "                return device\n",
            "List.test_every_entry_is_compared_in_constant_time"),
        "an expired token serves": (
            "lambda/authorizer.py", "now < expires", "True", "List"),
        "a list that fails is read again and again": (
            "lambda/authorizer.py", "now - self.tried_at < min(age_s, AGAIN_S)", "False", "List"),
        "an unknown token is let in": (
            "lambda/authorizer.py", '"Allow" if device else "Deny"', '"Allow"', "Answers"),
        "a policy for one method": (
            "lambda/authorizer.py", '"/".join(arn.split("/")[:2]) + "/*"', "arn", "Answers"),
        "an old list serves for ever": (
            "lambda/authorizer.py", "now - self.read_at > STALE_S", "False", "List"),
    },
    "proxy": {
        "throttling is success": (
            "lambda/proxy.py", "if len(failed) < len(results):", "if True:", "Results"),
        "one failure fails all": (
            "lambda/proxy.py", "if len(failed) < len(results):", "if not failed:", "Results"),
        "a short reply is believed": (
            "lambda/proxy.py", "if len(answers) != len(batch):", "if False:", "Results"),
        "Firehose's lines run together": (
            "lambda/proxy.py", 'return data if data.endswith(b"\\n") else data + b"\\n"',
            "return data", "Bodies"),
        "a body may unpack to anything": (
            "lambda/proxy.py", "payload.inflate(data, MAX_BODY_BYTES)", "payload.inflate(data)",
            "Refusals"),
        "a request of any size": (
            "lambda/proxy.py", "BATCH_RECORDS = 500", "BATCH_RECORDS = 5000", "Bodies"),
    },
    "fleet": {
        "a query that failed has answered": (
            "lambda/fleet.py", 'status["State"] == "SUCCEEDED"',
            'status["State"] not in ("QUEUED", "RUNNING")', "Count.test_queries_that_fail"),
        "a query is waited for without end": (
            "lambda/fleet.py", "while self.services.now() < until:",
            "while self.services.now() < until + 300:", "Count.test_a_query_that_does_not_end"),
        "each page has a head": (
            "lambda/fleet.py", 'names, page = None, {"NextToken": None}\n        while "NextToken" '
            "in page:\n", 'page = {"NextToken": None}\n        while "NextToken" in page:\n'
            "            names = None\n", "Count.test_many"),
        "one page is all": (
            "lambda/fleet.py", 'while "NextToken" in page:', "for _ in range(1):",
            "Count.test_many"),
        "true is a number": (
            "lambda/fleet.py", "type(value) is kind and", "isinstance(value, kind) and",
            "Count.test_what_does_not_fit"),
        "an hour is that of the clock": (
            "lambda/fleet.py", "HOURS_BACK = 2", "HOURS_BACK = 0", "Count.test_hours"),
        "the day is the month's": (
            "lambda/fleet.py", "month = {hour.month} ", "month = {hour.day} ",
            "Count.test_hours"),
        "an empty object is written": (
            "lambda/fleet.py", "        if lines:\n", "        if True:\n",
            "Count.test_nothing_yet"),
        "throttled is failed": (
            "lambda/fleet.py", "self.services.retry(lambda: self.services.cloudwatch"
            ".put_metric_data(\n            Namespace=\"runnel\", MetricData=[metric]))",
            "self.services.cloudwatch.put_metric_data(Namespace=\"runnel\", MetricData=[metric])",
            "Count.test_throttled"),
    },
    "kcl": {
        "what fails is answered": (
            "kcl/processor.py", "        raise Ended(f\"records from", "        return\n"
            "        raise Ended(f\"records from", "Deaths"),
        "throttled once is enough": (
            "kcl/processor.py", "                self.services.wait(attempt)\n"
            "        return False\n",
            "                return False\n        return False\n", "Checkpoints.test_throttled"),
        "a lost lease is checkpointed": (
            "kcl/processor.py", "                self.is_lost = True\n", "                pass\n",
            "Checkpoints"),
        "the end of a shard is not checkpointed": (
            "kcl/processor.py", "if not self.checkpointer.checkpoint(None) and", "if False and",
            "Life"),
        "what is printed is a message": (
            "kcl/processor.py", "    sys.stdout = sys.stderr\n", "", "Life"),
        "the place in an aggregate is not checkpointed": (
            "kcl/processor.py", 'last.get("subSequenceNumber") or 0)', "0)",
            "Life.test_sub_sequence_numbers"),
        "half a message is one": (
            "kcl/processor.py", '            if not line.endswith(b"\\n"):',
            "            if False:",
            "Checkpoints.test_the_input_ends_in_a_message"),
    },
}


def is_found(test, bug):
    file, old, new, case = bug
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "aws"
        shutil.copytree(FUNCTIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / file).read_text()
        if text.count(old) != 1:
            return f"{file} has {text.count(old)} times: {old}"
        (copy / file).write_text(text.replace(old, new))
        result = subprocess.run(
            [sys.executable, "-B", str(HERE / f"test_{test}.py"), "--failfast", case],
            env={**os.environ, "RUNNEL_FUNCTIONS": str(copy)}, capture_output=True, text=True,
            check=False, timeout=TIMEOUT_S)
    # A test that could not even begin has found nothing.
    if "Ran 0 tests" in result.stderr or "Ran " not in result.stderr:
        return f"the test did not run: {result.stderr[-500:]}"
    return None if result.returncode else "nobody found it"


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(BUGS))
        return 0
    faults = 0
    for what, bug in BUGS[sys.argv[1]].items():
        fault = is_found(sys.argv[1], bug)
        print(f"{'FAIL' if fault else 'found'}: {what}{': ' + fault if fault else ''}")
        faults += fault is not None
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
