/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/payload.h"

#include <stdlib.h>
#include <string.h>

#include "agent/intake/senml.h"
#include "agent/intake/tokens.h"
#include "platform/base/base64.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

bool payload_is_known(unsigned format)
{
    switch (format) {
    case PAYLOAD_TEXT:
    case PAYLOAD_OCTETS:
    case PAYLOAD_JSON:
    case PAYLOAD_CBOR:
    case PAYLOAD_SENML_JSON:
    case PAYLOAD_SENML_CBOR:
        return true;
    default:
        return false;
    }
}

/* ---- a number ---- */

struct number {
    const struct reading *reading;
    struct value value;
};

static int take_number(void *context, const struct json_token *token)
{
    struct number *number = context;
    struct value *value = &number->value;
    if (token->event != JSON_NUMBER)
        return tokens_fail(number->reading, E_SYNTAX, "text/plain is one number, such as 21.50");
    *value = (struct value){.kind = VALUE_DECIMAL};
    if (parse_decimal(token->text, token->text_bytes, &value->mantissa, &value->decimals) == 0)
        return 0;
    double real = strtod(token->text, NULL);
    value->kind = VALUE_FLOAT64;
    memcpy(&value->float64_bits, &real, sizeof real);
    return 0;
}

static int read_text(const struct reading *reading)
{
    struct number number = {.reading = reading};
    struct payload_record *record = &reading->room->record;
    int rc = tokens_read(reading, take_number, &number);
    if (rc < 0)
        return rc;
    record->channel_count = 1;
    record->channels[0] = (struct channel){.name = "value", .decimals = number.value.decimals};
    record->sample.value_count = 1;
    record->sample.values[0] = number.value;
    return reading->handler(reading->context, record);
}

/* ---- documents ---- */

static int read_octets(const struct reading *reading)
{
    struct writer out;
    struct base64 base64;
    writer_to_memory(&out, reading->room->text, reading->room->text_bytes);
    writer_text(&out, "{\"octets\":\"");
    base64_start(&base64);
    base64_add(&base64, reading->payload->bytes, reading->payload->count, &out);
    base64_finish(&base64, &out);
    writer_text(&out, "\"}");
    return tokens_give_written(reading, &out);
}

struct check {
    const struct reading *reading;
};

static int refuse_other(const struct reading *reading)
{
    return tokens_fail(reading, E_INVALID, "a document is an object, such as {\"temp\":21.50}");
}

/* The outermost value comes first. */
static int check_object(void *context, const struct json_token *token)
{
    const struct check *check = context;
    bool is_other =
        token->depth == 0 && token->event != JSON_OBJECT_BEGIN && token->event != JSON_OBJECT_END;
    return is_other ? refuse_other(check->reading) : 0;
}

static int read_json(const struct reading *reading)
{
    struct check check = {.reading = reading};
    int rc = tokens_read(reading, check_object, &check);
    if (rc < 0)
        return rc;
    return tokens_give_document(reading, reading->payload->bytes, reading->payload->count);
}

static int read_cbor(const struct reading *reading)
{
    struct writer out;
    writer_to_memory(&out, reading->room->text, reading->room->text_bytes);
    int rc = tokens_write_json(reading, NULL, &out);
    if (rc < 0)
        return rc;
    if (out.used_bytes > 0 && out.buffer[0] != '{')
        return refuse_other(reading);
    return tokens_give_written(reading, &out);
}

int payload_read(const struct payload *payload, struct payload_room *room, payload_handler *handler,
                 void *context, char fault[PAYLOAD_FAULT_BYTES])
{
    const struct reading reading = {
        .payload = payload, .room = room, .handler = handler, .context = context, .fault = fault};
    if (!payload_is_known(payload->format))
        return tokens_fail(&reading, E_UNSUPPORTED, "Content-Format %u is not known here",
                           payload->format);
    if (payload->count == 0)
        return tokens_fail(&reading, E_INVALID, "the payload is empty");
    room->record = (struct payload_record){.base_name = ""};
    room->record.sample.boot_ms = payload->now_boot_ms;
    switch (payload->format) {
    case PAYLOAD_TEXT:
        return read_text(&reading);
    case PAYLOAD_OCTETS:
        return read_octets(&reading);
    case PAYLOAD_JSON:
        return read_json(&reading);
    case PAYLOAD_CBOR:
        return read_cbor(&reading);
    default:
        return senml_read(&reading);
    }
}
