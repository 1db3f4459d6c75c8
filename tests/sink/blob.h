/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_BLOB_H
#define RUNNEL_TESTS_SINK_BLOB_H

#include <cjson/cJSON.h>

#include "tests/sink/buffer.h"
#include "tests/sink/signature.h"

/**
 * Appends what DATA, a member called Data at PLACE of a request, says in standard base64 with
 * padding (RFC 4648 section 4), nothing else. Returns 0, or -1 with REFUSAL filled.
 */
int blob_parse(const cJSON *data, const char *place, struct buffer *to, struct refusal *refusal);

#endif
