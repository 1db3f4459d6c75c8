/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "tests/unit/fake_tls.h"

enum { TEXT_BYTES = 512, PATH_BYTES = 64 };

static const int64_t hour_ms = 3600000;
static const int64_t day_ms = 24 * 3600000;
static const int64_t end_ms = 1893456000000; /* 2030-01-01 */

/* The clocks of the machine, and what it said. */
static struct {
    int64_t wall_ms;
    int64_t mono_ms;
    enum time_quality quality;
    unsigned warnings;
    unsigned errors;
    char last[TEXT_BYTES];
} world;

static char folder[] = "/tmp/runnel-certificate-XXXXXX";
static char device_file[PATH_BYTES], route_file[PATH_BYTES];

void __wrap_agent_clock_read(void *context, struct spool_clock_reading *ret_reading);
void __wrap_agent_clock_read(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = 1000, .offset_ms = world.wall_ms - 1000, .quality = world.quality};
}

int64_t __wrap_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void)
{
    return world.mono_ms;
}

void __wrap_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world.last, sizeof world.last, format, arguments);
    va_end(arguments);
    world.warnings++;
}

void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world.last, sizeof world.last, format, arguments);
    va_end(arguments);
    world.errors++;
}

static void make(const char *name, const char *not_after)
{
    char path[PATH_BYTES];
    const struct fake_tls_certificate certificate = {.name = name, .not_after = not_after};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fake_tls_make(path, &certificate), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(device_file, sizeof device_file, "%s/device.pem", folder);
    (void)snprintf(route_file, sizeof route_file, "%s/route.pem", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[PATH_BYTES + 16];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static struct agent *open_agent(void)
{
    static struct agent agent;
    static struct cfg_credentials credentials[2];
    static struct cfg_route routes[2];
    static struct config config = {
        .credentials = credentials, .credentials_count = 2, .routes = routes, .route_count = 2};
    memset(&world, 0, sizeof world);
    credentials[1].cert_file = device_file;
    routes[0].cert_file = route_file;
    routes[1].cert_file = device_file;
    agent.config = &config;
    agent_certificate_open(&agent);
    assert_int_equal(agent.certificates.count, 2);
    make("device", "20300101000000");
    make("route", "20400101000000");
    return &agent;
}

static void test_steps(void **state)
{
    static const int told[] = {60, 30, 7, 6, 5, 4, 3, 2, 1, 0};
    char words[32];
    struct agent *agent = open_agent();
    unsigned seen = 0;
    (void)state;
    world.quality = TIME_SYNCED;
    for (int64_t left_ms = 70 * day_ms; left_ms > -3 * day_ms; left_ms -= hour_ms) {
        unsigned before = world.warnings;
        world.wall_ms = end_ms - left_ms;
        world.mono_ms += hour_ms;
        assert_true(agent_certificate_look(agent) == world.mono_ms + hour_ms);
        if (world.warnings == before)
            continue;
        (void)snprintf(words, sizeof words, "certificate-expires days=%d ", told[seen++]);
        assert_non_null(strstr(world.last, words));
        assert_non_null(strstr(world.last, device_file));
    }
    assert_int_equal(seen, sizeof told / sizeof *told);
    assert_int_equal(world.errors, 1);
    assert_non_null(strstr(world.last, "certificate-expired "));
}

/* A machine that was off for long tells the step that it has reached, not all of them. */
static void test_late(void **state)
{
    struct agent *agent = open_agent();
    (void)state;
    world.quality = TIME_CORRECTED;
    world.wall_ms = end_ms - 3 * day_ms;
    (void)agent_certificate_look(agent);
    assert_int_equal(world.warnings, 1);
    assert_non_null(strstr(world.last, "days=3 "));
}

static void test_without_time(void **state)
{
    struct agent *agent = open_agent();
    struct status_certificate certificate;
    char text[AGENT_CERTIFICATE_WARNING_BYTES];
    (void)state;
    world.quality = TIME_ESTIMATED;
    world.wall_ms = end_ms + day_ms; /* of a clock that nobody set */
    assert_true(agent_certificate_look(agent) <= 60000);
    agent_certificate_fill_status(agent, &certificate);
    assert_int_equal(world.warnings + world.errors, 0);
    assert_string_equal(certificate.file, device_file);
    assert_true(certificate.expires_ms == end_ms);
    assert_false(certificate.has_days);
    assert_null(agent_certificate_warning(&certificate, text));
}

/* Another certificate begins anew, and which is the nearest is asked each time. */
static void test_replaced(void **state)
{
    struct agent *agent = open_agent();
    struct status_certificate certificate;
    char text[AGENT_CERTIFICATE_WARNING_BYTES];
    (void)state;
    world.quality = TIME_SYNCED;
    world.wall_ms = end_ms - day_ms - hour_ms;
    agent_certificate_fill_status(agent, &certificate);
    assert_int_equal(certificate.days, 1);
    assert_int_equal(world.warnings, 1);
    assert_non_null(agent_certificate_warning(&certificate, text));
    assert_non_null(strstr(text, "expires in 1 day;"));
    make("device", "20410101000000");
    agent_certificate_fill_status(agent, &certificate);
    assert_string_equal(certificate.file, route_file);
    assert_true(certificate.days > 3000);
    assert_null(agent_certificate_warning(&certificate, text));
    make("route", "20200101000000");
    agent_certificate_fill_status(agent, &certificate);
    assert_int_equal(world.errors, 1);
    assert_true(certificate.days < 0);
    assert_non_null(strstr(agent_certificate_warning(&certificate, text), "has expired"));
    assert_int_equal(unlink(route_file), 0);
    agent_certificate_fill_status(agent, &certificate);
    assert_string_equal(certificate.file, device_file);
    assert_int_equal(unlink(device_file), 0);
    agent_certificate_fill_status(agent, &certificate);
    assert_null(certificate.file);
}

static void test_none(void **state)
{
    static const struct config config = {.route_count = 0};
    static struct agent agent = {.config = &config};
    struct status_certificate certificate;
    (void)state;
    agent_certificate_open(&agent);
    assert_true(agent_certificate_look(&agent) == INT64_MAX);
    agent_certificate_fill_status(&agent, &certificate);
    assert_null(certificate.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_late),
        cmocka_unit_test(test_without_time), cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
