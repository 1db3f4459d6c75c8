/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/gpio/debounce.h"

void debounce_start(struct debounce *debounce, int64_t period_ns, bool is_high)
{
    *debounce =
        (struct debounce){.period_ns = period_ns, .is_high = is_high, .seems_high = is_high};
}

int64_t debounce_due_ns(const struct debounce *debounce)
{
    if (debounce->seems_high == debounce->is_high ||
        debounce->edge_ns > INT64_MAX - debounce->period_ns)
        return INT64_MAX;
    return debounce->edge_ns + debounce->period_ns;
}

bool debounce_settle(struct debounce *debounce, int64_t now_ns, int64_t *ret_edge_ns)
{
    if (debounce->seems_high == debounce->is_high || debounce_due_ns(debounce) > now_ns)
        return false;
    debounce->is_high = debounce->seems_high;
    *ret_edge_ns = debounce->edge_ns;
    return true;
}

void debounce_edge(struct debounce *debounce, bool is_high, int64_t time_ns)
{
    debounce->seems_high = is_high;
    debounce->edge_ns = time_ns;
}
