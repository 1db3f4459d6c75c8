/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/spool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/spool/spool_state.h"
#include "agent/spool/verify.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/random.h"

enum { DIRECTORY_MODE = 0750, PAGE_BYTES = 4096, SIZE_MIN = 256 * 1024 };

/* ---- opening ---- */

static int open_waits(struct spool *spool)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&spool->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&spool->room, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int rc = stop_open(&spool->stop);
    spool->commit_stop = spool->salvage_stop = spool->stop;
    spool->commit_stop.progress = &spool->progress[SPOOL_COMMITTER];
    spool->salvage_stop.progress = &spool->progress[SPOOL_SALVAGER];
    for (enum spool_thread thread = 0; thread < SPOOL_THREADS; thread++)
        spool->progress[thread].every_ms = spool->options.heartbeat_ms;
    return rc < 0 ? rc : stop_event_open(&spool->wake_fd);
}

/* A commit of everything in RAM must fit into what a small file keeps free. */
static size_t head_blocks(uint64_t size_bytes)
{
    uint64_t eighth = (size_bytes > SIZE_MIN ? size_bytes : SIZE_MIN) / PAGE_BYTES / 8;
    size_t blocks = CONFIG_SPOOL_HEAD_BLOCKS;
    return eighth < blocks ? (size_t)eighth : blocks;
}

static struct spool *allocate(const struct spool_options *options, int *ret_error)
{
    char path[FS_PATH_BYTES];
    struct spool *spool = calloc(1, sizeof *spool);
    *ret_error = E_NO_MEMORY;
    if (spool == NULL)
        return NULL;
    spool->options = *options;
    spool->lock_fd = spool->wake_fd = spool->stop.fd = -1;
    spool->size_bytes = spool_size_wanted(spool);
    spool->use.page_bytes = PAGE_BYTES; /* until the file says otherwise */
    spool->ack_due_ms = spool->sleeping_to_ms = INT64_MAX;
    spool->next_boot = spool->next_event = 1;
    atomic_init(&spool->store_ready, false);
    atomic_init(&spool->time_known, false);
    clock_boot_id(spool->boot_id);
    *ret_error = open_waits(spool);
    if (*ret_error == E_OK)
        *ret_error = fs_join(options->path, "spool.mdb", path, sizeof path);
    if (*ret_error < 0)
        return spool;
    spool->path = strdup(path);
    spool->device = strdup(options->device);
    if (spool->path == NULL || spool->device == NULL)
        *ret_error = E_NO_MEMORY;
    return spool;
}

static int64_t wall_ms(struct spool *spool)
{
    struct spool_clock_reading now;
    spool->options.clock(spool->options.clock_context, &now);
    return now.boot_ms + now.offset_ms;
}

/* They go on behind those that the file has. */
static void number_events(struct spool *spool)
{
    if (spool->options.events != NULL)
        events_number(spool->options.events, spool->next_event);
}

static void begin_new(struct spool *spool)
{
    random_bytes(&spool->id, sizeof spool->id);
    spool->format = SPOOL_FORMAT;
    spool->next_sequence = 1;
    spool->reserved = 1 + RESERVATION;
    spool->counters_since_ms = wall_ms(spool);
    spool->machine = spool->options.machine;
    spool->size_bytes = spool->room_bytes = spool_size_wanted(spool);
    spool->create = true;
    spool->next_boot = FIRST_BOOT;
    spool_time_enter(spool);
    number_events(spool);
}

/* The numbers that the last run had reserved and that nobody will ever see. */
static void skip_unused(struct spool *spool, bool clean)
{
    spool->next_sequence = spool->reserved;
    spool->counted = clean;
    spool->dead_unsure = spool->dead_unsure && !clean;
    if (clean)
        return;
    spool->counters_since_ms = wall_ms(spool);
    log_info("stopped-uncleanly sequence-skipped-to=%" PRIu64, spool->next_sequence);
}

/* Before this boot is entered into the table. */
static enum spool_ended judge_end(struct spool *spool, bool clean)
{
    if (clean)
        return SPOOL_ENDED_CLEAN;
    return spool_time_entered(spool) ? SPOOL_ENDED_KILLED : SPOOL_ENDED_POWER;
}

/* Nothing of what LMDB would follow is followed before it was looked at: see verify.h. */
static int open_sound(struct spool *spool, bool *ret_clean, char fault[VERIFY_FAULT_BYTES])
{
    int rc = store_verify(spool->path, fault);
    if (rc == E_OK)
        rc = store_open(spool->path, spool->size_bytes, &spool->store);
    return rc < 0 ? rc : spool_table_load(spool, ret_clean);
}

static void free_routes(struct spool *spool)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        if (spool->routes[i] != NULL)
            free(spool->routes[i]->left);
        free(spool->routes[i]);
        spool->routes[i] = NULL;
    }
}

static void free_sensors(struct spool *spool)
{
    for (uint32_t i = 0; i < spool->sensor_count; i++) {
        free(spool->sensors[i].definition);
        free(spool->sensors[i].bytes);
    }
    spool->sensor_count = 0;
}

/* Whatever was loaded from a file that is no longer ours. */
static void forget_file(struct spool *spool)
{
    store_close(spool->store);
    spool->store = NULL;
    free_routes(spool);
    free_sensors(spool);
    spool->source_count = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        spool->lanes[lane].refused = 0;
        spool->lanes[lane].flash = (struct lane_flash){0};
    }
    spool->next_boot = spool->next_event = 1;
    spool->times[spool->times_now].count = 0;
    spool->use = (struct store_use){.page_bytes = PAGE_BYTES};
}

static void note_set_aside(struct spool *spool, const struct spool_set_aside *aside)
{
    spool->set_aside = *aside;
    spool->aside_now = true;
    log_warning("spool-set-aside file=%s error=\"%s\"", aside->file, aside->reason);
}

/* What the last run of this process was about to know. */
static void take_over(struct spool *spool, const struct spool_rescued *rescued)
{
    note_set_aside(spool, &rescued->aside);
    if (!spool->create)
        return; /* the file is not the one that was to follow, and knows better */
    for (size_t i = 0; i < rescued->source_count; i++) {
        (void)pthread_mutex_lock(&spool->lock);
        spool_note_source_locked(spool, rescued->sources[i].name, rescued->sources[i].lane,
                                 &rescued->sources[i].origin);
        spool->sources[i].committed = spool->sources[i].read;
        spool_commit_ack_due_locked(spool, 1);
        (void)pthread_mutex_unlock(&spool->lock);
    }
}

/* The file stays whole, for whoever can read it, and the agent goes on with a new one. */
static int set_aside(struct spool *spool, int reason, const char *fault)
{
    char path[FS_PATH_BYTES];
    struct spool_set_aside aside;
    forget_file(spool);
    int rc = spool_aside_put(spool, path);
    if (rc < 0)
        return rc;
    (void)snprintf(aside.file, sizeof aside.file, "%s", strrchr(path, '/') + 1);
    (void)snprintf(aside.reason, sizeof aside.reason, "%s: %s", ERROR_TEXT(reason), fault);
    note_set_aside(spool, &aside);
    begin_new(spool);
    return E_OK;
}

/* The first commit, which every start makes, writes it down: before, nobody got a number of it. */
static void look_at_machine(struct spool *spool)
{
    const struct machine_mark *now = &spool->options.machine;
    if (!machine_is_other(&spool->machine, now)) {
        machine_learn(&spool->machine, now);
        return;
    }
    spool->machine = *now;
    spool->id_before = spool->id;
    random_bytes(&spool->id, sizeof spool->id);
    log_warning("spool-on-other-hardware id-before=%016" PRIx64 " id=%016" PRIx64, spool->id_before,
                spool->id);
}

static int go_on(struct spool *spool, bool clean)
{
    atomic_store(&spool->store_ready, true);
    if (spool->options.open_only) {
        spool->next_sequence = spool->reserved;
        return E_OK;
    }
    spool->ended = judge_end(spool, clean);
    spool_time_enter(spool);
    number_events(spool);
    skip_unused(spool, clean);
    look_at_machine(spool);
    spool_names_find(spool);
    /* Who renamed the file to its name may have been killed before the name was synced. */
    int rc = fs_sync_directory(spool->options.path);
    return rc < 0 ? rc : spool_commit_first(spool);
}

/* The head as large as the file allows, which may be smaller than was asked for. */
static int open_head(struct spool *spool)
{
    uint64_t bytes = spool_size_wanted(spool);
    if (!spool->options.open_only)
        spool_size_grow(spool);
    spool->elsewhere = fs_writes_elsewhere(spool->options.path);
    spool->room_bytes = spool->size_bytes;
    return spool_head_open(spool,
                           head_blocks(spool->size_bytes < bytes ? spool->size_bytes : bytes));
}

static int open_file(struct spool *spool)
{
    char fault[VERIFY_FAULT_BYTES] = "its tables";
    bool clean = false;
    int rc = open_sound(spool, &clean, fault);
    if (rc == E_OK && !spool->options.open_only && spool->reserved >= SPOOL_SEQUENCE_END)
        return set_aside(spool, E_RANGE, "its sequence numbers are used up");
    if (rc == E_OK)
        return go_on(spool, clean);
    if (spool->options.open_only)
        return rc;
    if (rc == E_DAMAGED || rc == E_VERSION)
        return set_aside(spool, rc, rc == E_VERSION ? "its format" : fault);
    if (rc != E_NOT_FOUND)
        return rc;
    begin_new(spool);
    return E_OK;
}

static int explain(const struct spool_options *options, int rc, char fault[SPOOL_FAULT_BYTES])
{
    const char *remedy = "check spool.path";
    if (rc == E_BUSY)
        remedy = "another runnel runs here: stop it, or give this one a path of its own";
    else if (rc == E_VERSION || rc == E_DAMAGED)
        remedy = "the agent sets it aside when it starts";
    else if (error_errno(rc) == EACCES || error_errno(rc) == EPERM)
        remedy = options->open_only ? "be root or the user that runs runnel"
                                    : "it must belong to the user that runs runnel";
    else if (error_errno(rc) == ENOTDIR)
        remedy = "a file is in its place: remove that, or name a directory";
    else if (error_errno(rc) == EEXIST)
        remedy = "it is a link to nothing: make what it points to";
    else if (rc == E_RANGE)
        remedy = "the smallest size is 256KiB";
    (void)snprintf(fault, SPOOL_FAULT_BYTES, "spool %.100s: %s: %s", options->path, ERROR_TEXT(rc),
                   remedy);
    return rc;
}

int spool_open(const struct spool_options *options, char fault[SPOOL_FAULT_BYTES],
               struct spool **ret_spool)
{
    int rc;
    if (options->size_bytes < SIZE_MIN)
        return explain(options, E_RANGE, fault);
    struct spool *spool = allocate(options, &rc);
    if (rc == E_OK && !options->open_only)
        rc = fs_make_directories(options->path, DIRECTORY_MODE);
    if (rc == E_OK)
        rc = fs_lock_directory(options->path, &spool->lock_fd);
    if (rc == E_OK)
        rc = open_head(spool);
    if (rc == E_OK)
        rc = open_file(spool);
    if (rc == E_OK && options->rescued != NULL)
        take_over(spool, options->rescued);
    if (rc < 0) {
        spool_close(spool);
        return explain(options, rc, fault);
    }
    spool->options.rescued = NULL; /* only its opener has it */
    if (!options->open_only)
        spool_size_shrink(spool);
    spool->aside = spool_aside_count(spool);
    *ret_spool = spool;
    return E_OK;
}

int spool_start(struct spool *spool)
{
    /* Whoever asks for the status may do so already. */
    (void)pthread_mutex_lock(&spool->lock);
    spool->commit_now = spool->commit_now || spool->dead_queued || spool->dead_unsure;
    bool salvages = spool->aside > 0;
    spool->salvaging = salvages;
    (void)pthread_mutex_unlock(&spool->lock);
    if (spool->options.events != NULL)
        events_wake(spool->options.events, spool->wake_fd);
    progress_work(&spool->progress[SPOOL_COMMITTER]);
    int rc = thread_start(&spool->committer, "commit", spool_commit_run, spool);
    if (rc < 0 || !salvages)
        return rc;
    progress_work(&spool->progress[SPOOL_SALVAGER]);
    return thread_start(&spool->salvager, "salvage", spool_salvage_run, spool);
}

const struct progress *spool_progress(const struct spool *spool, enum spool_thread thread)
{
    return &spool->progress[thread];
}

static void request_stop(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    stop_request(&spool->stop);
    (void)pthread_cond_broadcast(&spool->room);
    (void)pthread_mutex_unlock(&spool->lock);
}

int spool_stop(struct spool *spool, int64_t deadline_ms)
{
    request_stop(spool);
    int rc = thread_join(&spool->salvager, deadline_ms);
    if (rc == E_OK)
        rc = thread_join(&spool->committer, deadline_ms);
    return rc < 0 ? rc : spool_commit_last(spool);
}

void spool_abandon(struct spool *spool)
{
    request_stop(spool);
    (void)thread_join(&spool->salvager, INT64_MAX);
    (void)thread_join(&spool->committer, INT64_MAX);
    spool_close(spool);
}

void spool_close(struct spool *spool)
{
    if (spool == NULL)
        return;
    if (spool->options.events != NULL)
        events_wake(spool->options.events, -1);
    store_close(spool->store);
    if (spool->lock_fd >= 0)
        (void)close(spool->lock_fd);
    if (spool->wake_fd >= 0)
        (void)close(spool->wake_fd);
    if (spool->stop.fd >= 0)
        stop_close(&spool->stop);
    free_routes(spool);
    free_sensors(spool);
    spool_head_close(spool);
    (void)pthread_cond_destroy(&spool->room);
    (void)pthread_mutex_destroy(&spool->lock);
    free(spool->path);
    free(spool->device);
    free(spool);
}

void spool_get_id(const struct spool *spool, uint8_t ret_id[SPOOL_ID_BYTES])
{
    bytes_put_be64(ret_id, spool->id);
}

enum spool_ended spool_get_ended(const struct spool *spool)
{
    return spool->ended;
}

int spool_get_id_before(const struct spool *spool, uint8_t ret_id[SPOOL_ID_BYTES])
{
    if (spool->id_before == 0)
        return E_NOT_FOUND;
    bytes_put_be64(ret_id, spool->id_before);
    return E_OK;
}

uint64_t spool_next_sequence(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    uint64_t next = spool->next_sequence;
    (void)pthread_mutex_unlock(&spool->lock);
    return next;
}

/* ---- the dictionary ---- */

static uint32_t find_sensor_locked(const struct spool *spool, const uint8_t *bytes, size_t count)
{
    for (uint32_t i = 0; i < spool->sensor_count; i++)
        if (spool->sensors[i].byte_count == count &&
            memcmp(spool->sensors[i].bytes, bytes, count) == 0)
            return i + 1;
    return 0;
}

static int fill_entry(struct sensor_entry *entry, const uint8_t *bytes, size_t count)
{
    int rc = dictionary_decode(bytes, count, &entry->definition);
    if (rc < 0)
        return rc;
    entry->bytes = malloc(count);
    if (entry->bytes == NULL) {
        free(entry->definition);
        entry->definition = NULL;
        return E_NO_MEMORY;
    }
    memcpy(entry->bytes, bytes, count);
    entry->byte_count = count;
    entry->stored = false;
    return E_OK;
}

static int add_sensor_locked(struct spool *spool, const uint8_t *bytes, size_t count, size_t leaves,
                             uint32_t *ret_sensor)
{
    if (spool->sensor_count + leaves >= SENSORS_MAX)
        return E_FULL;
    int rc = fill_entry(&spool->sensors[spool->sensor_count], bytes, count);
    if (rc < 0)
        return rc;
    *ret_sensor = ++spool->sensor_count;
    return E_OK;
}

/* Whether the COUNT definitions stand in the dictionary from number BASE + 1 on. */
static bool stand_at_locked(const struct spool *spool, uint8_t *const *definitions,
                            const size_t *bytes, uint32_t count, uint32_t base)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sensor_entry *entry = &spool->sensors[base + i];
        if (definitions[i] != NULL &&
            (entry->byte_count != bytes[i] || memcmp(entry->bytes, definitions[i], bytes[i]) != 0))
            return false;
    }
    return true;
}

int spool_adopt_sensors(struct spool *spool, uint8_t *const *definitions, const size_t *bytes,
                        uint32_t count, uint32_t *ret_base)
{
    uint32_t base = 0;
    int rc = E_OK;
    (void)pthread_mutex_lock(&spool->lock);
    while (base + count <= spool->sensor_count &&
           !stand_at_locked(spool, definitions, bytes, count, base))
        base++;
    bool known = base + count <= spool->sensor_count;
    if (!known)
        base = spool->sensor_count;
    if (base + count > SENSORS_MAX)
        rc = E_FULL;
    for (uint32_t i = 0; i < count && !known && rc == E_OK; i++)
        if (definitions[i] != NULL)
            rc = fill_entry(&spool->sensors[base + i], definitions[i], bytes[i]);
    if (!known && rc == E_OK)
        spool->sensor_count += count;
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        *ret_base = base;
    return rc;
}

int spool_define_sensor(struct spool *spool, const struct sensor_definition *definition,
                        uint32_t *ret_sensor)
{
    return spool_define_sensor_within(spool, definition, 0, ret_sensor);
}

int spool_define_sensor_within(struct spool *spool, const struct sensor_definition *definition,
                               size_t leaves, uint32_t *ret_sensor)
{
    uint8_t bytes[DEFINITION_BYTES_MAX];
    int count = dictionary_encode(definition, bytes, sizeof bytes);
    if (count < 0)
        return count;
    (void)pthread_mutex_lock(&spool->lock);
    uint32_t known = find_sensor_locked(spool, bytes, (size_t)count);
    int rc = E_OK;
    if (known != 0)
        *ret_sensor = known;
    else
        rc = add_sensor_locked(spool, bytes, (size_t)count, leaves, ret_sensor);
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
}

const struct sensor_definition *spool_sensor(struct spool *spool, uint32_t sensor)
{
    (void)pthread_mutex_lock(&spool->lock);
    const struct sensor_definition *definition =
        sensor == 0 || sensor > spool->sensor_count ? NULL : spool->sensors[sensor - 1].definition;
    (void)pthread_mutex_unlock(&spool->lock);
    return definition;
}

/* ---- followed files ---- */

static struct source *find_source_locked(struct spool *spool, const char *name, bool add)
{
    for (size_t i = 0; i < spool->source_count; i++)
        if (strcmp(spool->sources[i].name, name) == 0)
            return &spool->sources[i];
    if (!add || spool->source_count == SOURCES_MAX)
        return NULL;
    struct source *source = &spool->sources[spool->source_count++];
    memset(source, 0, sizeof *source);
    (void)snprintf(source->name, sizeof source->name, "%s", name);
    return source;
}

void spool_find_origin(struct spool *spool, const char *source, struct sample_origin *ret_origin)
{
    (void)pthread_mutex_lock(&spool->lock);
    const struct source *known = find_source_locked(spool, source, false);
    *ret_origin = known == NULL ? (struct sample_origin){.present = false} : known->committed;
    (void)pthread_mutex_unlock(&spool->lock);
}

/* ---- appending ---- */

/* Whether the lane takes a record: 0, E_FULL, E_REFUSED. */
static int admit_locked(const struct spool *spool, const struct spool_append *append)
{
    const struct lane_state *state = &spool->lanes[append->lane];
    if (append->sample->origin.present && spool->crowded)
        return E_FULL;
    if (spool->options.lanes[append->lane].full == SPOOL_REFUSE &&
        (state->full || spool_room_is_short_locked(spool, append->lane)))
        return E_REFUSED;
    return E_OK;
}

/* drop-newest: the record gets its number, is accepted and evicted in one. */
static bool takes_no_newest_locked(const struct spool *spool, enum lane lane)
{
    return spool->options.lanes[lane].full == SPOOL_DROP_NEWEST &&
           (spool->lanes[lane].full || spool_room_is_short_locked(spool, lane));
}

static void drop_newest_locked(struct spool *spool, enum lane lane, uint64_t sequence)
{
    const struct gap_range range = {.first = sequence, .last = sequence, .count = 1};
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        struct spool_route *route = spool->routes[i];
        if ((spool->lanes[lane].routes & 1U << i) == 0)
            continue;
        route->counters[lane].accepted++;
        route->counters[lane].evicted++;
        spool_gap_note_locked(route, lane, &range, SPOOL_GAP_DROP_NEWEST);
    }
    spool_commit_ack_due_locked(spool, 1);
}

void spool_note_source_locked(struct spool *spool, const char *name, enum lane lane,
                              const struct sample_origin *origin)
{
    struct source *source = find_source_locked(spool, name, true);
    if (source == NULL)
        return; /* without a place for its offset the file is read again after a restart */
    source->read = *origin;
    source->lane = lane;
    source->lanes[lane] = true;
    source->dirty = true;
}

static void begin_hiding_locked(struct lane_state *state, uint64_t sequence)
{
    if (state->hidden_first == 0) {
        state->hidden_first = sequence;
        state->hidden_since_ms = clock_boot_ms();
    }
    if (state->later_first == 0)
        state->later_first = sequence;
}

void spool_hide_locked(struct lane_state *state, uint64_t records, uint64_t bytes)
{
    state->hidden_records += records;
    state->hidden_bytes += bytes;
    if (state->later_first != 0) {
        state->later_records += records;
        state->later_bytes += bytes;
    }
}

static int64_t came_at_ms(const struct spool_append *append, const struct record *record)
{
    return append->handed_in != NULL ? append->handed_in->boot_ms : record->boot_ms;
}

static void note_came_locked(struct spool *spool, const struct spool_append *append,
                             const struct record *record)
{
    const struct spool_lane_options *options = &spool->options.lanes[append->lane];
    struct came *came = &spool->lanes[append->lane].came;
    if (append->handed_in == NULL && came->count == 0)
        return; /* so far, all say it themselves */
    came_note(came, record->sequence, came_at_ms(append, record),
              options->window_ms > options->age_ms ? options->window_ms : options->age_ms);
}

static void note_append_locked(struct spool *spool, const struct spool_append *append,
                               const struct record *record, size_t bytes)
{
    struct lane_state *state = &spool->lanes[append->lane];
    bool store_first = append->sample->origin.present;
    int64_t window_ms = spool->options.lanes[append->lane].window_ms;
    note_came_locked(spool, append, record);
    if (state->pending++ == 0)
        state->due_ms = came_at_ms(append, record) + window_ms;
    if (store_first)
        spool_note_source_locked(spool, append->source, append->lane, &append->sample->origin);
    if (store_first)
        begin_hiding_locked(state, record->sequence);
    if (state->hidden_first != 0)
        spool_hide_locked(state, 1, bytes);
    else
        spool_route_waits_locked(spool, append->lane, 1, bytes);
    if (store_first)
        spool_commit_due_locked(spool,
                                state->hidden_since_ms + spool->options.lanes[append->lane].age_ms);
    spool_commit_due_locked(spool, spool->free_count < spool->block_count / 4 ? 0 : state->due_ms);
}

static void fill_record(const struct spool_append *append, uint64_t sequence, int64_t now_boot_ms,
                        struct record *record)
{
    const struct sample *sample = append->sample;
    record->sequence = sequence;
    record->lane = append->lane;
    record->sensor = append->sensor;
    bool has_time = sample->boot_ms != 0 || append->handed_in != NULL;
    record->boot_ms = has_time ? sample->boot_ms : now_boot_ms;
    record->shape = sample->document != NULL ? RECORD_DOCUMENT : RECORD_VALUES;
    record->value_count = sample->document != NULL ? 0 : sample->value_count;
    memcpy(record->values, sample->values, record->value_count * sizeof record->values[0]);
    record->document = sample->document;
    record->document_bytes = sample->document_bytes;
}

static int append_locked(struct spool *spool, const struct spool_append *append,
                         const struct spool_clock_reading *clock, uint64_t *ret_sequence)
{
    struct record record;
    int rc = admit_locked(spool, append);
    if (rc < 0)
        return rc;
    if (spool->next_sequence >= spool->reserved) {
        spool_commit_due_locked(spool, 0);
        return E_AGAIN;
    }
    fill_record(append, spool->next_sequence, clock->boot_ms, &record);
    if (takes_no_newest_locked(spool, append->lane)) {
        spool->next_sequence++;
        drop_newest_locked(spool, append->lane, record.sequence);
    } else {
        rc = spool_head_append_locked(spool, &record, clock, append->handed_in != NULL);
        if (rc == E_AGAIN) {
            spool_commit_now_locked(spool); /* room comes from a commit, whatever is due */
        }
        if (rc < 0)
            return rc;
        note_append_locked(spool, append, &record, (size_t)rc);
        spool->next_sequence++;
    }
    *ret_sequence = record.sequence;
    return E_OK;
}

static int check_append(const struct spool *spool, const struct spool_append *append)
{
    const struct sample *sample = append->sample;
    if (append->lane >= LANE_COUNT || append->sensor == 0 ||
        sample->value_count > SAMPLE_CHANNELS_MAX)
        return E_INVALID;
    if (sample->document_bytes > (size_t)CONFIG_DOCUMENT_KIB * 1024 ||
        sample->document_bytes / BLOCK_ROOM_BYTES + 2 > spool->block_count / 2)
        return E_TOO_BIG;
    return E_OK;
}

void spool_wait_for_room_locked(struct spool *spool, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    (void)pthread_cond_timedwait(&spool->room, &spool->lock, &until);
}

int spool_append(struct spool *spool, const struct spool_append *append, uint64_t *ret_sequence)
{
    struct spool_clock_reading clock;
    int rc = check_append(spool, append);
    if (rc < 0)
        return rc;
    if (append->handed_in != NULL)
        clock = *append->handed_in;
    else
        spool->options.clock(spool->options.clock_context, &clock);
    (void)pthread_mutex_lock(&spool->lock);
    spool_time_note_locked(spool, &clock);
    if (append->sensor > spool->sensor_count)
        rc = E_INVALID;
    else
        rc = append_locked(spool, append, &clock, ret_sequence);
    while (rc == E_AGAIN && clock_mono_ms() < append->deadline_ms) {
        spool_wait_for_room_locked(spool, append->deadline_ms);
        rc = append_locked(spool, append, &clock, ret_sequence);
    }
    if (rc == E_REFUSED)
        spool->lanes[append->lane].refused++;
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
}

void spool_count_refused(struct spool *spool, enum lane lane)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool->lanes[lane].refused++;
    (void)pthread_mutex_unlock(&spool->lock);
}

void spool_commit_soon(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool_commit_now_locked(spool);
    (void)pthread_mutex_unlock(&spool->lock);
}

/* ---- tickets ---- */

/* Whether the record waits in the head, neither committed nor with every holding route. */
static bool is_pending_locked(const struct spool *spool, enum lane lane, uint64_t sequence)
{
    uint8_t holders = spool->lanes[lane].holders;
    struct block_walk walk;
    struct record record;
    const struct head_block *block = spool->lanes[lane].head.first;
    while (block != NULL && (block->header.fragment > 0 || block->header.last_sequence < sequence))
        block = block->next;
    if (block == NULL)
        return false;
    block_walk_start(&walk, &block->header);
    while (block_walk_next(&walk, block->bytes, &record) == E_OK) {
        uint16_t index = (uint16_t)(walk.index - 1);
        if (record.sequence == sequence)
            return index >= block->committed_count &&
                   (holders == 0 || (block->done[index] & holders) != holders);
    }
    return false;
}

/* Who still waits in LANE, and since when. */
static void note_waiting_locked(struct spool *spool, enum lane lane)
{
    int64_t since_ms = 0;
    for (const struct spool_ticket *t = spool->tickets; t != NULL; t = t->next)
        if (t->lane == lane && (since_ms == 0 || t->since_ms < since_ms))
            since_ms = t->since_ms;
    spool->lanes[lane].waited_for_ms = since_ms;
}

static void accept_tickets_locked(struct spool *spool, enum lane lane, uint64_t first,
                                  uint64_t last)
{
    struct spool_ticket **link = &spool->tickets;
    bool any = false;
    while (*link != NULL) {
        struct spool_ticket *ticket = *link;
        if (ticket->lane != lane || ticket->sequence < first || ticket->sequence > last) {
            link = &ticket->next;
            continue;
        }
        *link = ticket->next;
        ticket->accepted = true;
        stop_event_signal(ticket->event_fd);
        any = true;
    }
    if (any)
        note_waiting_locked(spool, lane);
}

void spool_tickets_up_to_locked(struct spool *spool, enum lane lane, uint64_t sequence)
{
    accept_tickets_locked(spool, lane, 0, sequence);
}

void spool_tickets_at_locked(struct spool *spool, enum lane lane, uint64_t sequence)
{
    accept_tickets_locked(spool, lane, sequence, sequence);
}

void spool_ticket_wait(struct spool *spool, struct spool_ticket *ticket)
{
    (void)pthread_mutex_lock(&spool->lock);
    ticket->accepted = !is_pending_locked(spool, ticket->lane, ticket->sequence);
    if (ticket->accepted) {
        stop_event_signal(ticket->event_fd);
    } else {
        ticket->since_ms = clock_boot_ms();
        ticket->next = spool->tickets;
        spool->tickets = ticket;
        note_waiting_locked(spool, ticket->lane);
        spool_commit_due_locked(spool, ticket->since_ms + spool->options.wait_ms);
    }
    (void)pthread_mutex_unlock(&spool->lock);
}

bool spool_ticket_accepted(struct spool *spool, struct spool_ticket *ticket)
{
    (void)pthread_mutex_lock(&spool->lock);
    bool accepted = ticket->accepted;
    (void)pthread_mutex_unlock(&spool->lock);
    return accepted;
}

void spool_ticket_forget(struct spool *spool, struct spool_ticket *ticket)
{
    (void)pthread_mutex_lock(&spool->lock);
    struct spool_ticket **link = &spool->tickets;
    while (*link != NULL && *link != ticket)
        link = &(*link)->next;
    if (*link != NULL)
        *link = ticket->next;
    note_waiting_locked(spool, ticket->lane);
    (void)pthread_mutex_unlock(&spool->lock);
}

/* ---- numbers ---- */

static int64_t begin_ms(struct spool *spool, const struct block_header *header)
{
    struct timeline_binding clock = {.kind = TIMELINE_UNKNOWN};
    (void)pthread_mutex_lock(&spool->lock);
    if (header->time_quality != TIME_SYNCED)
        spool_time_bind_locked(spool, NULL, header, &clock);
    (void)pthread_mutex_unlock(&spool->lock);
    return timeline_wall_ms(&clock, header->base_boot_ms, header->offset_ms);
}

/* When the lane's oldest block on flash began, as wall time; INT64_MAX if there is none. */
static int64_t oldest_on_flash(struct spool *spool, enum lane lane)
{
    struct store_key key = store_key_block(lane, 0, 0);
    struct block_header header;
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    uint64_t first;
    uint16_t fragment;
    int64_t oldest_ms = INT64_MAX;
    if (!atomic_load(&spool->store_ready) || store_begin_read(spool->store, &txn) < 0)
        return oldest_ms;
    int rc = store_at_or_after(txn, &key, &key, &value, &bytes);
    if (rc == E_OK && store_key_is_block(&key, lane, &first, &fragment) &&
        block_open(value, bytes, &header) == E_OK)
        oldest_ms = begin_ms(spool, &header);
    store_abort(txn);
    return oldest_ms;
}

static uint64_t stored_locked(const struct spool *spool, enum lane lane)
{
    const struct lane_state *state = &spool->lanes[lane];
    uint64_t most = state->holders == 0 ? state->flash.records : 0;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        if ((state->holders & 1U << i) == 0)
            continue;
        const struct spool_counters *counters = &spool->routes[i]->counters[lane];
        uint64_t stored =
            counters->accepted - counters->delivered - counters->dead - counters->evicted;
        most = stored > most ? stored : most;
    }
    return most;
}

static void get_lane_locked(const struct spool *spool, enum lane lane,
                            const struct spool_clock_reading *now, int64_t oldest_wall_ms,
                            struct spool_lane_status *ret_status)
{
    const struct lane_state *state = &spool->lanes[lane];
    int64_t pending_boot_ms = spool_head_oldest_pending_locked(spool, lane);
    int64_t age_ms = 0;
    ret_status->pending = state->pending;
    ret_status->refused = state->refused;
    ret_status->stored = stored_locked(spool, lane);
    ret_status->stored_bytes = state->flash.bytes;
    if (pending_boot_ms != INT64_MAX)
        age_ms = now->boot_ms - pending_boot_ms;
    if (oldest_wall_ms != INT64_MAX && ret_status->stored > 0 &&
        now->boot_ms + now->offset_ms - oldest_wall_ms > age_ms)
        age_ms = now->boot_ms + now->offset_ms - oldest_wall_ms;
    ret_status->oldest_age_ms = age_ms > 0 ? age_ms : 0;
}

int spool_get_set_aside(struct spool *spool, struct spool_set_aside *ret_aside)
{
    if (!spool->aside_now)
        return E_NOT_FOUND;
    *ret_aside = spool->set_aside; /* known since spool_open */
    return E_OK;
}

void spool_get_status(struct spool *spool, struct spool_status *ret_status)
{
    int64_t oldest_ms[LANE_COUNT];
    struct spool_clock_reading now;
    spool->options.clock(spool->options.clock_context, &now);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        oldest_ms[lane] = oldest_on_flash(spool, lane);
    (void)pthread_mutex_lock(&spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        get_lane_locked(spool, lane, &now, oldest_ms[lane], &ret_status->lanes[lane]);
    ret_status->commits = spool->commits;
    spool_commit_turn_day_locked(spool, &now);
    ret_status->flash_bytes = spool->flash_bytes;
    ret_status->flash_today_bytes = spool->flash_today_bytes;
    ret_status->size_bytes = spool->size_bytes;
    ret_status->used_bytes = spool->use.used_pages * spool->use.page_bytes;
    ret_status->aside = spool->aside;
    ret_status->aside_now = spool->aside_now;
    ret_status->salvaging = spool->salvaging;
    ret_status->counters_since_ms = spool->counters_since_ms;
    ret_status->durable = atomic_load(&spool->store_ready) && spool->commit_error == E_OK;
    ret_status->error = spool->commit_error;
    (void)pthread_mutex_unlock(&spool->lock);
}
