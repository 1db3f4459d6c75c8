/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/x509_crt.h>

#include "platform/clock.h"
#include "platform/mbedtls/tls_trust.h"
#include "platform/net.h"
#include "tests/unit/fake_tls.h"

static const char *const roots[] = {
#include "platform/mbedtls/amazon_roots.def"
};

enum { ROOTS = 5 };
_Static_assert(sizeof roots / sizeof *roots == ROOTS, "Amazon names five");

static const int64_t in_2026_ms = 1780000000000;
static const int64_t in_2050_ms = 2540000000000;

/* A file whose roots are taken for Amazon's; NULL: they are themselves. */
static const char *stand_in;

int __real_tls_trust_judge(const struct tls_trust_question *question, mbedtls_x509_crt *chain,
                           char where[TLS_WHERE_BYTES], struct tls_trust_answer *ret_answer);
int __wrap_tls_trust_judge(const struct tls_trust_question *question, mbedtls_x509_crt *chain,
                           char where[TLS_WHERE_BYTES], struct tls_trust_answer *ret_answer);

int __wrap_tls_trust_judge(const struct tls_trust_question *question, mbedtls_x509_crt *chain,
                           char where[TLS_WHERE_BYTES], struct tls_trust_answer *ret_answer)
{
    struct tls_trust_question other = *question;
    if (other.path == NULL)
        other.path = stand_in;
    return __real_tls_trust_judge(&other, chain, where, ret_answer);
}

static uint32_t flags_of(const char *text, const char *path, int64_t wall_ms, bool known)
{
    const struct tls_trust_question question = {
        .path = path, .host = "host.example", .clock_known = known, .wall_ms = wall_ms};
    struct tls_trust_answer answer = {0};
    mbedtls_x509_crt chain;
    char where[TLS_WHERE_BYTES];
    mbedtls_x509_crt_init(&chain);
    assert_int_equal(mbedtls_x509_crt_parse(&chain, (const unsigned char *)text, strlen(text) + 1),
                     0);
    assert_int_equal(tls_trust_judge(&question, &chain, where, &answer), 0);
    mbedtls_x509_crt_free(&chain);
    return answer.flags;
}

/* Each is among those that are trusted; that it is no host's is all that is wrong with it. */
static void test_amazon_roots(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROOTS; i++) {
        assert_int_equal(flags_of(roots[i], NULL, in_2026_ms, true),
                         MBEDTLS_X509_BADCERT_CN_MISMATCH);
        assert_int_equal(flags_of(roots[i], NULL, in_2050_ms, true),
                         MBEDTLS_X509_BADCERT_CN_MISMATCH | MBEDTLS_X509_BADCERT_EXPIRED);
        assert_int_equal(flags_of(roots[i], NULL, 0, true),
                         MBEDTLS_X509_BADCERT_CN_MISMATCH | MBEDTLS_X509_BADCERT_FUTURE);
        assert_int_equal(flags_of(roots[i], NULL, 0, false), MBEDTLS_X509_BADCERT_CN_MISMATCH);
    }
}

static void test_default(void **state)
{
    static const char *const of_aws[] = {
        "kinesis.eu-west-1.amazonaws.com",     "kinesis-fips.us-gov-west-1.amazonaws.com",
        "KINESIS.EU-WEST-1.AMAZONAWS.COM",     "kinesis.eu-west-1.api.aws",
        "kinesis.eusc-de-east-1.amazonaws.eu", "c1a2b3.credentials.iot.eu-west-1.amazonaws.com"};
    static const char *const others[] = {"amazonaws.com",     "kinesis.cn-north-1.amazonaws.com.cn",
                                         "xamazonaws.com",    "localhost",
                                         "127.0.0.1",         "telemetry.example",
                                         "amazonaws.com.evil"};
    (void)state;
    for (size_t i = 0; i < sizeof of_aws / sizeof *of_aws; i++)
        assert_null(tls_trust_default(of_aws[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_string_equal(tls_trust_default(others[i]), "/etc/ssl/certs/ca-certificates.crt");
}

static void talk(struct tls *tls, const struct fake_tls *server, const struct stop *stop)
{
    static const char host[] = "kinesis.eu-west-1.amazonaws.com";
    const int64_t deadline_ms = clock_mono_ms() + 60000;
    char where[TLS_WHERE_BYTES];
    char byte;
    struct stream *stream;
    int fd;
    assert_int_equal(tls_refresh(tls, host, where), 0);
    assert_int_equal(net_connect("127.0.0.1", fake_tls_port(server), NULL, deadline_ms, stop, &fd),
                     0);
    if (tls_connect(tls, fd, host, deadline_ms, stop, where, &stream) < 0)
        fail_msg("%s", where);
    assert_int_equal(stream_write(stream, "x", 1, deadline_ms), 0);
    assert_int_equal(stream_read(stream, &byte, 1, deadline_ms), 1);
    stream_close(stream);
}

/* What is built in does not change between two connections, so the session stays. */
static void test_sessions_with_amazon(void **state)
{
    char path[] = "/tmp/runnel-trust-XXXXXX";
    char pem[64];
    char key[64];
    char where[TLS_WHERE_BYTES];
    const struct fake_tls_certificate certificate = {.name = "kinesis.eu-west-1.amazonaws.com",
                                                     .ca = true};
    const struct fake_tls_options server_options = {.path = path, .cut_after_bytes = FAKE_TLS_ALL};
    const struct tls_options options = {0};
    struct tls_statistics statistics;
    struct fake_tls *server;
    struct stop stop;
    struct tls *tls;
    (void)state;
    int file = mkstemp(path);
    assert_true(file >= 0 && close(file) == 0);
    (void)snprintf(pem, sizeof pem, "%s.pem", path);
    (void)snprintf(key, sizeof key, "%s.key", path);
    assert_int_equal(stop_open(&stop), 0);
    assert_int_equal(tls_prepare(), 0);
    assert_int_equal(fake_tls_make(path, &certificate), 0);
    assert_int_equal(fake_tls_start(&server_options, &server), 0);
    assert_int_equal(tls_open(&options, where, &tls), 0);
    stand_in = pem;
    for (int i = 0; i < 3; i++)
        talk(tls, server, &stop);
    stand_in = NULL;
    tls_get_statistics(tls, &statistics);
    assert_int_equal(statistics.handshakes, 3);
    assert_int_equal(statistics.resumed, 2);
    tls_close(tls);
    fake_tls_stop(server);
    stop_close(&stop);
    assert_int_equal(unlink(path) + unlink(pem) + unlink(key), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amazon_roots),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_sessions_with_amazon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
