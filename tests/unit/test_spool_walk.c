/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/batch/inspect.h"
#include "agent/spool/seal.h"
#include "agent/spool/spool_walk.h"
#include "agent/spool/store.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/unit/folder.h"

/* Looking at a real spool: by walking through it, and as `runnel spool` prints it. */
enum { DOCUMENT_BYTES = 20000, OUTPUT_BYTES = 1 << 20 };

struct bench {
    char path[64];
    char file[80];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *route;
    uint32_t sensor;
    struct events events;
    enum time_quality quality;
    atomic_bool damaged;
    uint8_t document[DOCUMENT_BYTES];
    char output[OUTPUT_BYTES];
    char other[OUTPUT_BYTES];
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    const struct bench *bench = context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = bench->quality};
}

static const struct channel channels[] = {{.name = "temp", .unit = "Cel", .decimals = 2}};
static const struct sensor_definition definition = {
    .device = "gw-17", .name = "board", .channel_count = 1, .channels = channels};

static void open_spool(struct bench *bench, bool open_only)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    struct spool_route_options route = {.name = "live", .lanes = {true, true, true}, .hold = true};
    bench->options.open_only = open_only;
    if (spool_open(&bench->options, fault, &bench->spool) != 0)
        fail_msg("%s", fault);
    if (open_only)
        return;
    assert_int_equal(spool_define_sensor(bench->spool, &definition, &bench->sensor), 0);
    assert_int_equal(spool_route_open(bench->spool, &route, &bench->route), 0);
    assert_int_equal(spool_start(bench->spool), 0);
}

static void stop_spool(struct bench *bench)
{
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + 20000), 0);
    spool_close(bench->spool);
    bench->spool = NULL;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-walk-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    (void)snprintf(bench->file, sizeof bench->file, "%s/spool.mdb", bench->path);
    bench->options = (struct spool_options){.path = bench->path,
                                            .size_bytes = 1024 * 1024,
                                            .device = "gw-17",
                                            .wait_ms = 1,
                                            .ack_window_ms = 1,
                                            .ack_window_records = 1,
                                            .clock = read_clock,
                                            .clock_context = bench};
    for (int lane = 0; lane < LANE_COUNT; lane++)
        bench->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 3600000};
    memset(bench->document, 'y', sizeof bench->document);
    memcpy(bench->document, "{\"a\":\"", 6);
    memcpy(bench->document + 12000, "marker-long", 11);
    memcpy(bench->document + sizeof bench->document - 2, "\"}", 2);
    open_spool(bench, false);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    if (bench->spool != NULL && !bench->options.open_only)
        spool_abandon(bench->spool);
    else
        spool_close(bench->spool);
    log_set_sink(NULL, NULL);
    folder_empty(bench->path);
    assert_int_equal(rmdir(bench->path), 0);
    free(bench);
    return 0;
}

static uint64_t append(struct bench *bench, enum lane lane, const struct sample *sample)
{
    uint64_t sequence = 0;
    struct spool_append request = {.lane = lane,
                                   .sensor = bench->sensor,
                                   .sample = sample,
                                   .source = "plc",
                                   .deadline_ms = clock_mono_ms() + 20000};
    assert_int_equal(spool_append(bench->spool, &request, &sequence), 0);
    return sequence;
}

static uint64_t append_reading(struct bench *bench, enum lane lane, int64_t number)
{
    struct sample sample = {.value_count = 1};
    sample.values[0] = (struct value){.kind = VALUE_DECIMAL, .decimals = 2, .mantissa = number};
    return append(bench, lane, &sample);
}

static uint64_t append_document(struct bench *bench, enum lane lane)
{
    struct sample sample = {.document = bench->document, .document_bytes = DOCUMENT_BYTES};
    return append(bench, lane, &sample);
}

static void wait_accepted(struct bench *bench, enum lane lane, uint64_t sequence)
{
    struct spool_ticket ticket = {.lane = lane, .sequence = sequence};
    assert_int_equal(stop_event_open(&ticket.event_fd), 0);
    spool_ticket_wait(bench->spool, &ticket);
    while (!spool_ticket_accepted(bench->spool, &ticket)) {
        struct pollfd poll_fd = {.fd = ticket.event_fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 30000), 1);
        stop_event_drain(ticket.event_fd);
    }
    spool_ticket_forget(bench->spool, &ticket);
    (void)close(ticket.event_fd);
}

/* The sequences of LANE; STEP records by each reader, then a new one goes on from its position. */
static size_t walk(struct bench *bench, enum lane lane, unsigned step, uint64_t *sequences,
                   unsigned *ret_damaged)
{
    struct spool_position position = {0};
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    size_t count = 0;
    int rc = E_OK;
    *ret_damaged = 0;
    while (rc != E_END) {
        spool_walk_start(&reader, bench->spool, lane, &position);
        for (unsigned i = 0; i < step && rc != E_END; i++) {
            rc = spool_reader_next(&reader, &record, &previous);
            assert_true(rc == E_OK || rc == E_DAMAGED || rc == E_END);
            if (rc == E_OK)
                sequences[count++] = record.sequence;
            *ret_damaged += rc == E_DAMAGED;
            assert_in_range(*ret_damaged, 0, 100); /* else it stands still */
            position = spool_walk_position(&reader);
        }
    }
    return count;
}

static void expect_walk(struct bench *bench, enum lane lane, uint64_t first, size_t count)
{
    static const unsigned steps[] = {1, 7, 100000};
    static uint64_t sequences[10000];
    unsigned damaged;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(walk(bench, lane, steps[i], sequences, &damaged), count);
        assert_int_equal(damaged, 0);
        for (size_t j = 0; j < count; j++)
            assert_int_equal(sequences[j], first + j);
    }
}

static void test_walks_over_flash_and_head(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 1500; i++)
        (void)append_reading(bench, LANE_NORMAL, i);
    expect_walk(bench, LANE_NORMAL, 1, 1500);
    wait_accepted(bench, LANE_NORMAL, 1500);
    for (int i = 0; i < 700; i++)
        (void)append_reading(bench, LANE_NORMAL, i);
    expect_walk(bench, LANE_NORMAL, 1, 2200);
    expect_walk(bench, LANE_BULK, 1, 0);
    stop_spool(bench);
    open_spool(bench, true);
    expect_walk(bench, LANE_NORMAL, 1, 2200);
}

/* What is delivered and still there is exported, too: it does no harm, since it has its identity.
 */
static void test_walks_over_what_the_route_has(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 10; i++)
        (void)append_reading(bench, LANE_ALARM, i);
    wait_accepted(bench, LANE_ALARM, 10);
    struct spool_mark mark = {.sequence = 1, .previous = 0};
    spool_route_ack(bench->route, LANE_ALARM, &mark, 1, SPOOL_DELIVERED);
    expect_walk(bench, LANE_ALARM, 1, 10);
}

/* A line of a followed file that is read again after a power cut was never seen by anybody. */
static void test_what_waits_for_its_commit_is_not_seen(void **state)
{
    struct bench *bench = *state;
    (void)append_reading(bench, LANE_NORMAL, 1);
    struct sample sample = {.value_count = 1,
                            .origin = {.present = true, .device = 1, .inode = 2, .offset = 3}};
    sample.values[0] = (struct value){.kind = VALUE_DECIMAL, .mantissa = 1};
    uint64_t sequence = append(bench, LANE_NORMAL, &sample);
    expect_walk(bench, LANE_NORMAL, 1, 1);
    wait_accepted(bench, LANE_NORMAL, sequence);
    expect_walk(bench, LANE_NORMAL, 1, 2);
}

static void test_a_document_that_is_deleted_meanwhile_has_changed(void **state)
{
    struct bench *bench = *state;
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    const uint8_t *piece;
    size_t bytes;
    uint64_t sequence = append_document(bench, LANE_NORMAL);
    wait_accepted(bench, LANE_NORMAL, sequence);
    spool_walk_start(&reader, bench->spool, LANE_NORMAL, &(struct spool_position){0});
    assert_int_equal(spool_reader_next(&reader, &record, &previous), 0);
    assert_int_equal(spool_reader_piece(&reader, &piece, &bytes), 0);
    struct spool_mark mark = {.sequence = sequence, .previous = 0};
    spool_route_ack(bench->route, LANE_NORMAL, &mark, 1, SPOOL_DELIVERED);
    for (int i = 0; i < 3; i++) /* the delete rides in one of these */
        wait_accepted(bench, LANE_ALARM, append_reading(bench, LANE_ALARM, i));
    assert_int_equal(spool_reader_piece(&reader, &piece, &bytes), E_CHANGED);
}

static void note_damage(void *context)
{
    struct bench *bench = context;
    atomic_store(&bench->damaged, true);
}

/* Where LMDB finds no way any more there is no block to pass over: nobody may call on for ever, and
 * the agent hears of it although nothing is to be committed. */
static void test_a_damaged_tree_is_told_as_such(void **state)
{
    struct bench *bench = *state;
    enum { PAGE = 4096, FLAGS_AT = sizeof(size_t) + 2, LEAF = 2 };
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    static uint8_t pages[1024 * 1024];
    for (int i = 0; i < 3000; i++)
        (void)append_reading(bench, LANE_NORMAL, i);
    stop_spool(bench);
    bench->options.on_damaged = note_damage;
    bench->options.event_context = bench;
    open_spool(bench, false);
    FILE *file = fopen(bench->file, "r+b");
    assert_int_equal(fread(pages, 1, sizeof pages, file), sizeof pages);
    for (size_t at = 2 * PAGE; at < sizeof pages; at += PAGE)
        if (pages[at + FLAGS_AT] == LEAF) {
            assert_int_equal(fseek(file, (long)(at + FLAGS_AT), SEEK_SET), 0);
            assert_int_equal(fputc(0, file), 0);
        }
    assert_int_equal(fclose(file), 0);
    spool_walk_start(&reader, bench->spool, LANE_NORMAL, &(struct spool_position){0});
    assert_int_equal(error_errno(spool_reader_next(&reader, &record, &previous)), EIO);
    assert_false(atomic_load(&bench->damaged));
    spool_reader_start(&reader, bench->route, LANE_NORMAL);
    assert_int_equal(error_errno(spool_reader_next(&reader, &record, &previous)), EIO);
    for (int i = 0; i < 20000 && !atomic_load(&bench->damaged); i++)
        (void)poll(NULL, 0, 1);
    assert_true(atomic_load(&bench->damaged));
}

/* ---- as it is printed ---- */

/* All that REQUEST gives, in parts of at most SIZE bytes unless one needs more. */
static struct inspect print(struct bench *bench, const char *request, size_t size, char *output)
{
    struct inspect inspect;
    struct writer writer;
    size_t used = 0;
    size_t room = size;
    assert_int_equal(inspect_start(&inspect, bench->spool, request), 0);
    for (;;) {
        const struct inspect before = inspect;
        assert_true(used + room < OUTPUT_BYTES);
        writer_to_memory(&writer, output + used, room);
        int rc = inspect_next(&inspect, &writer);
        if (rc == E_END)
            break;
        assert_true(rc == E_OK || rc == E_TOO_BIG);
        assert_true(rc == E_OK || memcmp(&before, &inspect, sizeof before) == 0);
        room = rc == E_TOO_BIG ? room * 2 : size;
        used += rc == E_OK ? (size_t)writer_total_bytes(&writer) : 0;
    }
    output[used] = '\0';
    return inspect;
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static void fill(struct bench *bench)
{
    for (int i = 0; i < 1200; i++)
        (void)append_reading(bench, LANE_NORMAL, i);
    (void)append_document(bench, LANE_NORMAL);
    (void)append_reading(bench, LANE_NORMAL, 5);
    (void)append_reading(bench, LANE_ALARM, 2150);
}

static void test_exports_the_same_in_parts_of_any_size(void **state)
{
    struct bench *bench = *state;
    static const size_t sizes[] = {100, 999, 16384};
    fill(bench);
    struct inspect inspect = print(bench, "export", 400000, bench->output);
    assert_int_equal(inspect.records, 1203);
    assert_int_equal(count_lines(bench->output), 1203);
    assert_non_null(strstr(bench->output, "\"values\":{\"temp\":21.50}}\n")); /* alarm, the first */
    assert_non_null(strstr(bench->output, "marker-long"));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        (void)print(bench, "export", sizes[i], bench->other);
        assert_string_equal(bench->other, bench->output);
    }
    stop_spool(bench);
    open_spool(bench, true);
    (void)print(bench, "export", 5000, bench->other);
    assert_string_equal(bench->other, bench->output);
    (void)print(bench, "export alarm", 5000, bench->other);
    assert_int_equal(count_lines(bench->other), 1);
}

static void test_exports_only_what_was_there_at_the_start(void **state)
{
    struct bench *bench = *state;
    struct inspect inspect;
    struct writer writer;
    (void)append_reading(bench, LANE_NORMAL, 1);
    assert_int_equal(inspect_start(&inspect, bench->spool, "export"), 0);
    (void)append_reading(bench, LANE_NORMAL, 2);
    writer_to_memory(&writer, bench->output, OUTPUT_BYTES);
    while (inspect_next(&inspect, &writer) == 0)
        continue;
    assert_int_equal(inspect.records, 1);
}

static void test_refuses_other_requests(void **state)
{
    struct bench *bench = *state;
    static const char *const bad[] = {"", "shows", "sho", "show text", "check yes", "exports"};
    struct inspect inspect;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(inspect_start(&inspect, bench->spool, bad[i]), E_INVALID);
    assert_int_equal(inspect_start(&inspect, bench->spool, "export some"), E_NOT_FOUND);
}

/* Replaces TEXT wherever it stands in the file. */
static void flip(struct bench *bench, const char *text)
{
    FILE *file = fopen(bench->file, "r+b");
    static uint8_t bytes[1024 * 1024];
    assert_non_null(file);
    size_t count = fread(bytes, 1, sizeof bytes, file);
    uint8_t *found = bytes;
    unsigned flips = 0;
    while ((found = memmem(found, count - (size_t)(found - bytes), text, strlen(text))) != NULL) {
        *found ^= 1;
        flips++;
    }
    assert_true(flips > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void test_damage_is_named_and_passed_over_once(void **state)
{
    struct bench *bench = *state;
    static const char small[] = "{\"note\":\"marker-small\"}";
    static uint64_t sequences[10000];
    static const size_t sizes[] = {50, 400, 100000};
    unsigned damaged;
    struct sample sample = {.document = (const uint8_t *)small, .document_bytes = strlen(small)};
    fill(bench);
    uint64_t first = append(bench, LANE_BULK, &sample);
    (void)append_reading(bench, LANE_BULK, 1);
    stop_spool(bench);
    flip(bench, "marker-small");
    flip(bench, "marker-long");
    open_spool(bench, true);
    assert_int_equal(walk(bench, LANE_BULK, 1, sequences, &damaged), 0);
    assert_int_equal(damaged, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct inspect inspect = print(bench, "export", sizes[i], bench->output);
        assert_int_equal(inspect.records, 1202);
        assert_int_equal(inspect.damaged, 2);
        assert_int_equal(count_lines(bench->output), 1202);
        assert_null(strstr(bench->output, "yyy"));
    }
    (void)print(bench, "check", 100, bench->output);
    (void)snprintf(bench->other, OUTPUT_BYTES,
                   "damaged: lane normal, from sequence 1201\n"
                   "damaged: lane bulk, from sequence %d\n"
                   "damaged: 1202 records can be read, 2 blocks cannot\n",
                   (int)first);
    assert_string_equal(bench->output, bench->other);
    (void)print(bench, "check json", 10, bench->output);
    (void)snprintf(
        bench->other, OUTPUT_BYTES,
        "{\"damaged\":[{\"lane\":\"normal\",\"first\":1201},{\"lane\":\"bulk\",\"first\":"
        "%d}],\"records\":1202,\"sound\":false}\n",
        (int)first);
    assert_string_equal(bench->output, bench->other);
}

static void test_an_empty_spool_is_sound(void **state)
{
    struct bench *bench = *state;
    (void)print(bench, "check json", 100, bench->output);
    assert_string_equal(bench->output, "{\"damaged\":[],\"records\":0,\"sound\":true}\n");
    assert_int_equal(print(bench, "export", 100, bench->output).records, 0);
    assert_string_equal(bench->output, "");
}

static void test_shows_what_there_is(void **state)
{
    struct bench *bench = *state;
    struct spool_lane_summary lane;
    struct spool_route_summary route;
    fill(bench);
    for (int pass = 0; pass < 2; pass++) { /* in the head, and of a stopped agent */
        spool_walk_lane(bench->spool, LANE_NORMAL, &lane);
        assert_int_equal(lane.records, 1202);
        assert_true(lane.blocks > 6 && lane.bytes > DOCUMENT_BYTES);
        assert_true(lane.oldest_ms > 1700000000000 && lane.newest_ms >= lane.oldest_ms);
        spool_walk_lane(bench->spool, LANE_BULK, &lane);
        assert_int_equal(lane.records + lane.blocks + lane.bytes, 0);
        assert_int_equal(lane.oldest_ms + lane.newest_ms, 0);
        assert_int_equal(spool_walk_route(bench->spool, 0, &route), 0);
        assert_string_equal(route.name, "live");
        assert_int_equal(route.open, pass == 0);
        assert_int_equal(route.counters[LANE_NORMAL].stored, pass == 0 ? 0 : 1202);
        assert_int_equal(spool_walk_route(bench->spool, 1, &route), E_NOT_FOUND);
        (void)print(bench, "show", 100, bench->output);
        assert_non_null(strstr(bench->output, "\nnormal       1202 "));
        if (pass == 0)
            stop_spool(bench);
        if (pass == 0)
            open_spool(bench, true);
    }
}

static void keep_event(void *context, enum log_level level, const char *text)
{
    struct bench *bench = context;
    events_put(&bench->events, level, clock_boot_ms(), text);
}

/* As the agent does it; what was logged before is not there. */
static void keep_events(struct bench *bench)
{
    stop_spool(bench);
    log_set_level(LOG_LEVEL_ERROR);
    log_set_sink(keep_event, bench);
    bench->events = (struct events)EVENTS_EMPTY;
    bench->options.events = &bench->events;
    open_spool(bench, false);
}

static uint32_t count_stored_events(struct bench *bench)
{
    uint32_t first;
    uint32_t end;
    events_range(&bench->events, &first, &end);
    return first;
}

static void wait_stored(struct bench *bench, uint32_t end)
{
    for (int i = 0; i < 20000 && count_stored_events(bench) < end; i++)
        (void)poll(NULL, 0, 1);
    assert_in_range(count_stored_events(bench), end, UINT32_MAX);
}

static void check_log(struct bench *bench)
{
#ifdef CONFIG_COMMAND_LOG
    assert_int_equal(print(bench, "log", 100, bench->output).records, 4);
    assert_int_equal(count_lines(bench->output), 3);
    assert_non_null(strstr(bench->output, "Z  info    waiting \"x\"\n"));
    assert_int_equal(print(bench, "log json last 1", 100, bench->output).records, 4);
    assert_memory_equal(bench->output, "{\"number\":3,\"ts\":\"20", 20);
    assert_non_null(strstr(bench->output, ",\"level\":\"info\",\"boot\":4096,\"text\":"
                                          "\"waiting \\\"x\\\"\"}\n"));
    assert_int_equal(print(bench, "log from 4", 100, bench->output).records, 4);
    assert_string_equal(bench->output, "");
    assert_int_equal(print(bench, "log from 5", 100, bench->output).records,
                     4); /* of another file */
    assert_int_equal(count_lines(bench->output), 3);
#else
    (void)bench;
#endif
}

static void test_shows_events_newest_last(void **state)
{
    struct bench *bench = *state;
    struct spool_event event;
    keep_events(bench);
    assert_int_equal(spool_walk_event(bench->spool, 1, &event), E_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        spool_abandon(bench->spool);
        open_spool(bench, false);
    }
    assert_int_equal(spool_walk_event(bench->spool, 1, &event), 0);
    assert_int_equal(event.number, 1);
    assert_int_equal(event.level, LOG_LEVEL_INFO);
    assert_non_null(strstr(event.text, "stopped-uncleanly sequence-skipped-to="));
    assert_true(event.wall_ms > 1700000000000);
    uint32_t boot = event.boot;
    assert_int_not_equal(boot, 0);
    wait_stored(bench, 3);
    log_info("waiting \"x\"");
    assert_int_equal(spool_walk_event(bench->spool, 3, &event), 0);
    assert_string_equal(event.text, "waiting \"x\"");
    assert_int_equal(event.boot, boot);
    assert_int_equal(spool_walk_next_event(bench->spool), 4);
    assert_int_equal(spool_walk_event(bench->spool, 4, &event), E_NOT_FOUND);
    (void)print(bench, "show", 100, bench->output);
    assert_int_equal(count_lines(strstr(bench->output, "\nEVENTS\n")), 5);
    check_log(bench);
    (void)print(bench, "show json", 100, bench->output);
    assert_non_null(strstr(bench->output, "\"events\":[{\"number\":1,\"ts\":\""));
    assert_non_null(strstr(bench->output, "\"},{\"number\":2,"));
    assert_non_null(strstr(bench->output, "\"}]}\n"));
}

/* As the first versions wrote it: without the zero, and what is behind it. */
static void put_event_of_before(struct bench *bench, uint32_t number, const char *text)
{
    uint8_t content[8 + 160] = {0};
    uint8_t sealed[256];
    struct store *store;
    struct store_txn *txn;
    struct store_key key = store_key_number(STORE_EVENTS, number);
    memcpy(content + 8, text, strlen(text));
    size_t bytes = seal_put(key.bytes, key.count, content, 8 + strlen(text), sealed);
    assert_int_equal(store_open(bench->file, bench->options.size_bytes, &store), 0);
    assert_int_equal(store_begin_write(store, &txn), 0);
    assert_int_equal(store_put(txn, &key, sealed, bytes), 0);
    assert_int_equal(store_commit(txn), 0);
    store_close(store);
}

/* Who went back to an earlier version for a while did not start the device anew. */
static void test_events_of_before_tell_no_boot(void **state)
{
    struct bench *bench = *state;
    struct spool_event event;
    keep_events(bench);
    log_info("one");
    log_info("two");
    log_info("three");
    stop_spool(bench);
    put_event_of_before(bench, 2, "two of before");
    open_spool(bench, false);
    assert_int_equal(spool_walk_event(bench->spool, 2, &event), 0);
    assert_int_equal(event.boot, 0);
    assert_string_equal(event.text, "two of before");
    (void)print(bench, "log", 100, bench->output);
    assert_int_equal(count_lines(bench->output), 3);
    assert_null(strstr(bench->output, "started anew"));
}

/* What was said before anybody knew the time gets it when it is learnt. */
static void test_events_get_their_time(void **state)
{
    struct bench *bench = *state;
    struct spool_event event;
    spool_abandon(bench->spool);
    folder_empty(bench->path);
    bench->quality = TIME_ESTIMATED;
    open_spool(bench, false);
    keep_events(bench);
    log_warning("early");
    stop_spool(bench);
    open_spool(bench, false);
    assert_int_equal(spool_walk_event(bench->spool, 1, &event), 0);
    assert_int_equal(event.time_quality, TIME_ESTIMATED);
    int64_t before_ms = event.wall_ms;
    spool_time_learn(bench->spool, clock_boot_ms(), 1700000000000 + 86400000);
    assert_int_equal(spool_walk_event(bench->spool, 1, &event), 0);
    assert_int_equal(event.time_quality, TIME_CORRECTED);
    assert_int_equal(event.wall_ms, before_ms + 86400000);
}

static void test_a_small_file_keeps_fewer_events(void **state)
{
    struct bench *bench = *state;
    struct spool_event event;
    struct spool_summary before;
    struct spool_summary after;
    char text[200];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    bench->options.size_bytes = 256 * 1024;
    keep_events(bench);
    wait_accepted(bench, LANE_NORMAL, append_reading(bench, LANE_NORMAL, 1));
    spool_walk_summary(bench->spool, &before);
    for (unsigned i = 0; i < 300; i++) {
        log_info("event-%u %s", i, text);
        if (i % 20 == 19)
            wait_accepted(bench, LANE_NORMAL, append_reading(bench, LANE_NORMAL, i));
    }
    wait_stored(bench, 301);
    stop_spool(bench);
    bench->options.events = NULL;
    open_spool(bench, true);
    assert_int_equal(spool_walk_event(bench->spool, 1, &event), 0);
    assert_int_equal(spool_walk_next_event(bench->spool) - event.number, 64);
    spool_walk_summary(bench->spool, &after);
    assert_in_range(after.used_bytes, 0, before.used_bytes + bench->options.size_bytes / 8);
}

static uint64_t commits(struct bench *bench)
{
    struct spool_status status;
    spool_get_status(bench->spool, &status);
    return status.commits;
}

static void deliver(struct bench *bench, uint64_t sequence)
{
    struct spool_mark mark = {.sequence = sequence, .previous = sequence - 1};
    spool_route_ack(bench->route, LANE_ALARM, &mark, 1, SPOOL_DELIVERED);
}

/* A warning that is old enough has a commit of its own, unless something is being delivered. */
static void test_warnings_wait_for_nobody(void **state)
{
    struct bench *bench = *state;
    struct spool_event event;
    keep_events(bench);
    events_put(&bench->events, LOG_LEVEL_INFO, 1, "calm");
    uint64_t before = commits(bench);
    deliver(bench, append_reading(bench, LANE_ALARM, 1));
    events_put(&bench->events, LOG_LEVEL_WARNING, clock_boot_ms() - 60001, "passing trouble");
    (void)poll(NULL, 0, 200);
    assert_int_equal(commits(bench), before);
    stop_spool(bench);
    open_spool(bench, false); /* which has delivered nothing yet */
    events_put(&bench->events, LOG_LEVEL_WARNING, clock_boot_ms() - 60001, "trouble");
    wait_stored(bench, 4);
    before = commits(bench);
    /* Behind that one there is no other for ten minutes, */
    events_put(&bench->events, LOG_LEVEL_WARNING, clock_boot_ms() - 60001, "more trouble");
    (void)poll(NULL, 0, 200);
    assert_int_equal(commits(bench), before);
    /* but what is committed anyway takes it along. */
    wait_accepted(bench, LANE_NORMAL, append_reading(bench, LANE_NORMAL, 1));
    wait_stored(bench, 5);
    assert_int_equal(spool_walk_event(bench->spool, 4, &event), 0);
    assert_string_equal(event.text, "more trouble");
}

static void test_looking_changes_and_makes_nothing(void **state)
{
    struct bench *bench = *state;
    static char before[1024 * 1024];
    char fault[SPOOL_FAULT_BYTES];
    char path[80];
    fill(bench);
    stop_spool(bench);
    FILE *file = fopen(bench->file, "rb");
    assert_int_equal(fread(before, 1, sizeof before, file), sizeof before);
    open_spool(bench, true);
    (void)print(bench, "show", 100, bench->output);
    (void)print(bench, "check", 100, bench->output);
    spool_close(bench->spool);
    bench->spool = NULL;
    rewind(file);
    assert_int_equal(fread(bench->output, 1, sizeof before, file), sizeof before);
    assert_memory_equal(bench->output, before, sizeof before);
    (void)fclose(file);
    (void)snprintf(path, sizeof path, "%s/none", bench->path);
    bench->options.path = path;
    assert_true(spool_open(&bench->options, fault, &bench->spool) < 0);
    assert_int_equal(access(path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_walks_over_flash_and_head),
        TEST(test_walks_over_what_the_route_has),
        TEST(test_what_waits_for_its_commit_is_not_seen),
        TEST(test_a_document_that_is_deleted_meanwhile_has_changed),
        TEST(test_exports_the_same_in_parts_of_any_size),
        TEST(test_exports_only_what_was_there_at_the_start),
        TEST(test_refuses_other_requests),
        TEST(test_damage_is_named_and_passed_over_once),
        TEST(test_an_empty_spool_is_sound),
        TEST(test_shows_what_there_is),
        TEST(test_shows_events_newest_last),
        TEST(test_a_damaged_tree_is_told_as_such),
        TEST(test_events_of_before_tell_no_boot),
        TEST(test_events_get_their_time),
        TEST(test_a_small_file_keeps_fewer_events),
        TEST(test_warnings_wait_for_nobody),
        TEST(test_looking_changes_and_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
