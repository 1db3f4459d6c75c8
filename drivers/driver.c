/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/driver.h"

#include <stdio.h>
#include <string.h>

void driver_symbol(const char *name, char ret_symbol[DRIVER_SYMBOL_BYTES])
{
    int used = snprintf(ret_symbol, DRIVER_SYMBOL_BYTES, "CONFIG_DRIVER_");
    for (; *name != '\0' && used < DRIVER_SYMBOL_BYTES - 1; name++)
        ret_symbol[used++] = (char)(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
    ret_symbol[used] = '\0';
}

const struct driver_limit *driver_limit_of(const struct driver *driver, const char *key)
{
    for (const struct driver_limit *limit = driver->limits; limit != NULL && limit->key != NULL;
         limit++)
        if (strcmp(limit->key, key) == 0)
            return limit;
    return NULL;
}
