/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "drivers/driver.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/fs.h"

/* The machine itself, as proc(5) and statvfs(3) tell it. */

enum {
    LOAD_BYTES = 80,
    UPTIME_BYTES = 64,
    MEMORY_BYTES = 4096,
    NETWORK_BYTES = 16384, /* a hundred interfaces */
    ROOT_BYTES = 128,
    PATH_BYTES = ROOT_BYTES + 64,
    LACK_BYTES = 2 * DRIVER_FAULT_BYTES, /* several things may be missing */
};

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
    CHANNELS
};

static const struct channel channels[CHANNELS] = {
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

/* A file's text, or count < 0, the error of reading it. */
struct text {
    const char *bytes;
    int count;
};

struct proc {
    char root[ROOT_BYTES];
    const char *disk;
    const char *interface; /* NULL: all but lo */
    char load_bytes[LOAD_BYTES];
    char uptime_bytes[UPTIME_BYTES];
    char memory_bytes[MEMORY_BYTES];
    char network_bytes[NETWORK_BYTES];
    struct text load;
    struct text uptime;
    struct text memory;
    struct text network;
    int space_error; /* 0: space is good */
    struct statvfs space;
    char fault[DRIVER_FAULT_BYTES];
    char lack[LACK_BYTES];
};

static const struct driver_key keys[] = {
    {"disk", DRIVER_KEY_TEXT, false, "a path on the file system to watch; default \"/\""},
    {"interface", DRIVER_KEY_TEXT, false,
     "the network interface to count; default: the sum of all but lo"},
    {0}};

static int read_text(struct proc *proc, const char *name, char *buffer, size_t buffer_bytes,
                     struct text *text)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/proc/%s", proc->root, name);
    *text = (struct text){.bytes = buffer, .count = fs_read_file(path, buffer, buffer_bytes)};
    if (text->count < 0)
        driver_say(proc->fault, "%s: %s; is /proc mounted?", path, ERROR_TEXT(text->count));
    return text->count < 0 ? text->count : 0;
}

static int proc_open(void *instance, const struct driver_context *context)
{
    struct proc *proc = instance;
    const char *disk = driver_setting(context, "disk");
    proc->disk = disk != NULL ? disk : "/";
    proc->interface = driver_setting(context, "interface");
    if (strlen(context->root) >= sizeof proc->root)
        return E_TOO_BIG;
    (void)strcpy(proc->root, context->root);
    int rc = read_text(proc, "loadavg", proc->load_bytes, sizeof proc->load_bytes, &proc->load);
    if (rc < 0)
        driver_say(context->fault, "%s", proc->fault);
    return rc;
}

static int proc_channels(const void *instance, struct channel *ret_channels)
{
    (void)instance;
    memcpy(ret_channels, channels, sizeof channels);
    return CHANNELS;
}

/* What is not there (a disk that was pulled, a modem that sleeps) is absent from the sample and
 * takes nothing else with it. */
static int proc_fetch(void *instance, int64_t deadline_ms)
{
    struct proc *proc = instance;
    (void)deadline_ms; /* the kernel answers from memory */
    proc->fault[0] = '\0';
    int load = read_text(proc, "loadavg", proc->load_bytes, LOAD_BYTES, &proc->load);
    int uptime = read_text(proc, "uptime", proc->uptime_bytes, UPTIME_BYTES, &proc->uptime);
    int memory = read_text(proc, "meminfo", proc->memory_bytes, MEMORY_BYTES, &proc->memory);
    int network = read_text(proc, "net/dev", proc->network_bytes, NETWORK_BYTES, &proc->network);
    proc->space_error = statvfs(proc->disk, &proc->space) < 0 ? error_sys(errno) : 0;
    return load < 0 && uptime < 0 && memory < 0 && network < 0 ? load : 0;
}

/* Takes the next word off TEXT; a count of 0 at its end. */
static struct text next_word(struct text *text)
{
    struct text word;
    while (text->count > 0 && strchr(" \t\n", text->bytes[0]) != NULL) {
        text->bytes++;
        text->count--;
    }
    word = (struct text){.bytes = text->bytes};
    while (text->count > 0 && strchr(" \t\n", text->bytes[0]) == NULL) {
        text->bytes++;
        text->count--;
        word.count++;
    }
    return word;
}

/* Takes the next line off TEXT, without its newline; false at the end. */
static bool next_line(struct text *text, struct text *ret_line)
{
    if (text->count <= 0)
        return false;
    const char *end = memchr(text->bytes, '\n', (size_t)text->count);
    int length = end != NULL ? (int)(end - text->bytes) : text->count;
    int taken = end != NULL ? length + 1 : length;
    *ret_line = (struct text){.bytes = text->bytes, .count = length};
    text->bytes += taken;
    text->count -= taken;
    return true;
}

static void set_decimal(struct value *value, struct text word)
{
    if (parse_decimal(word.bytes, (size_t)word.count, &value->mantissa, &value->decimals) == 0)
        value->kind = VALUE_DECIMAL;
}

static void set_bytes(struct value *value, uint64_t bytes)
{
    if (bytes <= INT64_MAX)
        *value = (struct value){.kind = VALUE_DECIMAL, .mantissa = (int64_t)bytes};
}

static bool word_is(struct text word, const char *name)
{
    return (size_t)word.count == strlen(name) && memcmp(word.bytes, name, strlen(name)) == 0;
}

/* "MemTotal:  16384 kB", in bytes. */
static bool read_memory_line(struct text line, const char *name, uint64_t *ret_bytes)
{
    uint64_t kib;
    if (!word_is(next_word(&line), name))
        return false;
    struct text word = next_word(&line);
    if (parse_unsigned(word.bytes, (size_t)word.count, &kib) < 0 || kib > INT64_MAX / 1024)
        return false;
    *ret_bytes = kib * 1024;
    return true;
}

static void convert_memory(struct text memory, struct value *values)
{
    struct text line;
    uint64_t total = 0;
    uint64_t available = 0;
    bool has_total = false;
    bool has_available = false;
    while (next_line(&memory, &line)) {
        has_total |= read_memory_line(line, "MemTotal:", &total);
        has_available |= read_memory_line(line, "MemAvailable:", &available);
    }
    if (has_total)
        set_bytes(&values[MEMORY_TOTAL], total);
    if (has_available)
        set_bytes(&values[MEMORY_AVAILABLE], available);
    if (has_total && has_available && available <= total)
        set_bytes(&values[MEMORY_USED], total - available);
}

/* "eth0: RX-BYTES and seven more TX-BYTES ...": older kernels put no space behind the colon. */
static bool read_interface(struct text line, struct text *ret_name, uint64_t *ret_rx,
                           uint64_t *ret_tx)
{
    enum { TX_COLUMN = 8 };
    const char *colon = memchr(line.bytes, ':', (size_t)line.count);
    struct text word;
    if (colon == NULL)
        return false;
    struct text name = {.bytes = line.bytes, .count = (int)(colon - line.bytes)};
    struct text rest = {.bytes = colon + 1, .count = line.count - name.count - 1};
    *ret_name = next_word(&name);
    word = next_word(&rest);
    if (parse_unsigned(word.bytes, (size_t)word.count, ret_rx) < 0)
        return false;
    for (int column = 0; column < TX_COLUMN; column++)
        word = next_word(&rest);
    return parse_unsigned(word.bytes, (size_t)word.count, ret_tx) == 0;
}

/* Whether there is one to count. */
static bool convert_network(struct text network, const char *interface, struct value *values)
{
    struct text line;
    struct text name;
    uint64_t rx;
    uint64_t tx;
    uint64_t sum_rx = 0;
    uint64_t sum_tx = 0;
    bool found = false;
    while (next_line(&network, &line)) {
        if (!read_interface(line, &name, &rx, &tx))
            continue;
        if (interface != NULL ? !word_is(name, interface) : word_is(name, "lo"))
            continue;
        sum_rx += rx;
        sum_tx += tx;
        found = true;
    }
    if (found) {
        set_bytes(&values[NETWORK_RX], sum_rx);
        set_bytes(&values[NETWORK_TX], sum_tx);
    }
    return found;
}

/* "used" counts what the file system keeps for root as free, as df(1) does. */
static void convert_space(const struct statvfs *space, struct value *values)
{
    uint64_t block = space->f_frsize;
    if (block == 0 || space->f_blocks > INT64_MAX / block || space->f_bfree > space->f_blocks)
        return;
    set_bytes(&values[DISK_TOTAL], space->f_blocks * block);
    set_bytes(&values[DISK_USED], (space->f_blocks - space->f_bfree) * block);
    if (space->f_bavail <= space->f_blocks)
        set_bytes(&values[DISK_AVAILABLE], space->f_bavail * block);
}

static bool has_value(const struct value *values)
{
    for (size_t i = 0; i < CHANNELS; i++)
        if (values[i].kind != VALUE_ABSENT)
            return true;
    return false;
}

/* ---- what is missing ---- */

static void add_lack(struct proc *proc, const char *what)
{
    size_t used = strlen(proc->lack);
    (void)snprintf(proc->lack + used, sizeof proc->lack - used, "%s%s", used > 0 ? "; " : "", what);
}

static void say_space(struct proc *proc)
{
    char text[DRIVER_FAULT_BYTES];
    driver_say(text, "disk %s: %s; is it mounted, and may this user look into it?", proc->disk,
               ERROR_TEXT(proc->space_error));
    add_lack(proc, text);
}

/* With those that are there, because a name is easily misspelt. */
static void say_interface(struct proc *proc)
{
    char text[DRIVER_FAULT_BYTES];
    struct text network = proc->network;
    struct text line;
    struct text name;
    uint64_t rx;
    uint64_t tx;
    int used = snprintf(text, sizeof text, "interface %.32s: there are only", proc->interface);
    while (next_line(&network, &line) && used < (int)sizeof text)
        if (read_interface(line, &name, &rx, &tx))
            used +=
                snprintf(text + used, sizeof text - (size_t)used, " %.*s", name.count, name.bytes);
    add_lack(proc, text);
}

static void note_lacks(struct proc *proc, bool has_network)
{
    proc->lack[0] = '\0';
    if (proc->fault[0] != '\0')
        add_lack(proc, proc->fault); /* a file of the last fetch */
    if (proc->space_error != 0)
        say_space(proc);
    if (proc->interface != NULL && !has_network && proc->network.count >= 0)
        say_interface(proc);
}

/* ---- reading ---- */

static int proc_read(void *instance, struct sample *ret_sample)
{
    struct proc *proc = instance;
    struct sample sample = {.value_count = CHANNELS};
    struct text load = proc->load;
    struct text uptime = proc->uptime;
    for (size_t i = LOAD1; i <= LOAD15; i++)
        set_decimal(&sample.values[i], next_word(&load));
    set_decimal(&sample.values[UPTIME], next_word(&uptime));
    convert_memory(proc->memory, sample.values);
    bool has_network = convert_network(proc->network, proc->interface, sample.values);
    if (proc->space_error == 0)
        convert_space(&proc->space, sample.values);
    if (!has_value(sample.values)) {
        driver_say(proc->fault, "%s/proc: nothing there could be read", proc->root);
        return E_SYNTAX;
    }
    note_lacks(proc, has_network);
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
    .summary = "load, memory, disk space, network bytes and uptime of this machine",
    .keys = keys,
    .instance_bytes = sizeof(struct proc),
    .open = proc_open,
    .channels = proc_channels,
    .fetch = proc_fetch,
    .read = proc_read,
    .fault = proc_fault,
    .lack = proc_lack,
    .close = proc_close,
};
