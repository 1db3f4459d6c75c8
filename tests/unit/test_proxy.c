/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/control/proxy_url.h"
#include "agent/http/http_client.h"
#include "agent/http/http_connect.h"
#include "platform/base/error.h"
#include "platform/net.h"
#include "tests/unit/fake_tls.h"

enum { LONG_MS = 30000, PATIENCE_S = 30, HEAD_BYTES = 1024 };

#define HOST  "kinesis.test.invalid"
#define TAKEN "HTTP/1.1 200 Connection established\r\nDate: Thu, 15 Jan 2026 12:34:56 GMT\r\n\r\n"

/* ---- the URL ---- */

static void expect_url(const char *url, const char *host, uint16_t port, const char *user,
                       const char *password)
{
    struct proxy_url proxy;
    assert_int_equal(proxy_url_parse(url, &proxy), 0);
    assert_string_equal(proxy.host, host);
    assert_int_equal(proxy.port, port);
    assert_int_equal(proxy.has_user, user != NULL);
    assert_string_equal(proxy.user, user == NULL ? "" : user);
    assert_string_equal(proxy.password, password);
}

static void test_urls(void **state)
{
    (void)state;
    expect_url("http://proxy.example:3128", "proxy.example", 3128, NULL, "");
    expect_url("HTTP://proxy.example", "proxy.example", 1080, NULL, "");
    expect_url("proxy.example:8080/", "proxy.example", 8080, NULL, "");
    expect_url("http://[fd00::1]:8080/", "fd00::1", 8080, NULL, "");
    expect_url("http://user@10.0.0.1:1", "10.0.0.1", 1, "user", "");
    expect_url("http://user:@10.0.0.1:1", "10.0.0.1", 1, "user", "");
    expect_url("http://us%20er:p%3Aa:b%40%25@h:65535", "h", 65535, "us er", "p:a:b@%");
    expect_url("u:p@ss@h:80", "h", 80, "u", "p@ss");
}

static void test_bad_urls(void **state)
{
    static const char *const urls[] = {"",
                                       "http://",
                                       "http://:3128",
                                       "http://h:0",
                                       "http://h:65536",
                                       "http://h:80x",
                                       "http://h:80/path",
                                       "http://h?x",
                                       "http://a b",
                                       "http://@h",
                                       "http://:password@h",
                                       "http://us%3aer:p@h",
                                       "http://u:%0d%0aX@h",
                                       "http://u:%4@h",
                                       "http://u:%zz@h",
                                       "http://[::1",
                                       "http://u:p@"};
    struct proxy_url proxy;
    char text[600] = "http://u:";
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        if (proxy_url_parse(urls[i], &proxy) != E_SYNTAX)
            fail_msg("%s", urls[i]);
    assert_int_equal(proxy_url_parse("https://h:1", &proxy), E_UNSUPPORTED);
    assert_int_equal(proxy_url_parse("socks5h://h", &proxy), E_UNSUPPORTED);
    memset(text + 9, 'p', PROXY_URL_SECRET_BYTES);
    (void)strcat(text, "@h");
    assert_int_equal(proxy_url_parse(text, &proxy), E_SYNTAX);
    memmove(text + 9, text + 10, strlen(text + 10) + 1);
    assert_int_equal(proxy_url_parse(text, &proxy), 0);
}

/* ---- the exceptions ---- */

static const struct {
    const char *list;
    const char *host;
    uint16_t port;
    bool excepted;
} exceptions[] = {
    {"", "a.example", 443, false},
    {"*", "a.example", 443, true},
    {"x,*", "10.0.0.1", 443, true},
    {"a.example", "a.example", 443, true},
    {"a.example", "A.Example", 443, true},
    {"a.example.", "a.example", 443, true},
    {"example", "a.example", 443, true},
    {".example", "a.example", 443, true},
    {".a.example", "a.example", 443, true},
    {"xample", "a.example", 443, false},
    {"b.a.example", "a.example", 443, false},
    {"a.example.org", "a.example", 443, false},
    {".", "a.example", 443, false},
    {"x, y  a.example", "a.example", 443, true},
    {",,a.example,", "a.example", 443, true},
    {"a.example:443", "a.example", 443, true},
    {"a.example:444", "a.example", 443, false},
    {"a.example:", "a.example", 443, false},
    {"a.example:44x", "a.example", 443, false},
    {"example:443", "b.a.example", 443, true},
    {"10.0.0.1", "10.0.0.1", 443, true},
    {"10.0.0.1:443", "10.0.0.1", 443, true},
    {"10.0.0.1:80", "10.0.0.1", 443, false},
    {"10.0.0.10", "10.0.0.1", 443, false},
    {"0.0.1", "10.0.0.1", 443, false},
    {"10.0.0.0/8", "10.1.2.3", 443, true},
    {"10.0.0.0/8", "11.1.2.3", 443, false},
    {"10.0.0.0/9", "10.128.0.1", 443, false},
    {"10.1.2.0/23", "10.1.3.255", 443, true},
    {"10.1.2.3/32", "10.1.2.3", 443, true},
    {"10.1.2.3/33", "10.1.2.3", 443, false},
    {"0.0.0.0/0", "10.1.2.3", 443, true},
    {"0.0.0.0/0", "fd00::1", 443, false},
    {"10.0.0.0/", "10.1.2.3", 443, false},
    {"10.0.0.0/8", "a.example", 443, false},
    {"fd00::1", "fd00:0::1", 443, true},
    {"[fd00::1]", "fd00::1", 443, true},
    {"[fd00::1]:443", "fd00::1", 443, true},
    {"[fd00::1]:80", "fd00::1", 443, false},
    {"[fd00::1]x", "fd00::1", 443, false},
    {"fd00::/8", "fd12::1", 443, true},
    {"fd00::/8", "fe12::1", 443, false},
    {"::/0", "fe12::1", 443, true},
    {"::ffff:10.0.0.1", "10.0.0.1", 443, true},
};

static void test_exceptions(void **state)
{
    (void)state;
    assert_false(proxy_url_is_excepted(NULL, "a.example", 443));
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (proxy_url_is_excepted(exceptions[i].list, exceptions[i].host, exceptions[i].port) !=
            exceptions[i].excepted)
            fail_msg("\"%s\" and %s", exceptions[i].list, exceptions[i].host);
    char text[600];
    memset(text, 'x', 500);
    (void)strcpy(text + 500, ",a.example"); /* what is no name is passed over */
    assert_true(proxy_url_is_excepted(text, "a.example", 443));
}

static void test_metadata_hosts(void **state)
{
    (void)state;
    assert_true(net_is_metadata("169.254.169.254"));
    assert_true(net_is_metadata("169.254.170.2"));
    assert_true(net_is_metadata("169.254.170.23"));
    assert_true(net_is_metadata("fd00:ec2::254"));
    assert_true(net_is_metadata("fd00:0ec2:0::23"));
    assert_false(net_is_metadata("169.254.169.253"));
    assert_false(net_is_metadata("169.254.169.254.example"));
    assert_false(net_is_metadata("fd00:ec2::255"));
}

/* ---- request and reply ---- */

static void test_request(void **state)
{
    char head[HTTP_CONNECT_BYTES];
    char text[HTTP_CONNECT_BYTES];
    struct http_proxy proxy = {.host = "p", .port = 1};
    (void)state;
    int count = http_connect_write(&proxy, "a.example", 443, head);
    assert_int_equal(count, strlen(head));
    assert_string_equal(head, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    proxy.user = "Aladdin";
    proxy.password = "open sesame";
    assert_true(http_connect_write(&proxy, "fd00::1", 8443, head) > 0);
    assert_string_equal(head, "CONNECT [fd00::1]:8443 HTTP/1.1\r\nHost: [fd00::1]:8443\r\n"
                              "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    proxy.password = NULL;
    assert_true(http_connect_write(&proxy, "a", 1, head) > 0);
    assert_non_null(strstr(head, "Basic QWxhZGRpbjo=\r\n"));
    assert_int_equal(http_connect_write(&proxy, "a\r\nX: y", 443, head), E_INVALID);
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(http_connect_write(&proxy, text, 443, head), E_TOO_BIG);
}

/* The status, 0 if the text ends before the reply, or the error; USED: how many bytes it took. */
static int feed(const char *text, size_t count, size_t *used)
{
    struct http_parser parser;
    int status = 0;
    http_parse_start(&parser);
    for (*used = 0; *used < count && status == 0; (*used)++)
        status = http_connect_feed(&parser, (uint8_t)text[*used]);
    return status;
}

static void test_reply(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *rest; /* what follows the head is not touched */
    } replies[] = {
        {"HTTP/1.1 200 Connection established\r\n\r\n\x16\x03", 200, "\x16\x03"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345", 200, "12345"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", 200, "5\r\n"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\nX: y\r\n\r\n", 204, ""},
        {"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\nhello", 407, "hello"},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 503, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        size_t bytes = strlen(replies[i].text) - strlen(replies[i].rest);
        size_t used;
        assert_int_equal(feed(replies[i].text, strlen(replies[i].text), &used), replies[i].status);
        assert_int_equal(used, bytes);
        for (size_t count = 0; count < bytes; count++)
            assert_int_equal(feed(replies[i].text, count, &used), 0);
    }
    size_t used;
    assert_int_equal(feed("SSH-2.0-x\r\n", 11, &used), E_SYNTAX);
    assert_int_equal(feed("HTTP/1.1 101 No\r\n\r\n", 19, &used), E_SYNTAX);
}

/* ---- the client, with a proxy that sends what it is told to ---- */

struct proxy {
    int listener;
    uint16_t port;
    pthread_t thread;
    const char *reply;
    size_t first_bytes; /* a segment of its own */
    bool hang;
    uint16_t beyond; /* where the tunnel ends; 0: the connection is closed behind the reply */
    char head[HEAD_BYTES];
};

static char root[64];
static struct stop stop;

static const char *in_root(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void read_head(struct proxy *proxy, int fd)
{
    size_t used = 0;
    memset(proxy->head, 0, sizeof proxy->head);
    while (strstr(proxy->head, "\r\n\r\n") == NULL && used < sizeof proxy->head - 1 &&
           recv(fd, proxy->head + used, 1, 0) == 1)
        used++;
}

static bool pass_some(int from, int to)
{
    char bytes[4096];
    ssize_t got = recv(from, bytes, sizeof bytes, 0);
    return got > 0 && send(to, bytes, (size_t)got, MSG_NOSIGNAL) == got;
}

static void pass_on(int fd, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd ends[2] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    bool open = connect(other, (struct sockaddr *)&address, sizeof address) == 0;
    while (open && poll(ends, 2, PATIENCE_S * 1000) > 0) {
        if (ends[0].revents != 0)
            open = pass_some(fd, other);
        if (open && ends[1].revents != 0)
            open = pass_some(other, fd);
    }
    (void)close(other);
}

static void *serve(void *context)
{
    struct proxy *proxy = context;
    char rest[64];
    int fd = accept(proxy->listener, NULL, NULL);
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    read_head(proxy, fd);
    (void)send(fd, proxy->reply, proxy->first_bytes, MSG_NOSIGNAL);
    (void)send(fd, proxy->reply + proxy->first_bytes, strlen(proxy->reply + proxy->first_bytes),
               MSG_NOSIGNAL);
    if (proxy->beyond != 0)
        pass_on(fd, proxy->beyond);
    if (proxy->hang)
        (void)recv(fd, rest, sizeof rest, 0);
    (void)close(fd);
    return NULL;
}

static void start(struct proxy *proxy)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const int one = 1;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(proxy->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(proxy->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(proxy->listener, 4), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&address, &bytes), 0);
    proxy->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&proxy->thread, NULL, serve, proxy), 0);
}

static void join(struct proxy *proxy)
{
    assert_int_equal(pthread_join(proxy->thread, NULL), 0);
    (void)close(proxy->listener);
}

struct result {
    int rc;
    struct http_outcome outcome;
    struct http_statistics statistics;
};

/* One request by PROXY to HOST. Its head is also the reply, since the server is an echo. */
static struct result request(const struct proxy *proxy, int64_t connect_ms, const char *host)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const struct http_request request = {.head = head, .head_bytes = sizeof head - 1};
    const struct http_client_options options = {
        .tls = true,
        .host = host,
        .port = 443,
        .proxy = {.host = "127.0.0.1", .port = proxy->port, .user = "me", .password = "Secret1"},
        .tls_options = {.ca_file = in_root("ca.pem")},
        .connect_ms = connect_ms,
        .idle_ms = LONG_MS,
        .total_ms = LONG_MS,
        .stop = &stop};
    struct http_client *client;
    struct result result;
    assert_int_equal(http_client_open(&options, &client), 0);
    result.rc = http_client_exchange(client, &request, &result.outcome);
    http_client_get_statistics(client, &result.statistics);
    http_client_close(client);
    return result;
}

static struct result request_by(struct proxy *proxy, int64_t connect_ms)
{
    start(proxy);
    struct result result = request(proxy, connect_ms, HOST);
    join(proxy);
    assert_null(strstr(result.outcome.fault, "Secret1"));
    assert_null(strstr(result.outcome.fault, "bWU6U2VjcmV0MQ"));
    return result;
}

static void test_tunnel(void **state)
{
    const struct fake_tls_options server_options = {.path = in_root("good"),
                                                    .cut_after_bytes = FAKE_TLS_ALL};
    struct fake_tls *server;
    (void)state;
    assert_int_equal(fake_tls_start(&server_options, &server), 0);
    struct proxy proxy = {.reply = TAKEN, .beyond = fake_tls_port(server)};
    struct result result = request_by(&proxy, LONG_MS);
    if (result.rc != 0)
        fail_msg("%s", result.outcome.fault);
    assert_string_equal(proxy.head, "CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\n"
                                    "Proxy-Authorization: Basic bWU6U2VjcmV0MQ==\r\n\r\n");
    assert_false(result.outcome.proxy_failed);
    assert_int_equal(result.outcome.proxy_status, 0);
    assert_int_equal(result.statistics.handshakes, 1);
    assert_int_equal(result.statistics.dns_failures, 0); /* the name is the proxy's matter */
    assert_true(result.statistics.bytes_out > strlen(proxy.head) + 200);
    assert_true(result.statistics.bytes_in > strlen(TAKEN) + 600);
    fake_tls_stop(server);
}

/* That of the proxy counts even where nothing came of it. */
static void test_bytes_are_counted(void **state)
{
    struct proxy proxy = {.reply = "HTTP/1.1 403 No\r\n\r\n"};
    (void)state;
    struct result result = request_by(&proxy, LONG_MS);
    assert_int_equal(result.statistics.bytes_out, strlen(proxy.head));
    assert_int_equal(result.statistics.bytes_in, strlen(proxy.reply));
    assert_int_equal(result.statistics.requests, 0);
}

static void expect_fault(struct proxy *proxy, int64_t connect_ms, int code, int status,
                         const char *fault)
{
    char place[80];
    struct result result = request_by(proxy, connect_ms);
    assert_int_equal(result.rc, code);
    assert_true(result.outcome.proxy_failed);
    assert_false(result.outcome.sent || result.outcome.reply_begun);
    assert_int_equal(result.outcome.proxy_status, status);
    (void)snprintf(place, sizeof place,
                   "asking the proxy 127.0.0.1:%u for " HOST ":443: ", (unsigned)proxy->port);
    if (strncmp(result.outcome.fault, place, strlen(place)) != 0)
        fail_msg("%s", result.outcome.fault);
    assert_string_equal(result.outcome.fault + strlen(place), fault);
}

static void test_refusals(void **state)
{
    struct proxy login = {.reply = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n"};
    struct proxy forbidden = {.reply = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"};
    struct proxy broken = {.reply = "HTTP/1.1 502 Bad Gateway\r\n\r\n"};
    struct proxy portal = {.reply = "HTTP/1.1 302 Found\r\nLocation: http://hotel/\r\n\r\n"};
    (void)state;
    expect_fault(&login, LONG_MS, E_REFUSED, 407,
                 "it answered 407; write its user name and password into \"proxy\" or HTTPS_PROXY");
    expect_fault(&forbidden, LONG_MS, E_REFUSED, 403,
                 "it answered 403; allow this host and port in the proxy");
    expect_fault(&broken, LONG_MS, E_REFUSED, 502,
                 "it answered 502; it does not reach the host: check the proxy's own link");
    expect_fault(&portal, LONG_MS, E_REFUSED, 302,
                 "it answered 302; allow this host and port in the proxy");
}

static void test_failures(void **state)
{
    struct proxy garbage = {.reply = "\x15\x03\x01 no HTTP\r\n\r\n"};
    struct proxy closes = {.reply = ""};
    struct proxy hangs = {.reply = "HTTP/1.1 200 OK\r\nX: ", .hang = true};
    (void)state;
    expect_fault(&garbage, LONG_MS, E_SYNTAX, 0,
                 "malformed input; what answers there is no HTTP proxy: check its port");
    expect_fault(&closes, LONG_MS, E_CLOSED, 0,
                 "the other side closed the connection; check whether the proxy serves this device "
                 "and port");
    expect_fault(&hangs, 200, E_TIMEOUT, 0,
                 "the deadline passed; check the proxy's name and port, and the link to it");
}

static void test_nobody_there(void **state)
{
    struct proxy proxy = {.reply = ""};
    (void)state;
    start(&proxy);
    (void)request(&proxy, LONG_MS, HOST);
    join(&proxy);
    struct result result = request(&proxy, LONG_MS, HOST); /* it listens no longer */
    assert_int_equal(error_errno(result.rc), ECONNREFUSED);
    assert_true(result.outcome.proxy_failed);
    assert_non_null(strstr(result.outcome.fault, "asking the proxy 127.0.0.1:"));
}

/* What stands behind the tunnel is TLS's matter, and no fault of the proxy. */
static void test_page_instead_of_tunnel(void **state)
{
    struct proxy proxy = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<p>Hi</p>"};
    (void)state;
    struct result result = request_by(&proxy, LONG_MS);
    assert_true(result.rc < 0);
    assert_false(result.outcome.proxy_failed || result.outcome.sent);
    assert_non_null(strstr(result.outcome.fault, "connecting by a proxy to " HOST ":443: "));
}

static void test_split_everywhere(void **state)
{
    static const char reply[] = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
    char prefix[sizeof reply];
    (void)state;
    for (size_t at = 1; at < sizeof reply - 1; at++) {
        struct proxy split = {.reply = reply, .first_bytes = at};
        struct result result = request_by(&split, LONG_MS);
        assert_int_equal(result.rc, E_REFUSED);
        assert_int_equal(result.outcome.proxy_status, 407);
        (void)strcpy(prefix, reply);
        prefix[at] = '\0';
        struct proxy cut = {.reply = prefix};
        result = request_by(&cut, LONG_MS);
        assert_int_equal(result.rc, E_CLOSED);
        assert_true(result.outcome.proxy_failed && result.outcome.proxy_status == 0);
    }
}

/* Nothing listens on port 443 of these here, and a proxy would be asked. */
static void test_near_hosts_are_reached_directly(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};
    struct proxy proxy = {.reply = "HTTP/1.1 403 No\r\n\r\n"};
    (void)state;
    start(&proxy);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct result result = request(&proxy, LONG_MS, hosts[i]);
        assert_true(result.rc < 0 && result.rc != E_REFUSED);
        assert_false(result.outcome.proxy_failed);
    }
    assert_int_equal(request(&proxy, LONG_MS, HOST).rc, E_REFUSED);
    join(&proxy);
}

static int set_up(void **state)
{
    const struct fake_tls_certificate ca = {.name = "A CA", .ca = true};
    char ca_path[128];
    (void)state;
    (void)strcpy(root, "/tmp/test_proxy.XXXXXX");
    if (stop_open(&stop) < 0 || mkdtemp(root) == NULL)
        return -1;
    (void)snprintf(ca_path, sizeof ca_path, "%s", in_root("ca"));
    const struct fake_tls_certificate good = {.issuer = ca_path, .name = HOST};
    return fake_tls_make(ca_path, &ca) != 0 ? -1 : fake_tls_make(in_root("good"), &good);
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    stop_close(&stop);
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_metadata_hosts),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_bytes_are_counted),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_page_instead_of_tunnel),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_near_hosts_are_reached_directly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
