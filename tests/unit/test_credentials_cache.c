/* SPDX-License-Identifier: Apache-2.0 */
/* A cache with a thread of its own: sources that are slow. What it decides is in
 * test_credentials.c. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/progress.h"
#include "platform/stop.h"

enum { HOUR_MS = 3600 * 1000, QUARTER_MS = 15 * 60 * 1000, ASK_MS = 30 * 1000 };
enum { USERS = 4, ROUNDS = 3000, SOON_MS = 20 };

/* A source that answers with the key K<number of the asking>, when it may. */
struct slow {
    struct credentials_provider provider;
    atomic_int result;
    atomic_uint asked;
    atomic_uint forgotten;
    sem_t begun;      /* it is being asked */
    sem_t may_answer; /* if it hangs */
    atomic_bool hangs;
    atomic_bool closed;
};

static struct slow slow;
static struct progress progress; /* of the thread */
static atomic_llong now_ms;
static atomic_llong life_ms;
static sem_t waiting;        /* the thread has nothing to do ... */
static atomic_llong look_ms; /* ... until then */
static atomic_int wake_fd;

static int64_t fake_mono_ms(void)
{
    return atomic_load(&now_ms);
}

static uint64_t fake_random_below(uint64_t limit)
{
    (void)limit;
    return 0;
}

/* Waits until it is woken, whatever the time. */
static int fake_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    atomic_store(&look_ms, deadline_ms);
    atomic_store(&wake_fd, fd);
    (void)sem_post(&waiting);
    return stop_wait(stop, fd, events, INT64_MAX);
}

static int get_slow(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    unsigned number = atomic_fetch_add(&slow.asked, 1) + 1;
    (void)provider;
    (void)deadline_ms;
    (void)sem_post(&slow.begun);
    if (atomic_load(&slow.hangs))
        (void)sem_wait(&slow.may_answer);
    if (atomic_load(&slow.result) < 0)
        return credentials_fault(fault, atomic_load(&slow.result), "slow says no");
    memset(ret_credentials, 0, sizeof *ret_credentials);
    (void)snprintf(ret_credentials->access_key_id, CREDENTIALS_ID_BYTES, "K%u", number);
    (void)snprintf(ret_credentials->secret_access_key, CREDENTIALS_SECRET_BYTES, "K%u", number);
    ret_credentials->expires_mono_ms = atomic_load(&now_ms) + atomic_load(&life_ms);
    return 0;
}

static void expire_slow(struct credentials_provider *provider, const struct credentials *used)
{
    (void)provider;
    (void)used;
    atomic_fetch_add(&slow.forgotten, 1);
}

static void close_slow(struct credentials_provider *provider)
{
    (void)provider;
    atomic_store(&slow.closed, true);
}

static struct credentials_provider *open_cache(bool stepped)
{
    static const struct credentials_operations operations = {
        .name = "slow", .slow = true, .get = get_slow, .expire = expire_slow, .close = close_slow};
    const struct credentials_cache_options options = {fake_mono_ms, fake_random_below,
                                                      stepped ? fake_wait : stop_wait};
    struct credentials_provider *cache;
    memset(&slow, 0, sizeof slow);
    slow.provider.operations = &operations;
    (void)sem_init(&slow.begun, 0, 0);
    (void)sem_init(&slow.may_answer, 0, 0);
    (void)sem_init(&waiting, 0, 0);
    atomic_store(&now_ms, clock_mono_ms());
    atomic_store(&life_ms, HOUR_MS);
    assert_int_equal(credentials_cache_open_with(&options, &slow.provider, &cache), 0);
    return cache;
}

static void close_cache(struct credentials_provider *cache)
{
    assert_int_equal(credentials_stop(cache, INT64_MAX), 0);
    assert_int_equal(progress_late_ms(&progress, INT64_MAX), 0); /* it owes nothing any more */
    credentials_close(cache);
    assert_true(atomic_load(&slow.closed));
}

static void expect(struct credentials_provider *cache, int64_t deadline_ms, int code,
                   const char *text)
{
    struct credentials credentials;
    char fault[CREDENTIALS_FAULT_BYTES];
    assert_int_equal(credentials_get(cache, deadline_ms, fault, &credentials), code);
    if (code < 0)
        assert_non_null(strstr(fault, text));
    else
        assert_string_equal(credentials.access_key_id, text);
}

/* As one whom the other side refused what there was. */
static void expect_other(struct credentials_provider *cache, int64_t deadline_ms, int code,
                         const char *text)
{
    struct credentials credentials;
    char fault[CREDENTIALS_FAULT_BYTES];
    assert_int_equal(credentials_get_other(cache, deadline_ms, fault, &credentials), code);
    assert_non_null(strstr(code < 0 ? fault : credentials.access_key_id, text));
}

static void wake(void)
{
    stop_event_signal(atomic_load(&wake_fd));
}

/* It asks by itself: at the start, then, if they are used, when it is time, and not before. */
static void test_refresh(void **state)
{
    struct credentials_provider *cache = open_cache(true);
    int64_t start_ms = atomic_load(&now_ms);
    (void)state;
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&waiting);
    assert_int_equal(atomic_load(&slow.asked), 1);
    assert_true(atomic_load(&look_ms) == INT64_MAX);
    expect(cache, 0, 0, "K1");
    (void)sem_wait(&waiting);
    int64_t refresh_ms = start_ms + HOUR_MS - QUARTER_MS * 9 / 10;
    assert_true(atomic_load(&look_ms) == refresh_ms);
    atomic_store(&now_ms, refresh_ms - 1);
    wake();
    (void)sem_wait(&waiting);
    assert_int_equal(atomic_load(&slow.asked), 1);
    atomic_store(&now_ms, refresh_ms);
    wake();
    (void)sem_wait(&waiting);
    assert_int_equal(atomic_load(&slow.asked), 2); /* once an hour */
    expect(cache, 0, 0, "K2");
    close_cache(cache);
}

/* What nobody uses is not asked for again, but at once when somebody wants it. */
static void test_unused(void **state)
{
    struct credentials_provider *cache = open_cache(true);
    (void)state;
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&waiting);
    atomic_store(&now_ms, atomic_load(&now_ms) + 24 * (int64_t)HOUR_MS);
    wake();
    (void)sem_wait(&waiting);
    assert_int_equal(atomic_load(&slow.asked), 1);
    assert_true(atomic_load(&look_ms) == INT64_MAX);
    expect(cache, INT64_MAX, 0, "K2");
    close_cache(cache);
}

static void count_change(void *context)
{
    atomic_uint *changes = context;
    atomic_fetch_add(changes, 1);
}

/* Nobody waits for a refresh: the old ones go on until they expire, then it is asked for in
 * growing pauses. */
static void test_outage(void **state)
{
    struct credentials_provider *cache = open_cache(true);
    char fault[CREDENTIALS_FAULT_BYTES];
    int64_t start_ms = atomic_load(&now_ms);
    atomic_uint changes = 0;
    (void)state;
    credentials_cache_watch(cache, count_change, &changes);
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&waiting);
    (void)sem_wait(&slow.begun);
    expect(cache, 0, 0, "K1");
    (void)sem_wait(&waiting);
    atomic_store(&slow.hangs, true);
    atomic_store(&slow.result, E_TIMEOUT);
    atomic_store(&now_ms, atomic_load(&look_ms));
    wake();
    (void)sem_wait(&slow.begun);
    expect(cache, 0, 0, "K1"); /* it is being asked, and hangs */
    atomic_store(&slow.hangs, false);
    (void)sem_post(&slow.may_answer);
    (void)sem_wait(&waiting);
    assert_true(atomic_load(&look_ms) == atomic_load(&now_ms) + ASK_MS);
    expect(cache, 0, 0, "K1");
    int64_t failing_ms = atomic_load(&now_ms);
    atomic_store(&now_ms, start_ms + HOUR_MS);
    wake();
    (void)sem_wait(&waiting);
    assert_true(credentials_cache_failing_ms(cache, fault) == failing_ms); /* the first time */
    assert_string_equal(fault, "slow says no");
    assert_int_equal(atomic_load(&changes), 1);
    expect(cache, 0, E_TIMEOUT, "slow says no"); /* without waiting */
    atomic_store(&slow.result, 0);
    atomic_store(&now_ms, atomic_load(&look_ms));
    expect(cache, INT64_MAX, 0, "K4"); /* which wakes it, and waits */
    assert_true(credentials_cache_failing_ms(cache, fault) == 0);
    assert_int_equal(atomic_load(&changes), 2);
    close_cache(cache);
}

/* What never expires costs no wake-up: it is asked for by who uses it. */
static void test_endless(void **state)
{
    struct credentials_provider *cache = open_cache(true);
    (void)state;
    atomic_store(&life_ms, INT64_MAX - atomic_load(&now_ms));
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&waiting);
    assert_true(atomic_load(&look_ms) == INT64_MAX);
    atomic_store(&now_ms, atomic_load(&now_ms) + ASK_MS);
    atomic_store(&life_ms, INT64_MAX - atomic_load(&now_ms));
    expect(cache, 0, 0, "K1");
    (void)sem_wait(&waiting);
    expect(cache, 0, 0, "K2");
    close_cache(cache);
}

static void test_expire(void **state)
{
    struct credentials_provider *cache = open_cache(true);
    struct credentials old = {.access_key_id = "K0"}, used = {.access_key_id = "K1"};
    (void)state;
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&waiting);
    credentials_expire(cache, &old); /* of a request that another route sent before */
    expect_other(cache, 0, 0, "K1");
    credentials_expire(cache, &used);
    expect_other(cache, INT64_MAX, 0, "K2");
    assert_int_equal(atomic_load(&slow.forgotten), 1);
    credentials_expire(cache, &used); /* that one is known */
    expect_other(cache, 0, 0, "K2");
    (void)strcpy(used.access_key_id, "K2");
    credentials_expire(cache, &used);
    expect_other(cache, 0, E_CREDENTIALS, "have expired"); /* asked just now */
    expect(cache, 0, 0, "K2");
    atomic_store(&now_ms, atomic_load(&now_ms) + ASK_MS);
    expect_other(cache, INT64_MAX, 0, "K3");
    close_cache(cache);
}

/* An endpoint that calls everything expired stops no route but its own, even while the source does
 * not answer. */
static void test_one_is_refused(void **state)
{
    struct credentials_provider *cache = open_cache(true);
    struct credentials used = {.access_key_id = "K1"};
    (void)state;
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&waiting);
    (void)sem_wait(&slow.begun);
    atomic_store(&slow.hangs, true);
    atomic_store(&slow.result, E_TIMEOUT);
    credentials_expire(cache, &used);
    (void)sem_wait(&slow.begun);
    expect(cache, 0, 0, "K1");
    expect_other(cache, 0, E_TIMEOUT, "has not answered yet");
    atomic_store(&slow.hangs, false);
    (void)sem_post(&slow.may_answer);
    (void)sem_wait(&waiting);
    expect(cache, 0, 0, "K1");
    expect_other(cache, 0, E_TIMEOUT, "slow says no");
    atomic_store(&now_ms, atomic_load(&now_ms) + HOUR_MS);
    expect(cache, 0, E_TIMEOUT, "slow"); /* now they have expired */
    close_cache(cache);
}

struct user {
    struct credentials_provider *cache;
    pthread_t thread;
    int result;
};

static void *run_user(void *context)
{
    struct user *user = context;
    struct credentials credentials;
    char fault[CREDENTIALS_FAULT_BYTES];
    user->result = credentials_get(user->cache, INT64_MAX, fault, &credentials);
    return NULL;
}

static void start_users(struct user users[USERS], struct credentials_provider *cache,
                        void *(*function)(void *context))
{
    for (int i = 0; i < USERS; i++) {
        users[i].cache = cache;
        assert_int_equal(pthread_create(&users[i].thread, NULL, function, &users[i]), 0);
    }
}

static void join_users(struct user users[USERS], int result)
{
    for (int i = 0; i < USERS; i++) {
        (void)pthread_join(users[i].thread, NULL);
        assert_int_equal(users[i].result, result);
    }
}

/* While there are none, everybody waits for the first answer, or for their deadline. */
static void test_first_answer(void **state)
{
    struct credentials_provider *cache = open_cache(false);
    struct user users[USERS];
    (void)state;
    atomic_store(&slow.hangs, true);
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&slow.begun);
    expect(cache, atomic_load(&now_ms) + SOON_MS, E_TIMEOUT, "slow has not answered yet");
    start_users(users, cache, run_user);
    (void)sem_post(&slow.may_answer);
    join_users(users, 0);
    assert_int_equal(atomic_load(&slow.asked), 1);
    close_cache(cache);
}

/* The end comes for those who wait even when the source does not come back. */
static void test_stop(void **state)
{
    struct credentials_provider *cache = open_cache(false);
    struct user users[USERS];
    (void)state;
    atomic_store(&slow.hangs, true);
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    (void)sem_wait(&slow.begun);
    start_users(users, cache, run_user);
    assert_int_equal(credentials_stop(cache, 0), E_TIMEOUT);
    join_users(users, E_STOP);
    credentials_close(cache); /* nothing is pulled away under the thread */
    assert_false(atomic_load(&slow.closed));
    expect(cache, INT64_MAX, E_STOP, "stop");
    (void)sem_post(&slow.may_answer);
    close_cache(cache);
}

/* A cache without a thread is stopped and used likewise. */
static void test_quick(void **state)
{
    struct credentials_provider *cache = open_cache(false);
    struct credentials_operations quick = *slow.provider.operations;
    (void)state;
    quick.slow = false;
    slow.provider.operations = &quick;
    assert_int_equal(credentials_start(cache, "default", &progress), 0);
    assert_int_equal(atomic_load(&slow.asked), 0);
    expect(cache, INT64_MAX, 0, "K1");
    expect(cache, INT64_MAX, 0, "K1");
    assert_int_equal(credentials_stop(cache, 0), 0);
    expect(cache, INT64_MAX, E_STOP, "stop");
    close_cache(cache);
}

/* Takes, lets expire and lets time pass: what it gets is never of two askings. */
static void *run_busy_user(void *context)
{
    struct user *user = context;
    struct credentials credentials;
    char fault[CREDENTIALS_FAULT_BYTES];
    user->result = 0;
    for (int i = 0; i < ROUNDS && user->result == 0; i++) {
        int rc = i % 7 == 1 ? credentials_get_other(user->cache, INT64_MAX, fault, &credentials)
                            : credentials_get(user->cache, INT64_MAX, fault, &credentials);
        if (rc == 0 && strcmp(credentials.access_key_id, credentials.secret_access_key) != 0)
            user->result = E_DAMAGED;
        if (rc == 0 && i % 7 == 0)
            credentials_expire(user->cache, &credentials);
        atomic_fetch_add(&now_ms, ASK_MS / 4);
    }
    return NULL;
}

static void test_many_users(void **state)
{
    static const bool slowness[] = {true, false};
    struct user users[USERS];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct credentials_provider *cache = open_cache(false);
        struct credentials_operations operations = *slow.provider.operations;
        operations.slow = slowness[i];
        slow.provider.operations = &operations;
        assert_int_equal(credentials_start(cache, "default", &progress), 0);
        start_users(users, cache, run_busy_user);
        join_users(users, 0);
        assert_true(atomic_load(&slow.asked) > 1);
        close_cache(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh),        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_endless),        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_first_answer),   cmocka_unit_test(test_stop),
        cmocka_unit_test(test_quick),          cmocka_unit_test(test_many_users),
        cmocka_unit_test(test_one_is_refused), cmocka_unit_test(test_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
