/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"
#include "platform/random.h"
#include "platform/stop.h"

enum { FRESH_BOOT_MS = 3 * 60 * 1000, BAFFLED_MAX = 2, TIME_LOOK_MS = 1000 };

/* A start of the program alone concerns no other gateway. To drain ends the wait, and so does any
 * signal to this thread: both are rare. */
int uplink_greet_delay(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    if (options->start_delay_ms <= 0 || clock_boot_ms() >= FRESH_BOOT_MS)
        return E_OK;
    int64_t ms = (int64_t)random_below((uint64_t)options->start_delay_ms + 1);
    uplink_report_state(uplink, UPLINK_IDLE,
                        "waits behind the start of the machine, for the sake of a fleet: "
                        "start_delay",
                        ms);
    int rc = stop_wait(&uplink->soft, uplink->event_fd, POLLIN, clock_mono_ms() + ms);
    uplink_report_state(uplink, UPLINK_IDLE, "", 0);
    return rc == E_TIMEOUT ? E_OK : rc;
}

static bool knows_time(const struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    bool asks = options->tls || uplink_stores(options);
    return !asks || options->knows_time == NULL || options->knows_time(options->context);
}

static bool lacks_time(const struct uplink *uplink)
{
    bool waits = !uplink->time_given_up &&
                 clock_mono_ms() - uplink->opened_mono_ms < uplink->options.time_wait_ms;
    return uplink->doubts_clock || (waits && !knows_time(uplink));
}

/* What was learnt from a Date may be wrong, too: only the kernel's word is beyond doubt. */
static bool may_doubt(const struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    return options->tls && options->vouches_time != NULL &&
           !options->vouches_time(options->context);
}

bool uplink_greet_doubt(struct uplink *uplink)
{
    if (uplink->doubted || !may_doubt(uplink))
        return false;
    uplink->doubted = uplink->doubts_clock = true;
    return true;
}

int64_t uplink_greet_wall_ms(void *context, bool *ret_known)
{
    const struct uplink *uplink = context;
    const struct tls_options *tls = &uplink->options.tls_options;
    int64_t wall_ms = tls->wall_ms(tls->wall_context, ret_known);
    if (uplink->doubts_clock)
        *ret_known = false;
    return wall_ms;
}

/* Some other route, or the kernel, may learn it. */
static void wait_for_time(struct uplink *uplink)
{
    uplink_report_state(uplink, UPLINK_IDLE, "waits for somebody to tell the time: time_wait", 0);
    (void)stop_wait(&uplink->soft, -1, 0, clock_mono_ms() + TIME_LOOK_MS);
}

bool uplink_greet(struct uplink *uplink)
{
    struct http_outcome outcome;
    bool paused = uplink->asks_time;
    if (!paused && !lacks_time(uplink))
        return true;
    if (uplink_stores(&uplink->options)) {
        wait_for_time(uplink);
        return false;
    }
    int rc = uplink_exchange_ask(uplink, &outcome);
    if (paused && outcome.sent_mono_ms != 0)
        uplink_budget_asked(uplink, rc == E_OK);
    uplink->doubts_clock = false;
    /* Whom the question baffles may understand records all the same. */
    uplink->baffled += rc != E_STOP && outcome.sent && !uplink->answer.head.has_date;
    uplink->time_given_up =
        (rc == E_OK || uplink->baffled >= BAFFLED_MAX) && !uplink->answer.head.has_date;
    if (rc < 0 && rc != E_STOP)
        uplink_judge_question(uplink, rc, &outcome);
    return rc == E_OK && !paused;
}
