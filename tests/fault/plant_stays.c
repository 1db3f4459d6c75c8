/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: a configuration that did not pass its trial stays. */
#include "agent/control/config_store.h"

int __wrap_config_store_revert(struct config_store *store, const char *route, const char *error);

int __wrap_config_store_revert(struct config_store *store, const char *route, const char *error)
{
    (void)route;
    (void)error;
    return config_store_confirm(store);
}
