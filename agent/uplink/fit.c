/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/fit.h"

enum { BYTES_MIN = 4096, SUCCESSES = 16, SUCCESSES_MAX = 1024 };

static unsigned enough(const struct fit *fit)
{
    return SUCCESSES + fit->patience;
}

/* A failure behind few successes was that of a size that was tried anew. */
bool fit_failed(struct fit *fit, uint64_t bytes)
{
    if (bytes <= BYTES_MIN || fit->bytes == BYTES_MIN)
        return false;
    uint64_t half = bytes / 2 > BYTES_MIN ? bytes / 2 : BYTES_MIN;
    if (fit->bytes != 0 && fit->successes < enough(fit) && enough(fit) < SUCCESSES_MAX)
        fit->patience = enough(fit);
    if (fit->bytes == 0 || half < fit->bytes)
        fit->bytes = half;
    fit->successes = 0;
    return true;
}

void fit_passed(struct fit *fit, uint64_t limit)
{
    if (fit->bytes == 0 || ++fit->successes < enough(fit))
        return;
    fit->successes = 0;
    fit->bytes += fit->bytes / 4;
    if (fit->bytes >= limit)
        *fit = (struct fit){0};
}

uint64_t fit_bytes_max(const struct fit *fit, uint64_t limit)
{
    return fit->bytes != 0 && fit->bytes < limit ? fit->bytes : limit;
}
