/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/record.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* The low two bits beside the sensor's number. */
enum form { FORM_USUAL, FORM_TAGGED, FORM_DOCUMENT, FORM_BITS = 2, FORM_MASK = 3 };

/* The low two bits of a tagged value; a decimal's decimals stand above them. */
enum tag_kind { TAG_ABSENT, TAG_DECIMAL, TAG_FLOAT64, TAG_TEXT, TAG_BITS = 2, TAG_MASK = 3 };

static const uint64_t float64_exponent = UINT64_C(0x7ff) << 52;
static const uint64_t sequence_end = UINT64_C(1) << 53;

static bool is_usual(const struct record *record, const struct channel *channels,
                     size_t channel_count)
{
    if (record->value_count > channel_count)
        return false;
    for (size_t i = 0; i < record->value_count; i++)
        if (record->values[i].kind != VALUE_DECIMAL ||
            record->values[i].decimals != channels[i].decimals)
            return false;
    return true;
}

/* A cursor over the output: what does not fit is remembered, not written. */
struct put {
    uint8_t *bytes;
    size_t size;
    size_t used;
    bool full;
};

static void put_varint(struct put *put, uint64_t value)
{
    if (put->size - put->used < bytes_varint_size(value))
        put->full = true;
    else
        put->used += bytes_put_varint(put->bytes + put->used, value);
}

static void put_bytes(struct put *put, const void *bytes, size_t count)
{
    if (put->size - put->used < count) {
        put->full = true;
        return;
    }
    memcpy(put->bytes + put->used, bytes, count);
    put->used += count;
}

static int put_tagged(struct put *put, const struct value *value)
{
    uint8_t bits[8];
    switch (value->kind) {
    case VALUE_ABSENT:
        put_varint(put, TAG_ABSENT);
        return E_OK;
    case VALUE_DECIMAL:
        if (value->decimals > SAMPLE_DECIMALS_MAX)
            return E_INVALID;
        put_varint(put, TAG_DECIMAL | value->decimals << TAG_BITS);
        put_varint(put, bytes_zigzag(value->mantissa));
        return E_OK;
    case VALUE_FLOAT64:
        if ((value->float64_bits & float64_exponent) == float64_exponent)
            return E_INVALID;
        put_varint(put, TAG_FLOAT64);
        bytes_put_le64(bits, value->float64_bits);
        put_bytes(put, bits, sizeof bits);
        return E_OK;
    case VALUE_TEXT:
        if (value->text_bytes > SAMPLE_TEXT_BYTES_MAX)
            return E_INVALID;
        put_varint(put, TAG_TEXT);
        put_varint(put, value->text_bytes);
        put_bytes(put, value->text, value->text_bytes);
        return E_OK;
    }
    return E_INVALID;
}

static int put_values(struct put *put, const struct record *record, enum form form)
{
    put_varint(put, record->value_count);
    for (size_t i = 0; i < record->value_count && !put->full; i++) {
        if (form == FORM_USUAL) {
            put_varint(put, bytes_zigzag(record->values[i].mantissa));
            continue;
        }
        int rc = put_tagged(put, &record->values[i]);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

int record_encode(const struct record *record, const struct record_frame *frame,
                  const struct channel *channels, size_t channel_count, uint8_t *bytes, size_t size)
{
    struct put put = {.bytes = bytes, .size = size};
    enum form form = record->shape == RECORD_DOCUMENT            ? FORM_DOCUMENT
                     : is_usual(record, channels, channel_count) ? FORM_USUAL
                                                                 : FORM_TAGGED;
    if (record->sensor > RECORD_SENSOR_MAX || record->sequence <= frame->previous_sequence ||
        record->sequence >= sequence_end || record->value_count > SAMPLE_CHANNELS_MAX)
        return E_INVALID;
    put_varint(&put, record->sequence - frame->previous_sequence - 1);
    put_varint(&put, (uint64_t)record->sensor << FORM_BITS | form);
    put_varint(&put, bytes_zigzag(record->boot_ms - frame->previous_boot_ms));
    if (form == FORM_DOCUMENT) {
        put_varint(&put, record->document_bytes);
    } else {
        int rc = put_values(&put, record, form);
        if (rc < 0)
            return rc;
    }
    return put.full ? E_FULL : (int)put.used;
}

/* A cursor over the input: the first thing that does not fit marks it as damaged. */
struct get {
    const uint8_t *bytes;
    size_t count;
    size_t used;
    bool damaged;
};

static uint64_t get_varint(struct get *get)
{
    uint64_t value = 0;
    size_t taken = bytes_get_varint(get->bytes + get->used, get->count - get->used, &value);
    if (taken == 0)
        get->damaged = true;
    get->used += taken;
    return value;
}

static const uint8_t *get_bytes(struct get *get, uint64_t count)
{
    const uint8_t *bytes = get->bytes + get->used;
    if (count > get->count - get->used) {
        get->damaged = true;
        return bytes;
    }
    get->used += (size_t)count;
    return bytes;
}

static void get_tagged(struct get *get, struct value *ret_value)
{
    uint64_t tag = get_varint(get);
    const uint8_t *bits;
    *ret_value = (struct value){.kind = VALUE_ABSENT};
    switch (tag & TAG_MASK) {
    case TAG_ABSENT:
        return;
    case TAG_DECIMAL:
        ret_value->kind = VALUE_DECIMAL;
        ret_value->decimals = (unsigned)(tag >> TAG_BITS & 0xff);
        ret_value->mantissa = bytes_unzigzag(get_varint(get));
        get->damaged |= tag >> TAG_BITS > SAMPLE_DECIMALS_MAX;
        return;
    case TAG_FLOAT64:
        ret_value->kind = VALUE_FLOAT64;
        bits = get_bytes(get, 8);
        ret_value->float64_bits = get->damaged ? 0 : bytes_get_le64(bits);
        return;
    default:
        ret_value->kind = VALUE_TEXT;
        ret_value->text_bytes = (size_t)get_varint(get);
        ret_value->text = (const char *)get_bytes(get, ret_value->text_bytes);
        get->damaged |= ret_value->text_bytes > SAMPLE_TEXT_BYTES_MAX;
        return;
    }
}

static void get_values(struct get *get, struct record *record)
{
    uint64_t count = get_varint(get);
    if (count > SAMPLE_CHANNELS_MAX) {
        get->damaged = true;
        return;
    }
    record->value_count = (size_t)count;
    for (size_t i = 0; i < record->value_count && !get->damaged; i++) {
        if (record->usual)
            record->values[i] =
                (struct value){.kind = VALUE_DECIMAL, .mantissa = bytes_unzigzag(get_varint(get))};
        else
            get_tagged(get, &record->values[i]);
    }
}

static void get_document(struct get *get, struct record *record)
{
    uint64_t total = get_varint(get);
    size_t left = get->count - get->used;
    if (total > SIZE_MAX / 2) {
        get->damaged = true;
        return;
    }
    record->document_bytes = (size_t)total;
    record->document_piece_bytes = total < left ? (size_t)total : left;
    record->document = get_bytes(get, record->document_piece_bytes);
}

int record_decode(const uint8_t *bytes, size_t count, const struct record_frame *frame,
                  struct record *ret_record)
{
    struct get get = {.bytes = bytes, .count = count};
    uint64_t distance = get_varint(&get);
    uint64_t sensor_form = get_varint(&get);
    int64_t time_ms = bytes_unzigzag(get_varint(&get));
    uint64_t sensor = sensor_form >> FORM_BITS;
    uint64_t form = sensor_form & FORM_MASK;
    if (get.damaged || distance >= sequence_end || sensor > RECORD_SENSOR_MAX ||
        form > FORM_DOCUMENT)
        return E_DAMAGED;
    ret_record->sequence = frame->previous_sequence + 1 + distance;
    ret_record->sensor = (uint32_t)sensor;
    ret_record->boot_ms = (int64_t)((uint64_t)frame->previous_boot_ms + (uint64_t)time_ms);
    ret_record->shape = form == FORM_DOCUMENT ? RECORD_DOCUMENT : RECORD_VALUES;
    ret_record->usual = form == FORM_USUAL;
    ret_record->value_count = 0;
    ret_record->document = NULL;
    ret_record->document_bytes = ret_record->document_piece_bytes = 0;
    if (form == FORM_DOCUMENT)
        get_document(&get, ret_record);
    else
        get_values(&get, ret_record);
    return get.damaged || ret_record->sequence >= sequence_end ? E_DAMAGED : (int)get.used;
}

int record_set_decimals(struct record *record, const struct channel *channels, size_t channel_count)
{
    if (!record->usual)
        return E_OK;
    if (record->value_count > channel_count)
        return E_DAMAGED;
    for (size_t i = 0; i < record->value_count; i++)
        record->values[i].decimals = channels[i].decimals;
    return E_OK;
}
