/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/format/nmea.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/format/field.h"
#include "platform/base/decimal.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

enum {
    FIELDS_MAX = 32,
    ADDRESS_BYTES = 5, /* talker and kind: "GPRMC" */
    TALKER_BYTES = 2,
    POSITION_DECIMALS = 7,
    SPEED_DECIMALS = 3,
    PART_DECIMALS_MAX = 9, /* of minutes and seconds */
};

static const int64_t second_ns = 1000000000;

const struct channel nmea_channels[NMEA_CHANNELS] = {
    [NMEA_LAT] = {"lat", "lat", POSITION_DECIMALS},
    [NMEA_LON] = {"lon", "lon", POSITION_DECIMALS},
    [NMEA_ALT] = {"alt", "m", 1},
    [NMEA_SPEED] = {"speed", "m/s", SPEED_DECIMALS},
    [NMEA_COURSE] = {"course", "deg", 1},
    [NMEA_QUALITY] = {"quality", "", 0},
    [NMEA_SATELLITES] = {"satellites", "count", 0},
    [NMEA_HDOP] = {"hdop", "", 1},
    [NMEA_TIME] = {"time", "", 0},
};

/* A sentence cut at its commas; field 0 is the address. */
struct sentence {
    struct nmea *nmea;
    size_t count;
    struct text_part fields[FIELDS_MAX];
};

static int refuse(struct nmea *nmea, int code, unsigned column, const char *what)
{
    nmea->column = column;
    nmea->what = what;
    return code;
}

static int refuse_field(const struct sentence *sentence, size_t index, int code, const char *what)
{
    return refuse(sentence->nmea, code, sentence->fields[index].column, what);
}

/* One that is not there is empty. */
static struct text_part field_at(const struct sentence *sentence, size_t index)
{
    return index < sentence->count ? sentence->fields[index] : (struct text_part){.bytes = ""};
}

static bool has_field(const struct sentence *sentence, size_t index)
{
    return field_at(sentence, index).count > 0;
}

static char letter_at(const struct sentence *sentence, size_t index)
{
    struct text_part field = field_at(sentence, index);
    return field.count == 1 ? field.bytes[0] : '\0';
}

/* ---- fields: an empty one leaves what is known as it is ---- */

static int take_number(const struct sentence *sentence, size_t index, struct value *value)
{
    struct value number;
    if (!has_field(sentence, index))
        return 0;
    int rc = field_number(sentence->fields[index], '.', &number);
    if (rc < 0)
        return refuse_field(sentence, index, rc, "a number was expected");
    *value = number;
    return 0;
}

/* Two digits at AT of FIELD, at most MOST; -1. */
static int two_digits(struct text_part field, size_t at, int most)
{
    uint64_t number;
    if (at + 2 > field.count || parse_unsigned(field.bytes + at, 2, &number) < 0 ||
        (int)number > most)
        return -1;
    return (int)number;
}

/* PART, which begins with two digits, if it is a number below LIMIT of at most 9 decimals. */
static bool read_below(struct text_part part, int64_t limit, struct value *ret_value)
{
    return field_number(part, '.', ret_value) == 0 && ret_value->decimals <= PART_DECIMALS_MAX &&
           ret_value->mantissa < limit * (int64_t)decimal_power(ret_value->decimals);
}

/* "hhmmss" or "hhmmss.sss" */
static int take_time(const struct sentence *sentence, size_t index, struct nmea_fix *fix)
{
    struct text_part field = field_at(sentence, index);
    struct value second;
    if (field.count == 0)
        return 0;
    int hour = two_digits(field, 0, 23);
    int minute = two_digits(field, 2, 59);
    bool good = hour >= 0 && minute >= 0 && two_digits(field, 4, 60) >= 0;
    if (!good || !read_below((struct text_part){.bytes = field.bytes + 4, .count = field.count - 4},
                             61, &second))
        return refuse_field(sentence, index, E_SYNTAX, "a time like 123519.00 was expected");
    fix->has_time = true;
    fix->decimals = second.decimals;
    fix->day_ns = (hour * 60 + minute) * 60 * second_ns +
                  second.mantissa * (second_ns / (int64_t)decimal_power(second.decimals));
    return 0;
}

static bool is_day(unsigned year, unsigned month, unsigned day)
{
    int64_t back_year;
    unsigned back_month;
    unsigned back_day;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    parse_civil_from_days(parse_days_from_civil(year, month, day), &back_year, &back_month,
                          &back_day);
    return back_month == month && back_day == day;
}

static int set_date(const struct sentence *sentence, size_t index, struct nmea_fix *fix, int year,
                    int month, int day)
{
    if (year < 0 || month < 0 || day < 0 || !is_day((unsigned)year, (unsigned)month, (unsigned)day))
        return refuse_field(sentence, index, E_SYNTAX, "a date was expected");
    fix->has_date = true;
    fix->year = (unsigned)year;
    fix->month = (unsigned)month;
    fix->day = (unsigned)day;
    return 0;
}

/* "ddmmyy" of RMC: GPS began in 1980. */
static int take_date(const struct sentence *sentence, size_t index, struct nmea_fix *fix)
{
    struct text_part field = field_at(sentence, index);
    if (field.count == 0)
        return 0;
    int year = field.count == 6 ? two_digits(field, 4, 99) : -1;
    if (year >= 0)
        year += year < 80 ? 2000 : 1900;
    return set_date(sentence, index, fix, year, two_digits(field, 2, 12), two_digits(field, 0, 31));
}

/* Day, month and year of ZDA, from field 2 on. */
static int take_long_date(const struct sentence *sentence, struct nmea_fix *fix)
{
    uint64_t year;
    struct text_part field = field_at(sentence, 4);
    if (field.count == 0)
        return 0;
    if (field.count != 4 || parse_unsigned(field.bytes, 4, &year) < 0)
        return refuse_field(sentence, 4, E_SYNTAX, "a year of four digits was expected");
    return set_date(sentence, 4, fix, (int)year, two_digits(field_at(sentence, 3), 0, 12),
                    two_digits(field_at(sentence, 2), 0, 31));
}

/* DEGREES and MINUTES of 10^-7 degrees, rounded half up; the minutes have 10^-decimals. */
static int64_t join_angle(int64_t degrees, int64_t minutes, unsigned decimals)
{
    int64_t scale = (int64_t)decimal_power(POSITION_DECIMALS);
    int64_t divisor = 60 * (int64_t)decimal_power(decimals);
    return degrees * scale + (minutes * scale + divisor / 2) / divisor;
}

/* "ddmm.mmmm" or "dddmm.mmmm", and the hemisphere behind it. */
static int take_angle(const struct sentence *sentence, size_t index, const char *hemispheres,
                      size_t degree_digits, uint64_t most, struct value *value)
{
    struct text_part field = field_at(sentence, index);
    char hemisphere = letter_at(sentence, index + 1);
    uint64_t degrees;
    struct value minutes;
    if (field.count == 0)
        return 0;
    if (field.count < degree_digits + 2 ||
        parse_unsigned(field.bytes, degree_digits, &degrees) < 0 ||
        two_digits(field, degree_digits, 59) < 0)
        return refuse_field(sentence, index, E_SYNTAX, "degrees and minutes were expected");
    field.bytes += degree_digits;
    field.count -= degree_digits;
    if (!read_below(field, 60, &minutes))
        return refuse_field(sentence, index, E_SYNTAX, "degrees and minutes were expected");
    int64_t angle = join_angle((int64_t)degrees, minutes.mantissa, minutes.decimals);
    if (angle > (int64_t)(most * decimal_power(POSITION_DECIMALS)))
        return refuse_field(sentence, index, E_RANGE, "an angle that is no position");
    if (hemisphere != hemispheres[0] && hemisphere != hemispheres[1])
        return refuse_field(sentence, index, E_SYNTAX, "a position without its hemisphere");
    *value = (struct value){.kind = VALUE_DECIMAL,
                            .decimals = POSITION_DECIMALS,
                            .mantissa = hemisphere == hemispheres[0] ? angle : -angle};
    return 0;
}

static int take_position(const struct sentence *sentence, size_t index, struct nmea_fix *fix)
{
    int rc = take_angle(sentence, index, "NS", 2, 90, &fix->values[NMEA_LAT]);
    if (rc == 0)
        rc = take_angle(sentence, index + 2, "EW", 3, 180, &fix->values[NMEA_LON]);
    return rc;
}

/* A speed in UNITS of MULTIPLIER / DIVISOR m/s. */
static int take_speed(const struct sentence *sentence, size_t index, int64_t multiplier,
                      int64_t divisor, struct nmea_fix *fix)
{
    struct value value = {.kind = VALUE_ABSENT};
    struct decimal speed;
    int rc = take_number(sentence, index, &value);
    if (rc < 0 || value.kind == VALUE_ABSENT)
        return rc;
    if (value.mantissa < 0 || value.mantissa > INT64_MAX / multiplier)
        return refuse_field(sentence, index, E_RANGE, "a number that is no speed");
    speed = (struct decimal){value.mantissa * multiplier, value.decimals};
    rc = decimal_divide(speed, (struct decimal){.mantissa = divisor}, SPEED_DECIMALS, &speed);
    if (rc < 0)
        return refuse_field(sentence, index, rc, "a number that is no speed");
    fix->values[NMEA_SPEED] = (struct value){
        .kind = VALUE_DECIMAL, .mantissa = speed.mantissa, .decimals = speed.decimals};
    return 0;
}

/* ---- sentences ---- */

/* The mode of RMC, GLL and VTG as GGA would say it (NMEA 0183 2.3 and later). */
static int quality_of(char mode, bool valid)
{
    static const char modes[] = "NADPRFEMS";
    const char *found = mode == '\0' ? NULL : strchr(modes, mode);
    return !valid ? 0 : found != NULL ? (int)(found - modes) : 1;
}

static void note_quality(const struct sentence *sentence, size_t index, bool valid,
                         struct nmea_fix *fix)
{
    if (!fix->has_quality)
        fix->values[NMEA_QUALITY] = (struct value){
            .kind = VALUE_DECIMAL, .mantissa = quality_of(letter_at(sentence, index), valid)};
}

static int take_rmc(const struct sentence *sentence, struct nmea_fix *fix)
{
    bool valid = letter_at(sentence, 2) == 'A';
    int rc = take_time(sentence, 1, fix);
    if (rc == 0)
        rc = take_date(sentence, 9, fix);
    if (rc < 0)
        return rc;
    note_quality(sentence, 12, valid, fix);
    if (!valid)
        return 0;
    fix->has_speed = has_field(sentence, 7);
    rc = take_position(sentence, 3, fix);
    if (rc == 0)
        rc = take_speed(sentence, 7, 1852, 3600, fix);
    return rc == 0 ? take_number(sentence, 8, &fix->values[NMEA_COURSE]) : rc;
}

static int take_gga(const struct sentence *sentence, struct nmea_fix *fix)
{
    struct value quality = {.kind = VALUE_DECIMAL};
    int rc = take_time(sentence, 1, fix);
    if (rc == 0)
        rc = take_number(sentence, 6, &quality);
    if (rc == 0)
        rc = take_number(sentence, 7, &fix->values[NMEA_SATELLITES]);
    if (rc < 0)
        return rc;
    fix->has_quality = true;
    fix->values[NMEA_QUALITY] = quality;
    if (quality.mantissa == 0)
        return 0;
    rc = take_position(sentence, 2, fix);
    if (rc == 0)
        rc = take_number(sentence, 8, &fix->values[NMEA_HDOP]);
    return rc == 0 ? take_number(sentence, 9, &fix->values[NMEA_ALT]) : rc;
}

static int take_gll(const struct sentence *sentence, struct nmea_fix *fix)
{
    bool valid = letter_at(sentence, 6) == 'A';
    int rc = take_time(sentence, 5, fix);
    if (rc < 0)
        return rc;
    note_quality(sentence, 7, valid, fix);
    return valid ? take_position(sentence, 1, fix) : 0;
}

/* Kind of fix: 1 is none. */
static int take_gsa(const struct sentence *sentence, struct nmea_fix *fix)
{
    char kind = letter_at(sentence, 2);
    return kind == '2' || kind == '3' ? take_number(sentence, 16, &fix->values[NMEA_HDOP]) : 0;
}

/* Before NMEA 0183 2.0 there were no letters between the numbers; those are passed over. */
static int take_vtg(const struct sentence *sentence, struct nmea_fix *fix)
{
    if (letter_at(sentence, 2) != 'T' || letter_at(sentence, 9) == 'N')
        return 0;
    int rc = take_number(sentence, 1, &fix->values[NMEA_COURSE]);
    if (rc < 0 || fix->has_speed)
        return rc;
    return take_speed(sentence, 7, 1000, 3600, fix);
}

static int take_zda(const struct sentence *sentence, struct nmea_fix *fix)
{
    int rc = take_time(sentence, 1, fix);
    return rc == 0 ? take_long_date(sentence, fix) : rc;
}

static const struct kind {
    const char *name;
    bool begins; /* it has a time, and may be the first of a fix */
    int (*take)(const struct sentence *sentence, struct nmea_fix *fix);
} kinds[] = {
    {"RMC", true, take_rmc}, {"GGA", true, take_gga},  {"GLL", true, take_gll},
    {"ZDA", true, take_zda}, {"GSA", false, take_gsa}, {"VTG", false, take_vtg},
};

/* ---- the line ---- */

/* Which kind of sentence to take ADDRESS for; -1: it is passed over. */
static int find_kind(struct text_part address)
{
    static const char *const talkers[] = {"GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI"};
    bool known = false;
    if (address.count != ADDRESS_BYTES)
        return -1;
    for (size_t i = 0; i < sizeof talkers / sizeof talkers[0]; i++)
        known = known || memcmp(address.bytes, talkers[i], TALKER_BYTES) == 0;
    for (size_t i = 0; known && i < sizeof kinds / sizeof kinds[0]; i++)
        if (memcmp(address.bytes + TALKER_BYTES, kinds[i].name, 3) == 0)
            return (int)i;
    return -1;
}

static int hex_digit(char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    char upper = byte >= 'a' && byte <= 'f' ? (char)(byte - 'a' + 'A') : byte;
    const char *found = upper == '\0' ? NULL : strchr(digits, upper);
    return found != NULL ? (int)(found - digits) : -1;
}

/* BODY is what lies between '$' and '*', both left out (NMEA 0183 5.3.1). */
static int check_sum(struct nmea *nmea, struct text_part body, struct text_part sum)
{
    unsigned expected = 0;
    for (size_t i = 0; i < body.count; i++)
        expected ^= (uint8_t)body.bytes[i];
    int high = sum.count == 2 ? hex_digit(sum.bytes[0]) : -1;
    int low = sum.count == 2 ? hex_digit(sum.bytes[1]) : -1;
    if (high < 0 || low < 0)
        return refuse(nmea, E_SYNTAX, sum.column, "a sentence ends with * and its checksum");
    if ((unsigned)(high * 16 + low) != expected)
        return refuse(nmea, E_DAMAGED, sum.column,
                      "the checksum does not match; is the speed right, and the cable good?");
    return 0;
}

/* Takes '$', '*' and what lies around them off; a tag block ("\\s:x*hh\\") may come before. */
static int unwrap(struct nmea *nmea, struct text_part line, struct text_part *ret_body)
{
    if (line.count > 0 && line.bytes[0] == '\\') {
        const char *end = memchr(line.bytes + 1, '\\', line.count - 1);
        size_t taken = end == NULL ? 0 : (size_t)(end - line.bytes) + 1;
        line.bytes += taken;
        line.count -= taken;
        line.column += (unsigned)taken;
    }
    if (line.count > 0 && line.bytes[0] == '!')
        return E_AGAIN;
    if (line.count == 0 || line.bytes[0] != '$')
        return refuse(nmea, E_SYNTAX, line.column, "no sentence of NMEA 0183, which begin with $");
    const char *star = memchr(line.bytes, '*', line.count);
    size_t count = star == NULL ? line.count : (size_t)(star - line.bytes);
    struct text_part sum = {.column = line.column + (unsigned)count};
    if (star != NULL)
        sum = (struct text_part){star + 1, line.count - count - 1,
                                 line.column + (unsigned)count + 1, false};
    *ret_body = (struct text_part){line.bytes + 1, count - 1, line.column + 1, false};
    return check_sum(nmea, *ret_body, sum);
}

static int split(struct nmea *nmea, struct text_part body, struct sentence *ret_sentence)
{
    ret_sentence->nmea = nmea;
    ret_sentence->count = 0;
    for (;;) {
        const char *comma = memchr(body.bytes, ',', body.count);
        size_t count = comma == NULL ? body.count : (size_t)(comma - body.bytes);
        if (ret_sentence->count == FIELDS_MAX)
            return refuse(nmea, E_TOO_BIG, body.column, "a sentence of more than 31 fields");
        ret_sentence->fields[ret_sentence->count++] =
            (struct text_part){body.bytes, count, body.column, false};
        if (comma == NULL)
            return 0;
        body.bytes += count + 1;
        body.count -= count + 1;
        body.column += (unsigned)count + 1;
    }
}

/* Whether SENTENCE, alone NEXT, is of another instant than the fix that is gathered. */
static bool is_next(const struct nmea_fix *fix, const struct nmea_fix *next)
{
    if (fix->has_time && next->has_time)
        return fix->day_ns != next->day_ns;
    return (fix->seen & next->seen) != 0;
}

static int gather(const struct sentence *sentence, size_t kind, struct nmea_fix *fix,
                  uint64_t offset)
{
    struct nmea_fix changed = *fix;
    int rc = kinds[kind].take(sentence, &changed);
    if (rc < 0)
        return rc;
    changed.present = true;
    changed.seen |= 1U << kind;
    changed.offset = offset;
    *fix = changed;
    return 0;
}

int nmea_add(struct nmea *nmea, const char *line, size_t count, int64_t boot_ms, uint64_t offset,
             struct nmea_fix *ret_done)
{
    struct sentence sentence;
    struct text_part body;
    struct nmea_fix next = {.boot_ms = boot_ms};
    int rc = unwrap(nmea, (struct text_part){line, count, 1, false}, &body);
    if (rc == 0)
        rc = split(nmea, body, &sentence);
    int kind = rc == 0 ? find_kind(sentence.fields[0]) : -1;
    if (rc < 0 || kind < 0)
        return rc < 0 ? rc : E_AGAIN;
    if (!kinds[kind].begins && !nmea->fix.present)
        return E_AGAIN;
    rc = gather(&sentence, (size_t)kind, &next, offset);
    if (rc < 0)
        return rc;
    if (nmea->fix.present && !(kinds[kind].begins && is_next(&nmea->fix, &next))) {
        rc = gather(&sentence, (size_t)kind, &nmea->fix, offset);
        return rc < 0 ? rc : E_AGAIN;
    }
    rc = nmea_end(nmea, ret_done);
    nmea->fix = next;
    return rc;
}

int nmea_end(struct nmea *nmea, struct nmea_fix *ret_done)
{
    if (!nmea->fix.present)
        return E_AGAIN;
    *ret_done = nmea->fix;
    nmea->fix.present = false;
    return 0;
}

/* RFC 3339, with as many decimals as the receiver wrote. */
static void convert_time(const struct nmea_fix *fix, char time[NMEA_TIME_BYTES],
                         struct value *ret_value)
{
    int64_t minutes = fix->day_ns / second_ns / 60;
    bool leaps = minutes == 24 * 60; /* 23:59:60 */
    int64_t nanoseconds;
    if (!fix->has_time || !fix->has_date)
        return;
    minutes -= leaps ? 1 : 0;
    nanoseconds = fix->day_ns - minutes * 60 * second_ns;
    int count = snprintf(time, NMEA_TIME_BYTES,
                         "%04u-%02u-%02uT%02" PRId64 ":%02" PRId64 ":%02" PRId64, fix->year,
                         fix->month, fix->day, minutes / 60, minutes % 60, nanoseconds / second_ns);
    if (fix->decimals > 0)
        count += snprintf(
            time + count, NMEA_TIME_BYTES - (size_t)count, ".%0*" PRIu64, (int)fix->decimals,
            (uint64_t)(nanoseconds % second_ns) / decimal_power(PART_DECIMALS_MAX - fix->decimals));
    time[count++] = 'Z';
    *ret_value = (struct value){.kind = VALUE_TEXT, .text = time, .text_bytes = (size_t)count};
}

void nmea_convert(const struct nmea_fix *fix, char time[NMEA_TIME_BYTES], struct sample *ret_sample)
{
    *ret_sample = (struct sample){.boot_ms = fix->boot_ms, .value_count = NMEA_CHANNELS};
    memcpy(ret_sample->values, fix->values, sizeof fix->values);
    convert_time(fix, time, &ret_sample->values[NMEA_TIME]);
    ret_sample->origin.offset = fix->offset;
}
