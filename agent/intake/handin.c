/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/handin.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/intake/handin_state.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

void handin_say(char fault[PAYLOAD_FAULT_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault, PAYLOAD_FAULT_BYTES, format, arguments);
    va_end(arguments);
}

/* ---- opening ---- */

static void set_entry(struct handin_entry *entry, const char *name,
                      const struct handin_sensor *setup)
{
    entry->setup = setup;
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
}

static int add_configured(struct handin *handin)
{
    const struct handin_options *options = &handin->options;
    for (size_t i = 0; i < options->sensor_count; i++) {
        const struct handin_sensor *setup = &options->sensors[i];
        struct handin_entry *entry = &handin->entries[handin->entry_count++];
        set_entry(entry, setup->name, setup);
        if (setup->transform == NULL)
            continue;
        entry->bound = calloc(1, sizeof *entry->bound);
        if (entry->bound == NULL)
            return E_NO_MEMORY;
    }
    return E_OK;
}

static int allocate(struct handin *handin)
{
    const struct handin_options *options = &handin->options;
    handin->entries_max = options->sensor_count > 0 ? options->sensor_count : options->sensors_max;
    handin->entries = calloc(handin->entries_max, sizeof *handin->entries);
    handin->room.text = malloc(options->document_bytes_max);
    handin->room.text_bytes = options->document_bytes_max;
    handin->document = malloc(options->document_bytes_max);
    if (handin->entries == NULL || handin->room.text == NULL || handin->document == NULL)
        return E_NO_MEMORY;
    return add_configured(handin);
}

static void free_all(struct handin *handin)
{
    for (size_t i = 0; i < handin->entry_count; i++)
        free(handin->entries[i].bound);
    free(handin->entries);
    free(handin->room.text);
    free(handin->document);
    (void)pthread_mutex_destroy(&handin->lock);
    free(handin);
}

int handin_open(const struct handin_options *options, struct handin **ret_handin)
{
    struct handin *handin = calloc(1, sizeof *handin);
    if (handin == NULL)
        return E_NO_MEMORY;
    handin->options = *options;
    handin->any = (struct handin_sensor){.lane = LANE_NORMAL, .lanes = {true, true, true}};
    (void)pthread_mutex_init(&handin->lock, NULL);
    int rc = allocate(handin);
    if (rc < 0) {
        free_all(handin);
        return rc;
    }
    *ret_handin = handin;
    return E_OK;
}

/* ---- finding the sensor ---- */

static struct handin_entry *find_entry(const struct handin *handin, const char *name)
{
    for (size_t i = 0; i < handin->entry_count; i++)
        if (strcmp(handin->entries[i].name, name) == 0)
            return &handin->entries[i];
    return NULL;
}

/* As the configuration has it for sensors. */
static bool is_name(const char *name)
{
    size_t count = parse_name_bytes(name);
    return count > 0 && count < SAMPLE_NAME_BYTES && name[count] == '\0' &&
           strcmp(name, "runnel") != 0;
}

static bool is_taken(const struct handin_options *options, const char *name)
{
    for (size_t i = 0; i < options->taken_count; i++)
        if (strcmp(options->taken[i], name) == 0)
            return true;
    return false;
}

/* ENTRY is NULL for a sensor that is new, which becomes one with its first good message. */
static int find_sensor(const struct handin *handin, const char *name, struct handin_entry **entry,
                       char fault[PAYLOAD_FAULT_BYTES])
{
    const struct handin_options *options = &handin->options;
    if (is_taken(options, name)) {
        handin_say(fault, "this sensor has a driver, and takes nothing from peers");
        return E_EXISTS;
    }
    *entry = find_entry(handin, name);
    if (*entry != NULL)
        return E_OK;
    if (options->sensor_count > 0 || !is_name(name)) {
        handin_say(fault, options->sensor_count > 0
                              ? "there is no such sensor in the configuration"
                              : "no name of a sensor: 1 to 31 letters, digits, _ . -");
        return E_NOT_FOUND;
    }
    if (handin->entry_count < handin->entries_max)
        return E_OK;
    handin_say(fault, "there are %zu sensors, and cannot be more", handin->entry_count);
    return E_BUSY;
}

static struct handin_entry *add_entry(struct handin *handin, const char *name)
{
    (void)pthread_mutex_lock(&handin->lock);
    struct handin_entry *entry = &handin->entries[handin->entry_count++];
    set_entry(entry, name, &handin->any);
    (void)pthread_mutex_unlock(&handin->lock);
    return entry;
}

/* ---- whether the message may come in ---- */

static size_t bytes_max(const struct handin *handin, const struct handin_sensor *setup)
{
    return setup->bytes_max > 0 ? setup->bytes_max : handin->options.document_bytes_max;
}

static bool takes_format(const struct handin_sensor *setup, unsigned format)
{
    bool takes = setup->format_count == 0;
    for (size_t i = 0; i < setup->format_count; i++)
        takes = takes || setup->formats[i] == format;
    return takes && payload_is_known(format);
}

static int choose_lane(const struct handin *handin, const struct handin_sensor *setup,
                       const struct handin_request *request, enum lane *ret_lane, char *fault)
{
    enum lane lane = request->lane == NULL ? setup->lane : lane_find(request->lane);
    const char *why = NULL;
    if (lane == LANE_COUNT) {
        handin_say(fault, "no lane has this name: alarm, normal, bulk");
        return E_INVALID;
    }
    if (lane != setup->lane && !setup->lanes[lane])
        why = "this sensor";
    else if (!request->may_lane[lane])
        why = "this peer";
    if (why != NULL)
        handin_say(fault, "the lane %s is not for %s", lane_name(lane), why);
    else if (!handin->options.carries[lane])
        handin_say(fault, "no route carries the lane %s", lane_name(lane));
    if (why != NULL || !handin->options.carries[lane])
        return E_DENIED;
    *ret_lane = lane;
    return E_OK;
}

static int admit(const struct handin *handin, const struct handin_sensor *setup,
                 const struct handin_request *request, enum lane *ret_lane, char *fault)
{
    size_t most = bytes_max(handin, setup);
    int rc = choose_lane(handin, setup, request, ret_lane, fault);
    if (rc < 0)
        return rc;
    if (!takes_format(setup, request->format)) {
        handin_say(fault, "this sensor takes no content format %u", request->format);
        return E_UNSUPPORTED;
    }
    if (request->count <= most)
        return E_OK;
    handin_say(fault, "%zu bytes are too many, %zu are the most", request->count, most);
    return E_TOO_BIG;
}

/* ---- reading it, twice ---- */

struct judging {
    const struct validate_rules *rules;
    char *fault;
};

static int judge_record(void *context, const struct payload_record *record)
{
    const struct judging *judging = context;
    return validate_record(judging->rules, record, judging->fault);
}

static int store_record(void *context, const struct payload_record *record)
{
    return handin_store_record(context, record);
}

static struct payload describe(const struct handin *handin, const struct handin_request *request,
                               const struct spool_clock_reading *came)
{
    bool knows =
        came->quality == TIME_SYNCED && handin->options.knows_time(handin->options.context);
    return (struct payload){.format = request->format,
                            .bytes = request->bytes,
                            .count = request->count,
                            .now_boot_ms = came->boot_ms,
                            .offset_ms = came->offset_ms,
                            .knows_time = knows};
}

/* ENTRY as find_sensor has it. */
static int take(struct handin *handin, const struct handin_request *request,
                struct handin_entry **entry, struct handin_receipt *receipt, char *fault)
{
    const struct handin_sensor *setup = *entry != NULL ? (*entry)->setup : &handin->any;
    struct spool_clock_reading came;
    struct judging judging = {.rules = &setup->rules, .fault = fault};
    struct handin_message message = {
        .handin = handin, .came = &came, .receipt = receipt, .fault = fault};
    int rc = admit(handin, setup, request, &message.lane, fault);
    if (rc < 0)
        return rc;
    handin->options.clock(handin->options.context, &came);
    const struct payload payload = describe(handin, request, &came);
    rc = payload_read(&payload, &handin->room, judge_record, &judging, fault);
    if (rc < 0)
        return rc;
    if (*entry == NULL)
        *entry = add_entry(handin, request->sensor);
    message.entry = *entry;
    return payload_read(&payload, &handin->room, store_record, &message, fault);
}

/* ---- counting ---- */

static bool is_want_of_room(int code)
{
    return code == E_REFUSED || code == E_AGAIN || code == E_FULL || code == E_BUSY;
}

static void note(struct handin *handin, struct handin_entry *entry, int rc, unsigned records)
{
    struct spool_clock_reading now;
    handin->options.clock(handin->options.context, &now);
    (void)pthread_mutex_lock(&handin->lock);
    entry->records += records;
    if (rc == E_OK) {
        entry->messages++;
        entry->accepted_boot_ms = now.boot_ms;
    } else if (is_want_of_room(rc)) {
        entry->refused++;
    } else if (rc != E_DENIED) {
        entry->faults++;
    }
    (void)pthread_mutex_unlock(&handin->lock);
}

int handin_put(struct handin *handin, const struct handin_request *request,
               struct handin_receipt *ret_receipt, char fault[PAYLOAD_FAULT_BYTES])
{
    struct handin_entry *entry = NULL;
    *ret_receipt = (struct handin_receipt){.records = 0};
    fault[0] = '\0';
    int rc = find_sensor(handin, request->sensor, &entry, fault);
    if (rc < 0)
        return rc;
    ret_receipt->bytes_max = bytes_max(handin, entry != NULL ? entry->setup : &handin->any);
    rc = take(handin, request, &entry, ret_receipt, fault);
    if (rc < 0 && fault[0] == '\0')
        handin_say(fault, "%s", is_want_of_room(rc) ? "there is no room now" : ERROR_TEXT(rc));
    if (entry != NULL)
        note(handin, entry, rc, ret_receipt->records);
    return rc;
}

/* ---- what transforms hold ---- */

static int64_t entry_due_ms(const struct handin_entry *entry)
{
    if (entry->bound == NULL || !entry->bound->is_bound)
        return INT64_MAX;
    if (entry->bound->is_held)
        return entry->bound->retry_boot_ms;
    return entry->setup->transform->due_ms(entry->setup->transform->context);
}

int64_t handin_due_ms(const struct handin *handin)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < handin->entry_count; i++) {
        int64_t own_ms = entry_due_ms(&handin->entries[i]);
        due_ms = own_ms < due_ms ? own_ms : due_ms;
    }
    return due_ms;
}

void handin_flush(struct handin *handin, int64_t boot_ms)
{
    struct spool_clock_reading now;
    handin->options.clock(handin->options.context, &now);
    for (size_t i = 0; i < handin->entry_count; i++) {
        struct handin_entry *entry = &handin->entries[i];
        struct handin_receipt receipt = {.records = 0};
        char fault[PAYLOAD_FAULT_BYTES];
        const struct handin_message message = {.handin = handin,
                                               .entry = entry,
                                               .lane = entry->setup->lane,
                                               .came = &now,
                                               .receipt = &receipt,
                                               .fault = fault};
        if (entry_due_ms(entry) > boot_ms)
            continue;
        (void)handin_store_flush(&message, boot_ms); /* what found no room is due again */
        (void)pthread_mutex_lock(&handin->lock);
        entry->records += receipt.records;
        (void)pthread_mutex_unlock(&handin->lock);
    }
}

void handin_close(struct handin *handin)
{
    if (handin == NULL)
        return;
    handin_flush(handin, INT64_MAX);
    free_all(handin);
}

/* ---- status ---- */

int handin_get_status(struct handin *handin, size_t index, struct handin_status *ret_status)
{
    struct spool_clock_reading now;
    handin->options.clock(handin->options.context, &now);
    (void)pthread_mutex_lock(&handin->lock);
    bool is_there = index < handin->entry_count;
    if (is_there) {
        const struct handin_entry *entry = &handin->entries[index];
        *ret_status = (struct handin_status){
            .messages = entry->messages,
            .records = entry->records,
            .refused = entry->refused,
            .faults = entry->faults,
            .age_ms = entry->messages > 0 ? now.boot_ms - entry->accepted_boot_ms : -1};
        memcpy(ret_status->name, entry->name, sizeof ret_status->name);
    }
    (void)pthread_mutex_unlock(&handin->lock);
    return is_there ? E_OK : E_END;
}
