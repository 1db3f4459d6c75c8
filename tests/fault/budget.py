#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The data budget: the rate is kept, a spent month leaves alarms alone, and no stop makes it forget.

What the rate allows is bounded by the time that really passed, so that a slow machine only makes it
easier. The month is small, and the spool holds more than it allows. When it is spent the route says
until when, alarms go on, and the agent stays healthy although data waits longer than `alarm_after`.
After kill -9 and a start the count is not lower, after a clean stop it is the same; a file that is
damaged counts as a spent month; on the day of the reset all that waited goes.
"""
import datetime
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # pylint: disable=wrong-import-position
import leap  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

KIB = 1024
RATE = 48 * KIB
RATE_LINES = 1000
MONTH = 4 * KIB * KIB
STEP = 128 * KIB
MONTH_LINES = 10000
RESET_LINES = 2500
RESERVE = MONTH // 100 * 10
HANDSHAKE = 10 * KIB
PIECE = 5 * KIB
AGES = {"normal": {"age": "50ms", "window": "0s"}, "alarm": {"age": "0s"}}


def start_agent(run, sink, name, lines, link, environment=None, **config):
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=name, link=link,
                          spool={"size": "32MiB", "lanes": AGES}, **config)
    path = harness.lines_file(agent.folder / "lines", lines)
    agent.set_sensors([harness.lines_sensor(path)])
    agent.environment.update(environment or {})
    agent.start()
    return agent


def spent(agent):
    status = agent.status()
    check(status is not None, f"status --json gave nothing: {agent.tail()}")
    return status["link"]["month_bytes"]


def delivered(agent, lane):
    return agent.counters(lane=lane)["delivered"]


def rate(run):
    sink = harness.Sink(run, name="sink-rate")
    started = time.monotonic()
    agent = start_agent(run, sink, "rate", RATE_LINES, {"rate": f"{RATE // KIB}KiB/s"})
    looks = 0

    def is_through():
        nonlocal looks
        through = delivered(agent, "normal") >= RATE_LINES
        total, most = spent(agent), RATE * (time.monotonic() - started + 1) + HANDSHAKE + PIECE
        check(total <= most, f"{total} bytes went where {most:.0f} were allowed")
        looks += not through
        return through

    harness.wait_until("everything to be delivered", is_through)
    total = spent(agent)
    check(looks > 10, f"{looks} looks while it was under way are too few to tell")
    route = agent.status()["routes"]["live"]
    counted = route["bytes_out"] + route["bytes_in"]
    check(total == counted, f"{total} bytes counted, {counted} on the route")
    check(agent.stop() == 0, agent.tail())
    sink.stop()
    print(f"rate: {total} bytes within {RATE} a second at {looks} looks", flush=True)


def paused(agent):
    status = agent.status()
    return status is not None and status["routes"]["live"]["state"] == "paused" and status


def next_month():
    today = datetime.datetime.now(datetime.timezone.utc)
    return f"{today.year + today.month // 12}-{today.month % 12 + 1:02}-01"


def check_pause(agent):
    """It says until when, and that nothing is wrong."""
    months = {next_month()}
    status = harness.wait_until("the route to be paused", lambda: paused(agent))
    months.add(next_month())
    until = status["link"]["paused_until"]
    check(status["link"]["paused"] and until[:10] in months, status["link"])
    error = status["routes"]["live"]["error"]
    check(f"until {until[:10]} 00:00 UTC" in error, error)
    check(status["healthy"], status["problem"])
    text = agent.call("status").stdout
    check(f"paused until {until[:10]} 00:00 UTC" in text, text)
    return status["link"]["month_bytes"]


def others_at(sink):
    """How many records of the file have arrived; an alarm may come again after kill -9."""
    return sum('"rpm"' in data for _, _, data in sink.records())


def send_alarms(agent, sink, count):
    """Alarms go, and nothing else does, but for the one record that asks a reply for the time."""
    before, others = delivered(agent, "alarm"), delivered(agent, "normal")
    arrived = others_at(sink)
    lines = [json.dumps({"alarm": number}) for number in range(count)]
    check(agent.send("cli", lines, "--lane", "alarm") == 0, agent.tail())
    harness.wait_until("the alarms to be delivered",
                       lambda: delivered(agent, "alarm") >= before + count)
    check(delivered(agent, "normal") <= others + 1, "the pause let normal records pass")
    check(others_at(sink) <= arrived + 1, "the sink has more than the alarms")


def month(run):
    sink = harness.Sink(run, name="sink-month")
    agent = start_agent(run, sink, "month", MONTH_LINES,
                        {"month": "4MiB", "alarm_reserve": "10%"}, alarm_after="1s")
    count = check_pause(agent)
    check(MONTH - RESERVE <= count < MONTH, f"paused after {count} of {MONTH} bytes")
    harness.wait_until("all lines to be in the spool", lambda: agent.counters()["accepted"] +
                       agent.counters()["pending"] >= MONTH_LINES)
    send_alarms(agent, sink, 5)
    harness.wait_until("data to wait for longer than alarm_after",
                       lambda: agent.status()["routes"]["live"]["delivered_age_s"] > 3)
    check_pause(agent)

    agent.set_sensors([])
    before = spent(agent)
    agent.kill()
    agent.start()
    after = check_pause(agent)
    check(before <= after <= before + STEP, f"{before} bytes were {after} after kill -9")
    send_alarms(agent, sink, 5)

    before = spent(agent)
    check(agent.stop() == 0, agent.tail())
    agent.start()
    again = check_pause(agent)
    check(before <= again <= before + HANDSHAKE + PIECE, f"{before} bytes were {again} after")
    check(agent.stop() == 0, agent.tail())

    (agent.state / "link").write_text("runnel-link 1 month 20000 bytes 7 crc 00000000\n")
    agent.start()
    check("link-count-damaged" in agent.log.read_text(), agent.tail())
    harness.wait_until("the route to be paused", lambda: paused(agent))
    harness.wait_until("the time to be asked for, if that was not known",
                       lambda: agent.status()["link"]["paused_until"])
    check_pause(agent)
    send_alarms(agent, sink, 1)
    check(agent.stop() == 0, agent.tail())

    # The day of the reset, as far as this program can tell: the month before is over, which it may
    # have to learn from the first reply.
    today = datetime.datetime.now(datetime.timezone.utc)
    last = today - datetime.timedelta(days=today.day)
    days = (last - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).days
    (agent.state / "link").write_text(sealed(f"runnel-link 1 month {days} bytes {MONTH}"))
    agent.start()
    harness.wait_until("everything to be delivered",
                       lambda: delivered(agent, "normal") >= MONTH_LINES)
    status = agent.status()
    check(status["healthy"] and not status["link"]["paused"], status["link"])
    check(status["link"]["month_bytes"] < MONTH, f"the month goes on: {status['link']}")
    check(status["routes"]["live"]["state"] == "connected", status["routes"]["live"])
    check(agent.stop() == 0, agent.tail())
    found = sink.stop()["identities"]
    # What was delivered within one ack_window before kill -9 may come twice: the first alarms.
    check(found["unique"] == MONTH_LINES + 11 and found["duplicates"] <= 5, found)
    print(f"month: paused after {count} of {MONTH} bytes, {after} after kill -9", flush=True)


def reset(run):
    """The month ends while the agent runs; leap.c has the rest of it pass at once."""
    try:
        time_of_agent = leap.Leap(run)
    except harness.Skip as why:
        print(f"reset: left out, {why}", flush=True)
        return
    sink = harness.Sink(run, name="sink-reset")
    agent = start_agent(run, sink, "reset", RESET_LINES, {"month": "1MiB"},
                        time_of_agent.environment())
    del agent.environment["LD_PRELOAD"]  # the time of commands does not leap
    check_pause(agent)
    before = delivered(agent, "normal")
    first = datetime.datetime.fromisoformat(next_month() + "T00:00+00:00")
    left = first - datetime.datetime.now(datetime.timezone.utc)
    check(delivered(agent, "normal") == before < RESET_LINES, "the pause let records pass")
    time_of_agent.until(left.total_seconds() + 3600)
    harness.wait_until("everything to be delivered",
                       lambda: delivered(agent, "normal") >= RESET_LINES)
    check("link-month-begins" in agent.log.read_text(), agent.tail())
    check(spent(agent) < KIB * KIB, agent.status()["link"])
    check(agent.stop() == 0, agent.tail())
    sink.stop()
    print(f"reset: paused behind {before} of {RESET_LINES} records, {left.days} days", flush=True)


def sealed(text):
    """As the agent writes it: behind the text its CRC-32C."""
    crc = 0xffffffff
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return f"{text} crc {crc ^ 0xffffffff:08x}\n"


def scenario(run):
    rate(run)
    month(run)
    reset(run)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
