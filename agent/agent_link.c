/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"

static bool wall_ms(void *context, int64_t *ret_ms)
{
    struct spool_clock_reading clock;
    agent_clock_read(context, &clock);
    if (clock.quality == TIME_ESTIMATED)
        return false;
    *ret_ms = clock.boot_ms + clock.offset_ms;
    return true;
}

int agent_link_open(struct agent *agent)
{
    const struct cfg_link *config = &agent->config->link;
    const struct link_options options = {
        .rate_bytes = config->rate_bytes,
        .month_bytes = config->month_bytes,
        .reset_day = config->reset_day,
        .reserve_percent = config->alarm_reserve_percent,
        .directory = agent->config->spool.path,
        .wall_ms = wall_ms,
        .context = &agent->clock,
    };
    return link_open(&options, &agent->link);
}

void agent_link_save(struct agent *agent)
{
    int rc = link_save(agent->link);
    if (rc < 0)
        log_warning("link-count-not-kept error=\"%s\"", ERROR_TEXT(rc));
}

void agent_link_fill_status(struct agent *agent, struct status_link *ret_link)
{
    struct link_status link;
    link_get_status(agent->link, &link);
    *ret_link = (struct status_link){.month_bytes = link.month_bytes,
                                     .limit_bytes = link.limit_bytes,
                                     .until_wall_ms = link.until_wall_ms,
                                     .paused = link.pass != LINK_ALL};
}
