/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/uplink/bisect.h"
#include "agent/uplink/fit.h"

enum { QUEUE = 2000, BATCH = 500 };

struct queue {
    bool poison[QUEUE];
    bool done[QUEUE];
    size_t dead;
    size_t requests;
};

static uint64_t chance = 1;

static uint64_t next_random(void)
{
    chance = chance * 6364136223846793005 + 1442695040888963407;
    return chance >> 16;
}

/* The next request as the uplink makes it: false when there is nothing more to send. */
static bool send_next(struct bisect *bisect, struct queue *queue)
{
    size_t places[BATCH];
    size_t most = bisect_records_max(bisect) < BATCH ? bisect_records_max(bisect) : BATCH;
    size_t count = 0;
    bool refused = false;
    for (size_t i = 0; i < QUEUE && count < most; i++) {
        if (queue->done[i] || bisect_is_aside(bisect, i + 1))
            continue;
        refused |= queue->poison[i];
        places[count++] = i;
    }
    if (count == 0)
        return bisect_found_nothing(bisect, next_random());
    queue->requests++;
    if (refused) {
        const struct bisect_record record = {.sequence = places[0] + 1};
        if (!bisect_refused(bisect, count))
            return true;
        if (bisect_is_doubted(bisect, record.sequence)) {
            queue->done[places[0]] = true;
            queue->dead++;
            return true;
        }
        return bisect_set_aside(bisect, &record) ||
               bisect_skip(bisect, record.sequence, next_random());
    }
    bisect_taken(bisect, count);
    for (size_t i = 0; i < count; i++)
        queue->done[places[i]] = true;
    bisect_doubt(bisect);
    return true;
}

/* Of the first TOTAL records. */
static struct queue run_some(size_t total, const size_t *poison, size_t count)
{
    struct queue queue = {.requests = 0};
    struct bisect bisect = {0};
    for (size_t i = total; i < QUEUE; i++)
        queue.done[i] = true;
    for (size_t i = 0; i < count; i++)
        queue.poison[poison[i]] = true;
    while (send_next(&bisect, &queue))
        continue;
    return queue;
}

static struct queue run(const size_t *poison, size_t count)
{
    return run_some(QUEUE, poison, count);
}

static size_t left(const struct queue *queue)
{
    size_t count = 0;
    for (size_t i = 0; i < QUEUE; i++)
        count += !queue->done[i];
    return count;
}

/* Wherever it is: it alone is dead, and finding it costs some thirty requests. */
static void test_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < QUEUE; i++) {
        struct queue queue = run(&i, 1);
        if (i == QUEUE - 1) { /* the last one: nothing is taken after it */
            assert_int_equal(left(&queue), 1);
            continue;
        }
        assert_int_equal(left(&queue), 0);
        assert_int_equal(queue.dead, 1);
        assert_true(queue.requests <= 4 + 32);
    }
}

static void test_several(void **state)
{
    static const size_t poison[] = {0, 1, 2, 250, 499, 500, 777, 1500, 1501, 1998};
    (void)state;
    struct queue queue = run(poison, sizeof poison / sizeof poison[0]);
    assert_int_equal(left(&queue), 0);
    assert_int_equal(queue.dead, 10);
}

/* Much poison side by side, and but two good ones behind it, the last that there are. */
static void test_many_before_few(void **state)
{
    size_t poison[23];
    (void)state;
    for (size_t i = 0; i < 23; i++)
        poison[i] = i;
    for (int round = 0; round < 100; round++) {
        struct queue queue = run_some(25, poison, 23);
        assert_int_equal(left(&queue), 0);
        assert_int_equal(queue.dead, 23);
        assert_in_range(queue.requests, 25, 80);
    }
}

/* Where nothing is taken, nothing is dead. */
static void test_all(void **state)
{
    size_t poison[QUEUE];
    (void)state;
    for (size_t i = 0; i < QUEUE; i++)
        poison[i] = i;
    struct queue queue = run(poison, QUEUE);
    assert_int_equal(queue.dead, 0);
    assert_int_equal(left(&queue), QUEUE);
    assert_true(queue.requests < 2 * BISECT_ASIDE_MAX + 20);
}

/* It was everything, until it was mended, whenever that is: nothing is dead. */
static void test_all_until_mended(void **state)
{
    (void)state;
    for (size_t mended = 1; mended < 100; mended++) {
        struct queue queue = {.requests = 0};
        struct bisect bisect = {0};
        memset(queue.poison, true, sizeof queue.poison);
        while (queue.requests < mended && send_next(&bisect, &queue))
            continue;
        memset(queue.poison, false, sizeof queue.poison);
        if (left(&queue) > 0 && bisect.skips == 32)
            continue; /* given up as everything by then, which the uplink starts anew */
        while (send_next(&bisect, &queue))
            continue;
        assert_int_equal(queue.dead, 0);
    }
}

/* A way that lets nothing larger than 8 KB through is found, and seldom tried again. */
static void test_fit(void **state)
{
    struct fit fit = {0};
    unsigned failed = 0;
    const uint64_t limit = 4 * 1024 * 1024;
    (void)state;
    assert_int_equal(fit_bytes_max(&fit, limit), limit);
    for (int i = 0; i < 100000; i++) {
        uint64_t bytes = fit_bytes_max(&fit, limit);
        if (bytes > 8192) {
            assert_true(fit_failed(&fit, bytes));
            failed++;
        } else
            fit_passed(&fit, limit);
    }
    assert_true(failed < 10 + 120);
    for (int i = 0; i < 100000; i++)
        fit_passed(&fit, limit);
    assert_int_equal(fit_bytes_max(&fit, limit), limit);
    for (int i = 0; i < 100; i++)
        (void)fit_failed(&fit, fit_bytes_max(&fit, limit));
    assert_int_equal(fit_bytes_max(&fit, limit), 4096);
    assert_false(fit_failed(&fit, 4096));
    assert_int_equal(fit_bytes_max(&fit, 100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_many_before_few),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_all_until_mended),
        cmocka_unit_test(test_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
