/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/modbus/modbus_setup.h"

#include <stdio.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

enum {
    PORT = 502,
    UNIT_MAX = 247,
    UNIT_OF_TCP = 255, /* "the device itself" where there is no gateway */
    RESPONSE_MS = 500,
    RESPONSE_MS_MIN = 10,
    RESPONSE_MS_LEAST = 100, /* of a default */
    ANSWER_MS = 500,
    CHARACTER_BITS = 11,
    ANSWER_EXTRA_BYTES = 5, /* unit, function, count and checksum */
    REGISTERS_LEAST = 4,    /* of a number of 64 bits */
    ADDRESSES = 65536,
};

static const char types[] =
    "bool|int16|uint16|int32|uint32|int64|uint64|float32|float64|bcd16|bcd32|string";
static const char orders[] = "ABCD|CDAB|BADC|DCBA";
static const char tables[] = "coil|discrete|holding|input"; /* from function code 1 on */
static const char list[] = "channels";

const struct driver_key modbus_setup_keys[] = {
    {"bus", DRIVER_KEY_TEXT, true,
     "tcp://HOST, tcp://HOST:PORT (default 502) or rtu:///dev/ttyUSB0"},
    {"unit_id", DRIVER_KEY_INTEGER, false,
     "the unit's address: 1 to 247, by TCP also 0 and 255; default 1"},
    {"baud", DRIVER_KEY_INTEGER, false, "the speed of a serial line; default 19200"},
    {"parity", DRIVER_KEY_TEXT, false, "of a serial line: even, odd or none; default even"},
    {"stop_bits", DRIVER_KEY_INTEGER, false, "of a serial line: 1 or 2; default 1"},
    {"rs485", DRIVER_KEY_BOOLEAN, false,
     "have the kernel switch an RS-485 transceiver by RTS; default false"},
    {"echo", DRIVER_KEY_BOOLEAN, false, "the adapter gives back all that is sent; default false"},
    {"response", DRIVER_KEY_DURATION, false,
     "wait so long for an answer to begin; default 500ms or half the interval, at least 100ms"},
    {"gap", DRIVER_KEY_INTEGER, false,
     "read along so many registers that no channel wants, to save a request; default 8"},
    {"channels[].name", DRIVER_KEY_TEXT, true, "what the value is called"},
    {"channels[].register", DRIVER_KEY_INTEGER, true,
     "its address as sent, from 0 on: 12 for what some manuals call 40013"},
    {"channels[].table", DRIVER_KEY_TEXT, false,
     "holding, input, coil or discrete; default holding"},
    {"channels[].type", DRIVER_KEY_TEXT, false,
     "what the registers hold; default uint16, of coils and discrete inputs bool"},
    {"channels[].order", DRIVER_KEY_TEXT, false,
     "of bytes, A is the highest: ABCD, CDAB, BADC or DCBA; default ABCD"},
    {"channels[].bit", DRIVER_KEY_INTEGER, false, "of a register as bool, 0 is the lowest"},
    {"channels[].registers", DRIVER_KEY_INTEGER, false,
     "how many a string takes, two characters each"},
    {"channels[].decimals", DRIVER_KEY_INTEGER, false,
     "a whole number counts 10^-decimals (2305 with 1 is 230.5); floats are rounded to so many"},
    {"channels[].factor", DRIVER_KEY_DECIMAL, false, "what the number is multiplied by; default 1"},
    {"channels[].unit", DRIVER_KEY_UNIT, false, "the SenML unit; default none"},
    {0}};

const struct driver_limit modbus_setup_limits[] = {
    {.key = "unit_id", .low = 0, .high = UNIT_OF_TCP},
    {.key = "baud",
     .choices = "300|600|1200|2400|4800|9600|19200|38400|57600|115200|230400|460800|921600"},
    {.key = "parity", .choices = "even|odd|none"},
    {.key = "stop_bits", .choices = "1|2"},
    {.key = "gap", .low = 0, .high = PLAN_REGISTERS_MAX - 1},
    {.key = "channels[].register", .low = 0, .high = ADDRESSES - 1},
    {.key = "channels[].table", .choices = tables},
    {.key = "channels[].type", .choices = types},
    {.key = "channels[].order", .choices = orders},
    {.key = "channels[].bit", .low = 0, .high = 15},
    {.key = "channels[].registers", .low = 1, .high = DECODE_REGISTERS_MAX},
    {.key = "channels[].decimals", .low = 0, .high = SAMPLE_DECIMALS_MAX},
    {.key = NULL}};

const char *modbus_setup_table(enum modbus_table table)
{
    static const char *const names[] = {[MODBUS_COIL] = "coil",
                                        [MODBUS_DISCRETE] = "discrete input",
                                        [MODBUS_HOLDING] = "holding register",
                                        [MODBUS_INPUT] = "input register"};
    return names[table];
}

/* ---- the line ---- */

static const char *refuse(const struct driver_context *context, const char *key, const char *why)
{
    driver_say(context->fault, "%s", why);
    return key;
}

static const char *read_tcp(const struct driver_context *context, const char *text,
                            struct modbus_line *line)
{
    line->is_tcp = true;
    line->port = PORT;
    if (url_take_host(&text, line->host) < 0 || url_take_port(&text, &line->port) < 0 ||
        *text != '\0' || line->port == 0)
        return refuse(context, "bus",
                      "is no host and port; write it like \"tcp://192.0.2.7:502\" or "
                      "\"tcp://[2001:db8::7]\"");
    return NULL;
}

static const char *read_device(const struct driver_context *context, const char *path,
                               struct modbus_line *line)
{
    if (*path != '/' || strlen(path) >= sizeof line->device)
        return refuse(context, "bus", "has no absolute path; write it like \"rtu:///dev/ttyUSB0\"");
    (void)strcpy(line->device, path);
    return NULL;
}

static const char *read_bus(const struct driver_context *context, struct modbus_line *line)
{
    static const char tcp[] = "tcp://";
    static const char rtu[] = "rtu://";
    const char *text = driver_setting(context, "bus");
    if (text != NULL && strncmp(text, tcp, sizeof tcp - 1) == 0)
        return read_tcp(context, text + sizeof tcp - 1, line);
    if (text != NULL && strncmp(text, rtu, sizeof rtu - 1) == 0)
        return read_device(context, text + sizeof rtu - 1, line);
    return refuse(context, "bus", "is no bus; write \"tcp://HOST:PORT\" or \"rtu:///dev/ttyUSB0\"");
}

/* What only a serial line has. */
static const char *find_serial(const struct driver_context *context)
{
    static const char *const keys[] = {"baud", "parity", "stop_bits", "rs485", "echo"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (driver_setting(context, keys[i]) != NULL)
            return keys[i];
    return NULL;
}

static const char *read_line(const struct driver_context *context, struct modbus_line *line)
{
    const char *parity = driver_setting(context, "parity");
    const char *key = read_bus(context, line);
    if (key == NULL && line->is_tcp && (key = find_serial(context)) != NULL)
        driver_say(context->fault, "is for a serial line, and \"bus\" is none; leave it out");
    line->baud = (int)settings_integer(driver_setting(context, "baud"), 19200);
    line->parity = parity == NULL ? 'E' : (char)(*parity - 'a' + 'A');
    line->stop_bits = (int)settings_integer(driver_setting(context, "stop_bits"), 1);
    line->rs485 = settings_boolean(driver_setting(context, "rs485"), false);
    line->echo = settings_boolean(driver_setting(context, "echo"), false);
    return key;
}

const char *modbus_setup_differ(const struct modbus_line *left, const struct modbus_line *right)
{
    return left->baud != right->baud             ? "baud"
           : left->parity != right->parity       ? "parity"
           : left->stop_bits != right->stop_bits ? "stop_bits"
           : left->rs485 != right->rs485         ? "rs485"
           : left->echo != right->echo           ? "echo"
                                                 : NULL;
}

static const char *read_unit(const struct driver_context *context, struct modbus_setup *setup)
{
    int64_t unit = settings_integer(driver_setting(context, "unit_id"), 1);
    bool special = unit == 0 || unit == UNIT_OF_TCP;
    if (unit > UNIT_MAX && !special)
        return refuse(context, "unit_id", "is no unit; they are 1 to 247");
    if (special && !setup->line.is_tcp)
        return refuse(context, "unit_id", "is no unit of a serial line; they are 1 to 247");
    setup->unit = (uint8_t)unit;
    return NULL;
}

static const char *read_response(const struct driver_context *context, struct modbus_setup *setup)
{
    const char *text = driver_setting(context, "response");
    int64_t half_ms = context->interval_ms / 2;
    setup->response_ms = half_ms > 0 && half_ms < RESPONSE_MS ? half_ms : RESPONSE_MS;
    if (setup->response_ms < RESPONSE_MS_LEAST)
        setup->response_ms = RESPONSE_MS_LEAST;
    if (text == NULL)
        return NULL;
    if (parse_duration_ms(text, strlen(text), &setup->response_ms) < 0 ||
        setup->response_ms < RESPONSE_MS_MIN)
        return refuse(context, "response", "is too short; units need 10ms and more");
    if (context->timeout_ms > 0 && setup->response_ms > context->timeout_ms)
        return refuse(context, "response", "is longer than the sensor's \"timeout\"");
    return NULL;
}

/* An answer takes half a second at most, for which nothing else happens on the line. */
static unsigned registers_max(const struct modbus_line *line)
{
    int bytes = line->baud / CHARACTER_BITS * ANSWER_MS / 1000 - ANSWER_EXTRA_BYTES;
    if (line->is_tcp || bytes / 2 > PLAN_REGISTERS_MAX)
        return PLAN_REGISTERS_MAX;
    return bytes / 2 > REGISTERS_LEAST ? (unsigned)bytes / 2 : REGISTERS_LEAST;
}

/* ---- channels ---- */

/* The place of TEXT among CHOICES, "a|b|c", from 0; or OTHERWISE. */
static int choice(const char *text, const char *choices, int otherwise)
{
    for (int place = 0; text != NULL; place++) {
        size_t count = strcspn(choices, "|");
        if (strlen(text) == count && memcmp(text, choices, count) == 0)
            return place;
        if (choices[count] == '\0')
            break;
        choices += count + 1;
    }
    return otherwise;
}

static const char *read_name(const struct driver_context *context, struct modbus_setup *setup,
                             size_t index)
{
    struct channel *channel = &setup->channels[index];
    const char *name = settings_member(context, list, index, "name");
    const char *unit = settings_member(context, list, index, "unit");
    const char *why = name == NULL ? "is missing" : settings_name_fault(context, list, index);
    if (why != NULL)
        return refuse(context, settings_written(context, list, index, "name"), why);
    (void)strcpy(channel->name, name);
    (void)snprintf(channel->unit, sizeof channel->unit, "%s", unit != NULL ? unit : "");
    return NULL;
}

static const char *read_span(const struct driver_context *context, struct modbus_field *field,
                             size_t index)
{
    const char *bit = settings_member(context, list, index, "bit");
    const char *registers = settings_member(context, list, index, "registers");
    struct modbus_span *span = &field->span;
    span->table = (enum modbus_table)(
        1 + choice(settings_member(context, list, index, "table"), tables, MODBUS_HOLDING - 1));
    bool bits = modbus_plan_is_bits(span->table);
    field->type = (enum modbus_type)choice(settings_member(context, list, index, "type"), types,
                                           bits || bit != NULL ? MODBUS_BOOL : MODBUS_UINT16);
    field->bit = (unsigned)settings_integer(bit, 0);
    span->at = (unsigned)settings_integer(settings_member(context, list, index, "register"), 0);
    span->count = field->type == MODBUS_STRING ? (unsigned)settings_integer(registers, 0)
                                               : modbus_decode_registers(field->type);
    if (bits && field->type != MODBUS_BOOL)
        return refuse(context, settings_written(context, list, index, "type"),
                      "is no type of a single bit");
    if (bit != NULL && (bits || field->type != MODBUS_BOOL))
        return refuse(context, settings_written(context, list, index, "bit"),
                      "is for a bool in a register; leave it out");
    if (field->type == MODBUS_BOOL && !bits && bit == NULL)
        return refuse(context, settings_written(context, list, index, "type"),
                      "needs \"bit\", which one of the register it is, 0 is the lowest");
    if ((registers == NULL) == (field->type == MODBUS_STRING))
        return refuse(
            context,
            settings_written(context, list, index, registers == NULL ? "type" : "registers"),
            registers == NULL ? "needs \"registers\", how many it takes"
                              : "is for strings; leave it out");
    if (span->at + span->count > ADDRESSES)
        return refuse(context, settings_written(context, list, index, "register"),
                      "is so near the end of the table that the type does not fit");
    return NULL;
}

static bool is_scaled(const struct modbus_field *field)
{
    return field->type != MODBUS_BOOL && field->type != MODBUS_STRING;
}

static bool is_float(const struct modbus_field *field)
{
    return field->type == MODBUS_FLOAT32 || field->type == MODBUS_FLOAT64;
}

static const char *read_scale(const struct driver_context *context, struct modbus_field *field,
                              size_t index)
{
    const char *decimals = settings_member(context, list, index, "decimals");
    const char *factor = settings_member(context, list, index, "factor");
    field->order = (enum modbus_order)choice(settings_member(context, list, index, "order"), orders,
                                             MODBUS_ABCD);
    field->has_decimals = decimals != NULL;
    field->decimals = (unsigned)settings_integer(decimals, 0);
    field->factor = (struct decimal){.mantissa = 1};
    if (modbus_plan_is_bits(field->span.table) &&
        settings_member(context, list, index, "order") != NULL)
        return refuse(context, settings_written(context, list, index, "order"),
                      "is for registers; leave it out");
    if (!is_scaled(field) && (decimals != NULL || factor != NULL))
        return refuse(
            context,
            settings_written(context, list, index, decimals != NULL ? "decimals" : "factor"),
            "is for numbers; leave it out");
    if (factor == NULL)
        return NULL;
    const char *key = settings_written(context, list, index, "factor");
    if (decimal_parse(factor, strlen(factor), &field->factor) < 0 ||
        field->decimals + field->factor.decimals > SAMPLE_DECIMALS_MAX)
        return refuse(context, key, "has too many digits; with \"decimals\" 18 behind the point");
    if (is_float(field) && decimals == NULL)
        return refuse(context, key, "needs \"decimals\" beside it for a float");
    return NULL;
}

static const char *read_channel(const struct driver_context *context, struct modbus_setup *setup,
                                size_t index)
{
    struct modbus_field *field = &setup->fields[index];
    const char *key = read_name(context, setup, index);
    if (key == NULL)
        key = read_span(context, field, index);
    if (key == NULL)
        key = read_scale(context, field, index);
    if (key == NULL && field->span.count > setup->rules.registers_max)
        key = refuse(context, settings_written(context, list, index, "registers"),
                     "is more than this line carries in half a second");
    if (key == NULL)
        setup->channels[index].decimals = field->decimals + field->factor.decimals;
    return key;
}

static const char *read_channels(const struct driver_context *context, struct modbus_setup *setup)
{
    setup->count = settings_count(context, list);
    if (setup->count == 0 || setup->count > SAMPLE_CHANNELS_MAX)
        return refuse(context, list, "must have 1 to 32 elements; make more sensors of one unit");
    for (size_t i = 0; i < setup->count; i++) {
        const char *key = read_channel(context, setup, i);
        if (key != NULL)
            return key;
    }
    return NULL;
}

const char *modbus_setup_read(const struct driver_context *context, struct modbus_setup *ret_setup)
{
    *ret_setup = (struct modbus_setup){.count = 0};
    const char *key = read_line(context, &ret_setup->line);
    if (key == NULL)
        key = read_unit(context, ret_setup);
    if (key == NULL)
        key = read_response(context, ret_setup);
    ret_setup->rules.registers_max = registers_max(&ret_setup->line);
    ret_setup->rules.gap = (unsigned)settings_integer(driver_setting(context, "gap"), 8);
    return key != NULL ? key : read_channels(context, ret_setup);
}
