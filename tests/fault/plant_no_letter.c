/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: what is to be buried is acknowledged as dead, and no letter of it is kept. */
#include "agent/spool/spool.h"

int __wrap_spool_dead_bury(struct spool_route *route, const struct spool_death *death,
                           int64_t deadline_ms);
int __wrap_spool_dead_bury(struct spool_route *route, const struct spool_death *death,
                           int64_t deadline_ms)
{
    (void)deadline_ms;
    spool_route_ack(route, death->lane, &death->mark, 1, SPOOL_DEAD);
    return 0;
}
