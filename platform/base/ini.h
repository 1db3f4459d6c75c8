/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_INI_H
#define RUNNEL_PLATFORM_BASE_INI_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Reads one profile of the files that the AWS tools share, ~/.aws/credentials and ~/.aws/config,
 * as their bytes arrive: [sections], NAME = VALUE, comments of whole lines and behind a blank, and
 * a byte order mark before the first line. Pure.
 */
struct ini_key {
    const char *name; /* of name_count bytes, without blanks around it; so is the value */
    size_t name_count;
    const char *value;
    size_t value_count;
    unsigned line;
    bool cut; /* the line is longer than the buffer: the value lacks its end */
};

struct ini {
    const char *profile;
    bool is_config;                                          /* called [profile NAME] there */
    int (*on_key)(void *context, const struct ini_key *key); /* < 0 ends the reading */
    void *context;
    char *line; /* the caller's, who wipes it if there are secrets */
    size_t line_bytes;
    bool profile_seen; /* all below: {0} at the start; this one is the result */
    bool in_profile;
    bool line_cut;
    size_t line_used;
    unsigned line_number;
};

/** Takes the next COUNT bytes of the file. What on_key returned if < 0, else 0. */
int ini_feed(struct ini *ini, const char *bytes, size_t count);

/** The file has ended, perhaps without a newline. Likewise. */
int ini_end(struct ini *ini);

/** Whether KEY is called NAME, in whatever case. */
bool ini_is(const struct ini_key *key, const char *name);

#endif
