/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_FORMAT_FIELD_H
#define RUNNEL_DRIVERS_FORMAT_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

enum { TEXT_FIELDS_MAX = 64 }; /* of a line, of a header, and configured ones */

enum text_type { TEXT_TYPE_NUMBER, TEXT_TYPE_TEXT, TEXT_TYPE_SKIP };

/** A field that the configuration lists. */
struct text_field {
    const char *key; /* in the header or line; NULL: a column that is skipped */
    enum text_type type;
    size_t channel; /* its place among the channels, unless it is skipped */
};

/** A piece of a line. */
struct text_part {
    const char *bytes;
    size_t count;
    unsigned column; /* from 1 */
    bool quoted;
};

/** Without the blanks at its ends. */
struct text_part field_trim(struct text_part part);

bool field_is(struct text_part part, const char *text);

/** Whether PART says that there is no value: nothing, NaN, null, N/A, NA, - or --, not quoted. */
bool field_is_absent(struct text_part part);

/**
 * A number as devices write it, exact: JSON's, but also "+5", "007", ".5" and "5.", with POINT for
 * the decimal point. 0; E_SYNTAX; E_RANGE: more digits than 64 bits hold.
 */
int field_number(struct text_part part, char point, struct value *ret_value);

/** Whether PART can be a text value: UTF-8 without control characters but tab. */
bool field_is_clean(struct text_part part);

/** PART as TYPE (no skip). 0; E_SYNTAX, E_RANGE, E_TOO_BIG: why in ret_what. */
int field_value(struct text_part part, enum text_type type, char point, struct value *ret_value,
                const char **ret_what);

#endif
