#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner itself: a small project with good, bad, skipped and missing tests is counted right."""
import contextlib
import io
import pathlib
import re
import sys
import tempfile

import run_tests
import tree

PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(sample NONE)
enable_testing()
add_test(NAME good COMMAND ${CMAKE_COMMAND} -E true)
add_test(NAME bad COMMAND ${CMAKE_COMMAND} -E cat ${CMAKE_SOURCE_DIR}/no-such-file)
add_test(NAME gone COMMAND no-such-program)
add_test(NAME unable COMMAND sh -c "echo no hardware; exit 77")
add_test(NAME other COMMAND ${CMAKE_COMMAND} -E false)
set_tests_properties(unable PROPERTIES SKIP_RETURN_CODE 77)
set_tests_properties(good bad gone unable PROPERTIES LABELS mixed)
set_tests_properties(other PROPERTIES LABELS mixed-full)
add_test(NAME fine COMMAND ${CMAKE_COMMAND} -E true)
set_tests_properties(fine PROPERTIES LABELS fine)
add_test(NAME double COMMAND ${CMAKE_COMMAND} -E true)
set_tests_properties(double PROPERTIES LABELS "one;two")
"""


def run(*suites):
    """The exit code and the output of a run over the sample project."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "CMakeLists.txt").write_text(PROJECT)
        runner = run_tests.Runner(folder)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            for suite in suites:
                runner.run(suite)
            code = runner.finish()
        return code, output.getvalue()


def sample(label, **options):
    return run_tests.Suite(label, "a sample", folder="sample", **options)


def main():
    faults = []

    def expect(condition, what, output):
        if not condition:
            faults.append(f"not so: {what}\n{output}")

    code, output = run(sample("mixed"))
    expect(code == 1, "a failure makes the exit code 1", output)
    # configure, build and good; bad and gone; unable.
    expect(output.endswith("\n3 passed, 2 failed, 1 skipped\n"), "all are counted", output)
    expect("no-such-file" in output, "a failure shows its log", output)
    expect("other" not in output, "a label is not taken for its beginning", output)

    code, output = run(sample("fine", target="no-such-target"))
    expect(code == 1 and output.endswith("\n2 passed, 1 failed\n"),
           "a failed build is a failure, and the tests run nevertheless", output)

    code, output = run(sample("one"), sample("two"))
    expect(code == 0 and output.count("double") == 1, "no test runs twice", output)
    expect(re.search(r"\none +[\d.]+ +[\d.]+\ntwo +[\d.]+ +[\d.]+\n", output),
           "the time of every suite is told", output)

    code, output = run(sample("fine"))
    expect(code == 0 and output.endswith("\n3 passed, 0 failed\n"), "success", output)

    code, output = run(sample("nobody", target=None))
    expect("no test has this label" in output, "an empty label is said", output)

    code, output = run(sample("fine", options=("-G", "No such generator")))
    expect(code == 1 and output.endswith("\n0 passed, 1 failed\n"), "a failed configure", output)

    code, output = run(sample("fine"),
                       run_tests.Suite("mixed", "a sample", folder="other",
                                       before=["sh", "-c", "echo why; exit 77"]))
    expect(code == 0 and output.endswith("\n3 passed, 0 failed, 1 skipped\n") and
           re.search(r"skip +mixed/prepare .*  why\n", output),
           "what cannot be prepared here is skipped, and why is said", output)

    code, output = run()
    expect(code == 1 and output.endswith("\n0 passed, 0 failed\n"), "nothing ran", output)

    result = io.StringIO()
    try:
        with contextlib.redirect_stderr(result):
            run_tests.choose(["no-such-label"])
        faults.append("an unknown label is accepted")
    except SystemExit as stop:
        expect("no-such-label" in str(stop), "an unknown label is named", str(stop))
    tree.report("faults of the runner", faults)


if __name__ == "__main__":
    sys.exit(main())
