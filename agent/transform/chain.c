/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/error.h"

struct link {
    const struct transform *transform;
    const struct chain_step *step;
    void *state;
};

struct chain {
    struct chain_options options;
    struct intake_shape shape;
    struct transform_notes notes;
    char lack[INTAKE_FAULT_BYTES];
    size_t link_count;
    struct link links[];
};

static const struct {
    const char *name;
    const struct transform *transform;
} kinds[CHAIN_KINDS] = {
#ifdef CONFIG_TRANSFORM_SCALE
    [CHAIN_SCALE] = {"scale", &scale_transform},
#endif
#ifdef CONFIG_TRANSFORM_RENAME
    [CHAIN_RENAME] = {"rename", &rename_transform},
#endif
#ifdef CONFIG_TRANSFORM_UNIT
    [CHAIN_UNIT] = {"unit", &unit_transform},
#endif
#ifdef CONFIG_TRANSFORM_DEADBAND
    [CHAIN_DEADBAND] = {"deadband", &deadband_transform},
#endif
#ifdef CONFIG_TRANSFORM_SUMMARIZE
    [CHAIN_SUMMARIZE] = {"summarize", &summarize_transform},
#endif
#ifdef CONFIG_TRANSFORM_RATE
    [CHAIN_RATE] = {"rate", &rate_transform},
#endif
#ifdef CONFIG_TRANSFORM_FLATTEN
    [CHAIN_FLATTEN] = {"flatten", &flatten_transform},
#endif
#ifdef CONFIG_TRANSFORM_REDACT
    [CHAIN_REDACT] = {"redact", &redact_transform},
#endif
#ifdef CONFIG_TRANSFORM_TAG
    [CHAIN_TAG] = {"tag", &tag_transform},
#endif
#ifdef CONFIG_TRANSFORM_FILTER
    [CHAIN_FILTER] = {"filter", &filter_transform},
#endif
#ifdef CONFIG_TRANSFORM_ALARM
    [CHAIN_ALARM] = {"alarm", &alarm_transform},
#endif
};

/* ---- opening and closing ---- */

static int open_link(struct chain *chain, const struct chain_step *step)
{
    struct link *link = &chain->links[chain->link_count];
    link->transform = kinds[step->kind].transform;
    link->step = step;
    if (link->transform == NULL)
        return E_UNSUPPORTED;
    link->state = calloc(1, link->transform->state_bytes);
    if (link->state == NULL)
        return E_NO_MEMORY;
    chain->link_count++;
    return link->transform->open == NULL
               ? 0
               : link->transform->open(link->state, step, &chain->options);
}

int chain_open(const struct chain_options *options, struct chain **ret_chain)
{
    struct chain *chain = calloc(1, sizeof *chain + options->step_count * sizeof chain->links[0]);
    int rc = chain == NULL ? E_NO_MEMORY : 0;
    if (chain != NULL)
        chain->options = *options;
    for (size_t i = 0; rc == 0 && i < options->step_count; i++)
        rc = open_link(chain, &options->steps[i]);
    if (rc < 0) {
        chain_close(chain);
        return rc;
    }
    *ret_chain = chain;
    return 0;
}

void chain_close(struct chain *chain)
{
    for (size_t i = 0; chain != NULL && i < chain->link_count; i++) {
        struct link *link = &chain->links[i];
        if (link->transform->close != NULL)
            link->transform->close(link->state);
        free(link->state);
    }
    free(chain);
}

/* ---- the shape ---- */

static int bind(void *context, const struct channel *channels, size_t count,
                char fault[INTAKE_FAULT_BYTES])
{
    struct chain *chain = context;
    struct intake_shape *shape = &chain->shape;
    char why[INTAKE_FAULT_BYTES] = "";
    chain->lack[0] = '\0';
    chain->notes.shape = shape;
    chain->notes.reshaped = false;
    shape->channel_count = count;
    memcpy(shape->channels, channels, count * sizeof *channels);
    shape->tag_count = chain->options.tag_count;
    for (size_t i = 0; i < shape->tag_count; i++)
        shape->tags[i] = chain->options.tags[i];
    for (size_t i = 0; i < chain->link_count; i++) {
        struct link *link = &chain->links[i];
        int rc = link->transform->bind(link->state, link->step, shape, why);
        if (rc < 0) {
            (void)snprintf(fault, INTAKE_FAULT_BYTES, "%s: %.180s", kinds[link->step->kind].name,
                           why);
            return rc;
        }
    }
    return 0;
}

static void get_shape(const void *context, struct intake_shape *ret_shape)
{
    const struct chain *chain = context;
    *ret_shape = chain->shape;
}

/* ---- samples ---- */

static void say_lack(struct chain *chain, const struct link *link)
{
    const char *channel = link->step->channel;
    (void)snprintf(chain->lack, sizeof chain->lack, "%s%s%.60s%s: %s", kinds[link->step->kind].name,
                   channel != NULL ? " of \"" : "", channel != NULL ? channel : "",
                   channel != NULL ? "\"" : "", chain->notes.lack);
}

/* For those before END, some of which count on what they let through. */
static void tell_lost(struct chain *chain, size_t end)
{
    for (size_t i = 0; i < end; i++)
        if (chain->links[i].transform->lost != NULL)
            chain->links[i].transform->lost(chain->links[i].state);
}

static int push_from(struct chain *chain, size_t first, struct intake_item *item)
{
    int rc = 1;
    for (size_t i = first; rc == 1 && i < chain->link_count; i++) {
        struct link *link = &chain->links[i];
        rc = link->transform->push(link->state, link->step, item, &chain->notes);
        if (chain->notes.lack != NULL)
            say_lack(chain, link);
        chain->notes.lack = NULL;
        if (rc < 0 || chain->notes.dropped)
            tell_lost(chain, i);
        chain->notes.dropped = false;
    }
    if (rc != 1)
        return rc;
    item->reshaped = chain->notes.reshaped;
    chain->notes.reshaped = false;
    return rc;
}

static int push(void *context, struct intake_item *item)
{
    struct chain *chain = context;
    chain->lack[0] = '\0';
    return push_from(chain, 0, item);
}

static void lost(void *context)
{
    struct chain *chain = context;
    tell_lost(chain, chain->link_count);
}

static int64_t link_due_ms(const struct link *link)
{
    return link->transform->due_ms == NULL ? INT64_MAX : link->transform->due_ms(link->state);
}

/* The one that is due first; of those that are due together the last, because what comes out of the
 * others belongs to its next interval. When all is to come out, nothing must be left behind. */
static struct link *find_due(struct chain *chain, int64_t boot_ms)
{
    struct link *due = NULL;
    for (size_t i = 0; i < chain->link_count; i++) {
        struct link *link = &chain->links[i];
        int64_t own_ms = link_due_ms(link);
        if (own_ms == INT64_MAX || own_ms > boot_ms)
            continue;
        if (boot_ms == INT64_MAX)
            return link;
        if (due == NULL || own_ms <= link_due_ms(due))
            due = link;
    }
    return due;
}

static int flush(void *context, int64_t boot_ms, struct intake_item *item)
{
    struct chain *chain = context;
    struct link *link;
    while ((link = find_due(chain, boot_ms)) != NULL) {
        link->transform->flush(link->state, link->step, boot_ms, item, &chain->notes);
        int rc = push_from(chain, (size_t)(link - chain->links) + 1, item);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int64_t due_ms(const void *context)
{
    const struct chain *chain = context;
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < chain->link_count; i++) {
        int64_t own_ms = link_due_ms(&chain->links[i]);
        due = own_ms < due ? own_ms : due;
    }
    return due;
}

static int64_t since_ms(const void *context)
{
    const struct chain *chain = context;
    int64_t since = INT64_MIN;
    for (size_t i = 0; i < chain->link_count; i++) {
        const struct link *link = &chain->links[i];
        int64_t due = link_due_ms(link);
        if (due != INT64_MAX && due - link->step->interval_ms > since)
            since = due - link->step->interval_ms;
    }
    return since;
}

static const char *lack(const void *context)
{
    const struct chain *chain = context;
    return chain->lack[0] != '\0' ? chain->lack : NULL;
}

static uint64_t unfit(const void *context)
{
    const struct chain *chain = context;
    return chain->notes.unfit;
}

struct intake_transform chain_face(struct chain *chain)
{
    return (struct intake_transform){.context = chain,
                                     .bind = bind,
                                     .get_shape = get_shape,
                                     .push = push,
                                     .lost = lost,
                                     .flush = flush,
                                     .due_ms = due_ms,
                                     .since_ms = since_ms,
                                     .lack = lack,
                                     .unfit = unfit};
}
