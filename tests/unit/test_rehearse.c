/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/uplink/rehearse.h"
#include "platform/base/error.h"
#include "tests/unit/fake_endpoint.h"
#include "tests/unit/fake_route.h"

enum { DOCUMENT_BYTES = 2000, AGE_MS = 60000, TOKEN_BYTES = 900, KB = 1024 };
enum { HANDSHAKE_OUT_BYTES = 408, HANDSHAKE_IN_BYTES = 139 }; /* of a session that is taken up */

static struct world {
    struct spool spool;
    char documents[FAKE_RECORDS_MAX][DOCUMENT_BYTES];
    struct uplink *uplink;
    struct uplink_rehearsal *rehearsal;
    struct uplink_cost before;
} world;

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    fake_endpoint_reset();
    return 0;
}

static void close_world(void)
{
    uplink_rehearse_close(world.rehearsal);
    uplink_close(world.uplink);
    world.rehearsal = NULL;
    world.uplink = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    close_world();
    return 0;
}

static void open_with(const char *destination, int token_bytes)
{
    const struct dest_options dest_options = {.stream = "telemetry"};
    struct dest *dest = NULL;
    assert_int_equal(dest_open(destination, &dest_options, &dest), E_OK);
    const struct uplink_options options = {.name = "live",
                                           .spool = &world.spool,
                                           .lanes = {true, true, true},
                                           .age_ms = {0, AGE_MS, 5 * AGE_MS},
                                           .device = "gw-17",
                                           .dest = dest,
                                           .region = "eu-west-1",
                                           .host = "kinesis.eu-west-1.amazonaws.com",
                                           .port = 443,
                                           .tls = true,
                                           .user_agent = "runnel/1.0",
                                           .format = BATCH_RAW,
                                           .partition = PARTITION_EVEN};
    assert_int_equal(uplink_open(&options, &world.uplink), E_OK);
    assert_int_equal(uplink_rehearse_open(world.uplink, token_bytes, &world.rehearsal), E_OK);
}

/* A document of BYTES. */
static void add(enum lane lane, int64_t boot_ms, size_t bytes)
{
    size_t at = world.spool.count;
    char *document = world.documents[at];
    memset(document, 'x', bytes);
    memcpy(document, "{\"n\":\"", 6);
    memcpy(document + bytes - 2, "\"}", 2);
    fake_route_add_document(&world.spool, lane, at + 1, document, bytes)->record.boot_ms = boot_ms;
}

/* One request at NOW_MS; what it cost. */
static struct uplink_cost send(int64_t now_ms)
{
    world.before = *uplink_rehearse_cost(world.rehearsal);
    assert_int_equal(uplink_rehearse_send(world.rehearsal, now_ms), E_OK);
    struct uplink_cost after = *uplink_rehearse_cost(world.rehearsal);
    after.requests -= world.before.requests;
    after.records -= world.before.records;
    after.bytes_out -= world.before.bytes_out;
    after.bytes_in -= world.before.bytes_in;
    after.handshakes -= world.before.handshakes;
    after.chunks_25k -= world.before.chunks_25k;
    after.rounded_1k_bytes -= world.before.rounded_1k_bytes;
    after.rounded_5k_bytes -= world.before.rounded_5k_bytes;
    return after;
}

static void test_due_by_age_of_lane(void **state)
{
    (void)state;
    open_with("kinesis", 0);
    assert_int_equal(uplink_rehearse_due_ms(world.rehearsal), INT64_MAX);
    add(LANE_BULK, 1000, 100);
    assert_int_equal(uplink_rehearse_due_ms(world.rehearsal), 1000 + 5 * AGE_MS);
    add(LANE_NORMAL, 2000, 100);
    assert_int_equal(uplink_rehearse_due_ms(world.rehearsal), 2000 + AGE_MS);
    assert_int_equal(uplink_rehearse_oldest_ms(world.rehearsal, LANE_NORMAL), 2000);
    assert_int_equal(uplink_rehearse_oldest_ms(world.rehearsal, LANE_ALARM), INT64_MAX);
    assert_int_equal(send(2000 + AGE_MS).records, 2);
    assert_int_equal(uplink_rehearse_due_ms(world.rehearsal), INT64_MAX);
    assert_int_equal(uplink_rehearse_send(world.rehearsal, 3000 + AGE_MS), E_END);
    assert_int_equal(uplink_rehearse_cost(world.rehearsal)->requests, 1);
}

static void test_handshake_after_rest(void **state)
{
    static const int64_t times_ms[] = {1000, 1000 + 14999, 1000 + 14999 + 15000};
    struct uplink_cost costs[3];
    (void)state;
    open_with("kinesis", 0);
    for (int i = 0; i < 3; i++) {
        add(LANE_NORMAL, times_ms[i], 100);
        costs[i] = send(times_ms[i]);
    }
    assert_int_equal(costs[0].handshakes, 1);
    assert_int_equal(costs[1].handshakes, 0);
    assert_int_equal(costs[2].handshakes, 1);
    assert_int_equal(costs[2].bytes_out - costs[1].bytes_out, HANDSHAKE_OUT_BYTES);
    assert_int_equal(costs[2].bytes_in - costs[1].bytes_in, HANDSHAKE_IN_BYTES);
}

static void test_bill(void **state)
{
    (void)state;
    open_with("kinesis", 0);
    add(LANE_NORMAL, 1000, 100);
    add(LANE_NORMAL, 1000, KB); /* and its key */
    struct uplink_cost cost = send(1000);
    assert_int_equal(cost.chunks_25k, 2);
    assert_int_equal(cost.rounded_1k_bytes, (1 + 2) * KB);
    close_world();
#ifdef CONFIG_DEST_FIREHOSE
    memset(&world.spool, 0, sizeof world.spool);
    open_with("firehose", 0);
    add(LANE_NORMAL, 1000, 100);
    add(LANE_NORMAL, 1000, KB);
    assert_int_equal(send(1000).rounded_5k_bytes, 2 * 5 * KB);
#endif
}

static void test_token_goes_along(void **state)
{
    uint64_t bytes_out[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        memset(&world.spool, 0, sizeof world.spool);
        open_with("kinesis", i * TOKEN_BYTES);
        add(LANE_NORMAL, 1000, 100);
        bytes_out[i] = send(1000).bytes_out;
        close_world();
    }
    /* Its header, and its name among the signed ones. */
    assert_int_equal(bytes_out[1] - bytes_out[0], TOKEN_BYTES + 24 + 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_due_by_age_of_lane, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_handshake_after_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_goes_along, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
