/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_CREDENTIALS_H
#define RUNNEL_AGENT_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/stop.h"

/**
 * Where AWS keys come from: one small table of functions; the chain and the cache are providers
 * like any other, so that a default is a composition, not a special case.
 * Secrets are wiped when they are replaced and are never logged.
 */
enum {
    CREDENTIALS_ID_BYTES = 132,
    CREDENTIALS_SECRET_BYTES = 256,
    CREDENTIALS_TOKEN_BYTES = 4096, /* opaque, 0.4 to 2 KB today */
    CREDENTIALS_FAULT_BYTES = 200,
};

struct credentials {
    char access_key_id[CREDENTIALS_ID_BYTES];
    char secret_access_key[CREDENTIALS_SECRET_BYTES];
    char session_token[CREDENTIALS_TOKEN_BYTES]; /* "" for none */
    int64_t expires_mono_ms;                     /* clock_mono_ms; INT64_MAX: never */
};

struct credentials_provider {
    const struct credentials_operations *operations;
};

struct credentials_operations {
    const char *name; /* for messages: "env", "file", ... */

    /** Fills ret_credentials. E_NOT_FOUND: this provider is not configured here, ask the next;
     *  E_CREDENTIALS: it is, but gives none (FAULT says why and what helps); E_TIMEOUT, E_STOP. */
    int (*get)(struct credentials_provider *provider, int64_t deadline_ms,
               char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials);

    /** Forgets what is cached, because the other side said that it expired. May be NULL. */
    void (*expire)(struct credentials_provider *provider);

    /** Wipes and frees; closes the providers that it was composed of. */
    void (*close)(struct credentials_provider *provider);
};

int credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials);
void credentials_expire(struct credentials_provider *provider);
void credentials_close(struct credentials_provider *provider); /* NULL is allowed */
void credentials_wipe(struct credentials *credentials);

/** AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
int credentials_env_open(struct credentials_provider **ret_provider);

/**
 * The shared files ~/.aws/credentials and ~/.aws/config, or AWS_SHARED_CREDENTIALS_FILE and
 * AWS_CONFIG_FILE; PROFILE NULL: AWS_PROFILE, else "default". Read again when they change. A file
 * that others may write is refused; one that others may read gets a warning.
 */
int credentials_file_open(const char *path, const char *profile,
                          struct credentials_provider **ret_provider);

/** Asks PROVIDERS in turn; owns them. The first that does not answer E_NOT_FOUND decides. */
int credentials_chain_open(struct credentials_provider *const *providers, size_t count,
                           struct credentials_provider **ret_provider);

/**
 * Keeps what SOURCE gave until min(15 min, a quarter of its life) before it expires, then asks
 * again; keeps using the old ones until they expire when SOURCE fails, asking at most every 30 s.
 * Owns SOURCE.
 */
int credentials_cache_open(struct credentials_provider *source,
                           struct credentials_provider **ret_provider);

#endif
