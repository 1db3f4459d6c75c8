# SPDX-License-Identifier: Apache-2.0
"""
Rows of the fault matrix towards Firehose: what its replies have of their own.

The rest, from sockets to HTTP and signatures, is the same program as towards Kinesis.
"""
from harness import check
from matrix_http import (OPERATOR, PASSES, each_position, inconsistent, odd_entries, poison_places,
                         run_suffering, wrong_count)
from matrix_world import World, case
from rogue import error, success, aws

FACTOR = 30
ROUTE = {"destination": "firehose"}


@case("H1", "Firehose: each position fails, and all")
def each_position_of_a_batch(run):
    each_position(run, **ROUTE)


@case("H1", "Firehose: replies that contradict themselves")
def inconsistent_batch(run):
    inconsistent(run, **ROUTE)


@case("H1", "Firehose: results that say neither stored nor failed")
def odd_results(run):
    odd_entries(run, **ROUTE)


@case("H1", "Firehose: a count that the results contradict")
def wrong_count_of_a_batch(run):
    wrong_count(run, **ROUTE)


@case("H1", "a reply in the words of the other service")
def words_of_another(run):
    """Whoever answers like Kinesis, a mock or a mistaken proxy, has not answered for Firehose."""
    table = [(lambda talk: aws(success(len(talk.records))), "answered 200", PASSES)]
    run_suffering(run, table, route=ROUTE).finish()


@case("H2", "Firehose: poison first, last, side by side, and more of it")
def poison_in_batches(run):
    poison_places(run, **ROUTE)


@case("H5", "Firehose: throttles, failures and refusals by code")
def codes(run):
    run_suffering(run, [
        (error("ServiceUnavailableException", 503, "Slow down."), "Slow down", PASSES),
        (error("InternalFailure", 500), "InternalFailure", PASSES),
        (error("ResourceNotFoundException", 400, "Firehose lake under account 1 not found."),
         "ResourceNotFoundException", OPERATOR),
        (error("InvalidSourceException", 400, "This operation is not permitted on "
               "KinesisStreamAsSource delivery stream type."), "InvalidSourceException", OPERATOR),
        (error("InvalidKMSResourceException"), "InvalidKMSResourceException", OPERATOR),
        (error("AccessDeniedException", 400, "is not authorized to perform: "
               "firehose:PutRecordBatch"), "AccessDeniedException", OPERATOR),
    ], 2 * FACTOR, ROUTE).finish()


@case("H4", "Firehose: a request that is too large is sent in parts")
def too_large(run):
    """More than 4 MB, says who counts otherwise than the documentation."""
    def act(talk):
        if len(talk.records) > 3:
            talk.send(error("InvalidArgumentException", 400, "Records size exceeds 4 MB limit"))
        else:
            talk.tell(talk.forward())
    world = World(run, FACTOR, route=ROUTE).start()
    world.rogue.act = act
    world.feed(60)
    world.wait_stored()
    check(world.route()["lanes"]["normal"]["dead"] == 0, "a record died of the others' size")
    world.finish()


@case("N6", "Firehose: replies lost behind storing, whole and in parts")
def lost_replies(run):
    def lose(talk):
        talk.forward()
        talk.reset()

    def cut(talk):
        reply = talk.forward()
        talk.send(reply[:-len(reply) // 3])
        talk.close()
    world = World(run, FACTOR, route=ROUTE).start()
    world.meet(lose, cut, lose, cut)
    summary = world.finish()["firehose"]
    check(summary["identities"]["duplicates"] >= 4, f"nothing came again: {summary}")
