/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MEMORY_H
#define RUNNEL_PLATFORM_MEMORY_H

/**
 * Has the C library keep little of what is freed, where it can be told: glibc gives each thread a
 * heap of its own, and after the first large block that is freed it takes such blocks from a heap,
 * too, where what a calloc(3) never touched is written to. To be called before the first thread.
 */
void memory_prepare(void);

/**
 * Gives the pages that free(3) left behind back to the kernel, also those between what is in use,
 * where the C library can: glibc keeps them else until the heap's end is free. To be called behind
 * the end of much that will not come back in the same shape; it takes as long as a walk through
 * the heap.
 */
void memory_give_back(void);

#endif
