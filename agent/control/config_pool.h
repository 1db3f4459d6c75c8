/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_POOL_H
#define RUNNEL_AGENT_CONTROL_CONFIG_POOL_H

#include <stdbool.h>
#include <stddef.h>

/** Memory that is given back all at once. The first failure sticks, so that callers check once. */
struct config_pool;

struct config_pool *config_pool_open(void);

/** BYTES zeroed bytes, or NULL. */
void *config_pool_take(struct config_pool *pool, size_t bytes);

/** A copy of TEXT; "" if there is no memory. */
const char *config_pool_text(struct config_pool *pool, const char *text);

bool config_pool_failed(const struct config_pool *pool);
void config_pool_close(struct config_pool *pool); /* NULL is allowed */

#endif
