/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/hash.h"
#include "platform/json/json_read.h"
#include "platform/json/json_write.h"

enum { PLACES = 3, STATE_BYTES = 4096, STEP_MS = 60000, STEPS_MIN = 10 };
enum { DIRECTORY_MODE = 0750, FILE_MODE = 0640 };

static const char *const results[] = {"none", "confirmed", "reverted"};

void config_store_digest(const void *document, size_t count,
                         char ret_digest[CONFIG_STORE_DIGEST_BYTES])
{
    uint8_t digest[HASH_SHA256_BYTES];
    hash_sha256(document, count, digest);
    bytes_put_hex(ret_digest, digest, (CONFIG_STORE_DIGEST_BYTES - 1) / 2);
}

int config_store_path(const struct config_store *store, unsigned place, char path[FS_PATH_BYTES])
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u.json", place);
    return fs_join(store->directory, name, path, FS_PATH_BYTES);
}

static int state_path(const struct config_store *store, char path[FS_PATH_BYTES])
{
    return fs_join(store->directory, "state.json", path, FS_PATH_BYTES);
}

/* ---- writing ---- */

static void put_applied(struct json_write *json, const struct config_applied *applied)
{
    json_write_unsigned(json, "place", applied->place);
    json_write_text(json, "origin", config_origin_name(applied->origin));
    json_write_text(json, "digest", applied->digest);
    json_write_text(json, "main", applied->main_digest);
}

static void put_trial(struct json_write *json, const struct config_trial *trial)
{
    json_write_object_begin(json, "trial");
    put_applied(json, &trial->applied);
    json_write_signed(json, "total_ms", trial->total_ms);
    json_write_signed(json, "left_ms", trial->left_ms);
    json_write_unsigned(json, "starts", trial->starts);
    json_write_array_begin(json, "routes");
    for (unsigned i = 0; i < trial->route_count; i++)
        json_write_text(json, NULL, trial->routes[i]);
    json_write_array_end(json);
    json_write_object_end(json);
}

static void put_outcome(struct json_write *json, const struct config_outcome *outcome)
{
    json_write_object_begin(json, "outcome");
    json_write_text(json, "result", results[outcome->result]);
    json_write_text(json, "origin", config_origin_name(outcome->origin));
    json_write_boolean(json, "told", outcome->told);
    json_write_text(json, "digest", outcome->digest);
    json_write_text(json, "route", outcome->route);
    json_write_text(json, "error", outcome->error);
    json_write_object_end(json);
}

static void put_state(struct writer *out, const struct config_store *store)
{
    struct json_write json;
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    if (store->good.place != 0) {
        json_write_object_begin(&json, "good");
        put_applied(&json, &store->good);
        json_write_object_end(&json);
    }
    if (store->trial.is_on)
        put_trial(&json, &store->trial);
    if (store->outcome.result != CONFIG_RESULT_NONE)
        put_outcome(&json, &store->outcome);
    json_write_object_end(&json);
    writer_char(out, '\n');
}

/* NEXT becomes the state, and STORE with it. */
static int replace(struct config_store *store, const struct config_store *next)
{
    char path[FS_PATH_BYTES];
    uint8_t bytes[STATE_BYTES];
    struct writer out;
    writer_to_memory(&out, bytes, sizeof bytes);
    put_state(&out, next);
    int rc = writer_finish(&out);
    if (rc == E_OK)
        rc = state_path(store, path);
    if (rc == E_OK)
        rc = fs_replace_file(path, bytes, (size_t)writer_total_bytes(&out), FILE_MODE);
    if (rc == E_OK) {
        *store = *next;
        store->unwritten = false;
    }
    return rc;
}

/* NEXT counts in any case: a trial ends also where flash takes nothing. */
static int keep(struct config_store *store, const struct config_store *next)
{
    int rc = replace(store, next);
    if (rc < 0) {
        *store = *next;
        store->unwritten = true;
    }
    return rc;
}

/* ---- reading ---- */

static const char *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_read_member(object, key);
    return node != NULL && node->text != NULL ? node->text : "";
}

static int get_number(const struct json_node *object, const char *key, int64_t high,
                      int64_t *ret_number)
{
    const char *text = text_of(object, key);
    int64_t number;
    int rc = parse_signed(text, strlen(text), &number);
    if (rc < 0 || number < 0 || number > high)
        return E_DAMAGED;
    *ret_number = number;
    return E_OK;
}

static int get_text(const struct json_node *object, const char *key, char *text, size_t text_bytes)
{
    int count = snprintf(text, text_bytes, "%s", text_of(object, key));
    return count < 0 || (size_t)count >= text_bytes ? E_DAMAGED : E_OK;
}

static int get_result(const struct json_node *object, enum config_result *ret_result)
{
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (strcmp(text_of(object, "result"), results[i]) == 0) {
            *ret_result = (enum config_result)i;
            return E_OK;
        }
    return E_DAMAGED;
}

static int get_origin(const struct json_node *object, enum cfg_origin *ret_origin)
{
    static const enum cfg_origin origins[] = {CFG_ORIGIN_LOCAL, CFG_ORIGIN_SOURCE};
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
        if (strcmp(text_of(object, "origin"), config_origin_name(origins[i])) == 0) {
            *ret_origin = origins[i];
            return E_OK;
        }
    return E_DAMAGED;
}

static int get_applied(const struct json_node *object, struct config_applied *applied)
{
    int64_t place = 0;
    int rc = get_number(object, "place", PLACES, &place);
    applied->place = (unsigned)place;
    if (rc == E_OK)
        rc = get_origin(object, &applied->origin);
    if (rc == E_OK)
        rc = get_text(object, "digest", applied->digest, sizeof applied->digest);
    if (rc == E_OK)
        rc = get_text(object, "main", applied->main_digest, sizeof applied->main_digest);
    return rc;
}

static int get_routes(const struct json_node *list, struct config_trial *trial)
{
    const struct json_node *node = list != NULL ? list->first : NULL;
    for (; node != NULL; node = node->next) {
        if (trial->route_count == CFG_ROUTES_MAX || node->text == NULL ||
            strlen(node->text) >= CFG_NAME_BYTES)
            return E_DAMAGED;
        (void)strcpy(trial->routes[trial->route_count++], node->text);
    }
    return E_OK;
}

static int get_trial(const struct json_node *object, struct config_trial *trial)
{
    int64_t starts = 0;
    if (object == NULL)
        return E_OK;
    int rc = get_applied(object, &trial->applied);
    if (rc == E_OK)
        rc = get_number(object, "total_ms", INT64_MAX, &trial->total_ms);
    if (rc == E_OK)
        rc = get_number(object, "left_ms", trial->total_ms, &trial->left_ms);
    if (rc == E_OK)
        rc = get_number(object, "starts", INT32_MAX, &starts);
    if (rc == E_OK)
        rc = get_routes(json_read_member(object, "routes"), trial);
    trial->starts = (unsigned)starts;
    trial->is_on = true;
    return rc;
}

static int get_outcome(const struct json_node *object, struct config_outcome *outcome)
{
    if (object == NULL)
        return E_OK;
    int rc = get_result(object, &outcome->result);
    outcome->told = strcmp(text_of(object, "told"), "true") == 0;
    if (rc == E_OK)
        rc = get_origin(object, &outcome->origin);
    if (rc == E_OK)
        rc = get_text(object, "digest", outcome->digest, sizeof outcome->digest);
    if (rc == E_OK)
        rc = get_text(object, "route", outcome->route, sizeof outcome->route);
    if (rc == E_OK)
        rc = get_text(object, "error", outcome->error, sizeof outcome->error);
    return rc;
}

static int get_state(const struct json_node *root, struct config_store *store)
{
    const struct json_node *good = json_read_member(root, "good");
    int rc = root->kind == JSON_KIND_OBJECT ? E_OK : E_DAMAGED;
    if (rc == E_OK && good != NULL)
        rc = get_applied(good, &store->good);
    if (rc == E_OK)
        rc = get_trial(json_read_member(root, "trial"), &store->trial);
    if (rc == E_OK)
        rc = get_outcome(json_read_member(root, "outcome"), &store->outcome);
    return rc;
}

static int parse_state(const char *text, size_t count, struct config_store *store)
{
    struct json_read_fault fault;
    struct json_read *read = NULL;
    int rc = json_read_parse("state.json", text, count, &fault, &read);
    if (rc == E_OK)
        rc = get_state(json_read_root(read), store);
    json_read_free(read);
    return rc == E_OK || rc == E_NO_MEMORY ? rc : E_DAMAGED;
}

static int read_state(struct config_store *store)
{
    char path[FS_PATH_BYTES];
    char text[STATE_BYTES];
    int rc = state_path(store, path);
    if (rc < 0)
        return rc;
    rc = fs_read_file(path, text, sizeof text);
    if (error_errno(rc) == ENOENT || error_errno(rc) == ENOTDIR)
        return E_OK;
    if (rc == E_TOO_BIG)
        return E_DAMAGED;
    return rc < 0 ? rc : parse_state(text, (size_t)rc, store);
}

int config_store_read(const char *state, struct config_store *ret_store)
{
    struct config_store store = {.good = {.place = 0}};
    int rc = fs_join(state, "config", store.directory, sizeof store.directory);
    if (rc < 0)
        return rc;
    struct config_store none = store;
    rc = read_state(&store);
    if (rc == E_OK)
        *ret_store = store;
    else if (rc == E_DAMAGED)
        *ret_store = none;
    return rc;
}

bool config_store_is_empty(const struct config_store *store)
{
    return store->good.place == 0 && !store->trial.is_on &&
           store->outcome.result == CONFIG_RESULT_NONE;
}

/* ---- a trial ---- */

/* One that state.json does not name: there are three, and it names two at most. */
static unsigned free_place(const struct config_store *store)
{
    unsigned place = 1;
    while (place == store->good.place ||
           (store->trial.is_on && place == store->trial.applied.place))
        place++;
    return place;
}

/* Documents that no state names any more may hold passwords. That one stays behind does no harm,
 * the next change finds it again. */
static void sweep(const struct config_store *store)
{
    char path[FS_PATH_BYTES];
    for (unsigned place = 1; place <= PLACES; place++)
        if (place != store->good.place &&
            !(store->trial.is_on && place == store->trial.applied.place) &&
            config_store_path(store, place, path) == E_OK)
            (void)unlink(path);
}

static int swept(const struct config_store *store, int code)
{
    if (code == E_OK)
        sweep(store);
    return code;
}

int config_store_write(struct config_store *store)
{
    const struct config_store next = *store;
    return store->unwritten ? swept(store, keep(store, &next)) : E_OK;
}

static int judge_source(const struct config_store *store, const char *digest)
{
    if (store->trial.is_on)
        return E_BUSY;
    if (store->good.place != 0 && store->good.origin == CFG_ORIGIN_SOURCE &&
        strcmp(store->good.digest, digest) == 0)
        return E_EXISTS;
    if (store->outcome.result == CONFIG_RESULT_REVERTED &&
        strcmp(store->outcome.digest, digest) == 0)
        return E_REFUSED;
    return E_OK;
}

static int keep_document(const struct config_store *store, const struct config_offer *offer,
                         unsigned place)
{
    char path[FS_PATH_BYTES];
    int rc = config_store_path(store, place, path);
    return rc < 0 ? rc : fs_replace_file(path, offer->document, offer->count, FILE_MODE);
}

static void begin_trial(struct config_store *store, const struct config_offer *offer,
                        unsigned place)
{
    struct config_trial *trial = &store->trial;
    *trial = (struct config_trial){.is_on = true,
                                   .applied = {.place = place, .origin = offer->origin},
                                   .total_ms = offer->confirm_ms,
                                   .left_ms = offer->confirm_ms,
                                   .route_count = offer->route_count};
    memcpy(trial->routes, offer->routes, sizeof trial->routes);
    if (place != 0)
        config_store_digest(offer->document, offer->count, trial->applied.digest);
    memcpy(trial->applied.main_digest, offer->main_digest, sizeof trial->applied.main_digest);
}

int config_store_offer(struct config_store *store, const struct config_offer *offer)
{
    struct config_store next = *store;
    unsigned place = offer->document != NULL ? free_place(store) : 0;
    begin_trial(&next, offer, place);
    int rc = fs_make_directories(store->directory, DIRECTORY_MODE);
    if (rc == E_OK)
        rc = config_store_write(store); /* else flash might name a place that is free here */
    if (rc == E_OK && offer->origin == CFG_ORIGIN_SOURCE)
        rc = judge_source(store, next.trial.applied.digest);
    if (rc == E_OK && place != 0)
        rc = keep_document(store, offer, place);
    if (rc == E_OK)
        rc = replace(store, &next);
    if (rc == E_OK)
        sweep(store);
    return rc;
}

int64_t config_store_step_ms(const struct config_store *store)
{
    int64_t step_ms = store->trial.total_ms / STEPS_MIN;
    return step_ms < STEP_MS ? step_ms : STEP_MS;
}

static void take_time(struct config_trial *trial, int64_t ms)
{
    trial->left_ms = ms < trial->left_ms ? trial->left_ms - ms : 0;
}

int config_store_start(struct config_store *store)
{
    struct config_store next = *store;
    if (next.trial.starts++ > 0)
        take_time(&next.trial, config_store_step_ms(store));
    return keep(store, &next);
}

int config_store_spend(struct config_store *store, int64_t ms)
{
    struct config_store next = *store;
    take_time(&next.trial, ms);
    return keep(store, &next);
}

int config_store_prove(struct config_store *store, const char *route)
{
    struct config_store next = *store;
    struct config_trial *trial = &next.trial;
    for (unsigned i = 0; i < trial->route_count; i++) {
        if (strcmp(trial->routes[i], route) != 0)
            continue;
        trial->route_count--;
        memmove(trial->routes[i], trial->routes[i + 1],
                (trial->route_count - i) * sizeof trial->routes[0]);
        return keep(store, &next);
    }
    return E_OK;
}

int config_store_confirm(struct config_store *store)
{
    struct config_store next = *store;
    const struct config_applied *applied = &store->trial.applied;
    next.good = *applied;
    next.outcome =
        (struct config_outcome){.result = CONFIG_RESULT_CONFIRMED, .origin = applied->origin};
    memcpy(next.outcome.digest, applied->digest, sizeof next.outcome.digest);
    next.trial = (struct config_trial){.is_on = false};
    return swept(store, replace(store, &next));
}

/* It may hold what a server said; state.json has to stay readable whatever that was. */
static void disarm(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

int config_store_revert(struct config_store *store, const char *route, const char *error)
{
    struct config_store next = *store;
    const struct config_applied *applied = &store->trial.applied;
    struct config_outcome *outcome = &next.outcome;
    *outcome = (struct config_outcome){.result = CONFIG_RESULT_REVERTED, .origin = applied->origin};
    memcpy(outcome->digest, applied->digest, sizeof outcome->digest);
    (void)snprintf(outcome->route, sizeof outcome->route, "%s", route);
    (void)snprintf(outcome->error, sizeof outcome->error, "%s", error);
    disarm(outcome->error);
    next.trial = (struct config_trial){.is_on = false};
    return swept(store, keep(store, &next));
}

int config_store_told(struct config_store *store)
{
    struct config_store next = *store;
    next.outcome.told = true;
    return keep(store, &next);
}
