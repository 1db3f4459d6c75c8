/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_JSON_JSON_MEND_H
#define RUNNEL_PLATFORM_JSON_JSON_MEND_H

#include <stdbool.h>
#include <stddef.h>

#include "platform/json/json_read.h"
#include "platform/json/json_scan.h"

/**
 * What people write in place of JSON, in their words: where it is and what to do about it. Pure.
 * Values are never quoted, as they may be secrets.
 */

/** Says in RET_FAULT why SCAN of TEXT[0..COUNT), which has no comments any more, ended with
 *  E_SYNTAX. True: TEXT was changed to what must have been meant, with every line and column as
 *  before, so that a further scan gets beyond it. */
bool json_mend(char *text, size_t count, const struct json_scan *scan,
               struct json_read_fault *ret_fault);

#endif
