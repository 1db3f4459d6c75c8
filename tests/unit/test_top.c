/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/top_view.h"
#include "platform/base/error.h"
#include "platform/fs.h"

#define DATA RUNNEL_SOURCE_DIR "/tests/unit/data/"

enum { TEXT_BYTES = 64 * 1024 };

struct fixture {
    struct top_history *history;
    char text[TEXT_BYTES];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(top_history_open(&f->history), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    top_history_close(f->history);
    free(f);
    return 0;
}

static const struct top_screen plain = {.columns = 80};

static void show(struct fixture *f, const char *json, const struct top_screen *screen,
                 int64_t now_ms)
{
    struct status_read *status;
    struct writer writer;
    assert_int_equal(status_read_open(json, strlen(json), &status), 0);
    writer_to_memory(&writer, f->text, sizeof(f->text));
    top_history_note(f->history, status, now_ms);
    top_view_draw(f->history, status, screen, &writer);
    assert_int_equal(writer_finish(&writer), 0);
    status_read_close(status);
}

static void read_data(const char *file, char *text)
{
    char path[FS_PATH_BYTES];
    snprintf(path, sizeof(path), DATA "%s", file);
    assert_true(fs_read_file(path, text, TEXT_BYTES) > 0);
}

static void test_draws_what_status_says(void **state)
{
    struct fixture *f = *state;
    static char json[TEXT_BYTES];
    static char expected[TEXT_BYTES];
    read_data("status.json", json);
    read_data("top.txt", expected);
    show(f, json, &plain, 0);
    assert_string_equal(f->text, expected);
}

/* Lines and the greatest number of columns, escape sequences left out; every byte is checked. */
static void measure(const char *text, bool escapes, unsigned *ret_lines, unsigned *ret_columns)
{
    unsigned columns = 0;
    *ret_lines = 1;
    *ret_columns = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\033' && escapes) {
            c += strcspn(c, "HJKm");
            continue;
        }
        assert_true(*c == '\n' || (unsigned char)*c >= ' ');
        *ret_lines += *c == '\n';
        columns = *c == '\n' ? 0 : columns + (((unsigned char)*c & 0xc0) != 0x80);
        *ret_columns = columns > *ret_columns ? columns : *ret_columns;
    }
}

static void test_fits_every_screen(void **state)
{
    struct fixture *f = *state;
    static char json[TEXT_BYTES];
    read_data("status.json", json);
    for (unsigned rows = 1; rows < 40; rows++) {
        for (unsigned columns = 1; columns < 140; columns += 9) {
            struct top_screen screen = {
                .columns = columns, .rows = rows, .ansi = true, .colour = true, .utf8 = true};
            unsigned lines;
            unsigned widest;
            show(f, json, &screen, 0);
            measure(f->text, true, &lines, &widest);
            assert_true(lines <= rows);
            assert_true(widest <= columns);
        }
    }
}

static void test_foreign_text_does_not_steer_the_terminal(void **state)
{
    static const char json[] =
        "{\"device\":\"\\u001b[2Jgw\\u009b1m\\u0007\",\"healthy\":true,\"sensors\":"
        "{\"a\\nb\":{\"values\":{\"\\u001b]0;x\":\"t\\r\\u0000\\u00e4\\u20ac\"}}}}";
    struct fixture *f = *state;
    unsigned lines;
    unsigned columns;
    show(f, json, &plain, 0);
    measure(f->text, false, &lines, &columns);
    for (const char *c = f->text; *c != '\0'; c++)
        assert_true((unsigned char)*c < 0x7f);
    assert_non_null(strstr(f->text, "?[2Jgw??1m?"));
    struct top_screen utf8 = {.columns = 80, .utf8 = true};
    show(f, json, &utf8, 0);
    measure(f->text, false, &lines, &columns);
    assert_null(strstr(f->text, "\xc2\x9b"));
}

static void show_numbers(struct fixture *f, unsigned delivered, unsigned bytes, int64_t now_ms)
{
    char json[512];
    snprintf(json, sizeof(json),
             "{\"routes\":{\"live\":{\"state\":\"delivering\",\"bytes_out\":%u,\"lanes\":"
             "{\"normal\":{\"accepted\":%u,\"delivered\":%u}}}}}",
             bytes, delivered, delivered);
    show(f, json, &plain, now_ms);
}

static void test_rates_come_from_what_changed(void **state)
{
    struct fixture *f = *state;
    show_numbers(f, 1000, 4096, 1000);
    assert_non_null(strstr(f->text, "          0        0 B/s"));
    show_numbers(f, 1100, 6144, 3000);
    assert_non_null(strstr(f->text, "         50    1.0 KiB/s"));
    for (int64_t s = 4; s < 60; s++)
        show_numbers(f, 1100 + (unsigned)s * 7, 6144, s * 1000);
    assert_non_null(strstr(f->text, "        7.0        0 B/s"));
}

static void test_rates_begin_anew_with_the_agent(void **state)
{
    struct fixture *f = *state;
    show_numbers(f, 1000, 4096, 1000);
    show_numbers(f, 10, 100, 2000);
    assert_non_null(strstr(f->text, "          0        0 B/s"));
    show_numbers(f, 20, 100, 3000);
    assert_non_null(strstr(f->text, "         10 "));
}

static void test_says_when_the_numbers_do_not_add_up(void **state)
{
    struct fixture *f = *state;
    show(f,
         "{\"routes\":{\"r\":{\"lanes\":{\"normal\":{\"accepted\":5,\"delivered\":3},"
         "\"bulk\":{\"accepted\":1,\"dead\":1}}}}}",
         &plain, 0);
    assert_non_null(strstr(f->text, "accepted 6 IS NOT delivered 3 + stored 0 + dead 1 + "));
}

static void test_draws_a_curve_of_the_first_channel(void **state)
{
    struct fixture *f = *state;
    static const char *const values[] = {"1", "2.0", "8", "9.00"};
    char json[128];
    for (size_t i = 0; i < 4; i++) {
        snprintf(json, sizeof(json), "{\"sensors\":{\"s\":{\"values\":{\"v\":%s}}}}", values[i]);
        show(f, json, &plain, 0);
    }
    assert_non_null(strstr(f->text, "    __^^  v 9.00"));
    struct top_screen utf8 = {.columns = 80, .utf8 = true};
    show(f, json, &utf8, 0);
    assert_non_null(strstr(f->text, "\xe2\x96\x81\xe2\x96\x82\xe2\x96\x88"));
}

static void test_names_what_does_not_fit(void **state)
{
    struct fixture *f = *state;
    static char json[TEXT_BYTES];
    size_t used = (size_t)snprintf(json, sizeof(json), "{\"sensors\":{");
    for (int i = 0; i < 300; i++)
        used += (size_t)snprintf(json + used, sizeof(json) - used,
                                 "%s\"s%03d\":{\"values\":{\"v\":1}}", i > 0 ? "," : "", i);
    snprintf(json + used, sizeof(json) - used, "}}");
    struct top_screen screen = {.columns = 80, .rows = 24};
    show(f, json, &screen, 0);
    assert_non_null(strstr(f->text, " s000 "));
    assert_non_null(strstr(f->text, "... and "));
    unsigned shown = 0;
    for (const char *c = f->text; (c = strstr(c, "\n s")) != NULL; c++)
        shown++;
    shown -= 1; /* the spool's bar */
    char more[64];
    snprintf(more, sizeof(more), "... and %u more", 300 - shown);
    assert_non_null(strstr(f->text, more));
    show(f, json, &plain, 0);
    assert_non_null(strstr(f->text, " s299 "));
}

static void test_sensors_with_a_fault_come_first_where_rows_are_few(void **state)
{
    struct fixture *f = *state;
    static const char json[] =
        "{\"sensors\":{\"a\":{},\"b\":{},\"c\":{\"error\":\"unplugged\"},\"d\":{},\"e\":{},"
        "\"f\":{\"lack\":\"no hum\"},\"g\":{},\"h\":{},\"i\":{}}}";
    struct top_screen screen = {.columns = 80, .rows = 12};
    show(f, json, &screen, 0);
    const char *c = strstr(f->text, "\n c ");
    const char *lack = strstr(f->text, "\n   no hum\n");
    const char *a = strstr(f->text, "\n a ");
    assert_true(c != NULL && lack > c && a > lack);
    assert_null(strstr(f->text, "\n i "));
    screen.rows = 9;
    show(f, json, &screen, 0);
    assert_non_null(strstr(f->text, "\n ... and 7 more, 1 of them with a fault"));
    show(f, json, &plain, 0);
    assert_true(strstr(f->text, "\n a ") < strstr(f->text, "\n c "));
}

static void test_an_error_is_broken_between_words(void **state)
{
    struct fixture *f = *state;
    static const char json[] =
        "{\"routes\":{\"r\":{\"error\":\"one two three four five six seven eight nine ten\"}}}";
    struct top_screen screen = {.columns = 24, .rows = 24};
    show(f, json, &screen, 0);
    assert_non_null(strstr(f->text, "\n   one two three four\n   five six seven ...\n"));
    screen.rows = 50;
    show(f, json, &screen, 0);
    assert_non_null(strstr(f->text, "\n   five six seven eight\n   nine ten\n"));
}

static void test_values_are_shown_whole(void **state)
{
    struct fixture *f = *state;
    static const char json[] = "{\"sensors\":{\"s\":{\"values\":{\"temperature\":21.50,"
                               "\"humidity\":48.2,\"pressure\":1013.25}}}}";
    show(f, json, &plain, 0);
    assert_non_null(strstr(f->text, "  temperature 21.50  +2\n"));
    struct top_screen narrow = {.columns = 64, .rows = 24};
    show(f, json, &narrow, 0);
    assert_non_null(strstr(f->text, "  +3"));
    assert_null(strstr(f->text, "temperature"));
    struct top_screen wide = {.columns = 100, .rows = 24};
    show(f, json, &wide, 0);
    assert_non_null(strstr(f->text, "  temperature 21.50  humidity 48.2  +1"));
    wide.columns = 200;
    show(f, json, &wide, 0);
    assert_non_null(strstr(f->text, "  humidity 48.2  pressure 1013.25"));
}

/* Routes give way: first their requests, then their sums, then those that deliver. */
static void test_routes_leave_rows_to_sensors(void **state)
{
    struct fixture *f = *state;
    static char json[TEXT_BYTES];
    size_t used = (size_t)snprintf(json, sizeof(json), "{\"routes\":{");
    for (int i = 0; i < 7; i++)
        used += (size_t)snprintf(json + used, sizeof(json) - used,
                                 "\"r%d\":{\"lanes\":{\"normal\":{}}},", i);
    snprintf(json + used, sizeof(json) - used,
             "\"sick\":{\"error\":\"Connection refused\"}},\"sensors\":{\"s\":{}}}");
    static const struct {
        unsigned rows;
        const char *has, *lacks;
    } steps[] = {
        {50, "requests 0", "more routes"},
        {34, "accepted 0", "requests 0"},
        {24, " r6 ", "accepted 0"},
        {20, "Connection refused", " r6 "},
        {20, " ... and 3 more routes", "accepted 0"},
        {14, "Connection refused", " r2 "},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct top_screen screen = {.columns = 80, .rows = steps[i].rows};
        show(f, json, &screen, 0);
        assert_non_null(strstr(f->text, steps[i].has));
        assert_null(strstr(f->text, steps[i].lacks));
        assert_non_null(strstr(f->text, "\n s "));
    }
}

#ifdef CONFIG_COAP
static void test_draws_coap_where_something_listens(void **state)
{
    struct fixture *f = *state;
    show(f, "{}", &plain, 0);
    assert_null(strstr(f->text, "coap"));
    show(f, "{\"coap\":{\"sessions\":7,\"accepted\":90,\"waiting\":1}}", &plain, 0);
    assert_non_null(strstr(f->text, "\n coap     7 peers, 90 accepted, 1 waiting\n"));
    show(f, "{\"coap\":{\"throttled\":5}}", &plain, 0);
    assert_non_null(strstr(f->text, "\n coap     0 peers, 0 accepted, 0 waiting   5 throttled\n"));
}
#endif

static void test_draws_an_unknown_status(void **state)
{
    struct fixture *f = *state;
    show(f, "{}", &plain, 0);
    assert_non_null(strstr(f->text, "runnel ?"));
    show(f, "[1,2]", &plain, 0);
    show(f, "{\"routes\":{\"a\":1},\"sensors\":{\"b\":[]},\"lanes\":3}", &plain, 0);
}

static void test_draws_a_message(void **state)
{
    struct fixture *f = *state;
    struct writer writer;
    struct top_screen screen = {.columns = 20, .rows = 24, .ansi = true};
    writer_to_memory(&writer, f->text, sizeof(f->text));
    top_view_draw_message("no agent answers there", &screen, &writer);
    assert_int_equal(writer_finish(&writer), 0);
    assert_string_equal(f->text, "\033[H runnel             \033[K\n\033[K\n"
                                 " no agent answers\033[K\n there\033[K\n"
                                 " It is asked ...\033[K\033[J");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_draws_what_status_says),
        TEST(test_fits_every_screen),
        TEST(test_foreign_text_does_not_steer_the_terminal),
        TEST(test_rates_come_from_what_changed),
        TEST(test_rates_begin_anew_with_the_agent),
        TEST(test_says_when_the_numbers_do_not_add_up),
        TEST(test_draws_a_curve_of_the_first_channel),
        TEST(test_names_what_does_not_fit),
        TEST(test_sensors_with_a_fault_come_first_where_rows_are_few),
        TEST(test_an_error_is_broken_between_words),
        TEST(test_values_are_shown_whole),
        TEST(test_routes_leave_rows_to_sensors),
#ifdef CONFIG_COAP
        TEST(test_draws_coap_where_something_listens),
#endif
        TEST(test_draws_an_unknown_status),
        TEST(test_draws_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
