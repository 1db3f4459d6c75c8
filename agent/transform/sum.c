/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transform/sum.h"

#include "platform/base/error.h"

enum { MORE_PLACES = 2 };

/* Ten times the magnitude. */
static bool grow(struct sum *sum)
{
    if (sum->high > UINT64_MAX / 2 / 10)
        return false;
    uint64_t bottom = (sum->low & UINT32_MAX) * 10;
    uint64_t top = (sum->low >> 32) * 10 + (bottom >> 32);
    sum->low = top << 32 | (bottom & UINT32_MAX);
    sum->high = sum->high * 10 + (top >> 32);
    return true;
}

static bool grow_to(struct sum *sum, unsigned decimals)
{
    for (; sum->decimals < decimals; sum->decimals++)
        if (!grow(sum))
            return false;
    return true;
}

static bool is_smaller(const struct sum *left, const struct sum *right)
{
    return left->high != right->high ? left->high < right->high : left->low < right->low;
}

static void subtract(const struct sum *large, const struct sum *small, struct sum *result)
{
    uint64_t low = large->low - small->low;
    result->high = large->high - small->high - (large->low < small->low);
    result->low = low;
    result->negative = large->negative;
}

static bool add(struct sum *sum, const struct sum *other)
{
    const struct sum before = *sum;
    if (sum->negative != other->negative) {
        if (is_smaller(&before, other))
            subtract(other, &before, sum);
        else
            subtract(&before, other, sum);
        return true;
    }
    sum->low += other->low;
    sum->high += other->high + (sum->low < other->low);
    return sum->high <= UINT64_MAX / 2;
}

void sum_add(struct sum *sum, struct decimal value)
{
    struct sum other = {.negative = value.mantissa < 0, .decimals = value.decimals};
    other.low = other.negative ? 0 - (uint64_t)value.mantissa : (uint64_t)value.mantissa;
    sum->lost = sum->lost || !grow_to(sum, value.decimals) || !grow_to(&other, sum->decimals) ||
                !add(sum, &other);
}

/* One digit after the other. The rest stays below COUNT, so that it fits twice. */
static bool divide(const struct sum *sum, uint64_t count, uint64_t *ret_quotient)
{
    uint64_t quotient = 0;
    uint64_t rest = 0;
    for (int bit = 127; bit >= 0; bit--) {
        uint64_t word = bit >= 64 ? sum->high : sum->low;
        rest = rest << 1 | (word >> (bit & 63) & 1);
        if (quotient > INT64_MAX / 2)
            return false;
        quotient <<= 1;
        if (rest >= count) {
            rest -= count;
            quotient |= 1;
        }
    }
    quotient += rest >= count - rest; /* half away from zero */
    *ret_quotient = quotient;
    return quotient <= INT64_MAX;
}

static int mean_at(struct sum sum, unsigned decimals, uint64_t count, struct decimal *ret_mean)
{
    uint64_t quotient;
    if (!grow_to(&sum, decimals) || !divide(&sum, count, &quotient))
        return E_RANGE;
    ret_mean->mantissa = sum.negative ? -(int64_t)quotient : (int64_t)quotient;
    ret_mean->decimals = decimals;
    return 0;
}

int sum_mean(const struct sum *sum, uint64_t count, struct decimal *ret_mean)
{
    int rc = E_RANGE;
    if (sum->lost || count == 0 || count > INT64_MAX)
        return E_RANGE;
    for (unsigned more = MORE_PLACES + 1; rc < 0 && more > 0; more--)
        if (sum->decimals + more - 1 <= DECIMAL_PLACES_MAX)
            rc = mean_at(*sum, sum->decimals + more - 1, count, ret_mean);
    return rc;
}

double sum_double(const struct sum *sum)
{
    double magnitude = (double)sum->high * 18446744073709551616.0 + (double)sum->low;
    return (sum->negative ? -magnitude : magnitude) / (double)decimal_power(sum->decimals);
}
