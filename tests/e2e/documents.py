#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The configurations in the documentation are taken by `runnel check`, each is refused with a key that
nobody knows, and drivers/README.md names every driver and every key that the drivers take.
"""
import json
import pathlib
import re

import harness
from harness import check

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The page, and how many configurations it has at the least: a page of which none is found is none.
PAGES = {"README.md": 2, "agent/uplink/README.md": 4, "agent/OPERATIONS.md": 1,
         "drivers/README.md": 9,
         "agent/transform/README.md": 2, "agent/intake/COAP.md": 3, "platform/image/README.md": 1,
         "platform/man/runnel.json.5": 2}
ROUTES = [{"name": "live", "destination": "kinesis", "region": "us-east-1", "stream": "telemetry"}]
KEYS = {"sensors", "routes", "credentials", "link", "spool", "config", "coap"}
BAD = 78


def blocks(text):
    """What is indented or fenced as JSON, or stands unfilled in a man page."""
    yield from re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    yield from re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
    yield from re.findall(r"^\.nf\n(.*?)^\.fi", text, re.MULTILINE | re.DOTALL)


def documents(text):
    """Each JSON object that begins a block, and those behind it."""
    for block in blocks(text):
        block = block.strip()
        if block.startswith('"transforms"'):
            block = f'{{ "name": "a", "driver": "sim", {block} }}'
        while block.startswith("{"):
            try:
                document, end = json.JSONDecoder().raw_decode(block)
            except ValueError as error:
                # `{ "name": ... }` with an ellipsis, or an array's end, is no configuration.
                check('"driver"' not in block or "..." in block, f"{error}: {block}")
                break
            yield document
            block = block[end:].lstrip(" \n,")


def configurations(text):
    for document in documents(text):
        if "driver" in document:
            yield {"device": "gw", "sensors": [document], "routes": ROUTES}
        elif KEYS & set(document) and "seq" not in document:  # no record
            yield {"device": "gw", "sensors": [], "routes": ROUTES, **document}


def call_check(agent, configuration):
    agent.config_file.write_text(json.dumps(configuration))
    return agent.call("check", "-c", agent.config_file)


def check_page(agent, page, least):
    found = list(configurations((ROOT / page).read_text("utf-8")))
    check(len(found) >= least, f"{page}: {len(found)} configurations, and {least} are known")
    for one in found:
        result = call_check(agent, one)
        check(result.returncode == 0, f"{page}: {json.dumps(one)}\n{result.stderr}")
        # A file that it names may come later; what else is warned of is wrong in a page.
        warned = [line for line in result.stderr.splitlines()
                  if "warning: sensors" in line and "until that can be read" not in line]
        check(not warned, f"{page}: {warned}")
        for part in one["sensors"] or [one]:
            part["colour"] = "blue"
            result = call_check(agent, one)
            check(result.returncode == BAD and "colour" in result.stderr,
                  f"{page}: a wrong key passes in {json.dumps(one)}")
            del part["colour"]


def check_drivers(agent):
    text = (ROOT / "drivers/README.md").read_text("utf-8")
    for name in json.loads(agent.call("sensors", "--json").stdout)["drivers"]:
        check(f"\n| `{name}` | " in text, f"drivers/README.md does not have {name}")
        keys = json.loads(agent.call("sensors", "--driver", name, "--json").stdout)["keys"]
        for key in keys:
            word = key.rpartition(".")[2].removesuffix("[]")
            check(f"`{word}" in text or f'"{word}"' in text,
                  f"drivers/README.md does not say what {key} of {name} is")


def scenario(run):
    agent = harness.Agent(run, "https://localhost:1")
    for page, least in PAGES.items():
        check_page(agent, page, least)
    check_drivers(agent)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
