/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MEMORY_H
#define RUNNEL_PLATFORM_MEMORY_H

/**
 * Gives the pages that free(3) left behind back to the kernel, also those between what is in use,
 * where the C library can: glibc keeps them else until the heap's end is free. To be called behind
 * the end of much that will not come back in the same shape; it takes as long as a walk through
 * the heap.
 */
void memory_give_back(void);

#endif
