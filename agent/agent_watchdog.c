/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/base/parse.h"
#include "platform/clock.h"
#include "platform/notify.h"
#include "platform/progress.h"

/* sd_watchdog_enabled(3). */
static uint64_t wanted_usec(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t number = 0;
    if (pid != NULL &&
        (parse_unsigned(pid, strlen(pid), &number) < 0 || number != (uint64_t)getpid()))
        return 0; /* it is meant for another process */
    if (usec == NULL || parse_unsigned(usec, strlen(usec), &number) < 0)
        return 0;
    return number;
}

void agent_watchdog_open(struct agent *agent)
{
    uint64_t half_ms = wanted_usec() / 2000;
    uint64_t alarm_s = (half_ms + 499) / 500; /* rounded up: it must not be the less patient */
    agent->watchdog =
        (struct agent_watchdog){.every_ms = half_ms > INT64_MAX ? 0 : (int64_t)half_ms};
    if (getenv("NOTIFY_SOCKET") == NULL)
        agent->watchdog.alarm_s = alarm_s > UINT_MAX ? 0 : (unsigned)alarm_s;
}

static void feed(const struct agent_watchdog *watchdog)
{
    notify_send("WATCHDOG=1");
    if (watchdog->alarm_s > 0)
        (void)alarm(watchdog->alarm_s);
}

/* Tells who is late, once until all are in time again. */
static bool is_late(struct agent *agent, const char *kind, const char *name, int64_t late_ms)
{
    if (late_ms > 0 && !agent->watchdog.late)
        log_error("thread-late thread=%s name=%s late_ms=%lld "
                  "remedy=\"unless it comes back, the watchdog ends the agent\"",
                  kind, name, (long long)late_ms);
    return late_ms > 0;
}

static bool are_buses_late(struct agent *agent, int64_t now_ms)
{
    const struct progress *progress;
    const char *bus;
    bool late = false;
    for (size_t i = 0; (progress = collect_progress(agent->collect, i, &bus)) != NULL; i++)
        late = is_late(agent, "sensors", bus, progress_late_ms(progress, now_ms)) || late;
    return late;
}

static bool are_routes_late(struct agent *agent, int64_t now_ms)
{
    bool late = false;
    for (size_t i = 0; i < agent->config->route_count; i++)
        late = is_late(agent, "route", agent->config->routes[i].name,
                       progress_late_ms(uplink_progress(agent->uplinks[i]), now_ms)) ||
               late;
    return late;
}

static bool are_credentials_late(struct agent *agent, int64_t now_ms)
{
    bool late = false;
    for (size_t i = 0; i < agent->credentials_count; i++)
        late = is_late(agent, "credentials", agent->credentials[i].config->name,
                       progress_late_ms(&agent->credentials[i].progress, now_ms)) ||
               late;
    return late;
}

static bool is_spool_late(struct agent *agent, int64_t now_ms)
{
    static const char *const names[SPOOL_THREADS] = {"commit", "salvage"};
    bool late = false;
    for (enum spool_thread i = 0; i < SPOOL_THREADS; i++)
        late = is_late(agent, "spool", names[i],
                       progress_late_ms(spool_progress(agent->spool, i), now_ms)) ||
               late;
    return late;
}

static bool is_any_late(struct agent *agent, int64_t now_ms)
{
    bool late = are_buses_late(agent, now_ms);
    late = are_routes_late(agent, now_ms) || late;
    late = are_credentials_late(agent, now_ms) || late;
    late = is_spool_late(agent, now_ms) || late;
#ifdef CONFIG_CONFIG_SOURCE
    late = is_late(agent, "source", "source", agent_source_late_ms(agent, now_ms)) || late;
#endif
#ifdef CONFIG_COAP
    late = is_late(agent, "coap", "coap", agent_coap_late_ms(agent, now_ms)) || late;
#endif
    return is_late(agent, "control", "control",
                   progress_late_ms(control_progress(agent->control), now_ms)) ||
           late;
}

int64_t agent_watchdog_look(struct agent *agent)
{
    struct agent_watchdog *watchdog = &agent->watchdog;
    int64_t now_ms = clock_mono_ms();
    if (watchdog->every_ms == 0)
        return INT64_MAX;
    if (now_ms < watchdog->next_ms)
        return watchdog->next_ms;
    bool late = is_any_late(agent, now_ms);
    if (watchdog->late && !late)
        log_info("threads-in-time");
    watchdog->late = late;
    if (!late)
        feed(watchdog);
    watchdog->next_ms = now_ms + watchdog->every_ms;
    return watchdog->next_ms;
}

void agent_watchdog_feed(struct agent *agent)
{
    if (agent->watchdog.every_ms > 0)
        feed(&agent->watchdog);
}
