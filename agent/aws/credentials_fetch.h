/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_CREDENTIALS_FETCH_H
#define RUNNEL_AGENT_AWS_CREDENTIALS_FETCH_H

#include "agent/aws/credentials_network.h"
#include "agent/aws/credentials_reply.h"

/**
 * One request to somebody who gives temporary keys, over a connection of its own: it is made some
 * twenty times a day. What held secrets is wiped afterwards.
 */
struct credentials_header {
    const char *name;
    const char *value;
};

enum { CREDENTIALS_HEADERS_MAX = 4 };

struct credentials_request {
    struct credentials_server server;
    const char *method;
    const char *path;
    const char *query;                                          /* or NULL */
    struct credentials_header headers[CREDENTIALS_HEADERS_MAX]; /* those with a value */
    int (*write_body)(void *context, struct writer *out);       /* twice the same; or NULL */
    void *context;
    int64_t time_ms; /* for all of it */
};

struct credentials_answer {
    int status;
    bool has_date;
    int64_t date_ms;       /* since 1970 UTC */
    int64_t asked_mono_ms; /* not later than DATE */
};

/**
 * 0: a whole reply came, of whatever status, and its body went to ON_BODY. With FAULT: E_NOT_FOUND:
 * nobody answers there; E_TIMEOUT: it broke off, or the like: it may work again by itself;
 * E_CREDENTIALS: it will not (a file that does not fit, a certificate that is not trusted); E_STOP.
 */
int credentials_fetch(const struct credentials_request *request, int64_t deadline_ms,
                      int (*on_body)(void *context, const uint8_t *bytes, size_t count),
                      void *context, char fault[CREDENTIALS_FAULT_BYTES],
                      struct credentials_answer *ret_answer);

/** What helps against an error: the first that fits. */
struct credentials_remedy {
    int status;       /* 0: any */
    const char *word; /* that the error's code or message holds; NULL: any */
    bool temporary;   /* it is asked again soon: E_TIMEOUT, not E_CREDENTIALS */
    const char *remedy;
};

/**
 * The keys in the reply to REQUEST. They live as long as the reply's own Date says, whatever our
 * clock does; without one our clock decides. E_TIMEOUT, also for statuses 429 and 5xx and for
 * replies that are cut off or no reply at all; E_CREDENTIALS: an error that REMEDIES (until a
 * remedy of NULL) do not call temporary, or keys that have expired already; E_NOT_FOUND as
 * credentials_fetch; E_STOP; E_NO_MEMORY.
 */
int credentials_fetch_keys(const struct credentials_request *request, enum credentials_form form,
                           const struct credentials_remedy *remedies, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES],
                           struct credentials *ret_credentials);

/** The two halves of credentials_fetch_keys, for who looks at a reply that has none: REPLY, which
 *  the caller starts before and wipes behind, ... */
int credentials_fetch_reply(const struct credentials_request *request,
                            struct credentials_reply *reply, int64_t deadline_ms,
                            char fault[CREDENTIALS_FAULT_BYTES],
                            struct credentials_answer *ret_answer);

/** ... and the keys in it. */
int credentials_fetch_judge(const struct credentials_request *request,
                            const struct credentials_remedy *remedies,
                            struct credentials_reply *reply,
                            const struct credentials_answer *answer,
                            char fault[CREDENTIALS_FAULT_BYTES],
                            struct credentials *ret_credentials);

/** The time that is trusted where somebody knows one, in ms since 1970 UTC. */
int64_t credentials_fetch_wall_ms(const struct tls_options *tls);

/** WANTED made into a RoleSessionName of STS, [\w+=,.@-]{2,64}, so that the trail in CloudTrail
 *  says which device it was. */
enum { CREDENTIALS_SESSION_BYTES = 65 };
void credentials_fetch_name_session(const char *wanted,
                                    char ret_session[CREDENTIALS_SESSION_BYTES]);

/** A member of a form (application/x-www-form-urlencoded), as NAME says: "&Scope=". */
void credentials_fetch_write_member(struct writer *out, const char *name, const char *value);

/** FAULT for an answer that gave none, by STATUS and what the reply said. E_TIMEOUT or
 *  E_CREDENTIALS. */
int credentials_fetch_refuse(const char *host, int status, const char *code, const char *message,
                             const struct credentials_remedy *remedies,
                             char fault[CREDENTIALS_FAULT_BYTES]);

#endif
