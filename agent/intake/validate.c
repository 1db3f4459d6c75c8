/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/validate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/json/json_scan.h"

enum { SHOWN_PATH_BYTES = 70, SHOWN_NUMBER_BYTES = 30 };

/* 2^52: a float64 beyond that has no fraction. */
static const double whole_from = 4503599627370496.0;

static const char *const wanted[] = {
    [VALIDATE_ANY] = "",
    [VALIDATE_NUMBER] = "a number",
    [VALIDATE_INTEGER] = "a whole number",
    [VALIDATE_TEXT] = "a text",
    [VALIDATE_BOOLEAN] = "true or false",
    [VALIDATE_OBJECT] = "an object",
    [VALIDATE_ARRAY] = "an array",
};

/* A value that is judged. */
struct given {
    enum validate_type type; /* of numbers: VALIDATE_NUMBER */
    bool is_flag;            /* a number that may stand for true or false */
    bool is_whole;           /* the rest is of numbers */
    bool is_exact;           /* decimal counts, else inexact */
    struct decimal decimal;
    double inexact;
    const char *spelling; /* or NULL: it has none of its own */
};

struct judge {
    const struct validate_rules *rules;
    char *fault;
    uint32_t found; /* a bit for each rule's member */
};

/* ---- what is said ---- */

/* A member's path: of PREFIX and NAME so many bytes. */
struct place {
    const char *prefix;
    size_t prefix_bytes;
    const char *name;
    size_t name_bytes;
};

static void put_path(struct writer *out, const struct place *place)
{
    for (size_t i = 0; i < place->prefix_bytes + place->name_bytes; i++) {
        unsigned char byte =
            (unsigned char)(i < place->prefix_bytes ? place->prefix[i]
                                                    : place->name[i - place->prefix_bytes]);
        if (out->used_bytes > SHOWN_PATH_BYTES) {
            writer_text(out, "...");
            return;
        }
        if (byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\')
            writer_char(out, (char)byte);
        else
            writer_format(out, "\\x%02x", byte);
    }
}

static void start_fault(const struct judge *judge, const struct place *place, struct writer *out)
{
    writer_to_memory(out, judge->fault, PAYLOAD_FAULT_BYTES - 1);
    writer_text(out, "member \"");
    put_path(out, place);
    writer_text(out, "\": ");
}

static int end_fault(const struct judge *judge, struct writer *out, int code)
{
    judge->fault[out->used_bytes] = '\0'; /* also if it was cut */
    return code;
}

static int say(const struct judge *judge, const struct place *place, const char *what,
               const char *of_what)
{
    struct writer out;
    start_fault(judge, place, &out);
    writer_text(&out, what);
    writer_text(&out, of_what);
    return end_fault(judge, &out, E_INVALID);
}

static void put_given(struct writer *out, const struct given *given)
{
    if (given->spelling != NULL && strlen(given->spelling) <= SHOWN_NUMBER_BYTES)
        writer_text(out, given->spelling);
    else if (given->is_exact)
        writer_decimal(out, given->decimal.mantissa, given->decimal.decimals);
    else
        writer_format(out, "%.17g", given->inexact);
}

static int say_range(const struct judge *judge, const struct place *place,
                     const struct given *given, const char *relation, const struct decimal *bound)
{
    struct writer out;
    start_fault(judge, place, &out);
    put_given(&out, given);
    writer_text(&out, relation);
    writer_decimal(&out, bound->mantissa, bound->decimals);
    return end_fault(judge, &out, E_RANGE);
}

/* ---- one value ---- */

static int compare(const struct given *given, struct decimal bound)
{
    if (given->is_exact)
        return decimal_compare(given->decimal, bound);
    double limit = (double)bound.mantissa / (double)decimal_power(bound.decimals);
    return given->inexact < limit ? -1 : given->inexact > limit;
}

static bool is_of(const struct given *given, enum validate_type type)
{
    switch (type) {
    case VALIDATE_ANY:
        return true;
    case VALIDATE_INTEGER:
        return given->type == VALIDATE_NUMBER && given->is_whole;
    case VALIDATE_BOOLEAN:
        return given->type == VALIDATE_BOOLEAN || given->is_flag;
    default:
        return given->type == type;
    }
}

static int judge_value(const struct judge *judge, const struct validate_member *member,
                       const struct place *place, const struct given *given)
{
    if (!is_of(given, member->type))
        return say(judge, place, "should be ", wanted[member->type]);
    if (given->type != VALIDATE_NUMBER)
        return E_OK;
    if (member->min.present && compare(given, member->min.value) < 0)
        return say_range(judge, place, given, " is below ", &member->min.value);
    if (member->max.present && compare(given, member->max.value) > 0)
        return say_range(judge, place, given, " is above ", &member->max.value);
    return E_OK;
}

/* By those of the rules whose bits are in WHICH. */
static int judge_by(struct judge *judge, uint32_t which, const struct place *place,
                    const struct given *given)
{
    judge->found |= which;
    for (size_t i = 0; which != 0; i++, which >>= 1) {
        int rc =
            (which & 1) == 0 ? E_OK : judge_value(judge, &judge->rules->members[i], place, given);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int judge_missing(const struct judge *judge)
{
    for (size_t i = 0; i < judge->rules->member_count; i++) {
        const struct validate_member *member = &judge->rules->members[i];
        const struct place place = {.name = member->name, .name_bytes = strlen(member->name)};
        if (member->required && (judge->found & UINT32_C(1) << i) == 0)
            return say(judge, &place, "is missing", "");
    }
    return E_OK;
}

/* ---- channels ---- */

static void set_exact(struct given *given, struct decimal value)
{
    given->type = VALIDATE_NUMBER;
    given->is_exact = true;
    given->decimal = value;
}

static struct given give_decimal(const struct value *value)
{
    struct given given = {.is_whole =
                              value->mantissa % (int64_t)decimal_power(value->decimals) == 0};
    set_exact(&given, (struct decimal){value->mantissa, value->decimals});
    given.is_flag = decimal_compare(given.decimal, (struct decimal){0, 0}) == 0 ||
                    decimal_compare(given.decimal, (struct decimal){1, 0}) == 0;
    return given;
}

static struct given give_float64(const struct value *value)
{
    struct given given = {.type = VALIDATE_NUMBER};
    memcpy(&given.inexact, &value->float64_bits, sizeof given.inexact);
    given.is_whole = given.inexact >= whole_from || given.inexact <= -whole_from ||
                     (double)(int64_t)given.inexact == given.inexact;
    return given;
}

static struct given give_value(const struct value *value)
{
    if (value->kind == VALUE_DECIMAL)
        return give_decimal(value);
    if (value->kind == VALUE_FLOAT64)
        return give_float64(value);
    return (struct given){.type = VALIDATE_TEXT};
}

static uint32_t find_rules(const struct validate_rules *rules, const char *name)
{
    uint32_t found = 0;
    for (size_t i = 0; i < rules->member_count; i++)
        if (strcmp(rules->members[i].name, name) == 0)
            found |= UINT32_C(1) << i;
    return found;
}

static int judge_channels(struct judge *judge, const struct payload_record *record)
{
    for (size_t i = 0; i < record->channel_count && i < record->sample.value_count; i++) {
        const char *name = record->channels[i].name;
        const struct value *value = &record->sample.values[i];
        const struct place place = {.name = name, .name_bytes = strlen(name)};
        const struct given given = give_value(value);
        uint32_t which = find_rules(judge->rules, name);
        if (which == 0 && judge->rules->refuses_unknown)
            return say(judge, &place, "is unknown here", "");
        int rc = value->kind == VALUE_ABSENT ? E_OK : judge_by(judge, which, &place, &given);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

/* ---- documents ---- */

/* An object or array that is open. */
struct level {
    bool is_object;
    bool is_named;   /* it or something around it: all that is in it is known */
    uint32_t within; /* rules of members within it, */
    size_t used;     /* of whose names so much led here */
};

struct document {
    struct judge *judge;
    struct level levels[JSON_DEPTH_MAX];
    uint32_t exact;     /* the rules of the member whose value comes next, */
    uint32_t within;    /* and of members within it */
    struct place place; /* its name as far as key has it */
    char key[JSON_TOKEN_BYTES];
};

/* What follows KEY in NAME: '\0' or '.' where it names the member or one around it. A key may hold
 * any character, NUL as well. */
static char behind(const char *name, const struct json_token *key)
{
    bool begins = strlen(name) >= key->text_bytes && memcmp(name, key->text, key->text_bytes) == 0;
    return begins ? name[key->text_bytes] : '?';
}

/* Finds the rules of the member KEY of LEVEL. */
static void take_key(struct document *document, const struct level *level,
                     const struct json_token *key)
{
    const struct validate_rules *rules = document->judge->rules;
    document->exact = document->within = 0;
    document->place = (struct place){.name = document->key, .name_bytes = key->text_bytes};
    memcpy(document->key, key->text, key->text_bytes);
    for (size_t i = 0; i < rules->member_count && !key->truncated; i++) {
        if ((level->within & UINT32_C(1) << i) == 0)
            continue;
        const char *name = rules->members[i].name + level->used;
        document->place.prefix = rules->members[i].name;
        document->place.prefix_bytes = level->used;
        document->exact |= (uint32_t)(behind(name, key) == '\0') << i;
        document->within |= (uint32_t)(behind(name, key) == '.') << i;
    }
}

/* Whether the number, as JSON spells it, has no fraction, however many digits it has. */
static bool is_whole(const char *text)
{
    long zeros = 0; /* at the end of its digits */
    long behind = 0;
    bool any = false;
    bool pointed = false;
    for (; *text != '\0' && *text != 'e' && *text != 'E'; text++) {
        pointed |= *text == '.';
        if (*text < '0' || *text > '9')
            continue;
        behind += pointed;
        any |= *text != '0';
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    long exponent = *text == '\0' ? 0 : strtol(text + 1, NULL, 10);
    return !any || exponent >= behind - zeros;
}

static struct given give_number(const struct json_token *token)
{
    struct given given = {
        .type = VALIDATE_NUMBER, .is_whole = is_whole(token->text), .spelling = token->text};
    struct decimal value;
    if (!token->truncated && decimal_parse(token->text, token->text_bytes, &value) == E_OK)
        set_exact(&given, value);
    else
        given.inexact = strtod(token->text, NULL);
    return given;
}

static struct given give_token(const struct json_token *token)
{
    switch (token->event) {
    case JSON_NUMBER:
        return give_number(token);
    case JSON_STRING:
        return (struct given){.type = VALIDATE_TEXT};
    case JSON_TRUE:
    case JSON_FALSE:
        return (struct given){.type = VALIDATE_BOOLEAN};
    case JSON_OBJECT_BEGIN:
        return (struct given){.type = VALIDATE_OBJECT};
    case JSON_ARRAY_BEGIN:
        return (struct given){.type = VALIDATE_ARRAY};
    default:
        return (struct given){.type = VALIDATE_ANY}; /* null is of no type */
    }
}

/* The value of a member of LEVEL. */
static int take_member(struct document *document, const struct level *level,
                       const struct json_token *token)
{
    struct judge *judge = document->judge;
    const struct given given = give_token(token);
    if (document->exact != 0)
        return judge_by(judge, document->exact, &document->place, &given);
    if (level->is_named || !judge->rules->refuses_unknown)
        return E_OK;
    if (document->within == 0)
        return say(judge, &document->place, "is unknown here", "");
    return given.type == VALIDATE_OBJECT
               ? E_OK
               : say(judge, &document->place, "should be ", wanted[VALIDATE_OBJECT]);
}

static void open_level(struct document *document, const struct json_token *token)
{
    struct level *level = &document->levels[token->depth];
    const struct level *around = token->depth > 0 ? level - 1 : NULL;
    *level = (struct level){.is_object = token->event == JSON_OBJECT_BEGIN};
    if (around == NULL) {
        level->within = UINT32_MAX;
        return;
    }
    level->is_named = around->is_named || !around->is_object || document->exact != 0;
    if (!level->is_object || !around->is_object)
        return; /* what is in an array has no path */
    level->within = document->within;
    level->used = around->used + document->place.name_bytes + 1;
}

static int take_token(void *context, const struct json_token *token)
{
    struct document *document = context;
    const struct level *around = token->depth > 0 ? &document->levels[token->depth - 1] : NULL;
    if (token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END)
        return E_OK;
    if (token->event == JSON_KEY) {
        take_key(document, around, token);
        return E_OK;
    }
    int rc = around != NULL && around->is_object ? take_member(document, around, token) : E_OK;
    if (rc == E_OK && (token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN))
        open_level(document, token);
    return rc;
}

static int judge_document(struct judge *judge, const struct sample *sample)
{
    struct json_scan scan;
    struct document document = {.judge = judge};
    json_scan_start(&scan, take_token, &document);
    int rc = json_scan_feed(&scan, sample->document, sample->document_bytes);
    return rc < 0 ? rc : json_scan_end(&scan);
}

int validate_record(const struct validate_rules *rules, const struct payload_record *record,
                    char fault[PAYLOAD_FAULT_BYTES])
{
    struct judge judge = {.rules = rules, .fault = fault};
    if (rules->member_count == 0 && !rules->refuses_unknown)
        return E_OK;
    int rc = record->sample.document != NULL ? judge_document(&judge, &record->sample)
                                             : judge_channels(&judge, record);
    return rc < 0 ? rc : judge_missing(&judge);
}
