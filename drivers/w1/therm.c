/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/w1/therm.h"

#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

enum {
    FAMILY_CHARACTERS = 2,
    POWER_ON = 85000,
    NEAR = 5000,
    LOWEST = -55000,
    HIGHEST = 125000,
    THERMOCOUPLE_LOWEST = -270000,
    THERMOCOUPLE_HIGHEST = 1800000,
    CONFIG_BYTE = 4,
    RESERVED_BYTE = 6,
    THERMOCOUPLE_BIT = 0x80,
    FAULT_BIT = 0x01,
};

/* ---- text ---- */

/* Lower case alone, as the kernel writes them. */
static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static bool is_family(const char *id, const char *family)
{
    return memcmp(id, family, FAMILY_CHARACTERS) == 0;
}

bool therm_is_id(const char *id, size_t count)
{
    static const char *const families[] = {"10", "22", "28", "3b", "42"};
    if (count != THERM_ID_CHARACTERS || id[FAMILY_CHARACTERS] != '-')
        return false;
    for (size_t i = FAMILY_CHARACTERS + 1; i < count; i++)
        if (hex_digit(id[i]) < 0)
            return false;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (is_family(id, families[i]))
            return true;
    return false;
}

/* What is still to be read. */
struct rest {
    const char *at;
    const char *end;
};

static bool take(struct rest *rest, const char *word)
{
    size_t count = strlen(word);
    if ((size_t)(rest->end - rest->at) < count || memcmp(rest->at, word, count) != 0)
        return false;
    rest->at += count;
    return true;
}

static bool take_byte(struct rest *rest, uint8_t *ret_byte)
{
    if (rest->end - rest->at < 2)
        return false;
    int high = hex_digit(rest->at[0]);
    int low = hex_digit(rest->at[1]);
    if (high < 0 || low < 0)
        return false;
    rest->at += 2;
    *ret_byte = (uint8_t)(high << 4 | low);
    return true;
}

static bool take_scratchpad(struct rest *rest, uint8_t scratchpad[THERM_SCRATCHPAD_BYTES])
{
    for (size_t i = 0; i < THERM_SCRATCHPAD_BYTES; i++)
        if (!take_byte(rest, &scratchpad[i]) || !take(rest, " "))
            return false;
    return true;
}

/* "... : crc=1c YES" */
static bool take_first_line(struct rest *rest, struct therm_reading *reading)
{
    uint8_t crc;
    if (!take_scratchpad(rest, reading->scratchpad) || !take(rest, ": crc=") ||
        !take_byte(rest, &crc))
        return false;
    reading->crc_good = take(rest, " YES\n");
    return reading->crc_good || take(rest, " NO\n");
}

int therm_parse(const char *text, size_t count, struct therm_reading *ret_reading)
{
    struct rest rest = {text, text + count};
    struct therm_reading reading;
    uint8_t last_good[THERM_SCRATCHPAD_BYTES];
    int64_t milli_celsius;
    if (!take_first_line(&rest, &reading) || !take_scratchpad(&rest, last_good) ||
        !take(&rest, "t="))
        return E_SYNTAX;
    size_t digits = (size_t)(rest.end - rest.at);
    if (digits > 0 && rest.at[digits - 1] == '\n')
        digits--;
    int rc = parse_signed(rest.at, digits, &milli_celsius);
    if (rc == 0 && (milli_celsius <= INT32_MIN || milli_celsius > INT32_MAX))
        rc = E_RANGE;
    if (rc < 0)
        return rc;
    reading.milli_celsius = (int32_t)milli_celsius;
    *ret_reading = reading;
    return 0;
}

/* ---- judgement ---- */

/* x^8 + x^5 + x^4 + 1, lowest bit first. */
static uint8_t crc8(const uint8_t *bytes, size_t count)
{
    uint8_t crc = 0;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint8_t)((crc & 1) != 0 ? crc >> 1 ^ 0x8c : crc >> 1);
    }
    return crc;
}

/* The checksum of zeros is zero: a bus that is held down reads as 0 degrees, well and good. */
static bool is_all_zero(const struct therm_reading *reading)
{
    static const uint8_t zeros[THERM_SCRATCHPAD_BYTES];
    return memcmp(reading->scratchpad, zeros, sizeof zeros) == 0;
}

static int judge_bytes(const struct therm_reading *reading, const char **ret_reason)
{
    const uint8_t *scratchpad = reading->scratchpad;
    *ret_reason = "the checksum does not match: look at the cable, its pull-up and its length";
    if (!reading->crc_good ||
        crc8(scratchpad, THERM_SCRATCHPAD_BYTES - 1) != scratchpad[THERM_SCRATCHPAD_BYTES - 1])
        return E_DAMAGED;
    *ret_reason = "nothing but zeros: the data line is shorted, or power is missing";
    return is_all_zero(reading) ? E_DAMAGED : 0;
}

/* A DS18B20 that measured 85 degrees leaves 10h behind; one that was switched on, 0Ch. */
static bool was_measured(const char *id, const struct therm_reading *reading)
{
    return !is_family(id, "10") && reading->scratchpad[RESERVED_BYTE] == 0x10;
}

static bool is_near(int32_t previous)
{
    return previous != THERM_NONE && previous >= POWER_ON - NEAR && previous <= POWER_ON + NEAR;
}

static int judge_chip(const char *id, const struct therm_reading *reading, int32_t previous,
                      const char **ret_reason)
{
    *ret_reason = "outside of the -55 to 125 degrees that the chip measures";
    if (reading->milli_celsius < LOWEST || reading->milli_celsius > HIGHEST)
        return E_RANGE;
    *ret_reason = "85 degrees, as a chip says that lost its power: look at its supply and plugs";
    bool suspect = reading->milli_celsius == POWER_ON && !was_measured(id, reading);
    return suspect && !is_near(previous) ? E_RANGE : 0;
}

/* A MAX31850 has the family of the DS1825. */
static int judge_thermocouple(const struct therm_reading *reading, const char **ret_reason)
{
    *ret_reason = "the thermocouple is open or shorted";
    if ((reading->scratchpad[0] & FAULT_BIT) != 0)
        return E_DAMAGED;
    *ret_reason = "outside of what a thermocouple measures";
    return reading->milli_celsius < THERMOCOUPLE_LOWEST ||
                   reading->milli_celsius > THERMOCOUPLE_HIGHEST
               ? E_RANGE
               : 0;
}

int therm_judge(const char *id, const struct therm_reading *reading, int32_t previous,
                const char **ret_reason)
{
    const char *reason;
    int rc = judge_bytes(reading, &reason);
    bool is_thermocouple =
        is_family(id, "3b") && (reading->scratchpad[CONFIG_BYTE] & THERMOCOUPLE_BIT) != 0;
    if (rc == 0)
        rc = is_thermocouple ? judge_thermocouple(reading, &reason)
                             : judge_chip(id, reading, previous, &reason);
    if (rc < 0)
        *ret_reason = reason;
    return rc;
}
