/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/transform/chain.h"
#include "agent/transform/sum.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/hash.h"
#include "platform/json/json_scan.h"

#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 wide;
#endif

enum { ROUNDS = 20000, DOCUMENT_BYTES = 4096 };

/* ---- the rig ---- */

struct rig {
    struct chain *chain;
    struct intake_transform face;
    struct intake_shape shape;
    struct sample sample;
    struct intake_item item;
};

static void open_rig(struct rig *rig, const struct chain_step *steps, size_t count)
{
    const struct chain_options options = {
        .steps = steps, .step_count = count, .document_bytes_max = DOCUMENT_BYTES};
    memset(rig, 0, sizeof *rig);
    assert_int_equal(chain_open(&options, &rig->chain), 0);
    rig->face = chain_face(rig->chain);
    rig->item.sample = &rig->sample;
}

static int bind(struct rig *rig, const char *names, char fault[INTAKE_FAULT_BYTES])
{
    struct channel channels[SAMPLE_CHANNELS_MAX] = {0};
    size_t count = 0;
    while (sscanf(names, " %31[^ ]", channels[count].name) == 1) {
        names = strstr(names, channels[count].name) + strlen(channels[count].name);
        (void)snprintf(channels[count].unit, SAMPLE_UNIT_BYTES, "V");
        channels[count++].decimals = 1;
    }
    int rc = rig->face.bind(rig->chain, channels, count, fault);
    rig->face.get_shape(rig->chain, &rig->shape);
    return rc;
}

static void make_rig(struct rig *rig, const struct chain_step *steps, size_t count,
                     const char *names)
{
    char fault[INTAKE_FAULT_BYTES] = "";
    open_rig(rig, steps, count);
    assert_int_equal(bind(rig, names, fault), 0);
    assert_string_equal(fault, "");
}

static void end(struct rig *rig)
{
    chain_close(rig->chain);
}

static struct value number(int64_t mantissa, unsigned decimals)
{
    return (struct value){.kind = VALUE_DECIMAL, .mantissa = mantissa, .decimals = decimals};
}

static struct value text(const char *words)
{
    return (struct value){.kind = VALUE_TEXT, .text = words, .text_bytes = strlen(words)};
}

static int flush(struct rig *rig, int64_t boot_ms)
{
    rig->item.alarm = rig->item.reshaped = false;
    return rig->face.flush(rig->chain, boot_ms, &rig->item);
}

/* Pushes what is in rig->sample. */
static int push(struct rig *rig, int64_t boot_ms)
{
    rig->sample.boot_ms = boot_ms;
    rig->item.alarm = rig->item.reshaped = false;
    return rig->face.push(rig->chain, &rig->item);
}

static int push_values(struct rig *rig, int64_t boot_ms, const struct value *values, size_t count)
{
    memset(&rig->sample, 0, sizeof rig->sample);
    memcpy(rig->sample.values, values, count * sizeof *values);
    rig->sample.value_count = count;
    return push(rig, boot_ms);
}

static int push_number(struct rig *rig, int64_t boot_ms, int64_t mantissa, unsigned decimals)
{
    struct value value = number(mantissa, decimals);
    return push_values(rig, boot_ms, &value, 1);
}

static int push_document(struct rig *rig, const char *document)
{
    memset(&rig->sample, 0, sizeof rig->sample);
    rig->sample.document = (const uint8_t *)document;
    rig->sample.document_bytes = strlen(document);
    return push(rig, 1);
}

static void expect_document(struct rig *rig, const char *document, const char *expected)
{
    assert_int_equal(push_document(rig, document), 1);
    assert_int_equal(rig->sample.document_bytes, strlen(expected));
    assert_memory_equal(rig->sample.document, expected, strlen(expected));
}

static void expect_number(const struct value *value, int64_t mantissa, unsigned decimals)
{
    assert_int_equal(value->kind, VALUE_DECIMAL);
    assert_int_equal(value->decimals, decimals);
    assert_int_equal(value->mantissa, mantissa);
}

static void expect_text(const struct value *value, const char *expected)
{
    assert_int_equal(value->kind, VALUE_TEXT);
    assert_int_equal(value->text_bytes, strlen(expected));
    assert_memory_equal(value->text, expected, value->text_bytes);
}

/* The same on every machine and in every run. */
static uint64_t seed = 88172645463325252;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int64_t draw_below(int64_t limit)
{
    return (int64_t)(draw() % (uint64_t)limit);
}

/* Of any size, small ones as often as large ones. */
static int64_t draw_mantissa(void)
{
    int64_t magnitude = (int64_t)(draw() >> (1 + draw_below(62)));
    return draw_below(2) == 0 ? magnitude : -magnitude;
}

static struct chain_decimal given(int64_t mantissa, unsigned decimals)
{
    return (struct chain_decimal){true, {mantissa, decimals}};
}

/* ---- scale ---- */

static void test_scale(void **state)
{
    (void)state;
    struct rig rig;
    struct chain_step step = {
        .kind = CHAIN_SCALE, .channel = "raw", .factor = given(5, 1), .offset = given(-40, 0)};
    struct value both[] = {number(2143, 1), number(7, 0)};
    make_rig(&rig, &step, 1, "raw other");
    assert_int_equal(rig.shape.channels[0].decimals, 2);
    assert_int_equal(push_values(&rig, 1, both, 2), 1);
    expect_number(&rig.sample.values[0], 6715, 2); /* 214.3 / 2 - 40 */
    expect_number(&rig.sample.values[1], 7, 0);
    both[0] = text("broken");
    assert_int_equal(push_values(&rig, 1, both, 2), 1);
    expect_text(&rig.sample.values[0], "broken");
    end(&rig);
    step.has_decimals = true;
    make_rig(&rig, &step, 1, "raw");
    assert_int_equal(push_number(&rig, 1, 2143, 1), 1);
    expect_number(&rig.sample.values[0], 67, 0);
    end(&rig);
}

static void test_scale_is_never_saturated(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_SCALE, .factor = given(1000, 0)};
    make_rig(&rig, &step, 1, "raw");
    assert_int_equal(push_number(&rig, 1, INT64_MAX / 999, 0), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    assert_int_equal(rig.face.unfit(rig.chain), 1);
    double huge = 1e308;
    struct value value = {.kind = VALUE_FLOAT64};
    memcpy(&value.float64_bits, &huge, sizeof huge);
    assert_int_equal(push_values(&rig, 1, &value, 1), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    assert_int_equal(rig.face.unfit(rig.chain), 2);
    end(&rig);
    const struct chain_step third = {.kind = CHAIN_SCALE, .factor = given(3333333333333333, 16)};
    make_rig(&rig, &third, 1, "raw");
    assert_int_equal(push_number(&rig, 1, 10000, 2), 1);
    expect_number(&rig.sample.values[0], 3333333333333333000, 17);
    end(&rig);
    const struct chain_step fixed = {.kind = CHAIN_SCALE,
                                     .factor = given(3333333333333333, 16),
                                     .has_decimals = true,
                                     .decimals = 18};
    make_rig(&rig, &fixed, 1, "raw");
    assert_int_equal(push_number(&rig, 1, 10000, 2), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    end(&rig);
}

#ifdef __SIZEOF_INT128__
/* Small enough that 128 bits hold everything on the way. What a mantissa does not hold is rounded
 * once. */
static void test_scale_is_exact(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS / 10; i++) {
        struct rig rig;
        unsigned decimals = (unsigned)draw_below(6);
        unsigned factor_decimals = (unsigned)draw_below(6);
        unsigned offset_decimals = (unsigned)draw_below(6);
        int64_t mantissa = draw_mantissa() >> 4;
        int64_t factor = draw_mantissa() >> 20;
        int64_t offset = draw_mantissa() >> 20;
        const struct chain_step step = {.kind = CHAIN_SCALE,
                                        .factor = given(factor, factor_decimals),
                                        .offset = given(offset, offset_decimals)};
        unsigned exact = decimals + factor_decimals;
        exact = exact > offset_decimals ? exact : offset_decimals;
        wide expected = (wide)mantissa * factor;
        for (unsigned k = decimals + factor_decimals; k < exact; k++)
            expected *= 10;
        wide shift = offset;
        for (unsigned k = offset_decimals; k < exact; k++)
            shift *= 10;
        expected += shift;
        make_rig(&rig, &step, 1, "raw");
        assert_int_equal(push_number(&rig, 1, mantissa, decimals), 1);
        const struct value *value = &rig.sample.values[0];
        unsigned fewer = exact;
        wide rounded = expected;
        for (wide power = 1; fewer > 0 && (rounded < INT64_MIN || rounded > INT64_MAX); fewer--) {
            power *= 10;
            rounded = (expected + (expected < 0 ? -power : power) / 2) / power;
        }
        if (rounded < INT64_MIN || rounded > INT64_MAX) {
            assert_int_equal(value->kind, VALUE_ABSENT);
            assert_int_equal(rig.face.unfit(rig.chain), 1);
        } else {
            expect_number(value, (int64_t)rounded, fewer);
        }
        end(&rig);
    }
}

static void test_sums_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct sum sum = {0};
        wide total = 0; /* with 9 decimals */
        uint64_t count = 1 + (uint64_t)draw_below(40);
        struct decimal mean;
        unsigned most = 0;
        for (uint64_t k = 0; k < count; k++) {
            struct decimal value = {draw_mantissa(), (unsigned)draw_below(10)};
            wide aligned = value.mantissa;
            for (unsigned d = value.decimals; d < 9; d++)
                aligned *= 10;
            total += aligned;
            most = value.decimals > most ? value.decimals : most;
            sum_add(&sum, value);
        }
        if (sum_mean(&sum, count, &mean) < 0)
            continue; /* above what a mantissa holds */
        assert_true(mean.decimals >= most && mean.decimals <= most + 2);
        wide twice = (wide)mean.mantissa * 2; /* with 11 decimals: |2 mean n - 2 total| <= ulp n */
        wide ulp = 1;
        for (unsigned d = mean.decimals; d < 11; d++) {
            twice *= 10;
            ulp *= 10;
        }
        wide off = twice * (wide)count - total * 200;
        assert_true((off < 0 ? -off : off) <= ulp * (wide)count);
    }
}
#endif

/* ---- rename, unit, tag ---- */

static void test_rename_and_unit(void **state)
{
    (void)state;
    struct rig rig;
    char fault[INTAKE_FAULT_BYTES] = "";
    const struct tag swap[] = {{"a", "b"}, {"b", "a"}};
    const struct tag same[] = {{"a", "c"}};
    struct chain_step steps[] = {{.kind = CHAIN_RENAME, .pairs = swap, .pair_count = 2},
                                 {.kind = CHAIN_UNIT, .channel = "a", .unit = "Cel"}};
    make_rig(&rig, steps, 2, "a b c");
    assert_string_equal(rig.shape.channels[0].name, "b");
    assert_string_equal(rig.shape.channels[1].name, "a");
    assert_string_equal(rig.shape.channels[0].unit, "V");
    assert_string_equal(rig.shape.channels[1].unit, "Cel");
    end(&rig);
    steps[0].pairs = same;
    steps[0].pair_count = 1;
    open_rig(&rig, steps, 1);
    assert_int_equal(bind(&rig, "a b c", fault), E_INVALID);
    assert_non_null(strstr(fault, "rename: two channels would be called \"c\""));
    end(&rig);
}

static void test_a_missing_channel_is_said(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_SCALE, .channel = "temp", .factor = given(1, 0)};
    make_rig(&rig, &step, 1, "humidity");
    assert_null(rig.face.lack(rig.chain));
    assert_int_equal(push_number(&rig, 1, 1, 0), 1);
    assert_non_null(strstr(rig.face.lack(rig.chain), "scale of \"temp\": the sensor has no such"));
    end(&rig);
}

static void test_tags(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step steps[] = {
        {.kind = CHAIN_TAG, .tag = {"site", "pump-4"}},
        {.kind = CHAIN_TAG, .channel = "meter.id", .tag = {.name = "id"}}};
    make_rig(&rig, steps, 2, "");
    assert_int_equal(rig.shape.tag_count, 1);
    assert_string_equal(rig.shape.tags[0].value, "pump-4");
    assert_int_equal(push_document(&rig, "{\"meter\":{\"id\":17}}"), 1);
    assert_true(rig.item.reshaped);
    rig.face.get_shape(rig.chain, &rig.shape);
    assert_int_equal(rig.shape.tag_count, 2);
    assert_string_equal(rig.shape.tags[1].name, "id");
    assert_string_equal(rig.shape.tags[1].value, "17");
    assert_int_equal(push_document(&rig, "{\"meter\":{\"id\":17}}"), 1);
    assert_false(rig.item.reshaped);
    assert_int_equal(push_document(&rig, "{\"meter\":{}}"), 1);
    assert_true(rig.item.reshaped);
    rig.face.get_shape(rig.chain, &rig.shape);
    assert_int_equal(rig.shape.tag_count, 1);
    end(&rig);
}

/* The dictionary of the spool grows with each value. */
static void test_a_restless_tag_is_given_up(void **state)
{
    (void)state;
    struct rig rig;
    char document[40];
    unsigned reshaped = 0;
    const struct chain_step step = {.kind = CHAIN_TAG, .channel = "n", .tag = {.name = "id"}};
    make_rig(&rig, &step, 1, "");
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(document, sizeof document, "{\"n\":%d}", i);
        assert_int_equal(push_document(&rig, document), 1);
        reshaped += rig.item.reshaped;
    }
    assert_int_equal(reshaped, 33); /* 32 values, and none */
    assert_non_null(strstr(rig.face.lack(rig.chain), "32 values"));
    end(&rig);
}

/* ---- deadband ---- */

static void test_deadband(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step steps[] = {
        {.kind = CHAIN_DEADBAND, .channel = "a", .delta = given(5, 1), .interval_ms = 1000},
        {.kind = CHAIN_DEADBAND, .channel = "b", .percent = given(10, 0)}};
    struct value both[] = {number(200, 1), number(50, 0)};
    make_rig(&rig, steps, 2, "a b");
    assert_int_equal(push_values(&rig, 0, both, 2), 1); /* the first is always sent */
    assert_int_equal(push_values(&rig, 10, both, 2), 0);
    both[0] = number(205, 1);
    assert_int_equal(push_values(&rig, 20, both, 2), 0); /* as near as delta */
    both[0] = number(2051, 2);
    assert_int_equal(push_values(&rig, 30, both, 2), 1);
    assert_int_equal(rig.sample.values[1].kind, VALUE_ABSENT);
    expect_number(&rig.sample.values[0], 2051, 2);
    both[1] = number(45, 0);
    assert_int_equal(push_values(&rig, 40, both, 2), 0);
    both[1] = number(44, 0);
    assert_int_equal(push_values(&rig, 50, both, 2), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    assert_int_equal(push_values(&rig, 999, both, 2), 0);
    assert_int_equal(push_values(&rig, 1000, both, 2), 1); /* the heartbeat of the first */
    assert_int_equal(rig.sample.values[0].kind, VALUE_DECIMAL);
    both[1] = text("off");
    assert_int_equal(push_values(&rig, 1001, both, 2), 1);
    assert_int_equal(push_values(&rig, 1002, both, 2), 0);
    both[1] = text("on");
    assert_int_equal(push_values(&rig, 1003, both, 2), 1);
    end(&rig);
}

/* 24 hours at one sample in 10 s: a day's course, clouds, and the noise of a sensor, in 0.01 Cel.
 */
enum { DAY_SAMPLES = 8640, SAMPLE_MS = 10000, BAND = 50, HEARTBEAT_MS = 900000 };

static int64_t day_reading(int place, double *clouds)
{
    const double pi = 3.14159265358979;
    double noise = 0;
    for (int i = 0; i < 12; i++) /* nearly normal, with the deviation 1 */
        noise += (double)draw_below(1000001) / 1000000.0 - 0.5;
    *clouds = *clouds * 0.998 + noise * 0.02;
    double course = 18.0 - 7.0 * cos(2 * pi * ((double)place / DAY_SAMPLES - 0.15));
    return (int64_t)lround(100 * (course + *clouds + noise * 0.06));
}

static void test_deadband_over_a_day(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_DEADBAND,
                                    .channel = "temp",
                                    .delta = given(BAND, 2),
                                    .interval_ms = HEARTBEAT_MS};
    double clouds = 0;
    int64_t held = 0;
    int64_t worst = 0;
    int64_t sent_ms = 0;
    int64_t silence_ms = 0;
    int records = 0;
    seed = 20260214;
    make_rig(&rig, &step, 1, "temp");
    for (int i = 0; i < DAY_SAMPLES; i++) {
        int64_t reading = day_reading(i, &clouds);
        int64_t now_ms = (int64_t)i * SAMPLE_MS;
        silence_ms = now_ms - sent_ms > silence_ms ? now_ms - sent_ms : silence_ms;
        if (push_number(&rig, now_ms, reading, 2) == 1) {
            held = rig.sample.values[0].mantissa;
            sent_ms = now_ms;
            records++;
        }
        worst = llabs(reading - held) > worst ? llabs(reading - held) : worst;
    }
    print_message(
        "deadband 0.50 Cel, heartbeat 15 min, 24 h at 10 s: %d of %d records, %.1f %% cut; "
        "largest error of the reconstruction %.2f Cel, longest silence %.1f min\n",
        records, DAY_SAMPLES, 100.0 - 100.0 * records / DAY_SAMPLES, (double)worst / 100,
        (double)silence_ms / 60000);
    assert_true(records * 10 < DAY_SAMPLES);
    assert_true(worst <= BAND);
    assert_true(silence_ms <= HEARTBEAT_MS);
    end(&rig);
}

static void test_deadband_is_never_off_by_more(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct rig rig;
        int64_t delta = draw_below(1000);
        const struct chain_step step = {.kind = CHAIN_DEADBAND, .delta = given(delta, 3)};
        int64_t now = 0; /* with 3 decimals */
        int64_t held = 0;
        make_rig(&rig, &step, 1, "a");
        for (int i = 0; i < 200; i++) {
            unsigned decimals = (unsigned)draw_below(4);
            static const int64_t grain[] = {1000, 100, 10, 1};
            now += draw_below(801) - 400;
            int64_t mantissa = now / grain[decimals];
            if (push_number(&rig, i, mantissa, decimals) == 1)
                held = mantissa * grain[decimals];
            assert_true(llabs(mantissa * grain[decimals] - held) <= delta);
        }
        end(&rig);
    }
}

/* What a rate or a filter behind it drops, nobody holds: it comes with the next that passes. */
static void test_deadband_knows_what_was_dropped(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step rated[] = {
        {.kind = CHAIN_DEADBAND, .delta = given(5, 1)},
        {.kind = CHAIN_RATE, .interval_ms = 1000, .keeps_first = true}};
    make_rig(&rig, rated, 2, "t");
    assert_int_equal(push_number(&rig, 0, 20, 0), 1);
    assert_int_equal(push_number(&rig, 500, 80, 0), 0);
    assert_int_equal(push_number(&rig, 900, 80, 0), 0);
    assert_int_equal(push_number(&rig, 1000, 80, 0), 1);
    expect_number(&rig.sample.values[0], 80, 0);
    assert_int_equal(push_number(&rig, 2000, 80, 0), 0);
    end(&rig);
    const struct chain_step filtered[] = {
        {.kind = CHAIN_DEADBAND, .delta = given(5, 1)},
        {.kind = CHAIN_FILTER, .channel = "a", .comparison = CHAIN_GT, .value = given(0, 0)}};
    struct value both[] = {number(1, 0), number(10, 0)};
    make_rig(&rig, filtered, 2, "a b");
    assert_int_equal(push_values(&rig, 0, both, 2), 1);
    both[1] = number(20, 0);
    assert_int_equal(push_values(&rig, 10, both, 2), 0); /* without a, which did not move */
    assert_int_equal(push_values(&rig, 20, both, 2), 1);
    expect_number(&rig.sample.values[1], 20, 0);
    assert_int_equal(push_values(&rig, 30, both, 2), 0);
    rig.face.lost(rig.chain); /* by the spool */
    assert_int_equal(push_values(&rig, 40, both, 2), 1);
    end(&rig);
}

/* The held one of two had a channel that the last one has not. */
static void test_deadband_knows_what_was_replaced(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step steps[] = {{.kind = CHAIN_DEADBAND, .delta = given(5, 1)},
                                       {.kind = CHAIN_RATE, .interval_ms = 1000}};
    struct value both[] = {number(1, 0), number(10, 0)};
    make_rig(&rig, steps, 2, "a b");
    assert_int_equal(push_values(&rig, 0, both, 2), 0);
    assert_int_equal(flush(&rig, 1000), 1);
    both[0] = number(2, 0);
    assert_int_equal(push_values(&rig, 1100, both, 2), 0);
    both[1] = number(20, 0);
    assert_int_equal(push_values(&rig, 1200, both, 2), 0);
    assert_int_equal(flush(&rig, 2000), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    assert_int_equal(push_values(&rig, 2100, both, 2), 0);
    assert_int_equal(flush(&rig, 3000), 1);
    expect_number(&rig.sample.values[0], 2, 0);
    assert_int_equal(push_values(&rig, 3100, both, 2), 0);
    assert_int_equal(rig.face.due_ms(rig.chain), INT64_MAX);
    end(&rig);
}

/* ---- summarize ---- */

static const struct chain_step summary = {.kind = CHAIN_SUMMARIZE,
                                          .interval_ms = 1000,
                                          .functions = {true, true, true, true, true, true}};

static void test_summarize(void **state)
{
    (void)state;
    struct rig rig;
    make_rig(&rig, &summary, 1, "t");
    assert_int_equal(rig.shape.channel_count, 6);
    assert_string_equal(rig.shape.channels[0].name, "t_min");
    assert_string_equal(rig.shape.channels[4].name, "t_count");
    assert_string_equal(rig.shape.channels[4].unit, "count");
    assert_string_equal(rig.shape.channels[5].name, "cover");
    assert_int_equal(rig.face.due_ms(rig.chain), INT64_MAX);
    assert_int_equal(push_number(&rig, 10250, 20, 0), 0);
    assert_int_equal(push_number(&rig, 10500, 215, 1), 0);
    assert_int_equal(push_number(&rig, 10999, 21, 0), 0);
    assert_int_equal(rig.face.due_ms(rig.chain), 11000);
    assert_int_equal(flush(&rig, 10999), 0);
    assert_int_equal(flush(&rig, 11000), 1);
    assert_int_equal(rig.sample.boot_ms, 11000);
    expect_number(&rig.sample.values[0], 20, 0);
    expect_number(&rig.sample.values[1], 20833, 3);
    expect_number(&rig.sample.values[2], 215, 1);
    expect_number(&rig.sample.values[3], 21, 0);
    expect_number(&rig.sample.values[4], 3, 0);
    expect_number(&rig.sample.values[5], 75, 0);
    assert_int_equal(flush(&rig, 11000), 0);
    assert_int_equal(push_number(&rig, 11400, 1, 0), 0);
    assert_int_equal(flush(&rig, INT64_MAX), 1); /* a stop */
    assert_int_equal(rig.sample.boot_ms, 11400);
    expect_number(&rig.sample.values[5], 40, 0);
    assert_int_equal(flush(&rig, INT64_MAX), 0);
    end(&rig);
}

static int64_t quarter_ahead(void *context)
{
    (void)context;
    return 1700000000250;
}

static void test_summarize_keeps_to_the_wall_clock(void **state)
{
    (void)state;
    struct rig rig = {.item.sample = &rig.sample};
    char fault[INTAKE_FAULT_BYTES] = "";
    const struct chain_options options = {
        .steps = &summary, .step_count = 1, .wall_offset_ms = quarter_ahead};
    assert_int_equal(chain_open(&options, &rig.chain), 0);
    rig.face = chain_face(rig.chain);
    assert_int_equal(bind(&rig, "t", fault), 0);
    assert_int_equal(push_number(&rig, 10500, 1, 0), 0);
    assert_int_equal(rig.face.due_ms(rig.chain), 10750);
    end(&rig);
}

static void test_summaries_add_up(void **state)
{
    (void)state;
    struct rig rig;
    int64_t now_ms = 0;
    int64_t pushed = 0;
    int64_t counted = 0;
    make_rig(&rig, &summary, 1, "t");
    for (int i = 0; i < ROUNDS; i++) {
        now_ms += draw_below(300);
        bool flushed = flush(&rig, i + 1 < ROUNDS ? now_ms : INT64_MAX) == 1;
        const struct value *values = rig.sample.values;
        if (flushed) {
            const struct decimal mean = {values[1].mantissa, values[1].decimals};
            counted += values[4].mantissa;
            if (values[1].kind == VALUE_DECIMAL) {
                assert_true(
                    decimal_compare((struct decimal){values[0].mantissa, values[0].decimals},
                                    mean) <= 0);
                assert_true(decimal_compare(mean, (struct decimal){values[2].mantissa,
                                                                   values[2].decimals}) <= 0);
            }
        }
        if (i + 1 == ROUNDS)
            break;
        pushed++;
        assert_int_equal(push_number(&rig, now_ms, draw_mantissa(), (unsigned)draw_below(10)), 0);
    }
    assert_int_equal(counted, pushed);
    end(&rig);
}

static void test_summarize_has_room_for_32_channels(void **state)
{
    (void)state;
    struct rig rig;
    char fault[INTAKE_FAULT_BYTES] = "";
    open_rig(&rig, &summary, 1);
    assert_int_equal(bind(&rig, "a b c d e f", fault), 0);
    assert_int_equal(bind(&rig, "a b c d e f g", fault), E_TOO_BIG);
    assert_non_null(strstr(fault, "fewer functions"));
    assert_int_equal(bind(&rig, "a_name_of_twenty_nine_bytes_x", fault), E_TOO_BIG);
    assert_non_null(strstr(fault, "rename"));
    end(&rig);
}

/* The record of a followed file carries the last line that went into it, and no later one. */
static void test_summaries_of_a_file(void **state)
{
    (void)state;
    struct rig rig;
    make_rig(&rig, &summary, 1, "t");
    for (uint64_t line = 1; line <= 3; line++) {
        struct value value = number((int64_t)line, 0);
        memset(&rig.sample, 0, sizeof rig.sample);
        rig.sample.values[0] = value;
        rig.sample.value_count = 1;
        rig.sample.origin = (struct sample_origin){.present = true, .offset = 10 * line};
        if (line == 3) {
            struct sample third = rig.sample;
            assert_int_equal(flush(&rig, 11000), 1);
            assert_int_equal(rig.sample.origin.offset, 20);
            rig.sample = third;
        }
        assert_int_equal(push(&rig, line < 3 ? 10100 : 11000), 0);
    }
    memset(&rig.sample, 0, sizeof rig.sample);
    rig.sample.origin = (struct sample_origin){.present = true, .offset = 40};
    rig.sample.document = (const uint8_t *)"{}";
    rig.sample.document_bytes = 2;
    assert_int_equal(push(&rig, 11001), 1);
    assert_false(rig.sample.origin.present); /* it overtakes line 3 */
    end(&rig);
}

/* ---- rate ---- */

static void test_rate_keeps_its_distance(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_RATE, .interval_ms = 1000, .keeps_first = true};
    int64_t now_ms = 0;
    int64_t passed_ms = -1000;
    make_rig(&rig, &step, 1, "t");
    for (int i = 0; i < ROUNDS; i++) {
        now_ms += draw_below(400);
        bool passed = push_number(&rig, now_ms, i, 0) == 1;
        assert_int_equal(passed, now_ms - passed_ms >= 1000);
        passed_ms = passed ? now_ms : passed_ms;
    }
    end(&rig);
}

static void test_rate_keeps_the_last_of_each_interval(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_RATE, .interval_ms = 1000};
    int64_t now_ms = 0;
    int64_t last_ms = -1;
    int64_t interval = -1;
    make_rig(&rig, &step, 1, "t");
    for (int i = 0; i < ROUNDS; i++) {
        now_ms += draw_below(400);
        if (flush(&rig, now_ms) == 1) {
            assert_int_equal(rig.sample.boot_ms, last_ms);
            assert_true(rig.sample.boot_ms / 1000 > interval);
            interval = rig.sample.boot_ms / 1000;
        }
        assert_true(last_ms / 1000 == now_ms / 1000 || rig.face.due_ms(rig.chain) == INT64_MAX);
        assert_int_equal(push_number(&rig, now_ms, i, 0), 0);
        last_ms = now_ms;
    }
    end(&rig);
}

/* What peers hand in may lie before the boot. */
static void test_rate_before_the_boot(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_RATE, .interval_ms = 1000};
    make_rig(&rig, &step, 1, "t");
    assert_int_equal(push_number(&rig, -2500, 1, 0), 0);
    assert_int_equal(rig.face.due_ms(rig.chain), -2000);
    assert_int_equal(flush(&rig, -1500), 1);
    assert_int_equal(rig.sample.boot_ms, -2500);
    assert_int_equal(push_number(&rig, -1000, 2, 0), 0);
    assert_int_equal(rig.face.due_ms(rig.chain), 0);
    end(&rig);
}

/* A node sends what is new, and then what it measured while it was alone. */
static void test_rate_of_what_comes_late(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {.kind = CHAIN_RATE, .interval_ms = 1000, .keeps_first = true};
    make_rig(&rig, &step, 1, "t");
    assert_int_equal(push_number(&rig, 10000, 1, 0), 1);
    assert_int_equal(push_number(&rig, 9500, 2, 0), 0);
    assert_int_equal(push_number(&rig, 5000, 3, 0), 1);
    assert_int_equal(push_number(&rig, 5500, 4, 0), 0);
    assert_int_equal(push_number(&rig, 6000, 5, 0), 1);
    assert_int_equal(push_number(&rig, 10500, 6, 0), 1);
    end(&rig);
}

/* What is held was the driver's, which writes over it. */
static void test_rate_holds_copies(void **state)
{
    (void)state;
    struct rig rig;
    char words[] = "first";
    char document[] = "{\"a\":1}";
    struct value value = text(words);
    const struct chain_step step = {.kind = CHAIN_RATE, .interval_ms = 1000};
    make_rig(&rig, &step, 1, "t");
    assert_int_equal(push_values(&rig, 1, &value, 1), 0);
    memset(words, 'x', sizeof words - 1);
    assert_int_equal(flush(&rig, 1000), 1);
    expect_text(&rig.sample.values[0], "first");
    assert_int_equal(push_document(&rig, document), 0);
    memset(document, 'x', sizeof document - 1);
    assert_int_equal(flush(&rig, INT64_MAX), 1);
    assert_memory_equal(rig.sample.document, "{\"a\":1}", 7);
    end(&rig);
}

/* ---- flatten ---- */

static const struct chain_step flat = {.kind = CHAIN_FLATTEN, .separator = '.'};

static void test_flatten_to_a_document(void **state)
{
    (void)state;
    struct rig rig;
    make_rig(&rig, &flat, 1, "");
    expect_document(&rig, "{}", "{}");
    expect_document(&rig, "{\"a\":1}", "{\"a\":1}");
    expect_document(&rig, " { \"a\" : { \"b\" : [ 1.50 , { \"c\" : \"\\u0041\" } ] , \"d\":-0e5} }",
                    "{\"a.b.0\":1.50,\"a.b.1.c\":\"\\u0041\",\"a.d\":-0e5}");
    expect_document(&rig, "{\"e\":{},\"f\":[],\"g\":{\"h\":[[]]},\"n\":null,\"t\":true}",
                    "{\"e\":{},\"f\":[],\"g.h.0\":[],\"n\":null,\"t\":true}");
    expect_document(&rig, "{\"a\\\"b\":{\"c\":12345678901234567890123456789.000}}",
                    "{\"a\\\"b.c\":12345678901234567890123456789.000}");
    end(&rig);
}

/* One that would not fit is sent as it is. */
static void test_flatten_leaves_what_is_too_large(void **state)
{
    (void)state;
    struct rig rig;
    char document[DOCUMENT_BYTES];
    size_t used = (size_t)snprintf(document, sizeof document, "{\"%0200d\":[", 0);
    while (used < 3000)
        used += (size_t)snprintf(document + used, sizeof document - used, "1,");
    (void)snprintf(document + used, sizeof document - used, "1]}");
    make_rig(&rig, &flat, 1, "");
    expect_document(&rig, document, document);
    assert_non_null(rig.face.lack(rig.chain));
    end(&rig);
}

/* A document of random depth, whose scalars stand in SCALARS one behind the other. */
static size_t draw_value(char *out, size_t used, int depth, char *scalars)
{
    static const char *const words[] = {
        "1",    "-0.50",        "1e-7",  "\"x\"",    "\"\\u00e9\\n\"",
        "null", "\"a \\\\ b\"", "false", "123.4500", "\"\""};
    int64_t kind = depth > 4 ? 0 : draw_below(4);
    int64_t count = 1 + draw_below(3);
    if (kind < 2) {
        const char *word = words[draw_below(10)];
        (void)strcat(strcat(scalars, word), " ");
        return used + (size_t)sprintf(out + used, "%s", word);
    }
    out[used++] = kind == 2 ? '{' : '[';
    for (int64_t i = 0; i < count; i++) {
        if (i > 0)
            out[used++] = ',';
        if (kind == 2)
            used += (size_t)sprintf(out + used, "\"k%d\": ", (int)i);
        used = draw_value(out, used, depth + 1, scalars);
    }
    out[used++] = kind == 2 ? '}' : ']';
    return used;
}

struct scalars {
    const char *document;
    char text[DOCUMENT_BYTES];
};

static int note_scalar(void *context, const struct json_token *token)
{
    struct scalars *scalars = context;
    assert_true(token->depth <= 1);
    if (token->depth == 0 || token->event == JSON_KEY)
        return 0;
    const char *from = scalars->document + token->offset;
    const char *to = from + 1;
    if (*from == '"')
        for (; *to != '"'; to++)
            to += *to == '\\';
    to = *from == '"' ? to + 1 : from + strcspn(from, ",}");
    (void)strcat(strncat(scalars->text, from, (size_t)(to - from)), " ");
    return 0;
}

static void test_flatten_keeps_every_scalar(void **state)
{
    (void)state;
    struct rig rig;
    static char document[65536];
    static char expected[65536];
    static char flattened[DOCUMENT_BYTES + 1];
    make_rig(&rig, &flat, 1, "");
    for (int i = 0; i < 2000; i++) {
        struct json_scan scan;
        struct scalars found = {0};
        expected[0] = '\0';
        size_t used = (size_t)sprintf(document, "{\"r\":");
        used = draw_value(document, used, 0, expected);
        document[used++] = '}';
        document[used] = '\0';
        if (used > DOCUMENT_BYTES / 4)
            continue;
        assert_int_equal(push_document(&rig, document), 1);
        if (rig.face.lack(rig.chain) != NULL)
            continue;
        memcpy(flattened, rig.sample.document, rig.sample.document_bytes);
        flattened[rig.sample.document_bytes] = '\0';
        found.document = flattened;
        json_scan_start(&scan, note_scalar, &found);
        assert_int_equal(json_scan_feed(&scan, rig.sample.document, rig.sample.document_bytes), 0);
        assert_int_equal(json_scan_end(&scan), 0);
        assert_string_equal(found.text, expected);
    }
    end(&rig);
}

static void test_flatten_to_channels(void **state)
{
    (void)state;
    struct rig rig;
    const struct tag pairs[] = {
        {"temp", "reading.temp"}, {"state", "state"}, {"first", "list.0"}, {"name", "list.name"}};
    const struct chain_step step = {.kind = CHAIN_FLATTEN, .pairs = pairs, .pair_count = 4};
    make_rig(&rig, &step, 1, "");
    assert_int_equal(rig.shape.channel_count, 4);
    assert_int_equal(push_document(&rig, "{\"state\":\"r\\u00fcn\",\"reading\":{\"temp\":21.50},"
                                         "\"list\":[7,{\"name\":true}]}"),
                     1);
    assert_null(rig.sample.document);
    assert_int_equal(rig.sample.value_count, 4);
    expect_number(&rig.sample.values[0], 2150, 2);
    expect_text(&rig.sample.values[1], "r\xc3\xbcn");
    expect_number(&rig.sample.values[2], 7, 0);
    expect_number(&rig.sample.values[3], 1, 0);
    assert_int_equal(push_document(&rig, "{\"reading\":{\"temp\":1e300}}"), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    assert_int_equal(rig.sample.values[1].kind, VALUE_ABSENT);
    assert_int_equal(rig.face.unfit(rig.chain), 1);
    end(&rig);
}

/* ---- redact ---- */

static const uint8_t redact_key[] = "a key of this device";

static struct chain_step redaction(const char *path, enum chain_action action)
{
    return (struct chain_step){.kind = CHAIN_REDACT,
                               .channel = path,
                               .action = action,
                               .key = redact_key,
                               .key_bytes = sizeof redact_key - 1};
}

static void test_redact_documents(void **state)
{
    (void)state;
    struct rig rig;
    struct chain_step step = redaction("a.name", CHAIN_DROP);
    make_rig(&rig, &step, 1, "");
    expect_document(&rig, "{\"a\":{\"name\":\"me\"}}", "{\"a\":{}}");
    expect_document(&rig, "{ \"a\" : {\"x\":1,\"n\\u0061me\":\"me\",\"y\":2}}",
                    "{\"a\":{\"x\":1,\"y\":2}}");
    expect_document(&rig, "{\"a\":[{\"name\":\"me\"},{\"name\":\"you\"},3],\"name\":\"stays\"}",
                    "{\"a\":[{},{},3],\"name\":\"stays\"}");
    expect_document(&rig, "{\"a\":{\"name\":{\"first\":[\"me\"]}},\"b\":1}", "{\"a\":{},\"b\":1}");
    expect_document(&rig, "{\"a.name\":\"me\",\"b\":1}", "{\"b\":1}"); /* flat */
    expect_document(&rig, "{\"a\":{\"name\":1,\"name\":2}}", "{\"a\":{}}");
    expect_document(&rig, "{ \"b\" : 1 }", "{ \"b\" : 1 }"); /* as it was */
    end(&rig);
    step = redaction("a.name", CHAIN_MASK);
    make_rig(&rig, &step, 1, "");
    expect_document(&rig, "{\"a\":{\"name\":[1,2]},\"b\":[true]}",
                    "{\"a\":{\"name\":\"***\"},\"b\":[true]}");
    end(&rig);
}

static void test_redact_by_hmac(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t mac[HASH_SHA256_BYTES];
    char hex[2 * HASH_SHA256_BYTES + 1];
    char expected[128];
    const struct chain_step step = redaction("name", CHAIN_HMAC);
    hash_hmac_sha256(redact_key, sizeof redact_key - 1, "m\xc3\xa9", 3, mac);
    bytes_put_hex(hex, mac, sizeof mac);
    (void)snprintf(expected, sizeof expected, "{\"name\":\"%s\"}", hex);
    make_rig(&rig, &step, 1, "name");
    expect_document(&rig, "{\"name\":\"m\xc3\xa9\"}", expected);
    expect_document(&rig, "{\"name\":\"m\\u00e9\"}", expected);
    struct value value = text("m\xc3\xa9");
    assert_int_equal(push_values(&rig, 1, &value, 1), 1);
    expect_text(&rig.sample.values[0], hex);
    end(&rig);
}

/* Random documents with a secret somewhere under the path. */
static void test_redact_leaves_nothing(void **state)
{
    (void)state;
    static const char secret[] = "Zq7secret";
    static const char *const paths[] = {"r.k1", "r.k0.k1", "r", "r.0", "r.k2.1.k0"};
    static const char *const places[][2] = {{",\"r\":{\"k0\":1,\"k1\":", "}}"},
                                            {",\"r\":{\"k0\":{\"k1\":", ",\"x\":[]}}}"},
                                            {",\"r\":", "}"},
                                            {",\"r\":[", ",2]}"},
                                            {",\"r\":{\"k2\":[0,{\"k0\":", "}]}}"}};
    static char document[65536];
    static char scalars[65536];
    for (int i = 0; i < 5000; i++) {
        struct rig rig;
        struct chain_step step = redaction(paths[i % 5], (enum chain_action)(i % 3));
        char hidden[80];
        (void)snprintf(hidden, sizeof hidden, i % 2 == 0 ? "\"%s\"" : "{\"v\":[\"%s\"]}", secret);
        scalars[0] = '\0';
        size_t used = (size_t)sprintf(document, "{\"b\":");
        used = draw_value(document, used, 2, scalars);
        (void)sprintf(document + used, "%s%s%s", places[i % 5][0], hidden, places[i % 5][1]);
        if (strlen(document) > DOCUMENT_BYTES / 2)
            continue;
        make_rig(&rig, &step, 1, "");
        assert_int_equal(push_document(&rig, document), 1);
        assert_null(memmem(rig.sample.document, rig.sample.document_bytes, secret, 6));
        assert_int_equal(json_scan_object(rig.sample.document, rig.sample.document_bytes), 0);
        end(&rig);
    }
}

static void test_redact_refuses_what_it_cannot_do(void **state)
{
    (void)state;
    struct rig rig;
    char document[DOCUMENT_BYTES + 1];
    size_t used = (size_t)snprintf(document, sizeof document, "{\"name\":[1],\"r\":\"");
    const struct chain_step steps[] = {redaction("name", CHAIN_HMAC),
                                       {.kind = CHAIN_RATE, .interval_ms = 1000},
                                       redaction("name", CHAIN_HMAC)};
    memset(document + used, 'x', DOCUMENT_BYTES - used);
    (void)snprintf(document + DOCUMENT_BYTES - 2, 3, "\"}");
    make_rig(&rig, steps, 1, "");
    assert_int_equal(push_document(&rig, document), E_TOO_BIG);
    assert_int_equal(push_document(&rig, "{\"name\":"), E_SYNTAX);
    end(&rig);
    make_rig(&rig, steps + 1, 2, ""); /* what was held */
    assert_int_equal(push_document(&rig, document), 0);
    assert_int_equal(flush(&rig, INT64_MAX), E_TOO_BIG);
    assert_int_equal(flush(&rig, INT64_MAX), 0);
    end(&rig);
}

static void test_redact_channels(void **state)
{
    (void)state;
    struct rig rig;
    struct value both[] = {text("me"), number(15, 1)};
    struct chain_step steps[] = {redaction("a", CHAIN_DROP), redaction("b", CHAIN_MASK)};
    make_rig(&rig, steps, 2, "a b");
    assert_int_equal(push_values(&rig, 1, both, 2), 1);
    assert_int_equal(rig.sample.values[0].kind, VALUE_ABSENT);
    expect_text(&rig.sample.values[1], "***");
    end(&rig);
}

/* ---- filter and alarm ---- */

static void test_filter(void **state)
{
    (void)state;
    static const struct {
        enum chain_operator comparison;
        int results[3]; /* of 1, 2 and 3 against 2.0 */
    } rows[] = {
        {CHAIN_LT, {1, 0, 0}}, {CHAIN_LE, {1, 1, 0}}, {CHAIN_EQ, {0, 1, 0}},
        {CHAIN_NE, {1, 0, 1}}, {CHAIN_GE, {0, 1, 1}}, {CHAIN_GT, {0, 0, 1}},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (int drops = 0; drops < 2; drops++) {
            struct rig rig;
            const struct chain_step step = {.kind = CHAIN_FILTER,
                                            .channel = "a",
                                            .comparison = rows[row].comparison,
                                            .value = given(20, 1),
                                            .drops = drops == 1};
            make_rig(&rig, &step, 1, "a");
            for (int i = 0; i < 3; i++)
                assert_int_equal(push_number(&rig, 1, i + 1, 0) != drops, rows[row].results[i]);
            end(&rig);
        }
}

static void test_filter_texts_and_members(void **state)
{
    (void)state;
    struct rig rig;
    const struct chain_step step = {
        .kind = CHAIN_FILTER, .channel = "plc.state", .comparison = CHAIN_EQ, .text = "run"};
    make_rig(&rig, &step, 1, "");
    assert_int_equal(push_document(&rig, "{\"plc\":{\"state\":\"run\"}}"), 1);
    assert_int_equal(push_document(&rig, "{\"plc\":{\"state\":\"runs\"}}"), 0);
    assert_int_equal(push_document(&rig, "{\"plc\":{\"state\":1}}"), 0);
    assert_int_equal(push_document(&rig, "{\"state\":\"run\"}"), 0);
    end(&rig);
}

static void test_alarm(void **state)
{
    (void)state;
    static const struct {
        int64_t reading;
        bool alarm;
    } rows[] = {{79, false}, {80, false}, {81, true}, {79, true}, {76, true},
                {75, false}, {79, false}, {-1, true}, {4, true},  {5, false}};
    struct rig rig;
    const struct chain_step steps[] = {{.kind = CHAIN_ALARM,
                                        .channel = "t",
                                        .above = given(80, 0),
                                        .below = given(0, 0),
                                        .hysteresis = given(5, 0)},
                                       {.kind = CHAIN_DEADBAND, .delta = given(1000, 0)}};
    make_rig(&rig, steps, 1, "t");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(push_number(&rig, 1, rows[i].reading, 0), 1);
        assert_int_equal(rig.item.alarm, rows[i].alarm);
    }
    end(&rig);
    make_rig(&rig, steps, 2, "t"); /* a dead band does not hide that one begins, or ends */
    assert_int_equal(push_number(&rig, 1, 1, 0), 1);
    assert_int_equal(push_number(&rig, 2, 2, 0), 0);
    assert_int_equal(push_number(&rig, 3, 81, 0), 1);
    assert_int_equal(push_number(&rig, 4, 82, 0), 0);
    assert_int_equal(push_number(&rig, 5, 70, 0), 1);
    end(&rig);
}

/* An interval with an alarm in it is one. */
static void test_a_chain(void **state)
{
    (void)state;
    struct rig rig;
    const struct tag pairs[] = {{"t", "d.t"}};
    const struct chain_step steps[] = {
        {.kind = CHAIN_FLATTEN, .pairs = pairs, .pair_count = 1},
        {.kind = CHAIN_SCALE, .channel = "t", .factor = given(1, 1)},
        {.kind = CHAIN_ALARM, .channel = "t", .above = given(5, 0)},
        {.kind = CHAIN_SUMMARIZE, .interval_ms = 1000, .functions = {[CHAIN_MAX] = true}},
        {.kind = CHAIN_SUMMARIZE, .interval_ms = 5000, .functions = {[CHAIN_COUNT] = true}}};
    make_rig(&rig, steps, 4, "");
    assert_int_equal(push_document(&rig, "{\"d\":{\"t\":60}}"), 0);
    assert_int_equal(push_document(&rig, "{\"d\":{\"t\":10}}"), 0);
    assert_int_equal(flush(&rig, 1000), 1);
    assert_true(rig.item.alarm);
    expect_number(&rig.sample.values[0], 60, 1);
    end(&rig);
    make_rig(&rig, steps, 5, "");
    assert_string_equal(rig.shape.channels[0].name, "t_max_count");
    assert_int_equal(push_document(&rig, "{\"d\":{\"t\":60}}"), 0);
    assert_int_equal(flush(&rig, 1000), 0);
    assert_int_equal(rig.face.due_ms(rig.chain), 5000);
    assert_int_equal(push_document(&rig, "{\"d\":{\"t\":10}}"), 0);
    assert_int_equal(flush(&rig, INT64_MAX), 1);
    expect_number(&rig.sample.values[0], 2, 0);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_scale_is_never_saturated),
#ifdef __SIZEOF_INT128__
        cmocka_unit_test(test_scale_is_exact),
        cmocka_unit_test(test_sums_are_exact),
#endif
        cmocka_unit_test(test_rename_and_unit),
        cmocka_unit_test(test_a_missing_channel_is_said),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_a_restless_tag_is_given_up),
        cmocka_unit_test(test_deadband),
        cmocka_unit_test(test_deadband_over_a_day),
        cmocka_unit_test(test_deadband_is_never_off_by_more),
        cmocka_unit_test(test_deadband_knows_what_was_dropped),
        cmocka_unit_test(test_deadband_knows_what_was_replaced),
        cmocka_unit_test(test_summarize),
        cmocka_unit_test(test_summarize_keeps_to_the_wall_clock),
        cmocka_unit_test(test_summaries_add_up),
        cmocka_unit_test(test_summarize_has_room_for_32_channels),
        cmocka_unit_test(test_summaries_of_a_file),
        cmocka_unit_test(test_rate_keeps_its_distance),
        cmocka_unit_test(test_rate_keeps_the_last_of_each_interval),
        cmocka_unit_test(test_rate_before_the_boot),
        cmocka_unit_test(test_rate_of_what_comes_late),
        cmocka_unit_test(test_rate_holds_copies),
        cmocka_unit_test(test_flatten_to_a_document),
        cmocka_unit_test(test_flatten_leaves_what_is_too_large),
        cmocka_unit_test(test_flatten_keeps_every_scalar),
        cmocka_unit_test(test_flatten_to_channels),
        cmocka_unit_test(test_redact_documents),
        cmocka_unit_test(test_redact_by_hmac),
        cmocka_unit_test(test_redact_leaves_nothing),
        cmocka_unit_test(test_redact_refuses_what_it_cannot_do),
        cmocka_unit_test(test_redact_channels),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_filter_texts_and_members),
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_a_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
