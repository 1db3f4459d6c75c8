/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

void random_bytes(void *bytes, size_t count)
{
    uint8_t *to = bytes;
    while (count > 0) {
        ssize_t got = getrandom(to, count, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* going on with bytes that somebody can guess would be worse */
        to += got;
        count -= (size_t)got;
    }
}

bool random_is_seeded(void)
{
    uint8_t byte;
    return getrandom(&byte, sizeof byte, GRND_NONBLOCK) == (ssize_t)sizeof byte;
}

uint64_t random_below(uint64_t limit)
{
    /* The numbers above the last whole multiple of LIMIT would favour small results. */
    uint64_t surplus = (UINT64_MAX % limit + 1) % limit;
    uint64_t number;
    do {
        random_bytes(&number, sizeof number);
    } while (number > UINT64_MAX - surplus);
    return number % limit;
}
