#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What is imported from a medium, what is refused, and what a power cut leaves of it.

usage: import.py [--build DIR] [--stride N]     the power is cut before every Nth step; default 1
       import.py [--build DIR] --control        with what the script does broken: it is found

The script runs with this machine's tools on folders instead of FAT devices, in name spaces of its
own (tests/qemu has the devices). A power cut ends it before one of the commands that change a file;
what was written since the last sync is then gone, as ext4 may leave it: files are there, and empty.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import ROOT, check  # pylint: disable=wrong-import-position

SOURCE = ROOT / "platform/import/import"
RUN_AS = "daemon"
CHANGES = "cp mv rm mkdir chmod chown sync dd".split()
PASSWORD = "http://gw:geheim@proxy:3128"
# Ends the script and all that it started before the command numbered $CUT; notes the others.
SHIM = """#!/bin/sh
name=${0##*/}
read -r step <"$STEPS/count"
step=$((step + 1))
echo "$step" >"$STEPS/count"
[ "$step" != "${CUT:-}" ] || { : >"$STEPS/cut"; kill -KILL -1; sleep 60; }
case $name in
cp) for to; do :; done; "/bin/$name" "$@" || exit; stat -c %i "$to" >>"$STEPS/written" ;;
sync) : >"$STEPS/written"; exec "/bin/$name" "$@" ;;
*) exec "/bin/$name" "$@" ;;
esac
"""
# What finds it, what the script has, and what becomes of that.
BROKEN = (
    ("take", 'chmod 600 "$1/$name"', 'chmod 644 "$1/$name"'),
    ("take", "*.key | credentials) return 0 ;;", "*.key | credentials) return 1 ;;"),
    ("take", 'grep -q "PRIVATE KEY"', "! cat >/dev/null"),
    ("take", '://[^/"@]*:', ':///[^/"@]*:'),
    ("take", 'grep -qxF "$(sum_of "$1") $1" "$record"', "false"),
    ("take", 'make_folder "$folder/runnel.d"', 'mkdir -p "$folder/runnel.d"'),
    ("identify", 'remember "$1"', "true"),
    ("identify", 'grep -q "^next key"', "true"),
    ("identify", 'rm -f "$1/$name" && cp -p', "cp -p"),
    ("name", "sed -n 's/^name *//p'", "sed -n 's/^certificate.*/gw-17/p'"),
    ("name", '"$RUNNEL" identity create >"$work/out"', '"$RUNNEL" identity create >/dev/null'),
    ("overlook", 'grep -qsF "$text"', "false"),
    ("overlook", " *.json | *.json.txt |", " *.json |"),
    ("replace", "|| use_main", "|| true"),
    ("replace", ' check -c "$config"', " check"),
    ("refuse", "|| ! check_whole; then", "; then"),
    ("refuse", 'grep -q "do not go together"', "grep -q nothing"),
    ("refuse", '-le "$FILE_BYTES"', "-gt 0"),
    ("unchecked", '[ -e "$work/apart" ] || code=78', "true"),
    ("killed", "point=$work.medium", "point=$work/medium"),
    ("refuse", "*[!A-Za-z0-9._/-]*)", "x/x)"),
    ("cut", '    sync\n    mv "$folder/.import.new"', '    mv "$folder/.import.new"'),
    ("cut", 'mv "$folder/.import.new" "$folder/.import"\n', 'mkdir "$folder/.import"\n'
     '    for file in "$folder/.import.new/"* "$folder/.import.new/.imported"; do '
     'mv "$file" "$folder/.import"; done\n'),
    ("cut", 'mv "$1" "$1.erased" && overwrite "$1.erased"', 'overwrite "$1"'),
)


# A folder in the place of a device.
MOUNT = """#!/bin/sh
case $* in
"-t vfat "*) exec /bin/mount --bind "$5" "$6" ;;
"-o remount,"*) exit 0 ;;
*) exec /bin/mount "$@" ;;
esac
"""
# The script on that device, and killed while it is mounted; then once more.
KILLED = """#!/bin/sh
KILL=1 sh "$IMPORT" "$DEVICE"
exec sh "$IMPORT" "$DEVICE"
"""
KILL = """#!/bin/sh
[ -z "${KILL:-}" ] || kill -KILL "$PPID"
exec /usr/bin/sha256sum "$@"
"""


class World:
    """A folder of the configuration, and media."""

    def __init__(self, folder, program, script):
        self.folder, self.program, self.text = folder, program, script
        self.etc = folder / "etc"
        self.steps = folder / "steps"
        self.shims = folder / "shims"
        for path in (folder, self.etc, self.steps, self.shims):
            path.mkdir(mode=0o755)
        self.script = folder / "import"
        text = script.replace("RUN_AS=runnel\n", f"RUN_AS={RUN_AS}\n")
        text = text.replace("STATE=/var/lib/runnel\n", f"STATE={folder}/state\n")
        self.script.write_text(text.replace("/usr/bin/runnel", str(program)))
        self.script.chmod(0o755)
        for name in CHANGES:
            (self.shims / name).write_text(SHIM)
            (self.shims / name).chmod(0o755)

    def medium(self, name="stick", **files):
        """NAMES become files of its folder runnel/: _ is a dot, __ a slash."""
        place = self.folder / name / "runnel"
        for key, text in files.items():
            file = place / key.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return place.parent

    def run(self, *media, cut=None):
        """The script on MEDIA: (exit code, what it said), or None where the power was cut."""
        (self.steps / "count").write_text("0\n")
        (self.steps / "written").write_text("")
        (self.steps / "cut").unlink(missing_ok=True)
        result = subprocess.run(
            ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
             'mount -t tmpfs run /run && mount -t proc proc /proc && "$@"', "sh", self.script,
             *media],
            env={"PATH": f"{self.shims}:/usr/sbin:/usr/bin:/sbin:/bin", "STEPS": str(self.steps),
                 "CUT": str(cut or ""), "RUNNEL_CONFIG": str(self.etc / "runnel.json"),
                 "RUNNEL_STATE": str(self.folder / "state")},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=120, check=False)
        if not (self.steps / "cut").exists():
            return result.returncode, result.stdout.decode(errors="replace")
        self.lose(set(map(int, (self.steps / "written").read_text().split())))
        return None

    def lose(self, inodes):
        """What was copied and not synced."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_ino in inodes:
                path.write_bytes(b"")

    def agent(self, *arguments):
        """What the agent's user gets to see of the program, with what was imported where it is."""
        return subprocess.run(["setpriv", "--reuid", RUN_AS, "--regid", RUN_AS, "--clear-groups",
                               self.program, *arguments],
                              env={"RUNNEL_CONFIG": str(self.etc / "runnel.json"),
                                   "RUNNEL_STATE": str(self.folder / "state"),
                                   "RUNNEL_SOCKET": str(self.folder / "none")},
                              capture_output=True, text=True, check=False)

    def reads(self):
        return self.agent("check").returncode == 0

    def result(self, medium):
        return (medium / "runnel/result.txt").read_bytes().decode("ascii")


def tree(folder, without="result.txt"):
    """{name: content}"""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != without}


def config(device="gw-17", **more):
    return json.dumps({
        "device": device, "spool": {"volatile": True},
        "sensors": [{"name": "machine", "driver": "proc", "interval": "1s"}],
        "routes": [{"name": "live", "destination": "kinesis", "region": "eu-west-1",
                    "stream": "telemetry", **more}]}, indent=1)


class Pairs:
    """Two keys and their certificates."""

    def __init__(self, folder):
        folder.mkdir()
        for name in "ab":
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
                           check=True, capture_output=True)
        self.folder = folder
        self.texts = {path.name: path.read_text() for path in folder.iterdir()}


def take(world, pairs):
    """All that can be imported at once; then nothing more."""
    etc = world.etc
    stick = world.medium(
        runnel_json=config(cert_file=f"{etc}/device.pem", key_file=f"{etc}/device.key"),
        runnel_d__proxy_json=json.dumps({"routes": [{"name": "live", "proxy": PASSWORD}]}),
        runnel_d__plain_json="{}", device_pem=pairs.texts["a.pem"], ca_pem=pairs.texts["b.pem"],
        device_key=pairs.texts["a.key"], both_pem=pairs.texts["a.pem"] + pairs.texts["a.key"],
        credentials="[default]\naws_access_key_id = A\naws_secret_access_key = B\n",
        notes_txt="not for us")
    before = tree(stick / "runnel")
    code, said = world.run(stick)
    check(code == 0, f"it ended with {code}: {said}")
    for name, text in before.items():
        if name != "notes.txt":
            path = etc / name
            check(path.read_bytes() == text, f"{name} is not as it was")
            check(stat.S_IMODE(path.stat().st_mode) == 0o600 and path.owner() == RUN_AS,
                  f"{name} is not the agent's alone")
    check(world.reads(), "the agent cannot read it")
    secret = {"device.key", "both.pem", "credentials", "runnel.d/proxy.json"}
    check(set(before) - set(tree(stick / "runnel")) == secret,
          f"left on the medium: {sorted(tree(stick / 'runnel'))}")
    told = world.result(stick)
    check("This is gw-17." in told and "device.key was removed" in told and
          "ca.pem was imported" in told, f"result.txt says {told}")
    check(all(line.endswith("\r") for line in told.split("\n")[:-1]), "lines end with CR LF")
    files = tree(etc), tree(stick, without=None)
    check(world.run(stick) == (0, ""), "it stays silent about a medium that is left in")
    check((tree(etc), tree(stick, without=None)) == files, "nothing is imported twice")
    check(not (etc / ".import").exists() and not (etc / ".import.new").exists(), "nothing is left")


def identify(world, pairs):
    """The key is made on the device; what is to be signed comes on the medium, and the certificate
    back."""
    own = {"cert_file": f"{world.etc}/device.pem", "key_file": f"{world.etc}/device.key"}
    stick = world.medium(runnel_json=config(**own), csr__other_pem=pairs.texts["b.pem"])
    request = stick / "runnel/csr/gw-17.csr"
    code, said = world.run(stick)
    check(code == 0 and request.is_file(), f"no request: {code} {said}")
    check("BEGIN CERTIFICATE REQUEST" in said and "gw-17 needs a cert" in world.result(stick),
          f"it is not told: {said}")
    before = tree(stick, without=None)
    check(world.run(stick)[0] == 0 and tree(stick, without=None) == before,
          "a request that waits is written again")

    (stick / "runnel/csr/gw-17.pem").write_text(pairs.texts["a.pem"])
    check(world.run(stick)[0] == 1 and "belongs to no key" in world.result(stick),
          "another key's certificate is refused")
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-days", "30", "-CA",
                    pairs.folder / "b.pem", "-CAkey", pairs.folder / "b.key", "-CAcreateserial",
                    "-out", stick / "runnel/csr/gw-17.pem"], check=True, capture_output=True)
    code, said = world.run(stick)
    check(code == 0 and "installed: CN=gw-17" in world.result(stick), f"{code} {said}")
    key = world.etc / "device.key"
    check("PRIVATE KEY" in key.read_text() and key.stat().st_mode & 0o777 == 0o600 and
          key.owner() == RUN_AS, "the key is the agent's alone")
    check(not any(b"PRIVATE KEY" in text for text in tree(stick).values()), "the key left")
    check(world.run(stick) == (0, ""), "it stays silent about a certificate that is installed")
    shown = world.agent("identity", "show").stdout
    check(shown.startswith("name         gw-17\n"), f"identity show: {shown}")
    check(world.reads(), "the agent cannot read it")
    names = {path: (path.readlink(), path.read_text()) for path in (key, world.etc / "device.pem")}
    other = world.medium("other", device_key=pairs.texts["a.key"], device_pem=pairs.texts["b.pem"])
    check(world.run(other)[0] == 1, "a pair that is none is refused")
    check(all(path.is_symlink() and (path.readlink(), path.read_text()) == before
              for path, before in names.items()), "what was refused took the place of its own key")


def name(world, pairs):
    """The request has the name of the thing, by which it is enrolled, and a key that was brought
    alone gets one as well; why there is none is told."""
    own = {"cert_file": f"{world.etc}/device.pem", "key_file": f"{world.etc}/device.key"}
    text = json.loads(config())
    text["credentials"] = {"default": {
        "provider": "iot", "endpoint": "https://x.credentials.iot.eu-west-1.amazonaws.com",
        "role_alias": "runnel", "thing": "pump-${device}", **own}}
    world.folder.joinpath("state").write_text("in the way of the folder")
    stick = world.medium(runnel_json=json.dumps(text), device_key=pairs.texts["a.key"])
    code, said = world.run(stick)
    check(code == 0 and (stick / "runnel/csr/pump-gw-17.csr").is_file(), f"{code} {said}")
    (world.etc / "device.key").unlink()
    code, said = world.run(world.medium("other", notes_txt="nothing"))
    check(code == 1 and "no request for a certificate" in world.result(world.folder / "other") and
          f"{world.folder}/state/identity: " in said, f"{code} {said}")


def overlook(world, _pairs):
    """What was meant for us under a name that is not ours is told, once."""
    stick = world.medium(runnel_json_txt=config(), RUNNEL_JSON=config(), notes_txt="not for us")
    code, said = world.run(stick)
    told = world.result(stick)
    check(code == 0 and "runnel.json.txt was NOT" in told and "RUNNEL.JSON was NOT" in told and
          "notes" not in told, f"{code} {said}")
    check(world.run(stick) == (0, ""), "it is told again")
    (stick / "runnel/runnel.json.txt").rename(stick / "runnel/runnel.json")
    code, said = world.run(stick)
    check("runnel.json was imported" in said and world.run(stick) == (0, ""), f"{code} {said}")


def replace(world, _pairs):
    """What somebody brings goes before what was applied from afar."""
    check(world.run(world.medium("first", runnel_json=config()))[0] == 0, "a first configuration")
    state = world.folder / "state"
    state.mkdir()
    shutil.chown(state, RUN_AS, RUN_AS)
    applied = world.folder / "applied.json"
    applied.write_text(config("applied"))
    result = world.agent("config", "apply", applied)
    check(result.returncode == 0 and "applied\n" in world.agent("check").stdout, result.stderr)
    bad = world.medium("bad", runnel_json=config(straem="x"))
    check(world.run(bad)[0] == 1, "a bad one is not seen behind what was applied")
    code, said = world.run(world.medium("good", runnel_json=config("brought")))
    check(code == 0 and "This is brought." in said, f"{code} {said}")
    check("device   brought" in world.agent("check").stdout, "what was applied is still in front")


def refuse(world, pairs):
    """What is refused leaves everything as it was, and is told."""
    first = world.medium("first", runnel_json=config())
    check(world.run(first)[0] == 0, "a plain configuration is imported")
    pair = {"cert_file": f"{world.etc}/device.pem", "key_file": f"{world.etc}/device.key"}
    for name, files, reason in (
            ("syntax", {"runnel_json": "{", "ca_pem": pairs.texts["b.pem"]}, "runnel.json:1"),
            ("key", {"runnel_json": config(straem="x")}, "straem"),
            ("umlaut", {"runnel_json": config(**{"str\u00e4m": "x"})}, "runnel.json:"),
            ("fragment", {"runnel_d__more_json": '{"routes":[{"name":"live","order":"none"}]}'},
             "more.json:1"),
            ("pair", {"runnel_json": config(**pair), "device_pem": pairs.texts["a.pem"],
                      "device_key": pairs.texts["b.key"]}, "do not go together"),
            ("large", {"ca_pem": "x" * (1 << 20) + "xx"}, "has more than"),
            ("name", {"a;b_pem": pairs.texts["a.pem"]}, "a name has")):
        stick = world.medium(name, **files)
        before = tree(world.etc), tree(stick)
        code, said = world.run(stick)
        check(code == 1, f"{name}: it ended with {code}: {said}")
        check((tree(world.etc), tree(stick)) == before, f"{name}: something was changed")
        told = world.result(stick)
        check("NOTHING was imported" in told and reason in told, f"{name}: result.txt: {told}")
    good = world.medium("last", runnel_json=config(device="gw-18"))
    check(world.run(stick, good)[0] == 1, "one bad medium does not keep a good one away")
    check("gw-18" in (world.etc / "runnel.json").read_text(), "the good one is there")
    check(world.run(first, good) == (0, ""), "two that were left in do not take turns")


def unchecked(world, _pairs):
    """Where the check cannot be made, nothing is taken."""
    (world.shims / "unshare").write_text("#!/bin/sh\necho unshare: not here >&2\nexit 1\n")
    (world.shims / "unshare").chmod(0o755)
    code, said = world.run(world.medium(runnel_json=config()))
    check(code == 1 and "unshare: not here" in said, f"{code} {said}")
    check(not (world.etc / "runnel.json").exists(), "it is there")


def killed(world, _pairs):
    """A script that was killed leaves the medium mounted: the next one does not remove what is on
    it."""
    stick = world.medium(runnel_json=config(), notes_txt="not for us")
    for name, text in (("mount", MOUNT), ("sha256sum", KILL)):
        (world.shims / name).write_text(text)
        (world.shims / name).chmod(0o755)
    # A device is what is no folder: the stick, by another name.
    text = world.script.read_text()
    script = world.folder / "script"
    script.write_text(text.replace('[ ! -d "$1" ] || return 0\n', ""))
    world.script.write_text(
        KILLED.replace("$IMPORT", str(script)).replace("$DEVICE", str(stick)))
    code, said = world.run(stick)
    check(code == 0 and "runnel.json was imported" in said, f"{code} {said}")
    check((stick / "runnel/notes.txt").exists(), "what is on the medium was removed")


def cut(world, pairs, step):
    """The power goes before STEP: afterwards the old files are there or all of the new. None:
    there is no such step."""
    old = {"runnel.json": config("old", ca_file=f"{world.etc}/ca.pem"),
           "ca.pem": pairs.texts["b.pem"]}
    for name, text in old.items():
        (world.etc / name).write_text(text)
    stick = world.medium(
        runnel_json=config("new", cert_file=f"{world.etc}/device.pem",
                           key_file=f"{world.etc}/device.key"),
        ca_pem=pairs.texts["a.pem"], device_pem=pairs.texts["a.pem"],
        device_key=pairs.texts["a.key"])
    new = {name: text.decode() for name, text in tree(stick / "runnel").items()}
    if world.run(stick, cut=step) is not None:
        return None
    has_key = (stick / "runnel/device.key").read_text() if (
        stick / "runnel/device.key").exists() else ""
    # What the agent finds if the stick is gone.
    check(world.run(world.folder / "none")[0] == 0, f"step {step}: without the stick")
    found = {name: text.decode() for name, text in tree(world.etc).items() if name[0] != "."}
    check(found in (old, new), f"step {step}: neither the old nor the new: {found}")
    check(found == new or has_key == new["device.key"], f"step {step}: the key is nowhere")
    code, said = world.run(stick)
    check(code == 0, f"step {step}: it ended with {code}: {said}")
    found = {name: text.decode() for name, text in tree(world.etc).items() if name[0] != "."}
    check(found == new, f"step {step}: not all is there: {found}")
    check(not (stick / "runnel/device.key").exists(), f"step {step}: the key is on the stick")
    check(world.run(stick) == (0, ""), f"step {step}: it does not come to rest")
    return step


def cut_all(world, pairs, stride=1, workers=1):
    """How often the power was cut, before each step or every STRIDEth."""
    first, cuts = 1, 0

    def one(step):
        return cut(World(world.folder / f"cut-{step}", world.program, world.text), pairs, step)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        while True:
            steps = list(pool.map(one, range(first, first + 2 * workers * stride, stride)))
            first += 2 * workers * stride
            cuts += sum(1 for step in steps if step)
            if None in steps:
                return cuts


def find(run, pairs, how, before, after):
    """What fails with a script in which BEFORE became AFTER."""
    text = SOURCE.read_text()
    check(before in text, f"the script has no {before}")
    world = World(run.folder / str(BROKEN.index((how, before, after))), run.folder / "runnel",
                  text.replace(before, after))
    ways = {"take": take, "identify": identify, "name": name, "overlook": overlook,
            "replace": replace, "refuse": refuse, "unchecked": unchecked,
            "killed": killed, "cut": cut_all}
    try:
        ways[how](world, pairs)
    except harness.Failure as fault:
        return f"{before.strip()[:40]}: {str(fault)[:80]}"
    raise harness.Failure(f"without {before} nothing fails")


def live(run, pairs, stride):
    def world(name):
        return World(run.folder / name, run.folder / "runnel", SOURCE.read_text())

    take(world("take"), pairs)
    identify(world("identify"), pairs)
    name(world("name"), pairs)
    overlook(world("overlook"), pairs)
    replace(world("replace"), pairs)
    refuse(world("refuse"), pairs)
    unchecked(world("unchecked"), pairs)
    killed(world("killed"), pairs)
    cuts = cut_all(world("cut"), pairs, stride, workers=2)
    check(cuts * stride > 30, f"only {cuts} cuts")
    print(f"imported, identified, refused, and the power cut {cuts} times")


def scenario(options):
    def act(run):
        harness.need_own_mounts()
        if shutil.which("openssl") is None:
            raise harness.Skip("openssl is not there: apt-get install openssl")
        run.folder.chmod(0o755)
        shutil.copy(run.program("runnel"), run.folder)
        pairs = Pairs(run.folder / "pairs")
        if not options.control:
            live(run, pairs, options.stride)
            return
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for line in pool.map(lambda planted: find(run, pairs, *planted), BROKEN):
                print(re.sub(r"\s+", " ", line), flush=True)
    return act


def main():
    options = harness.arguments(__doc__, (("--control",), {"action": "store_true"}),
                                (("--stride",), {"type": int, "default": 1}))
    harness.main(options, scenario(options))


if __name__ == "__main__":
    os.umask(0o022)
    main()
