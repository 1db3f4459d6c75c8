/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/modbus/modbus_decode.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/utf8.h"

enum { EXCEPTION_FLAG = 0x80, HEAD_BYTES = 3 /* unit, function, count of bytes */ };

unsigned modbus_decode_registers(enum modbus_type type)
{
    static const uint8_t registers[] = {
        [MODBUS_BOOL] = 1,    [MODBUS_INT16] = 1, [MODBUS_UINT16] = 1, [MODBUS_INT32] = 2,
        [MODBUS_UINT32] = 2,  [MODBUS_INT64] = 4, [MODBUS_UINT64] = 4, [MODBUS_FLOAT32] = 2,
        [MODBUS_FLOAT64] = 4, [MODBUS_BCD16] = 1, [MODBUS_BCD32] = 2,  [MODBUS_STRING] = 0,
    };
    return registers[type];
}

/* ---- answers ---- */

static size_t data_bytes(const struct modbus_span *request)
{
    return modbus_plan_is_bits(request->table) ? (request->count + 7) / 8 : 2 * request->count;
}

size_t modbus_decode_bytes(const struct modbus_span *request)
{
    return HEAD_BYTES + data_bytes(request);
}

int modbus_decode_answer(const struct modbus_span *request, uint8_t unit, const uint8_t *answer,
                         size_t count, const uint8_t **ret_data, unsigned *ret_exception)
{
    size_t bytes = data_bytes(request);
    if (count < HEAD_BYTES || answer[0] != unit)
        return E_DAMAGED;
    if (answer[1] == (uint8_t)(request->table | EXCEPTION_FLAG) && count == HEAD_BYTES) {
        *ret_exception = answer[2];
        return E_REFUSED;
    }
    if (answer[1] != request->table || answer[2] != bytes || count != HEAD_BYTES + bytes)
        return E_DAMAGED;
    *ret_data = answer + HEAD_BYTES;
    return 0;
}

const char *modbus_decode_exception(unsigned code)
{
    switch (code) {
    case 1:
        return "the unit does not have this table";
    case 2:
        return "there is no such register";
    case 3:
        return "the unit does not take the request";
    case 4:
        return "the unit failed";
    case 5:
        return "the unit needs longer than it may take";
    case 6:
        return "the unit is busy";
    case 8:
        return "the unit's memory is damaged";
    case 10:
        return "the gateway has no path to the unit";
    case 11:
        return "the unit does not answer the gateway";
    default:
        return "of a kind that the protocol does not know";
    }
}

/* ---- registers ---- */

static bool words_are_reversed(const struct modbus_field *field)
{
    return field->type != MODBUS_STRING &&
           (field->order == MODBUS_CDAB || field->order == MODBUS_DCBA);
}

static bool bytes_are_reversed(const struct modbus_field *field)
{
    return field->order == MODBUS_BADC || field->order == MODBUS_DCBA;
}

static void take_registers(const struct modbus_field *field, const uint8_t *from, uint8_t *to)
{
    unsigned count = field->span.count;
    unsigned swap = bytes_are_reversed(field) ? 1 : 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *word = from + 2 * (words_are_reversed(field) ? count - 1 - i : i);
        to[2 * i] = word[swap];
        to[2 * i + 1] = word[1 - swap];
    }
}

void modbus_decode_take(const struct modbus_field *field, const struct modbus_span *request,
                        const uint8_t *data, uint8_t ret_raw[DECODE_RAW_BYTES])
{
    unsigned offset = field->span.at - request->at;
    if (modbus_plan_is_bits(request->table)) {
        ret_raw[0] = (uint8_t)(data[offset / 8] >> offset % 8 & 1);
        return;
    }
    take_registers(field, data + 2 * (size_t)offset, ret_raw);
    if (field->type == MODBUS_BOOL)
        ret_raw[0] = (uint8_t)(bytes_get_be16(ret_raw) >> field->bit & 1);
}

/* ---- values ---- */

/* The highest byte first. */
static uint64_t unsigned_of(const uint8_t *raw, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | raw[i];
    return number;
}

static int set_decimal(const struct modbus_field *field, int64_t mantissa, struct value *ret_value)
{
    const struct decimal number = {.mantissa = mantissa, .decimals = field->decimals};
    const struct decimal none = {0};
    struct decimal scaled;
    int rc = decimal_scale(number, field->factor, none, field->decimals + field->factor.decimals,
                           &scaled);
    if (rc == 0)
        *ret_value = (struct value){
            .kind = VALUE_DECIMAL, .mantissa = scaled.mantissa, .decimals = scaled.decimals};
    return rc;
}

static int set_unsigned(const struct modbus_field *field, uint64_t number, struct value *ret_value)
{
    return number > INT64_MAX ? E_RANGE : set_decimal(field, (int64_t)number, ret_value);
}

static int set_signed(const struct modbus_field *field, uint64_t number, size_t bytes,
                      struct value *ret_value)
{
    unsigned unused = 64 - 8 * (unsigned)bytes;
    uint64_t sign = (uint64_t)1 << (63 - unused);
    int64_t value;
    number = (number ^ sign) - sign; /* extends the sign */
    memcpy(&value, &number, sizeof value);
    return set_decimal(field, value, ret_value);
}

static int set_bcd(const struct modbus_field *field, uint64_t number, struct value *ret_value)
{
    int64_t value = 0;
    for (unsigned shift = 32; shift > 0; shift -= 4) {
        unsigned digit = (unsigned)(number >> (shift - 4) & 15);
        if (digit > 9)
            return E_SYNTAX;
        value = 10 * value + digit;
    }
    return set_decimal(field, value, ret_value);
}

/* Half away from zero, as everywhere. */
static int round_double(double number, int64_t *ret_whole)
{
    const double limit = 9223372036854775808.0; /* 2^63, the first that does not fit */
    if (!(number < limit && number >= -limit))
        return E_RANGE;
    int64_t whole = (int64_t)number;
    double rest = number - (double)whole; /* exact, and 0 where halves cannot be told */
    *ret_whole = whole + (rest >= 0.5 ? 1 : rest <= -0.5 ? -1 : 0);
    return 0;
}

static int set_float(const struct modbus_field *field, double number, struct value *ret_value)
{
    int64_t mantissa;
    if (!(number - number == 0)) /* NaN and the infinities */
        return E_SYNTAX;
    if (field->has_decimals) {
        int rc = round_double(number * (double)decimal_power(field->decimals), &mantissa);
        return rc < 0 ? rc : set_decimal(field, mantissa, ret_value);
    }
    *ret_value = (struct value){.kind = VALUE_FLOAT64};
    memcpy(&ret_value->float64_bits, &number, sizeof number);
    return 0;
}

static int set_float32(const struct modbus_field *field, uint64_t bits, struct value *ret_value)
{
    uint32_t half = (uint32_t)bits;
    float number;
    memcpy(&number, &half, sizeof number);
    return set_float(field, (double)number, ret_value);
}

static int set_float64(const struct modbus_field *field, uint64_t bits, struct value *ret_value)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return set_float(field, number, ret_value);
}

/* Up to its NUL, without the blanks that fill it up. */
static int set_string(const uint8_t *raw, size_t room, struct value *ret_value)
{
    const uint8_t *end = memchr(raw, 0, room);
    size_t count = end != NULL ? (size_t)(end - raw) : room;
    while (count > 0 && raw[count - 1] == ' ')
        count--;
    for (size_t at = 0, bytes; at < count; at += bytes) {
        bytes = utf8_character_bytes(raw + at, count - at);
        if (bytes == 0)
            return E_SYNTAX;
    }
    *ret_value = (struct value){.kind = VALUE_TEXT, .text = (const char *)raw, .text_bytes = count};
    return 0;
}

int modbus_decode_value(const struct modbus_field *field, const uint8_t raw[DECODE_RAW_BYTES],
                        struct value *ret_value)
{
    size_t bytes = 2 * (size_t)field->span.count;
    switch (field->type) {
    case MODBUS_BOOL:
        *ret_value = (struct value){.kind = VALUE_DECIMAL, .mantissa = raw[0]};
        return 0;
    case MODBUS_INT16:
    case MODBUS_INT32:
    case MODBUS_INT64:
        return set_signed(field, unsigned_of(raw, bytes), bytes, ret_value);
    case MODBUS_UINT16:
    case MODBUS_UINT32:
    case MODBUS_UINT64:
        return set_unsigned(field, unsigned_of(raw, bytes), ret_value);
    case MODBUS_FLOAT32:
        return set_float32(field, unsigned_of(raw, bytes), ret_value);
    case MODBUS_FLOAT64:
        return set_float64(field, unsigned_of(raw, bytes), ret_value);
    case MODBUS_BCD16:
    case MODBUS_BCD32:
        return set_bcd(field, unsigned_of(raw, bytes), ret_value);
    case MODBUS_STRING:
        return set_string(raw, bytes, ret_value);
    }
    return E_INVALID;
}
