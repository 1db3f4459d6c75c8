/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_BENCH_SIM_CLOCK_H
#define RUNNEL_TESTS_BENCH_SIM_CLOCK_H

#include <stdint.h>

/**
 * Time that passes only when it is told to: an hour of a spool in seconds, the same each time. In
 * place of clock_boot_ms, clock_mono_ms and stop_wait (--wrap). One thread advances it, one other,
 * the spool's committer, sleeps by it.
 */

/** From now on time stands still. The caller is the thread that advances it. */
void sim_clock_start(void);

/** MS pass; returns once the committer has seen them and sleeps again. Long times are passed in
 * small steps: what falls due while the committer is just reckoning may come up to MS late. */
void sim_clock_advance(int64_t ms);

#endif
