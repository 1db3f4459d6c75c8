/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/proc/proc_convert.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/parse.h"

enum { SECTOR_BYTES = 512 }; /* of /sys/block, whatever the device has */

/* ---- memory and space ---- */

/* "MemTotal:  16384 kB", in bytes. */
static bool find_memory(struct procfs_text memory, const char *name, uint64_t *ret_bytes)
{
    uint64_t kib;
    if (!procfs_find_unsigned(memory, name, &kib) || kib > INT64_MAX / 1024)
        return false;
    *ret_bytes = kib * 1024;
    return true;
}

void proc_convert_memory(struct procfs_text memory, struct value values[PROC_MEMORY_VALUES])
{
    uint64_t total = 0;
    uint64_t available = 0;
    bool has_total = find_memory(memory, "MemTotal:", &total);
    bool has_available = find_memory(memory, "MemAvailable:", &available);
    if (has_total)
        procfs_set_count(&values[0], total, 1);
    if (has_available)
        procfs_set_count(&values[1], available, 1);
    if (has_total && has_available && available <= total)
        procfs_set_count(&values[2], total - available, 1);
}

void proc_convert_swap(struct procfs_text memory, struct value values[PROC_SWAP_VALUES])
{
    uint64_t total;
    uint64_t unused;
    if (!find_memory(memory, "SwapTotal:", &total))
        return;
    procfs_set_count(&values[0], total, 1);
    if (find_memory(memory, "SwapFree:", &unused) && unused <= total)
        procfs_set_count(&values[1], total - unused, 1);
}

void proc_convert_space(const struct statvfs *space, struct value values[PROC_SPACE_VALUES])
{
    uint64_t block = space->f_frsize;
    if (block == 0 || space->f_blocks > INT64_MAX / block || space->f_bfree > space->f_blocks)
        return;
    procfs_set_count(&values[0], space->f_blocks, block);
    if (space->f_bavail <= space->f_blocks)
        procfs_set_count(&values[1], space->f_bavail, block);
    procfs_set_count(&values[2], space->f_blocks - space->f_bfree, block);
}

/* ---- network ---- */

/* "eth0: BYTES PACKETS ERRORS DROPPED ..." for each direction, eight columns apart; older kernels
 * put no space behind the colon. */
static bool read_interface(struct procfs_text line, struct procfs_text *ret_name,
                           uint64_t ret_counters[PROC_COUNTERS])
{
    enum { COLUMNS = 16, BYTES = 0, ERRORS = 2, DROPPED = 3, TX = 8 };
    uint64_t columns[COLUMNS] = {0};
    const char *colon = line.count > 0 ? memchr(line.bytes, ':', (size_t)line.count) : NULL;
    if (colon == NULL)
        return false;
    struct procfs_text name = {.bytes = line.bytes, .count = (int)(colon - line.bytes)};
    struct procfs_text rest = {.bytes = colon + 1, .count = line.count - name.count - 1};
    *ret_name = procfs_next_word(&name);
    for (size_t i = 0; i <= TX + DROPPED; i++)
        if (!procfs_next_unsigned(&rest, &columns[i]))
            return false;
    ret_counters[PROC_RX] = columns[BYTES];
    ret_counters[PROC_TX] = columns[TX + BYTES];
    ret_counters[PROC_RX_ERRORS] = columns[ERRORS];
    ret_counters[PROC_TX_ERRORS] = columns[TX + ERRORS];
    ret_counters[PROC_RX_DROPPED] = columns[DROPPED];
    ret_counters[PROC_TX_DROPPED] = columns[TX + DROPPED];
    return true;
}

bool proc_convert_network(struct procfs_text network, const char *interface,
                          uint64_t ret_sums[PROC_COUNTERS])
{
    struct procfs_text line;
    struct procfs_text name;
    uint64_t counters[PROC_COUNTERS];
    bool found = false;
    memset(ret_sums, 0, PROC_COUNTERS * sizeof *ret_sums);
    while (procfs_next_line(&network, &line)) {
        if (!read_interface(line, &name, counters))
            continue;
        if (interface != NULL ? !procfs_is(name, interface) : procfs_is(name, "lo"))
            continue;
        for (size_t i = 0; i < PROC_COUNTERS; i++)
            ret_sums[i] += counters[i];
        found = true;
    }
    return found;
}

size_t proc_convert_names(struct procfs_text network, char *text, size_t text_bytes, size_t used)
{
    struct procfs_text line;
    struct procfs_text name;
    uint64_t counters[PROC_COUNTERS];
    while (procfs_next_line(&network, &line) && used < text_bytes)
        if (read_interface(line, &name, counters)) {
            int count = snprintf(text + used, text_bytes - used, " %.*s", name.count, name.bytes);
            used += count > 0 ? (size_t)count : 0;
        }
    return used;
}

/* ---- processors ---- */

/* "cpu  user nice system idle iowait irq softirq steal ...": guests' time is in user already. */
struct proc_times proc_convert_times(struct procfs_text stat)
{
    static const enum proc_share shares[] = {PROC_USER,   PROC_USER,   PROC_SYSTEM, PROC_IDLE,
                                             PROC_IOWAIT, PROC_SYSTEM, PROC_SYSTEM, PROC_SYSTEM};
    struct proc_times times = {.total = 0};
    struct procfs_text rest;
    uint64_t ticks;
    if (!procfs_find(stat, "cpu", &rest))
        return times;
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        if (!procfs_next_unsigned(&rest, &ticks) || ticks > INT64_MAX / 8000)
            return (struct proc_times){.total = 0};
        times.shares[shares[i]] += ticks;
        times.total += ticks;
    }
    return times;
}

/* Idle and waiting may go back a little on some kernels (proc(5)): such a share is none. */
void proc_convert_shares(const struct proc_times *before, const struct proc_times *now,
                         struct value values[PROC_SHARES])
{
    if (before->total == 0 || now->total <= before->total)
        return;
    uint64_t passed = now->total - before->total;
    for (size_t i = 0; i < PROC_SHARES; i++) {
        uint64_t part = now->shares[i] > before->shares[i] ? now->shares[i] - before->shares[i] : 0;
        part = part < passed ? part : passed;
        values[i] = (struct value){.kind = VALUE_DECIMAL,
                                   .decimals = 1,
                                   .mantissa = (int64_t)((part * 1000 + passed / 2) / passed)};
    }
}

/* "some avg10=0.12 avg60=..." */
void proc_convert_pressure(struct procfs_text pressure, struct value *value)
{
    static const char name[] = "avg10=";
    enum { NAME_BYTES = sizeof name - 1 };
    struct procfs_text rest;
    if (!procfs_find(pressure, "some", &rest))
        return;
    struct procfs_text word = procfs_next_word(&rest);
    if (word.count <= NAME_BYTES || memcmp(word.bytes, name, NAME_BYTES) != 0)
        return;
    word.bytes += NAME_BYTES;
    word.count -= NAME_BYTES;
    procfs_set_decimal(value, word);
}

/* ---- block devices ---- */

/* Reads, merged, sectors, ms; writes, merged, sectors, ms; under way, ms busy, ... */
void proc_convert_block(struct procfs_text stat, struct value values[PROC_BLOCK_VALUES])
{
    enum { READ = 2, WRITTEN = 6, BUSY = 9, COLUMNS };
    uint64_t columns[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        if (!procfs_next_unsigned(&stat, &columns[i]))
            return;
    procfs_set_count(&values[0], columns[READ], SECTOR_BYTES);
    procfs_set_count(&values[1], columns[WRITTEN], SECTOR_BYTES);
    procfs_set_count(&values[2], columns[BUSY], 1);
    if (values[2].kind == VALUE_DECIMAL)
        values[2].decimals = PROC_BUSY_DECIMALS;
}
