/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_SYSFS_H
#define RUNNEL_DRIVERS_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"
#include "platform/stop.h"

/** What the drivers that read attributes of /sys (and /proc) have in common. */
enum { SYSFS_PATH_BYTES = 192, SYSFS_RAW_BYTES = 24, SYSFS_NUMBERED_MAX = 64 };

/** An attribute as read: text[0..count) without the newline, or count < 0, the error of reading. */
struct sysfs_raw {
    char text[SYSFS_RAW_BYTES];
    int count;
};

/** Reads the attribute PATH, cuts white space off its end and terminates it. Returns the count;
 *  E_TOO_BIG; error_sys. */
int sysfs_read(const char *path, char *text, size_t text_bytes);

/** Reads a number's text, or why it cannot be read, into ret_raw. */
void sysfs_read_raw(const char *path, struct sysfs_raw *ret_raw);

/** Whether CODE says that there is no value yet (EAGAIN, ENODATA, ETIMEDOUT): the device is there,
 *  and opening it again would change nothing. */
bool sysfs_is_passing(int code);

/** Whether a fetch that has tried DONE attributes may read another, which may block for as long as
 *  the chip likes: 0; E_TIMEOUT: the deadline has passed (never before the first); E_STOP. */
int sysfs_may_read(size_t done, int64_t deadline_ms, const struct stop *stop);

/**
 * Converts COUNT attributes, each a whole number in units of 10^-decimals of its channel, into the
 * values of ret_sample; what could not be read or is no number that fits is VALUE_ABSENT. 0; if
 * not one is good, the error of the last (its reading; E_SYNTAX, E_RANGE) and its place in
 * ret_bad. Pure.
 */
int sysfs_convert(const struct sysfs_raw *raw, const struct channel *channels, size_t count,
                  struct sample *ret_sample, size_t *ret_bad);

/** The number N of every entry of DIRECTORY called PREFIX and N, ascending, at most
 *  SYSFS_NUMBERED_MAX of them. Returns how many; error_sys. */
int sysfs_list(const char *directory, const char *prefix, unsigned ret_numbers[SYSFS_NUMBERED_MAX]);

/**
 * Makes a channel's name of TEXT: lower case, so that it survives in a table without case; any
 * character but a-z 0-9 . _ - becomes _; cut to what fits. An empty text becomes "unnamed".
 */
void sysfs_name(char ret_name[SAMPLE_NAME_BYTES], const char *text);

/** Appends _2, _3 ... to the name of channels[COUNT] if one of the COUNT before it has that name.
 */
void sysfs_make_unique(struct channel *channels, size_t count);

#endif
