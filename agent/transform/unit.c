/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/transform/transform.h"

/* Another unit beside the same values. */
struct unit {
    uint32_t channels;
};

static int unit_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                     char fault[INTAKE_FAULT_BYTES])
{
    struct unit *unit = state;
    (void)fault;
    unit->channels = transform_select(shape, step->channel);
    for (unsigned i = 0; i < shape->channel_count; i++)
        if ((unit->channels >> i & 1) != 0)
            (void)snprintf(shape->channels[i].unit, SAMPLE_UNIT_BYTES, "%s", step->unit);
    return 0;
}

static int unit_push(void *state, const struct chain_step *step, struct intake_item *item,
                     struct transform_notes *notes)
{
    struct unit *unit = state;
    (void)step;
    if (item->sample->document != NULL)
        notes->lack = TRANSFORM_LACK_DOCUMENT;
    else if (unit->channels == 0)
        notes->lack = TRANSFORM_LACK_CHANNEL;
    return 1;
}

const struct transform unit_transform = {
    .state_bytes = sizeof(struct unit), .bind = unit_bind, .push = unit_push};
