/* SPDX-License-Identifier: Apache-2.0 */
/* The status for Prometheus. data/metrics.txt is what its users' queries rely on. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/control/metrics.h"
#include "platform/fs.h"

enum { TEXT_BYTES = 65536 };
#define DATA RUNNEL_SOURCE_DIR "/tests/unit/data/"

static char *written(const char *json, size_t count)
{
    char *text = NULL;
    size_t bytes = 0;
    struct status_read *status;
    FILE *to = open_memstream(&text, &bytes);
    assert_non_null(to);
    assert_int_equal(status_read_open(json, count, &status), 0);
    metrics_write(status, to);
    status_read_close(status);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void test_every_number_has_its_metric(void **state)
{
    static char json[TEXT_BYTES];
    static char expected[TEXT_BYTES];
    (void)state;
    int count = fs_read_file(DATA "status.json", json, sizeof json);
    assert_true(count > 0);
    assert_true(fs_read_file(DATA "metrics.txt", expected, sizeof expected) > 0);
    char *text = written(json, (size_t)count);
    assert_string_equal(text, expected);
    free(text);
}

static void test_what_is_foreign_stays_in_its_quotes(void **state)
{
    static const char json[] = "{\"device\":\"a\\\"b\\\\c\\nd\",\"clock\":{\"offset_ms\":-1500}}";
    (void)state;
    char *text = written(json, sizeof json - 1);
    assert_non_null(strstr(text, "\nrunnel_info{device=\"a\\\"b\\\\c\\nd\",spool=\"\","));
    assert_non_null(strstr(text, "\nrunnel_clock_offset_seconds -1.500\n"));
    assert_null(strstr(text, "runnel_healthy"));
    free(text);
}

#ifdef CONFIG_COAP
static void test_peers(void **state)
{
    static const char json[] =
        "{\"coap\":{\"sessions\":7,\"waiting\":1,\"messages\":99,\"throttled\":5,"
        "\"answers\":{\"2.04\":90,\"4.00\":4},\"sensors\":{\"pump-4\":{\"records\":180,"
        "\"age_s\":null}}}}";
    (void)state;
    char *text = written(json, sizeof json - 1);
    assert_non_null(strstr(text,
                           "\n# HELP runnel_coap_messages_total That peers sent, repeats left "
                           "out.\n# TYPE runnel_coap_messages_total counter\n"
                           "runnel_coap_messages_total 99\n"));
    assert_non_null(strstr(text, "\n# TYPE runnel_coap_answers_total counter\n"
                                 "runnel_coap_answers_total{code=\"2.04\"} 90\n"
                                 "runnel_coap_answers_total{code=\"4.00\"} 4\n"));
    assert_non_null(strstr(text, "\nrunnel_coap_throttled_total 5\n"));
    assert_non_null(strstr(text, "\n# TYPE runnel_coap_waiting gauge\nrunnel_coap_waiting 1\n"));
    assert_non_null(strstr(text, "\nrunnel_coap_sessions 7\n"));
    assert_non_null(strstr(text, "\nrunnel_coap_sensor_records_total{sensor=\"pump-4\"} 180\n"));
    assert_null(strstr(text, "coap_sensor_age"));
    free(text);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_its_metric),
        cmocka_unit_test(test_what_is_foreign_stays_in_its_quotes),
#ifdef CONFIG_COAP
        cmocka_unit_test(test_peers),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
