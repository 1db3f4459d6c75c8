/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "platform/base/error.h"

static void test_own_codes(void **state)
{
    static const int codes[] = {
#define ERROR(name, number, text) name,
#include "platform/base/errors.def"
#undef ERROR
    };
    static const char *const texts[] = {
#define ERROR(name, number, text) text,
#include "platform/base/errors.def"
#undef ERROR
    };
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_true(codes[i] < 0 && codes[i] > -100);
        assert_int_equal(error_errno(codes[i]), 0);
        assert_int_equal(error_tls_code(codes[i]), 0);
        assert_string_equal(ERROR_TEXT(codes[i]), texts[i]);
        assert_true(strlen(texts[i]) < ERROR_TEXT_BYTES);
        for (size_t j = 0; j < i; j++)
            assert_true(codes[j] != codes[i]);
    }
    assert_string_equal(ERROR_TEXT(E_OK), "no error");
}

static void test_system(void **state)
{
    (void)state;
    for (int errnum = 1; errnum < 200; errnum++) {
        assert_true(error_sys(errnum) < -99);
        assert_int_equal(error_errno(error_sys(errnum)), errnum);
        assert_int_equal(error_tls_code(error_sys(errnum)), 0);
    }
    assert_int_equal(error_errno(0), 0);
    assert_string_equal(ERROR_TEXT(error_sys(ENOENT)), strerror(ENOENT));
}

static void test_tls(void **state)
{
    (void)state;
    for (int code = 1; code <= 0x7fff; code++) {
        assert_int_equal(error_tls_code(error_tls(-code)), -code);
        assert_int_equal(error_errno(error_tls(-code)), 0);
    }
    assert_int_equal(error_tls_code(-100000), 0);
    assert_int_equal(error_tls_code(-132768), 0);
    assert_string_equal(ERROR_TEXT(error_tls(-0x7780)), "TLS error -0x7780");
}

static void test_text_is_bounded(void **state)
{
    char text[5] = "....";
    (void)state;
    assert_ptr_equal(error_text(E_TIMEOUT, text, sizeof text), text);
    assert_string_equal(text, "the ");
    assert_string_equal(ERROR_TEXT(-30799), "error -30799");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_codes),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_text_is_bounded),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
