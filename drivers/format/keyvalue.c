/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/format/keyvalue.h"

#include <string.h>

#include "platform/base/error.h"

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_decimal_comma(const struct keyvalue *in, size_t at)
{
    return in->decimal_comma && in->text[at] == ',' && at > 0 && is_digit(in->text[at - 1]) &&
           at + 1 < in->count && is_digit(in->text[at + 1]);
}

static bool ends_word(const struct keyvalue *in, size_t at)
{
    char byte = in->text[at];
    return is_blank(byte) || byte == ';' || (byte == ',' && !is_decimal_comma(in, at));
}

static bool assigns(char byte)
{
    return byte == '=' || byte == ':';
}

static void skip_blanks(struct keyvalue *in)
{
    while (in->at < in->count && is_blank(in->text[in->at]))
        in->at++;
}

/* A key ends before what assigns, too; a value may hold such: "12:30". */
static struct text_part take_word(struct keyvalue *in, bool is_key)
{
    struct text_part word = {.bytes = in->text + in->at, .column = (unsigned)in->at + 1};
    while (in->at < in->count && !ends_word(in, in->at) && !(is_key && assigns(in->text[in->at])))
        in->at++;
    word.count = in->at + 1 - word.column;
    return word;
}

static int take_quoted(struct keyvalue *in, struct text_part *ret_value)
{
    const char *from = in->text + in->at + 1;
    const char *end = memchr(from, '"', in->count - in->at - 1);
    if (end == NULL) {
        in->what = "the quote that began is not closed";
        return E_SYNTAX;
    }
    *ret_value = (struct text_part){from, (size_t)(end - from), (unsigned)in->at + 1, true};
    in->at += ret_value->count + 2;
    return 0;
}

/* Behind what assigns. Blanks may follow, but a newline ends the pair. */
static int take_value(struct keyvalue *in, struct text_part *ret_value)
{
    while (in->at < in->count && is_blank(in->text[in->at]) && in->text[in->at] != '\n')
        in->at++;
    if (in->at < in->count && in->text[in->at] == '"')
        return take_quoted(in, ret_value);
    *ret_value = take_word(in, false);
    return 0;
}

int keyvalue_next(struct keyvalue *in, struct text_part *ret_key, struct text_part *ret_value)
{
    while (in->at < in->count) {
        if (ends_word(in, in->at)) {
            in->at++;
            continue;
        }
        struct text_part key = take_word(in, true);
        size_t behind = in->at;
        skip_blanks(in);
        if (in->at < in->count && assigns(in->text[in->at])) {
            in->at++;
            if (key.count == 0)
                continue;
            *ret_key = key;
            return take_value(in, ret_value);
        }
        in->at = behind;
    }
    return E_END;
}
