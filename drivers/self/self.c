/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/procfs.h"
#include "drivers/driver.h"
#include "platform/base/error.h"

/* The agent itself: its process as proc(5) tells of it, and what the agent counts. */

enum {
    STATUS_BYTES = 4096,
    STAT_BYTES = 1024,
    ROOT_BYTES = 128,
    PATH_BYTES = ROOT_BYTES + 32,
    CPU_DECIMALS = 2,
    FILL_DECIMALS = 1,
};

enum channel_index {
    UPTIME,
    RSS,
    PRIVATE,
    CPU,
    THREADS,
    DESCRIPTORS,
    PENDING,
    STORED,
    STORED_BYTES,
    SPOOL_FILL,
    OLDEST_AGE,
    DELIVERED,
    RETRIED,
    THROTTLED,
    DEAD,
    EVICTED,
    FLASH_COMMITS,
    FLASH_BYTES,
    LINK_BYTES,
    FAILING,
    HEALTHY,
    WARNINGS,
    CLOCK,
    CHANNELS
};

static const struct channel channels[CHANNELS] = {
    [UPTIME] = {"uptime", "s", 0},
    [RSS] = {"rss", "B", 0},
    [PRIVATE] = {"private", "B", 0},
    [CPU] = {"cpu", "s", CPU_DECIMALS},
    [THREADS] = {"threads", "count", 0},
    [DESCRIPTORS] = {"descriptors", "count", 0},
    [PENDING] = {"pending", "count", 0},
    [STORED] = {"stored", "count", 0},
    [STORED_BYTES] = {"stored_bytes", "B", 0},
    [SPOOL_FILL] = {"spool_fill", "%", FILL_DECIMALS},
    [OLDEST_AGE] = {"oldest_age", "s", 0},
    [DELIVERED] = {"delivered", "count", 0},
    [RETRIED] = {"retried", "count", 0},
    [THROTTLED] = {"throttled", "count", 0},
    [DEAD] = {"dead", "count", 0},
    [EVICTED] = {"evicted", "count", 0},
    [FLASH_COMMITS] = {"flash_commits", "count", 0},
    [FLASH_BYTES] = {"flash_bytes", "B", 0},
    [LINK_BYTES] = {"link_bytes", "B", 0},
    [FAILING] = {"failing", "count", 0},
    [HEALTHY] = {"healthy", "", 0},
    [WARNINGS] = {"warnings", "count", 0},
    [CLOCK] = {"clock", "", 0},
};

struct self {
    char root[ROOT_BYTES];
    const struct driver_agent *agent;
    char status_bytes[STATUS_BYTES];
    char stat_bytes[STAT_BYTES];
    struct procfs_text status;
    struct procfs_text stat;
    int descriptors; /* < 0: the error of counting them */
    struct driver_health health;
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {{0}};

/* Without the one that the count itself takes. */
static int count_descriptors(const char *root)
{
    char path[PATH_BYTES];
    const struct dirent *entry;
    int count = -1;
    (void)snprintf(path, sizeof path, "%s/proc/self/fd", root);
    DIR *listing = opendir(path);
    if (listing == NULL)
        return error_sys(errno);
    while ((entry = readdir(listing)) != NULL)
        count += entry->d_name[0] != '.' ? 1 : 0;
    (void)closedir(listing);
    return count;
}

static int read_status(struct self *self)
{
    int rc = procfs_read(self->root, "/proc/self/status", self->status_bytes, STATUS_BYTES,
                         &self->status);
    if (rc < 0)
        driver_say(self->fault, "%s/proc/self/status: %s; is /proc mounted?", self->root,
                   ERROR_TEXT(rc));
    return rc < 0 ? rc : 0;
}

static int self_open(void *instance, const struct driver_context *context)
{
    struct self *self = instance;
    if (strlen(context->root) >= sizeof self->root)
        return E_TOO_BIG;
    (void)strcpy(self->root, context->root);
    self->agent = context->agent;
    int rc = read_status(self);
    if (rc < 0)
        driver_say(context->fault, "%s", self->fault);
    return rc;
}

static int self_channels(const void *instance, struct channel *ret_channels)
{
    (void)instance;
    memcpy(ret_channels, channels, sizeof channels);
    return CHANNELS;
}

static int self_fetch(void *instance, int64_t deadline_ms)
{
    struct self *self = instance;
    (void)deadline_ms; /* the kernel and the agent answer from memory */
    self->fault[0] = '\0';
    int rc = read_status(self);
    if (rc < 0)
        return rc;
    (void)procfs_read(self->root, "/proc/self/stat", self->stat_bytes, STAT_BYTES, &self->stat);
    self->descriptors = count_descriptors(self->root);
    if (self->agent != NULL)
        self->agent->look(self->agent->context, &self->health);
    return 0;
}

/* ---- reading ---- */

static void set_count(struct value *value, uint64_t count)
{
    procfs_set_count(value, count, 1);
}

/* "pid (name) state ...": the name may hold anything, utime and stime are words 14 and 15. */
static void convert_cpu(struct procfs_text stat, struct value *value)
{
    long ticks_per_second = sysconf(_SC_CLK_TCK);
    uint64_t user;
    uint64_t system;
    int behind = stat.count;
    while (behind > 0 && stat.bytes[behind - 1] != ')')
        behind--;
    if (behind <= 0 || ticks_per_second <= 0)
        return;
    stat.bytes += behind;
    stat.count -= behind;
    (void)procfs_skip_to_word(&stat, 11);
    if (!procfs_next_unsigned(&stat, &user) || !procfs_next_unsigned(&stat, &system) ||
        user > INT64_MAX / 400 || system > INT64_MAX / 400)
        return;
    *value =
        (struct value){.kind = VALUE_DECIMAL,
                       .decimals = CPU_DECIMALS,
                       .mantissa = (int64_t)((user + system) * 100 / (uint64_t)ticks_per_second)};
}

static void convert_process(const struct self *self, struct value *values)
{
    uint64_t number;
    if (procfs_find_unsigned(self->status, "VmRSS:", &number))
        procfs_set_count(&values[RSS], number, 1024);
    if (procfs_find_unsigned(self->status, "Threads:", &number))
        set_count(&values[THREADS], number);
    if (self->descriptors >= 0)
        set_count(&values[DESCRIPTORS], (uint64_t)self->descriptors);
    convert_cpu(self->stat, &values[CPU]);
}

/* Per mille, which is per cent with a decimal; rounded down, so that only what is full is 100. */
static void convert_fill(const struct driver_health *health, struct value *value)
{
    if (health->spool_bytes == 0 || health->spool_used_bytes > INT64_MAX / 1000)
        return;
    *value = (struct value){.kind = VALUE_DECIMAL,
                            .decimals = FILL_DECIMALS,
                            .mantissa =
                                (int64_t)(health->spool_used_bytes * 1000 / health->spool_bytes)};
}

static void convert_agent(const struct driver_health *health, struct value *values)
{
    const struct {
        enum channel_index channel;
        uint64_t count;
    } counts[] = {
        {UPTIME, (uint64_t)health->uptime_ms / 1000},
        {PENDING, health->pending},
        {STORED, health->stored},
        {STORED_BYTES, health->stored_bytes},
        {OLDEST_AGE, (uint64_t)health->oldest_age_ms / 1000},
        {DELIVERED, health->delivered},
        {RETRIED, health->retried},
        {THROTTLED, health->throttled},
        {DEAD, health->dead},
        {EVICTED, health->evicted},
        {FLASH_COMMITS, health->flash_commits},
        {FLASH_BYTES, health->flash_bytes},
        {LINK_BYTES, health->link_bytes},
        {FAILING, health->failing},
        {HEALTHY, health->healthy ? 1 : 0},
        {WARNINGS, health->warnings},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        set_count(&values[counts[i].channel], counts[i].count);
    if (health->private_bytes > 0) /* 0: the kernel does not say */
        set_count(&values[PRIVATE], health->private_bytes);
    convert_fill(health, &values[SPOOL_FILL]);
    values[CLOCK] = (struct value){
        .kind = VALUE_TEXT, .text = health->clock, .text_bytes = strlen(health->clock)};
}

static int self_read(void *instance, struct sample *ret_sample)
{
    struct self *self = instance;
    struct sample sample = {.value_count = CHANNELS};
    convert_process(self, sample.values);
    if (self->agent != NULL)
        convert_agent(&self->health, sample.values);
    if (sample.values[RSS].kind == VALUE_ABSENT && sample.values[THREADS].kind == VALUE_ABSENT) {
        driver_say(self->fault, "%s/proc/self/status: says neither VmRSS nor Threads", self->root);
        return E_SYNTAX;
    }
    *ret_sample = sample;
    return 0;
}

static const char *self_fault(const void *instance)
{
    const struct self *self = instance;
    return self->fault[0] != '\0' ? self->fault : NULL;
}

static const char *self_lack(const void *instance)
{
    const struct self *self = instance;
    return self->agent == NULL ? "what the agent counts: this process is not the agent" : NULL;
}

static void self_close(void *instance)
{
    (void)instance; /* nothing stays open between two readings */
}

const struct driver driver_self = {
    .name = "self",
    .summary = "memory, processor time, records, flash and health of the agent itself",
    .keys = keys,
    .instance_bytes = sizeof(struct self),
    .open = self_open,
    .channels = self_channels,
    .fetch = self_fetch,
    .read = self_read,
    .fault = self_fault,
    .lack = self_lack,
    .close = self_close,
};
