/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/faults.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault {
    const char *name;
    size_t offset;
    double lowest;
    double highest;
};

#define RATE(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct faults, member), 0, 1                                             \
    }

static const struct fault table[] = {
    RATE(record_failure_rate),
    RATE(throttle_rate),
    RATE(error_rate),
    RATE(refuse_rate),
    RATE(reset_before_rate),
    RATE(reset_after_rate),
    RATE(cut_rate),
    {"latency_ms", offsetof(struct faults, latency_ms), 0, 3600e3},
    {"idle_ms", offsetof(struct faults, idle_ms), 1, 3600e3},
    {"clock_offset_ms", offsetof(struct faults, clock_offset_ms), -4e12, 4e12},
};

enum { FAULT_COUNT = sizeof table / sizeof table[0] };

static double *member(struct faults *faults, const struct fault *fault)
{
    return (double *)(void *)((char *)faults + fault->offset);
}

void faults_default(struct faults *faults)
{
    *faults = (struct faults){.idle_ms = 60000, .refuse_code = "ExpiredTokenException"};
}

static int same_name(const char *known, const char *name)
{
    for (; *known != '\0' && (*known == *name || (*known == '_' && *name == '-')); known++)
        name++;
    return *known == '\0' && *name == '\0';
}

static int set_code(struct faults *faults, const char *value)
{
    if (strlen(value) >= sizeof faults->refuse_code || value[0] == '\0')
        return -1;
    snprintf(faults->refuse_code, sizeof faults->refuse_code, "%s", value);
    return 0;
}

int faults_set(struct faults *faults, const char *name, const char *value)
{
    if (same_name("refuse_code", name))
        return set_code(faults, value);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (!same_name(table[i].name, name))
            continue;
        char *end;
        double number = strtod(value, &end);
        if (end == value || *end != '\0' || !(number >= table[i].lowest) ||
            !(number <= table[i].highest))
            return -1;
        *member(faults, &table[i]) = number;
        return 0;
    }
    return -1;
}

/* SplitMix64: any seed will do, and one addition a step. */
static uint64_t next(uint64_t *generator)
{
    uint64_t value = *generator += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

int faults_chance(uint64_t *generator, double rate)
{
    return (double)(next(generator) >> 11) * 0x1p-53 < rate;
}

enum verdict faults_draw(const struct faults *faults, uint64_t *generator)
{
    const struct {
        enum verdict verdict;
        double rate;
    } draws[] = {
        {VERDICT_RESET_BEFORE, faults->reset_before_rate},
        {VERDICT_REFUSE, faults->refuse_rate},
        {VERDICT_THROTTLE, faults->throttle_rate},
        {VERDICT_ERROR, faults->error_rate},
        {VERDICT_CUT, faults->cut_rate},
        {VERDICT_RESET_AFTER, faults->reset_after_rate},
    };
    enum verdict verdict = VERDICT_SERVE;
    for (size_t i = 0; i < sizeof draws / sizeof draws[0]; i++) {
        if (faults_chance(generator, draws[i].rate) && verdict == VERDICT_SERVE)
            verdict = draws[i].verdict;
    }
    return verdict;
}

void faults_list(const struct faults *faults,
                 void (*each)(void *context, const char *name, double value), void *context)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        double value;
        memcpy(&value, (const char *)faults + table[i].offset, sizeof value);
        each(context, table[i].name, value);
    }
}
