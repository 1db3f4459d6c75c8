#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The disk is full, or becomes read-only, under a running agent: it keeps running and says so, records
go to the cloud out of RAM, and when the disk is well again it commits by itself.

With real disks (a small ext4 in a loop device, root): one that is full before the start, and one
whose file system turns read-only at an error. That one stays so until it is mounted again; so
becoming writable again, and full in the middle of work, are played by failer.c, without root.
"""
import errno
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
import own_mounts
from harness import check, wait_until  # pylint: disable=wrong-import-position

SIM = [{"name": "w", "driver": "sim", "interval": "50ms", "lane": "alarm"}]
DISK_BYTES = 16 << 20


def make_agent(run, sink, name, state):
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=f"agent-{name}", sensors=SIM,
                          spool={"size": "1MiB", "volatile": True})
    agent.environment["RUNNEL_STATE"] = str(state)
    return agent


def wait_for_trouble(agent, words):
    """The status names it, and everything measured still arrives."""
    def named():
        status = agent.status()
        return status if status and status["problem"] and words in status["problem"] else None
    status = wait_until(f"a status that says {words}", named)
    check(not status["healthy"] and not status["durable"], f"{status}")
    delivered = agent.counters(lane="alarm")["delivered"]
    wait_until("deliveries out of RAM",
               lambda: agent.counters(lane="alarm")["delivered"] >= delivered + 10)
    check(agent.process.running(), agent.tail())
    check("spool-commit-failed" in agent.log.read_text(), agent.tail())


def wait_for_recovery(agent, sink):
    """Commits go on without help, also of what only flash can keep."""
    commits = agent.status()["flash"]["commits"]
    sink.outage()
    wait_until("commits", lambda: agent.status()["flash"]["commits"] > commits)
    status = wait_until("health", lambda: (lambda status: status if status["healthy"] else None)(
        agent.status()))
    check(status["durable"] or "spool-not-durable" in agent.log.read_text(), f"{status}")
    check(agent.send("cli", ['{"id":1}'], timeout="20s") == 0, "a document is made durable")
    sink.outage(0)
    wait_until("the rest", lambda: agent.counters(lane="alarm")["stored"] < 10)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def play(run, sink, number):
    """All calls about files fail with NUMBER for a while."""
    words, failer = os.strerror(number), run.build / "tests" / "fault" / "libiofault_failer.so"
    if not failer.exists():
        print(f"{words}: nothing to play it with in this build", flush=True)
        return
    state = run.folder / f"state-{number}"
    agent = make_agent(run, sink, errno.errorcode[number], state)
    switch = run.folder / f"fails-{number}"
    agent.environment.update({"LD_PRELOAD": str(failer), "FAILER_WHILE": str(switch),
                              "FAILER_ERRNO": str(number), "FAILER_ROOT": str(state)})
    agent.start()
    wait_until("the spool", lambda: agent.status()["flash"]["commits"] > 0 or
               "spool-created" in agent.log.read_text())
    switch.touch()
    sink.outage()
    wait_until("a failed commit", lambda: agent.status()["problem"])
    sink.outage(0)
    wait_for_trouble(agent, words)
    switch.unlink()
    wait_for_recovery(agent, sink)


def make_disk(run, name):
    """A mounted ext4; ends with the name space."""
    image, place = run.folder / f"{name}.img", run.folder / name
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    for command in (["mkfs.ext4", "-q", "-F", image],
                    ["mount", "-o", "loop,errors=remount-ro", image, place]):
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise harness.Skip(f"{command[0]}: {result.stderr.strip()}")
    return place


def check_full(run, sink):
    disk = make_disk(run, "full")
    try:
        with (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(65536))
                filler.flush()
    except OSError as full:
        check(full.errno == errno.ENOSPC, f"{full}")
    agent = make_agent(run, sink, "full", disk / "state")
    (disk / "state").mkdir()
    agent.start()
    wait_for_trouble(agent, os.strerror(errno.ENOSPC))
    (disk / "filler").unlink()
    wait_until("the spool", lambda: "spool-created" in agent.log.read_text())
    wait_for_recovery(agent, sink)


def check_read_only(run, sink):
    disk = make_disk(run, "error")
    device = subprocess.run(["findmnt", "-no", "SOURCE", str(disk)], capture_output=True, text=True,
                            check=False).stdout.strip()
    trigger = pathlib.Path("/sys/fs/ext4") / pathlib.Path(device).name / "trigger_fs_error"
    if not device.startswith("/dev/loop") or not trigger.exists():
        raise harness.Skip("no way to make an ext4 fail")
    agent = make_agent(run, sink, "error", disk / "state")
    agent.start()
    wait_until("the spool", lambda: "spool-created" in agent.log.read_text())
    trigger.write_text("a test of the agent\n")
    sink.outage()
    wait_until("a failed commit", lambda: agent.status()["problem"])
    sink.outage(0)
    wait_for_trouble(agent, os.strerror(errno.EROFS))
    agent.stop()


def scenario(run):
    sink = harness.Sink(run)
    for number in (errno.EROFS, errno.ENOSPC, errno.EIO):
        play(run, sink, number)
    if not own_mounts.entered():
        print("without root no real disk", flush=True)
        return
    try:
        check_full(run, sink)
        check_read_only(run, sink)
    finally:
        for name in ("full", "error"):
            subprocess.run(["umount", "-l", str(run.folder / name)], capture_output=True,
                           check=False)


if __name__ == "__main__":
    own_mounts.enter()
    harness.main(harness.arguments(__doc__), scenario)
