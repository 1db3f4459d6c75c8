/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_state.h"
#include "agent/intake/coap_door.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"

enum {
    DOCUMENT_BYTES = CONFIG_DOCUMENT_KIB * 1024,
    BURST_S = 2, /* a peer that was silent may send so many seconds' worth at once */
    HOUR_S = 3600,
    PER_MIL = 1000,
    RETRY_MS_MIN = 1000, /* where the address or the keys are not there yet; then 2 s, 4 s ... */
    RETRY_MS_MAX = 60 * 1000,
};

/* The enumerators of the configuration and of the stage are the same. */
_Static_assert((int)CFG_MEMBER_ANY == (int)VALIDATE_ANY &&
                   (int)CFG_MEMBER_NUMBER == (int)VALIDATE_NUMBER &&
                   (int)CFG_MEMBER_INTEGER == (int)VALIDATE_INTEGER &&
                   (int)CFG_MEMBER_TEXT == (int)VALIDATE_TEXT &&
                   (int)CFG_MEMBER_BOOLEAN == (int)VALIDATE_BOOLEAN &&
                   (int)CFG_MEMBER_OBJECT == (int)VALIDATE_OBJECT &&
                   (int)CFG_MEMBER_ARRAY == (int)VALIDATE_ARRAY,
               "types of members");
_Static_assert((int)CFG_LISTENS_MAX == (int)COAP_DOOR_LISTENS_MAX, "listeners");
_Static_assert((int)STATUS_ANSWERS == (int)COAP_DOOR_CODES, "answers");

/* What of a sensor's configuration is kept in another form. */
struct room {
    unsigned formats[CFG_COAP_FORMATS];
    struct tag tags[CFG_TAGS_MAX];
    struct agent_transform *transform;
};

struct agent_coap {
    struct handin_sensor *sensors; /* of the configuration, and rooms likewise */
    struct room *rooms;
    struct validate_member *members; /* of all sensors */
    const char **taken;
    struct handin *handin;
    struct uplink_status uplink;       /* the door's thread's, when a peer asks */
    int64_t pause_ms;                  /* between the last try to open the door and the next, */
    int64_t retry_ms;                  /* which is then (clock_mono_ms) */
    pthread_mutex_t lock;              /* of the rest, which main changes and others look at */
    struct coap_door *door;            /* NULL: it could not be opened, */
    char fault[COAP_DOOR_FAULT_BYTES]; /* which says why */
};

/* ---- sensors ---- */

static struct validate_bound make_bound(const char *text)
{
    struct validate_bound bound = {.present = text != NULL};
    if (text != NULL)
        (void)decimal_parse(text, strlen(text), &bound.value); /* it was checked */
    return bound;
}

/* Takes MEMBERS as its own and returns what lies behind them. */
static struct validate_member *set_members(const struct cfg_coap_sensor *config,
                                           struct validate_member *members,
                                           struct validate_rules *rules)
{
    rules->members = members;
    rules->member_count = config->member_count;
    rules->refuses_unknown = config->unknown == CFG_UNKNOWN_REFUSE;
    for (size_t i = 0; i < config->member_count; i++)
        members[i] = (struct validate_member){.name = config->members[i].name,
                                              .type = (enum validate_type)config->members[i].type,
                                              .required = config->members[i].is_required,
                                              .min = make_bound(config->members[i].min),
                                              .max = make_bound(config->members[i].max)};
    return members + config->member_count;
}

/* In the order of CFG_COAP_FORMAT_WORDS. */
static size_t take_formats(const bool chosen[CFG_COAP_FORMATS], unsigned formats[CFG_COAP_FORMATS])
{
    static const unsigned known[CFG_COAP_FORMATS] = {PAYLOAD_TEXT,       PAYLOAD_OCTETS,
                                                     PAYLOAD_JSON,       PAYLOAD_CBOR,
                                                     PAYLOAD_SENML_JSON, PAYLOAD_SENML_CBOR};
    size_t count = 0;
    for (size_t i = 0; i < CFG_COAP_FORMATS; i++)
        if (chosen[i])
            formats[count++] = known[i];
    return count;
}

static void set_sensor(const struct cfg_coap_sensor *config, struct room *room,
                       struct handin_sensor *sensor)
{
    sensor->name = config->sensor.name;
    sensor->formats = room->formats;
    sensor->format_count = take_formats(config->formats, room->formats);
    sensor->bytes_max = (size_t)config->bytes_max;
    sensor->lane = (enum lane)config->sensor.lane;
    memcpy(sensor->lanes, config->lanes, sizeof sensor->lanes);
    sensor->tags = room->tags;
    sensor->tag_count = agent_tags(&config->sensor, room->tags);
#ifdef CONFIG_TRANSFORMS
    sensor->transform = agent_transform_face(room->transform);
#endif
}

static int take_memory(struct agent_coap *coap, const struct config *config)
{
    size_t members = 0;
    for (size_t i = 0; i < config->coap.sensor_count; i++)
        members += config->coap.sensors[i].member_count;
    coap->sensors = calloc(config->coap.sensor_count + 1, sizeof *coap->sensors);
    coap->rooms = calloc(config->coap.sensor_count + 1, sizeof *coap->rooms);
    coap->members = calloc(members + 1, sizeof *coap->members);
    coap->taken = calloc(config->sensor_count + 1, sizeof *coap->taken);
    bool failed = coap->sensors == NULL || coap->rooms == NULL || coap->members == NULL ||
                  coap->taken == NULL;
    return failed ? E_NO_MEMORY : E_OK;
}

static int make_sensors(struct agent *agent, struct agent_coap *coap)
{
    const struct cfg_coap *config = &agent->config->coap;
    struct validate_member *members = coap->members;
    for (size_t i = 0; i < config->sensor_count; i++) {
#ifdef CONFIG_TRANSFORMS
        int rc = agent_transform_open(agent, &config->sensors[i].sensor, &coap->rooms[i].transform);
        if (rc < 0)
            return rc;
#endif
        set_sensor(&config->sensors[i], &coap->rooms[i], &coap->sensors[i]);
        members = set_members(&config->sensors[i], members, &coap->sensors[i].rules);
    }
    return E_OK;
}

/* Nobody else has the names of sensors with drivers, nor that of the agent itself. */
static size_t take_names(const struct config *config, const char **taken)
{
    for (size_t i = 0; i < config->sensor_count; i++)
        taken[i] = config->sensors[i].name;
    taken[config->sensor_count] = CFG_OWN_SENSOR;
    return config->sensor_count + 1;
}

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    struct agent *agent = context;
    agent_clock_read(&agent->clock, ret_reading);
}

static int open_handin(struct agent *agent, struct agent_coap *coap)
{
    struct handin_options options = {
        .sensors = coap->sensors,
        .sensor_count = agent->config->coap.sensor_count,
        .sensors_max = CONFIG_COAP_SENSORS,
        .taken = coap->taken,
        .taken_count = take_names(agent->config, coap->taken),
        .device = agent->config->device,
        .spool = agent->spool,
        .document_bytes_max = DOCUMENT_BYTES,
        .knows_time = agent_time_known,
        .clock = read_clock,
        .context = agent,
    };
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        options.carries[lane] = agent_control_carries(agent->config, lane);
    return handin_open(&options, &coap->handin);
}

/* ---- the door ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Rounded, and never to 0, which is no limit. */
static struct coap_door_rate message_rate(uint64_t per_hour)
{
    return (struct coap_door_rate){.per_mil_s =
                                       larger((per_hour * PER_MIL + HOUR_S / 2) / HOUR_S, 1),
                                   .burst = larger(per_hour * BURST_S / HOUR_S, 1)};
}

/* A document goes through, however slowly the next one may follow. */
static struct coap_door_rate byte_rate(uint64_t bytes_s)
{
    return (struct coap_door_rate){.per_mil_s = bytes_s * PER_MIL,
                                   .burst = larger(bytes_s * BURST_S, DOCUMENT_BYTES)};
}

static void write_lanes(struct json_write *json, const struct spool_status *spool)
{
    json_write_object_begin(json, "lanes");
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        json_write_object_begin(json, lane_name(lane));
        json_write_unsigned(json, "pending", spool->lanes[lane].pending);
        json_write_unsigned(json, "stored", spool->lanes[lane].stored);
        json_write_object_end(json);
    }
    json_write_object_end(json);
}

/* What a peer may know: how the agent is, and nothing of where it sends to. */
static void write_status(void *context, struct writer *out)
{
    struct agent *agent = context;
    struct spool_status spool;
    struct json_write json;
    spool_get_status(agent->spool, &spool);
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "device", agent->config->device);
    json_write_boolean(&json, "healthy",
                       agent_control_healthy(agent, &spool, &agent->coap->uplink));
    json_write_text(&json, "clock", agent_clock_quality(&agent->clock));
    write_lanes(&json, &spool);
    json_write_object_end(&json);
}

static int make_door(struct agent *agent, struct agent_coap *coap,
                     char fault[COAP_DOOR_FAULT_BYTES], struct coap_door **ret_door)
{
    const struct cfg_coap *config = &agent->config->coap;
    struct coap_door_options options = {
        .listen_count = config->listen_count,
        .psk_file = config->psk_file,
        .peer_messages = message_rate(config->per_hour),
        .peer_bytes = byte_rate(config->rate_bytes),
        .all_messages = message_rate(config->total_per_hour),
        .all_bytes = byte_rate(config->total_rate_bytes),
        .document_bytes_max = DOCUMENT_BYTES,
        .handin = coap->handin,
        .spool = agent->spool,
        .knows_time = agent_time_known,
        .clock = read_clock,
        .write_status = write_status,
        .context = agent,
        .stop = &agent->stop,
        .heartbeat_ms = agent->watchdog.every_ms,
    };
    for (size_t i = 0; i < config->listen_count; i++)
        options.listens[i] = (struct coap_door_listen){.host = config->listens[i].host,
                                                       .port = config->listens[i].port,
                                                       .secure = config->listens[i].secure};
    return coap_door_open(&options, fault, ret_door);
}

/* An address may come with its network, and a file be mended: until then sensors and routes go on.
 * Not so on trial, which is to find such mistakes, nor without DTLS, which no time brings. */
static bool may_mend(const struct agent *agent, int error)
{
    return error != E_UNSUPPORTED && error != E_NO_MEMORY &&
           agent->config->state != CFG_STATE_TRIAL;
}

/* From now on others see DOOR, or why there is none, which is logged once. */
static void show_door(struct agent_coap *coap, struct coap_door *door, const char *fault)
{
    char value[LOG_VALUE_BYTES];
    (void)pthread_mutex_lock(&coap->lock);
    bool is_news = strcmp(coap->fault, fault) != 0;
    coap->door = door;
    (void)snprintf(coap->fault, sizeof coap->fault, "%s", fault);
    (void)pthread_mutex_unlock(&coap->lock);
    if (door == NULL && is_news)
        log_error("coap-failed error=\"%s\" remedy=\"mend it: it is tried again by itself\"",
                  log_value(value, fault));
    coap->pause_ms = coap->pause_ms == 0 ? RETRY_MS_MIN : 2 * coap->pause_ms;
    if (coap->pause_ms > RETRY_MS_MAX)
        coap->pause_ms = RETRY_MS_MAX;
    coap->retry_ms = clock_mono_ms() + coap->pause_ms;
}

static int open_door(struct agent *agent, struct agent_coap *coap,
                     char fault[COAP_DOOR_FAULT_BYTES])
{
    struct coap_door *door = NULL;
    int rc = make_door(agent, coap, fault, &door);
    if (rc < 0 && !may_mend(agent, rc))
        return rc;
    show_door(coap, door, fault);
    return E_OK;
}

static void warn_of_exposed(const struct cfg_coap *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (config->listens[i].exposed)
            log_warning(
                "coap-plain listen=%s remedy=\"whoever reaches it can read along and write: "
                "use coaps://\"",
                config->listen[i]);
}

/* ---- the whole ---- */

int agent_coap_open(struct agent *agent, char fault[AGENT_COAP_FAULT_BYTES])
{
    char why[COAP_DOOR_FAULT_BYTES] = "";
    if (agent->config->coap.listen_count == 0)
        return E_OK;
    struct agent_coap *coap = calloc(1, sizeof *coap);
    if (coap == NULL)
        return E_NO_MEMORY;
    (void)pthread_mutex_init(&coap->lock, NULL);
    agent->coap = coap;
    int rc = take_memory(coap, agent->config);
    if (rc == E_OK)
        rc = make_sensors(agent, coap);
    if (rc == E_OK)
        rc = open_handin(agent, coap);
    if (rc == E_OK)
        rc = open_door(agent, coap, why);
    if (why[0] != '\0')
        (void)snprintf(fault, AGENT_COAP_FAULT_BYTES, "coap: %s", why);
    return rc;
}

int agent_coap_start(struct agent *agent)
{
    struct agent_coap *coap = agent->coap;
    if (coap == NULL)
        return E_OK;
    warn_of_exposed(&agent->config->coap);
    return coap->door != NULL ? coap_door_start(coap->door) : E_OK;
}

int64_t agent_coap_look(struct agent *agent)
{
    struct agent_coap *coap = agent->coap;
    struct coap_door *door = NULL;
    char fault[COAP_DOOR_FAULT_BYTES] = "";
    if (coap == NULL || coap->door != NULL)
        return INT64_MAX;
    if (clock_mono_ms() < coap->retry_ms)
        return coap->retry_ms;
    int rc = make_door(agent, coap, fault, &door);
    if (rc == E_OK) {
        rc = coap_door_start(door);
        (void)snprintf(fault, sizeof fault, "%s", rc < 0 ? ERROR_TEXT(rc) : "");
    }
    if (rc < 0) {
        coap_door_close(door);
        door = NULL;
    }
    show_door(coap, door, fault);
    return door != NULL ? INT64_MAX : coap->retry_ms;
}

bool agent_coap_stop(struct agent *agent, int64_t deadline_ms)
{
    struct agent_coap *coap = agent->coap;
    if (coap == NULL)
        return true;
    if (coap->door != NULL && coap_door_stop(coap->door, deadline_ms) < 0)
        return false;
    handin_flush(coap->handin, INT64_MAX);
    return true;
}

void agent_coap_close(struct agent *agent)
{
    struct agent_coap *coap = agent->coap;
    if (coap == NULL)
        return;
    coap_door_close(coap->door);
    handin_close(coap->handin);
#ifdef CONFIG_TRANSFORMS
    for (size_t i = 0; coap->rooms != NULL && i < agent->config->coap.sensor_count; i++)
        agent_transform_close(coap->rooms[i].transform);
#endif
    free(coap->taken);
    free(coap->members);
    free(coap->rooms);
    free(coap->sensors);
    (void)pthread_mutex_destroy(&coap->lock);
    free(coap);
    agent->coap = NULL;
}

int64_t agent_coap_late_ms(const struct agent *agent, int64_t now_ms)
{
    const struct agent_coap *coap = agent->coap;
    return coap == NULL || coap->door == NULL
               ? 0
               : progress_late_ms(coap_door_progress(coap->door), now_ms);
}

/* ---- how it is ---- */

static bool fill_sensor(void *context, size_t index, struct status_coap_sensor *ret_sensor)
{
    struct agent_coap *coap = context;
    struct handin_status status;
    if (handin_get_status(coap->handin, index, &status) < 0)
        return false;
    *ret_sensor = (struct status_coap_sensor){.messages = status.messages,
                                              .records = status.records,
                                              .refused = status.refused,
                                              .faults = status.faults,
                                              .age_ms = status.age_ms};
    (void)snprintf(ret_sensor->name, sizeof ret_sensor->name, "%s", status.name);
    return true;
}

static void fill_counts(const struct coap_door_status *door, struct status_coap *ret_coap)
{
    ret_coap->messages = door->messages;
    ret_coap->accepted = door->accepted;
    ret_coap->repeated = door->repeated;
    ret_coap->throttled = door->throttled;
    ret_coap->handshakes_failed = door->handshakes_failed;
    ret_coap->sessions = door->sessions;
    ret_coap->waiting = door->waiting;
    ret_coap->transfers = door->transfers;
    ret_coap->identities = door->identities;
    for (size_t i = 0; i < STATUS_ANSWERS && coap_door_code_name(i) != NULL; i++) {
        ret_coap->codes[i] = coap_door_code_name(i);
        ret_coap->answers[i] = door->answers[i];
    }
}

/* The first listener that is, or NULL. */
static const char *find_exposed(const struct cfg_coap *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (config->listens[i].exposed)
            return config->listen[i];
    return NULL;
}

/* NULL: FAULT says why it is closed. */
static struct coap_door *door_of(struct agent_coap *coap, char fault[COAP_DOOR_FAULT_BYTES])
{
    (void)pthread_mutex_lock(&coap->lock);
    struct coap_door *door = coap->door;
    memcpy(fault, coap->fault, sizeof coap->fault);
    (void)pthread_mutex_unlock(&coap->lock);
    return door;
}

void agent_coap_fill_status(struct agent *agent, struct agent_status *now)
{
    struct status_coap *status = &now->status.coap;
    struct agent_coap *coap = agent->coap;
    struct coap_door_status door = {.messages = 0};
    if (coap == NULL)
        return;
    struct coap_door *open = door_of(coap, now->closed);
    if (open != NULL)
        coap_door_get_status(open, &door);
    else
        status->error = now->closed;
    status_warn(&now->status,
                open == NULL ? "no CoAP peer can come in: the listeners are closed" : NULL);
    status->listen = agent->config->coap.listen;
    status->listen_count = agent->config->coap.listen_count;
    status->sensor = fill_sensor;
    status->sensor_context = coap;
    fill_counts(&door, status);
    const char *exposed = find_exposed(&agent->config->coap);
    if (exposed != NULL)
        (void)snprintf(now->exposed, sizeof now->exposed,
                       "%s is open to whoever reaches it, who can read along and write; use "
                       "coaps://",
                       exposed);
    status_warn(&now->status, exposed != NULL ? now->exposed : NULL);
    if (door.psk_fault[0] != '\0')
        (void)snprintf(now->psk, sizeof now->psk,
                       "the changed keys of the CoAP peers are not in use: %s", door.psk_fault);
    status_warn(&now->status, door.psk_fault[0] != '\0' ? now->psk : NULL);
}
