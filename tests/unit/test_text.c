/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/format/text.h"
#include "drivers/lines/framer.h"
#include "platform/base/error.h"

enum { SETTINGS_MAX = 24, LINE_BYTES = 512, DOCUMENT_BYTES = 1024 };

/* A text as configured, and what its last line came to. */
struct bench {
    struct driver_setting settings[SETTINGS_MAX];
    struct driver_context context;
    char fault[DRIVER_FAULT_BYTES];
    struct text text;
    struct text_stream stream;
    struct sample sample;
    uint64_t offset;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    bench->context = (struct driver_context){
        .settings = bench->settings, .document_bytes_max = DOCUMENT_BYTES, .fault = bench->fault};
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    text_close(&bench->text);
    free(bench);
    return 0;
}

static void set(struct bench *bench, const char *key, const char *value)
{
    assert_true(bench->context.setting_count < SETTINGS_MAX);
    bench->settings[bench->context.setting_count++] = (struct driver_setting){key, value};
}

static void open_text(struct bench *bench, const char *format)
{
    set(bench, "format", format);
    int rc = text_open(&bench->text, &bench->context);
    if (rc < 0)
        print_message("%s\n", bench->fault);
    assert_int_equal(rc, 0);
}

static int convert(struct bench *bench, const char *line)
{
    const struct text_line text = {.bytes = (const uint8_t *)line,
                                   .count = strlen(line),
                                   .boot_ms = (int64_t)bench->offset + 1000,
                                   .offset = bench->offset += strlen(line) + 1};
    return text_convert(&bench->text, &bench->stream, &text, &bench->sample);
}

static void take(struct bench *bench, const char *line)
{
    int rc = convert(bench, line);
    if (rc < 0)
        print_message("%s: %u: %s\n", line, bench->text.column, bench->text.what);
    assert_int_equal(rc, 0);
}

static void expect_refused(struct bench *bench, const char *line, int code, unsigned column,
                           const char *what)
{
    assert_int_equal(convert(bench, line), code);
    if (strstr(bench->text.what, what) == NULL)
        fail_msg("%s is not in: %s", what, bench->text.what);
    assert_int_equal(bench->text.column, column);
}

static const struct value *value_of(const struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->text.channel_count; i++)
        if (strcmp(bench->text.channels[i].name, name) == 0)
            return &bench->sample.values[i];
    fail_msg("there is no channel %s", name);
    return NULL;
}

static void expect_number(const struct bench *bench, const char *name, int64_t mantissa,
                          unsigned decimals)
{
    const struct value *value = value_of(bench, name);
    assert_int_equal(value->kind, VALUE_DECIMAL);
    assert_int_equal(value->mantissa, mantissa);
    assert_int_equal(value->decimals, decimals);
}

static void expect_text(const struct bench *bench, const char *name, const char *text)
{
    const struct value *value = value_of(bench, name);
    assert_int_equal(value->kind, VALUE_TEXT);
    assert_int_equal(value->text_bytes, strlen(text));
    assert_memory_equal(value->text, text, strlen(text));
}

static void expect_absent(const struct bench *bench, const char *name)
{
    assert_int_equal(value_of(bench, name)->kind, VALUE_ABSENT);
}

static void expect_document(const struct bench *bench, const char *text)
{
    assert_non_null(bench->sample.document);
    assert_int_equal(bench->sample.value_count, 0);
    if (bench->sample.document_bytes != strlen(text) ||
        memcmp(bench->sample.document, text, strlen(text)) != 0)
        fail_msg("%.*s is not %s", (int)bench->sample.document_bytes,
                 (const char *)bench->sample.document, text);
}

/* ---- numbers ---- */

static void test_numbers_stay_as_they_were_written(void **state)
{
    static const struct {
        const char *text;
        int64_t mantissa;
        unsigned decimals;
    } good[] = {{"21.50", 2150, 2}, {"-7", -7, 0},    {"+5", 5, 0},   {"007", 7, 0},
                {"-0.5", -5, 1},    {".25", 25, 2},   {"-.5", -5, 1}, {"5.", 5, 0},
                {"1e3", 1000, 0},   {"00.10", 10, 2}, {"000", 0, 0}};
    static const char *const bad[] = {"", "-", ".", "1,5", "--5", "1.2.3", "0x10", "21.5C", "1 2"};
    struct value value;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct text_part part = {.bytes = good[i].text, .count = strlen(good[i].text)};
        assert_int_equal(field_number(part, '.', &value), 0);
        assert_int_equal(value.mantissa, good[i].mantissa);
        assert_int_equal(value.decimals, good[i].decimals);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct text_part part = {.bytes = bad[i], .count = strlen(bad[i])};
        assert_int_equal(field_number(part, '.', &value), E_SYNTAX);
    }
    struct text_part comma = {.bytes = "-21,50", .count = 6};
    assert_int_equal(field_number(comma, ',', &value), 0);
    assert_int_equal(value.mantissa, -2150);
    struct text_part huge = {.bytes = "99999999999999999999", .count = 20};
    assert_int_equal(field_number(huge, '.', &value), E_RANGE);
}

/* ---- settings ---- */

static void expect_fault(struct bench *bench, const char *key, const char *what)
{
    assert_string_equal(text_check(&bench->context), key);
    if (strstr(bench->fault, what) == NULL)
        fail_msg("%s is not in: %s", what, bench->fault);
    assert_int_equal(text_open(&bench->text, &bench->context), E_INVALID);
    bench->context.setting_count = 0;
}

static void test_settings_that_contradict_each_other_are_named(void **state)
{
    struct bench *bench = *state;
    assert_null(text_check(&bench->context));
    set(bench, "header", "true");
    expect_fault(bench, "header", "belongs to");
    set(bench, "format", "csv");
    expect_fault(bench, "channels", "list the columns");
    set(bench, "format", "csv");
    set(bench, "header", "true");
    set(bench, "decimal_comma", "true");
    expect_fault(bench, "decimal_comma", "apart by commas");
    set(bench, "format", "csv");
    set(bench, "header", "true");
    set(bench, "separator", ";;");
    expect_fault(bench, "separator", "one character");
    set(bench, "format", "json");
    set(bench, "channels[0].name", "lat");
    expect_fault(bench, "channels", "leave it out");
    set(bench, "format", "keyvalue");
    set(bench, "unit", "Cel");
    expect_fault(bench, "unit", "into \"channels\"");
    set(bench, "format", "csv");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[1].unit", "Cel");
    expect_fault(bench, "channels", "no name for number 2");
    set(bench, "format", "csv");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[1].name", "a");
    expect_fault(bench, "channels", "twice");
    set(bench, "format", "csv");
    set(bench, "channels[0].type", "skip");
    expect_fault(bench, "channels", "0 values");
    set(bench, "format", "csv");
    set(bench, "channels[64].name", "a");
    expect_fault(bench, "channels", "more than 64");
}

/* Each would never get a value, or be read and then ignored. */
static void test_keys_of_channels_are_checked(void **state)
{
    struct bench *bench = *state;
    set(bench, "format", "csv");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[0].key", "T");
    expect_fault(bench, "channels[0].key", "for what has a header");
    set(bench, "format", "keyvalue");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[1].name", "b");
    set(bench, "channels[1].key", "a");
    expect_fault(bench, "channels[1].key", "of a channel before it");
    set(bench, "format", "csv");
    set(bench, "header", "true");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[1].type", "skip");
    expect_fault(bench, "channels[1].type", "needs the \"key\"");
}

/* ---- csv ---- */

static void set_columns(struct bench *bench)
{
    set(bench, "channels[0].name", "temp");
    set(bench, "channels[0].unit", "Cel");
    set(bench, "channels[1].type", "skip");
    set(bench, "channels[2].name", "note");
    set(bench, "channels[2].type", "text");
    set(bench, "channels[3].name", "count");
}

static void test_columns_become_values(void **state)
{
    struct bench *bench = *state;
    set_columns(bench);
    open_text(bench, "csv");
    assert_int_equal(bench->text.channel_count, 3);
    assert_string_equal(bench->text.channels[0].unit, "Cel");
    take(bench, "21.50, skipped \t,\"a \"\"b\"\", c\" ,-7");
    expect_number(bench, "temp", 2150, 2);
    expect_text(bench, "note", "a \"b\", c");
    expect_number(bench, "count", -7, 0);
    assert_int_equal(bench->sample.origin.offset, bench->offset);
    assert_int_equal(bench->sample.boot_ms, 0);
    take(bench, "NaN,,,5,");
    expect_absent(bench, "temp");
    expect_absent(bench, "note");
    expect_number(bench, "count", 5, 0);
    take(bench, "1,,\"\",n/a");
    expect_text(bench, "note", "");
    expect_absent(bench, "count");
}

static void test_bad_rows_are_refused_with_their_place(void **state)
{
    struct bench *bench = *state;
    char line[LINE_BYTES];
    set_columns(bench);
    open_text(bench, "csv");
    expect_refused(bench, "1,2,3", E_SYNTAX, 6, "fewer fields");
    expect_refused(bench, "1,2,3,4,5", E_SYNTAX, 9, "more fields");
    expect_refused(bench, "x,2,3,4", E_SYNTAX, 1, "temp: no number");
    expect_refused(bench, "1,2,3,12345678901234567890", E_RANGE, 7, "count: a number of more");
    expect_refused(bench, "1,2,\"3,4", E_SYNTAX, 9, "not closed");
    expect_refused(bench, "1,2,\"3\"x,4", E_SYNTAX, 8, "between a quoted field");
    expect_refused(bench, "1,2,\xff,4", E_SYNTAX, 5, "UTF-8");
    (void)snprintf(line, sizeof line, "1,2,%0256d,4", 0);
    expect_refused(bench, line, E_TOO_BIG, 5, "longer than 255");
    take(bench, "1,2,3,4");
}

static void test_separators_and_decimal_commas(void **state)
{
    struct bench *bench = *state;
    set(bench, "separator", ";");
    set(bench, "decimal_comma", "true");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[1].name", "b");
    open_text(bench, "csv");
    take(bench, "21,50;-0,5");
    expect_number(bench, "a", 2150, 2);
    expect_number(bench, "b", -5, 1);
    expect_refused(bench, "21.50;1", E_SYNTAX, 1, "no number");
}

static void test_any_blanks_are_one_separator(void **state)
{
    struct bench *bench = *state;
    set(bench, "separator", " ");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[1].name", "b");
    open_text(bench, "csv");
    take(bench, "1 \t  2");
    expect_number(bench, "a", 1, 0);
    expect_number(bench, "b", 2, 0);
}

static void test_a_header_finds_the_columns(void **state)
{
    struct bench *bench = *state;
    set(bench, "header", "true");
    set(bench, "channels[0].name", "temp");
    set(bench, "channels[0].key", "T [C]");
    set(bench, "channels[1].name", "hum");
    open_text(bench, "csv");
    assert_int_equal(convert(bench, "time,hum,\"T [C]\""), E_AGAIN);
    take(bench, "12:00,40,21.5");
    expect_number(bench, "temp", 215, 1);
    expect_number(bench, "hum", 40, 0);
    assert_null(text_lack(&bench->text));
    bench->stream = (struct text_stream){0};
    assert_int_equal(convert(bench, "hum,x"), E_AGAIN);
    take(bench, "41,1");
    expect_absent(bench, "temp");
    assert_non_null(strstr(text_lack(&bench->text), "channel temp"));
    bench->stream = (struct text_stream){0};
    expect_refused(bench, "1,2", E_SYNTAX, 1, "names no channel");
    expect_refused(bench, "1,2", E_SYNTAX, 1, "the header was none");
}

static void test_a_header_alone_makes_documents(void **state)
{
    struct bench *bench = *state;
    set(bench, "header", "true");
    open_text(bench, "csv");
    assert_int_equal(bench->text.channel_count, 0);
    assert_int_equal(convert(bench, "id,temp,\"no\"\"te\",,x"), E_AGAIN);
    take(bench, "007,21.50,\"1\",unnamed,NaN");
    expect_document(bench, "{\"id\":\"007\",\"temp\":21.50,\"no\\\"te\":\"1\"}");
    expect_refused(bench, ",,,,", E_SYNTAX, 1, "no value");
    bench->stream = (struct text_stream){0};
    expect_refused(bench, "a,b,a", E_SYNTAX, 6, "twice");
}

/* ---- key=value ---- */

static void test_pairs_become_values(void **state)
{
    static const char *const lines[] = {"temp=21.50 hum=40", "temp: 21.50, hum: 40",
                                        "hum = 40;temp=21.50;", "up temp=\"21.50\"\thum:40 ok"};
    struct bench *bench = *state;
    set(bench, "channels[0].name", "temp");
    set(bench, "channels[1].name", "humidity");
    set(bench, "channels[1].key", "hum");
    open_text(bench, "keyvalue");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        take(bench, lines[i]);
        expect_number(bench, "temp", 2150, 2);
        expect_number(bench, "humidity", 40, 0);
    }
    assert_null(text_lack(&bench->text));
    take(bench, "hum=41 press=1013");
    expect_absent(bench, "temp");
    assert_non_null(strstr(text_lack(&bench->text), "key press is no channel"));
    expect_refused(bench, "press=1013", E_SYNTAX, 1, "none of the channels");
    expect_refused(bench, "hum=1 hum=2", E_SYNTAX, 11, "twice");
    expect_refused(bench, "hum=warm", E_SYNTAX, 5, "humidity: no number");
    expect_refused(bench, "hum=\"1", E_SYNTAX, 5, "not closed");
}

static void test_a_channel_that_never_comes_is_said(void **state)
{
    struct bench *bench = *state;
    set(bench, "channels[0].name", "temp");
    set(bench, "channels[1].name", "Hum");
    open_text(bench, "keyvalue");
    for (int i = 0; i < 10; i++) {
        assert_null(text_lack(&bench->text));
        take(bench, "temp=1");
    }
    assert_non_null(strstr(text_lack(&bench->text), "channel Hum"));
    take(bench, "Hum=1");
    assert_null(text_lack(&bench->text));
}

static void test_pairs_without_channels_make_documents(void **state)
{
    struct bench *bench = *state;
    char line[LINE_BYTES * 2] = "";
    set(bench, "decimal_comma", "true");
    open_text(bench, "keyvalue");
    take(bench, "temp=21,50, state=\"on, hot\";n=-3 t:12:30 e=NaN");
    expect_document(bench, "{\"temp\":21.50,\"state\":\"on, hot\",\"n\":-3,\"t\":\"12:30\"}");
    expect_refused(bench, "a=1 a=2", E_SYNTAX, 7, "twice");
    expect_refused(bench, "nothing here", E_SYNTAX, 1, "no value");
    for (int i = 0; i < 65; i++)
        (void)snprintf(line + strlen(line), sizeof line - strlen(line), "k%d=1 ", i);
    expect_refused(bench, line, E_TOO_BIG, 379, "more than 64");
}

/* ---- nmea ---- */

#ifdef CONFIG_FORMAT_NMEA

/* SENTENCE with its checksum. */
static const char *seal(const char *sentence)
{
    static char line[LINE_BYTES];
    unsigned sum = 0;
    for (const char *at = sentence; *at != '\0'; at++)
        sum ^= (uint8_t)*at;
    (void)snprintf(line, sizeof line, "$%s*%02X", sentence, sum);
    return line;
}

static void wait_for(struct bench *bench, const char *sentence)
{
    int rc = convert(bench, seal(sentence));
    if (rc != E_AGAIN)
        print_message("%s: %u: %s\n", sentence, bench->text.column, bench->text.what);
    assert_int_equal(rc, E_AGAIN);
}

static void test_the_sentences_of_an_instant_make_a_fix(void **state)
{
    struct bench *bench = *state;
    open_text(bench, "nmea");
    wait_for(bench, "GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1"); /* of a fix before */
    int64_t began = (int64_t)bench->offset + 1000;
    assert_int_equal(convert(bench, "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,"
                                    "003.1,W*6A"),
                     E_AGAIN);
    assert_int_equal(convert(bench, "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
                                    "*47"),
                     E_AGAIN);
    wait_for(bench, "GPVTG,084.4,T,077.8,M,022.5,N,041.5,K");
    wait_for(bench, "GPGSV,1,1,00");
    uint64_t ended = bench->offset - strlen("$GPGSV,1,1,00*79") - 1;
    wait_for(bench, "PUBX,00,whatever");
    assert_int_equal(convert(bench, "!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C"), E_AGAIN);
    take(bench, seal("GPRMC,123520,V,,,,,,,230394,,"));
    expect_number(bench, "lat", 481173000, 7);
    expect_number(bench, "lon", 115166667, 7);
    expect_number(bench, "alt", 5454, 1);
    expect_number(bench, "speed", 11524, 3);
    expect_number(bench, "course", 844, 1);
    expect_number(bench, "quality", 1, 0);
    expect_number(bench, "satellites", 8, 0);
    expect_number(bench, "hdop", 9, 1);
    expect_text(bench, "time", "1994-03-23T12:35:19Z");
    assert_int_equal(bench->sample.boot_ms, began);
    assert_int_equal(bench->sample.origin.offset, ended);
    assert_int_equal(text_end(&bench->text, &bench->stream, &bench->sample), 0);
    expect_absent(bench, "lat");
    expect_absent(bench, "speed");
    expect_number(bench, "quality", 0, 0);
    expect_text(bench, "time", "1994-03-23T12:35:20Z");
    assert_int_equal(bench->sample.origin.offset, bench->offset);
    assert_int_equal(text_end(&bench->text, &bench->stream, &bench->sample), E_AGAIN);
}

static void test_every_talker_and_kind_is_understood(void **state)
{
    struct bench *bench = *state;
    open_text(bench, "nmea");
    wait_for(bench, "GNGLL,3351.65000,S,15112.40000,W,225444.250,A,D");
    wait_for(bench, "BDGSA,A,3,,,,,,,,,,,,,1.8,1.0,1.5,4");
    wait_for(bench, "GAVTG,,T,,M,,N,36.0,K,A");
    wait_for(bench, "GLZDA,225444.25,31,12,2026,00,00");
    take(bench, seal("GNZDA,235960.5,31,12,2026,00,00"));
    expect_number(bench, "lat", -338608333, 7);
    expect_number(bench, "lon", -1512066667, 7);
    expect_number(bench, "speed", 10000, 3);
    expect_number(bench, "hdop", 10, 1);
    expect_number(bench, "quality", 2, 0);
    expect_absent(bench, "alt");
    expect_text(bench, "time", "2026-12-31T22:54:44.25Z");
    assert_int_equal(text_end(&bench->text, &bench->stream, &bench->sample), 0);
    expect_text(bench, "time", "2026-12-31T23:59:60.5Z");
}

static void test_a_receiver_without_a_fix_says_so(void **state)
{
    struct bench *bench = *state;
    open_text(bench, "nmea");
    wait_for(bench, "GPRMC,,V,,,,,,,,,,N");
    wait_for(bench, "GPGGA,,,,,,0,00,99.99,,,,,,");
    wait_for(bench, "GPVTG,,,,,,,,,N");
    take(bench, seal("GPRMC,,V,,,,,,,,,,N"));
    for (size_t i = 0; i < NMEA_CHANNELS; i++)
        if (i != NMEA_QUALITY && i != NMEA_SATELLITES)
            assert_int_equal(bench->sample.values[i].kind, VALUE_ABSENT);
    expect_number(bench, "quality", 0, 0);
    expect_number(bench, "satellites", 0, 0);
}

static void test_a_position_is_exact(void **state)
{
    static const struct {
        const char *lat, *lon;
        int64_t lat_mantissa, lon_mantissa;
    } cases[] = {
        {"0000.0000,N", "00000.0000,E", 0, 0},
        {"9000.0000,S", "18000.0000,W", -900000000, -1800000000},
        {"4807.0380123,N", "00000.00003,E", 481173002, 5},
        {"5959.999999999,N", "17959.9999999,W", 600000000, -1800000000},
        {"0000.00002,N", "00000.00004,E", 3, 7},
    };
    struct bench *bench = *state;
    char sentence[LINE_BYTES];
    open_text(bench, "nmea");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(sentence, sizeof sentence, "GPGLL,%s,%s,12000%zu,A", cases[i].lat,
                       cases[i].lon, i);
        wait_for(bench, sentence);
        assert_int_equal(text_end(&bench->text, &bench->stream, &bench->sample), 0);
        expect_number(bench, "lat", cases[i].lat_mantissa, 7);
        expect_number(bench, "lon", cases[i].lon_mantissa, 7);
    }
}

static void test_bad_sentences_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[] = {"GPGLL,4807.038,X,01131.000,E,120001,A",
                                      "GPGLL,4860.038,N,01131.000,E,120001,A",
                                      "GPGLL,9100.000,N,01131.000,E,120001,A",
                                      "GPGLL,48,N,01131.000,E,120001,A",
                                      "GPGLL,4807.038,N,01131.000,E,250001,A",
                                      "GPGLL,4807.038,N,01131.000,E,12,A",
                                      "GPRMC,120001,V,,,,,,,320126,,",
                                      "GPRMC,120001,V,,,,,,,290226,,",
                                      "GPRMC,120001,A,,,,,-1,,,,",
                                      "GPGGA,120001,,,,,x,08,,,,,,,",
                                      "GPGLL,4807.038,N,01131.000,E,12000\xff,A"};
    struct bench *bench = *state;
    open_text(bench, "nmea");
    wait_for(bench, "GPGLL,4807.038,N,01131.000,E,120000,A");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int rc = convert(bench, seal(bad[i]));
        if (rc != E_SYNTAX && rc != E_RANGE)
            fail_msg("%s was taken: %d", bad[i], rc);
    }
    expect_refused(bench, "$GPGLL,4807.038,N,01131.000,E,120001,A*00", E_DAMAGED, 40,
                   "checksum does not match");
    expect_refused(bench, "$GPGLL,4807.038,N,01131.000,E,120001,A", E_SYNTAX, 39, "its checksum");
    expect_refused(bench, "12 garbage", E_SYNTAX, 1, "begin with $");
    take(bench, seal("GPGLL,4807.039,N,01131.000,E,120001,A"));
    expect_number(bench, "lat", 481173000, 7);
}

static void test_a_tag_block_may_come_before(void **state)
{
    struct bench *bench = *state;
    char line[2 * LINE_BYTES];
    open_text(bench, "nmea");
    (void)snprintf(line, sizeof line, "\\s:rx,c:1600000000*3A\\%s",
                   seal("GPGLL,4807.038,N,01131.000,E,120000,A"));
    assert_int_equal(convert(bench, line), E_AGAIN);
    assert_int_equal(text_end(&bench->text, &bench->stream, &bench->sample), 0);
    expect_number(bench, "lat", 481173000, 7);
}

#endif

/* ---- cut anywhere ---- */

/* What a stream came to. */
struct total {
    uint64_t sum;
    int samples, refused;
};

static void add_sample(struct total *total, const struct sample *sample)
{
    total->samples++;
    for (size_t i = 0; i < sample->document_bytes; i++)
        total->sum = total->sum * 31 + sample->document[i];
    for (size_t i = 0; i < sample->value_count; i++) {
        const struct value *value = &sample->values[i];
        total->sum = total->sum * 31 + (uint64_t)value->kind;
        if (value->kind == VALUE_DECIMAL)
            total->sum = total->sum * 31 + (uint64_t)value->mantissa + value->decimals;
        for (size_t at = 0; value->kind == VALUE_TEXT && at < value->text_bytes; at++)
            total->sum = total->sum * 31 + (uint8_t)value->text[at];
    }
}

static void take_lines(struct bench *bench, struct framer *framer, bool at_end, struct total *total)
{
    struct framer_line line;
    int rc;
    while ((rc = framer_next(framer, at_end, &line)) == 0) {
        const struct text_line text = {.bytes = line.bytes, .count = line.count};
        if (line.count == 0)
            continue;
        rc = text_convert(&bench->text, &bench->stream, &text, &bench->sample);
        if (rc == 0)
            add_sample(total, &bench->sample);
        total->refused += rc < 0 && rc != E_AGAIN ? 1 : 0;
    }
    assert_int_equal(rc, E_AGAIN);
}

static void feed(struct bench *bench, struct framer *framer, const char *bytes, size_t count,
                 struct total *total)
{
    size_t room;
    memcpy(framer_room(framer, &room), bytes, count);
    framer_add(framer, count);
    take_lines(bench, framer, false, total);
}

/* In two pieces, cut behind FIRST bytes. */
static struct total read_cut(struct bench *bench, const char *stream, size_t first)
{
    struct total total = {0};
    struct framer framer;
    uint8_t *buffer = malloc(framer_buffer_bytes(DOCUMENT_BYTES));
    assert_non_null(buffer);
    bench->stream = (struct text_stream){0};
    framer_start(&framer, buffer, DOCUMENT_BYTES, 0);
    feed(bench, &framer, stream, first, &total);
    feed(bench, &framer, stream + first, strlen(stream) - first, &total);
    take_lines(bench, &framer, true, &total);
    if (text_end(&bench->text, &bench->stream, &bench->sample) == 0)
        add_sample(&total, &bench->sample);
    free(buffer);
    return total;
}

static void expect_same_wherever_cut(struct bench *bench, const char *format, const char *stream,
                                     int samples, int refused)
{
    open_text(bench, format);
    struct total whole = read_cut(bench, stream, 0);
    assert_int_equal(whole.samples, samples);
    assert_int_equal(whole.refused, refused);
    for (size_t first = 1; first <= strlen(stream); first++) {
        struct total cut = read_cut(bench, stream, first);
        assert_int_equal(cut.sum, whole.sum);
        assert_int_equal(cut.samples, samples);
        assert_int_equal(cut.refused, refused);
    }
    text_close(&bench->text);
    bench->context.setting_count = 0;
}

static void test_a_stream_says_the_same_wherever_it_is_cut(void **state)
{
    struct bench *bench = *state;
    set(bench, "header", "true");
    expect_same_wherever_cut(bench, "csv", "\xef\xbb\xbfid,\"a, b\"\r\n007,\"x\"\"y\"\r\n1\n2,3", 2,
                             1);
    expect_same_wherever_cut(bench, "keyvalue", "a=1 b: \"x y\"\n\na=2\r\nnothing\nc=3", 3, 1);
    expect_same_wherever_cut(bench, "auto", "{\"a\":[1,2]}\n21.50\n{]\n-7", 3, 1);
#ifdef CONFIG_FORMAT_NMEA
    expect_same_wherever_cut(bench, "nmea",
                             "$GPGLL,4807.038,N,01131.000,E,120000,A*2B\r\n"
                             "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W"
                             "*6A\r\n$GPGLL,4807.038,N,01131.000,E,120000,A*2A\r\n",
                             2, 1);
#endif
}

/* ---- the others ---- */

static void test_a_format_takes_nothing_else(void **state)
{
    struct bench *bench = *state;
    open_text(bench, "number");
    take(bench, "21.50");
    expect_number(bench, "value", 2150, 2);
    take(bench, "+007.50"); /* as in every other format */
    expect_number(bench, "value", 750, 2);
    expect_refused(bench, "{}", E_SYNTAX, 1, "a number was expected");
    text_close(&bench->text);
    bench->context.setting_count = 0;
    open_text(bench, "json");
    assert_int_equal(bench->text.channel_count, 0);
    take(bench, "{\"a\":1}");
    expect_document(bench, "{\"a\":1}");
    expect_refused(bench, "1", E_SYNTAX, 2, "");
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_numbers_stay_as_they_were_written),
        BENCH_TEST(test_settings_that_contradict_each_other_are_named),
        BENCH_TEST(test_keys_of_channels_are_checked),
        BENCH_TEST(test_columns_become_values),
        BENCH_TEST(test_bad_rows_are_refused_with_their_place),
        BENCH_TEST(test_separators_and_decimal_commas),
        BENCH_TEST(test_any_blanks_are_one_separator),
        BENCH_TEST(test_a_header_finds_the_columns),
        BENCH_TEST(test_a_header_alone_makes_documents),
        BENCH_TEST(test_pairs_become_values),
        BENCH_TEST(test_a_channel_that_never_comes_is_said),
        BENCH_TEST(test_pairs_without_channels_make_documents),
#ifdef CONFIG_FORMAT_NMEA
        BENCH_TEST(test_the_sentences_of_an_instant_make_a_fix),
        BENCH_TEST(test_every_talker_and_kind_is_understood),
        BENCH_TEST(test_a_receiver_without_a_fix_says_so),
        BENCH_TEST(test_a_position_is_exact),
        BENCH_TEST(test_bad_sentences_are_refused_and_change_nothing),
        BENCH_TEST(test_a_tag_block_may_come_before),
#endif
        BENCH_TEST(test_a_stream_says_the_same_wherever_it_is_cut),
        BENCH_TEST(test_a_format_takes_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
