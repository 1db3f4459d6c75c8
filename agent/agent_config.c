/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "agent/control/config_pool.h"
#include "agent/control/config_walk.h"
#include "agent/control/ground.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"

enum { ANSWER_MS = 1000, ANSWER_STEP_MS = 10, OFFER_BYTES = 256 * 1024 + 2 };

/* ---- loading ---- */

/* What one attempt to load came to. */
struct loaded {
    struct config *config;
    char *text; /* what is wrong, warnings too; from malloc, or NULL */
};

static void drop(struct loaded *loaded)
{
    config_free(loaded->config);
    free(loaded->text);
    *loaded = (struct loaded){.config = NULL};
}

static int check_ground(struct loaded *loaded, FILE *faults)
{
    char fault[GROUND_FAULT_BYTES];
    int rc = ground_check(&loaded->config->spool, fault);
    if (rc == E_OK)
        return rc;
    (void)fprintf(faults, "runnel: %s\n", fault);
    config_free(loaded->config);
    loaded->config = NULL;
    return rc;
}

/* Flash may still have a trial that is over, where it takes nothing. */
static enum cfg_layer layer_to_run(const struct agent *agent)
{
    return agent->trial.store.trial.is_on ? CFG_LAYER_RUN : CFG_LAYER_GOOD;
}

static int load(const struct agent *agent, enum cfg_layer layer,
                const struct config_offered *offered, struct loaded *ret_loaded)
{
    struct config_options options = *agent->trial.options;
    size_t count;
    *ret_loaded = (struct loaded){.config = NULL};
    options.faults = open_memstream(&ret_loaded->text, &count);
    if (options.faults == NULL)
        return E_NO_MEMORY;
    options.layer = layer;
    options.offer = offered;
    int rc = config_load(&options, &ret_loaded->config);
    if (rc == E_OK)
        rc = check_ground(ret_loaded, options.faults);
    (void)fclose(options.faults);
    return rc;
}

/* The first line of what is wrong, for an event. */
static const char *first_line(const struct loaded *loaded, int code, char text[LOG_VALUE_BYTES])
{
    char line[LOG_VALUE_BYTES];
    const char *from =
        loaded->text != NULL && loaded->text[0] != '\0' ? loaded->text : ERROR_TEXT(code);
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(from, "\n"), from);
    return log_value(text, line);
}

static void use(struct agent *agent, struct config *config)
{
    agent->trial.loaded = config;
    agent->config = config;
    config_walk_name(config, agent->config_id);
}

void agent_config_publish(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    (void)pthread_mutex_lock(&trial->lock);
    trial->shown = trial->store;
    trial->uses_main = trial->loaded != NULL && trial->loaded->state == CFG_STATE_MAIN &&
                       trial->store.good.place != 0 && !trial->store.trial.is_on;
    trial->forgets_what = trial->damaged && config_store_is_empty(&trial->store);
    (void)pthread_mutex_unlock(&trial->lock);
}

/* ---- the start of the program ---- */

/* Another agent may have the directory: then it is not ours to count a start in. */
static int lock_store(struct agent *agent, const char *state, int *ret_fd)
{
    int rc = config_store_read(state, &agent->trial.store);
    agent->trial.damaged = rc == E_DAMAGED;
    return rc < 0 && rc != E_DAMAGED ? rc : fs_lock_directory(state, ret_fd);
}

static void note_failure(int code)
{
    if (code < 0)
        log_warning("config-trial-not-noted error=\"%s\"", ERROR_TEXT(code));
}

/* Counts the start. True if the trial goes on: a start that flash does not know of would cost
 * nothing, and a crash could be followed by the next one for ever. */
static bool count_start(struct agent *agent, const char *state)
{
    struct config_store *store = &agent->trial.store;
    int fd;
    int rc = lock_store(agent, state, &fd);
    if (agent->trial.damaged)
        log_error("config-applied-unusable error=\"%s/config/state.json is damaged\" "
                  "running=\"the main file\"",
                  state);
    if (rc < 0 || !store->trial.is_on) {
        if (rc == E_OK)
            (void)close(fd);
        return true;
    }
    rc = config_store_start(store);
    note_failure(rc);
    bool over = rc < 0 || store->trial.left_ms == 0;
    if (over)
        agent_trial_revert(agent, store->trial.route_count > 0 ? store->trial.routes[0] : "",
                           rc < 0 ? "a start of the agent cannot be noted"
                                  : "its time ran out in starts of the agent");
    (void)close(fd);
    return !over;
}

/* What runs where the trial cannot: the good one, else the main file. */
static int load_other(struct agent *agent, const struct loaded *bad, int code)
{
    static const enum cfg_layer layers[] = {CFG_LAYER_GOOD, CFG_LAYER_MAIN};
    char value[LOG_VALUE_BYTES];
    struct loaded loaded;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        int rc = load(agent, layers[i], NULL, &loaded);
        if (rc < 0) {
            drop(&loaded);
            continue;
        }
        int fd = -1;
        rc = lock_store(agent, loaded.config->spool.path, &fd);
        if (rc == E_OK && agent->trial.store.trial.is_on)
            agent_trial_revert(agent, "", first_line(bad, code, value));
        else
            log_error("config-applied-unusable error=\"%s\" running=\"%s\"",
                      first_line(bad, code, value), loaded.config->file);
        if (rc == E_OK)
            (void)close(fd);
        use(agent, loaded.config);
        free(loaded.text);
        return E_OK;
    }
    return code;
}

int agent_config_start(struct agent *agent)
{
    struct loaded loaded;
    int rc = load(agent, CFG_LAYER_RUN, NULL, &loaded);
    if (loaded.text != NULL)
        (void)fputs(loaded.text, stderr);
    if (rc == E_OK && !count_start(agent, loaded.config->spool.path)) {
        drop(&loaded);
        rc = load(agent, layer_to_run(agent), NULL, &loaded);
    }
    if (rc == E_OK)
        use(agent, loaded.config);
    else
        rc = load_other(agent, &loaded, rc);
    if (agent->trial.loaded == loaded.config)
        loaded.config = NULL;
    drop(&loaded);
    agent_config_publish(agent);
    return rc;
}

/* ---- another one ---- */

/* Those who asked went down with the stages. */
static void forget_all(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    free(trial->ask.document);
    free(trial->answer_text);
    free(agent->reply.text);
    trial->ask = (struct agent_ask){.wish = AGENT_WISH_NONE};
    trial->answer_text = NULL;
    trial->answered = false;
    agent->reply = (struct config_reply){.is_known = false};
}

void agent_config_close(struct agent *agent)
{
    forget_all(agent);
    config_free(agent->trial.loaded);
    config_free(agent->trial.next);
}

void agent_config_take_next(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    forget_all(agent);
    if (trial->next == NULL)
        return;
    config_free(trial->loaded);
    use(agent, trial->next);
    trial->next = NULL;
    agent_config_publish(agent);
}

static void set_next(struct agent *agent, struct loaded *loaded)
{
    config_free(agent->trial.next);
    agent->trial.next = loaded->config;
    loaded->config = NULL;
}

void agent_config_load_next(struct agent *agent)
{
    const enum cfg_layer layers[] = {layer_to_run(agent), CFG_LAYER_MAIN};
    char value[LOG_VALUE_BYTES];
    struct loaded loaded;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        int rc = load(agent, layers[i], NULL, &loaded);
        if (rc == E_OK)
            set_next(agent, &loaded);
        else
            log_error("config-not-loaded error=\"%s\"", first_line(&loaded, rc, value));
        drop(&loaded);
        if (rc == E_OK)
            return;
    }
}

static int check_path(const struct agent *agent, const struct loaded *loaded)
{
    return strcmp(loaded->config->spool.path, agent->config->spool.path) == 0 ? E_OK
                                                                              : E_UNSUPPORTED;
}

void agent_config_return(struct agent *agent)
{
    struct loaded loaded;
    int rc = load(agent, CFG_LAYER_GOOD, NULL, &loaded);
    if (rc == E_OK && check_path(agent, &loaded) == E_OK) {
        log_info("config-applied-usable file=%s", loaded.config->file);
        set_next(agent, &loaded);
    }
    drop(&loaded);
}

/* ---- what is asked ---- */

int agent_config_ask(struct agent *agent, const struct agent_ask *ask)
{
    struct agent_trial *trial = &agent->trial;
    int rc = E_BUSY;
    (void)pthread_mutex_lock(&trial->lock);
    if (trial->ask.wish == AGENT_WISH_NONE) {
        trial->ask = *ask;
        trial->answered = trial->taken = false;
        rc = E_OK;
    }
    (void)pthread_mutex_unlock(&trial->lock);
    if (rc == E_OK)
        stop_request(&agent->attention);
    return rc;
}

int agent_config_answer(struct agent *agent, char **ret_text)
{
    struct agent_trial *trial = &agent->trial;
    int rc = E_AGAIN;
    (void)pthread_mutex_lock(&trial->lock);
    if (trial->answered) {
        rc = trial->answer;
        *ret_text = trial->answer_text;
        trial->answer_text = NULL;
    }
    (void)pthread_mutex_unlock(&trial->lock);
    return rc;
}

/* What main has begun it finishes. */
void agent_config_forget(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    (void)pthread_mutex_lock(&trial->lock);
    trial->taken = true;
    if (trial->answered)
        trial->ask.wish = AGENT_WISH_NONE;
    (void)pthread_mutex_unlock(&trial->lock);
}

static bool is_taken(struct agent_trial *trial)
{
    (void)pthread_mutex_lock(&trial->lock);
    bool taken = trial->taken;
    (void)pthread_mutex_unlock(&trial->lock);
    return taken;
}

static void answer(struct agent *agent, int code, struct loaded *loaded)
{
    struct agent_trial *trial = &agent->trial;
    (void)pthread_mutex_lock(&trial->lock);
    free(trial->ask.document);
    free(trial->answer_text);
    trial->ask.document = NULL;
    trial->answer = code == E_AGAIN ? E_CONFIG : code; /* a file that it awaits */
    trial->answer_text = loaded->text;
    trial->answered = true;
    if (trial->taken)
        trial->ask.wish = AGENT_WISH_NONE;
    (void)pthread_mutex_unlock(&trial->lock);
    loaded->text = NULL;
    /* Who asked goes down with the stages and is to hear it before. */
    for (int waited_ms = 0; code == E_OK && waited_ms < ANSWER_MS && !is_taken(trial);
         waited_ms += ANSWER_STEP_MS)
        (void)stop_wait(&agent->stop, -1, 0, clock_mono_ms() + ANSWER_STEP_MS);
}

/* ---- the decision ---- */

/* What RAM alone has would be lost on the way down. */
static int check_spool(struct agent *agent)
{
    struct spool_status status;
    spool_get_status(agent->spool, &status);
    return status.error < 0 ? E_FULL : E_OK;
}

static void say_text(struct loaded *loaded, char *text)
{
    free(loaded->text);
    loaded->text = text;
}

/* Returns CODE, with this to be said of it; E_NO_MEMORY. */
__attribute__((format(printf, 3, 4))) static int refuse(struct loaded *loaded, int code,
                                                        const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int count = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (count < 0)
        return E_NO_MEMORY;
    say_text(loaded, text);
    return code;
}

/* What was applied lies with the spool, and where that moves, nobody would find it. */
static int check_applied(const struct agent *agent, struct loaded *loaded)
{
    const struct config_store *store = &agent->trial.store;
    if (check_path(agent, loaded) == E_OK || (store->good.place == 0 && !store->trial.is_on))
        return E_OK;
    return refuse(loaded, E_UNSUPPORTED,
                  "spool.path: %s -> %s would leave behind what was applied; runnel config apply "
                  "--none, then restart\n",
                  agent->config->spool.path, loaded->config->spool.path);
}

/* Says what changes. The spool stays where it is until the next start. */
static int tell_changes(const struct agent *agent, struct loaded *loaded)
{
    size_t count;
    char *text = NULL;
    struct config *config = loaded->config;
    FILE *file = open_memstream(&text, &count);
    if (file == NULL)
        return E_NO_MEMORY;
    if (loaded->text != NULL)
        (void)fputs(loaded->text, file);
    int rc = agent_change_tell(agent->config, config, file);
    (void)fclose(file);
    say_text(loaded, text);
    if (rc == E_OK && check_path(agent, loaded) < 0)
        config->spool.path = config_pool_text(config->pool, agent->config->spool.path);
    return rc;
}

static int reload(struct agent *agent, struct loaded *loaded)
{
    int rc = load(agent, layer_to_run(agent), NULL, loaded);
    if (rc == E_OK)
        rc = check_applied(agent, loaded);
    if (rc == E_OK)
        rc = tell_changes(agent, loaded);
    if (rc == E_OK)
        set_next(agent, loaded);
    return rc;
}

static int read_offer(struct agent *agent, struct agent_ask *ask)
{
    char path[FS_PATH_BYTES];
    int rc = fs_join(agent->trial.store.directory, CONFIG_STORE_OFFER, path, sizeof path);
    if (rc < 0)
        return rc;
    ask->document = malloc(OFFER_BYTES);
    if (ask->document == NULL)
        return E_NO_MEMORY;
    rc = fs_read_file(path, ask->document, OFFER_BYTES);
    (void)unlink(path);
    ask->count = rc < 0 ? 0 : (size_t)rc;
    return rc < 0 ? rc : E_OK;
}

/* What differs from what would come back; all, where that does not load. */
static void compare(struct agent *agent, const struct config *config, struct config_offer *offer)
{
    struct loaded good;
    (void)load(agent, CFG_LAYER_GOOD, NULL, &good);
    offer->route_count = config_walk_changed(config, good.config, offer->routes);
    drop(&good);
}

/* What is fetched may move a route, but no secret of the device to another server with it. */
static int check_secrets(const struct agent *agent, enum cfg_origin origin, struct loaded *loaded)
{
    struct loaded trusted;
    if (origin != CFG_ORIGIN_SOURCE)
        return E_OK;
    (void)load(agent, CFG_LAYER_MAIN, NULL, &trusted);
    const char *route = config_walk_astray(loaded->config, trusted.config);
    drop(&trusted);
    if (route == NULL)
        return E_OK;
    return refuse(loaded, E_CONFIG,
                  "route %s: tells its secret to a server to which the main file does not; a "
                  "fetched configuration cannot change \"auth\", its files, or where they count\n",
                  route);
}

static int apply(struct agent *agent, const struct agent_ask *ask, struct loaded *loaded)
{
    const struct config_offered offered = {.name = "the offered configuration",
                                           .text = ask->document,
                                           .count = ask->count,
                                           .origin = ask->origin};
    struct config_offer offer = {.document = ask->document,
                                 .count = ask->count,
                                 .origin = ask->origin,
                                 .confirm_ms = ask->confirm_ms};
    bool applies = ask->wish == AGENT_WISH_APPLY;
    int rc = load(agent, applies ? CFG_LAYER_OFFER : CFG_LAYER_MAIN, &offered, loaded);
    if (rc == E_OK)
        rc = check_path(agent, loaded);
    if (rc == E_OK)
        rc = check_secrets(agent, ask->origin, loaded);
    if (rc < 0)
        return rc;
    compare(agent, loaded->config, &offer);
    (void)snprintf(offer.main_digest, sizeof offer.main_digest, "%s", loaded->config->main_digest);
    rc = config_store_offer(&agent->trial.store, &offer);
    if (rc == E_OK)
        log_info("config-trial origin=%s confirm-ms=%lld routes=%u",
                 config_origin_name(ask->origin), (long long)ask->confirm_ms, offer.route_count);
    if (rc == E_OK)
        agent_config_load_next(agent);
    return rc;
}

static int decide(struct agent *agent, struct agent_ask *ask, struct loaded *loaded)
{
    int rc = check_spool(agent);
    if (rc < 0)
        return rc;
    if (ask->wish == AGENT_WISH_RELOAD)
        return reload(agent, loaded);
    if (ask->wish == AGENT_WISH_APPLY && ask->document == NULL)
        rc = read_offer(agent, ask);
    return rc < 0 ? rc : apply(agent, ask, loaded);
}

/* Who applies something is told at once; files that were read again are for the next to know. */
static void note_refusal(struct agent *agent, enum agent_wish wish, const struct loaded *loaded,
                         int code)
{
    char value[LOG_VALUE_BYTES];
    struct agent_trial *trial = &agent->trial;
    const char *why = code < 0 ? first_line(loaded, code, value) : "";
    if (code < 0)
        log_error("config-refused error=\"%s\" remedy=\"the one before runs on; runnel check says "
                  "more\"",
                  why);
    if (code < 0 && wish != AGENT_WISH_RELOAD)
        return;
    (void)pthread_mutex_lock(&trial->lock);
    (void)snprintf(trial->refused, sizeof trial->refused, "%s", why);
    (void)pthread_mutex_unlock(&trial->lock);
}

bool agent_config_is_refused(struct agent *agent, char ret_why[AGENT_REFUSED_BYTES])
{
    char why[AGENT_REFUSED_BYTES];
    struct agent_trial *trial = &agent->trial;
    (void)pthread_mutex_lock(&trial->lock);
    (void)memcpy(why, trial->refused, sizeof why);
    (void)pthread_mutex_unlock(&trial->lock);
    if (why[0] == '\0')
        return false;
    (void)snprintf(ret_why, AGENT_REFUSED_BYTES,
                   "the configuration that was read last has faults, the one before runs: %.500s",
                   why);
    return true;
}

void agent_config_hangup(struct agent *agent)
{
    struct agent_ask ask = {.wish = AGENT_WISH_RELOAD};
    struct loaded loaded = {.config = NULL};
    int rc = decide(agent, &ask, &loaded);
    note_refusal(agent, ask.wish, &loaded, rc);
    drop(&loaded);
}

void agent_config_decide(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    struct loaded loaded = {.config = NULL};
    (void)pthread_mutex_lock(&trial->lock);
    struct agent_ask ask = trial->ask;
    bool asked = ask.wish != AGENT_WISH_NONE && !trial->answered;
    trial->ask.document = NULL;
    (void)pthread_mutex_unlock(&trial->lock);
    if (!asked)
        return;
    int rc = decide(agent, &ask, &loaded);
    note_refusal(agent, ask.wish, &loaded, rc);
    free(ask.document);
    agent_config_publish(agent);
    answer(agent, rc, &loaded);
    drop(&loaded);
}

/* ---- without an agent ---- */

static int apply_offline(struct agent *agent, const struct agent_ask *ask)
{
    struct loaded loaded = {.config = NULL};
    int fd = -1;
    int rc = lock_store(agent, agent->config->spool.path, &fd);
    if (rc == E_OK)
        rc = apply(agent, ask, &loaded);
    if (loaded.text != NULL)
        (void)fputs(loaded.text, stderr);
    drop(&loaded);
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

int agent_config_apply(const struct config_options *options, char *document, size_t count,
                       int64_t confirm_ms)
{
    struct agent *agent = calloc(1, sizeof *agent);
    const struct agent_ask ask = {.wish = document != NULL ? AGENT_WISH_APPLY : AGENT_WISH_MAIN,
                                  .document = document,
                                  .count = count,
                                  .origin = CFG_ORIGIN_LOCAL,
                                  .confirm_ms = confirm_ms};
    struct loaded now;
    if (agent == NULL)
        return E_NO_MEMORY;
    agent->trial = (struct agent_trial){.options = options, .lock = AGENT_TRIAL_LOCK};
    int rc = load(agent, CFG_LAYER_MAIN, NULL, &now);
    if (rc < 0 && now.text != NULL)
        (void)fputs(now.text, stderr);
    if (rc == E_OK) {
        use(agent, now.config);
        now.config = NULL;
        rc = apply_offline(agent, &ask);
    }
    drop(&now);
    agent_config_close(agent);
    free(agent);
    return rc;
}

/* ---- status ---- */

const char *agent_config_fill_status(struct agent *agent, struct config_store *store,
                                     struct status_config *ret_status)
{
    static const char *const states[] = {"main", "applied", "trial"};
    static const char *const results[] = {NULL, "confirmed", "reverted"};
    struct agent_trial *trial = &agent->trial;
    const struct config *config = agent->config;
    (void)pthread_mutex_lock(&trial->lock);
    *store = trial->shown;
    bool uses_main = trial->uses_main;
    bool forgets_what = trial->forgets_what;
    (void)pthread_mutex_unlock(&trial->lock);
    bool applied = strcmp(config->file, config->main_file) != 0;
    /* A trial that is over is one no longer, although the stages were not opened again for it. */
    enum cfg_state state = store->trial.is_on                 ? CFG_STATE_TRIAL
                           : config->state == CFG_STATE_TRIAL ? CFG_STATE_APPLIED
                                                              : config->state;
    if (state == CFG_STATE_APPLIED && store->good.place == 0)
        state = CFG_STATE_MAIN;
    *ret_status =
        (struct status_config){.state = states[state],
                               .origin = applied ? config_origin_name(config->origin) : NULL,
                               .file = config->file,
                               .store = store->directory,
                               .left_ms = store->trial.left_ms,
                               .result = results[store->outcome.result],
                               .document = store->outcome.digest,
                               .route = store->outcome.route,
                               .error = store->outcome.error};
    if (uses_main)
        return "what was applied does not load, the main file runs instead: runnel check says why";
    if (forgets_what)
        return "what was applied is not known any more, because its state is damaged; the main "
               "file runs: apply it again, or runnel config apply --none";
    if (state == CFG_STATE_APPLIED && config->main_changed)
        return "the main file was changed, but what was applied runs in its place: runnel config "
               "apply --none goes back to it";
    return NULL;
}
