#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The pages that somebody reads first do not drift from the program: every command in them is known
(pages.py says who runs it, or why nobody can), links lead somewhere, flags exist, messages are ones
that the program can say, manuals render. What works beside a running agent is run here, verbatim;
what is for the AWS command line is held against botocore's models.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import harness
import pages
import sources
from harness import ROOT, check, wait_until

sys.path.insert(0, str(ROOT / "tests/aws"))
try:
    import commands as aws_commands  # of tests/aws, with botocore  pylint: disable=C0413
except ModuleNotFoundError:
    aws_commands = None
sys.path.insert(0, str(ROOT / "tests/fault"))
from credentials import Giver  # noqa: E402  pylint: disable=wrong-import-position

TROUBLE = "agent/TROUBLESHOOTING.md"
RECORD = '{"device":"gw-17","sensor":"machine","seq":1}'
# Notes its arguments, each ended by \1 and each call by \2, and answers as a stream would.
AWS_STAND_IN = r"""#!/bin/sh
printf '%s\1' "$@" >>"$CALLS"
printf '\2' >>"$CALLS"
case "$*" in
*list-shards*) echo shardId-000000000000 shardId-000000000001 ;;
*get-shard-iterator*) echo AAAA ;;
*get-records*) for _ in 1 2; do printf '%s' "$RECORD" | base64 -w 0; echo; done ;;
esac
"""


# ---- what the pages say


def slug(heading):
    """As GitHub names it."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).strip().lower()).replace(" ", "-")


def prose(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def dead_links(page, text):
    """Those to a file, or to a heading of one, that is not there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        path, _, place = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if re.match(r"https?:|mailto:", link):
            continue
        if not target.exists():
            yield f"{page}: {link} is not there"
        elif place and place not in map(slug, re.findall(r"^#+ (.*)$",
                                                         prose(target.read_text("utf-8")), re.M)):
            yield f"{page}: {link} names no heading"


def all_pages():
    """Of the whole repository, but for what is built."""
    found = [str(path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.md"))]
    return [page for page in found if not page.startswith(("build/", ".git/"))]


def quoted_messages(text):
    """What the first column of the tables has between backticks, but for commands and JSON."""
    for cell in re.findall(r"^\| (.*?) \| .* \| .* \|$", text, re.MULTILINE):
        for code in re.findall(r"`([^`]+)`", cell):
            if not re.match(r"runnel |systemctl ", code):
                yield code


def false_messages(text, texts):
    for message in quoted_messages(text):
        said = [message]
        if message.startswith(("{", '"')):  # of a document: its words
            said = re.findall(r'"([\w-]+)"', message)
        for one in said:
            left = sources.unsaid(texts, one)
            if left:
                yield f"no source says {left!r} of {message!r}"


def false_flags(page, text, helps):
    """`runnel COMMAND --flag` anywhere: HELPS is {command: its help}."""
    for code in re.findall(r"`runnel ([^`]+)`", prose(text)):
        words = code.split()
        if words[0] not in helps:
            yield f"{page}: there is no runnel {words[0]}"
            continue
        for word in words[1:]:
            if re.match(r"-", word) and word.split("=")[0] not in helps[words[0]]:
                yield f"{page}: runnel {words[0]} has no {word}"


def false_keys(page, text, keys):
    """`"object": { "key"` between backticks: KEYS are all that the configuration may have."""
    for code in re.findall(r"`([^`]+)`", prose(text)):
        for outer, inner in re.findall(r'"(\w+)": \{ ?"(\w+)"', code):
            if not any(re.search(rf"(^|\.){outer}\.{inner}$", key) for key in keys):
                yield f"{page}: {code} names no key {outer}.{inner}"


def manual_faults(text):
    """What groff has to say of a manual."""
    return subprocess.run(["groff", "-ww", "-K", "utf8", "-mandoc", "-Tutf8", "-z"], text=True,
                          input=text, capture_output=True, check=False).stderr


def check_manuals():
    if shutil.which("groff") is None:
        print("the manuals are not looked at: groff is not there")
        return
    for manual in sorted((ROOT / "platform/man").iterdir()):
        faults = manual_faults(manual.read_text("utf-8"))
        check(not faults, f"{manual.name}: {faults}")
    check("NOSUCH" in manual_faults(".TH A 1\n.NOSUCH\n"), "an unknown macro passes")


def check_none(faults):
    faults = list(faults)
    check(not faults, "\n".join(map(str, faults)))


def helps_of(agent):
    names = re.findall(r"^  (\w+) ", agent.call("--help").stdout, re.MULTILINE)
    check(len(names) > 12, f"commands: {names}")
    return {name: agent.call(name, "--help").stdout for name in names}


def keys_of(agent):
    """Those that are in effect, and one that is only where somebody wants it."""
    file = agent.folder / "keys.json"
    file.write_text(json.dumps({**agent.config, "config": {
        "source": "s3://fleet/gw.json", "region": "eu-west-1"}}))
    shown = agent.call("config", "show", "--json", "-c", file)
    check(shown.returncode == 0, shown.stderr)
    return [value["key"] for value in json.loads(shown.stdout)["values"]]


def check_pages(agent):
    every = pages.read_pages()
    texts = sources.all_texts(ROOT)
    helps, keys = helps_of(agent), keys_of(agent)
    check_none(pages.unknown(every))
    first_lines = {command.splitlines()[0] for text in every.values()
                   for command in pages.commands(text)}
    check(set(pages.KNOWN) <= first_lines, f"in no page: {set(pages.KNOWN) - first_lines}")
    for page in all_pages():
        check_none(dead_links(page, (ROOT / page).read_text("utf-8")))
    for page, text in every.items():
        check_none(false_flags(page, text, helps))
        check_none(false_keys(page, text, keys))
    messages = list(quoted_messages(every[TROUBLE]))
    check(len(messages) > 80, f"{len(messages)} messages in {TROUBLE}")
    check_none(false_messages(every[TROUBLE], texts))
    check_controls(texts, helps, keys)
    return len(first_lines), len(messages)


def check_controls(texts, helps, keys):
    """What is planted is found."""
    row = "| `{}` | why | what |\n"
    for planted in ("route ... has forwarded nothing for ...: ...", "sensor-failing sensor=...",
                    '{"gap":{"reason":"drop-whatever"}}'):
        check(list(false_messages(row.format(planted), texts)), f"a source says {planted}")
    for planted in ("`runnel status --loud`", "`runnel sing`"):
        check(list(false_flags("page", planted, helps)), planted)
    check(list(false_keys("page", '`"batch": { "age": "1m" }`', keys)), "a wrong key passes")
    for planted in ("[a](nowhere.md)", "[a](README.md#nowhere)"):
        check(list(dead_links("README.md", planted)), planted)
    check(pages.unknown({"page": "text\n\n    runnel status | cat\n"}), "a new command passes")


# ---- what they have somebody type


def type_command(agent, command, **options):
    """In a shell, as it stands."""
    return subprocess.run(["/bin/bash", "-ec", command], cwd=agent.folder, capture_output=True,
                          text=True, check=False, timeout=120, stdin=subprocess.DEVNULL, **options)


def environment_of(agent):
    programs = agent.folder / "bin"
    programs.mkdir()
    (programs / "runnel").symlink_to(agent.run.program("runnel"))
    (programs / "aws").write_text(AWS_STAND_IN)
    (programs / "aws").chmod(0o755)
    return {**agent.environment, "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(agent.folder), "RUNNEL_CONFIG": str(agent.config_file)}


def watch_top(agent, environment):
    """It ends when somebody ends it."""
    output = agent.folder / "top"
    with output.open("wb") as file:
        top = harness.Process(["runnel", "top"], agent.folder / "top.log", stdout=file,
                              env=environment)
        wait_until("a snapshot of runnel top", lambda: b"live" in output.read_bytes())
        top.send_signal(signal.SIGINT)
        check(top.wait() == 0, f"runnel top: {top.tail()}")


def type_all(agent, environment):
    typed = pages.commands_of(pages.AGENT)
    for command in typed:
        if command == "runnel top":
            watch_top(agent, environment)
            continue
        result = type_command(agent, command, env=environment)
        check(result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout[-2000:]}"
                                      f"{result.stderr[-2000:]}")
        # What is applied takes the agent down and up for a moment.
        wait_until("the agent to answer", agent.status)
    return typed


def sign(authority, folder, request):
    """What the page leaves to AWS, or to an authority of one's own."""
    (folder / "device.csr").write_text(request)
    subprocess.run(["openssl", "x509", "-req", "-in", "device.csr", "-CA", authority / "ca.pem",
                    "-CAkey", authority / "ca.key", "-days", "30", "-out", "device.pem"],
                   cwd=folder, check=True, capture_output=True)


def type_identity(run, sink):
    """From no key to a certificate in use."""
    authority = harness.make_certificates(run.folder / "ca")
    giver = Giver(sink, authority)
    state = run.folder / "device/state"
    agent = harness.Agent(run, sink.endpoint, sink.ca, "device", credentials={"default": {
        "provider": "iot", "endpoint": f"https://localhost:{giver.port}", "role_alias": "runnel",
        "thing": "gw-17", "ca_file": str(authority / "ca.pem"),
        "cert_file": str(state / "device.pem"), "key_file": str(state / "device.key")}})
    environment = environment_of(agent)
    typed = pages.commands_of(pages.IDENTITY)
    for command in typed:
        result = type_command(agent, command, env=environment)
        check(result.returncode == 0, f"{command}: {result.stdout}{result.stderr}")
        if command == "runnel identity csr":
            sign(authority, agent.folder, result.stdout)
    check(giver.given and "CN=gw-17" in result.stdout, f"{command}: {result.stdout}")
    return typed


def type_aws(agent, environment):
    """Every call is one that the command line takes; what was delivered comes out."""
    if aws_commands is None:
        print("the calls of aws are not looked at: botocore is not there")
        return
    calls = agent.folder / "calls"
    for command in pages.commands_of(pages.AWS):
        result = type_command(agent, command, env={**environment, "CALLS": str(calls),
                                                   "RECORD": RECORD})
        check(result.returncode == 0 and not result.stderr, f"{command}: {result.stderr}")
    check(result.stdout == (RECORD + "\n") * 4, f"{command}: {result.stdout!r}")
    made = [call.split("\1")[:-1] for call in calls.read_text().split("\2")[:-1]]
    check(len(made) == 9, f"{len(made)} calls of aws")
    check_none(fault for call in made for fault in aws_commands.faults_of(call))
    wrong = aws_commands.faults_of(["kinesis", "create-stream", "--stream", "a"])
    check(list(wrong), "a wrong one passes")


def scenario(run):
    sink = harness.Sink(run)
    sensors = [{"name": "machine", "driver": "proc", "interval": "1s"},
               {"name": "boiler", "driver": "sim", "interval": "1s"}]
    lanes = {"normal": {"age": "200ms"}}
    agent = harness.Agent(run, sink.endpoint, sink.ca, sensors=sensors, spool={"lanes": lanes})
    known, messages = check_pages(agent)
    check_manuals()
    # What is applied changes a route, so it is confirmed as soon as that has delivered.
    changed = {**agent.config,
               "routes": [{**agent.config["routes"][0], "batch": {"records": 400}}]}
    (agent.folder / "new.json").write_text(json.dumps(changed))
    agent.start()
    environment = environment_of(agent)
    typed = type_all(agent, environment) + type_identity(run, sink)
    check(agent.stop() == 0, agent.tail())
    type_aws(agent, environment)
    print(f"{known} commands in the pages, {len(typed)} typed here; {messages} messages are real")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
