#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Routes into a directory: exact, on a medium that vanishes and comes back, on one that is full,
within a size, and beside a route to a stream that must not notice them.
"""
import json
import os
import subprocess
import time

import harness
import objects
from harness import check, wait_until

HELD = {"hold": True, "every": "1s"}


def route(path, **more):
    """Nobody tells the time here where the kernel does not know it."""
    return {"name": "usb", "destination": "archive", "path": str(path), **harness.NO_QUESTION,
            **more}


def start(run, name, path, **more):
    agent = harness.Agent(run, None, name=name, routes=[route(path, **{**HELD, **more})],
                          sensors=[{"name": "proc", "driver": "proc", "interval": "1h"}])
    agent.start()
    return agent


def read(path):
    """All records below PATH; nothing lies there but objects."""
    records = []
    for file in sorted(path.rglob("*")):
        if file.is_file():
            records += objects.read(str(file.relative_to(path)), file.read_bytes())
    return records


def lines(first, count):
    return [json.dumps({"id": number}) for number in range(first, first + count)]


def send(agent, first, count):
    check(agent.send("plc", lines(first, count)) == 0, f"nothing was accepted: {agent.tail()}")


def usb(agent):
    status = agent.status()
    return status["routes"]["usb"] if status else {"state": "", "error": ""}


def await_state(agent, state, words):
    found = wait_until(f"the state {state}", lambda: usb(agent)["state"] == state and usb(agent))
    check(words in (found["error"] or ""), f"{state} says: {found['error']}")


def await_all(agent, path, sent):
    """Exactly what was SENT is in PATH."""
    wait_until("everything to be stored",
               lambda: sum("data" in record for record in read_now(path)) >= sent)
    objects.check_lines(read(path), lines(0, sent))
    harness.check_identity(agent.counters("usb"))


def read_now(path):
    """As read, while the agent works: names that it gives and takes are passed over."""
    try:
        return read(path)
    except (harness.Failure, FileNotFoundError):
        return []


# ---- scenarios ----

def drain(run, count):
    path = run.folder / "drained"
    path.mkdir()
    source = harness.lines_file(run.folder / "lines.jsonl", count)
    agent = harness.Agent(run, None, name="drain", sensors=[harness.lines_sensor(source)],
                          routes=[route(path, hold=True, batch={"bytes": "256KiB"})])
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    objects.check_lines(read(path), source.read_text().splitlines())
    found = sum(file.is_file() for file in path.rglob("*"))
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(f"{count} lines exactly once in {found} objects of {size} bytes", flush=True)


def vanish(run):
    """The directory goes and comes; in between nothing is made in its place."""
    path = run.folder / "medium" / "runnel"
    path.mkdir(parents=True)
    away = run.folder / "away"
    agent = start(run, "vanish", path)
    send(agent, 0, 50)
    await_all(agent, path, 50)
    path.rename(away)
    send(agent, 50, 50)
    await_state(agent, "offline", "put the medium back")
    check(not path.exists(), "the directory was made")
    away.rename(path)
    await_all(agent, path, 100)
    check(agent.stop() == 0, "it did not end well")
    agent.start()
    send(agent, 100, 50)
    await_all(agent, path, 150)
    await_state(agent, "connected", "")
    check(usb(agent)["bytes_out"] > 0, "no byte was counted")
    agent.stop()


def mounted(run):
    """A real medium of 128 KiB: mounted late, full, emptied, torn off."""
    mount = run.folder / "mount"
    mount.mkdir()
    (mount / "runnel").mkdir()  # somebody made it below the mount point, too
    agent = start(run, "mounted", mount / "runnel", mount=str(mount))
    send(agent, 0, 20)
    await_state(agent, "offline", "mount the medium")
    check(not list((mount / "runnel").iterdir()), "it was written into the mount point")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "runnel-test", mount], check=True)
    try:
        (mount / "runnel").mkdir()
        await_all(agent, mount / "runnel", 20)
        (mount / "ballast").write_bytes(bytes(os.statvfs(mount).f_bavail * 4096))
        send(agent, 20, 20)
        await_state(agent, "backing-off", "make room there, or lower 'size'")
        (mount / "ballast").unlink()
        await_all(agent, mount / "runnel", 40)
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
    send(agent, 40, 20)
    await_state(agent, "offline", "mount the medium")
    check(not list((mount / "runnel").iterdir()), "it was written into the mount point")
    check(agent.counters("usb")["evicted"] == 0, "records were evicted")
    agent.stop()


def capped(run):
    """The newest objects stay, and what others put beside them."""
    path = run.folder / "ring"
    path.mkdir()
    (path / "photo.jpg").write_bytes(bytes(4096))
    source = harness.lines_file(run.folder / "capped.jsonl", 20000)
    agent = harness.Agent(run, None, name="capped", sensors=[harness.lines_sensor(source)],
                          routes=[route(path, hold=True, size="1MiB", compress="none",
                                        batch={"bytes": "128KiB"})])
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    (path / "photo.jpg").unlink()
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    check(1 << 19 < size <= 1 << 20, f"{size} bytes are left of 1 MiB")
    numbers = [record["data"]["id"] for record in read(path) if "data" in record]
    check(numbers == list(range(20000 - len(numbers), 20000)), "these are not the newest")


def unheld(run):
    """Nothing is kept or written for a route without hold, and its medium ails nobody."""
    sink = harness.Sink(run)
    flash = {}
    for name, archives in (("alone", []), ("beside", [route(run.folder / "nowhere")])):
        agent = harness.Agent(run, sink.endpoint, sink.ca, name=name, alarm_after="1s",
                              routes=[{"order": "fifo"}, *archives],
                              sensors=[{"name": "proc", "driver": "proc", "interval": "1h"}])
        agent.config["spool"] = {"lanes": {"normal": {"age": "200ms", "window": "60s"}}}
        agent.write_config()
        agent.start()
        before = agent.status()["flash"]["bytes"]
        for turn in range(10):
            agent.send("plc", lines(turn * 10, 10), "--lane", "normal")
            wait_until("delivery", lambda: agent.counters()["stored"] == 0 and
                       agent.counters()["pending"] == 0)
        if archives:
            await_state(agent, "offline", "put the medium back")
            ill = time.monotonic() + 1.5  # longer than alarm_after
            wait_until("a second and a half", lambda: time.monotonic() > ill)
        status = agent.status()
        flash[name] = status["flash"]["bytes"] - before
        check(status["healthy"], f"{name}: is not healthy")
        check(status["routes"]["live"]["lanes"]["normal"]["delivered"] >= 100, "not all came")
        check(agent.stop() == 0, "it did not end well")
    check(flash["beside"] <= flash["alone"],
          f"flash got {flash['beside']} bytes, without the archive {flash['alone']}")
    print(f"flash: {flash['alone']} bytes without, {flash['beside']} with an archive", flush=True)


def unheld_takes_what_is_there(run):
    """It is given what it can have before the stream has it."""
    path = run.folder / "taken"
    path.mkdir()
    sink = harness.Sink(run, name="sink-2")
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="first", routes=[{}, route(path)],
                          sensors=[{"name": "proc", "driver": "proc", "interval": "1h"}])
    agent.config["spool"] = {"lanes": {"normal": {"age": "2s", "window": "60s"}}}
    agent.write_config()
    agent.start()
    process = harness.Process(agent.command("send", "plc"), run.folder / "log",
                              env=agent.environment, stdin=subprocess.PIPE)
    process.popen.stdin.write(("\n".join(lines(0, 30)) + "\n").encode())
    process.popen.stdin.close()
    wait_until("the stream to have all", lambda: agent.counters()["delivered"] >= 30)
    await_all(agent, path, 30)
    agent.stop()


def scenario(run, count):
    drain(run, count)
    vanish(run)
    capped(run)
    unheld(run)
    unheld_takes_what_is_there(run)
    if os.geteuid() == 0:
        mounted(run)
    else:
        print("not as root: nothing was mounted", flush=True)


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--lines",), {"type": int, "default": 20000}))
    harness.main(options, lambda run: scenario(run, options.lines))
