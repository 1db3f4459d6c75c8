/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_state.h"
#include "agent/uplink/backoff.h"
#include "agent/uplink/s3_get.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/random.h"
#include "platform/thread.h"

enum {
    FIRST_MS = 60 * 1000, /* after a start, at random within that */
    ANSWER_STEP_MS = 50,
    NOTE_BYTES = 1024,
    NOTE_MODE = 0600,
    DIRECTORY_MODE = 0750,
};

/* The object that was decided upon last: STATE/config/source, "ETAG taken URL" or "ETAG refused
 * URL" and a line end. It is not asked for again until it changes, unless it was taken and the
 * store does not know of it any more. */
struct note {
    char etag[HTTP_VALUE_BYTES];
    bool refused;
};

struct agent_source {
    struct agent *agent;
    const struct cfg_source *config;
    struct thread thread;
    struct progress progress;
    struct stop stop; /* the agent's, with that in it */
    struct s3_get *get;
    struct note note;
    struct backoff backoff;
    pthread_mutex_t lock;
    char fault[AGENT_SOURCE_WARNING_BYTES]; /* "": nothing is wrong */
    struct s3_get_object object;
};

/* ---- what somebody should know ---- */

static void set_fault(struct agent_source *source, const char *what, const char *fault)
{
    char text[AGENT_SOURCE_WARNING_BYTES];
    char value[LOG_VALUE_BYTES];
    (void)snprintf(text, sizeof text, "the configuration at %.200s %s: %s", source->config->url,
                   what, fault);
    (void)pthread_mutex_lock(&source->lock);
    bool news = strcmp(text, source->fault) != 0;
    memcpy(source->fault, text, sizeof text);
    (void)pthread_mutex_unlock(&source->lock);
    if (news)
        log_warning("config-source error=\"%s\"", log_value(value, text));
}

static void clear_fault(struct agent_source *source)
{
    (void)pthread_mutex_lock(&source->lock);
    bool news = source->fault[0] != '\0';
    source->fault[0] = '\0';
    (void)pthread_mutex_unlock(&source->lock);
    if (news)
        log_info("config-source-reached url=%s", source->config->url);
}

const char *agent_source_warning(struct agent *agent, char text[AGENT_SOURCE_WARNING_BYTES])
{
    struct agent_source *source = agent->source;
    if (source == NULL)
        return NULL;
    (void)pthread_mutex_lock(&source->lock);
    memcpy(text, source->fault, sizeof source->fault);
    (void)pthread_mutex_unlock(&source->lock);
    return text[0] != '\0' ? text : NULL;
}

static void tell_of_note(struct agent_source *source)
{
    if (source->note.refused)
        set_fault(source, "was refused, or did not pass its trial",
                  "it is looked at again when it changes; the events and runnel check say more");
    else
        clear_fault(source);
}

/* ---- the note ---- */

static int note_path(const struct agent *agent, char path[FS_PATH_BYTES], bool makes)
{
    char directory[FS_PATH_BYTES];
    int rc = fs_join(agent->config->spool.path, "config", directory, sizeof directory);
    if (rc == E_OK && makes)
        rc = fs_make_directories(directory, DIRECTORY_MODE);
    return rc < 0 ? rc : fs_join(directory, "source", path, FS_PATH_BYTES);
}

/* One of another source, or damaged, is none. */
static void read_note(struct agent_source *source)
{
    char path[FS_PATH_BYTES];
    char text[NOTE_BYTES];
    char etag[HTTP_VALUE_BYTES];
    char word[8];
    int url = 0;
    if (note_path(source->agent, path, false) < 0 || fs_read_file(path, text, sizeof text) < 0 ||
        sscanf(text, "%127s %7s %n", etag, word, &url) != 2 || url == 0)
        return;
    size_t count = strlen(source->config->url);
    bool refused = strcmp(word, "refused") == 0;
    if (!refused && config_store_is_empty(&source->agent->trial.store))
        return;
    if (strncmp(text + url, source->config->url, count) != 0 ||
        strcmp(text + url + count, "\n") != 0)
        return;
    (void)snprintf(source->note.etag, sizeof source->note.etag, "%s", etag);
    source->note.refused = refused;
}

static void keep_note(struct agent_source *source, bool refused)
{
    char path[FS_PATH_BYTES];
    char text[NOTE_BYTES];
    (void)snprintf(source->note.etag, sizeof source->note.etag, "%s", source->object.etag);
    source->note.refused = refused;
    int count = snprintf(text, sizeof text, "%s %s %s\n", source->note.etag,
                         refused ? "refused" : "taken", source->config->url);
    int rc = count < 0 || (size_t)count >= sizeof text ? E_TOO_BIG
                                                       : note_path(source->agent, path, true);
    if (rc == E_OK)
        rc = fs_replace_file(path, text, (size_t)count, NOTE_MODE);
    if (rc < 0)
        log_warning("config-source-not-noted error=\"%s\"", ERROR_TEXT(rc));
}

/* ---- a new document ---- */

static int wait_for_answer(struct agent_source *source, char **ret_text)
{
    int rc;
    while ((rc = agent_config_answer(source->agent, ret_text)) == E_AGAIN)
        if (stop_wait(&source->stop, -1, 0, clock_mono_ms() + ANSWER_STEP_MS) == E_STOP)
            return E_STOP;
    return rc;
}

static int ask(struct agent_source *source)
{
    const struct s3_get_object *object = &source->object;
    struct agent_ask ask = {.wish = AGENT_WISH_APPLY,
                            .document = malloc(object->count + 1),
                            .count = object->count,
                            .origin = CFG_ORIGIN_SOURCE,
                            .confirm_ms = source->config->confirm_ms};
    if (ask.document == NULL)
        return E_NO_MEMORY;
    memcpy(ask.document, object->bytes, object->count);
    ask.document[object->count] = '\0';
    int rc = agent_config_ask(source->agent, &ask);
    if (rc < 0)
        free(ask.document);
    return rc;
}

/* Whether the document itself is to blame, so that only another one is worth a look. */
static bool is_refusal(int code)
{
    return code == E_CONFIG || code == E_REFUSED || code == E_UNSUPPORTED;
}

static void refuse(struct agent_source *source, int code, const char *text)
{
    char line[LOG_VALUE_BYTES];
    const char *why = code == E_REFUSED ? "it did not pass its trial before"
                      : code == E_BUSY  ? "another one is on trial; it is offered again"
                      : text != NULL && text[0] != '\0' ? text
                                                        : ERROR_TEXT(code);
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(why, "\n"), why);
    set_fault(source, "is not applied", line);
}

static void hear(struct agent_source *source, int code, const char *text)
{
    if (code == E_OK || code == E_EXISTS || is_refusal(code))
        keep_note(source, is_refusal(code));
    if (code == E_OK || code == E_EXISTS)
        clear_fault(source);
    else if (code != E_STOP)
        refuse(source, code, text);
}

/* E_OK: it is decided upon. */
static int offer(struct agent_source *source)
{
    char *text = NULL;
    log_info("config-source-fetched url=%s bytes=%zu", source->config->url, source->object.count);
    int rc = ask(source);
    bool asked = rc == E_OK;
    if (asked)
        rc = wait_for_answer(source, &text);
    hear(source, rc, text);
    free(text);
    if (asked)
        agent_config_forget(source->agent); /* only now may the stages go down */
    return rc == E_EXISTS || is_refusal(rc) ? E_OK : rc;
}

/* ---- looking ---- */

/* Data that is paid for by the month is not spent on it once the month is. */
static bool may_look(struct agent_source *source)
{
    return link_ask(source->agent->link) == LINK_ALL;
}

static int look(struct agent_source *source)
{
    char fault[S3_GET_FAULT_BYTES];
    int rc = s3_get_ask(source->get, source->note.etag, &source->object, fault);
    if (rc == E_OK)
        return offer(source);
    if (rc == E_EXISTS) {
        tell_of_note(source);
        return E_OK;
    }
    if (rc == E_STOP)
        return rc;
    set_fault(source, "cannot be fetched", fault);
    if (rc != E_TOO_BIG || source->object.etag[0] == '\0')
        return rc;
    keep_note(source, true);
    return E_OK;
}

/* Never all of a fleet at once. */
static int64_t wait_ms(struct agent_source *source, int code)
{
    int64_t interval_ms = source->config->interval_ms;
    int64_t ms = interval_ms * 3 / 4 + (int64_t)random_below((uint64_t)interval_ms / 2);
    uint64_t random;
    if (code == E_OK) {
        backoff_reset(&source->backoff);
        return ms;
    }
    random_bytes(&random, sizeof random);
    int64_t retry_ms = backoff_next_ms(&source->backoff, BACKOFF_OPERATOR, -1, random);
    return retry_ms < ms ? retry_ms : ms;
}

static void run(void *context)
{
    struct agent_source *source = context;
    int64_t interval_ms = source->config->interval_ms;
    uint64_t first_ms = (uint64_t)(interval_ms < FIRST_MS ? interval_ms : FIRST_MS);
    int64_t ms = (int64_t)random_below(first_ms);
    while (stop_wait(&source->stop, -1, 0, clock_mono_ms() + ms) != E_STOP) {
        int rc = may_look(source) ? look(source) : E_OK;
        if (rc == E_STOP)
            break;
        ms = wait_ms(source, rc);
    }
    progress_promise(&source->progress, INT64_MAX);
}

/* ---- open and close ---- */

static int open_get(struct agent_source *source)
{
    struct agent *agent = source->agent;
    const struct cfg_source *config = source->config;
    struct s3_get_options options = {
        .bucket = config->bucket,
        .key = config->key,
        .region = config->region,
        .host = config->endpoint.host,
        .port = config->endpoint.port,
        .tls = config->endpoint.tls,
        .path_style = config->path_style,
        .movable = config->endpoint_built,
        .tls_options = {.ca_file = config->ca_file,
                        .wall_ms = agent_time_wall,
                        .wall_context = agent},
        .proxy = agent_credentials_proxy(&config->endpoint.proxy),
        .meter = link_meter(agent->link),
        .user_agent = agent->user_agent,
        .stop = &source->stop,
    };
    int rc = agent_credentials_open(agent, config->credentials, &options.credentials);
    return rc < 0 ? rc : s3_get_open(&options, &source->get);
}

int agent_source_open(struct agent *agent)
{
    const struct cfg_source *config = &agent->config->source;
    if (config->url == NULL)
        return E_OK;
    struct agent_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return E_NO_MEMORY;
    source->agent = agent;
    source->config = config;
    source->progress.every_ms = agent->watchdog.every_ms;
    source->stop = (struct stop){.fd = agent->stop.fd, .progress = &source->progress};
    (void)pthread_mutex_init(&source->lock, NULL);
    agent->source = source;
    read_note(source);
    return open_get(source);
}

int agent_source_start(struct agent *agent)
{
    struct agent_source *source = agent->source;
    if (source == NULL)
        return E_OK;
    progress_work(&source->progress);
    return thread_start(&source->thread, "source", run, source);
}

bool agent_source_stop(struct agent *agent, int64_t deadline_ms)
{
    struct agent_source *source = agent->source;
    return source == NULL || thread_join(&source->thread, deadline_ms) == E_OK;
}

void agent_source_close(struct agent *agent)
{
    struct agent_source *source = agent->source;
    if (source == NULL)
        return;
    s3_get_close(source->get);
    (void)pthread_mutex_destroy(&source->lock);
    free(source);
    agent->source = NULL;
}

int64_t agent_source_late_ms(const struct agent *agent, int64_t now_ms)
{
    return agent->source == NULL ? 0 : progress_late_ms(&agent->source->progress, now_ms);
}
