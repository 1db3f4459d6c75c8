/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bus/roster.h"

#include <string.h>

int roster_take(struct roster *roster, const char *directory, const char *prefix)
{
    roster->count = sysfs_list(directory, prefix, roster->numbers);
    return roster->count;
}

bool roster_has_changed(const struct roster *roster, const char *directory, const char *prefix)
{
    unsigned numbers[SYSFS_NUMBERED_MAX];
    int count = sysfs_list(directory, prefix, numbers);
    return count != roster->count ||
           (count > 0 && memcmp(numbers, roster->numbers, (size_t)count * sizeof *numbers) != 0);
}
