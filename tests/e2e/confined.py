#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What the agent gave up is really gone: started by root it has the rights of its state directory's
owner, no capabilities, and nobody but root reads its memory; a program that it starts finds no call
to go on from into the kernel or another process. And it needs none of that: under the same filter,
with a refused call as the end of the process, it samples, delivers over TLS, takes another
configuration, and ends well.

--plant takes a call that it needs off the list, which must be noticed.
"""
import json
import os
import pathlib
import subprocess

import harness
from harness import Skip, check, wait_until

SOMEBODY = 65533
ENOSYS, EAFNOSUPPORT = 38, 97
# By number where the machine's libc has no name for it; these are the same everywhere since 5.1.
PROBE = """
import ctypes, json, socket
libc = ctypes.CDLL(None, use_errno=True)
def error(function, *arguments):
    ctypes.set_errno(0)
    function(*arguments)
    return ctypes.get_errno()
def family(number):
    try:
        socket.socket(number, socket.SOCK_DGRAM).close()
    except OSError as fault:
        return fault.errno
    return 0
own = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
print(json.dumps({
    'ptrace': error(libc.ptrace, 16, 1, 0, 0), 'mount': error(libc.mount, 0, 0, 0, 0, 0),
    'unshare': error(libc.unshare, 0x10000000), 'io_uring': error(libc.syscall, 425, 1, 0),
    'alg': family(38), 'vsock': family(40), 'privileges': own['NoNewPrivs'].strip(),
    'seccomp': own['Seccomp'].strip(), 'capabilities': own['CapEff'].strip(),
    'bound': own['CapBnd'].strip(), 'uid': own['Uid'].split()[0]}))
"""


def own_status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def documents(sink, sensor):
    for _, _, data in sink.records():
        record = json.loads(data)
        if record["sensor"] == sensor:
            yield record.get("values") or record["data"]


def check_probe(sink, user):
    found = next(documents(sink, "probe"))
    for name in ("ptrace", "mount", "unshare", "io_uring"):
        check(found[name] == ENOSYS, f"{name} did not fail with ENOSYS: {found}")
    for name in ("alg", "vsock"):
        check(found[name] == EAFNOSUPPORT, f"{name} did not fail with EAFNOSUPPORT: {found}")
    check(found["privileges"] == "1" and int(found["seccomp"]) == 2, found)
    check(int(found["capabilities"], 16) == 0 and found["uid"] == str(user), found)
    if os.geteuid() == 0:
        check(int(found["bound"], 16) == 0, found)


def check_memory_is_hidden(pid, user):
    """From who has the same user, as whatever it started has."""
    for name in ("environ", "mem", "maps"):
        result = subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                                 "--", "head", "-c", "1", f"/proc/{pid}/{name}"],
                                capture_output=True, text=True, check=False)
        check("Permission denied" in result.stderr, f"{name}: {result}")


def give_away(folder, user):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)


def check_confined(run, sink):
    user = SOMEBODY if os.geteuid() == 0 else os.geteuid()
    probe = run.folder / "probe.py"
    probe.write_text(PROBE)
    agent = harness.Agent(run, sink.endpoint, sink.ca, sensors=[
        {"name": "probe", "driver": "exec", "interval": "500ms", "timeout": "10s",
         "command": ["/usr/bin/python3", "-I", str(probe)]}],
        spool={"lanes": {"normal": {"age": "100ms"}}})
    if os.geteuid() == 0:
        for path in (run.folder, sink.folder, sink.ca):
            path.chmod(0o755)
        give_away(agent.folder, user)
    agent.start()
    own = own_status(agent.process.pid)
    if own["Seccomp"] == "0":
        raise Skip("the kernel filters no system calls")
    wait_until("what the probe found", lambda: next(documents(sink, "probe"), None))
    check_probe(sink, user)
    check(set(own["Uid"].split()) == {str(user)}, own)
    check(all(int(own[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")), own)
    check(own["NoNewPrivs"] == "1" and own["Seccomp"] == "2", own)
    confined = agent.status()["confined"]
    check(confined["capabilities"] == "none" and confined["seccomp"] == "on", confined)
    if os.geteuid() == 0:
        check(confined["user"] == str(user), confined)
        check_memory_is_hidden(agent.process.pid, user)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def local_agent(run, name):
    out = str(run.folder / name / "out")
    return harness.Agent(run, None, name=name, sensors=[{"name": "tank", "driver": "sim"}],
                         routes=[{"destination": "archive", "path": out}])


def check_runs_what_was_applied(run, user):
    """Of the state directory's owner, whom root becomes also where the main file is wrong."""
    agent = local_agent(run, "applied")
    document = agent.folder / "document.json"
    document.write_text(json.dumps(agent.config))
    give_away(agent.folder, user)
    agent.state.chmod(0o750)
    result = agent.call("config", "apply", document, "-c", agent.config_file)
    check(result.returncode == 0, result)
    agent.config["devise"] = "gw"
    agent.write_config()
    agent.start()
    status = agent.status()
    check(status["confined"]["user"] == str(user), agent.tail())
    check(status["config"]["state"] in ("trial", "applied"), f"{status['config']}: {agent.tail()}")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def check_makes_its_state(run, user):
    """In a folder of its user, who is found by that."""
    agent = local_agent(run, "new")
    give_away(agent.folder, user)
    agent.environment["RUNNEL_STATE"] = str(agent.state / "deep" / "spool")
    agent.start()
    check(agent.status()["confined"]["user"] == str(user), agent.tail())
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def check_makes_what_its_socket_needs(run, user):
    """Where its user may not: what it makes as root is his, and nothing else."""
    agent = local_agent(run, "socket")
    give_away(agent.folder, user)
    above, folder = run.folder / "run", run.folder / "run/a/b"
    above.mkdir(mode=0o755)
    agent.environment["RUNNEL_SOCKET"] = str(folder / "control.sock")
    agent.start()
    check(agent.status()["confined"]["user"] == str(user), agent.tail())
    check("runs-as user=" in agent.call("log").stdout, "the log does not say who runs it")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    owners = [path.stat().st_uid for path in (run.folder, above, folder.parent, folder)]
    check(owners == [0, 0, user, user], f"the folders belong to {owners}")


def check_names_who_cannot_read(run, user):
    agent = local_agent(run, "unreadable")
    give_away(agent.state, user)
    agent.config_file.chmod(0o600)
    result = agent.call("run", "-c", agent.config_file)
    check(result.returncode == 78, result)
    check(f"runs-as user={user}" in result.stderr, result.stderr)
    check(f"Permission denied; let the user {user} read it" in result.stderr, result.stderr)


def wait_for(agent, sink, sensor):
    def look():
        code = agent.process.popen.poll()
        check(code is None, f"it ended with {code}: {agent.tail()}")
        return next(documents(sink, sensor), None)

    wait_until(f"records of {sensor}", look)


def check_misses_nothing(run, sink, launcher):
    """Each kind of thread and input, a reload, an outage, a commit, a program."""
    fifo = run.folder / "fifo"
    os.mkfifo(fifo)
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="strict", sensors=[
        {"name": "machine", "driver": "proc", "interval": "100ms"},
        {"name": "tank", "driver": "sim", "interval": "100ms"},
        {"name": "me", "driver": "self", "interval": "200ms"},
        {"name": "plc", "driver": "lines", "path": str(fifo)},
        {"name": "load", "driver": "exec", "interval": "200ms", "format": "csv", "separator": " ",
         "command": ["/bin/sh", "-c", "cat /proc/loadavg | head -n 1"],
         "channels": [{"name": "load1"}, {"type": "skip"}, {"type": "skip"}, {"type": "skip"},
                      {"type": "skip"}]}],
        spool={"lanes": {"normal": {"age": "100ms", "window": "100ms"}}})
    agent.under = launcher
    try:
        agent.start()
    except harness.Failure as failure:
        raise harness.Failure(f"under its own list the agent does not live: {failure}") from None
    with open(os.open(fifo, os.O_RDWR), "wb") as end:  # waits for no reader, who may have died
        end.write(b'{"temp":21.50}\n')
        end.flush()
        wait_for(agent, sink, "plc")
    for sensor in ("machine", "tank", "me", "load"):
        wait_for(agent, sink, sensor)
    sink.outage(1)
    check(agent.send("hand", ['{"count":1}']) == 0, "runnel send")
    wait_for(agent, sink, "hand")
    agent.config["sensors"][1]["name"] = "well"
    agent.write_config()
    result = agent.call("config", "reload")
    check(result.returncode == 0, result.stderr)
    wait_for(agent, sink, "well")
    for command in (("status",), ("metrics",), ("sensors", "machine"), ("log",), ("spool", "show")):
        result = agent.call(*command, "-c", agent.config_file) if command[0] not in (
            "status", "metrics") else agent.call(*command)
        check(result.returncode == 0, f"{command}: {result.stderr}")
    code = agent.stop()
    check(code == 0, f"it ended with {code}: {agent.tail()}")


def main():
    options = harness.arguments(__doc__, (["--plant"], {"action": "store_true"}))

    def scenario(run):
        sink = harness.Sink(run)
        launcher = [str(run.program("tests/e2e/strict"))]
        if options.plant:
            launcher.append("--without-fdatasync")
        else:
            check_confined(run, sink)
            if os.geteuid() == 0:
                check_runs_what_was_applied(run, SOMEBODY)
                check_makes_its_state(run, SOMEBODY)
                check_names_who_cannot_read(run, SOMEBODY)
                check_makes_what_its_socket_needs(run, SOMEBODY)
        check_misses_nothing(run, sink, launcher)
        sink.stop()

    harness.main(options, scenario)


if __name__ == "__main__":
    main()
