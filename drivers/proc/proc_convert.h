/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_PROC_PROC_CONVERT_H
#define RUNNEL_DRIVERS_PROC_PROC_CONVERT_H

#include <sys/statvfs.h>

#include "drivers/bus/procfs.h"

/** Texts of /proc and /sys as proc(5) and the kernel's admin-guide have them, into values: VALUES
 * is the first of those that the function sets; what a text does not say is left as it is. Pure. */

enum { PROC_MEMORY_VALUES = 3, PROC_SPACE_VALUES = 3, PROC_SWAP_VALUES = 2 };

/** Total, available, used, of /proc/meminfo. */
void proc_convert_memory(struct procfs_text memory, struct value values[PROC_MEMORY_VALUES]);

/** Total, used, of /proc/meminfo. */
void proc_convert_swap(struct procfs_text memory, struct value values[PROC_SWAP_VALUES]);

/** Total, available, used of a file system; "used" counts what it keeps for root as free, as df(1)
 *  does. */
void proc_convert_space(const struct statvfs *space, struct value values[PROC_SPACE_VALUES]);

/** In this order; the first two are bytes. */
enum proc_counter {
    PROC_RX,
    PROC_TX,
    PROC_RX_ERRORS,
    PROC_TX_ERRORS,
    PROC_RX_DROPPED,
    PROC_TX_DROPPED,
    PROC_COUNTERS
};

/** Sums up INTERFACE of /proc/net/dev, or all but lo if it is NULL; false if there is none. */
bool proc_convert_network(struct procfs_text network, const char *interface,
                          uint64_t ret_sums[PROC_COUNTERS]);

/** The names of all interfaces, behind USED characters of TEXT; returns how many it has then. */
size_t proc_convert_names(struct procfs_text network, char *text, size_t text_bytes, size_t used);

/** Where the processors' time went since the start, in ticks; total 0: not known. */
enum proc_share { PROC_USER, PROC_SYSTEM, PROC_IOWAIT, PROC_IDLE, PROC_SHARES };
struct proc_times {
    uint64_t shares[PROC_SHARES];
    uint64_t total;
};

/** Of /proc/stat; interrupts and what a hypervisor took are "system". */
struct proc_times proc_convert_times(struct procfs_text stat);

/** The shares of what passed from BEFORE to NOW, in per cent with one decimal. */
void proc_convert_shares(const struct proc_times *before, const struct proc_times *now,
                         struct value values[PROC_SHARES]);

/** How much of the last 10 s something waited, of a file of /proc/pressure. */
void proc_convert_pressure(struct procfs_text pressure, struct value *value);

/** Bytes read, bytes written, seconds busy, of /sys/block/NAME/stat. */
enum { PROC_BLOCK_VALUES = 3, PROC_BUSY_DECIMALS = 3 };
void proc_convert_block(struct procfs_text stat, struct value values[PROC_BLOCK_VALUES]);

#endif
