#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
runnel report has what a supporter needs, as plain text, and not one of the secrets that lie about:
in files, in the environment, in URLs; of a running agent, of a stopped one, and with faults in the
configuration.

--plant has a secret stand where the report has to show what stands there, which must be noticed.
"""
import itertools

import harness
from harness import check

SECTIONS = ("version", "machine", "disks", "network", "check", "config show", "identity show",
            "status", "status --json", "spool show", "dead list", "log", "doctor", "end")
NOWHERE = "https://localhost:1"


class Secrets:
    """Words that nothing may show, each once."""

    def __init__(self):
        self.words = []
        self.numbers = itertools.count(1)

    def new(self, what):
        word = f"hidden{next(self.numbers)}{what}"
        self.words.append(word)
        return word

    def file(self, path, what):
        path.write_text(self.new(what) + "\n")
        path.chmod(0o600)
        return str(path)


def api(name, secrets, **route):
    return {"name": name, "destination": "apigateway", "body": "single", "success": "status",
            "url": f"{NOWHERE}/records?code={secrets.new('query')}", **route}


def make_agent(run, secrets):
    certificates = harness.make_certificates(run.folder / "certificates")
    key = certificates / "device.key"
    secrets.words += key.read_text().splitlines()[1:-1]
    places = iter(run.folder / f"secret{number}" for number in range(20))
    proxy = f"http://{secrets.new('user')}:{secrets.new('password')}@localhost:1"
    written = secrets.file(next(places), "proxy")
    routes = [
        {"name": "live", "stream": "telemetry", "endpoint": NOWHERE, "proxy": proxy},
        {"name": "file", "stream": "telemetry", "endpoint": NOWHERE,
         "proxy": "http://me:${file:" + written + "}@localhost:1"},
        api("key", secrets, auth="api-key", api_key_file=secrets.file(next(places), "apikey")),
        api("token", secrets, auth="bearer", token_file=secrets.file(next(places), "token")),
        api("head", secrets, auth="header", header="X-Secret",
            header_value_file=secrets.file(next(places), "header")),
        api("oauth", secrets, auth="oauth2", token_url=f"{NOWHERE}/token", client_id="me",
            client_secret_file=secrets.file(next(places), "client"), scope="all"),
    ]
    credentials = {"device": {"provider": "iot", "endpoint": NOWHERE, "role_alias": "runnel",
                              "thing": "gw-e2e", "cert_file": str(certificates / "device.pem"),
                              "key_file": str(key), "ca_file": str(certificates / "ca.pem")}}
    routes[1]["credentials"] = "device"
    agent = harness.Agent(run, NOWHERE, certificates / "ca.pem", routes=routes,
                          credentials=credentials,
                          sensors=[{"name": "machine", "driver": "proc", "interval": "1s"}],
                          spool={"lanes": {"normal": {"age": "50ms", "window": "0s"}}})
    shared = run.folder / "aws"
    shared.write_text(f"[other]\naws_access_key_id = AKIDOTHER\n"
                      f"aws_secret_access_key = {secrets.new('shared')}\n")
    agent.environment |= {
        "AWS_SECRET_ACCESS_KEY": secrets.new("key"), "AWS_SESSION_TOKEN": secrets.new("session"),
        "AWS_SHARED_CREDENTIALS_FILE": str(shared), "NO_PROXY": "localhost",
        "HTTPS_PROXY": f"http://{secrets.new('user')}:{secrets.new('password')}@localhost:1"}
    return agent


def check_report(agent, secrets, *options):
    """Of a running agent with the doctor, of a stopped one without."""
    result = agent.call("report", "-c", agent.config_file, *options, timeout_s=240)
    check(result.returncode == 0 and not result.stderr, f"{result.returncode} {result.stderr}")
    shown = [word for word in secrets.words if word in result.stdout]
    check(not shown, f"the report shows {shown}")
    check(all(" " <= char <= "~" or char in "\n\t" for char in result.stdout), "not plain ASCII")
    absent = ("doctor", "status --json") if "--offline" in options else ()
    sections = [section for section in SECTIONS if section not in absent]
    found = [line[5:-5] for line in result.stdout.splitlines() if line.startswith("==== ")]
    check(found == sections, f"sections: {found}")
    check("runnel report" in result.stdout and "CONFIG_DEST_KINESIS" in result.stdout, "no version")
    return result.stdout


def scenario(run, plant):
    secrets = Secrets()
    agent = make_agent(run, secrets)
    if plant:
        agent.config["device"] = secrets.new("device")
        agent.write_config()
    agent.start()
    harness.wait_until("the routes to try", lambda: all(
        route["error"] for route in agent.status()["routes"].values()))
    text = check_report(agent, secrets)
    for needed in ("routes.live", '"config_id":"', "LANE ", "warning route-state", "kernel "):
        check(needed in text, f"{needed} is not in the report")
    check(agent.stop() == 0, agent.tail())
    text = check_report(agent, secrets, "--offline")
    check("no agent runs there" in text and "info    stopping" in text, "of a stopped agent")
    for route in agent.config["routes"]:
        route["batch"] = {"records": "many"}
        if "url" in route:
            route["url"] = "ftp" + route["url"].removeprefix("https")
    agent.config["routes"][0]["proxy"] = f"socks://{secrets.new('user')}:{secrets.new('x')}@h:1"
    agent.write_config()
    text = check_report(agent, secrets, "--offline")
    check("exit code 78" in text, "faults in the configuration are not in the report")
    print(f"{len(secrets.words)} secrets in none of three reports", flush=True)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--plant",), {"action": "store_true", "help": "show a secret"}))
    harness.main(chosen, lambda run: scenario(run, chosen.plant))
