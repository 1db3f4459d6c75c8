# SPDX-License-Identifier: Apache-2.0
"""The scenarios of a gateway that is new: from a blank disk to its first reading."""
import json
import pathlib
import subprocess
import sys

import harness
import pages
from guest import BOARDS, NAME, ROOT, Installed, Stick, check, wait_until

sys.path.insert(0, str(ROOT / "tests/fault"))
from credentials import Giver  # noqa: E402  pylint: disable=wrong-import-position

DEVICE = "gw-17"


class Desk:
    """Where somebody types commands; they are counted."""

    def __init__(self, **variables):
        self.variables = {name: str(value) for name, value in variables.items()}
        self.commands = []

    def type(self, command):
        self.commands.append(command)
        result = subprocess.run(["sh", "-ec", command], env={**self.variables,
                                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(result.returncode == 0, f"{command}: {result.stdout}")


def config(sink, giver):
    """The one file that somebody wrote."""
    return json.dumps({
        "device": DEVICE,
        "spool": {"path": "/data/runnel", "mount": "/data", "size": "8MiB"},
        "sensors": [{"name": "machine", "driver": "proc", "interval": "1s"}],
        "credentials": {"default": {
            "provider": "iot", "endpoint": f"https://{NAME}:{giver.port}", "role_alias": "runnel",
            "thing": "${device}", "ca_file": "/etc/runnel/ca.pem",
            "cert_file": "/etc/runnel/device.pem", "key_file": "/etc/runnel/device.key"}},
        "routes": [{
            "name": "live", "destination": "kinesis", "region": "us-east-1", "stream": "telemetry",
            "endpoint": f"https://{NAME}:{sink.port}", "ca_file": "/etc/runnel/sink.pem",
            "start_delay": "0s"}]}, indent=1)


def first_reading(sink):
    """Under its name: the image's own configuration may have taken some before the stick came."""
    return next((record for record in map(json.loads, (data for _, _, data in sink.records()))
                 if record["sensor"] == "machine" and record["device"] == DEVICE), None)


def ten_minutes(run, board="qemu-aarch64"):
    """A blank disk, an image, a stick with one JSON file and a signed certificate: the commands up
    to the first reading are counted, and the key never leaves the gateway."""
    sink = harness.Sink(run)
    authority = harness.make_certificates(run.folder / "ca", f"DNS:{NAME}")
    giver = Giver(sink, authority)
    stick = Stick(run)
    gateway = Installed(run, board, sink, blank=True)
    desk = Desk(IMAGE=BOARDS[board].build / f"{board}.img", DISK=gateway.image, CA=authority,
                STICK=stick.image, JSON=run.folder / "runnel.json", CSR=run.folder / "gw-17.csr",
                PEM=run.folder / "gw-17.pem")
    (run.folder / "runnel.json").write_text(config(sink, giver))
    # In the place of Amazon's roots, which are built in.
    stick.put(authority / "ca.pem", "ca.pem")
    stick.put(sink.ca, "sink.pem")

    desk.type('dd if="$IMAGE" of="$DISK" bs=4M conv=sparse,notrunc,fsync')
    desk.type('mcopy -i "$STICK" "$JSON" ::/runnel/')
    machine = gateway.start("-device", "qemu-xhci,id=usb")
    stick.plug(machine)
    machine.wait_for(rf"{DEVICE} needs a certificate")
    wait_until("the request", lambda: stick.read(f"csr/{DEVICE}.csr"))
    wait_until("the result", lambda: "needs a certificate" in (stick.read("result.txt") or ""))
    stick.unplug(machine)
    check(not giver.given and not list(sink.records()), "it delivered before")

    desk.type(f'mcopy -i "$STICK" ::/runnel/csr/{DEVICE}.csr "$CSR"')
    desk.type('openssl x509 -req -in "$CSR" -CA "$CA/ca.pem" -CAkey "$CA/ca.key" -days 365 '
              '-out "$PEM"')
    desk.type(f'mcopy -i "$STICK" "$PEM" ::/runnel/csr/{DEVICE}.pem')
    stick.plug(machine)
    record = wait_until("the first reading", lambda: first_reading(sink), 300)
    check(giver.given, "keys came from somewhere else")
    wait_until("the result", lambda: "installed: CN=gw-17" in (stick.read("result.txt") or ""))
    check(b"PRIVATE KEY" not in pathlib.Path(stick.image).read_bytes(), "the key is on the stick")
    machine.cut()
    print("\n".join(desk.commands))
    print(f"{board}: {len(desk.commands)} commands, the stick plugged in twice; first reading "
          f"{record['ts']}")


def readme(run, board="qemu-armv7"):
    """What README.md has somebody type on a gateway, as it stands, up to the first record: its
    configuration takes the place of the board's, and the sink is AWS."""
    sink = harness.Sink(run, "--region", "eu-west-1")
    gateway = Installed(run, board, sink, spool={"path": "/data/runnel", "mount": "/data"})
    machine = gateway.boot()
    typed = pages.commands_of(pages.GATEWAY)
    for command in typed:
        print(f"# {command}\n{machine.run(command, 600)}", flush=True)
    found = machine.call("runnel doctor")[1]
    check("  ok    keys " in found, f"the doctor does not find the keys: {found}")
    check(gateway.status()["routes"]["live"]["state"] == "connected", "the route is not connected")
    record = next(record for record in map(json.loads, (data for _, _, data in sink.records()))
                  if record["device"] == DEVICE)
    machine.cut()
    print(f"{board}: {len(typed)} commands typed; first record {record['ts']}")
