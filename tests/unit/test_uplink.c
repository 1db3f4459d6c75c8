/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/uplink/uplink.h"
#include "platform/base/base64.h"
#include "platform/base/error.h"
#include "tests/unit/fake_endpoint.h"
#include "tests/unit/fake_route.h"

#define TOKEN "IQoJb3JpZ2luX2VjEXAMPLETOKEN"

enum { DOCUMENT_BYTES = 24, AGE_NORMAL_MS = 60000, AGE_BULK_MS = 300000 };

/* The spool, with what the provider and the callbacks keep. One test at a time. */
static struct world {
    struct spool spool;
    char documents[FAKE_RECORDS_MAX][DOCUMENT_BYTES];
    struct credentials_provider provider;
    int credentials_error;
    size_t credentials_asked;
    size_t expired;
    size_t dates;
    int64_t date_offset_ms;
    struct uplink *uplink;
    struct link *link;
    bool time_unknown; /* but for what a Date says */
} world;

static enum uplink_state seen_state;
static char seen_error[UPLINK_ERROR_BYTES];
static int64_t seen_retry_ms;

static int get_credentials(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    (void)provider;
    (void)deadline_ms;
    (void)fault;
    world.credentials_asked++;
    if (world.credentials_error != E_OK && world.credentials_asked <= 2)
        return world.credentials_error;
    strcpy(ret_credentials->access_key_id, "AKIDEXAMPLE");
    strcpy(ret_credentials->secret_access_key, "secret");
    strcpy(ret_credentials->session_token, TOKEN);
    return E_OK;
}

static void expire(struct credentials_provider *provider, const struct credentials *used)
{
    (void)provider;
    assert_string_equal(used->access_key_id, "AKIDEXAMPLE");
    world.expired++;
}

static const struct credentials_operations operations = {
    .name = "fake", .get = get_credentials, .expire = expire};

static void on_date(void *context, int64_t offset_ms)
{
    assert_ptr_equal(context, &world);
    world.dates++;
    world.date_offset_ms = offset_ms;
}

static struct uplink_options usual_options(void)
{
    const struct dest_options dest_options = {.stream = "telemetry"};
    struct dest *dest = NULL;
    assert_int_equal(dest_open("kinesis", &dest_options, &dest), E_OK);
    return (struct uplink_options){.name = "a-route-with-a-long-name",
                                   .spool = &world.spool,
                                   .lanes = {true, true, true},
                                   .age_ms = {0, AGE_NORMAL_MS, AGE_BULK_MS},
                                   .device = "gw-17",
                                   .dest = dest,
                                   .credentials = &world.provider,
                                   .region = "eu-west-1",
                                   .host = "kinesis.example",
                                   .port = 443,
                                   .tls = true,
                                   .user_agent = "runnel/1.0",
                                   .format = BATCH_RAW,
                                   .on_date = on_date,
                                   .context = &world};
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.provider.operations = &operations;
    fake_endpoint_reset();
    return 0;
}

static void open_with(const struct uplink_options *options)
{
    assert_int_equal(uplink_open(options, &world.uplink), E_OK);
    assert_int_equal(uplink_start(world.uplink), E_OK);
}

static void open_usual(void)
{
    const struct uplink_options options = usual_options();
    open_with(&options);
}

static int tear_down(void **state)
{
    (void)state;
    if (world.uplink != NULL)
        (void)uplink_stop(world.uplink, 0);
    uplink_close(world.uplink);
    link_close(world.link);
    return 0;
}

/* Record N is the document {"n":N}, taken now. */
static void add(enum lane lane, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = world.spool.count;
        int bytes = snprintf(world.documents[at], DOCUMENT_BYTES, "{\"n\":%zu}", at);
        struct fake_record *fake =
            fake_route_add_document(&world.spool, lane, at + 1, world.documents[at], (size_t)bytes);
        fake->record.boot_ms = fake_endpoint.mono_ms;
    }
}

static unsigned times_stored(size_t n)
{
    char text[FAKE_DATA_BYTES];
    struct base64 base64;
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    base64_start(&base64);
    base64_add(&base64, (const uint8_t *)world.documents[n], strlen(world.documents[n]), &out);
    base64_finish(&base64, &out);
    assert_int_equal(writer_finish(&out), E_OK);
    return fake_endpoint_times(text);
}

static void assert_all_delivered_once(void)
{
    assert_int_equal(fake_route_left(&world.spool), 0);
    for (size_t i = 0; i < world.spool.count; i++)
        assert_int_equal(times_stored(i), 1);
}

static void run_steps(const struct fake_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) /* none: STEPS may be NULL, which memcpy does not take */
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

static int64_t request_ms(size_t request)
{
    assert_true(request < fake_endpoint.request_count);
    return fake_endpoint.requests[request].mono_ms;
}

/* ---- when a batch is due ---- */

static void test_waits_for_the_age_of_the_oldest(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 1);
    fake_endpoint.mono_ms += 1000;
    add(LANE_NORMAL, 2);
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 1);
    assert_int_equal(request_ms(0), 100000 + AGE_NORMAL_MS);
}

/* What a peer measured days ago is no backlog when it hands that in. */
static void test_what_is_handed_in_waits_from_then_on(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 1);
    world.spool.records[0].record.boot_ms = -86400000;
    world.spool.records[0].came_ms = fake_endpoint.mono_ms;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(request_ms(0), 100000 + AGE_NORMAL_MS);
}

/* When all is delivered, one more comes. */
static void one_comes_later(int64_t deadline_ms)
{
    if (deadline_ms != INT64_MAX || world.spool.count != 1)
        return;
    fake_endpoint.mono_ms += 5000;
    add(LANE_NORMAL, 1);
    fake_route_wake(&world.spool);
}

static void test_every_batch_waits_for_its_own_age(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 1);
    fake_endpoint.on_wait = one_comes_later;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(request_ms(1) - world.spool.records[1].record.boot_ms, AGE_NORMAL_MS);
}

static void test_a_full_batch_goes_at_once(void **state)
{
    (void)state;
    open_usual();
    add(LANE_BULK, 499);
    add(LANE_NORMAL, 502);
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 3);
    assert_int_equal(request_ms(1), 100000);
    assert_int_equal(fake_endpoint.requests[1].records, 500);
    assert_int_equal(request_ms(2), 100000 + AGE_BULK_MS);
    assert_int_equal(fake_endpoint.requests[2].records, 1);
}

static void test_drain_does_not_wait(void **state)
{
    (void)state;
    open_usual();
    add(LANE_BULK, 3);
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(request_ms(0), 100000);
}

/* An alarm that comes while others wait goes at once, and takes them along. */
static void alarm_comes(int64_t deadline_ms)
{
    if (deadline_ms < 100000 + 10000 || world.spool.count != 1)
        return;
    fake_endpoint.mono_ms += 10000;
    add(LANE_ALARM, 1);
    fake_route_wake(&world.spool);
}

static void test_alarms_go_at_once(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 1);
    fake_endpoint.on_wait = alarm_comes;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 1);
    assert_int_equal(request_ms(0), 110000);
}

/* Records that trickle in neither delay the batch nor wake the thread: only the first does, since
 * until then nothing is due. */
static void more_come(int64_t deadline_ms)
{
    while (world.spool.armed_fd > 0 && world.spool.count < 100 &&
           fake_endpoint.mono_ms + 10 < deadline_ms) {
        fake_endpoint.mono_ms += 10;
        add(LANE_NORMAL, 1);
        fake_route_wake(&world.spool);
    }
}

static void test_trickle(void **state)
{
    (void)state;
    open_usual();
    fake_endpoint.on_wait = more_come;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(world.spool.count, 100);
    assert_int_equal(fake_endpoint.request_count, 1);
    assert_int_equal(request_ms(0), 100010 + AGE_NORMAL_MS);
    assert_int_equal(fake_endpoint.waits, 3); /* a gap behind each time it woke, and the age */
}

static void test_records_of_an_earlier_boot_are_due(void **state)
{
    (void)state;
    open_usual();
    add(LANE_BULK, 1);
    world.spool.boot_id = 7;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(request_ms(0), 100000);
}

/* ---- partial failures ---- */

static void test_only_failed_records_are_sent_again(void **state)
{
    const struct fake_step steps[] = {
        {.failing = 0x2a5, .code = "InternalFailure"},
        {.failing = 0x3, .code = "InternalFailure"},
    };
    (void)state;
    open_usual();
    add(LANE_NORMAL, 20);
    run_steps(steps, 2);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 3);
    assert_int_equal(fake_endpoint.requests[1].records, 5);
    assert_int_equal(fake_endpoint.requests[2].records, 2);
    assert_int_equal(request_ms(2), 100000); /* not throttled: no reason to wait */
    assert_int_equal(status_now().retried, 7);
    assert_int_equal(status_now().throttled, 0);
}

static void test_new_records_fill_up(void **state)
{
    const struct fake_step steps[] = {{.failing = 0xf, .code = "InternalFailure"}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 996);
    run_steps(steps, 1);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 2);
    assert_int_equal(fake_endpoint.requests[1].records, 500);
}

static void test_throttled_records_wait_a_little(void **state)
{
    static const char code[] = "ProvisionedThroughputExceededException";
    const struct fake_step steps[] = {{.failing = UINT64_MAX, .code = code},
                                      {.failing = UINT64_MAX, .code = code},
                                      {.failing = 0x1, .code = code}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 700);
    run_steps(steps, 3);
    assert_all_delivered_once();
    assert_in_range(request_ms(1) - request_ms(0), 1000, 1250);
    assert_in_range(request_ms(2) - request_ms(1), 200, 1250);
    assert_int_equal(status_now().throttled, 3);
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
}

static void test_all_records_throttled(void **state)
{
    static const char code[] = "ProvisionedThroughputExceededException";
    const struct fake_step steps[] = {{.failing = UINT64_MAX, .code = code},
                                      {.failing = UINT64_MAX, .code = code}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 20);
    run_steps(steps, 2);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1), 101000);
    assert_int_equal(request_ms(2), 103000);
}

/* ---- whole batches ---- */

/* The outcome is unknown: all of that batch again, and nothing else twice. */
static void test_lost_reply(void **state)
{
    static const int errors[] = {E_TIMEOUT, E_CLOSED, E_SYNTAX};
    struct fake_step steps[3] = {{0}};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        steps[i] = (struct fake_step){.error = errors[i], .lost = i == 1};
    open_usual();
    add(LANE_NORMAL, 700);
    run_steps(steps, 3);
    assert_int_equal(fake_route_left(&world.spool), 0);
    for (size_t i = 0; i < 700; i++)
        assert_int_equal(times_stored(i), i < 500 ? 2 : 1);
    assert_int_equal(status_now().retried, 1500);
}

static void test_replies_that_answer_for_nothing(void **state)
{
    static const struct fake_step steps[] = {
        {.body = "<html>Please log in</html>"},
        {.body = "{\"Records\":[]}"},
        {.body = ""},
        {.status = 204, .body = ""},
        {.status = 500, .body = "{}"},
        {.status = 503, .body = "<h1>busy</h1>"},
        {.status = 400, .body = "{\"__type\":\"NeverHeardOf\"}"},
    };
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 7);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 8);
    int64_t span = 1000; /* the random number is the largest: the spans themselves */
    for (size_t i = 1; i < 8; i++, span *= 2)
        assert_int_equal(request_ms(i) - request_ms(i - 1), span);
}

static void test_throttled_request(void **state)
{
    static const struct fake_step steps[] = {
        {.status = 400, .body = "{\"__type\":\"LimitExceededException\"}"},
        {.status = 429, .body = "", .retry_after_ms = 20000},
        {.status = 400, .body = "", .error_type = "ThrottlingException"},
    };
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 3);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1) - request_ms(0), 1000);
    assert_int_equal(request_ms(2) - request_ms(1), 21000);
    assert_int_equal(request_ms(3) - request_ms(2), 4000);
    assert_int_equal(status_now().throttled, 3);
}

/* After three failures ten records probe; after a success all go again. */
static void test_probe_while_offline(void **state)
{
    static const struct fake_step away = {.error = E_TIMEOUT, .unsent = true};
    struct fake_step steps[6];
    (void)state;
    for (size_t i = 0; i < 6; i++)
        steps[i] = away;
    open_usual();
    add(LANE_NORMAL, 300);
    run_steps(steps, 6);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.requests[6].records, 10);
    assert_int_equal(fake_endpoint.requests[7].records, 290);
    assert_int_equal(status_now().retried, 0); /* nothing had been sent */
}

/* ---- what is refused for good ---- */

static const char validation[] = "{\"__type\":\"ValidationException\",\"message\":\"no\"}";

/* The base64 of {"n":1 and the like: those of tens are refused. */
static const char *refuse_tens(const char *body, size_t records)
{
    (void)records;
    return strstr(body, "eyJuIjox") != NULL ? validation : NULL;
}

static size_t dead_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < world.spool.count; i++)
        count += world.spool.records[i].dead;
    return count;
}

/* 1, 10 to 19 and 100 to 199 are refused: they alone are dead, all others are delivered once. */
static void test_poison_is_found(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 700);
    fake_endpoint.refuse = refuse_tens;
    run_steps(NULL, 0);
    assert_int_equal(fake_route_left(&world.spool), 0);
    for (size_t i = 0; i < 700; i++) {
        bool poison = world.documents[i][5] == '1';
        assert_int_equal(world.spool.records[i].dead, poison);
        assert_int_equal(times_stored(i), !poison);
    }
    assert_int_equal(status_now().refused, dead_count());
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
    assert_non_null(strstr(world.spool.buried_for, "ValidationException"));
}

static const char *refuse_all(const char *body, size_t records)
{
    (void)body;
    (void)records;
    return validation;
}

static void recover_after_three(int64_t deadline_ms)
{
    (void)deadline_ms;
    if (fake_endpoint.refuse == NULL)
        return;
    seen_state = status_now().state;
    strcpy(seen_error, status_now().error);
    if (fake_endpoint.waits >= 3)
        fake_endpoint.refuse = NULL;
}

/* The same inside packs of some twenty records, of which the data is base64. */
static const char *refuse_packed_tens(const char *body, size_t records)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[512] = "";
    size_t bytes = 0;
    (void)records;
    body = strstr(body, "\"Data\":\"") + strlen("\"Data\":\"");
    for (uint32_t held = 0, bits = 0; *body != '"' && *body != '='; body++) {
        held = held << 6 | (uint32_t)(strchr(digits, *body) - digits);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        assert_true(bytes < sizeof text - 1);
        text[bytes++] = (char)(held >> bits);
    }
    return strstr(text, "\"n\":1") != NULL ? validation : NULL;
}

static void test_poison_is_found_in_packs(void **state)
{
    struct uplink_options options = usual_options();
    (void)state;
    options.pack = BATCH_PACK_LINES;
    options.batch_bytes = 180;
    open_with(&options);
    add(LANE_NORMAL, 300);
    fake_endpoint.refuse = refuse_packed_tens;
    run_steps(NULL, 0);
    assert_int_equal(fake_route_left(&world.spool), 0);
    for (size_t i = 0; i < 300; i++) {
        bool poison = world.documents[i][5] == '1';
        assert_int_equal(world.spool.records[i].dead, poison);
        assert_int_equal(world.spool.records[i].delivered, !poison);
    }
}

/* Where everything is refused nothing is given up: no record is at fault. */
static void test_all_refused(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 600);
    fake_endpoint.refuse = refuse_all;
    fake_endpoint.on_wait = recover_after_three;
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(dead_count(), 0);
    assert_int_equal(seen_state, UPLINK_NEEDS_OPERATOR);
    assert_non_null(strstr(seen_error, "every record is refused"));
    assert_in_range(fake_endpoint.request_count, 3, 180);
    assert_true(request_ms(fake_endpoint.request_count - 1) >= 100000 + 3 * 30000);
}

static size_t refusals_left;

static const char *refuse_some(const char *body, size_t records)
{
    (void)body;
    (void)records;
    if (refusals_left == 0)
        return NULL;
    refusals_left--;
    return validation;
}

/* It is mended at any moment: also while the one at fault is looked for. */
static void test_all_refused_until_mended(void **state)
{
    for (size_t refusals = 1; refusals < 60; refusals++) {
        open_usual();
        add(LANE_NORMAL, 100);
        fake_endpoint.refuse = refuse_some;
        refusals_left = refusals;
        run_steps(NULL, 0);
        assert_all_delivered_once();
        assert_int_equal(dead_count(), 0);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

/* Of a record that waits alone it cannot be known; the next one tells. */
static void another_comes(int64_t deadline_ms)
{
    (void)deadline_ms;
    if (world.spool.count == 12)
        assert_int_equal(dead_count(), 0);
    if (world.spool.count == 12 && fake_endpoint.waits == 2)
        add(LANE_NORMAL, 9);
}

static void test_poison_that_is_alone(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 12);
    for (size_t i = 0; i < 11; i++)
        world.spool.records[i].delivered = true;
    fake_endpoint.refuse = refuse_tens;
    fake_endpoint.on_wait = another_comes;
    run_steps(NULL, 0);
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_int_equal(dead_count(), 9); /* 11 to 19 */
}

static const char *refuse_large(const char *body, size_t records)
{
    (void)records;
    return strlen(body) > 16 * 1024 ? "<html>413</html>" : NULL;
}

/* A limit on the way that nobody told us: requests become smaller, and no record is suspected. */
static void test_requests_that_are_too_large(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 3000);
    fake_endpoint.refuse = refuse_large;
    fake_endpoint.refuse_status = 413;
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(dead_count(), 0);
    assert_int_equal(request_ms(fake_endpoint.request_count - 1), 100000);
    assert_true(fake_endpoint.request_count < 20);
}

static void look_and_stop(int64_t deadline_ms);

static const char *refuse_tiny(const char *body, size_t records)
{
    (void)records;
    return strlen(body) > 512 ? "<html>413</html>" : NULL;
}

static const char *refuse_any_size(const char *body, size_t records)
{
    (void)body;
    (void)records;
    return "<html>413</html>";
}

/* One below the smallest size that is tried: fewer records get through. */
static void test_a_limit_of_a_few_records(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 500);
    fake_endpoint.refuse = refuse_tiny;
    fake_endpoint.refuse_status = 413;
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(dead_count(), 0);
}

/* What calls everything too large is not asked without a pause, and somebody is told. */
static void test_no_request_is_small_enough(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 500);
    fake_endpoint.refuse = refuse_any_size;
    fake_endpoint.refuse_status = 413;
    fake_endpoint.on_wait = look_and_stop;
    run_steps(NULL, 0);
    assert_int_equal(seen_state, UPLINK_NEEDS_OPERATOR);
    assert_non_null(strstr(seen_error, "every record is refused"));
    assert_int_equal(fake_route_left(&world.spool), 500);
    assert_int_equal(dead_count(), 0);
}

/* {"device":"gw-17", with which no document here begins. */
static const char *refuse_gaps(const char *body, size_t records)
{
    (void)records;
    return strstr(body, "eyJkZXZpY2Ui") != NULL ? validation : NULL;
}

static void test_gap_that_is_refused(void **state)
{
    (void)state;
    open_usual();
    world.spool.gap = (struct spool_gap){
        .sequence = 5000, .lane = LANE_NORMAL, .first = 1, .last = 3, .count = 3};
    add(LANE_NORMAL, 10);
    fake_endpoint.refuse = refuse_gaps;
    run_steps(NULL, 0);
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_true(world.spool.gap_told);
    assert_int_equal(dead_count(), 0);
}

/* ---- fresh-first ---- */

static void open_fresh_first(void)
{
    struct uplink_options options = usual_options();
    options.backlog_percent = 30;
    options.batch_records = 10;
    open_with(&options);
}

static const char *data_of(size_t stored)
{
    assert_true(stored < fake_endpoint.stored_count);
    return fake_endpoint.stored[stored].data;
}

/* {"n":N} in base64, the order in which the endpoint stored it. */
static void assert_stored_at(size_t stored, size_t n)
{
    char text[FAKE_DATA_BYTES];
    struct base64 base64;
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    base64_start(&base64);
    base64_add(&base64, (const uint8_t *)world.documents[n], strlen(world.documents[n]), &out);
    base64_finish(&base64, &out);
    writer_char(&out, '\0');
    assert_int_equal(writer_finish(&out), E_OK);
    assert_string_equal(data_of(stored), text);
}

/* What is stored at the start is a backlog: it goes without a pause, however young it is. */
static void test_backlog_at_the_start(void **state)
{
    (void)state;
    add(LANE_NORMAL, 25);
    open_fresh_first();
    add(LANE_NORMAL, 1);
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 3);
    assert_int_equal(request_ms(2), request_ms(0));
    assert_stored_at(0, 25);
    assert_stored_at(1, 0);
}

static void comes_behind_the_outage(size_t request, struct fake_step *ret_step)
{
    static const struct fake_step away = {.error = E_TIMEOUT, .unsent = true};
    if (request < 3)
        *ret_step = away;
    if (request == 4)
        add(LANE_NORMAL, 1);
}

/* What came until an outage ended is a backlog; one or two failures make none. */
static void test_backlog_of_an_outage(void **state)
{
    (void)state;
    open_fresh_first();
    add(LANE_NORMAL, 40);
    fake_endpoint.choose = comes_behind_the_outage;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_stored_at(19, 19);
    assert_stored_at(20, 40);
    assert_stored_at(21, 20);
}

/* ---- state ---- */

/* Ends the thread in its first wait, with the state as it is there. */
static void look_and_stop(int64_t deadline_ms)
{
    struct uplink_status status = status_now();
    (void)deadline_ms;
    seen_state = status.state;
    seen_retry_ms = status.retry_ms;
    strcpy(seen_error, status.error);
    (void)uplink_stop(world.uplink, 0);
}

static void assert_state_after(const struct fake_step *step, enum uplink_state expected,
                               const char *mentions)
{
    (void)tear_down(NULL);
    (void)set_up(NULL);
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.on_wait = look_and_stop;
    run_steps(step, 1);
    assert_int_equal(seen_state, expected);
    assert_non_null(strstr(seen_error, mentions));
    assert_null(strchr(seen_error, '"'));
    assert_true(seen_retry_ms > 0);
    assert_int_equal(fake_route_left(&world.spool), 5); /* whatever it is, the data is kept */
}

static void test_states(void **state)
{
    const struct fake_step away = {.error = E_TIMEOUT, .unsent = true};
    const struct fake_step certificate = {.error = E_CERTIFICATE, .unsent = true};
    const struct fake_step busy = {.status = 503, .body = ""};
    const struct fake_step denied = {
        .status = 400,
        .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"not \\\"you\\\"\"}"};
    const struct fake_step missing = {.status = 400,
                                      .body = "{\"__type\":\"ResourceNotFoundException\"}"};
    (void)state;
    assert_state_after(&away, UPLINK_OFFLINE, "the endpoint is 'away'");
    assert_state_after(&certificate, UPLINK_NEEDS_OPERATOR, "ca_file");
    assert_state_after(&busy, UPLINK_BACKING_OFF, "503");
    assert_state_after(&denied, UPLINK_NEEDS_OPERATOR, "not 'you'");
    assert_state_after(&missing, UPLINK_NEEDS_OPERATOR, "check the stream's name");
}

/* Services quote what they were sent. */
static void test_token_in_a_reply(void **state)
{
    const struct fake_step refused = {
        .status = 400,
        .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"not\\n"
                "x-amz-security-token:" TOKEN "\"}"};
    const struct fake_step failing = {
        .body =
            "{\"FailedRecordCount\":5,\"Records\":[{},{},{},{},{\"ErrorCode\":\"" TOKEN "\"}]}"};
    const struct fake_step first = {
        .body =
            "{\"FailedRecordCount\":5,\"Records\":[{\"ErrorCode\":\"" TOKEN "\"},{},{},{},{}]}"};
    (void)state;
    assert_state_after(&refused, UPLINK_NEEDS_OPERATOR, "x-amz-security-token:***");
    assert_state_after(&first, UPLINK_BACKING_OFF, "5 of 5 records were not taken: ***");
    assert_state_after(&failing, UPLINK_BACKING_OFF, "5 of 5 records");
}

static void test_operator_errors_are_retried_slowly(void **state)
{
    static const struct fake_step denied = {.status = 400,
                                            .body = "{\"__type\":\"AccessDeniedException\"}"};
    struct fake_step steps[10];
    (void)state;
    for (size_t i = 0; i < 10; i++)
        steps[i] = denied;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 10);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1) - request_ms(0), 60000);
    assert_int_equal(request_ms(10) - request_ms(9), 900000);
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
    assert_string_equal(status_now().error, "");
}

static void test_numbers(void **state)
{
    static const struct fake_step steps[] = {{.error = E_CLOSED}};
    (void)state;
    open_usual();
    assert_int_equal(status_now().state, UPLINK_IDLE);
    assert_int_equal(status_now().delivered_age_ms, -1);
    assert_int_equal(status_now().due_ms, 0);
    add(LANE_NORMAL, 5);
    run_steps(steps, 1);
    fake_endpoint.mono_ms += 1234;
    struct uplink_status status = status_now();
    assert_int_equal(status.delivered_age_ms, 1234);
    assert_int_equal(status.due_ms, 0);
    assert_int_equal(status.requests, 2);
    assert_int_equal(status.retried, 5);
    assert_int_equal(status.bytes_in, 11);
    assert_int_equal(status.bytes_out, 22);
    assert_int_equal(status.handshakes, 3);
    assert_int_equal(status.resumed, 2);
    assert_int_equal(status.dns_failures, 4);
    assert_int_equal(status.retry_ms, 0);
    for (enum uplink_state each = UPLINK_IDLE; each <= UPLINK_NEEDS_OPERATOR; each++)
        assert_non_null(uplink_state_name(each));
    assert_ptr_equal(uplink_route(world.uplink), fake_route_of(&world.spool));
}

static void due_for_a_while(int64_t deadline_ms)
{
    if (fake_endpoint.request_count < 3)
        return;
    (void)deadline_ms;
    assert_int_equal(status_now().due_ms, fake_endpoint.mono_ms - 100000);
    (void)uplink_stop(world.uplink, 0);
}

/* How long data has been due counts over failures. */
static void test_due(void **state)
{
    static const struct fake_step away = {.error = E_TIMEOUT, .unsent = true};
    const struct fake_step steps[] = {away, away, away, away};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.on_wait = due_for_a_while;
    run_steps(steps, 4);
    assert_int_equal(fake_endpoint.request_count, 3);
}

/* What was given up is owed no more. */
static void test_nothing_due_behind_the_dead(void **state)
{
    static char large[1024 * 1024 + 1];
    (void)state;
    open_usual();
    memset(large, ' ', sizeof large);
    (void)fake_route_add_document(&world.spool, LANE_NORMAL, 1, large, sizeof large);
    fake_endpoint_run();
    assert_true(world.spool.records[0].dead);
    fake_endpoint.mono_ms += 3600000;
    assert_int_equal(status_now().due_ms, 0);
}

/* ---- the budget of the link ---- */

static bool wall_ms(void *context, int64_t *ret_ms)
{
    (void)context;
    *ret_ms = fake_endpoint.wall_ms + fake_endpoint.mono_ms;
    return !world.time_unknown || world.dates > 0;
}

/* A month of 1,000 bytes, of which SPENT are spent. */
static void open_with_budget(uint64_t spent)
{
    const struct link_options link_options = {
        .month_bytes = 1000, .reset_day = 1, .reserve_percent = 10, .wall_ms = wall_ms};
    struct uplink_options options = usual_options();
    assert_int_equal(link_open(&link_options, &world.link), E_OK);
    const struct http_meter *meter = link_meter(world.link);
    meter->count(meter->context, spent, 0);
    options.link = world.link;
    options.partition = PARTITION_FIXED; /* keys of one length in every program */
    options.partition_key = "k";
    open_with(&options);
    assert_non_null(fake_endpoint.options.meter);
}

static int64_t request_wall_ms(size_t request)
{
    return fake_endpoint.wall_ms + request_ms(request);
}

/* After the alarms nothing goes, which is no fault. */
static void is_paused(int64_t deadline_ms)
{
    struct uplink_status status = status_now();
    if (fake_endpoint.request_count != 1)
        return;
    assert_int_equal(status.state, UPLINK_PAUSED);
    assert_non_null(strstr(status.error, "2026-02-01 00:00 UTC"));
    assert_int_equal(status.due_ms, 0);
    assert_true(deadline_ms <= fake_endpoint.mono_ms + 600000);
}

static void test_spent_budget_leaves_alarms(void **state)
{
    (void)state;
    open_with_budget(950);
    add(LANE_NORMAL, 600);
    add(LANE_ALARM, 2);
    fake_endpoint.on_wait = is_paused;
    fake_endpoint_run();
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_int_equal(request_ms(0), 100000);
    assert_int_equal(fake_endpoint.requests[0].records, 2);
    assert_int_equal(fake_endpoint.request_count, 3);
    assert_in_range(request_wall_ms(1), 1769904000000, 1769904001000); /* 2026-02-01T00:00Z */
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
    assert_string_equal(status_now().error, "");
}

/* Nor alarms, when the reserve is spent as well; they go first when the next month begins. */
static void test_spent_reserve(void **state)
{
    (void)state;
    open_with_budget(1000);
    add(LANE_NORMAL, 600);
    add(LANE_ALARM, 2);
    fake_endpoint_run();
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_in_range(request_wall_ms(0), 1769904000000, 1769904001000);
}

/* A slow link gets small requests. */
static void test_rate_makes_requests_small(void **state)
{
    const struct link_options link_options = {
        .rate_bytes = 256, .reset_day = 1, .wall_ms = wall_ms};
    struct uplink_options options = usual_options();
    (void)state;
    assert_int_equal(link_open(&link_options, &world.link), E_OK);
    options.link = world.link;
    open_with(&options);
    add(LANE_NORMAL, 400); /* 10 bytes each, with their keys more */
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_in_range(fake_endpoint.request_count, 2, 4);
}

static void is_asking(int64_t deadline_ms)
{
    struct uplink_status status = status_now();
    (void)deadline_ms;
    if (fake_endpoint.request_count == 0 || fake_endpoint.request_count > 3)
        return;
    assert_int_equal(status.state,
                     fake_endpoint.request_count == 1 ? UPLINK_OFFLINE : UPLINK_PAUSED);
    assert_int_equal(status.due_ms, 0); /* it waits for the budget all the same */
    fake_endpoint.no_date = fake_endpoint.request_count < 2;
}

/* Without the time nobody knows when the month ends, so it is asked for as soon as something waits
 * for that, without records: soon again if nobody was there, after six hours if nobody said it. */
static void test_spent_budget_and_unknown_time(void **state)
{
    static const struct fake_step away = {.error = E_TIMEOUT, .unsent = true};
    const struct fake_step steps[] = {away};
    (void)state;
    world.time_unknown = true;
    fake_endpoint.no_date = true;
    open_with_budget(1000);
    add(LANE_NORMAL, 600);
    fake_endpoint.on_wait = is_asking;
    run_steps(steps, 1);
    assert_int_equal(fake_route_left(&world.spool), 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(fake_endpoint.requests[i].question);
    assert_int_equal(request_ms(0), 100000);
    assert_in_range(request_ms(1), 100000, 100000 + 1000);
    assert_in_range(request_ms(2), 100000 + 21600000, 100000 + 21600000 + 601000);
    assert_in_range(request_wall_ms(3), 1769904000000, 1769904001000);
}

static void alarm_is_due(int64_t deadline_ms)
{
    (void)deadline_ms;
    if (fake_endpoint.request_count < 3)
        return;
    assert_int_equal(status_now().due_ms, fake_endpoint.mono_ms - 100000);
    assert_int_equal(status_now().state, UPLINK_OFFLINE);
    (void)uplink_stop(world.uplink, 0);
}

/* An outage that alarms meet is one, whatever else waits for the budget. */
static void test_alarm_that_fails_in_a_pause(void **state)
{
    static const struct fake_step away = {.error = E_TIMEOUT, .unsent = true};
    const struct fake_step steps[] = {away, away, away, away};
    (void)state;
    open_with_budget(950);
    add(LANE_NORMAL, 5);
    add(LANE_ALARM, 1);
    fake_endpoint.on_wait = alarm_is_due;
    run_steps(steps, 4);
    assert_int_equal(fake_endpoint.request_count, 3);
}

/* ---- the network comes back ---- */

static size_t told_at; /* the kernel tells of the network behind so many requests, once */

static void tell_of_network(int64_t deadline_ms)
{
    (void)deadline_ms;
    if (fake_endpoint.request_count != told_at)
        return;
    told_at = 0;
    stop_event_signal(fake_endpoint.net_fd);
}

/* When the ninth request went out, after eight failed with ERROR. */
static int64_t ninth_request_ms(int error, bool better)
{
    struct fake_step steps[8];
    for (size_t i = 0; i < 8; i++)
        steps[i] = (struct fake_step){.error = error, .unsent = true};
    (void)tear_down(NULL);
    (void)set_up(NULL);
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.random = UINT64_MAX;
    fake_endpoint.net_better = better;
    fake_endpoint.on_wait = tell_of_network;
    told_at = 8;
    run_steps(steps, 8);
    assert_all_delivered_once();
    assert_int_equal(told_at, 0);
    return request_ms(8) - request_ms(7);
}

static void test_network_that_comes_back(void **state)
{
    (void)state;
    assert_in_range(ninth_request_ms(E_TIMEOUT, true), 0, 3000);
    assert_in_range(ninth_request_ms(E_TIMEOUT, false), 100000, 130000);
}

/* ---- credentials and clock ---- */

static void test_expired_credentials(void **state)
{
    static const struct fake_step expired = {.status = 400,
                                             .body = "{\"__type\":\"ExpiredTokenException\"}"};
    const struct fake_step steps[] = {expired, expired, expired, {0}, expired};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 600);
    run_steps(steps, 5);
    assert_all_delivered_once();
    assert_int_equal(world.expired, 4);
    assert_int_equal(request_ms(1), request_ms(0)); /* at once, the first time */
    assert_int_equal(request_ms(2) - request_ms(1), 60000);
    assert_int_equal(request_ms(5), request_ms(4)); /* and again after a success */
}

static void test_no_credentials(void **state)
{
    static const int errors[] = {E_NOT_FOUND, E_CREDENTIALS, E_TIMEOUT};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        (void)tear_down(NULL);
        (void)set_up(NULL);
        open_usual();
        add(LANE_NORMAL, 5);
        world.credentials_error = errors[i];
        run_steps(NULL, 0);
        assert_all_delivered_once();
        assert_int_equal(world.credentials_asked, 3);
        assert_int_equal(status_now().credentials_failures, 2);
        assert_int_equal(request_ms(0), 103000); /* soon again: to ask for them costs nothing */
    }
}

static const struct fake_step skew = {
    .status = 400,
    .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: \"}"};

static void test_wrong_clock(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.wall_wrong_ms = -3600 * 1000;
    run_steps(&skew, 1);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1), request_ms(0));
    assert_string_equal(fake_endpoint.requests[0].date, "20260115T113456Z");
    assert_string_equal(fake_endpoint.requests[1].date, "20260115T123456Z");
    assert_int_equal(world.dates, 2);
    assert_int_equal(world.date_offset_ms / 1000,
                     (fake_endpoint.wall_ms + fake_endpoint.mono_ms) / 1000 -
                         fake_endpoint.mono_ms / 1000);
}

/* Our own clock is right again: it is used again. */
static void clock_is_set(size_t request, struct fake_step *ret_step)
{
    if (request == 0)
        *ret_step = skew;
    if (request == 1)
        fake_endpoint.wall_wrong_ms = 17;
}

static void test_clock_that_is_set_later(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 600);
    fake_endpoint.wall_wrong_ms = 7200 * 1000;
    fake_endpoint.choose = clock_is_set;
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_string_equal(fake_endpoint.requests[0].date, "20260115T143456Z");
    assert_string_equal(fake_endpoint.requests[1].date, "20260115T123456Z");
    assert_string_equal(fake_endpoint.requests[2].date, "20260115T123456Z");
}

/* Who refuses for another reason has taken the time: the next time that is wrong is new, too. */
static void test_wrong_clock_again(void **state)
{
    static const struct fake_step denied = {.status = 400,
                                            .body = "{\"__type\":\"AccessDeniedException\"}"};
    const struct fake_step steps[] = {skew, denied, skew, skew};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 4);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1), request_ms(0));
    assert_int_equal(request_ms(2) - request_ms(1), 60000);
    assert_int_equal(request_ms(3), request_ms(2));
    assert_int_not_equal(request_ms(4), request_ms(3)); /* but not without end */
}

/* A difference below four minutes is left alone. */
static void test_small_skew(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 600);
    fake_endpoint.wall_wrong_ms = 239 * 1000;
    run_steps(NULL, 0);
    assert_string_equal(fake_endpoint.requests[1].date, "20260115T123855Z");
}

static void test_skew_that_stays(void **state)
{
    const struct fake_step steps[] = {skew, skew, skew};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 3);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1), request_ms(0));
    assert_int_equal(request_ms(2) - request_ms(1), 60000);
}

static void test_date_without_tls_is_not_believed(void **state)
{
    struct uplink_options options = usual_options();
    (void)state;
    options.tls = false;
    open_with(&options);
    add(LANE_NORMAL, 5);
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(world.dates, 0);
}

/* ---- a time that nobody knows ---- */

enum { TIME_WAIT_MS = 600 * 1000 };

static bool knows_time(void *context)
{
    assert_ptr_equal(context, &world);
    return world.dates > 0;
}

static bool time_is_vouched;

static bool vouches_time(void *context)
{
    assert_ptr_equal(context, &world);
    return time_is_vouched;
}

static void open_without_time(void)
{
    struct uplink_options options = usual_options();
    options.knows_time = knows_time;
    options.vouches_time = vouches_time;
    time_is_vouched = false;
    options.time_wait_ms = TIME_WAIT_MS;
    open_with(&options);
}

static void test_time_is_asked_for_first(void **state)
{
    (void)state;
    open_without_time();
    add(LANE_NORMAL, 600);
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 3);
    assert_true(fake_endpoint.requests[0].question);
    assert_false(fake_endpoint.requests[1].question);
    assert_int_equal(request_ms(1), request_ms(0));
}

/* Records wait while nobody can be asked, and go as they are when that was long enough. */
static void test_time_is_not_waited_for_for_ever(void **state)
{
    struct fake_step steps[32];
    size_t i = 0;
    (void)state;
    for (i = 0; i < 32; i++)
        steps[i] = (struct fake_step){.error = E_TIMEOUT, .unsent = true};
    open_without_time();
    add(LANE_NORMAL, 5);
    run_steps(steps, 32);
    assert_all_delivered_once();
    for (i = 0; fake_endpoint.requests[i].question; i++)
        assert_true(request_ms(i) < 100000 + TIME_WAIT_MS);
    assert_true(i > 5);
    assert_true(request_ms(i) >= 100000 + TIME_WAIT_MS);
}

static void test_who_answers_without_a_date(void **state)
{
    (void)state;
    open_without_time();
    fake_endpoint.no_date = true;
    add(LANE_NORMAL, 5);
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 2);
}

/* A server that does not understand the question may understand records. */
static void test_who_hangs_up_on_the_question(void **state)
{
    static const struct fake_step steps[] = {{.error = E_CLOSED}, {.error = E_CLOSED}};
    (void)state;
    open_without_time();
    add(LANE_NORMAL, 5);
    run_steps(steps, 2);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 3);
    assert_true(fake_endpoint.requests[1].question);
    assert_false(fake_endpoint.requests[2].question);
}

static void test_time_is_not_asked_for_without_tls(void **state)
{
    struct uplink_options options = usual_options();
    (void)state;
    options.tls = false;
    options.knows_time = knows_time;
    options.time_wait_ms = TIME_WAIT_MS;
    open_with(&options);
    add(LANE_NORMAL, 5);
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 1);
}

/* The fake machine has been up for 100 s. */
static void test_start_delay(void **state)
{
    struct uplink_options options = usual_options();
    (void)state;
    options.start_delay_ms = 30000;
    open_with(&options);
    add(LANE_NORMAL, 5);
    fake_endpoint.random = 20000;
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.waits > 0, 1);
    assert_in_range(request_ms(0), 100000 + 20000, 100000 + AGE_NORMAL_MS + 20000);
    (void)tear_down(NULL);
    (void)set_up(NULL);
    options = usual_options();
    options.start_delay_ms = 30000;
    fake_endpoint.mono_ms = 181 * 1000;
    fake_endpoint.random = 20000;
    open_with(&options);
    add(LANE_ALARM, 5);
    fake_endpoint_run();
    assert_int_equal(request_ms(0), 181 * 1000);
}

/* A certificate that is not valid yet, or any more, by a clock that nobody vouches for: a question
 * without records goes all the same, and what follows is judged by what it taught. */
static void test_certificate_and_a_doubtful_clock(void **state)
{
    const struct fake_step refused = {.error = E_CERTIFICATE, .unsent = true};
    (void)state;
    for (int knows = 0; knows <= 1; knows++) {
        (void)tear_down(NULL);
        (void)set_up(NULL);
        struct uplink_options options = usual_options();
        options.knows_time = knows_time;
        options.vouches_time = vouches_time;
        options.time_wait_ms = 0;
        time_is_vouched = false;
        open_with(&options);
        world.dates = (size_t)knows; /* a Date that was wrong, perhaps */
        add(LANE_NORMAL, 5);
        run_steps(&refused, 1);
        assert_all_delivered_once();
        assert_int_equal(fake_endpoint.request_count, 3);
        assert_false(fake_endpoint.requests[0].question);
        assert_true(fake_endpoint.requests[1].question);
        assert_int_equal(request_ms(2), request_ms(0));
    }
}

/* What the kernel vouches for is not doubted for the sake of a certificate. */
static void test_certificate_and_a_sure_clock(void **state)
{
    const struct fake_step refused = {.error = E_CERTIFICATE, .unsent = true};
    (void)state;
    struct uplink_options options = usual_options();
    options.knows_time = knows_time;
    options.vouches_time = vouches_time;
    time_is_vouched = true;
    world.dates = 1;
    open_with(&options);
    add(LANE_NORMAL, 5);
    fake_endpoint.on_wait = look_and_stop;
    run_steps(&refused, 1);
    assert_int_equal(fake_endpoint.request_count, 1);
    assert_int_equal(seen_state, UPLINK_NEEDS_OPERATOR);
}

/* Where the clock is not to blame, it is a matter for somebody, and not asked about without end. */
static void test_certificate_that_stays_untrusted(void **state)
{
    struct fake_step steps[8];
    (void)state;
    for (size_t i = 0; i < 8; i++)
        steps[i] = (struct fake_step){.error = E_CERTIFICATE, .unsent = true};
    open_without_time();
    add(LANE_NORMAL, 5);
    fake_endpoint.on_wait = look_and_stop;
    run_steps(steps, 8);
    assert_int_equal(fake_endpoint.request_count, 2);
    assert_int_equal(seen_state, UPLINK_NEEDS_OPERATOR);
}

/* What the server calls the time, where it says so in words alone. */
static void test_time_in_a_message(void **state)
{
    const struct fake_step step = {
        .status = 400,
        .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: "
                "20260115T113456Z is now earlier than 20260115T122956Z (20260115T123456Z - 5 "
                "min.)\"}"};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.no_date = true;
    fake_endpoint.wall_wrong_ms = -3600 * 1000;
    run_steps(&step, 1);
    assert_all_delivered_once();
    assert_int_equal(request_ms(1), request_ms(0));
    assert_string_equal(fake_endpoint.requests[1].date, "20260115T123456Z");
}

/* ---- spool ---- */

static void change(void)
{
    if (fake_endpoint.request_count == 1)
        world.documents[3][1] = '\'';
}

static void test_batch_that_changes_is_built_anew(void **state)
{
    static const struct fake_step steps[] = {{.between = change}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 1);
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 2);
    assert_int_equal(request_ms(1), request_ms(0));
    assert_int_equal(status_now().state, UPLINK_CONNECTED);
}

static void keeps_changing(void)
{
    if (fake_endpoint.request_count < 6)
        world.documents[3][1] ^= 1;
}

static void test_batch_that_keeps_changing(void **state)
{
    struct fake_step steps[6];
    (void)state;
    for (size_t i = 0; i < 6; i++)
        steps[i] = (struct fake_step){.between = keeps_changing};
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 6);
    assert_all_delivered_once();
    assert_int_equal(request_ms(3), request_ms(0));
    assert_int_equal(request_ms(4) - request_ms(3), 1000);
}

static void spool_recovers(int64_t deadline_ms)
{
    (void)deadline_ms;
    if (fake_endpoint.waits > 3)
        world.spool.read_error = E_OK;
}

static void test_spool_that_cannot_be_read(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    world.spool.read_error = E_CHECKSUM;
    fake_endpoint.on_wait = spool_recovers;
    run_steps(NULL, 0);
    assert_all_delivered_once();
    assert_int_equal(request_ms(0), 100000 + 1000 + 2000 + 4000 + 8000 + 16000);
}

/* All that is there is damaged: the thread looks again now and then, and does not spin. */
static void stop_after_ten(int64_t deadline_ms)
{
    (void)deadline_ms;
    if (fake_endpoint.waits >= 10)
        (void)uplink_stop(world.uplink, 0);
}

static void test_nothing_but_damage(void **state)
{
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    for (size_t i = 0; i < 5; i++)
        world.spool.records[i].damaged = true;
    fake_endpoint.on_wait = stop_after_ten;
    run_steps(NULL, 0);
    assert_int_equal(fake_endpoint.request_count, 0);
    assert_true(fake_endpoint.mono_ms >= 100000 + 10 * 1000);
}

static void test_record_that_is_too_big(void **state)
{
    static char large[1024 * 1024 + 1];
    (void)state;
    open_usual();
    memset(large, ' ', sizeof large);
    add(LANE_NORMAL, 2);
    (void)fake_route_add_document(&world.spool, LANE_NORMAL, 3, large, sizeof large);
    run_steps(NULL, 0);
    assert_int_equal(fake_route_left(&world.spool), 0);
    assert_true(world.spool.records[1].delivered);
    assert_true(world.spool.records[2].dead);
    assert_int_equal(status_now().refused, 1);
}

static void test_pins_are_given_back(void **state)
{
    static const struct fake_step steps[] = {{.error = E_TIMEOUT}, {.body = ""}, {0}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    run_steps(steps, 3);
    assert_int_equal(world.spool.pinned[LANE_NORMAL], 0);
    assert_int_equal(world.spool.releases, 3);
}

/* ---- everything at once ---- */

static uint32_t chance;

static void choose_anything(size_t request, struct fake_step *ret_step)
{
    static const struct fake_step faults[] = {
        {.error = E_TIMEOUT, .unsent = true},
        {.error = E_CLOSED},
        {.error = E_CLOSED, .lost = true},
        {.status = 500, .body = "{}"},
        {.status = 400, .body = "{\"__type\":\"ThrottlingException\"}"},
        {.status = 400, .body = "{\"__type\":\"ExpiredTokenException\"}"},
        {.body = "<html>"},
    };
    (void)request;
    chance = chance * 1664525 + 1013904223;
    if (chance >> 30 == 0)
        *ret_step = faults[(chance >> 8) % (sizeof faults / sizeof faults[0])];
    else if (chance >> 30 == 1)
        *ret_step = (struct fake_step){.failing = (uint64_t)chance << 20 | chance,
                                       .code = "ProvisionedThroughputExceededException"};
}

/* Whatever the endpoint does: nothing is missing, and what is there twice was in a lost reply. */
static void test_nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    for (chance = 1; chance < 1000; chance = chance % 1000 + 331) {
        uint32_t seed = chance;
        (void)tear_down(NULL);
        (void)set_up(NULL);
        open_usual();
        add(LANE_NORMAL, 700);
        add(LANE_ALARM, 200);
        add(LANE_BULK, 300);
        fake_endpoint.choose = choose_anything;
        run_steps(NULL, 0);
        assert_int_equal(fake_route_left(&world.spool), 0);
        for (size_t i = 0; i < fake_endpoint.stored_count; i++)
            assert_int_equal(fake_endpoint.stored[i].times, fake_endpoint.stored[i].times_lost + 1);
        assert_int_equal(fake_endpoint.stored_count, 1200);
        chance = seed;
    }
}

/* ---- open, stop, close ---- */

static void test_stop_while_it_backs_off(void **state)
{
    static const struct fake_step steps[] = {{.error = E_TIMEOUT}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.on_wait = look_and_stop;
    run_steps(steps, 1);
    assert_int_equal(fake_endpoint.request_count, 1);
    assert_int_equal(uplink_stop(world.uplink, 0), E_OK);
}

static void test_an_exchange_that_is_stopped_keeps_its_records(void **state)
{
    static const struct fake_step steps[] = {{.error = E_STOP}};
    (void)state;
    open_usual();
    add(LANE_NORMAL, 5);
    fake_endpoint.on_wait = look_and_stop;
    run_steps(steps, 1);
    assert_int_equal(status_now().retried, 0);
    assert_all_delivered_once();
}

static void test_open_faults(void **state)
{
    struct uplink_options options = usual_options();
    struct uplink *uplink = NULL;
    (void)state;
    world.spool.open_error = E_FULL;
    assert_int_equal(uplink_open(&options, &uplink), E_FULL);
    assert_null(uplink);
    assert_false(fake_endpoint.opened);
    dest_close(options.dest); /* still ours */
    options.dest = NULL;
    assert_int_equal(uplink_open(&options, &uplink), E_INVALID);
    uplink_close(NULL);
}

static void test_limits(void **state)
{
    struct uplink_options options = usual_options();
    (void)state;
    options.batch_records = 7;
    open_with(&options);
    add(LANE_NORMAL, 14);
    fake_endpoint_run();
    assert_all_delivered_once();
    assert_int_equal(fake_endpoint.request_count, 2);
    assert_int_equal(fake_endpoint.requests[0].records, 7);
    assert_int_equal(fake_endpoint.options.connect_ms, 30000);
    assert_string_equal(fake_endpoint.options.host, "kinesis.example");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_waits_for_the_age_of_the_oldest),
        TEST(test_what_is_handed_in_waits_from_then_on),
        TEST(test_every_batch_waits_for_its_own_age),
        TEST(test_a_full_batch_goes_at_once),
        TEST(test_drain_does_not_wait),
        TEST(test_alarms_go_at_once),
        TEST(test_trickle),
        TEST(test_records_of_an_earlier_boot_are_due),
        TEST(test_only_failed_records_are_sent_again),
        TEST(test_new_records_fill_up),
        TEST(test_throttled_records_wait_a_little),
        TEST(test_all_records_throttled),
        TEST(test_lost_reply),
        TEST(test_replies_that_answer_for_nothing),
        TEST(test_throttled_request),
        TEST(test_probe_while_offline),
        TEST(test_poison_is_found),
        TEST(test_poison_is_found_in_packs),
        TEST(test_all_refused),
        TEST(test_all_refused_until_mended),
        TEST(test_poison_that_is_alone),
        TEST(test_requests_that_are_too_large),
        TEST(test_a_limit_of_a_few_records),
        TEST(test_no_request_is_small_enough),
        TEST(test_gap_that_is_refused),
        TEST(test_backlog_at_the_start),
        TEST(test_backlog_of_an_outage),
        TEST(test_states),
        TEST(test_token_in_a_reply),
        TEST(test_operator_errors_are_retried_slowly),
        TEST(test_numbers),
        TEST(test_due),
        TEST(test_nothing_due_behind_the_dead),
        TEST(test_spent_budget_leaves_alarms),
        TEST(test_spent_reserve),
        TEST(test_rate_makes_requests_small),
        TEST(test_spent_budget_and_unknown_time),
        TEST(test_alarm_that_fails_in_a_pause),
        TEST(test_expired_credentials),
        TEST(test_no_credentials),
        TEST(test_network_that_comes_back),
        TEST(test_wrong_clock),
        TEST(test_clock_that_is_set_later),
        TEST(test_wrong_clock_again),
        TEST(test_small_skew),
        TEST(test_skew_that_stays),
        TEST(test_date_without_tls_is_not_believed),
        TEST(test_time_is_asked_for_first),
        TEST(test_time_is_not_waited_for_for_ever),
        TEST(test_who_answers_without_a_date),
        TEST(test_who_hangs_up_on_the_question),
        TEST(test_time_is_not_asked_for_without_tls),
        TEST(test_start_delay),
        TEST(test_certificate_and_a_doubtful_clock),
        TEST(test_certificate_and_a_sure_clock),
        TEST(test_certificate_that_stays_untrusted),
        TEST(test_time_in_a_message),
        TEST(test_batch_that_changes_is_built_anew),
        TEST(test_batch_that_keeps_changing),
        TEST(test_spool_that_cannot_be_read),
        TEST(test_nothing_but_damage),
        TEST(test_record_that_is_too_big),
        TEST(test_pins_are_given_back),
        TEST(test_nothing_is_lost_or_doubled),
        TEST(test_stop_while_it_backs_off),
        TEST(test_an_exchange_that_is_stopped_keeps_its_records),
        TEST(test_open_faults),
        TEST(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
