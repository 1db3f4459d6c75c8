/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/batch/aggregate.h"

enum { ROOM_BYTES = 1024, RECORDS_MAX = 4 };

struct data {
    size_t count;
    const char *bytes;
};

/* Made by google.protobuf, read back by AWS's Python de-aggregator. */
static const struct vector {
    const char *name;
    size_t key_bytes;
    const char *key;
    size_t whole_bytes;
    const char *whole;
    size_t record_count;
    struct data records[RECORDS_MAX];
} vectors[] = {
#include "kpl_vectors.h"
};

static size_t write_aggregate(const struct vector *vector, uint8_t *to)
{
    struct aggregate aggregate;
    uint8_t *start = to;
    uint64_t expected = aggregate_empty_bytes(vector->key_bytes);
    to += aggregate_start(&aggregate, vector->key, vector->key_bytes, to);
    for (size_t i = 0; i < vector->record_count; i++) {
        const struct data *data = &vector->records[i];
        to += aggregate_record(&aggregate, data->count, to);
        memcpy(to, data->bytes, data->count);
        aggregate_add(&aggregate, to, data->count);
        to += data->count;
        expected += aggregate_record_bytes(data->count);
    }
    aggregate_finish(&aggregate, to);
    to += HASH_MD5_BYTES;
    assert_int_equal(to - start, expected);
    return (size_t)expected;
}

static void test_vectors(void **state)
{
    uint8_t written[ROOM_BYTES];
    (void)state;
    assert_int_equal(sizeof vectors / sizeof vectors[0], 2);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        print_message("%s\n", vectors[i].name);
        assert_int_equal(write_aggregate(&vectors[i], written), vectors[i].whole_bytes);
        assert_memory_equal(written, vectors[i].whole, vectors[i].whole_bytes);
    }
}

/* The sizes that are announced are those that are written, on both sides of every varint. */
static void test_sizes(void **state)
{
    static const uint64_t sizes[] = {0, 1, 121, 122, 127, 128, 16376, 16383, 16384, 1 << 20};
    struct aggregate aggregate;
    uint8_t head[AGGREGATE_HEAD_BYTES];
    (void)state;
    for (size_t key_bytes = 1; key_bytes <= 256; key_bytes++) {
        static const char key[256];
        size_t bytes = aggregate_start(&aggregate, key, key_bytes, head) + HASH_MD5_BYTES;
        assert_int_equal(bytes, aggregate_empty_bytes(key_bytes));
        assert_true(bytes - HASH_MD5_BYTES <= sizeof head);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(aggregate_record(&aggregate, sizes[i], head) + sizes[i],
                         aggregate_record_bytes(sizes[i]));
    assert_true(aggregate_record(&aggregate, UINT64_MAX / 2, head) <= AGGREGATE_RECORD_HEAD_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
