/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_BUS_SETTINGS_H
#define RUNNEL_DRIVERS_BUS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"

/**
 * Settings beyond a plain text. Their kinds and limits were checked with the configuration, so what
 * cannot be read counts as absent.
 */

/** How many elements LIST has: "channels" of "channels[0].name", "channels[1].name". */
size_t settings_count(const struct driver_context *context, const char *list);

/** MEMBER of the INDEX-th element of LIST, or NULL; MEMBER "" in a list of plain values. */
const char *settings_member(const struct driver_context *context, const char *list, size_t index,
                            const char *member);

/** A whole number, also written as text in hexadecimal ("0x48"); OTHERWISE where TEXT is NULL or
 *  no number. For what driver_setting and settings_member return. */
int64_t settings_integer(const char *text, int64_t otherwise);

/** Whether TEXT is "true"; OTHERWISE where it is NULL. */
bool settings_boolean(const char *text, bool otherwise);

/** For an open that does not trust that check was asked: 0 if KEY, which check returned, is NULL;
 *  else E_INVALID, with KEY before the words in context->fault. */
int settings_judge(const struct driver_context *context, const char *key);

/** Writes "LIST[INDEX].MEMBER" into RET_KEY. */
enum { SETTINGS_KEY_BYTES = 96 };
const char *settings_key(char ret_key[SETTINGS_KEY_BYTES], const char *list, size_t index,
                         const char *member);

/** The key of MEMBER of the INDEX-th element of LIST as it stands in the settings, for check to
 *  return; if it is not written, that of another member of the element, or LIST. */
const char *settings_written(const struct driver_context *context, const char *list, size_t index,
                             const char *member);

/** What is wrong with "name" of the INDEX-th element of LIST as that of a channel, to be read
 * behind it: its length, or that one before it has it; NULL: nothing is, or there is none. */
const char *settings_name_fault(const struct driver_context *context, const char *list,
                                size_t index);

#endif
