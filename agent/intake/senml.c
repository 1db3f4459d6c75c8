/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/senml.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/decimal.h"
#include "platform/base/error.h"

enum {
    VERSION = 10,         /* RFC 8428, section 4.4 */
    RELATIVE_S = 1 << 28, /* section 4.5.3: a time below is relative to now */
    AHEAD_MS_MAX = 60000, /* clocks differ */
    NAME_SHOWN = 40,      /* of what a fault names */
    MS_DECIMALS = 3,
};

#define MS_LIMIT 1e15 /* a time that is further away is none */

/* Section 6, table 4. */
enum label { BVER, BN, BT, BU, BV, BS, N, U, V, VS, VB, S, T, UT, VD, LABEL_COUNT };

static const struct {
    const char *name;
    const char *number; /* in CBOR, as cbor_scan spells it */
    enum json_event event;
} labels[LABEL_COUNT] = {
    [BVER] = {"bver", "-1", JSON_NUMBER}, [BN] = {"bn", "-2", JSON_STRING},
    [BT] = {"bt", "-3", JSON_NUMBER},     [BU] = {"bu", "-4", JSON_STRING},
    [BV] = {"bv", "-5", JSON_NUMBER},     [BS] = {"bs", "-6", JSON_NUMBER},
    [N] = {"n", "0", JSON_STRING},        [U] = {"u", "1", JSON_STRING},
    [V] = {"v", "2", JSON_NUMBER},        [VS] = {"vs", "3", JSON_STRING},
    [VB] = {"vb", "4", JSON_TRUE},        [S] = {"s", "5", JSON_NUMBER},
    [T] = {"t", "6", JSON_NUMBER},        [UT] = {"ut", "7", JSON_NUMBER},
    [VD] = {"vd", "8", JSON_STRING},
};

enum { VALUES = 1 << V | 1 << VS | 1 << VB | 1 << VD, BASES = (1 << N) - 1 };

/* What does not fit a decimal is a float. */
struct number {
    bool is_float;
    struct decimal decimal;
    double real;
};

/* What a record says itself. */
struct entry {
    unsigned seen; /* a bit for each label */
    enum label label;
    char name[SAMPLE_NAME_BYTES];
    char unit[SAMPLE_UNIT_BYTES];
    struct number value, sum, time;
    bool boolean;
    size_t text_start; /* in the room's text */
    size_t text_bytes;
};

struct pack {
    const struct reading *reading;
    bool is_judged; /* its samples are handed on */
    bool is_document;
    unsigned index; /* of the record, from 1 */
    unsigned values;
    char base_name[PAYLOAD_BASE_BYTES];
    char base_unit[SAMPLE_UNIT_BYTES];
    struct number base_time, base_value, base_sum;
    struct entry entry;
    size_t text_used; /* of the room's text, by the sample's */
    char sample_base[PAYLOAD_BASE_BYTES];
};

/* ---- numbers ---- */

/* tokens_read has let it pass, so that it is finite. */
static struct number read_number(const struct json_token *token)
{
    struct number number = {.real = strtod(token->text, NULL)};
    number.is_float = decimal_parse(token->text, token->text_bytes, &number.decimal) < 0;
    return number;
}

static bool is_zero(struct number number)
{
    return number.is_float ? number.real == 0 : number.decimal.mantissa == 0;
}

static bool add_decimals(struct decimal left, struct decimal right, struct decimal *ret_sum)
{
    const struct decimal one = {.mantissa = 1};
    unsigned decimals = left.decimals > right.decimals ? left.decimals : right.decimals;
    return decimal_scale(left, one, right, decimals, ret_sum) == 0;
}

static int add(struct number left, struct number right, struct number *ret_sum)
{
    struct number sum = {.real = left.real + right.real};
    sum.is_float =
        left.is_float || right.is_float || !add_decimals(left.decimal, right.decimal, &sum.decimal);
    if (!isfinite(sum.real))
        return E_RANGE;
    *ret_sum = sum;
    return 0;
}

static struct value value_of(struct number number)
{
    struct value value = {.kind = VALUE_FLOAT64};
    if (number.is_float)
        memcpy(&value.float64_bits, &number.real, sizeof number.real);
    else
        value = (struct value){.kind = VALUE_DECIMAL,
                               .mantissa = number.decimal.mantissa,
                               .decimals = number.decimal.decimals};
    return value;
}

/* ---- the labels of a record ---- */

static enum label find_label(const struct reading *reading, const struct json_token *token)
{
    bool is_cbor = reading->payload->format == PAYLOAD_SENML_CBOR;
    for (unsigned i = 0; i < LABEL_COUNT; i++)
        if (strcmp(token->text, labels[i].name) == 0 ||
            (is_cbor && strcmp(token->text, labels[i].number) == 0))
            return (enum label)i;
    return LABEL_COUNT;
}

/* TEXT for a fault: ASCII, and short. */
static const char *show(const struct json_token *token, char ret_text[NAME_SHOWN + 1])
{
    size_t count = token->text_bytes < NAME_SHOWN ? token->text_bytes : NAME_SHOWN;
    for (size_t i = 0; i < count; i++) {
        char byte = token->text[i];
        ret_text[i] = byte < ' ' || byte > '~' || byte == '"' ? '?' : byte;
    }
    ret_text[count] = '\0';
    return ret_text;
}

static int take_label(struct pack *pack, const struct json_token *token)
{
    char text[NAME_SHOWN + 1];
    struct entry *entry = &pack->entry;
    entry->label = find_label(pack->reading, token);
    if (entry->label == LABEL_COUNT) {
        bool must_know = token->text_bytes > 0 && token->text[token->text_bytes - 1] == '_';
        return !must_know ? 0
                          : tokens_fail(pack->reading, E_INVALID,
                                        "record %u: \"%s\" must be understood, and is not known "
                                        "here",
                                        pack->index, show(token, text));
    }
    unsigned bit = 1U << entry->label;
    if ((entry->seen & bit) != 0)
        return tokens_fail(pack->reading, E_SYNTAX, "record %u: \"%s\" stands twice", pack->index,
                           labels[entry->label].name);
    entry->seen |= bit;
    if ((bit & VALUES) == 0 || (entry->seen & VALUES) == bit)
        return 0;
    return tokens_fail(pack->reading, E_SYNTAX,
                       "record %u: two of \"v\", \"vs\", \"vb\" and \"vd\" in one record",
                       pack->index);
}

/* Section 4.5.1, but for how the whole name begins. */
static bool is_name(const struct json_token *token)
{
    for (size_t i = 0; i < token->text_bytes; i++) {
        char byte = token->text[i];
        if (isalnum((unsigned char)byte) == 0 && strchr("-:./_", byte) == NULL)
            return false;
    }
    return true;
}

/* Into NAME of ROOM bytes; one that is too long makes the pack a document. */
static int take_name(struct pack *pack, const struct json_token *token, char *name, size_t room)
{
    char text[NAME_SHOWN + 1];
    if (!is_name(token))
        return tokens_fail(pack->reading, E_INVALID,
                           "record %u: \"%s\" is no name; use letters, digits and -:./_",
                           pack->index, show(token, text));
    size_t count = token->text_bytes < room ? token->text_bytes : room - 1;
    if (count < token->text_bytes)
        pack->is_document = true;
    memcpy(name, token->text, count);
    name[count] = '\0';
    return 0;
}

static int take_unit(struct pack *pack, const struct json_token *token,
                     char unit[SAMPLE_UNIT_BYTES])
{
    char text[NAME_SHOWN + 1];
    bool fits = token->text_bytes < SAMPLE_UNIT_BYTES;
    for (size_t i = 0; fits && i < token->text_bytes; i++)
        fits = token->text[i] > ' ' && token->text[i] <= '~';
    if (!fits)
        return tokens_fail(pack->reading, E_INVALID,
                           "record %u: \"%s\" is no unit; use at most %d printable characters",
                           pack->index, show(token, text), SAMPLE_UNIT_BYTES - 1);
    memcpy(unit, token->text, token->text_bytes + 1);
    return 0;
}

static int take_text(struct pack *pack, const struct json_token *token)
{
    const struct payload_room *room = pack->reading->room;
    if (token->text_bytes > SAMPLE_TEXT_BYTES_MAX)
        pack->is_document = true;
    if (pack->is_document)
        return 0;
    if (token->text_bytes > room->text_bytes - pack->text_used)
        return tokens_fail(pack->reading, E_TOO_BIG, "record %u: texts of more than %zu bytes",
                           pack->index, room->text_bytes);
    memcpy(room->text + pack->text_used, token->text, token->text_bytes);
    pack->entry.text_start = pack->text_used;
    pack->entry.text_bytes = token->text_bytes;
    pack->text_used += token->text_bytes;
    return 0;
}

static int take_version(struct pack *pack, struct number version)
{
    if (version.real <= VERSION)
        return 0;
    return tokens_fail(pack->reading, E_INVALID, "record %u: \"bver\" above %d is not known here",
                       pack->index, VERSION);
}

static int take_value(struct pack *pack, const struct json_token *token)
{
    struct entry *entry = &pack->entry;
    switch (entry->label) {
    case BVER:
        return take_version(pack, read_number(token));
    case BN:
        return take_name(pack, token, pack->base_name, sizeof pack->base_name);
    case N:
        return take_name(pack, token, entry->name, sizeof entry->name);
    case BU:
        return take_unit(pack, token, pack->base_unit);
    case U:
        return take_unit(pack, token, entry->unit);
    case BT:
        pack->base_time = read_number(token);
        return 0;
    case BV:
        pack->base_value = read_number(token);
        return 0;
    case BS:
        pack->base_sum = read_number(token);
        return 0;
    case V:
        entry->value = read_number(token);
        return 0;
    case S:
        entry->sum = read_number(token);
        return 0;
    case T:
        entry->time = read_number(token);
        return 0;
    case VB:
        entry->boolean = token->event == JSON_TRUE;
        return 0;
    case VS:
    case VD:
        return take_text(pack, token);
    default: /* UT is a hint for who waits */
        return 0;
    }
}

static int take_member(struct pack *pack, const struct json_token *token)
{
    enum label label = pack->entry.label;
    if (token->event == JSON_KEY)
        return take_label(pack, token);
    if (label == LABEL_COUNT)
        return 0;
    enum json_event event = token->event == JSON_FALSE ? JSON_TRUE : token->event;
    if (event == labels[label].event)
        return take_value(pack, token);
    return tokens_fail(pack->reading, E_SYNTAX, "record %u: \"%s\" is to be %s", pack->index,
                       labels[label].name,
                       labels[label].event == JSON_NUMBER   ? "a number"
                       : labels[label].event == JSON_STRING ? "a text"
                                                            : "true or false");
}

/* ---- times ---- */

struct moment {
    int64_t boot_ms;
    bool is_own;
};

static bool is_relative(struct number time)
{
    const struct decimal limit = {.mantissa = RELATIVE_S};
    return time.is_float ? time.real < RELATIVE_S : decimal_compare(time.decimal, limit) < 0;
}

static bool to_ms(struct number time, int64_t *ret_ms)
{
    struct decimal ms;
    double real = time.real * 1000;
    if (!(real > -MS_LIMIT && real < MS_LIMIT))
        return false;
    *ret_ms = (int64_t)(real < 0 ? real - 0.5 : real + 0.5);
    if (!time.is_float && decimal_round(time.decimal, MS_DECIMALS, &ms) == 0)
        *ret_ms = ms.mantissa;
    return true;
}

static int refuse_time(const struct pack *pack, bool relative)
{
    return tokens_fail(pack->reading, E_RANGE,
                       relative ? "record %u: its time lies ahead; below 2^28 it counts from now"
                                : "record %u: its time lies ahead; set the clock: GET /time",
                       pack->index);
}

/* Times as distances from now, where nothing can overflow. */
static int place(const struct pack *pack, struct number time, bool relative, int64_t *ret_ms)
{
    const struct payload *payload = pack->reading->payload;
    int64_t wall_ms = payload->now_boot_ms + payload->offset_ms;
    int64_t oldest_ms = payload->knows_time ? -wall_ms : -(int64_t)RELATIVE_S * 1000;
    int64_t ms = 0;
    bool fits = to_ms(time, &ms);
    ms -= relative ? 0 : wall_ms;
    if (fits ? ms > AHEAD_MS_MAX : time.real > 0)
        return refuse_time(pack, relative);
    if (!fits || ms < oldest_ms)
        return tokens_fail(pack->reading, E_RANGE, "record %u: its time lies too far back",
                           pack->index);
    *ret_ms = ms;
    return 0;
}

static int resolve_time(struct pack *pack, struct moment *ret_moment)
{
    const struct payload *payload = pack->reading->payload;
    struct number time;
    int64_t ms = 0;
    if (add(pack->base_time, pack->entry.time, &time) < 0)
        return tokens_fail(pack->reading, E_RANGE,
                           "record %u: \"bt\" and \"t\" are no time together", pack->index);
    bool relative = is_relative(time);
    if (!relative && !payload->knows_time) {
        pack->is_document = true;
        return 0;
    }
    int rc = place(pack, time, relative, &ms);
    if (rc < 0)
        return rc;
    *ret_moment = (struct moment){.boot_ms = payload->now_boot_ms + ms, .is_own = !is_zero(time)};
    return 0;
}

/* ---- samples ---- */

/* What a sum is called, which may be too long for a channel. */
struct sum_channel {
    char name[SAMPLE_NAME_BYTES + sizeof "_sum"];
    char unit[SAMPLE_UNIT_BYTES + sizeof ".s"];
};

static int give_sample(struct pack *pack)
{
    const struct reading *reading = pack->reading;
    struct payload_record *record = &reading->room->record;
    int rc = 0;
    if (record->channel_count > 0 && pack->is_judged) {
        record->sample.value_count = record->channel_count;
        rc = reading->handler(reading->context, record);
    }
    record->channel_count = 0;
    return rc;
}

static bool has_channel(const struct payload_record *record, const char *name)
{
    for (size_t i = 0; i < record->channel_count; i++)
        if (strcmp(record->channels[i].name, name) == 0)
            return true;
    return false;
}

/* The text of the record at hand stays. */
static void begin_sample(struct pack *pack, const struct moment *moment)
{
    struct payload_room *room = pack->reading->room;
    struct entry *entry = &pack->entry;
    if (entry->text_bytes > 0)
        memmove(room->text, room->text + entry->text_start, entry->text_bytes);
    entry->text_start = 0;
    pack->text_used = entry->text_bytes;
    memcpy(pack->sample_base, pack->base_name, sizeof pack->sample_base);
    room->record.base_name = pack->sample_base;
    room->record.sample.boot_ms = moment->boot_ms;
    room->record.has_own_time = moment->is_own;
}

static const char *unit_of(const struct pack *pack)
{
    return (pack->entry.seen & 1U << U) != 0 ? pack->entry.unit : pack->base_unit;
}

/* Section 4.2: a sum is in the unit of the value multiplied by seconds. */
static void name_sum(const struct pack *pack, const char *name, struct sum_channel *ret_sum)
{
    const char *unit = unit_of(pack);
    (void)snprintf(ret_sum->name, sizeof ret_sum->name, "%s_sum", name);
    (void)snprintf(ret_sum->unit, sizeof ret_sum->unit, "%s%s", unit, *unit != '\0' ? ".s" : "");
}

static void add_channel(struct pack *pack, const char *name, const char *unit, struct value value)
{
    struct payload_record *record = &pack->reading->room->record;
    if (record->channel_count == SAMPLE_CHANNELS_MAX) {
        pack->is_document = true;
        return;
    }
    struct channel *channel = &record->channels[record->channel_count];
    *channel = (struct channel){.decimals = value.decimals};
    memcpy(channel->name, name, strlen(name) + 1);
    memcpy(channel->unit, unit, strlen(unit) + 1);
    record->sample.values[record->channel_count++] = value;
}

static int resolve_values(struct pack *pack, struct value *ret_value, struct value *ret_sum)
{
    const struct entry *entry = &pack->entry;
    const uint8_t *text = pack->reading->room->text;
    struct number value, sum;
    if (add(pack->base_value, entry->value, &value) < 0 ||
        add(pack->base_sum, entry->sum, &sum) < 0)
        return tokens_fail(pack->reading, E_RANGE,
                           "record %u: with its base a number beyond 64 bits of floating point",
                           pack->index);
    *ret_sum = value_of(sum);
    if ((entry->seen & 1U << V) != 0)
        *ret_value = value_of(value);
    else if ((entry->seen & 1U << VB) != 0)
        *ret_value = (struct value){.kind = VALUE_DECIMAL, .mantissa = entry->boolean};
    else
        *ret_value = (struct value){.kind = VALUE_TEXT,
                                    .text = (const char *)text + entry->text_start,
                                    .text_bytes = entry->text_bytes};
    return 0;
}

/* Puts the record into the sample that is open, or into the next. */
static int add_record(struct pack *pack, const struct moment *moment)
{
    const struct entry *entry = &pack->entry;
    const struct payload_record *record = &pack->reading->room->record;
    const char *name = entry->name[0] != '\0' ? entry->name : "value";
    bool has_value = (entry->seen & VALUES) != 0;
    bool has_sum = (entry->seen & 1U << S) != 0;
    struct sum_channel called;
    name_sum(pack, name, &called);
    if (has_sum &&
        (strlen(called.name) >= SAMPLE_NAME_BYTES || strlen(called.unit) >= SAMPLE_UNIT_BYTES))
        pack->is_document = true;
    if (pack->is_document)
        return 0;
    bool goes_on =
        record->channel_count > 0 && record->sample.boot_ms == moment->boot_ms &&
        record->has_own_time == moment->is_own && strcmp(pack->sample_base, pack->base_name) == 0 &&
        !(has_value && has_channel(record, name)) && !(has_sum && has_channel(record, called.name));
    int rc = goes_on ? 0 : give_sample(pack);
    if (rc < 0)
        return rc;
    if (!goes_on)
        begin_sample(pack, moment);
    struct value value, sum;
    rc = resolve_values(pack, &value, &sum);
    if (rc < 0)
        return rc;
    if (has_value)
        add_channel(pack, name, unit_of(pack), value);
    if (has_sum)
        add_channel(pack, called.name, called.unit, sum);
    return 0;
}

/* ---- records ---- */

/* Section 4.5.1: the whole name begins with a letter or a digit. */
static int check_start(const struct pack *pack)
{
    char first = pack->base_name[0] != '\0' ? pack->base_name[0] : pack->entry.name[0];
    if (first == '\0' || isalnum((unsigned char)first) != 0)
        return 0;
    return tokens_fail(pack->reading, E_INVALID,
                       "record %u: its name is to begin with a letter or a digit", pack->index);
}

static int end_record(struct pack *pack)
{
    unsigned seen = pack->entry.seen;
    struct moment moment = {0};
    int rc = check_start(pack);
    if (rc < 0)
        return rc;
    if ((seen & (VALUES | 1U << S)) == 0) {
        if (seen != 0 && (seen & ~(unsigned)BASES) == 0)
            return 0;
        return tokens_fail(pack->reading, E_SYNTAX,
                           "record %u: no value; one of \"v\", \"vs\", \"vb\", \"vd\" and \"s\" is "
                           "needed",
                           pack->index);
    }
    pack->values++;
    rc = resolve_time(pack, &moment);
    return rc < 0 ? rc : add_record(pack, &moment);
}

static int take_record(struct pack *pack, const struct json_token *token)
{
    if (token->event == JSON_OBJECT_END)
        return end_record(pack);
    pack->index++;
    pack->entry = (struct entry){.label = LABEL_COUNT};
    if (token->event == JSON_OBJECT_BEGIN)
        return 0;
    return tokens_fail(pack->reading, E_SYNTAX, "record %u: it is to be an object", pack->index);
}

/* As a document the pack is one level deeper. */
static bool is_too_deep(const struct json_token *token)
{
    return token->depth == JSON_DEPTH_MAX - 1 &&
           (token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN);
}

static int on_token(void *context, const struct json_token *token)
{
    struct pack *pack = context;
    if (is_too_deep(token))
        return tokens_fail(pack->reading, E_TOO_BIG, "record %u: nested too deeply", pack->index);
    switch (token->depth) {
    case 0:
        if (token->event == JSON_ARRAY_BEGIN || token->event == JSON_ARRAY_END)
            return 0;
        return tokens_fail(pack->reading, E_SYNTAX,
                           "a pack is an array of records, such as [{\"n\":\"temp\",\"v\":21.50}]");
    case 1:
        return take_record(pack, token);
    case 2:
        return take_member(pack, token);
    default: /* inside a member that is not known */
        return 0;
    }
}

/* ---- packs ---- */

static int read_pack(struct pack *pack, const struct reading *reading, bool is_judged)
{
    *pack = (struct pack){.reading = reading, .is_judged = is_judged};
    reading->room->record.channel_count = 0;
    int rc = tokens_read(reading, on_token, pack);
    return rc < 0 ? rc : give_sample(pack);
}

static const char *label_name(const struct json_token *key)
{
    for (unsigned i = 0; key->depth == 2 && i < LABEL_COUNT; i++)
        if (strcmp(key->text, labels[i].number) == 0 && strlen(key->text) == key->text_bytes)
            return labels[i].name;
    return NULL;
}

static int give_pack(const struct reading *reading)
{
    const struct payload *payload = reading->payload;
    struct payload_record *record = &reading->room->record;
    struct writer out;
    *record = (struct payload_record){.base_name = "", .sample.boot_ms = payload->now_boot_ms};
    writer_to_memory(&out, reading->room->text, reading->room->text_bytes);
    writer_text(&out, "{\"senml\":");
    if (payload->format == PAYLOAD_SENML_CBOR) {
        int rc = tokens_write_json(reading, label_name, &out);
        if (rc < 0)
            return rc;
    } else
        writer_bytes(&out, payload->bytes, payload->count);
    writer_char(&out, '}');
    return tokens_give_written(reading, &out);
}

int senml_read(const struct reading *reading)
{
    struct pack pack;
    int rc = read_pack(&pack, reading, false);
    if (rc < 0)
        return rc;
    if (pack.values == 0)
        return tokens_fail(reading, E_INVALID, "no record has a value");
    return pack.is_document ? give_pack(reading) : read_pack(&pack, reading, true);
}
