/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_PARSE_H
#define RUNNEL_PLATFORM_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

/**
 * Pure readers of small texts. Each takes the whole of TEXT[0..COUNT) or returns E_SYNTAX; a
 * number that does not fit is E_RANGE.
 */
int parse_unsigned(const char *text, size_t count, uint64_t *ret_value);
int parse_signed(const char *text, size_t count, int64_t *ret_value);

/** How many bytes TEXT begins with of those that names have: letters, digits, _ . - (ASCII). */
size_t parse_name_bytes(const char *text);

/** "250ms" "5s" "75s" "10m" "2h" "7d", "0s" or "0"; whole numbers only. */
int parse_duration_ms(const char *text, size_t count, int64_t *ret_ms);

/** "512" "64KiB" "32MiB" "8GiB", also KB, MB, GB (powers of 1000). */
int parse_size_bytes(const char *text, size_t count, uint64_t *ret_bytes);

/**
 * A JSON number (RFC 8259 section 6), kept exact: -12.50 is mantissa -1250 with 2 decimals, 1e3 is
 * 1000 with 0. E_RANGE if the mantissa leaves int64_t or there are more than 18 decimals.
 */
int parse_decimal(const char *text, size_t count, int64_t *ret_mantissa, unsigned *ret_decimals);

/** "Wed, 07 Oct 2015 12:00:00 GMT" (IMF-fixdate, RFC 9110 section 5.6.7) as ms since 1970 UTC. */
int parse_http_date_ms(const char *text, size_t count, int64_t *ret_ms);

/** "2018-01-18T09:18:06Z", with an optional fraction, as ms since 1970 UTC (RFC 3339, Z only). */
int parse_iso_date_ms(const char *text, size_t count, int64_t *ret_ms);

/** Days since 1970-01-01 of a day in the Gregorian calendar; MONTH and DAY from 1. */
int64_t parse_days_from_civil(int64_t year, unsigned month, unsigned day);

/** The reverse: year, month (1..12) and day (1..31) of DAYS since 1970-01-01. */
void parse_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

#endif
