/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/stop.h"

/* What a thread needs besides the system's minimum, and what sanitizers' red zones multiply. */
enum { STACK_MARGIN_BYTES = 16 * 1024, NAME_BYTES = 16 };
#ifdef RUNNEL_SANITIZED
enum { STACK_FACTOR = 4 };
#else
enum { STACK_FACTOR = 1 };
#endif

/* Below each stack, and only address space: no frame is larger than half of it (compile.cmake), so
 * that one that is too deep is caught there before it writes into what lies below. */
enum { GUARD_BYTES = 64 * 1024 };

_Static_assert(sizeof(pthread_t) <= sizeof(unsigned long), "struct thread holds a pthread_t");

struct start {
    void (*run)(void *context);
    void *context;
    int done_fd;
    char name[NAME_BYTES];
};

static void *run_thread(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.run(start.context);
    stop_event_signal(start.done_fd);
    return NULL;
}

/* glibc's PTHREAD_STACK_MIN grows with the processor's registers: it is a call of sysconf(3). The
 * guard is counted because glibc before 2.27 takes it from the stack (pthread_attr_setguardsize(3),
 * "BUGS"). */
static size_t stack_bytes(void)
{
    size_t minimum = (size_t)PTHREAD_STACK_MIN + STACK_MARGIN_BYTES;
    size_t usable = minimum > CONFIG_STACK_BYTES ? minimum : CONFIG_STACK_BYTES;
    return usable * STACK_FACTOR + GUARD_BYTES;
}

/* The new thread inherits the mask, so no signal can reach it before it would block them itself. */
static int create(pthread_t *thread, const pthread_attr_t *attributes, struct start *start)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc != 0)
        return error_sys(rc);
    rc = pthread_create(thread, attributes, run_thread, start);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc != 0 ? error_sys(rc) : 0;
}

static int create_with_stack(pthread_t *thread, struct start *start)
{
    pthread_attr_t attributes;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return error_sys(rc);
    rc = pthread_attr_setstacksize(&attributes, stack_bytes());
    if (rc == 0)
        rc = pthread_attr_setguardsize(&attributes, GUARD_BYTES);
    rc = rc != 0 ? error_sys(rc) : create(thread, &attributes, start);
    (void)pthread_attr_destroy(&attributes);
    return rc;
}

int thread_start(struct thread *ret_thread, const char *name, void (*run)(void *context),
                 void *context)
{
    pthread_t handle;
    int done_fd;
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return E_NO_MEMORY;
    int rc = stop_event_open(&done_fd);
    if (rc < 0)
        goto err;
    *start = (struct start){.run = run, .context = context, .done_fd = done_fd};
    (void)snprintf(start->name, sizeof start->name, "%s", name);
    rc = create_with_stack(&handle, start);
    if (rc < 0)
        goto err_event;
    *ret_thread =
        (struct thread){.handle = (unsigned long)handle, .done_fd = done_fd, .running = true};
    return 0;

err_event:
    (void)close(done_fd);
err:
    free(start);
    return rc;
}

int thread_join(struct thread *thread, int64_t deadline_ms)
{
    const struct stop never = {.fd = -1};
    if (!thread->running)
        return 0;
    int rc = stop_wait(&never, thread->done_fd, POLLIN, deadline_ms);
    if (rc < 0)
        return rc;
    (void)pthread_join((pthread_t)thread->handle, NULL); /* it has only to return */
    (void)close(thread->done_fd);
    thread->running = false;
    return 0;
}
