/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "platform/base/error.h"
#include "platform/gzip.h"

enum { ROOM_BYTES = 1 << 20, GZIP_FORMAT = 16 + MAX_WBITS };

struct fixture {
    struct gzip *gzip;
    size_t out_bytes;
    size_t room_bytes; /* what is more is E_FULL */
    uint8_t out[ROOM_BYTES];
    uint8_t in[ROOM_BYTES];
    uint8_t again[ROOM_BYTES];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || gzip_open(&fixture->gzip) != E_OK)
        return -1;
    fixture->room_bytes = ROOM_BYTES;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    gzip_close(fixture->gzip);
    free(fixture);
    return 0;
}

static int keep(void *context, const uint8_t *bytes, size_t count)
{
    struct fixture *fixture = context;
    if (fixture->out_bytes + count > fixture->room_bytes)
        return E_FULL;
    memcpy(fixture->out + fixture->out_bytes, bytes, count);
    fixture->out_bytes += count;
    return E_OK;
}

/* Whole members, one behind the other, as any gunzip reads them. */
static size_t unzip(struct fixture *fixture)
{
    z_stream stream = {.next_in = fixture->out, .avail_in = (uInt)fixture->out_bytes};
    size_t total = 0;
    while (stream.avail_in > 0) {
        assert_int_equal(inflateInit2(&stream, GZIP_FORMAT), Z_OK);
        stream.next_out = fixture->again + total;
        stream.avail_out = (uInt)(ROOM_BYTES - total);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        total += stream.total_out;
        assert_int_equal(inflateEnd(&stream), Z_OK);
    }
    return total;
}

static void fill(struct fixture *fixture, size_t bytes, bool random)
{
    uint64_t word = 1;
    for (size_t i = 0; i < bytes; i++) {
        word = word * 6364136223846793005 + 1442695040888963407;
        fixture->in[i] = random ? (uint8_t)(word >> 56) : (uint8_t)('a' + (word >> 62));
    }
}

/* In pieces of PIECE bytes; the announced bound holds at every step. */
static void zip(struct fixture *fixture, size_t bytes, size_t piece)
{
    uint64_t lowest = UINT64_MAX;
    size_t before = fixture->out_bytes;
    gzip_start(fixture->gzip, keep, fixture);
    for (size_t at = 0; at < bytes; at += piece) {
        uint64_t bound = gzip_bound(fixture->gzip, bytes - at);
        lowest = bound < lowest ? bound : lowest;
        assert_int_equal(
            gzip_add(fixture->gzip, fixture->in + at, piece < bytes - at ? piece : bytes - at),
            E_OK);
    }
    assert_int_equal(gzip_finish(fixture->gzip), E_OK);
    assert_int_equal(fixture->out_bytes - before, gzip_out_bytes(fixture->gzip));
    assert_true(fixture->out_bytes - before <= lowest);
}

static void test_round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 65535, 65536, 300000};
    struct fixture *fixture = *state;
    for (size_t random = 0; random < 2; random++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            fill(fixture, sizes[i], random != 0);
            fixture->out_bytes = 0;
            zip(fixture, sizes[i], 1000);
            assert_int_equal(unzip(fixture), sizes[i]);
            assert_memory_equal(fixture->again, fixture->in, sizes[i]);
        }
}

/* The second pass of a batch gives what the first announced. */
static void test_same_again(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 100000, false);
    zip(fixture, 100000, 4096);
    size_t bytes = fixture->out_bytes;
    memcpy(fixture->again, fixture->out, bytes);
    fixture->out_bytes = 0;
    zip(fixture, 100000, 4096);
    assert_int_equal(fixture->out_bytes, bytes);
    assert_memory_equal(fixture->again, fixture->out, bytes);
    assert_int_equal(fixture->out[0], 0x1f); /* RFC 1952: the magic, deflate, no name, no time */
    assert_int_equal(fixture->out[1], 0x8b);
    assert_memory_equal(fixture->out + 2, "\x08\0\0\0\0\0", 6);
}

static void test_members_follow_each_other(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 5000, false);
    zip(fixture, 5000, 100);
    zip(fixture, 5000, 5000);
    assert_int_equal(unzip(fixture), 10000);
    assert_memory_equal(fixture->again + 5000, fixture->in, 5000);
}

/* An error sticks; the next member begins clean. */
static void test_receiver_that_fails(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 300000, true);
    fixture->room_bytes = 2000;
    gzip_start(fixture->gzip, keep, fixture);
    assert_int_equal(gzip_add(fixture->gzip, fixture->in, 300000), E_FULL);
    fixture->room_bytes = ROOM_BYTES;
    assert_int_equal(gzip_add(fixture->gzip, fixture->in, 10), E_FULL);
    assert_int_equal(gzip_finish(fixture->gzip), E_FULL);
    fixture->out_bytes = 0;
    zip(fixture, 300000, 4096);
    assert_int_equal(unzip(fixture), 300000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_same_again),
        TEST(test_members_follow_each_other),
        TEST(test_receiver_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
