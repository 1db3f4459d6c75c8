/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_TRANSFORM_SUM_H
#define RUNNEL_AGENT_TRANSFORM_SUM_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/decimal.h"

/** A sum of decimals, exact also where no mantissa could hold it. Pure. */
struct sum {
    uint64_t high, low; /* of the magnitude */
    bool negative;
    unsigned decimals;
    bool lost; /* it left 128 bits, and cannot be told any more */
};

/** Adds VALUE; SUM begins as zeros. */
void sum_add(struct sum *sum, struct decimal value);

/** SUM / COUNT, with as many as two decimals more than the values had, rounded once. E_RANGE: the
 *  sum is lost, or COUNT is 0. */
int sum_mean(const struct sum *sum, uint64_t count, struct decimal *ret_mean);

/** The sum as a binary number, for those that are added to others. */
double sum_double(const struct sum *sum);

#endif
