/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/timeline.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)

/* Beyond this nothing is believed: no boot lasts 8,000 years, and sums of all there are fit. */
#define INSTANT_MAX (INT64_C(1) << 48)
#define OFFSET_MAX  (INT64_C(1) << 53)

#define NEWS_MS          500           /* Dates have whole seconds, the middle of which is taken */
#define NEWS_AFTER_MS    (6 * HOUR_MS) /* 50 ppm are a second by then */
#define APART_MS         (10 * MINUTE_MS) /* two points in less time show jitter and no drift */
#define CONTRADICTION_MS INT64_C(10000)   /* besides the drift */
#define DRIFT_PARTS      2000          /* 500 ppm: worse than any crystal that keeps a UART going */
#define DRIFT_SPAN_MS    (6 * HOUR_MS) /* points less than this apart show jitter, not drift */
#define UNSET_BEFORE_MS  INT64_C(1704067200000) /* 2024-01-01 */

enum { AT_ID = 0, AT_QUALITY = 16, AT_FLAGS = 17, AT_LIVED = 18, AT_POINTS = 24, POINT_BYTES = 16 };
enum { FLAG_FOREIGN = 1 };
_Static_assert((int)AT_QUALITY == (int)BLOCK_BOOT_ID_BYTES, "the boot id fits");

/* ---- numbers ---- */

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int64_t add_saturating(int64_t a, int64_t b)
{
    if (b > 0 && a > INT64_MAX - b)
        return INT64_MAX;
    if (b < 0 && a < INT64_MIN - b)
        return INT64_MIN;
    return a + b;
}

/* VALUE * PART / WHOLE, rounded down, for 0 <= PART <= WHOLE < 2^62 and VALUE >= 0: bit by bit,
 * since the product needs more than 64, which not every machine has. */
static int64_t scale(int64_t value, int64_t part, int64_t whole)
{
    uint64_t quotient = 0;
    uint64_t rest = 0;
    if (part == 0 || value == 0)
        return 0;
    for (int bit = 62; bit >= 0; bit--) {
        quotient *= 2;
        rest *= 2;
        if (((uint64_t)value >> bit & 1) != 0)
            rest += (uint64_t)part;
        for (; rest >= (uint64_t)whole; rest -= (uint64_t)whole)
            quotient++;
    }
    return (int64_t)quotient;
}

/* ---- the clock of one boot that has points ---- */

/* What the offset changes by in DISTANCE, if it changed by CHANGE in SPAN. */
static int64_t change_in(int64_t distance, int64_t change, int64_t span)
{
    int64_t much = scale(magnitude(distance), magnitude(change), span);
    return (distance < 0) == (change < 0) ? much : -much;
}

/* Beyond FROM, as it drifted between it and FAR; nothing where these say nothing of drift. */
static int64_t extrapolate(const struct timeline_point *from, const struct timeline_point *far,
                           int64_t boot_ms)
{
    int64_t span = magnitude(from->boot_ms - far->boot_ms);
    int64_t change = far->boot_ms < from->boot_ms ? from->offset_ms - far->offset_ms
                                                  : far->offset_ms - from->offset_ms;
    if (span < DRIFT_SPAN_MS)
        return from->offset_ms;
    change = clamp(change, -(span / DRIFT_PARTS), span / DRIFT_PARTS);
    return from->offset_ms + change_in(boot_ms - from->boot_ms, change, span);
}

static int64_t offset_before(const struct timeline_point *points, size_t count, int64_t boot_ms)
{
    size_t far = 0;
    while (far + 1 < count && points[far].boot_ms - points[0].boot_ms < DRIFT_SPAN_MS)
        far++;
    return extrapolate(&points[0], &points[far], boot_ms);
}

static int64_t offset_behind(const struct timeline_point *points, size_t count, int64_t boot_ms)
{
    const struct timeline_point *last = &points[count - 1];
    size_t far = count - 1;
    while (far > 0 && last->boot_ms - points[far].boot_ms < DRIFT_SPAN_MS)
        far--;
    return extrapolate(last, &points[far], boot_ms);
}

static int64_t offset_between(const struct timeline_point *a, const struct timeline_point *b,
                              int64_t boot_ms)
{
    return a->offset_ms +
           change_in(boot_ms - a->boot_ms, b->offset_ms - a->offset_ms, b->boot_ms - a->boot_ms);
}

static int64_t offset_at(const struct timeline_point *points, size_t count, int64_t boot_ms)
{
    size_t i = 0;
    if (boot_ms < points[0].boot_ms)
        return offset_before(points, count, boot_ms);
    while (i < count && points[i].boot_ms <= boot_ms)
        i++;
    return i == count ? offset_behind(points, count, boot_ms)
                      : offset_between(&points[i - 1], &points[i], boot_ms);
}

/* What lies before the boot was told in it, as a distance: no clock of that boot drifted there. */
static int64_t wall_at(const struct timeline_point *points, size_t count, int64_t boot_ms)
{
    int64_t held = clamp(boot_ms, -INSTANT_MAX, INSTANT_MAX);
    return held + offset_at(points, count, held < 0 ? 0 : held);
}

/* ---- learning ---- */

static bool is_possible(const struct timeline_point *point)
{
    return point->boot_ms >= 0 && point->boot_ms <= INSTANT_MAX &&
           point->offset_ms >= -OFFSET_MAX && point->offset_ms <= OFFSET_MAX;
}

bool timeline_is_news(const struct timeline_boot *boot, const struct timeline_point *point)
{
    if (!is_possible(point))
        return false;
    if (boot->point_count == 0)
        return true;
    int64_t since_ms = point->boot_ms - boot->points[boot->point_count - 1].boot_ms;
    int64_t apart_ms =
        point->offset_ms - offset_at(boot->points, boot->point_count, point->boot_ms);
    return since_ms >= 0 && (magnitude(apart_ms) > NEWS_MS || since_ms >= NEWS_AFTER_MS);
}

static bool contradict(const struct timeline_point *a, const struct timeline_point *b)
{
    int64_t drift_ms = (b->boot_ms - a->boot_ms) / DRIFT_PARTS;
    return b->boot_ms < a->boot_ms ||
           magnitude(b->offset_ms - a->offset_ms) > CONTRADICTION_MS + drift_ms;
}

static void remove_point(struct timeline_boot *boot, size_t index)
{
    boot->point_count--;
    memmove(&boot->points[index], &boot->points[index + 1],
            (boot->point_count - index) * sizeof boot->points[0]);
}

/* The inner one that lies nearest to the line between its neighbours says least. */
static void thin(struct timeline_boot *boot)
{
    size_t found = 1;
    int64_t least_ms = INT64_MAX;
    for (size_t i = 1; i + 1 < boot->point_count; i++) {
        const struct timeline_point *p = &boot->points[i];
        int64_t off_ms = magnitude(p->offset_ms - offset_between(p - 1, p + 1, p->boot_ms));
        if (off_ms < least_ms) {
            least_ms = off_ms;
            found = i;
        }
    }
    remove_point(boot, found);
}

void timeline_learn(struct timeline_boot *boot, const struct timeline_point *point)
{
    if (!is_possible(point))
        return;
    while (boot->point_count > 0 && contradict(&boot->points[boot->point_count - 1], point))
        boot->point_count--;
    if (boot->point_count > 0 &&
        point->boot_ms - boot->points[boot->point_count - 1].boot_ms < APART_MS)
        boot->point_count--; /* the finer clock speaks last: the kernel's after a Date */
    if (boot->point_count == TIMELINE_POINTS_MAX)
        thin(boot);
    boot->points[boot->point_count++] = *point;
    timeline_lives(boot, point->boot_ms);
}

void timeline_lives(struct timeline_boot *boot, int64_t boot_ms)
{
    if (boot_ms > boot->lived_ms)
        boot->lived_ms = boot_ms < INSTANT_MAX ? boot_ms : INSTANT_MAX - 1;
}

/* ---- the table ---- */

static struct timeline_boot *find(struct timeline *timeline, const uint8_t id[BLOCK_BOOT_ID_BYTES])
{
    for (size_t i = timeline->count; i-- > 0;)
        if (memcmp(timeline->boots[i].id, id, BLOCK_BOOT_ID_BYTES) == 0)
            return &timeline->boots[i];
    return NULL;
}

static void remove_oldest(struct timeline *timeline)
{
    timeline->count--;
    memmove(&timeline->boots[0], &timeline->boots[1], timeline->count * sizeof timeline->boots[0]);
}

struct timeline_boot *timeline_enter(struct timeline *timeline, uint32_t number,
                                     const uint8_t id[BLOCK_BOOT_ID_BYTES])
{
    struct timeline_boot *boot = find(timeline, id);
    if (boot != NULL)
        return boot;
    if (timeline->count == TIMELINE_BOOTS_MAX)
        remove_oldest(timeline);
    boot = &timeline->boots[timeline->count++];
    *boot = (struct timeline_boot){.number = number};
    memcpy(boot->id, id, BLOCK_BOOT_ID_BYTES);
    return boot;
}

void timeline_add(struct timeline *timeline, const struct timeline_boot *boot)
{
    struct timeline_boot *into = timeline_enter(timeline, boot->number, boot->id);
    if (!into->has_guess) {
        into->has_guess = boot->has_guess;
        into->guess = boot->guess;
    }
    for (size_t i = 0; i < boot->point_count; i++)
        if (timeline_is_news(into, &boot->points[i]))
            timeline_learn(into, &boot->points[i]);
    timeline_lives(into, boot->lived_ms);
}

/* ---- boots of other files ---- */

static void insert(struct timeline *timeline, size_t index, const struct timeline_boot *boot)
{
    memmove(&timeline->boots[index + 1], &timeline->boots[index],
            (timeline->count - index) * sizeof timeline->boots[0]);
    timeline->count++;
    timeline->boots[index] = *boot;
}

static int64_t learnt_until(const struct timeline_boot *boot)
{
    return boot->point_count == 0 ? -1 : boot->points[boot->point_count - 1].boot_ms;
}

void timeline_collect(struct timeline *timeline, const struct timeline_boot *boot)
{
    struct timeline_boot *known = find(timeline, boot->id);
    size_t index = timeline->count;
    if (known != NULL) {
        int64_t lived_ms = known->lived_ms > boot->lived_ms ? known->lived_ms : boot->lived_ms;
        if (learnt_until(boot) > learnt_until(known))
            *known = *boot;
        timeline_lives(known, lived_ms);
        return;
    }
    while (index > 0 && timeline->boots[index - 1].number > boot->number)
        index--;
    if (timeline->count == TIMELINE_BOOTS_MAX && index-- == 0)
        return;
    if (timeline->count == TIMELINE_BOOTS_MAX)
        remove_oldest(timeline);
    insert(timeline, index, boot);
}

/* BOOT went on in another file: what that one had learnt lies before. */
static bool prepend(struct timeline_boot *boot, const struct timeline_boot *before)
{
    struct timeline_boot both = *boot;
    both.point_count = before->point_count;
    memcpy(both.points, before->points, sizeof both.points);
    for (size_t i = 0; i < boot->point_count; i++)
        if (timeline_is_news(&both, &boot->points[i]))
            timeline_learn(&both, &boot->points[i]);
    timeline_lives(&both, before->lived_ms);
    bool changed = both.lived_ms != boot->lived_ms || both.point_count != boot->point_count ||
                   (both.point_count > 0 && both.points[0].boot_ms != boot->points[0].boot_ms);
    *boot = both;
    return changed;
}

bool timeline_adopt(struct timeline *timeline, const struct timeline *other)
{
    bool changed = false;
    size_t own = 0;
    while (own < timeline->count && timeline->boots[own].foreign)
        own++;
    size_t before = own; /* those of this file come here */
    for (size_t i = other->count; i-- > 0;) {
        struct timeline_boot boot = other->boots[i];
        struct timeline_boot *known = find(timeline, boot.id);
        if (known != NULL) {
            changed = prepend(known, &boot) || changed;
            continue;
        }
        if (timeline->count == TIMELINE_BOOTS_MAX && before == 0)
            break;
        if (timeline->count == TIMELINE_BOOTS_MAX) {
            remove_oldest(timeline);
            before--;
            own--;
        }
        if (own == timeline->count || timeline->boots[own].number <= own + 1)
            break;
        boot.foreign = true;
        insert(timeline, before, &boot);
        own++;
        changed = true;
    }
    for (size_t i = 0; i < own; i++)
        timeline->boots[i].number = timeline->boots[own].number - (uint32_t)(own - i);
    return changed;
}

/* ---- as stored ---- */

static uint8_t *put_point(uint8_t *to, const struct timeline_point *point)
{
    bytes_put_le64(to, (uint64_t)point->boot_ms);
    bytes_put_le64(to + 8, (uint64_t)point->offset_ms);
    return to + POINT_BYTES;
}

size_t timeline_encode(const struct timeline_boot *boot, uint8_t bytes[TIMELINE_BOOT_BYTES])
{
    uint8_t *to = bytes + AT_POINTS;
    memset(bytes, 0, AT_POINTS);
    memcpy(bytes + AT_ID, boot->id, sizeof boot->id);
    bytes[AT_QUALITY] = boot->has_guess ? TIME_ESTIMATED : TIME_SYNCED;
    bytes[AT_FLAGS] = boot->foreign ? FLAG_FOREIGN : 0;
    bytes_put_le32(bytes + AT_LIVED, (uint32_t)boot->lived_ms);
    bytes_put_le16(bytes + AT_LIVED + 4, (uint16_t)(boot->lived_ms >> 32));
    if (boot->has_guess)
        to = put_point(to, &boot->guess);
    for (size_t i = 0; i < boot->point_count; i++)
        to = put_point(to, &boot->points[i]);
    return (size_t)(to - bytes);
}

int timeline_decode(const uint8_t *bytes, size_t count, struct timeline_boot *ret_boot)
{
    if (count < AT_POINTS || count > TIMELINE_BOOT_BYTES || (count - AT_POINTS) % POINT_BYTES != 0)
        return E_DAMAGED;
    struct timeline_boot *boot = ret_boot;
    *boot = (struct timeline_boot){.foreign = (bytes[AT_FLAGS] & FLAG_FOREIGN) != 0,
                                   .lived_ms = bytes_get_le32(bytes + AT_LIVED) |
                                               (int64_t)bytes_get_le16(bytes + AT_LIVED + 4) << 32};
    memcpy(boot->id, bytes + AT_ID, sizeof boot->id);
    for (size_t at = AT_POINTS; at < count; at += POINT_BYTES) {
        struct timeline_point point = {.boot_ms = (int64_t)bytes_get_le64(bytes + at),
                                       .offset_ms = (int64_t)bytes_get_le64(bytes + at + 8)};
        bool guess = at == AT_POINTS && bytes[AT_QUALITY] != TIME_SYNCED;
        if (!guess) {
            timeline_learn(boot, &point);
        } else if (is_possible(&point)) {
            boot->has_guess = true;
            boot->guess = point;
        }
    }
    return E_OK;
}

/* ---- boots without points ---- */

/** Boots that follow each other, none of which has a point, between two that have. */
struct run {
    const struct timeline_boot *boots;
    size_t count;
    bool has_before, has_after;
    int64_t before_ms; /* the end of the one before */
    int64_t after_ms;  /* the start of the one after */
    bool guessed;      /* the system's clock made sense in all of them */
    int64_t lived_ms;  /* of all together */
};

/* What the first COUNT of them lived together. */
static int64_t lived_until(const struct run *run, size_t count)
{
    int64_t sum_ms = 0;
    for (size_t i = 0; i < count; i++)
        sum_ms += run->boots[i].lived_ms;
    return sum_ms;
}

/* Whether all of them were where their own clocks say: behind each other, and between the two. */
static bool guesses_fit(const struct run *run)
{
    int64_t end_ms = run->before_ms;
    if (!run->has_before)
        return false;
    for (size_t i = 0; i < run->count; i++) {
        const struct timeline_boot *boot = &run->boots[i];
        if (!boot->has_guess || boot->guess.offset_ms < end_ms)
            return false;
        end_ms = boot->guess.offset_ms + boot->lived_ms;
    }
    return !run->has_after || end_ms <= run->after_ms;
}

static bool is_squeezed(const struct run *run)
{
    return run->has_before && run->has_after && !run->guessed &&
           run->lived_ms > run->after_ms - run->before_ms;
}

/*
 * When number INDEX began; for INDEX = count: when the next one did. Each as long as it lived.
 * Between two neighbours the machine was off for equal times; with one, not at all.
 */
static int64_t start_in(const struct run *run, size_t index)
{
    int64_t until_ms = lived_until(run, index);
    if (index == run->count)
        return run->has_after ? run->after_ms : INT64_MAX;
    if (run->guessed)
        return run->boots[index].guess.offset_ms;
    if (!run->has_before)
        return run->after_ms - (run->lived_ms - until_ms);
    if (!run->has_after)
        return run->before_ms + until_ms;
    int64_t room_ms = run->after_ms - run->before_ms;
    if (is_squeezed(run))
        return run->before_ms + scale(until_ms, room_ms, run->lived_ms);
    int64_t off_ms = (room_ms - run->lived_ms) / (int64_t)(run->count + 1);
    return run->before_ms + off_ms * (int64_t)(index + 1) + until_ms;
}

static int64_t start_of(const struct timeline_boot *boot)
{
    return wall_at(boot->points, boot->point_count, 0);
}

static int64_t end_of(const struct timeline_boot *boot)
{
    return wall_at(boot->points, boot->point_count, boot->lived_ms);
}

/* The run around boot INDEX, which has no point. */
static struct run find_run(const struct timeline *timeline, size_t index)
{
    const struct timeline_boot *boots = timeline->boots;
    size_t first = index;
    size_t end = index + 1;
    while (first > 0 && boots[first - 1].point_count == 0)
        first--;
    while (end < timeline->count && boots[end].point_count == 0)
        end++;
    struct run run = {.boots = &boots[first],
                      .count = end - first,
                      .has_before = first > 0,
                      .has_after = end < timeline->count};
    if (run.has_before)
        run.before_ms = end_of(&boots[first - 1]);
    if (run.has_after)
        run.after_ms = start_of(&boots[end]);
    if (run.has_before && run.after_ms < run.before_ms)
        run.after_ms = run.before_ms;
    run.guessed = guesses_fit(&run);
    run.lived_ms = lived_until(&run, run.count);
    return run;
}

/* ---- binding ---- */

static void place(const struct run *run, size_t index, struct timeline_binding *ret_binding)
{
    struct timeline_binding *binding = ret_binding;
    if (!run->has_before && !run->has_after)
        return;
    binding->kind = TIMELINE_PLACED;
    binding->start_ms = start_in(run, index);
    binding->limit_ms = start_in(run, index + 1);
    binding->lived_ms = binding->room_ms = run->boots[index].lived_ms;
    if (is_squeezed(run))
        binding->room_ms = binding->limit_ms - binding->start_ms;
}

/* The oldest boot that the timeline has gives those before it a limit, if it is placed itself. */
static void place_before(const struct timeline *timeline, struct timeline_binding *ret_binding)
{
    struct timeline_binding first;
    if (timeline->count == 0)
        return;
    timeline_bind(timeline, timeline->boots[0].id, false, &first);
    if (first.kind == TIMELINE_UNKNOWN)
        return;
    ret_binding->kind = TIMELINE_BEFORE;
    ret_binding->limit_ms = timeline_wall_ms(&first, 0, 0);
}

void timeline_bind(const struct timeline *timeline, const uint8_t id[BLOCK_BOOT_ID_BYTES],
                   bool older, struct timeline_binding *ret_binding)
{
    size_t index = 0;
    *ret_binding = (struct timeline_binding){.kind = TIMELINE_UNKNOWN};
    while (index < timeline->count &&
           memcmp(timeline->boots[index].id, id, BLOCK_BOOT_ID_BYTES) != 0)
        index++;
    if (index == timeline->count) {
        if (older)
            place_before(timeline, ret_binding);
        return;
    }
    const struct timeline_boot *boot = &timeline->boots[index];
    if (boot->point_count == 0) {
        struct run run = find_run(timeline, index);
        place(&run, (size_t)(boot - run.boots), ret_binding);
        return;
    }
    ret_binding->kind = TIMELINE_POINTS;
    ret_binding->point_count = boot->point_count;
    memcpy(ret_binding->points, boot->points, boot->point_count * sizeof boot->points[0]);
}

static int64_t placed_ms(const struct timeline_binding *binding, int64_t boot_ms)
{
    int64_t held = clamp(boot_ms, 0, INSTANT_MAX);
    if (boot_ms < 0) /* what was handed in in this boot, and older */
        return binding->start_ms + clamp(boot_ms, -INSTANT_MAX, 0);
    int64_t in = held < binding->lived_ms ? held : binding->lived_ms;
    int64_t beyond = held - in;
    if (binding->room_ms < binding->lived_ms)
        in = scale(in, binding->room_ms, binding->lived_ms);
    return clamp(binding->start_ms + in + beyond, binding->start_ms, binding->limit_ms);
}

int64_t timeline_wall_ms(const struct timeline_binding *binding, int64_t boot_ms, int64_t offset_ms)
{
    int64_t stored_ms = add_saturating(boot_ms, offset_ms);
    switch (binding->kind) {
    case TIMELINE_POINTS:
        return wall_at(binding->points, binding->point_count, boot_ms);
    case TIMELINE_PLACED:
        return placed_ms(binding, boot_ms);
    case TIMELINE_BEFORE:
        return stored_ms < UNSET_BEFORE_MS || stored_ms > binding->limit_ms ? binding->limit_ms
                                                                            : stored_ms;
    case TIMELINE_UNKNOWN:
    default:
        return stored_ms;
    }
}

enum time_quality timeline_quality(const struct timeline_binding *binding,
                                   enum time_quality quality)
{
    if (binding->kind == TIMELINE_UNKNOWN)
        return quality;
    return binding->kind == TIMELINE_POINTS ? TIME_CORRECTED : TIME_ESTIMATED;
}
