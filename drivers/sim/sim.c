/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"

/*
 * Made-up values, the same for the same seed on every machine: whole numbers only, and the place in
 * the wave is the number of the reading, not the time.
 */

enum wave { WAVE_SINE, WAVE_SQUARE, WAVE_SAW, WAVE_WALK, WAVE_NOISE, WAVES };

static const char *const wave_names[WAVES] = {"sine", "square", "saw", "walk", "noise"};

enum {
    DECIMALS_MAX = 6,
    PERIOD_MAX = 1000000,
    LEVEL_MAX = 1000000000,
    SINE_STEPS = 64,
    SINE_ONE = 1 << 30
};

/* A quarter of a sine in 64 steps: round(sin(pi / 2 * i / 64) * 2^30). */
static const int32_t sine_table[SINE_STEPS + 1] = {
#include "drivers/sim/sine.def"
};

struct sim {
    enum wave wave;
    unsigned channels;
    unsigned decimals;
    int64_t amplitude; /* both in units of 10^-decimals */
    int64_t offset;
    int64_t period; /* in readings */
    int64_t fail_every;
    int64_t hang_ms;
    bool silent;
    bool garbage;
    char unit[SAMPLE_UNIT_BYTES];
    const struct stop *stop;
    int64_t readings; /* fetched since open */
    uint64_t random[SAMPLE_CHANNELS_MAX];
    int64_t walk[SAMPLE_CHANNELS_MAX];
    const char *fault;
};

static const struct driver_key keys[] = {
    {"bus", DRIVER_KEY_TEXT, false, "sensors of one bus wait for each other; default one for all"},
    {"wave", DRIVER_KEY_TEXT, false, "sine, square, saw, walk or noise; default sine"},
    {"channels", DRIVER_KEY_INTEGER, false, "how many, 1 to 32, shifted in phase; default 1"},
    {"amplitude", DRIVER_KEY_DECIMAL, false, "how far a value goes from offset; default 10"},
    {"offset", DRIVER_KEY_DECIMAL, false, "the value in the middle; default 0"},
    {"period", DRIVER_KEY_INTEGER, false, "readings per wave; default 60"},
    {"decimals", DRIVER_KEY_INTEGER, false, "digits behind the point, 0 to 6; default 2"},
    {"unit", DRIVER_KEY_UNIT, false, "a SenML unit name; default none"},
    {"seed", DRIVER_KEY_INTEGER, false, "where walk and noise start; default 1"},
    {"fail_every", DRIVER_KEY_INTEGER, false, "every n-th fetch fails; default 0, never"},
    {"hang", DRIVER_KEY_DURATION, false, "how long a fetch takes; default 0s"},
    {"silent", DRIVER_KEY_BOOLEAN, false, "never has anything new; default false"},
    {"garbage", DRIVER_KEY_BOOLEAN, false, "every reading is damaged; default false"},
    {0}};

static const struct driver_limit limits[] = {
    {.key = "wave", .choices = "sine|square|saw|walk|noise"},
    {.key = "channels", .low = 1, .high = SAMPLE_CHANNELS_MAX},
    {.key = "period", .low = 1, .high = PERIOD_MAX},
    {.key = "decimals", .low = 0, .high = DECIMALS_MAX},
    {.key = "fail_every", .low = 0, .high = INT32_MAX},
    {.key = NULL}};

/* Steele, Lea, Flood: SplitMix64 (2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/* From -LIMIT to LIMIT. */
static int64_t random_within(uint64_t *state, int64_t limit)
{
    return (int64_t)(next_random(state) % (2 * (uint64_t)limit + 1)) - limit;
}

/* AMPLITUDE * sin(2 pi PLACE / PERIOD): the table's quarter, mirrored, straight between steps. */
static int64_t sine(int64_t amplitude, int64_t place, int64_t period)
{
    int64_t quarters = place * 4;
    int64_t quarter = quarters / period;
    int64_t inside = quarters % period;
    if (quarter % 2 != 0)
        inside = period - inside;
    int64_t step = inside * SINE_STEPS / period;
    int64_t rest = inside * SINE_STEPS % period;
    int64_t height = sine_table[step];
    if (rest > 0)
        height += (sine_table[step + 1] - height) * rest / period;
    int64_t value = (amplitude * height + SINE_ONE / 2) / SINE_ONE;
    return quarter < 2 ? value : -value;
}

static int64_t walk(struct sim *sim, unsigned channel)
{
    int64_t stride = sim->amplitude / 16 + 1;
    int64_t next = sim->walk[channel] + random_within(&sim->random[channel], stride);
    next = next > sim->amplitude ? sim->amplitude : next;
    next = next < -sim->amplitude ? -sim->amplitude : next;
    return sim->walk[channel] = next;
}

static int64_t level(struct sim *sim, unsigned channel)
{
    int64_t shift = sim->period * channel / sim->channels;
    int64_t place = (sim->readings - 1 + shift) % sim->period;
    switch (sim->wave) {
    case WAVE_SINE:
        return sine(sim->amplitude, place, sim->period);
    case WAVE_SQUARE:
        return place < (sim->period + 1) / 2 ? sim->amplitude : -sim->amplitude;
    case WAVE_SAW:
        return 2 * sim->amplitude * place / sim->period - sim->amplitude;
    case WAVE_WALK:
        return walk(sim, channel);
    default:
        return random_within(&sim->random[channel], sim->amplitude);
    }
}

/* ---- settings ---- */

static int refuse(const struct driver_context *context, const char *key, const char *what)
{
    driver_say(context->fault, "%s \"%s\": %s", key, driver_setting(context, key), what);
    return E_INVALID;
}

static int get_integer(const struct driver_context *context, const char *key, int64_t low,
                       int64_t high, int64_t *value)
{
    int64_t number;
    const char *text = driver_setting(context, key);
    if (text == NULL)
        return 0;
    if (parse_signed(text, strlen(text), &number) == 0 && number >= low && number <= high) {
        *value = number;
        return 0;
    }
    driver_say(context->fault,
               "%s \"%s\": a whole number from %" PRId64 " to %" PRId64 " was expected", key, text,
               low, high);
    return E_INVALID;
}

/* A level in units of 10^-DECIMALS; ret_level holds the default as a whole number. Returns what is
 * wrong, or NULL. */
static const char *read_level(const char *text, unsigned decimals, int64_t *ret_level)
{
    unsigned has = 0;
    int64_t value = *ret_level;
    int rc = text == NULL ? 0 : parse_decimal(text, strlen(text), &value, &has);
    if (rc < 0 && rc != E_RANGE)
        return "is not a number; write it like 0.5";
    if (has > decimals)
        return "has more digits behind the point than \"decimals\" says; round it, or raise "
               "\"decimals\"";
    for (; has < decimals && value <= LEVEL_MAX && value >= -LEVEL_MAX; has++)
        value *= 10;
    if (rc == E_RANGE || value > LEVEL_MAX || value < -LEVEL_MAX)
        return "is too large; with its decimals it may have nine digits";
    *ret_level = value;
    return NULL;
}

static const char *read_amplitude(const char *text, unsigned decimals, int64_t *ret_level)
{
    *ret_level = 10;
    const char *why = read_level(text, decimals, ret_level);
    return why == NULL && *ret_level < 0 ? "is negative; write it without the sign" : why;
}

static const char *read_offset(const char *text, unsigned decimals, int64_t *ret_level)
{
    *ret_level = 0;
    return read_level(text, decimals, ret_level);
}

static int get_levels(struct sim *sim, const struct driver_context *context)
{
    const char *why =
        read_amplitude(driver_setting(context, "amplitude"), sim->decimals, &sim->amplitude);
    if (why != NULL)
        return refuse(context, "amplitude", why);
    why = read_offset(driver_setting(context, "offset"), sim->decimals, &sim->offset);
    return why != NULL ? refuse(context, "offset", why) : 0;
}

static int get_boolean(const struct driver_context *context, const char *key, bool *value)
{
    const char *text = driver_setting(context, key);
    if (text != NULL && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return refuse(context, key, "true or false was expected");
    *value = text != NULL && strcmp(text, "true") == 0;
    return 0;
}

static int get_wave(const struct driver_context *context, enum wave *wave)
{
    const char *text = driver_setting(context, "wave");
    *wave = WAVE_SINE;
    for (int i = 0; text != NULL && i < WAVES; i++)
        if (strcmp(text, wave_names[i]) == 0) {
            *wave = (enum wave)i;
            return 0;
        }
    return text != NULL ? refuse(context, "wave", "use sine, square, saw, walk or noise") : 0;
}

static int get_unit(const struct driver_context *context, char unit[SAMPLE_UNIT_BYTES])
{
    const char *text = driver_setting(context, "unit");
    if (text == NULL)
        return 0;
    if (driver_unit_meaning(text) == NULL)
        return refuse(context, "unit", "no SenML unit name; see drivers/units.def");
    (void)snprintf(unit, SAMPLE_UNIT_BYTES, "%s", text);
    return 0;
}

static int get_hang(const struct driver_context *context, int64_t *ms)
{
    const char *text = driver_setting(context, "hang");
    if (text != NULL && parse_duration_ms(text, strlen(text), ms) < 0)
        return refuse(context, "hang", "a duration such as \"5s\" was expected");
    return 0;
}

static int get_wave_settings(struct sim *sim, const struct driver_context *context)
{
    int64_t count = 1;
    int64_t decimals = 2;
    sim->period = 60;
    int rc = get_wave(context, &sim->wave);
    if (rc == 0)
        rc = get_integer(context, "channels", 1, SAMPLE_CHANNELS_MAX, &count);
    if (rc == 0)
        rc = get_integer(context, "period", 1, PERIOD_MAX, &sim->period);
    if (rc == 0)
        rc = get_integer(context, "decimals", 0, DECIMALS_MAX, &decimals);
    sim->channels = (unsigned)count;
    sim->decimals = (unsigned)decimals;
    if (rc == 0)
        rc = get_levels(sim, context);
    return rc == 0 ? get_unit(context, sim->unit) : rc;
}

static int get_fault_settings(struct sim *sim, const struct driver_context *context)
{
    int rc = get_integer(context, "fail_every", 0, INT32_MAX, &sim->fail_every);
    if (rc == 0)
        rc = get_hang(context, &sim->hang_ms);
    if (rc == 0)
        rc = get_boolean(context, "silent", &sim->silent);
    return rc == 0 ? get_boolean(context, "garbage", &sim->garbage) : rc;
}

/* ---- the driver ---- */

static const char *sim_check(const struct driver_context *context)
{
    int64_t decimals = 2;
    int64_t level;
    if (get_integer(context, "decimals", 0, DECIMALS_MAX, &decimals) < 0)
        return "decimals";
    const char *key = "amplitude";
    const char *why = read_amplitude(driver_setting(context, key), (unsigned)decimals, &level);
    if (why == NULL) {
        key = "offset";
        why = read_offset(driver_setting(context, key), (unsigned)decimals, &level);
    }
    if (why == NULL)
        return NULL;
    driver_say(context->fault, "%s", why);
    return key;
}

static int sim_open(void *instance, const struct driver_context *context)
{
    struct sim *sim = instance;
    int64_t seed = 1;
    sim->stop = context->stop;
    int rc = get_wave_settings(sim, context);
    if (rc == 0)
        rc = get_fault_settings(sim, context);
    if (rc == 0)
        rc = get_integer(context, "seed", INT64_MIN, INT64_MAX, &seed);
    for (unsigned i = 0; i < SAMPLE_CHANNELS_MAX; i++)
        sim->random[i] = (uint64_t)seed + ((uint64_t)i << 32);
    return rc;
}

static int sim_channels(const void *instance, struct channel *ret_channels)
{
    const struct sim *sim = instance;
    for (unsigned i = 0; i < sim->channels; i++) {
        ret_channels[i] = (struct channel){.decimals = sim->decimals};
        memcpy(ret_channels[i].unit, sim->unit, sizeof sim->unit);
        if (sim->channels == 1)
            (void)strcpy(ret_channels[i].name, "value");
        else
            (void)snprintf(ret_channels[i].name, SAMPLE_NAME_BYTES, "value%u", i + 1);
    }
    return (int)sim->channels;
}

static int hang(const struct sim *sim, int64_t deadline_ms)
{
    int64_t until_ms = clock_mono_ms() + sim->hang_ms;
    int rc = stop_wait(sim->stop, -1, 0, until_ms < deadline_ms ? until_ms : deadline_ms);
    return rc == E_TIMEOUT && until_ms <= deadline_ms ? 0 : rc;
}

static int sim_fetch(void *instance, int64_t deadline_ms)
{
    struct sim *sim = instance;
    sim->readings++;
    if (sim->hang_ms > 0) {
        sim->fault = "simulated: no answer in time";
        int rc = hang(sim, deadline_ms);
        if (rc < 0)
            return rc;
    }
    if (sim->silent)
        return E_AGAIN;
    if (sim->fail_every > 0 && sim->readings % sim->fail_every == 0) {
        sim->fault = "simulated: the sensor failed";
        return E_DAMAGED;
    }
    return 0;
}

static int sim_read(void *instance, struct sample *ret_sample)
{
    struct sim *sim = instance;
    if (sim->garbage) {
        sim->fault = "simulated: the reading is garbage";
        return E_DAMAGED;
    }
    *ret_sample = (struct sample){.value_count = sim->channels};
    for (unsigned i = 0; i < sim->channels; i++)
        ret_sample->values[i] = (struct value){.kind = VALUE_DECIMAL,
                                               .decimals = sim->decimals,
                                               .mantissa = sim->offset + level(sim, i)};
    return 0;
}

static const char *sim_fault(const void *instance)
{
    const struct sim *sim = instance;
    return sim->fault;
}

static void sim_close(void *instance)
{
    (void)instance; /* holds nothing */
}

const struct driver driver_sim = {
    .name = "sim",
    .summary = "made-up waves and faults, for trying out and for tests",
    .keys = keys,
    .limits = limits,
    .bus_key = "bus",
    .instance_bytes = sizeof(struct sim),
    .check = sim_check,
    .open = sim_open,
    .channels = sim_channels,
    .fetch = sim_fetch,
    .read = sim_read,
    .fault = sim_fault,
    .close = sim_close,
};
