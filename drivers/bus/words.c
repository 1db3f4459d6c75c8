/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bus/words.h"

#include <string.h>

bool words_next(const char **at, size_t *ret_count)
{
    *at += strspn(*at, ", ");
    size_t count = strcspn(*at, ", ");
    if (count > 0)
        *ret_count = count;
    return count > 0;
}

bool words_equal(const char *word, size_t count, const char *text)
{
    return count == strlen(text) && memcmp(word, text, count) == 0;
}
