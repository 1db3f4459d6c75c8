/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_CREDENTIALS_H
#define RUNNEL_AGENT_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress;

/**
 * Where AWS keys come from: one small table of functions; the chain and the cache are providers
 * like any other, so that a default is a composition, not a special case.
 * Secrets are wiped when they are replaced and are never logged. One thread uses a provider at a
 * time, but a cache any number.
 */
enum {
    CREDENTIALS_ID_BYTES = 132,
    CREDENTIALS_SECRET_BYTES = 256,
    CREDENTIALS_TOKEN_BYTES = 4096, /* opaque, 0.4 to 2 KB today */
    CREDENTIALS_FAULT_BYTES = 320,
};

struct credentials {
    char access_key_id[CREDENTIALS_ID_BYTES];
    char secret_access_key[CREDENTIALS_SECRET_BYTES];
    char session_token[CREDENTIALS_TOKEN_BYTES]; /* "" for none; of a token, this is all */
    int64_t expires_mono_ms;                     /* clock_mono_ms; INT64_MAX: never */
};

struct stop;

struct credentials_provider {
    const struct credentials_operations *operations;
};

struct credentials_operations {
    const char *name; /* for messages: "env", "file", ... */
    bool slow;        /* get is a conversation with somebody far away */

    /** Fills ret_credentials. E_NOT_FOUND: this provider is not configured here, ask the next;
     *  E_CREDENTIALS: it is, but gives none (FAULT says why and what helps); E_TIMEOUT, E_STOP. */
    int (*get)(struct credentials_provider *provider, int64_t deadline_ms,
               char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials);

    /** As get, for whom the other side refused what get gives: not that again, before it has been
     *  asked for anew. NULL: as get. */
    int (*get_other)(struct credentials_provider *provider, int64_t deadline_ms,
                     char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials);

    /** What is cached is asked for anew, if it is USED (NULL: whatever it is), because the other
     *  side said that it expired. May be NULL. */
    void (*expire)(struct credentials_provider *provider, const struct credentials *used);

    /** See credentials_start and so on. May be NULL. */
    int (*start)(struct credentials_provider *provider, const char *name,
                 struct progress *progress);
    int (*stop)(struct credentials_provider *provider, int64_t deadline_ms);

    /** Wipes and frees; closes the providers that it was composed of. */
    void (*close)(struct credentials_provider *provider);
};

/** FAULT is "" after success. */
int credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials);
int credentials_get_other(struct credentials_provider *provider, int64_t deadline_ms,
                          char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials);
void credentials_expire(struct credentials_provider *provider, const struct credentials *used);
void credentials_close(struct credentials_provider *provider); /* NULL is allowed */

/** Starts the thread of a cache whose source is slow, called after NAME. PROGRESS is the caller's,
 *  and that of the stop that the source listens to as well, so that its conversations, however long
 *  the data budget has them wait, make nobody late. E_NO_MEMORY; error_sys. */
int credentials_start(struct credentials_provider *provider, const char *name,
                      struct progress *progress);

/** Whoever waits for credentials gets E_STOP, now and from now on, and the thread is waited for.
 *  May be called again. E_TIMEOUT: it still runs: nothing of it is freed then. */
int credentials_stop(struct credentials_provider *provider, int64_t deadline_ms);
void credentials_wipe(struct credentials *credentials);

/** For providers. Copies a key or token; E_TOO_BIG; E_SYNTAX if there is anything in it but visible
 *  ASCII characters: such a thing is not signed and sent, but told. */
int credentials_copy(char *to, size_t to_bytes, const char *text, size_t count);

/** For providers. The variable NAME, NULL if it is not set or set to nothing. */
const char *credentials_variable(const char *name);

/** For providers. Whether a file of secrets with MODE may be used: E_REFUSED if others than its
 *  owner may write it; if everybody may read it, that is logged once (WARNED). */
int credentials_check_mode(const char *path, unsigned mode, bool *warned,
                           char fault[CREDENTIALS_FAULT_BYTES]);

/** For providers. credentials_check_mode of the file at PATH. E_CREDENTIALS: it is missing, cannot
 *  be looked at, or is refused. */
int credentials_check_file(const char *path, bool *warned, char fault[CREDENTIALS_FAULT_BYTES]);

/** For providers. Reads a token of visible ASCII from the file at PATH, without the white space
 *  behind it. The count; E_CREDENTIALS with FAULT. */
int credentials_read_token(const char *path, bool *warned, char *token, size_t token_bytes,
                           char fault[CREDENTIALS_FAULT_BYTES]);

/** For providers. Likewise, of visible ASCII with blanks between. */
int credentials_read_value(const char *path, bool *warned, char *value, size_t value_bytes,
                           char fault[CREDENTIALS_FAULT_BYTES]);

/** For providers. Writes FAULT as printf does and returns CODE. */
int credentials_fault(char fault[CREDENTIALS_FAULT_BYTES], int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Writes "***" in TEXT, which somebody else wrote, for SECRET, for one that begins like it, and
 *  for its part behind a blank: some servers quote what they refuse. "" is no secret. */
void credentials_hide(const char *secret, char *text);

/** AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. E_NO_MEMORY. */
int credentials_env_open(struct credentials_provider **ret_provider);

/**
 * The shared files of the AWS tools (AWS SDKs and Tools Reference Guide, "Shared config and
 * credentials files"): PATH alone, in the form of ~/.aws/credentials; NULL:
 * AWS_SHARED_CREDENTIALS_FILE, else $CREDENTIALS_DIRECTORY/aws-credentials (if it is there when the
 * provider is opened) and ~/.aws/credentials, where that has no keys the service's
 * /etc/runnel/credentials (likewise), and then AWS_CONFIG_FILE, else ~/.aws/config. PROFILE NULL:
 * AWS_PROFILE, else "default". What was asked for by name and is missing is E_CREDENTIALS, else
 * E_NOT_FOUND.
 * Read again when they change; while a changed file is unfinished, the old keys go on. A file that
 * others may write is refused; one that others may read gets a warning. E_TOO_BIG: a path has
 * more than 511 bytes or the profile's name more than 127; E_NO_MEMORY.
 */
int credentials_file_open(const char *path, const char *profile,
                          struct credentials_provider **ret_provider);

/**
 * What the file at PATH holds, as session_token alone: it signs nothing, a header carries it. It is
 * read each time, so a cache notices a new one within its 30 s, and at once when the old one is
 * refused; while it is unfinished, the old one goes on. The modes are judged as those of other
 * files of secrets. PATH must outlive the provider. WITH_BLANKS: the value may hold some, such as
 * "Basic dXNlcg==". E_NO_MEMORY.
 */
int credentials_token_file_open(const char *path, bool with_blanks,
                                struct credentials_provider **ret_provider);

/** Asks PROVIDERS in turn; owns them once it is open. The first that does not answer E_NOT_FOUND
 *  decides; if there is none, so does the chain. E_NO_MEMORY. */
int credentials_chain_open(struct credentials_provider *const *providers, size_t count,
                           struct credentials_provider **ret_provider);

/**
 * Keeps what SOURCE gave until min(15 min, a quarter of its life) +-10 % before it expires, then
 * asks again, if somebody used them; what never expires is asked for again after 30 s, so that a
 * changed file is noticed. Keeps using the old ones until they expire when SOURCE fails, asking
 * every 30 s at most, and more and more rarely, down to some 5 min. After credentials_expire it
 * asks at once, but that, too, at most every 30 s; meanwhile credentials_get goes on giving the old
 * ones, since one endpoint's word must not stop the routes to others. Any number of threads may use
 * it. A slow SOURCE is asked by a thread of the cache alone (see credentials_start), and get only
 * waits: while there are none, until its deadline for an answer that is under way. Others are asked
 * by whoever wants credentials. Owns SOURCE once it is open. E_NO_MEMORY; error_sys.
 */
int credentials_cache_open(struct credentials_provider *source,
                           struct credentials_provider **ret_provider);

/** Has ON_CHANGE told when the source of a cache begins to fail, or gives something again: by
 *  whoever asked it, with the cache's lock, so that it may neither wait nor ask. Before
 *  credentials_start. */
void credentials_cache_watch(struct credentials_provider *cache, void (*on_change)(void *context),
                             void *context);

/** Since when (clock_mono_ms) the source of a cache has failed whenever it was asked, and in FAULT
 *  why; 0: it has not. Any thread. */
int64_t credentials_cache_failing_ms(struct credentials_provider *cache,
                                     char ret_fault[CREDENTIALS_FAULT_BYTES]);

/** For tests, the same with a clock (clock_mono_ms), random numbers (random_below) and a thread's
 *  wait (stop_wait) of theirs. */
struct credentials_cache_options {
    int64_t (*mono_ms)(void);
    uint64_t (*random_below)(uint64_t limit);
    int (*wait)(const struct stop *stop, int fd, short events, int64_t deadline_ms);
};
int credentials_cache_open_with(const struct credentials_cache_options *options,
                                struct credentials_provider *source,
                                struct credentials_provider **ret_provider);

#endif
