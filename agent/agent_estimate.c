/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_estimate.h"
#include "agent/spool/block.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/*
 * No thread runs: the records stay in the spool's RAM until the routes have taken them. What the
 * committer would write is reckoned beside, as spool_commit.c does.
 */
enum {
    HOUR_MS = 3600 * 1000,
    SPAN_MS_MAX = 7 * 24 * HOUR_MS,
    REQUESTS_ENOUGH = 50, /* of each route, */
    REQUESTS_MAX = 5000,  /* and so many of all make up for a short span */
    RECORDS_MAX = 60000,  /* before the spool has to reserve numbers, for which it commits */
    ACK_PAGES = 2,
    ACK_RECORDS = 10000,
    TOKEN_BYTES = 900, /* of temporary keys, and of OAuth2 */
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    const struct estimate *estimate = context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = estimate->now_ms, .offset_ms = estimate->offset_ms, .quality = TIME_SYNCED};
}

static bool wall_ms(void *context, int64_t *ret_ms)
{
    const struct estimate *estimate = context;
    *ret_ms = estimate->now_ms + estimate->offset_ms;
    return true;
}

/* ---- flash ---- */

/* The committer writes whole lanes, and with them what was acknowledged. */
static void commit(struct estimate *estimate, uint64_t blocks)
{
    bool acks = estimate->ack_due_ms != INT64_MAX;
    estimate->commits++;
    estimate->flash_bytes +=
        (ESTIMATE_COMMIT_PAGES + blocks + (acks ? ACK_PAGES : 0)) * ESTIMATE_PAGE_BYTES;
    estimate->ack_due_ms = INT64_MAX;
}

static void commit_lane(struct estimate *estimate, enum lane lane)
{
    struct estimate_lane *state = &estimate->lanes[lane];
    uint64_t bytes = state->tail_bytes + state->bytes;
    commit(estimate, (bytes + BLOCK_ROOM_BYTES - 1) / BLOCK_ROOM_BYTES);
    *state = (struct estimate_lane){.committed_ms = estimate->now_ms,
                                    .tail_bytes = bytes % BLOCK_ROOM_BYTES};
}

static bool is_held(const struct estimate *estimate, size_t route, enum lane lane)
{
    const struct cfg_route *config = &estimate->config->routes[route];
    return config->hold && config->lanes[lane];
}

/* When the oldest record was taken that RAM alone has and some route that holds is owed. */
static int64_t oldest_ms(struct estimate *estimate, enum lane lane)
{
    const struct estimate_lane *state = &estimate->lanes[lane];
    int64_t oldest = INT64_MAX;
    bool held = false;
    for (size_t i = 0; i < estimate->config->route_count; i++) {
        if (!is_held(estimate, i, lane))
            continue;
        int64_t ms = uplink_rehearse_oldest_ms(estimate->routes[i], lane);
        oldest = ms < oldest ? ms : oldest;
        held = true;
    }
    if (state->first_ms == 0 || (held && oldest == INT64_MAX))
        return INT64_MAX;
    return held && oldest > state->first_ms ? oldest : state->first_ms;
}

static int64_t commit_due_ms(struct estimate *estimate, enum lane lane)
{
    int64_t oldest = oldest_ms(estimate, lane);
    int64_t window_ms = estimate->config->spool.lanes[lane].window_ms;
    return oldest == INT64_MAX ? INT64_MAX : oldest + window_ms;
}

/* ---- what happens next ---- */

static int send(struct estimate *estimate, size_t route)
{
    struct uplink_rehearsal *rehearsal = estimate->routes[route];
    bool was_on_flash = false;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        int64_t committed_ms = estimate->lanes[lane].committed_ms;
        was_on_flash |=
            committed_ms != 0 && uplink_rehearse_oldest_ms(rehearsal, lane) <= committed_ms;
    }
    int rc = uplink_rehearse_send(rehearsal, estimate->now_ms);
    if (was_on_flash && estimate->ack_due_ms == INT64_MAX)
        estimate->ack_due_ms = estimate->now_ms + estimate->config->spool.ack_window_ms;
    /* What nobody is owed any more is not written. */
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        struct estimate_lane *state = &estimate->lanes[lane];
        if (oldest_ms(estimate, lane) == INT64_MAX)
            *state = (struct estimate_lane){.committed_ms = state->committed_ms};
    }
    return rc == E_END ? E_OK : rc;
}

/* Room comes from a commit; here it has to come from the routes. */
static int make_room(struct estimate *estimate)
{
    int rc = E_OK;
    estimate->crowded = true;
    for (size_t i = 0; rc == E_OK && i < estimate->config->route_count; i++)
        rc = send(estimate, i);
    return rc;
}

static int append(struct estimate *estimate, const struct estimate_source *source)
{
    uint64_t sequence;
    const struct spool_append append = {.lane = (enum lane)source->config->lane,
                                        .sensor = source->sensor,
                                        .sample = &source->sample};
    int rc = spool_append(estimate->agent.spool, &append, &sequence);
    if (rc != E_AGAIN)
        return rc;
    rc = make_room(estimate);
    return rc == E_OK ? spool_append(estimate->agent.spool, &append, &sequence) : rc;
}

static void note_append(struct estimate *estimate, enum lane lane, uint64_t bytes)
{
    struct estimate_lane *state = &estimate->lanes[lane];
    if (state->first_ms == 0)
        state->first_ms = estimate->now_ms;
    state->bytes += bytes;
    estimate->records++;
}

static uint64_t encoded_bytes(struct estimate *estimate, enum lane lane)
{
    struct spool_backlog most = {0};
    for (size_t i = 0; i < estimate->config->route_count; i++) {
        struct spool_backlog backlog = {0};
        if (estimate->config->routes[i].lanes[lane])
            spool_route_backlog(uplink_route(estimate->agent.uplinks[i]), lane, &backlog);
        most = backlog.bytes > most.bytes ? backlog : most;
    }
    return most.bytes;
}

static int take(struct estimate *estimate, struct estimate_source *source)
{
    enum lane lane = (enum lane)source->config->lane;
    uint64_t before = encoded_bytes(estimate, lane);
    source->next_ms += source->every_ms;
    if (!agent_estimate_source_read(source))
        return E_OK;
    /* A little late now and then, as it is in truth: times that are too even compress too well. */
    source->sample.boot_ms = estimate->now_ms + (estimate->records % 3 == 0 ? 1 : 0);
    int rc = append(estimate, source);
    if (rc == E_REFUSED)
        return E_OK; /* no route has the lane */
    if (rc < 0)
        return rc;
    source->records++;
    uint64_t after = encoded_bytes(estimate, lane);
    note_append(estimate, lane, after > before ? after - before : after);
    return E_OK;
}

/* The earliest of all that is to happen. */
struct event {
    int64_t at_ms;
    struct estimate_source *source;
    size_t route;
    enum lane lane;
    enum { EVENT_SAMPLE, EVENT_REQUEST, EVENT_COMMIT, EVENT_ACK } kind;
};

static void find_event(struct estimate *estimate, struct event *ret_event)
{
    const struct config *config = estimate->config;
    struct event event = {.at_ms = estimate->ack_due_ms, .kind = EVENT_ACK};
    for (size_t i = 0; i < estimate->source_count; i++)
        if (estimate->sources[i].next_ms < event.at_ms)
            event = (struct event){.at_ms = estimate->sources[i].next_ms,
                                   .source = &estimate->sources[i],
                                   .kind = EVENT_SAMPLE};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        int64_t due_ms = commit_due_ms(estimate, lane);
        if (due_ms < event.at_ms)
            event = (struct event){.at_ms = due_ms, .lane = lane, .kind = EVENT_COMMIT};
    }
    for (size_t i = 0; i < config->route_count; i++) {
        int64_t due_ms = uplink_rehearse_due_ms(estimate->routes[i]);
        if (due_ms < event.at_ms)
            event = (struct event){.at_ms = due_ms, .route = i, .kind = EVENT_REQUEST};
    }
    *ret_event = event;
}

/* E_END: nothing will happen any more. */
static int step(struct estimate *estimate)
{
    struct event event;
    find_event(estimate, &event);
    if (event.at_ms == INT64_MAX)
        return E_END;
    if (event.at_ms > estimate->now_ms)
        estimate->now_ms = event.at_ms;
    switch (event.kind) {
    case EVENT_SAMPLE:
        return take(estimate, event.source);
    case EVENT_REQUEST:
        return send(estimate, event.route);
    case EVENT_COMMIT:
        commit_lane(estimate, event.lane);
        return E_OK;
    default:
        commit(estimate, 0);
        return E_OK;
    }
}

static bool is_enough(const struct estimate *estimate)
{
    int64_t span_ms = estimate->now_ms - estimate->start_ms;
    uint64_t all = 0;
    uint64_t fewest = UINT64_MAX;
    for (size_t i = 0; i < estimate->config->route_count; i++) {
        uint64_t requests = uplink_rehearse_cost(estimate->routes[i])->requests;
        fewest = requests < fewest ? requests : fewest;
        all += requests;
    }
    return estimate->records >= RECORDS_MAX || span_ms >= SPAN_MS_MAX ||
           (fewest >= REQUESTS_ENOUGH && (span_ms >= HOUR_MS || all >= REQUESTS_MAX));
}

static int rehearse(struct estimate *estimate)
{
    int rc = E_OK;
    while (rc == E_OK && !is_enough(estimate))
        rc = step(estimate);
    return rc == E_END ? E_OK : rc;
}

/* ---- open and close ---- */

static int open_spool(struct estimate *estimate)
{
    struct spool_options options = {.size_bytes = estimate->config->spool.size_bytes,
                                    .device = estimate->config->device,
                                    .ack_window_ms = HOUR_MS,
                                    .ack_window_records = RECORDS_MAX,
                                    .clock = read_clock,
                                    .clock_context = estimate};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] = (struct spool_lane_options){
            .full = SPOOL_REFUSE, .window_ms = SPAN_MS_MAX, .share_percent = 100 / LANE_COUNT};
    int rc = agent_scratch_open(&estimate->scratch, &options);
    estimate->agent.spool = estimate->scratch.spool;
    return rc;
}

static int open_link(struct estimate *estimate)
{
    const struct cfg_link *config = &estimate->config->link;
    const struct link_options options = {.rate_bytes = config->rate_bytes,
                                         .month_bytes = config->month_bytes,
                                         .reset_day = config->reset_day,
                                         .reserve_percent = config->alarm_reserve_percent,
                                         .wall_ms = wall_ms,
                                         .context = estimate};
    return link_open(&options, &estimate->agent.link);
}

/* -1: no keys; 0: keys that last. */
static int token_bytes(const struct cfg_credentials *config)
{
    if (config == NULL)
        return -1;
    switch (config->provider) {
    case CFG_PROVIDER_CHAIN:
    case CFG_PROVIDER_ENV:
    case CFG_PROVIDER_FILE:
        return 0;
    default:
        return TOKEN_BYTES;
    }
}

static int open_route(struct estimate *estimate, size_t index)
{
    const struct cfg_route *config = &estimate->config->routes[index];
    struct uplink **uplink = &estimate->agent.uplinks[index];
    struct uplink_options options;
    int rc = agent_route_prepare(&estimate->agent, config, &options);
    if (rc == E_OK)
        rc = uplink_open(&options, uplink);
    if (rc < 0) {
        dest_close(options.dest);
        return rc;
    }
    return uplink_rehearse_open(*uplink, token_bytes(config->credentials),
                                &estimate->routes[index]);
}

static int open_own(struct estimate *estimate)
{
    const struct config *config = estimate->config;
    unsigned lanes = config->health_ms > 0 ? agent_lanes_for_all(config) : 0;
    int rc = E_OK;
    for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++) {
        struct estimate_source *source = &estimate->sources[estimate->source_count];
        if ((lanes >> lane & 1) == 0)
            continue;
        estimate->own[lane] = (struct cfg_sensor){
            .name = CFG_OWN_SENSOR, .interval_ms = config->health_ms, .lane = (enum cfg_lane)lane};
        source->config = &estimate->own[lane];
        rc = agent_estimate_source_own(source, estimate);
        estimate->source_count += rc == E_OK;
    }
    return rc;
}

static int open_sources(struct estimate *estimate)
{
    const struct config *config = estimate->config;
    int rc = E_OK;
    estimate->sources = calloc(config->sensor_count + LANE_COUNT, sizeof *estimate->sources);
    if (estimate->sources == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; rc == E_OK && i < config->sensor_count; i++) {
        estimate->sources[i].config = &config->sensors[i];
        rc = agent_estimate_source_open(&estimate->sources[i], estimate);
        estimate->source_count += rc == E_OK;
    }
    return rc == E_OK ? open_own(estimate) : rc;
}

static int open_all(struct estimate *estimate)
{
    int rc = open_spool(estimate);
    if (rc == E_OK)
        rc = open_link(estimate);
    for (size_t i = 0; rc == E_OK && i < estimate->config->route_count; i++)
        rc = open_route(estimate, i);
    return rc == E_OK ? open_sources(estimate) : rc;
}

static void close_all(struct estimate *estimate)
{
    for (size_t i = 0; i < estimate->source_count; i++)
        agent_estimate_source_close(&estimate->sources[i]);
    free(estimate->sources);
    for (size_t i = 0; i < estimate->config->route_count; i++) {
        uplink_rehearse_close(estimate->routes[i]);
        uplink_close(estimate->agent.uplinks[i]);
    }
    link_close(estimate->agent.link);
    agent_scratch_close(&estimate->scratch);
}

int agent_estimate(const struct config *config, FILE *to)
{
    struct estimate *estimate = calloc(1, sizeof *estimate);
    if (estimate == NULL)
        return E_NO_MEMORY;
    estimate->config = estimate->agent.config = config;
    estimate->start_ms = estimate->now_ms = clock_boot_ms();
    estimate->offset_ms = clock_wall_ms() - estimate->now_ms;
    estimate->ack_due_ms = INT64_MAX;
    (void)snprintf(estimate->agent.user_agent, sizeof estimate->agent.user_agent, "runnel/%s",
                   RUNNEL_VERSION);
    int rc = open_all(estimate);
    if (rc == E_OK)
        rc = rehearse(estimate);
    if (rc == E_OK)
        agent_estimate_print(estimate, to);
    close_all(estimate);
    free(estimate);
    return rc;
}
