/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_TRANSFORM_DOCUMENT_H
#define RUNNEL_AGENT_TRANSFORM_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"
#include "platform/json/json_scan.h"

/**
 * Members of JSON documents by their path: "a.b" is the member b of the member a. In an array a
 * number is the element, and any other name is looked for in all of its elements. A member that is
 * itself called "a.b" is meant as well. Nothing is ever read into binary fractions. Pure.
 */
enum { DOCUMENT_PARTS_MAX = 16, DOCUMENT_LEVELS = JSON_DEPTH_MAX + 2 };

struct document_path {
    const char *part[DOCUMENT_PARTS_MAX];
    size_t part_bytes[DOCUMENT_PARTS_MAX];
    int part_count;
    int matched[DOCUMENT_LEVELS]; /* parts, by what the members of a level stand in; -1: not it */
    int current;                  /* likewise, with the value that comes next */
};

/** Where in a document a scan is. */
struct document_place {
    bool is_array[DOCUMENT_LEVELS]; /* what the members of a level stand in */
    uint32_t index[DOCUMENT_LEVELS];
};

/** TEXT must stay valid. E_INVALID: it has more than 16 parts. */
int document_path_set(struct document_path *path, const char *text);

/** To be called for every token, before the paths are asked. */
void document_step(struct document_place *place, const struct json_token *token);

/** Likewise, behind that: whether the value that begins with TOKEN is what PATH names. */
bool document_is(struct document_path *path, const struct document_place *place,
                 const struct json_token *token);

/** Where TOKEN ends: keys and strings with their quotes. */
size_t document_end(const uint8_t *document, size_t bytes, const struct json_token *token);

/** A scalar as a value: numbers exactly, true and false as 1 and 0, a text with at most TEXT_BYTES
 *  copied to TEXT. Absent: null, a text that is longer, a number that no mantissa holds, for which
 *  RET_UNFIT is set. */
struct value document_value(const struct json_token *token, char *text, size_t text_bytes,
                            bool *ret_unfit);

/** The first value that PATH names, likewise; VALUE_ABSENT if there is none. */
struct value document_find(const uint8_t *document, size_t bytes, struct document_path *path,
                           char text[SAMPLE_TEXT_BYTES_MAX], bool *ret_unfit);

#endif
