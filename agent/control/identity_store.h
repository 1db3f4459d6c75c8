/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_IDENTITY_STORE_H
#define RUNNEL_AGENT_CONTROL_IDENTITY_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "platform/fs.h"
#include "platform/identity.h"

/**
 * Where a device keeps its key and certificate, so that after a power cut the two always belong
 * together:
 *
 *   STATE/identity/next.key               a key that has no certificate yet
 *   STATE/identity/pair-7/device.{key,pem}
 *   STATE/identity/current -> pair-7      one rename(2) switches
 *
 * The files that the configuration names become links through `current`; a pair that lies there as
 * plain files is taken over first, which changes nothing of what a reader sees. Keys have mode
 * 0600. All but these links is made with the rights of the owner of the state directory, who is the
 * agent, also where root asks for it.
 */
enum { IDENTITY_STORE_FAULT_BYTES = FS_PATH_BYTES + 200 };

#define IDENTITY_STORE_CERT "device.pem"
#define IDENTITY_STORE_KEY  "device.key"

struct identity_store_options {
    const char *state;
    const char *cert_file; /* as the configuration names them */
    const char *key_file;
    const char *folder; /* of the configuration: where alone the caller's own rights put a name that
                           the agent's cannot; NULL: nowhere */
};

/** One process at a time has it open. Texts of the options outlive it. */
struct identity_store;

/** STATE/identity/next.key, which need not be there. E_TOO_BIG. */
int identity_store_next_path(const char *state, char path[FS_PATH_BYTES]);

/**
 * Makes STATE/identity and clears away what a cut left there. FAULT says what is wrong on failure:
 * E_BUSY: another process has it; E_NOT_FOUND: there is no state directory; E_REFUSED: we may not
 * write there; E_INVALID: both names are the same; E_TOO_BIG; E_NO_MEMORY; error_sys.
 */
int identity_store_open(const struct identity_store_options *options,
                        char fault[IDENTITY_STORE_FAULT_BYTES], struct identity_store **ret_store);
void identity_store_close(struct identity_store *store); /* NULL is allowed */

enum identity_store_key { IDENTITY_STORE_NEXT, IDENTITY_STORE_IN_USE };

/** Reads the next key, or that in use, as the agent may. The count; E_NOT_FOUND: there is none;
 *  E_TOO_BIG; E_REFUSED; error_sys. */
int identity_store_read_key(const struct identity_store *store, enum identity_store_key which,
                            char ret_pem[IDENTITY_KEY_BYTES],
                            char fault[IDENTITY_STORE_FAULT_BYTES]);

/** Keeps a next key, in the place of one that is there. Errors as above. */
int identity_store_put_next(struct identity_store *store, const char *key_pem, size_t count,
                            char fault[IDENTITY_STORE_FAULT_BYTES]);

/** A pair that is to be tried: on flash, used by nobody. */
struct identity_store_pair {
    const char *cert_pem;
    size_t cert_count;
    const char *key_pem;
    size_t key_count;
};

/** Stores PAIR and says where, for who tries it. Errors as above. */
int identity_store_stage(struct identity_store *store, const struct identity_store_pair *pair,
                         char fault[IDENTITY_STORE_FAULT_BYTES], char ret_cert_file[FS_PATH_BYTES],
                         char ret_key_file[FS_PATH_BYTES]);

/** Forgets what was staged. */
void identity_store_drop(struct identity_store *store);

/** What was staged takes the place of the pair in use; USED_NEXT: the next key is that of it, so it
 *  is no longer one. On failure the old pair goes on, errors as above. */
int identity_store_switch(struct identity_store *store, bool used_next,
                          char fault[IDENTITY_STORE_FAULT_BYTES]);

#endif
