/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/intake/payload.h"
#include "platform/base/error.h"
#include "platform/base/utf8.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

enum { TEXT_BYTES = 16384 };

/* What was handed on, folded into a number. */
struct seen {
    const struct payload *payload;
    const struct payload_room *room;
    unsigned records;
    uint64_t sum;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void fold(struct seen *seen, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < count; i++)
        seen->sum = (seen->sum ^ from[i]) * 0x100000001b3;
    seen->sum = (seen->sum ^ count) * 0x100000001b3;
}

static void check_text(const char *text, size_t count)
{
    require(count <= SAMPLE_TEXT_BYTES_MAX && memchr(text, '\0', count) == NULL);
    for (size_t at = 0; at < count;) {
        size_t bytes = utf8_character_bytes((const uint8_t *)text + at, count - at);
        require(bytes > 0);
        at += bytes;
    }
}

static void check_value(struct seen *seen, const struct value *value)
{
    fold(seen, &value->kind, sizeof value->kind);
    if (value->kind == VALUE_TEXT) {
        check_text(value->text, value->text_bytes);
        fold(seen, value->text, value->text_bytes);
    } else if (value->kind == VALUE_FLOAT64) {
        require((value->float64_bits >> 52 & 0x7ff) != 0x7ff);
        fold(seen, &value->float64_bits, sizeof value->float64_bits);
    } else {
        require(value->kind == VALUE_DECIMAL && value->decimals <= SAMPLE_DECIMALS_MAX);
        fold(seen, &value->mantissa, sizeof value->mantissa);
        fold(seen, &value->decimals, sizeof value->decimals);
    }
}

static void check_values(struct seen *seen, const struct payload_record *record)
{
    size_t count = record->channel_count;
    require(count > 0 && count <= SAMPLE_CHANNELS_MAX && record->sample.value_count == count);
    for (size_t i = 0; i < count; i++) {
        const struct channel *channel = &record->channels[i];
        require(memchr(channel->name, '\0', SAMPLE_NAME_BYTES) != NULL && channel->name[0] != '\0');
        require(memchr(channel->unit, '\0', SAMPLE_UNIT_BYTES) != NULL);
        for (size_t before = 0; before < i; before++)
            require(strcmp(record->channels[before].name, channel->name) != 0);
        fold(seen, channel->name, strlen(channel->name));
        fold(seen, channel->unit, strlen(channel->unit));
        check_value(seen, &record->sample.values[i]);
    }
}

static void check_time(const struct seen *seen, const struct payload_record *record)
{
    const struct payload *payload = seen->payload;
    int64_t boot_ms = record->sample.boot_ms;
    require(boot_ms <= payload->now_boot_ms + 60000);
    require(record->has_own_time || boot_ms == payload->now_boot_ms);
    if (payload->knows_time)
        require(boot_ms + payload->offset_ms >= 0);
}

static int on_record(void *context, const struct payload_record *record)
{
    struct seen *seen = context;
    const struct sample *sample = &record->sample;
    seen->records++;
    require(!sample->origin.present && strlen(record->base_name) < PAYLOAD_BASE_BYTES);
    check_time(seen, record);
    fold(seen, &sample->boot_ms, sizeof sample->boot_ms);
    fold(seen, record->base_name, strlen(record->base_name));
    if (sample->document == NULL) {
        check_values(seen, record);
        return 0;
    }
    require(record->channel_count == 0 && sample->value_count == 0 && !record->has_own_time);
    require(sample->document_bytes <= seen->room->text_bytes);
    require(json_scan_object(sample->document, sample->document_bytes) == 0);
    fold(seen, sample->document, sample->document_bytes);
    return 0;
}

static int read_once(const struct payload *payload, struct payload_room *room, struct seen *seen)
{
    char fault[PAYLOAD_FAULT_BYTES] = "";
    *seen = (struct seen){.payload = payload, .room = room};
    int rc = payload_read(payload, room, on_record, seen, fault);
    require(rc == 0 || rc == E_UNSUPPORTED || rc == E_SYNTAX || rc == E_RANGE || rc == E_INVALID ||
            rc == E_TOO_BIG);
    require((rc < 0) == (fault[0] != '\0') && (rc < 0) == (seen->records == 0));
    require(memchr(fault, '\0', sizeof fault) != NULL);
    for (const char *at = fault; *at != '\0'; at++)
        require(*at >= ' ' && *at <= '~');
    return rc;
}

/* The first byte says in which format the rest is. Whatever it is, what comes of it can be kept,
 * and comes of it again. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const unsigned formats[] = {0, 42, 50, 60, 110, 112, 41};
    static struct payload_room room;
    static uint8_t text[TEXT_BYTES];
    struct seen first, second;
    if (count == 0)
        return 0;
    room.text = text;
    room.text_bytes = sizeof text;
    for (unsigned knows_time = 0; knows_time < 2; knows_time++) {
        const struct payload payload = {
            .format = formats[bytes[0] % (sizeof formats / sizeof formats[0])],
            .bytes = bytes + 1,
            .count = count - 1,
            .now_boot_ms = 5000,
            .offset_ms = 1700000000000,
            .knows_time = knows_time == 1};
        int rc = read_once(&payload, &room, &first);
        memset(text, 0xa5, sizeof text);
        memset(&room.record, 0xa5, sizeof room.record);
        memset(room.keys, 0xa5, sizeof room.keys);
        require(read_once(&payload, &room, &second) == rc);
        require(first.records == second.records && first.sum == second.sum);
    }
    return 0;
}
