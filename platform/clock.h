/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_CLOCK_H
#define RUNNEL_PLATFORM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { CLOCK_BOOT_ID_BYTES = 16 };

/** CLOCK_MONOTONIC: deadlines, back-off, lifetimes. Does not run while the system is suspended. */
int64_t clock_mono_ms(void);

/** CLOCK_BOOTTIME: the stamp of samples. Runs on while the system is suspended. */
int64_t clock_boot_ms(void);

/** CLOCK_REALTIME since 1970 UTC: data only, never a deadline; may be wrong, may jump. */
int64_t clock_wall_ms(void);

/** Whether the kernel calls its clock synchronised (adjtimex(2): neither TIME_ERROR nor UNSYNC). */
bool clock_kernel_synced(void);

/** The kernel's random id of this boot, or random bytes where /proc does not give it. */
void clock_boot_id(uint8_t ret_id[CLOCK_BOOT_ID_BYTES]);

/** CPU time of the process in microseconds. */
int64_t clock_cpu_us(void);

#endif
