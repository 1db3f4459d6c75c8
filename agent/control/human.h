/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_HUMAN_H
#define RUNNEL_AGENT_CONTROL_HUMAN_H

#include <stdint.h>

/** Numbers for people: short, of fixed width, without false precision. Each returns TEXT. */
enum { HUMAN_BYTES = 16, HUMAN_DURATION_BYTES = 24, HUMAN_DATE_BYTES = 32 };

/** "0 B", "999 B", "1.0 KiB", "31.9 MiB". */
const char *human_bytes(uint64_t bytes, char text[HUMAN_BYTES]);

/** "0.4s", "12s", "3m12s", "2h03m", "12d05h"; "never" if AGE_MS is negative. */
const char *human_age(int64_t age_ms, char text[HUMAN_BYTES]);

/** As it is written in a configuration, exactly: "250ms", "1s", "90s", "1m", "2h". */
const char *human_duration(int64_t ms, char text[HUMAN_DURATION_BYTES]);

/** A rate or count with at most four digits: "0", "0.3", "34", "1.2k", "3.4M". */
const char *human_rate(double value, char text[HUMAN_BYTES]);

/** A count in at most seven columns: exactly up to 9999999, then as a rate. */
const char *human_count(uint64_t count, char text[HUMAN_BYTES]);

/** "2026-11-23T22:31:26.123Z" of WALL_MS since 1970 UTC. */
const char *human_date(int64_t wall_ms, char text[HUMAN_DATE_BYTES]);

/** The same into temporaries that live until the end of the enclosing block. */
#define HUMAN_BYTES_TEXT(bytes) human_bytes((bytes), (char[HUMAN_BYTES]){0})
#define HUMAN_AGE_TEXT(age_ms)  human_age((age_ms), (char[HUMAN_BYTES]){0})
#define HUMAN_RATE_TEXT(value)  human_rate((value), (char[HUMAN_BYTES]){0})
#define HUMAN_COUNT_TEXT(count) human_count((count), (char[HUMAN_BYTES]){0})
#define HUMAN_DURATION_TEXT(ms) human_duration((ms), (char[HUMAN_DURATION_BYTES]){0})

#endif
