# SPDX-License-Identifier: Apache-2.0
"""
The pages that somebody reads first, and the commands in them: each is known here, with who runs it,
or why nobody can.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ("README.md", ".github/CONTRIBUTING.md", "agent/OPERATIONS.md", "agent/TROUBLESHOOTING.md",
         "agent/uplink/README.md")

# Who runs a command, verbatim.
DESK = "tests/packages/readme.py, in a fresh Debian"
GATEWAY = "tests/qemu/run readme, on an ARMv7 gateway with systemd that QEMU plays"
AGENT = "tests/e2e/readme.py, beside an agent that delivers to the sink"
IDENTITY = "tests/e2e/readme.py, with an IoT that gives keys for certificates"
AWS = "tests/e2e/readme.py, with an aws that holds the call against botocore's models"

# By the first line of each; a command that is none of these has a reason instead.
KNOWN = {
    "boards/host/run --seconds 60 --outage": DESK,
    "tests/tools/sysroot.sh armhf": DESK,
    "cmake -G Ninja -B build/beaglebone -DBOARD=beaglebone -DRUNNEL_TESTS=OFF "
    "-DCMAKE_BUILD_TYPE=MinSizeRel": DESK,
    "cmake --build build/beaglebone -t package": DESK,
    "tests/tools/install.sh build": DESK,
    "apt install dpkg-dev": DESK,
    "cmake --build build/gateway -t package": DESK,
    "apt install ./build/gateway/runnel_*.deb": DESK,
    "cmake -G Ninja -B build/gateway -DBOARD=host -DRUNNEL_TESTS=OFF "
    "-DCMAKE_BUILD_TYPE=MinSizeRel": DESK,
    "cmake --build build/gateway && cmake --install build/gateway --strip": DESK,
    "scp build/beaglebone/runnel_*_armhf.deb root@gateway:":
        "there is no second machine",

    "aws kinesis create-stream --stream-name telemetry --stream-mode-details "
    "StreamMode=ON_DEMAND": AWS,
    "aws iam create-user --user-name gw-17": AWS,
    "aws iam put-user-policy --user-name gw-17 --policy-name telemetry --policy-document "
    "file://policy.json": AWS,
    "aws iam create-access-key --user-name gw-17": AWS,
    "for shard in $(aws kinesis list-shards --stream-name telemetry --query 'Shards[].ShardId' "
    "--output text); do": AWS,

    "apt install ./runnel_*_armhf.deb":
        "tests/packages/packages.py --architecture armhf has apt install it; the image has it",
    "cat >/etc/runnel/runnel.json <<'END'": GATEWAY,
    "install -m 640 -g runnel /dev/stdin /etc/runnel/credentials <<'END'": GATEWAY,
    "runnel check": GATEWAY,
    "systemctl restart runnel": GATEWAY,
    "runnel status --healthy --wait 5m": GATEWAY,

    "runnel status": AGENT,
    "runnel status --healthy --wait 10m": AGENT,
    "runnel doctor": AGENT,
    "runnel log": AGENT,
    "runnel log -n 50": AGENT,
    "runnel report": AGENT,
    "runnel sensors boiler": AGENT,
    "runnel metrics": AGENT,
    "runnel top": AGENT,
    "runnel spool export > records.jsonl": AGENT,
    "echo '{\"state\":\"run\"}' | runnel send plc --lane alarm": AGENT,
    "runnel config show": AGENT,
    "runnel config apply new.json --confirm 15m --wait": AGENT,
    "runnel config apply --none": AGENT,

    "systemd-sysusers && systemd-tmpfiles --create && systemctl enable --now runnel":
        "wants a machine that systemd has booted; tests/packages/packages.py has the package",
    "coap-client-openssl -m post -t 50 -e '{\"temp\":21.5}' -u pump-4 -k correct-horse-battery "
    "'coaps://[::1]/t/pump-4'": "the port may be taken; tests/e2e/coap.py does it at a free one",
    "boards/host/run --config mine.json": "goes to a real account",
    "runnel identity create": IDENTITY,
    "runnel identity csr": IDENTITY,
    "runnel identity install device.pem": IDENTITY,
    "runnel identity show": IDENTITY,
    "cmake -G Ninja -B build/host -DBOARD=host": "tests/run does it for every change",
    "cmake --build build/host": "tests/run does it for every change",
    "ctest --test-dir build/host -L '^unit$'": "tests/run does it for every change",
    "tests/run tools unit": "the test fresh/tests runs it, with all labels",
}
# How a block begins that shows something: what a program says, or a record.
SHOWN = (" ", "{", "vm: ran for", "route live: kinesis", "meter: lines on", "raw/dt=")


def blocks(text):
    """What is indented by four and no list, outside of fences; without the indentation."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE):
        yield re.sub(r"^ {4}", "", block, flags=re.MULTILINE)


def split_commands(block):
    """The commands of a shell's block, each with all of its lines; what stands behind one in a
    column of its own is said of it, and left out."""
    lines = iter(block.splitlines())
    for line in lines:
        word = re.search(r"<<'(\w+)'$", line)
        end = re.escape(word[1]) if word else "done" if line.startswith("for ") else None
        found = [line if end else re.sub(r"(\S) {3,}\S.*$", r"\1", line)]
        while end and not re.fullmatch(end, found[-1]):
            found.append(next(lines))
        yield "\n".join(found)


def commands(text):
    """All of a page, in their order."""
    for block in blocks(text):
        if not block.startswith(SHOWN):
            yield from split_commands(block)


def commands_of(who, pages=PAGES):
    """Those that WHO runs."""
    return [command for page in pages for command in commands((ROOT / page).read_text("utf-8"))
            if KNOWN.get(command.splitlines()[0]) == who]


def unknown(pages):
    """(page, command) of {page: its text} that nobody knows."""
    return [(page, command) for page, text in pages.items() for command in commands(text)
            if command.splitlines()[0] not in KNOWN]


def read_pages():
    return {page: (ROOT / page).read_text("utf-8") for page in PAGES}
