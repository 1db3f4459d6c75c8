/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_RANDOM_H
#define RUNNEL_PLATFORM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Fills BYTES from the kernel (getrandom(2), waits for its first seeding). Aborts if it cannot. */
void random_bytes(void *bytes, size_t count);

/** Whether random_bytes would answer without waiting: false only early in a boot. */
bool random_is_seeded(void);

/** A number below LIMIT (> 0), evenly spread. */
uint64_t random_below(uint64_t limit);

#endif
