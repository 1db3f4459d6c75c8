/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/modbus/modbus_plan.h"

bool modbus_plan_is_bits(enum modbus_table table)
{
    return table == MODBUS_COIL || table == MODBUS_DISCRETE;
}

static bool is_before(const struct modbus_span *left, const struct modbus_span *right)
{
    return left->table != right->table ? left->table < right->table : left->at < right->at;
}

/* Fills ORDER with the places of the spans, sorted by table and place. */
static void sort(const struct modbus_span *spans, size_t count, uint8_t *order)
{
    for (size_t i = 0; i < count; i++) {
        size_t to = i;
        for (; to > 0 && is_before(&spans[i], &spans[order[to - 1]]); to--)
            order[to] = order[to - 1];
        order[to] = (uint8_t)i;
    }
}

static unsigned end_of(const struct modbus_span *span)
{
    return span->at + span->count;
}

/* Makes REQUEST longer by SPAN, which does not begin before it; false if that is against the rules.
 */
static bool extend(struct modbus_span *request, const struct modbus_span *span,
                   const struct modbus_plan_rules *rules)
{
    unsigned scale = modbus_plan_is_bits(span->table) ? PLAN_BITS_PER_REGISTER : 1;
    unsigned end = end_of(span) > end_of(request) ? end_of(span) : end_of(request);
    if (request->table != span->table || span->at > end_of(request) + scale * rules->gap ||
        end - request->at > scale * rules->registers_max)
        return false;
    request->count = end - request->at;
    return true;
}

void modbus_plan_make(const struct modbus_span *spans, const bool *alone, size_t count,
                      const struct modbus_plan_rules *rules, struct modbus_plan *ret_plan)
{
    uint8_t order[SAMPLE_CHANNELS_MAX];
    bool open = false; /* the last request may still grow */
    sort(spans, count, order);
    ret_plan->count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t place = order[i];
        bool joins = open && !alone[place] &&
                     extend(&ret_plan->requests[ret_plan->count - 1], &spans[place], rules);
        if (!joins)
            ret_plan->requests[ret_plan->count++] = spans[place];
        ret_plan->request_of[place] = (uint8_t)(ret_plan->count - 1);
        open = !alone[place];
    }
}

bool modbus_plan_is_shared(const struct modbus_plan *plan, size_t count, size_t request)
{
    unsigned found = 0;
    for (size_t i = 0; i < count; i++)
        found += plan->request_of[i] == request ? 1 : 0;
    return found > 1;
}
