/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/format/field.h"

#include <string.h>
#include <strings.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/base/utf8.h"

enum { NUMBER_BYTES = 64 };

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

struct text_part field_trim(struct text_part part)
{
    while (part.count > 0 && is_blank(part.bytes[part.count - 1]))
        part.count--;
    while (part.count > 0 && is_blank(part.bytes[0])) {
        part.bytes++;
        part.count--;
        part.column++;
    }
    return part;
}

bool field_is(struct text_part part, const char *text)
{
    return part.count == strlen(text) && memcmp(part.bytes, text, part.count) == 0;
}

bool field_is_absent(struct text_part part)
{
    static const char *const words[] = {"nan", "null", "n/a", "na", "-", "--"};
    if (part.quoted || part.count == 0)
        return !part.quoted;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (part.count == strlen(words[i]) && strncasecmp(part.bytes, words[i], part.count) == 0)
            return true;
    return false;
}

/* The sign and what JSON does not allow before the first digit that counts. */
static size_t begin_number(struct text_part *part, char point, char *number)
{
    size_t used = 0;
    if (part->count > 0 && (part->bytes[0] == '-' || part->bytes[0] == '+')) {
        if (part->bytes[0] == '-')
            number[used++] = '-';
        part->bytes++;
        part->count--;
    }
    while (part->count > 1 && part->bytes[0] == '0' && is_digit(part->bytes[1])) {
        part->bytes++;
        part->count--;
    }
    if (part->count > 1 && part->bytes[0] == point && is_digit(part->bytes[1]))
        number[used++] = '0';
    return used;
}

int field_number(struct text_part part, char point, struct value *ret_value)
{
    char number[NUMBER_BYTES + 2];
    struct value value = {.kind = VALUE_DECIMAL};
    size_t used = begin_number(&part, point, number);
    if (part.count > 1 && part.bytes[part.count - 1] == point &&
        is_digit(part.bytes[part.count - 2]))
        part.count--;
    if (part.count > NUMBER_BYTES)
        return E_RANGE;
    for (size_t i = 0; i < part.count; i++) {
        char byte = part.bytes[i];
        if (byte == '.' && point != '.')
            return E_SYNTAX;
        number[used++] = byte == point ? '.' : byte;
    }
    int rc = parse_decimal(number, used, &value.mantissa, &value.decimals);
    if (rc == 0)
        *ret_value = value;
    return rc;
}

bool field_is_clean(struct text_part part)
{
    const uint8_t *bytes = (const uint8_t *)part.bytes;
    for (size_t i = 0; i < part.count;) {
        size_t length = utf8_character_bytes(bytes + i, part.count - i);
        if (length == 0 || (bytes[i] < ' ' && bytes[i] != '\t') || bytes[i] == 0x7f)
            return false;
        i += length;
    }
    return true;
}

int field_value(struct text_part part, enum text_type type, char point, struct value *ret_value,
                const char **ret_what)
{
    if (type == TEXT_TYPE_NUMBER) {
        int rc = field_number(part, point, ret_value);
        *ret_what = rc == E_RANGE ? "a number of more digits than 64 bits hold" : "no number";
        return rc;
    }
    if (part.count > SAMPLE_TEXT_BYTES_MAX) {
        *ret_what = "a text longer than 255 bytes";
        return E_TOO_BIG;
    }
    if (!field_is_clean(part)) {
        *ret_what = "no clean UTF-8 text";
        return E_SYNTAX;
    }
    *ret_value = (struct value){.kind = VALUE_TEXT, .text = part.bytes, .text_bytes = part.count};
    return 0;
}
