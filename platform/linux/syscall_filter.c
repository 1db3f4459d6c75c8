/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/syscall_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/error.h"

/* A list of what is let through and not of what is refused: a kernel of tomorrow has calls that
 * nobody judged yet. Refused calls fail with ENOSYS, which the C library takes for an older kernel:
 * it does without, or by an older call. So a new libc under an old list goes on, where EPERM would
 * fail it and a signal would end it. By ourselves and not by libseccomp, since the calls of the
 * architecture that we are compiled for are known to the compiler: 3 KB instead of a library of
 * 120 KB, most of which is tables of other architectures. */

#if defined(__x86_64__)
enum { OWN_ARCHITECTURE = (int)AUDIT_ARCH_X86_64 };
#elif defined(__i386__)
enum { OWN_ARCHITECTURE = (int)AUDIT_ARCH_I386 };
#elif defined(__aarch64__)
enum { OWN_ARCHITECTURE = (int)AUDIT_ARCH_AARCH64 };
#elif defined(__arm__)
enum { OWN_ARCHITECTURE = (int)AUDIT_ARCH_ARM };
#elif defined(__riscv) && __riscv_xlen == 64
enum { OWN_ARCHITECTURE = (int)AUDIT_ARCH_RISCV64 };
#else
#error "The filter of system calls does not know this architecture: set CONFIG_SECCOMP=n"
#endif

/* An older kernel's headers lack it; with it, kernels before 5.16 do not slow the process down. */
#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif
#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

static const uint32_t allowed[] = {
#include "platform/linux/syscalls.def"
#ifdef __ARM_NR_BASE
    __ARM_NR_cacheflush,
    __ARM_NR_set_tls,
#endif
};

/* What the driver "can", the network and the resolver use (runnel.service has the same). */
static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_CAN};

/* The kernel knows pairs of AF_TIPC, too, with all the code behind it. */
static const uint32_t pair_families[] = {AF_UNIX};

static const uint32_t name_spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

enum {
    ALLOWED = sizeof allowed / sizeof *allowed,
    FAMILIES = sizeof families / sizeof *families,
    PAIR_FAMILIES = sizeof pair_families / sizeof *pair_families,
    INSTRUCTIONS_MAX = 4 * ALLOWED + 32,
    JUMP_MAX = UINT8_MAX,
};

struct program {
    uint32_t refused; /* what the filter returns then */
    uint32_t edges[2 * ALLOWED];
    unsigned edge_count;
    struct sock_filter code[INSTRUCTIONS_MAX];
    unsigned count;
    bool is_too_long;
};

static void emit(struct program *program, uint16_t code, uint8_t if_true, uint8_t if_false,
                 uint32_t operand)
{
    if (program->count == INSTRUCTIONS_MAX)
        program->is_too_long = true;
    else
        program->code[program->count++] =
            (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = operand};
}

static void emit_return(struct program *program, uint32_t result)
{
    emit(program, BPF_RET | BPF_K, 0, 0, result);
}

static void emit_load(struct program *program, size_t offset)
{
    emit(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* The low half of an argument, which is all of it for those that are looked at. */
static void emit_load_argument(struct program *program, size_t index)
{
    bool is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    emit_load(program, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t) +
                           (is_big_endian ? sizeof(uint32_t) : 0));
}

/* ---- calls whose arguments count ---- */

/* Its flags lie in memory, where a filter cannot look. ENOSYS in any case: then clone serves. */
static void emit_clone3(struct program *program)
{
#ifdef __NR_clone3
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_clone3);
    emit_return(program, SECCOMP_RET_ERRNO | ENOSYS);
#else
    (void)program;
#endif
}

/* A user name space of its own gives a process all capabilities within, and half the kernel to
 * try them on. */
static void emit_clone(struct program *program)
{
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, __NR_clone);
    emit_load_argument(program, 0);
    emit(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, name_spaces);
    emit_return(program, program->refused);
    emit_return(program, SECCOMP_RET_ALLOW);
}

/* The call NUMBER with one of COUNT families. */
static void emit_families(struct program *program, uint32_t number, const uint32_t *allowed_ones,
                          uint8_t count)
{
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(count + 3), number);
    emit_load_argument(program, 0);
    for (uint8_t i = 0; i < count; i++)
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(count - i), 0, allowed_ones[i]);
    emit_return(program, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
    emit_return(program, SECCOMP_RET_ALLOW);
}

/* ---- all others, by number ---- */

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* The numbers at which "allowed" and "refused" take turns, the lowest first, with "allowed". */
static void find_edges(struct program *program)
{
    uint32_t numbers[ALLOWED];
    unsigned count = 0;
    memcpy(numbers, allowed, sizeof numbers);
    qsort(numbers, ALLOWED, sizeof *numbers, compare_numbers);
    for (unsigned i = 0; i < ALLOWED; i++) {
        if (count > 0 && numbers[i] < program->edges[count - 1])
            continue; /* one call by two names */
        if (count > 0 && numbers[i] == program->edges[count - 1])
            count--;
        else
            program->edges[count++] = numbers[i];
        program->edges[count++] = numbers[i] + 1;
    }
    program->edge_count = count;
}

/* A search by halves among the edges from LOW on and before HIGH: seven or eight steps a call. */
static void emit_search(struct program *program, unsigned low, unsigned high)
{
    if (low == high) {
        emit_return(program, low % 2 == 1 ? SECCOMP_RET_ALLOW : program->refused);
        return;
    }
    unsigned middle = (low + high) / 2;
    unsigned at = program->count;
    emit(program, BPF_JMP | BPF_JGE | BPF_K, 0, 0, program->edges[middle]);
    emit_search(program, low, middle);
    unsigned distance = program->count - at - 1;
    program->is_too_long = program->is_too_long || distance > JUMP_MAX;
    if (!program->is_too_long)
        program->code[at].jt = (uint8_t)distance;
    emit_search(program, middle + 1, high);
}

static void build(struct program *program, enum syscall_filter_refusal refusal)
{
    program->refused =
        refusal == SYSCALL_FILTER_KILLS ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | ENOSYS;
    find_edges(program);
    emit_load(program, offsetof(struct seccomp_data, arch));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, (uint32_t)OWN_ARCHITECTURE);
    emit_return(program, SECCOMP_RET_KILL_PROCESS); /* where even exit fails, it never ends */
    emit_load(program, offsetof(struct seccomp_data, nr));
    emit_clone3(program);
    emit_clone(program);
    emit_families(program, __NR_socket, families, FAMILIES);
    emit_families(program, __NR_socketpair, pair_families, PAIR_FAMILIES);
    emit_search(program, 0, program->edge_count);
}

/* ---- the kernel ---- */

static int install(const struct program *program, unsigned long flags)
{
    struct sock_fprog filter = {.len = (unsigned short)program->count,
                                .filter = (struct sock_filter *)program->code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0 ? E_OK : -errno;
}

int syscall_filter_install(enum syscall_filter_refusal refusal)
{
    struct program program = {.count = 0};
    build(&program, refusal);
    if (program.is_too_long)
        return E_TOO_BIG;
    int rc = install(&program, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    if (rc == -EINVAL)
        rc = install(&program, SECCOMP_FILTER_FLAG_TSYNC); /* before 4.17 */
    if (rc == -ENOSYS || rc == -EINVAL)
        return E_UNSUPPORTED;
    return rc < 0 ? error_sys(-rc) : E_OK;
}
