/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/net.h"
#include "platform/thread.h"
#include "platform/tls.h"
#include "tests/unit/fake_tls.h"

static const int64_t soon_ms = 30;
static const int64_t late_ms = 60 * 1000;
static char root[64];
static struct stop stop;

/* The path of NAME in the temporary directory; good until the fourth call after it. */
static const char *in_root(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static int64_t within(int64_t ms)
{
    return clock_mono_ms() + ms;
}

static int run_in_root(const char *commands)
{
    char command[600];
    (void)snprintf(command, sizeof command, "cd '%s' && { %s; }", root, commands);
    return system(command);
}

static int make_certificates(void)
{
    static const struct {
        const char *file;
        struct fake_tls_certificate certificate;
    } all[] = {
        {"ca", {.name = "Test CA", .ca = true}},
        {"other", {.name = "Other CA", .ca = true}},
        {"good", {.name = "localhost"}},
        {"past", {.name = "localhost", .not_after = "20210101000000"}},
        {"future", {.name = "localhost", .not_before = "20480101000000"}},
        {"client", {.name = "gw-17"}},
        {"usage", {.name = "localhost", .no_signing = true}},
        {"middle", {.name = "Middle CA", .ca = true, .issuer = "ca"}},
        {"below", {.name = "localhost", .issuer = "middle"}},
        {"plain", {.name = "localhost", .issuer = "good"}}, /* whose issuer is no CA */
        {"old", {.name = "Old CA", .ca = true, .not_after = "20210101000000"}},
        {"of-old", {.name = "localhost", .issuer = "old"}},
        {"self", {.name = "localhost", .ca = true}},
        {"cross", {.name = "Other CA", .ca = true, .issuer = "ca", .key = "other"}},
        {"capitals", {.name = "TEST CA", .ca = true, .key = "ca"}},
        {"of-other", {.name = "localhost", .issuer = "other"}},
        {"aws", {.name = "kinesis.eu-west-1.amazonaws.com"}},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct fake_tls_certificate certificate = all[i].certificate;
        const char *issuer = certificate.issuer;
        char key[128];
        if (issuer == NULL && !certificate.ca)
            issuer = "ca";
        if (certificate.key != NULL) {
            (void)snprintf(key, sizeof key, "%s", in_root(certificate.key));
            certificate.key = key;
        }
        certificate.issuer = issuer == NULL ? NULL : in_root(issuer);
        if (fake_tls_make(in_root(all[i].file), &certificate) != 0)
            return -1;
    }
    return 0;
}

/* What a server presents whole. */
static int chain_certificates(void)
{
    static const char commands[] =
        "cat below.pem middle.pem > chained.pem && cp below.key chained.key "
        "&& cat of-other.pem cross.pem > crossed.pem && cp of-other.key "
        "crossed.key";
    return run_in_root(commands);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/runnel-tls-XXXXXX");
    if (mkdtemp(root) == NULL || tls_prepare() < 0)
        return -1;
    return make_certificates() == 0 ? chain_certificates() : -1;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static int open_stop(void **state)
{
    (void)state;
    return stop_open(&stop);
}

static int close_stop(void **state)
{
    (void)state;
    stop_close(&stop);
    return 0;
}

static struct fake_tls *serve(const char *name)
{
    struct fake_tls *server;
    const struct fake_tls_options options = {.path = in_root(name),
                                             .cut_after_bytes = FAKE_TLS_ALL};
    assert_int_equal(fake_tls_start(&options, &server), 0);
    return server;
}

static struct tls *trust(const char *name)
{
    struct tls *tls;
    char where[TLS_WHERE_BYTES];
    char path[128];
    (void)snprintf(path, sizeof path, "%s.pem", in_root(name));
    const struct tls_options options = {.ca_file = path};
    assert_int_equal(tls_open(&options, where, &tls), 0);
    return tls;
}

static int reach(const struct fake_tls *server)
{
    int fd;
    assert_int_equal(
        net_connect("127.0.0.1", fake_tls_port(server), NULL, within(late_ms), &stop, &fd), 0);
    return fd;
}

static int shake(struct tls *tls, const struct fake_tls *server, const char *host,
                 char where[TLS_WHERE_BYTES], struct stream **ret_stream)
{
    return tls_connect(tls, reach(server), host, within(late_ms), &stop, where, ret_stream);
}

static struct stream *connect_well(struct tls *tls, const struct fake_tls *server)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream;
    int rc = shake(tls, server, "localhost", where, &stream);
    if (rc < 0)
        fail_msg("%s", where);
    return stream;
}

static void say(struct stream *stream, const char *text)
{
    assert_int_equal(stream_write(stream, text, strlen(text), within(late_ms)), 0);
}

static void hear(struct stream *stream, const char *text)
{
    char buffer[64];
    int count = stream_read(stream, buffer, sizeof buffer, within(late_ms));
    assert_int_equal(count, strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
}

static int hear_nothing(struct stream *stream, int64_t deadline_ms)
{
    char byte;
    return stream_read(stream, &byte, 1, deadline_ms);
}

static void test_good_chain(void **state)
{
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    struct stream *stream = connect_well(tls, server);
    struct tls_statistics statistics;
    (void)state;
    say(stream, "hello");
    hear(stream, "hello");
    tls_get_statistics(tls, &statistics);
    assert_true(statistics.handshakes == 1 && statistics.resumed == 0);
    assert_true(statistics.bytes_in > 500 && statistics.bytes_in < 5000);
    assert_true(statistics.bytes_out > 200 && statistics.bytes_out < 5000);
    stream_close(stream);
    tls_close(tls);
    tls_close(NULL);
    fake_tls_stop(server);
}

enum { MUCH = 300 * 1000 };

/* Pieces of more than one TLS record, read back in pieces of less. */
static void test_much_data(void **state)
{
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    struct stream *stream = connect_well(tls, server);
    unsigned char *bytes = malloc(MUCH);
    unsigned char back[1000];
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (unsigned char)(i * 7 >> 3);
    for (size_t from = 0; from < MUCH;) {
        size_t count = MUCH - from < 30000 ? MUCH - from : 30000;
        assert_int_equal(stream_write(stream, bytes + from, count, within(late_ms)), 0);
        for (size_t end = from + count; from < end;) {
            int got = stream_read(stream, back, sizeof back, within(late_ms));
            assert_true(got > 0 && (size_t)got <= end - from);
            assert_memory_equal(back, bytes + from, (size_t)got);
            from += (size_t)got;
        }
    }
    assert_int_equal(stream_write(stream, bytes, 0, within(late_ms)), 0);
    stream_close(stream);
    tls_close(tls);
    fake_tls_stop(server);
    free(bytes);
}

static void expect_refusal(const char *certificate, const char *ca, const char *host,
                           const char *reason)
{
    char where[TLS_WHERE_BYTES];
    char expected[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct tls_statistics statistics;
    struct fake_tls *server = serve(certificate);
    struct tls *tls = trust(ca);
    (void)snprintf(expected, sizeof expected, "%s: ", host);
    assert_int_equal(shake(tls, server, host, where, &stream), E_CERTIFICATE);
    assert_memory_equal(where, expected, strlen(expected));
    if (strstr(where, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", where, reason);
    assert_null(strchr(where, '\n'));
    assert_null(stream);
    tls_get_statistics(tls, &statistics);
    assert_true(statistics.handshakes == 0 && statistics.bytes_in > 0);
    tls_close(tls);
    fake_tls_stop(server);
}

static void test_untrusted(void **state)
{
    (void)state;
    expect_refusal("good", "other", "localhost", "not correctly signed by the trusted CA");
    expect_refusal("other", "ca", "Other CA", "not correctly signed by the trusted CA");
    expect_refusal("good", "ca", "other.example", "does not match");
    expect_refusal("good", "ca", "localhost.example", "does not match");
    expect_refusal("good", "ca", "127.0.0.1", "does not match");
    expect_refusal("past", "ca", "localhost", "expired");
    expect_refusal("future", "ca", "localhost", "future");
    expect_refusal("past", "other", "other.example", ";"); /* several reasons, one line */
    expect_refusal("self", "ca", "localhost", "not correctly signed by the trusted CA");
    expect_refusal("usage", "ca", "localhost", "keyUsage");
    expect_refusal("below", "ca", "localhost", "not correctly signed by the trusted CA");
    expect_refusal("chained", "other", "localhost", "not correctly signed by the trusted CA");
    expect_refusal("plain", "ca", "localhost", "not correctly signed by the trusted CA");
    expect_refusal("plain", "good", "localhost", "not correctly signed by the trusted CA");
    expect_refusal("of-old", "old", "localhost", "expired");
    expect_refusal("crossed", "old", "localhost", "not correctly signed by the trusted CA");
}

#ifdef CONFIG_COMMAND_DOCTOR
/* What is said of the certificate that was shown, believed or not. */
static void expect_objections(const char *certificate, const char *ca, const char *host,
                              unsigned objections)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct tls_peer peer;
    struct fake_tls *server = serve(certificate);
    struct tls *tls = trust(ca);
    tls_get_peer(tls, &peer);
    assert_false(peer.seen);
    assert_int_equal(shake(tls, server, host, where, &stream) < 0, objections != 0);
    stream_close(stream);
    tls_get_peer(tls, &peer);
    assert_true(peer.seen);
    assert_int_equal(peer.objections, objections);
    assert_memory_equal(peer.certificate.subject, "CN=", 3);
    assert_true(peer.certificate.not_before_ms < peer.certificate.not_after_ms);
    assert_non_null(strstr(peer.trusted, ca));
    tls_close(tls);
    fake_tls_stop(server);
}

static void test_peer(void **state)
{
    (void)state;
    expect_objections("good", "ca", "localhost", 0);
    expect_objections("good", "other", "localhost", TLS_UNTRUSTED);
    expect_objections("good", "ca", "other.example", TLS_OTHER_NAME);
    expect_objections("past", "ca", "localhost", TLS_EXPIRED);
    expect_objections("future", "ca", "localhost", TLS_FUTURE);
    expect_objections("past", "other", "other.example",
                      TLS_UNTRUSTED | TLS_EXPIRED | TLS_OTHER_NAME);
}
#endif

static int refusal_of(const struct fake_tls_options *options)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct fake_tls *server;
    struct tls *tls = trust("ca");
    assert_int_equal(fake_tls_start(options, &server), 0);
    int rc = shake(tls, server, "localhost", where, &stream);
    assert_true(rc < 0);
    assert_null(stream);
    assert_memory_equal(where, "localhost: ", 11);
    assert_true(strlen(where) > 11);
    tls_close(tls);
    fake_tls_stop(server);
    return rc;
}

static void test_old_version(void **state)
{
    const struct fake_tls_options options = {
        .path = in_root("good"), .old_version = true, .cut_after_bytes = FAKE_TLS_ALL};
    (void)state;
    if (!fake_tls_has_old_version())
        skip();
    assert_int_not_equal(error_tls_code(refusal_of(&options)), 0);
}

static void test_old_ciphers(void **state)
{
    const struct fake_tls_options options = {
        .path = in_root("good"), .old_ciphers = true, .cut_after_bytes = FAKE_TLS_ALL};
    (void)state;
    assert_int_not_equal(error_tls_code(refusal_of(&options)), 0);
}

/* An orderly end is told from a cut, which could hide that something is missing. */
static void test_ends(void **state)
{
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    struct stream *stream = connect_well(tls, server);
    (void)state;
    say(stream, "close");
    assert_int_equal(hear_nothing(stream, within(late_ms)), E_END);
    stream_close(stream);
    stream = connect_well(tls, server);
    say(stream, "cut");
    assert_int_equal(hear_nothing(stream, within(late_ms)), E_CLOSED);
    assert_int_equal(hear_nothing(stream, within(late_ms)), E_CLOSED);
    assert_int_equal(stream_write(stream, "x", 1, within(late_ms)), E_CLOSED);
    stream_close(stream);
    tls_close(tls);
    fake_tls_stop(server);
}

static void expect_statistics(const struct tls *tls, uint64_t handshakes, uint64_t resumed)
{
    struct tls_statistics statistics;
    tls_get_statistics(tls, &statistics);
    assert_int_equal(statistics.handshakes, handshakes);
    assert_int_equal(statistics.resumed, resumed);
}

static void talk(struct tls *tls, const struct fake_tls *server)
{
    struct stream *stream = connect_well(tls, server);
    say(stream, "hello");
    hear(stream, "hello");
    say(stream, "close");
    assert_int_equal(hear_nothing(stream, within(late_ms)), E_END);
    stream_close(stream);
}

static void expect_trust(const char *certificate, const char *ca)
{
    struct fake_tls *server = serve(certificate);
    struct tls *tls = trust(ca);
    talk(tls, server);
    tls_close(tls);
    fake_tls_stop(server);
}

static void test_chains(void **state)
{
    (void)state;
    expect_trust("chained", "ca");
    expect_trust("below", "middle"); /* a CA that is none of its own roots */
    expect_trust("self", "self");
    expect_trust("good", "capitals"); /* the same name, written differently */
    expect_trust("crossed", "ca");
    expect_trust("crossed", "other"); /* the root that it knows, whoever else signed it */
}

static void test_resumption(void **state)
{
    struct tls_statistics first;
    struct tls_statistics second;
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    (void)state;
    talk(tls, server);
    expect_statistics(tls, 1, 0);
    tls_get_statistics(tls, &first);
    talk(tls, server);
    talk(tls, server);
    expect_statistics(tls, 3, 2);
    tls_get_statistics(tls, &second);
    assert_true(second.bytes_in - first.bytes_in < 2 * first.bytes_in); /* no chain was sent */
    fake_tls_stop(server);

    server = serve("good"); /* does not know the tickets of the one before */
    talk(tls, server);
    expect_statistics(tls, 4, 2);
    talk(tls, server);
    expect_statistics(tls, 5, 3);
    assert_int_equal(fake_tls_resumed(server), 1);
    tls_close(tls);
    fake_tls_stop(server);
}

/* A session says whom it was verified for: it must not open the door under another name. */
/* A server without tickets, which knows its sessions by their numbers. */
static void test_resumption_by_id(void **state)
{
    const struct fake_tls_options options = {
        .path = in_root("good"), .by_id = true, .cut_after_bytes = FAKE_TLS_ALL};
    struct fake_tls *server;
    struct tls *tls = trust("ca");
    (void)state;
    assert_int_equal(fake_tls_start(&options, &server), 0);
    for (uint64_t i = 0; i < 3; i++) {
        talk(tls, server);
        expect_statistics(tls, i + 1, i);
    }
    fake_tls_stop(server);
    assert_int_equal(fake_tls_start(&options, &server), 0); /* another, which knows none */
    talk(tls, server);
    expect_statistics(tls, 4, 2);
    talk(tls, server);
    expect_statistics(tls, 5, 3);
    tls_close(tls);
    fake_tls_stop(server);
}

static void test_no_resumption_under_another_name(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream;
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    (void)state;
    talk(tls, server);
    assert_int_equal(shake(tls, server, "other.example", where, &stream), E_CERTIFICATE);
    talk(tls, server); /* after a failure the session is gone */
    expect_statistics(tls, 2, 0);
    tls_close(tls);
    fake_tls_stop(server);
}

static void test_waits_end(void **state)
{
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    struct stream *stream = connect_well(tls, server);
    (void)state;
    int64_t deadline_ms = within(soon_ms);
    assert_int_equal(hear_nothing(stream, deadline_ms), E_TIMEOUT);
    assert_true(clock_mono_ms() >= deadline_ms);
    say(stream, "late"); /* and a read whose deadline passed can be made again */
    assert_int_equal(hear_nothing(stream, within(soon_ms)), E_TIMEOUT);
    say(stream, "quiet");
    hear(stream, "late");
    say(stream, "hello");
    hear(stream, "hello");
    assert_int_equal(hear_nothing(stream, 0), E_TIMEOUT);
    stop_request(&stop);
    assert_int_equal(hear_nothing(stream, INT64_MAX), E_STOP);
    stream_close(stream);
    tls_close(tls);
    fake_tls_stop(server);
}

/* A listener that never answers, on a socket of our own. */
static int reach_silence(int *ret_silence)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *ret_silence = pair[1];
    return pair[0];
}

static void test_handshake_gives_up(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct tls *tls = trust("ca");
    int silence;
    (void)state;
    int fd = reach_silence(&silence);
    assert_int_equal(tls_connect(tls, fd, "localhost", within(soon_ms), &stop, where, &stream),
                     E_TIMEOUT);
    assert_string_equal(where, "localhost: the deadline passed");
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed, also on failure */
    close(silence);
    fd = reach_silence(&silence);
    stop_request(&stop);
    assert_int_equal(tls_connect(tls, fd, "localhost", INT64_MAX, &stop, where, &stream), E_STOP);
    close(silence);
    fd = reach_silence(&silence);
    close(silence);
    assert_int_equal(tls_connect(tls, fd, "localhost", INT64_MAX, &stop, where, &stream), E_CLOSED);
    assert_null(stream);
    tls_close(tls);
}

static void flood(void *context)
{
    static const unsigned char warning[] = {0x15, 3, 3, 0, 2, 1, 90};
    static unsigned char many[7 * 9000]; /* so much that the socket never runs dry */
    const int *fd = context;
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = warning[i % sizeof warning];
    while (send(*fd, many, sizeof many, MSG_NOSIGNAL) > 0)
        ;
}

/* One who only sends warnings, without end, does not hold the thread beyond its deadline. */
static void test_flood_of_warnings(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct tls *tls = trust("ca");
    struct thread thread;
    int other_side;
    (void)state;
    int fd = reach_silence(&other_side);
    assert_int_equal(thread_start(&thread, "flood", flood, &other_side), 0);
    int rc = tls_connect(tls, fd, "localhost", within(soon_ms), &stop, where, &stream);
    assert_int_equal(rc, E_TIMEOUT);
    assert_int_equal(thread_join(&thread, within(late_ms)), 0);
    close(other_side);
    tls_close(tls);
}

static void test_byte_by_byte(void **state)
{
    struct fake_tls *server;
    struct tls *tls = trust("ca");
    const struct fake_tls_options options = {
        .path = in_root("good"), .dribble = true, .cut_after_bytes = FAKE_TLS_ALL};
    (void)state;
    assert_int_equal(fake_tls_start(&options, &server), 0);
    talk(tls, server);
    tls_close(tls);
    fake_tls_stop(server);
}

/* A connection that breaks off anywhere in the handshake is closed, and no more than that. */
static void test_cut_handshake(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct tls *tls = trust("ca");
    struct tls_statistics statistics;
    int cut_after_bytes = 0;
    int rc;
    (void)state;
    do {
        struct fake_tls *server;
        struct stream *stream = NULL;
        const struct fake_tls_options options = {.path = in_root("good"),
                                                 .cut_after_bytes = cut_after_bytes};
        assert_int_equal(fake_tls_start(&options, &server), 0);
        rc = shake(tls, server, "localhost", where, &stream);
        assert_true(rc == 0 || rc == E_CLOSED);
        stream_close(stream);
        fake_tls_stop(server);
        cut_after_bytes += 23;
    } while (rc < 0 && cut_after_bytes < 5000);
    assert_int_equal(rc, 0);
    tls_get_statistics(tls, &statistics);
    assert_true(statistics.handshakes == 1 && cut_after_bytes > 20 * 23);
    tls_close(tls);
}

static struct fake_tls *serve_with_client_ca(void)
{
    struct fake_tls *server;
    const struct fake_tls_options options = {
        .path = in_root("good"), .client_ca = in_root("ca"), .cut_after_bytes = FAKE_TLS_ALL};
    assert_int_equal(fake_tls_start(&options, &server), 0);
    return server;
}

static struct tls *be(const char *cert_file, const char *key_file)
{
    char where[TLS_WHERE_BYTES];
    struct tls *tls;
    const struct tls_options options = {.ca_file = in_root("ca.pem"),
                                        .cert_file = in_root(cert_file),
                                        .key_file = in_root(key_file)};
    assert_int_equal(tls_open(&options, where, &tls), 0);
    return tls;
}

/* In TLS 1.3 a server judges its client when that has its handshake behind it already. */
static int refusal_by_server(struct tls *tls, const struct fake_tls *server)
{
    char where[TLS_WHERE_BYTES];
    char byte;
    struct stream *stream;
    int rc = shake(tls, server, "localhost", where, &stream);
    if (rc < 0)
        return rc;
    rc = stream_read(stream, &byte, 1, within(late_ms));
    stream_close(stream);
    return rc;
}

static void test_client_certificate(void **state)
{
    struct fake_tls *server = serve_with_client_ca();
    struct tls *tls = be("client.pem", "client.key");
    (void)state;
    talk(tls, server);
    tls_close(tls);
    tls = be("other.pem", "other.key"); /* not the server's: it says so in an alert */
    assert_int_not_equal(error_tls_code(refusal_by_server(tls, server)), 0);
    tls_close(tls);
    tls = trust("ca"); /* none at all: mbedTLS's server just closes, or 3.6's says so */
    int rc = refusal_by_server(tls, server);
    assert_true(rc == E_CLOSED || error_tls_code(rc) != 0);
    tls_close(tls);
    fake_tls_stop(server);
}

static void expect_open(const char *ca, const char *cert, const char *key, int expected,
                        const char *at_fault)
{
    char where[TLS_WHERE_BYTES];
    struct tls *tls = NULL;
    const struct tls_options options = {
        .ca_file = in_root(ca),
        .cert_file = cert != NULL ? in_root(cert) : NULL,
        .key_file = key != NULL ? in_root(key) : NULL,
    };
    int rc = tls_open(&options, where, &tls);
    if (expected != 0)
        assert_int_equal(rc, expected);
    else
        assert_int_not_equal(error_tls_code(rc), 0);
    assert_null(tls);
    assert_memory_equal(where, in_root(at_fault), strlen(in_root(at_fault)));
    assert_true(strlen(where) > strlen(in_root(at_fault)) + 2); /* and why */
}

static void test_files(void **state)
{
    (void)state;
    FILE *file = fopen(in_root("junk"), "w");
    assert_non_null(file);
    assert_true(fputs("-----BEGIN CERTIFICATE-----\njunk\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    expect_open("none", NULL, NULL, error_sys(ENOENT), "none");
    expect_open("junk", NULL, NULL, 0, "junk");
    expect_open("ca.key", NULL, NULL, 0, "ca.key");
    expect_open("ca.pem", "none", "client.key", error_sys(ENOENT), "none");
    expect_open("ca.pem", "client.pem", "none", error_sys(ENOENT), "none");
    expect_open("ca.pem", "client.pem", "junk", 0, "junk");
    expect_open("ca.pem", "client.pem", "other.key", 0, "other.key");
    expect_open("ca.pem", "client.pem", NULL, E_INVALID, "client.pem");
    expect_open("ca.pem", NULL, "client.key", E_INVALID, "client.key");
}

/* A bundle with something unknown in it still serves for the rest. */
static void test_bundles(void **state)
{
    (void)state;
    assert_int_equal(
        run_in_root("sed 's/MII/AAA/' other.pem > bundle.pem; cat ca.pem >> bundle.pem"), 0);
    expect_trust("good", "bundle");
    assert_int_equal(
        run_in_root("{ echo words; head -c 40000 /dev/zero | tr '\\0' x; echo; echo "
                    "-----BEGIN CERTIFICATE-----; head -c 40000 /dev/zero | tr '\\0' x; echo; "
                    "cat other.pem ca.pem other.pem; printf -- '-----BEGIN CERT'; } > bundle.pem"),
        0);
    expect_trust("good", "bundle");
    assert_int_equal(run_in_root("sed '1d;$d' ca.pem | base64 -d > bundle.pem"), 0); /* DER */
    expect_trust("good", "bundle");
    assert_int_equal(run_in_root("cat /etc/ssl/certs/ca-certificates.crt ca.pem > bundle.pem "
                                 "2>/dev/null || cp ca.pem bundle.pem"),
                     0);
    expect_trust("good", "bundle");
}

/* Who was there when it was opened, and is not when it counts, is nobody to trust. */
static void test_vanished_bundle(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct fake_tls *server = serve("good");
    (void)state;
    assert_int_equal(run_in_root("cp ca.pem gone.pem"), 0);
    struct tls *tls = trust("gone");
    talk(tls, server);
    assert_int_equal(run_in_root("rm gone.pem"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), error_sys(ENOENT));
    assert_non_null(strstr(where, "gone.pem: "));
    assert_int_equal(shake(tls, server, "localhost", where, &stream), error_sys(ENOENT));
    assert_null(stream);
    assert_non_null(strstr(where, "gone.pem: "));
    assert_int_equal(run_in_root("cp other.pem gone.pem"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    assert_int_equal(shake(tls, server, "localhost", where, &stream), E_CERTIFICATE);
    assert_int_equal(run_in_root("cp ca.pem gone.pem"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    talk(tls, server);
    expect_statistics(tls, 2, 0);
    tls_close(tls);
    fake_tls_stop(server);
}

/* As long as the files stay, so does the session. */
static void test_refresh_keeps_session(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct fake_tls *server = serve("good");
    struct tls *tls = trust("ca");
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tls_refresh(tls, "localhost", where), 0);
        talk(tls, server);
    }
    expect_statistics(tls, 3, 2);
    tls_close(tls);
    fake_tls_stop(server);
}

#ifdef CONFIG_TLS_AMAZON_ROOTS
/* Hosts of AWS have roots of their own, without any file. */
static void test_amazon_roots(void **state)
{
    static const char host[] = "kinesis.eu-west-1.amazonaws.com";
    const struct tls_options options = {0};
    char where[TLS_WHERE_BYTES];
    struct stream *stream = NULL;
    struct fake_tls *server = serve("aws");
    struct tls *tls;
    (void)state;
    assert_int_equal(tls_open(&options, where, &tls), 0);
    assert_int_equal(tls_refresh(tls, host, where), 0);
    assert_int_equal(shake(tls, server, host, where, &stream), E_CERTIFICATE);
    assert_non_null(strstr(where, "not correctly signed by the trusted CA"));
    tls_close(tls);
    tls = trust("ca");
    assert_int_equal(shake(tls, server, host, where, &stream), 0);
    stream_close(stream);
    tls_close(tls);
    fake_tls_stop(server);
}
#endif

/* ---- a certificate that changes on disk ---- */

static void test_client_certificate_changes(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct fake_tls *server = serve_with_client_ca();
    (void)state;
    assert_int_equal(run_in_root("cp client.pem my.pem; cp client.key my.key"), 0);
    struct tls *tls = be("my.pem", "my.key");
    talk(tls, server);
    assert_int_equal(run_in_root("cp good.pem my.pem"), 0); /* the key is still the other's */
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    talk(tls, server);
    expect_statistics(tls, 2, 1);
    assert_int_equal(run_in_root("cp good.key my.key"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    talk(tls, server);
    expect_statistics(tls, 3, 1); /* a new identity takes up no session of the old one */
    assert_int_equal(run_in_root("cp other.pem my.pem; cp other.key my.key"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    assert_true(refusal_by_server(tls, server) < 0);
    assert_int_equal(run_in_root("rm my.pem; cp client.key my.key"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    assert_true(refusal_by_server(tls, server) < 0); /* still the other's */
    assert_int_equal(run_in_root("cp client.pem my.pem"), 0);
    assert_int_equal(tls_refresh(tls, "localhost", where), 0);
    talk(tls, server);
    tls_close(tls);
    fake_tls_stop(server);
}

/* ---- dates and clocks ---- */

static const int64_t mid_2020_ms = 1590000000000;
static const int64_t mid_2022_ms = 1650000000000;
static const int64_t mid_2048_ms = 2480000000000;

struct clock {
    bool known;
    int64_t wall_ms;
};

static int64_t read_clock(void *context, bool *ret_known)
{
    const struct clock *clock = context;
    *ret_known = clock->known;
    return clock->wall_ms;
}

static struct tls *trust_at(const char *ca, struct clock *clock)
{
    char where[TLS_WHERE_BYTES];
    char path[128];
    struct tls *tls;
    (void)snprintf(path, sizeof path, "%s.pem", in_root(ca));
    const struct tls_options options = {
        .ca_file = path, .wall_ms = read_clock, .wall_context = clock};
    assert_int_equal(tls_open(&options, where, &tls), 0);
    return tls;
}

/* Whether CERTIFICATE is taken then; REASON: what its refusal says, or NULL. */
static void expect_at(struct clock clock, const char *certificate, const char *ca, const char *host,
                      const char *reason)
{
    char where[TLS_WHERE_BYTES] = "";
    struct stream *stream = NULL;
    struct fake_tls *server = serve(certificate);
    struct tls *tls = trust_at(ca, &clock);
    int rc = shake(tls, server, host, where, &stream);
    if (rc != (reason == NULL ? 0 : E_CERTIFICATE) ||
        (reason != NULL && strstr(where, reason) == NULL))
        fail_msg("%s at %lld: %d, %s", certificate, (long long)clock.wall_ms, rc, where);
    if (rc == 0) {
        assert_int_equal(tls_dates_unverified(tls), !clock.known);
        stream_close(stream);
    }
    tls_close(tls);
    fake_tls_stop(server);
}

/* The clock that the caller knows decides, not this machine's. */
static void test_dates_by_a_known_clock(void **state)
{
    (void)state;
    expect_at((struct clock){true, mid_2020_ms}, "past", "ca", "localhost", NULL);
    expect_at((struct clock){true, mid_2022_ms}, "past", "ca", "localhost", "expired");
    expect_at((struct clock){true, mid_2048_ms}, "future", "ca", "localhost", NULL);
    expect_at((struct clock){true, mid_2022_ms}, "future", "ca", "localhost", "future");
    expect_at((struct clock){true, mid_2022_ms}, "good", "ca", "localhost", NULL);
    expect_at((struct clock){true, 0}, "good", "ca", "localhost", "future");
    expect_at((struct clock){true, mid_2020_ms}, "of-old", "old", "localhost", NULL);
    expect_at((struct clock){true, mid_2022_ms}, "of-old", "old", "localhost", "expired");
    expect_at((struct clock){true, 1609459200000}, "past", "ca", "localhost", NULL); /* to the s */
    expect_at((struct clock){true, 1609459201000}, "past", "ca", "localhost", "expired");
}

/* Dates alone are passed over. */
static void test_unknown_clock(void **state)
{
    const struct clock unset = {false, 0};
    (void)state;
    expect_at(unset, "good", "ca", "localhost", NULL);
    expect_at(unset, "past", "ca", "localhost", NULL);
    expect_at(unset, "future", "ca", "localhost", NULL);
    expect_at(unset, "of-old", "old", "localhost", NULL);
    expect_at(unset, "past", "other", "localhost", "not correctly signed by the trusted CA");
    expect_at(unset, "past", "ca", "other.example", "does not match");
    expect_at(unset, "self", "ca", "localhost", "not correctly signed by the trusted CA");
    expect_at(unset, "usage", "ca", "localhost", "keyUsage");
    expect_at(unset, "plain", "good", "localhost", "not correctly signed by the trusted CA");
    expect_at(unset, "below", "ca", "localhost", "not correctly signed by the trusted CA");
}

/* No session outlives what it was verified by. */
static void test_sessions_and_dates(void **state)
{
    char where[TLS_WHERE_BYTES];
    struct stream *stream;
    struct clock clock = {false, 0};
    struct fake_tls *server = serve("past");
    struct tls *tls = trust_at("ca", &clock);
    (void)state;
    assert_false(tls_time_is_known(tls));
    talk(tls, server);
    talk(tls, server);
    expect_statistics(tls, 2, 0); /* nothing was verified that could be taken up */
    clock = (struct clock){true, mid_2020_ms};
    assert_true(tls_time_is_known(tls));
    talk(tls, server);
    assert_false(tls_dates_unverified(tls));
    talk(tls, server);
    expect_statistics(tls, 4, 1);
    assert_false(tls_dates_unverified(tls));
    clock.wall_ms = mid_2022_ms;
    assert_int_equal(shake(tls, server, "localhost", where, &stream), E_CERTIFICATE);
    clock.wall_ms = mid_2020_ms;
    talk(tls, server);
    expect_statistics(tls, 5, 1);
    tls_close(tls);
    fake_tls_stop(server);
}

static void test_bad_host(void **state)
{
    char where[TLS_WHERE_BYTES];
    char longest[257];
    struct stream *stream = NULL;
    struct tls *tls = trust("ca");
    int silence;
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    int fd = reach_silence(&silence);
    assert_int_equal(tls_connect(tls, fd, longest, INT64_MAX, &stop, where, &stream), E_INVALID);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(silence);
    fd = reach_silence(&silence);
    assert_int_equal(tls_connect(tls, fd, "", INT64_MAX, &stop, where, &stream), E_INVALID);
    close(silence);
    assert_null(stream);
    tls_close(tls);
}

#define WITH_STOP(test) cmocka_unit_test_setup_teardown(test, open_stop, close_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STOP(test_good_chain),
        WITH_STOP(test_much_data),
        WITH_STOP(test_untrusted),
#ifdef CONFIG_COMMAND_DOCTOR
        WITH_STOP(test_peer),
#endif
        WITH_STOP(test_old_version),
        WITH_STOP(test_old_ciphers),
        WITH_STOP(test_ends),
        WITH_STOP(test_resumption),
        WITH_STOP(test_resumption_by_id),
        WITH_STOP(test_no_resumption_under_another_name),
        WITH_STOP(test_waits_end),
        WITH_STOP(test_handshake_gives_up),
        WITH_STOP(test_flood_of_warnings),
        WITH_STOP(test_byte_by_byte),
        WITH_STOP(test_cut_handshake),
        WITH_STOP(test_client_certificate),
        WITH_STOP(test_files),
        WITH_STOP(test_chains),
        WITH_STOP(test_bundles),
        WITH_STOP(test_vanished_bundle),
        WITH_STOP(test_refresh_keeps_session),
#ifdef CONFIG_TLS_AMAZON_ROOTS
        WITH_STOP(test_amazon_roots),
#endif
        WITH_STOP(test_client_certificate_changes),
        WITH_STOP(test_dates_by_a_known_clock),
        WITH_STOP(test_unknown_clock),
        WITH_STOP(test_sessions_and_dates),
        WITH_STOP(test_bad_host),
    };
    return cmocka_run_group_tests_name("tls", tests, set_up, tear_down);
}
