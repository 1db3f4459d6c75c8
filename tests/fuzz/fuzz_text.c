/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "drivers/format/text.h"
#include "drivers/lines/framer.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_BYTES = 512, SETTINGS_MAX = 12 };

/* What a stream comes to: the same, however it was cut into pieces. */
struct result {
    uint64_t sum;
    unsigned samples, refused;
};

static const struct driver_setting configurations[][SETTINGS_MAX] = {
    {{"format", "auto"}},
    {{"format", "json"}},
    {{"format", "number"}},
#ifdef CONFIG_FORMAT_NMEA
    {{"format", "nmea"}},
#else
    {{"format", "auto"}},
#endif
    {{"format", "keyvalue"}},
    {{"format", "keyvalue"},
     {"decimal_comma", "true"},
     {"channels[0].name", "a"},
     {"channels[1].name", "b"},
     {"channels[1].type", "text"}},
    {{"format", "csv"}, {"header", "true"}},
    {{"format", "csv"},
     {"separator", ";"},
     {"decimal_comma", "true"},
     {"channels[0].name", "a"},
     {"channels[1].type", "skip"},
     {"channels[2].name", "b"},
     {"channels[2].type", "text"}},
    {{"format", "csv"},
     {"separator", " "},
     {"header", "true"},
     {"channels[0].name", "a"},
     {"channels[1].name", "b"}},
};

static void add(struct result *result, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        result->sum = (result->sum ^ at[i]) * 0x100000001b3;
}

static void add_sample(struct result *result, const struct text *text, const struct sample *sample)
{
    result->samples++;
    if (sample->document != NULL) {
        if (json_scan_object(sample->document, sample->document_bytes) < 0)
            abort();
        add(result, sample->document, sample->document_bytes);
    } else if (sample->value_count != text->channel_count) {
        abort();
    }
    for (size_t i = 0; i < sample->value_count; i++) {
        const struct value *value = &sample->values[i];
        const struct text_part part = {.bytes = value->text, .count = value->text_bytes};
        if (value->kind == VALUE_DECIMAL) {
            if (value->decimals > SAMPLE_DECIMALS_MAX)
                abort();
            add(result, &value->mantissa, sizeof value->mantissa);
        } else if (value->kind == VALUE_TEXT) {
            if (value->text_bytes > SAMPLE_TEXT_BYTES_MAX || !field_is_clean(part))
                abort();
            add(result, value->text, value->text_bytes);
        } else if (value->kind != VALUE_ABSENT) {
            abort();
        }
    }
}

static void take_line(struct result *result, struct text *text, struct text_stream *stream,
                      const struct framer_line *line)
{
    struct sample sample;
    const struct text_line in = {
        .bytes = line->bytes, .count = line->count, .offset = line->offset};
    int rc = line->count == 0 ? E_AGAIN : text_convert(text, stream, &in, &sample);
    if (rc == 0)
        add_sample(result, text, &sample);
    else if (rc != E_AGAIN)
        result->refused++;
    if (rc < 0 && rc != E_AGAIN && (text->column == 0 || text->column > line->count + 2))
        abort();
}

static struct result read_stream(const struct driver_setting *settings, const uint8_t *bytes,
                                 size_t count, size_t piece)
{
    static uint8_t buffer[LINE_BYTES + FRAMER_READ_BYTES + 16];
    struct result result = {0};
    struct text_stream stream = {0};
    struct driver_context context = {.settings = settings, .document_bytes_max = LINE_BYTES};
    char fault[DRIVER_FAULT_BYTES];
    struct text text;
    struct framer framer;
    struct framer_line line;
    struct sample sample;
    context.fault = fault;
    while (context.setting_count < SETTINGS_MAX && settings[context.setting_count].key != NULL)
        context.setting_count++;
    if (framer_buffer_bytes(LINE_BYTES) > sizeof buffer || text_open(&text, &context) < 0)
        abort();
    framer_start(&framer, buffer, LINE_BYTES, 0);
    for (size_t at = 0; at <= count;) {
        size_t room;
        int rc;
        bool at_end = at == count;
        size_t taken = count - at < piece ? count - at : piece;
        memcpy(framer_room(&framer, &room), bytes + at, taken);
        framer_add(&framer, taken);
        at += at_end ? 1 : taken;
        while ((rc = framer_next(&framer, at_end, &line)) != E_AGAIN)
            if (rc == 0)
                take_line(&result, &text, &stream, &line);
    }
    if (text_end(&text, &stream, &sample) == 0)
        add_sample(&result, &text, &sample);
    (void)text_lack(&text);
    text_close(&text);
    return result;
}

/* The first byte says what is configured, the last where the stream is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const size_t configurations_count = sizeof configurations / sizeof configurations[0];
    if (count < 2)
        return 0;
    const struct driver_setting *settings =
        configurations[(uint8_t)(bytes[0] - '0') % configurations_count];
    struct result whole = read_stream(settings, bytes + 1, count - 1, FRAMER_READ_BYTES);
    struct result cut = read_stream(settings, bytes + 1, count - 1, 1 + bytes[count - 1] % 7);
    if (whole.sum != cut.sum || whole.samples != cut.samples || whole.refused != cut.refused)
        abort();
    return 0;
}
