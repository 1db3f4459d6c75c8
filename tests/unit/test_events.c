/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, until a commit takes it along. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/events.h"
#include "platform/stop.h"

#define MINUTE (60 * INT64_C(1000))

static struct events empty(void)
{
    return (struct events)EVENTS_EMPTY;
}

static void put(struct events *events, int64_t boot_ms, const char *subject, int number)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s number=%d", subject, number);
    events_put(events, LOG_LEVEL_INFO, boot_ms, text);
}

static void expect_range(struct events *events, uint32_t first, uint32_t end)
{
    uint32_t found_first;
    uint32_t found_end;
    events_range(events, &found_first, &found_end);
    assert_int_equal(found_first, first);
    assert_int_equal(found_end, end);
}

static void expect_text(struct events *events, uint32_t number, const char *text)
{
    struct events_entry entry;
    assert_true(events_get(events, number, &entry));
    assert_string_equal(entry.text, text);
}

static void test_waits_until_it_is_stored(void **state)
{
    struct events events = empty();
    struct events_entry entry;
    (void)state;
    put(&events, 1000, "early", 1);
    events_number(&events, 4711);
    put(&events, 2000, "late", 2);
    expect_range(&events, 4711, 4713);
    expect_text(&events, 4711, "early number=1");
    assert_true(events_get(&events, 4712, &entry));
    assert_int_equal(entry.boot_ms, 2000);
    assert_int_equal(entry.level, LOG_LEVEL_INFO);
    assert_false(events_get(&events, 4710, &entry));
    assert_false(events_get(&events, 4713, &entry));
    events_stored(&events, 4712);
    expect_range(&events, 4712, 4713);
    events_stored(&events, 4712);
    expect_range(&events, 4712, 4713);
    events_stored(&events, 4713);
    expect_range(&events, 4713, 4713);
    /* Another spool: what comes is numbered from there on. */
    events_number(&events, 1);
    put(&events, 3000, "new", 3);
    expect_range(&events, 1, 2);
}

static void test_the_oldest_gives_way(void **state)
{
    struct events events = empty();
    struct events_entry entry;
    char subject[32];
    (void)state;
    events_number(&events, UINT32_MAX - 9); /* also across the end of the numbers */
    for (int i = 0; i < EVENTS_WAITING_MAX + 5; i++) {
        (void)snprintf(subject, sizeof subject, "event-%d", i);
        put(&events, 1000 + i, subject, i);
    }
    expect_range(&events, UINT32_MAX - 4, EVENTS_WAITING_MAX - 5);
    assert_false(events_get(&events, UINT32_MAX - 5, &entry));
    expect_text(&events, UINT32_MAX - 4, "event-5 number=5");
    expect_text(&events, 0, "event-10 number=10");
    events_stored(&events, 3); /* taken before some of them went */
    expect_range(&events, 3, EVENTS_WAITING_MAX - 5);
}

static void test_what_repeats_is_taken_once_an_hour(void **state)
{
    struct events events = empty();
    (void)state;
    events_number(&events, 1);
    for (int minute = 0; minute < 61; minute++) {
        char text[64];
        (void)snprintf(text, sizeof text, "route-state route=live error=\"x\" repeated=%d", minute);
        events_put(&events, LOG_LEVEL_WARNING, (1 + minute) * MINUTE, text);
        events_put(&events, LOG_LEVEL_WARNING, (1 + minute) * MINUTE, "route-state route=usb");
    }
    expect_range(&events, 1, 5);
    expect_text(&events, 3, "route-state route=live error=\"x\"");
    expect_text(&events, 4, "route-state route=usb");
}

static void test_going_back_and_forth_is_news_twelve_times_an_hour(void **state)
{
    struct events events = empty();
    (void)state;
    events_number(&events, 1);
    for (int minute = 0; minute < 60; minute++)
        put(&events, (1 + minute) * MINUTE, "route-state route=live state=offline", minute % 2);
    expect_range(&events, 1, 13);
    put(&events, 61 * MINUTE, "route-state route=live state=offline", 1);
    expect_range(&events, 1, 14);
}

static void test_texts_are_cut_and_plain(void **state)
{
    struct events events = empty();
    struct events_entry entry;
    char text[EVENT_TEXT_BYTES + 1];
    (void)state;
    memset(text, 'x', sizeof text);
    text[EVENT_TEXT_BYTES - 1] = '\0';
    events_put(&events, LOG_LEVEL_INFO, 1, text);
    expect_text(&events, 0, text);
    text[EVENT_TEXT_BYTES - 1] = 'x';
    text[EVENT_TEXT_BYTES] = '\0';
    events_put(&events, LOG_LEVEL_INFO, 1, text);
    assert_true(events_get(&events, 1, &entry));
    assert_int_equal(strlen(entry.text), EVENT_TEXT_BYTES - 1);
    assert_string_equal(entry.text + EVENT_TEXT_BYTES - 5, "x...");
    events_put(&events, LOG_LEVEL_INFO, 1, "caf\xc3\xa9 \x1b[2J");
    expect_text(&events, 2, "caf?? ?[2J");
}

static void test_a_warning_wakes_once(void **state)
{
    struct events events = empty();
    struct stop woken = {.fd = -1};
    (void)state;
    assert_int_equal(stop_event_open(&woken.fd), 0);
    events_wake(&events, woken.fd);
    assert_true(events_urgent_ms(&events) == INT64_MAX);
    put(&events, 1000, "calm", 1);
    assert_false(stop_requested(&woken));
    events_put(&events, LOG_LEVEL_WARNING, 2000, "first trouble");
    assert_true(stop_requested(&woken));
    stop_event_drain(woken.fd);
    events_put(&events, LOG_LEVEL_ERROR, 3000, "second trouble");
    assert_false(stop_requested(&woken));
    assert_int_equal(events_urgent_ms(&events), 2000);
    events_stored(&events, 2); /* a commit had been under way */
    assert_int_equal(events_urgent_ms(&events), 3000);
    events_stored(&events, 3);
    assert_true(events_urgent_ms(&events) == INT64_MAX);
    (void)close(woken.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_until_it_is_stored),
        cmocka_unit_test(test_the_oldest_gives_way),
        cmocka_unit_test(test_what_repeats_is_taken_once_an_hour),
        cmocka_unit_test(test_going_back_and_forth_is_news_twelve_times_an_hour),
        cmocka_unit_test(test_texts_are_cut_and_plain),
        cmocka_unit_test(test_a_warning_wakes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
