# SPDX-License-Identifier: Apache-2.0
"""
Rows H1 to H9, N6 to N8 of the fault matrix: what an endpoint, or what stands for it, may answer.

Most replies here are of an endpoint that stored nothing. Who believes them loses records.
"""
import base64
import json
import re
import time

import harness
import rogue
from harness import check, wait_until
from matrix_world import World, case, descriptors
from rogue import aws, error, message, stored_entry, success

FACTOR = 30


def answer(reply):
    """An act: nothing is stored, REPLY (of the talk) is sent, the connection is kept."""
    return lambda talk: talk.send(reply(talk) if callable(reply) else reply)


def run_suffering(run, table, factor=FACTOR, route=None):
    """TABLE: (reply, words that status says meanwhile, state)."""
    world = World(run, factor, route=route).start()
    for reply, words, state in table:
        act = reply if getattr(reply, "is_act", False) else answer(reply)
        try:
            world.suffer(act, words, state)
        except harness.Failure as failure:
            raise harness.Failure(f"{failure}, with {words!r} ({str(reply)[:60]})") from None
    return world


def is_act(function):
    function.is_act = True
    return function


# ---- H1: partial failures, and replies that contradict themselves ----

def fail_place(place):
    """An act: the record at PLACE fails alone, all others are stored."""
    def act(talk):
        count = len(talk.records)
        bad = set(range(count)) if place is None else {place % count}
        good = [i for i in range(count) if i not in bad]
        entries = {i: {"ErrorCode": "ProvisionedThroughputExceededException",
                       "ErrorMessage": "Rate exceeded for shard shardId-000000000000"}
                   for i in bad}
        if good:
            reply = json.loads(talk.forward(good).split(b"\r\n\r\n", 1)[1])
            entries.update(zip(good, reply[talk.form.results]))
        talk.tell(aws(talk.form.spell({"FailedRecordCount": len(bad),
                                       "Records": [entries[i] for i in range(count)]})))
    return act


@case("H1", "each position fails, and all")
def each_position(run, **route):
    world = World(run, FACTOR, sink_options=["--no-signature"],
                  route={"batch": {"records": 6}, **route}).start(6)
    for place in [*range(6), None]:
        world.meet(fail_place(place), records=6)
    check(world.route()["retried"] >= 7, "what failed is counted as sent again")
    world.finish()


def entries(change):
    """A reply like success, of which CHANGE makes something else."""
    def reply(talk):
        body = success(len(talk.records))
        changed = change(body, body["Records"])
        return aws(talk.form.spell(body if changed is None else changed))
    return reply


def cut_entry(_, records):
    records.pop()


def more_entries(_, records):
    records.append(stored_entry(999))


def set_entry(entry):
    def change(_, records):
        records[:] = [dict(entry) for _ in records]
    return change


def set_member(name, value):
    def change(body, _):
        body[name] = value
    return change


def drop_member(name):
    def change(body, _):
        del body[name]
    return change


INCONSISTENT = [
    cut_entry, more_entries,
    set_entry({}), set_entry({"SequenceNumber": ""}), set_entry({"SequenceNumber": None}),
    set_entry({"ShardId": "shardId-000000000000"}),
    set_entry({"SequenceNumber": 7}),
    set_entry({"ErrorCode": "InternalFailure", "SequenceNumber": "7"}),
    set_member("Records", []), set_member("Records", None), set_member("Records", {}),
    set_member("Records", "stored"), drop_member("Records"),
    lambda body, _: {"Output": body},
    lambda body, _: [body],
    lambda body, _: json.dumps(body)[:-1],
    lambda body, _: json.dumps(body) + "{}",
    lambda body, _: json.dumps(body).replace("SequenceNumber", "sequencenumber"),
    lambda body, _: "", lambda body, _: "null", lambda body, _: "{}", lambda body, _: "OK",
    lambda body, _: b"\xff\xfe" + json.dumps(body).encode("utf-16-le"),
]


@case("H1", "replies that contradict themselves")
def inconsistent(run, **route):
    table = [(entries(change), r"answered 200|not taken", "backing-off") for change in INCONSISTENT]
    run_suffering(run, table, route=route).finish()


def odd_entry(entry):
    """An act: all but the last record are stored, of which the reply says ENTRY."""
    def act(talk):
        last = len(talk.records) - 1
        good = list(range(last))
        records = []
        if good:
            reply = json.loads(talk.forward(good).split(b"\r\n\r\n", 1)[1])
            records = reply[talk.form.results]
        talk.send(aws(talk.form.spell({"FailedRecordCount": 1, "Records": [*records, entry]})))
    return act


@case("H1", "entries that say neither stored nor failed")
def odd_entries(run, **route):
    world = World(run, FACTOR, sink_options=["--no-signature"], route=route).start()
    for entry in (None, [], "stored", 7, True, {}, {"ErrorCode": ""}, {"ErrorMessage": "no"},
                  {"ErrorCode": None, "SequenceNumber": None}, {"ErrorCode": "NeverHeardOf"}):
        world.meet(odd_entry(entry))
    world.finish()


@case("H1", "a count that the entries contradict")
def wrong_count(run, **route):
    """All entries say stored, the count says failed: neither can be believed."""
    world = run_suffering(run, [
        (entries(lambda body, records: body.update(FailedRecordCount=len(records))),
         "answered 200", "backing-off"),
        (entries(set_member("FailedRecordCount", 1)), "answered 200", "backing-off")], route=route)
    world.finish()


# ---- H2: poison ----

def poison(code, text):
    """The whole batch is refused for the poisoned records in it."""
    def act(talk):
        request = json.loads(talk.body)
        entries_sent = request.get("Records", [request])
        if any(b"poison" in base64.b64decode(entry["Data"]) for entry in entries_sent):
            talk.send(error(code, 400, text))
        else:
            talk.tell(talk.forward())
    return act


def run_poison(run, places, code="ValidationException", count=80, **route):
    """Of COUNT records those at PLACES become dead letters, and no others; with the reason."""
    world = World(run, FACTOR, route={"batch": {"records": 64}, **route}).start()
    world.rogue.act = poison(code, "1 validation error detected")
    for number in range(count):
        world.feed(1, **({"note": "poison"} if number in places else {}))
    wait_until("the dead letters",
               lambda: world.route()["lanes"]["normal"]["dead"] >= len(places))
    world.wait_stored(less=len(places))
    check(world.status()["dead"]["letters"] == len(places), "the dead letters are kept")
    listed = world.agent.call("dead", "list", "--json")
    check(listed.stdout.count(code) >= len(places), f"the reason is told: {listed}")
    return world


@case("H2", "one poison record among many")
def poison_record(run):
    run_poison(run, {40}).finish(dead=1)


@case("H2", "poison first, last, side by side, and more of it than is set aside at once")
def poison_places(run, **route):
    """Records that are refused one behind another look as if all were: the route has to look
    further on, and finds a good one there."""
    run_poison(run, {0, 1, 2, 30, 31, 50, *range(55, 78)},
               "InvalidArgumentException", count=300, **route).finish(dead=29)


@case("H2", "poison where order is strict")
def poison_in_order(run):
    world = run_poison(run, {0, 7, 8, 20}, count=30, order="strict", partition="sensor")
    ids = [json.loads(data)["data"]["id"] for _, _, data in world.sink.records()]
    check(ids == sorted(ids), f"out of order: {ids}")
    world.finish(dead=4)


@case("H2", "all is refused as poison: that is no record's fault")
def all_refused(run):
    """A stream that refuses everything is somebody's mistake; nothing is buried for it."""
    world = World(run, 2 * FACTOR).start()
    for code in ("ValidationException", "InvalidArgumentException"):
        world.rogue.act = answer(error(code))
        world.feed(60)
        world.wait_said(code)
        before = world.rogue.requests()
        wait_until("more tries", lambda limit=before: world.rogue.requests() > limit + 40)
        check(world.route()["lanes"]["normal"]["dead"] == 0, f"{code} for all made letters")
        world.rogue.act = None
        world.wait_stored()
    world.finish()


@case("H2", "what cannot be read is no poison")
def unreadable(run):
    """SerializationException is said to what we sent, or to whom: the records stay."""
    world = World(run, FACTOR).start()
    world.rogue.act = answer(error("SerializationException"))
    world.feed(10)
    world.wait_said("SerializationException", "needs-operator")
    check(world.route()["lanes"]["normal"]["dead"] == 0, "SerializationException made letters")
    world.rogue.act = None
    world.finish()


# ---- H3, H5, H6: AWS's error codes ----

OPERATOR, PASSES = "needs-operator", "backing-off"
CODES = [
    # H3: aws-wire 1.7 and 2.5, who is asking and when
    ("H3", 400, "InvalidSignatureException", "The request signature we calculated does not match",
     OPERATOR),
    ("H3", 403, "SignatureDoesNotMatch", "The request signature we calculated does not", OPERATOR),
    ("H3", 400, "IncompleteSignature", "Authorization header requires", OPERATOR),
    ("H3", 400, "IncompleteSignatureException", "", OPERATOR),
    ("H3", 400, "MissingAuthenticationTokenException", "Missing Authentication Token", OPERATOR),
    ("H3", 400, "UnrecognizedClientException", "The security token included in the request is "
     "invalid.", OPERATOR),
    ("H3", 400, "ExpiredTokenException", "The security token included in the request is expired",
     OPERATOR),
    ("H3", 403, "ExpiredToken", "", OPERATOR),
    ("H3", 403, "InvalidAccessKeyId", "", OPERATOR),
    ("H3", 403, "InvalidClientTokenId", "", OPERATOR),
    ("H3", 400, "AccessDeniedException", "User: arn:aws:sts::1:x is not authorized", OPERATOR),
    ("H3", 403, "AccessDenied", "", OPERATOR),
    ("H3", 403, "AuthFailure", "", OPERATOR),
    ("H3", 400, "KMSAccessDeniedException", "", OPERATOR),
    ("H3", 400, "KMSOptInRequired", "", OPERATOR),
    # H5: throttles and what passes by itself
    ("H5", 400, "ProvisionedThroughputExceededException", "Rate exceeded for shard", PASSES),
    ("H5", 400, "LimitExceededException", "", PASSES),
    ("H5", 400, "ThrottlingException", "Rate exceeded", PASSES),
    ("H5", 400, "KMSThrottlingException", "", PASSES),
    ("H5", 400, "RequestLimitExceeded", "", PASSES),
    ("H5", 429, "TooManyRequestsException", "Too Many Requests", PASSES),
    ("H5", 429, "LimitExceededException", "Limit Exceeded", OPERATOR),
    ("H5", 503, "SlowDown", "", PASSES),
    ("H5", 500, "InternalFailure", "", PASSES),
    ("H5", 500, "InternalFailureException", "", PASSES),
    ("H5", 500, "InternalError", "", PASSES),
    ("H5", 503, "ServiceUnavailable", "", PASSES),
    ("H5", 503, "ServiceUnavailableException", "Slow down.", PASSES),
    ("H5", 400, "RequestTimeout", "", PASSES),
    # H6: a stream that is not there
    ("H6", 400, "ResourceNotFoundException", "Stream telemetry under account 1 not found.",
     OPERATOR),
    ("H6", 400, "ResourceInUseException", "", OPERATOR),
    ("H6", 400, "KMSDisabledException", "", OPERATOR),
    ("H6", 400, "KMSInvalidStateException", "", OPERATOR),
    ("H6", 400, "KMSNotFoundException", "", OPERATOR),
    ("H6", 400, "UnknownOperationException", "", OPERATOR),
    ("H6", 400, "SerializationException", "", OPERATOR),
]


def spellings(code, status, text):
    """The forms of aws-wire 2.5: with a name space, with a URL, in a header alone, as XML."""
    yield aws({"__type": code, "message": text}, status)
    yield aws({"__type": f"com.amazonaws.kinesis.v20131202#{code}", "Message": text}, status)
    yield aws({"message": text}, status, [f"x-amzn-ErrorType: {code}:http://internal.amazon.com/"])


def run_codes(run, row):
    """Each code in one of its spellings, by turns; all of them stay until status has named it."""
    table = []
    for number, (of, status, code, text, state) in enumerate(CODES):
        if of == row:
            forms = list(spellings(code, status, text))
            table.append((forms[number % len(forms)], code, state))
    run_suffering(run, table, 2 * FACTOR).finish()


@case("H3", "signature, token and permission refused")
def refused(run):
    run_codes(run, "H3")


@case("H5", "throttles and failures of AWS by code")
def throttled(run):
    run_codes(run, "H5")


@case("H6", "no such stream, key or operation")
def not_found(run):
    run_codes(run, "H6")


@case("H3", "XML and HTML refusals")
def foreign_forms(run):
    page = "<html><head><title>403 Forbidden</title></head><body>blocked</body></html>"
    unknown = "<AccessDeniedException>\n  <Message>Unable to determine service</Message>\n" \
              "</AccessDeniedException>\n"
    world = run_suffering(run, [
        (message(403, page, ["Content-Type: text/html"]), "403", OPERATOR),
        (message(403, unknown), "403", OPERATOR),
        (message(403, '{"message":"Forbidden"}', ["x-amzn-ErrorType: ForbiddenException"]), "403",
         OPERATOR),
        (message(404, '{"message":"Not Found"}'), "404", OPERATOR),
        (message(401, '{"message":"Unauthorized"}'), "401", OPERATOR),
    ])
    world.finish()


@case("H5", "statuses without a code")
def bare_statuses(run):
    table = [(message(status, body), str(status), PASSES)
             for status in (429, 500, 502, 503, 504)
             for body in ("", "<html>try later</html>")]
    run_suffering(run, table).finish()


@case("H5", "Retry-After and x-amz-retry-after")
def retry_after(run):
    """A lower bound alone: the agent never comes earlier than it was asked to."""
    world = World(run, FACTOR).start()
    for headers, seconds in ((["Retry-After: 20"], 20), (["x-amz-retry-after: 25000"], 25)):
        before = world.rogue.requests()
        world.meet(answer(error("ServiceUnavailable", 503, headers=headers)))
        first, second = [talk for talk in world.rogue.talks if talk.records][before:][:2]
        waited = (second.at - first.at) * FACTOR
        check(waited >= seconds, f"{headers}: came again after {waited:.1f} s")
    world.meet(answer(error("ServiceUnavailable", 503, headers=["Retry-After: 99999999"])))
    world.meet(answer(error("ServiceUnavailable", 503, headers=["Retry-After: -5"])))
    world.meet(answer(error("ServiceUnavailable", 503, headers=["Retry-After: soon"])))
    world.finish()


# ---- H4: limits ----

@case("H4", "more than one request may carry")
def split_before(run):
    """80 documents of 60 KB: 4.8 MB, of which a request takes 1 MiB at most."""
    spool = {"size": "16MiB", "lanes": {"normal": {"age": "100ms"}}}
    world = World(run, 1, route={"batch": {"records": 500, "bytes": "1MiB"}},
                  config={"spool": spool}).start()
    world.feed(80, note="x" * 60000)
    world.wait_stored()
    largest = max(len(talk.body) for talk in world.rogue.talks)
    check(largest < 1.5 * 1024 * 1024, f"a request had {largest} bytes")
    summary = world.finish()
    greetings = sum(1 for talk in world.rogue.talks if not talk.records)
    check(summary["rejected"] <= greetings, f"the sink refused something: {summary}")


def too_large(limit, reply):
    def act(talk):
        if len(talk.body) > limit:
            talk.send(reply)
        else:
            talk.tell(talk.forward())
    return act


@case("H4", "413 above a size")
def content_too_large(run):
    """Something on the way takes 8 KB: batches get smaller by themselves."""
    world = World(run, FACTOR, route={"batch": {"records": 100}}).start()
    world.rogue.act = too_large(8192, message(413, '{"message":"Request Too Long"}'))
    world.feed(100)
    world.wait_stored()
    world.rogue.act = None
    world.finish()


@case("H4", "a firewall's 403 above 8 KB stays an operator's matter")
def firewall(run):
    world = World(run, FACTOR, route={"batch": {"records": 100}}).start()
    world.rogue.act = too_large(8192, message(403, '{"message":"Forbidden"}'))
    world.feed(100)
    world.wait_said("403", OPERATOR)
    world.rogue.act = None
    world.finish()


# ---- H7: framing ----

@is_act
def chunked(talk):
    reply = talk.forward().split(b"\r\n\r\n", 1)[1]
    pieces = [reply[i:i + 7] for i in range(0, len(reply), 7)]
    body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    talk.tell(message(200, b"", ["Transfer-Encoding: chunked"], length=False) + body +
              b"0\r\nX-Trailer: a\r\n\r\n")


@is_act
def continued(talk):
    talk.tell(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" +
              talk.forward())


@is_act
def old_version(talk):
    body = talk.forward().split(b"\r\n\r\n", 1)[1]
    talk.tell(message(200, body, version="HTTP/1.0", length=False))
    talk.goodbye()


@is_act
def closed_behind(talk):
    talk.tell(talk.forward())
    talk.goodbye()


@is_act
def same_length_twice(talk):
    reply = talk.forward()
    length = re.search(rb"Content-Length: \d+\r\n", reply, re.I).group(0)
    talk.tell(reply.replace(length, length + length, 1))


@is_act
def many_headers(talk):
    reply = talk.forward()
    filler = b"".join(b"X-Filler-%d: %s\r\n" % (i, b"y" * 900) for i in range(20))
    talk.tell(reply.replace(b"\r\n", b"\r\n" + filler, 1))


@is_act
def padded(talk):
    """White space around the answer, for which there is room."""
    body = talk.forward().split(b"\r\n\r\n", 1)[1]
    talk.tell(aws(b" " * 5000 + body + b"\n" * 5000))


@case("H7", "unusual but right: chunks, 100, HTTP/1.0, much white space")
def right_framing(run):
    world = World(run, FACTOR).start()
    before = world.route()["requests"]
    memory = world.memory_kib()
    for act in (chunked, continued, old_version, closed_behind, same_length_twice, many_headers,
                padded):
        world.meet(act)
    check(world.route()["retried"] == 0, f"a right reply was not believed: {world.said()}")
    check(world.route()["requests"] - before >= 7, "each act met a request")
    world.check_memory(memory, "replies with much white space")
    world.finish()


def headers_of(*lines):
    return lambda talk: b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]) + \
        json.dumps(success(len(talk.records))).encode()


def with_length(change):
    def reply(talk):
        body = json.dumps(success(len(talk.records))).encode()
        return b"HTTP/1.1 200 OK\r\n" + change(len(body)) + b"\r\n" + body
    return reply


@is_act
def shorter_than_said(talk):
    talk.send(aws(success(len(talk.records)))[:-1])
    talk.goodbye()


@is_act
def endless_body(talk):
    talk.send(message(200, b"", ["Content-Length: 900000000"], length=False))
    for _ in range(2000):
        talk.send(b" " * 16384)
    talk.close()


@is_act
def megabyte(talk):
    """Whole and right, but no such reply is so long."""
    talk.send(aws(b" " * 500000 + json.dumps(success(len(talk.records))).encode() + b" " * 500000))


@is_act
def megabyte_refusal(talk):
    talk.send(message(503, b"<p>" * 350000))


@is_act
def endless_head(talk):
    talk.send(b"HTTP/1.1 200 OK\r\n")
    for i in range(2000):
        talk.send(b"X-%d: %s\r\n" % (i, b"z" * 1000))
    talk.close()


@is_act
def endless_continue(talk):
    for _ in range(20000):
        talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    talk.close()


WRONG_FRAMING = [
    with_length(lambda n: b"Content-Length: %d\r\nContent-Length: %d\r\n" % (n, n + 1)),
    with_length(lambda n: b"Content-Length: -%d\r\n" % n),
    with_length(lambda n: b"Content-Length: %d, %d\r\n" % (n, n - 1)),
    with_length(lambda n: b"Content-Length: 0x%x\r\n" % n),
    with_length(lambda n: b"Content-Length: 99999999999999999999999999\r\n"),
    with_length(lambda n: b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % n),
    with_length(lambda n: b"Content-Length: %d\r\nTransfer-Encoding: gzip\r\n" % n),
    with_length(lambda n: b"Transfer-Encoding: chunked, chunked\r\n"),
    headers_of(b"Transfer-Encoding: chunked"),
    lambda talk: b"HTTP/2.0 200 OK\r\n\r\n",
    lambda talk: b"HTTP/1.1 1000 OK\r\n\r\n",
    lambda talk: b"HTTP/1.1 20 OK\r\n\r\n",
    lambda talk: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    lambda talk: b"SSH-2.0-OpenSSH_9.2\r\n",
    lambda talk: json.dumps(success(len(talk.records))).encode() + b"\r\n\r\n",
    lambda talk: b"\r\n" * 3 + b"HTTP/1.1 200\x00OK\r\n\r\n",
    shorter_than_said, megabyte, megabyte_refusal, endless_body, endless_head, endless_continue,
]


def then_close(reply):
    """Its end is the end: who waits for more would only wait for its own deadline."""
    if getattr(reply, "is_act", False):
        return reply

    def act(talk):
        talk.send(reply(talk))
        talk.goodbye()
    return is_act(act)


@case("H7", "wrong lengths, foreign protocols, endless replies")
def wrong_framing(run):
    world = World(run, FACTOR).start()
    memory = world.memory_kib()
    for number, reply in enumerate(WRONG_FRAMING):
        act = then_close(reply)
        try:
            world.suffer(act, ".")
        except harness.Failure as failure:
            raise harness.Failure(f"{failure}, number {number}") from None
    world.check_memory(memory, "endless replies")
    world.finish()


# ---- H8: splits and prefixes ----

SPLITS, PREFIXES = 60, 60  # of every byte position; unit/test_reply.c takes all


def split_at(share):
    def act(talk):
        reply = talk.forward()
        talk.tell(reply, pieces=[max(1, int(share * len(reply)))])
    return act


@case("H8", "replies split anywhere")
def splits(run):
    world = World(run, FACTOR).start()
    world.meet(*[split_at(i / SPLITS) for i in range(SPLITS)], records=20 * SPLITS)
    world.meet(lambda talk: talk.tell(reply := talk.forward(), range(1, len(reply))))
    check(world.route()["retried"] == 0, f"a split reply was not believed: {world.said()}")
    world.finish()


def prefix(share, end):
    def act(talk):
        reply = aws(success(len(talk.records)))
        talk.send(reply[:min(len(reply) - 1, int(share * len(reply)))])
        end(talk)
    return act


@case("H8", "every prefix of a success is none")
def prefixes(run):
    world = World(run, FACTOR).start()
    ends = (rogue.Talk.goodbye, rogue.Talk.close, rogue.Talk.reset)
    for i in range(PREFIXES):
        world.meet(prefix((i + 1) / PREFIXES, ends[i % 3]), records=1)
    check(world.route()["retried"] >= PREFIXES, "a prefix was believed")
    world.finish()


# ---- H9 ----

@case("H9", "one destination down, another up")
def two_routes(run):
    other = harness.Sink(run, "--id-member", "id", name="other")
    world = World(run, FACTOR, route={"name": "down"}, config={
        "routes": [{"name": "down", "batch": {"records": 20}},
                   {"name": "up", "endpoint": other.endpoint, "ca_file": str(other.ca)}]})
    world.rogue.act = answer(error("ResourceNotFoundException"))
    world.agent.start()
    world.feed(300)
    wait_until("the healthy route", lambda: other.summary()["ids"]["unique"] >= 300)
    world.wait_said("ResourceNotFound", OPERATOR, name="down")
    check(world.route("up")["state"] == "connected", f"the other one: {world.said()}")
    check(world.stored() == 0, "and the one that is down has taken nothing")
    world.rogue.act = None
    world.wait_stored()
    wait_until("the accounts", lambda: all(
        world.route(name)["lanes"]["normal"]["delivered"] == 300 for name in ("down", "up")))
    world.check_accounts()
    world.check_duplicates()
    world.check_secrets()
    check(world.agent.stop() == 0, world.agent.tail())
    check(other.stop()["identities"]["duplicates"] == 0, "the other route sent something twice")
    world.close()


# ---- N6 to N8 ----

@case("N6", "the reply is lost")
def lost_reply(run):
    """Stored, and the agent never hears of it: it sends the batch again, with its identities."""
    world = World(run, FACTOR).start()

    def lose(end):
        def act(talk):
            talk.forward()
            end(talk)
        return act
    world.meet(*[lose(end) for end in (rogue.Talk.reset, rogue.Talk.close, rogue.Talk.goodbye,
                                       rogue.Talk.hold)], records=80)
    summary = world.finish()
    lost = sum(len(talk.stored) for talk in world.rogue.talks if not talk.told)
    twice = summary["identities"]["duplicates"]
    check(0 < twice <= lost, f"{twice} duplicates of {lost} records whose reply was lost")


@is_act
def dribble(talk):
    """A byte at a time, never silent for long, never at an end."""
    talk.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        time.sleep(0.02)
        talk.send(b"z")


@case("N7", "slow-loris: a byte at a time")
def slow_loris(run):
    world = World(run, 150).start()
    world.suffer(dribble, r"tim|deadline|late")
    world.finish()


@case("N8", "captive portals")
def captive_portal(run):
    page = "<html><body>Welcome to the Harbour Hotel. Please log in.</body></html>"
    html = ["Content-Type: text/html"]
    world = run_suffering(run, [
        (message(200, page, html), "200", PASSES),
        (message(200, "", html), "200", PASSES),
        (message(302, "", ["Location: https://portal.example/login"]), "302", None),
        (message(307, page, [*html, "Location: https://portal.example/"]), "307", None),
        (message(511, page, html), "511", None),
        (message(200, "<records>" + json.dumps(success(3)) + "</records>", html), "200", PASSES),
    ])
    world.finish()


@case("H7", "descriptors behind a hundred closed connections")
def descriptors_stay(run):
    world = World(run, FACTOR).start()
    before = descriptors(world.agent.process.pid)
    world.meet(*[closed_behind] * 100, records=2000)
    check(descriptors(world.agent.process.pid) <= before + 1, "descriptors were left open")
    world.finish()
