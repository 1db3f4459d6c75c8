/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/memory.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* glibc's own default, which it raises by itself unless somebody sets it. */
enum { LARGE_BYTES = 128 * 1024 };

void memory_prepare(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_ARENA_MAX, 1);
#endif
}

void memory_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
