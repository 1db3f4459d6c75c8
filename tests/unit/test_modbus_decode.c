/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "drivers/modbus/modbus_decode.h"
#include "platform/base/error.h"

/* ---- answers ---- */

/* The examples of the Application Protocol Specification V1.1b3, 6.1 and 6.3, by unit 17. */
static const struct modbus_span coils = {MODBUS_COIL, 19, 19};
static const struct modbus_span holding = {MODBUS_HOLDING, 107, 3};

static int judge(const struct modbus_span *request, const uint8_t *answer, size_t count)
{
    const uint8_t *data;
    unsigned exception;
    return modbus_decode_answer(request, 17, answer, count, &data, &exception);
}

static void test_answers_of_the_specification(void **state)
{
    static const uint8_t bits[] = {17, 1, 3, 0xcd, 0x6b, 0x05};
    static const uint8_t registers[] = {17, 3, 6, 0x02, 0x2b, 0x00, 0x00, 0x00, 0x64};
    const uint8_t *data;
    unsigned exception;
    (void)state;
    assert_int_equal(modbus_decode_answer(&coils, 17, bits, sizeof bits, &data, &exception), 0);
    assert_ptr_equal(data, bits + 3);
    assert_int_equal(
        modbus_decode_answer(&holding, 17, registers, sizeof registers, &data, &exception), 0);
    assert_ptr_equal(data, registers + 3);
}

static void test_exceptions_are_told(void **state)
{
    static const uint8_t refusal[] = {17, 0x83, 2};
    static const uint8_t of_another[] = {17, 0x84, 2};
    const uint8_t *data;
    unsigned exception;
    (void)state;
    assert_int_equal(modbus_decode_answer(&holding, 17, refusal, sizeof refusal, &data, &exception),
                     E_REFUSED);
    assert_int_equal(exception, 2);
    assert_int_equal(judge(&holding, of_another, sizeof of_another), E_DAMAGED);
    for (unsigned code = 0; code < 256; code++)
        assert_true(strlen(modbus_decode_exception(code)) > 10);
}

static void test_what_is_no_answer(void **state)
{
    uint8_t answer[] = {17, 3, 6, 0x02, 0x2b, 0x00, 0x00, 0x00, 0x64};
    (void)state;
    for (size_t count = 0; count < sizeof answer; count++)
        assert_int_equal(judge(&holding, answer, count), E_DAMAGED);
    for (size_t place = 0; place < 3; place++) {
        answer[place] ^= 1;
        assert_int_equal(judge(&holding, answer, sizeof answer), E_DAMAGED);
        answer[place] ^= 1;
    }
    assert_int_equal(judge(&holding, answer, sizeof answer), 0);
}

/* ---- values ---- */

static struct modbus_field field_of(enum modbus_type type, enum modbus_order order)
{
    unsigned count = modbus_decode_registers(type);
    return (struct modbus_field){.span = {MODBUS_HOLDING, 2, count},
                                 .type = type,
                                 .order = order,
                                 .factor = {.mantissa = 1}};
}

/* FIELD's value, its registers being BYTES as sent, behind two others. */
static int decode(const struct modbus_field *field, const char *bytes, struct value *ret_value)
{
    static uint8_t raw[DECODE_RAW_BYTES];
    uint8_t data[4 + DECODE_RAW_BYTES] = {0xaa, 0xaa, 0xaa, 0xaa};
    const struct modbus_span request = {MODBUS_HOLDING, 0, 2 + field->span.count};
    memset(raw, 0x55, sizeof raw);
    memcpy(data + 4, bytes, 2 * (size_t)field->span.count);
    modbus_decode_take(field, &request, data, raw);
    return modbus_decode_value(field, raw, ret_value);
}

static void expect(enum modbus_type type, enum modbus_order order, const char *bytes,
                   int64_t mantissa)
{
    struct value value;
    const struct modbus_field field = field_of(type, order);
    assert_int_equal(decode(&field, bytes, &value), 0);
    assert_int_equal(value.kind, VALUE_DECIMAL);
    assert_int_equal(value.mantissa, mantissa);
    assert_int_equal(value.decimals, 0);
}

static void test_whole_numbers_of_every_width_and_sign(void **state)
{
    (void)state;
    expect(MODBUS_UINT16, MODBUS_ABCD, "\xff\xfe", 65534);
    expect(MODBUS_INT16, MODBUS_ABCD, "\xff\xfe", -2);
    expect(MODBUS_INT16, MODBUS_ABCD, "\x80\x00", -32768);
    expect(MODBUS_UINT32, MODBUS_ABCD, "\xff\xff\xff\xfe", 4294967294);
    expect(MODBUS_INT32, MODBUS_ABCD, "\xff\xff\xff\xfe", -2);
    expect(MODBUS_INT32, MODBUS_ABCD, "\x12\x34\x56\x78", 0x12345678);
    expect(MODBUS_INT64, MODBUS_ABCD, "\x80\0\0\0\0\0\0\0", INT64_MIN);
    expect(MODBUS_UINT64, MODBUS_ABCD, "\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX);
    expect(MODBUS_BCD16, MODBUS_ABCD, "\x12\x34", 1234);
    expect(MODBUS_BCD32, MODBUS_ABCD, "\x98\x76\x54\x32", 98765432);
}

static void test_every_order_of_bytes(void **state)
{
    (void)state;
    expect(MODBUS_INT32, MODBUS_CDAB, "\x56\x78\x12\x34", 0x12345678);
    expect(MODBUS_INT32, MODBUS_BADC, "\x34\x12\x78\x56", 0x12345678);
    expect(MODBUS_INT32, MODBUS_DCBA, "\x78\x56\x34\x12", 0x12345678);
    expect(MODBUS_UINT16, MODBUS_CDAB, "\x12\x34", 0x1234);
    expect(MODBUS_UINT16, MODBUS_BADC, "\x34\x12", 0x1234);
    expect(MODBUS_UINT16, MODBUS_DCBA, "\x34\x12", 0x1234);
    expect(MODBUS_INT64, MODBUS_CDAB, "\x77\x88\x55\x66\x33\x44\x11\x22", 0x1122334455667788);
    expect(MODBUS_INT64, MODBUS_BADC, "\x22\x11\x44\x33\x66\x55\x88\x77", 0x1122334455667788);
    expect(MODBUS_INT64, MODBUS_DCBA, "\x88\x77\x66\x55\x44\x33\x22\x11", 0x1122334455667788);
    expect(MODBUS_BCD32, MODBUS_CDAB, "\x54\x32\x98\x76", 98765432);
}

static void test_what_does_not_fit_is_said(void **state)
{
    struct value value;
    struct modbus_field field = field_of(MODBUS_UINT64, MODBUS_ABCD);
    (void)state;
    assert_int_equal(decode(&field, "\x80\0\0\0\0\0\0\0", &value), E_RANGE);
    field.factor = (struct decimal){.mantissa = 3};
    assert_int_equal(decode(&field, "\x7f\xff\xff\xff\xff\xff\xff\xff", &value), E_RANGE);
    field = field_of(MODBUS_BCD16, MODBUS_ABCD);
    assert_int_equal(decode(&field, "\x1a\x00", &value), E_SYNTAX);
}

static void test_scales_are_exact(void **state)
{
    struct value value;
    struct modbus_field field = field_of(MODBUS_INT16, MODBUS_ABCD);
    (void)state;
    field.decimals = 1;
    assert_int_equal(decode(&field, "\x09\x01", &value), 0);
    assert_int_equal(value.mantissa, 2305);
    assert_int_equal(value.decimals, 1);
    field.factor = (struct decimal){.mantissa = -25, .decimals = 3}; /* -0.025 */
    assert_int_equal(decode(&field, "\x09\x01", &value), 0);
    assert_int_equal(value.mantissa, -57625);
    assert_int_equal(value.decimals, 4);
}

static double number_of(const struct value *value)
{
    double number;
    assert_int_equal(value->kind, VALUE_FLOAT64);
    memcpy(&number, &value->float64_bits, sizeof number);
    return number;
}

static void test_floats_stay_what_they_are(void **state)
{
    struct value value;
    struct modbus_field field = field_of(MODBUS_FLOAT32, MODBUS_CDAB);
    (void)state;
    assert_int_equal(decode(&field, "\x00\x00\x41\xac", &value), 0);
    assert_true(number_of(&value) == 21.5);
    field = field_of(MODBUS_FLOAT64, MODBUS_ABCD);
    assert_int_equal(decode(&field, "\xc0\x09\x21\xfb\x54\x44\x2d\x18", &value), 0);
    assert_true(number_of(&value) == -3.141592653589793);
}

static void test_floats_are_rounded_where_decimals_are_asked_for(void **state)
{
    struct value value;
    struct modbus_field field = field_of(MODBUS_FLOAT64, MODBUS_ABCD);
    (void)state;
    field.has_decimals = true;
    field.decimals = 2;
    assert_int_equal(decode(&field, "\xc0\x09\x21\xfb\x54\x44\x2d\x18", &value), 0);
    assert_int_equal(value.mantissa, -314);
    assert_int_equal(value.decimals, 2);
    field.decimals = 0;
    assert_int_equal(decode(&field, "\x40\x04\0\0\0\0\0\0", &value), 0); /* 2.5 */
    assert_int_equal(value.mantissa, 3);
    assert_int_equal(decode(&field, "\xc0\x04\0\0\0\0\0\0", &value), 0);
    assert_int_equal(value.mantissa, -3);
    assert_int_equal(decode(&field, "\xc3\xe0\0\0\0\0\0\0", &value), 0); /* -2^63 */
    assert_true(value.mantissa == INT64_MIN);
    assert_int_equal(decode(&field, "\x43\xe0\0\0\0\0\0\0", &value), E_RANGE);
}

static void test_no_number_is_no_value(void **state)
{
    static const char *const none[] = {"\x7f\xc0\0\0", "\x7f\x80\0\0", "\xff\x80\0\0"};
    struct value value;
    struct modbus_field field = field_of(MODBUS_FLOAT32, MODBUS_ABCD);
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        field.has_decimals = false;
        assert_int_equal(decode(&field, none[i], &value), E_SYNTAX);
        field.has_decimals = true;
        assert_int_equal(decode(&field, none[i], &value), E_SYNTAX);
    }
}

static void test_bits_of_registers_and_of_tables(void **state)
{
    static const uint8_t data[] = {0xcd, 0x6b, 0x05}; /* of the specification, from coil 19 on */
    static const char seen[] = "1011001111010110101"; /* as it lists them, the first one first */
    struct value value;
    uint8_t raw[DECODE_RAW_BYTES];
    struct modbus_field field = field_of(MODBUS_BOOL, MODBUS_ABCD);
    (void)state;
    field.bit = 15;
    assert_int_equal(decode(&field, "\x80\x00", &value), 0);
    assert_int_equal(value.mantissa, 1);
    field.bit = 0;
    assert_int_equal(decode(&field, "\x80\x00", &value), 0);
    assert_int_equal(value.mantissa, 0);
    for (unsigned i = 0; i < 19; i++) {
        field.span = (struct modbus_span){MODBUS_COIL, 19 + i, 1};
        modbus_decode_take(&field, &coils, data, raw);
        assert_int_equal(modbus_decode_value(&field, raw, &value), 0);
        assert_int_equal(value.mantissa, seen[i] - '0');
    }
}

static void expect_text(const char *bytes, enum modbus_order order, const char *text)
{
    struct value value;
    struct modbus_field field = field_of(MODBUS_STRING, order);
    field.span.count = 4;
    assert_int_equal(decode(&field, bytes, &value), text != NULL ? 0 : E_SYNTAX);
    if (text == NULL)
        return;
    assert_int_equal(value.kind, VALUE_TEXT);
    assert_int_equal(value.text_bytes, strlen(text));
    assert_memory_equal(value.text, text, value.text_bytes);
}

static void test_strings(void **state)
{
    (void)state;
    expect_text("PUMP-4\0x", MODBUS_ABCD, "PUMP-4");
    expect_text("UPPM4-  ", MODBUS_BADC, "PUMP-4");
    expect_text("PUMP-4  ", MODBUS_CDAB, "PUMP-4");
    expect_text("12345678", MODBUS_ABCD, "12345678");
    expect_text("        ", MODBUS_ABCD, "");
    expect_text("gr\xc3\xbc\xc3\x9f\x65\0", MODBUS_ABCD, "gr\xc3\xbc\xc3\x9f\x65");
    expect_text("\xf0\x9f\x92\xa7 \xe2\x82\xac", MODBUS_ABCD, "\xf0\x9f\x92\xa7 \xe2\x82\xac");
    expect_text("gr\xfc\xdf\x65\0\0\0", MODBUS_ABCD, NULL);     /* Latin-1 */
    expect_text("\xed\xa0\x80\0\0\0\0\0", MODBUS_ABCD, NULL);   /* half of a pair */
    expect_text("\xc0\x80\0\0\0\0\0\0", MODBUS_ABCD, NULL);     /* longer than need be */
    expect_text("\xf4\x90\x80\x80\0\0\0\0", MODBUS_ABCD, NULL); /* above Unicode */
    expect_text("abcdefg\xc3", MODBUS_ABCD, NULL);              /* cut off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_of_the_specification),
        cmocka_unit_test(test_exceptions_are_told),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_whole_numbers_of_every_width_and_sign),
        cmocka_unit_test(test_every_order_of_bytes),
        cmocka_unit_test(test_what_does_not_fit_is_said),
        cmocka_unit_test(test_scales_are_exact),
        cmocka_unit_test(test_floats_stay_what_they_are),
        cmocka_unit_test(test_floats_are_rounded_where_decimals_are_asked_for),
        cmocka_unit_test(test_no_number_is_no_value),
        cmocka_unit_test(test_bits_of_registers_and_of_tables),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
