/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_STATUS_READ_H
#define RUNNEL_AGENT_CONTROL_STATUS_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A status as JSON, read into a flat table: the members' names joined with slashes lead to their
 * values as they were spelt ("routes/live/lanes/normal/stored" to "345"). Members that are not
 * there read as their fallback, so that commands of one version understand agents of another.
 */
struct status_read;

/** E_SYNTAX, E_TOO_BIG (deeper or longer than any status), E_NO_MEMORY. */
int status_read_open(const char *json, size_t count, struct status_read **ret_status);

/** NULL is allowed. */
void status_read_close(struct status_read *status);

/** The value at the path FORMAT..., valid until status_read_close; FALLBACK if there is none or it
 *  is null. Numbers come as spelt, true and false as words, objects as "". */
const char *status_read_text(const struct status_read *status, const char *fallback,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Likewise as a whole number (0 if there is none) or in thousandths (FALLBACK if there is none).
 */
uint64_t status_read_number(const struct status_read *status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int64_t status_read_milli(const struct status_read *status, int64_t fallback, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));

/** Whether the value is the word true. */
bool status_read_is_true(const struct status_read *status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The INDEX-th element of the array of texts or numbers at the path, or NULL behind the last. */
const char *status_read_element(const struct status_read *status, size_t index, const char *format,
                                ...) __attribute__((format(printf, 3, 4)));

/** The name of the INDEX-th member of the object at the path, or NULL behind the last. */
const char *status_read_member(const struct status_read *status, size_t index, const char *format,
                               ...) __attribute__((format(printf, 3, 4)));

#endif
