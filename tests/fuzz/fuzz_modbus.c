/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/modbus_decode.h"
#include "drivers/modbus/modbus_plan.h"
#include "tests/fuzz/fuzz.h"

/* What a configuration can ask for, and the answer: both out of the input. */
struct input {
    const uint8_t *bytes;
    size_t count;
};

static unsigned take_byte(struct input *input)
{
    if (input->count == 0)
        return 0;
    input->count--;
    return *input->bytes++;
}

static void check(bool good)
{
    if (!good)
        abort();
}

static struct modbus_field take_field(struct input *input)
{
    struct modbus_field field = {.factor = {.mantissa = 1}};
    unsigned kind = take_byte(input);
    field.span.table = (enum modbus_table)(1 + kind % 4);
    field.type = (enum modbus_type)(kind / 4 % (MODBUS_STRING + 1));
    if (modbus_plan_is_bits(field.span.table))
        field.type = MODBUS_BOOL;
    field.order = (enum modbus_order)(take_byte(input) % 4);
    field.span.count = field.type == MODBUS_STRING ? 1 + take_byte(input) % DECODE_REGISTERS_MAX
                                                   : modbus_decode_registers(field.type);
    field.span.at = (take_byte(input) << 8 | take_byte(input)) % (65537 - field.span.count);
    unsigned scale = take_byte(input);
    field.bit = scale % 16;
    field.has_decimals = scale % 2 != 0;
    field.decimals = scale % 10;
    if (scale > 127)
        field.factor =
            (struct decimal){.mantissa = (int64_t)scale * 1000003 - 140000000, .decimals = 9};
    return field;
}

static void check_value(const struct modbus_field *field, const uint8_t *raw)
{
    struct value value = {0};
    int rc = modbus_decode_value(field, raw, &value);
    check(rc <= 0);
    if (rc < 0) {
        check(value.kind == VALUE_ABSENT);
        return;
    }
    double number;
    memcpy(&number, &value.float64_bits, sizeof number);
    check(value.kind != VALUE_ABSENT);
    check(value.kind != VALUE_DECIMAL || value.decimals <= SAMPLE_DECIMALS_MAX);
    check(value.kind != VALUE_FLOAT64 || number - number == 0);
    check(value.kind != VALUE_TEXT ||
          (value.text == (const char *)raw && value.text_bytes <= 2 * field->span.count &&
           memchr(value.text, 0, value.text_bytes) == NULL));
}

static void decode(const struct modbus_field *field, const struct modbus_span *request,
                   struct input input)
{
    const uint8_t *data;
    unsigned exception;
    uint8_t raw[DECODE_RAW_BYTES] = {0};
    uint8_t *answer = malloc(input.count + 1); /* exactly as long, for the sanitizer */
    check(answer != NULL);
    memcpy(answer, input.bytes, input.count);
    if (modbus_decode_answer(request, 17, answer, input.count, &data, &exception) == 0) {
        modbus_decode_take(field, request, data, raw);
        check_value(field, raw);
    }
    free(answer);
}

/* The registers alone, framed as they should be. */
static void decode_data(const struct modbus_field *field, const struct modbus_span *request,
                        struct input input)
{
    uint8_t framed[3 + 2 * PLAN_REGISTERS_MAX] = {17, (uint8_t)request->table};
    size_t bytes =
        modbus_plan_is_bits(request->table) ? (request->count + 7) / 8 : 2 * (size_t)request->count;
    framed[2] = (uint8_t)bytes;
    memcpy(framed + 3, input.bytes, input.count < bytes ? input.count : bytes);
    decode(field, request, (struct input){framed, 3 + bytes});
}

static void check_plan(const struct modbus_plan *plan, const struct modbus_field *fields,
                       const bool *alone, size_t count, const struct modbus_plan_rules *rules)
{
    check(plan->count <= count);
    for (size_t i = 0; i < count; i++) {
        const struct modbus_span *span = &fields[i].span;
        check(plan->request_of[i] < plan->count);
        const struct modbus_span *request = &plan->requests[plan->request_of[i]];
        unsigned scale = modbus_plan_is_bits(span->table) ? PLAN_BITS_PER_REGISTER : 1;
        bool shared = modbus_plan_is_shared(plan, count, plan->request_of[i]);
        check(request->table == span->table && request->at <= span->at &&
              request->at + request->count >= span->at + span->count &&
              request->at + request->count <= 65536);
        check(!shared || (!alone[i] && request->count <= scale * rules->registers_max));
        check(shared || (request->at == span->at && request->count == span->count));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct input input = {bytes, count};
    struct modbus_field fields[SAMPLE_CHANNELS_MAX];
    struct modbus_span spans[SAMPLE_CHANNELS_MAX];
    bool alone[SAMPLE_CHANNELS_MAX];
    struct modbus_plan plan;
    size_t channels = 1 + take_byte(&input) % SAMPLE_CHANNELS_MAX;
    struct modbus_plan_rules rules = {.registers_max = 4 + take_byte(&input) % 122};
    rules.gap = take_byte(&input) % PLAN_REGISTERS_MAX;
    for (size_t i = 0; i < channels; i++) {
        fields[i] = take_field(&input);
        spans[i] = fields[i].span;
        alone[i] = take_byte(&input) % 4 == 0;
    }
    modbus_plan_make(spans, alone, channels, &rules, &plan);
    check_plan(&plan, fields, alone, channels, &rules);
    for (size_t i = 0; i < channels; i++) {
        decode(&fields[i], &plan.requests[plan.request_of[i]], input);
        decode_data(&fields[i], &plan.requests[plan.request_of[i]], input);
    }
    return 0;
}
