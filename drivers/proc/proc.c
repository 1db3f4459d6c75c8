/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "drivers/bus/procfs.h"
#include "drivers/bus/settings.h"
#include "drivers/driver.h"
#include "drivers/proc/proc_convert.h"
#include "drivers/sysfs.h"
#include "platform/base/error.h"

/* The machine itself, as proc(5) and statvfs(3) tell it. */

enum {
    LOAD_BYTES = 80,
    UPTIME_BYTES = 64,
    MEMORY_BYTES = 4096,
    NETWORK_BYTES = 16384, /* a hundred interfaces */
    TIMES_BYTES = 256,     /* of /proc/stat, whose first line is all that counts */
    SMALL_BYTES = 256,
    ROOT_BYTES = 128,
    PATH_BYTES = ROOT_BYTES + 64,
    LACK_BYTES = 2 * DRIVER_FAULT_BYTES, /* several things may be missing */
    LIST_MAX = 8,
    DISK_NAME_BYTES_MAX = 16, /* "disk_NAME_available" is a name of a channel */
    DEVICE_BYTES_MAX = 20,    /* "NAME_written", "NAME_rx_dropped" likewise */
    PRESSURES = 3,
};

/* What every one of them has. */
enum channel_index {
    LOAD1,
    LOAD5,
    LOAD15,
    MEMORY_TOTAL,
    MEMORY_AVAILABLE,
    MEMORY_USED,
    DISK_TOTAL,
    DISK_AVAILABLE,
    DISK_USED,
    NETWORK_RX,
    NETWORK_TX,
    UPTIME,
    STANDARD
};

static const struct channel standard[STANDARD] = {
    [LOAD1] = {"load1", "", 2},
    [LOAD5] = {"load5", "", 2},
    [LOAD15] = {"load15", "", 2},
    [MEMORY_TOTAL] = {"memory_total", "B", 0},
    [MEMORY_AVAILABLE] = {"memory_available", "B", 0},
    [MEMORY_USED] = {"memory_used", "B", 0},
    [DISK_TOTAL] = {"disk_total", "B", 0},
    [DISK_AVAILABLE] = {"disk_available", "B", 0},
    [DISK_USED] = {"disk_used", "B", 0},
    [NETWORK_RX] = {"network_rx", "B", 0},
    [NETWORK_TX] = {"network_tx", "B", 0},
    [UPTIME] = {"uptime", "s", 2},
};

/* What "also" may ask for. */
static const struct channel cpu[] = {
    {"cpu_user", "%", 1}, {"cpu_system", "%", 1}, {"cpu_iowait", "%", 1}, {"cpu_idle", "%", 1}};
static const struct channel pressure[PRESSURES] = {
    {"pressure_cpu", "%", 2}, {"pressure_memory", "%", 2}, {"pressure_io", "%", 2}};
static const struct channel swap[] = {{"swap_total", "B", 0}, {"swap_used", "B", 0}};
static const struct channel files[] = {{"open_files", "count", 0}};
static const struct channel errors[] = {{"network_rx_errors", "count", 0},
                                        {"network_tx_errors", "count", 0},
                                        {"network_rx_dropped", "count", 0},
                                        {"network_tx_dropped", "count", 0}};

enum extra { CPU, PRESSURE, SWAP, FILES, ERRORS, EXTRAS };
static const struct group {
    const char *name;
    const struct channel *channels;
    size_t count;
} extras[EXTRAS] = {
    [CPU] = {"cpu", cpu, sizeof cpu / sizeof cpu[0]},
    [PRESSURE] = {"pressure", pressure, PRESSURES},
    [SWAP] = {"swap", swap, sizeof swap / sizeof swap[0]},
    [FILES] = {"files", files, sizeof files / sizeof files[0]},
    [ERRORS] = {"errors", errors, sizeof errors / sizeof errors[0]},
};

/* The lists: each element has values of these names behind its own. */
static const struct channel disk_values[PROC_SPACE_VALUES] = {
    {"total", "B", 0}, {"available", "B", 0}, {"used", "B", 0}};
static const struct channel interface_values[PROC_COUNTERS] = {
    [PROC_RX] = {"rx", "B", 0},
    [PROC_TX] = {"tx", "B", 0},
    [PROC_RX_ERRORS] = {"rx_errors", "count", 0},
    [PROC_TX_ERRORS] = {"tx_errors", "count", 0},
    [PROC_RX_DROPPED] = {"rx_dropped", "count", 0},
    [PROC_TX_DROPPED] = {"tx_dropped", "count", 0}};
static const struct channel block_values[PROC_BLOCK_VALUES] = {
    {"read", "B", 0}, {"written", "B", 0}, {"busy", "s", PROC_BUSY_DECIMALS}};

struct disk {
    const char *path;
    size_t channel;
    int error; /* 0: space is good */
    struct statvfs space;
};

struct interface {
    const char *name;
    size_t channel;
};

struct block {
    const char *name;
    size_t channel;
    struct procfs_text stat;
    char stat_bytes[SMALL_BYTES];
};

struct proc {
    char root[ROOT_BYTES];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    size_t channel_count;
    size_t first[EXTRAS];  /* the channel of each that was asked for; 0: it was not */
    const char *interface; /* NULL: all but lo */
    size_t disk_count;     /* the first is the standard one */
    struct disk disks[1 + LIST_MAX];
    size_t interface_count;
    struct interface interfaces[LIST_MAX];
    size_t block_count;
    struct block blocks[LIST_MAX];
    struct procfs_text load, uptime, memory, network, files, pressures[PRESSURES];
    char load_bytes[LOAD_BYTES];
    char uptime_bytes[UPTIME_BYTES];
    char memory_bytes[MEMORY_BYTES];
    char network_bytes[NETWORK_BYTES];
    char files_bytes[SMALL_BYTES];
    char pressure_bytes[PRESSURES][SMALL_BYTES];
    char times_bytes[TIMES_BYTES];
    struct proc_times before, now;
    char fault[DRIVER_FAULT_BYTES]; /* the last file that could not be read */
    char lack[LACK_BYTES];
};

static const struct driver_key keys[] = {
    {"disk", DRIVER_KEY_TEXT, false, "a path on the file system to watch; default \"/\""},
    {"interface", DRIVER_KEY_TEXT, false,
     "the network interface to count; default: the sum of all but lo"},
    {"also[]", DRIVER_KEY_TEXT, false, "more values: cpu, pressure, swap, files, errors"},
    {"disks[].name", DRIVER_KEY_TEXT, true, "what a further file system is called in channels"},
    {"disks[].path", DRIVER_KEY_TEXT, true, "a path on it"},
    {"interfaces[]", DRIVER_KEY_TEXT, false, "network interfaces with values of their own"},
    {"blocks[]", DRIVER_KEY_TEXT, false, "block devices whose reads and writes to count: mmcblk0"},
    {0}};

static const struct driver_limit limits[] = {
    {.key = "also[]", .choices = "cpu|pressure|swap|files|errors"}, {.key = NULL}};

/* ---- settings ---- */

static bool asks_for(const struct driver_context *context, const char *name)
{
    size_t count = settings_count(context, "also");
    for (size_t i = 0; i < count; i++) {
        const char *also = settings_member(context, "also", i, "");
        if (also != NULL && strcmp(also, name) == 0)
            return true;
    }
    return false;
}

static size_t interface_value_count(const struct driver_context *context)
{
    return asks_for(context, "errors") ? PROC_COUNTERS : PROC_TX + 1;
}

static bool occurred_before(const struct driver_context *context, const char *list,
                            const char *member, size_t index)
{
    const char *name = settings_member(context, list, index, member);
    for (size_t i = 0; i < index; i++)
        if (strcmp(settings_member(context, list, i, member), name) == 0)
            return true;
    return false;
}

/* Each a name that is no path, short enough for a channel, and there once. */
static const char *check_list(const struct driver_context *context, const char *list,
                              const char *member, size_t bytes_max)
{
    size_t count = settings_count(context, list);
    if (count > LIST_MAX) {
        driver_say(context->fault, "has more than %d elements", LIST_MAX);
        return list;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = settings_member(context, list, i, member);
        bool is_name = name != NULL && *name != '\0' && strlen(name) <= bytes_max && *name != '.' &&
                       strchr(name, '/') == NULL;
        if (is_name && !occurred_before(context, list, member, i))
            continue;
        if (is_name)
            driver_say(context->fault, "has %s twice", name);
        else
            driver_say(context->fault, "has a name that is empty, a path, or longer than %zu bytes",
                       bytes_max);
        return list;
    }
    return NULL;
}

static size_t count_channels(const struct driver_context *context)
{
    size_t count = STANDARD;
    for (size_t i = 0; i < EXTRAS; i++)
        count += asks_for(context, extras[i].name) ? extras[i].count : 0;
    count += settings_count(context, "disks") * PROC_SPACE_VALUES;
    count += settings_count(context, "interfaces") * interface_value_count(context);
    return count + settings_count(context, "blocks") * PROC_BLOCK_VALUES;
}

static const char *proc_check(const struct driver_context *context)
{
    static const char *const lists[] = {"blocks", "interfaces", "disks", "also"};
    const char *fault = check_list(context, "disks", "name", DISK_NAME_BYTES_MAX);
    if (fault == NULL)
        fault = check_list(context, "interfaces", "", DEVICE_BYTES_MAX);
    if (fault == NULL)
        fault = check_list(context, "blocks", "", DEVICE_BYTES_MAX);
    size_t count = count_channels(context);
    if (fault != NULL || count <= SAMPLE_CHANNELS_MAX)
        return fault;
    driver_say(context->fault,
               "makes %zu values in all, and a sample has at most %d; use two "
               "sensors",
               count, SAMPLE_CHANNELS_MAX);
    size_t i = 0;
    while (settings_count(context, lists[i]) == 0)
        i++; /* without any of them there are not so many */
    return lists[i];
}

/* Returns the first of COUNT channels called PREFIX and NAME and what each value is called. */
static size_t add_named(struct proc *proc, const char *prefix, const char *name,
                        const struct channel *values, size_t count)
{
    char text[64];
    size_t first = proc->channel_count;
    for (size_t i = 0; i < count; i++) {
        struct channel *channel = &proc->channels[proc->channel_count];
        *channel = values[i];
        (void)snprintf(text, sizeof text, "%.8s%.*s_%.20s", prefix, DEVICE_BYTES_MAX, name,
                       values[i].name);
        sysfs_name(channel->name, text);
        sysfs_make_unique(proc->channels, proc->channel_count++);
    }
    return first;
}

static void add_extra(struct proc *proc, enum extra extra)
{
    proc->first[extra] = proc->channel_count;
    memcpy(proc->channels + proc->channel_count, extras[extra].channels,
           extras[extra].count * sizeof *proc->channels);
    proc->channel_count += extras[extra].count;
}

static void add_lists(struct proc *proc, const struct driver_context *context)
{
    size_t count = settings_count(context, "disks");
    for (size_t i = 0; i < count; i++) {
        const char *name = settings_member(context, "disks", i, "name");
        const char *path = settings_member(context, "disks", i, "path");
        proc->disks[proc->disk_count++] = (struct disk){
            .path = path != NULL ? path : "",
            .channel = add_named(proc, "disk_", name, disk_values, PROC_SPACE_VALUES)};
    }
    count = settings_count(context, "interfaces");
    for (size_t i = 0; i < count; i++) {
        const char *name = settings_member(context, "interfaces", i, "");
        proc->interfaces[proc->interface_count++] = (struct interface){
            .name = name,
            .channel = add_named(proc, "", name, interface_values, interface_value_count(context))};
    }
    count = settings_count(context, "blocks");
    for (size_t i = 0; i < count; i++) {
        struct block *block = &proc->blocks[proc->block_count++];
        block->name = settings_member(context, "blocks", i, "");
        block->channel = add_named(proc, "", block->name, block_values, PROC_BLOCK_VALUES);
    }
}

static void plan(struct proc *proc, const struct driver_context *context)
{
    const char *disk = driver_setting(context, "disk");
    memcpy(proc->channels, standard, sizeof standard);
    proc->channel_count = STANDARD;
    proc->interface = driver_setting(context, "interface");
    proc->disks[proc->disk_count++] =
        (struct disk){.path = disk != NULL ? disk : "/", .channel = DISK_TOTAL};
    for (size_t i = 0; i < EXTRAS; i++)
        if (asks_for(context, extras[i].name))
            add_extra(proc, (enum extra)i);
    add_lists(proc, context);
}

/* ---- fetching ---- */

static int read_text(struct proc *proc, const char *path, char *buffer, size_t buffer_bytes,
                     struct procfs_text *text, const char *remedy)
{
    int rc = procfs_read(proc->root, path, buffer, buffer_bytes, text);
    if (rc < 0)
        driver_say(proc->fault, "%s%s: %s; %s", proc->root, path, ERROR_TEXT(rc), remedy);
    return rc < 0 ? rc : 0;
}

static int read_load(struct proc *proc)
{
    return read_text(proc, "/proc/loadavg", proc->load_bytes, LOAD_BYTES, &proc->load,
                     "is /proc mounted?");
}

/* As it is now; what it was is what the shares are of. */
static void fetch_times(struct proc *proc)
{
    struct procfs_text stat;
    int rc = procfs_read(proc->root, "/proc/stat", proc->times_bytes, TIMES_BYTES, &stat);
    if (rc == E_TOO_BIG)
        stat.count = TIMES_BYTES;
    else if (rc < 0)
        driver_say(proc->fault, "%s/proc/stat: %s; is /proc mounted?", proc->root, ERROR_TEXT(rc));
    proc->before = proc->now;
    proc->now = proc_convert_times(stat);
}

static void fetch_pressures(struct proc *proc)
{
    static const char *const paths[PRESSURES] = {"/proc/pressure/cpu", "/proc/pressure/memory",
                                                 "/proc/pressure/io"};
    for (size_t i = 0; i < PRESSURES; i++)
        (void)read_text(proc, paths[i], proc->pressure_bytes[i], SMALL_BYTES, &proc->pressures[i],
                        "the kernel needs CONFIG_PSI, and psi=1 where it is off at first");
}

static void fetch_block(struct proc *proc, struct block *block)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/sys/block/%.*s/stat", DEVICE_BYTES_MAX, block->name);
    (void)read_text(proc, path, block->stat_bytes, SMALL_BYTES, &block->stat,
                    "is the device there? /sys/block lists them");
}

static void fetch_extras(struct proc *proc)
{
    if (proc->first[CPU] != 0)
        fetch_times(proc);
    if (proc->first[PRESSURE] != 0)
        fetch_pressures(proc);
    if (proc->first[FILES] != 0)
        (void)read_text(proc, "/proc/sys/fs/file-nr", proc->files_bytes, SMALL_BYTES, &proc->files,
                        "is /proc mounted?");
    for (size_t i = 0; i < proc->block_count; i++)
        fetch_block(proc, &proc->blocks[i]);
}

/* What is not there (a disk that was pulled, a modem that sleeps) is absent from the sample and
 * takes nothing else with it. */
static int proc_fetch(void *instance, int64_t deadline_ms)
{
    static const char remedy[] = "is /proc mounted?";
    struct proc *proc = instance;
    (void)deadline_ms; /* the kernel answers from memory */
    proc->fault[0] = '\0';
    int load = read_load(proc);
    int uptime =
        read_text(proc, "/proc/uptime", proc->uptime_bytes, UPTIME_BYTES, &proc->uptime, remedy);
    int memory =
        read_text(proc, "/proc/meminfo", proc->memory_bytes, MEMORY_BYTES, &proc->memory, remedy);
    int network = read_text(proc, "/proc/net/dev", proc->network_bytes, NETWORK_BYTES,
                            &proc->network, remedy);
    fetch_extras(proc);
    for (size_t i = 0; i < proc->disk_count; i++) {
        struct disk *disk = &proc->disks[i];
        disk->error = statvfs(disk->path, &disk->space) < 0 ? error_sys(errno) : 0;
    }
    return load < 0 && uptime < 0 && memory < 0 && network < 0 ? load : 0;
}

static int proc_open(void *instance, const struct driver_context *context)
{
    struct proc *proc = instance;
    int rc = settings_judge(context, proc_check(context));
    if (rc < 0)
        return rc;
    if (strlen(context->root) >= sizeof proc->root)
        return E_TOO_BIG;
    (void)strcpy(proc->root, context->root);
    plan(proc, context);
    rc = read_load(proc);
    if (rc < 0)
        driver_say(context->fault, "%s", proc->fault);
    else if (proc->first[CPU] != 0)
        fetch_times(proc); /* so that the first sample has shares of something */
    return rc;
}

static int proc_channels(const void *instance, struct channel *ret_channels)
{
    const struct proc *proc = instance;
    memcpy(ret_channels, proc->channels, proc->channel_count * sizeof *ret_channels);
    return (int)proc->channel_count;
}

/* ---- what is missing ---- */

static void add_lack(struct proc *proc, const char *what)
{
    size_t used = strlen(proc->lack);
    (void)snprintf(proc->lack + used, sizeof proc->lack - used, "%s%s", used > 0 ? "; " : "", what);
}

static void say_space(struct proc *proc, const struct disk *disk)
{
    char text[DRIVER_FAULT_BYTES];
    driver_say(text, "disk %s: %s; is it mounted, and may this user look into it?", disk->path,
               ERROR_TEXT(disk->error));
    add_lack(proc, text);
}

/* With those that are there, because a name is easily misspelt. */
static void say_interface(struct proc *proc, const char *name)
{
    char text[DRIVER_FAULT_BYTES];
    int used = snprintf(text, sizeof text, "interface %.32s: there are only", name);
    if (proc->network.count >= 0)
        (void)proc_convert_names(proc->network, text, sizeof text, used > 0 ? (size_t)used : 0);
    add_lack(proc, text);
}

/* ---- reading ---- */

static void convert_standard(struct proc *proc, struct value *values)
{
    struct procfs_text load = proc->load;
    struct procfs_text uptime = proc->uptime;
    for (size_t i = LOAD1; i <= LOAD15; i++)
        procfs_set_decimal(&values[i], procfs_next_word(&load));
    procfs_set_decimal(&values[UPTIME], procfs_next_word(&uptime));
    proc_convert_memory(proc->memory, &values[MEMORY_TOTAL]);
}

static void convert_extras(struct proc *proc, struct value *values)
{
    struct procfs_text files_text = proc->files;
    uint64_t open_files;
    if (proc->first[CPU] != 0)
        proc_convert_shares(&proc->before, &proc->now, &values[proc->first[CPU]]);
    for (size_t i = 0; i < PRESSURES && proc->first[PRESSURE] != 0; i++)
        proc_convert_pressure(proc->pressures[i], &values[proc->first[PRESSURE] + i]);
    if (proc->first[SWAP] != 0)
        proc_convert_swap(proc->memory, &values[proc->first[SWAP]]);
    if (proc->first[FILES] != 0 && procfs_next_unsigned(&files_text, &open_files))
        procfs_set_count(&values[proc->first[FILES]], open_files, 1);
    for (size_t i = 0; i < proc->block_count; i++)
        proc_convert_block(proc->blocks[i].stat, &values[proc->blocks[i].channel]);
}

static void set_counters(struct value *values, const uint64_t *sums, size_t count)
{
    for (size_t i = 0; i < count; i++)
        procfs_set_count(&values[i], sums[i], 1);
}

static void convert_networks(struct proc *proc, struct value *values)
{
    uint64_t sums[PROC_COUNTERS];
    if (proc_convert_network(proc->network, proc->interface, sums)) {
        set_counters(&values[NETWORK_RX], sums, PROC_TX + 1);
        if (proc->first[ERRORS] != 0)
            set_counters(&values[proc->first[ERRORS]], sums + PROC_RX_ERRORS,
                         PROC_COUNTERS - PROC_RX_ERRORS);
    } else if (proc->interface != NULL && proc->network.count >= 0) {
        say_interface(proc, proc->interface);
    }
    for (size_t i = 0; i < proc->interface_count; i++) {
        const struct interface *interface = &proc->interfaces[i];
        if (proc_convert_network(proc->network, interface->name, sums))
            set_counters(&values[interface->channel], sums,
                         proc->first[ERRORS] != 0 ? PROC_COUNTERS : PROC_TX + 1);
        else
            say_interface(proc, interface->name);
    }
}

static void convert_disks(struct proc *proc, struct value *values)
{
    for (size_t i = 0; i < proc->disk_count; i++) {
        const struct disk *disk = &proc->disks[i];
        if (disk->error == 0)
            proc_convert_space(&disk->space, &values[disk->channel]);
        else
            say_space(proc, disk);
    }
}

static bool has_value(const struct sample *sample)
{
    for (size_t i = 0; i < sample->value_count; i++)
        if (sample->values[i].kind != VALUE_ABSENT)
            return true;
    return false;
}

static int proc_read(void *instance, struct sample *ret_sample)
{
    struct proc *proc = instance;
    struct sample sample = {.value_count = proc->channel_count};
    proc->lack[0] = '\0';
    if (proc->fault[0] != '\0')
        add_lack(proc, proc->fault); /* of the last fetch */
    convert_standard(proc, sample.values);
    convert_extras(proc, sample.values);
    convert_disks(proc, sample.values);
    convert_networks(proc, sample.values);
    if (!has_value(&sample)) {
        driver_say(proc->fault, "%s/proc: nothing there could be read", proc->root);
        return E_SYNTAX;
    }
    *ret_sample = sample;
    return 0;
}

static const char *proc_fault(const void *instance)
{
    const struct proc *proc = instance;
    return proc->fault[0] != '\0' ? proc->fault : NULL;
}

static const char *proc_lack(const void *instance)
{
    const struct proc *proc = instance;
    return proc->lack[0] != '\0' ? proc->lack : NULL;
}

static void proc_close(void *instance)
{
    (void)instance; /* nothing stays open between two readings */
}

const struct driver driver_proc = {
    .name = "proc",
    .summary = "load, processors, memory, disks, network and uptime of this machine",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct proc),
    .check = proc_check,
    .open = proc_open,
    .channels = proc_channels,
    .fetch = proc_fetch,
    .read = proc_read,
    .fault = proc_fault,
    .lack = proc_lack,
    .close = proc_close,
};
