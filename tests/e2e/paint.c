/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures how deep stacks are used, preloaded into the program: each new thread's stack is painted
 * before the thread begins, and looked at when it ends. A line for each goes into the file that
 * RUNNEL_PAINT names: the stack's bytes, the most that were used of them, the thread's name.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAINT = 0xa5, OWN_BYTES = 1024, NAME_BYTES = 16 };

typedef int create_function(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*run)(void *), void *argument);

struct start {
    void *(*run)(void *argument);
    void *argument;
};

struct stack {
    volatile uint8_t *low;
    size_t bytes;
};

/* Without the guard. */
static struct stack find_stack(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
        pthread_attr_getstack(&attributes, &low, &bytes) != 0)
        abort();
    (void)pthread_attr_destroy(&attributes);
    return (struct stack){low, bytes};
}

static __attribute__((noinline)) void paint(const struct stack *stack)
{
    size_t used = (size_t)((volatile uint8_t *)__builtin_frame_address(0) - stack->low);
    for (size_t i = 0; i + OWN_BYTES < used; i++)
        stack->low[i] = PAINT;
}

static void report(const struct stack *stack)
{
    char name[NAME_BYTES] = "";
    size_t clean = 0;
    while (clean < stack->bytes && stack->low[clean] == PAINT)
        clean++;
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    int fd = open(getenv("RUNNEL_PAINT"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, "%zu %zu %s\n", stack->bytes, stack->bytes - clean, name) < 0)
        abort();
    (void)close(fd);
}

static void *run_painted(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    struct stack stack = find_stack();
    paint(&stack);
    void *result = start.run(start.argument);
    report(&stack);
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    create_function *create;
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        abort();
    /* POSIX wants what dlsym returns to be copied into a pointer to a function. */
    *(void **)(&create) = dlsym(RTLD_NEXT, "pthread_create");
    *start = (struct start){run, argument};
    return create(thread, attributes, run_painted, start);
}
