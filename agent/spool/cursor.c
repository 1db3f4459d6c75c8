/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/cursor.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* The first interval that ends at SEQUENCE or later. */
static size_t find(const struct cursor *cursor, uint64_t sequence)
{
    size_t from = 0;
    size_t to = cursor->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (cursor->intervals[middle].last < sequence)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* Replaces the intervals [FROM, TO) by COUNT (0 or 1) others. */
static void splice(struct cursor *cursor, size_t from, size_t to, size_t count)
{
    memmove(&cursor->intervals[from + count], &cursor->intervals[to],
            (cursor->count - to) * sizeof cursor->intervals[0]);
    cursor->count = cursor->count - (to - from) + count;
}

/* Takes up the intervals that the low mark has reached. */
static void settle(struct cursor *cursor)
{
    size_t done = 0;
    while (done < cursor->count && cursor->intervals[done].first <= cursor->low + 1) {
        if (cursor->intervals[done].last > cursor->low)
            cursor->low = cursor->intervals[done].last;
        done++;
    }
    splice(cursor, 0, done, 0);
}

int cursor_add(struct cursor *cursor, uint64_t after, uint64_t last)
{
    if (last <= after || last <= cursor->low)
        return E_OK;
    if (after <= cursor->low) {
        cursor->low = last;
        settle(cursor);
        return E_OK;
    }
    /* Neighbours merge: [3, 5] and (5, 9] have nothing between them. */
    size_t from = find(cursor, after);
    size_t to = from;
    struct cursor_interval merged = {.first = after + 1, .last = last};
    while (to < cursor->count && cursor->intervals[to].first <= last + 1) {
        if (cursor->intervals[to].first < merged.first)
            merged.first = cursor->intervals[to].first;
        if (cursor->intervals[to].last > merged.last)
            merged.last = cursor->intervals[to].last;
        to++;
    }
    if (from == to && cursor->count == CURSOR_INTERVALS_MAX)
        return E_FULL;
    splice(cursor, from, to, 1);
    cursor->intervals[from] = merged;
    return E_OK;
}

void cursor_raise(struct cursor *cursor, uint64_t low)
{
    if (low <= cursor->low)
        return;
    cursor->low = low;
    settle(cursor);
}

bool cursor_contains(const struct cursor *cursor, uint64_t sequence)
{
    if (sequence <= cursor->low)
        return true;
    size_t at = find(cursor, sequence);
    return at < cursor->count && cursor->intervals[at].first <= sequence;
}

bool cursor_touches(const struct cursor *cursor, uint64_t first, uint64_t last)
{
    if (first <= cursor->low)
        return true;
    size_t at = find(cursor, first);
    return at < cursor->count && cursor->intervals[at].first <= last;
}

size_t cursor_encode(const struct cursor *cursor, uint64_t low, uint8_t bytes[CURSOR_BYTES_MAX],
                     bool *ret_whole)
{
    uint64_t previous = low > cursor->low ? low : cursor->low;
    size_t i = 0;
    for (; i < cursor->count && cursor->intervals[i].first <= previous + 1; i++)
        if (cursor->intervals[i].last > previous)
            previous = cursor->intervals[i].last;
    size_t end = cursor->count - i > CURSOR_STORED_MAX ? i + CURSOR_STORED_MAX : cursor->count;
    size_t used = bytes_put_varint(bytes, previous);
    for (; i < end; i++) {
        const struct cursor_interval *interval = &cursor->intervals[i];
        used += bytes_put_varint(bytes + used, interval->first - previous);
        used += bytes_put_varint(bytes + used, interval->last - interval->first);
        previous = interval->last;
    }
    *ret_whole = end == cursor->count;
    return used;
}

static size_t take(const uint8_t *bytes, size_t count, size_t used, uint64_t *ret_value)
{
    return used == 0 ? 0 : bytes_get_varint(bytes + used, count - used, ret_value) + used;
}

int cursor_decode(const uint8_t *bytes, size_t count, struct cursor *ret_cursor)
{
    size_t used = bytes_get_varint(bytes, count, &ret_cursor->low);
    uint64_t previous = ret_cursor->low;
    ret_cursor->count = 0;
    if (used == 0)
        return E_DAMAGED;
    while (used < count) {
        uint64_t gap = 0;
        uint64_t length = 0;
        size_t start = used;
        size_t behind_gap = take(bytes, count, start, &gap);
        used = take(bytes, count, behind_gap, &length);
        if (behind_gap == start || used == behind_gap || gap < 2 ||
            ret_cursor->count >= CURSOR_STORED_MAX)
            return E_DAMAGED;
        ret_cursor->intervals[ret_cursor->count++] =
            (struct cursor_interval){.first = previous + gap, .last = previous + gap + length};
        previous += gap + length;
    }
    return E_OK;
}
