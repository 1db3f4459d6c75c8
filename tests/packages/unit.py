#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The units of systemd have no mistake that systemd-analyze knows, and the agent's lets it do little.

usage: unit.py [--build DIR] [--control]      with mistakes planted: each is found
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "platform/systemd/runnel.service"
OTHERS = ("runnel-healthy.service", "runnel-import.service", "runnel-import@.service",
          "runnel-metrics.service")
EXPOSURE = 2.3                        # 0.0 is none, 10.0 all; the unit's comments say what is open
PLANTED = (("WatchdogSec=", "WatchdogSeconds="), ("ProtectSystem=strict\n", ""),
           ("NoNewPrivileges=yes\n", ""), ("SystemCallFilter=@system-service\n", ""),
           ("User=runnel\n", ""), (" AF_CAN", ""), ("DevicePolicy=closed\n", "DevicePolicy=auto\n"))


def analyze(*arguments):
    result = subprocess.run(["systemd-analyze", *map(str, arguments)], text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def refused(text):
    """The sockets that the program opens and this unit does not let it."""
    allowed = re.search("^RestrictAddressFamilies=(.*)", text, re.M).group(1).split()
    used = {family for folder in ("agent", "drivers", "platform")
            for file in (ROOT / folder).rglob("*.c")
            for family in re.findall(r"\bsocket\([AP](F_\w+)", file.read_text("utf-8"))}
    return [f"A{family} is refused" for family in sorted(used) if f"A{family}" not in allowed]


def faults(text):
    """What is wrong with a unit of this text, and how exposed it is."""
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / UNIT.name
        unit.write_text(text.replace("/usr/bin/runnel run", "/bin/true"))
        code, said = analyze("verify", "--man=no", unit)
        found = (said.splitlines() if code or said else []) + refused(text)
        _, said = analyze("security", "--offline=yes", "--no-pager", unit)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", said)
    if exposure is None:
        return [*found, f"systemd-analyze security says nothing: {said}"], said
    if float(exposure.group(1)) > EXPOSURE:
        found.append(f"its exposure is {exposure.group(1)}, more than {EXPOSURE}")
    return found, said


def verify(name, *replacement):
    """What systemd finds in one of the others, beside the agent's."""
    with tempfile.TemporaryDirectory() as folder:
        for file in UNIT.parent.glob("*.service"):
            text = file.read_text().replace("/usr/bin/runnel", "/bin/true")
            text = re.sub("/usr/lib/runnel/(import|metrics)", "/bin/true", text)
            (pathlib.Path(folder) / file.name).write_text(
                text.replace(*replacement) if replacement and file.name == name else text)
        shown = name.replace("@.", "@sda1.")
        code, said = analyze("verify", "--man=no", pathlib.Path(folder) / shown)
    return said.splitlines() if code or said else []


def too_early(single, each):
    """What the import at the start waits for, and that for EACH medium does not."""
    awaited = [set(re.search("^After=(.*)", text, re.M).group(1).split()) if "After=" in text
               else set() for text in (single, each)]
    return [f"an import does not wait for {name}" for name in sorted(awaited[0] - awaited[1])]


def main():
    if shutil.which("systemd-analyze") is None:
        print("there is no systemd-analyze here")
        return 77
    text = UNIT.read_text()
    imports = [(UNIT.parent / name).read_text() for name in OTHERS[1:3]]
    if "--control" in sys.argv[1:]:
        missed = [before for before, after in PLANTED
                  if before not in text or not faults(text.replace(before, after))[0]]
        missed += [name for name in OTHERS if not verify(name, "Type=oneshot", "Type=once")]
        missed += [] if too_early(imports[0], imports[1].replace(" data.mount", "")) else ["order"]
        count = len(PLANTED) + len(OTHERS) + 1
        print(f"{count - len(missed)} of {count} planted mistakes found; "
              f"missed: {missed}")
        return 1 if missed else 0
    found, said = faults(text)
    found += [fault for name in OTHERS for fault in verify(name)] + too_early(*imports)
    print(said)
    print("\n".join(found) or "no fault")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
