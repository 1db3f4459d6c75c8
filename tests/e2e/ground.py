#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What the state directory stands on: RAM is refused unless allowed, a missing mount is waited for,
what is no directory is named. Nothing is written where it should not be.

Mounts a real tmpfs and overlays in a name space of its own, as root or as a user who may have one.
"""
import os
import subprocess
import sys

import harness
from harness import check, wait_until

INSIDE = "RUNNEL_TEST_INSIDE"
SIM = [{"name": "w", "driver": "sim", "lane": "alarm"}]


def mount(*arguments):
    result = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        raise harness.Skip(f"no right to mount: {result.stderr.strip()}")


def agent_at(run, sink, name, state, **spool):
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=f"agent-{name}", sensors=SIM,
                          spool={"size": "256KiB", **spool})
    agent.environment["RUNNEL_STATE"] = str(state)
    return agent


def run_briefly(agent, as_user=()):
    """runnel run, which must end by itself: (exit code, what it said)."""
    result = subprocess.run([*as_user, *agent.command("run", "-c", agent.config_file)],
                            env=agent.environment, capture_output=True, text=True, check=False,
                            timeout=harness.DEADLINE_S)
    return result.returncode, result.stderr


def check_refused(agent, state, words):
    """Both commands name the path, the file system and what to do."""
    for code, said in (run_briefly(agent),
                       (lambda result: (result.returncode, result.stderr))(
                           agent.call("check", "-c", agent.config_file))):
        check(code == 78, f"{state} gave {code}: {said}")
        for word in (str(state), '"volatile": true', *words):
            check(word in said, f"{word} is not in {said!r}")


def check_ram(run, sink, ram):
    for name, state in (("ram", ram), ("below", ram / "not" / "there")):
        check_refused(agent_at(run, sink, name, state), state, ["tmpfs"])
        check(not list(ram.iterdir()), f"{list(ram.iterdir())} was written")
    agent = agent_at(run, sink, "allowed", ram / "state", volatile=True)
    check(agent.call("check", "-c", agent.config_file).returncode == 0, "it is allowed")
    agent.start()
    wait_until("a delivery", lambda: agent.counters(lane="alarm")["delivered"] > 0)
    check(agent.status()["durable"] is False, "nothing is durable in RAM")
    check("spool-not-durable" in agent.log.read_text(), agent.tail())
    agent.stop()


def check_overlay(run, sink, ram):
    folder = run.folder / "over"
    folder.mkdir()
    for name in ("low", "up", "work"):
        (ram / name).mkdir()
    mount("-t", "overlay", "overlay", folder, "-o",
          f"lowerdir={ram}/low,upperdir={ram}/up,workdir={ram}/work")
    check_refused(agent_at(run, sink, "overlay", folder / "state"), folder / "state", ["overlay"])


def check_mount(run, sink):
    data = run.folder / "data"
    data.mkdir()
    agent = agent_at(run, sink, "mount", data / "state", mount=str(data), volatile=True)
    code, said = run_briefly(agent)
    check(code == 1 and f'spool.mount: "{data}" is not a mount point' in said, f"{code}: {said}")
    result = agent.call("check", "-c", agent.config_file)
    check(result.returncode == 0 and "warning: spool.mount" in result.stderr, result.stderr)
    check(not list(data.iterdir()), f"{list(data.iterdir())} was written below the missing mount")
    mount("-t", "tmpfs", "none", data)
    agent.start()
    agent.stop()
    check((data / "state" / "spool.mdb").exists(), "the spool lies in the mount")


def check_misplaced(run, sink):
    """A file, a link to nothing, a directory of somebody else."""
    file = run.folder / "file"
    file.write_text("mine")
    link = run.folder / "link"
    link.symlink_to(run.folder / "nothing")
    for name, state, words in (("file", file, "a file is in its place"),
                               ("below-file", file / "state", "a file is in its place"),
                               ("link", link, "a link to nothing")):
        code, said = run_briefly(agent_at(run, sink, name, state))
        check(code == 1 and said.count(words) == 1 and str(state) in said, f"{code}: {said}")
    check(file.read_text() == "mine" and not (run.folder / "nothing").exists(), "it was written")
    if os.environ[INSIDE] != "root":
        print("without root nobody else can be played", flush=True)
        return
    agent = agent_at(run, sink, "theirs", run.folder / "theirs" / "state")
    (run.folder / "theirs").mkdir(mode=0o755)
    run.folder.chmod(0o755)
    code, said = run_briefly(agent, ["setpriv", "--reuid", "65534", "--clear-groups"])
    if "runnel.json" in said or "exec" in said:
        print("the programs of this build are not for others", flush=True)
        return
    check(code == 1 and "must belong to the user that runs runnel" in said, f"{code}: {said}")
    check(not list((run.folder / "theirs").iterdir()), "something was written")


def scenario(run):
    ram = run.folder / "ram"
    ram.mkdir()
    mount("-t", "tmpfs", "none", ram)
    sink = harness.Sink(run)
    check_ram(run, sink, ram)
    check_mount(run, sink)
    check_misplaced(run, sink)
    check_overlay(run, sink, ram)


def enter():
    """The same again in a mount name space; 77 where there is none."""
    name_space, who = (["-m"], "root") if os.geteuid() == 0 else (["-rm"], "user")
    command = ["unshare", *name_space]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        print("SKIP: no mount name space")
        sys.exit(harness.SKIPPED)
    os.environ[INSIDE] = who
    os.execvp("unshare", [*command, sys.executable, "-B", *sys.argv])


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter()
    harness.main(harness.arguments(__doc__), scenario)
