/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdint.h>
#include <string.h>

#include "agent/spool/timeline.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define WEEK   (7 * DAY)
/* 2026-11-23, and what a clock that was never set says */
static const int64_t today = INT64_C(1795392000000);
static const int64_t in_1970 = 20 * SECOND;

static const uint8_t *id_of(unsigned boot)
{
    static uint8_t id[BLOCK_BOOT_ID_BYTES];
    memset(id, 0, sizeof id);
    bytes_put_le32(id, boot);
    return id;
}

/* Boot NUMBER ran for LIVED_MS; its system's clock said GUESS_MS at first. */
static struct timeline_boot *enter(struct timeline *timeline, uint32_t number, int64_t lived_ms,
                                   int64_t guess_ms)
{
    struct timeline_boot *boot = timeline_enter(timeline, number, id_of(number));
    boot->has_guess = true;
    boot->guess = (struct timeline_point){.boot_ms = SECOND, .offset_ms = guess_ms};
    timeline_lives(boot, lived_ms);
    return boot;
}

static void learn(struct timeline_boot *boot, int64_t boot_ms, int64_t offset_ms)
{
    const struct timeline_point point = {boot_ms, offset_ms};
    assert_true(timeline_is_news(boot, &point));
    timeline_learn(boot, &point);
}

static bool is_news(const struct timeline_boot *boot, int64_t boot_ms, int64_t offset_ms)
{
    return timeline_is_news(boot, &(struct timeline_point){boot_ms, offset_ms});
}

static struct timeline_binding bind(const struct timeline *timeline, unsigned boot)
{
    struct timeline_binding binding;
    memset(&binding, 0xa5, sizeof binding);
    timeline_bind(timeline, id_of(boot), false, &binding);
    return binding;
}

static int64_t wall(const struct timeline *timeline, unsigned boot, int64_t boot_ms)
{
    const struct timeline_binding binding = bind(timeline, boot);
    return timeline_wall_ms(&binding, boot_ms, in_1970);
}

static enum time_quality quality(const struct timeline *timeline, unsigned boot)
{
    const struct timeline_binding binding = bind(timeline, boot);
    return timeline_quality(&binding, TIME_ESTIMATED);
}

/* ---- a boot that learnt the time ---- */

static void one_point_is_the_offset_of_the_whole_boot(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    learn(enter(&timeline, 1, HOUR, in_1970), 100 * SECOND, today);
    assert_int_equal(wall(&timeline, 1, 0), today);
    assert_int_equal(wall(&timeline, 1, 5), today + 5);
    assert_int_equal(wall(&timeline, 1, WEEK), today + WEEK);
    assert_int_equal(quality(&timeline, 1), TIME_CORRECTED);
}

static void between_points_it_is_interpolated_and_beyond_them_it_drifts_on(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, 4 * WEEK, in_1970);
    learn(boot, WEEK, today);
    learn(boot, 3 * WEEK, today + 60480); /* 50 ppm */
    assert_int_equal(wall(&timeline, 1, WEEK), today + WEEK);
    assert_int_equal(wall(&timeline, 1, 2 * WEEK), today + 2 * WEEK + 30240);
    assert_int_equal(wall(&timeline, 1, 3 * WEEK), today + 3 * WEEK + 60480);
    assert_int_equal(wall(&timeline, 1, 4 * WEEK), today + 4 * WEEK + 90720);
    assert_int_equal(wall(&timeline, 1, 0), today - 30240);
}

static void a_slow_clock_is_corrected_like_a_fast_one(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, 4 * WEEK, in_1970);
    learn(boot, WEEK, today);
    learn(boot, 3 * WEEK, today - 60480);
    assert_int_equal(wall(&timeline, 1, 2 * WEEK), today + 2 * WEEK - 30240);
    assert_int_equal(wall(&timeline, 1, 4 * WEEK), today + 4 * WEEK - 90720);
    assert_int_equal(wall(&timeline, 1, 0), today + 30240);
}

static void jitter_of_points_that_lie_near_is_no_drift(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, WEEK, in_1970);
    learn(boot, HOUR, today);
    learn(boot, 2 * HOUR, today + 900);
    assert_int_equal(wall(&timeline, 1, WEEK), today + WEEK + 900);
    assert_int_equal(wall(&timeline, 1, 0), today);
    learn(boot, 9 * HOUR, today + 1800); /* but to the first one it is far enough: 1800 in 8 h */
    assert_int_equal(wall(&timeline, 1, 17 * HOUR), today + 17 * HOUR + 1800 + 1028);
}

static void no_drift_is_worse_than_500_ppm(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, WEEK, in_1970);
    learn(boot, HOUR, today);
    learn(boot, 7 * HOUR, today + 20 * SECOND); /* 900 ppm */
    assert_int_equal(wall(&timeline, 1, 17 * HOUR), today + 17 * HOUR + 20 * SECOND + 18 * SECOND);
    assert_int_equal(wall(&timeline, 1, 4 * HOUR), today + 4 * HOUR + 10 * SECOND);
}

static void only_what_says_something_new_is_news(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, 0, in_1970);
    assert_true(is_news(boot, HOUR, today));
    learn(boot, HOUR, today);
    assert_false(is_news(boot, 2 * HOUR, today + 500));
    assert_false(is_news(boot, 2 * HOUR, today - 500));
    assert_true(is_news(boot, 2 * HOUR, today + 501));
    assert_true(is_news(boot, 2 * HOUR, today - 501));
    assert_false(is_news(boot, 7 * HOUR - 1, today));
    assert_true(is_news(boot, 7 * HOUR, today));
    assert_false(is_news(boot, HOUR - 1, today + DAY)); /* out of order */
    assert_false(is_news(boot, -1, today));
    assert_false(is_news(boot, INT64_MAX, today));
    assert_false(is_news(boot, 2 * HOUR, INT64_MAX));
    assert_false(is_news(boot, 2 * HOUR, INT64_MIN));
    /* What is expected counts, not the last offset. */
    learn(boot, DAY + HOUR, today + 4320);
    assert_false(is_news(boot, DAY + 4 * HOUR, today + 4320 + 540));
    assert_true(is_news(boot, DAY + 4 * HOUR, today + 4320));
}

static void what_is_learnt_last_counts_against_what_it_contradicts(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, WEEK, in_1970);
    learn(boot, HOUR, today);
    learn(boot, 8 * HOUR, today + DAY); /* somebody's clock was wrong: */
    assert_int_equal(boot->point_count, 1);
    assert_int_equal(wall(&timeline, 1, HOUR), today + DAY + HOUR);
    learn(boot, 9 * HOUR, today);
    learn(boot, 16 * HOUR, today + 100);
    learn(boot, 17 * HOUR, today - DAY); /* again, and then right */
    assert_int_equal(boot->point_count, 1);
    learn(boot, 18 * HOUR, today + 100);
    assert_int_equal(boot->point_count, 1);
    assert_int_equal(wall(&timeline, 1, 2 * HOUR), today + 100 + 2 * HOUR);
}

static void a_finer_clock_soon_after_takes_the_place_of_a_date(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, WEEK, in_1970);
    learn(boot, 60 * SECOND, today + 900);
    learn(boot, 90 * SECOND, today);
    assert_int_equal(boot->point_count, 1);
    assert_int_equal(wall(&timeline, 1, SECOND), today + SECOND);
}

static void of_many_points_those_stay_that_say_most(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, 0, in_1970);
    /* A straight line, but for one day that was hot. */
    for (int64_t day = 1; day <= 40; day++)
        learn(boot, day * DAY, today + (day >= 5 ? 3000 : 0));
    assert_int_equal(boot->point_count, TIMELINE_POINTS_MAX);
    assert_int_equal(boot->points[0].boot_ms, DAY);
    assert_int_equal(boot->points[TIMELINE_POINTS_MAX - 1].boot_ms, 40 * DAY);
    for (size_t i = 1; i < boot->point_count; i++)
        assert_true(boot->points[i].boot_ms > boot->points[i - 1].boot_ms);
    for (int64_t day = 1; day <= 40; day++)
        assert_int_equal(wall(&timeline, 1, day * DAY), day * DAY + today + (day >= 5 ? 3000 : 0));
}

/* ---- boots that never learnt it ---- */

static void nobody_knows_anything(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    assert_int_equal(wall(&timeline, 1, 7), in_1970 + 7);
    enter(&timeline, 1, HOUR, in_1970);
    enter(&timeline, 2, HOUR, in_1970);
    assert_int_equal(wall(&timeline, 1, 7), in_1970 + 7);
    assert_int_equal(wall(&timeline, 2, 7), in_1970 + 7);
    assert_int_equal(wall(&timeline, 3, 7), in_1970 + 7);
    assert_int_equal(quality(&timeline, 2), TIME_ESTIMATED);
    const struct timeline_binding binding = bind(&timeline, 2);
    assert_int_equal(timeline_quality(&binding, TIME_CORRECTED), TIME_CORRECTED);
}

static void boots_before_the_first_known_one_end_where_it_begins(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    enter(&timeline, 1, 3 * HOUR, in_1970);
    enter(&timeline, 2, 2 * HOUR, in_1970);
    learn(enter(&timeline, 3, HOUR, in_1970), 60 * SECOND, today);
    assert_int_equal(wall(&timeline, 3, 0), today);
    assert_int_equal(wall(&timeline, 2, 2 * HOUR), today);
    assert_int_equal(wall(&timeline, 2, 0), today - 2 * HOUR);
    assert_int_equal(wall(&timeline, 1, 3 * HOUR), today - 2 * HOUR);
    assert_int_equal(wall(&timeline, 1, HOUR), today - 4 * HOUR);
    assert_int_equal(quality(&timeline, 1), TIME_ESTIMATED);
    assert_int_equal(quality(&timeline, 2), TIME_ESTIMATED);
    assert_int_equal(quality(&timeline, 3), TIME_CORRECTED);
}

static void boots_behind_the_last_known_one_begin_where_it_ended(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    learn(enter(&timeline, 1, 2 * HOUR, in_1970), HOUR, today);
    enter(&timeline, 2, 3 * HOUR, in_1970);
    enter(&timeline, 3, 0, in_1970); /* goes on */
    assert_int_equal(wall(&timeline, 2, 0), today + 2 * HOUR);
    assert_int_equal(wall(&timeline, 2, HOUR), today + 3 * HOUR);
    assert_int_equal(wall(&timeline, 3, 0), today + 5 * HOUR);
    assert_int_equal(wall(&timeline, 3, WEEK), today + 5 * HOUR + WEEK);
    assert_int_equal(quality(&timeline, 3), TIME_ESTIMATED);
    /* More than it is known to have lived is still not behind the next one's beginning. */
    assert_int_equal(wall(&timeline, 2, 4 * HOUR), today + 5 * HOUR);
}

static void boots_between_two_known_ones_share_the_time_that_nobody_lived(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    learn(enter(&timeline, 1, HOUR, in_1970), HOUR, today);
    enter(&timeline, 2, HOUR, in_1970);
    enter(&timeline, 3, 2 * HOUR, in_1970);
    learn(enter(&timeline, 4, HOUR, in_1970), HOUR, today + 10 * HOUR);
    /* From hour 1 to hour 10 they lived 3: off for 2 h each time. */
    assert_int_equal(wall(&timeline, 2, 0), today + 3 * HOUR);
    assert_int_equal(wall(&timeline, 2, HOUR), today + 4 * HOUR);
    assert_int_equal(wall(&timeline, 3, 0), today + 6 * HOUR);
    assert_int_equal(wall(&timeline, 3, 2 * HOUR), today + 8 * HOUR);
}

static void boots_without_enough_room_are_squeezed_into_it(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    learn(enter(&timeline, 1, HOUR, in_1970), HOUR, today);
    enter(&timeline, 2, 2 * HOUR, in_1970);
    enter(&timeline, 3, 4 * HOUR, in_1970);
    learn(enter(&timeline, 4, HOUR, in_1970), HOUR, today + 4 * HOUR);
    assert_int_equal(wall(&timeline, 2, 0), today + HOUR);
    assert_int_equal(wall(&timeline, 2, HOUR), today + HOUR + HOUR / 2);
    assert_int_equal(wall(&timeline, 3, 0), today + 2 * HOUR);
    assert_int_equal(wall(&timeline, 3, 4 * HOUR), today + 4 * HOUR);
    assert_int_equal(wall(&timeline, 3, 5 * HOUR), today + 4 * HOUR);
}

static void known_boots_that_overlap_leave_no_room_at_all(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    learn(enter(&timeline, 1, 9 * HOUR, in_1970), HOUR, today);
    enter(&timeline, 2, HOUR, in_1970);
    learn(enter(&timeline, 3, HOUR, in_1970), HOUR, today);
    assert_int_equal(wall(&timeline, 2, 0), today + 9 * HOUR);
    assert_int_equal(wall(&timeline, 2, HOUR), today + 9 * HOUR);
}

static void a_clock_on_battery_is_believed_where_it_makes_sense(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    learn(enter(&timeline, 1, HOUR, today), HOUR, today);
    enter(&timeline, 2, HOUR, today + 5 * HOUR);
    enter(&timeline, 3, HOUR, today + 6 * HOUR);
    assert_int_equal(wall(&timeline, 2, SECOND), today + 5 * HOUR + SECOND);
    assert_int_equal(wall(&timeline, 3, SECOND), today + 6 * HOUR + SECOND);
    assert_int_equal(quality(&timeline, 2), TIME_ESTIMATED);
    struct timeline_boot *last = enter(&timeline, 4, HOUR, today);
    learn(last, HOUR, today + 10 * HOUR);
    assert_int_equal(wall(&timeline, 2, SECOND), today + 5 * HOUR + SECOND);
    /* But not if it would put one boot behind the next. */
    last->point_count = 0;
    learn(last, HOUR, today + 6 * HOUR);
    assert_int_equal(wall(&timeline, 3, HOUR), today + 6 * HOUR - HOUR);
    timeline.boots[2].guess.offset_ms = today + 5 * HOUR;
    last->point_count = 0;
    learn(last, HOUR, today + 30 * HOUR);
    assert_int_equal(wall(&timeline, 2, 0), today + HOUR + 9 * HOUR);
}

static void boots_that_are_forgotten_lie_before_all_others(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_binding binding;
    timeline_bind(&timeline, id_of(1), true, &binding);
    assert_int_equal(timeline_wall_ms(&binding, 7, in_1970), in_1970 + 7);
    for (uint32_t i = 2; i < 2 + TIMELINE_BOOTS_MAX; i++)
        enter(&timeline, i, HOUR, in_1970);
    assert_int_equal(timeline.boots[0].number, 2);
    learn(enter(&timeline, 100, HOUR, in_1970), HOUR, today);
    assert_int_equal(timeline.count, TIMELINE_BOOTS_MAX);
    assert_int_equal(timeline.boots[0].number, 3);
    int64_t first = today - (TIMELINE_BOOTS_MAX - 1) * HOUR;
    assert_int_equal(wall(&timeline, 3, 0), first);
    timeline_bind(&timeline, id_of(2), true, &binding);
    assert_int_equal(timeline_wall_ms(&binding, 7, in_1970), first);
    assert_int_equal(timeline_wall_ms(&binding, 7, first - DAY), first - DAY + 7);
    assert_int_equal(timeline_wall_ms(&binding, 7, first + DAY), first);
    assert_int_equal(timeline_quality(&binding, TIME_ESTIMATED), TIME_ESTIMATED);
    assert_int_equal(wall(&timeline, 2, 7), in_1970 + 7); /* of another spool, perhaps */
}

static void a_binding_stays_as_it_was(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *boot = enter(&timeline, 1, HOUR, in_1970);
    learn(boot, HOUR, today);
    const struct timeline_binding before = bind(&timeline, 1);
    learn(boot, 2 * HOUR, today + 5000);
    assert_int_equal(timeline_wall_ms(&before, 2 * HOUR, 0), today + 2 * HOUR);
    assert_int_equal(wall(&timeline, 1, 2 * HOUR), today + 2 * HOUR + 5000);
}

/* ---- as stored ---- */

static void what_is_stored_comes_back(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    uint8_t bytes[TIMELINE_BOOT_BYTES];
    struct timeline_boot back;
    struct timeline_boot *boot = enter(&timeline, 7, WEEK, in_1970);
    for (int64_t i = 0; i <= TIMELINE_POINTS_MAX; i++) {
        size_t count = timeline_encode(boot, bytes);
        assert_int_equal(count, 40 + 16 * i);
        assert_int_equal(timeline_decode(bytes, count, &back), E_OK);
        back.number = boot->number;
        assert_memory_equal(&back, boot, sizeof back);
        if (i < TIMELINE_POINTS_MAX)
            learn(boot, (i + 1) * DAY, today + 1000 * i * i);
    }
    timeline_lives(boot, INT64_MAX);
    assert_int_equal(timeline_decode(bytes, timeline_encode(boot, bytes), &back), E_OK);
    assert_int_equal(back.lived_ms, boot->lived_ms);
}

/* Before there were points, an entry had what the clock said at the start. */
static void entries_of_earlier_programs_are_read(void **state)
{
    (void)state;
    uint8_t bytes[40] = {1};
    struct timeline_boot boot;
    bytes_put_le64(bytes + 24, 5000);
    bytes_put_le64(bytes + 32, (uint64_t)today);
    bytes[16] = TIME_SYNCED;
    assert_int_equal(timeline_decode(bytes, sizeof bytes, &boot), E_OK);
    assert_int_equal(boot.point_count, 1);
    assert_int_equal(boot.points[0].offset_ms, today);
    assert_int_equal(boot.lived_ms, 5000);
    assert_false(boot.has_guess);
    bytes[16] = TIME_ESTIMATED;
    assert_int_equal(timeline_decode(bytes, sizeof bytes, &boot), E_OK);
    assert_int_equal(boot.point_count, 0);
    assert_true(boot.has_guess);
    assert_int_equal(boot.guess.offset_ms, today);
    assert_int_equal(timeline_decode(bytes, 24, &boot), E_OK);
    assert_int_equal(timeline_decode(bytes, 23, &boot), E_DAMAGED);
    assert_int_equal(timeline_decode(bytes, 39, &boot), E_DAMAGED);
    uint8_t many[TIMELINE_BOOT_BYTES + 16] = {0};
    assert_int_equal(timeline_decode(many, sizeof many, &boot), E_DAMAGED);
}

static void starts_of_one_boot_are_one(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot boot = {.number = 4, .has_guess = true, .guess = {SECOND, in_1970}};
    timeline_add(&timeline, &boot);
    boot.number = 5;
    boot.guess.offset_ms = today;
    learn(&boot, HOUR, today);
    timeline_add(&timeline, &boot);
    assert_int_equal(timeline.count, 1);
    assert_int_equal(timeline.boots[0].number, 4);
    assert_int_equal(timeline.boots[0].guess.offset_ms, in_1970);
    assert_int_equal(timeline.boots[0].point_count, 1);
    assert_int_equal(timeline.boots[0].lived_ms, HOUR);
}

static void collect(struct timeline *timeline, uint32_t number, int64_t learnt_ms)
{
    struct timeline_boot boot = {.number = number, .lived_ms = HOUR};
    memcpy(boot.id, id_of(number), sizeof boot.id);
    if (learnt_ms > 0)
        learn(&boot, learnt_ms, today);
    timeline_collect(timeline, &boot);
}

static void of_old_entries_the_latest_counts(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    collect(&timeline, 5, 0);
    collect(&timeline, 3, 2 * HOUR);
    collect(&timeline, 5, HOUR);
    collect(&timeline, 3, HOUR);
    collect(&timeline, 3, 0);
    collect(&timeline, 4, 0);
    assert_int_equal(timeline.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(timeline.boots[i].number, 3 + i);
    assert_int_equal(timeline.boots[0].points[0].boot_ms, 2 * HOUR);
    assert_int_equal(timeline.boots[2].point_count, 1);
    for (uint32_t n = 100; n < 200; n++)
        collect(&timeline, n, 0);
    collect(&timeline, 50, 0);
    assert_int_equal(timeline.count, TIMELINE_BOOTS_MAX);
    assert_int_equal(timeline.boots[0].number, 200 - TIMELINE_BOOTS_MAX);
    assert_int_equal(timeline.boots[TIMELINE_BOOTS_MAX - 1].number, 199);
}

static void check_ids(const struct timeline *timeline, const uint32_t *ids, size_t count)
{
    assert_int_equal(timeline->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(timeline->boots[i].id, id_of(ids[i]), BLOCK_BOOT_ID_BYTES);
        if (i > 0)
            assert_true(timeline->boots[i].number > timeline->boots[i - 1].number);
    }
}

static void boots_of_other_files_were_before(void **state)
{
    (void)state;
    struct timeline timeline = {0}, first = {0}, second = {0};
    enter(&timeline, 14, HOUR, in_1970)->number = 4096;
    enter(&timeline, 15, HOUR, in_1970)->number = 4097;
    learn(&timeline.boots[0], 3 * HOUR, today);
    collect(&first, 10, HOUR);
    collect(&first, 11, 0);
    collect(&second, 12, 0);
    collect(&second, 13, 0);
    collect(&second, 14, HOUR); /* it went on in the next file */
    assert_true(timeline_adopt(&timeline, &first));
    assert_false(timeline_adopt(&timeline, &first));
    assert_true(timeline_adopt(&timeline, &second));
    assert_false(timeline_adopt(&timeline, &second));
    check_ids(&timeline, (const uint32_t[]){10, 11, 12, 13, 14, 15}, 6);
    assert_true(timeline.boots[3].foreign);
    assert_false(timeline.boots[4].foreign);
    assert_int_equal(timeline.boots[3].number, 4095);
    assert_int_equal(timeline.boots[4].points[0].boot_ms, HOUR);
    /* Of more than there are places for the oldest are left out. */
    struct timeline many = {0};
    for (uint32_t n = 100; n < 100 + TIMELINE_BOOTS_MAX; n++)
        collect(&many, n, 0);
    assert_true(timeline_adopt(&timeline, &many));
    assert_int_equal(timeline.count, TIMELINE_BOOTS_MAX);
    assert_memory_equal(timeline.boots[0].id, id_of(102), BLOCK_BOOT_ID_BYTES);
    assert_memory_equal(timeline.boots[TIMELINE_BOOTS_MAX - 3].id, id_of(163), BLOCK_BOOT_ID_BYTES);
    assert_memory_equal(timeline.boots[TIMELINE_BOOTS_MAX - 1].id, id_of(15), BLOCK_BOOT_ID_BYTES);
    /* A file that an earlier program made has no numbers for them. */
    struct timeline low = {0};
    enter(&low, 20, HOUR, in_1970)->number = 2;
    assert_true(timeline_adopt(&low, &second));
    check_ids(&low, (const uint32_t[]){14, 20}, 2);
}

/* ---- whatever values there are ---- */

static uint64_t seed = 1;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* All sizes and signs, the ends among them. */
static int64_t draw_any(void)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MAX, 0, -1, 1};
    uint64_t kind = draw() % 8;
    if (kind < sizeof ends / sizeof ends[0])
        return ends[kind];
    return (int64_t)(draw() >> draw() % 64) * (kind == 6 ? -1 : 1);
}

static void draw_timeline(struct timeline *timeline)
{
    uint8_t bytes[TIMELINE_BOOT_BYTES];
    uint64_t boots = draw() % 8;
    memset(timeline, 0, sizeof *timeline);
    for (uint32_t n = 1; n <= boots; n++) {
        struct timeline_boot boot;
        size_t points = (size_t)(draw() % 6);
        memset(bytes, 0, sizeof bytes);
        bytes_put_le32(bytes, n);
        bytes[16] = (uint8_t)(draw() % 4);
        bytes_put_le64(bytes + 16, bytes_get_le64(bytes + 16) | draw() << draw() % 48 << 16);
        for (size_t i = 0; i < points; i++) {
            bytes_put_le64(bytes + 24 + 16 * i, (uint64_t)draw_any());
            bytes_put_le64(bytes + 32 + 16 * i, (uint64_t)draw_any());
        }
        assert_int_equal(timeline_decode(bytes, 24 + 16 * points, &boot), E_OK);
        boot.number = n;
        timeline_add(timeline, &boot);
    }
}

/* The order of boots and of what was taken in them holds, and nothing overflows. */
static void hostile_values_keep_order(void **state)
{
    (void)state;
    struct timeline timeline;
    for (int round = 0; round < 20000; round++) {
        int64_t at[3] = {draw_any(), draw_any(), draw_any()};
        int64_t offset = draw_any();
        draw_timeline(&timeline);
        for (unsigned boot = 0; boot <= timeline.count; boot++) {
            struct timeline_binding binding;
            timeline_bind(&timeline, id_of(boot), round % 2 == 0, &binding);
            for (size_t i = 0; i < 3; i++) {
                int64_t here = timeline_wall_ms(&binding, at[i], offset);
                int64_t later = timeline_wall_ms(&binding, at[(i + 1) % 3], offset);
                if (binding.kind != TIMELINE_UNKNOWN && binding.kind != TIMELINE_BEFORE &&
                    at[i] <= at[(i + 1) % 3])
                    assert_true(here <= later);
            }
            if (binding.kind == TIMELINE_PLACED && boot < timeline.count &&
                timeline.boots[boot].point_count == 0)
                assert_true(timeline_wall_ms(&binding, at[0], offset) <=
                            wall(&timeline, boot + 1, 0));
        }
    }
}

/* A week ago, said a peer in the boot's first hour. */
static void what_was_before_the_boot_keeps_its_distance(void **state)
{
    (void)state;
    struct timeline timeline = {0};
    struct timeline_boot *first = enter(&timeline, 1, 20 * HOUR, in_1970);
    learn(first, 0, today);
    learn(first, 10 * HOUR, today + 5000); /* 139 ppm */
    enter(&timeline, 2, HOUR, in_1970);
    assert_int_equal(wall(&timeline, 1, -WEEK), today - WEEK);
    assert_int_equal(wall(&timeline, 1, -1), today - 1);
    assert_int_equal(quality(&timeline, 2), TIME_ESTIMATED);
    assert_int_equal(wall(&timeline, 2, -WEEK), wall(&timeline, 2, 0) - WEEK);
    assert_int_equal(wall(&timeline, 2, -2), wall(&timeline, 2, 0) - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_point_is_the_offset_of_the_whole_boot),
        cmocka_unit_test(between_points_it_is_interpolated_and_beyond_them_it_drifts_on),
        cmocka_unit_test(a_slow_clock_is_corrected_like_a_fast_one),
        cmocka_unit_test(jitter_of_points_that_lie_near_is_no_drift),
        cmocka_unit_test(no_drift_is_worse_than_500_ppm),
        cmocka_unit_test(only_what_says_something_new_is_news),
        cmocka_unit_test(what_is_learnt_last_counts_against_what_it_contradicts),
        cmocka_unit_test(a_finer_clock_soon_after_takes_the_place_of_a_date),
        cmocka_unit_test(of_many_points_those_stay_that_say_most),
        cmocka_unit_test(nobody_knows_anything),
        cmocka_unit_test(what_was_before_the_boot_keeps_its_distance),
        cmocka_unit_test(boots_before_the_first_known_one_end_where_it_begins),
        cmocka_unit_test(boots_behind_the_last_known_one_begin_where_it_ended),
        cmocka_unit_test(boots_between_two_known_ones_share_the_time_that_nobody_lived),
        cmocka_unit_test(boots_without_enough_room_are_squeezed_into_it),
        cmocka_unit_test(known_boots_that_overlap_leave_no_room_at_all),
        cmocka_unit_test(a_clock_on_battery_is_believed_where_it_makes_sense),
        cmocka_unit_test(boots_that_are_forgotten_lie_before_all_others),
        cmocka_unit_test(a_binding_stays_as_it_was),
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(entries_of_earlier_programs_are_read),
        cmocka_unit_test(starts_of_one_boot_are_one),
        cmocka_unit_test(of_old_entries_the_latest_counts),
        cmocka_unit_test(boots_of_other_files_were_before),
        cmocka_unit_test(hostile_values_keep_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
