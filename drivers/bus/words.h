/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_BUS_WORDS_H
#define RUNNEL_DRIVERS_BUS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/** The words of a setting such as "temp, fan1": *AT is moved to the next one, which is COUNT bytes
 *  long; the one before it has to be stepped over first. False: there is none. */
bool words_next(const char **at, size_t *ret_count);

/** Whether the COUNT bytes at WORD are TEXT. */
bool words_equal(const char *word, size_t count, const char *text);

#endif
