/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/hash.h"

/* What must not leave the device: dropped, masked, or replaced by its HMAC-SHA-256, which is the
 * same for the same secret and the same key. A document that cannot be made so is refused. */
static const char stars[] = "***";
enum { HEX_BYTES = 2 * HASH_SHA256_BYTES };

struct redact {
    struct transform_source source;
    size_t out_bytes;
    uint8_t *out;
    char hex[HEX_BYTES + 1];
};

static int redact_open(void *state, const struct chain_step *step,
                       const struct chain_options *options)
{
    struct redact *redact = state;
    redact->out_bytes = options->document_bytes_max;
    redact->out = malloc(redact->out_bytes);
    return redact->out == NULL ? E_NO_MEMORY
                               : transform_source_open(&redact->source, step->channel);
}

static void redact_close(void *state)
{
    struct redact *redact = state;
    free(redact->out);
}

static int redact_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                       char fault[INTAKE_FAULT_BYTES])
{
    struct redact *redact = state;
    transform_source_bind(&redact->source, step->channel, shape);
    if (step->action != CHAIN_HMAC || step->key != NULL)
        return 0;
    (void)snprintf(fault, INTAKE_FAULT_BYTES,
                   "its key could not be read at the start; mend the file, then reload");
    return E_CREDENTIALS;
}

static const char *make_hex(struct redact *redact, const struct chain_step *step,
                            const void *secret, size_t bytes)
{
    uint8_t mac[HASH_SHA256_BYTES];
    hash_hmac_sha256(step->key, step->key_bytes, secret, bytes, mac);
    bytes_put_hex(redact->hex, mac, sizeof mac);
    return redact->hex;
}

/* ---- a channel ---- */

static struct value as_text(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .text = text, .text_bytes = strlen(text)};
}

static void redact_value(struct redact *redact, const struct chain_step *step, struct value *value)
{
    char spelt[TRANSFORM_SPELT_BYTES];
    size_t bytes;
    const char *text = transform_spell(value, spelt, &bytes);
    if (value->kind == VALUE_ABSENT)
        return;
    if (step->action == CHAIN_DROP)
        *value = (struct value){.kind = VALUE_ABSENT};
    else
        *value = as_text(step->action == CHAIN_MASK ? stars : make_hex(redact, step, text, bytes));
}

/* ---- a document ---- */

struct copy {
    struct redact *redact;
    const struct chain_step *step;
    const uint8_t *document;
    size_t bytes;
    struct document_place place;
    unsigned hidden_depth; /* of the object or array that is passed over; 0: none is */
    size_t hidden_from;
    bool changed;
    bool comma;
    size_t key_from, key_end; /* of the member that comes next; key_end 0: an element */
    struct writer out;
};

static void put(struct copy *copy, const void *bytes, size_t count)
{
    if (copy->comma)
        writer_char(&copy->out, ',');
    if (copy->key_end > 0) {
        writer_bytes(&copy->out, copy->document + copy->key_from, copy->key_end - copy->key_from);
        writer_char(&copy->out, ':');
    }
    writer_bytes(&copy->out, bytes, count);
    copy->key_end = 0;
    copy->comma = true;
}

static void put_text(struct copy *copy, const char *text)
{
    char quoted[HEX_BYTES + 3];
    size_t count = strlen(text);
    quoted[0] = quoted[count + 1] = '"';
    memcpy(quoted + 1, text, count);
    put(copy, quoted, count + 2);
}

/* SECRET: what it means where that is known, else how it is spelt. */
static void hide(struct copy *copy, const void *secret, size_t bytes)
{
    copy->changed = true;
    if (copy->step->action == CHAIN_DROP)
        copy->key_end = 0;
    else if (copy->step->action == CHAIN_MASK)
        put_text(copy, stars);
    else
        put_text(copy, make_hex(copy->redact, copy->step, secret, bytes));
}

static void hide_scalar(struct copy *copy, const struct json_token *token, size_t end)
{
    size_t from = (size_t)token->offset;
    if (token->event == JSON_STRING && !token->truncated)
        hide(copy, token->text, token->text_bytes);
    else
        hide(copy, copy->document + from, end - from);
}

static void hide_token(struct copy *copy, const struct json_token *token, size_t end)
{
    if (token->event != JSON_OBJECT_BEGIN && token->event != JSON_ARRAY_BEGIN) {
        hide_scalar(copy, token, end);
        return;
    }
    copy->hidden_depth = token->depth;
    copy->hidden_from = (size_t)token->offset;
}

/* Inside of what is hidden nothing is copied; its end gives the whole. */
static void pass_hidden(struct copy *copy, const struct json_token *token, size_t end)
{
    bool is_end = token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END;
    if (!is_end || token->depth != copy->hidden_depth)
        return;
    copy->hidden_depth = 0;
    hide(copy, copy->document + copy->hidden_from, end - copy->hidden_from);
}

static void copy_shown(struct copy *copy, const struct json_token *token, size_t end)
{
    const uint8_t *text = copy->document + token->offset;
    switch (token->event) {
    case JSON_KEY:
        copy->key_from = (size_t)token->offset;
        copy->key_end = end;
        break;
    case JSON_OBJECT_BEGIN:
    case JSON_ARRAY_BEGIN:
        put(copy, text, 1);
        copy->comma = false;
        break;
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        writer_bytes(&copy->out, text, 1);
        copy->comma = true;
        break;
    default:
        put(copy, text, end - (size_t)token->offset);
    }
}

static int copy_token(void *context, const struct json_token *token)
{
    struct copy *copy = context;
    size_t end = document_end(copy->document, copy->bytes, token);
    document_step(&copy->place, token);
    bool is_it = document_is(&copy->redact->source.path, &copy->place, token);
    if (copy->hidden_depth > 0)
        pass_hidden(copy, token, end);
    else if (is_it)
        hide_token(copy, token, end);
    else
        copy_shown(copy, token, end);
    return copy->out.error;
}

static int redact_document(struct redact *redact, const struct chain_step *step,
                           struct sample *sample)
{
    struct json_scan scan;
    struct copy copy = {.redact = redact,
                        .step = step,
                        .document = sample->document,
                        .bytes = sample->document_bytes};
    writer_to_memory(&copy.out, redact->out, redact->out_bytes);
    json_scan_start(&scan, copy_token, &copy);
    int rc = json_scan_feed(&scan, sample->document, sample->document_bytes);
    if (rc == 0)
        rc = json_scan_end(&scan);
    if (rc < 0)
        return rc;
    if (!copy.changed)
        return 1;
    sample->document = redact->out;
    sample->document_bytes = copy.out.used_bytes;
    return 1;
}

static int redact_push(void *state, const struct chain_step *step, struct intake_item *item,
                       struct transform_notes *notes)
{
    struct redact *redact = state;
    struct sample *sample = item->sample;
    if (sample->document != NULL)
        return redact_document(redact, step, sample);
    if (redact->source.place < sample->value_count)
        redact_value(redact, step, &sample->values[redact->source.place]);
    else if (redact->source.place == SAMPLE_CHANNELS_MAX)
        notes->lack = TRANSFORM_LACK_CHANNEL;
    return 1;
}

const struct transform redact_transform = {.state_bytes = sizeof(struct redact),
                                           .open = redact_open,
                                           .bind = redact_bind,
                                           .push = redact_push,
                                           .close = redact_close};
