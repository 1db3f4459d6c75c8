/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_FORMAT_KEYVALUE_H
#define RUNNEL_DRIVERS_FORMAT_KEYVALUE_H

#include "drivers/format/field.h"

/**
 * Pairs of a key and a value with '=' or ':' between them, blanks around those allowed; pairs are
 * apart by blanks, commas, semicolons or newlines: "temp=21.5 hum=40", "a: 1, b: 2". A value in
 * double quotes ends at the next one. Words that are no pair are passed over. Pure.
 */
struct keyvalue {
    const char *text;
    size_t count;
    size_t at;
    bool decimal_comma; /* a comma between two digits belongs to the number */
    const char *what;   /* after E_SYNTAX: why, in column AT + 1 */
};

/** 0 with the next pair; E_END: there is none; E_SYNTAX. */
int keyvalue_next(struct keyvalue *keyvalue, struct text_part *ret_key,
                  struct text_part *ret_value);

#endif
