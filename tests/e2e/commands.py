#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Exit codes and messages that scripts rely on: 0 done, 1 failed, 2 usage, 78 bad configuration."""
import json
import pathlib
import re
import resource
import subprocess

import harness
from harness import check

GOOD = """// The comments are allowed here.
{ "device": "gw", "sensors": [ { "name": "w", "driver": "sim", "interval": "1s" } ],
  "routes": [ { "name": "live", "destination": "kinesis", "region": "us-east-1",
                "stream": "telemetry" } ] }
"""

# What is changed in the good one, and what the message must hold besides FILE:LINE:COL.
FAULTS = (
    ('"interval": "1s"', '"intervall": "1s"', (3 - 1, "intervall", "interval")),
    ('"interval": "1s"', '"interval": "1 parsec"', (2, "interval", "")),
    ('"driver": "sim"', '"driver": "simm"', (2, "driver", "sim")),
    ('"driver": "sim"', '"driver": "sim", "amplitude": -1', (2, "amplitude", "without the sign")),
    ('"driver": "sim"', '"driver": "sim", "amplitude": 1.001', (2, "amplitude", "round it")),
    ('"driver": "sim"', '"driver": "hwmon", "inputs": "tmp1"', (2, "inputs", "temp, humidity")),
    ('"driver": "sim"', f'"driver": "lines", "path": "unix:/{"x" * 107}"',
     (2, "path", "107 bytes")),
    ('"stream": "telemetry"', '"stream": "telemetry", "stream": "b"', (4, "stream", "")),
    ('"destination": "kinesis"', '"destination": "kineses"', (3, "destination", "kinesis")),
    ('} ] }\n', '} ]\n', (0, "", "")),
)


def check_code(result, code):
    check(result.returncode == code,
          f"{' '.join(result.args[1:])} gave {result.returncode}, not {code}: "
          f"{result.stdout}{result.stderr}")


def check_faults(agent):
    path = agent.config_file
    for old, new, (line, key, remedy) in FAULTS:
        path.write_text(GOOD.replace(old, new))
        for command in (("check",), ("run",)):
            result = agent.call(*command, "-c", path)
            check_code(result, 78)
            place = re.search(re.escape(str(path)) + r":(\d+):(\d+): (.*)", result.stderr)
            check(place, f"no FILE:LINE:COL in {result.stderr!r}")
            check(line in (0, int(place.group(1))), f"line {line} in {result.stderr!r}")
            check(key in place.group(3) and remedy in result.stderr, result.stderr)


def call_with(agent, redirection, *arguments):
    """The command with its standard descriptors as a shell's REDIRECTION leaves them."""
    return subprocess.run(["/bin/sh", "-c", f'exec "$0" "$@" {redirection}',
                           *agent.command(*arguments)], env=agent.environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=harness.DEADLINE_S)


def check_output(agent):
    """What cannot be written is a failure that is named."""
    for redirection in (">/dev/full", ">&-"):
        for command in (("--help",), ("run", "--help"), ("version",), ("version", "--json"),
                        ("check", "-c", agent.config_file)):
            result = call_with(agent, redirection, *command)
            check_code(result, 1)
            check("standard output" in result.stderr, result.stderr)


def check_closed_descriptors(agent):
    """Nothing else gets the numbers 0, 1 and 2: the log would be written into it."""
    agent.start(redirection="<&- >&- 2>&-")
    held = [(pathlib.Path("/proc") / str(agent.process.pid) / "fd" / number).readlink()
            for number in "012"]
    check(held == [pathlib.Path("/")] * 3, f"0, 1 and 2 are {held}")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


# What is wrong with the arguments is said in so many words.
USAGE_FAULTS = (
    (("run", "--drain=-5s"), '--drain: "-5s" is not a duration'),
    (("status", "--healthy", "--wait", "soon"), '--wait: "soon" is not a duration'),
    (("status", "--healthy", "--wait", "9223372036854775807ms"), "is out of range"),
    (("status", "--wait", "5s"), "--wait needs --healthy"),
    (("status", "--json", "--healthy"), "exclude each other"),
    (("top", "--interval", "0s"), '--interval: "0s" is no time'),
    (("send", "plc", "--timeout", "x"), '--timeout: "x" is not a duration'),
    (("send", "plc", "--lane", "bulc"), 'did you mean "bulk"'),
    (("send", ""), 'SENSOR: "" is not a name'),
    (("send", "plc bulk"), 'SENSOR: "plc bulk" is not a name'),
)


def check_usage(agent):
    for usage in (("nonsense",), (), ("run", "--nonsense"), ("send",), ("send", "a", "b"),
                  ("check", "extra"), ("run", "--drain=soon")):
        check_code(agent.call(*usage), 2)
    for usage, words in USAGE_FAULTS:
        result = agent.call(*usage, stdin="")
        check_code(result, 2)
        check(words in result.stderr, result.stderr)


def check_send(agent):
    """Against a running agent."""
    check_code(agent.call("send", "cli", stdin='{"id":1}\n'), 0)
    refused = agent.call("send", "cli", stdin='{"id":2}\n{"id":\n{"id":3}\n')
    check_code(refused, 1)
    check("line 2" in refused.stderr, refused.stderr)
    for redirection in ("<&-", "</"):
        result = call_with(agent, redirection, "send", "cli")
        check_code(result, 1)
        check("the input cannot be read" in result.stderr, result.stderr)


def check_files(agent):
    """A file that is not there may come later; check says so all the same."""
    good = json.loads(GOOD.partition("\n")[2])

    def warned(words, **changes):
        agent.config_file.write_text(json.dumps({**good, **changes}))
        result = agent.call("check", "-c", agent.config_file)
        check_code(result, 0)
        check(f"warning: {words}: No such file" in result.stderr, result.stderr)

    warned("routes[0].ca_file: /absent.pem",
           routes=[{**good["routes"][0], "ca_file": "/absent.pem"}])
    warned("credentials.default.token_file: /absent", credentials={
        "default": {"provider": "web_identity", "token_file": "/absent",
                    "role_arn": "arn:aws:iam::123456789012:role/gate"}})
    api = {"name": "gate", "destination": "apigateway", "url": "https://api.test/in"}
    client = {"client_id": "me", "token_url": "https://auth.test/token"}
    for auth, key, more in (("api-key", "api_key_file", {}), ("bearer", "token_file", {}),
                            ("header", "header_value_file", {"header": "X-Token"}),
                            ("oauth2", "client_secret_file", client)):
        warned(f"routes[0].{key}: /absent",
               routes=[{**api, **more, "auth": auth, key: "/absent"}])
    agent.config_file.write_text(GOOD)


def check_lanes(agent):
    """P2: what no route would ever deliver is not accepted, nor what has one name too many."""
    agent.config_file.write_text(GOOD.replace('"telemetry"',
                                              '"telemetry", "lanes": [ "alarm", "normal" ]'))
    agent.start()
    check_code(agent.call("send", "cli", stdin="{}\n"), 0)
    refused = agent.call("send", "cli", "--lane", "bulk", stdin="{}\n")
    check_code(refused, 1)
    check("line 1: no route carries this lane" in refused.stderr, refused.stderr)
    results = [agent.call("send", f"cli{number}", "--lane", "alarm", stdin="{}\n")
               for number in range(64)]
    check([result.returncode for result in results] == [0] * 63 + [1], results)
    check("too many names" in results[-1].stderr, results[-1].stderr)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def check_drain(agent):
    """A drain that ends early says whether inputs or deliveries are missing."""
    agent.config_file.write_text(GOOD)
    result = agent.call("run", "-c", agent.config_file, "--drain=1s")
    check_code(result, 1)
    check("drain-incomplete inputs=read records=" in result.stderr, result.stderr)
    agent.config_file.write_text(GOOD.replace('"sim", "interval": "1s"',
                                              '"lines", "path": "/absent"'))
    result = agent.call("run", "-c", agent.config_file, "--drain=50ms")
    check_code(result, 1)
    check("drain-incomplete inputs=unfinished" in result.stderr, result.stderr)


def check_fragments(agent):
    """check names each file that it read, and config_id changes with each."""
    folder = agent.config_file.with_suffix(".d")
    folder.mkdir(exist_ok=True)
    names = []
    agent.config_file.write_text(GOOD)
    for interval in ("1s", "2s"):
        fragment = folder / "10-interval.json"
        fragment.write_text(f'{{ "sensors": [ {{ "name": "w", "interval": "{interval}" }} ] }}')
        result = agent.call("check", "-c", agent.config_file)
        check_code(result, 0)
        check(f"file     {fragment}\n" in result.stdout, result.stdout)
        agent.start()
        names.append(agent.status()["config_id"])
        check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    check(names[0] != names[1], names)
    fragment.unlink()


def check_generic_name(agent):
    """A name that many machines have is warned of in check, status and the log, and used."""
    warning = '"localhost.localdomain" is what many machines are called'
    agent.config_file.write_text(GOOD.replace('"gw"', '"localhost.localdomain"'))
    result = agent.call("check", "-c", agent.config_file)
    check_code(result, 0)
    check(f": warning: device: {warning}" in result.stderr, result.stderr)
    agent.start()
    warnings = agent.status()["warnings"]
    check(any(warning in text for text in warnings), warnings)
    check("  warning: device \"localhost" in agent.call("status").stdout, "no warning in the text")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    check("device-name-generic device=localhost.localdomain " in agent.log.read_text(),
          agent.tail())


def check_last_commit(agent):
    """A stop that could not save what is in RAM is a failure."""
    agent.config_file.write_text(GOOD)
    agent.start()
    harness.wait_until("a reading in RAM", lambda: agent.counters()["pending"] > 0)
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    check(agent.stop() == 1, f"the agent ended well: {agent.tail()}")


def check_start(agent):
    """One line says why the agent does not start: the event, then key=value."""
    def refused(result, words):
        check_code(result, 1)
        said = re.sub(r"\S+ warning (spool-not-durable|runs-as-root) .*\n", "", result.stderr)
        check(re.fullmatch(r'\S+ error start-failed error="[^"]*' + words + r'[^"]*"\n',
                           said), result.stderr)
    run = ("run", "-c", agent.config_file)
    refused(agent.call(*run), "in use")
    socket, agent.environment["RUNNEL_SOCKET"] = agent.environment["RUNNEL_SOCKET"], "/" + "x" * 200
    agent.environment["RUNNEL_STATE"] += "-other"
    refused(agent.call(*run), "RUNNEL_SOCKET")
    agent.environment["RUNNEL_SOCKET"] = socket
    refused(agent.call(*run), "an agent answers there")
    agent.environment["RUNNEL_STATE"] = str(agent.state)


def check_demo(run):
    """boards/host/run ends in silence when nobody reads on. It builds in a folder of its own."""
    if run.build != harness.ROOT / "build/host":
        return
    demo = harness.Process([harness.ROOT / "boards/host/run", "--seconds", "1"],
                           run.folder / "demo.log", stdout=subprocess.PIPE)
    check(demo.popen.stdout.readline(), f"boards/host/run shows nothing: {demo.tail()}")
    demo.popen.stdout.close()
    demo.wait()
    check(demo.tail() == "", f"boards/host/run: {demo.tail()}")


def scenario(run):
    agent = harness.Agent(run, "https://localhost:9")
    path = agent.config_file
    path.write_text(GOOD)
    check_code(agent.call("check", "-c", path), 0)
    check_faults(agent)
    check_code(agent.call("check", "-c", run.folder / "absent.json"), 78)
    path.write_text(GOOD)
    check_output(agent)
    check_files(agent)
    check_closed_descriptors(agent)

    check_usage(agent)
    check_code(agent.call("run", "--help"), 0)
    version = agent.call("version", "--json")
    check_code(version, 0)
    check("version" in json.loads(version.stdout), version.stdout)
    check_code(agent.call("version"), 0)

    # Nobody answers.
    check_code(agent.call("status", "--json"), 1)
    check_code(agent.call("send", "cli", "--timeout", "50ms", stdin="{}\n"), 1)

    # Somebody answers, and refuses what is no JSON.
    path.write_text(GOOD)
    agent.start()
    check_code(agent.call("status"), 0)
    check_send(agent)
    check_start(agent)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")

    check_fragments(agent)
    check_generic_name(agent)
    check_last_commit(agent)
    check_lanes(agent)
    check_drain(agent)
    check_demo(run)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
