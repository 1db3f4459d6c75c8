/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/tls.h"

enum { STOP_MS = 2000 };

/* ---- for all sections ---- */

void agent_doctor_say(struct doctor_run *run, const char *rung, enum doctor_outcome outcome,
                      const char *remedy, const char *format, ...)
{
    char what[DOCTOR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const struct doctor_finding finding = {
        .rung = rung, .outcome = outcome, .what = what, .remedy = remedy};
    doctor_add(run->to, &finding);
    if (outcome == DOCTOR_FAIL && run->broken == NULL)
        run->broken = rung;
}

void agent_doctor_say_fault(struct doctor_run *run, const char *rung, enum doctor_outcome outcome,
                            char *text, const char *otherwise)
{
    char *at = NULL;
    for (char *next = text; (next = strstr(next, "; ")) != NULL; next++)
        at = next;
    if (at != NULL)
        *at = '\0';
    agent_doctor_say(run, rung, outcome, at != NULL ? at + 2 : otherwise, "%s", text);
}

bool agent_doctor_pass_over(struct doctor_run *run, const char *rung)
{
    if (run->broken != NULL)
        agent_doctor_say(run, rung, DOCTOR_UNTRIED, NULL, "not tried, because of %s", run->broken);
    return run->broken != NULL;
}

bool agent_doctor_is_barred(struct doctor_run *run, const char *rung, const char *path)
{
    if (path == NULL || access(path, R_OK) == 0 || errno != EACCES)
        return false;
    agent_doctor_say(run, rung, DOCTOR_UNTRIED, NULL,
                     "not tried: %s is not for this user to read; root can try it", path);
    return true;
}

/* Nobody needs the seconds. */
const char *agent_doctor_date(int64_t wall_ms, char text[HUMAN_DATE_BYTES])
{
    char *seconds = strrchr(human_date(wall_ms, text), ':');
    if (seconds != NULL)
        memcpy(seconds, "Z", sizeof "Z");
    return text;
}

static void begin_section(struct doctor_run *run, const char *name, const char *about)
{
    run->broken = NULL;
    doctor_section(run->to, name, about);
}

/* ---- the gateway ---- */

/* One line a fault or a warning, as config_load writes them. */
static void say_faults(struct doctor_run *run, enum doctor_outcome outcome)
{
    char text[DOCTOR_TEXT_BYTES];
    const char *line = run->options->faults;
    while (*line != '\0') {
        size_t count = strcspn(line, "\n");
        (void)snprintf(text, sizeof text, "%.*s", (int)count, line);
        bool barred = strstr(text, strerror(EACCES)) != NULL;
        agent_doctor_say_fault(run, "configuration", outcome, text,
                               barred ? "run this as root, or in the group that may read it"
                                      : "correct this line, see runnel.json(5)");
        line += count + (line[count] == '\n');
    }
}

/* Somebody may wonder why what he wrote into the file does nothing. */
static void look_at_applied(struct doctor_run *run)
{
    const struct config *config = run->config;
    bool on_trial = config->state == CFG_STATE_TRIAL;
    const char *main_file = config->main_file[0] != '\0' ? config->main_file : "that of the build";
    if (config->state == CFG_STATE_MAIN)
        return;
    if (config->main_changed)
        agent_doctor_say(run, "applied", DOCTOR_WARN,
                         "runnel config apply FILE, or --none to go back to the file",
                         "%s was changed since another took its place: that has no effect",
                         main_file);
    else
        agent_doctor_say(run, "applied", DOCTOR_OK, NULL, "%s the place of %s",
                         on_trial ? "one on trial has" : "a confirmed one has", main_file);
}

static void look_at_configuration(struct doctor_run *run)
{
    const struct config *config = run->config;
    if (config == NULL) {
        say_faults(run, DOCTOR_FAIL);
        return;
    }
    say_faults(run, DOCTOR_WARN);
    agent_doctor_say(run, "configuration", DOCTOR_OK, NULL, "%s: sensors %zu, routes %zu",
                     config->file[0] != '\0' ? config->file : "none, so that of the build",
                     config->sensor_count, config->route_count);
    look_at_applied(run);
}

static void look_at_clock(struct doctor_run *run)
{
    char date[HUMAN_DATE_BYTES];
    bool credible;
    int64_t wall_ms = tls_system_wall_ms(NULL, &credible);
    (void)agent_doctor_date(wall_ms, date);
    if (!credible)
        agent_doctor_say(run, "clock", DOCTOR_FAIL,
                         "let a time server set it (timedatectl set-ntp true, or chrony); replace "
                         "the battery of the clock chip if this comes back with each boot",
                         "it is %s here, before this program was built: the clock is not set",
                         date);
    else if (!clock_kernel_synced())
        agent_doctor_say(run, "clock", DOCTOR_WARN,
                         "timedatectl set-ntp true, or install chrony; until then times come from "
                         "the replies of the endpoints",
                         "it is %s here, and nobody keeps it right", date);
    else
        agent_doctor_say(run, "clock", DOCTOR_OK, NULL, "it is %s here, synchronised", date);
}

static void look_at_gateway(struct doctor_run *run)
{
    begin_section(run, "gateway", run->config != NULL ? run->config->device : "");
    look_at_configuration(run);
    look_at_clock(run);
    agent_doctor_agent_ask(run);
}

/* ---- all of it ---- */

static bool is_wanted(const struct doctor_run *run, const struct cfg_route *route)
{
    return run->options->route == NULL || strcmp(run->options->route, route->name) == 0;
}

static int look_at_routes(struct doctor_run *run)
{
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < run->config->route_count; i++) {
        const struct cfg_route *route = &run->config->routes[i];
        if (!is_wanted(run, route))
            continue;
        if (route->credentials != NULL)
            rc = agent_doctor_route_keys(run, route->credentials);
        if (rc == E_OK)
            agent_doctor_route(run, route);
    }
    return rc;
}

static int look(struct doctor_run *run)
{
    int rc = E_OK;
    look_at_gateway(run);
    if (run->config != NULL)
        rc = look_at_routes(run);
    if (rc < 0)
        return rc;
#ifdef CONFIG_COAP
    if (run->config != NULL && run->config->coap.listen_count > 0 && run->options->route == NULL) {
        begin_section(run, "coap", "");
        agent_doctor_coap(run);
    }
#endif
    begin_section(run, "agent", "");
    agent_doctor_agent_rest(run);
    doctor_end(run->to);
    return E_OK;
}

static bool has_route(const struct agent_doctor_options *options)
{
    if (options->route == NULL || options->config == NULL)
        return true;
    for (size_t i = 0; i < options->config->route_count; i++)
        if (strcmp(options->config->routes[i].name, options->route) == 0)
            return true;
    return false;
}

/* A thread that still asks somebody for keys has all of this: it ends with the process. */
static void close_run(struct doctor_run *run)
{
    status_read_close(run->status);
    if (run->agent.credentials_stop.fd >= 0) {
        if (!agent_credentials_stop(&run->agent, clock_mono_ms() + STOP_MS))
            return;
        agent_credentials_close(&run->agent);
        stop_close(&run->agent.credentials_stop);
    }
    link_close(run->agent.link);
    if (run->stop.fd >= 0)
        stop_close(&run->stop);
    free(run);
}

static bool tell_wall(void *context, int64_t *ret_ms)
{
    bool known;
    *ret_ms = agent_time_wall(context, &known);
    return known;
}

/* The budget is the agent's: a few kilobytes more are not worth to be stopped by it. */
static int open_run(struct doctor_run *run)
{
    const struct link_options unlimited = {
        .reset_day = 1, .wall_ms = tell_wall, .context = &run->agent};
    int rc = tls_prepare();
    if (rc == E_OK)
        rc = stop_open(&run->stop);
    if (rc == E_OK)
        rc = stop_open(&run->agent.credentials_stop);
    return rc == E_OK ? link_open(&unlimited, &run->agent.link) : rc;
}

int agent_doctor(const struct agent_doctor_options *options, struct doctor *to)
{
    if (!has_route(options))
        return E_NOT_FOUND;
    struct doctor_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return E_NO_MEMORY;
    run->options = options;
    run->config = run->agent.config = options->config;
    run->to = to;
    run->agent.clock = (struct agent_clock){.lock = AGENT_CLOCK_LOCK};
    run->agent.credentials_stop.fd = run->stop.fd = -1;
    (void)snprintf(run->agent.user_agent, sizeof run->agent.user_agent, "runnel/%s",
                   RUNNEL_VERSION);
    int rc = open_run(run);
    if (rc == E_OK)
        rc = look(run);
    close_run(run);
    return rc;
}
