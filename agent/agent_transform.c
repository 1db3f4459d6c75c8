/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_state.h"
#include "agent/aws/credentials.h"
#include "agent/transform/chain.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/hash.h"

enum { KEY_BYTES = 512 };

/* The enumerators of the configuration and of the chain are the same. */
_Static_assert((int)CFG_TRANSFORMS == (int)CHAIN_KINDS &&
                   (int)CFG_TRANSFORM_SCALE == (int)CHAIN_SCALE &&
                   (int)CFG_TRANSFORM_RENAME == (int)CHAIN_RENAME &&
                   (int)CFG_TRANSFORM_UNIT == (int)CHAIN_UNIT &&
                   (int)CFG_TRANSFORM_DEADBAND == (int)CHAIN_DEADBAND &&
                   (int)CFG_TRANSFORM_SUMMARIZE == (int)CHAIN_SUMMARIZE &&
                   (int)CFG_TRANSFORM_RATE == (int)CHAIN_RATE &&
                   (int)CFG_TRANSFORM_FLATTEN == (int)CHAIN_FLATTEN &&
                   (int)CFG_TRANSFORM_REDACT == (int)CHAIN_REDACT &&
                   (int)CFG_TRANSFORM_TAG == (int)CHAIN_TAG &&
                   (int)CFG_TRANSFORM_FILTER == (int)CHAIN_FILTER &&
                   (int)CFG_TRANSFORM_ALARM == (int)CHAIN_ALARM,
               "transforms");
_Static_assert((int)CFG_FUNCTIONS == (int)CHAIN_FUNCTIONS, "functions");
_Static_assert((int)CFG_LT == (int)CHAIN_LT && (int)CFG_LE == (int)CHAIN_LE &&
                   (int)CFG_EQ == (int)CHAIN_EQ && (int)CFG_NE == (int)CHAIN_NE &&
                   (int)CFG_GE == (int)CHAIN_GE && (int)CFG_GT == (int)CHAIN_GT,
               "comparisons");
_Static_assert((int)CFG_ACTION_DROP == (int)CHAIN_DROP && (int)CFG_ACTION_MASK == (int)CHAIN_MASK &&
                   (int)CFG_ACTION_HMAC == (int)CHAIN_HMAC,
               "actions");

struct agent_transform {
    struct chain *chain;
    struct intake_transform face;
    struct chain_step *steps;
    struct tag *pairs; /* of all its steps */
    struct tag tags[CFG_TAGS_MAX];
    char (*keys)[KEY_BYTES]; /* one a step */
    size_t step_count;
};

/* ---- one step ---- */

/* The configuration was checked. */
static struct chain_decimal number(const char *text)
{
    struct chain_decimal result = {.present = text != NULL};
    if (text != NULL)
        (void)decimal_parse(text, strlen(text), &result.value);
    return result;
}

static struct chain_step make_step(const struct cfg_transform *config)
{
    static const char separators[] = {[CFG_DOT] = '.',
                                      [CFG_UNDERSCORE] = '_',
                                      [CFG_SLASH] = '/',
                                      [CFG_DASH] = '-',
                                      [CFG_COLON] = ':'};
    struct chain_step step = {
        .kind = (enum chain_kind)config->kind,
        .channel = config->channel,
        .factor = number(config->factor),
        .offset = number(config->offset),
        .has_decimals = config->decimals != NULL,
        .decimals = (unsigned)number(config->decimals).value.mantissa,
        .unit = config->unit,
        .delta = number(config->delta),
        .percent = number(config->percent),
        .interval_ms = config->interval_ms,
        .keeps_first = config->keep == CFG_KEEP_FIRST,
        .separator = separators[config->separator],
        .action = (enum chain_action)config->action,
        .tag = {config->name, config->tag_value},
        .comparison = (enum chain_operator)config->comparison,
        .value = number(config->value),
        .text = config->text,
        .drops = config->verdict == CFG_VERDICT_DROP,
        .above = number(config->above),
        .below = number(config->below),
        .hysteresis = number(config->hysteresis),
    };
    memcpy(step.functions, config->functions, sizeof step.functions);
    if (config->factor == NULL)
        step.factor.value = (struct decimal){.mantissa = 1};
    return step;
}

/* Takes PAIRS as its own and returns what lies behind them. */
static struct tag *set_pairs(struct chain_step *step, const struct cfg_transform *config,
                             struct tag *pairs)
{
    step->pairs = pairs;
    if (config->from != NULL)
        pairs[step->pair_count++] = (struct tag){config->from, config->to};
    for (size_t i = 0; i < config->channel_count; i++)
        pairs[step->pair_count++] =
            (struct tag){config->channels[i].name, config->channels[i].value};
    return pairs + step->pair_count;
}

/* Without a key the sensor says so when it is opened; the others go on. */
static void read_key(const struct cfg_sensor *sensor, const struct cfg_transform *config,
                     struct chain_step *step, char key[KEY_BYTES])
{
    char fault[CREDENTIALS_FAULT_BYTES] = "";
    char value[LOG_VALUE_BYTES];
    bool warned = false;
    if (config->key_file == NULL)
        return;
    int count = credentials_read_value(config->key_file, &warned, key, KEY_BYTES, fault);
    if (count > 0) {
        step->key = (const uint8_t *)key;
        step->key_bytes = (size_t)count;
        return;
    }
    log_error(
        "transform-key-unreadable sensor=%s error=\"%s\" remedy=\"mend the file, then reload: "
        "until then the sensor gives nothing\"",
        sensor->name, log_value(value, fault));
}

/* ---- a chain ---- */

static int64_t read_wall_offset(void *context)
{
    struct spool_clock_reading reading;
    agent_clock_read(context, &reading);
    return reading.offset_ms;
}

static bool take_memory(struct agent_transform *transform, const struct cfg_sensor *sensor)
{
    size_t count = sensor->transform_count;
    size_t pairs = 0;
    for (size_t i = 0; i < count; i++)
        pairs += sensor->transforms[i].channel_count + 1;
    transform->step_count = count;
    transform->steps = calloc(count, sizeof *transform->steps);
    transform->pairs = calloc(pairs, sizeof *transform->pairs);
    transform->keys = calloc(count, sizeof *transform->keys);
    return transform->steps != NULL && transform->pairs != NULL && transform->keys != NULL;
}

static int open_chain(struct agent *agent, const struct cfg_sensor *sensor,
                      struct agent_transform *transform)
{
    if (!take_memory(transform, sensor))
        return E_NO_MEMORY;
    struct tag *pairs = transform->pairs;
    for (size_t i = 0; i < sensor->transform_count; i++) {
        const struct cfg_transform *config = &sensor->transforms[i];
        transform->steps[i] = make_step(config);
        pairs = set_pairs(&transform->steps[i], config, pairs);
        read_key(sensor, config, &transform->steps[i], transform->keys[i]);
    }
    const struct chain_options options = {
        .steps = transform->steps,
        .step_count = transform->step_count,
        .tags = transform->tags,
        .tag_count = agent_tags(sensor, transform->tags),
        .document_bytes_max = (size_t)CONFIG_DOCUMENT_KIB * 1024,
        .wall_offset_ms = read_wall_offset,
        .context = &agent->clock,
    };
    int rc = chain_open(&options, &transform->chain);
    if (rc == E_OK)
        transform->face = chain_face(transform->chain);
    return rc;
}

int agent_transform_open(struct agent *agent, const struct cfg_sensor *sensor,
                         struct agent_transform **ret_transform)
{
    if (sensor->transform_count == 0) {
        *ret_transform = NULL;
        return E_OK;
    }
    struct agent_transform *transform = calloc(1, sizeof *transform);
    int rc = transform != NULL ? open_chain(agent, sensor, transform) : E_NO_MEMORY;
    if (rc < 0) {
        agent_transform_close(transform);
        return rc;
    }
    *ret_transform = transform;
    return E_OK;
}

const struct intake_transform *agent_transform_face(const struct agent_transform *transform)
{
    return transform != NULL ? &transform->face : NULL;
}

void agent_transform_close(struct agent_transform *transform)
{
    if (transform == NULL)
        return;
    chain_close(transform->chain);
    if (transform->keys != NULL)
        hash_wipe(transform->keys, transform->step_count * sizeof *transform->keys);
    free(transform->keys);
    free(transform->pairs);
    free(transform->steps);
    free(transform);
}
