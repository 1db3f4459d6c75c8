#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
runnel top on terminals of 80x24 and 200x50, as somebody sees it: of agents that are well, cut off,
ill and large. What does not move is compared with reviewed captures (tests/e2e/top); of the rest
lines have to fit, columns to stand under their heads, and no text to be cut within a word.

--accept writes the captures anew, for review. --show prints what the terminals really showed.
--plant tells the program of a wider terminal than it has, which must be noticed.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time

import harness
from harness import Skip, check, wait_until

CAPTURES = pathlib.Path(__file__).resolve().parent / "top"
SIZES = ((80, 24), (200, 50))
FAST = "250ms"
HEADS = ("LANE PENDING STORED BYTES OLDEST REFUSED", "ROUTE STATE RECORDS/S BYTES/S LAST DELIVERY",
         "SENSOR SAMPLES ERRORS AGE VALUES")
TTY = "/dev/serial/by-id/usb-FTDI_of-the-boiler-in-the-second-basement"


# ---- terminals ----

class Terminals:
    """A server of tmux of our own, whose windows have no decoration."""

    def __init__(self, run):
        if shutil.which("tmux") is None:
            raise Skip("tmux is not there: apt-get install tmux")
        self.command = ["tmux", "-u", "-S", str(run.folder / "tmux"), "-f", "/dev/null"]
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        self.call("new-session", "-d", "-s", "keep", "cat")
        self.call("set-option", "-g", "status", "off")
        self.call("set-option", "-g", "remain-on-exit", "on")

    def call(self, *arguments):
        done = subprocess.run([*self.command, *map(str, arguments)], env=self.environment,
                              capture_output=True, text=True, timeout=20, check=False)
        check(done.returncode == 0, f"tmux {arguments[0]}: {done.stderr}")
        return done.stdout

    def open(self, name, size, agent, script):
        self.call("new-session", "-d", "-s", name, "-x", size[0], "-y", size[1],
                  "-e", f"RUNNEL_SOCKET={agent.environment['RUNNEL_SOCKET']}",
                  "-e", f"RUNNEL={agent.run.program('runnel')}", script)

    def screen(self, name):
        return [line.rstrip() for line in
                self.call("capture-pane", "-p", "-t", f"{name}:").splitlines()]

    def state(self, name, variable):
        return self.call("display-message", "-p", "-t", f"{name}:", f"#{{{variable}}}").strip()

    def wait_for(self, name, condition, what):
        """The screen, as soon as CONDITION(screen) holds."""
        def look():
            screen = self.screen(name)
            return screen if condition(screen) else None
        try:
            return wait_until(what, look, 30)
        except harness.Failure as why:
            raise harness.Failure(f"{why}\n" + "\n".join(self.screen(name))) from None

    def close(self):
        subprocess.run([*self.command, "kill-server"], env=self.environment, capture_output=True,
                       check=False)


# ---- what stands on a screen ----

def words_of(text):
    return " ".join(text.split())


def check_fit(screen, size):
    """Not higher and, which a terminal would break, not wider."""
    check(len(screen) <= size[1], f"{len(screen)} lines")
    check(not any(len(line) > size[0] for line in screen), "a line is too long")
    check(screen[0].endswith("ealthy") or screen[0].endswith("NOT HEALTHY"),
          f"the title has no end: {screen[0]!r}")
    starts = [line for line in screen if line and not line.startswith(" ")]
    check(not starts, f"lines that go on at the left edge: {starts}")


def check_heads(screen):
    for head in HEADS:
        check(any(words_of(line).startswith(head) for line in screen), f"no line has {head}")


def check_under(screen, head, numbers, rows):
    """The NUMBERS of ROWS end where their heads in the line with HEAD do."""
    at = next(index for index, line in enumerate(screen) if words_of(line).startswith(head))
    for line in screen[at + 1:at + 1 + rows]:
        for number in numbers:
            end = screen[at].index(number) + len(number)
            check(line[end - 1:end].strip() and not line[end:end + 1].strip(),
                  f"{number} does not stand above its column:\n{screen[at]}\n{line}")


def texts_of(status):
    yield status["problem"] or ""
    yield from status["warnings"][:1]
    for route in status["routes"].values():
        yield route["error"] or ""


def check_whole(screen, texts):
    """Each text is there whole, or ends between two words with dots."""
    shown = words_of(" ".join(screen))
    for text in texts:
        words = words_of(text).split(" ")
        found = words_of(text) in shown or any(
            f"{' '.join(words[:count])} ..." in shown for count in range(1, len(words)))
        check(found, f"not to be read: {text!r}\n" + "\n".join(screen))


# ---- captures ----

def fill(match):
    """What stands at the right edge of a column keeps that; in running text the rest moves."""
    number = match.group(0)
    in_text = match.string.startswith(("   ", " link"))
    blanks = number[:len(number) - len(number.lstrip())]
    return f"{blanks}#" if in_text or blanks == " " else "#".rjust(len(number))


def still(line):
    """The LINE without what moves: numbers, curves, the clock of this machine."""
    line = re.sub(r"\bup \S+ *", "up #  ", line)
    line = re.sub(r"clock \w+", "clock #", line)
    line = re.sub(r" *[▁▂▃▄▅▆▇█]+(?= |$)", lambda found: "~".rjust(len(found.group(0))), line)
    line = re.sub(r"\[[^]]*\]", lambda found: f"[{'=' * (len(found.group(0)) - 2)}]", line)
    line = re.sub(r"  +-(?= )", fill, line)
    line = re.sub(r" +-?\d[\d.]*( (B|[KMG]iB)(/s)?|[dhms](\d\d[dhms])?|[kMG])?(?= |,|:|$)", fill,
                  line)
    return re.sub(r":\d+", ":#", line)


def compare(name, screen, accept):
    text = "".join(f"{still(line)}\n".replace(" \n", "\n") for line in screen).rstrip("\n") + "\n"
    file = CAPTURES / f"{name}.txt"
    if accept:
        CAPTURES.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    expected = file.read_text(encoding="utf-8") if file.is_file() else ""
    check(text == expected, f"{file} is otherwise: if this is meant, top.py --accept\n{text}")


# ---- agents ----

# What is cut off is soon written, so that its sums say so.
QUICK = {"lanes": {"normal": {"age": "50ms", "window": "1s"}}}


def boiler(number=0, channels=3, **more):
    return {"name": "boiler" if number == 0 else f"boiler-{number:02}", "driver": "sim",
            "interval": "200ms", "channels": channels, "offset": 50, "amplitude": 5,
            "decimals": 2, "period": 15, "seed": 1 + number, **more}


def plant_well(run):
    sink = harness.Sink(run, name="well-sink")
    agent = harness.Agent(run, sink.endpoint, sink.ca, "well", device="gw-17", spool=QUICK,
                          sensors=[
        boiler(channels=6), boiler(1, name="pump", wave="noise"),
        boiler(2, name="supply-temperature", channels=1, wave="saw")])
    agent.start()
    return agent, lambda: agent.counters()["delivered"] > 20


def plant_outage(run):
    sink = harness.Sink(run, name="outage-sink")
    agent = harness.Agent(run, sink.endpoint, sink.ca, "outage", device="gw-17",
                          spool={"size": "1MiB", **QUICK},
                          link={"month": "400MiB"}, sensors=[boiler(), boiler(1)])
    agent.start()
    wait_until("a delivery", lambda: agent.counters()["delivered"] > 0)
    sink.outage()

    def is_cut_off():
        status = agent.status()
        return (status["routes"]["live"]["state"] == "offline" and
                status["lanes"]["normal"]["stored"] > 0)
    return agent, is_cut_off


def plant_sick(run):
    sinks = [harness.Sink(run, name=f"sick-{name}") for name in ("live", "lake")]
    routes = [{"name": "live", "endpoint": sinks[0].endpoint, "ca_file": str(sinks[0].ca)},
              {"name": "lake", "destination": "firehose", "endpoint": sinks[1].endpoint,
               "ca_file": str(sinks[1].ca)}]
    agent = harness.Agent(run, None, None, "sick", device="gw-17", spool=QUICK, routes=routes,
                          sensors=[
        boiler(), {"name": "meter", "driver": "lines", "path": TTY},
        boiler(1, name="burner", fail_every=1)])
    sinks[1].faults(refuse_rate=1, refuse_code="AccessDeniedException")
    agent.start()

    def is_sick():
        status = agent.status()
        return (status["routes"]["lake"]["state"] == "needs-operator" and
                status["routes"]["live"]["lanes"]["normal"]["delivered"] > 0 and
                all(status["sensors"][name]["error"] for name in ("meter", "burner")))
    return agent, is_sick


def plant_many(run):
    sink = harness.Sink(run, name="many-sink")
    broken = {7: "broken", 31: "torn-off"}
    sensors = [boiler(number, name=broken[number], fail_every=1) if number in broken else
               boiler(number, channels=1 + number % 5) for number in range(1, 61)]
    agent = harness.Agent(run, sink.endpoint, sink.ca, "many", device="gw-17", spool=QUICK,
                          sensors=sensors)
    agent.start()

    def is_large():
        status = agent.status()
        return (agent.counters()["delivered"] > 200 and
                sum(1 for sensor in status["sensors"].values() if sensor["error"]) == 2)
    return agent, is_large


SCENES = {"well": plant_well, "outage": plant_outage, "sick": plant_sick, "many": plant_many}


# ---- what is tried ----

def check_screen(terminals, name, size, agent, options):
    terminal = f"{name}-{size[0]}x{size[1]}"
    screen = terminals.wait_for(terminal, lambda lines: any("VALUES" in line for line in lines),
                                "sensors on the screen")
    if options.show:
        print(f"---- {terminal}\n" + "\n".join(screen), flush=True)
    check_fit(screen, size)
    check_heads(screen)
    check_under(screen, "LANE", ("PENDING", "STORED", "BYTES", "OLDEST", "REFUSED"), 3)
    check_under(screen, "ROUTE", ("RECORDS/S", "BYTES/S"), 1)
    check_under(screen, "SENSOR", ("SAMPLES", "ERRORS", "AGE"), 1)
    status = agent.status()
    check_whole(screen, texts_of(status))
    if status["warnings"]:
        print(f"{terminal}: not compared: this machine has warnings of its own: "
              f"{status['warnings']}", flush=True)
    else:
        compare(terminal, screen, options.accept)


def check_scenes(run, terminals, options):
    agents = {}
    for name, plant in SCENES.items():
        agents[name], ready = plant(run)
        SCENES[name] = ready
        for size in SIZES:
            lie = "stty cols 100; " if options.plant else ""
            terminals.open(f"{name}-{size[0]}x{size[1]}", size, agents[name],
                           f'{lie}exec "$RUNNEL" top --interval {FAST}')
    for name, agent in agents.items():
        wait_until(f"{name} to be so", SCENES[name])
    time.sleep(float(FAST[:-2]) / 1000 * 8)  # the curves of eight snapshots
    for name, agent in agents.items():
        for size in SIZES:
            check_screen(terminals, name, size, agent, options)
    return agents


def check_resize(terminals, agent):
    terminals.open("resize", (80, 24), agent, f'exec "$RUNNEL" top --interval {FAST}')
    terminals.wait_for("resize", lambda lines: any("VALUES" in line for line in lines), "a screen")
    for size in ((132, 40), (60, 16), (80, 24)):
        terminals.call("resize-window", "-t", "resize:", "-x", size[0], "-y", size[1])
        screen = terminals.wait_for(
            "resize", lambda lines, columns=size[0]: len(lines[0]) == columns - 1,
            f"a title of {size[0]} columns")
        check_fit(screen, size)


def check_end(terminals, agent, how):
    """However it ends, the terminal is as it was."""
    name = f"end-{how}"
    before, after = (agent.folder / f"{name}-{moment}" for moment in ("before", "after"))
    terminals.open(name, (80, 24), agent,
                   f'stty -g >{before}; "$RUNNEL" top; code=$?; stty -g >{after}; '
                   'echo "exit $code"; exec cat')
    terminals.wait_for(name, lambda lines: any("VALUES" in line for line in lines), "a screen")
    check(terminals.state(name, "alternate_on") == "1" and
          terminals.state(name, "cursor_flag") == "0", "the screen is not one of its own")
    if how == "SIGTERM":
        shell = int(terminals.state(name, "pane_pid"))
        children = pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(children[0]), 15)
    else:
        terminals.call("send-keys", "-t", f"{name}:", how)
    terminals.wait_for(name, lambda lines: "exit 0" in lines, f"{how} to end it")
    check(before.read_text() == after.read_text(),
          f"{how} leaves the terminal otherwise: {before.read_text()} {after.read_text()}")
    check(terminals.state(name, "alternate_on") == "0" and
          terminals.state(name, "cursor_flag") == "1", f"{how} leaves the other screen")


def check_absence(terminals, agent):
    """An agent that goes away is missed, and found again."""
    terminals.open("absent", (80, 24), agent, f'exec "$RUNNEL" top --interval {FAST}')
    terminals.wait_for("absent", lambda lines: any("VALUES" in line for line in lines), "a screen")
    check(agent.stop() == 0, agent.tail())
    screen = terminals.wait_for(
        "absent", lambda lines: "no agent runs there" in words_of(" ".join(lines)), "its absence")
    check("q ends" in " ".join(screen), screen)
    agent.start()
    terminals.wait_for("absent", lambda lines: lines[0].endswith(" healthy"), "its return")


def read_terminal(agent, snapshots, **environment):
    """What two snapshots write to a terminal of no size."""
    ours, theirs = pty.openpty()
    process = harness.Process(agent.command("top", "--interval", "100ms"), agent.log,
                              stdin=theirs, stdout=theirs,
                              env={**agent.environment, **environment})
    os.close(theirs)
    seen = b""
    end = time.monotonic() + harness.DEADLINE_S
    while seen.count(b"SAMPLES") < snapshots:
        check(time.monotonic() < end, f"no {snapshots} snapshots: {seen!r}")
        if select.select([ours], [], [], 0.1)[0]:
            seen += os.read(ours, 65536)
    check(process.stop() == 0, "top ended badly")
    os.close(ours)
    return seen


def check_dumb(agent):
    dumb = read_terminal(agent, 2, TERM="dumb", LC_ALL="C")
    check(b"\x1b" not in dumb and dumb.isascii(), f"not plain: {dumb!r}")
    lines = dumb.decode().replace("\r", "").split("\n")
    check(max(map(len, lines)) <= 80, "a line is too long")
    check_heads(lines)
    grey = read_terminal(agent, 1, TERM="xterm", NO_COLOR="1", LC_ALL="C")
    check(b"\x1b[H" in grey and not re.search(rb"\x1b\[[\d;]*m", grey), f"coloured: {grey!r}")


def scenario(run, options):
    terminals = Terminals(run)
    try:
        agents = check_scenes(run, terminals, options)
        check_resize(terminals, agents["well"])
        for how in ("q", "C-c", "SIGTERM"):
            check_end(terminals, agents["well"], how)
        check_dumb(agents["sick"])
        check_absence(terminals, agents["well"])
    finally:
        terminals.close()


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__,
        (("--accept",), {"action": "store_true", "help": "write the captures anew"}),
        (("--show",), {"action": "store_true", "help": "print the screens"}),
        (("--plant",), {"action": "store_true", "help": "lie about the terminal's width"}))
    harness.main(chosen, lambda run: scenario(run, chosen))
