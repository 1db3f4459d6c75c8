/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was applied, through every step of trials, so that powercut_store.py can cut them.
 *
 * usage: powercut_store work STATE SEED     steps at random; behind each one a line to the
 *                                           descriptor $POWERCUT_REPORT says what is there now
 *        powercut_store check < STATES      of each directory of the input such a line, or why it
 *                                           does not go on from there
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control/config_store.h"
#include "platform/base/error.h"

enum { STEPS = 120, DOCUMENT_BYTES_MAX = 6000, LINE_BYTES = 512 };
enum { TRIAL_MS = 900000 };

/* ---- what is there ---- */

/* A document's name, if it is the one that it should be. */
static const char *judge(const struct config_store *store, const struct config_applied *applied)
{
    static char text[DOCUMENT_BYTES_MAX + 1];
    char path[FS_PATH_BYTES];
    char digest[CONFIG_STORE_DIGEST_BYTES];
    if (applied->place == 0)
        return "main";
    if (config_store_path(store, applied->place, path) < 0)
        return "nowhere";
    int count = fs_read_file(path, text, sizeof text);
    if (count < 0)
        return "missing";
    config_store_digest(text, (size_t)count, digest);
    return strcmp(digest, applied->digest) == 0 ? applied->digest : "torn";
}

static void describe(const struct config_store *store, char line[LINE_BYTES])
{
    const struct config_trial *trial = &store->trial;
    char good[32];
    (void)snprintf(good, sizeof good, "%s", judge(store, &store->good));
    (void)snprintf(line, LINE_BYTES, "good %s trial %s %lld %u %u outcome %d %s %s %d", good,
                   trial->is_on ? judge(store, &trial->applied) : "none", (long long)trial->left_ms,
                   trial->starts, trial->route_count, (int)store->outcome.result,
                   store->outcome.digest, store->outcome.route, store->outcome.told);
}

/* ---- working ---- */

static int offer(struct config_store *store, unsigned *random)
{
    static char document[DOCUMENT_BYTES_MAX];
    struct config_offer offer = {.document = document,
                                 .count = 1 + (size_t)rand_r(random) % sizeof document,
                                 .confirm_ms = TRIAL_MS,
                                 .route_count = 2,
                                 .routes = {"live", "lake"}};
    for (size_t i = 0; i < offer.count; i++)
        document[i] = (char)('a' + rand_r(random) % 26);
    if (rand_r(random) % 6 == 0)
        offer.document = NULL;
    return config_store_offer(store, &offer);
}

static int step(struct config_store *store, unsigned *random)
{
    int which = rand_r(random) % 8;
    if (!store->trial.is_on)
        return which == 0 && store->outcome.result != CONFIG_RESULT_NONE ? config_store_told(store)
                                                                         : offer(store, random);
    switch (which) {
    case 0:
        return offer(store, random);
    case 1:
        return config_store_confirm(store);
    case 2:
        return config_store_revert(store, "live", "nobody \"there\"\n");
    case 3:
        return config_store_start(store);
    case 4:
        return config_store_prove(store, rand_r(random) % 2 == 0 ? "live" : "lake");
    default:
        return config_store_spend(store, 1000);
    }
}

static int report(int fd, const struct config_store *store)
{
    char line[LINE_BYTES + 1];
    describe(store, line);
    size_t count = strlen(line);
    line[count++] = '\n';
    return write(fd, line, count) == (ssize_t)count ? E_OK : error_sys(errno);
}

static int work(const char *state, unsigned random)
{
    const char *report_fd = getenv("POWERCUT_REPORT");
    int fd = report_fd != NULL ? (int)strtol(report_fd, NULL, 10) : -1;
    struct config_store store;
    int rc = fs_make_directories(state, 0700);
    if (rc == E_OK)
        rc = config_store_read(state, &store);
    if (rc == E_OK)
        rc = report(fd, &store);
    for (int i = 0; rc == E_OK && i < STEPS; i++) {
        rc = step(&store, &random);
        if (rc == E_OK)
            rc = report(fd, &store);
    }
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", ERROR_TEXT(rc));
    return rc < 0 ? 1 : 0;
}

/* ---- checking ---- */

/* From there a trial begins and is passed, and a reader sees that. */
static int go_on(const char *state, struct config_store *store)
{
    unsigned random = 1;
    int rc = offer(store, &random);
    char wanted[CONFIG_STORE_DIGEST_BYTES];
    memcpy(wanted, store->trial.applied.digest, sizeof wanted);
    if (rc == E_OK)
        rc = config_store_confirm(store);
    if (rc == E_OK)
        rc = config_store_read(state, store);
    if (rc < 0)
        return rc;
    return strcmp(judge(store, &store->good), wanted) == 0 && !store->trial.is_on ? E_OK
                                                                                  : E_CHANGED;
}

static void check(const char *state)
{
    char line[LINE_BYTES];
    struct config_store store;
    int rc = config_store_read(state, &store);
    if (rc == E_OK) {
        describe(&store, line);
        rc = go_on(state, &store);
    }
    (void)printf("%s\n", rc == E_OK ? line : ERROR_TEXT(rc));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char state[FS_PATH_BYTES];
    if (argc == 4 && strcmp(argv[1], "work") == 0)
        return work(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    while (fgets(state, sizeof state, stdin) != NULL) {
        state[strcspn(state, "\n")] = '\0';
        check(state);
    }
    return 0;
}
