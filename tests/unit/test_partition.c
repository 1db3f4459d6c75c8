/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/batch/partition.h"
#include "agent/batch/partition_table.h"
#include "platform/base/bytes.h"
#include "platform/hash.h"
#include "tests/unit/fake_route.h"

enum { SHARDS_MAX = 1000 };

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
static const char longest_key[] = X64 X64 X64 X64;

/* The shard of SHARDS equal ones that KEY falls into: a record belongs to the shard whose range
 * holds the MD5 of its key; the first 64 of the 128 bits decide but for one chance in 2^50. */
static unsigned shard_of(const char *key, size_t count, unsigned shards)
{
    uint8_t digest[HASH_MD5_BYTES];
    hash_md5(key, count, digest);
    uint64_t high = bytes_get_be64(digest);
    return (unsigned)(((high >> 32) * shards + ((high & 0xffffffff) * shards >> 32)) >> 32);
}

static size_t key_of(const struct partition *partition, uint64_t sequence, char *ret_key)
{
    struct record record = {.sequence = sequence};
    return partition_key(partition, sequence, &record, &fake_route_sensor, ret_key);
}

struct spread {
    unsigned least, most;
};

/* How COUNT records, every STRIDE-th from FIRST on, spread over SHARDS. */
static struct spread spread_of(const struct partition *partition, uint64_t first, uint64_t stride,
                               unsigned count, unsigned shards)
{
    static unsigned loads[SHARDS_MAX];
    struct spread spread = {count, 0};
    memset(loads, 0, sizeof loads);
    for (unsigned i = 0; i < count; i++) {
        char key[PARTITION_KEY_BYTES];
        size_t bytes = key_of(partition, first + i * stride, key);
        loads[shard_of(key, bytes, shards)]++;
    }
    for (unsigned i = 0; i < shards; i++) {
        spread.least = loads[i] < spread.least ? loads[i] : spread.least;
        spread.most = loads[i] > spread.most ? loads[i] : spread.most;
    }
    return spread;
}

/* The place of a partition key, from an independent implementation (botocore's users' rule: the
 * MD5 of the key in UTF-8, read as a big-endian number). */
static void test_places_of_keys(void **state)
{
    static const struct {
        const char *key, *md5;
        unsigned shard_of_4;
    } vectors[] = {{"a", "0cc175b9c0f1b6a831c399e269772661", 0},
                   {"device-0001", "5932e079f3593f6d5039b95ed5524a41", 1},
                   {"device-0002", "b73a90cb886f675881a29ec6d7726441", 2},
                   {"0", "cfcd208495d565ef66e7dff9f98764da", 3},
                   {"d\xc3\xa9vice/\xe2\x82\xac", "d899b358e0e5e081283def4e8d527834", 3},
                   {"sensor.\xf0\x9f\x8c\xa1", "7d9e0d2dcf6c2ea3e7ba6b38bba8b5dd", 1},
                   {longest_key, "c7a139a2b8e92164276f778917ba10b9", 3}};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        size_t count = strlen(vectors[i].key);
        uint8_t digest[HASH_MD5_BYTES];
        char text[2 * HASH_MD5_BYTES + 1];
        hash_md5(vectors[i].key, count, digest);
        bytes_put_hex(text, digest, sizeof digest);
        assert_string_equal(text, vectors[i].md5);
        assert_int_equal(shard_of(vectors[i].key, count, 4), vectors[i].shard_of_4);
    }
}

/* What tests/tools/partition_table.py promises: each key at the first 1/1000 of its slot. */
static void test_table_keys_lie_at_equal_distances(void **state)
{
    const uint64_t slot = UINT64_C(1) << 52;
    (void)state;
    for (uint32_t place = 0; place < PARTITION_TABLE_KEYS; place++) {
        char key[PARTITION_TABLE_KEY_BYTES];
        uint8_t digest[HASH_MD5_BYTES];
        size_t count = partition_table_key(place, key);
        assert_int_equal(count, strlen(key));
        assert_true(count > 0);
        hash_md5(key, count, digest);
        assert_int_equal(bytes_get_be64(digest) / slot, place);
        assert_true(bytes_get_be64(digest) % slot < slot / 1000);
    }
}

static void test_even_over_any_number_of_shards(void **state)
{
    static uint64_t places[PARTITION_TABLE_KEYS];
    const struct partition even = {.kind = PARTITION_EVEN, .start = partition_start("gw-17")};
    (void)state;
    for (unsigned i = 0; i < PARTITION_TABLE_KEYS; i++) {
        char key[PARTITION_KEY_BYTES];
        uint8_t digest[HASH_MD5_BYTES];
        hash_md5(key, key_of(&even, 100000 + i, key), digest);
        places[i] = bytes_get_be64(digest) >> 32;
    }
    for (unsigned shards = 1; shards <= SHARDS_MAX; shards++) {
        unsigned loads[SHARDS_MAX] = {0};
        for (unsigned i = 0; i < PARTITION_TABLE_KEYS; i++)
            loads[places[i] * shards >> 32]++;
        for (unsigned i = 0; i < shards; i++) {
            assert_true(loads[i] >= PARTITION_TABLE_KEYS / shards);
            assert_true(loads[i] <= (PARTITION_TABLE_KEYS + shards - 1) / shards);
        }
    }
}

/* 100,000 lines over 4 shards: within 1 % of each other, wherever they begin. */
static void test_even_in_long_runs(void **state)
{
    const struct partition even = {.kind = PARTITION_EVEN, .start = 7};
    (void)state;
    for (unsigned shards = 2; shards <= 5; shards++) {
        struct spread spread = spread_of(&even, 123456, 1, 100000, shards);
        assert_true((spread.most - spread.least) * 100 < spread.least);
    }
}

/* Short runs, and every second, third... sequence number, as when lanes alternate. */
static void test_even_in_short_runs_and_strides(void **state)
{
    const struct partition even = {.kind = PARTITION_EVEN, .start = 1234};
    (void)state;
    for (unsigned stride = 1; stride <= 12; stride++)
        for (unsigned count = 1; count <= PARTITION_TABLE_KEYS; count += 585)
            for (unsigned shards = 2; shards <= 16; shards++) {
                struct spread spread = spread_of(&even, 1, stride, count, shards);
                assert_true(spread.most - spread.least <= (stride == 1 ? 6 : 18));
            }
}

static void test_keys_are_stable(void **state)
{
    (void)state;
    for (enum partition_kind kind = PARTITION_EVEN; kind <= PARTITION_FIXED; kind++) {
        const struct partition partition = {.kind = kind, .seed = 5, .fixed = "all"};
        for (uint64_t sequence = 1; sequence < 100; sequence++) {
            char first[PARTITION_KEY_BYTES], again[PARTITION_KEY_BYTES];
            size_t count = key_of(&partition, sequence, first);
            assert_int_equal(key_of(&partition, sequence, again), count);
            assert_memory_equal(first, again, count);
        }
    }
}

static void assert_key(const struct partition *partition, const char *expected)
{
    char key[PARTITION_KEY_BYTES];
    size_t count = key_of(partition, 1, key);
    assert_int_equal(count, strlen(expected));
    assert_memory_equal(key, expected, count);
}

static void test_named_keys(void **state)
{
    char wide[2 * PARTITION_KEY_BYTES + 1] = "";
    (void)state;
    assert_key(&(struct partition){.kind = PARTITION_DEVICE}, "gw-17");
    assert_key(&(struct partition){.kind = PARTITION_SENSOR}, "board");
    assert_key(&(struct partition){.kind = PARTITION_FIXED, .fixed = "all"}, "all");
    assert_key(&(struct partition){.kind = PARTITION_FIXED, .fixed = ""}, "-");

    /* 255 one-byte characters and one of two bytes: the last one does not fit whole. */
    memset(wide, 'x', 255);
    memcpy(wide + 255, "\xc3\xa9", 3);
    char key[PARTITION_KEY_BYTES];
    const struct partition fixed = {.kind = PARTITION_FIXED, .fixed = wide};
    assert_int_equal(key_of(&fixed, 1, key), 255);
}

static void test_random_depends_on_seed_and_sequence(void **state)
{
    const struct partition one = {.kind = PARTITION_RANDOM, .seed = 1};
    const struct partition two = {.kind = PARTITION_RANDOM, .seed = 2};
    char a[PARTITION_KEY_BYTES], b[PARTITION_KEY_BYTES];
    (void)state;
    assert_int_equal(key_of(&one, 1, a), 16);
    assert_int_equal(key_of(&two, 1, b), 16);
    assert_memory_not_equal(a, b, 16);
    (void)key_of(&one, 2, b);
    assert_memory_not_equal(a, b, 16);
    struct spread spread = spread_of(&one, 1, 1, 40000, 4);
    assert_true(spread.least > 9500 && spread.most < 10500);
}

/* A tag, else a channel, else a member of the document, else the sensor. */
static void test_field(void **state)
{
    static const struct {
        const char *field, *document, *key;
    } cases[] = {
        {"site", "{\"site\":\"other\"}", "pump-4"},
        {"temp", NULL, "-0.5"},
        {"state", NULL, "run"},
        {"line", NULL, "board"},
        {"line", "{\"in\":{\"line\":\"no\"},\"line\":\"a\\u0062\",\"line\":\"c\"}", "ab"},
        {"line", "{\"line\":12.50}", "12.50"},
        {"line", "{\"line\":false}", "false"},
        {"line", "{\"line\":null}", "board"},
        {"line", "{\"line\":{\"line\":1}}", "board"},
        {"line", "{\"line\":\"\"}", "-"},
        {"line", "{\"x\":1", "board"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct partition partition = {.kind = PARTITION_FIELD, .field = cases[i].field};
        struct record record = {.shape = RECORD_VALUES, .value_count = 2};
        char key[PARTITION_KEY_BYTES];
        record.values[0] = (struct value){.kind = VALUE_DECIMAL, .mantissa = -5, .decimals = 1};
        record.values[1] = (struct value){.kind = VALUE_TEXT, .text = "run", .text_bytes = 3};
        if (cases[i].document != NULL) {
            record.shape = RECORD_DOCUMENT;
            record.value_count = 0;
            record.document = (const uint8_t *)cases[i].document;
            record.document_bytes = record.document_piece_bytes = strlen(cases[i].document);
        }
        size_t count = partition_key(&partition, i, &record, &fake_route_sensor, key);
        assert_int_equal(count, strlen(cases[i].key));
        assert_memory_equal(key, cases[i].key, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field),
        cmocka_unit_test(test_places_of_keys),
        cmocka_unit_test(test_table_keys_lie_at_equal_distances),
        cmocka_unit_test(test_even_over_any_number_of_shards),
        cmocka_unit_test(test_even_in_long_runs),
        cmocka_unit_test(test_even_in_short_runs_and_strides),
        cmocka_unit_test(test_keys_are_stable),
        cmocka_unit_test(test_named_keys),
        cmocka_unit_test(test_random_depends_on_seed_and_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
