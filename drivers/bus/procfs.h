/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_BUS_PROCFS_H
#define RUNNEL_DRIVERS_BUS_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/** Files of /proc and /sys that are lines of words, as proc(5) has them. What takes texts is pure.
 */
struct procfs_text {
    const char *bytes;
    int count; /* < 0: the error of reading it, which reads on as empty */
};

/** Reads ROOT and PATH into BUFFER. The count, or fs_read_file's errors, also E_TOO_BIG for a path
 *  that is too long; ret_text has it, too. */
int procfs_read(const char *root, const char *path, char *buffer, size_t buffer_bytes,
                struct procfs_text *ret_text);

/** Takes the next line off TEXT, without its newline; false at the end. */
bool procfs_next_line(struct procfs_text *text, struct procfs_text *ret_line);

/** Takes the next word off TEXT; a count of 0 at its end. */
struct procfs_text procfs_next_word(struct procfs_text *text);

/** Takes the COUNTth word off TEXT, 1 being the next. */
struct procfs_text procfs_skip_to_word(struct procfs_text *text, unsigned count);

bool procfs_is(struct procfs_text word, const char *name);

/** Whether the next word of TEXT, which it takes, is a whole number without a sign. */
bool procfs_next_unsigned(struct procfs_text *text, uint64_t *ret_value);

/** What stands behind the word NAME in the first line that begins with it. */
bool procfs_find(struct procfs_text text, const char *name, struct procfs_text *ret_rest);

/** The number behind NAME, as procfs_find. */
bool procfs_find_unsigned(struct procfs_text text, const char *name, uint64_t *ret_value);

/** WORD as an exact decimal; what is none leaves VALUE as it is. */
void procfs_set_decimal(struct value *value, struct procfs_text word);

/** COUNT times FACTOR; what 63 bits do not hold leaves VALUE as it is. */
void procfs_set_count(struct value *value, uint64_t count, uint64_t factor);

#endif
