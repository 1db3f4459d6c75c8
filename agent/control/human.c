/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/human.h"

#include <stdio.h>

#include "platform/base/parse.h"

const char *human_bytes(uint64_t bytes, char text[HUMAN_BYTES])
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        snprintf(text, HUMAN_BYTES, "%u B", (unsigned)bytes);
        return text;
    }
    size_t unit = 0;
    uint64_t tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024;
    while (tenths >= 10240) {
        tenths /= 1024;
        unit++;
    }
    snprintf(text, HUMAN_BYTES, "%u.%u %ciB", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
             units[unit]);
    return text;
}

const char *human_age(int64_t age_ms, char text[HUMAN_BYTES])
{
    int64_t s = age_ms / 1000;
    if (age_ms < 0)
        snprintf(text, HUMAN_BYTES, "never");
    else if (age_ms < 10000)
        snprintf(text, HUMAN_BYTES, "%d.%ds", (int)s, (int)(age_ms % 1000 / 100));
    else if (s < 60)
        snprintf(text, HUMAN_BYTES, "%ds", (int)s);
    else if (s < 3600)
        snprintf(text, HUMAN_BYTES, "%dm%02ds", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        snprintf(text, HUMAN_BYTES, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
    else if (s < 86400 * INT64_C(100000))
        snprintf(text, HUMAN_BYTES, "%dd%02dh", (int)(s / 86400), (int)(s / 3600 % 24));
    else
        snprintf(text, HUMAN_BYTES, "ages");
    return text;
}

const char *human_rate(double value, char text[HUMAN_BYTES])
{
    static const char units[] = " kMGT";
    size_t unit = 0;
    while (value >= 9999.5 && unit < sizeof(units) - 2) {
        value /= 1000;
        unit++;
    }
    if (!(value >= 0.05) || value > 1e15)
        snprintf(text, HUMAN_BYTES, "0");
    else if (value < 9.95)
        snprintf(text, HUMAN_BYTES, "%.1f%.1s", value, unit == 0 ? "" : &units[unit]);
    else
        snprintf(text, HUMAN_BYTES, "%.0f%.1s", value, unit == 0 ? "" : &units[unit]);
    return text;
}

const char *human_count(uint64_t count, char text[HUMAN_BYTES])
{
    if (count > 9999999)
        return human_rate((double)count, text);
    snprintf(text, HUMAN_BYTES, "%u", (unsigned)count);
    return text;
}

const char *human_date(int64_t wall_ms, char text[HUMAN_DATE_BYTES])
{
    int64_t days = wall_ms / 86400000;
    int64_t rest = wall_ms % 86400000;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    int64_t year;
    unsigned month;
    unsigned day;
    parse_civil_from_days(days, &year, &month, &day);
    unsigned s = (unsigned)(rest / 1000);
    snprintf(text, HUMAN_DATE_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", (int)year, month, day,
             s / 3600, s / 60 % 60, s % 60, (unsigned)(rest % 1000));
    return text;
}
