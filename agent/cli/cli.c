/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

/* Longer than anybody waits, and short enough to be added to any clock. */
#define DURATION_MAX_MS ((int64_t)100 * 365 * 24 * 3600 * 1000)

int cli_read_duration(const char *option, const char *text, int64_t *ret_ms)
{
    int64_t ms = 0;
    int rc = parse_duration_ms(text, strlen(text), &ms);
    if (rc == 0 && ms <= DURATION_MAX_MS) {
        *ret_ms = ms;
        return 0;
    }
    if (rc == 0 || rc == E_RANGE)
        cli_fault(option, text, "is out of range; choose at most 36500d");
    else
        cli_fault(option, text, "is not a duration; write it like 250ms, 30s or 10m");
    return E_INVALID;
}

int cli_left_out(const char *what, const char *symbol)
{
    (void)fprintf(stderr, "runnel: %s is not in this program; enable %s\n", what, symbol);
    return CLI_USAGE;
}

void cli_fault(const char *what, const char *value, const char *why)
{
    (void)fprintf(stderr, "runnel: %s: \"%s\" %s\n", what, value, why);
}
