/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/spool/block.h"
#include "agent/spool/dictionary.h"
#include "agent/spool/record.h"
#include "platform/base/error.h"

static const struct channel channels[] = {
    {.name = "a", .decimals = 2}, {.name = "b", .decimals = 0}, {.name = "c", .decimals = 3}};

static uint64_t random_bits(unsigned *seed, unsigned bits)
{
    uint64_t value = 0;
    for (int i = 0; i < 5; i++)
        value = value << 15 ^ (uint64_t)rand_r(seed);
    return bits >= 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

static void random_value(unsigned *seed, struct value *value)
{
    static const char text[] = "running, at half speed";
    *value = (struct value){.kind = (enum value_kind)(rand_r(seed) % 4)};
    if (value->kind == VALUE_DECIMAL) {
        value->decimals = (unsigned)rand_r(seed) % (SAMPLE_DECIMALS_MAX + 1);
        value->mantissa = (int64_t)random_bits(seed, (unsigned)rand_r(seed) % 65);
    } else if (value->kind == VALUE_FLOAT64) {
        value->float64_bits = random_bits(seed, 62);
    } else if (value->kind == VALUE_TEXT) {
        value->text = text;
        value->text_bytes = (size_t)rand_r(seed) % sizeof text;
    }
}

static void random_record(unsigned *seed, struct record *record, struct record_frame *frame)
{
    memset(record, 0, sizeof *record);
    frame->previous_sequence = random_bits(seed, 52);
    frame->previous_boot_ms = (int64_t)random_bits(seed, 45);
    record->sequence = frame->previous_sequence + 1 + random_bits(seed, 12);
    record->boot_ms = frame->previous_boot_ms + (int64_t)random_bits(seed, 20) - 1000;
    record->sensor = (uint32_t)random_bits(seed, 20);
    record->value_count = (size_t)rand_r(seed) % (SAMPLE_CHANNELS_MAX + 1);
    bool usual = rand_r(seed) % 2 == 0;
    if (usual)
        record->value_count %= 4;
    for (size_t i = 0; i < record->value_count; i++) {
        random_value(seed, &record->values[i]);
        if (usual)
            record->values[i] = (struct value){.kind = VALUE_DECIMAL,
                                               .decimals = channels[i].decimals,
                                               .mantissa = (int64_t)random_bits(seed, 64)};
    }
}

static void assert_same_value(const struct value *a, const struct value *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->decimals, b->decimals);
    assert_int_equal(a->mantissa, b->mantissa);
    assert_int_equal(a->float64_bits, b->float64_bits);
    assert_int_equal(a->text_bytes, b->text_bytes);
    if (a->kind == VALUE_TEXT && a->text_bytes > 0)
        assert_memory_equal(a->text, b->text, a->text_bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        struct record record;
        struct record decoded;
        struct record_frame frame;
        uint8_t bytes[BLOCK_ROOM_BYTES];
        random_record(&seed, &record, &frame);
        int count = record_encode(&record, &frame, channels, 3, bytes, sizeof bytes);
        assert_true(count >= RECORD_BYTES_MIN);
        assert_int_equal(record_decode(bytes, (size_t)count, &frame, &decoded), count);
        assert_int_equal(record_set_decimals(&decoded, channels, 3), 0);
        assert_int_equal(decoded.sequence, record.sequence);
        assert_int_equal(decoded.boot_ms, record.boot_ms);
        assert_int_equal(decoded.sensor, record.sensor);
        assert_int_equal(decoded.value_count, record.value_count);
        for (size_t i = 0; i < record.value_count; i++)
            assert_same_value(&decoded.values[i], &record.values[i]);
        /* What does not fit is refused whole; what is cut off is never taken for whole. */
        assert_int_equal(record_encode(&record, &frame, channels, 3, bytes, (size_t)count - 1),
                         E_FULL);
        size_t cut = (size_t)rand_r(&seed) % (size_t)count;
        assert_int_equal(record_decode(bytes, cut, &frame, &decoded), E_DAMAGED);
    }
}

static void test_typical_reading_is_small(void **state)
{
    (void)state;
    struct record record = {.sequence = 1001, .sensor = 3, .boot_ms = 500010, .value_count = 3};
    struct record_frame frame = {.previous_sequence = 1000, .previous_boot_ms = 500000};
    uint8_t bytes[64];
    for (size_t i = 0; i < 3; i++)
        record.values[i] = (struct value){
            .kind = VALUE_DECIMAL, .decimals = channels[i].decimals, .mantissa = 2143};
    assert_int_equal(record_encode(&record, &frame, channels, 3, bytes, sizeof bytes), 10);
}

static void test_refuses_what_cannot_be_stored(void **state)
{
    (void)state;
    struct record_frame frame = {.previous_sequence = 4};
    uint8_t bytes[600];
    static char text[300];
    struct record record = {.sequence = 4, .sensor = 1, .value_count = 1};
    assert_int_equal(record_encode(&record, &frame, channels, 3, bytes, sizeof bytes), E_INVALID);
    record.sequence = 5;
    record.values[0] =
        (struct value){.kind = VALUE_TEXT, .text = text, .text_bytes = SAMPLE_TEXT_BYTES_MAX + 1};
    assert_int_equal(record_encode(&record, &frame, channels, 3, bytes, sizeof bytes), E_INVALID);
    record.values[0] = (struct value){.kind = VALUE_FLOAT64, .float64_bits = 0x7ff0000000000000};
    assert_int_equal(record_encode(&record, &frame, channels, 3, bytes, sizeof bytes), E_INVALID);
    record.values[0] = (struct value){.kind = VALUE_DECIMAL, .decimals = 19};
    assert_int_equal(record_encode(&record, &frame, channels, 3, bytes, sizeof bytes), E_INVALID);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    unsigned seed = 3;
    struct record_frame frame = {.previous_sequence = 10, .previous_boot_ms = 10};
    struct record record;
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[48];
        size_t count = (size_t)rand_r(&seed) % sizeof bytes;
        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)rand_r(&seed);
        int taken = record_decode(bytes, count, &frame, &record);
        if (taken >= 0)
            assert_true((size_t)taken <= count);
        else
            assert_int_equal(taken, E_DAMAGED);
    }
}

static void test_block_detects_damage(void **state)
{
    (void)state;
    uint8_t block[BLOCK_BYTES];
    struct block_header header = {.lane = LANE_BULK,
                                  .time_quality = TIME_ESTIMATED,
                                  .record_count = 3,
                                  .room_used = 500,
                                  .fragment_count = 1,
                                  .spool_id = 0x9f31c2a47be0d815,
                                  .first_sequence = 77,
                                  .last_sequence = UINT64_C(1) << 52,
                                  .boot_id = "0123456789abcde",
                                  .base_boot_ms = 12345,
                                  .offset_ms = -5};
    struct block_header opened;
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        block[i] = (uint8_t)i;
    block_seal(block, &header);
    assert_int_equal(block_open(block, block_bytes(&header), &opened), 0);
    assert_int_equal(opened.last_sequence, header.last_sequence);
    assert_int_equal(opened.offset_ms, -5);
    assert_int_equal(opened.spool_id, header.spool_id);
    assert_memory_equal(opened.boot_id, header.boot_id, sizeof header.boot_id);
    for (size_t cut = 0; cut < block_bytes(&header); cut++)
        assert_true(block_open(block, cut, &opened) < 0);
    for (size_t bit = 0; bit < 8 * block_bytes(&header); bit++) {
        block[bit / 8] ^= (uint8_t)(1U << bit % 8);
        int rc = block_open(block, BLOCK_BYTES, &opened);
        assert_true(rc == E_DAMAGED || rc == E_CHECKSUM); /* not another version */
        block[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_dictionary(void **state)
{
    (void)state;
    static const struct tag tags[] = {{"site", "pump-4"}, {"line", ""}};
    struct channel list[2] = {{.name = "temp", .unit = "Cel", .decimals = 2},
                              {.name = "state", .unit = "", .decimals = 0}};
    struct sensor_definition definition = {.device = "gw-17",
                                           .name = "board",
                                           .channel_count = 2,
                                           .channels = list,
                                           .tag_count = 2,
                                           .tags = tags};
    struct sensor_definition *decoded;
    uint8_t bytes[DEFINITION_BYTES_MAX];
    int count = dictionary_encode(&definition, bytes, sizeof bytes);
    assert_true(count > 0);
    assert_int_equal(dictionary_decode(bytes, (size_t)count, &decoded), 0);
    assert_string_equal(decoded->device, "gw-17");
    assert_string_equal(decoded->channels[0].unit, "Cel");
    assert_int_equal(decoded->channels[0].decimals, 2);
    assert_string_equal(decoded->tags[0].value, "pump-4");
    free(decoded);
    for (size_t cut = 0; cut < (size_t)count; cut++)
        assert_int_equal(dictionary_decode(bytes, cut, &decoded), E_DAMAGED);
    assert_int_equal(dictionary_encode(&definition, bytes, 10), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_typical_reading_is_small),
        cmocka_unit_test(test_refuses_what_cannot_be_stored),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_block_detects_damage),
        cmocka_unit_test(test_dictionary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
