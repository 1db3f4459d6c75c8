/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_TRIAL_H
#define RUNNEL_AGENT_AGENT_TRIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/control/config.h"
#include "agent/control/config_store.h"
#include "agent/control/status.h"
#include "agent/spool/spool.h"

enum { AGENT_REFUSED_BYTES = 640 };

/** For agent_state.h alone: which configuration runs, and what is to run next. */
struct agent;

enum agent_wish {
    AGENT_WISH_NONE,
    AGENT_WISH_RELOAD, /* the same files again */
    AGENT_WISH_APPLY,  /* a document on trial */
    AGENT_WISH_MAIN,   /* the main file on trial, nothing applied */
};

struct agent_ask {
    enum agent_wish wish;
    char *document; /* of APPLY: from malloc, the agent's once it was taken; NULL:
                       CONFIG_STORE_OFFER in the store */
    size_t count;
    enum cfg_origin origin;
    int64_t confirm_ms;
};

/** Zeros, and AGENT_TRIAL_LOCK, to begin with. */
#define AGENT_TRIAL_LOCK PTHREAD_MUTEX_INITIALIZER
struct agent_trial {
    const struct config_options *options;
    struct config *loaded;     /* what agent.config points to */
    struct config *next;       /* what runs once the stages are down; NULL: as before */
    struct config_store store; /* main's; others see shown */
    bool damaged;              /* store begins anew: what flash had makes no sense */
    int64_t counted_ms;        /* up to when its time is counted (clock_mono_ms) */
    int64_t begun_ms;          /* when the stages began with it */
    int64_t again_ms;          /* when what did not work is tried again (clock_mono_ms) */
    bool telling;              /* the outcome is in a record that is not accepted yet */
    struct spool_ticket ticket;
    char start_fault[CONFIG_STORE_ERROR_BYTES]; /* why the stages did not start */

    pthread_mutex_t lock; /* of the rest */
    struct config_store shown;
    bool uses_main;    /* although something was applied, which does not load */
    bool forgets_what; /* although something may have been applied: nobody can tell */
    struct agent_ask ask;
    bool answered, taken;
    int answer;
    char *answer_text; /* what is wrong, or what was changed, a line each; from malloc */
    char refused[AGENT_REFUSED_BYTES]; /* why what was read last does not run; "": it does */
};

/** Loads what is to run, and prints what is wrong with it. A trial that does not load is over, and
 *  so is one whose time ran out in starts. As config_load; E_NOT_FOUND, E_CONFIG: ground_check. */
int agent_config_start(struct agent *agent);

/** The stages are down: what is next is what runs. */
void agent_config_take_next(struct agent *agent);

void agent_config_close(struct agent *agent);

/**
 * Asks the main thread, from any other. E_BUSY: somebody else's question is not answered yet; then
 * ASK's document stays the caller's.
 */
int agent_config_ask(struct agent *agent, const struct agent_ask *ask);

/** The answer: E_AGAIN: not yet; E_OK: the stages come back with it as soon as agent_config_forget
 *  says that this was heard, or a second later; E_CONFIG: see ret_text, which is the caller's to
 *  free and may be NULL; what config_store_offer says; E_UNSUPPORTED: the spool would move from
 * where something was applied; E_FULL: the spool cannot be written now. */
int agent_config_answer(struct agent *agent, char **ret_text);

/** Nobody waits for it any more: the next one may ask. */
void agent_config_forget(struct agent *agent);

/** SIGHUP. */
void agent_config_hangup(struct agent *agent);

/** Whether what was read last was refused, and why. From any thread. */
bool agent_config_is_refused(struct agent *agent, char ret_why[AGENT_REFUSED_BYTES]);

/** Answers what was asked, if anything was. */
void agent_config_decide(struct agent *agent);

/** Loads what counts after a trial, or with one that began. */
void agent_config_load_next(struct agent *agent);

/** The main file runs because what was applied did not load: looks whether it does by now. */
void agent_config_return(struct agent *agent);

/** What the store has now is for all to see. */
void agent_config_publish(struct agent *agent);

/** Which configuration runs; the texts are in STORE, a copy for as long as they are used. From any
 *  thread. Returns a warning about it, or NULL. */
const char *agent_config_fill_status(struct agent *agent, struct config_store *store,
                                     struct status_config *ret_status);

/* ---- agent_trial.c ---- */

/** The stages are open: tells how the last trial ended, if nobody was told yet. */
void agent_trial_tell(struct agent *agent);

/** The stages run. */
void agent_trial_begin(struct agent *agent);

/** Looks whether the trial is passed, or its time over. Returns when to come back (clock_mono_ms);
 *  INT64_MAX: none is on. */
int64_t agent_trial_look(struct agent *agent);

/** The stages did not start, because of CODE: true if that ended a trial, so that it is worth to
 *  begin again. */
bool agent_trial_failed(struct agent *agent, int code);

/** The trial is over because of ERROR (of ROUTE, or ""). */
void agent_trial_revert(struct agent *agent, const char *route, const char *error);

#endif
