/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/hash.h"
#include "platform/machine.h"
#include "platform/memory.h"
#include "platform/notify.h"

enum {
    STOP_MS = 2000,        /* the whole way down */
    ROUTES_STOP_MS = 1200, /* of which for batches in flight */
    ACK_WINDOW_RECORDS = 10000,
    CONTROL_STOP_MS = 1000,
    DRAIN_LOOK_MS = 20, /* only while draining */
    CONFIG_BYTES_MAX = 1 << 20,
    OBJECT_PERIOD_MS = 3600 * 1000, /* an object has the records of one hour: its name says which */
    RESTART_MS = 30000,             /* as the way down when another way up follows */
    RESTARTS_WITHIN_MS = 600 * 1000, /* more than RESTARTS_MAX are for the service manager */
};

/* The enumerators of the configuration and of the stages are the same, so that one is the other. */
_Static_assert((int)CFG_LANE_ALARM == (int)LANE_ALARM && (int)CFG_LANE_BULK == (int)LANE_BULK &&
                   (int)CFG_LANES == (int)LANE_COUNT,
               "lanes");
_Static_assert((int)CFG_FULL_DROP_OLDEST == (int)SPOOL_DROP_OLDEST &&
                   (int)CFG_FULL_DROP_NEWEST == (int)SPOOL_DROP_NEWEST &&
                   (int)CFG_FULL_REFUSE == (int)SPOOL_REFUSE,
               "policies");
_Static_assert((int)CFG_FORMAT_JSON == (int)BATCH_JSON && (int)CFG_FORMAT_RAW == (int)BATCH_RAW &&
                   (int)CFG_FORMAT_SENML == (int)BATCH_SENML,
               "formats");
_Static_assert((int)CFG_PACK_NONE == (int)BATCH_PACK_NONE &&
                   (int)CFG_PACK_KPL == (int)BATCH_PACK_KPL &&
                   (int)CFG_PACK_LINES == (int)BATCH_PACK_LINES,
               "packs");
_Static_assert((int)CFG_PARTITION_EVEN == (int)PARTITION_EVEN &&
                   (int)CFG_PARTITION_DEVICE == (int)PARTITION_DEVICE &&
                   (int)CFG_PARTITION_SENSOR == (int)PARTITION_SENSOR &&
                   (int)CFG_PARTITION_RANDOM == (int)PARTITION_RANDOM &&
                   (int)CFG_PARTITION_FIXED == (int)PARTITION_FIXED &&
                   (int)CFG_PARTITION_FIELD == (int)PARTITION_FIELD,
               "partition keys");
_Static_assert((int)CFG_ROUTES_MAX == (int)SPOOL_ROUTES_MAX &&
                   (int)CFG_ROUTES_MAX == (int)STATUS_ROUTES_MAX,
               "routes");

/* One line says why the agent does not start: the first, which knows most. */
static int fail_start(struct agent *agent, const char *fault, int code)
{
    char value[LOG_VALUE_BYTES];
    if (!agent->start_failed) {
        const char *text = fault[0] != '\0' ? fault : ERROR_TEXT(code);
        (void)snprintf(agent->trial.start_fault, sizeof agent->trial.start_fault, "%s", text);
        log_error("start-failed error=\"%s\"", log_value(value, text));
    }
    agent->start_failed = true;
    return code;
}

/* ---- the spool ---- */

static void note_storage(struct agent *agent)
{
    char type[32];
    const char *path = agent->config->spool.path;
    int rc = fs_describe(path, type, sizeof type, &agent->storage_durable);
    if (rc < 0)
        log_warning("spool-storage path=%s error=\"%s\"", path, ERROR_TEXT(rc));
    else if (!agent->storage_durable)
        log_warning("spool-not-durable path=%s filesystem=%s remedy=\"spool.volatile allows it: "
                    "records here are lost with the power\"",
                    path, type);
}

static void on_damaged(void *context)
{
    struct agent *agent = context;
    atomic_store(&agent->damaged, true);
    stop_request(&agent->attention);
}

static int open_spool(struct agent *agent)
{
    const struct cfg_spool *config = &agent->config->spool;
    char fault[SPOOL_FAULT_BYTES] = "";
    uint8_t id[SPOOL_ID_BYTES];
    struct spool_options options = {
        .path = config->path,
        .size_bytes = config->size_bytes,
        .device = agent->config->device,
        .wait_ms = config->wait_ms,
        .ack_window_ms = config->ack_window_ms,
        .ack_window_records = ACK_WINDOW_RECORDS,
        .dead_percent = config->dead_percent,
        .clock = agent_clock_read,
        .clock_context = &agent->clock,
        .events = &agent->events,
        .on_damaged = on_damaged,
        .on_salvaged = agent_alarm_salvaged,
        .event_context = agent,
        .rescued = agent->has_rescued ? &agent->rescued : NULL,
        .heartbeat_ms = agent->watchdog.every_ms,
    };
    machine_get_mark("", &options.machine);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] = (struct spool_lane_options){
            .full = (enum spool_full)config->lanes[lane].full,
            .window_ms = config->lanes[lane].window_ms,
            .age_ms = config->lanes[lane].age_ms,
            .share_percent = config->lanes[lane].share_percent,
        };
    int rc = spool_open(&options, fault, &agent->spool);
    if (rc < 0)
        return fail_start(agent, fault, rc);
    agent->has_rescued = false;
    spool_get_id(agent->spool, id);
    bytes_put_hex(agent->spool_id, id, sizeof id);
    note_storage(agent);
    return E_OK;
}

/* ---- routes ---- */

static bool is_gzip(const struct cfg_route *config)
{
    return config->compress == CFG_COMPRESS_GZIP;
}

/* Else each entry is compressed by itself. */
static bool is_body_gzip(const struct cfg_route *config)
{
    return is_gzip(config) &&
           (config->destination == CFG_DESTINATION_APIGATEWAY || config_makes_objects(config));
}

static struct uplink_options route_options(struct agent *agent, const struct cfg_route *config)
{
    struct uplink_options options = {
        .name = config->name,
        .spool = agent->spool,
        .hold = config->hold,
        .device = agent->config->device,
        .region = config->region,
        .host = config->endpoint.host,
        .port = config->endpoint.port,
        .tls = config->endpoint.tls,
        .tls_options = {.ca_file = config->ca_file,
                        .cert_file = config->cert_file,
                        .key_file = config->key_file,
                        .wall_ms = agent_time_wall,
                        .wall_context = agent},
        .proxy = agent_credentials_proxy(&config->endpoint.proxy),
        .user_agent = agent->user_agent,
        .time_wait_ms = config->time_wait_ms,
        .start_delay_ms = config->start_delay_ms,
        .link = agent->link,
        .in_order = config->order == CFG_ORDER_STRICT,
        .format = (enum batch_format)config->format,
        .flat = config->layout == CFG_LAYOUT_FLAT,
        .pack = (enum batch_pack)config->pack,
        .gzip_entry = is_gzip(config) && !is_body_gzip(config),
        .gzip_body = is_body_gzip(config),
        .partition = (enum partition_kind)config->partition,
        .partition_key = config->partition_key,
        .backlog_percent = config->order == CFG_ORDER_FRESH_FIRST ? config->backlog_share : 0,
        .batch_records = config->batch_records,
        .batch_bytes = config->batch_bytes,
        .heartbeat_ms = agent->watchdog.every_ms,
        .on_date = agent_time_learn,
        .knows_time = agent_time_known,
        .vouches_time = agent_time_vouched,
        .context = agent,
    };
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        options.lanes[lane] = config->lanes[lane];
        options.age_ms[lane] = agent->config->spool.lanes[lane].age_ms;
    }
    return options;
}

static struct dest_api api_options(const struct cfg_route *config)
{
    const struct cfg_api *api = &config->api;
    return (struct dest_api){.path = api->path,
                             .query = api->query,
                             .body = (enum dest_body)api->body,
                             .auth = (enum dest_auth)api->auth,
                             .header = api->header,
                             .per_record = api->success == CFG_SUCCESS_PER_RECORD,
                             .host_header = api->host,
                             .api_id = api->api_id};
}

static struct dest_options destination_options(const struct agent *agent,
                                               const struct cfg_route *config)
{
    return (struct dest_options){
        .stream = config->stream,
        .stream_arn = config->stream_arn,
        .api = api_options(config),
        .strict = config->order == CFG_ORDER_STRICT,
        .gzip = is_gzip(config),
        .device = agent->config->device,
        .s3 = {.bucket = config->bucket,
               .prefix = config->prefix,
               .region = config->region,
               .host = config->endpoint_built ? config->endpoint.host : NULL,
               .path_style = config->path_style,
               .sse = config_sse_name(config->sse),
               .kms_key_id = config->kms_key_id,
               .bucket_key = config->bucket_key,
               .expected_bucket_owner = config->expected_bucket_owner,
               .storage_class = config->storage_class},
        .archive = {.path = config->path, .mount = config->mount, .size_bytes = config->size_bytes},
    };
}

/* Objects fill for longer than requests, whatever lane their records are of; those of a route that
 * nothing is kept for go before other routes have the records. */
static void set_object_options(const struct cfg_route *config, struct uplink_options *options)
{
    if (!config_makes_objects(config))
        return;
    for (int lane = 0; lane < LANE_COUNT; lane++)
        options->age_ms[lane] = config->every_ms > 0 ? config->every_ms : options->age_ms[lane] / 2;
    options->period_ms = OBJECT_PERIOD_MS;
    options->batch_records = SIZE_MAX;
    options->partition = PARTITION_FIXED; /* objects have none; one byte each is counted for it */
    options->partition_key = "";
    if (config->destination == CFG_DESTINATION_ARCHIVE)
        options->link = NULL;
}

int agent_route_prepare(struct agent *agent, const struct cfg_route *config,
                        struct uplink_options *ret_options)
{
    const struct dest_options dest_options = destination_options(agent, config);
    *ret_options = route_options(agent, config);
    set_object_options(config, ret_options);
    return dest_open(config_destination_name(config->destination), &dest_options,
                     &ret_options->dest);
}

static int open_route(struct agent *agent, size_t index)
{
    const struct cfg_route *config = &agent->config->routes[index];
    struct uplink_options options;
    char fault[64 + ERROR_TEXT_BYTES];
    int rc = agent_route_prepare(agent, config, &options);
    options.on_change = agent_tell_attract;
    if (rc == E_OK && config->credentials != NULL)
        rc = agent_credentials_open(agent, config->credentials, &options.credentials);
    if (rc == E_OK)
        rc = uplink_open(&options, &agent->uplinks[index]);
    if (rc < 0) {
        dest_close(options.dest);
        (void)snprintf(fault, sizeof fault, "route %s: %s", config->name, ERROR_TEXT(rc));
        return fail_start(agent, fault, rc);
    }
    return rc;
}

static int open_routes(struct agent *agent)
{
    for (size_t i = 0; i < agent->config->route_count; i++) {
        int rc = open_route(agent, i);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

/* ---- sensors ---- */

size_t agent_tags(const struct cfg_sensor *sensor, struct tag tags[CFG_TAGS_MAX])
{
    for (size_t i = 0; i < sensor->tag_count; i++)
        tags[i] = (struct tag){.name = sensor->tags[i].name, .value = sensor->tags[i].value};
    return sensor->tag_count;
}

static struct collect_sensor sensor_options(const struct cfg_sensor *config, struct tag *tags)
{
    return (struct collect_sensor){
        .name = config->name,
        .driver = config->driver,
        .settings = config->settings,
        .setting_count = config->setting_count,
        .interval_ms = config->interval_ms,
        .timeout_ms = config->timeout_ms,
        .lane = (enum lane)config->lane,
        .tags = tags,
        .tag_count = agent_tags(config, tags),
    };
}

#ifdef CONFIG_TRANSFORMS
static int open_transforms(struct agent *agent)
{
    int rc = E_OK;
    size_t count = agent->config->sensor_count;
    agent->transforms = calloc(count + 1, sizeof *agent->transforms);
    if (agent->transforms == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; rc == E_OK && i < count; i++) {
        rc = agent_transform_open(agent, &agent->config->sensors[i], &agent->transforms[i]);
        agent->sensors[i].transform = agent_transform_face(agent->transforms[i]);
    }
    return rc;
}

static void close_transforms(struct agent *agent)
{
    for (size_t i = 0; agent->transforms != NULL && i < agent->config->sensor_count; i++)
        agent_transform_close(agent->transforms[i]);
    free(agent->transforms);
}
#endif

static int open_sensors(struct agent *agent, bool drain)
{
    const struct config *config = agent->config;
    agent->sensors = calloc(config->sensor_count + 1, sizeof *agent->sensors);
    agent->tags = calloc(config->sensor_count * CFG_TAGS_MAX + 1, sizeof *agent->tags);
    if (agent->sensors == NULL || agent->tags == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; i < config->sensor_count; i++)
        agent->sensors[i] = sensor_options(&config->sensors[i], &agent->tags[i * CFG_TAGS_MAX]);
#ifdef CONFIG_TRANSFORMS
    int rc = open_transforms(agent);
    if (rc < 0)
        return rc;
#endif
    agent->asked = (struct driver_agent){.look = agent_health_fill, .context = agent};
    struct collect_options options = {
        .sensors = agent->sensors,
        .sensor_count = config->sensor_count,
        .device = config->device,
        .spool = agent->spool,
        .stop = &agent->stop,
        .drain = drain,
        .root = "",
        .document_bytes_max = (size_t)CONFIG_DOCUMENT_KIB * 1024,
        .agent = &agent->asked,
        .heartbeat_ms = agent->watchdog.every_ms,
        .on_trouble = agent_tell_attract,
        .context = agent,
    };
    return collect_open(&options, &agent->collect);
}

/* ---- peers ---- */

#ifdef CONFIG_COAP
static int open_coap(struct agent *agent)
{
    char fault[AGENT_COAP_FAULT_BYTES] = "";
    int rc = agent_coap_open(agent, fault);
    return rc < 0 ? fail_start(agent, fault, rc) : rc;
}
#endif

/* ---- the whole ---- */

static int open_control(struct agent *agent)
{
    char path[CONTROL_PATH_BYTES];
    char fault[CONTROL_FAULT_BYTES] = "";
    int rc = control_path(path);
    if (rc < 0)
        return fail_start(
            agent, "RUNNEL_SOCKET: is too long; the path of a socket has at most 107 bytes", rc);
    struct control_options options = {
        .path = path,
        .document_bytes_max = (size_t)CONFIG_DOCUMENT_KIB * 1024,
        .operations = &agent_control_operations,
        .context = agent,
        .stop = &agent->stop,
        .heartbeat_ms = agent->watchdog.every_ms,
    };
    rc = control_open(&options, fault, &agent->control);
    return rc < 0 ? fail_start(agent, fault, rc) : rc;
}

static int open_signals(struct agent *agent)
{
    sigset_t signals;
    (void)sigfillset(&signals);
    (void)sigdelset(&signals, SIGSEGV);
    (void)sigdelset(&signals, SIGBUS);
    (void)sigdelset(&signals, SIGILL);
    (void)sigdelset(&signals, SIGFPE);
    (void)sigdelset(&signals, SIGABRT);
    (void)sigdelset(&signals, SIGALRM); /* the watchdog where there is no service manager */
    (void)signal(SIGALRM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_SETMASK, &signals, NULL) != 0)
        return error_sys(EINVAL);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    agent->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return agent->signal_fd < 0 ? error_sys(errno) : E_OK;
}

/* In the order in which data flows; routes before the committer, so that nothing is thought to be
 * without a holder. */
static int open_stages(struct agent *agent, bool drain)
{
    agent_certificate_open(agent);
    int rc = stop_open(&agent->stop);
    if (rc == E_OK)
        rc = stop_open(&agent->attention);
    if (rc == E_OK)
        rc = stop_open(&agent->credentials_stop);
    if (rc == E_OK)
        rc = open_signals(agent);
    if (rc == E_OK)
        rc = open_spool(agent);
    if (rc == E_OK)
        agent_time_recall(agent);
    if (rc == E_OK)
        rc = agent_link_open(agent);
    if (rc == E_OK)
        rc = open_routes(agent);
#ifdef CONFIG_CONFIG_SOURCE
    if (rc == E_OK && !drain)
        rc = agent_source_open(agent);
#endif
    if (rc == E_OK) {
        agent_alarm_other_hardware(agent);
        agent_alarm_set_aside(agent);
    }
    if (rc == E_OK)
        agent_trial_tell(agent);
    if (rc == E_OK)
        rc = open_sensors(agent, drain);
#ifdef CONFIG_COAP
    if (rc == E_OK && !drain)
        rc = open_coap(agent);
#endif
    if (rc == E_OK)
        rc = agent_tell_open(agent);
    return rc == E_OK ? open_control(agent) : rc;
}

static int start_stages(struct agent *agent)
{
    int rc = spool_start(agent->spool);
    if (rc == E_OK)
        rc = agent_credentials_start(agent);
#ifdef CONFIG_CONFIG_SOURCE
    if (rc == E_OK)
        rc = agent_source_start(agent);
#endif
    for (size_t i = 0; rc == E_OK && i < agent->config->route_count; i++)
        rc = uplink_start(agent->uplinks[i]);
    if (rc == E_OK)
        rc = collect_start(agent->collect);
#ifdef CONFIG_COAP
    if (rc == E_OK)
        rc = agent_coap_start(agent);
#endif
    return rc;
}

/* What RAM has goes to the file that cannot be committed to, for the next start to salvage. */
static void rescue(struct agent *agent)
{
    struct spool_rescued *rescued = &agent->rescued;
    int rc = spool_rescue(agent->spool, rescued);
    agent->has_rescued = rc == E_OK;
    rc = rc == E_OK ? rescued->error : rc;
    agent->stop_failed = rc < 0;
    if (rc < 0)
        log_error("spool-rescue-failed error=\"%s\" records=lost", ERROR_TEXT(rc));
    else
        log_warning("spool-rescued file=%s records=%" PRIu64, rescued->aside.file,
                    rescued->records);
}

/* Intake ends first, so that what follows sees the last of it; then batches in flight; then the
 * last commit, which waiting senders are still told of. A thread that does not end in time is
 * left to _exit. */
static bool stop_stages(struct agent *agent)
{
    bool comes_back = agent->damage_seen || agent->trial.next != NULL;
    int64_t now_ms = clock_mono_ms();
    int64_t deadline_ms = now_ms + (comes_back ? RESTART_MS : STOP_MS);
    int64_t routes_ms = comes_back ? deadline_ms : now_ms + ROUTES_STOP_MS;
    stop_request(&agent->stop);
    bool ended = collect_stop(agent->collect, deadline_ms) == E_OK;
#ifdef CONFIG_COAP
    ended = agent_coap_stop(agent, deadline_ms) && ended;
#endif
    bool silent = true;
    (void)agent_credentials_stop(agent, now_ms); /* whoever waits for some need not any more */
    for (size_t i = 0; i < agent->config->route_count; i++)
        uplink_ask_stop(agent->uplinks[i]);
    for (size_t i = 0; i < agent->config->route_count; i++)
        silent = uplink_stop(agent->uplinks[i], routes_ms) == E_OK && silent;
#ifdef CONFIG_CONFIG_SOURCE
    silent = agent_source_stop(agent, routes_ms) && silent;
#endif
    if (silent)
        agent_link_save(agent);
    ended = ended && silent;
    int rc = spool_stop(agent->spool, deadline_ms);
    agent->stop_failed = rc < 0;
    if (rc < 0)
        log_error("last-commit-failed error=\"%s\"", ERROR_TEXT(rc));
    int64_t control_ms = comes_back ? deadline_ms : clock_mono_ms() + CONTROL_STOP_MS;
    ended = control_close(agent->control, control_ms) == E_OK && ended;
    agent->control = NULL;
    ended = agent_credentials_stop(agent, deadline_ms) && ended;
    if (rc == E_DAMAGED || (agent->damage_seen && rc < 0 && rc != E_TIMEOUT))
        rescue(agent);
    return ended && rc != E_TIMEOUT;
}

static void close_stages(struct agent *agent)
{
    agent_tell_close(agent);
    collect_close(agent->collect);
#ifdef CONFIG_COAP
    agent_coap_close(agent);
#endif
#ifdef CONFIG_TRANSFORMS
    close_transforms(agent);
#endif
    for (size_t i = 0; i < CFG_ROUTES_MAX; i++)
        uplink_close(agent->uplinks[i]);
#ifdef CONFIG_CONFIG_SOURCE
    agent_source_close(agent);
#endif
    agent_credentials_close(agent);
    link_close(agent->link);
    spool_close(agent->spool);
    free(agent->sensors);
    free(agent->tags);
    if (agent->signal_fd >= 0)
        (void)close(agent->signal_fd);
    if (agent->attention.fd >= 0)
        stop_close(&agent->attention);
    if (agent->credentials_stop.fd >= 0)
        stop_close(&agent->credentials_stop);
    if (agent->stop.fd >= 0)
        stop_close(&agent->stop);
}

/* As if they had never been opened. A signal that comes before they are again waits until then. */
static void forget_stages(struct agent *agent)
{
    agent->spool = NULL;
    agent->link = NULL;
    agent->sensors = NULL;
    agent->tags = NULL;
    agent->transforms = NULL;
    agent->collect = NULL;
    agent->coap = NULL;
    agent->control = NULL;
    agent->source = NULL;
    agent->signal_fd = agent->stop.fd = agent->attention.fd = agent->credentials_stop.fd = -1;
    agent->sender_count = 0;
    agent->damage_seen = agent->stop_failed = agent->start_failed = false;
    atomic_store(&agent->damaged, false);
    agent->trial.start_fault[0] = '\0';
    agent->credentials_count = 0;
    memset(agent->uplinks, 0, sizeof agent->uplinks);
    memset(agent->waiting, 0, sizeof agent->waiting);
    memset(agent->inspects, 0, sizeof agent->inspects);
    memset(agent->askings, 0, sizeof agent->askings);
}

/* ---- running ---- */

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

/* Somebody wants something of the main thread. */
static void attend(struct agent *agent)
{
    stop_event_drain(agent->attention.fd);
    agent->damage_seen = atomic_load(&agent->damaged);
    if (!agent->damage_seen)
        agent_config_decide(agent);
}

/* Whether it says to end. */
static bool read_signal(struct agent *agent)
{
    struct signalfd_siginfo signal;
    if (read(agent->signal_fd, &signal, sizeof signal) != (ssize_t)sizeof signal)
        return false;
    if (signal.ssi_signo != SIGHUP)
        return true;
    agent_config_hangup(agent);
    return false;
}

/* Waits until DEADLINE_MS at most. True when it is time to end, or to begin anew: damage_seen, or
 * with the next configuration. */
static bool wait_for_signal(struct agent *agent, int64_t deadline_ms)
{
    deadline_ms = earlier(deadline_ms, agent_watchdog_look(agent));
    deadline_ms = earlier(deadline_ms, agent_trial_look(agent));
    if (agent->trial.next != NULL)
        return true;
    int rc = stop_wait(&agent->attention, agent->signal_fd, POLLIN, deadline_ms);
    if (rc == E_STOP)
        attend(agent);
    bool ends = rc == E_OK && read_signal(agent);
    return ends || agent->damage_seen || agent->trial.next != NULL;
}

/* What is neither delivered nor dead nor evicted, on the route that has most of it; a gap that was
 * not told yet counts as one, and so does a file that is being salvaged. */
static uint64_t count_owed(struct agent *agent)
{
    struct spool_status status;
    spool_get_status(agent->spool, &status);
    uint64_t most = status.salvaging;
    for (size_t i = 0; i < agent->config->route_count; i++) {
        struct spool_route *route = uplink_route(agent->uplinks[i]);
        struct spool_gap gap;
        if (!agent->config->routes[i].hold)
            continue; /* nothing waits for it */
        uint64_t owed = spool_gap_next(route, 0, &gap) == E_OK;
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            struct spool_counters counters;
            spool_route_counters(route, lane, &counters);
            owed += agent->config->routes[i].lanes[lane]
                        ? counters.stored + status.lanes[lane].pending
                        : 0;
        }
        most = owed > most ? owed : most;
    }
    return most;
}

static void hurry(struct agent *agent)
{
    (void)collect_stop(agent->collect, clock_mono_ms() + STOP_MS);
    spool_commit_soon(agent->spool);
    for (size_t i = 0; i < agent->config->route_count; i++)
        uplink_drain(agent->uplinks[i]);
}

/* Names the inputs that were not read to their end; true if there are any. */
static bool name_unread(struct agent *agent)
{
    struct collect_status status;
    char value[LOG_VALUE_BYTES];
    bool found = false;
    for (size_t i = 0; i < agent->config->sensor_count; i++) {
        collect_get_status(agent->collect, i, &status);
        if (agent->config->sensors[i].driver->wait_fd == NULL || status.state == COLLECT_ENDED)
            continue;
        found = true;
        log_warning("drain-unread sensor=%s error=\"%s\"", agent->config->sensors[i].name,
                    log_value(value, status.error));
    }
    return found;
}

/* The exit code. */
static int end_drain(struct agent *agent, uint64_t owed)
{
    bool unread = name_unread(agent);
    if (owed == 0 && !unread)
        return 0;
    log_warning("drain-incomplete inputs=%s records=%" PRIu64 " remedy=\"%s\"",
                unread ? "unfinished" : "read", owed,
                unread ? "mend the inputs that are unread, or give it more time"
                       : "they stay in the spool: run again");
    return 1;
}

/* Who names a time has it waited for inputs that are not there yet; else they would be for ever. */
static int drain(struct agent *agent, int64_t timeout_ms)
{
    bool for_ever = timeout_ms == INT64_MAX;
    int64_t now_ms = clock_mono_ms();
    int64_t end_ms = for_ever ? INT64_MAX : now_ms + timeout_ms;
    bool hurried = false;
    for (; now_ms < end_ms; now_ms = clock_mono_ms()) {
        if (!hurried &&
            (for_ever ? collect_settled(agent->collect) : collect_finished(agent->collect))) {
            hurry(agent);
            hurried = true;
        }
        if (hurried && count_owed(agent) == 0)
            return end_drain(agent, 0);
        if (wait_for_signal(agent, now_ms + DRAIN_LOOK_MS))
            break;
    }
    return agent->damage_seen ? 1 : end_drain(agent, count_owed(agent));
}

/* A file that was damaged is replaced. Where that goes on and on it is no matter of the file. */
static bool may_begin_again(struct agent *agent)
{
    int64_t now_ms = clock_mono_ms();
    int64_t *when_ms = &agent->restarts_ms[agent->restarts % RESTARTS_MAX];
    if (agent->restarts >= RESTARTS_MAX && now_ms - *when_ms < RESTARTS_WITHIN_MS) {
        log_error("spool-damaged-again restarts=%d remedy=\"check the flash and the memory\"",
                  (int)RESTARTS_MAX);
        return false;
    }
    *when_ms = now_ms;
    agent->restarts++;
    log_warning("spool-damaged remedy=\"the agent begins anew by itself\"");
    return true;
}

/* What is looked at now and then; returns when to come back. */
static int64_t look_around(struct agent *agent)
{
    int64_t health_ms = agent_health_look(agent);
    int64_t next_ms = earlier(health_ms, agent_certificate_look(agent));
    next_ms = earlier(next_ms, agent_tell_look(agent));
#ifdef CONFIG_COAP
    next_ms = earlier(next_ms, agent_coap_look(agent));
#endif
    return next_ms;
}

/* The exit code, which only counts if it is not to begin again. */
static int run(struct agent *agent, const struct agent_options *options, bool *ret_again)
{
    int result = 0;
    struct status_confined confined;
    agent_confine_fill_status(agent, &confined);
    log_info("started device=%s spool=%s sensors=%zu routes=%zu config=%s config_id=%s user=%s "
             "capabilities=%s seccomp=%s",
             agent->config->device, agent->spool_id, agent->config->sensor_count,
             agent->config->route_count, agent->config->file, agent->config_id, confined.user,
             confined.capabilities, confined.seccomp);
    if (agent->config->device_warning != NULL)
        log_warning("device-name-generic device=%s remedy=\"use ${serial}, ${machine-id} or a name "
                    "of its own\"",
                    agent->config->device);
    notify_send("READY=1");
    agent_trial_begin(agent);
    if (options->drain)
        result = drain(agent, options->drain_timeout_ms);
    else
        while (!wait_for_signal(agent, look_around(agent)))
            continue;
    bool again = agent->trial.next != NULL || (agent->damage_seen && may_begin_again(agent));
    if (!again) {
        log_info("stopping");
        notify_send("STOPPING=1");
    }
    agent_watchdog_feed(agent);
    bool ended = stop_stages(agent);
    result = agent->stop_failed || (agent->damage_seen && !again) ? 1 : result;
    if (!ended) {
        log_warning("stopped threads=left-behind");
        _exit(agent->damage_seen || again ? 1 : result);
    }
    log_info("stopped");
    *ret_again = again;
    return result;
}

/* From the opening of the stages to their end. */
static int run_stages(struct agent *agent, const struct agent_options *options, bool *ret_again)
{
    int result = 1;
    *ret_again = false;
    forget_stages(agent);
    agent_config_take_next(agent);
    agent_watchdog_feed(agent);
    int rc = open_stages(agent, options->drain);
    if (rc == E_OK)
        rc = start_stages(agent);
    if (rc == E_OK)
        result = run(agent, options, ret_again);
    else
        (void)fail_start(agent, "", rc);
    if (agent->control != NULL)
        (void)stop_stages(agent);
    close_stages(agent);
    memory_give_back(); /* the configuration behind was read on top of all this */
    if (rc < 0)
        *ret_again = agent_trial_failed(agent, rc);
    return result;
}

/* The exit code, or E_CONFIG. */
static int run_agent(struct agent *agent, const struct agent_options *options)
{
    bool again = false;
    int result = 1;
    int rc = tls_prepare();
    if (rc < 0) {
        (void)fail_start(agent, "", rc);
        return result;
    }
    rc = agent_config_start(agent);
    if (rc < 0)
        return rc == E_CONFIG ? rc : result;
    do
        result = run_stages(agent, options, &again);
    while (again);
    return result;
}

static void keep_event(void *context, enum log_level level, const char *text)
{
    struct agent *agent = context;
    events_put(&agent->events, level, clock_boot_ms(), text);
}

int agent_run(const struct agent_options *options)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (agent == NULL)
        return 1;
    memory_prepare();
    agent->trial = (struct agent_trial){.options = options->config, .lock = AGENT_TRIAL_LOCK};
    agent->clock = (struct agent_clock){.lock = AGENT_CLOCK_LOCK};
    agent->events = (struct events)EVENTS_EMPTY;
    agent->started_ms = clock_mono_ms();
    log_set_sink(keep_event, agent);
    int rc = agent_confine(agent);
    agent_watchdog_open(agent);
    (void)snprintf(agent->user_agent, sizeof agent->user_agent, "runnel/%s", RUNNEL_VERSION);
    int result = 1;
    if (rc == E_OK)
        result = run_agent(agent, options);
    else
        (void)fail_start(agent, "", rc);
    agent_config_close(agent);
    log_set_sink(NULL, NULL);
    free(agent);
    return result;
}
