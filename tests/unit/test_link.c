/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/uplink/link.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/fs.h"
#include "tests/unit/folder.h"

#define MIB ((uint64_t)1024 * 1024)

static char folder[64];
static int64_t mono_now_ms;
static int64_t wall_now_ms; /* 0: not known */

static int64_t mono(void)
{
    return mono_now_ms;
}

static bool wall(void *context, int64_t *ret_ms)
{
    (void)context;
    if (wall_now_ms != 0)
        *ret_ms = wall_now_ms;
    return wall_now_ms != 0;
}

static int64_t at(int64_t year, unsigned month, unsigned day)
{
    return parse_days_from_civil(year, month, day) * 86400000;
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/runnel-link-XXXXXX");
    mono_now_ms = 1000;
    wall_now_ms = at(2026, 11, 20);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_empty(folder);
    return rmdir(folder);
}

static const struct link_options standard = {.month_bytes = 100 * 1024 * 1024,
                                             .reset_day = 1,
                                             .reserve_percent = 10,
                                             .directory = folder,
                                             .wall_ms = wall,
                                             .mono_ms = mono};

static struct link *open_link(const struct link_options *options)
{
    struct link *link;
    assert_int_equal(link_open(options, &link), 0);
    return link;
}

static void spend(struct link *link, uint64_t bytes)
{
    const struct http_meter *meter = link_meter(link);
    meter->count(meter->context, bytes, 0);
}

static struct link_status status_of(struct link *link)
{
    struct link_status status;
    link_get_status(link, &status);
    return status;
}

static uint64_t spent(struct link *link)
{
    return status_of(link).month_bytes;
}

/* ---- the rate ---- */

/* Sends pieces as fast as it may for a while, and returns how many bytes. */
static uint64_t send_for(struct link *link, int64_t ms, uint64_t piece)
{
    const struct http_meter *meter = link_meter(link);
    int64_t end_ms = mono_now_ms + ms;
    uint64_t bytes = 0;
    for (;;) {
        int64_t wait_ms = meter->wait_ms(meter->context);
        if (mono_now_ms + wait_ms >= end_ms)
            break;
        mono_now_ms += wait_ms;
        meter->count(meter->context, piece / 2, piece - piece / 2);
        bytes += piece;
    }
    mono_now_ms = end_ms;
    return bytes;
}

static void test_rate(void **state)
{
    const struct link_options options = {
        .rate_bytes = 16384, .reset_day = 1, .wall_ms = wall, .mono_ms = mono};
    (void)state;
    struct link *link = open_link(&options);
    /* A second's worth at once, then the rate, then one piece in debt. */
    assert_in_range(send_for(link, 60000, 4096), 60 * 16384, 61 * 16384 + 4096);
    assert_in_range(send_for(link, 60000, 1), 60 * 16384 - 4096, 60 * 16384 + 1);
    mono_now_ms += (int64_t)30 * 86400 * 1000; /* what is not used is not saved up */
    assert_in_range(send_for(link, 10000, 4096), 10 * 16384, 11 * 16384 + 4096);
    link_close(link);
}

/* The smallest rate against the largest piece: a long wait, and none that is lost. */
static void test_rate_debt(void **state)
{
    const struct link_options options = {
        .rate_bytes = 256, .reset_day = 1, .wall_ms = wall, .mono_ms = mono};
    (void)state;
    struct link *link = open_link(&options);
    const struct http_meter *meter = link_meter(link);
    assert_int_equal(meter->wait_ms(meter->context), 0);
    meter->count(meter->context, 4096, 6000);
    int64_t wait_ms = meter->wait_ms(meter->context);
    assert_in_range(wait_ms, (4096 + 6000 - 256) * 1000 / 256,
                    (4096 + 6000 - 256) * 1000 / 256 + 1);
    mono_now_ms += wait_ms - 1;
    assert_true(meter->wait_ms(meter->context) > 0);
    mono_now_ms++;
    assert_int_equal(meter->wait_ms(meter->context), 0);
    link_close(link);
}

static void test_no_rate(void **state)
{
    (void)state;
    struct link *link = open_link(&standard);
    const struct http_meter *meter = link_meter(link);
    meter->count(meter->context, 50 * MIB, 0);
    assert_int_equal(meter->wait_ms(meter->context), 0);
    link_close(link);
}

/* ---- the month ---- */

static void test_reserve(void **state)
{
    (void)state;
    struct link *link = open_link(&standard);
    assert_int_equal(link_ask(link), LINK_ALL);
    spend(link, 90 * MIB - 1);
    assert_int_equal(link_ask(link), LINK_ALL);
    spend(link, 100); /* 10 % are 104,857,600 / 100 * 10 */
    assert_int_equal(link_ask(link), LINK_ALARMS);
    assert_true(status_of(link).until_wall_ms == at(2026, 12, 1));
    spend(link, 10 * MIB);
    assert_int_equal(link_ask(link), LINK_NONE);
    wall_now_ms = at(2026, 12, 1) - 1;
    assert_int_equal(link_ask(link), LINK_NONE);
    wall_now_ms++;
    assert_int_equal(link_ask(link), LINK_ALL);
    assert_int_equal(spent(link), 0);
    assert_true(status_of(link).until_wall_ms == at(2027, 1, 1));
    link_close(link);
}

static void test_request_bytes(void **state)
{
    static const struct {
        uint64_t rate, month;
        unsigned reserve;
        uint64_t bytes;
    } rows[] = {{0, 0, 10, UINT64_MAX},
                {16384, 0, 10, 20 * 16384},
                {256, 0, 10, 20 * 256},
                {0, 1600 * 1000 * 100, 10, 1000 * 1000},
                {100, 1600 * 1000 * 100, 10, 4096},
                {16384, 1600 * 1000 * 100, 10, 20 * 16384},
                {0, 1024 * 1024, 10, 10485 * 10 / 16},
                {0, 1024 * 1024, 0, 4096}};
    struct link_options options = standard;
    (void)state;
    options.directory = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        options.rate_bytes = rows[i].rate;
        options.month_bytes = rows[i].month;
        options.reserve_percent = rows[i].reserve;
        struct link *link = open_link(&options);
        assert_true(link_request_bytes(link) == rows[i].bytes);
        link_close(link);
    }
}

static void test_no_limit(void **state)
{
    struct link_options options = standard;
    (void)state;
    options.month_bytes = 0;
    struct link *link = open_link(&options);
    spend(link, 1000 * MIB);
    assert_int_equal(link_ask(link), LINK_ALL);
    assert_int_equal(spent(link), 1000 * MIB);
    link_close(link);
}

static void test_short_months(void **state)
{
    static const struct {
        unsigned reset_day;
        int64_t year;
        unsigned month, day;       /* now */
        unsigned next_month, next; /* when the next one begins */
    } rows[] = {{31, 2027, 1, 31, 2, 28}, {31, 2027, 2, 28, 3, 31}, {31, 2027, 2, 27, 2, 28},
                {31, 2027, 3, 30, 3, 31}, {31, 2027, 4, 30, 5, 31}, {31, 2028, 2, 1, 2, 29},
                {30, 2027, 2, 28, 3, 30}, {15, 2027, 2, 14, 2, 15}, {15, 2027, 2, 15, 3, 15}};
    struct link_options options = standard;
    (void)state;
    options.directory = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        options.reset_day = rows[i].reset_day;
        wall_now_ms = at(rows[i].year, rows[i].month, rows[i].day);
        struct link *link = open_link(&options);
        assert_true(status_of(link).until_wall_ms ==
                    at(rows[i].year, rows[i].next_month, rows[i].next));
        link_close(link);
    }
    options.reset_day = 31;
    wall_now_ms = at(2026, 12, 31);
    struct link *link = open_link(&options);
    assert_true(status_of(link).until_wall_ms == at(2027, 1, 31));
    wall_now_ms = at(2027, 1, 30);
    assert_true(status_of(link).until_wall_ms == at(2027, 1, 31));
    link_close(link);
}

static void test_time_unknown(void **state)
{
    (void)state;
    wall_now_ms = 0;
    struct link *link = open_link(&standard);
    spend(link, 95 * MIB);
    assert_int_equal(link_ask(link), LINK_ALARMS);
    assert_true(status_of(link).until_wall_ms == 0);
    wall_now_ms = at(2026, 11, 20); /* learnt: of which month the count is, nobody knows */
    assert_int_equal(link_ask(link), LINK_ALARMS);
    assert_true(status_of(link).until_wall_ms == at(2026, 12, 1));
    wall_now_ms = 0;
    assert_int_equal(link_ask(link), LINK_ALARMS);
    wall_now_ms = at(2026, 12, 2);
    assert_int_equal(link_ask(link), LINK_ALL);
    link_close(link);
}

static void test_clock_set_back(void **state)
{
    (void)state;
    struct link *link = open_link(&standard);
    spend(link, 50 * MIB);
    wall_now_ms = at(2026, 9, 5);
    assert_int_equal(spent(link), 50 * MIB);
    assert_true(status_of(link).until_wall_ms == at(2026, 10, 1));
    link_close(link);
}

/* ---- what is kept ---- */

static unsigned long file_number(void)
{
    char path[FS_PATH_BYTES];
    struct stat entry;
    assert_int_equal(fs_join(folder, "link", path, sizeof path), 0);
    return stat(path, &entry) == 0 ? (unsigned long)entry.st_ino : 0;
}

static void test_clean_stop(void **state)
{
    (void)state;
    struct link *link = open_link(&standard);
    spend(link, 12345);
    assert_int_equal(link_save(link), 0);
    link_close(link);
    link = open_link(&standard);
    assert_int_equal(spent(link), 12345);
    wall_now_ms = at(2027, 1, 5);
    link_close(link);
    link = open_link(&standard);
    assert_int_equal(spent(link), 0);
    link_close(link);
}

/* Whenever it is cut, the next start counts at least what was spent, and hardly more. */
static void test_unclean_stops(void **state)
{
    (void)state;
    uint64_t real = 0;
    srand(1);
    struct link *link = open_link(&standard);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t before = spent(link);
        uint64_t bytes = 0;
        for (int pieces = rand() % 300; pieces > 0; pieces--) {
            spend(link, 4096);
            bytes += 4096;
        }
        real += bytes;
        link_close(link);
        link = open_link(&standard);
        assert_in_range(spent(link), before + bytes, before + bytes + 100 * MIB / 100);
        assert_true(spent(link) >= real);
    }
    link_close(link);
}

enum { THREADS = 4, PIECES = 2000, PIECE_BYTES = 1000 };

static void *spend_much(void *context)
{
    const struct http_meter *meter = link_meter(context);
    for (int i = 0; i < PIECES; i++) {
        meter->count(meter->context, PIECE_BYTES / 2, PIECE_BYTES / 2);
        (void)meter->wait_ms(meter->context);
    }
    return NULL;
}

/* Routes count side by side, one of them makes the reservation; somebody asks for the status. */
static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    struct link *link = open_link(&standard);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend_much, link), 0);
    for (int i = 0; i < 1000; i++)
        (void)link_ask(link);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(spent(link), THREADS * PIECES * PIECE_BYTES);
    link_close(link);
    link = open_link(&standard);
    assert_in_range(spent(link), THREADS * PIECES * PIECE_BYTES,
                    THREADS * PIECES * PIECE_BYTES + 100 * MIB / 100);
    link_close(link);
}

static void test_few_writes(void **state)
{
    (void)state;
    struct link *link = open_link(&standard);
    unsigned writes = 0;
    unsigned long last = file_number();
    for (uint64_t bytes = 0; bytes < 100 * MIB; bytes += 4096) {
        spend(link, 4096);
        writes += file_number() != last;
        last = file_number();
    }
    assert_in_range(writes, 100, 140);
    link_close(link);
}

static void test_no_writes_without_limit(void **state)
{
    struct link_options options = standard;
    (void)state;
    options.month_bytes = 0;
    struct link *link = open_link(&options);
    spend(link, 1000 * MIB);
    assert_int_equal(file_number(), 0);
    assert_int_equal(link_save(link), 0);
    link_close(link);
    link = open_link(&options);
    assert_int_equal(spent(link), 1000 * MIB);
    link_close(link);
}

static void put_file(const char *text)
{
    char path[FS_PATH_BYTES];
    assert_int_equal(fs_join(folder, "link", path, sizeof path), 0);
    assert_int_equal(fs_replace_file(path, text, strlen(text), 0600), 0);
}

/* Each prefix of the file, and each byte of it changed. */
static void test_damaged(void **state)
{
    char path[FS_PATH_BYTES];
    char good[256];
    char bad[256];
    (void)state;
    struct link *link = open_link(&standard);
    spend(link, 1000000);
    assert_int_equal(link_save(link), 0);
    link_close(link);
    assert_int_equal(fs_join(folder, "link", path, sizeof path), 0);
    int count = fs_read_file(path, good, sizeof good);
    assert_true(count > 0);
    for (int i = 0; i < 2 * count; i++) {
        (void)snprintf(bad, sizeof bad, "%s", good);
        bad[i / 2] = i % 2 == 0 ? '\0' : (char)(bad[i / 2] ^ 1);
        put_file(bad);
        link = open_link(&standard);
        assert_int_equal(link_ask(link), LINK_ALARMS);
        wall_now_ms = at(2026, 12, 1);
        assert_int_equal(link_ask(link), LINK_ALL);
        wall_now_ms = at(2026, 11, 20);
        link_close(link);
    }
    put_file(good);
    link = open_link(&standard);
    assert_int_equal(spent(link), 1000000);
    link_close(link);
}

/* A state directory that is gone stops nothing. */
static void test_unwritable(void **state)
{
    struct link_options options = standard;
    (void)state;
    options.directory = "/nonexistent/runnel";
    struct link *link = open_link(&options);
    spend(link, 5 * MIB);
    const struct http_meter *meter = link_meter(link);
    assert_int_equal(meter->wait_ms(meter->context), 0);
    assert_int_equal(spent(link), 5 * MIB);
    assert_true(link_save(link) < 0);
    link_close(link);
}

static void test_options(void **state)
{
    struct link_options options = standard;
    struct link *link;
    (void)state;
    options.reset_day = 0;
    assert_int_equal(link_open(&options, &link), E_INVALID);
    options.reset_day = 32;
    assert_int_equal(link_open(&options, &link), E_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rate),           TEST(test_rate_debt),
        TEST(test_no_rate),        TEST(test_reserve),
        TEST(test_request_bytes),  TEST(test_no_limit),
        TEST(test_short_months),   TEST(test_time_unknown),
        TEST(test_clock_set_back), TEST(test_clean_stop),
        TEST(test_unclean_stops),  TEST(test_threads),
        TEST(test_few_writes),     TEST(test_no_writes_without_limit),
        TEST(test_damaged),        TEST(test_unwritable),
        TEST(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
