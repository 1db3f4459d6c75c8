/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/format/csv.h"

#include <string.h>

#include "platform/base/error.h"

static bool is_blank(const struct csv *csv, uint8_t byte)
{
    return byte != (uint8_t)csv->separator && (byte == ' ' || byte == '\t');
}

static bool is_separator(const struct csv *csv, uint8_t byte)
{
    return byte == (uint8_t)csv->separator || (csv->separator == ' ' && byte == '\t');
}

/* Behind a field: the separator, or the end of the line. */
static int take_separator(struct csv *csv)
{
    while (csv->at < csv->count && is_blank(csv, csv->line[csv->at]))
        csv->at++;
    csv->ended = csv->at == csv->count;
    if (csv->ended)
        return 0;
    if (!is_separator(csv, csv->line[csv->at])) {
        csv->what = "something between a quoted field and the separator";
        return E_SYNTAX;
    }
    csv->at++;
    while (csv->separator == ' ' && csv->at < csv->count && is_separator(csv, csv->line[csv->at]))
        csv->at++;
    return 0;
}

/* From behind the opening quote. */
static int take_quoted(struct csv *csv, struct text_part *field)
{
    char *to = csv->memory + csv->used;
    size_t count = 0;
    for (; csv->at < csv->count; csv->at++) {
        uint8_t byte = csv->line[csv->at];
        if (byte == '"') {
            csv->at++;
            if (csv->at == csv->count || csv->line[csv->at] != '"') {
                *field = (struct text_part){to, count, field->column, true};
                csv->used += count;
                return take_separator(csv);
            }
        }
        to[count++] = (char)byte;
    }
    csv->what = "the quote that began is not closed in this line";
    return E_SYNTAX;
}

int csv_next(struct csv *csv, struct text_part *ret_field)
{
    struct text_part field;
    if (csv->ended)
        return E_END;
    while (csv->at < csv->count && is_blank(csv, csv->line[csv->at]))
        csv->at++;
    field = (struct text_part){.bytes = (const char *)csv->line + csv->at,
                               .column = (unsigned)csv->at + 1};
    if (csv->at < csv->count && csv->line[csv->at] == '"') {
        csv->at++;
        int rc = take_quoted(csv, &field);
        if (rc == 0)
            *ret_field = field;
        return rc;
    }
    while (csv->at < csv->count && !is_separator(csv, csv->line[csv->at])) {
        csv->at++;
        field.count++;
    }
    *ret_field = field_trim(field);
    return take_separator(csv);
}

static bool has_name(const struct csv_header *header, struct text_part name)
{
    for (size_t i = 0; i < header->count; i++)
        if (header->parts[i].count == name.count &&
            memcmp(header->parts[i].bytes, name.bytes, name.count) == 0)
            return true;
    return false;
}

/* A column without a name is counted, and its fields are passed over. */
static int add_name(struct csv *csv, struct csv_header *header, size_t *used, struct text_part name)
{
    if (header->count == TEXT_FIELDS_MAX || name.count > sizeof header->names - *used) {
        csv->what = "a header of more than 64 columns or 2048 characters";
        return E_TOO_BIG;
    }
    csv->what = !field_is_clean(name)                      ? "a name that is no clean UTF-8 text"
                : name.count > 0 && has_name(header, name) ? "a name that is there twice"
                                                           : NULL;
    if (csv->what != NULL)
        return E_SYNTAX;
    memcpy(header->names + *used, name.bytes, name.count);
    name.bytes = header->names + *used;
    *used += name.count;
    header->parts[header->count++] = name;
    return 0;
}

int csv_read_header(struct csv *csv, struct csv_header *ret_header)
{
    struct text_part name;
    size_t used = 0;
    int rc;
    ret_header->count = 0;
    while ((rc = csv_next(csv, &name)) == 0) {
        rc = add_name(csv, ret_header, &used, name);
        if (rc < 0)
            break;
    }
    if (rc == E_END)
        return 0;
    ret_header->count = 0;
    return rc;
}
