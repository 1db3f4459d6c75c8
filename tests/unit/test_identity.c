/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/certificate.h"
#include "platform/fs.h"
#include "platform/identity.h"
#include "platform/tls.h"
#include "tests/unit/fake_tls.h"

static char folder[] = "/tmp/runnel-identity-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    const struct fake_tls_certificate ca = {.name = "the one", .ca = true};
    (void)state;
    if (mkdtemp(folder) == NULL || tls_prepare() < 0 || fake_tls_make(in_folder("ca"), &ca) != 0)
        return -1;
    const struct fake_tls_certificate device = {.issuer = in_folder("ca"),
                                                .name = "gw-17",
                                                .not_before = "20240229235959",
                                                .not_after = "20380119031408"};
    return fake_tls_make(in_folder("device"), &device);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"ca.pem", "ca.key", "device.pem", "device.key"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(in_folder(names[i]));
    return rmdir(folder);
}

/* A file's text, and how long it is. */
static size_t read_text(const char *name, char text[CERTIFICATE_FILE_BYTES_MAX])
{
    int count = fs_read_file(in_folder(name), text, CERTIFICATE_FILE_BYTES_MAX);
    assert_true(count > 0);
    return (size_t)count;
}

static void test_keys(void **state)
{
    char first[IDENTITY_KEY_BYTES], second[IDENTITY_KEY_BYTES];
    (void)state;
    int count = identity_make_key(first);
    assert_int_equal(count, strlen(first));
    assert_memory_equal(first, "-----BEGIN EC PRIVATE KEY-----\n", 31);
    assert_true(identity_make_key(second) > 0);
    assert_string_not_equal(first, second);
}

static void test_request(void **state)
{
    char key[IDENTITY_KEY_BYTES], request[IDENTITY_REQUEST_BYTES];
    (void)state;
    int count = identity_make_key(key);
    assert_true(count > 0);
    int bytes = identity_write_request(key, (size_t)count, "CN=gw-17,O=Pumps", request);
    assert_int_equal(bytes, strlen(request));
    for (const char *line = request, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_true(end - line <= 64);
    }
    assert_true(identity_write_request(key, (size_t)count / 2, "CN=gw-17", request) < 0);
    assert_int_equal(identity_write_request(key, (size_t)count, "gw-17", request), E_SYNTAX);
}

static void test_subjects(void **state)
{
    static const char *const bad[] = {"",         "gw-17",    "CN=a+O=b", "CN=a\nb",
                                      "CN=\"a\"", "CN=a\\,b", "XX=gw-17", "CN=\xc3\xa4"};
    char subject[IDENTITY_SUBJECT_BYTES];
    char name[IDENTITY_NAME_BYTES_MAX + 2];
    (void)state;
    assert_int_equal(identity_check_subject("CN=gw-17"), 0);
    assert_int_equal(identity_check_subject("C=DE,O=Pumps and more,CN=gw:17.a@b"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (identity_check_subject(bad[i]) != E_SYNTAX)
            fail_msg("\"%s\" is taken", bad[i]);
    assert_int_equal(identity_name_subject("gw:17_a.b@c-d", subject), 0);
    assert_string_equal(subject, "CN=gw:17_a.b@c-d");
    assert_int_equal(identity_name_subject("a,b", subject), E_SYNTAX);
    assert_int_equal(identity_name_subject("", subject), E_SYNTAX);
    memset(name, 'x', sizeof name);
    name[IDENTITY_NAME_BYTES_MAX + 1] = '\0';
    assert_int_equal(identity_name_subject(name, subject), E_TOO_BIG);
    name[IDENTITY_NAME_BYTES_MAX] = '\0';
    assert_int_equal(identity_name_subject(name, subject), 0);
}

static void test_certificate(void **state)
{
    struct certificate certificate;
    (void)state;
    assert_int_equal(certificate_read_file(in_folder("device.pem"), &certificate), 0);
    assert_string_equal(certificate.subject, "CN=gw-17");
    assert_non_null(strstr(certificate.issuer, "the one"));
    assert_int_equal(strlen(certificate.fingerprint), 64);
    assert_true(certificate.serial[0] != '\0');
    assert_true(certificate.not_before_ms == 1709251199000);
    assert_true(certificate.not_after_ms == 2147483648000); /* past 32 bits */
    assert_true(certificate.p256);
    assert_int_equal(certificate.count, 1);
    assert_int_equal(certificate_read_file(in_folder("none"), &certificate), error_sys(ENOENT));
    assert_true(certificate_read_file(in_folder("device.key"), &certificate) < 0);
}

static void test_days(void **state)
{
    const int64_t day_ms = 24 * 3600 * 1000;
    (void)state;
    assert_int_equal(certificate_days(10 * day_ms, 0), 10);
    assert_int_equal(certificate_days(10 * day_ms, 1), 9);
    assert_int_equal(certificate_days(day_ms, day_ms), 0);
    assert_int_equal(certificate_days(day_ms, day_ms + 1), -1);
    assert_int_equal(certificate_days(day_ms, 2 * day_ms), -1);
    assert_int_equal(certificate_days(day_ms, 2 * day_ms + 1), -2);
}

/* However it is cut off, it is no certificate, and nothing beyond it is read. */
static void test_cut_off(void **state)
{
    static char text[CERTIFICATE_FILE_BYTES_MAX];
    struct certificate certificate;
    size_t count = read_text("device.pem", text);
    (void)state;
    while (count > 0 && text[count - 1] == '\n')
        count--;
    for (size_t left = 0; left < count; left++) {
        char *cut = malloc(left + 1);
        assert_non_null(cut);
        memcpy(cut, text, left);
        cut[left] = '\0';
        assert_true(certificate_read(cut, left, &certificate) < 0);
        free(cut);
    }
}

static void test_pairs(void **state)
{
    static char cert[CERTIFICATE_FILE_BYTES_MAX], key[CERTIFICATE_FILE_BYTES_MAX];
    static char other[IDENTITY_KEY_BYTES];
    size_t cert_count = read_text("device.pem", cert);
    size_t key_count = read_text("device.key", key);
    (void)state;
    assert_int_equal(identity_check_pair(cert, cert_count, key, key_count), 0);
    int other_count = identity_make_key(other);
    assert_true(other_count > 0);
    assert_int_equal(identity_check_pair(cert, cert_count, other, (size_t)other_count),
                     E_NOT_FOUND);
    assert_true(error_tls_code(identity_check_pair(key, key_count, key, key_count)) != 0);
    assert_true(error_tls_code(identity_check_pair(cert, cert_count, cert, cert_count)) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),     cmocka_unit_test(test_request),
        cmocka_unit_test(test_subjects), cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_days),     cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
