/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_JSON_JSON_READ_H
#define RUNNEL_PLATFORM_JSON_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Reads a configuration text into a tree in which every value knows where it was written. The only
 * input in which comments are allowed, // to the end of the line and between slash-star and
 * star-slash. For what people wrote, not for foreign data: the tree takes memory per value.
 */
enum json_kind {
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_TEXT,
    JSON_KIND_NUMBER,
    JSON_KIND_BOOLEAN,
    JSON_KIND_NULL,
};

enum {
    JSON_READ_BYTES_MAX = 262144,
    JSON_READ_TEXT_MAX = 511,  /* of one string or key */
    JSON_READ_NUMBER_MAX = 60, /* digits and signs */
    JSON_READ_FAULT_BYTES = 160,
    JSON_READ_FAULTS_MAX = 20,
};

struct json_node {
    enum json_kind kind;
    const char *key;  /* in an object; NULL elsewhere */
    const char *text; /* of a text; a number as spelt; "true" or "false"; else NULL */
    const char *file; /* as given to json_read_parse */
    unsigned line;    /* of the value, from 1 */
    unsigned column;  /* in characters, from 1 */
    unsigned key_line;
    unsigned key_column;
    bool duplicate; /* the object has a member of this key before it */
    struct json_node *parent;
    struct json_node *first; /* of an object's or array's children, in the order of the text */
    struct json_node *next;
};

struct json_read_fault {
    unsigned line;
    unsigned column;
    char text[JSON_READ_FAULT_BYTES];
};

struct json_read_faults {
    size_t count;
    struct json_read_fault list[JSON_READ_FAULTS_MAX];
};

/** A parsed text; its nodes live as long. */
struct json_read;

/**
 * Parses TEXT[0..COUNT), which need not be terminated. FILE names it in the nodes and must outlive
 * them. 0; E_SYNTAX, E_TOO_BIG (too long, too deep) with the place and the reason in ret_fault,
 * which is written only then; E_NO_MEMORY.
 */
int json_read_parse(const char *file, const char *text, size_t count,
                    struct json_read_fault *ret_fault, struct json_read **ret_read);

/**
 * As json_read_parse, but goes on behind what is clear in spite of a fault, such as a comma too
 * many or too few, so that one reading says all: 0 and the tree as it must have been meant, with
 * those faults, or none, in ret_faults; E_SYNTAX, E_TOO_BIG: no tree comes of it, and the last
 * fault says why. A byte order mark is one of them. ret_faults is not written with E_NO_MEMORY.
 */
int json_read_mend(const char *file, const char *text, size_t count,
                   struct json_read_faults *ret_faults, struct json_read **ret_read);

/** The outermost value. */
struct json_node *json_read_root(struct json_read *read);

/** NULL is allowed. */
void json_read_free(struct json_read *read);

/** The first member of OBJECT with this KEY, or NULL; also NULL if OBJECT is NULL or no object. */
struct json_node *json_read_member(const struct json_node *object, const char *key);

/** The place of NODE among its parent's children, from 0. */
size_t json_read_index(const struct json_node *node);

#endif
