/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_FAULTS_H
#define RUNNEL_TESTS_SINK_FAULTS_H

#include <stdint.h>

/**
 * What goes wrong on command. Rates are probabilities from 0 to 1, drawn from one generator that
 * starts at the seed, so that the same requests in the same order meet the same faults.
 */
struct faults {
    /** Share of records that fail alone, inside a reply of status 200. */
    double record_failure_rate;
    /** Share of requests answered 400 ProvisionedThroughputExceededException. */
    double throttle_rate;
    /** Share of requests answered 500 InternalFailure or 503 ServiceUnavailable, in turns. */
    double error_rate;
    /** Share of requests answered 400 with refuse_code. */
    double refuse_rate;
    /** Share of requests whose connection is reset with nothing stored. */
    double reset_before_rate;
    /** Share of requests whose connection is reset with the records stored: the reply is lost. */
    double reset_after_rate;
    /** Share of requests whose reply ends in its middle, with the records stored. */
    double cut_rate;
    /** Time between a request and its reply. */
    double latency_ms;
    /** An idle connection is closed after this time. */
    double idle_ms;
    /** How far the endpoint's clock is ahead of this machine's. */
    double clock_offset_ms;
    char refuse_code[64];
};

/** What happens to one request. */
enum verdict {
    VERDICT_SERVE,
    VERDICT_RESET_BEFORE,
    VERDICT_REFUSE,
    VERDICT_THROTTLE,
    VERDICT_ERROR,
    VERDICT_CUT,
    VERDICT_RESET_AFTER,
};

/** No faults; idle connections live for a minute, as with AWS. */
void faults_default(struct faults *faults);

/**
 * Sets what VALUE (text as in a flag) says for NAME, spelt with hyphens or underscores. Returns 0,
 * or -1 if there is no such fault or VALUE is out of its range; then nothing is changed.
 */
int faults_set(struct faults *faults, const char *name, const char *value);

/** Draws a request's fate. Draws the same number of times whatever the rates are. */
enum verdict faults_draw(const struct faults *faults, uint64_t *generator);

/** True with the probability RATE. */
int faults_chance(uint64_t *generator, double rate);

/** Calls EACH with every fault's name and current value. */
void faults_list(const struct faults *faults,
                 void (*each)(void *context, const char *name, double value), void *context);

#endif
