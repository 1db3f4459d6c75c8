/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_THREAD_H
#define RUNNEL_PLATFORM_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/** All fields are private, except that one that is not running may be {0}. */
struct thread {
    unsigned long handle;
    int done_fd; /* an eventfd that the thread signals as the last thing it does */
    bool running;
};

/**
 * Starts a thread named NAME (cut to 15 characters) with CONFIG_STACK_BYTES of stack, raised to
 * what the system demands and multiplied under sanitizers, above 64 KiB that nobody may touch. All
 * signals are blocked in it.
 * Returns 0, E_NO_MEMORY or error_sys.
 */
int thread_start(struct thread *ret_thread, const char *name, void (*run)(void *context),
                 void *context);

/**
 * Waits for its end until DEADLINE_MS (clock_mono_ms) and gives back what it held; E_TIMEOUT
 * leaves it running. One that is not running is joined at once.
 */
int thread_join(struct thread *thread, int64_t deadline_ms);

#endif
