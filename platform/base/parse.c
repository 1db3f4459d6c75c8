/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/parse.h"

#include <stdbool.h>
#include <string.h>

#include "platform/base/error.h"

enum { DECIMALS_MAX = 18, EXPONENT_LIMIT = 100000, SECONDS_PER_DAY = 86400 };

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* value * 10 + digit, false if that is more than LIMIT. */
static bool push_digit(uint64_t *value, char digit, uint64_t limit)
{
    uint64_t ones = (uint64_t)(digit - '0');
    if (*value > (limit - ones) / 10)
        return false;
    *value = *value * 10 + ones;
    return true;
}

static int read_digits(const char *text, size_t count, uint64_t limit, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool fits = true;
    if (count == 0)
        return E_SYNTAX;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text[i]))
            return E_SYNTAX;
        fits = fits && push_digit(&value, text[i], limit);
    }
    if (!fits)
        return E_RANGE;
    *ret_value = value;
    return 0;
}

/* The largest magnitude that int64_t holds. */
static uint64_t magnitude_limit(bool negative)
{
    return negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
}

static int64_t with_sign(uint64_t magnitude, bool negative)
{
    return negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
}

size_t parse_name_bytes(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
}

int parse_unsigned(const char *text, size_t count, uint64_t *ret_value)
{
    return read_digits(text, count, UINT64_MAX, ret_value);
}

int parse_signed(const char *text, size_t count, int64_t *ret_value)
{
    bool negative = count > 0 && text[0] == '-';
    uint64_t magnitude;
    int rc = read_digits(text + negative, count - negative, magnitude_limit(negative), &magnitude);
    if (rc < 0)
        return rc;
    *ret_value = with_sign(magnitude, negative);
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static size_t digits_at(const char *text, size_t count)
{
    size_t digits = 0;
    while (digits < count && is_digit(text[digits]))
        digits++;
    return digits;
}

/* Digits with the name of one of UNITS behind them; the table ends with a NULL. */
static int read_with_unit(const char *text, size_t count, const struct unit *units, uint64_t limit,
                          uint64_t *ret_value)
{
    uint64_t value;
    size_t digits = digits_at(text, count);
    size_t rest = count - digits;
    while (units->name != NULL &&
           (strlen(units->name) != rest || memcmp(units->name, text + digits, rest) != 0))
        units++;
    if (units->name == NULL)
        return E_SYNTAX;
    int rc = read_digits(text, digits, limit / units->factor, &value);
    if (rc < 0)
        return rc;
    *ret_value = value * units->factor;
    return 0;
}

int parse_duration_ms(const char *text, size_t count, int64_t *ret_ms)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    uint64_t value;
    if (count == 1 && text[0] == '0') {
        *ret_ms = 0;
        return 0;
    }
    int rc = read_with_unit(text, count, units, INT64_MAX, &value);
    if (rc < 0)
        return rc;
    *ret_ms = (int64_t)value;
    return 0;
}

int parse_size_bytes(const char *text, size_t count, uint64_t *ret_bytes)
{
    static const struct unit units[] = {{"", 1},          {"B", 1},           {"KiB", 1 << 10},
                                        {"MiB", 1 << 20}, {"GiB", 1 << 30},   {"KB", 1000},
                                        {"MB", 1000000},  {"GB", 1000000000}, {NULL, 0}};
    return read_with_unit(text, count, units, UINT64_MAX, ret_bytes);
}

/* The parts of a JSON number: where its digits lie and what the exponent says. */
struct number {
    bool negative;
    const char *whole;
    size_t whole_count;
    const char *fraction;
    size_t fraction_count;
    int64_t exponent;
};

/* An exponent without its "e". One that is absurdly large keeps its sign and stops growing. */
static int read_exponent(const char *text, size_t count, int64_t *ret_exponent)
{
    bool negative = count > 0 && text[0] == '-';
    size_t sign = count > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    uint64_t magnitude;
    int rc = read_digits(text + sign, count - sign, EXPONENT_LIMIT, &magnitude);
    if (rc == E_SYNTAX)
        return rc;
    if (rc == E_RANGE)
        magnitude = EXPONENT_LIMIT;
    *ret_exponent = with_sign(magnitude, negative);
    return 0;
}

static int split_number(const char *text, size_t count, struct number *ret_number)
{
    struct number number = {.negative = count > 0 && text[0] == '-'};
    const char *end = text + count;
    text += number.negative;
    number.whole = text;
    number.whole_count = digits_at(text, (size_t)(end - text));
    text += number.whole_count;
    if (number.whole_count == 0 || (number.whole_count > 1 && number.whole[0] == '0'))
        return E_SYNTAX;
    if (text < end && *text == '.') {
        number.fraction = ++text;
        number.fraction_count = digits_at(text, (size_t)(end - text));
        text += number.fraction_count;
        if (number.fraction_count == 0)
            return E_SYNTAX;
    }
    if (text < end) {
        if (*text != 'e' && *text != 'E')
            return E_SYNTAX;
        int rc = read_exponent(text + 1, (size_t)(end - text) - 1, &number.exponent);
        if (rc < 0)
            return rc;
    }
    *ret_number = number;
    return 0;
}

static int push_digits(uint64_t *magnitude, const char *digits, size_t count, uint64_t limit)
{
    for (size_t i = 0; i < count; i++)
        if (!push_digit(magnitude, digits[i], limit))
            return E_RANGE;
    return 0;
}

/* DECIMALS below zero are zeros that belong to the mantissa: 1e3 is 1 with -3. */
static int push_zeros(uint64_t *magnitude, int64_t *decimals, uint64_t limit)
{
    if (*magnitude == 0 && *decimals < 0)
        *decimals = 0;
    for (; *decimals < 0; ++*decimals)
        if (!push_digit(magnitude, '0', limit))
            return E_RANGE;
    return *decimals > DECIMALS_MAX ? E_RANGE : 0;
}

int parse_decimal(const char *text, size_t count, int64_t *ret_mantissa, unsigned *ret_decimals)
{
    struct number number;
    uint64_t magnitude = 0;
    int rc = split_number(text, count, &number);
    if (rc < 0)
        return rc;
    uint64_t limit = magnitude_limit(number.negative);
    rc = push_digits(&magnitude, number.whole, number.whole_count, limit);
    if (rc < 0)
        return rc;
    rc = push_digits(&magnitude, number.fraction, number.fraction_count, limit);
    if (rc < 0)
        return rc;
    int64_t decimals = (int64_t)number.fraction_count - number.exponent;
    rc = push_zeros(&magnitude, &decimals, limit);
    if (rc < 0)
        return rc;
    *ret_mantissa = with_sign(magnitude, number.negative);
    *ret_decimals = (unsigned)decimals;
    return 0;
}

/* The calendar is counted from 0000-03-01, so that a leap day is the last day of its year. */
static const unsigned days_before_month[12] = {0,   31,  61,  92,  122, 153,
                                               184, 214, 245, 275, 306, 337};
enum { DAYS_TO_1970 = 719468, DAYS_IN_400_YEARS = 146097 };

static int64_t floor_div(int64_t dividend, int64_t divisor)
{
    return dividend / divisor - (dividend % divisor < 0 ? 1 : 0);
}

/* Days from 0000-03-01 to the first of March of YEAR. */
static int64_t days_before_year(int64_t year)
{
    return 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400);
}

int64_t parse_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t march_year = month < 3 ? year - 1 : year;
    unsigned march_month = (month + 9) % 12;
    return days_before_year(march_year) + days_before_month[march_month] + day - 1 - DAYS_TO_1970;
}

void parse_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    int64_t from_march = days + DAYS_TO_1970;
    int64_t cycle = floor_div(from_march, DAYS_IN_400_YEARS);
    unsigned month = 11;

    from_march -= cycle * DAYS_IN_400_YEARS;
    int64_t year = from_march / 366;
    while (days_before_year(year + 1) <= from_march)
        year++;
    unsigned day = (unsigned)(from_march - days_before_year(year));
    while (days_before_month[month] > day)
        month--;
    *ret_day = day - days_before_month[month] + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = cycle * 400 + year + (month < 10 ? 0 : 1);
}

struct moment {
    uint64_t year, month, day, hour, minute, second;
};

static bool month_has_day(const struct moment *moment)
{
    if (moment->month < 1 || moment->month > 12 || moment->day < 1)
        return false;
    int64_t year = (int64_t)moment->year;
    unsigned month = (unsigned)moment->month;
    int64_t first = parse_days_from_civil(year, month, 1);
    int64_t next = month == 12 ? parse_days_from_civil(year + 1, 1, 1)
                               : parse_days_from_civil(year, month + 1, 1);
    return (int64_t)moment->day <= next - first;
}

/* A leap second (:60) is the first second of the next minute: POSIX time does not count it. */
static int moment_ms(const struct moment *moment, int64_t *ret_ms)
{
    if (!month_has_day(moment) || moment->hour > 23 || moment->minute > 59 || moment->second > 60)
        return E_RANGE;
    int64_t days = parse_days_from_civil((int64_t)moment->year, (unsigned)moment->month,
                                         (unsigned)moment->day);
    int64_t seconds = (int64_t)(moment->hour * 3600 + moment->minute * 60 + moment->second);
    *ret_ms = (days * SECONDS_PER_DAY + seconds) * 1000;
    return 0;
}

/* The digits of TEXT in place of the letters of PATTERN; every other character must be the same. */
static int read_pattern(const char *text, const char *pattern, struct moment *ret_moment)
{
    struct moment moment = *ret_moment;
    for (; *pattern != '\0'; pattern++, text++) {
        uint64_t *field = *pattern == 'Y'   ? &moment.year
                          : *pattern == 'M' ? &moment.month
                          : *pattern == 'D' ? &moment.day
                          : *pattern == 'h' ? &moment.hour
                          : *pattern == 'm' ? &moment.minute
                          : *pattern == 's' ? &moment.second
                                            : NULL;
        if (field == NULL ? *text != *pattern : !is_digit(*text))
            return E_SYNTAX;
        if (field != NULL)
            (void)push_digit(field, *text, UINT64_MAX);
    }
    *ret_moment = moment;
    return 0;
}

/* The place of the three letters TEXT among NAMES, from 0; -1 if they are none of them. */
static int name_index(const char *text, const char *names)
{
    for (int i = 0; names[3 * i] != '\0'; i++)
        if (memcmp(text, names + 3 * i, 3) == 0)
            return i;
    return -1;
}

int parse_http_date_ms(const char *text, size_t count, int64_t *ret_ms)
{
    enum { AFTER_DAY_NAME = 3, MONTH_NAME = 8, AFTER_MONTH_NAME = 11, ZONE = 26 };
    struct moment moment = {0};
    if (count != sizeof "Wed, 07 Oct 2015 12:00:00 GMT" - 1 || memcmp(text + ZONE, "GMT", 3) != 0)
        return E_SYNTAX;
    int month = name_index(text + MONTH_NAME, "JanFebMarAprMayJunJulAugSepOctNovDec");
    if (name_index(text, "MonTueWedThuFriSatSun") < 0 || month < 0)
        return E_SYNTAX;
    moment.month = (uint64_t)month + 1;
    int rc = read_pattern(text + AFTER_DAY_NAME, ", DD ", &moment);
    if (rc == 0)
        rc = read_pattern(text + AFTER_MONTH_NAME, " YYYY hh:mm:ss ", &moment);
    return rc < 0 ? rc : moment_ms(&moment, ret_ms);
}

/* ".123" as milliseconds; finer digits are cut off. */
static int read_fraction_ms(const char *text, size_t count, int64_t *ret_ms)
{
    int64_t ms = 0;
    if (count < 2 || text[0] != '.' || digits_at(text + 1, count - 1) != count - 1)
        return E_SYNTAX;
    for (size_t i = 1; i <= 3; i++)
        ms = ms * 10 + (i < count ? text[i] - '0' : 0);
    *ret_ms = ms;
    return 0;
}

int parse_iso_date_ms(const char *text, size_t count, int64_t *ret_ms)
{
    enum { BEFORE_FRACTION = sizeof "2018-01-18T09:18:06" - 1 };
    struct moment moment = {0};
    int64_t ms;
    int64_t fraction_ms = 0;
    if (count < BEFORE_FRACTION + 1 || text[count - 1] != 'Z')
        return E_SYNTAX;
    int rc = read_pattern(text, "YYYY-MM-DDThh:mm:ss", &moment);
    if (rc == 0 && count > BEFORE_FRACTION + 1)
        rc = read_fraction_ms(text + BEFORE_FRACTION, count - BEFORE_FRACTION - 1, &fraction_ms);
    if (rc == 0)
        rc = moment_ms(&moment, &ms);
    if (rc < 0)
        return rc;
    *ret_ms = ms + fraction_ms;
    return 0;
}
