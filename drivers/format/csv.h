/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_FORMAT_CSV_H
#define RUNNEL_DRIVERS_FORMAT_CSV_H

#include "drivers/format/field.h"

/**
 * Comma-separated values (RFC 4180) of one line, with any separator. A field in quotes ends in its
 * line; blanks around one without quotes are no part of it. With the separator ' ' any number of
 * blanks is one. Pure.
 */
enum { CSV_NAMES_BYTES = 2048 };

/** The names of a header line. */
struct csv_header {
    size_t count;
    char names[CSV_NAMES_BYTES];
    struct text_part parts[TEXT_FIELDS_MAX]; /* in names */
};

struct csv {
    const uint8_t *line;
    size_t count;
    size_t at;
    bool ended; /* the last field was taken */
    char separator;
    char *memory;     /* for fields with "" in them: as large as the line */
    size_t used;      /* of it */
    const char *what; /* after E_SYNTAX: why, in column AT + 1 */
};

/** 0 with the next field; E_END: there is none; E_SYNTAX. */
int csv_next(struct csv *csv, struct text_part *ret_field);

/** Takes a header. 0; E_SYNTAX, E_TOO_BIG: csv->what. */
int csv_read_header(struct csv *csv, struct csv_header *ret_header);

#endif
