/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control/config_store.h"
#include "agent/control/config_walk.h"
#include "platform/base/error.h"
#include "platform/fs.h"

#define DEVICE "\"device\": \"gw-17\""
#define SENSOR "\"sensors\": [ { \"name\": \"board\", \"driver\": \"proc\" } ]"
#define ROUTE_OF(more)                                                                             \
    "\"routes\": [ { \"name\": \"live\", \"destination\": \"kinesis\", \"stream\": \"s\","         \
    " \"region\": \"eu-west-1\"" more " } ]"
#define ROUTE ROUTE_OF("")
#define INPUT_OF(path)                                                                             \
    "\"sensors\": [ { \"name\": \"in\", \"driver\": \"lines\", \"path\": \"" path "\" } ]"
#define OFFERED  "offered.json"
#define TRIAL_MS 900000

static char folder[32];
static char state_path[64];
static char main_path[64];
static char *faults;
static struct config *loaded;

static const char *get_variable(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "RUNNEL_STATE") == 0 ? state_path : NULL;
}

static void put(const char *path, const char *text)
{
    assert_int_equal(fs_replace_file(path, text, strlen(text), 0600), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(state_path, sizeof state_path, "%s/state", folder);
    (void)snprintf(main_path, sizeof main_path, "%s/r.json", folder);
    assert_int_equal(mkdir(state_path, 0700), 0);
    put(main_path, "{ " DEVICE ", " SENSOR ", " ROUTE " }");
    return 0;
}

static void forget(void)
{
    config_free(loaded);
    free(faults);
    loaded = NULL;
    faults = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    forget();
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* What CONFIG came to, in `loaded` and `faults`. */
static int load(enum cfg_layer layer, const char *offered, enum cfg_origin origin)
{
    size_t count;
    forget();
    FILE *to = open_memstream(&faults, &count);
    assert_non_null(to);
    const struct config_offered offer = {.name = OFFERED,
                                         .text = offered,
                                         .count = offered != NULL ? strlen(offered) : 0,
                                         .origin = origin};
    const struct config_options options = {.path = main_path,
                                           .root = folder,
                                           .get_variable = get_variable,
                                           .faults = to,
                                           .layer = layer,
                                           .offer = &offer,
                                           .places = true};
    int rc = config_load(&options, &loaded);
    (void)fclose(to);
#ifndef CONFIG_DEST_KINESIS
    skip();
#endif
    return rc;
}

static struct config_store read_store(void)
{
    struct config_store store;
    assert_int_equal(config_store_read(state_path, &store), E_OK);
    return store;
}

static int offer(struct config_store *store, const char *document, enum cfg_origin origin)
{
    const struct config_offer offered = {.document = document,
                                         .count = document != NULL ? strlen(document) : 0,
                                         .origin = origin,
                                         .confirm_ms = TRIAL_MS,
                                         .main_digest = "0123456789abcdef",
                                         .route_count = 2,
                                         .routes = {"live", "lake"}};
    return config_store_offer(store, &offered);
}

static bool has_place(const struct config_store *store, unsigned place)
{
    char path[FS_PATH_BYTES];
    assert_int_equal(config_store_path(store, place, path), E_OK);
    return access(path, F_OK) == 0;
}

/* ---- the store ---- */

static void test_a_trial_is_passed(void **state)
{
    (void)state;
    struct config_store store = read_store();
    assert_false(store.trial.is_on);
    assert_int_equal(store.good.place, 0);
    assert_int_equal(offer(&store, "{ \"a\": 1 }", CFG_ORIGIN_LOCAL), E_OK);
    store = read_store();
    assert_true(store.trial.is_on);
    assert_int_equal(store.trial.left_ms, TRIAL_MS);
    assert_int_equal(store.trial.route_count, 2);
    assert_string_equal(store.trial.routes[1], "lake");
    assert_int_equal(config_store_prove(&store, "live"), E_OK);
    assert_int_equal(config_store_prove(&store, "other"), E_OK);
    store = read_store();
    assert_int_equal(store.trial.route_count, 1);
    assert_string_equal(store.trial.routes[0], "lake");
    assert_int_equal(config_store_confirm(&store), E_OK);
    store = read_store();
    assert_false(store.trial.is_on);
    assert_int_equal(store.good.place, 1);
    assert_int_equal(store.outcome.result, CONFIG_RESULT_CONFIRMED);
    assert_string_equal(store.outcome.digest, store.good.digest);
    assert_false(store.outcome.told);
    assert_int_equal(config_store_told(&store), E_OK);
    assert_true(read_store().outcome.told);
}

static void test_a_trial_is_not_passed(void **state)
{
    (void)state;
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{ \"a\": 1 }", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(config_store_confirm(&store), E_OK);
    assert_int_equal(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_LOCAL), E_OK);
    assert_true(has_place(&store, 2));
    assert_int_equal(config_store_revert(&store, "live", "a \"word\"\n of \xff\xfe"), E_OK);
    store = read_store();
    assert_false(store.trial.is_on);
    assert_int_equal(store.good.place, 1);
    assert_int_equal(store.outcome.result, CONFIG_RESULT_REVERTED);
    assert_string_equal(store.outcome.route, "live");
    assert_string_equal(store.outcome.error, "a \"word\"? of ??");
    assert_true(has_place(&store, 1));
    assert_false(has_place(&store, 2));
}

/* The longest text that anybody says of a route can be read back, whatever it is made of. */
static void test_a_long_reason(void **state)
{
    (void)state;
    char reason[400];
    memset(reason, 0xff, sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{}", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(config_store_revert(&store, "live", reason), E_OK);
    assert_int_equal(strlen(read_store().outcome.error), CONFIG_STORE_ERROR_BYTES - 1);
}

static void test_time_runs_out_in_starts(void **state)
{
    (void)state;
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{}", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(config_store_step_ms(&store), 60000);
    assert_int_equal(config_store_start(&store), E_OK);
    assert_int_equal(store.trial.left_ms, TRIAL_MS); /* the start that it began with */
    assert_int_equal(config_store_spend(&store, 60000), E_OK);
    int starts = 0;
    for (; store.trial.left_ms > 0; starts++)
        assert_int_equal(config_store_start(&store), E_OK);
    assert_int_equal(starts, 14);
    assert_int_equal(read_store().trial.left_ms, 0);
}

/* Where flash takes nothing, as on a full disk, a trial ends all the same. */
static void test_a_trial_ends_where_nothing_can_be_written(void **state)
{
    (void)state;
    char path[FS_PATH_BYTES];
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{ \"a\": 1 }", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(fs_join(store.directory, "state.json", path, sizeof path), E_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(config_store_confirm(&store) < 0);
    assert_true(store.trial.is_on);
    assert_true(config_store_spend(&store, TRIAL_MS) < 0);
    assert_int_equal(store.trial.left_ms, 0);
    assert_true(config_store_revert(&store, "live", "no") < 0);
    assert_false(store.trial.is_on);
    assert_true(has_place(&store, 1)); /* flash may name it */
    assert_true(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_LOCAL) < 0);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(config_store_write(&store), E_OK);
    assert_false(has_place(&store, 1));
    assert_int_equal(read_store().outcome.result, CONFIG_RESULT_REVERTED);
}

/* One more while a trial is on: what was good stays so, and the third place is taken. */
static void test_another_one_during_a_trial(void **state)
{
    (void)state;
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{ \"a\": 1 }", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(config_store_confirm(&store), E_OK);
    assert_int_equal(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(offer(&store, "{ \"a\": 3 }", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(store.good.place, 1);
    assert_int_equal(store.trial.applied.place, 3);
    assert_false(has_place(&store, 2));
    assert_int_equal(offer(&store, NULL, CFG_ORIGIN_LOCAL), E_OK); /* the main file */
    store = read_store();
    assert_true(store.trial.is_on);
    assert_int_equal(store.trial.applied.place, 0);
    assert_int_equal(config_store_confirm(&store), E_OK);
    assert_int_equal(read_store().good.place, 0);
    assert_false(has_place(&store, 1));
}

/* What is fetched again and again is tried once. */
static void test_what_the_source_may_offer(void **state)
{
    (void)state;
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{ \"a\": 1 }", CFG_ORIGIN_SOURCE), E_OK);
    assert_int_equal(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_SOURCE), E_BUSY);
    assert_int_equal(config_store_confirm(&store), E_OK);
    assert_int_equal(offer(&store, "{ \"a\": 1 }", CFG_ORIGIN_SOURCE), E_EXISTS);
    assert_int_equal(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_SOURCE), E_OK);
    assert_int_equal(config_store_revert(&store, "live", "no"), E_OK);
    assert_int_equal(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_SOURCE), E_REFUSED);
    assert_int_equal(offer(&store, "{ \"a\": 2 }", CFG_ORIGIN_LOCAL), E_OK);
}

static void test_a_damaged_state(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{ \"good\": 5 }",
        "{ \"good\": { \"place\": 4, \"origin\": \"local\" } }",
        "{ \"good\": { \"place\": 1, \"origin\": \"elsewhere\" } }",
        "{ \"trial\": { \"place\": 1, \"origin\": \"local\", \"total_ms\": 5, \"left_ms\": 6 } }",
        "{ \"outcome\": { \"result\": \"lost\", \"origin\": \"local\" } }",
    };
    char path[FS_PATH_BYTES];
    struct config_store store = read_store();
    assert_int_equal(offer(&store, "{}", CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(fs_join(store.directory, "state.json", path, sizeof path), E_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put(path, texts[i]);
        assert_int_equal(config_store_read(state_path, &store), E_DAMAGED);
        assert_false(store.trial.is_on);
        assert_int_equal(store.good.place, 0);
    }
    assert_int_equal(load(CFG_LAYER_RUN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    assert_non_null(strstr(faults, "what was applied in"));
    assert_int_equal(loaded->state, CFG_STATE_MAIN);
}

/* ---- what it comes to ---- */

static void apply(const char *document, enum cfg_origin origin)
{
    struct config_store store = read_store();
    assert_int_equal(offer(&store, document, origin), E_OK);
}

static void test_what_is_applied_has_the_main_files_place(void **state)
{
    (void)state;
    char fragment[80];
    apply("{ \"device\": \"other\", " SENSOR
          ", " ROUTE_OF(", \"batch\": { \"records\": 7 }") ", \"alarm_after\": \"7m\" }",
          CFG_ORIGIN_LOCAL);
    (void)snprintf(fragment, sizeof fragment, "%s/r.d", folder);
    assert_int_equal(mkdir(fragment, 0700), 0);
    (void)snprintf(fragment, sizeof fragment, "%s/r.d/a.json", folder);
    put(fragment, "{ \"alarm_after\": \"9m\" }");
    assert_int_equal(load(CFG_LAYER_RUN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    assert_int_equal(loaded->state, CFG_STATE_TRIAL);
    assert_string_equal(loaded->device, "other");
    assert_int_equal(loaded->routes[0].batch_records, 7);
    assert_int_equal(loaded->alarm_after_ms, 9 * 60000); /* fragments lie above it */
    assert_int_equal(loaded->file_count, 2);
    assert_string_equal(loaded->main_file, main_path);
    assert_true(loaded->main_changed); /* its digest was not that of the file */
    assert_int_equal(load(CFG_LAYER_GOOD, NULL, CFG_ORIGIN_LOCAL), E_OK);
    assert_string_equal(loaded->device, "gw-17");
    assert_int_equal(loaded->state, CFG_STATE_MAIN);
}

static void test_the_spool_stays(void **state)
{
    (void)state;
    static const char moved[] = "{ " DEVICE ", " SENSOR ", " ROUTE
                                ", \"spool\": { \"path\": \"/elsewhere\", \"size\": \"4MiB\" } }";
    assert_int_equal(load(CFG_LAYER_OFFER, moved, CFG_ORIGIN_LOCAL), E_CONFIG);
    assert_non_null(strstr(faults, OFFERED ":1:"));
    assert_non_null(strstr(faults, "moves the spool"));
    apply(moved, CFG_ORIGIN_LOCAL); /* whoever got it there: it has no effect */
    assert_int_equal(load(CFG_LAYER_RUN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    assert_string_equal(loaded->spool.path, state_path);
    assert_int_equal(loaded->spool.size_bytes, 4 << 20);
}

static void expect_refused(const char *document, const char *words)
{
    assert_int_equal(load(CFG_LAYER_OFFER, document, CFG_ORIGIN_SOURCE), E_CONFIG);
    if (strstr(faults, words) == NULL)
        fail_msg("%s: %s", words, faults);
}

#if defined(CONFIG_DRIVER_LINES) || defined(CONFIG_DRIVER_EXEC) || defined(CONFIG_DRIVER_I2C) ||   \
    defined(CONFIG_DRIVER_MODBUS) || defined(CONFIG_COAP)
static void expect_accepted(const char *document)
{
    if (load(CFG_LAYER_OFFER, document, CFG_ORIGIN_SOURCE) != E_OK)
        fail_msg("%s: %s", document, faults);
}
#endif

static void test_what_a_fetched_document_may_not_say(void **state)
{
    (void)state;
    put(main_path,
        "{ " DEVICE ", " SENSOR
        ", " ROUTE_OF(", \"ca_file\": \"/etc/ca.pem\"") ","
                                                        " \"credentials\": { \"default\": { "
                                                        "\"provider\": \"chain\" } } }");
    expect_refused("{ \"device\": \"x\", " ROUTE " }", "1:3: device: cannot be changed");
    expect_refused("{ \"credentials\": {}, " ROUTE " }", "credentials: cannot be changed");
    expect_refused("{ \"spool\": { \"path\": \"/x\" }, " ROUTE " }",
                   "spool.path: cannot be changed");
    expect_refused("{ " ROUTE_OF(", \"ca_file\": \"/etc/shadow\"") " }", "as \"ca_file\"");
    expect_refused("{ " ROUTE_OF(", \"key_file\": \"/etc/ca.pem\", \"cert_file\": \"/c\"") " }",
                   "as \"key_file\"");
    expect_refused("{ " SENSOR ", " ROUTE_OF(", \"proxy\": \"http://${file:/etc/shadow}\"") " }",
                   "names a file");
    expect_refused("{ " INPUT_OF("/etc/runnel/device.key") ", " ROUTE " }", "that no sensor of");
    expect_refused("{ " INPUT_OF("/dev/serial/../../etc/shadow") ", " ROUTE " }", "no sensor of");
#ifdef CONFIG_TRANSFORM_REDACT
    expect_refused(
        "{ \"sensors\": [ { \"name\": \"board\", \"driver\": \"proc\", \"transforms\": [ { "
        "\"redact\": { \"channel\": \"x\", \"action\": \"hmac\", \"key_file\": "
        "\"/etc/shadow\" } } ] } ], " ROUTE_OF(", \"ca_file\": \"/etc/ca.pem\"") " }",
        "as \"key_file\"");
#endif
#ifdef CONFIG_DRIVER_LINES
    expect_accepted("{ " INPUT_OF("/dev/ttyS0") ", " ROUTE " }");
    expect_accepted("{ " INPUT_OF("unix:/run/runnel/plc") ", " ROUTE " }");
#endif
#ifdef CONFIG_COAP
    expect_refused("{ \"coap\": { \"listen\": [ \"coap://[::1]\" ] }, " ROUTE " }",
                   "coap.listen[0]: is an address at which the main file does not listen");
    expect_refused("{ \"coap\": { \"psk_file\": \"/etc/shadow\" }, " ROUTE " }", "as \"psk_file\"");
#endif
    assert_int_equal(load(CFG_LAYER_OFFER,
                          "{ " SENSOR ", " ROUTE_OF(", \"ca_file\": \"/etc/ca.pem\"") " }",
                          CFG_ORIGIN_SOURCE),
                     E_OK);
    assert_string_equal(loaded->device, "gw-17");
    assert_int_equal(loaded->credentials_count, 1);
    assert_string_equal(loaded->spool.path, state_path);
}

#ifdef CONFIG_COAP
static void test_a_fetched_document_opens_no_other_door(void **state)
{
    (void)state;
    put(main_path, "{ " DEVICE ", " ROUTE ", \"coap\": { \"listen\": [ \"coap://[::1]\" ] } }");
    expect_accepted("{ " ROUTE ", \"coap\": { \"listen\": [ \"coap://[::1]\" ] } }");
    expect_refused("{ " ROUTE ", \"coap\": { \"listen\": [ \"coap://[::1]\", "
                   "\"coap://[::1]:9\" ] } }",
                   "coap.listen[1]: is an address at which the main file");
}
#endif

#ifdef CONFIG_DRIVER_EXEC
#define COMMAND_OF(words)                                                                          \
    "\"sensors\": [ { \"name\": \"modem\", \"driver\": \"exec\", \"interval\": \"10s\", "          \
    "\"command\": [ " words " ] } ]"

static void test_a_fetched_document_has_no_other_program_run(void **state)
{
    (void)state;
    put(main_path, "{ " DEVICE ", " COMMAND_OF("\"/bin/modem\", \"-x\"") ", " ROUTE " }");
    expect_refused("{ " COMMAND_OF("\"/bin/sh\"") ", " ROUTE " }", "is run by no sensor of");
    expect_refused("{ " COMMAND_OF("\"/bin/modem\"") ", " ROUTE " }", "is run by no sensor of");
    expect_refused("{ " COMMAND_OF("\"/bin/modem\", \"-y\"") ", " ROUTE " }", "is run by no");
    expect_refused("{ " COMMAND_OF("\"/bin/modem\", \"-x\", \"-z\"") ", " ROUTE " }", "is run by");
    expect_accepted("{ " COMMAND_OF("\"/bin/modem\", \"-x\"") ", " ROUTE " }");
    assert_int_equal(load(CFG_LAYER_OFFER,
                          "{ " DEVICE ", " COMMAND_OF("\"/bin/sh\"") ", " ROUTE " }",
                          CFG_ORIGIN_LOCAL),
                     E_OK);
}
#endif

#ifdef CONFIG_DRIVER_I2C
#define CHIP_OF(address, more, init)                                                               \
    "\"sensors\": [ { \"name\": \"light\", \"driver\": \"i2c\", \"bus\": \"1\", \"address\": "     \
    "\"" address "\", \"chip\": \"registers\", " more                                              \
    "\"init\": [ { \"register\": \"0x01\", \"value\": \"" init                                     \
    "\" } ], \"channels\": [ { \"name\": \"lux\", \"register\": \"0x10\" } ] } ]"

static void test_a_fetched_document_has_no_other_chip_written_to(void **state)
{
    (void)state;
    put(main_path, "{ " DEVICE ", " CHIP_OF("0x10", "", "0x07") ", " ROUTE " }");
    expect_accepted("{ " CHIP_OF("0x10", "\"interval\": \"3s\", ", "0x07") ", " ROUTE " }");
    expect_refused("{ " CHIP_OF("0x60", "", "0x07") ", " ROUTE " }", "is no chip that a sensor of");
    expect_refused("{ " CHIP_OF("0x10", "", "0x08") ", " ROUTE " }", "is no chip that a sensor of");
    expect_refused("{ " CHIP_OF("0x10", "\"register_bits\": 16, ", "0x07") ", " ROUTE " }",
                   "is no chip that a sensor of");
    expect_refused("{ \"sensors\": [ { \"name\": \"a\", \"driver\": \"i2c\", \"bus\": \"1\", "
                   "\"address\": \"0x10\", \"chip\": \"tmp102\" } ], " ROUTE " }",
                   "is no chip that a sensor of");
    assert_int_equal(load(CFG_LAYER_OFFER,
                          "{ " DEVICE ", " CHIP_OF("0x60", "", "0x07") ", " ROUTE " }",
                          CFG_ORIGIN_LOCAL),
                     E_OK);
}
#endif

#ifdef CONFIG_DRIVER_MODBUS
#define LINE_OF(bus)                                                                               \
    "\"sensors\": [ { \"name\": \"meter\", \"driver\": \"modbus\", \"bus\": \"" bus                \
    "\", \"channels\": [ { \"name\": \"power\", \"register\": 1 } ] } ]"

static void test_a_fetched_document_has_no_other_file_opened_as_a_line(void **state)
{
    (void)state;
    put(main_path, "{ " DEVICE ", " LINE_OF("rtu:///run/own-line") ", " ROUTE " }");
    expect_refused("{ " LINE_OF("rtu:///dev/watchdog") ", " ROUTE " }", "no sensor of the main");
    expect_refused("{ " LINE_OF("rtu:///dev/tty/../watchdog") ", " ROUTE " }", "no sensor of the");
    expect_accepted("{ " LINE_OF("rtu:///dev/ttyUSB0") ", " ROUTE " }");
    expect_accepted("{ " LINE_OF("rtu:///run/own-line") ", " ROUTE " }");
    expect_accepted("{ " LINE_OF("tcp://192.0.2.7") ", " ROUTE " }");
}
#endif

/* ---- names, places, differences ---- */

struct found {
    const char *path;
    char text[100];
    char where[100];
};

static void look(void *context, const struct config_value *value)
{
    struct found *found = context;
    char text[CONFIG_SHOWN_BYTES];
    if (strcmp(value->path, found->path) != 0)
        return;
    const struct config_place *place = config_place(loaded, value->address);
    (void)snprintf(found->text, sizeof found->text, "%s", config_walk_shown(value, text));
    (void)snprintf(found->where, sizeof found->where, "%s",
                   place != NULL ? place->where : "default");
}

static void expect_shown(const char *path, const char *text, const char *where)
{
    struct found found = {.path = path};
    config_walk(loaded, look, &found);
    assert_string_equal(found.text, text);
    if (strstr(found.where, where) == NULL)
        fail_msg("%s is from %s, not %s", path, found.where, where);
}

static void test_each_value_knows_its_place(void **state)
{
    (void)state;
    put(main_path,
        "{ " DEVICE ",\n" SENSOR ",\n\n" ROUTE_OF(", \"lanes\": [ \"alarm\", \"normal\" ]") " }");
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    expect_shown("device", "gw-17", "r.json:1");
    expect_shown("sensors.board.driver", "proc", "r.json:2");
    expect_shown("routes.live.stream", "s", "r.json:4");
    expect_shown("routes.live.lanes", "alarm normal", "r.json:4");
    expect_shown("routes.live.partition", "even", "default");
    expect_shown("spool.lanes.normal.window", "75s", "default");
    expect_shown("spool.path", state_path, "RUNNEL_STATE");
}

static void test_the_query_of_a_url_is_not_shown(void **state)
{
    (void)state;
    put(main_path, "{ " DEVICE ", " SENSOR
                   ", \"routes\": [ { \"name\": \"gate\", \"destination\": \"apigateway\","
                   " \"auth\": \"none\", \"url\": \"https://a.example/x?key=secret\" } ] }");
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    expect_shown("routes.gate.url", "https://a.example/x?***", "r.json:1");
}

static void get_name(const char *document, char name[CONFIG_ID_TEXT_BYTES])
{
    put(main_path, document);
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    config_walk_name(loaded, name);
}

static void test_the_name_is_that_of_what_is_effective(void **state)
{
    (void)state;
    char name[CONFIG_ID_TEXT_BYTES];
    char other[CONFIG_ID_TEXT_BYTES];
    get_name("{ " DEVICE ", " SENSOR ", " ROUTE " }", name);
    assert_int_equal(strlen(name), 16);
    get_name("// the same\n{ " SENSOR ",\n " ROUTE_OF(", \"order\": \"fifo\"") ", " DEVICE " }",
             other);
    assert_string_equal(name, other);
    get_name("{ " DEVICE ", " SENSOR ", " ROUTE_OF(", \"order\": \"strict\","
                                                   " \"partition\": \"sensor\"") " }",
             other);
    assert_string_not_equal(name, other);
}

#ifdef CONFIG_HTTP_PROXY
static void test_no_password_is_shown_or_named(void **state)
{
    (void)state;
    char name[CONFIG_ID_TEXT_BYTES];
    char other[CONFIG_ID_TEXT_BYTES];
    get_name("{ " DEVICE ", " SENSOR ", " ROUTE_OF(", \"proxy\": \"http://u:first@p:1\"") " }",
             name);
    expect_shown("routes.live.proxy", "http://u:***@p:1", "r.json:1");
    get_name("{ " DEVICE ", " SENSOR ", " ROUTE_OF(", \"proxy\": \"http://u:other@p:1\"") " }",
             other);
    assert_string_equal(name, other);
}
#endif

static unsigned changed(const char *before, const char *after)
{
    char names[CFG_ROUTES_MAX][CFG_NAME_BYTES];
    put(main_path, before);
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    struct config *old = loaded;
    loaded = NULL;
    put(main_path, after);
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    unsigned count = config_walk_changed(loaded, old, names);
    config_free(old);
    assert_int_equal(config_walk_changed(loaded, NULL, names), 1);
    return count;
}

static void test_what_a_route_depends_on(void **state)
{
    (void)state;
    static const char base[] = "{ " DEVICE ", " SENSOR ", " ROUTE " }";
    assert_int_equal(changed(base, base), 0);
    assert_int_equal(changed(base, "{ " DEVICE ", \"sensors\": [], " ROUTE " }"), 0);
    /* A mistake that takes the last route's records as well has to prove itself all the same. */
    assert_int_equal(changed(base, "{ " DEVICE ", " SENSOR ", " ROUTE_OF(", \"hold\": false") " }"),
                     1);
    assert_int_equal(changed(base, "{ \"device\": \"x\", " SENSOR ", " ROUTE " }"), 1);
    assert_int_equal(
        changed(base, "{ " DEVICE ", " SENSOR ", " ROUTE_OF(", \"lanes\": [ \"normal\" ]"
                                                            " ") " }"),
        1);
    assert_int_equal(
        changed(base, "{ " DEVICE ", " SENSOR ", " ROUTE ", \"link\": { \"rate\": \"1KiB/s\" } }"),
        1);
    assert_int_equal(changed(base, "{ " DEVICE ", " SENSOR ", " ROUTE
                                   ", \"credentials\": { \"default\": { \"provider\": \"chain\","
                                   " \"profile\": \"p\" } } }"),
                     1);
}

#ifdef CONFIG_DEST_APIGATEWAY
#define API_OF(host, more)                                                                         \
    "{ " DEVICE ", " SENSOR ", \"routes\": [ { \"name\": \"api\", "                                \
    "\"destination\": \"apigateway\", \"url\": \"https://" host "/a\", " more " } ] }"
#define BEARER "\"auth\": \"bearer\", \"token_file\": \"/t\""

static void expect_astray(const char *before, const char *after, bool astray)
{
    put(main_path, before);
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    struct config *old = loaded;
    loaded = NULL;
    put(main_path, after);
    assert_int_equal(load(CFG_LAYER_MAIN, NULL, CFG_ORIGIN_LOCAL), E_OK);
    const char *route = config_walk_astray(loaded, old);
    assert_int_equal(route != NULL, astray);
    config_free(old);
}

static void test_where_secrets_go(void **state)
{
    (void)state;
    static const char base[] = API_OF("here.test", BEARER);
    expect_astray(base, base, false);
    expect_astray(base, API_OF("here.test", BEARER ", \"body\": \"lines\""), false);
    expect_astray(base, API_OF("there.test", BEARER), true);
    expect_astray(base, API_OF("here.test:8443", BEARER), true);
    expect_astray(base, API_OF("here.test", BEARER ", \"host\": \"there.test\""), true);
    expect_astray(base, API_OF("there.test", "\"auth\": \"none\""), false);
    expect_astray(API_OF("here.test", "\"auth\": \"none\""), base, true);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_trial_is_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_trial_is_not_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_long_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_runs_out_in_starts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_trial_ends_where_nothing_can_be_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_another_one_during_a_trial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_the_source_may_offer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_applied_has_the_main_files_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_spool_stays, set_up, tear_down),
#ifdef CONFIG_DRIVER_EXEC
        cmocka_unit_test_setup_teardown(test_a_fetched_document_has_no_other_program_run, set_up,
                                        tear_down),
#endif
#ifdef CONFIG_DRIVER_I2C
        cmocka_unit_test_setup_teardown(test_a_fetched_document_has_no_other_chip_written_to,
                                        set_up, tear_down),
#endif
#ifdef CONFIG_DRIVER_MODBUS
        cmocka_unit_test_setup_teardown(test_a_fetched_document_has_no_other_file_opened_as_a_line,
                                        set_up, tear_down),
#endif
#ifdef CONFIG_COAP
        cmocka_unit_test_setup_teardown(test_a_fetched_document_opens_no_other_door, set_up,
                                        tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_what_a_fetched_document_may_not_say, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_each_value_knows_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_query_of_a_url_is_not_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_name_is_that_of_what_is_effective, set_up,
                                        tear_down),
#ifdef CONFIG_HTTP_PROXY
        cmocka_unit_test_setup_teardown(test_no_password_is_shown_or_named, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_what_a_route_depends_on, set_up, tear_down),
#ifdef CONFIG_DEST_APIGATEWAY
        cmocka_unit_test_setup_teardown(test_where_secrets_go, set_up, tear_down),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
