/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"
#include "platform/tls.h"

/* The clock judges, the spool keeps: what the one learns here the other is told. */

void agent_time_learn(void *context, int64_t offset_ms)
{
    struct agent *agent = context;
    agent_clock_learn(&agent->clock, offset_ms);
    (void)agent_time_known(agent);
}

bool agent_time_known(void *context)
{
    struct agent *agent = context;
    struct spool_clock_reading now;
    agent_clock_read(&agent->clock, &now);
    if (now.quality == TIME_SYNCED)
        spool_time_learn(agent->spool, now.boot_ms, now.offset_ms);
    return spool_time_known(agent->spool);
}

bool agent_time_vouched(void *context)
{
    struct agent *agent = context;
    return agent_clock_vouched(&agent->clock);
}

int64_t agent_time_wall(void *context, bool *ret_known)
{
    struct agent *agent = context;
    struct spool_clock_reading now;
    agent_clock_read(&agent->clock, &now);
    if (now.quality == TIME_ESTIMATED)
        return tls_system_wall_ms(NULL, ret_known);
    *ret_known = true;
    return now.boot_ms + now.offset_ms;
}

void agent_time_recall(struct agent *agent)
{
    int64_t boot_ms, offset_ms;
    if (spool_time_last(agent->spool, &boot_ms, &offset_ms) == 0)
        agent_clock_recall(&agent->clock, boot_ms, offset_ms);
}
