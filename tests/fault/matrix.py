#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The fault matrix: network, TLS, HTTP and AWS, clock, each row against the real program.

In every case nothing is lost, duplicates lie within batches whose reply the agent did not get,
the agent stays up, status says what is wrong while it is, and no secret is said. tests/README.md
has the rows and what they mean.
"""
import concurrent.futures
import pathlib
import re
import shutil
import time
import traceback

# pylint: disable=wrong-import-position,unused-import
import matrix_world
import harness
import matrix_clock
import matrix_firehose
import matrix_http
import matrix_net
import matrix_tls
import own_mounts
from matrix_world import CASES

JOBS = 4


def chosen(options):
    cases = [case for case in CASES if case.full == options.full]
    if options.group:
        cases = [case for case in cases if case.group == options.group]
    if options.case:
        cases = [case for case in CASES
                 if any(case.title == wanted or case.row == wanted for wanted in options.case)]
    return cases


def attempt(run, case):
    """(word, why) of one case."""
    # Short, for a socket lies in it.
    name = re.sub(r"[^a-z0-9]+", "-", case.title.lower())[:20]
    folder = run.folder / f"{CASES.index(case)}-{name}"
    folder.mkdir()
    one = harness.Run(run.build, folder)
    one.agent_program = run.agent_program
    one.volatile = run.volatile
    try:
        case.function(one)
        shutil.rmtree(folder, ignore_errors=True)  # logs are shown of what failed
        return "ok", ""
    except harness.Skip as reason:
        return "skip", str(reason)
    except harness.Failure as failure:
        return "FAIL", str(failure)
    except Exception:  # pylint: disable=broad-exception-caught
        return "FAIL", traceback.format_exc()


def run_case(run, case, results):
    started = time.monotonic()
    word, why = attempt(run, case)
    results[case.title] = word, why
    print(f"{word:<5} {case.title:<52} {time.monotonic() - started:6.1f} s"
          f"{'  ' + why if why else ''}", flush=True)


def scenario(options):
    def play(run):
        run.agent_program = pathlib.Path(options.agent) if options.agent else run.program("runnel")
        results = {}
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            done = [pool.submit(run_case, run, case, results) for case in chosen(options)]
            for one in done:
                one.result()
        judge(options, results)
    return play


def judge(options, results):
    failures = {title: why for title, (word, why) in results.items() if word == "FAIL"}
    if options.must_find:
        found = [why for why in failures.values() if re.search(options.must_find, why)]
        harness.check(found, f"the planted bug was not found: {results}")
        return
    harness.check(not failures, f"{len(failures)} of {len(results)}: {', '.join(failures)}")
    skipped = {why for word, why in results.values() if word == "skip"}
    if results and all(word == "skip" for word, _ in results.values()):
        raise harness.Skip("; ".join(sorted(skipped)))


def main():
    options = harness.arguments(
        __doc__,
        (["--group"], {"help": "only these: net, tls, http, firehose, clock"}),
        (["--case"], {"action": "append", "help": "a row, or a row and its name; again for more"}),
        (["--full"], {"action": "store_true", "help": "the long ones"}),
        (["--list"], {"action": "store_true", "help": "what there is"}),
        (["--jobs"], {"type": int, "default": JOBS, "help": "cases at a time"}),
        (["--patience"], {"type": int, "default": matrix_world.PATIENCE_S,
                          "help": "seconds until a record counts as lost"}),
        (["--agent"], {"help": "the program under test, instead of runnel"}),
        (["--must-find"], {"help": "pass only if a case fails with words that match this"}))
    if options.list:
        for case in CASES:
            print(f"{case.group:<6} {case.title}{' (full)' if case.full else ''}")
        return
    own_mounts.enter()  # without them the cases that need a network skip
    matrix_world.PATIENCE_S = options.patience
    harness.main(options, scenario(options))


if __name__ == "__main__":
    main()
