/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_doctor.h"
#include "agent/control/config_walk.h"
#include "agent/control/control_client.h"
#include "agent/control/ground.h"
#include "agent/control/human.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum {
    ANSWER_MS = 2000,
    FULL_PERCENT = 85,
    COMMIT_BYTES = CONFIG_SPOOL_HEAD_BLOCKS * 10240, /* what the spool keeps free for large ones */
    REMEDY_BYTES = 256,
};

static const char more_budget[] = "wait for the next month, or raise \"link\": { \"month\" }";

/* ---- asking ---- */

/* Who does not run is not waited for. */
static int ask(struct doctor_run *run)
{
    struct control_client client;
    const char *path = run->options->socket;
    int rc = control_client_open(path, clock_mono_ms(), &client);
    if (rc < 0)
        return rc;
    control_client_close(&client);
    return control_client_read_status(path, clock_mono_ms() + ANSWER_MS, &run->status);
}

static void compare_configuration(struct doctor_run *run)
{
    char here[CONFIG_ID_TEXT_BYTES];
    const char *there = status_read_text(run->status, "", "config_id");
    if (run->config == NULL || there[0] == '\0')
        return;
    config_walk_name(run->config, here);
    if (strcmp(here, there) != 0)
        agent_doctor_say(run, "agent", DOCTOR_WARN,
                         "runnel config reload; should it be the same then, the environment of "
                         "the service differs from yours",
                         "it runs with another configuration (%s) than is read here (%s)", there,
                         here);
}

static void say_health(struct doctor_run *run)
{
    if (status_read_is_true(run->status, "healthy"))
        agent_doctor_say(run, "agent", DOCTOR_OK, NULL, "it runs and is healthy");
    else
        agent_doctor_say(run, "agent", DOCTOR_FAIL, "see the routes and the spool below", "%s",
                         status_read_text(run->status, "it is not healthy", "problem"));
    compare_configuration(run);
}

void agent_doctor_agent_ask(struct doctor_run *run)
{
    char fault[CONTROL_CLIENT_FAULT_BYTES];
    int rc = ask(run);
    run->is_stopped = rc == E_NOT_FOUND;
    if (run->is_stopped)
        agent_doctor_say(run, "agent", DOCTOR_UNTRIED, NULL, "it does not run, see below");
    else if (rc < 0)
        agent_doctor_say_fault(run, "agent", DOCTOR_WARN,
                               (char *)control_client_fault(rc, run->options->socket, fault),
                               "see its log, and whether you are in the group runnel");
    else
        say_health(run);
}

/* ---- a route ---- */

static enum doctor_outcome judge_state(const char *state)
{
    if (strcmp(state, "connected") == 0 || strcmp(state, "idle") == 0)
        return DOCTOR_OK;
    return strcmp(state, "backing-off") == 0 ? DOCTOR_WARN : DOCTOR_FAIL;
}

static void say_state(struct doctor_run *run, const char *name, const char *state)
{
    char text[DOCTOR_TEXT_BYTES];
    const struct status_read *status = run->status;
    const char *error = status_read_text(status, "", "routes/%s/error", name);
    int64_t age_ms = status_read_milli(status, -1, "routes/%s/delivered_age_s", name);
    enum doctor_outcome outcome = judge_state(state);
    if (outcome == DOCTOR_OK && age_ms >= 0)
        agent_doctor_say(run, "agent", outcome, NULL, "%s, delivered the last record %s ago", state,
                         HUMAN_AGE_TEXT(age_ms));
    else if (outcome == DOCTOR_OK)
        agent_doctor_say(run, "agent", outcome, NULL, "%s, nothing delivered so far", state);
    else if (strcmp(state, "paused") == 0)
        agent_doctor_say(run, "agent", outcome, more_budget, "paused: %s", error);
    else {
        (void)snprintf(text, sizeof text, "%s: %s", state, error);
        agent_doctor_say_fault(run, "agent", outcome, text,
                               "what is said above; it tries again by itself");
    }
}

/* The sums over all lanes. */
static uint64_t sum(const struct doctor_run *run, const char *name, const char *counter)
{
    uint64_t total = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        total += status_read_number(run->status, "routes/%s/lanes/%s/%s", name, lane_name(lane),
                                    counter);
    return total;
}

static void say_evicted(struct doctor_run *run, const char *name)
{
    uint64_t evicted = sum(run, name, "evicted");
    if (evicted == 0)
        return;
    if (status_read_is_true(run->status, "routes/%s/hold", name))
        agent_doctor_say(
            run, "evicted", DOCTOR_WARN, "a larger \"spool\": { \"size\" } holds more of an outage",
            "%" PRIu64 " records gave way to newer ones before they were delivered", evicted);
    else
        agent_doctor_say(run, "evicted", DOCTOR_WARN, "\"hold\": true has records wait for it",
                         "%" PRIu64 " records were gone before it took them", evicted);
}

void agent_doctor_agent_route(struct doctor_run *run, const char *name)
{
    char remedy[REMEDY_BYTES];
    if (run->status == NULL)
        return;
    const char *state = status_read_text(run->status, "", "routes/%s/state", name);
    if (state[0] == '\0') {
        agent_doctor_say(run, "agent", DOCTOR_WARN,
                         "runnel config reload has it read the file again",
                         "the agent does not know this route: its configuration is an older one");
        return;
    }
    say_state(run, name, state);
    uint64_t dead = sum(run, name, "dead");
    (void)snprintf(remedy, sizeof remedy, "runnel dead list %s says why", name);
    if (dead > 0)
        agent_doctor_say(run, "dead letters", DOCTOR_WARN, remedy,
                         "%" PRIu64 " records were refused for good", dead);
    say_evicted(run, name);
}

/* ---- the rest ---- */

/* Records give way before the file is full, of a small one long before; those that gave way in an
 * outage of last year are counted still. */
static bool is_nearly_full(uint64_t size, uint64_t used)
{
    uint64_t most = size / 8 * 5;
    uint64_t kept_free = most < COMMIT_BYTES ? most : COMMIT_BYTES;
    return used + kept_free >= size / 100 * FULL_PERCENT;
}

/* A route that delivers nothing although records are kept for it, and have given way. */
static bool is_losing(const struct doctor_run *run)
{
    const char *name;
    for (size_t i = 0; (name = status_read_member(run->status, i, "routes")) != NULL; i++) {
        const char *state = status_read_text(run->status, "", "routes/%s/state", name);
        if (judge_state(state) != DOCTOR_OK && sum(run, name, "evicted") > 0 &&
            status_read_is_true(run->status, "routes/%s/hold", name))
            return true;
    }
    return false;
}

static void say_spool(struct doctor_run *run)
{
    uint64_t size = status_read_number(run->status, "flash/size_bytes");
    uint64_t used = status_read_number(run->status, "flash/used_bytes");
    bool full = size > 0 && used >= size / 100 * FULL_PERCENT;
    if (full || (is_nearly_full(size, used) && is_losing(run)))
        agent_doctor_say(run, "spool", DOCTOR_FAIL,
                         "mend the route that does not deliver, see above; a larger \"spool\": { "
                         "\"size\" } holds more of an outage",
                         "it is full (%s of %s): records give way or are refused",
                         HUMAN_BYTES_TEXT(used), HUMAN_BYTES_TEXT(size));
    else
        agent_doctor_say(run, "spool", DOCTOR_OK, NULL, "%s of %s are used", HUMAN_BYTES_TEXT(used),
                         HUMAN_BYTES_TEXT(size));
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        uint64_t refused = status_read_number(run->status, "lanes/%s/refused", lane_name(lane));
        if (refused > 0)
            agent_doctor_say(run, "lane", DOCTOR_WARN,
                             "see \"full\" of the lane, and the route that does not deliver",
                             "%s has refused %" PRIu64 " samples", lane_name(lane), refused);
    }
}

static void say_sensor(struct doctor_run *run, const char *name)
{
    const struct status_read *status = run->status;
    const char *error = status_read_text(status, "", "sensors/%s/error", name);
    char remedy[REMEDY_BYTES];
    if (error[0] == '\0')
        return;
    (void)snprintf(remedy, sizeof remedy, "runnel sensors %s reads it and says what to check",
                   name);
    agent_doctor_say(run, "sensor", DOCTOR_FAIL, remedy, "%s (%s): %s", name,
                     status_read_text(status, "", "sensors/%s/driver", name), error);
}

static void say_sensors(struct doctor_run *run)
{
    const char *name;
    size_t count = 0;
    size_t dead = 0;
    while ((name = status_read_member(run->status, count, "sensors")) != NULL) {
        say_sensor(run, name);
        dead += status_read_text(run->status, "", "sensors/%s/error", name)[0] != '\0';
        count++;
    }
    if (dead == 0)
        agent_doctor_say(run, "sensors", DOCTOR_OK, NULL, "none of %zu has a fault", count);
}

/* What it would have somebody see to although it is healthy. */
static void say_warnings(struct doctor_run *run)
{
    const char *warning;
    char text[DOCTOR_TEXT_BYTES];
    for (size_t i = 0; (warning = status_read_element(run->status, i, "warnings")) != NULL; i++) {
        (void)snprintf(text, sizeof text, "%s", warning);
        agent_doctor_say_fault(run, "warning", DOCTOR_WARN, text, "see runnel status");
    }
}

static void say_time(struct doctor_run *run)
{
    const char *quality = status_read_text(run->status, "", "clock/quality");
    if (strcmp(quality, "estimated") == 0)
        agent_doctor_say(run, "time", DOCTOR_WARN,
                         "set the clock, or let a route reach its endpoint, whose replies tell it",
                         "nobody has told it the time yet: that of records is estimated");
    else
        agent_doctor_say(run, "time", DOCTOR_OK, NULL, "that of records is %s", quality);
}

static void say_link(struct doctor_run *run)
{
    if (status_read_is_true(run->status, "link/paused"))
        agent_doctor_say(run, "budget", DOCTOR_FAIL, more_budget,
                         "the month's data budget is spent");
}

/* One that runs says so itself. */
static void look_at_device(struct doctor_run *run)
{
    char text[DOCTOR_TEXT_BYTES];
    if (run->config->device_warning == NULL)
        return;
    (void)snprintf(text, sizeof text, "%s", run->config->device_warning);
    agent_doctor_say_fault(run, "device", DOCTOR_WARN, text, "set \"device\"");
}

static void look_at_ground(struct doctor_run *run)
{
    char fault[GROUND_FAULT_BYTES];
    if (run->config == NULL) {
        agent_doctor_say(run, "spool", DOCTOR_UNTRIED, NULL,
                         "not tried: the configuration says where it is");
        return;
    }
    look_at_device(run);
    int rc = ground_check(&run->config->spool, fault);
    if (rc < 0)
        agent_doctor_say_fault(run, "spool", DOCTOR_FAIL, fault, "see spool in runnel.json(5)");
    else
        agent_doctor_say(run, "spool", DOCTOR_UNTRIED, NULL,
                         "%s: runnel spool show tells what is in it", run->config->spool.path);
    agent_doctor_say(run, "sensors", DOCTOR_UNTRIED, NULL, "not tried: the agent reads them");
}

void agent_doctor_agent_rest(struct doctor_run *run)
{
    if (run->is_stopped)
        agent_doctor_say(run, "agent", DOCTOR_FAIL,
                         "start it: systemctl start runnel, or runnel run",
                         "it does not run: nobody answers at %s", run->options->socket);
    if (run->status == NULL) {
        look_at_ground(run);
        return;
    }
    say_time(run);
    say_spool(run);
    say_sensors(run);
    say_link(run);
    say_warnings(run);
}
