/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/transform/chain.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

/* Documents through flatten and redact, numbers through scale, summarize and deadband. The first
 * byte chooses what, the rest is the document, or numbers of nine bytes. */
enum { DOCUMENT_BYTES = 8192, NUMBER_BYTES = 9 };

static const uint8_t key[] = "key";
static const struct tag pairs[] = {{"a", "a"}, {"ab", "a.b"}, {"first", "a.0"}};

static const struct chain_step documents[][3] = {
    {{.kind = CHAIN_FLATTEN, .separator = '.'}},
    {{.kind = CHAIN_FLATTEN, .pairs = pairs, .pair_count = 3}},
    {{.kind = CHAIN_REDACT, .channel = "a.b", .action = CHAIN_DROP}},
    {{.kind = CHAIN_REDACT, .channel = "a", .action = CHAIN_MASK},
     {.kind = CHAIN_FLATTEN, .separator = '_'},
     {.kind = CHAIN_FILTER, .channel = "b", .comparison = CHAIN_NE, .text = "x"}},
    {{.kind = CHAIN_FLATTEN, .separator = '.'},
     {.kind = CHAIN_REDACT,
      .channel = "a.b",
      .action = CHAIN_HMAC,
      .key = key,
      .key_bytes = sizeof key - 1},
     {.kind = CHAIN_TAG, .channel = "a.0", .tag = {.name = "id"}}},
};
static const size_t counts[] = {1, 1, 1, 3, 3};
enum { KINDS = sizeof counts / sizeof counts[0] };

static struct chain *open_chain(const struct chain_step *steps, size_t count)
{
    struct chain *chain;
    const struct chain_options options = {
        .steps = steps, .step_count = count, .document_bytes_max = DOCUMENT_BYTES};
    if (chain_open(&options, &chain) < 0)
        abort();
    return chain;
}

static int bind_one(const struct intake_transform *face)
{
    static const struct channel channel = {.name = "v"};
    char fault[INTAKE_FAULT_BYTES];
    return face->bind(face->context, &channel, 1, fault);
}

/* What was one JSON object still is one, and what was redacted is gone. */
static void run_document(unsigned kind, const uint8_t *document, size_t count)
{
    struct chain *chain = open_chain(documents[kind], counts[kind]);
    const struct intake_transform face = chain_face(chain);
    struct sample sample = {.document = document, .document_bytes = count, .boot_ms = 1};
    struct intake_item item = {.sample = &sample};
    if (json_scan_object(document, count) < 0 || count > DOCUMENT_BYTES) {
        chain_close(chain);
        return;
    }
    if (bind_one(&face) < 0)
        abort();
    int rc = face.push(chain, &item);
    if (rc == 1 && sample.document != NULL &&
        json_scan_object(sample.document, sample.document_bytes) < 0)
        abort();
    if (rc == 1 && kind == 2) { /* again, nothing is left to drop */
        uint8_t *once = malloc(sample.document_bytes);
        size_t once_count = sample.document_bytes;
        if (once == NULL)
            abort();
        memcpy(once, sample.document, once_count);
        sample.document = once;
        if (face.push(chain, &item) != 1 || sample.document_bytes != once_count ||
            memcmp(sample.document, once, once_count) != 0)
            abort();
        free(once);
    }
    chain_close(chain);
}

static struct value take_number(const uint8_t *bytes)
{
    struct value value = {.kind = bytes[8] >= 128 ? VALUE_FLOAT64 : VALUE_DECIMAL,
                          .decimals = bytes[8] % (SAMPLE_DECIMALS_MAX + 1)};
    memcpy(&value.mantissa, bytes, sizeof value.mantissa);
    if (value.kind == VALUE_FLOAT64) {
        memcpy(&value.float64_bits, bytes, sizeof value.float64_bits);
        if ((value.float64_bits >> 52 & 0x7ff) == 0x7ff) /* not finite: no driver gives that */
            value = (struct value){.kind = VALUE_ABSENT};
    }
    return value;
}

static struct chain_decimal take_decimal(const uint8_t *bytes)
{
    struct value value = take_number(bytes);
    return (struct chain_decimal){true, {value.mantissa, value.decimals}};
}

static void check_value(const struct value *value)
{
    if (value->kind == VALUE_DECIMAL && value->decimals > SAMPLE_DECIMALS_MAX)
        abort();
    if (value->kind == VALUE_FLOAT64 && (value->float64_bits >> 52 & 0x7ff) == 0x7ff)
        abort();
}

static void run_numbers(const uint8_t *bytes, size_t count)
{
    struct chain_step steps[] = {
        {.kind = CHAIN_SCALE},
        {.kind = CHAIN_ALARM, .channel = "v"},
        {.kind = CHAIN_DEADBAND},
        {.kind = CHAIN_SUMMARIZE, .interval_ms = 4, .functions = {true, true, true, true, true}}};
    if (count < 5 * NUMBER_BYTES)
        return;
    steps[0].factor = take_decimal(bytes);
    steps[0].offset = take_decimal(bytes + NUMBER_BYTES);
    steps[1].above = take_decimal(bytes + 2 * NUMBER_BYTES);
    steps[1].hysteresis = steps[2].delta = take_decimal(bytes + 3 * NUMBER_BYTES);
    steps[2].percent = (struct chain_decimal){true, {bytes[0], 2}};
    steps[2].delta.present = bytes[1] % 2 == 0;
    struct chain *chain = open_chain(steps, 4);
    const struct intake_transform face = chain_face(chain);
    struct sample sample;
    struct intake_item item = {.sample = &sample};
    if (bind_one(&face) < 0)
        abort();
    for (size_t at = 4 * NUMBER_BYTES; at + NUMBER_BYTES <= count + NUMBER_BYTES;
         at += NUMBER_BYTES) {
        bool ends = at + NUMBER_BYTES > count;
        while (face.flush(chain, ends ? INT64_MAX : (int64_t)at / NUMBER_BYTES, &item) == 1)
            for (size_t i = 0; i < sample.value_count; i++)
                check_value(&sample.values[i]);
        if (ends)
            break;
        sample = (struct sample){.boot_ms = (int64_t)at / NUMBER_BYTES, .value_count = 1};
        sample.values[0] = take_number(bytes + at);
        item.alarm = false;
        if (face.push(chain, &item) != 0)
            abort();
    }
    chain_close(chain);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    unsigned kind = bytes[0] % (KINDS + 1);
    if (kind < KINDS)
        run_document(kind, bytes + 1, count - 1);
    else
        run_numbers(bytes + 1, count - 1);
    return 0;
}
