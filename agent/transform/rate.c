/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/error.h"

/* At most one sample in an interval: the first, so that two are an interval apart, or the last,
 * which is held until the interval ends. Alarms pass. */
struct rate {
    bool has_passed;
    int64_t passed_ms;
    bool holds;
    int64_t end_ms;
    struct sample held;
    char *texts; /* of held */
    size_t document_bytes;
    uint8_t *document; /* likewise, with room for so many */
};

enum { TEXTS_BYTES = SAMPLE_CHANNELS_MAX * SAMPLE_TEXT_BYTES_MAX };

static int rate_open(void *state, const struct chain_step *step,
                     const struct chain_options *options)
{
    struct rate *rate = state;
    if (step->keeps_first)
        return 0;
    rate->texts = malloc(TEXTS_BYTES);
    rate->document_bytes = options->document_bytes_max;
    rate->document = malloc(options->document_bytes_max);
    return rate->texts == NULL || rate->document == NULL ? E_NO_MEMORY : 0;
}

static void rate_close(void *state)
{
    struct rate *rate = state;
    free(rate->texts);
    free(rate->document);
}

static int rate_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                     char fault[INTAKE_FAULT_BYTES])
{
    struct rate *rate = state;
    (void)step;
    (void)shape;
    (void)fault;
    rate->has_passed = rate->holds = false;
    return 0;
}

static void hold(struct rate *rate, const struct sample *sample)
{
    size_t used = 0;
    rate->held = *sample;
    for (size_t i = 0; i < sample->value_count; i++) {
        struct value *value = &rate->held.values[i];
        if (value->kind != VALUE_TEXT)
            continue;
        if (value->text_bytes > TEXTS_BYTES - used) {
            *value = (struct value){.kind = VALUE_ABSENT};
            continue;
        }
        memcpy(rate->texts + used, value->text, value->text_bytes);
        value->text = rate->texts + used;
        used += value->text_bytes;
    }
    if (sample->document == NULL)
        return;
    memcpy(rate->document, sample->document, sample->document_bytes);
    rate->held.document = rate->document;
}

/* What is handed in may be older than what has passed, and is then thinned among its like. */
static bool keep_first(struct rate *rate, const struct chain_step *step,
                       const struct sample *sample)
{
    int64_t since_ms = sample->boot_ms - rate->passed_ms;
    if (rate->has_passed && since_ms < step->interval_ms && since_ms > -step->interval_ms)
        return false;
    rate->has_passed = true;
    rate->passed_ms = sample->boot_ms;
    return true;
}

/* Of the interval that BOOT_MS lies in, also before the boot. */
static int64_t end_of(const struct chain_step *step, int64_t boot_ms)
{
    int64_t into_ms = boot_ms % step->interval_ms;
    into_ms += into_ms < 0 ? step->interval_ms : 0;
    return boot_ms - into_ms + step->interval_ms;
}

static int rate_push(void *state, const struct chain_step *step, struct intake_item *item,
                     struct transform_notes *notes)
{
    struct rate *rate = state;
    int64_t boot_ms = item->sample->boot_ms;
    if (item->alarm) {
        notes->dropped = rate->holds;
        rate->holds = false; /* what it held is not the last one any more */
        return 1;
    }
    if (step->keeps_first) {
        notes->dropped = !keep_first(rate, step, item->sample);
        return notes->dropped ? 0 : 1;
    }
    if (item->sample->document_bytes > rate->document_bytes)
        return E_TOO_BIG;
    if (!rate->holds)
        rate->end_ms = end_of(step, boot_ms);
    notes->dropped = rate->holds;
    rate->holds = true;
    hold(rate, item->sample);
    return 0;
}

static int64_t rate_due_ms(const void *state)
{
    const struct rate *rate = state;
    return rate->holds ? rate->end_ms : INT64_MAX;
}

static void rate_flush(void *state, const struct chain_step *step, int64_t boot_ms,
                       struct intake_item *item, struct transform_notes *notes)
{
    struct rate *rate = state;
    (void)step;
    (void)boot_ms;
    (void)notes;
    *item->sample = rate->held;
    item->alarm = false;
    rate->holds = false;
}

const struct transform rate_transform = {.state_bytes = sizeof(struct rate),
                                         .open = rate_open,
                                         .bind = rate_bind,
                                         .push = rate_push,
                                         .flush = rate_flush,
                                         .due_ms = rate_due_ms,
                                         .close = rate_close};
