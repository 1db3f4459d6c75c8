/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/intake/payload.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

enum {
    TEXT_BYTES = 65536,
    NOW_BOOT_MS = 5000,
    HOSTILE_DEPTH = 10000,
};
#define OFFSET_MS 1700000000000 /* wall = boot + this */

/* What a reading handed on, as text: "bn@ms name=21.50/unit " of a sample. */
struct trace {
    char text[TEXT_BYTES + 64];
    size_t used;
    unsigned records;
    unsigned refuse_at; /* the record, from 1, that the handler refuses; 0: none */
};

static struct payload_room room;
static uint8_t room_text[TEXT_BYTES];
static struct trace trace;
static char fault[PAYLOAD_FAULT_BYTES];

static void put(struct trace *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct trace *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(to->text + to->used, sizeof to->text - to->used, format, arguments);
    va_end(arguments);
    assert_true(count >= 0 && to->used + (size_t)count < sizeof to->text);
    to->used += (size_t)count;
}

static void put_value(struct trace *to, const struct channel *channel, const struct value *value)
{
    double real;
    put(to, " %s=", channel->name);
    if (value->kind == VALUE_TEXT) {
        put(to, "'%.*s'", (int)value->text_bytes, value->text);
    } else if (value->kind == VALUE_FLOAT64) {
        memcpy(&real, &value->float64_bits, sizeof real);
        put(to, "~%.17g", real);
    } else {
        assert_int_equal(value->kind, VALUE_DECIMAL);
        assert_int_equal(value->decimals, channel->decimals);
        put(to, "%" PRId64 "e-%u", value->mantissa, value->decimals);
    }
    if (channel->unit[0] != '\0')
        put(to, "/%s", channel->unit);
}

static int record(void *context, const struct payload_record *got)
{
    struct trace *to = context;
    const struct sample *sample = &got->sample;
    if (++to->records == to->refuse_at)
        return E_REFUSED;
    put(to, "%s%s@%" PRId64, to->records > 1 ? "; " : "", got->base_name, sample->boot_ms);
    put(to, "%s", got->has_own_time ? "!" : "");
    if (sample->document != NULL) {
        assert_int_equal(json_scan_object(sample->document, sample->document_bytes), 0);
        assert_int_equal(got->channel_count, 0);
        assert_int_equal(sample->value_count, 0);
        put(to, " %.*s", (int)sample->document_bytes, (const char *)sample->document);
        return 0;
    }
    assert_int_equal(got->channel_count, sample->value_count);
    for (size_t i = 0; i < sample->value_count; i++)
        put_value(to, &got->channels[i], &sample->values[i]);
    return 0;
}

/* The bytes are an allocation of their own, so that the sanitizer sees what goes beyond them. */
static int read_in(unsigned format, const void *bytes, size_t count, bool knows_time, size_t limit)
{
    uint8_t *copy = malloc(count > 0 ? count : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    const struct payload payload = {.format = format,
                                    .bytes = copy,
                                    .count = count,
                                    .now_boot_ms = NOW_BOOT_MS,
                                    .offset_ms = OFFSET_MS,
                                    .knows_time = knows_time};
    unsigned refuse_at = trace.refuse_at;
    trace = (struct trace){.refuse_at = refuse_at};
    memset(fault, 0, sizeof fault);
    room.text = room_text;
    room.text_bytes = limit;
    int rc = payload_read(&payload, &room, record, &trace, fault);
    assert_true(rc <= 0);
    free(copy);
    for (const char *at = fault; *at != '\0'; at++)
        assert_true(*at >= ' ' && *at <= '~');
    assert_int_equal(rc < 0 && rc != E_REFUSED, fault[0] != '\0');
    return rc;
}

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

static bool is_cbor(unsigned format)
{
    return format == PAYLOAD_CBOR || format == PAYLOAD_SENML_CBOR;
}

/* TEXT is in hexadecimal digits where FORMAT is CBOR. */
static size_t bytes_of(unsigned format, const char *text, uint8_t *bytes)
{
    if (is_cbor(format))
        return from_hex(text, bytes);
    memcpy(bytes, text, strlen(text));
    return strlen(text);
}

static void expect(unsigned format, const char *text, const char *samples)
{
    static uint8_t bytes[TEXT_BYTES];
    size_t count = bytes_of(format, text, bytes);
    int rc = read_in(format, bytes, count, true, TEXT_BYTES);
    if (rc != 0 || strcmp(trace.text, samples) != 0)
        print_message("%s\n: %d \"%s\"\n%s\nnot\n%s\n", text, rc, fault, trace.text, samples);
    assert_int_equal(rc, 0);
    assert_string_equal(trace.text, samples);
    for (size_t cut = 0; format != PAYLOAD_TEXT && format != PAYLOAD_OCTETS && cut < count; cut++) {
        assert_true(read_in(format, bytes, cut, true, TEXT_BYTES) < 0);
        assert_int_equal(trace.records, 0);
    }
}

static void refuse(unsigned format, const char *text, int code, const char *why)
{
    static uint8_t bytes[TEXT_BYTES];
    int rc = read_in(format, bytes, bytes_of(format, text, bytes), true, TEXT_BYTES);
    if (rc != code || strcmp(fault, why) != 0)
        print_message("%s: %d \"%s\", not %d \"%s\"\n", text, rc, fault, code, why);
    assert_int_equal(rc, code);
    assert_string_equal(fault, why);
    assert_int_equal(trace.records, 0);
}

static void test_formats(void **state)
{
    (void)state;
    for (unsigned format = 0; format < 200; format++) {
        bool known = format == 0 || format == 42 || format == 50 || format == 60 || format == 110 ||
                     format == 112;
        assert_int_equal(payload_is_known(format), known);
        if (known)
            refuse(format, "", E_INVALID, "the payload is empty");
    }
    refuse(41, "1", E_UNSUPPORTED, "Content-Format 41 is not known here");
}

static void test_text(void **state)
{
    (void)state;
    expect(PAYLOAD_TEXT, "21.50", "@5000 value=2150e-2");
    expect(PAYLOAD_TEXT, " -7\r\n", "@5000 value=-7e-0");
    expect(PAYLOAD_TEXT, "1e3", "@5000 value=1000e-0");
    expect(PAYLOAD_TEXT, "-9223372036854775808", "@5000 value=-9223372036854775808e-0");
    expect(PAYLOAD_TEXT, "9223372036854775808", "@5000 value=~9.2233720368547758e+18");
    expect(PAYLOAD_TEXT, "0.1234567890123456789", "@5000 value=~0.12345678901234568");
    expect(PAYLOAD_TEXT, "1e300", "@5000 value=~1.0000000000000001e+300");
    refuse(PAYLOAD_TEXT, "1e999", E_RANGE, "byte 0: a number beyond 64 bits of floating point");
    refuse(PAYLOAD_TEXT, "\"21\"", E_SYNTAX, "text/plain is one number, such as 21.50");
    refuse(PAYLOAD_TEXT, "[1]", E_SYNTAX, "text/plain is one number, such as 21.50");
    refuse(PAYLOAD_TEXT, "21.", E_SYNTAX, "byte 3: text/plain is one number, such as 21.50");
    refuse(PAYLOAD_TEXT, "21,5", E_SYNTAX, "byte 2: text/plain is one number, such as 21.50");
    refuse(PAYLOAD_TEXT, "on", E_SYNTAX, "byte 0: text/plain is one number, such as 21.50");
    refuse(PAYLOAD_TEXT, "1 2", E_SYNTAX, "byte 2: text/plain is one number, such as 21.50");
    assert_int_equal(read_in(PAYLOAD_TEXT, "1\0", 2, true, TEXT_BYTES), E_SYNTAX);
    assert_int_equal(read_in(PAYLOAD_TEXT, "nan", 3, true, TEXT_BYTES), E_SYNTAX);
    assert_int_equal(read_in(PAYLOAD_TEXT, "   ", 3, true, TEXT_BYTES), E_SYNTAX);
}

static void test_octets(void **state)
{
    (void)state;
    expect(PAYLOAD_OCTETS, "f", "@5000 {\"octets\":\"Zg==\"}");
    expect(PAYLOAD_OCTETS, "foobar", "@5000 {\"octets\":\"Zm9vYmFy\"}");
    assert_int_equal(read_in(PAYLOAD_OCTETS, "\0\xff", 2, true, 17), 0);
    assert_string_equal(trace.text, "@5000 {\"octets\":\"AP8=\"}");
    assert_int_equal(read_in(PAYLOAD_OCTETS, "\0\xff", 2, true, 16), E_TOO_BIG);
    assert_string_equal(fault, "as JSON it is longer than 16 bytes");
}

static void test_json(void **state)
{
    (void)state;
    expect(PAYLOAD_JSON, "{\"a\":21.50,\"b\":[{\"a\":1},{\"a\":2}], \"c\":null}",
           "@5000 {\"a\":21.50,\"b\":[{\"a\":1},{\"a\":2}], \"c\":null}");
    expect(PAYLOAD_JSON, "{}", "@5000 {}");
    refuse(PAYLOAD_JSON, "[1]", E_INVALID, "a document is an object, such as {\"temp\":21.50}");
    refuse(PAYLOAD_JSON, "null", E_INVALID, "a document is an object, such as {\"temp\":21.50}");
    refuse(PAYLOAD_JSON, "{\"a\":1,\"b\":{\"a\":2},\"\\u0061\":3}", E_SYNTAX,
           "byte 19: a key that its object has already");
    refuse(PAYLOAD_JSON, "{\"a\":{\"b\":1,\"b\":2}}", E_SYNTAX,
           "byte 12: a key that its object has already");
    refuse(PAYLOAD_JSON, "{\"a\":-1e999}", E_RANGE,
           "byte 5: a number beyond 64 bits of floating point");
    refuse(PAYLOAD_JSON, "{\"a\":1}x", E_SYNTAX,
           "byte 7: not JSON: something behind the end of the value");
    refuse(PAYLOAD_JSON, "{\"\xff\":1}", E_SYNTAX, "byte 2: not JSON: not UTF-8");
    assert_int_equal(read_in(PAYLOAD_JSON, "{\"a\":1}\0", 8, true, TEXT_BYTES), E_SYNTAX);
    assert_int_equal(read_in(PAYLOAD_JSON, "{\"a\":1}", 7, true, 6), E_TOO_BIG);
    assert_string_equal(fault, "a document of more than 6 bytes");
}

static void test_cbor(void **state)
{
    (void)state;
    expect(PAYLOAD_CBOR, "a46161c48220190866002220f4616282f681f5",
           "@5000 {\"a\":215.0,\"0\":-3,\"-1\":false,\"b\":[null,[true]]}");
    expect(PAYLOAD_CBOR, "bf6161430102ffff", "@5000 {\"a\":\"AQL_\"}");
    refuse(PAYLOAD_JSON, "{\"a\":\"\\u0000\"}", E_SYNTAX, "byte 6: a text with a NUL");
    refuse(PAYLOAD_JSON, "{\"a\\\\\\u0000\":1}", E_SYNTAX, "byte 5: a text with a NUL");
    expect(PAYLOAD_JSON, "{\"a\":\"\\\\u0000\"}", "@5000 {\"a\":\"\\\\u0000\"}");
    refuse(PAYLOAD_CBOR, "a16161626100", E_SYNTAX,
           "byte 5: not CBOR that is JSON as well: a text with a NUL");
    refuse(PAYLOAD_CBOR, "80", E_INVALID, "a document is an object, such as {\"temp\":21.50}");
    refuse(PAYLOAD_CBOR, "a2616101616102", E_SYNTAX, "byte 4: a key that its object has already");
    refuse(PAYLOAD_CBOR, "a2010161310a", E_SYNTAX, "byte 3: a key that its object has already");
    refuse(PAYLOAD_CBOR, "a161616180", E_SYNTAX,
           "byte 4: not CBOR that is JSON as well: a text that is not UTF-8");
    refuse(PAYLOAD_CBOR, "a161c0", E_SYNTAX,
           "byte 2: not CBOR that is JSON as well: a text that is not UTF-8");
    refuse(PAYLOAD_CBOR, "a16161c4821903e701", E_RANGE,
           "byte 3: a number beyond 64 bits of floating point");
    refuse(PAYLOAD_CBOR, "a16161fb7ff0000000000000", E_SYNTAX,
           "byte 3: not CBOR that is JSON as well: not a number, or an infinite one");
}

/* Strings that are longer than a token, whole and in pieces, as texts and as bytes. */
static void long_string(unsigned major, bool in_pieces, const char *begin, const char *end)
{
    static uint8_t bytes[4096];
    size_t at = 0;
    bytes[at++] = 0xa1;
    bytes[at++] = 0x01;
    if (in_pieces)
        bytes[at++] = (uint8_t)(major << 5 | 31);
    for (unsigned piece = 0; piece < (in_pieces ? 4U : 1U); piece++) {
        size_t count = in_pieces ? 250 + piece : 1003;
        bytes[at++] = (uint8_t)(major << 5 | 25);
        bytes[at++] = (uint8_t)(count >> 8);
        bytes[at++] = (uint8_t)count;
        memset(bytes + at, major == 3 ? '"' : 0xff, count);
        at += count;
    }
    if (in_pieces)
        bytes[at++] = 0xff;
    assert_int_equal(read_in(PAYLOAD_CBOR, bytes, at, true, TEXT_BYTES), 0);
    assert_memory_equal(trace.text, begin, strlen(begin));
    assert_string_equal(trace.text + trace.used - strlen(end), end);
    size_t total = in_pieces ? 1006 : 1003;
    size_t written = major == 3 ? 2 * total : (total * 4 + 2) / 3;
    assert_int_equal(trace.used, strlen("@5000 {\"1\":\"\"}") + written);
    assert_int_equal(read_in(PAYLOAD_CBOR, bytes, at, true, written + 8), 0);
    assert_int_equal(read_in(PAYLOAD_CBOR, bytes, at, true, written + 7), E_TOO_BIG);
}

/* Pieces whose length stands in the head itself. */
static void short_pieces(void)
{
    uint8_t bytes[900];
    size_t at = 0;
    memcpy(bytes, "\xa1\x01\x7f", 3);
    for (at = 3; at < 3 + 800; at += 4)
        memcpy(bytes + at, "\x63\xe2\x82\xac", 4); /* the euro */
    bytes[at++] = 0xff;
    assert_int_equal(read_in(PAYLOAD_CBOR, bytes, at, true, TEXT_BYTES), 0);
    assert_int_equal(trace.used, strlen("@5000 {\"1\":\"\"}") + 600);
    for (at = at - 1; at > 0; at--)
        assert_int_equal(read_in(PAYLOAD_CBOR, bytes, at, true, TEXT_BYTES), E_SYNTAX);
}

static void test_long_strings(void **state)
{
    (void)state;
    short_pieces();
    long_string(3, false, "@5000 {\"1\":\"\\\"\\\"", "\\\"\"}");
    long_string(3, true, "@5000 {\"1\":\"\\\"\\\"", "\\\"\"}");
    long_string(2, false, "@5000 {\"1\":\"____", "__w\"}");
    long_string(2, true, "@5000 {\"1\":\"____", "_w\"}");
}

static size_t repeat(char *text, const char *part, unsigned times)
{
    size_t bytes = strlen(part);
    for (unsigned i = 0; i < times; i++)
        memcpy(text + i * bytes, part, bytes);
    return times * bytes;
}

static void test_hostile(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    static const unsigned formats[] = {0, 50, 60, 110, 112};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        size_t count = repeat(text, is_cbor(formats[i]) ? "\x81" : "[", HOSTILE_DEPTH);
        int rc = read_in(formats[i], text, count, true, TEXT_BYTES);
        assert_true(rc == E_TOO_BIG || rc == E_INVALID || rc == E_SYNTAX);
        count = repeat(text, is_cbor(formats[i]) ? "\xa1\x00" : "{\"a\":", HOSTILE_DEPTH);
        rc = read_in(formats[i], text, count, true, TEXT_BYTES);
        assert_true(rc == E_TOO_BIG || rc == E_INVALID || rc == E_SYNTAX);
    }
}

static void test_keys(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    static const unsigned counts[] = {PAYLOAD_KEYS_MAX, PAYLOAD_KEYS_MAX + 1};
    for (size_t i = 0; i < 2; i++) {
        size_t at = 0;
        for (unsigned key = 0; key < counts[i]; key++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%c\"%x\":0", key > 0 ? ',' : '{',
                                   key);
        text[at++] = '}';
        int rc = read_in(PAYLOAD_JSON, text, at, true, TEXT_BYTES);
        assert_int_equal(rc, i == 0 ? 0 : E_TOO_BIG);
    }
    assert_string_equal(fault, "byte 7921: more than 1024 keys; send several messages");
    memset(text, 'k', sizeof text);
    memcpy(text, "{\"", 2);
    memcpy(text + 2 + 511, "\":1}", 4);
    assert_int_equal(read_in(PAYLOAD_JSON, text, 2 + 511 + 4, true, TEXT_BYTES), 0);
    text[2 + 511] = 'k';
    memcpy(text + 2 + 512, "\":1}", 4);
    assert_int_equal(read_in(PAYLOAD_JSON, text, 2 + 512 + 4, true, TEXT_BYTES), E_TOO_BIG);
    assert_string_equal(fault, "byte 1: a key longer than 511 bytes");
}

/* RFC 8428, section 5.1. */
static void test_senml_examples(void **state)
{
    (void)state;
    expect(PAYLOAD_SENML_JSON, "[{\"n\":\"urn:dev:ow:10e2073a01080063\",\"u\":\"Cel\",\"v\":23.1}]",
           "@5000 urn:dev:ow:10e2073a01080063=231e-1/Cel");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\",\"n\":\"voltage\",\"u\":\"V\",\"v\":120.1},"
           "{\"n\":\"current\",\"u\":\"A\",\"v\":1.2}]",
           "urn:dev:ow:10e2073a01080063:@5000 voltage=1201e-1/V current=12e-1/A");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bn\":\"urn:dev:ow:10e2073a0108006:\",\"bt\":1.276020076001e+09,\"bu\":\"A\","
           "\"bver\":5,\"n\":\"voltage\",\"u\":\"V\",\"v\":120.1},"
           "{\"n\":\"current\",\"t\":-5,\"v\":1.2},{\"n\":\"current\",\"t\":-4,\"v\":1.3},"
           "{\"n\":\"current\",\"t\":-3,\"v\":1.4},{\"n\":\"current\",\"t\":-2,\"v\":1.5},"
           "{\"n\":\"current\",\"t\":-1,\"v\":1.6},{\"n\":\"current\",\"v\":1.7}]",
           "urn:dev:ow:10e2073a0108006:@-423979923999! voltage=1201e-1/V; "
           "urn:dev:ow:10e2073a0108006:@-423979928999! current=12e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979927999! current=13e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979926999! current=14e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979925999! current=15e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979924999! current=16e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979923999! current=17e-1/A");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bn\":\"urn:dev:ow:10e2073a01080063\",\"bt\":1.320067464e+09,\"bu\":\"%RH\","
           "\"v\":20},{\"u\":\"lon\",\"v\":24.30621},{\"u\":\"lat\",\"v\":60.07965},"
           "{\"t\":60,\"v\":20.3},{\"u\":\"lon\",\"t\":60,\"v\":24.30622},"
           "{\"u\":\"lat\",\"t\":60,\"v\":60.07965},{\"t\":120,\"v\":20.7},"
           "{\"u\":\"lon\",\"t\":120,\"v\":24.30623},{\"u\":\"lat\",\"t\":120,\"v\":60.07966},"
           "{\"u\":\"%EL\",\"t\":150,\"v\":98},{\"t\":180,\"v\":21.2},"
           "{\"u\":\"lon\",\"t\":180,\"v\":24.30628},{\"u\":\"lat\",\"t\":180,\"v\":60.07967}]",
           "urn:dev:ow:10e2073a01080063@-379932536000! value=20e-0/%RH; "
           "urn:dev:ow:10e2073a01080063@-379932536000! value=2430621e-5/lon; "
           "urn:dev:ow:10e2073a01080063@-379932536000! value=6007965e-5/lat; "
           "urn:dev:ow:10e2073a01080063@-379932476000! value=203e-1/%RH; "
           "urn:dev:ow:10e2073a01080063@-379932476000! value=2430622e-5/lon; "
           "urn:dev:ow:10e2073a01080063@-379932476000! value=6007965e-5/lat; "
           "urn:dev:ow:10e2073a01080063@-379932416000! value=207e-1/%RH; "
           "urn:dev:ow:10e2073a01080063@-379932416000! value=2430623e-5/lon; "
           "urn:dev:ow:10e2073a01080063@-379932416000! value=6007966e-5/lat; "
           "urn:dev:ow:10e2073a01080063@-379932386000! value=98e-0/%EL; "
           "urn:dev:ow:10e2073a01080063@-379932356000! value=212e-1/%RH; "
           "urn:dev:ow:10e2073a01080063@-379932356000! value=2430628e-5/lon; "
           "urn:dev:ow:10e2073a01080063@-379932356000! value=6007967e-5/lat");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\",\"n\":\"temp\",\"u\":\"Cel\",\"v\":23.1},"
           "{\"n\":\"label\",\"vs\":\"Machine Room\"},{\"n\":\"open\",\"vb\":false},"
           "{\"n\":\"nfc-reader\",\"vd\":\"aGkgCg\"}]",
           "urn:dev:ow:10e2073a01080063:@5000 temp=231e-1/Cel label='Machine Room' open=0e-0 "
           "nfc-reader='aGkgCg'");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bn\":\"2001:db8::2/\",\"bt\":1.320078429e+09,\"n\":\"temperature\",\"u\":\"Cel\","
           "\"v\":25.2},{\"n\":\"humidity\",\"u\":\"%RH\",\"v\":30},{\"bn\":\"2001:db8::1/\","
           "\"n\":\"temperature\",\"u\":\"Cel\",\"v\":12.3},{\"n\":\"humidity\",\"u\":\"%RH\","
           "\"v\":67}]",
           "2001:db8::2/@-379921571000! temperature=252e-1/Cel humidity=30e-0/%RH; "
           "2001:db8::1/@-379921571000! temperature=123e-1/Cel humidity=67e-0/%RH");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\"},{\"n\":\"temp\",\"u\":\"Cel\",\"v\":23.1},"
           "{\"n\":\"heat\",\"u\":\"/\",\"v\":1},{\"n\":\"fan\",\"u\":\"/\",\"v\":0}]",
           "urn:dev:ow:10e2073a01080063:@5000 temp=231e-1/Cel heat=1e-0// fan=0e-0//");
}

/* RFC 8428, section 6. */
static void test_senml_cbor_example(void **state)
{
    (void)state;
    expect(PAYLOAD_SENML_CBOR,
           "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223"
           "614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff333"
           "3333333333a3006763757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6"
           "666666666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff99999999999"
           "9aa3006763757272656e74060002fb3ffb333333333333",
           "urn:dev:ow:10e2073a0108006:@-423979923999! voltage=1201e-1/V; "
           "urn:dev:ow:10e2073a0108006:@-423979928999! current=12e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979927999! current=13e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979926999! current=14e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979925999! current=15e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979924999! current=16e-1/A; "
           "urn:dev:ow:10e2073a0108006:@-423979923999! current=17e-1/A");
    expect(PAYLOAD_SENML_CBOR, "81a300617808420102656f74686572f6", "@5000 x='AQI'");
}

static void test_senml_values(void **state)
{
    (void)state;
    expect(PAYLOAD_SENML_JSON, "[{\"bv\":10,\"bs\":0.5,\"n\":\"a\",\"v\":21.50,\"s\":1}]",
           "@5000 a=3150e-2 a_sum=15e-1");
    expect(PAYLOAD_SENML_JSON, "[{\"bv\":10},{\"bu\":\"V\"},{\"s\":7,\"u\":\"\"}]",
           "@5000 value_sum=7e-0");
    expect(PAYLOAD_SENML_JSON,
           "[{\"bu\":\"W\",\"n\":\"p\",\"v\":3,\"s\":1.5},{\"u\":\"m3/s\",\"s\":2}]",
           "@5000 p=3e-0/W p_sum=15e-1/W.s value_sum=2e-0/m3/s.s");
    expect(PAYLOAD_SENML_JSON, "[{\"bv\":9223372036854775807,\"v\":1}]",
           "@5000 value=~9.2233720368547758e+18");
    expect(PAYLOAD_SENML_JSON, "[{\"v\":1},{\"v\":2},{\"n\":\"b\",\"vb\":true}]",
           "@5000 value=1e-0; @5000 value=2e-0 b=1e-0");
    expect(PAYLOAD_SENML_JSON, "[{\"vs\":\"a\"},{\"n\":\"b\",\"vs\":\"bc\"},{\"vs\":\"d\"}]",
           "@5000 value='a' b='bc'; @5000 value='d'");
    expect(PAYLOAD_SENML_JSON, "[{\"v\":1,\"x\":{\"v\":[2]},\"ut\":5}]", "@5000 value=1e-0");
    refuse(PAYLOAD_SENML_JSON, "[{\"bv\":1e308,\"v\":1e308}]", E_RANGE,
           "record 1: with its base a number beyond 64 bits of floating point");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1e999}]", E_RANGE,
           "byte 6: a number beyond 64 bits of floating point");
}

static void test_senml_faults(void **state)
{
    (void)state;
    refuse(PAYLOAD_SENML_JSON, "[]", E_INVALID, "no record has a value");
    refuse(PAYLOAD_SENML_JSON, "[{\"bn\":\"a\"}]", E_INVALID, "no record has a value");
    refuse(PAYLOAD_SENML_JSON, "{\"v\":1}", E_SYNTAX,
           "a pack is an array of records, such as [{\"n\":\"temp\",\"v\":21.50}]");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1},[]]", E_SYNTAX, "record 2: it is to be an object");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1},{\"n\":\"a\"}]", E_SYNTAX,
           "record 2: no value; one of \"v\", \"vs\", \"vb\", \"vd\" and \"s\" is needed");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1},{}]", E_SYNTAX,
           "record 2: no value; one of \"v\", \"vs\", \"vb\", \"vd\" and \"s\" is needed");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1,\"vs\":\"a\"}]", E_SYNTAX,
           "record 1: two of \"v\", \"vs\", \"vb\" and \"vd\" in one record");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":\"1\"}]", E_SYNTAX, "record 1: \"v\" is to be a number");
    refuse(PAYLOAD_SENML_JSON, "[{\"vb\":0}]", E_SYNTAX, "record 1: \"vb\" is to be true or false");
    refuse(PAYLOAD_SENML_JSON, "[{\"n\":{},\"v\":1}]", E_SYNTAX, "record 1: \"n\" is to be a text");
    refuse(PAYLOAD_SENML_JSON, "[{\"bver\":11,\"v\":1}]", E_INVALID,
           "record 1: \"bver\" above 10 is not known here");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1},{\"v\":1,\"up\\u0001_\":1}]", E_INVALID,
           "record 2: \"up?_\" must be understood, and is not known here");
    refuse(PAYLOAD_SENML_JSON, "[{\"n\":\"a b\",\"v\":1}]", E_INVALID,
           "record 1: \"a b\" is no name; use letters, digits and -:./_");
    refuse(PAYLOAD_SENML_JSON, "[{\"n\":\"-a\",\"v\":1}]", E_INVALID,
           "record 1: its name is to begin with a letter or a digit");
    expect(PAYLOAD_SENML_JSON, "[{\"bn\":\"x\",\"n\":\"-a\",\"v\":1}]", "x@5000 -a=1e-0");
    refuse(PAYLOAD_SENML_JSON, "[{\"u\":\"0123456789abcdef\",\"v\":1}]", E_INVALID,
           "record 1: \"0123456789abcdef\" is no unit; use at most 15 printable characters");
    refuse(PAYLOAD_SENML_JSON, "[{\"v\":1,\"v\":2}]", E_SYNTAX,
           "byte 8: a key that its object has already");
    refuse(PAYLOAD_SENML_CBOR, "81a2020161761863", E_SYNTAX, "record 1: \"v\" stands twice");
}

static void time_is(const char *time, bool knows_time, const char *samples)
{
    char text[200];
    int count = snprintf(text, sizeof text, "[{\"n\":\"a\",\"v\":1,\"t\":%s}]", time);
    int rc = read_in(PAYLOAD_SENML_JSON, text, (size_t)count, knows_time, TEXT_BYTES);
    if (rc < 0)
        print_message("%s: %d %s\n", time, rc, fault);
    assert_int_equal(rc, 0);
    assert_string_equal(trace.text, samples);
}

static void time_is_not(const char *time, bool knows_time, const char *why)
{
    char text[200];
    int count = snprintf(text, sizeof text, "[{\"n\":\"a\",\"v\":1,\"t\":%s}]", time);
    int rc = read_in(PAYLOAD_SENML_JSON, text, (size_t)count, knows_time, TEXT_BYTES);
    assert_int_equal(rc, E_RANGE);
    assert_string_equal(fault, why);
}

static void test_senml_times(void **state)
{
    (void)state;
    static const char back[] = "record 1: its time lies too far back";
    static const char ahead[] = "record 1: its time lies ahead; set the clock: GET /time";
    static const char above[] = "record 1: its time lies ahead; below 2^28 it counts from now";
    time_is("0", true, "@5000 a=1e-0");
    time_is("-1.0005", true, "@3999! a=1e-0");
    time_is("-5", true, "@0! a=1e-0");
    time_is("-10", false, "@-5000! a=1e-0");
    time_is("60", false, "@65000! a=1e-0");
    time_is_not("60.001", false, above);
    time_is_not("268435455.9999", true, above);
    time_is("268435456", true, "@-1431564544000! a=1e-0");
    time_is("1700000065", true, "@65000! a=1e-0");
    time_is_not("1700000065.001", true, ahead);
    time_is_not("1e300", true, ahead);
    time_is_not("-1e300", true, back);
    time_is("-1700000005", true, "@-1700000000000! a=1e-0");
    time_is_not("-1700000005.001", true, back);
    time_is("-268435456", false, "@-268435451000! a=1e-0");
    time_is_not("-268435457", false, back);
    time_is("1700000000.12345678901234567890", true, "@123! a=1e-0");
    time_is_not("-1e308,\"bt\":-1e308", true, "record 1: \"bt\" and \"t\" are no time together");
}

static void goes_whole(const char *text)
{
    char expected[4096];
    (void)snprintf(expected, sizeof expected, "@5000 {\"senml\":%s}", text);
    int rc = read_in(PAYLOAD_SENML_JSON, text, strlen(text), false, TEXT_BYTES);
    assert_int_equal(rc, 0);
    assert_string_equal(trace.text, expected);
}

static void test_senml_documents(void **state)
{
    (void)state;
    char text[4096];
    size_t at = 0;
    goes_whole("[{\"n\":\"a\",\"v\":1},{\"n\":\"a2345678901234567890123456789012\",\"v\":1}]");
    goes_whole("[{\"n\":\"a234567890123456789012345678\",\"s\":1}]");
    goes_whole("[{\"u\":\"12345678901234\",\"s\":1}]");
    goes_whole("[{\"n\":\"a\",\"v\":1,\"t\":1700000000}, {\"v\":2}]");
    (void)snprintf(text, sizeof text, "[{\"vs\":\"%0256d\"}]", 0);
    goes_whole(text);
    (void)snprintf(text, sizeof text, "[{\"bn\":\"%0256d\",\"v\":1}]", 0);
    goes_whole(text);
    for (unsigned i = 0; i <= SAMPLE_CHANNELS_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%c{\"n\":\"a%u\",\"v\":1}",
                               i == 0 ? '[' : ',', i);
    text[at] = ']';
    text[at + 1] = '\0';
    goes_whole(text);
    /* What is wrong is refused all the same. */
    refuse(PAYLOAD_SENML_JSON,
           "[{\"n\":\"a2345678901234567890123456789012\",\"v\":1},{\"v\":null}]", E_SYNTAX,
           "record 2: \"v\" is to be a number");
    /* The labels of CBOR get their names, and nothing else does. */
    expect(PAYLOAD_SENML_CBOR, "81a4006161016e3132333435363738393031323334050109a10001",
           "@5000 {\"senml\":[{\"n\":\"a\",\"u\":\"12345678901234\",\"s\":1,\"9\":{\"0\":1}}]}");
}

static void test_senml_depth(void **state)
{
    (void)state;
    char text[200];
    for (unsigned depth = 13; depth <= 14; depth++) {
        size_t at = repeat(text, "[{\"u\":\"12345678901234\",\"s\":1,\"x\":", 1);
        at += repeat(text + at, "[", depth);
        at += repeat(text + at, "]", depth);
        at += repeat(text + at, "}]", 1);
        int rc = read_in(PAYLOAD_SENML_JSON, text, at, true, TEXT_BYTES);
        assert_int_equal(rc, depth == 13 ? 0 : E_TOO_BIG);
    }
    assert_string_equal(fault, "record 1: nested too deeply");
}

/* The texts of a sample, and of the record that begins the next, stand in the room. */
static void test_senml_room(void **state)
{
    (void)state;
    static const char pack[] = "[{\"vs\":\"abc\"},{\"vs\":\"de\"},{\"n\":\"b\",\"vs\":\"fg\"}]";
    assert_int_equal(read_in(PAYLOAD_SENML_JSON, pack, strlen(pack), true, 5), 0);
    assert_string_equal(trace.text, "@5000 value='abc'; @5000 value='de' b='fg'");
    assert_int_equal(read_in(PAYLOAD_SENML_JSON, pack, strlen(pack), true, 4), E_TOO_BIG);
    assert_string_equal(fault, "record 2: texts of more than 4 bytes");
    assert_int_equal(trace.records, 0);
}

static void test_handler_refuses(void **state)
{
    (void)state;
    static const char two[] = "[{\"v\":1},{\"v\":2},{\"v\":3}]";
    for (unsigned at = 1; at <= 3; at++) {
        trace.refuse_at = at;
        int rc = read_in(PAYLOAD_SENML_JSON, two, strlen(two), true, TEXT_BYTES);
        assert_int_equal(rc, E_REFUSED);
        assert_int_equal(trace.records, at);
    }
    trace.refuse_at = 1;
    assert_int_equal(read_in(PAYLOAD_TEXT, "1", 1, true, TEXT_BYTES), E_REFUSED);
    assert_int_equal(read_in(PAYLOAD_JSON, "{}", 2, true, TEXT_BYTES), E_REFUSED);
    trace.refuse_at = 0;
}

/* ---- the same pack in JSON and CBOR ---- */

struct twins {
    char json[8192];
    size_t json_bytes;
    uint8_t cbor[8192];
    size_t cbor_bytes;
    uint64_t random;
    bool comma;
};

static unsigned draw(struct twins *twins, unsigned below)
{
    twins->random = twins->random * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(twins->random >> 33) % below;
}

static void put_head(struct twins *twins, unsigned major, unsigned value)
{
    twins->cbor[twins->cbor_bytes++] = (uint8_t)(major << 5 | 26);
    for (unsigned i = 0; i < 4; i++)
        twins->cbor[twins->cbor_bytes++] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_json(struct twins *twins, const char *text)
{
    size_t count = strlen(text);
    memcpy(twins->json + twins->json_bytes, text, count);
    twins->json_bytes += count;
}

static void put_label(struct twins *twins, const char *name, int number)
{
    put_json(twins, twins->comma ? ",\"" : "\"");
    put_json(twins, name);
    put_json(twins, "\":");
    put_head(twins, number < 0 ? 1U : 0U, (unsigned)(number < 0 ? -1 - number : number));
    twins->comma = true;
}

static void put_number(struct twins *twins, const char *name, int number, int mantissa,
                       unsigned decimals)
{
    char text[32];
    put_label(twins, name, number);
    (void)snprintf(text, sizeof text, "%de-%u", mantissa, decimals);
    put_json(twins, text);
    put_head(twins, 6, 4);
    put_head(twins, 4, 2);
    put_head(twins, decimals == 0 ? 0 : 1, decimals == 0 ? 0 : decimals - 1);
    put_head(twins, mantissa < 0 ? 1U : 0U, (unsigned)(mantissa < 0 ? -1 - mantissa : mantissa));
}

static void put_text(struct twins *twins, const char *name, int number, const char *text)
{
    put_label(twins, name, number);
    put_json(twins, "\"");
    put_json(twins, text);
    put_json(twins, "\"");
    put_head(twins, 3, (unsigned)strlen(text));
    memcpy(twins->cbor + twins->cbor_bytes, text, strlen(text));
    twins->cbor_bytes += strlen(text);
}

static void put_boolean(struct twins *twins, const char *name, int number, bool value)
{
    put_label(twins, name, number);
    put_json(twins, value ? "true" : "false");
    twins->cbor[twins->cbor_bytes++] = value ? 0xf5 : 0xf4;
}

static void put_record(struct twins *twins)
{
    static const char *const names[] = {"a", "b", "", "urn:c"};
    unsigned bases = draw(twins, 8) == 0 ? draw(twins, 32) : 0;
    unsigned others = draw(twins, 8);
    unsigned kind = draw(twins, 4);
    unsigned pairs = 1;
    for (unsigned i = 0; i < 5; i++)
        pairs += (bases >> i & 1) + (i < 3 ? others >> i & 1 : 0);
    twins->comma = false;
    put_json(twins, "{");
    put_head(twins, 5, pairs);
    if ((bases & 1) != 0)
        put_text(twins, "bn", -2, names[draw(twins, 4)]);
    if ((bases & 2) != 0)
        put_number(twins, "bt", -3, (int)draw(twins, 1700000000), 0);
    if ((bases & 4) != 0)
        put_text(twins, "bu", -4, "Cel");
    if ((bases & 8) != 0)
        put_number(twins, "bv", -5, (int)draw(twins, 5000) - 2000, 2);
    if ((bases & 16) != 0)
        put_number(twins, "bs", -6, (int)draw(twins, 5000), 1);
    if ((others & 1) != 0)
        put_text(twins, "n", 0, names[draw(twins, 4)]);
    if ((others & 2) != 0)
        put_number(twins, "t", 6, -(int)draw(twins, 4000), draw(twins, 5));
    if ((others & 4) != 0)
        put_text(twins, "u", 1, "V");
    if (kind == 0)
        put_number(twins, "v", 2, (int)draw(twins, 5000), draw(twins, 19));
    else if (kind == 1)
        put_text(twins, "vs", 3, "text \xc3\xa4");
    else if (kind == 2)
        put_boolean(twins, "vb", 4, draw(twins, 2) == 0);
    else
        put_number(twins, "s", 5, (int)draw(twins, 5000), 3);
    put_json(twins, "}");
}

static void test_twins(void **state)
{
    (void)state;
    static struct twins twins;
    static struct trace first;
    unsigned accepted = 0;
    unsigned several = 0;
    twins.random = 20261129;
    for (unsigned round = 0; round < 2000; round++) {
        unsigned records = 1 + draw(&twins, 12);
        twins.json_bytes = twins.cbor_bytes = 0;
        put_head(&twins, 4, records);
        for (unsigned i = 0; i < records; i++) {
            put_json(&twins, i == 0 ? "[" : ",");
            put_record(&twins);
        }
        put_json(&twins, "]");
        int rc = read_in(PAYLOAD_SENML_JSON, twins.json, twins.json_bytes, true, TEXT_BYTES);
        first = trace;
        char why[PAYLOAD_FAULT_BYTES];
        memcpy(why, fault, sizeof why);
        assert_int_equal(
            read_in(PAYLOAD_SENML_CBOR, twins.cbor, twins.cbor_bytes, true, TEXT_BYTES), rc);
        assert_string_equal(why, fault);
        assert_int_equal(first.records, trace.records);
        assert_string_equal(first.text, trace.text);
        accepted += rc == 0;
        several += trace.records > 1;
    }
    assert_in_range(accepted, 1000, 2000);
    assert_in_range(several, 500, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_cbor),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_senml_examples),
        cmocka_unit_test(test_senml_cbor_example),
        cmocka_unit_test(test_senml_values),
        cmocka_unit_test(test_senml_faults),
        cmocka_unit_test(test_senml_times),
        cmocka_unit_test(test_senml_documents),
        cmocka_unit_test(test_senml_depth),
        cmocka_unit_test(test_senml_room),
        cmocka_unit_test(test_handler_refuses),
        cmocka_unit_test(test_twins),
    };
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
