/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_doctor.h"
#include "agent/control/human.h"
#include "agent/uplink/probe.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"

enum { OWNER_BYTES = 64, REMEDY_BYTES = 400, SKEW_MS = 240 * 1000 };

static const char passes[] = "mostly this passes by itself; if not, see the service's health page";

/* ---- keys ---- */

static const struct doctor_keys *find_keys(const struct doctor_run *run,
                                           const struct cfg_credentials *config)
{
    for (size_t i = 0; i < run->keys_count; i++)
        if (run->keys[i].config == config)
            return &run->keys[i];
    return NULL;
}

/* Whom keys are asked for over the network, where that is one place; else NULL. */
static const struct cfg_endpoint *endpoint_of(const struct cfg_credentials *config)
{
    switch (config->provider) {
    case CFG_PROVIDER_IOT:
        return &config->iot;
    case CFG_PROVIDER_OAUTH2:
        return &config->oauth2;
    case CFG_PROVIDER_ASSUME_ROLE:
    case CFG_PROVIDER_WEB_IDENTITY:
        return &config->sts;
    default:
        return NULL;
    }
}

static void look_at_giver(struct doctor_run *run, const struct cfg_credentials *config,
                          const char *owner)
{
    const struct cfg_endpoint *endpoint = endpoint_of(config);
    bool identified = config->provider == CFG_PROVIDER_IOT;
    if (endpoint == NULL || endpoint->host == NULL)
        return;
    const struct doctor_place place = {.owner = owner,
                                       .where = "its endpoint or the region",
                                       .endpoint = endpoint,
                                       .ca_file = config->ca_file,
                                       .cert_file = identified ? config->cert_file : NULL,
                                       .key_file = identified ? config->key_file : NULL};
    agent_doctor_place(run, &place);
}

static bool is_barred(struct doctor_run *run, const struct cfg_credentials *config)
{
    const char *const paths[] = {config->file, config->token_file, config->client_secret_file,
                                 config->key_file};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (agent_doctor_is_barred(run, "keys", paths[i]))
            return true;
    return false;
}

static void say_keys(struct doctor_run *run, const struct cfg_credentials *config,
                     const struct credentials *credentials)
{
    int64_t left_ms = credentials->expires_mono_ms - clock_mono_ms();
    if (credentials->expires_mono_ms == INT64_MAX)
        agent_doctor_say(run, "keys", DOCTOR_OK, NULL, "%s gives keys that do not expire",
                         config_provider_name(config->provider));
    else
        agent_doctor_say(run, "keys", DOCTOR_OK, NULL, "%s gives keys for %s",
                         config_provider_name(config->provider), HUMAN_AGE_TEXT(left_ms));
}

static void ask_for_keys(struct doctor_run *run, struct doctor_keys *keys, const char *owner)
{
    char fault[CREDENTIALS_FAULT_BYTES];
    char remedy[REMEDY_BYTES];
    struct credentials credentials;
    if (agent_doctor_pass_over(run, "keys") || is_barred(run, keys->config)) {
        keys->outcome = run->broken != NULL ? DOCTOR_FAIL : DOCTOR_UNTRIED;
        return;
    }
    int rc = credentials_get(keys->provider, clock_mono_ms() + DOCTOR_KEYS_MS, fault, &credentials);
    if (rc == E_OK) {
        say_keys(run, keys->config, &credentials);
        credentials_wipe(&credentials);
        return;
    }
    (void)snprintf(remedy, sizeof remedy, "correct what this names in %s%s", owner,
                   keys->config->provider == CFG_PROVIDER_CHAIN
                       ? ", or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the service"
                       : "");
    agent_doctor_say(run, "keys", DOCTOR_FAIL, remedy, "%s",
                     fault[0] != '\0' ? fault : ERROR_TEXT(rc));
    keys->outcome = DOCTOR_FAIL;
}

/* Opens what was not, and starts its thread; a role's source stands before it. */
static int open_keys(struct doctor_run *run, const struct cfg_credentials *config,
                     struct doctor_keys *ret_keys)
{
    struct agent *agent = &run->agent;
    size_t before = agent->credentials_count;
    *ret_keys = (struct doctor_keys){.config = config, .outcome = DOCTOR_OK};
    int rc = agent_credentials_open(agent, config, &ret_keys->provider);
    for (size_t i = before; rc == E_OK && i < agent->credentials_count; i++)
        rc = credentials_start(agent->credentials[i].cache, agent->credentials[i].config->name,
                               &agent->credentials[i].progress);
    return rc;
}

int agent_doctor_route_keys(struct doctor_run *run, const struct cfg_credentials *config)
{
    char owner[OWNER_BYTES];
    if (find_keys(run, config) != NULL || run->keys_count == DOCTOR_KEYS_MAX)
        return E_OK;
    int rc = config->source == NULL ? E_OK : agent_doctor_route_keys(run, config->source);
    struct doctor_keys *keys = &run->keys[run->keys_count];
    if (rc == E_OK)
        rc = open_keys(run, config, keys);
    if (rc < 0)
        return rc;
    run->keys_count++;
    const struct cfg_endpoint *endpoint = endpoint_of(config);
    (void)snprintf(owner, sizeof owner, "credentials %s", config->name);
    run->broken = NULL;
    doctor_section(run->to, owner,
                   endpoint != NULL && endpoint->url != NULL
                       ? endpoint->url
                       : config_provider_name(config->provider));
    look_at_giver(run, config, owner);
    ask_for_keys(run, keys, owner);
    return E_OK;
}

static void look_at_keys(struct doctor_run *run, const struct cfg_route *config)
{
    const struct doctor_keys *keys =
        config->credentials == NULL ? NULL : find_keys(run, config->credentials);
    if (keys == NULL || keys->outcome == DOCTOR_OK)
        return;
    agent_doctor_say(run, "credentials", DOCTOR_UNTRIED, NULL, "none: see credentials %s",
                     config->credentials->name);
    if (run->broken == NULL)
        run->broken = "credentials";
}

/* ---- what the endpoint says ---- */

static void say_refused(struct doctor_run *run, const char *rung, struct uplink_probe *probe)
{
    agent_doctor_say_fault(run, rung, DOCTOR_FAIL, probe->text, passes);
}

static void say_time(struct doctor_run *run, const struct cfg_route *config,
                     const struct uplink_probe *probe)
{
    int64_t ahead_ms = clock_wall_ms() - clock_boot_ms() - probe->server_offset_ms;
    int64_t apart_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
    if (!probe->has_date)
        return;
    if (apart_ms > SKEW_MS)
        agent_doctor_say(run, "time", DOCTOR_WARN,
                         "set the clock; until then the time of the endpoint is used",
                         "the clock here is %s %s that of %s", HUMAN_AGE_TEXT(apart_ms),
                         ahead_ms > 0 ? "ahead of" : "behind", config->endpoint.host);
    else
        agent_doctor_say(run, "time", DOCTOR_OK, NULL, "the clock here agrees with that of %s",
                         config->endpoint.host);
}

static void ask(struct doctor_run *run, const struct cfg_route *config, struct uplink *uplink)
{
    struct uplink_probe probe;
    if (agent_doctor_pass_over(run, "permission"))
        return;
    uplink_probe_ask(uplink, &probe);
    if (probe.result == UPLINK_PROBE_TAKEN)
        agent_doctor_say(run, "permission", DOCTOR_OK, NULL,
                         "a request without records was understood (answer %d)%s", probe.status,
                         run->options->sends ? "" : "; --send tries one with a record");
    else if (probe.result == UPLINK_PROBE_UNTOLD)
        agent_doctor_say(run, "permission", DOCTOR_UNTRIED, NULL,
                         "it answers (%d), but only a record tells whether it takes one%s",
                         probe.status, run->options->sends ? "" : ": --send");
    else
        say_refused(run, "permission", &probe);
    say_time(run, config, &probe);
}

/* ---- --send ---- */

static enum lane lane_of(const struct cfg_route *config)
{
    if (config->lanes[CFG_LANE_NORMAL])
        return LANE_NORMAL;
    return config->lanes[CFG_LANE_ALARM] ? LANE_ALARM : LANE_BULK;
}

static int append(struct doctor_run *run, const struct cfg_route *config)
{
    static const char event[] = "{\"event\":\"doctor\"}";
    const struct sensor_definition definition = {.device = run->config->device, .name = "runnel"};
    struct sample sample = {.document = (const uint8_t *)event, .document_bytes = sizeof event - 1};
    struct spool_append append = {.lane = lane_of(config), .sample = &sample};
    uint64_t sequence;
    int rc = spool_define_sensor(run->agent.spool, &definition, &append.sensor);
    return rc < 0 ? rc : spool_append(run->agent.spool, &append, &sequence);
}

static void send(struct doctor_run *run, const struct cfg_route *config, struct uplink *uplink)
{
    struct uplink_probe probe;
    if (!run->options->sends || agent_doctor_pass_over(run, "record"))
        return;
    int rc = append(run, config);
    if (rc < 0) {
        agent_doctor_say(run, "record", DOCTOR_UNTRIED, NULL, "it cannot be made: %s",
                         ERROR_TEXT(rc));
        return;
    }
    uplink_probe_send(uplink, &probe);
    if (probe.result == UPLINK_PROBE_TAKEN)
        agent_doctor_say(run, "record", DOCTOR_OK, NULL,
                         "it took a record of the sensor runnel, {\"event\":\"doctor\"}");
    else
        say_refused(run, "record", &probe);
}

/* ---- a directory instead of an endpoint ---- */

static void look_at_directory(struct doctor_run *run, const struct cfg_route *config)
{
    struct stat status;
    uint64_t free_bytes = 0;
    bool mounted = true;
    int rc = stat(config->path, &status) == 0 ? E_OK : error_sys(errno);
    if (rc == E_OK && config->mount != NULL)
        rc = fs_is_mount_point(config->mount, &mounted);
    if (rc == E_OK)
        rc = fs_measure_free(config->path, &free_bytes);
    if (rc < 0)
        agent_doctor_say(run, "medium", DOCTOR_FAIL,
                         "plug in the medium and make the directory, or correct \"path\"", "%s: %s",
                         config->path, ERROR_TEXT(rc));
    else if (!mounted)
        agent_doctor_say(run, "medium", DOCTOR_FAIL, "plug in the medium and mount it",
                         "nothing is mounted at %s", config->mount);
    else if (!S_ISDIR(status.st_mode))
        agent_doctor_say(run, "medium", DOCTOR_FAIL, "correct \"path\"", "%s is no directory",
                         config->path);
    else
        agent_doctor_say(run, "medium", DOCTOR_OK, NULL, "%s is there, with %s free", config->path,
                         HUMAN_BYTES_TEXT(free_bytes));
}

/* ---- all of it ---- */

static const char *address_keys(const struct cfg_route *config)
{
    return config->destination == CFG_DESTINATION_APIGATEWAY ? "\"url\""
                                                             : "\"endpoint\" or \"region\"";
}

static void look_at_endpoint(struct doctor_run *run, const struct cfg_route *config)
{
    char owner[OWNER_BYTES];
    (void)snprintf(owner, sizeof owner, "route %s", config->name);
    const struct doctor_place place = {.owner = owner,
                                       .where = address_keys(config),
                                       .endpoint = &config->endpoint,
                                       .ca_file = config->ca_file,
                                       .cert_file = config->cert_file,
                                       .key_file = config->key_file};
    agent_doctor_place(run, &place);
    look_at_keys(run, config);
}

static void try_route(struct doctor_run *run, const struct cfg_route *config, struct uplink *uplink)
{
    if (config->destination == CFG_DESTINATION_ARCHIVE)
        look_at_directory(run, config);
    else {
        look_at_endpoint(run, config);
        ask(run, config, uplink);
    }
    send(run, config, uplink);
}

/* Which has a spool of its own, in RAM alone. */
static int open_uplink(struct doctor_run *run, const struct cfg_route *config,
                       struct uplink **ret_uplink)
{
    const struct doctor_keys *keys =
        config->credentials == NULL ? NULL : find_keys(run, config->credentials);
    struct uplink_options options;
    int rc = agent_route_prepare(&run->agent, config, &options);
    options.connect_ms = options.silence_ms = DOCTOR_CONNECT_MS;
    options.credentials = keys != NULL ? keys->provider : NULL;
    if (rc == E_OK)
        rc = uplink_open(&options, ret_uplink);
    if (rc < 0)
        dest_close(options.dest);
    return rc;
}

static void about(const struct cfg_route *config, char text[DOCTOR_PLACE_BYTES])
{
    const char *at =
        config->destination == CFG_DESTINATION_ARCHIVE ? config->path : config->endpoint.url;
    (void)snprintf(text, DOCTOR_PLACE_BYTES, "%s, %s", config_destination_name(config->destination),
                   at);
}

static void try_beside(struct doctor_run *run, const struct cfg_route *config,
                       const struct agent_scratch *scratch)
{
    struct uplink *uplink = NULL;
    run->agent.spool = scratch->spool;
    int rc = open_uplink(run, config, &uplink);
    if (rc == E_OK)
        try_route(run, config, uplink);
    else
        agent_doctor_say(run, "route", DOCTOR_FAIL, "see what runnel run says of it",
                         "it cannot be opened: %s", ERROR_TEXT(rc));
    uplink_close(uplink);
    run->agent.spool = NULL;
}

void agent_doctor_route(struct doctor_run *run, const struct cfg_route *config)
{
    const struct spool_options options = {.size_bytes = run->config->spool.size_bytes,
                                          .device = run->config->device,
                                          .clock = agent_clock_read,
                                          .clock_context = &run->agent.clock};
    char name[OWNER_BYTES];
    char text[DOCTOR_PLACE_BYTES];
    struct agent_scratch scratch;
    (void)snprintf(name, sizeof name, "route %s", config->name);
    about(config, text);
    run->broken = NULL;
    doctor_section(run->to, name, text);
    int rc = agent_scratch_open(&scratch, &options);
    if (rc == E_OK)
        try_beside(run, config, &scratch);
    else
        agent_doctor_say(run, "route", DOCTOR_FAIL, "make it, or set TMPDIR to one to write to",
                         "it cannot be tried without a directory in %s: %s", agent_scratch_parent(),
                         ERROR_TEXT(rc));
    agent_scratch_close(&scratch);
    agent_doctor_agent_route(run, config->name);
}
