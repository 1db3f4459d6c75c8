/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_SCHEMA_H
#define RUNNEL_AGENT_CONTROL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What runnel.json may say, as one table: it drives reading, defaults, faults and the reference
 * (agent/REFERENCE.md, runnel.json(5)). Pure.
 */
enum schema_kind {
    SCHEMA_TEXT,       /* const char *; high: the most bytes, 0 for 511 */
    SCHEMA_NAME,       /* const char *: letters, digits, _ . -, at most 31 */
    SCHEMA_DURATION,   /* int64_t, ms */
    SCHEMA_SIZE,       /* uint64_t, bytes */
    SCHEMA_RATE,       /* uint64_t, bytes a second */
    SCHEMA_FREQUENCY,  /* uint64_t, an hour */
    SCHEMA_INTEGER,    /* unsigned */
    SCHEMA_DECIMAL,    /* const char *: a number, kept as spelt */
    SCHEMA_PERCENT,    /* unsigned */
    SCHEMA_BOOLEAN,    /* bool */
    SCHEMA_CHOICE,     /* an enum: the place of the word in choices */
    SCHEMA_LANES,      /* bool[CFG_LANES] */
    SCHEMA_WORDS,      /* bool[], one for each of choices */
    SCHEMA_TAGS,       /* const struct cfg_tag *, at most high, and their number at count_offset */
    SCHEMA_TEXTS,      /* const char *const *, at most high, and their number at count_offset */
    SCHEMA_TRANSFORMS, /* those of the struct cfg_sensor that the structure is, or begins with */
    SCHEMA_PARTITION,  /* struct cfg_route as a whole */
    SCHEMA_OBJECT,     /* members, in place */
    SCHEMA_LIST,       /* an array of element_bytes each, their number at count_offset */
    SCHEMA_MAP,        /* likewise, written as an object; the key becomes the element's name */
    SCHEMA_ABSENT,     /* known, but no version has it yet */
};

struct schema_table;

/**
 * A key's name, and for the reference what it does and when it is needed, in whole sentences: type,
 * default and limits stand in the table. The program has no use for the text, and none of it.
 */
#ifdef RUNNEL_REFERENCE
#define SCHEMA_KEY(key, text) .name = (key), .does = (text)
#else
#define SCHEMA_KEY(key, text) .name = (key)
#endif

/* The offset of a key that is only checked, because the program knows one value alone. */
#define SCHEMA_NOWHERE SIZE_MAX

struct schema_key {
    const char *name;
#ifdef RUNNEL_REFERENCE
    const char *does;
#endif
    enum schema_kind kind;
    size_t offset;
    const char *standard; /* the default, written as the user would, without quotes; or NULL */
    bool required;
    int64_t low, high;      /* ms, bytes or the number itself; both 0: any */
    const char *choices;    /* "a|b|c", also of whole numbers */
    const char *absent;     /* further choices, which no version has yet */
    const char *why_absent; /* and what to do instead; NULL: one of choices */
    const char *left_out;   /* those of the choices that Kconfig left out of this program */
    const char *symbol;     /* Kconfig's, that brings one, but for the choice: CONFIG_DEST_; of an
                               absent key the whole symbol, if there is one */
    const struct schema_table *members;
    size_t element_bytes;
    size_t count_offset;
    const char *help; /* of a required key: what to write, behind "is missing" */
};

/** Keys that go with some choices of the table's selector alone. */
struct schema_part {
    const char *only; /* "a|b"; NULL at the end of the parts */
    const struct schema_key *keys;
};

struct schema_table {
    const struct schema_key *keys;   /* NULL name at the end */
    const struct schema_part *parts; /* NULL: none */
    bool open;                       /* further members belong to the driver */
    const char *unwritten;           /* the selector's choice where there is no object at all */
    const char *selector;            /* the key that says whether the rest can be understood */
};

extern const struct schema_table schema_root;

/** One of "transforms", written as an object with it as its one member. */
struct schema_transform {
    const char *name;
#ifdef RUNNEL_REFERENCE
    const char *does;
#endif
    const struct schema_table *members; /* NULL: Kconfig left it out */
    const char *symbol;
};

/** In the order of enum cfg_transform_kind, CFG_TRANSFORMS of them. */
extern const struct schema_transform schema_transform[];

/** The key called NAME, of whatever part, or NULL. */
const struct schema_key *schema_find(const struct schema_table *table, const char *name);

/** With which choices ("a|b") NAME goes, if it does not go with CHOICE of the selector; else NULL.
 */
const char *schema_only(const struct schema_table *table, const char *name, const char *choice);

/** The place of TEXT among WORDS ("a|b|c", may be NULL), or -1. */
int schema_choice(const char *words, const char *text);

/** A scalar, by kind: text; number (durations, sizes, whole numbers, percentages, a choice's
 *  place); flag. */
struct schema_value {
    const char *text;
    int64_t number;
    bool flag;
};

enum { SCHEMA_WHY_BYTES = 200 };

/**
 * Reads TEXT as KEY's kind, which is a scalar's. 0; E_SYNTAX, E_RANGE or E_UNSUPPORTED (a choice
 * that is not in this program), then WHY goes on behind the quoted value: `is not a duration;
 * write it like "10s"`.
 */
int schema_parse(const struct schema_key *key, const char *text, char why[SCHEMA_WHY_BYTES],
                 struct schema_value *ret_value);

/** Only the WHY of a value that is not even written as KEY's kind wants it. */
void schema_why(const struct schema_key *key, const char *text, char why[SCHEMA_WHY_BYTES]);

#endif
