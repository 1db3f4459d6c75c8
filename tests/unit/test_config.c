/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control/config.h"
#include "agent/control/config_diff.h"
#include "agent/control/config_endpoint.h"
#include "agent/control/config_store.h"
#include "agent/control/expand.h"
#include "agent/control/nearest.h"
#include "agent/control/schema.h"
#include "platform/base/error.h"

/* ---- drivers of this test, instead of drivers/registry.c ---- */

static const struct driver_key plain_keys[] = {{.name = NULL}};

static const struct driver_key meter_keys[] = {
    {"bus", DRIVER_KEY_TEXT, true, "where: \"tcp://host:502\""},
    {"unit_id", DRIVER_KEY_INTEGER, false, "1"},
    {"gain", DRIVER_KEY_DECIMAL, false, "1"},
    {"swap", DRIVER_KEY_BOOLEAN, false, "false"},
    {"pause", DRIVER_KEY_DURATION, false, "10ms"},
    {"buffer", DRIVER_KEY_SIZE, false, "1KiB"},
    {"channels[].name", DRIVER_KEY_TEXT, true, "its name"},
    {"channels[].register", DRIVER_KEY_INTEGER, true, "its number"},
    {"masks[]", DRIVER_KEY_TEXT, false, "none"},
    {"parity", DRIVER_KEY_TEXT, false, "none"},
    {"baud", DRIVER_KEY_INTEGER, false, "9600"},
    {"retries", DRIVER_KEY_INTEGER, false, "0"},
    {"unit", DRIVER_KEY_UNIT, false, "none"},
    {.name = NULL},
};

static const struct driver_limit meter_limits[] = {{.key = "parity", .choices = "none|even|odd"},
                                                   {.key = "baud", .choices = "9600|19200"},
                                                   {.key = "retries", .low = 0, .high = 3},
                                                   {.key = NULL}};

/* A baud rate and a parity go together here, and the second channel has a register below 100 and no
 * member called "label". */
static const char *meter_check(const struct driver_context *context)
{
    bool has_parity = false;
    bool has_baud = false;
    for (size_t i = 0; i < context->setting_count; i++) {
        if (strcmp(context->settings[i].key, "channels[1].register") == 0 &&
            strlen(context->settings[i].value) > 2) {
            driver_say(context->fault, "is too large; there are 100");
            return "channels[1].register";
        }
        if (strcmp(context->settings[i].value, "nameless") == 0) {
            driver_say(context->fault, "is missing here");
            return "channels[0].label";
        }
        has_parity |= strcmp(context->settings[i].key, "parity") == 0;
        has_baud |= strcmp(context->settings[i].key, "baud") == 0;
    }
    if (has_baud == has_parity)
        return NULL;
    driver_say(context->fault, "is alone; add the other");
    return has_baud ? "baud" : "parity";
}

static int no_descriptor(const void *instance)
{
    (void)instance;
    return -1;
}

static const struct driver drivers[] = {
    {.name = "proc", .summary = "", .keys = plain_keys},
    {.name = "thermal", .summary = "", .keys = plain_keys},
    {.name = "meter",
     .summary = "",
     .keys = meter_keys,
     .limits = meter_limits,
     .check = meter_check},
    {.name = "contact",
     .summary = "",
     .keys = plain_keys,
     .at_events = true,
     .wait_fd = no_descriptor},
    {.name = "teller", .summary = "", .keys = plain_keys, .wait_fd = no_descriptor},
};

const struct driver *driver_at(size_t index)
{
    return index < sizeof drivers / sizeof drivers[0] ? &drivers[index] : NULL;
}

const struct driver *driver_find(const char *name)
{
    for (size_t i = 0; driver_at(i) != NULL; i++)
        if (strcmp(driver_at(i)->name, name) == 0)
            return driver_at(i);
    return NULL;
}

void driver_say(char fault[DRIVER_FAULT_BYTES], const char *format, ...)
{
    (void)snprintf(fault, DRIVER_FAULT_BYTES, "%s", format);
}

bool driver_left_out(const char *name)
{
    return strcmp(name, "modbus") == 0;
}

const char *driver_unit_meaning(const char *unit)
{
    return strcmp(unit, "Cel") == 0 ? "degrees Celsius" : NULL;
}

/* ---- a configuration in a directory of its own ---- */

struct fixture {
    char directory[32];
    char file[64];
    const char *const *variables; /* "NAME=value", NULL at the end */
    char *faults;
    size_t fault_bytes;
    struct config *config;
};

static const char *get_variable(void *context, const char *name)
{
    const struct fixture *fixture = context;
    size_t count = strlen(name);
    for (const char *const *at = fixture->variables; at != NULL && *at != NULL; at++)
        if (strncmp(*at, name, count) == 0 && (*at)[count] == '=')
            return *at + count + 1;
    return NULL;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_below(const struct fixture *fixture, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    for (char *slash = strchr(path + strlen(fixture->directory) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    write_file(path, text);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->directory, "/tmp/test_config.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->file, sizeof fixture->file, "%s/r.json", fixture->directory);
    *state = fixture;
    return 0;
}

static void forget(struct fixture *fixture)
{
    config_free(fixture->config);
    free(fixture->faults);
    fixture->config = NULL;
    fixture->faults = NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[64];
    forget(fixture);
    (void)snprintf(command, sizeof command, "rm -r %s", fixture->directory);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

/* Most tests have a route to Kinesis: where that is left out they say nothing. */
static int load_path(struct fixture *fixture, const char *path)
{
    forget(fixture);
    FILE *faults = open_memstream(&fixture->faults, &fixture->fault_bytes);
    assert_non_null(faults);
    const struct config_options options = {.path = path,
                                           .root = fixture->directory,
                                           .get_variable = get_variable,
                                           .context = fixture,
                                           .faults = faults};
    int rc = config_load(&options, &fixture->config);
    assert_int_equal(fclose(faults), 0);
#ifndef CONFIG_DEST_KINESIS
    if (strstr(fixture->faults, "\"kinesis\" is not in this program") != NULL)
        skip();
#endif
    return rc;
}

static int load(struct fixture *fixture, const char *text)
{
    write_file(fixture->file, text);
    return load_path(fixture, fixture->file);
}

static const struct config *expect_good(struct fixture *fixture, const char *text)
{
    if (load(fixture, text) != 0)
        fail_msg("%s", fixture->faults);
    return fixture->config;
}

/* EXPECTED are all lines without the file's name before them. */
static void expect_lines(struct fixture *fixture, const char *text, int rc, const char *expected)
{
    char stripped[8192] = "";
    size_t used = 0;
    assert_int_equal(load(fixture, text), rc);
    size_t prefix = strlen(fixture->file);
    for (const char *at = fixture->faults; *at != '\0';) {
        if (strncmp(at, fixture->file, prefix) == 0)
            at += prefix + 1;
        size_t count = strcspn(at, "\n") + 1;
        assert_true(used + count < sizeof stripped);
        memcpy(stripped + used, at, count);
        used += count;
        at += count;
    }
    stripped[used] = '\0';
    assert_string_equal(stripped, expected);
}

static void expect_faults(struct fixture *fixture, const char *text, const char *expected)
{
    expect_lines(fixture, text, E_CONFIG, expected);
    assert_null(fixture->config);
}

#define ROUTE                                                                                      \
    "\"routes\": [ { \"name\": \"live\", \"destination\": \"kinesis\", \"region\": \"eu-west-1\"," \
    " \"stream\": \"telemetry\" } ]"
#define HEAD "{ \"device\": \"gw-17\", " ROUTE ",\n"

/* Ends a test that names providers of credentials which Kconfig left out. */
static void needs_keys(void)
{
#if !defined(CONFIG_CREDENTIALS_ENV) || !defined(CONFIG_CREDENTIALS_FILE)
    skip();
#endif
}

/* ---- what is good ---- */

static void test_defaults(void **state)
{
    const struct config *config = expect_good(*state, "{ \"device\": \"gw-17\", " ROUTE " }");
    assert_string_equal(config->device, "gw-17");
    assert_string_equal(config->spool.path, CONFIG_SPOOL_PATH);
    assert_int_equal(config->spool.size_bytes, 32u << 20);
    assert_false(config->spool.is_volatile);
    assert_null(config->spool.mount);
    assert_int_equal(config->alarm_after_ms, 15 * 60 * 1000);
    assert_int_equal(config->link.rate_bytes, 0);
    assert_int_equal(config->link.month_bytes, 0);
    assert_int_equal(config->spool.ack_window_ms, 30000);
    assert_int_equal(config->spool.wait_ms, 1000);
    const struct cfg_lane_setup *lanes = config->spool.lanes;
    assert_int_equal(lanes[CFG_LANE_ALARM].full, CFG_FULL_REFUSE);
    assert_int_equal(lanes[CFG_LANE_ALARM].window_ms, 0);
    assert_int_equal(lanes[CFG_LANE_NORMAL].full, CFG_FULL_DROP_OLDEST);
    assert_int_equal(lanes[CFG_LANE_NORMAL].window_ms, 75000);
    assert_int_equal(lanes[CFG_LANE_NORMAL].age_ms, 60000);
    assert_int_equal(lanes[CFG_LANE_BULK].window_ms, 600000);
    assert_int_equal(lanes[CFG_LANE_BULK].age_ms, 300000);
    assert_int_equal(config->route_count, 1);
    const struct cfg_route *route = config->routes;
    assert_true(route->lanes[CFG_LANE_ALARM] && route->lanes[CFG_LANE_NORMAL] &&
                route->lanes[CFG_LANE_BULK] && route->hold);
#ifdef CONFIG_PARTITION_EVEN
    assert_int_equal(route->partition, CFG_PARTITION_EVEN);
#else
    assert_int_equal(route->partition, CFG_PARTITION_RANDOM);
#endif
    assert_int_equal(route->format, CFG_FORMAT_JSON);
    assert_int_equal(route->batch_records, CONFIG_BATCH_RECORDS);
    assert_string_equal(route->stream, "telemetry");
    assert_null(route->stream_arn);
    assert_string_equal(route->endpoint.host, "kinesis.eu-west-1.amazonaws.com");
    assert_int_equal(route->endpoint.port, 443);
    assert_true(route->endpoint.tls);
    assert_null(route->ca_file);
    assert_string_equal(route->credentials->name, "default");
    assert_int_equal(route->credentials->provider, CFG_PROVIDER_CHAIN);
}

static void test_without_sensors_kconfig_decides(void **state)
{
    const struct config *config = expect_good(*state, "{ \"device\": \"gw-17\", " ROUTE " }");
    assert_int_equal(config->sensor_count, 1);
    assert_string_equal(config->sensors[0].name, "proc");
    assert_ptr_equal(config->sensors[0].driver, driver_find("proc"));
    assert_int_equal(config->sensors[0].interval_ms, 10000);
    config = expect_good(*state, HEAD "\"sensors\": [] }");
    assert_int_equal(config->sensor_count, 0);
}

static void test_everything_set(void **state)
{
    needs_keys();
    const struct config *config = expect_good(
        *state,
        "// a comment\n{ \"device\": \"gw-17\", \"spool\": { \"path\": \"state\", \"size\": "
        "\"1MiB\","
        " \"ack_window\": \"1s\", \"lanes\": { \"bulk\": { \"full\": \"drop-newest\","
        " \"window\": \"20s\", \"age\": \"10s\", \"share\": \"50%\" } } },\n"
        "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"interval\": \"250ms\","
        " \"timeout\": \"2s\", \"lane\": \"bulk\", \"tags\": { \"site\": \"pump-4 ${device}\" },"
        " \"bus\": \"tcp://${device}:502\", \"gain\": 0.10, \"swap\": true, \"unit_id\": -7,"
        " \"pause\": \"5s\", \"buffer\": 512, \"masks\": [ \"a\", \"b\" ],"
        " \"channels\": [ { \"name\": \"p\", \"register\": 12 },"
        " { \"name\": \"q\", \"register\": 13 } ] } ],\n"
        "\"credentials\": { \"shop\": { \"provider\": \"file\", \"profile\": \"p1\","
        " \"file\": \"/etc/keys\" } },\n"
        "\"routes\": [ { \"name\": \"live\", \"destination\": \"kinesis\", \"lanes\": [ \"bulk\" ],"
        " \"hold\": false, \"partition\": { \"fixed\": \"k-${device}\" }, \"format\": \"raw\","
        " \"layout\": \"nested\", \"order\": \"fifo\", \"pack\": \"none\", \"compress\": \"none\","
        " \"batch\": { \"records\": 10, \"bytes\": \"64KiB\" }, \"credentials\": \"shop\","
        " \"stream\": \"arn:aws:kinesis:eu-west-1:123456789012:stream/tele.metry\","
        " \"endpoint\": \"http://[::1]:4567/\", \"ca_file\": \"ca\", \"cert_file\": \"c\","
        " \"key_file\": \"k\" } ] }");
    assert_int_equal(config->spool.lanes[CFG_LANE_BULK].full, CFG_FULL_DROP_NEWEST);
    assert_int_equal(config->spool.lanes[CFG_LANE_BULK].share_percent, 50);
    assert_int_equal(config->spool.lanes[CFG_LANE_ALARM].share_percent, 25);
    assert_int_equal(config->spool.lanes[CFG_LANE_NORMAL].share_percent, 25);
    assert_string_equal(config->spool.path, "state");
    assert_int_equal(config->spool.size_bytes, 1 << 20);
    const struct cfg_sensor *sensor = config->sensors;
    assert_int_equal(sensor->interval_ms, 250);
    assert_int_equal(sensor->timeout_ms, 2000);
    assert_int_equal(sensor->lane, CFG_LANE_BULK);
    assert_int_equal(sensor->tag_count, 1);
    assert_string_equal(sensor->tags[0].name, "site");
    assert_string_equal(sensor->tags[0].value, "pump-4 gw-17");
    static const char *const settings[][2] = {
        {"bus", "tcp://gw-17:502"},
        {"gain", "0.10"},
        {"swap", "true"},
        {"unit_id", "-7"},
        {"pause", "5s"},
        {"buffer", "512"},
        {"masks[0]", "a"},
        {"masks[1]", "b"},
        {"channels[0].name", "p"},
        {"channels[0].register", "12"},
        {"channels[1].name", "q"},
        {"channels[1].register", "13"},
    };
    assert_int_equal(sensor->setting_count, sizeof settings / sizeof settings[0]);
    for (size_t i = 0; i < sensor->setting_count; i++) {
        assert_string_equal(sensor->settings[i].key, settings[i][0]);
        assert_string_equal(sensor->settings[i].value, settings[i][1]);
    }
    const struct cfg_route *route = config->routes;
    assert_true(route->lanes[CFG_LANE_BULK] && !route->lanes[CFG_LANE_ALARM] && !route->hold);
    assert_int_equal(route->partition, CFG_PARTITION_FIXED);
    assert_string_equal(route->partition_key, "k-gw-17");
    assert_int_equal(route->format, CFG_FORMAT_RAW);
    assert_int_equal(route->batch_records, 10);
    assert_int_equal(route->batch_bytes, 65536);
    assert_string_equal(route->region, "eu-west-1");
    assert_string_equal(route->stream, "tele.metry");
    assert_string_equal(route->stream_arn,
                        "arn:aws:kinesis:eu-west-1:123456789012:stream/tele.metry");
    assert_string_equal(route->endpoint.host, "::1");
    assert_int_equal(route->endpoint.port, 4567);
    assert_false(route->endpoint.tls);
    assert_string_equal(route->ca_file, "ca");
    assert_string_equal(route->key_file, "k");
    assert_string_equal(route->credentials->profile, "p1");
    assert_string_equal(route->credentials->file, "/etc/keys");
    assert_int_equal(config->credentials_count, 2);
}

static void expect_printed(const struct config *config, const char *part)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    assert_non_null(to);
    config_print(config, to);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, part));
    free(text);
}

static void test_print(void **state)
{
    const struct config *config = expect_good(*state, "{ \"device\": \"gw-17\", " ROUTE " }");
    expect_printed(config, "device   gw-17\n");
    expect_printed(config, "lane     bulk: window 10m, age 5m, share 33%, drop-oldest");
    expect_printed(config, "sensor   proc: proc every 10s, lane normal\n");
    expect_printed(config, "route    live: kinesis, stream telemetry in eu-west-1 at "
                           "https://kinesis.eu-west-1.amazonaws.com\n");
}

static void test_an_interval_is_only_what_is_written_where_events_count(void **state)
{
    const struct config *config = expect_good(
        *state, HEAD "\"sensors\": [ { \"name\": \"a\", \"driver\": \"contact\" },"
                     " { \"name\": \"b\", \"driver\": \"contact\", \"interval\": \"1m\" },"
                     " { \"name\": \"c\", \"driver\": \"proc\" },"
                     " { \"name\": \"d\", \"driver\": \"teller\" } ] }");
    assert_int_equal(config->sensors[0].interval_ms, 0);
    assert_int_equal(config->sensors[1].interval_ms, 60000);
    assert_int_equal(config->sensors[2].interval_ms, 10000);
    expect_printed(config, "sensor   a: contact when it speaks, lane normal\n");
    expect_printed(config, "sensor   b: contact every 1m, lane normal\n");
    expect_printed(config, "sensor   d: teller when it speaks, lane normal\n");
}

/* ---- faults ---- */

static void test_all_faults_at_once_in_order(void **state)
{
    expect_faults(
        *state,
        "{\n  \"devize\": \"x\",\n  \"device\": \"gw\",\n"
        "  \"spool\": { \"ack_window\": \"11m\", \"lanes\": { \"slow\": {} } },\n"
        "  \"sensors\": [\n    { \"name\": \"a b\", \"driver\": \"termal\",\n"
        "      \"interval\": \"10 sec\", \"lane\": \"urgent\" },\n    7\n  ],\n"
        "  \"routes\": [ { \"name\": \"live\", \"destination\": \"kinesis\","
        " \"region\": \"eu-west-1\", \"stream\": \"s\", \"hold\": \"yes\" } ]\n}\n",
        "2:3: devize: there is no such key; did you mean \"device\"?\n"
        "4:28: spool.ack_window: \"11m\" is out of range; choose from 0s to 10m\n"
        "4:46: spool.lanes.slow: there is no such key; remove it\n"
        "6:15: sensors[0].name: \"a b\" is not a name; use 1 to 31 letters, digits, \"_\", \".\" "
        "and \"-\"\n"
        "6:32: sensors[0].driver: \"termal\" is no driver of this version; did you mean "
        "\"thermal\"?\n"
        "7:19: sensors[0].interval: \"10 sec\" is not a duration; write it like \"10s\"\n"
        "7:37: sensors[0].lane: \"urgent\" is none of alarm, normal, bulk; choose one of them\n"
        "8:5: sensors[1]: 7 is not an object; write it in braces\n"
        "10:105: routes[0].hold: \"yes\" is neither true nor false; write it without quotes\n");
}

static void test_unknown_and_duplicate_keys(void **state)
{
    expect_faults(*state, HEAD "\"sensor\": [], \"zzz\": 1, \"sensors\": [], \"sensors\": [] }",
                  "2:1: sensor: there is no such key; did you mean \"sensors\"?\n"
                  "2:15: zzz: there is no such key; remove it\n"
                  "2:40: sensors: this key is there twice; remove one\n");
    expect_faults(*state,
                  HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"bus\": \"b\","
                       " \"uint_id\": 1, \"channel\": 1, \"what\": 2, \"intervall\": \"1s\","
                       " \"name\": \"n\" } ] }",
                  "2:60: sensors[0].uint_id: there is no such key; did you mean \"unit_id\"?\n"
                  "2:74: sensors[0].channel: there is no such key; did you mean \"channels\"?\n"
                  "2:88: sensors[0].what: the driver \"meter\" has no such key; remove it\n"
                  "2:99: sensors[0].intervall: there is no such key; did you mean \"interval\"?\n"
                  "2:118: sensors[0].name: this key is there twice; remove one\n");
}

static void test_driver_keys(void **state)
{
    expect_faults(*state, HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\" } ] }",
                  "2:14: sensors[0].bus: is missing; where: \"tcp://host:502\"\n");
    expect_faults(
        *state,
        HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"bus\": 502,\n"
             "\"unit_id\": 1.5, \"gain\": \"2\", \"swap\": 1, \"pause\": \"soon\",\n"
             "\"buffer\": \"1XB\", \"masks\": \"a\", \"channels\": [ { \"nam\": \"p\" }, 3 ] } ] }",
        "2:55: sensors[0].bus: 502 is not a text; write it in double quotes\n"
        "3:12: sensors[0].unit_id: 1.5 is not a whole number; write it like 5\n"
        "3:25: sensors[0].gain: \"2\" is not a number; write it like 0.5\n"
        "3:38: sensors[0].swap: 1 is neither true nor false; write it without quotes\n"
        "3:50: sensors[0].pause: \"soon\" is not a duration; write it like \"10s\"\n"
        "4:11: sensors[0].buffer: \"1XB\" is not a size; write it like \"64KiB\"\n"
        "4:27: sensors[0].masks: \"a\" is not a list; write it in brackets\n"
        "4:46: sensors[0].channels[0].name: is missing; its name\n"
        "4:46: sensors[0].channels[0].register: is missing; its number\n"
        "4:48: sensors[0].channels[0].nam: there is no such key; did you mean \"name\"?\n"
        "4:62: sensors[0].channels[1]: 3 is not an object; write it in braces\n");
}

static void test_limits_of_driver_keys(void **state)
{
    expect_lines(*state,
                 HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"bus\": \"b\","
                      " \"parity\": \"odd\", \"baud\": 19200, \"retries\": 0, \"unit\": \"Cel\""
                      " } ] }",
                 0, "");
    expect_faults(*state,
                  HEAD
                  "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"bus\": \"b\",\n"
                  "\"parity\": \"evn\", \"baud\": 19201, \"retries\": -1, \"unit\": \"C\" } ] }",
                  "3:11: sensors[0].parity: \"evn\" is none of none, even, odd; did you mean "
                  "\"even\"?\n"
                  "3:26: sensors[0].baud: 19201 is none of 9600, 19200; did you mean 19200?\n"
                  "3:44: sensors[0].retries: -1 is out of range; choose from 0 to 3\n"
                  "3:56: sensors[0].unit: \"C\" is no unit name of SenML; write it like \"Cel\", "
                  "\"%RH\" or \"1/min\"\n");
    expect_faults(*state,
                  HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"bus\": \"b\",\n"
                       "\"gain\": 1e-30 } ] }",
                  "3:9: sensors[0].gain: 1e-30 has more digits than can be kept exactly; use at "
                  "most 18\n");
}

/* Also with what is good one by one; not where something is wrong already. */
static void test_what_a_driver_finds_wrong(void **state)
{
    expect_faults(
        *state,
        HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\", \"bus\": \"b\",\n"
             "\"parity\": \"odd\" }, { \"name\": \"n\", \"driver\": \"meter\", \"bus\": \"b\",\n"
             "\"baud\": 9600 }, { \"name\": \"o\", \"driver\": \"meter\", \"bus\": \"b\",\n"
             "\"baud\": 9601 }, { \"name\": \"p\", \"driver\": \"meter\", \"bus\": \"b\", "
             "\"channels\": [\n"
             "{ \"name\": \"u\", \"register\": 1 }, { \"name\": \"v\", \"register\": 100 } ] },\n"
             "{ \"name\": \"q\", \"driver\": \"meter\", \"bus\": \"b\", \"channels\": [\n"
             "{ \"name\": \"nameless\", \"register\": 1 } ] } ] }",
        "3:11: sensors[0].parity: \"odd\" is alone; add the other\n"
        "4:9: sensors[1].baud: 9600 is alone; add the other\n"
        "5:9: sensors[2].baud: 9601 is none of 9600, 19200; did you mean 9600?\n"
        "6:60: sensors[3].channels[1].register: 100 is too large; there are 100\n"
        "8:1: sensors[4].channels[0].label: is missing here\n");
}

static void test_drivers_and_names(void **state)
{
    expect_faults(
        *state,
        HEAD "\"sensors\": [ { \"name\": \"a\", \"driver\": \"modbus\" },\n"
             "{ \"name\": \"a\", \"driver\": \"proc\" },\n"
             "{ \"name\": \"aaaaaaaaaabbbbbbbbbbccccccccccdd\", \"driver\": \"proc\" },\n"
             "{ \"driver\": \"proc\" }, { \"name\": \"b\" } ] }",
        "2:39: sensors[0].driver: \"modbus\" is not in this program; enable "
        "CONFIG_DRIVER_MODBUS\n"
        "3:11: sensors[1].name: \"a\" is the name of sensors[0] already; choose another\n"
        "4:11: sensors[2].name: \"aaaaaaaaaabbbbbbbbbbccccccccccdd\" is not a name; use 1 "
        "to 31 letters, digits, \"_\", \".\" and \"-\"\n"
        "5:1: sensors[3].name: is missing; the sensor in every record: \"name\": "
        "\"board\"\n"
        "5:23: sensors[4].driver: is missing; what reads it: \"driver\": \"proc\"\n");
}

/* A symbol is named only where there is one. */
static void test_drivers_of_no_version(void **state)
{
    expect_faults(*state,
                  HEAD "\"sensors\": [ { \"name\": \"a\", \"driver\": \"telepathy\" },\n"
                       "{ \"name\": \"b\", \"driver\": \"metre\" } ] }",
                  "2:39: sensors[0].driver: \"telepathy\" is no driver of this version; there are "
                  "proc, thermal, meter, contact, teller\n"
                  "3:26: sensors[1].driver: \"metre\" is no driver of this version; did you mean "
                  "\"meter\"?\n");
}

static unsigned walk_required(const struct schema_table *table);

static unsigned walk_keys(const struct schema_key *key)
{
    unsigned required = 0;
    for (; key->name != NULL; key++) {
        if (key->required)
            assert_non_null(key->help);
        required += key->required;
        if (key->members != NULL)
            required += walk_required(key->members);
    }
    return required;
}

static unsigned walk_required(const struct schema_table *table)
{
    unsigned required = walk_keys(table->keys);
    for (const struct schema_part *part = table->parts; part != NULL && part->only != NULL; part++)
        required += walk_keys(part->keys);
    return required;
}

static void test_what_is_required_is_explained(void **state)
{
    (void)state;
    assert_true(walk_required(&schema_root) >= 8);
}

static void test_choices_that_kconfig_left_out(void **state)
{
    static const struct schema_key key = {.kind = SCHEMA_CHOICE,
                                          .choices = "kinesis|s3",
                                          .absent = "archive",
                                          .left_out = "s3",
                                          .symbol = "CONFIG_DEST_"};
    char why[SCHEMA_WHY_BYTES];
    struct schema_value value;
    (void)state;
    assert_int_equal(schema_parse(&key, "kinesis", why, &value), 0);
    assert_int_equal(schema_parse(&key, "s3", why, &value), E_UNSUPPORTED);
    assert_string_equal(why, "is not in this program; enable CONFIG_DEST_S3");
    assert_int_equal(schema_parse(&key, "archive", why, &value), E_UNSUPPORTED);
    assert_null(strstr(why, "CONFIG_"));
}

static void test_what_is_not_in_this_program(void **state)
{
    expect_faults(
        *state,
        HEAD
        "\"sensors\": [],\n\"credentials\": { \"x\": { \"provider\": \"oauth2\", \"z\": 1 } } }",
        "3:37: credentials.x.provider: \"oauth2\" gives tokens, which sign nothing; write "
        "\"auth\": \"oauth2\" at a route with \"destination\": \"apigateway\"\n");
}

/* ---- CoAP ---- */

#define COAP(text) HEAD "\"coap\": { " text " } }"

#ifndef CONFIG_COAP
static void test_coap_is_left_out(void **state)
{
    expect_faults(*state, COAP(""), "2:1: coap: is not in this program; enable CONFIG_COAP\n");
}
#else
static void test_nobody_is_listened_to_unless_it_is_said(void **state)
{
    const struct config *config = expect_good(*state, "{ \"device\": \"d\", " ROUTE " }");
    assert_int_equal(config->coap.listen_count, 0);
    assert_int_equal(config->spool.wait_ms, 1000);
    expect_lines(*state, COAP("\"wait\": \"50ms\""), 0,
                 "2:9: warning: coap: nothing listens; add \"listen\": [ \"coaps://[::]:5684\" "
                 "]\n");
}

static void test_coap(void **state)
{
    struct fixture *fixture = *state;
    const struct config *config = expect_good(
        fixture,
        COAP("\"listen\": [ \"coaps://[::]\", \"coap://127.0.0.1:9\" ], \"wait\": \"50ms\","
             " \"psk_file\": \"/k\", \"rate\": \"5/m\", \"total_byte_rate\": \"2KiB/s\","
             " \"sensors\": [ { \"name\": \"pump\", \"lane\": \"bulk\" } ]"));
    const struct cfg_coap *coap = &config->coap;
    assert_int_equal(coap->listen_count, 2);
    assert_string_equal(coap->listens[0].host, "::");
    assert_int_equal(coap->listens[0].port, 5684);
    assert_true(coap->listens[0].secure);
    assert_false(coap->listens[0].exposed);
    assert_string_equal(coap->listens[1].host, "127.0.0.1");
    assert_int_equal(coap->listens[1].port, 9);
    assert_false(coap->listens[1].secure || coap->listens[1].exposed);
    assert_string_equal(coap->psk_file, "/k");
    assert_int_equal(coap->per_hour, 300);
    assert_int_equal(coap->rate_bytes, 64 << 10);
    assert_int_equal(coap->total_per_hour, 1000 * 3600);
    assert_int_equal(coap->total_rate_bytes, 2048);
    assert_int_equal(config->spool.wait_ms, 50);
    assert_int_equal(coap->sensor_count, 1);
    expect_printed(config, "coap     listens at coaps://[::], coap://127.0.0.1:9\n");
    expect_printed(config, "sensor   pump: by CoAP, lane bulk\n");
}

static void test_sensors_of_coap(void **state)
{
    const struct config *config = expect_good(
        *state, COAP("\"listen\": [ \"coap://[::1]\" ], \"sensors\": [ { \"name\": \"pump\","
                     " \"lane\": \"bulk\", \"lanes\": [ \"alarm\" ], \"formats\": [ \"cbor\" ],"
                     " \"bytes\": \"1KiB\", \"unknown\": \"refuse\", \"tags\": { \"site\": \"4\" },"
                     " \"members\": [ { \"name\": \"a.b\", \"type\": \"integer\","
                     " \"required\": true, \"min\": -1.5, \"max\": 7 }, { \"name\": \"c\" } ] },"
                     " { \"name\": \"well\" } ]"));
    const struct cfg_coap_sensor *pump = &config->coap.sensors[0];
    const struct cfg_coap_sensor *well = &config->coap.sensors[1];
    assert_int_equal(pump->sensor.lane, CFG_LANE_BULK);
    assert_string_equal(pump->sensor.tags[0].value, "4");
    assert_true(pump->lanes[CFG_LANE_ALARM]);
    assert_false(pump->lanes[CFG_LANE_NORMAL]);
    assert_true(pump->formats[3]);
    assert_false(pump->formats[0]);
    assert_int_equal(pump->bytes_max, 1024);
    assert_int_equal(pump->unknown, CFG_UNKNOWN_REFUSE);
    assert_int_equal(pump->member_count, 2);
    assert_string_equal(pump->members[0].name, "a.b");
    assert_int_equal(pump->members[0].type, CFG_MEMBER_INTEGER);
    assert_true(pump->members[0].is_required);
    assert_string_equal(pump->members[0].min, "-1.5");
    assert_string_equal(pump->members[0].max, "7");
    assert_int_equal(pump->members[1].type, CFG_MEMBER_ANY);
    assert_false(pump->members[1].is_required);
    assert_int_equal(well->sensor.lane, CFG_LANE_NORMAL);
    assert_true(well->lanes[CFG_LANE_ALARM] && well->lanes[CFG_LANE_BULK]);
    assert_true(well->formats[0] && well->formats[5]);
    assert_int_equal(well->bytes_max, CONFIG_DOCUMENT_KIB * 1024);
    assert_int_equal(well->unknown, CFG_UNKNOWN_PASS);
}

static void test_listeners_that_cannot_be(void **state)
{
    expect_faults(
        *state,
        COAP("\"listen\": [\n\"http://[::1]\",\n\"coaps://here\",\n\"coap://0.0.0.0\",\n"
             "\"coap://[::1]:1\",\n\"coap://[::1]:1/\",\n\"coap://[::1]:0\",\n7,\n"
             "\"coaps://[::1]/t\" ]"),
        "3:1: coap.listen[0]: \"http://[::1]\" is nothing to listen at; write it like "
        "\"coaps://[::]:5684\" or \"coap://127.0.0.1:5683\"\n"
        "4:1: coap.listen[1]: \"coaps://here\" names no address; write one that this machine has, "
        "or [::] for all of them\n"
        "5:1: coap.listen[2]: \"coap://0.0.0.0\" lets whoever reaches it read along and write; use "
        "coaps://, or allow it with \"plain\": true\n"
        "7:1: coap.listen[4]: \"coap://[::1]:1/\" has the address and the port of another; remove "
        "one\n"
        "8:1: coap.listen[5]: \"coap://[::1]:0\" is nothing to listen at; write it like "
        "\"coaps://[::]:5684\" or \"coap://127.0.0.1:5683\"\n"
        "9:1: coap.listen[6]: 7 is not a text; write it in double quotes\n"
        "10:1: coap.listen[7]: \"coaps://[::1]/t\" is nothing to listen at; write it like "
        "\"coaps://[::]:5684\" or \"coap://127.0.0.1:5683\"\n");
    expect_faults(*state, COAP("\"listen\": \"coap://[::1]\""),
                  "2:21: coap.listen: \"coap://[::1]\" is not a list; write it in brackets\n");
    expect_faults(*state, COAP("\"listen\": [ 1, 2, 3, 4, 5, 6, 7, 8, 9 ]"),
                  "2:21: coap.listen: there are 9; 8 are the most\n");
    expect_faults(*state, COAP("\"listen\": [ \"coaps://[::]\" ]"),
                  "2:9: coap.psk_file: is missing; coaps:// needs the keys of the peers: "
                  "\"psk_file\": \"/etc/runnel/peers.json\"\n");
}

static void test_plain_coap_is_warned_of(void **state)
{
    expect_lines(*state, COAP("\"plain\": true, \"listen\": [ \"coap://[::]\" ]"), 0,
                 "2:38: warning: coap.listen[0]: whoever reaches it can read along and write, "
                 "because \"plain\" is true\n");
    assert_true(((struct fixture *)*state)->config->coap.listens[0].exposed);
}

#define COAP_SENSORS(text) COAP("\"listen\": [ \"coap://[::1]\" ],\n\"sensors\": [ " text " ]")

static void test_sensors_of_coap_that_cannot_be(void **state)
{
    expect_faults(
        *state,
        HEAD "\"sensors\": [ { \"name\": \"board\", \"driver\": \"proc\" } ],\n"
             "\"coap\": { \"listen\": [ \"coap://[::1]\" ], \"sensors\": [\n"
             "{ \"name\": \"a\" },\n{ \"name\": \"a\" },\n{ \"name\": \"board\" },\n"
             "{ \"name\": \"runnel\" },\n{},\n"
             "{ \"name\": \"b\", \"unknown\": \"refuse\" },\n"
             "{ \"name\": \"c\", \"driver\": \"proc\" } ] } }",
        "5:11: coap.sensors[1].name: \"a\" is the name of coap.sensors[0] already; choose another\n"
        "6:11: coap.sensors[2].name: \"board\" is the name of sensors[0] already; choose another\n"
        "7:11: coap.sensors[3].name: \"runnel\" is what the agent calls itself in its own records; "
        "choose another\n"
        "8:1: coap.sensors[4].name: is missing; the sensor in every record, and in the path: "
        "\"name\": \"pump-4\"\n"
        "9:27: coap.sensors[5].unknown: refuses all, because no member is named; add \"members\" "
        "or remove it\n"
        "10:16: coap.sensors[6].driver: there is no such key here; write it into one of "
        "\"sensors\"\n");
    expect_faults(
        *state,
        COAP_SENSORS("{ \"name\": \"a\", \"bytes\": 0, \"lane\": \"slow\",\n"
                     "\"formats\": [ \"xml\" ], \"lanes\": [] }"),
        "3:38: coap.sensors[0].bytes: 0 is out of range; choose from 1 to "
        "64KiB\n"
        "3:49: coap.sensors[0].lane: \"slow\" is none of alarm, normal, bulk; choose one of them\n"
        "4:14: coap.sensors[0].formats[0]: \"xml\" is none of text, octets, json, cbor, "
        "senml-json, senml-cbor; choose one of them\n"
        "4:32: coap.sensors[0].lanes: names no lane; leave the key out for all lanes\n");
}

static void test_members_that_cannot_be(void **state)
{
    expect_faults(
        *state,
        COAP_SENSORS("{ \"name\": \"a\", \"members\": [\n"
                     "{ \"name\": \"x\", \"min\": 1 },\n"
                     "{ \"name\": \"x\", \"type\": \"integer\", \"min\": 2, \"max\": 1.5 },\n"
                     "{ \"name\": \"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a\" },\n"
                     "{ \"type\": \"float\", \"max\": \"1\" } ] }"),
        "4:23: coap.sensors[0].members[0].min: goes with \"type\": \"number\" or \"integer\" "
        "alone; remove it, or say that\n"
        "5:11: coap.sensors[0].members[1].name: \"x\" is the name of members[0] already; say it "
        "once\n"
        "5:42: coap.sensors[0].members[1].min: is larger than \"max\"; then no value is right\n"
        "6:11: coap.sensors[0].members[2].name: is too deep; a document has at most 16 levels\n"
        "7:1: coap.sensors[0].members[3].name: is missing; a channel, or a document's member: "
        "\"name\": \"a.b\"\n"
        "7:11: coap.sensors[0].members[3].type: \"float\" is none of any, number, integer, text, "
        "boolean, object, array; choose one of them\n"
        "7:27: coap.sensors[0].members[3].max: \"1\" is not a number; write it like 0.5\n");
}

static void test_lanes_of_coap_need_a_route(void **state)
{
    expect_faults(*state,
                  "{ \"device\": \"d\", \"routes\": [ { \"name\": \"live\", \"destination\": "
                  "\"kinesis\", \"region\": \"eu-west-1\", \"stream\": \"s\", \"lanes\": [ "
                  "\"normal\" ] } ],\n\"coap\": { \"listen\": [ \"coap://[::1]\" ], "
                  "\"sensors\": [\n{ \"name\": \"a\", \"lane\": \"bulk\" },\n"
                  "{ \"name\": \"b\" },\n{ \"name\": \"c\", \"lanes\": [ \"alarm\" ] } ] } }",
                  "3:24: coap.sensors[0].lane: no route carries the lane \"bulk\"; add it to the "
                  "\"lanes\" of one\n"
                  "5:25: coap.sensors[2].lanes: no route carries the lane \"alarm\"; add it to the "
                  "\"lanes\" of one\n");
}

static void test_rates_of_coap(void **state)
{
    expect_faults(*state,
                  COAP("\"listen\": [ \"coap://[::1]\" ],\n\"rate\": \"20\",\n"
                       "\"total_rate\": \"9/h\",\n\"byte_rate\": \"1/s\",\n"
                       "\"wait\": \"2m\""),
                  "3:9: coap.rate: \"20\" is not so many in a time; write it like \"20/s\", "
                  "\"5/m\" or \"9/h\"\n"
                  "4:15: coap.total_rate: \"9/h\" is out of range; choose from 1/m to 100000/s\n"
                  "5:14: coap.byte_rate: \"1/s\" is out of range; choose from 16/s to 1024MiB/s\n"
                  "6:9: coap.wait: \"2m\" is out of range; choose from 0s to 1m\n");
}

static void test_frequencies(void **state)
{
    const struct schema_key key = {.name = "x", .kind = SCHEMA_FREQUENCY};
    static const char *const wrong[] = {"20", "/s", "s", "", "20/d", "20/", "-1/s", "1.5/s", "20s"};
    char why[SCHEMA_WHY_BYTES];
    struct schema_value value;
    (void)state;
    assert_int_equal(schema_parse(&key, "20/s", why, &value), 0);
    assert_int_equal(value.number, 72000);
    assert_int_equal(schema_parse(&key, "7/m", why, &value), 0);
    assert_int_equal(value.number, 420);
    assert_int_equal(schema_parse(&key, "9/h", why, &value), 0);
    assert_int_equal(value.number, 9);
    assert_int_equal(schema_parse(&key, "18446744073709551615/s", why, &value), 0);
    assert_int_equal(value.number, INT64_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(schema_parse(&key, wrong[i], why, &value), E_SYNTAX);
}

static void test_fragments_merge_sensors_of_coap(void **state)
{
    struct fixture *fixture = *state;
    write_below(fixture, "r.d/10.json",
                "{ \"coap\": { \"sensors\": [ { \"name\": \"b\", \"lane\": \"bulk\" },"
                " { \"name\": \"c\" } ] } }");
    const struct config *config = expect_good(
        fixture, COAP_SENSORS("{ \"name\": \"a\" }, { \"name\": \"b\", \"bytes\": 7 }"));
    assert_int_equal(config->coap.sensor_count, 3);
    assert_int_equal(config->coap.sensors[1].sensor.lane, CFG_LANE_BULK);
    assert_int_equal(config->coap.sensors[1].bytes_max, 7);
    assert_string_equal(config->coap.sensors[2].sensor.name, "c");
}
#endif

/* ---- transforms ---- */

#define TRANSFORMED(list)                                                                          \
    HEAD "\"spool\": { \"lanes\": { \"normal\": { \"window\": \"10m\" } } },\n"                    \
         "\"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\", \"transforms\": [\n" list        \
         " ] } ] }"

#ifndef CONFIG_TRANSFORMS
static void test_transforms_are_left_out(void **state)
{
    expect_faults(*state, TRANSFORMED(""),
                  "3:47: sensors[0].transforms: is not in this program; enable "
                  "CONFIG_TRANSFORMS\n");
}
#elif !defined(CONFIG_TRANSFORM_RATE)
static void test_a_transform_is_left_out(void **state)
{
    expect_faults(*state, TRANSFORMED("{ \"rate\": { \"interval\": 7 } }"),
                  "4:3: sensors[0].transforms[0].rate: is not in this program; enable "
                  "CONFIG_TRANSFORM_RATE\n");
}
#elif defined(CONFIG_TRANSFORM_SCALE) && defined(CONFIG_TRANSFORM_RENAME) &&                       \
    defined(CONFIG_TRANSFORM_UNIT) && defined(CONFIG_TRANSFORM_DEADBAND) &&                        \
    defined(CONFIG_TRANSFORM_SUMMARIZE) && defined(CONFIG_TRANSFORM_FLATTEN) &&                    \
    defined(CONFIG_TRANSFORM_REDACT) && defined(CONFIG_TRANSFORM_TAG) &&                           \
    defined(CONFIG_TRANSFORM_FILTER) && defined(CONFIG_TRANSFORM_ALARM)
#define ALL_TRANSFORMS
static void test_transforms(void **state)
{
    const struct config *config = expect_good(
        *state,
        TRANSFORMED(
            "{ \"flatten\": { \"channels\": { \"t\": \"a.b\" } } },\n"
            "{ \"scale\": { \"channel\": \"t\", \"factor\": 0.10, \"decimals\": 2 } },\n"
            "{ \"deadband\": { \"channel\": \"t\", \"delta\": 0.5, \"heartbeat\": \"5m\" } },\n"
            "{ \"filter\": { \"channel\": \"t\", \"op\": \"!=\", \"text\": \"off\" } },\n"
            "{ \"summarize\": { \"interval\": \"1m\", \"functions\": [ \"mean\" ] } },\n"
            "{ \"summarize\": { \"interval\": \"2m\" } }"));
    const struct cfg_sensor *sensor = &config->sensors[0];
    assert_int_equal(sensor->transform_count, 6);
    assert_int_equal(sensor->transforms[0].kind, CFG_TRANSFORM_FLATTEN);
    assert_int_equal(sensor->transforms[0].channel_count, 1);
    assert_string_equal(sensor->transforms[0].channels[0].name, "t");
    assert_string_equal(sensor->transforms[0].channels[0].value, "a.b");
    assert_string_equal(sensor->transforms[1].factor, "0.10");
    assert_string_equal(sensor->transforms[1].decimals, "2");
    assert_null(sensor->transforms[1].offset);
    assert_string_equal(sensor->transforms[2].delta, "0.5");
    assert_int_equal(sensor->transforms[2].interval_ms, 300000);
    assert_int_equal(sensor->transforms[3].comparison, CFG_NE);
    assert_string_equal(sensor->transforms[3].text, "off");
    assert_false(sensor->transforms[4].functions[0]);
    assert_true(sensor->transforms[4].functions[1]);
    assert_true(sensor->transforms[5].functions[0]);
    assert_false(sensor->transforms[5].functions[3]);
}

static void test_transforms_that_cannot_be(void **state)
{
    expect_faults(
        *state,
        TRANSFORMED("{ \"dedband\": {} },\n"
                    "{ \"scale\": { \"factr\": 1 } },\n"
                    "{ \"rate\": {}, \"unit\": {} },\n"
                    "{ \"summarize\": { \"interval\": \"1m\", \"functions\": [ \"cuont\" ] } }"),
        "4:3: sensors[0].transforms[0].dedband: there is no such transform; did you mean "
        "\"deadband\"?\n"
        "5:14: sensors[0].transforms[1].scale.factr: there is no such key; did you mean "
        "\"factor\"?\n"
        "6:1: sensors[0].transforms[2]: is not one transform; write it like { \"rate\": { "
        "\"interval\": \"10s\" } }\n"
        "7:51: sensors[0].transforms[3].summarize.functions[0]: \"cuont\" is none of min, mean, "
        "max, "
        "last, count, cover; did you mean \"count\"?\n");
    expect_faults(
        *state,
        TRANSFORMED("{ \"scale\": {} },\n"
                    "{ \"deadband\": { \"delta\": -1, \"percent\": 1 } },\n"
                    "{ \"unit\": { \"channel\": \"t\", \"unit\": \"celsius\" } },\n"
                    "{ \"redact\": { \"channel\": \"n\", \"action\": \"hmac\" } },\n"
                    "{ \"filter\": { \"channel\": \"n\", \"op\": \">\", \"text\": \"x\" } },\n"
                    "{ \"tag\": { \"name\": \"site\" } },\n"
                    "{ \"alarm\": { \"channel\": \"t\", \"above\": 1, \"below\": 1.5 } },\n"
                    "{ \"rename\": { \"from\": \"t\" } }"),
        "4:12: sensors[0].transforms[0].scale.factor: is missing; say that, \"offset\" or both\n"
        "5:26: sensors[0].transforms[1].deadband.delta: goes without \"percent\"; remove one of "
        "the "
        "two\n"
        "5:26: sensors[0].transforms[1].deadband.delta: is negative; write it without a sign\n"
        "6:37: sensors[0].transforms[2].unit.unit: is no unit name of SenML; write it like "
        "\"Cel\", "
        "\"%RH\" or \"1/min\"\n"
        "7:13: sensors[0].transforms[3].redact.key_file: is missing; an HMAC needs a key: openssl "
        "rand -hex 32 makes one\n"
        "8:37: sensors[0].transforms[4].filter.op: compares numbers; a text is = or != another\n"
        "9:10: sensors[0].transforms[5].tag.value: is missing; say that or \"channel\"\n"
        "10:51: sensors[0].transforms[6].alarm.below: is larger than \"above\"; then every value "
        "is "
        "an alarm\n"
        "11:13: sensors[0].transforms[7].rename.to: is missing; say both\n");
}

/* What would be ignored, or fail once the sensor is opened. Each is told once. */
static void test_transforms_that_do_not_go_together(void **state)
{
    expect_faults(
        *state,
        TRANSFORMED("{ \"alarm\": { \"channel\": \"t\", \"above\": 80, \"below\": 70,\n"
                    "\"hysteresis\": 5.1 } },\n"
                    "{ \"rename\": { \"channels\": { \"a\": \"c d\",\n"
                    "\"b\": \"x\",\n"
                    "\"e\": \"x\" } } },\n"
                    "{ \"flatten\": { \"channels\": { \"a\": \"b\" },\n"
                    "\"separator\": \"_\" } },\n"
                    "{ \"rename\": { \"channels\": {} } },\n"
                    "{ \"scale\": { \"factor\": \"2\" } }"),
        "5:15: sensors[0].transforms[0].alarm.hysteresis: is more than half of what lies between "
        "the limits; then an alarm never ends\n"
        "6:34: sensors[0].transforms[1].rename.channels.a: \"c d\" is not a name; use 1 to 31 "
        "letters, digits, \"_\", \".\" and \"-\"\n"
        "8:6: sensors[0].transforms[1].rename.channels.e: \"x\" is the new name of \"b\" already; "
        "choose another\n"
        "10:14: sensors[0].transforms[2].flatten.separator: goes without \"channels\"; remove one "
        "of the two\n"
        "11:27: sensors[0].transforms[3].rename.channels: names no channel; name one or leave the "
        "key out\n"
        "12:24: sensors[0].transforms[4].scale.factor: \"2\" is not a number; write it like 0.5\n");
    (void)expect_good(*state, TRANSFORMED("{ \"alarm\": { \"channel\": \"t\", \"above\": 80, "
                                          "\"below\": 70, \"hysteresis\": 5 } }"));
}

/* A record that becomes an alarm needs a route, too. */
static void test_alarms_need_a_route(void **state)
{
    expect_faults(*state,
                  "{ \"device\": \"gw-17\", \"routes\": [ { \"name\": \"live\", \"destination\": "
                  "\"kinesis\", \"region\": \"eu-west-1\", \"stream\": \"telemetry\", "
                  "\"lanes\": [ \"normal\" ] } ],\n"
                  "\"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\",\n\"transforms\": [ { "
                  "\"alarm\": { \"channel\": \"t\", \"above\": 1 } } ] } ] }",
                  "3:15: sensors[0].transforms: makes alarms, and no route carries the lane "
                  "\"alarm\"; add it to the \"lanes\" of one\n");
}

static void test_intervals_beyond_the_window_are_warned_of(void **state)
{
    expect_lines(*state, TRANSFORMED("{ \"summarize\": { \"interval\": \"10m\" } }"), E_OK,
                 "4:30: warning: sensors[0].transforms[0].summarize.interval: is longer than the "
                 "window of the lane normal, and what it holds is only in RAM; shorten it, or "
                 "accept that a power cut costs one interval\n");
}
#endif

#ifndef CONFIG_DEST_S3
/* What it is said to have is not looked at: another program may know it. */
static void test_s3_is_left_out(void **state)
{
    expect_faults(*state,
                  "{ \"device\": \"d\", \"routes\": [\n"
                  "{ \"name\": \"s\", \"destination\": \"s3\", \"bucket\": \"b\" } ] }",
                  "2:31: routes[0].destination: \"s3\" is not in this program; enable "
                  "CONFIG_DEST_S3\n");
}
#endif

#ifndef CONFIG_HTTP_PROXY
static void test_proxies_are_left_out(void **state)
{
    expect_faults(*state,
                  "{ \"device\": \"d\", \"routes\": [ { \"name\": \"k\", \"stream\": \"s\",\n"
                  "\"destination\": \"kinesis\", \"region\": \"eu-west-1\",\n"
                  "\"proxy\": \"http://p:1\" } ] }",
                  "3:1: routes[0].proxy: is not in this program; enable CONFIG_HTTP_PROXY\n");
}
#endif

#ifdef CONFIG_DEST_S3
#define S3_WITH(rest)                                                                              \
    "{ \"device\": \"d\", \"routes\": [ { \"name\": \"cold\", \"destination\": \"s3\",\n"          \
    "\"bucket\": " rest " } ] }"

static void test_s3(void **state)
{
    const struct config *config =
        expect_good(*state, S3_WITH("\"telemetry-archive\", \"region\": \"eu-west-1\", "
                                    "\"prefix\": \"raw/v=1/\""));
    const struct cfg_route *route = &config->routes[0];
    assert_string_equal(route->endpoint.host, "telemetry-archive.s3.eu-west-1.amazonaws.com");
    assert_false(route->path_style);
    assert_true(route->endpoint_built);
    assert_true(route->hold);
    assert_int_equal(route->compress, CFG_COMPRESS_GZIP);
    assert_int_equal(route->every_ms, 300000);
    assert_int_equal(route->batch_bytes, 4 << 20);
    assert_null(config_sse_name(route->sse));
    expect_printed(config, "route    cold: s3, bucket telemetry-archive in eu-west-1 at "
                           "https://telemetry-archive.s3.eu-west-1.amazonaws.com\n"
                           "         keys raw/v=1/dt=.../hour=.../DEVICE/...\n"
                           "         lanes alarm normal bulk; at most 4MiB an object before gzip; "
                           "one every 5m; credentials default (chain)\n");
}

static void expect_s3_host(struct fixture *fixture, const char *text, const char *host,
                           bool path_style)
{
    const struct config *config = expect_good(fixture, text);
    assert_string_equal(config->routes[0].endpoint.host, host);
    assert_int_equal(config->routes[0].path_style, path_style);
}

static void test_s3_endpoints(void **state)
{
    static const char *const fips[] = {"AWS_USE_FIPS_ENDPOINT=true", NULL};
    static const char *const both[] = {"AWS_USE_FIPS_ENDPOINT=true",
                                       "AWS_USE_DUALSTACK_ENDPOINT=true", NULL};
    static const char *const own[] = {"AWS_ENDPOINT_URL_S3=https://minio.example:9000",
                                      "AWS_ENDPOINT_URL=https://other.example", NULL};
    static const char usual[] = S3_WITH("\"b-1\", \"region\": \"us-gov-west-1\"");
    struct fixture *fixture = *state;
    expect_s3_host(fixture, S3_WITH("\"my.dots\", \"region\": \"eu-west-1\""),
                   "s3.eu-west-1.amazonaws.com", true);
    expect_s3_host(fixture, S3_WITH("\"b-1\", \"region\": \"cn-north-1\""),
                   "b-1.s3.cn-north-1.amazonaws.com.cn", false);
    expect_s3_host(fixture,
                   S3_WITH("\"b-1\", \"region\": \"r-1\", \"endpoint\": \"https://e.example\""),
                   "e.example", true);
    fixture->variables = fips;
    expect_s3_host(fixture, usual, "b-1.s3-fips.us-gov-west-1.amazonaws.com", false);
    fixture->variables = both;
    expect_s3_host(fixture, usual, "b-1.s3-fips.dualstack.us-gov-west-1.amazonaws.com", false);
    fixture->variables = own;
    expect_s3_host(fixture, usual, "minio.example", true);
    assert_false(fixture->config->routes[0].endpoint_built);
    fixture->variables = NULL;
}

static void test_s3_encryption(void **state)
{
    const struct config *config = expect_good(
        *state, S3_WITH("\"b-1\", \"region\": \"eu-west-1\", \"sse\": \"aws:kms\", \"kms_key_id\": "
                        "\"k\", \"bucket_key\": true, \"expected_bucket_owner\": "
                        "\"123456789012\", \"storage_class\": \"GLACIER_IR\""));
    assert_string_equal(config_sse_name(config->routes[0].sse), "aws:kms");
    expect_printed(config, "; encrypted by aws:kms with k; of the account 123456789012; "
                           "GLACIER_IR\n");
    expect_faults(*state,
                  S3_WITH("\"b-1\", \"region\": \"eu-west-1\", \"sse\": \"AES256\",\n"
                          "\"kms_key_id\": \"k\",\n\"bucket_key\": true"),
                  "3:15: routes[0].kms_key_id: goes with \"sse\": \"aws:kms\" or "
                  "\"aws:kms:dsse\"; write one of them\n"
                  "4:15: routes[0].bucket_key: goes with \"sse\": \"aws:kms\" alone; write that "
                  "or remove it\n");
}

static void test_s3_faults(void **state)
{
    static const struct {
        const char *rest, *faults;
    } cases[] = {
        {S3_WITH("\"Big_Bucket\""),
         "2:11: routes[0].bucket: is no name of a bucket; use 3 to 63 small letters, digits, \".\" "
         "and \"-\"\n"},
        {S3_WITH("\"b-1\",\n\"prefix\": \"/raw\""),
         "3:11: routes[0].prefix: is no prefix; write it like \"raw/\": letters, digits, \"=\", "
         "\"_\", \".\", \"-\", and a \"/\" behind each part\n"},
        {S3_WITH("\"b-1\",\n\"prefix\": \"a/../b/\""),
         "3:11: routes[0].prefix: is no prefix; write it like \"raw/\": letters, digits, \"=\", "
         "\"_\", \".\", \"-\", and a \"/\" behind each part\n"},
        {S3_WITH("\"b-1\",\n\"expected_bucket_owner\": \"1234\""),
         "3:26: routes[0].expected_bucket_owner: is no account; write its 12 digits\n"},
        {S3_WITH("\"b-1\",\n\"storage_class\": \"cheap\""),
         "3:18: routes[0].storage_class: is no storage class; write it like \"STANDARD_IA\"\n"},
        {S3_WITH("\"b-1\",\n\"stream\": \"s\""),
         "3:1: routes[0].stream: goes with \"destination\": kinesis/firehose alone; remove it\n"},
        {S3_WITH("\"b-1\",\n\"sse\": \"rot13\""),
         "3:8: routes[0].sse: \"rot13\" is none of bucket, AES256, aws:kms, aws:kms:dsse; choose "
         "one of them\n"},
    };
    static const char *const region[] = {"AWS_REGION=eu-west-1", NULL};
    struct fixture *fixture = *state;
    fixture->variables = region;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_faults(fixture, cases[i].rest, cases[i].faults);
    fixture->variables = NULL;
}
#endif

#ifdef CONFIG_DEST_ARCHIVE
#define ARCHIVE_WITH(rest)                                                                         \
    "{ \"device\": \"d\", \"routes\": [ { \"name\": \"usb\", \"destination\": \"archive\",\n"      \
    "\"path\": " rest " } ] }"

static void test_archive(void **state)
{
    const struct config *config = expect_good(
        *state,
        ARCHIVE_WITH("\"/media/usb/runnel\", \"mount\": \"/media/usb\", \"size\": \"8GiB\""));
    const struct cfg_route *route = &config->routes[0];
    assert_false(route->hold);
    assert_null(route->credentials);
    assert_null(route->endpoint.host);
    assert_int_equal(route->every_ms, 0);
    assert_int_equal(route->compress, CFG_COMPRESS_GZIP);
    assert_int_equal(route->size_bytes, (uint64_t)8 << 30);
    expect_printed(config, "route    usb: archive, /media/usb/runnel, at most 8GiB, then without "
                           "its oldest objects; something must be mounted at /media/usb\n"
                           "         lanes alarm normal bulk; at most 4MiB an object before gzip; "
                           "one every half of its lane's age; nothing is kept for it\n");
    config = expect_good(*state, ARCHIVE_WITH("\"/a\", \"hold\": true, \"order\": \"strict\""));
    assert_true(config->routes[0].hold);
    assert_int_equal(config->routes[0].every_ms, 300000);
}

static void test_archive_faults(void **state)
{
    expect_faults(*state, ARCHIVE_WITH("\"usb\",\n\"mount\": \"/media\""),
                  "2:9: routes[0].path: is no whole path; begin it with \"/\"\n"
                  "3:10: routes[0].mount: does not hold \"path\"; write where that is mounted\n");
    expect_faults(*state, ARCHIVE_WITH("\"/media/usb\",\n\"mount\": \"/med\""),
                  "3:10: routes[0].mount: does not hold \"path\"; write where that is mounted\n");
    expect_faults(*state, ARCHIVE_WITH("\"/a\",\n\"size\": \"1MiB\""),
                  "3:9: routes[0].size: may be less than one object; raise it, or lower "
                  "batch.bytes\n");
    (void)expect_good(
        *state, ARCHIVE_WITH("\"/a\", \"size\": \"1MiB\", \"batch\": { \"bytes\": \"1MiB\" }"));
    (void)expect_good(*state, ARCHIVE_WITH("\"/media\", \"mount\": \"/media/\""));
    (void)expect_good(*state, ARCHIVE_WITH("\"/media\", \"mount\": \"/\""));
    expect_faults(
        *state,
        ARCHIVE_WITH("\"/a\" },\n{ \"name\": \"b\", \"destination\": \"archive\",\n\"path\": "
                     "\"/a/\""),
        "4:9: routes[1].path: is the archive of another route already; choose another\n");
    expect_faults(
        *state, ARCHIVE_WITH("\"/a\",\n\"region\": \"eu-west-1\""),
        "3:1: routes[0].region: goes with \"destination\": kinesis/firehose/apigateway/s3 alone; "
        "remove it\n");
}
#endif

#define KINESIS                                                                                    \
    "{ \"device\": \"d\", \"routes\": [ { \"name\": \"k\", \"destination\": \"kinesis\",\n"

#define SHAPED(more) KINESIS "\"region\": \"eu-west-1\", \"stream\": \"telemetry\"" more " } ] }"

#if defined(CONFIG_PACK_KPL) && defined(CONFIG_GZIP) && defined(CONFIG_FORMAT_SENML)
#define HAS_SHAPES
static void test_print_of_shapes(void **state)
{
    struct fixture *fixture = *state;
    expect_printed(expect_good(fixture, SHAPED(", \"pack\": \"lines\", \"compress\": \"gzip\"")),
                   "         pack lines, compress gzip\n");
    expect_printed(
        expect_good(fixture, SHAPED(", \"format\": \"senml\", \"partition\": \"sensor\"")),
        "         format senml, partition sensor\n");
    expect_printed(expect_good(fixture, SHAPED(", \"layout\": \"flat\", "
                                               "\"partition\": { \"field\": \"site\" }")),
                   "         layout flat, partition by the field site\n");
    expect_printed(expect_good(fixture, SHAPED(", \"partition\": { \"fixed\": \"k\" }")),
                   "         partition fixed\n");
    expect_printed(expect_good(fixture, SHAPED("")), "credentials default (chain)\n");
}
#endif

static void test_route_faults(void **state)
{
    expect_faults(*state, KINESIS "\"stream\": \"a/b\", \"region\": \"eu_west\" } ] }",
                  "2:11: routes[0].stream: is no name of a stream; use 1 to 128 letters, digits, "
                  "\"_\", \".\" and \"-\"\n"
                  "2:28: routes[0].region: is no region; write it like \"eu-west-1\"\n");
    expect_faults(*state,
                  KINESIS "\"lanes\": [], \"batch\": { \"records\": 501, \"bytes\": 1 } } ] }",
                  "1:30: routes[0].stream: is missing; write the name or ARN of a Kinesis stream\n"
                  "1:30: routes[0].region: is missing; write it like \"eu-west-1\", or set "
                  "AWS_REGION\n"
                  "2:10: routes[0].lanes: names no lane; leave the key out for all lanes\n"
                  "2:36: routes[0].batch.records: 501 is out of range; choose from 1 to 500\n"
                  "2:50: routes[0].batch.bytes: 1 is out of range; choose from 1KiB to 10176KiB\n");
}

static void test_arn(void **state)
{
    static const char *const bad[] = {
        "arn:aws:firehose:eu-west-1:123456789012:stream/s",
        "arn:aws:kinesis:eu-west-1:12:stream/s",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/",
        "arn:aws:kinesis::123456789012:stream/s",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/a b",
        "arn:",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[400];
        (void)snprintf(text, sizeof text,
                       KINESIS "\"region\": \"eu-west-1\", \"stream\": \"%s\" } ] }", bad[i]);
        expect_faults(fixture, text,
                      "2:34: routes[0].stream: is no ARN of a stream; write it like "
                      "arn:aws:kinesis:REGION:ACCOUNT:stream/NAME\n");
    }
    expect_faults(
        fixture,
        KINESIS "\"region\": \"eu-west-2\","
                " \"stream\": \"arn:aws:kinesis:eu-west-1:123456789012:stream/s\" } ] }",
        "2:11: routes[0].region: differs from the region in the stream's ARN; remove it\n");
}

/* The account's own host, which needs the account. */
static void test_account_endpoint(void **state)
{
    struct fixture *fixture = *state;
    static const char *const fips[] = {"AWS_USE_FIPS_ENDPOINT=true", NULL};
    const char *const by_arn =
        KINESIS "\"stream\": \"arn:aws:kinesis:eu-west-1:123456789012:stream/s\""
                "%s } ] }";
    char text[400];
    (void)snprintf(text, sizeof text, by_arn, ", \"account_endpoint\": true");
    assert_string_equal(expect_good(fixture, text)->routes[0].endpoint.host,
                        "123456789012.data-kinesis.eu-west-1.amazonaws.com");
    fixture->variables = fips;
    assert_string_equal(expect_good(fixture, text)->routes[0].endpoint.host,
                        "123456789012.data-kinesis-fips.eu-west-1.amazonaws.com");
    fixture->variables = NULL;
    (void)snprintf(text, sizeof text, by_arn, "");
    assert_string_equal(expect_good(fixture, text)->routes[0].endpoint.host,
                        "kinesis.eu-west-1.amazonaws.com");
    (void)snprintf(text, sizeof text, by_arn,
                   ",\n\"account_endpoint\": true, \"endpoint\": \"https://x.example\"");
    expect_faults(fixture, text,
                  "3:21: routes[0].account_endpoint: does not go with \"endpoint\"; remove one of "
                  "them\n");
    expect_faults(fixture,
                  KINESIS "\"stream\": \"s\", \"region\": \"eu-west-1\",\n"
                          "\"account_endpoint\": true } ] }",
                  "3:21: routes[0].account_endpoint: needs the account; write the stream's ARN in "
                  "place of its name\n");
}

#ifdef CONFIG_DEST_FIREHOSE
#define FIREHOSE                                                                                   \
    "{ \"device\": \"d\", \"routes\": [ { \"name\": \"f\", \"destination\": \"firehose\",\n"

static void test_firehose(void **state)
{
    struct fixture *fixture = *state;
    static const char *const urls[] = {"AWS_ENDPOINT_URL_FIREHOSE=https://f.example:8443",
                                       "AWS_ENDPOINT_URL_KINESIS=https://k.example",
                                       "AWS_ENDPOINT_URL=https://any.example", NULL};
    const char *const by_name = FIREHOSE "\"stream\": \"lake\", \"region\": \"eu-west-1\" } ] }";
    const char *const by_arn =
        FIREHOSE "\"stream\": \"arn:aws-cn:firehose:cn-north-1:123456789012:deliverystream/la.ke\""
                 " } ] }";
    const struct cfg_route *route = &expect_good(fixture, by_name)->routes[0];
    assert_int_equal(route->destination, CFG_DESTINATION_FIREHOSE);
    assert_string_equal(route->stream, "lake");
    assert_string_equal(route->endpoint.host, "firehose.eu-west-1.amazonaws.com");
    assert_true(route->batch_bytes <= 4032 * 1024);
    expect_printed(fixture->config, "route    f: firehose, stream lake in eu-west-1 at "
                                    "https://firehose.eu-west-1.amazonaws.com\n");
    route = &expect_good(fixture, by_arn)->routes[0];
    assert_string_equal(route->stream, "la.ke");
    assert_null(route->stream_arn);
    assert_string_equal(route->region, "cn-north-1");
    assert_string_equal(route->endpoint.host, "firehose.cn-north-1.amazonaws.com.cn");
    fixture->variables = urls;
    assert_string_equal(expect_good(fixture, by_name)->routes[0].endpoint.host, "f.example");
    fixture->variables = urls + 1;
    assert_string_equal(expect_good(fixture, by_name)->routes[0].endpoint.host, "any.example");
}

static void test_firehose_faults(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *rest, *faults;
    } rows[] = {
        {"\"region\": \"eu-west-1\" } ] }",
         "1:30: routes[0].stream: is missing; write the name or ARN of a Firehose stream\n"},
        {"\"region\": \"eu-west-1\",\n\"stream\": "
         "\"a2345678901234567890123456789012345678901234567890123456789012345\" } ] }",
         "3:11: routes[0].stream: is no name of a Firehose stream; use 1 to 64 letters, digits, "
         "\"_\", \".\" and \"-\"\n"},
        {"\"region\": \"eu-west-1\",\n"
         "\"stream\": \"arn:aws:kinesis:eu-west-1:123456789012:stream/s\" } ] }",
         "3:11: routes[0].stream: is no ARN of a Firehose stream; write it like "
         "arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME\n"},
        {"\"region\": \"eu-west-2\","
         " \"stream\": \"arn:aws:firehose:eu-west-1:123456789012:deliverystream/s\" } ] }",
         "2:11: routes[0].region: differs from the region in the stream's ARN; remove it\n"},
        {"\"region\": \"eu-west-1\", \"stream\": \"s\",\n\"order\": \"strict\" } ] }",
         "3:10: routes[0].order: Firehose keeps no order, which \"strict\" wants; write \"fifo\", "
         "or send to Kinesis\n"},
        {"\"region\": \"eu-west-1\", \"stream\": \"s\",\n"
         "\"batch\": { \"bytes\": \"4033KiB\" } } ] }",
         "3:21: routes[0].batch.bytes: is more than Firehose takes at once; choose 4032KiB at "
         "most\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[400];
        (void)snprintf(text, sizeof text, "%s%s", FIREHOSE, rows[i].rest);
        expect_faults(fixture, text, rows[i].faults);
    }
}

/* What goes with other destinations alone is refused by name. */
static void test_firehose_has_no_keys(void **state)
{
    struct fixture *fixture = *state;
    expect_faults(fixture,
                  FIREHOSE "\"region\": \"eu-west-1\", \"stream\": \"s\",\n"
                           "\"partition\": \"device\",\n\"account_endpoint\": true } ] }",
                  "3:1: routes[0].partition: goes with \"destination\": kinesis/apigateway alone; "
                  "remove it\n"
                  "4:1: routes[0].account_endpoint: goes with \"destination\": kinesis alone; "
                  "remove it\n");
}
#endif

static void test_order(void **state)
{
    const char *const route = KINESIS "\"stream\": \"s\", \"region\": \"eu-west-1\", ";
    static const struct {
        const char *rest, *faults;
    } cases[] = {
        {"\"order\": \"strict\" } ] }",
         "1:30: routes[0].partition: \"even\" keeps no order, which \"strict\" wants; write "
         "\"device\" or \"sensor\"\n"},
        {"\"order\": \"strict\",\n\"partition\": \"random\" } ] }",
         "3:14: routes[0].partition: \"random\" keeps no order, which \"strict\" wants; write "
         "\"device\" or \"sensor\"\n"},
        {"\n\"backlog_share\": \"20%\" } ] }",
         "3:18: routes[0].backlog_share: goes with \"order\": \"fresh-first\" alone; remove it or "
         "write that\n"},
        {"\"order\": \"strict\", \"partition\": \"sensor\",\n\"backlog_share\": \"20%\" } ] }",
         "3:18: routes[0].backlog_share: goes with \"order\": \"fresh-first\" alone; remove it or "
         "write that\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%s%s", route, cases[i].rest);
        expect_faults(*state, text, cases[i].faults);
    }
}

#ifdef HAS_SHAPES
static void test_records_that_nobody_could_read(void **state)
{
    const char *const route = KINESIS "\"stream\": \"s\", \"region\": \"eu-west-1\", ";
    static const struct {
        const char *rest, *faults;
    } cases[] = {
        {"\"order\": \"strict\", \"partition\": \"device\",\n\"pack\": \"lines\" } ] }",
         "3:9: routes[0].pack: does not go with \"order\": \"strict\", which sends record by "
         "record; "
         "remove one of them\n"},
        {"\"pack\": \"kpl\",\n\"compress\": \"gzip\" } ] }",
         "3:13: routes[0].compress: \"gzip\" hides an aggregate from whoever takes it apart; write "
         "\"pack\": \"lines\"\n"},
        {"\"format\": \"senml\",\n\"layout\": \"flat\" } ] }",
         "3:11: routes[0].layout: \"flat\" is a layout of \"json\"; SenML has its own, remove "
         "it\n"},
        {"\"pack\": \"kpl\",\n\"partition\": { \"feild\": \"x\" } } ] }",
         "3:14: routes[0].partition: an object is no partition; write it like { \"field\": "
         "\"NAME\" } or "
         "{ \"fixed\": \"KEY\" }\n"},
        {"\n\"layout\": \"flat\" } ],\n\"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\","
         " \"tags\": { \"seq\": \"1\", \"ok\": \"2\", \"Site\": \"3\" } } ] }",
         "3:11: routes[0].layout: \"flat\" has no place for the tag \"seq\" of a: every record has "
         "a "
         "member of this name; rename it, or write \"nested\"\n"
         "3:11: routes[0].layout: \"flat\" has no place for the tag \"Site\" of a: Glue knows "
         "small "
         "letters alone; rename it, or write \"nested\"\n"},
        {"\n\"layout\": \"flat\" } ],\n\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\","
         " \"bus\": \"tcp://b\", \"tags\": { \"p\": \"1\" }, \"channels\": [ { \"name\": \"p\","
         " \"register\": 12 } ] } ] }",
         "3:11: routes[0].layout: \"flat\" has no place for the channel \"p\" of m: a tag has this "
         "name, too; rename one, or write \"nested\"\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[640];
        (void)snprintf(text, sizeof text, "%s%s", route, cases[i].rest);
        expect_faults(*state, text, cases[i].faults);
    }
}

static void test_records_that_are_taken(void **state)
{
    const struct config *config = expect_good(
        *state, "{ \"device\": \"d\", \"routes\": [\n"
                "{ \"name\": \"a\", \"destination\": \"kinesis\", \"stream\": \"s\", \"region\":"
                " \"eu-west-1\", \"pack\": \"kpl\", \"format\": \"senml\" },\n"
                "{ \"name\": \"b\", \"destination\": \"kinesis\", \"stream\": \"s\", \"region\":"
                " \"eu-west-1\", \"pack\": \"lines\", \"compress\": \"gzip\", \"layout\":"
                " \"flat\", \"lanes\": [ \"bulk\" ] },\n"
                "{ \"name\": \"c\", \"destination\": \"kinesis\", \"stream\": \"s\", \"region\":"
                " \"eu-west-1\", \"partition\": { \"field\": \"line\" } } ],\n"
                "\"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\", \"tags\": { \"Site\":"
                " \"1\" } } ] }");
    assert_int_equal(config->routes[0].pack, CFG_PACK_KPL);
    assert_int_equal(config->routes[0].format, CFG_FORMAT_SENML);
    assert_int_equal(config->routes[1].pack, CFG_PACK_LINES);
    assert_int_equal(config->routes[1].compress, CFG_COMPRESS_GZIP);
    assert_int_equal(config->routes[1].layout, CFG_LAYOUT_FLAT);
    assert_int_equal(config->routes[2].partition, CFG_PARTITION_FIELD);
    assert_string_equal(config->routes[2].partition_key, "line");
}
#endif

#if !defined(CONFIG_PACK_KPL) && !defined(CONFIG_GZIP) && !defined(CONFIG_FORMAT_SENML) &&         \
    !defined(CONFIG_PARTITION_EVEN)
#define LACKS_SHAPES
static void test_shapes_are_left_out(void **state)
{
    expect_faults(*state,
                  SHAPED(",\n\"pack\": \"kpl\",\n\"compress\": \"gzip\",\n"
                         "\"format\": \"senml\",\n\"partition\": \"even\""),
                  "3:9: routes[0].pack: \"kpl\" is not in this program; enable CONFIG_PACK_KPL\n"
                  "4:13: routes[0].compress: \"gzip\" is not in this program; enable CONFIG_GZIP\n"
                  "5:11: routes[0].format: \"senml\" is not in this program; enable "
                  "CONFIG_FORMAT_SENML\n"
                  "6:14: routes[0].partition: \"even\" is not in this program; enable "
                  "CONFIG_PARTITION_EVEN\n");
}
#endif

static void test_orders_that_are_taken(void **state)
{
    const struct config *config = expect_good(
        *state, "{ \"device\": \"d\", \"routes\": [\n"
                "{ \"name\": \"a\", \"destination\": \"kinesis\", \"stream\": \"s\", \"region\":"
                " \"eu-west-1\", \"order\": \"fresh-first\" },\n"
                "{ \"name\": \"b\", \"destination\": \"kinesis\", \"stream\": \"s\", \"region\":"
                " \"eu-west-1\", \"order\": \"fresh-first\", \"backlog_share\": \"99%\" },\n"
                "{ \"name\": \"c\", \"destination\": \"kinesis\", \"stream\": \"s\", \"region\":"
                " \"eu-west-1\", \"order\": \"strict\", \"partition\": { \"fixed\": \"k\" } } ] }");
    assert_int_equal(config->routes[0].order, CFG_ORDER_FRESH_FIRST);
    assert_int_equal(config->routes[0].backlog_share, 30);
    assert_int_equal(config->routes[1].backlog_share, 99);
    assert_int_equal(config->routes[2].order, CFG_ORDER_STRICT);
}

#ifdef CONFIG_DEST_APIGATEWAY
#define API                                                                                        \
    "{ \"device\": \"d\", \"routes\": [ { \"name\": \"g\", \"destination\": \"apigateway\",\n"
#define API_URL "\"url\": \"https://abc.execute-api.eu-west-1.amazonaws.com/prod/records\""

static const struct cfg_route *expect_api(struct fixture *fixture, const char *rest)
{
    char text[1024];
    (void)snprintf(text, sizeof text, API "%s } ] }", rest);
    return &expect_good(fixture, text)->routes[0];
}

static void test_api(void **state)
{
    const struct cfg_route *route = expect_api(*state, API_URL);
    assert_string_equal(route->region, "eu-west-1");
    assert_string_equal(route->endpoint.host, "abc.execute-api.eu-west-1.amazonaws.com");
    assert_string_equal(route->api.path, "/prod/records");
    assert_null(route->api.query);
    assert_int_equal(route->api.auth, CFG_AUTH_IAM);
    assert_int_equal(route->api.body, CFG_BODY_RECORDS);
    assert_int_equal(route->api.success, CFG_SUCCESS_PER_RECORD);
    assert_string_equal(route->credentials->name, "default");
    uint64_t usual_bytes = route->batch_bytes;

    route = expect_api(*state, "\"url\": \"https://[::1]:8443/?key=x&y\", \"auth\": \"none\","
                               "\"body\": \"lines\", \"order\": \"strict\"");
    assert_string_equal(route->endpoint.host, "::1");
    assert_int_equal(route->endpoint.port, 8443);
    assert_string_equal(route->api.path, "/");
    assert_string_equal(route->api.query, "key=x&y");
    assert_string_equal(route->endpoint.url, "https://[::1]:8443/");
    assert_null(route->region);
    assert_null(route->credentials);
    assert_int_equal(route->api.success, CFG_SUCCESS_STATUS);
    assert_int_equal(route->batch_bytes, usual_bytes < 1024000 ? usual_bytes : 1024000);

    route = expect_api(*state, "\"url\": \"http://127.0.0.1:80/a\", \"auth\": \"header\","
                               "\"header\": \"X-Device\", \"header_value_file\": \"/v\","
                               "\"success\": \"per-record\", \"body\": \"array\","
                               "\"batch\": { \"bytes\": \"8KiB\" }");
    assert_false(route->endpoint.tls);
    assert_string_equal(route->credentials->name, "g");
    assert_int_equal(route->credentials->provider, CFG_PROVIDER_TOKEN_FILE);
    assert_string_equal(route->credentials->token_file, "/v");
    assert_true(route->credentials->with_blanks);
    assert_int_equal(route->api.success, CFG_SUCCESS_PER_RECORD);
    assert_int_equal(route->batch_bytes, 8192);
}

static void test_api_by_endpoint(void **state)
{
    const struct cfg_route *route = expect_api(
        *state, "\"url\": \"https://vpce-0a.execute-api.us-gov-west-1.vpce.amazonaws.com/s\","
                "\"host\": \"abc.execute-api.us-gov-west-1.amazonaws.com\"");
    assert_string_equal(route->region, "us-gov-west-1");
    assert_string_equal(route->api.host, "abc.execute-api.us-gov-west-1.amazonaws.com");
    route = expect_api(*state, "\"url\": \"https://api.example.com/in\", \"region\":"
                               "\"eu-west-3\", \"api_id\": \"abc\"");
    assert_string_equal(route->region, "eu-west-3");
    assert_string_equal(route->api.api_id, "abc");
}

#ifdef CONFIG_CREDENTIALS_OAUTH2
static void test_api_with_oauth2(void **state)
{
    const struct cfg_route *route = expect_api(
        *state, API_URL ", \"auth\": \"oauth2\", \"client_id\": \"i\", \"ca_file\": \"c\","
                        "\"client_secret_file\": \"/s\", \"scope\": \"a/b c\","
                        "\"token_url\": \"https://d.auth.test/oauth2/token?x=y\"");
    const struct cfg_credentials *token = route->credentials;
    assert_int_equal(token->provider, CFG_PROVIDER_OAUTH2);
    assert_string_equal(token->oauth2.host, "d.auth.test");
    assert_string_equal(token->oauth2_path, "/oauth2/token");
    assert_string_equal(token->oauth2_query, "x=y");
    assert_string_equal(token->client_id, "i");
    assert_string_equal(token->client_secret_file, "/s");
    assert_string_equal(token->scope, "a/b c");
    assert_string_equal(token->ca_file, "c");
}
#endif

#define ELSEWHERE        "\"url\": \"https://h/a\""
#define NEEDS(key, auth) "1:30: routes[0]." key ": is missing; \"auth\": \"" auth "\" needs it\n"
#define ALONE(auth)      "goes with \"auth\": \"" auth "\" alone; remove it, or choose that\n"

static void test_api_faults(void **state)
{
    static const struct {
        const char *rest;
        const char *faults;
    } cases[] = {
        {"\"auth\": \"none\"",
         "1:30: routes[0].url: is missing; \"https://ID.execute-api.REGION.amazonaws.com/STAGE/"
         "RESOURCE\", or that of a custom domain\n"},
        {"\"url\": \"https://h/a b?key=secret\", \"auth\": \"none\"",
         "2:8: routes[0].url: is no URL; write it like "
         "https://ID.execute-api.REGION.amazonaws.com/STAGE/RESOURCE\n"},
        {"\"url\": \"https://me:secret@h/a\", \"auth\": \"none\"",
         "2:8: routes[0].url: holds a user name, which is not sent; remove it, and see \"auth\"\n"},
        {"\"url\": \"https://h/a@b#c\", \"auth\": \"none\"",
         "2:8: routes[0].url: holds a fragment, which is never sent; remove it from the \"#\" "
         "on\n"},
        {"\"header\": \"content-length\", \"auth\": \"header\", \"header_value_file\": "
         "\"v\", " ELSEWHERE,
         "2:11: routes[0].header: is one that the request itself needs; choose another, like "
         "\"X-Device-Token\"\n"},
        {"\"header\": \"HOST\", \"auth\": \"header\", \"header_value_file\": \"v\", " ELSEWHERE,
         "2:11: routes[0].header: is one that the request itself needs; choose another, like "
         "\"X-Device-Token\"\n"},
        {"\"url\": \"http://h/a\", \"auth\": \"none\"",
         "2:8: routes[0].url: plain http leads only to this machine itself; write https://\n"},
        {ELSEWHERE,
         "1:30: routes[0].region: is missing; write it like \"eu-west-1\", or set AWS_REGION\n"},
        {"\"region\": \"eu-west-3\", " API_URL,
         "2:11: routes[0].region: differs from the region in \"url\"; remove it\n"},
        {ELSEWHERE ", \"auth\": \"api-key\"", NEEDS("api_key_file", "api-key")},
        {ELSEWHERE ", \"auth\": \"bearer\"", NEEDS("token_file", "bearer")},
        {"\"header\": \"a b\", \"auth\": \"header\", " ELSEWHERE,
         NEEDS("header_value_file", "header") "2:11: routes[0].header: is no name of a header; "
                                              "write it like \"X-Device-Token\"\n"},
        {"\"credentials\": \"default\", \"auth\": \"none\", " ELSEWHERE,
         "2:16: routes[0].credentials: " ALONE("iam")},
        {"\"api_key_file\": \"k\", " API_URL, "2:17: routes[0].api_key_file: " ALONE("api-key")},
        {"\"partition\": \"even\", \"body\": \"array\", " API_URL,
         "2:14: routes[0].partition: goes with \"body\": \"records\" alone, others have no keys; "
         "remove it\n"},
        {"\"pack\": \"lines\", \"body\": \"lines\", " API_URL,
         "2:9: routes[0].pack: goes with \"body\": \"records\" alone; remove it\n"},
        {"\"order\": \"strict\", " API_URL,
         "1:30: routes[0].partition: \"even\" keeps no order, which \"strict\" wants; write "
         "\"device\" or \"sensor\"\n"},
        {"\"host\": \"a b\", \"api_id\": \"x\", " API_URL,
         "2:9: routes[0].host: is no name of a host; write it like "
         "ID.execute-api.REGION.amazonaws.com\n"
         "2:26: routes[0].api_id: says what \"host\" says; remove one of them\n"},
        {"\"auth\": \"api_key\", \"token_file\": \"x\", " API_URL,
         "2:9: routes[0].auth: \"api_key\" is none of iam, api-key, oauth2, bearer, header, none; "
         "did "
         "you mean \"api-key\"?\n"},
#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
        {"\"role_arn\": \"arn:aws:iam::123456789012:role/r\", \"auth\": \"none\", " ELSEWHERE,
         "2:13: routes[0].role_arn: " ALONE("iam")},
#endif
#ifdef CONFIG_CREDENTIALS_OAUTH2
        {ELSEWHERE ", \"auth\": \"oauth2\"",
         NEEDS("token_url", "oauth2") NEEDS("client_id", "oauth2")
             NEEDS("client_secret_file", "oauth2")},
        {"\"token_url\": \"oauth2/token?s=secret\", \"auth\": \"oauth2\", \"client_id\": \"a b\", "
         "\"client_secret_file\": \"s\", " ELSEWHERE,
         "2:14: routes[0].token_url: is no URL; write it like "
         "https://DOMAIN.auth.REGION.amazoncognito.com/oauth2/token\n"
         "2:70: routes[0].client_id: is no client's; it has no blanks\n"},
#else
        {ELSEWHERE ", \"auth\": \"oauth2\"",
         "2:31: routes[0].auth: \"oauth2\" is not in this program; enable "
         "CONFIG_CREDENTIALS_OAUTH2\n"},
#endif
    };
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(text, sizeof text, API "%s } ] }", cases[i].rest);
        expect_faults(*state, text, cases[i].faults);
    }
}
#endif

static void test_names_of_routes_and_credentials(void **state)
{
    needs_keys();
    expect_faults(
        *state,
        "{ \"device\": \"d\", \"credentials\": { \"shop\": { \"provider\": \"env\","
        " \"profile\": \"p\" }, \"a b\": { \"provider\": \"chian\" }, \"c\": {} },\n"
        "\"routes\": [ { \"name\": \"k\", \"destination\": \"kinesis\", \"stream\": \"s\","
        " \"region\": \"eu-west-1\", \"credentials\": \"shpo\", \"cert_file\": \"c\" },\n"
        "{ \"name\": \"k\", \"destination\": \"kinesis\", \"stream\": \"s\","
        " \"region\": \"eu-west-1\", \"key_file\": \"c\", \"lanes\": [ \"bulk\", \"bulk\" "
        "] } ] }",
        "1:75: credentials.shop.profile: the provider \"env\" does not use it; choose "
        "\"file\" or \"chain\", or remove it\n"
        "1:82: credentials.a b: \"a b\" is not a name; use 1 to 31 letters, digits, "
        "\"_\", \".\" and \"-\"\n"
        "1:103: credentials.a b.provider: \"chian\" is none of chain, env, file, iot, "
        "container, imds, web_identity; did you mean \"chain\"?\n"
        "1:119: credentials.c.provider: is missing; \"chain\" tries what there is: environment, "
        "web identity, files, IoT, container, EC2\n"
        "2:13: routes[0].key_file: is missing; cert_file needs its key\n"
        "2:107: routes[0].credentials: \"shpo\" is not among \"credentials\"; did you mean "
        "\"shop\"?\n"
        "3:1: routes[1].cert_file: is missing; key_file needs its certificate\n"
        "3:11: routes[1].name: \"k\" is the name of routes[0] already; choose another\n"
        "3:116: routes[1].lanes[1]: this lane is there twice; remove one\n");
}

#if defined(CONFIG_CREDENTIALS_IOT) && defined(CONFIG_CREDENTIALS_WEB_IDENTITY)
#define KEYS(text)                                                                                 \
    "{ \"device\": \"gw-17\", \"credentials\": { \"default\": {\n" text " } },\n"                  \
    "\"routes\": [ { \"name\": \"k\", \"destination\": \"kinesis\", \"stream\": \"s\","            \
    " \"region\": \"eu-west-1\" } ] }"

static void test_iot_credentials(void **state)
{
    struct fixture *fixture = *state;
    const struct config *config = expect_good(
        fixture, KEYS("\"provider\": \"iot\", \"role_alias\": \"runnel\", \"thing\": \"${device}\","
                      " \"endpoint\": \"https://x.credentials.iot.eu-west-1.amazonaws.com\","
                      " \"cert_file\": \"/c\", \"key_file\": \"/k\""));
    const struct cfg_credentials *credentials = config->routes[0].credentials;
    assert_int_equal(credentials->provider, CFG_PROVIDER_IOT);
    assert_string_equal(credentials->iot.host, "x.credentials.iot.eu-west-1.amazonaws.com");
    assert_int_equal(credentials->iot.port, 443);
    assert_string_equal(credentials->role_alias, "runnel");
    assert_string_equal(credentials->thing, "gw-17");
    assert_string_equal(credentials->cert_file, "/c");
    assert_string_equal(credentials->key_file, "/k");
    assert_null(credentials->sts.host);
    assert_null(credentials->iot.proxy.host);
}

#ifdef CONFIG_HTTP_PROXY
static void test_iot_credentials_by_a_proxy(void **state)
{
    static const char *const variables[] = {"HTTPS_PROXY=a.example", NULL};
    static const char plain[] =
        KEYS("\"provider\": \"iot\", \"role_alias\": \"r\", \"cert_file\": \"/c\","
             " \"key_file\": \"/k\", \"endpoint\": \"https://x.example\"");
    static const char written[] =
        KEYS("\"provider\": \"iot\", \"role_alias\": \"r\", \"cert_file\": \"/c\","
             " \"key_file\": \"/k\", \"endpoint\": \"https://x.example\","
             " \"proxy\": \"http://u:p@b.example:8080\"");
    struct fixture *fixture = *state;
    fixture->variables = variables;
    const struct cfg_proxy *proxy = &expect_good(fixture, plain)->routes[0].credentials->iot.proxy;
    assert_string_equal(proxy->host, "a.example");
    proxy = &expect_good(fixture, written)->routes[0].credentials->iot.proxy;
    assert_string_equal(proxy->host, "b.example");
    assert_string_equal(proxy->password, "p");
}
#endif

static void test_faulty_iot_credentials(void **state)
{
    expect_faults(*state, KEYS("\"provider\": \"iot\", \"role_alias\": \"a b\""),
                  "1:50: credentials.default.endpoint: is missing; IoT's credentials provider "
                  "needs endpoint, role_alias, cert_file and key_file\n"
                  "1:50: credentials.default.cert_file: is missing; IoT's credentials provider "
                  "needs endpoint, role_alias, cert_file and key_file\n"
                  "1:50: credentials.default.key_file: is missing; IoT's credentials provider "
                  "needs endpoint, role_alias, cert_file and key_file\n"
                  "2:34: credentials.default.role_alias: is no name of a role alias; use 1 to 128 "
                  "letters, digits, \"_\", \"=\", \",\", \"@\" and \"-\"\n");
    expect_faults(*state,
                  KEYS("\"provider\": \"chain\", \"thing\": \"a/b\", \"role_alias\": \"a\","
                       "\"cert_file\": \"/c\", \"key_file\": \"/k\", \"role_arn\": \"arn:x\",\n"
                       "\"endpoint\": \"http://localhost\""),
                  "2:31: credentials.default.thing: is no name of a thing; use 1 to 128 letters, "
                  "digits, \":\", \"_\" and \"-\"\n"
                  "2:105: credentials.default.role_arn: the provider \"chain\" does not use it; "
                  "choose \"web_identity\", or remove it\n"
                  "3:13: credentials.default.endpoint: needs TLS, where the device shows its "
                  "certificate; write https://\n");
    expect_faults(*state,
                  KEYS("\"provider\": \"imds\", \"file\": \"/f\", \"region\": \"eu-west-1\""),
                  "2:29: credentials.default.file: the provider \"imds\" does not use it; choose "
                  "\"file\" or \"chain\", or remove it\n"
                  "2:45: credentials.default.region: the provider \"imds\" does not use it; choose "
                  "\"web_identity\", or remove it\n");
}

/* Where STS is asked: as written, as a variable says, else in the region. */
static void test_web_identity_credentials(void **state)
{
    static const char *const variables[] = {"AWS_ENDPOINT_URL_STS=http://localhost:99",
                                            "AWS_REGION=us-east-2",
                                            "AWS_WEB_IDENTITY_TOKEN_FILE=/t", NULL};
    struct fixture *fixture = *state;
    const struct cfg_credentials *credentials =
        expect_good(
            fixture,
            KEYS("\"provider\": \"web_identity\", \"role_arn\": \"arn:aws:iam::1:role/r\","
                 " \"session_name\": \"s\", \"token_file\": \"/t\", \"region\": \"cn-north-1\""))
            ->routes[0]
            .credentials;
    assert_string_equal(credentials->sts.host, "sts.cn-north-1.amazonaws.com.cn");
    assert_true(credentials->sts.tls);
    assert_string_equal(credentials->role_arn, "arn:aws:iam::1:role/r");
    assert_string_equal(credentials->session_name, "s");
    assert_string_equal(credentials->token_file, "/t");
    static const char chain[] = KEYS("\"provider\": \"chain\"");
    credentials = expect_good(fixture, chain)->routes[0].credentials;
    assert_null(credentials->sts.host); /* nobody has a token */
    fixture->variables = variables + 2;
    credentials = expect_good(fixture, chain)->routes[0].credentials;
    assert_string_equal(credentials->sts.host, "sts.eu-west-1.amazonaws.com");
    fixture->variables = variables + 1;
    credentials = expect_good(fixture, chain)->routes[0].credentials;
    assert_string_equal(credentials->sts.host, "sts.us-east-2.amazonaws.com");
    fixture->variables = variables;
    credentials = expect_good(fixture, chain)->routes[0].credentials;
    assert_string_equal(credentials->sts.host, "localhost");
    assert_int_equal(credentials->sts.port, 99);
    expect_faults(fixture,
                  KEYS("\"provider\": \"web_identity\", \"role_arn\": \"r\", \"region\": \"?\""),
                  "2:41: credentials.default.role_arn: is no ARN of a role; write it like "
                  "arn:aws:iam::ACCOUNT:role/NAME\n"
                  "2:56: credentials.default.region: is no region; write it like \"eu-west-1\"\n");
}
#endif

#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
#define STREAM(name) "{ \"name\": \"" name "\", \"destination\": \"kinesis\", \"stream\": \"s\""
#define ROLE         ", \"role_arn\": \"arn:aws:iam::123456789012:role/path/r\""
#define ROUTES(text) "{ \"device\": \"d\", \"routes\": [\n" text " ] }"

static void test_role(void **state)
{
    static const char *const variables[] = {"AWS_REGION=us-east-2", NULL};
    struct fixture *fixture = *state;
    fixture->variables = variables;
    const struct config *config = expect_good(
        fixture, ROUTES(STREAM("k") ", \"region\": \"eu-west-1\"" ROLE ", \"external_id\": \"x:1\","
                                    " \"ca_file\": \"c\" }"));
    const struct cfg_credentials *role = config->routes[0].credentials;
    assert_int_equal(role->provider, CFG_PROVIDER_ASSUME_ROLE);
    assert_string_equal(role->name, "k");
    assert_string_equal(role->role_arn, "arn:aws:iam::123456789012:role/path/r");
    assert_string_equal(role->external_id, "x:1");
    assert_string_equal(role->region, "eu-west-1");
    assert_string_equal(role->sts.host, "sts.eu-west-1.amazonaws.com");
    assert_true(role->sts.tls);
    assert_string_equal(role->ca_file, "c");
    assert_ptr_equal(role->source, &config->credentials[0]);
    expect_printed(config, "; credentials default (chain)\n"
                           "         as arn:aws:iam::123456789012:role/path/r, by "
                           "https://sts.eu-west-1.amazonaws.com\n");
}

/* Where STS is asked, and for which region that is signed. */
static void test_role_regions(void **state)
{
    static const struct {
        const char *variables[3];
        const char *host;
        const char *region;
    } rows[] = {
        {{NULL}, "sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
        {{"AWS_USE_DUALSTACK_ENDPOINT=true"}, "sts.us-gov-west-1.api.aws", "us-gov-west-1"},
        {{"AWS_ENDPOINT_URL_STS=https://sts.amazonaws.com"}, "sts.amazonaws.com", "us-east-1"},
        {{"AWS_ENDPOINT_URL_STS=https://sts-fips.us-west-2.amazonaws.com"},
         "sts-fips.us-west-2.amazonaws.com",
         "us-west-2"},
        {{"AWS_ENDPOINT_URL_STS=https://v-1.sts.eu-west-3.vpce.amazonaws.com"},
         "v-1.sts.eu-west-3.vpce.amazonaws.com",
         "eu-west-3"},
        {{"AWS_ENDPOINT_URL=http://localhost:99"}, "localhost", "us-gov-west-1"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture->variables = rows[i].variables;
        const struct cfg_credentials *role =
            expect_good(fixture,
                        ROUTES(STREAM("k") ", \"region\": \"us-gov-west-1\", \"role_arn\": "
                                           "\"arn:aws-us-gov:iam::123456789012:role/r\" }"))
                ->routes[0]
                .credentials;
        assert_string_equal(role->sts.host, rows[i].host);
        assert_string_equal(role->region, rows[i].region);
    }
}

/* One for all routes that want the same, another for each that wants another. */
static void test_roles_are_shared(void **state)
{
    static const char *const wants[] = {ROLE,
                                        ROLE ", \"external_id\": \"id\"",
                                        ROLE ", \"credentials\": \"b\"",
                                        ROLE ", \"ca_file\": \"c\"",
                                        ", \"role_arn\": \"arn:aws:iam::123456789012:role/q\"",
                                        "",
                                        ROLE};
    enum { LAST = sizeof wants / sizeof *wants - 1 };
    char text[2048];
    int used = snprintf(text, sizeof text,
                        "{ \"device\": \"d\", \"credentials\": { \"b\": { \"provider\": \"chain\" "
                        "} }, \"routes\": [");
    for (size_t i = 0; i <= LAST; i++)
        used += snprintf(text + used, sizeof text - (size_t)used,
                         "{ \"name\": \"r%zu\", \"destination\": \"kinesis\", \"stream\": \"s\","
                         " \"region\": \"eu-west-1\"%s }%s",
                         i, wants[i], i < LAST ? "," : "] }");
    const struct cfg_route *routes = expect_good(*state, text)->routes;
    for (size_t i = 0; i < LAST; i++)
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(routes[i].credentials, routes[j].credentials);
    assert_ptr_equal(routes[LAST].credentials, routes[0].credentials);
    assert_null(routes[LAST - 1].credentials->source);
    assert_ptr_equal(routes[0].credentials->source, routes[LAST - 1].credentials);
}

#ifdef CONFIG_HTTP_PROXY
/* STS is reached as the route's endpoint is; what is wrong with that is told once. */
static void test_role_by_a_proxy(void **state)
{
#define BY(proxy) ROUTES(STREAM("k") ", \"region\": \"eu-west-1\"" ROLE proxy " }")
    static const char *const variables[] = {"HTTPS_PROXY=a.example",
                                            "NO_PROXY=sts.eu-west-1.amazonaws.com", NULL};
    static const char *const only_proxy[] = {"HTTPS_PROXY=a.example", NULL};
    static const char written[] = BY(", \"proxy\": \"http://u:p@b.example:8080\"");
    struct fixture *fixture = *state;
    fixture->variables = only_proxy;
    const struct cfg_route *route = &expect_good(fixture, BY(""))->routes[0];
    assert_string_equal(route->credentials->sts.proxy.host, "a.example");
    fixture->variables = variables;
    route = &expect_good(fixture, BY(""))->routes[0];
    assert_string_equal(route->endpoint.proxy.host, "a.example");
    assert_null(route->credentials->sts.proxy.host);
    route = &expect_good(fixture, written)->routes[0];
    assert_string_equal(route->credentials->sts.proxy.host, "b.example");
    assert_string_equal(route->credentials->sts.proxy.password, "p");
    route = &expect_good(fixture, BY(", \"proxy\": \"none\""))->routes[0];
    assert_null(route->credentials->sts.proxy.host);
    expect_faults(fixture, BY(",\n\"proxy\": \"b.example\""),
                  "3:10: routes[0].proxy: is no proxy; write it like http://user:password@host:port"
                  "\n");
#undef BY
}
#endif

static void test_role_faults(void **state)
{
    static const char *const bad[] = {"r",
                                      "arn:aws:iam::1:role/r",
                                      "arn:aws:iam:eu-west-1:123456789012:role/r",
                                      "arn:aws:iam::1234567890123:role/r",
                                      "arn:aws:iam::12345678901x:role/r",
                                      "arn:aws:iam::123456789012:role/",
                                      "arn:aws:iam::123456789012:role/path/",
                                      "arn:aws:iam::123456789012:role/a b",
                                      "arn:aws:iam::123456789012:user/r",
                                      "arn:aws:sts::123456789012:assumed-role/r/s",
                                      "arn:gcp:iam::123456789012:role/r"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[300];
        (void)snprintf(text, sizeof text,
                       ROUTES(STREAM("k") ", \"region\": \"eu-west-1\",\n\"role_arn\": \"%s\" }"),
                       bad[i]);
        expect_faults(*state, text,
                      "3:13: routes[0].role_arn: is no ARN of a role; write it like "
                      "arn:aws:iam::123456789012:role/NAME\n");
    }
    expect_faults(*state,
                  ROUTES(STREAM("k") ", \"region\": \"eu-west-1\",\n\"external_id\": \"a b\" }"),
                  "3:16: routes[0].external_id: is no external id; use at least 2 letters, digits "
                  "and _+=,.@:/-\n"
                  "3:16: routes[0].external_id: goes with \"role_arn\" alone; remove it, or write "
                  "that\n");
}
#else
static void test_roles_are_left_out(void **state)
{
    expect_faults(*state,
                  "{ \"device\": \"d\", \"routes\": [\n"
                  "{ \"name\": \"k\", \"destination\": \"kinesis\", \"stream\": \"s\","
                  " \"region\": \"eu-west-1\",\n\"role_arn\": \"r\", \"external_id\": \"x\" } ] }",
                  "3:1: routes[0].role_arn: is not in this program; enable "
                  "CONFIG_CREDENTIALS_ASSUME_ROLE\n"
                  "3:18: routes[0].external_id: is not in this program; enable "
                  "CONFIG_CREDENTIALS_ASSUME_ROLE\n");
}
#endif

static void test_lanes_and_windows(void **state)
{
    expect_faults(
        *state,
        "{ \"device\": \"d\", \"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\" },"
        " { \"name\": \"b\", \"driver\": \"proc\", \"lane\": \"alarm\" } ],\n"
        "\"routes\": [ { \"name\": \"k\", \"destination\": \"kinesis\", \"stream\": \"s\","
        " \"region\": \"eu-west-1\", \"lanes\": [ \"bulk\" ] } ] }",
        "1:31: sensors[0].lane: no route carries the lane \"normal\"; add it to the "
        "\"lanes\" of one\n"
        "1:107: sensors[1].lane: no route carries the lane \"alarm\"; add it to the "
        "\"lanes\" of one\n");
    expect_faults(*state,
                  HEAD "\"spool\": { \"lanes\": { \"alarm\": { \"share\": \"60%\" },"
                       " \"bulk\": { \"share\": \"40%\" } } } }",
                  "2:21: spool.lanes: the shares take 100% and leave too little; lower them to "
                  "100% together\n");
    expect_lines(
        *state, HEAD "\"spool\": { \"lanes\": { \"normal\": { \"window\": \"69s\" } } } }", 0,
        "2:45: warning: spool.lanes.normal.window: shorter than age + 10s: every record is "
        "written to flash also while online; lengthen window or shorten age\n");
    expect_lines(*state,
                 HEAD "\"spool\": { \"lanes\": { \"normal\": { \"window\": \"70s\" },"
                      " \"bulk\": { \"window\": \"0s\" } } } }",
                 0, "");
}

static void test_link(void **state)
{
    const struct config *config = expect_good(
        *state, HEAD "\"alarm_after\": \"1h\", \"link\": { \"rate\": \"16KiB/s\","
                     " \"month\": \"400MiB\", \"reset_day\": 31, \"alarm_reserve\": \"5%\" } }");
    assert_int_equal(config->alarm_after_ms, 3600 * 1000);
    assert_int_equal(config->link.rate_bytes, 16384);
    assert_int_equal(config->link.month_bytes, 400u << 20);
    assert_int_equal(config->link.reset_day, 31);
    assert_int_equal(config->link.alarm_reserve_percent, 5);
    expect_printed(config,
                   "link     16KiB/s; 400MiB a month from day 31 on, 5% of it for alarms\n");
    config = expect_good(*state, HEAD "\"link\": { \"month\": \"1MiB\" } }");
    assert_int_equal(config->link.reset_day, 1);
    assert_int_equal(config->link.alarm_reserve_percent, 10);
    expect_printed(config, "link     1MiB a month from day 1 on, 10% of it for alarms\n");
    config = expect_good(*state, HEAD "\"link\": { \"rate\": \"256/s\" } }");
    expect_printed(config, "link     256/s\n");
    expect_faults(*state,
                  HEAD "\"link\": { \"rate\": \"16KiB\", \"reset_day\": 1,\n"
                       "\"alarm_reserve\": \"0%\", \"burst\": 1 } }",
                  "2:19: link.rate: \"16KiB\" is not a rate; write it like \"16KiB/s\"\n"
                  "2:28: link.reset_day: says something of a month that has no limit; add "
                  "\"month\"\n"
                  "3:1: link.alarm_reserve: says something of a month that has no limit; add "
                  "\"month\"\n"
                  "3:24: link.burst: there is no such key; remove it\n");
    expect_faults(*state,
                  HEAD "\"alarm_after\": \"0s\", \"link\": { \"rate\": \"255/s\",\n"
                       "\"month\": \"1KiB\", \"reset_day\": 32, \"alarm_reserve\": \"91%\" } }",
                  "2:16: alarm_after: \"0s\" is out of range; choose from 1s to 7d\n"
                  "2:40: link.rate: \"255/s\" is out of range; choose from 256/s to 1024MiB/s\n"
                  "3:10: link.month: \"1KiB\" is out of range; choose from 1MiB to 1024GiB\n"
                  "3:31: link.reset_day: 32 is out of range; choose from 1 to 31\n"
                  "3:52: link.alarm_reserve: \"91%\" is out of range; choose from 0 to 90%\n");
}

static void test_health(void **state)
{
    const struct config *config = expect_good(*state, HEAD "\"link\": {} }");
    assert_int_equal(config->health_ms, 3600 * 1000);
    config = expect_good(*state, HEAD "\"health\": \"0s\" }");
    assert_int_equal(config->health_ms, 0);
    expect_faults(*state, HEAD "\"health\": \"999ms\" }",
                  "2:11: health: is too often; choose 1s or more, or 0s for never\n");
    expect_faults(*state, HEAD "\"health\": \"8d\" }",
                  "2:11: health: \"8d\" is out of range; choose from 0s to 7d\n");
    config = expect_good(*state, HEAD "\"events\": \"0s\" }");
    assert_int_equal(config->events_ms, 0);
    config = expect_good(*state, HEAD "\"link\": {} }");
    assert_int_equal(config->events_ms, 60 * 1000);
    expect_faults(*state, HEAD "\"events\": \"1ms\" }",
                  "2:11: events: is too soon; choose 1s or more, or 0s for nothing\n");
    expect_faults(*state, HEAD "\"sensors\": [{ \"name\": \"runnel\", \"driver\": \"proc\" }] }",
                  "2:23: sensors[0].name: \"runnel\" is what the agent calls itself in its own "
                  "records; choose another\n");
}

static void test_no_route(void **state)
{
    static const char *const remedy =
        "there is none, so nothing would be delivered; add one like "
        "{ \"name\": \"live\", \"destination\": \"kinesis\", \"region\": \"eu-west-1\", "
        "\"stream\": \"NAME\" }\n";
    char expected[256];
    (void)snprintf(expected, sizeof expected, "1:1: routes: %s", remedy);
    expect_faults(*state, "{ \"device\": \"d\" }", expected);
    (void)snprintf(expected, sizeof expected, "1:28: routes: %s", remedy);
    expect_faults(*state, "{ \"device\": \"d\", \"routes\": [] }", expected);
    expect_faults(*state, "{ \"device\": \"d\", \"routes\": {} }",
                  "1:28: routes: an object is not a list; write it in brackets\n");
    expect_faults(*state,
                  "{ \"device\": \"d\", \"routes\": [ {}, {}, {}, {}, {}, {}, {}, {}, {} ] }",
                  "1:28: routes: there are 9; 8 are the most\n");
}

static void test_text_faults(void **state)
{
    expect_faults(*state, "{ \"device\": \"d\"\n " ROUTE " }",
                  "1:16: a comma is missing here; write it\n");
    expect_faults(*state, "{ \"device\": \"gw 17\", " ROUTE ", }",
                  "1:13: device: is no name for a device; use letters, digits, \"_\", \".\", "
                  "\":\", \"@\" and \"-\"\n"
                  "1:126: a comma in front of }; remove it\n");
    expect_faults(*state, "{ \"device\": d }",
                  "1:13: a text without double quotes; write \" in front of it and behind it\n");
    expect_faults(*state, "\xef\xbb\xbf[]",
                  "1:1: a byte order mark; save the file as UTF-8 without one\n"
                  "1:1: a configuration is an object; begin it with {\n");
    expect_faults(*state, "",
                  "1:1: there is nothing in this file; write { } with keys in it, or remove it\n");
    expect_faults(*state, HEAD "\"spool\": { \"path\": \"\" } }",
                  "2:20: spool.path: \"\" is empty; write something or leave the key out\n");
    expect_faults(*state, HEAD "\"spool\": { \"path\": \"a\\u001bb\" } }",
                  "2:20: spool.path: \"a?b\" contains a control character; remove it\n");
    expect_faults(*state, "{ \"device\": \"gw 17\", " ROUTE " }",
                  "1:13: device: is no name for a device; use letters, digits, \"_\", \".\", "
                  "\":\", \"@\" and \"-\"\n");
}

static void test_at_most_fifty_lines(void **state)
{
    struct fixture *fixture = *state;
    char text[2048] = "{ ";
    for (int i = 0; i < 60; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "\"key%d\": 1,\n", i);
    strcat(text, "\"device\": \"d\", " ROUTE " }");
    assert_int_equal(load(fixture, text), E_CONFIG);
    size_t lines = 0;
    for (const char *at = fixture->faults; *at != '\0'; at++)
        lines += *at == '\n' ? 1 : 0;
    assert_int_equal(lines, 51);
#ifdef CONFIG_DEST_KINESIS
    assert_non_null(strstr(fixture->faults, "and 10 more; mend these first\n"));
#else
    assert_non_null(strstr(fixture->faults, "and 11 more; mend these first\n")); /* the route's */
#endif
}

static void test_null_deletes(void **state)
{
    const struct config *config =
        expect_good(*state, HEAD "\"spool\": null, \"sensors\": [ { \"name\": \"m\","
                                 " \"driver\": \"meter\", \"bus\": \"b\", \"interval\": null,"
                                 " \"gain\": null } ], \"coap\": null }");
    assert_int_equal(config->sensors[0].interval_ms, 10000);
    assert_int_equal(config->sensors[0].setting_count, 1);
}

/* Whatever is missing from a good configuration, the rest is read without a crash. */
static void test_every_prefix(void **state)
{
    static const char text[] = HEAD "\"sensors\": [ { \"name\": \"m\", \"driver\": \"meter\","
                                    " \"bus\": \"${device}\" } ] }";
    for (size_t count = 0; count < sizeof text - 1; count += 3) {
        char prefix[sizeof text];
        memcpy(prefix, text, count);
        prefix[count] = '\0';
        assert_int_equal(load(*state, prefix), E_CONFIG);
    }
    (void)expect_good(*state, text);
}

/* ---- the environment ---- */

static void test_files(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/none.json", fixture->directory);
    assert_int_equal(load_path(fixture, path), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "none.json: does not exist; is the path right?"));
    assert_int_equal(load_path(fixture, fixture->directory), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "cannot be read"));
    char variable[128];
    (void)snprintf(variable, sizeof variable, "RUNNEL_CONFIG=%s", fixture->file);
    const char *const variables[] = {variable, NULL};
    write_file(fixture->file, "{ \"device\": \"by-variable\", " ROUTE " }");
    fixture->variables = variables;
    assert_int_equal(load_path(fixture, NULL), 0);
    assert_string_equal(fixture->config->device, "by-variable");
    assert_string_equal(fixture->config->file, fixture->file);
    assert_int_equal(unlink(fixture->file), 0);
    assert_int_equal(load_path(fixture, NULL), E_AGAIN);
    assert_non_null(strstr(fixture->faults, "does not exist; is the path right?"));
}

static void test_no_file(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_path(fixture, NULL), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "routes: there is none"));
    assert_non_null(strstr(fixture->faults, "/etc/runnel/runnel.json: does not exist and"));
    write_below(fixture, "etc/runnel/runnel.d/a.json", "{ \"device\": \"d\", " ROUTE " }");
    assert_int_equal(load_path(fixture, NULL), 0);
    assert_string_equal(fixture->config->file, "");
    assert_int_equal(fixture->config->file_count, 1);
    assert_non_null(strstr(fixture->config->files[0], "/runnel.d/a.json"));
    write_below(fixture, "etc/runnel/runnel.json", "{ \"sensors\": [] }");
    assert_int_equal(load_path(fixture, NULL), 0);
    assert_int_equal(fixture->config->sensor_count, 0);
    assert_int_equal(fixture->config->file_count, 2);
    assert_string_equal(fixture->config->files[0], fixture->config->file);
}

static void test_fragments_merge(void **state)
{
    struct fixture *fixture = *state;
    write_below(
        fixture, "r.d/20.json",
        "{ \"device\": \"second\", \"sensors\": [ { \"name\": \"b\", \"lane\": \"bulk\" },\n"
        "{ \"name\": \"c\", \"driver\": \"thermal\" } ] }");
    write_below(fixture, "r.d/10.json",
                "{ \"device\": \"first\", \"spool\": { \"size\": \"2MiB\", \"path\": null },"
                " \"routes\": [ { \"name\": \"live\", \"batch\": { \"records\": 7 } } ] }");
    write_below(fixture, "r.d/notes.txt", "{");
    static const char *const leftovers[] = {
        "r.d/.hidden.json", "r.d/20.json~",         "r.d/20.json.bak", "r.d/20.json.dpkg-new",
        "r.d/.20.json.swp", "r.d/20.json.dpkg-old", "r.d/#20.json#",   "r.d/20.json.rpmnew"};
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++)
        write_below(fixture, leftovers[i], "{");
    const struct config *config = expect_good(
        fixture, HEAD "\"spool\": { \"size\": \"1MiB\", \"path\": \"p\", \"ack_window\": \"1s\" },"
                      " \"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\" },"
                      " { \"name\": \"b\", \"driver\": \"proc\", \"interval\": \"7s\" } ] }");
    assert_string_equal(config->device, "second");
    assert_int_equal(config->spool.size_bytes, 2 << 20);
    assert_int_equal(config->spool.ack_window_ms, 1000);
    assert_string_equal(config->spool.path, CONFIG_SPOOL_PATH);
    assert_int_equal(config->sensor_count, 3);
    assert_int_equal(config->sensors[1].lane, CFG_LANE_BULK);
    assert_int_equal(config->sensors[1].interval_ms, 7000);
    assert_string_equal(config->sensors[2].name, "c");
    assert_int_equal(config->route_count, 1);
    assert_int_equal(config->routes[0].batch_records, 7);
    assert_string_equal(config->routes[0].stream, "telemetry");
}

static void test_faults_in_fragments(void **state)
{
    struct fixture *fixture = *state;
    char expected[256];
    write_below(fixture, "r.d/10.json", "{\n \"sensors\": [ { \"name\": \"a\", \"lane\": 1 } ] }");
    write_file(fixture->file, HEAD "\"sensors\": [ { \"name\": \"a\", \"driver\": \"proc\" } ] }");
    assert_int_equal(load_path(fixture, fixture->file), E_CONFIG);
    (void)snprintf(expected, sizeof expected,
                   "%s/r.d/10.json:2:38: sensors[0].lane: 1 is none of alarm, normal, bulk; choose "
                   "one of them\n",
                   fixture->directory);
    assert_string_equal(fixture->faults, expected);
    write_below(fixture, "r.d/10.json", "{ \"device\": \"a\", \"device\": \"b\" }");
    assert_int_equal(load_path(fixture, fixture->file), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "10.json:1:18: device: this key is there twice"));
    write_below(fixture, "r.d/10.json", "{");
    assert_int_equal(load_path(fixture, fixture->file), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "10.json:1:2: the file ends, and the { of line 1"));
    write_below(fixture, "r.d/20.json", "\n");
    write_below(fixture, "r.d/30.json/there", "a directory of this name");
    assert_int_equal(load_path(fixture, fixture->file), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "10.json:1:2: the file ends"));
    assert_non_null(strstr(fixture->faults, "20.json:1:1: there is nothing in this file"));
    assert_non_null(strstr(fixture->faults, "30.json: cannot be read: Is a directory; mend that"));
}

static void test_state_directory(void **state)
{
    struct fixture *fixture = *state;
    static const char *const both[] = {"RUNNEL_STATE=/a", "STATE_DIRECTORY=/b:/c", NULL};
    static const char *const named[] = {HEAD "\"spool\": { \"path\": \"/d\" } }",
                                        "{ \"device\": \"d\", " ROUTE " }"};
    static const char *const expected[] = {"/a", "/a", "/d", "/b", "/d", CONFIG_SPOOL_PATH};
    for (size_t i = 0; i < 6; i++) {
        fixture->variables = both + i / 2;
        assert_string_equal(expect_good(fixture, named[i % 2])->spool.path, expected[i]);
    }
}

static const char *host_with(struct fixture *fixture, const char *region,
                             const char *const *variables)
{
    char text[256];
    (void)snprintf(text, sizeof text, KINESIS "\"stream\": \"s\"%s%s%s } ] }",
                   region == NULL ? "" : ", \"region\": \"", region == NULL ? "" : region,
                   region == NULL ? "" : "\"");
    fixture->variables = variables;
    return expect_good(fixture, text)->routes[0].endpoint.host;
}

static void test_region_and_endpoint(void **state)
{
    struct fixture *fixture = *state;
    static const char *const regions[] = {"AWS_REGION=ap-south-1", "AWS_DEFAULT_REGION=us-east-1",
                                          NULL};
    static const char *const fips[] = {"AWS_USE_FIPS_ENDPOINT=true", NULL};
    static const char *const dual[] = {"AWS_USE_DUALSTACK_ENDPOINT=TRUE",
                                       "AWS_USE_FIPS_ENDPOINT=false", NULL};
    static const char *const urls[] = {"AWS_ENDPOINT_URL_KINESIS=https://k.example:8443",
                                       "AWS_ENDPOINT_URL=https://any.example", NULL};
    assert_string_equal(host_with(fixture, NULL, regions), "kinesis.ap-south-1.amazonaws.com");
    assert_string_equal(host_with(fixture, NULL, regions + 1), "kinesis.us-east-1.amazonaws.com");
    assert_string_equal(host_with(fixture, "eu-west-1", regions),
                        "kinesis.eu-west-1.amazonaws.com");
    assert_string_equal(host_with(fixture, "eu-west-1", fips),
                        "kinesis-fips.eu-west-1.amazonaws.com");
    assert_string_equal(host_with(fixture, "cn-north-1", dual),
                        "kinesis.cn-north-1.api.amazonwebservices.com.cn");
    assert_string_equal(host_with(fixture, "eu-west-1", urls), "k.example");
    assert_int_equal(fixture->config->routes[0].endpoint.port, 8443);
    assert_string_equal(host_with(fixture, "eu-west-1", urls + 1), "any.example");
}

static void test_region_of_the_shared_config_file(void **state)
{
    needs_keys();
    struct fixture *fixture = *state;
    char home[64];
    char file[64];
    const char *variables[] = {home, NULL, NULL, NULL};
    (void)snprintf(home, sizeof home, "HOME=%s", fixture->directory);
    (void)snprintf(file, sizeof file, "AWS_CONFIG_FILE=%s/other", fixture->directory);
    write_below(fixture, ".aws/config",
                "[default]\nregion = eu-north-1\n[profile x]\nRegion=eu-west-3 # near\n");
    write_below(fixture, "other", "[default]\nregion = sa-east-1");
    assert_string_equal(host_with(fixture, NULL, variables), "kinesis.eu-north-1.amazonaws.com");
    variables[1] = "AWS_PROFILE=x";
    assert_string_equal(host_with(fixture, NULL, variables), "kinesis.eu-west-3.amazonaws.com");
    variables[1] = file;
    assert_string_equal(host_with(fixture, NULL, variables), "kinesis.sa-east-1.amazonaws.com");
    variables[2] = "AWS_DEFAULT_REGION=us-east-1";
    assert_string_equal(host_with(fixture, NULL, variables), "kinesis.us-east-1.amazonaws.com");
    assert_string_equal(host_with(fixture, "eu-west-1", variables),
                        "kinesis.eu-west-1.amazonaws.com");
    variables[1] = NULL;
    fixture->variables = variables;
    const struct config *config = expect_good(
        fixture, "{ \"device\": \"d\", \"credentials\": { \"k\": { \"provider\": \"file\","
                 " \"profile\": \"x\" } }, \"routes\": [ { \"name\": \"live\", \"stream\": \"s\","
                 " \"destination\": \"kinesis\", \"credentials\": \"k\" } ] }");
    assert_string_equal(config->routes[0].region, "eu-west-3");
}

static void test_no_region_in_the_shared_config_file(void **state)
{
    struct fixture *fixture = *state;
    char file[64];
    const char *variables[] = {file, "AWS_PROFILE=x", NULL};
    static const char route[] = "{ \"device\": \"d\", \"routes\": [ { \"name\": \"live\", "
                                "\"stream\": \"s\", \"destination\": \"kinesis\" } ] }";
    static const char missing[] = "1:30: routes[0].region: is missing; write it like "
                                  "\"eu-west-1\", or set AWS_REGION\n";
    fixture->variables = variables;
    (void)snprintf(file, sizeof file, "AWS_CONFIG_FILE=%s", fixture->directory); /* no file */
    expect_faults(fixture, route, missing);
    (void)snprintf(file, sizeof file, "AWS_CONFIG_FILE=%s/absent", fixture->directory);
    expect_faults(fixture, route, missing);
    (void)snprintf(file, sizeof file, "AWS_CONFIG_FILE=%s/other", fixture->directory);
    write_below(fixture, "other", "[x]\nregion = eu-west-1\n[profile y]\nregion = eu-west-1\n");
    expect_faults(fixture, route, missing);
    write_below(fixture, "other", "[profile x]\nregion = in the north\n");
    expect_faults(fixture, route,
                  "1:30: routes[0].region: is no region; write it like \"eu-west-1\"\n");
}

static void test_bad_variables(void **state)
{
    struct fixture *fixture = *state;
    static const char *const variables[] = {"AWS_USE_FIPS_ENDPOINT=yes", "AWS_CA_BUNDLE=/ca.pem",
                                            NULL};
    static const char *const url[] = {"AWS_ENDPOINT_URL=http://user:secret@host", NULL};
    fixture->variables = variables;
    expect_faults(fixture, "{ \"device\": \"d\", " ROUTE " }",
                  "AWS_USE_FIPS_ENDPOINT: is neither true nor false; write one of them\n");
    fixture->variables = variables + 1;
    assert_string_equal(expect_good(fixture, "{ \"device\": \"d\", " ROUTE " }")->routes[0].ca_file,
                        "/ca.pem");
    fixture->variables = url;
    expect_faults(fixture, "{ \"device\": \"d\", " ROUTE " }",
                  "AWS_ENDPOINT_URL: is no endpoint; write it like https://host or "
                  "https://host:port\n");
}

#ifdef CONFIG_HTTP_PROXY
#define ROUTE_WITH(more)                                                                           \
    "{ \"device\": \"d\", \"routes\": [ { \"name\": \"live\", \"destination\": \"kinesis\", "      \
    "\"region\": \"eu-west-1\", \"stream\": \"telemetry\"" more " } ] }"

/* "" for none. */
static void expect_proxy(struct fixture *fixture, const char *text, const char *host, uint16_t port)
{
    const struct cfg_proxy *proxy = &expect_good(fixture, text)->routes[0].endpoint.proxy;
    assert_string_equal(proxy->host == NULL ? "" : proxy->host, host);
    assert_int_equal(proxy->port, port);
}

static void test_proxy_of_the_environment(void **state)
{
    struct fixture *fixture = *state;
    static const char *const large[] = {"HTTPS_PROXY=http://a.example:3128",
                                        "https_proxy=http://b.example", NULL};
    static const char *const except[] = {"https_proxy=b.example:8080/",
                                         "no_proxy=.example.com, amazonaws.com:443", NULL};
    static const char *const other[] = {"https_proxy=http://[fd00::1]:8080",
                                        "NO_PROXY=kinesis.eu-west-1.amazonaws.com:444", NULL};
    fixture->variables = large;
    expect_proxy(fixture, ROUTE_WITH(""), "a.example", 3128);
    assert_null(fixture->config->routes[0].endpoint.proxy.user);
    fixture->variables = large + 1;
    expect_proxy(fixture, ROUTE_WITH(""), "b.example", 1080);
    fixture->variables = except;
    expect_proxy(fixture, ROUTE_WITH(""), "", 0);
    fixture->variables = other;
    expect_proxy(fixture, ROUTE_WITH(""), "fd00::1", 8080);
    expect_proxy(fixture, ROUTE_WITH(", \"endpoint\": \"https://localhost:1\""), "", 0);
    expect_proxy(fixture, ROUTE_WITH(", \"endpoint\": \"http://127.0.0.1:1\""), "", 0);
    expect_proxy(fixture, ROUTE_WITH(", \"endpoint\": \"https://169.254.170.2\""), "", 0);
    expect_proxy(fixture, ROUTE_WITH(", \"endpoint\": \"https://[fd00:0ec2::254]\""), "", 0);
    expect_proxy(fixture, ROUTE_WITH(", \"proxy\": \"none\""), "", 0);
    fixture->variables = NULL;
    expect_proxy(fixture, ROUTE_WITH(""), "", 0);
}

static void test_proxy_of_a_route(void **state)
{
    struct fixture *fixture = *state;
    static const char *const variables[] = {"HTTPS_PROXY=http://a.example:3128", "NO_PROXY=*",
                                            NULL};
    char printed[2048] = "";
    char text[512];
    fixture->variables = variables;
    expect_proxy(fixture, ROUTE_WITH(", \"proxy\": \"http://us%65r:p%40ss:w@c.example:8080\""),
                 "c.example", 8080);
    assert_string_equal(fixture->config->routes[0].endpoint.proxy.user, "user");
    assert_string_equal(fixture->config->routes[0].endpoint.proxy.password, "p@ss:w");
    FILE *to = fmemopen(printed, sizeof printed, "w");
    assert_non_null(to);
    config_print(fixture->config, to);
    assert_int_equal(fclose(to), 0);
    assert_non_null(
        strstr(printed, "by the proxy c.example, port 8080, with user name and password"));
    assert_null(strstr(printed, "p@ss"));
    assert_null(strstr(printed, "p%40ss"));
    write_below(fixture, "proxy", "http://u:secret@d.example\n");
    (void)snprintf(text, sizeof text, ROUTE_WITH(", \"proxy\": \"${file:%s/proxy}\""),
                   fixture->directory);
    expect_proxy(fixture, text, "d.example", 1080);
    assert_string_equal(fixture->config->routes[0].endpoint.proxy.password, "secret");
    expect_proxy(fixture,
                 ROUTE_WITH(", \"endpoint\": \"https://[::1]\", \"proxy\": \"http://e.example\""),
                 "", 0);
}

/* None of them shows a part of the URL. */
static void test_bad_proxies(void **state)
{
    struct fixture *fixture = *state;
    static const char *const tls[] = {"HTTPS_PROXY=https://user:secret@p.example", NULL};
    static const char *const broken[] = {"https_proxy=http://user:secret@p.example:0", NULL};
    fixture->variables = tls;
    expect_faults(fixture, ROUTE_WITH(""),
                  "HTTPS_PROXY: is no HTTP proxy: others, and TLS towards the proxy, are not "
                  "supported; write it like http://user:password@host:port\n");
    expect_proxy(fixture, ROUTE_WITH(", \"endpoint\": \"https://localhost:1\""), "", 0);
    fixture->variables = broken;
    expect_faults(fixture, ROUTE_WITH(""),
                  "https_proxy: is no proxy; write it like http://user:password@host:port\n");
    fixture->variables = NULL;
    expect_faults(fixture, ROUTE_WITH(",\n\"proxy\": \"user:secret@p.example\""),
                  "2:10: routes[0].proxy: is no proxy; write it like "
                  "http://user:password@host:port\n");
    expect_faults(fixture, ROUTE_WITH(",\n\"proxy\": \"socks5://user:secret@p.example\""),
                  "2:10: routes[0].proxy: is no HTTP proxy: others, and TLS towards the proxy, are "
                  "not supported; write it like http://user:password@host:port\n");
    expect_faults(fixture, ROUTE_WITH(",\n\"proxy\": 3128"),
                  "2:10: routes[0].proxy: 3128 is not a text; write it in double quotes\n");
}
#endif

/* ---- the small parts ---- */

static void test_endpoint_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int rc;
        const char *host;
        unsigned port;
    } rows[] = {
        {"https://a.example", 0, "a.example", 443},
        {"https://a.example:65535/", 0, "a.example", 65535},
        {"https://10.0.0.1:1", 0, "10.0.0.1", 1},
        {"https://[2001:db8::1]", 0, "2001:db8::1", 443},
        {"http://localhost", 0, "localhost", 80},
        {"http://127.0.0.1:4567", 0, "127.0.0.1", 4567},
        {"http://[::1]:80", 0, "::1", 80},
        {"http://a.example", E_REFUSED, NULL, 0},
        {"http://127.0.0.1.example", E_REFUSED, NULL, 0},
        {"https://", E_SYNTAX, NULL, 0},
        {"https://a.example:0", E_SYNTAX, NULL, 0},
        {"https://a.example:65536", E_SYNTAX, NULL, 0},
        {"https://a.example:", E_SYNTAX, NULL, 0},
        {"https://a.example/path", E_SYNTAX, NULL, 0},
        {"https://u:p@a.example", E_SYNTAX, NULL, 0},
        {"https://[::1", E_SYNTAX, NULL, 0},
        {"ftp://a.example", E_SYNTAX, NULL, 0},
        {"a.example", E_SYNTAX, NULL, 0},
        {"", E_SYNTAX, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_endpoint endpoint = {.port = 7};
        assert_int_equal(config_endpoint_parse(rows[i].url, &endpoint), rows[i].rc);
        assert_int_equal(endpoint.port, rows[i].rc == 0 ? rows[i].port : 7);
        if (rows[i].rc == 0)
            assert_string_equal(endpoint.host, rows[i].host);
    }
}

/* As the rule sets of botocore 1.43 resolve them. */
static void test_service_urls(void **state)
{
    (void)state;
    static const struct {
        const char *service, *region;
        bool fips, dual_stack;
        const char *url;
    } rows[] = {
        {"kinesis", "eu-west-1", false, false, "https://kinesis.eu-west-1.amazonaws.com"},
        {"kinesis", "eu-west-1", false, true, "https://kinesis.eu-west-1.api.aws"},
        {"kinesis", "us-east-1", true, false, "https://kinesis-fips.us-east-1.amazonaws.com"},
        {"kinesis", "us-east-1", true, true, "https://kinesis-fips.us-east-1.api.aws"},
        {"kinesis", "us-gov-west-1", true, false, "https://kinesis.us-gov-west-1.amazonaws.com"},
        {"kinesis", "us-gov-west-1", true, true, "https://kinesis-fips.us-gov-west-1.api.aws"},
        {"kinesis", "cn-north-1", false, false, "https://kinesis.cn-north-1.amazonaws.com.cn"},
        {"kinesis", "cn-north-1", false, true,
         "https://kinesis.cn-north-1.api.amazonwebservices.com.cn"},
        {"kinesis", "eusc-de-east-1", false, false, "https://kinesis.eusc-de-east-1.amazonaws.eu"},
        {"kinesis", "cn-north-1", true, false, "https://kinesis-fips.cn-north-1.amazonaws.com.cn"},
        {"kinesis", "cn-north-1", true, true,
         "https://kinesis-fips.cn-north-1.api.amazonwebservices.com.cn"},
        {"kinesis", "eusc-de-east-1", false, true,
         "https://kinesis.eusc-de-east-1.api.amazonwebservices.eu"},
        {"kinesis", "us-gov-east-1", false, true, "https://kinesis.us-gov-east-1.api.aws"},
        {"123456789012.data-kinesis", "eu-west-1", false, false,
         "https://123456789012.data-kinesis.eu-west-1.amazonaws.com"},
        {"123456789012.data-kinesis", "eu-west-1", false, true,
         "https://123456789012.data-kinesis.eu-west-1.api.aws"},
        {"123456789012.data-kinesis", "eu-west-1", true, false,
         "https://123456789012.data-kinesis-fips.eu-west-1.amazonaws.com"},
        {"123456789012.data-kinesis", "eu-west-1", true, true,
         "https://123456789012.data-kinesis-fips.eu-west-1.api.aws"},
        {"123456789012.data-kinesis", "us-gov-west-1", true, false,
         "https://123456789012.data-kinesis-fips.us-gov-west-1.amazonaws.com"},
        {"123456789012.data-kinesis", "cn-north-1", false, false,
         "https://123456789012.data-kinesis.cn-north-1.amazonaws.com.cn"},
        {"123456789012.data-kinesis", "eusc-de-east-1", false, false,
         "https://123456789012.data-kinesis.eusc-de-east-1.amazonaws.eu"},
        {"firehose", "eu-west-1", false, false, "https://firehose.eu-west-1.amazonaws.com"},
        {"firehose", "eu-west-1", false, true, "https://firehose.eu-west-1.api.aws"},
        {"firehose", "us-east-1", true, false, "https://firehose-fips.us-east-1.amazonaws.com"},
        {"firehose", "us-east-1", true, true, "https://firehose-fips.us-east-1.api.aws"},
        {"firehose", "us-gov-west-1", true, false,
         "https://firehose-fips.us-gov-west-1.amazonaws.com"},
        {"firehose", "us-gov-west-1", true, true, "https://firehose-fips.us-gov-west-1.api.aws"},
        {"firehose", "cn-north-1", false, false, "https://firehose.cn-north-1.amazonaws.com.cn"},
        {"firehose", "cn-north-1", false, true,
         "https://firehose.cn-north-1.api.amazonwebservices.com.cn"},
        {"firehose", "eusc-de-east-1", false, false,
         "https://firehose.eusc-de-east-1.amazonaws.eu"},
        {"firehose", "eusc-de-east-1", false, true,
         "https://firehose.eusc-de-east-1.api.amazonwebservices.eu"},
        {"sts", "us-gov-west-1", true, false, "https://sts.us-gov-west-1.amazonaws.com"},
        {"sts", "us-gov-west-1", true, true, "https://sts-fips.us-gov-west-1.api.aws"},
        {"sts", "us-east-1", true, false, "https://sts-fips.us-east-1.amazonaws.com"},
        {"sts", "us-east-1", false, true, "https://sts.us-east-1.api.aws"},
    };
    char url[CONFIG_ENDPOINT_URL_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(config_endpoint_build(rows[i].service, rows[i].region, rows[i].fips,
                                               rows[i].dual_stack, url),
                         0);
        assert_string_equal(url, rows[i].url);
    }
    assert_int_equal(config_endpoint_build("kinesis", "", false, false, url), E_SYNTAX);
    assert_int_equal(config_endpoint_build("kinesis", "eu.evil.example/", false, false, url),
                     E_SYNTAX);
    assert_int_equal(config_endpoint_build("kinesis", "-eu", false, false, url), E_SYNTAX);
}

static void expect_expanded(const struct fixture *fixture, const char *text, const char *expected)
{
    const struct expand expand = {.root = fixture->directory, .device = "gw"};
    char expanded[EXPAND_BYTES] = "untouched";
    char why[EXPAND_WHY_BYTES] = "";
    int rc = expand_text(&expand, text, expanded, why);
    if (expected == NULL) {
        assert_true(rc < 0 && why[0] != '\0');
        assert_string_equal(expanded, "untouched");
    } else if (rc != 0)
        fail_msg("%s", why);
    else
        assert_string_equal(expanded, expected);
}

static void test_expand(void **state)
{
    const struct fixture *fixture = *state;
    char hostname[256] = "";
    char text[256];
    assert_int_equal(gethostname(hostname, sizeof hostname - 1), 0);
    write_below(fixture, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    write_below(fixture, "sys/class/net/eth0/address", "02:00:00:00:00:01\n");
    write_below(fixture, "sys/class/net/lo/address", "00:00:00:00:00:00\n");
    write_below(fixture, "name", "from a file\r\n\n");
    write_below(fixture, "empty", "\n");
    expect_expanded(fixture, "plain $ } {", "plain $ } {");
    expect_expanded(fixture, "${hostname}", hostname);
    expect_expanded(fixture, "a-${machine-id}-b", "a-0123456789abcdef0123456789abcdef-b");
    expect_expanded(fixture, "${mac:eth0}${device}", "02:00:00:00:00:01gw");
    expect_expanded(fixture, "$${device}", "${device}");
    expect_expanded(fixture, "$$", "$$");
    (void)snprintf(text, sizeof text, "${file:%s/name}", fixture->directory);
    expect_expanded(fixture, text, "from a file");
    (void)snprintf(text, sizeof text, "${file:%s/empty}", fixture->directory);
    expect_expanded(fixture, text, NULL);
    static const char *const bad[] = {"${mac:lo}",     "${mac:eth9}", "${mac:../net/eth0}",
                                      "${mac}",        "${mac:}",     "${file:/nowhere/at/all}",
                                      "${hostname:x}", "${what}",     "${}",
                                      "${thing}",      "${open"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_expanded(fixture, bad[i], NULL);
}

/* A service manager tries again when what may come by itself is all that is missing. */
static void test_what_may_come(void **state)
{
    struct fixture *fixture = *state;
    char text[256];
    write_below(fixture, "sys/class/net/lo/address", "00:00:00:00:00:00\n");
    assert_int_equal(load(fixture, "{ \"device\": \"${mac:wwan0}\", " ROUTE " }"), E_AGAIN);
    assert_int_equal(load(fixture, "{ \"device\": \"${mac:wwan0}\", \"x\": 1, " ROUTE " }"),
                     E_CONFIG);
    assert_int_equal(load(fixture, "{ \"device\": \"${mac:lo}\", " ROUTE " }"), E_CONFIG);
    assert_int_equal(load(fixture, "{ \"device\": \"${serial}\", " ROUTE " }"), E_CONFIG);
    (void)snprintf(text, sizeof text, "{ \"device\": \"${file:%s/id}\", " ROUTE " }",
                   fixture->directory);
    assert_int_equal(load(fixture, text), E_AGAIN);
    write_below(fixture, "id", "gw\n");
    assert_int_equal(load(fixture, text), 0);
}

static void test_serial(void **state)
{
    const struct fixture *fixture = *state;
    expect_expanded(fixture, "${serial}", NULL);
    write_below(fixture, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    expect_expanded(fixture, "${serial}", "0123456789abcdef0123456789abcdef");
    write_below(fixture, "sys/class/dmi/id/board_serial", "B-1\n");
    expect_expanded(fixture, "${serial}", "B-1");
}

static void expect_device(struct fixture *fixture, const char *text, const char *device,
                          const char *thing)
{
    const struct config *config = expect_good(fixture, text);
    assert_string_equal(config->device, device);
    assert_string_equal(config->credentials[0].thing, thing);
}

#define THING(device, more)                                                                        \
    "{ \"device\": \"" device "\", " ROUTE ", \"credentials\": { \"default\": {\n" more " } } }"
#define OF_IOT                                                                                     \
    "\"provider\": \"iot\", \"endpoint\": \"https://c.credentials.iot.eu-west-1.amazonaws.com\","  \
    " \"role_alias\": \"r\", \"cert_file\": \"/c/${device}.pem\", \"key_file\": "                  \
    "\"/k/${thing}.pem\""

static void test_device_and_thing_name_each_other(void **state)
{
#ifndef CONFIG_CREDENTIALS_IOT
    skip();
#endif
    struct fixture *fixture = *state;
    expect_device(fixture, THING("${thing}", OF_IOT ", \"thing\": \"pump-4\""), "pump-4", "pump-4");
    assert_string_equal(fixture->config->credentials[0].cert_file, "/c/pump-4.pem");
    assert_string_equal(fixture->config->credentials[0].key_file, "/k/pump-4.pem");
    expect_device(fixture, THING("gw-17", OF_IOT ", \"thing\": \"site-${device}\""), "gw-17",
                  "site-gw-17");
    expect_faults(fixture, THING("${thing}", OF_IOT ", \"thing\": \"${device}\""),
                  "1:13: device: ${thing}: credentials.default.thing: ${device}: the device cannot "
                  "be named after itself; use ${hostname}, ${serial} or a name\n"
                  "2:149: credentials.default.key_file: ${thing}: credentials.default.thing: "
                  "${device}: the device cannot be named after itself; use ${hostname}, ${serial} "
                  "or a name\n");
    expect_faults(
        fixture, THING("d", OF_IOT ", \"thing\": \"a-${thing}\""),
        "2:149: credentials.default.key_file: ${thing}: credentials.default.thing: "
        "${thing}: the thing cannot be named after itself; use ${device}, ${serial} or a name\n"
        "2:177: credentials.default.thing: ${thing}: "
        "the thing cannot be named after itself; use ${device}, ${serial} or a name\n");
    expect_faults(
        fixture, "{ \"device\": \"${thing}\", " ROUTE " }",
        "1:13: device: ${thing}: there is none; write \"thing\" and \"provider\": \"iot\" into "
        "\"credentials\": { \"default\": ... }, or use ${device}\n");
}

/* What was applied lies in the state directory, which may be called after the thing as well. */
static void test_what_was_applied_is_found_by_the_thing(void **state)
{
#ifndef CONFIG_CREDENTIALS_IOT
    skip();
#endif
    static const char applied[] = "{ " ROUTE ", \"alarm_after\": \"7m\" }";
    struct fixture *fixture = *state;
    struct config_store store;
    char text[1024];
    char path[128];
    const struct config_offer offer = {.document = applied,
                                       .count = sizeof applied - 1,
                                       .origin = CFG_ORIGIN_SOURCE,
                                       .confirm_ms = 60000};
    (void)snprintf(text, sizeof text, "%s", THING("${thing}", OF_IOT ", \"thing\": \"pump-4\""));
    (void)snprintf(strrchr(text, '}'), 100, ", \"spool\": { \"path\": \"%s/${device}\" } }",
                   fixture->directory);
    (void)snprintf(path, sizeof path, "%s/pump-4", fixture->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(config_store_read(path, &store), 0);
    assert_int_equal(config_store_offer(&store, &offer), 0);
    assert_int_equal(expect_good(fixture, text)->alarm_after_ms, 7 * 60000);
}

#define SOURCE(text) "{ \"device\": \"gw\", " ROUTE ",\n\"config\": { " text " } }"

static void needs_source(void)
{
#ifndef CONFIG_CONFIG_SOURCE
    skip();
#endif
}

static void test_source_of_the_configuration(void **state)
{
    needs_source();
    const struct config *config =
        expect_good(*state, SOURCE("\"source\": \"s3://fleet/site-4/${device}.json\", \"region\": "
                                   "\"eu-west-1\", \"confirm\": \"5m\""));
    const struct cfg_source *source = &config->source;
    assert_string_equal(source->bucket, "fleet");
    assert_string_equal(source->key, "site-4/gw.json");
    assert_string_equal(source->endpoint.host, "fleet.s3.eu-west-1.amazonaws.com");
    assert_false(source->path_style);
    assert_true(source->endpoint_built);
    assert_int_equal(source->interval_ms, 3600 * 1000);
    assert_int_equal(source->confirm_ms, 5 * 60 * 1000);
    assert_ptr_equal(source->credentials, &config->credentials[0]);
    config =
        expect_good(*state, SOURCE("\"source\": \"s3://my.fleet/a\", \"region\": \"eu-west-1\","
                                   " \"endpoint\": \"https://localhost:9000\""));
    assert_true(config->source.path_style);
    assert_false(config->source.endpoint_built);
    config = expect_good(*state, "{ \"device\": \"gw\", " ROUTE " }");
    assert_null(config->source.url);
}

static void test_sources_that_cannot_be(void **state)
{
    needs_source();
    static const struct {
        const char *text, *faults;
    } rows[] = {
        {"\"source\": \"https://fleet/a.json\"", "2:23: config.source: is no object of S3"},
        {"\"source\": \"s3://fleet\"", "2:23: config.source: is no object of S3"},
        {"\"source\": \"s3://fleet/\"", "2:23: config.source: is no object of S3"},
        {"\"source\": \"s3://fleet/a/../b\"", "2:23: config.source: is no object of S3"},
        {"\"source\": \"s3://fleet/a?b\"", "2:23: config.source: is no object of S3"},
        {"\"source\": \"s3://Fleet/a\"", "2:23: config.source: names no bucket"},
        {"\"source\": \"s3://fleet/a\"", "2:11: config.region: is missing"},
        {"\"source\": \"s3://fleet/a\", \"region\": \"eu-west-1\", \"credentials\": \"nobody\"",
         "2:77: config.credentials: \"nobody\" is not among"},
        {"\"source\": \"s3://fleet/a\", \"region\": \"eu-west-1\", \"interval\": \"0s\"",
         "config.interval: \"0s\" is out of range"},
        {"\"interval\": \"1h\"", "2:13: config.interval: says something of a source"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "{ \"device\": \"gw\", %s,\n\"config\": { %s } }", ROUTE,
                       rows[i].text);
        assert_int_equal(load(fixture, text), E_CONFIG);
        if (strstr(fixture->faults, rows[i].faults) == NULL)
            fail_msg("%s", fixture->faults);
    }
}

/* What it is named after may come by itself. */
static void test_a_thing_that_may_come(void **state)
{
#ifndef CONFIG_CREDENTIALS_IOT
    skip();
#endif
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, THING("${thing}", OF_IOT ", \"thing\": \"${mac:wwan0}\"")),
                     E_AGAIN);
}

static void expect_generic(struct fixture *fixture, const char *device, bool generic)
{
    char text[512];
    (void)snprintf(text, sizeof text, "{ \"device\": \"%s\", " ROUTE " }", device);
    const struct config *config = expect_good(fixture, text);
    assert_int_equal(config->device_warning != NULL, generic);
    assert_int_equal(strstr(fixture->faults, "1:13: warning: device: ") != NULL, generic);
    assert_int_equal(strstr(fixture->faults, "is what many machines are called") != NULL, generic);
}

static void test_generic_names_are_warned_of(void **state)
{
    static const char *const generic[] = {"localhost",         "localhost.localdomain",
                                          "RaspberryPi",       "gateway",
                                          "raspberrypi.local", "debian",
                                          "beaglebone",        "qemu-armv7",
                                          "imx6ull",           "raspberrypi"};
    static const char *const own[] = {"gw-17",       "localhosts",     "raspberrypi-2f3a",
                                      "gateway-17",  "pump.localhost", "0123456789abcdef",
                                      "debian-house"};
    for (size_t i = 0; i < sizeof generic / sizeof generic[0]; i++)
        expect_generic(*state, generic[i], true);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        expect_generic(*state, own[i], false);
}

/* Whatever a key is: those of lists, of tags, of drivers, choices and numbers in quotes. */
static void test_every_text_is_expanded(void **state)
{
    struct fixture *fixture = *state;
    const char *at = fixture->directory;
    char text[2048];
    write_below(fixture, "kinesis", "kinesis\n");
    write_below(fixture, "bulk", "bulk\n");
    write_below(fixture, "time", "7s\n");
    write_below(fixture, "size", "2MiB\n");
    (void)snprintf(
        text, sizeof text,
        "{ \"device\": \"d\", \"alarm_after\": \"${file:%s/time}\","
        " \"spool\": { \"size\": \"${file:%s/size}\", \"path\": \"/var/${device}\" },"
        " \"sensors\": [ { \"name\": \"${device}-m\", \"driver\": \"meter\", \"lane\":"
        " \"${file:%s/bulk}\", \"tags\": { \"t\": \"${device}\" }, \"bus\": \"tcp://${device}\","
        " \"channels\": [ { \"name\": \"${device}\", \"register\": 1 } ],"
        " \"masks\": [ \"${device}\" ] } ],"
        " \"routes\": [ { \"name\": \"${device}-r\", \"destination\": \"${file:%s/kinesis}\","
        " \"region\": \"eu-west-1\", \"stream\": \"s-${device}\","
        " \"lanes\": [ \"${file:%s/bulk}\" ] } ] }",
        at, at, at, at, at);
    const struct config *config = expect_good(fixture, text);
    const struct cfg_sensor *sensor = &config->sensors[0];
    assert_int_equal(config->alarm_after_ms, 7000);
    assert_int_equal(config->spool.size_bytes, 2 << 20);
    assert_string_equal(config->spool.path, "/var/d");
    assert_string_equal(sensor->name, "d-m");
    assert_int_equal(sensor->lane, CFG_LANE_BULK);
    assert_string_equal(sensor->tags[0].value, "d");
    assert_int_equal(sensor->setting_count, 4);
    assert_string_equal(sensor->settings[0].value, "tcp://d");
    assert_string_equal(sensor->settings[1].value, "d");
    assert_string_equal(sensor->settings[3].value, "d");
    assert_string_equal(config->routes[0].name, "d-r");
    assert_string_equal(config->routes[0].stream, "s-d");
    assert_true(config->routes[0].lanes[CFG_LANE_BULK]);
    assert_false(config->routes[0].lanes[CFG_LANE_ALARM]);
}

static void test_expansion_is_bounded(void **state)
{
    const struct fixture *fixture = *state;
    char text[600];
    char big[600];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    write_below(fixture, "big", big);
    (void)snprintf(text, sizeof text, "${file:%s/big}", fixture->directory);
    expect_expanded(fixture, text, NULL);
    big[300] = '\0';
    write_below(fixture, "big", big);
    expect_expanded(fixture, text, big);
    (void)snprintf(text, sizeof text, "${file:%s/big}${file:%s/big}", fixture->directory,
                   fixture->directory);
    expect_expanded(fixture, text, NULL);
}

/* What a file holds may be a secret: no fault shows it. */
static void test_expanded_values_are_not_shown(void **state)
{
    struct fixture *fixture = *state;
    char text[512];
    write_below(fixture, "secret", "hunter2 hunter2\n");
    (void)snprintf(text, sizeof text,
                   "{ \"device\": \"${file:%s/secret}\", \"spool\": { \"size\": "
                   "\"${file:%s/secret}\" }, " ROUTE " }",
                   fixture->directory, fixture->directory);
    assert_int_equal(load(fixture, text), E_CONFIG);
    assert_non_null(strstr(fixture->faults, "spool.size: \"${file:"));
    assert_null(strstr(fixture->faults, "hunter2"));
}

static void test_unresolved_default_device(void **state)
{
    expect_faults(*state, "{ " ROUTE " }",
                  "1:1: device: ${serial}: this machine has neither a serial number nor a "
                  "machine-id; run systemd-machine-id-setup or use a name\n");
}

static const char *nearest_of(struct nearest *nearest, const char *word)
{
    static const char *const words[] = {"interval", "timeout", "lane", "lanes", "name"};
    nearest_start(nearest, word);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        nearest_offer(nearest, words[i], strlen(words[i]));
    return nearest_result(nearest);
}

static void test_nearest(void **state)
{
    (void)state;
    struct nearest nearest;
    char word[200];
    assert_string_equal(nearest_of(&nearest, "intervall"), "interval");
    assert_string_equal(nearest_of(&nearest, "itnerval"), "interval");
    assert_string_equal(nearest_of(&nearest, "timout"), "timeout");
    assert_string_equal(nearest_of(&nearest, "lane"), "lane");
    assert_string_equal(nearest_of(&nearest, "lanez"), "lane");
    assert_null(nearest_of(&nearest, "driver"));
    assert_null(nearest_of(&nearest, ""));
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_null(nearest_of(&nearest, word));
}

/* ---- what a reload changes ---- */

struct told {
    char text[2048];
};

static void tell_change(void *context, const struct config_change *change)
{
    struct told *told = context;
    size_t used = strlen(told->text);
    (void)snprintf(told->text + used, sizeof told->text - used, "%s%s: %s -> %s%s\n",
                   change->is_whole ? "all of " : "", change->key,
                   change->from == NULL ? "-" : change->from, change->to == NULL ? "-" : change->to,
                   change->needs_restart ? " (restart)" : "");
}

static void expect_changes(struct fixture *fixture, const char *from, const char *to,
                           const char *expected)
{
    struct told told = {.text = ""};
    (void)expect_good(fixture, from);
    struct config *before = fixture->config;
    fixture->config = NULL;
    const struct config *after = expect_good(fixture, to);
    assert_int_equal(config_diff(before, after, tell_change, &told), 0);
    config_free(before);
    assert_string_equal(told.text, expected);
}

#define SENSOR "{ \"name\": \"a\", \"driver\": \"proc\""

static void test_what_a_reload_changes(void **state)
{
    struct fixture *fixture = *state;
    expect_changes(fixture, HEAD "\"sensors\": [ " SENSOR " } ] }",
                   HEAD "\"sensors\": [ " SENSOR ", \"interval\": \"10s\" } ] }", "");
    expect_changes(fixture, HEAD "\"sensors\": [ " SENSOR " } ] }",
                   HEAD "\"sensors\": [ " SENSOR ", \"interval\": \"1m\", \"tags\": "
                        "{ \"site\": \"x\" } } ], \"link\": { \"rate\": \"16KiB/s\" },\n"
                        "\"spool\": { \"path\": \"/d\", \"size\": \"1MiB\" } }",
                   "spool.path: " CONFIG_SPOOL_PATH " -> /d (restart)\n"
                   "spool.size: 32MiB -> 1MiB\n"
                   "sensors.a.interval: 10s -> 1m\n"
                   "sensors.a.tags.site: - -> x\n"
                   "link.rate: 0/s -> 16KiB/s\n");
    expect_changes(fixture, HEAD "\"sensors\": [ " SENSOR " } ] }",
                   HEAD "\"sensors\": [ { \"name\": \"a.b\", \"driver\": \"proc\" } ] }",
                   "all of sensors.a.b: - -> \nall of sensors.a:  -> -\n");
}

/* Neither a password nor what a file holds is told, but that it changed is. */
static void test_changes_tell_no_secret(void **state)
{
    struct fixture *fixture = *state;
    char from[512];
    char to[512];
    char expected[512];
    char *const texts[] = {from, to};
    static const char *const words[] = {"hunter2", "hunter3"};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(texts[i], sizeof from,
                       HEAD "\"sensors\": [ " SENSOR
                            ", \"tags\": { \"site\": \"${file:%s/%s}\" } } ],\n"
                            "\"credentials\": { \"x\": { \"provider\": \"web_identity\", "
                            "\"proxy\": \"http://u:%s@h:1\" } } }",
                       fixture->directory, words[i], words[i]);
        write_below(fixture, words[i], words[i]);
    }
    (void)snprintf(expected, sizeof expected,
                   "sensors.a.tags.site: ${file:%s/hunter2} -> ${file:%s/hunter3}\n"
                   "credentials.x.proxy: http://u:***@h:1 -> http://u:***@h:1\n",
                   fixture->directory, fixture->directory);
    expect_changes(fixture, from, to, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_sensors_kconfig_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_everything_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_print, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_faults_at_once_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_and_duplicate_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_driver_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits_of_driver_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drivers_and_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drivers_of_no_version, set_up, tear_down),
        cmocka_unit_test(test_choices_that_kconfig_left_out),
        cmocka_unit_test(test_what_is_required_is_explained),
        cmocka_unit_test_setup_teardown(test_what_a_driver_finds_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_interval_is_only_what_is_written_where_events_count,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_in_this_program, set_up, tear_down),
#ifndef CONFIG_COAP
        cmocka_unit_test_setup_teardown(test_coap_is_left_out, set_up, tear_down),
#else
        cmocka_unit_test_setup_teardown(test_nobody_is_listened_to_unless_it_is_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_coap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sensors_of_coap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listeners_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plain_coap_is_warned_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sensors_of_coap_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_members_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lanes_of_coap_need_a_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rates_of_coap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fragments_merge_sensors_of_coap, set_up, tear_down),
        cmocka_unit_test(test_frequencies),
#endif
#ifdef CONFIG_DEST_S3
        cmocka_unit_test_setup_teardown(test_s3, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_s3_endpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_s3_encryption, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_s3_faults, set_up, tear_down),
#else
        cmocka_unit_test_setup_teardown(test_s3_is_left_out, set_up, tear_down),
#endif
#ifdef CONFIG_DEST_ARCHIVE
        cmocka_unit_test_setup_teardown(test_archive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_archive_faults, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_route_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_account_endpoint, set_up, tear_down),
#ifdef CONFIG_DEST_FIREHOSE
        cmocka_unit_test_setup_teardown(test_firehose, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_firehose_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_firehose_has_no_keys, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orders_that_are_taken, set_up, tear_down),
#ifdef HAS_SHAPES
        cmocka_unit_test_setup_teardown(test_records_that_nobody_could_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_records_that_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_print_of_shapes, set_up, tear_down),
#endif
#ifdef LACKS_SHAPES
        cmocka_unit_test_setup_teardown(test_shapes_are_left_out, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_names_of_routes_and_credentials, set_up, tear_down),
#ifdef CONFIG_DEST_APIGATEWAY
        cmocka_unit_test_setup_teardown(test_api, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_api_by_endpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_api_faults, set_up, tear_down),
#ifdef CONFIG_CREDENTIALS_OAUTH2
        cmocka_unit_test_setup_teardown(test_api_with_oauth2, set_up, tear_down),
#endif
#endif
#if defined(CONFIG_CREDENTIALS_IOT) && defined(CONFIG_CREDENTIALS_WEB_IDENTITY)
        cmocka_unit_test_setup_teardown(test_iot_credentials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faulty_iot_credentials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_web_identity_credentials, set_up, tear_down),
#endif
#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
        cmocka_unit_test_setup_teardown(test_role, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_role_regions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_roles_are_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_role_faults, set_up, tear_down),
#ifdef CONFIG_HTTP_PROXY
        cmocka_unit_test_setup_teardown(test_role_by_a_proxy, set_up, tear_down),
#endif
#else
        cmocka_unit_test_setup_teardown(test_roles_are_left_out, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_lanes_and_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_health, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_most_fifty_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_null_deletes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fragments_merge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults_in_fragments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_region_and_endpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_region_of_the_shared_config_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_region_in_the_shared_config_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_bad_variables, set_up, tear_down),
#ifndef CONFIG_HTTP_PROXY
        cmocka_unit_test_setup_teardown(test_proxies_are_left_out, set_up, tear_down),
#endif
#ifdef CONFIG_HTTP_PROXY
        cmocka_unit_test_setup_teardown(test_proxy_of_the_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_proxy_of_a_route, set_up, tear_down),
#if defined(CONFIG_CREDENTIALS_IOT) && defined(CONFIG_CREDENTIALS_WEB_IDENTITY)
        cmocka_unit_test_setup_teardown(test_iot_credentials_by_a_proxy, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_bad_proxies, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_endpoint_urls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_service_urls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_may_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_serial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_device_and_thing_name_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_thing_that_may_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_source_of_the_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sources_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_applied_is_found_by_the_thing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_generic_names_are_warned_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_text_is_expanded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expansion_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expanded_values_are_not_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unresolved_default_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nearest, set_up, tear_down),
#ifdef ALL_TRANSFORMS
        cmocka_unit_test_setup_teardown(test_transforms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_alarms_need_a_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transforms_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transforms_that_do_not_go_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_intervals_beyond_the_window_are_warned_of, set_up,
                                        tear_down),
#endif
#ifndef CONFIG_TRANSFORMS
        cmocka_unit_test_setup_teardown(test_transforms_are_left_out, set_up, tear_down),
#elif !defined(CONFIG_TRANSFORM_RATE)
        cmocka_unit_test_setup_teardown(test_a_transform_is_left_out, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_what_a_reload_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes_tell_no_secret, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
