/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/config_apply.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/control/config_store.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "agent/control/human.h"
#include "agent/control/status_read.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/rights.h"

enum { DOCUMENT_BYTES = 256 * 1024 + 2, FILE_MODE = 0640, DIRECTORY_MODE = 0750 };
enum { ASK_MS = 5000, ANSWER_MS = 30000, PAUSE_MS = 500, PATIENCE_MS = 60000 };

/* As faults call a document before anybody gave it a place. */
#define OFFERED "the offered configuration"

static int fail(const char *what, int code)
{
    (void)fprintf(stderr, "runnel: %s: %s\n", what, ERROR_TEXT(code));
    return CLI_FAILED;
}

static int read_document(const char *file, char **ret_text, size_t *ret_count)
{
    char *text = malloc(DOCUMENT_BYTES);
    if (text == NULL)
        return E_NO_MEMORY;
    int rc = fs_read_file(file, text, DOCUMENT_BYTES);
    if (rc < 0) {
        free(text);
        return rc;
    }
    *ret_text = text;
    *ret_count = (size_t)rc;
    return E_OK;
}

/* What root makes in the agent's folders has to be the agent's. */
static int become_owner(const char *path)
{
    struct rights rights;
    int rc = rights_find(path, &rights);
    return rc < 0 ? rc : rights_take(&rights);
}

/* ---- the running agent ---- */

static int ask_status(const char *socket, struct status_read **ret_status)
{
    return control_client_read_status(socket, clock_mono_ms() + ASK_MS, ret_status);
}

/* One that is on its way down hangs up, and may be on its way up again. */
static int find_agent(const char *socket, struct status_read **ret_status)
{
    int64_t deadline_ms = clock_mono_ms() + ASK_MS;
    int rc;
    do
        rc = ask_status(socket, ret_status);
    while ((rc == E_CLOSED || rc == E_REFUSED) && clock_mono_ms() < deadline_ms &&
           poll(NULL, 0, PAUSE_MS) == 0);
    return rc;
}

static int collect(void *context, const void *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? E_OK : E_NO_MEMORY;
}

/* The lines as the agent wrote them, with FILE where the document had no name. */
static void print_lines(const char *text, const char *file, FILE *to)
{
    for (size_t count; *text != '\0'; text += count + (text[count] == '\n')) {
        bool is_of_file = file != NULL && strncmp(text, OFFERED, strlen(OFFERED)) == 0;
        size_t head = is_of_file ? strlen(OFFERED) : 0;
        count = strcspn(text, "\n");
        (void)fprintf(to, "%s%.*s\n", is_of_file ? file : "", (int)(count - head), text + head);
    }
}

static int ask_config(const char *socket, const char *request, FILE *faults,
                      struct control_spooled *ret_answer)
{
    struct control_client client;
    const struct control_spool ask = {.command = "config",
                                      .request = request,
                                      .answer_ms = ANSWER_MS,
                                      .write = collect,
                                      .context = faults};
    int rc = control_client_open(socket, clock_mono_ms(), &client);
    if (rc < 0) {
        *ret_answer = (struct control_spooled){.records = 0};
        (void)control_client_fault(rc, socket, ret_answer->reason);
        return rc;
    }
    rc = control_client_spool(&client, &ask, ret_answer);
    control_client_close(&client);
    return rc;
}

/* The exit code. */
static int ask_agent(const char *socket, const char *request, const char *file)
{
    struct control_spooled answer;
    char *text = NULL;
    size_t count;
    FILE *faults = open_memstream(&text, &count);
    if (faults == NULL)
        return fail("config", E_NO_MEMORY);
    int rc = ask_config(socket, request, faults, &answer);
    (void)fclose(faults);
    print_lines(text, file, rc == E_OK && file == NULL ? stdout : stderr);
    free(text);
    if (rc == E_OK)
        return CLI_DONE;
    const char *reason = answer.reason[0] != '\0' ? answer.reason : ERROR_TEXT(rc);
    (void)fprintf(stderr, "runnel: %s; the configuration before runs on\n", reason);
    return strcmp(reason, ERROR_TEXT(E_CONFIG)) == 0 ? CLI_CONFIG : CLI_FAILED;
}

static int hand_over(const char *store, const char *document, size_t count)
{
    char path[FS_PATH_BYTES];
    char state[FS_PATH_BYTES];
    (void)snprintf(state, sizeof state, "%.*s", (int)(strrchr(store, '/') - store), store);
    int rc = become_owner(state);
    if (rc == E_OK)
        rc = fs_make_directories(store, DIRECTORY_MODE);
    if (rc == E_OK)
        rc = fs_join(store, CONFIG_STORE_OFFER, path, sizeof path);
    return rc == E_OK ? fs_replace_file(path, document, count, FILE_MODE) : rc;
}

/* What the agent did not come to take may hold passwords. */
static void take_back(const char *store)
{
    char path[FS_PATH_BYTES];
    if (fs_join(store, CONFIG_STORE_OFFER, path, sizeof path) == E_OK)
        (void)unlink(path);
}

/* ---- the end of the trial ---- */

static bool is_on(const struct status_read *status)
{
    return strcmp(status_read_text(status, "", "config/state"), "trial") == 0;
}

static int print_outcome(const struct status_read *status, const char *digest)
{
    const char *document = status_read_text(status, "", "config/last_document");
    const char *result = status_read_text(status, "", "config/last_trial");
    if (result[0] == '\0' || strcmp(document, digest) != 0) {
        (void)puts("not decided: another one took its place");
        return CLI_FAILED;
    }
    if (strcmp(result, "confirmed") == 0)
        return puts("confirmed") < 0 ? CLI_FAILED : CLI_DONE;
    const char *route = status_read_text(status, "", "config/reverted/route");
    (void)printf("reverted: %s%s%s%s\n", route[0] != '\0' ? "route " : "", route,
                 route[0] != '\0' ? ": " : "",
                 status_read_text(status, "it does not say why", "config/reverted/error"));
    return CLI_FAILED;
}

/* The agent goes down and up again meanwhile, so it may be away for a while. */
static int wait_for_end(const char *socket, const struct config_apply *apply, const char *digest)
{
    int64_t deadline_ms = clock_mono_ms() + apply->confirm_ms + PATIENCE_MS;
    int rc = E_TIMEOUT;
    while (clock_mono_ms() < deadline_ms) {
        struct status_read *status;
        (void)poll(NULL, 0, PAUSE_MS);
        rc = ask_status(socket, &status);
        if (rc < 0)
            continue;
        bool on = is_on(status);
        int code = on ? CLI_FAILED : print_outcome(status, digest);
        status_read_close(status);
        if (!on)
            return code;
        rc = E_TIMEOUT;
    }
    return fail("how the trial ended is not known", rc);
}

/* ---- the whole ---- */

static int apply_running(const char *socket, const struct status_read *status,
                         const struct config_apply *apply, const char *document, size_t count)
{
    char request[48];
    char digest[CONFIG_STORE_DIGEST_BYTES] = "";
    int rc = E_OK;
    if (document != NULL) {
        const char *store = status_read_text(status, "", "config/store");
        rc = strchr(store, '/') != NULL ? hand_over(store, document, count) : E_VERSION;
        config_store_digest(document, count, digest);
    }
    if (rc < 0)
        return fail("the file cannot be handed to the agent", rc);
    (void)snprintf(request, sizeof request, "%s %" PRId64, document != NULL ? "apply" : "main",
                   apply->confirm_ms);
    int code = ask_agent(socket, request, apply->file);
    if (code != CLI_DONE && document != NULL)
        take_back(status_read_text(status, "", "config/store"));
    if (code != CLI_DONE)
        return code;
    if (apply->waits)
        return wait_for_end(socket, apply, digest);
    (void)printf("on trial for %s: runnel status says how it ends\n",
                 HUMAN_AGE_TEXT(apply->confirm_ms));
    return CLI_DONE;
}

static int apply_stopped(const struct config_apply *apply, char *document, size_t count)
{
    struct config_options options = {.path = apply->config, .layer = CFG_LAYER_MAIN};
    struct config *config;
    if (config_load(&options, &config) == E_OK) {
        int rc = become_owner(config->spool.path);
        if (rc < 0)
            (void)fail(config->spool.path, rc);
        config_free(config);
        if (rc < 0)
            return CLI_FAILED;
    }
    int rc = agent_config_apply(&options, document, count, apply->confirm_ms);
    if (rc == E_CONFIG)
        return CLI_CONFIG;
    if (rc < 0)
        return fail("it was not applied", rc);
    (void)printf("no agent runs: its trial of %s begins when one is started\n",
                 HUMAN_AGE_TEXT(apply->confirm_ms));
    return CLI_DONE;
}

static int apply_document(const struct config_apply *apply, char *document, size_t count)
{
    char socket[CONTROL_PATH_BYTES];
    struct status_read *status;
    int rc = control_path(socket);
    if (rc < 0)
        return fail("RUNNEL_SOCKET", rc);
    rc = find_agent(socket, &status);
    if (rc == E_NOT_FOUND)
        return apply_stopped(apply, document, count);
    if (rc < 0)
        return fail(socket, rc);
    int code = apply_running(socket, status, apply, document, count);
    status_read_close(status);
    return code;
}

int config_apply_run(const struct config_apply *apply)
{
    char *document = NULL;
    size_t count = 0;
    int rc = apply->file != NULL ? read_document(apply->file, &document, &count) : E_OK;
    if (rc < 0)
        return fail(apply->file, rc);
    int code = apply_document(apply, document, count);
    free(document);
    return code;
}

int config_apply_reload(void)
{
    char socket[CONTROL_PATH_BYTES];
    int rc = control_path(socket);
    return rc < 0 ? fail("RUNNEL_SOCKET", rc) : ask_agent(socket, "reload", NULL);
}
