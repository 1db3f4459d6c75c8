/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that are damaged on flash between the two passes of a batch: no wrong record leaves. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/batch/batch.h"
#include "agent/spool/spool.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

enum {
    RECORDS = 60,
    DOCUMENT_BYTES = 1500, /* two in a block */
    WAIT_MS = 20000,
    FILE_BYTES = 1024 * 1024,
    BODY_BYTES = RECORDS * 3000,
};

struct bench {
    char path[64];
    struct spool *spool;
    struct spool_route *route;
    struct batch batch;
    size_t body_bytes;
    char body[BODY_BYTES];
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){.boot_ms = clock_boot_ms(), .quality = TIME_SYNCED};
}

/* Between "<" and ">", number N and letters that depend on it: no two are alike. */
static void spell(size_t n, char document[DOCUMENT_BYTES + 1])
{
    int head = snprintf(document, DOCUMENT_BYTES, "<%zu:", n);
    for (size_t i = (size_t)head; i < DOCUMENT_BYTES - 1; i++)
        document[i] = (char)('a' + (n * 7 + i * 13) % 26);
    document[DOCUMENT_BYTES - 1] = '>';
    document[DOCUMENT_BYTES] = '\0';
}

static void open_spool(struct bench *bench)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    struct spool_options options = {.path = bench->path,
                                    .size_bytes = FILE_BYTES,
                                    .device = "gw",
                                    .wait_ms = 1,
                                    .ack_window_ms = WAIT_MS * 100,
                                    .ack_window_records = 1000000,
                                    .dead_percent = 10,
                                    .clock = read_clock};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] =
            (struct spool_lane_options){.window_ms = WAIT_MS * 100, .age_ms = WAIT_MS * 100};
    const struct spool_route_options route = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    assert_int_equal(spool_open(&options, fault, &bench->spool), 0);
    assert_int_equal(spool_route_open(bench->spool, &route, &bench->route), 0);
    assert_int_equal(spool_start(bench->spool), 0);
}

static void close_spool(struct bench *bench)
{
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + WAIT_MS), 0);
    spool_close(bench->spool);
}

/* All records are on flash, and none is in RAM. */
static void fill(struct bench *bench)
{
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    uint32_t sensor;
    open_spool(bench);
    assert_int_equal(spool_define_sensor(bench->spool, &plc, &sensor), 0);
    for (size_t i = 0; i < RECORDS; i++) {
        char document[DOCUMENT_BYTES + 1];
        uint64_t sequence;
        spell(i, document);
        struct sample sample = {.document = (const uint8_t *)document,
                                .document_bytes = DOCUMENT_BYTES};
        struct spool_append append = {.lane = LANE_NORMAL,
                                      .sensor = sensor,
                                      .sample = &sample,
                                      .deadline_ms = clock_mono_ms() + WAIT_MS};
        assert_int_equal(spool_append(bench->spool, &append, &sequence), 0);
    }
    close_spool(bench);
    open_spool(bench);
}

static void put_nothing(const void *context, struct writer *out)
{
    (void)context;
    (void)out;
}

static void put_space(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)index;
    writer_char(out, ' ');
}

static void put_no_key(const void *context, struct writer *out, const char *key, size_t bytes)
{
    (void)context;
    (void)out;
    (void)key;
    (void)bytes;
}

static void put_end(const void *context, struct writer *out)
{
    (void)context;
    writer_char(out, '.');
}

static struct bench *set_up_bench(void)
{
    static const struct batch_frame frame = {
        .begin = put_nothing, .record_begin = put_space, .record_end = put_no_key, .end = put_end};
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-passes-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    fill(bench);
    const struct batch_options options = {.spool = bench->spool,
                                          .route = bench->route,
                                          .device = "gw",
                                          .lanes = {true, true, true},
                                          .format = BATCH_RAW,
                                          .limits = {RECORDS, BODY_BYTES, DOCUMENT_BYTES * 2},
                                          .frame = &frame};
    assert_int_equal(batch_open(&options, &bench->batch), E_OK);
    return bench;
}

static void tear_down_bench(struct bench *bench)
{
    batch_close(&bench->batch);
    close_spool(bench);
    folder_empty(bench->path);
    assert_int_equal(rmdir(bench->path), 0);
    free(bench);
}

static int keep(void *context, const uint8_t *bytes, size_t count)
{
    struct bench *bench = context;
    assert_true(bench->body_bytes + count < BODY_BYTES);
    memcpy(bench->body + bench->body_bytes, bytes, count);
    bench->body_bytes += count;
    return E_OK;
}

static int write_body(struct bench *bench)
{
    uint8_t buffer[256];
    struct writer out;
    bench->body_bytes = 0;
    writer_to_function(&out, buffer, sizeof buffer, keep, bench);
    int rc = batch_write(&bench->batch, &out);
    (void)writer_finish(&out);
    bench->body[bench->body_bytes] = '\0';
    return rc;
}

/* Changes one byte of document N in the file. */
static void damage(const struct bench *bench, size_t n)
{
    static char file[FILE_BYTES];
    char path[96], document[DOCUMENT_BYTES + 1];
    spell(n, document);
    (void)snprintf(path, sizeof path, "%s/spool.mdb", bench->path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, file, sizeof file, 0), sizeof file);
    const char *at = memmem(file, sizeof file, document, 64);
    assert_non_null(at);
    assert_int_equal(pwrite(fd, "!", 1, at - file + 40), 1);
    assert_int_equal(close(fd), 0);
}

static bool body_has(const struct bench *bench, size_t n)
{
    char document[DOCUMENT_BYTES + 1];
    uint8_t text[DOCUMENT_BYTES * 2];
    struct writer out;
    struct base64 base64;
    spell(n, document);
    writer_to_memory(&out, text, sizeof text);
    base64_start(&base64);
    base64_add(&base64, (const uint8_t *)document, DOCUMENT_BYTES, &out);
    base64_finish(&base64, &out);
    writer_char(&out, '\0');
    return strstr(bench->body, (const char *)text) != NULL;
}

static size_t count_of(const struct bench *bench)
{
    size_t count = 0;
    for (size_t i = 0; i < RECORDS; i++)
        count += body_has(bench, i);
    return count;
}

/* Wherever the damage is: the body is never finished, and the next batch has all that is whole. */
static void test_damage_between_the_passes(void **state)
{
    static const size_t places[] = {0, 1, RECORDS / 2, RECORDS - 1};
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct bench *bench = set_up_bench();
        assert_int_equal(batch_build(&bench->batch, RECORDS, UINT64_MAX), E_OK);
        assert_int_equal(bench->batch.count, RECORDS);
        damage(bench, places[i]);
        assert_int_equal(write_body(bench), E_CHANGED);
        assert_true(bench->body_bytes < bench->batch.summary.body_bytes);
        assert_false(body_has(bench, places[i]));
        batch_release(&bench->batch);
        assert_int_equal(batch_build(&bench->batch, RECORDS, UINT64_MAX), E_OK);
        assert_int_equal(write_body(bench), E_OK);
        assert_int_equal(bench->body_bytes, bench->batch.summary.body_bytes);
        assert_false(body_has(bench, places[i]));
        assert_in_range(count_of(bench), RECORDS - 2, RECORDS - 1);
        assert_int_equal(batch_acknowledge(&bench->batch, NULL), bench->batch.count);
        batch_release(&bench->batch);
        tear_down_bench(bench);
    }
}

static void test_without_damage(void **state)
{
    struct bench *bench = set_up_bench();
    (void)state;
    assert_int_equal(batch_build(&bench->batch, RECORDS, UINT64_MAX), E_OK);
    assert_int_equal(write_body(bench), E_OK);
    assert_int_equal(count_of(bench), RECORDS);
    batch_release(&bench->batch);
    tear_down_bench(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_damage),
        cmocka_unit_test(test_damage_between_the_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
