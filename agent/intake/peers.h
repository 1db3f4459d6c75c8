/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_PEERS_H
#define RUNNEL_AGENT_INTAKE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/spool.h"

/**
 * Who may come by DTLS, with which key, and what for: a file of pre-shared keys (RFC 4279).
 *
 *     {"peers": [{"identity": "pump-4", "key": "hex:00112233...", "sensors": ["pump-4", "well-*"],
 *                 "lanes": ["normal", "alarm"]}]}
 *
 * key: "hex:..." or "base64:..." of 16 to 64 bytes, or a text of 16 to 64 bytes. sensors: names, or
 * what they begin with and "*"; absent: all. lanes: absent: all. The file must be nobody's but its
 * owner's: root, or the user of the agent; readable by its group at most.
 */
struct peers;

enum { PEERS_IDENTITY_BYTES = 128, PEERS_KEY_BYTES_MIN = 16, PEERS_KEY_BYTES_MAX = 64 };
enum { PEERS_FAULT_BYTES = 256 };

/** Reads PATH, which must stay valid. FAULT names the place and the remedy, and no key. E_INVALID;
 *  E_TOO_BIG; E_NO_MEMORY; error_sys. */
int peers_open(const char *path, char fault[PEERS_FAULT_BYTES], struct peers **ret_peers);

/** Wipes the keys. NULL is allowed. */
void peers_close(struct peers *peers);

/** Reads the file again if it has changed. 1: there is another set now, and what was found before
 * is gone; 0: it has not changed; as peers_open: the set before stays. */
int peers_refresh(struct peers *peers, char fault[PEERS_FAULT_BYTES]);

size_t peers_count(const struct peers *peers);

struct peer {
    char identity[PEERS_IDENTITY_BYTES];
    uint8_t key[PEERS_KEY_BYTES_MAX];
    size_t key_bytes;
    const char *const *sensors; /* sensor_count of them; NULL: all */
    size_t sensor_count;
    bool lanes[LANE_COUNT];
};

/** NULL: there is no such identity. Valid until the next refresh. */
const struct peer *peers_find(const struct peers *peers, const void *identity, size_t count);

bool peers_may_sensor(const struct peer *peer, const char *sensor);

#endif
