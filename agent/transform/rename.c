/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/error.h"

/* Other names of channels; the values stay where they are. */
struct rename {
    bool lacks;
};

/* By their old names, so that two may change places. */
static bool rename_all(const struct chain_step *step, const struct intake_shape *before,
                       struct intake_shape *shape)
{
    bool found = true;
    for (size_t i = 0; i < step->pair_count; i++) {
        unsigned place = transform_find(before, step->pairs[i].name);
        if (place < SAMPLE_CHANNELS_MAX)
            (void)snprintf(shape->channels[place].name, SAMPLE_NAME_BYTES, "%s",
                           step->pairs[i].value);
        else
            found = false;
    }
    return found;
}

static int rename_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                       char fault[INTAKE_FAULT_BYTES])
{
    struct rename *rename = state;
    const struct intake_shape before = *shape;
    rename->lacks = !rename_all(step, &before, shape);
    for (unsigned i = 0; i < shape->channel_count; i++)
        if (transform_find(shape, shape->channels[i].name) != i) {
            (void)snprintf(fault, INTAKE_FAULT_BYTES,
                           "two channels would be called \"%s\"; choose another name",
                           shape->channels[i].name);
            return E_INVALID;
        }
    return 0;
}

static int rename_push(void *state, const struct chain_step *step, struct intake_item *item,
                       struct transform_notes *notes)
{
    struct rename *rename = state;
    (void)step;
    if (item->sample->document != NULL)
        notes->lack = TRANSFORM_LACK_DOCUMENT;
    else if (rename->lacks)
        notes->lack = "the sensor does not have all the channels that it renames";
    return 1;
}

const struct transform rename_transform = {
    .state_bytes = sizeof(struct rename), .bind = rename_bind, .push = rename_push};
