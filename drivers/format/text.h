/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_FORMAT_TEXT_H
#define RUNNEL_DRIVERS_FORMAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "drivers/format/csv.h"
#include "drivers/format/nmea.h"

/**
 * Lines of text into samples, for drivers whose input is text. What the key "format" says:
 *
 *   auto      a JSON object or a number, whichever the line is
 *   json      a JSON object, checked against RFC 8259 and kept byte for byte
 *   number    a number
 *   csv       fields between separators, quoted as in RFC 4180 but within one line
 *   keyvalue  "temp=21.5 hum=40", "a: 1, b: 2"
 *   nmea      sentences of NMEA 0183, a sample for every fix
 *
 * Because the channels of a sensor do not change while it is open, fields become values where the
 * configuration lists channels, and members of a document where it does not. Pure, but for
 * text_open's memory.
 */
enum text_format {
    TEXT_AUTO,
    TEXT_JSON,
    TEXT_NUMBER,
    TEXT_CSV,
    TEXT_KEYVALUE,
    TEXT_NMEA,
};

enum { TEXT_WHAT_BYTES = 128 };

/** A driver's tables of keys and limits take these in. */
#define TEXT_KEYS                                                                                  \
    {"format", DRIVER_KEY_TEXT, false,                                                             \
     "auto, json, number, csv, keyvalue or nmea; default auto: an object or a number"},            \
        {"unit", DRIVER_KEY_UNIT, false,                                                           \
         "the SenML unit of lines that are numbers; default none"},                                \
        {"separator", DRIVER_KEY_TEXT, false,                                                      \
         "the character between fields of csv, \" \" for any blanks; default \",\""},              \
        {"header", DRIVER_KEY_BOOLEAN, false,                                                      \
         "whether csv begins with the columns' names; default false"},                             \
        {"decimal_comma", DRIVER_KEY_BOOLEAN, false,                                               \
         "whether 21,5 is a number in csv and keyvalue; default false"},                           \
        {"channels[].name", DRIVER_KEY_TEXT, false,                                                \
         "what the value is called in records; csv: one for each column, in their order"},         \
        {"channels[].key", DRIVER_KEY_TEXT, false,                                                 \
         "what it is called in the header or line; default the name"},                             \
        {"channels[].unit", DRIVER_KEY_UNIT, false, "its SenML unit; default none"},               \
    {                                                                                              \
        "channels[].type", DRIVER_KEY_TEXT, false, "number, text or skip; default number"          \
    }
#define TEXT_LIMITS                                                                                \
    {.key = "format", .choices = "auto|json|number|csv|keyvalue|nmea"},                            \
    {                                                                                              \
        .key = "channels[].type", .choices = "number|text|skip"                                    \
    }

/** What is configured: the same for every stream of a sensor. */
struct text {
    enum text_format format;
    char separator;
    char decimal_point;
    bool header;
    size_t field_count;
    struct text_field fields[TEXT_FIELDS_MAX];
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    uint8_t *memory;                 /* unquoted fields, and behind them a document */
    size_t memory_bytes;             /* of each of the two */
    uint32_t seen;                   /* a bit for each channel that has been in a line */
    unsigned lines;                  /* of keyvalue so far */
    unsigned column;                 /* after a refusal: where in the line, from 1 */
    char what[TEXT_WHAT_BYTES];      /* and why */
    char unknown[SAMPLE_NAME_BYTES]; /* the first key that is no channel; "": none yet */
    char lack[TEXT_WHAT_BYTES];      /* "": nothing is missing */
};

/** What one stream has said so far. Zeros to begin with, and wherever a stream begins anew. */
struct text_stream {
    bool begun; /* its header, if it has one, has been read */
    struct csv_header header;
    struct nmea nmea;
    char time[NMEA_TIME_BYTES]; /* of the last sample */
};

struct text_line {
    const uint8_t *bytes; /* neither empty nor with blanks at either end */
    size_t count;
    int64_t boot_ms; /* when it was read */
    uint64_t offset; /* behind its end */
};

/** For driver.check: the key that contradicts the others, and why in context->fault; or NULL. */
const char *text_check(const struct driver_context *context);

/** Takes the settings and the memory that lines of context->document_bytes_max need. E_INVALID
 *  with context->fault; E_NO_MEMORY. */
int text_open(struct text *ret_text, const struct driver_context *context);

/** May follow a failed text_open, and one that never was if TEXT is zeroed. */
void text_close(struct text *text);

/** As driver.channels. */
int text_channels(const struct text *text, struct channel *ret_channels);

/** Whether BYTE at an end of a line is nothing to it: a blank that does not part fields, of which
 *  the first and the last may be empty. */
bool text_is_blank(const struct text *text, uint8_t byte);

/** Whether a stream that is not read from its start needs its first line all the same. */
bool text_needs_header(const struct text *text);

/**
 * Takes the next LINE of STREAM. 0: ret_sample is one, with its boot_ms (0: now) and the offset of
 * its origin; E_AGAIN: this line alone makes none; E_SYNTAX, E_RANGE, E_TOO_BIG, E_DAMAGED: it is
 * refused, see column and what.
 */
int text_convert(struct text *text, struct text_stream *stream, const struct text_line *line,
                 struct sample *ret_sample);

/** No line follows, for now: 0 with the sample that waited for more, or E_AGAIN. */
int text_end(struct text *text, struct text_stream *stream, struct sample *ret_sample);

/** As driver.lack. */
const char *text_lack(const struct text *text);

#endif
