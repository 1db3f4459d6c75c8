/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transform/transform.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/writer.h"

unsigned transform_find(const struct intake_shape *shape, const char *name)
{
    for (unsigned i = 0; i < shape->channel_count; i++)
        if (strcmp(shape->channels[i].name, name) == 0)
            return i;
    return SAMPLE_CHANNELS_MAX;
}

uint32_t transform_select(const struct intake_shape *shape, const char *name)
{
    _Static_assert(SAMPLE_CHANNELS_MAX == 32, "a bit each");
    unsigned place = name != NULL ? transform_find(shape, name) : 0;
    if (name == NULL)
        return shape->channel_count == 0 ? 0 : UINT32_MAX >> (32 - shape->channel_count);
    return place < SAMPLE_CHANNELS_MAX ? UINT32_C(1) << place : 0;
}

int transform_source_open(struct transform_source *source, const char *name)
{
    return document_path_set(&source->path, name);
}

void transform_source_bind(struct transform_source *source, const char *name,
                           const struct intake_shape *shape)
{
    source->place = transform_find(shape, name);
}

struct value transform_source_get(struct transform_source *source, const struct sample *sample,
                                  struct transform_notes *notes)
{
    bool unfit = false;
    if (sample->document != NULL)
        return document_find(sample->document, sample->document_bytes, &source->path, source->text,
                             &unfit);
    if (source->place < sample->value_count)
        return sample->values[source->place];
    if (source->place == SAMPLE_CHANNELS_MAX)
        notes->lack = TRANSFORM_LACK_CHANNEL;
    return (struct value){.kind = VALUE_ABSENT};
}

bool transform_is_number(const struct value *value)
{
    return value->kind == VALUE_DECIMAL || value->kind == VALUE_FLOAT64;
}

struct decimal transform_decimal(const struct value *value)
{
    return (struct decimal){.mantissa = value->mantissa, .decimals = value->decimals};
}

double transform_decimal_double(struct decimal value)
{
    return (double)value.mantissa / (double)decimal_power(value.decimals);
}

double transform_double(const struct value *value)
{
    double number;
    if (value->kind == VALUE_DECIMAL)
        return transform_decimal_double(transform_decimal(value));
    memcpy(&number, &value->float64_bits, sizeof number);
    return number;
}

struct value transform_from_decimal(struct decimal value)
{
    return (struct value){
        .kind = VALUE_DECIMAL, .mantissa = value.mantissa, .decimals = value.decimals};
}

struct value transform_from_double(double value)
{
    struct value result = {.kind = VALUE_FLOAT64};
    memcpy(&result.float64_bits, &value, sizeof value);
    return result;
}

int transform_compare(const struct value *value, struct decimal limit)
{
    if (value->kind == VALUE_DECIMAL)
        return decimal_compare(transform_decimal(value), limit);
    double left = transform_double(value);
    double right = transform_decimal_double(limit);
    return left < right ? -1 : left > right ? 1 : 0;
}

const char *transform_spell(const struct value *value, char text[TRANSFORM_SPELT_BYTES],
                            size_t *ret_bytes)
{
    struct writer out;
    if (value->kind == VALUE_TEXT) {
        *ret_bytes = value->text_bytes;
        return value->text;
    }
    writer_to_memory(&out, text, TRANSFORM_SPELT_BYTES);
    if (value->kind == VALUE_DECIMAL)
        writer_decimal(&out, value->mantissa, value->decimals);
    else if (value->kind == VALUE_FLOAT64)
        writer_format(&out, "%.17g", transform_double(value));
    *ret_bytes = out.used_bytes;
    return text;
}
