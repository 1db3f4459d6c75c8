#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/enroll with a fleet, against the registry behind HTTP, which throttles, fails, loses
replies and kills the program at random, until a run ends by itself: each device has exactly one
active certificate, and nothing else is left. Controls do it in ways that must be found out.

usage: test_enroll_fleet.py [DEVICES [SEED]]
"""
import asyncio
import contextlib
import os
import pathlib
import random
import signal
import sys
import tempfile
from unittest import mock

import enrolling_case
import iot
import iot_front
from enrolling_case import enroll

CONTROL_DEVICES = 30
# So many in a thousand that no control is lucky.
CONTROL_FATES = {"lose": 150, "fail": 150}
JOBS = 4
CALLS_A_DEVICE = 8
LEAST_DEATHS = 12
DEVICES_A_DEATH = 25


def die_on_disk(chance):
    """In a child: may be killed before or behind any fsync and rename from now on."""
    left = chance.randrange(200)

    def spoiled(work):
        def call(*arguments):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            work(*arguments)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return call
    os.fsync, os.replace = spoiled(os.fsync), spoiled(os.replace)


class Story:
    """COUNT devices and their registry, from the first run to the one that ends by itself."""

    def __init__(self, folder, count, seed, patch):
        self.fleet = enrolling_case.Fleet(folder, count)
        self.account = iot.Account(detach_lag=1)
        self.front = iot_front.Front(self.account, seed,
                                     CONTROL_FATES if patch in CONTROLS else None)
        self.chance = random.Random(seed)
        self.patch = patch or contextlib.nullcontext
        # After a death, what is left over is searched for, which hides that control's fault.
        self.most_deaths = 0 if patch in (asked_again, as_program) else max(
            LEAST_DEATHS, count // DEVICES_A_DEATH)
        self.deaths = self.runs = 0
        self.log = folder / "log"

    def life(self):
        """Plans the next run's death: the first ones die at a request, or on the disk."""
        self.runs += 1
        self.front.death = None
        if self.runs <= self.most_deaths:
            most = max(4, 2 * CALLS_A_DEVICE * len(self.fleet.keys) // self.most_deaths)
            self.front.death = (self.chance.randint(1, most), self.chance.choice(iot_front.DEATHS))

    def work(self, url):
        """What the child does."""
        if self.runs <= self.most_deaths and self.runs % 3 == 0:
            die_on_disk(random.Random(self.runs))
        words = ["--policy", iot.POLICY, "--endpoint-url", url, "--jobs", str(JOBS),
                 "add", str(self.fleet.folder), "--settle", "0"]
        if self.patch is as_program:
            os.execv(enrolling_case.FOLDER / "enroll", ["enroll", *words])
        with self.patch():
            return enroll.main(words)

    def tell(self):
        """Lives it. Returns the exit code of its end."""
        def begun(url):
            # Loaded once; a child's own connections come with its first request.
            enroll.registry.client_of("iot", url, JOBS)
        code, deaths = asyncio.run(
            iot_front.live(self.front, self.work, self.log, self.life, begun))
        self.deaths += deaths
        return code

    def faults(self):
        """What is not as it must be."""
        return self.fleet.faults(self.account)


def told(count, seed, patch=None):
    """A Story of COUNT devices, told, and its last run's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        story = Story(pathlib.Path(folder), count, seed, patch)
        code = story.tell()
        faults = story.faults()
        if code == 0 and not faults:
            before = len(story.account.writes())
            story.front.fates, story.runs = {}, story.most_deaths
            code = story.tell()
            if story.account.writes()[before:]:
                faults.append("a run with nothing to do changed something")
        log = story.log.read_text()[-800:]
        return story, code, faults, log


def active_at_once():
    """Made active before anything is attached."""
    def create(self, text):
        answer = self.call("create_certificate_from_csr", is_repeatable=False,
                           certificateSigningRequest=text, setAsActive=True)
        return self.certificate(answer["certificateId"])
    return mock.patch.object(enroll.registry.Registry, "create_certificate", create)


def asked_again():
    """A request without an answer is sent again, as boto3 does it by itself."""
    call = enroll.registry.Registry.call

    def repeated(self, name, is_repeatable=True, **arguments):
        return call(self, name, **arguments)
    return mock.patch.object(enroll.registry.Registry, "call", repeated)


def without_search():
    """What ended runs left is not looked for."""
    return mock.patch.object(enroll.steps.Enrolment, "search", lambda *_: None)


CONTROLS = (active_at_once, asked_again, without_search)


def as_program():
    """Not from this process, but as it is started by hand."""


def main(count=100, seed=1):
    """Returns the exit code."""
    os.environ.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secret",
                      AWS_REGION=iot.REGION)
    story, code, faults, log = told(count, seed)
    spoiled = sum(story.front.happened.get(name, 0) for name in iot_front.FATES)
    print(f"{count} devices, seed {seed}: {story.deaths} killed, {spoiled} of "
          f"{sum(story.front.happened.values())} requests spoiled, "
          f"{len(story.account.certificates)} certificates: {story.front.happened}")
    for fault in faults[:20]:
        print(f"  {fault}")
    if code != 0 or faults or story.deaths < story.most_deaths // 3 \
            or len(story.account.certificates) != count:
        print(f"exit code {code}\n{log}")
        return 1
    for control in CONTROLS:
        found = told(CONTROL_DEVICES, seed, control)[2]
        print(f"control {control.__name__}: {len(found)} faults, as {found[:1]}")
        if not found:
            return 1
    story, code, faults, log = told(3, seed, as_program)
    if code != 0 or faults or not story.account.certificates:
        print(f"as a program: exit code {code}, {faults}\n{log}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
