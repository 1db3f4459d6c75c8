#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Flash damages the spool under a running agent, which goes on by itself, as the same process.

During an outage a backlog comes together. Then the header of a page is damaged that will be freed
once its block is delivered, and the bytes of another block. When the endpoint is back, commits
fail; the agent must begin anew by itself and deliver every record of the blocks that are whole, and
those that only RAM had, under their old identities, tell of it in a record, and end well. If that
happens again and again it ends with 1, and still loses nothing.
"""
import json
import pathlib
import re
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check, wait_until  # pylint: disable=wrong-import-position

LANES = ("alarm", "normal", "bulk")
DOCUMENTS = 2000
PAGE = 4096
HEADER = struct.calcsize("P") + 8  # LMDB's, of a page: number, padding, flags, count
OVERFLOW = 0x04
NORMAL = 1


def documents(first, count):
    return [json.dumps({"id": number, "note": "x" * 60}) for number in range(first, first + count)]


def find_blocks(path, spool):
    """[(first sequence, offset of the page)] of the blocks of lane normal with pages of their own.
    Later versions of a block begin at the same sequence: these are left out."""
    found = {}
    data = path.read_bytes()
    for offset in range(0, len(data) - PAGE + 1, PAGE):
        flags, = struct.unpack_from("=H", data, offset + HEADER - 6)
        block = data[offset + HEADER:offset + PAGE]
        if flags == OVERFLOW and block[:4] == b"RNLB" and block[5] == NORMAL \
                and block[16:24] == bytes.fromhex(spool)[::-1]:
            first, = struct.unpack_from("<Q", block, 24)
            found.setdefault(first, []).append(offset)
    return sorted((first, offsets[0]) for first, offsets in found.items() if len(offsets) == 1)


def damage(path, spool):
    """Two headers and one block; returns the documents that lie in that."""
    blocks = find_blocks(path, spool)
    check(len(blocks) > 10, f"{len(blocks)} blocks with pages of their own")
    with path.open("r+b", buffering=0) as file:
        for _, offset in (blocks[1], blocks[5]):
            file.seek(offset + HEADER - 4)
            file.write(struct.pack("=I", 7))  # pages: LMDB would free so many
        _, offset = blocks[-2]
        file.seek(offset + HEADER)
        lost = {int(number) for number in re.findall(rb'"id": (\d+)', file.read(PAGE - HEADER))}
        file.seek(offset + HEADER + 200)
        file.write(b"\xff\x00\xff\x00")
    check(lost, "a block without documents")
    return lost


def damage_headers(path, spool):
    """All of them: whichever is freed first is damaged."""
    blocks = find_blocks(path, spool)
    check(blocks, "no block with a page of its own")
    with path.open("r+b", buffering=0) as file:
        for _, offset in blocks:
            file.seek(offset + HEADER - 4)
            file.write(struct.pack("=I", 7))


def accounts(agent):
    """The status, if the agent answers: it does not while it begins anew."""
    status = agent.status()
    for lane in LANES if status else ():
        harness.check_identity({**status["routes"]["live"]["lanes"][lane], "of": lane})
    return status


def total(status, member):
    return sum(status["routes"]["live"]["lanes"][lane][member] for lane in LANES)


def received(sink):
    """What the sink has: identities, how often each came, ids, and what the agent says itself."""
    identities, ids, said = {}, set(), []
    for _, _, text in sink.records():
        record = json.loads(text)
        identity = (record["spool"], record["seq"])
        identities[identity] = identities.get(identity, 0) + 1
        if record.get("sensor") == "runnel" and "event" in record.get("data", {}):
            said.append(record["data"])
        elif "id" in record.get("data", {}):
            ids.add(record["data"]["id"])
    return identities, ids, said


def check_said(said):
    check([data["event"] for data in said] == ["spool-set-aside", "spool-salvaged"], f"{said}")
    check({data["file"] for data in said} == {"spool.mdb.aside-1"}, f"{said}")
    check(said[0]["reason"] and said[1]["salvage"] == "ended", f"{said}")


def rescues(agent):
    return agent.log.read_text().count("spool-rescued")


def is_well(agent, old):
    status = accounts(agent)
    return status if status and status["healthy"] and status["spool"] != old and \
        status["set_aside"] == 0 and total(status, "stored") < 20 else None


def wear_out(sink, agent, first, times):
    """The agent starts, and finds its file damaged more often than it bears."""
    process = agent.start()
    for number in range(times + 1):
        old, before = agent.status()["spool"], rescues(agent)
        sink.faults(latency_ms=1500)   # the documents are on flash before they are delivered
        check(agent.send("plc", documents(first, 600)) == 0, "documents are accepted")
        first += 600
        damage_headers(agent.state / "spool.mdb", old)
        wait_until("a rescue", lambda: rescues(agent) > before)  # pylint: disable=W0640
        sink.faults(latency_ms=0)
        if number < times:
            wait_until("health", lambda: is_well(agent, old))  # pylint: disable=W0640
    check(process.wait() == 1, "it goes on and on")
    check("spool-damaged-again" in agent.log.read_text(), agent.tail())
    agent.start()
    wait_until("all documents",
               lambda: len(set(range(DOCUMENTS, first)) - received(sink)[1]) == 0)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def scenario(run):
    sink = harness.Sink(run)
    agent = harness.Agent(
        run, sink.endpoint, sink.ca,
        spool={"size": "4MiB", "ack_window": "100ms",
               "lanes": {"bulk": {"window": "1h", "age": "100ms"}, "normal": {"age": "100ms"}}},
        sensors=[{"name": "wave", "driver": "sim", "interval": "50ms", "lane": "bulk"}])
    process = agent.start()
    wait_until("deliveries", lambda: agent.counters(lane="bulk")["delivered"] > 5)
    sink.outage()
    for first in range(0, DOCUMENTS, 200):
        check(agent.send("plc", documents(first, 200)) == 0, "documents are accepted")
    before = wait_until("readings in RAM alone", lambda: (
        lambda status: status if status["lanes"]["bulk"]["pending"] > 10 else None)(agent.status()))
    old, taken = before["spool"], total(before, "accepted") + before["lanes"]["bulk"]["pending"]
    lost = damage(agent.state / "spool.mdb", old)
    sink.faults(latency_ms=300)   # the first deletes come before the last deliveries
    sink.outage(0)

    wait_until("the new beginning", lambda: "spool-rescued" in agent.log.read_text())
    sink.faults(latency_ms=0)
    wait_until("what was salvaged", lambda: "spool-salvaged" in agent.log.read_text())
    status = wait_until("an agent that is well again", lambda: is_well(agent, old))
    wait_until("its own words", lambda: len(received(sink)[2]) == 2)
    check(agent.counters(lane="alarm")["accepted"] == 2, f"{agent.status()}")
    check(process.running() and agent.process is process, "it was not the same process")
    check(not list(agent.state.glob("spool.mdb.aside-*")), "a file that is empty was left")
    check(agent.send("plc", documents(DOCUMENTS, 10)) == 0, "documents are accepted again")
    wait_until("new documents", lambda: DOCUMENTS + 9 in received(sink)[1])
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")

    identities, ids, said = received(sink)
    missing = set(range(DOCUMENTS + 10)) - ids
    check(missing <= lost, f"missing although whole: {sorted(missing - lost)[:10]}")
    check_said(said)
    check(said[1]["lost"] == len(missing), f"{len(missing)} are missing, but {said}")
    of_old = sum(spool == old for spool, _ in identities)
    check(of_old >= taken - len(missing), f"{of_old} of the old spool, of {taken} taken")
    rescued = int(re.search(r"spool-rescued file=\S+ records=(\d+)", agent.log.read_text())[1])
    twice = sum(count - 1 for count in identities.values())
    check(rescued > 0, "nothing was rescued: nothing was in RAM")
    print(f"{of_old} records of the old spool, {rescued} of them out of RAM, {len(missing)} of "
          f"{len(lost)} in a damaged block lost, {twice} twice; set aside {status['set_aside']}",
          flush=True)

    agent.start()   # what was said is not said again
    wait_until("a start", agent.status)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    agent.set_sensors([])
    check(agent.drain() == 0, f"the rest was not delivered: {agent.tail()}")
    check_said(received(sink)[2])
    wear_out(sink, agent, DOCUMENTS + 10, times=3)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
