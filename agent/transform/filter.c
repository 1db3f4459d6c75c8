/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/error.h"

/* One comparison decides whether a sample becomes a record. */
struct filter {
    struct transform_source source;
};

static int filter_open(void *state, const struct chain_step *step,
                       const struct chain_options *options)
{
    struct filter *filter = state;
    (void)options;
    return transform_source_open(&filter->source, step->channel);
}

static int filter_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                       char fault[INTAKE_FAULT_BYTES])
{
    struct filter *filter = state;
    (void)fault;
    transform_source_bind(&filter->source, step->channel, shape);
    return 0;
}

static bool holds(enum chain_operator comparison, int order)
{
    switch (comparison) {
    case CHAIN_LT:
        return order < 0;
    case CHAIN_LE:
        return order <= 0;
    case CHAIN_EQ:
        return order == 0;
    case CHAIN_NE:
        return order != 0;
    case CHAIN_GE:
        return order >= 0;
    default:
        return order > 0;
    }
}

/* A text is as good as another or not; what is not there is neither. */
static bool is_true(const struct chain_step *step, const struct value *value)
{
    if (step->text != NULL && value->kind == VALUE_TEXT) {
        size_t count = strlen(step->text);
        bool same = count == value->text_bytes && memcmp(step->text, value->text, count) == 0;
        return holds(step->comparison, same ? 0 : 1);
    }
    return step->text == NULL && transform_is_number(value) &&
           holds(step->comparison, transform_compare(value, step->value.value));
}

static int filter_push(void *state, const struct chain_step *step, struct intake_item *item,
                       struct transform_notes *notes)
{
    struct filter *filter = state;
    struct value value = transform_source_get(&filter->source, item->sample, notes);
    notes->dropped = is_true(step, &value) == step->drops;
    return notes->dropped ? 0 : 1;
}

const struct transform filter_transform = {.state_bytes = sizeof(struct filter),
                                           .open = filter_open,
                                           .bind = filter_bind,
                                           .push = filter_push};
