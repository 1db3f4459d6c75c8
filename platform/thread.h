/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_THREAD_H
#define RUNNEL_PLATFORM_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Starts a thread named NAME (at most 15 characters) with CONFIG_STACK_BYTES of stack, raised to
 * what the system demands and multiplied under sanitizers. Returns 0 or error_sys.
 */
struct thread {
    unsigned long handle;
    bool running;
};
int thread_start(struct thread *ret_thread, const char *name, void (*run)(void *context),
                      void *context);

/** Waits for its end until DEADLINE_MS (clock_mono_ms); E_TIMEOUT leaves it running. */
int thread_join(struct thread *thread, int64_t deadline_ms);

#endif
