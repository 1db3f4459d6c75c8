/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/intake/transfer.h"
#include "platform/base/error.h"

enum { PLACES = 3, BYTES_MAX = 100, BLOCK = 16 };

static const uint8_t text[BYTES_MAX + BLOCK] = "0123456789abcdefGHIJKLMNOPQRSTUVwxyz";

struct rig {
    struct transfers *transfers;
    int64_t now_ms;
    const uint8_t *bytes;
    size_t count;
};

static void open_rig(struct rig *rig)
{
    *rig = (struct rig){.now_ms = 1000};
    assert_int_equal(transfer_open(PLACES, BYTES_MAX, &rig->transfers), 0);
}

static struct transfer_block block_of(uint8_t peer, uint8_t what, size_t offset, size_t count,
                                      bool is_last)
{
    return (struct transfer_block){.key = {peer, what},
                                   .peer = {peer},
                                   .offset = offset,
                                   .bytes = text + offset,
                                   .count = count,
                                   .is_last = is_last};
}

static int put(struct rig *rig, uint8_t peer, uint8_t what, size_t offset, size_t count,
               bool is_last)
{
    const struct transfer_block block = block_of(peer, what, offset, count, is_last);
    return transfer_put(rig->transfers, &block, rig->now_ms, &rig->bytes, &rig->count);
}

static void test_in_order(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 2, 1, 0, BLOCK, false), 0); /* another peer between them */
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), 0); /* the same once more */
    const struct transfer_block next = block_of(1, 1, 2 * BLOCK, 4, true);
    assert_true(transfer_continues(rig.transfers, &next, rig.now_ms));
    assert_int_equal(transfer_count(rig.transfers, rig.now_ms), 2);
    assert_int_equal(put(&rig, 1, 1, 2 * BLOCK, 4, true), 1);
    assert_int_equal(rig.count, 2 * BLOCK + 4);
    assert_memory_equal(rig.bytes, text, rig.count);
    assert_int_equal(transfer_count(rig.transfers, rig.now_ms), 1);
    assert_false(transfer_continues(rig.transfers, &next, rig.now_ms));
    assert_int_equal(put(&rig, 1, 1, 2 * BLOCK, 4, true), E_RANGE); /* it has ended */
    assert_int_equal(put(&rig, 3, 1, 0, 7, true), 1);               /* all in one */
    assert_int_equal(rig.count, 7);
    transfer_close(rig.transfers);
    transfer_close(NULL);
}

static void test_gaps(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), E_RANGE);
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, 2 * BLOCK, BLOCK, false), E_RANGE);
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), E_RANGE); /* which ended it */
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0); /* it begins again */
    assert_int_equal(put(&rig, 1, 1, BLOCK, 1, true), 1);
    assert_int_equal(rig.count, BLOCK + 1);
    transfer_close(rig.transfers);
}

/* One document is broken off after its first block, and another one comes. */
static void test_two_documents(void **state)
{
    static const uint8_t other[] = "ANOTHER DOCUMENT, WHICH IS LONGER";
    struct rig rig;
    (void)state;
    open_rig(&rig);
    struct transfer_block block = block_of(1, 1, 0, BLOCK, false);
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    block.bytes = other;
    assert_int_equal(transfer_put(rig.transfers, &block, rig.now_ms, &rig.bytes, &rig.count), 0);
    block.offset = BLOCK;
    block.bytes = other + BLOCK;
    block.is_last = true;
    assert_int_equal(transfer_put(rig.transfers, &block, rig.now_ms, &rig.bytes, &rig.count), 1);
    assert_int_equal(rig.count, 2 * BLOCK);
    assert_memory_equal(rig.bytes, other, rig.count);
    /* A block of the first comes late, in the place of one of the second. */
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), 0);
    block.is_last = false;
    assert_int_equal(transfer_put(rig.transfers, &block, rig.now_ms, &rig.bytes, &rig.count),
                     E_RANGE);
    assert_int_equal(transfer_count(rig.transfers, rig.now_ms), 0);
    transfer_close(rig.transfers);
}

static void test_size(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    for (size_t i = 0; i < BYTES_MAX / BLOCK; i++)
        assert_int_equal(put(&rig, 1, 1, i * BLOCK, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, BYTES_MAX / BLOCK * BLOCK, BLOCK, false), E_TOO_BIG);
    assert_int_equal(transfer_count(rig.transfers, rig.now_ms), 0);
    for (size_t i = 0; i < BYTES_MAX / BLOCK; i++)
        assert_int_equal(put(&rig, 1, 1, i * BLOCK, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 1, BYTES_MAX / BLOCK * BLOCK, BYTES_MAX % BLOCK, true), 1);
    assert_int_equal(rig.count, BYTES_MAX);
    const struct transfer_block far = {.key = {1, 1}, .offset = (size_t)1 << 30};
    assert_int_equal(transfer_put(rig.transfers, &far, 0, &rig.bytes, &rig.count), E_TOO_BIG);
    transfer_close(rig.transfers);
}

static void test_number(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 2, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 1, 3, 0, BLOCK, false), E_BUSY); /* of one peer */
    rig.now_ms++;
    assert_int_equal(put(&rig, 2, 1, 0, BLOCK, false), 0);
    assert_int_equal(put(&rig, 3, 1, 0, BLOCK, false), E_BUSY); /* of all */
    struct transfer_block block = block_of(4, 1, 0, BLOCK, false);
    block.has_identity = true;
    rig.now_ms++;
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), 0); /* 1, 2 is the oldest now */
    assert_int_equal(transfer_put(rig.transfers, &block, rig.now_ms, &rig.bytes, &rig.count), 0);
    assert_int_equal(put(&rig, 1, 2, BLOCK, BLOCK, false), E_RANGE);
    assert_int_equal(put(&rig, 2, 1, BLOCK, BLOCK, false), 0);
    transfer_close(rig.transfers);
}

static void test_time(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig);
    assert_true(transfer_due_ms(rig.transfers, rig.now_ms) == INT64_MAX);
    assert_int_equal(put(&rig, 1, 1, 0, BLOCK, false), 0);
    assert_int_equal(transfer_due_ms(rig.transfers, rig.now_ms), rig.now_ms + TRANSFER_IDLE_MS);
    rig.now_ms += TRANSFER_IDLE_MS - 1;
    assert_int_equal(put(&rig, 1, 1, BLOCK, BLOCK, false), 0);
    rig.now_ms += TRANSFER_IDLE_MS;
    assert_int_equal(transfer_count(rig.transfers, rig.now_ms), 0);
    assert_true(transfer_due_ms(rig.transfers, rig.now_ms) == INT64_MAX); /* it wakes nobody */
    assert_int_equal(put(&rig, 1, 1, 2 * BLOCK, BLOCK, false), E_RANGE);
    transfer_close(rig.transfers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),      cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_two_documents), cmocka_unit_test(test_size),
        cmocka_unit_test(test_number),        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
