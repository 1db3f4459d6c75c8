/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/uplink/uplink.h"
#include "platform/base/error.h"
#include "tests/unit/fake_endpoint.h"
#include "tests/unit/fake_route.h"

/* Routes whose batches become objects: in a bucket behind the fake endpoint, or in a fake place. */

enum { DOCUMENT_BYTES = 24, EVERY_MS = 300000, STORES_MAX = 16 };

static struct world {
    struct spool spool;
    char documents[FAKE_RECORDS_MAX][DOCUMENT_BYTES];
    struct credentials_provider provider;
    struct uplink *uplink;
    bool time_known;
    /* the place: */
    struct dest place;
    int store_rc[STORES_MAX]; /* of each call; 0 behind the last */
    bool absent[STORES_MAX];
    int64_t stored_ms[STORES_MAX];
    size_t stores;
    int64_t wall_ms; /* of the first record of the object stored last */
} world;

static int get_credentials(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    (void)provider;
    (void)deadline_ms;
    (void)fault;
    strcpy(ret_credentials->access_key_id, "AKIDEXAMPLE");
    strcpy(ret_credentials->secret_access_key, "secret");
    ret_credentials->session_token[0] = '\0';
    return E_OK;
}

static const struct credentials_operations credentials_fake = {.name = "fake",
                                                               .get = get_credentials};

static bool knows_time(void *context)
{
    (void)context;
    return world.time_known;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.provider.operations = &credentials_fake;
    fake_endpoint_reset();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (world.uplink != NULL)
        (void)uplink_stop(world.uplink, 0);
    uplink_close(world.uplink);
    return 0;
}

static struct uplink_options options_for(struct dest *dest)
{
    return (struct uplink_options){.name = "objects",
                                   .spool = &world.spool,
                                   .lanes = {true, true, true},
                                   .age_ms = {EVERY_MS, EVERY_MS, EVERY_MS},
                                   .device = "gw-17",
                                   .dest = dest,
                                   .format = BATCH_RAW,
                                   .partition = PARTITION_FIXED,
                                   .partition_key = "",
                                   .batch_records = 1000000,
                                   .context = &world};
}

static void open_with(const struct uplink_options *options)
{
    assert_int_equal(uplink_open(options, &world.uplink), E_OK);
    assert_int_equal(uplink_start(world.uplink), E_OK);
}

#ifdef CONFIG_DEST_S3
static void open_bucket(uint64_t batch_bytes)
{
    const struct dest_options dest_options = {
        .device = "gw-17",
        .s3 = {.bucket = "b-1", .region = "eu-west-1", .host = "b-1.s3.eu-west-1.amazonaws.com"}};
    struct dest *dest = NULL;
    assert_int_equal(dest_open("s3", &dest_options, &dest), E_OK);
    struct uplink_options options = options_for(dest);
    options.credentials = &world.provider;
    options.region = "eu-west-1";
    options.host = "b-1.s3.eu-west-1.amazonaws.com";
    options.port = 443;
    options.tls = true;
    options.user_agent = "runnel/1.0";
    options.batch_bytes = batch_bytes;
    open_with(&options);
}
#endif

/* Record N is the document {"n":N}, taken now. */
static void add(enum lane lane, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = world.spool.count;
        int bytes = snprintf(world.documents[at], DOCUMENT_BYTES, "{\"n\":%zu}", at);
        struct fake_record *fake =
            fake_route_add_document(&world.spool, lane, at + 1, world.documents[at], (size_t)bytes);
        fake->record.boot_ms = fake_endpoint.mono_ms;
        fake->record.wall_ms = fake_endpoint.wall_ms + fake_endpoint.mono_ms;
    }
}

static void run_steps(const struct fake_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fake_endpoint.steps[i] = steps[i];
    fake_endpoint.step_count = count;
    uplink_drain(world.uplink);
    fake_endpoint_run();
}

static struct uplink_status status_now(void)
{
    struct uplink_status status;
    uplink_get_status(world.uplink, &status);
    return status;
}

static char seen_error[UPLINK_ERROR_BYTES];

#ifdef CONFIG_DEST_S3
static void assert_all_stored_once(void)
{
    assert_int_equal(fake_route_left(&world.spool), 0);
    for (size_t i = 0; i < world.spool.count; i++)
        assert_int_equal(fake_endpoint_times(world.documents[i]), 1);
}

/* ---- S3: when ---- */

/* Each object costs a request, so that not even an alarm has one of its own. */
static void test_every(void **state)
{
    (void)state;
    open_bucket(0);
    add(LANE_BULK, 3);
    add(LANE_NORMAL, 700);
    add(LANE_ALARM, 1);
    fake_endpoint_run();
    assert_all_stored_once();
    assert_int_equal(fake_endpoint.request_count, 1);
    assert_int_equal(fake_endpoint.requests[0].mono_ms, 100000 + EVERY_MS);
}

/* More than that in bytes does not wait. What a record has is known from the last batch. */
static void test_full_objects(void **state)
{
    (void)state;
    open_bucket(20000); /* 100 records of 200 bytes, it thinks; some 1,800 in truth */
    add(LANE_NORMAL, 2500);
    fake_endpoint_run();
    assert_all_stored_once();
    assert_int_equal(fake_endpoint.request_count, 2);
    assert_int_equal(fake_endpoint.requests[0].mono_ms, 100000);
    assert_in_range(fake_endpoint.requests[0].records, 1700, 2000);
    assert_int_equal(fake_endpoint.requests[1].mono_ms, 100000 + EVERY_MS);
}

/* ---- S3: what is sent again is the same ---- */

#define PRECONDITION                                                                               \
    "<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you "       \
    "specified did not hold</Message></Error>"

static void more_come(int64_t deadline_ms)
{
    if (deadline_ms != INT64_MAX && world.spool.count < 60)
        add(LANE_NORMAL, 10);
}

static void assert_sent_alike(const struct fake_step *steps, size_t count)
{
    open_bucket(0);
    add(LANE_NORMAL, 20);
    fake_endpoint.on_wait = more_come;
    run_steps(steps, count);
    for (size_t i = 1; i < count; i++) {
        assert_string_equal(fake_endpoint.requests[i].path, fake_endpoint.requests[0].path);
        assert_int_equal(fake_endpoint.requests[i].records, 20);
    }
    assert_all_stored_once();
    assert_string_not_equal(fake_endpoint.requests[count].path, fake_endpoint.requests[0].path);
}

static void test_lost_reply(void **state)
{
    const struct fake_step steps[] = {{.lost = true, .error = E_CLOSED},
                                      {.status = 412, .body = PRECONDITION}};
    (void)state;
    assert_sent_alike(steps, 2);
    assert_int_equal(status_now().retried, 20);
}

/* Nor does an outage behind it, or one error after the other, make it another object. */
static void test_lost_reply_and_an_outage(void **state)
{
    const struct fake_step steps[] = {
        {.lost = true, .error = E_TIMEOUT},
        {.error = E_RESOLVER, .unsent = true},
        {.error = E_RESOLVER, .unsent = true},
        {.error = E_RESOLVER, .unsent = true},
        {.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"},
        {.status = 412, .body = PRECONDITION}};
    (void)state;
    open_bucket(0);
    add(LANE_NORMAL, 20);
    fake_endpoint.on_wait = more_come;
    run_steps(steps, 6);
    assert_string_equal(fake_endpoint.requests[4].path, fake_endpoint.requests[0].path);
    assert_string_equal(fake_endpoint.requests[5].path, fake_endpoint.requests[0].path);
    assert_all_stored_once();
}

static void test_error_that_may_have_stored(void **state)
{
    const struct fake_step steps[] = {
        {.status = 500, .body = "<Error><Code>InternalError</Code></Error>"},
        {.status = 409,
         .body = "<Error><Code>ConditionalRequestConflict"
                 "</Code></Error>"},
        {0}};
    (void)state;
    assert_sent_alike(steps, 3);
}

/* ---- S3: where ---- */

static void test_other_region(void **state)
{
    const struct fake_step steps[] = {{.status = 301,
                                       .region = "us-west-2",
                                       .body = "<Error><Code>PermanentRedirect</Code></Error>"}};
    (void)state;
    open_bucket(0);
    add(LANE_NORMAL, 5);
    run_steps(steps, 1);
    assert_all_stored_once();
    assert_int_equal(fake_endpoint.request_count, 2);
    assert_string_equal(fake_endpoint.requests[0].host, "b-1.s3.eu-west-1.amazonaws.com");
    assert_string_equal(fake_endpoint.requests[1].host, "b-1.s3.us-west-2.amazonaws.com");
    assert_int_equal(fake_endpoint.requests[1].mono_ms, 100000); /* nobody waits for an operator */
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
}

static enum uplink_state seen_state;

static void see_state(int64_t deadline_ms)
{
    if (deadline_ms <= fake_endpoint.mono_ms + 1000 || deadline_ms == INT64_MAX)
        return;
    const struct uplink_status status = status_now();
    seen_state = status.state;
    (void)snprintf(seen_error, sizeof seen_error, "%s", status.error);
}

static void test_regions_that_blame_each_other(void **state)
{
    const struct fake_step steps[] = {{.status = 301, .region = "us-west-2", .body = ""},
                                      {.status = 301, .region = "eu-west-1", .body = ""}};
    (void)state;
    open_bucket(0);
    add(LANE_NORMAL, 5);
    fake_endpoint.random = 1 << 20;
    fake_endpoint.on_wait = see_state;
    run_steps(steps, 2);
    assert_all_stored_once();
    assert_int_equal(seen_state, UPLINK_NEEDS_OPERATOR);
    assert_non_null(strstr(seen_error, "b-1.s3.us-west-2.amazonaws.com answered 301"));
}

static void test_question(void **state)
{
    (void)state;
    const struct dest_options dest_options = {.device = "gw-17",
                                              .s3 = {.bucket = "b-1", .region = "eu-west-1"}};
    struct dest *dest = NULL;
    assert_int_equal(dest_open("s3", &dest_options, &dest), E_OK);
    struct uplink_options options = options_for(dest);
    options.credentials = &world.provider;
    options.region = "eu-west-1";
    options.host = "b-1.s3.eu-west-1.amazonaws.com";
    options.port = 443;
    options.tls = true;
    options.user_agent = "runnel/1.0";
    options.knows_time = knows_time;
    options.time_wait_ms = 600000;
    open_with(&options);
    add(LANE_NORMAL, 5);
    world.time_known = false;
    fake_endpoint.no_date = true;
    run_steps(NULL, 0);
    assert_true(fake_endpoint.requests[0].question);
    assert_string_equal(fake_endpoint.requests[0].path, "/?list-type=2&max-keys=0");
    assert_all_stored_once();
}
#endif

/* ---- a place that stores by itself ---- */

static int store(struct dest *dest, const struct batch_summary *batch, dest_write *write,
                 void *context, struct dest_stored *ret_stored)
{
    char body[4096];
    struct writer out;
    size_t call = world.stores++;
    assert_ptr_equal(dest, &world.place);
    assert_true(call < STORES_MAX);
    *ret_stored = (struct dest_stored){.present = !world.absent[call]};
    world.stored_ms[call] = fake_endpoint.mono_ms;
    world.wall_ms = batch->wall_ms;
    (void)snprintf(ret_stored->fault, sizeof ret_stored->fault, "put the medium back");
    if (world.store_rc[call] < 0)
        return world.store_rc[call];
    writer_to_memory(&out, body, sizeof body);
    assert_int_equal(write(context, &out), E_OK);
    assert_int_equal(writer_finish(&out), E_OK);
    ret_stored->bytes = out.used_bytes;
    assert_int_equal(out.used_bytes, batch->body_bytes);
    return E_OK;
}

static void close_place(struct dest *dest)
{
    assert_ptr_equal(dest, &world.place);
}

static void nothing(const void *context, struct writer *out)
{
    (void)context;
    (void)out;
}

static void nothing_before(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)out;
    (void)index;
}

static void nothing_behind(const void *context, struct writer *out, const char *key,
                           size_t key_bytes)
{
    (void)context;
    (void)out;
    (void)key;
    (void)key_bytes;
}

static const struct dest_operations place = {
    .name = "place",
    .limits = {.records = 1000, .bytes = 1 << 20, .record_bytes = 1 << 20},
    .frame = {nothing, nothing_before, nothing_behind, nothing, .plain = true, .newline = true,
              .together = true},
    .objects = true,
    .store = store,
    .close = close_place};

static void open_place(int64_t time_wait_ms)
{
    world.place.operations = &place;
    struct uplink_options options = options_for(&world.place);
    options.knows_time = time_wait_ms > 0 ? knows_time : NULL;
    options.time_wait_ms = time_wait_ms;
    open_with(&options);
}

static void test_place(void **state)
{
    (void)state;
    open_place(0);
    add(LANE_NORMAL, 3);
    fake_endpoint_run();
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_int_equal(world.stores, 1);
    assert_int_equal(world.stored_ms[0], 100000 + EVERY_MS);
    assert_false(fake_endpoint.opened);
    assert_int_equal(fake_endpoint.request_count, 0);
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
    assert_int_equal(status_now().requests, 1);
    assert_int_equal(status_now().bytes_out, 3 * strlen("{\"n\":0}\n"));
    assert_int_equal(status_now().bytes_in, 0);
}

static enum uplink_state seen_states[STORES_MAX];

static void see_each_state(int64_t deadline_ms)
{
    if (deadline_ms == INT64_MAX || world.stores == 0)
        return;
    const struct uplink_status status = status_now();
    seen_states[world.stores - 1] = status.state;
    (void)snprintf(seen_error, sizeof seen_error, "%s", status.error);
}

static void test_place_away_and_full(void **state)
{
    (void)state;
    open_place(0);
    world.store_rc[0] = E_NOT_FOUND;
    world.absent[0] = true;
    world.store_rc[1] = error_sys(ENOSPC);
    world.store_rc[2] = error_sys(EROFS);
    world.store_rc[3] = error_sys(EIO);
    add(LANE_NORMAL, 3);
    fake_endpoint.random = 1 << 20;
    fake_endpoint.on_wait = see_each_state;
    run_steps(NULL, 0);
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_int_equal(world.stores, 5);
    assert_int_equal(seen_states[0], UPLINK_OFFLINE);
    assert_int_equal(seen_states[1], UPLINK_BACKING_OFF);
    assert_int_equal(seen_states[2], UPLINK_BACKING_OFF);
    assert_string_equal(seen_error, "put the medium back");
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
}

/* Nobody is asked for the time, so somebody else has to learn it. */
static void time_is_learnt(int64_t deadline_ms)
{
    if (deadline_ms != INT64_MAX && fake_endpoint.mono_ms >= 130000)
        world.time_known = true;
}

static void test_place_waits_for_the_time(void **state)
{
    (void)state;
    open_place(600000);
    add(LANE_NORMAL, 3);
    fake_endpoint.on_wait = time_is_learnt;
    run_steps(NULL, 0);
    assert_int_equal(world.stores, 1);
    assert_in_range(world.stored_ms[0], 130000, 131000);
}

static void test_place_does_not_wait_for_ever(void **state)
{
    (void)state;
    open_place(600000);
    add(LANE_NORMAL, 3);
    run_steps(NULL, 0);
    assert_int_equal(world.stores, 1);
    assert_in_range(world.stored_ms[0], 700000, 701000);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef CONFIG_DEST_S3
        TEST(test_every),
        TEST(test_full_objects),
        TEST(test_lost_reply),
        TEST(test_lost_reply_and_an_outage),
        TEST(test_error_that_may_have_stored),
        TEST(test_other_region),
        TEST(test_regions_that_blame_each_other),
        TEST(test_question),
#endif
        TEST(test_place),
        TEST(test_place_away_and_full),
        TEST(test_place_waits_for_the_time),
        TEST(test_place_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
