/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/control/human.h"

const char *human_duration(int64_t ms, char text[HUMAN_DURATION_BYTES])
{
    if (ms % 1000 != 0)
        (void)snprintf(text, HUMAN_DURATION_BYTES, "%" PRId64 "ms", ms);
    else if (ms % 60000 != 0 || ms == 0)
        (void)snprintf(text, HUMAN_DURATION_BYTES, "%" PRId64 "s", ms / 1000);
    else if (ms % 3600000 != 0)
        (void)snprintf(text, HUMAN_DURATION_BYTES, "%" PRId64 "m", ms / 60000);
    else
        (void)snprintf(text, HUMAN_DURATION_BYTES, "%" PRId64 "h", ms / 3600000);
    return text;
}
