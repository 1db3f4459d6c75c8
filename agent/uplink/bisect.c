/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/bisect.h"

enum { CAREFUL_MAX = 512, SKIPS_MAX = 32 };

bool bisect_refused(struct bisect *bisect, size_t count)
{
    if (count > 1) {
        bisect->suspects = count;
        return false;
    }
    bisect->suspects -= bisect->suspects > 0;
    bisect->careful = 1;
    return true;
}

bool bisect_set_aside(struct bisect *bisect, const struct bisect_record *record)
{
    if (bisect->aside_count == BISECT_ASIDE_MAX)
        return false;
    bisect->aside[bisect->aside_count++] = *record;
    return true;
}

/* One that is pushed out by many others is asked about twice more. */
void bisect_doubt(struct bisect *bisect)
{
    for (size_t i = 0; i < bisect->aside_count; i++)
        bisect->doubted[bisect->doubted_count++ % BISECT_DOUBTED_MAX] = bisect->aside[i].sequence;
    bisect->aside_count = 0;
}

bool bisect_is_doubted(const struct bisect *bisect, uint64_t sequence)
{
    for (size_t i = 0; i < BISECT_DOUBTED_MAX && i < bisect->doubted_count; i++)
        if (bisect->doubted[i] == sequence)
            return true;
    return false;
}

static bool skip(struct bisect *bisect, uint64_t random)
{
    uint64_t span = UINT64_C(1) << bisect->skips;
    uint64_t left = bisect->nothing_behind - bisect->skip_from;
    if (bisect->skips == SKIPS_MAX || (bisect->nothing_behind != 0 && left == 0))
        return false;
    if (bisect->nothing_behind != 0 && left < span)
        span = left;
    bisect->skips++;
    bisect->skip_to = bisect->skip_from + random % span;
    return true;
}

bool bisect_skip(struct bisect *bisect, uint64_t sequence, uint64_t random)
{
    bisect->skip_from = sequence;
    if (bisect->nothing_behind != 0 && bisect->nothing_behind < sequence)
        bisect->nothing_behind = sequence;
    return skip(bisect, random);
}

bool bisect_found_nothing(struct bisect *bisect, uint64_t random)
{
    if (bisect->skip_to == 0)
        return false;
    bisect->nothing_behind = bisect->skip_to;
    return skip(bisect, random);
}

void bisect_taken(struct bisect *bisect, size_t count)
{
    bisect->skip_to = bisect->nothing_behind = bisect->skips = 0;
    bisect->suspects -= count < bisect->suspects ? count : bisect->suspects;
    bisect->careful = bisect->careful < CAREFUL_MAX ? bisect->careful * 2 : 0;
}

bool bisect_is_aside(const struct bisect *bisect, uint64_t sequence)
{
    if (sequence <= bisect->skip_to)
        return true;
    for (size_t i = 0; i < bisect->aside_count; i++)
        if (bisect->aside[i].sequence == sequence)
            return true;
    return false;
}

size_t bisect_records_max(const struct bisect *bisect)
{
    size_t half = (bisect->suspects + 1) / 2;
    if (bisect->suspects == 0 || (bisect->careful != 0 && bisect->careful < half))
        half = bisect->careful;
    return half == 0 ? SIZE_MAX : half;
}
