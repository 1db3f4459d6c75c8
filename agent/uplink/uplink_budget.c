/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/parse.h"

enum {
    BUDGET_MS = 600 * 1000, /* a spent budget is looked at again so often: clocks are set */
    BUDGET_MS_MIN = 1000,
    ASK_TIME_MS = 6 * 3600 * 1000,
    DAY_MS = 86400 * 1000,
    NOT_SHOWN = -1,
};

bool uplink_budget_is_open(const struct uplink *uplink, enum lane lane)
{
    if (!uplink->options.lanes[lane])
        return false;
    return uplink->pass == LINK_ALL || (lane == LANE_ALARM && uplink->pass == LINK_ALARMS);
}

void uplink_budget_asked(struct uplink *uplink, bool answered)
{
    uplink->asked_mono_ms = clock_mono_ms();
    if (answered)
        uplink->shown_until_ms = NOT_SHOWN;
}

/* An alarm that is refused or meets an outage left its state to be seen. */
static bool is_pause_news(const struct uplink *uplink, const struct link_status *status)
{
    return uplink->shared.status.state == UPLINK_CONNECTED ||
           status->until_wall_ms != uplink->shown_until_ms;
}

static void show_pause(struct uplink *uplink, const struct link_status *status)
{
    char error[UPLINK_ERROR_BYTES];
    char until[64] = "the next month, whose begin is not known yet";
    int64_t year;
    unsigned month;
    unsigned day;
    parse_civil_from_days(status->until_wall_ms / DAY_MS, &year, &month, &day);
    if (status->until_wall_ms != 0)
        (void)snprintf(until, sizeof until, "%04d-%02u-%02u 00:00 UTC", (int)year, month, day);
    (void)snprintf(error, sizeof error,
                   "the data budget is spent until %s: %" PRIu64 " of %" PRIu64 " bytes, %s", until,
                   status->month_bytes, status->limit_bytes,
                   status->pass == LINK_ALARMS ? "the rest is for alarms" : "alarms wait, too");
    uplink->shown_until_ms = status->until_wall_ms;
    uplink_report_state(uplink, UPLINK_PAUSED, error, 0);
}

static void end_pause(struct uplink *uplink)
{
    bool delivered = uplink->shared.delivered_mono_ms != 0;
    if (uplink->shared.status.state == UPLINK_PAUSED)
        uplink_report_state(uplink, delivered ? UPLINK_CONNECTED : UPLINK_IDLE, "", 0);
}

/* When the month is over can be told only by who knows the time, which a reply may be the only one
 * to say. Without TLS it proves nothing. */
static bool may_ask_time(const struct uplink *uplink, const struct link_status *status)
{
    return status->left_ms < 0 && uplink->options.tls &&
           (uplink->asked_mono_ms == 0 || clock_mono_ms() - uplink->asked_mono_ms >= ASK_TIME_MS);
}

/* What waits for the budget is not due from the moment on when it has to. */
void uplink_budget_heed(struct uplink *uplink)
{
    struct link_status status = {.pass = LINK_ALL};
    enum link_pass before = uplink->pass;
    if (uplink->options.link != NULL && link_ask(uplink->options.link) != LINK_ALL)
        link_get_status(uplink->options.link, &status);
    uplink->pass = status.pass;
    uplink->asks_time = uplink->pass != LINK_ALL && may_ask_time(uplink, &status);
    uplink->batch.alarms_only = uplink->pass != LINK_ALL;
    uplink->budget_mono_ms = INT64_MAX;
    if (uplink->pass == LINK_ALL) {
        end_pause(uplink);
        return;
    }
    if (uplink->pass != before)
        uplink_report_nothing_due(uplink);
    if (uplink->pass != before || is_pause_news(uplink, &status))
        show_pause(uplink, &status);
    int64_t ms = status.left_ms < 0 || status.left_ms > BUDGET_MS ? BUDGET_MS : status.left_ms;
    uplink->budget_mono_ms = clock_mono_ms() + (ms > BUDGET_MS_MIN ? ms : BUDGET_MS_MIN);
}
