/* SPDX-License-Identifier: Apache-2.0 */
/* DTLS with pre-shared keys, and who may come with which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { LOOK_MS = 1000 };

/* A session that brought a request, or whose handshake is known to have failed, has the door as its
 * application data. Not all that libcoap does DTLS with tells when a handshake is good. */
static void note_failure(struct coap_door *door, coap_session_t *session, const char *why)
{
    unsigned long silenced;
    if (coap_session_get_app_data(session) != NULL)
        return;
    coap_session_set_app_data(session, door);
    (void)pthread_mutex_lock(&door->lock);
    door->status.handshakes_failed++;
    (void)pthread_mutex_unlock(&door->lock);
    if (log_limit_passes(&door->handshake_failed, clock_mono_ms(), &silenced))
        log_warning("coap-handshake-failed peer=\"%s\" why=\"%s\" silenced=%lu",
                    coap_session_str(session), why, silenced);
}

/* No key makes the handshake fail. */
static const coap_bin_const_t *find_key(coap_bin_const_t *identity, coap_session_t *session,
                                        void *context)
{
    struct coap_door *door = context;
    const struct peer *peer = peers_find(door->peers, identity->s, identity->length);
    if (peer == NULL) {
        note_failure(door, session, "unknown identity");
        return NULL;
    }
    door->key = (coap_bin_const_t){.length = peer->key_bytes, .s = peer->key};
    return &door->key;
}

static void count_session(struct coap_door *door, bool begins)
{
    (void)pthread_mutex_lock(&door->lock);
    if (begins)
        door->status.sessions++;
    else if (door->status.sessions > 0)
        door->status.sessions--;
    (void)pthread_mutex_unlock(&door->lock);
}

/* ---- silence ---- */

/* Whoever has no place is left to libcoap. */
static void note_heard(struct coap_door *door, coap_session_t *session)
{
    void *known = coap_session_get_app_data(session);
    struct coap_door_heard *heard = known;
    if (known == NULL || known == door) {
        heard = door->heard;
        while (heard < door->heard + door->heard_count && heard->session != NULL)
            heard++;
        if (heard == door->heard + door->heard_count) {
            coap_session_set_app_data(session, door);
            return;
        }
        heard->session = session;
        coap_session_set_app_data(session, heard);
    }
    heard->at_ms = clock_mono_ms();
}

static void forget(struct coap_door *door, coap_session_t *session)
{
    void *known = coap_session_get_app_data(session);
    if (known == NULL || known == door)
        return;
    ((struct coap_door_heard *)known)->session = NULL;
    coap_session_set_app_data(session, door);
}

static void end(coap_session_t *session)
{
    coap_session_disconnected(session, COAP_NACK_TLS_FAILED);
    coap_session_release(session);
}

/* To libcoap every datagram from its address keeps a session, and so does the handshake of a node
 * that lost power and comes from the same port again, which DTLS passes over while it has the
 * session (RFC 6347 section 4.2.8 wants it to begin a new one). Only requests count here. */
static void end_silent(struct coap_door *door)
{
    int64_t now_ms = clock_mono_ms();
    int64_t most_ms = (int64_t)door->options.session_s * 1000;
    for (size_t i = 0; i < door->heard_count; i++) {
        coap_session_t *session = door->heard[i].session;
        if (session == NULL || now_ms - door->heard[i].at_ms < most_ms)
            continue;
        forget(door, session);
        end(coap_session_reference(session));
    }
}

static int on_event(coap_session_t *session, const coap_event_t event)
{
    struct coap_door *door = coap_get_app_data(coap_session_get_context(session));
    bool is_secure = coap_session_get_proto(session) == COAP_PROTO_DTLS;
    if (event == COAP_EVENT_SERVER_SESSION_NEW || event == COAP_EVENT_SERVER_SESSION_DEL)
        count_session(door, event == COAP_EVENT_SERVER_SESSION_NEW);
    if (event == COAP_EVENT_DTLS_ERROR || event == COAP_EVENT_DTLS_CLOSED ||
        (event == COAP_EVENT_SERVER_SESSION_DEL && is_secure &&
         coap_session_get_type(session) == COAP_SESSION_TYPE_SERVER))
        note_failure(door, session, "wrong key, or it was not finished");
    if (event == COAP_EVENT_SERVER_SESSION_DEL && is_secure)
        forget(door, session);
    if (event == COAP_EVENT_DTLS_CLOSED)
        coap_door_wait_leave(door, session);
    return 0;
}

/* ---- keys ---- */

static void note_peers(struct coap_door *door, const char *fault)
{
    (void)pthread_mutex_lock(&door->lock);
    door->status.identities = peers_count(door->peers);
    (void)snprintf(door->status.psk_fault, sizeof door->status.psk_fault, "%s", fault);
    (void)pthread_mutex_unlock(&door->lock);
}

void coap_door_secure_look(struct coap_door *door)
{
    char fault[PEERS_FAULT_BYTES] = "";
    if (door->peers == NULL || clock_mono_ms() < door->peers_due_ms)
        return;
    door->peers_due_ms = clock_mono_ms() + LOOK_MS;
    end_silent(door);
    int rc = peers_refresh(door->peers, fault);
    if (rc == 1)
        log_info("coap-psk-reloaded identities=%zu", peers_count(door->peers));
    if (rc < 0 && strcmp(fault, door->status.psk_fault) != 0) /* which nobody else writes */
        log_warning("coap-psk-fault reason=\"%s\"", log_value((char[LOG_VALUE_BYTES]){0}, fault));
    if (rc != 0)
        note_peers(door, fault);
}

static void end_later(struct coap_door *door, coap_session_t *session)
{
    for (size_t i = 0; i < COAP_DOOR_ENDING; i++) {
        if (door->ending[i] != NULL)
            continue;
        door->ending[i] = coap_session_reference(session);
        return;
    }
}

void coap_door_secure_end(struct coap_door *door)
{
    for (size_t i = 0; i < COAP_DOOR_ENDING && door->ending[i] != NULL; i++) {
        end(door->ending[i]);
        door->ending[i] = NULL;
    }
}

const struct peer *coap_door_secure_peer(struct coap_door *door, coap_session_t *session)
{
    const coap_bin_const_t *identity = coap_session_get_psk_identity(session);
    const coap_bin_const_t *key = coap_session_get_psk_key(session);
    const struct peer *peer =
        identity == NULL ? NULL : peers_find(door->peers, identity->s, identity->length);
    if (peer != NULL && key != NULL && key->length == peer->key_bytes &&
        memcmp(key->s, peer->key, peer->key_bytes) == 0) {
        note_heard(door, session);
        return peer;
    }
    end_later(door, session);
    return NULL;
}

static int set_psk(struct coap_door *door)
{
    /* One that nobody has: with none at all some versions do without the identity's. */
    const coap_bin_const_t nobody = {.length = sizeof door->secret, .s = door->secret};
    coap_dtls_spsk_t setup = {.version = COAP_DTLS_SPSK_SETUP_VERSION,
                              .validate_id_call_back = find_key,
                              .id_call_back_arg = door,
                              .psk_info = {.key = nobody}};
    return coap_context_set_psk2(door->context, &setup) != 0 ? 0 : E_UNSUPPORTED;
}

/* Beside those that libcoap may keep, each message that waits keeps one. */
static int open_heard(struct coap_door *door)
{
    door->heard_count = CONFIG_COAP_SESSIONS * door->options.listen_count + CONFIG_COAP_WAITING;
    door->heard = calloc(door->heard_count, sizeof *door->heard);
    return door->heard == NULL ? E_NO_MEMORY : 0;
}

int coap_door_secure_open(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES])
{
    coap_set_app_data(door->context, door);
    coap_register_event_handler(door->context, on_event);
    if (door->options.psk_file == NULL)
        return 0;
    if (!coap_dtls_is_supported()) {
        (void)snprintf(fault, COAP_DOOR_FAULT_BYTES,
                       "libcoap was built without DTLS: coaps:// needs one with it");
        return E_UNSUPPORTED;
    }
    int rc = peers_open(door->options.psk_file, fault, &door->peers);
    if (rc == 0)
        rc = open_heard(door);
    if (rc == 0)
        rc = set_psk(door);
    if (rc == 0)
        note_peers(door, "");
    return rc;
}

void coap_door_secure_close(struct coap_door *door)
{
    peers_close(door->peers);
    free(door->heard);
}
