/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/error.h"

/* A text that goes with all records of the sensor, or what a channel or a member says. The spool
 * keeps each set of tags for ever: a tag that never stands still is given up. */
enum { VALUE_BYTES = 64, VALUES_MAX = 32 };

struct tag_state {
    struct transform_source source;
    unsigned known_count;
    char known[VALUES_MAX][VALUE_BYTES];
    const char *current; /* one of them, or NULL */
};

static int tag_open(void *state, const struct chain_step *step, const struct chain_options *options)
{
    struct tag_state *tag = state;
    (void)options;
    return step->channel == NULL ? 0 : transform_source_open(&tag->source, step->channel);
}

static struct tag *find_tag(struct intake_shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->tag_count; i++)
        if (strcmp(shape->tags[i].name, name) == 0)
            return &shape->tags[i];
    return NULL;
}

/* VALUE NULL: none. The order of the others stays. */
static int set_tag(struct intake_shape *shape, const char *name, const char *value)
{
    struct tag *tag = find_tag(shape, name);
    if (value == NULL && tag != NULL) {
        struct tag *end = &shape->tags[shape->tag_count--];
        memmove(tag, tag + 1, (size_t)(end - tag - 1) * sizeof *tag);
        return 0;
    }
    if (value == NULL)
        return 0;
    if (tag == NULL && shape->tag_count == SAMPLE_TAGS_MAX)
        return E_TOO_BIG;
    if (tag == NULL)
        tag = &shape->tags[shape->tag_count++];
    *tag = (struct tag){.name = name, .value = value};
    return 0;
}

static int tag_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                    char fault[INTAKE_FAULT_BYTES])
{
    struct tag_state *tag = state;
    if (step->channel != NULL)
        transform_source_bind(&tag->source, step->channel, shape);
    tag->current = NULL;
    int rc = set_tag(shape, step->tag.name, step->tag.value);
    if (rc < 0)
        (void)snprintf(fault, INTAKE_FAULT_BYTES, "\"%.32s\" is one tag more than %d",
                       step->tag.name, (int)SAMPLE_TAGS_MAX);
    return rc;
}

/* The copy of TEXT that stays, or NULL. */
static const char *keep(struct tag_state *tag, const char *text, size_t bytes)
{
    if (bytes == 0 || bytes >= VALUE_BYTES)
        return NULL;
    for (unsigned i = 0; i < tag->known_count; i++)
        if (strlen(tag->known[i]) == bytes && memcmp(tag->known[i], text, bytes) == 0)
            return tag->known[i];
    if (tag->known_count == VALUES_MAX)
        return NULL;
    char *copy = tag->known[tag->known_count++];
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

static int tag_push(void *state, const struct chain_step *step, struct intake_item *item,
                    struct transform_notes *notes)
{
    struct tag_state *tag = state;
    char spelt[TRANSFORM_SPELT_BYTES];
    size_t bytes;
    if (step->channel == NULL)
        return 1;
    struct value value = transform_source_get(&tag->source, item->sample, notes);
    const char *text = transform_spell(&value, spelt, &bytes);
    const char *kept = keep(tag, text, bytes);
    if (kept == NULL && bytes > 0)
        notes->lack = bytes < VALUE_BYTES ? "it had 32 values, which is the most for a tag"
                                          : "it has more than 63 bytes, which is no tag";
    if (kept == tag->current)
        return 1;
    if (set_tag(notes->shape, step->tag.name, kept) < 0) {
        notes->lack = "there are 16 tags already";
        return 1;
    }
    tag->current = kept;
    notes->reshaped = true;
    return 1;
}

const struct transform tag_transform = {
    .state_bytes = sizeof(struct tag_state), .open = tag_open, .bind = tag_bind, .push = tag_push};
