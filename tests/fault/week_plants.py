# SPDX-License-Identifier: Apache-2.0
"""
Bugs that the controls of week.py make from outside, one for each invariant; the sixth is a program
that logs its keys (plant_secret.c).
"""
import base64
import json
import re

import rogue

PLANTS = {}
UNSIGNED = ("altered",)   # those for which a signature would be in the way


def plant(function):
    PLANTS[function.__name__] = function
    return function


def once(world, act):
    """ACT meets one request of the first route."""
    world.rogues["live"].once.append(act)


@plant
def lost(world):
    """I1: a reply says that records were stored, which were not."""
    def act(talk):
        talk.tell(rogue.aws(talk.form.spell(rogue.success(len(talk.records)))))
    once(world, act)


@plant
def altered(world):
    """I2: a digit becomes another one on the way."""
    def act(talk):
        request = json.loads(talk.body)
        entry = request["Records"][0]
        text = base64.b64decode(entry["Data"])
        text = re.sub(rb'("(?:sum|value)": ?)-?(\d)', rb"\g<1>7\2", text, count=1)
        entry["Data"] = base64.b64encode(text).decode()
        talk.body = json.dumps(request).encode()
        talk.head = re.sub(rb"(?i)(content-length: *)\d+", rb"\g<1>%d" % len(talk.body), talk.head)
        talk.tell(talk.forward())
    once(world, act)


@plant
def again(world):
    """I3: a batch comes once more, although the agent knew that it was stored."""
    def act(talk):
        talk.forward()
        talk.tell(talk.forward())
    once(world, act)


@plant
def ended(world):
    """I4: the agent ends, and nobody asked it to."""
    real = world.measure

    def measure():
        real()
        world.agent.process.kill()
    world.measure = measure


@plant
def unsaid(world):
    """I5: warnings are swallowed."""
    real = world.log_since
    world.log_since = lambda offset: re.sub(r"^.* warning .*\n", "", real(offset), flags=re.M)
