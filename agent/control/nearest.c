/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/nearest.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the usual table are enough. Both are shorter than
 * NEAREST_WORD_BYTES. */
static unsigned distance(const char *a, size_t a_count, const char *b, size_t b_count)
{
    unsigned rows[3][NEAREST_WORD_BYTES + 1] = {0};
    for (unsigned j = 0; j <= b_count; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_count; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b_count; j++) {
            unsigned replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = least(replace, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[a_count % 3][b_count];
}

void nearest_start(struct nearest *nearest, const char *word)
{
    *nearest = (struct nearest){.word = word, .distance = UINT_MAX};
}

void nearest_offer(struct nearest *nearest, const char *candidate, size_t count)
{
    size_t word_count = strlen(nearest->word);
    if (count >= NEAREST_WORD_BYTES || word_count >= NEAREST_WORD_BYTES)
        return;
    unsigned found = distance(nearest->word, word_count, candidate, count);
    bool begins_alike = candidate[0] == nearest->word[0] && nearest->best[0] != nearest->word[0];
    if (found > nearest->distance || (found == nearest->distance && !begins_alike))
        return;
    nearest->distance = found;
    memcpy(nearest->best, candidate, count);
    nearest->best[count] = '\0';
}

const char *nearest_result(const struct nearest *nearest)
{
    size_t allowed = strlen(nearest->word) / 3;
    if (allowed == 0)
        allowed = 1;
    return nearest->distance <= allowed ? nearest->best : NULL;
}
