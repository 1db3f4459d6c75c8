/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "platform/hash.h"
#include "platform/json/json_scan.h"

enum { FILE_BYTES_MAX = 1024 * 1024, NAME_BYTES = 32 };

/* Of one reading of the file. */
struct peers_set {
    struct peer *peers;
    size_t count;
    const char **sensors; /* of all peers */
    char *text;           /* of all sensors */
};

struct peers {
    const char *path;
    struct fs_mark mark;
    bool failed; /* the last reading, which may be due to what no mark shows */
    struct peers_set set;
};

/* Depths of what stands in {"peers": [{"key": "...", "sensors": ["..."]}]}. */
enum { IN_FILE = 1, IN_PEERS = 2, IN_PEER = 3, IN_LIST = 4 };

/* First the peers and their sensors are counted, then they are filled in. */
struct reading {
    const char *path;
    char *fault;
    struct peers_set *set;
    bool fills;
    size_t peers, sensors, text_bytes;
    bool has_peers;
    char member[NAME_BYTES]; /* at IN_PEER */
    struct peer *peer;       /* that is being filled */
    bool has_identity, has_key, has_lanes;
};

static int say(struct reading *reading, int rc, const struct json_token *token, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

static int say(struct reading *reading, int rc, const struct json_token *token, const char *format,
               ...)
{
    va_list arguments;
    int used = snprintf(reading->fault, PEERS_FAULT_BYTES, "%s:%u:%u: ", reading->path, token->line,
                        token->column);
    size_t at = used < PEERS_FAULT_BYTES ? (size_t)used : PEERS_FAULT_BYTES - 1;
    va_start(arguments, format);
    (void)vsnprintf(reading->fault + at, PEERS_FAULT_BYTES - at, format, arguments);
    va_end(arguments);
    return rc;
}

/* ---- keys ---- */

static int base64_digit(char digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *place = digit == '\0' ? NULL : strchr(digits, digit);
    return place == NULL ? -1 : (int)(place - digits);
}

/* How many bytes; 0: it is not base64, or too long. */
static size_t read_base64(const char *text, uint8_t key[PEERS_KEY_BYTES_MAX])
{
    uint32_t bits = 0;
    size_t count = 0;
    size_t length = strlen(text);
    size_t digits = length;
    while (digits > 0 && length - digits < 2 && text[digits - 1] == '=')
        digits--;
    if (length % 4 != 0 || digits * 3 / 4 > PEERS_KEY_BYTES_MAX)
        return 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0)
            key[count++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return count;
}

static size_t read_hex(const char *text, uint8_t key[PEERS_KEY_BYTES_MAX])
{
    size_t count = strlen(text) / 2;
    if (strlen(text) % 2 != 0 || count > PEERS_KEY_BYTES_MAX)
        return 0;
    for (size_t i = 0; i < count; i++) {
        int high = bytes_hex_digit(text[2 * i]);
        int low = bytes_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return count;
}

static size_t read_key(const char *text, size_t text_bytes, uint8_t key[PEERS_KEY_BYTES_MAX])
{
    if (strncmp(text, "hex:", 4) == 0)
        return read_hex(text + 4, key);
    if (strncmp(text, "base64:", 7) == 0)
        return read_base64(text + 7, key);
    if (text_bytes > PEERS_KEY_BYTES_MAX)
        return 0;
    memcpy(key, text, text_bytes);
    return text_bytes;
}

/* ---- members ---- */

/* DTLS libraries hand identities on as texts. */
static int take_identity(struct reading *reading, const struct json_token *token)
{
    struct peer *peer = reading->peer;
    if (token->text_bytes == 0 || token->text_bytes >= PEERS_IDENTITY_BYTES ||
        strlen(token->text) != token->text_bytes)
        return say(reading, E_INVALID, token, "an identity has 1 to %d bytes, none of them NUL",
                   PEERS_IDENTITY_BYTES - 1);
    if (reading->has_identity)
        return say(reading, E_INVALID, token, "this peer has an identity already");
    for (const struct peer *other = reading->set->peers; other < peer; other++)
        if (strcmp(other->identity, token->text) == 0)
            return say(reading, E_INVALID, token, "a peer before this one has this identity");
    memcpy(peer->identity, token->text, token->text_bytes + 1);
    reading->has_identity = true;
    return 0;
}

static int take_key(struct reading *reading, const struct json_token *token)
{
    struct peer *peer = reading->peer;
    if (reading->has_key)
        return say(reading, E_INVALID, token, "this peer has a key already");
    peer->key_bytes = read_key(token->text, token->text_bytes, peer->key);
    if (peer->key_bytes < PEERS_KEY_BYTES_MIN || token->truncated)
        return say(reading, E_INVALID, token,
                   "a key is \"hex:...\" or \"base64:...\" of %d to %d bytes, or a text of so many",
                   PEERS_KEY_BYTES_MIN, PEERS_KEY_BYTES_MAX);
    reading->has_key = true;
    return 0;
}

static int take_sensor(struct reading *reading, const struct json_token *token)
{
    if (token->text_bytes == 0 || token->truncated || strlen(token->text) != token->text_bytes)
        return say(reading, E_INVALID, token, "that is no name of a sensor");
    if (reading->fills) {
        char *text = reading->set->text + reading->text_bytes;
        memcpy(text, token->text, token->text_bytes + 1);
        reading->set->sensors[reading->sensors] = text;
        reading->peer->sensor_count++;
    }
    reading->sensors++;
    reading->text_bytes += token->text_bytes + 1;
    return 0;
}

static int take_lane(struct reading *reading, const struct json_token *token)
{
    enum lane lane = lane_find(token->text);
    if (lane == LANE_COUNT)
        return say(reading, E_INVALID, token, "the lanes are alarm, normal and bulk");
    reading->peer->lanes[lane] = true;
    return 0;
}

static bool is_list(const struct reading *reading)
{
    return strcmp(reading->member, "sensors") == 0 || strcmp(reading->member, "lanes") == 0;
}

static int take_string(struct reading *reading, const struct json_token *token)
{
    bool sensors = strcmp(reading->member, "sensors") == 0;
    if (token->depth == IN_LIST && sensors)
        return take_sensor(reading, token);
    if (!reading->fills)
        return 0;
    if (token->depth == IN_LIST)
        return take_lane(reading, token);
    return strcmp(reading->member, "key") == 0 ? take_key(reading, token)
                                               : take_identity(reading, token);
}

/* ---- structure ---- */

static int take_name(struct reading *reading, const struct json_token *token)
{
    static const char *const names[] = {"identity", "key", "sensors", "lanes"};
    if (token->depth == IN_FILE) {
        if (strcmp(token->text, "peers") != 0 || reading->has_peers)
            return say(reading, E_INVALID, token, "here stands \"peers\", once, and nothing else");
        reading->has_peers = true;
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(token->text, names[i]) != 0)
            continue;
        (void)snprintf(reading->member, sizeof reading->member, "%s", names[i]);
        return 0;
    }
    return say(reading, E_INVALID, token,
               "a peer has \"identity\", \"key\", \"sensors\", \"lanes\"");
}

static void begin_peer(struct reading *reading)
{
    reading->has_identity = false;
    reading->has_key = false;
    reading->has_lanes = false;
    if (reading->fills)
        reading->peer = &reading->set->peers[reading->peers];
    reading->peers++;
}

static int end_peer(struct reading *reading, const struct json_token *token)
{
    if (!reading->fills)
        return 0;
    if (!reading->has_identity || !reading->has_key)
        return say(reading, E_INVALID, token, "the peer that ends here has no \"%s\"",
                   reading->has_identity ? "key" : "identity");
    for (size_t i = 0; i < LANE_COUNT && !reading->has_lanes; i++)
        reading->peer->lanes[i] = true;
    reading->set->count = reading->peers;
    return 0;
}

static int begin_list(struct reading *reading, const struct json_token *token)
{
    bool sensors = strcmp(reading->member, "sensors") == 0;
    if (!reading->fills)
        return 0;
    if (sensors ? reading->peer->sensors != NULL : reading->has_lanes)
        return say(reading, E_INVALID, token, "this peer has such a list already");
    if (sensors)
        reading->peer->sensors = reading->set->sensors + reading->sensors;
    else
        reading->has_lanes = true;
    return 0;
}

/* Whether TOKEN may stand where it does. */
static bool is_in_place(const struct reading *reading, const struct json_token *token)
{
    switch (token->event) {
    case JSON_OBJECT_BEGIN:
        return token->depth == 0 || token->depth == IN_PEERS;
    case JSON_ARRAY_BEGIN:
        return token->depth == IN_FILE || (token->depth == IN_PEER && is_list(reading));
    case JSON_STRING:
        return token->depth == IN_LIST || (token->depth == IN_PEER && !is_list(reading));
    case JSON_KEY:
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        return true;
    default:
        return false;
    }
}

static int on_token(void *context, const struct json_token *token)
{
    struct reading *reading = context;
    if (!is_in_place(reading, token))
        return say(reading, E_INVALID, token,
                   "wanted is {\"peers\": [{\"identity\": TEXT, \"key\": TEXT, \"sensors\": "
                   "[TEXT, ...], \"lanes\": [TEXT, ...]}, ...]}");
    if (token->event == JSON_KEY)
        return take_name(reading, token);
    if (token->event == JSON_STRING)
        return take_string(reading, token);
    if (token->event == JSON_ARRAY_BEGIN && token->depth == IN_PEER)
        return begin_list(reading, token);
    if (token->event == JSON_OBJECT_BEGIN && token->depth == IN_PEERS)
        begin_peer(reading);
    if (token->event == JSON_OBJECT_END && token->depth == IN_PEERS)
        return end_peer(reading, token);
    return 0;
}

/* ---- the file ---- */

static int scan(struct reading *reading, const char *text, size_t count)
{
    struct json_scan scan;
    json_scan_start(&scan, on_token, reading);
    int rc = json_scan_feed(&scan, text, count);
    if (rc == 0)
        rc = json_scan_end(&scan);
    if (rc == E_SYNTAX || rc == E_TOO_BIG)
        rc = say(reading, E_INVALID, &(struct json_token){.line = scan.line, .column = scan.column},
                 "%s", rc == E_SYNTAX ? scan.fault : "nested too deep");
    hash_wipe(&scan, sizeof scan);
    return rc;
}

static void free_set(struct peers_set *set)
{
    if (set->peers != NULL)
        hash_wipe(set->peers, set->count * sizeof *set->peers);
    free(set->peers);
    free(set->sensors);
    free(set->text);
}

static int allocate(struct peers_set *set, const struct reading *counted)
{
    *set = (struct peers_set){.count = counted->peers};
    set->peers = calloc(counted->peers + 1, sizeof *set->peers);
    set->sensors = calloc(counted->sensors + 1, sizeof *set->sensors);
    set->text = malloc(counted->text_bytes + 1);
    return set->peers == NULL || set->sensors == NULL || set->text == NULL ? E_NO_MEMORY : 0;
}

static int read_text(const char *path, const char *text, size_t count, char *fault,
                     struct peers_set *ret_set)
{
    struct peers_set set = {.peers = NULL};
    struct reading reading = {.path = path, .fault = fault, .set = &set};
    int rc = scan(&reading, text, count);
    if (rc < 0)
        return rc;
    if (!reading.has_peers)
        return say(&reading, E_INVALID, &(struct json_token){.line = 1, .column = 1},
                   "there is no \"peers\"");
    rc = allocate(&set, &reading);
    reading = (struct reading){.path = path, .fault = fault, .set = &set, .fills = true};
    if (rc == 0)
        rc = scan(&reading, text, count);
    if (rc < 0) {
        set.count = reading.peers; /* what may have a key by now */
        free_set(&set);
        return rc;
    }
    *ret_set = set;
    return 0;
}

/* Nobody else may read it, nor put another into its place by writing to it. */
static int check_rights(const char *path, const struct stat *info, char *fault)
{
    if (!S_ISREG(info->st_mode)) {
        (void)snprintf(fault, PEERS_FAULT_BYTES, "%s is no file", path);
        return E_INVALID;
    }
    if (info->st_uid != 0 && info->st_uid != geteuid()) {
        (void)snprintf(fault, PEERS_FAULT_BYTES,
                       "%s belongs to user %lu: chown it to root or to the agent's user", path,
                       (unsigned long)info->st_uid);
        return E_INVALID;
    }
    if ((info->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0) {
        (void)snprintf(fault, PEERS_FAULT_BYTES,
                       "%s has mode %03o, so that others get at the keys: chmod 640 %s", path,
                       info->st_mode & 0777U, path);
        return E_INVALID;
    }
    if (info->st_size > FILE_BYTES_MAX) {
        (void)snprintf(fault, PEERS_FAULT_BYTES, "%s is larger than %d bytes", path,
                       FILE_BYTES_MAX);
        return E_TOO_BIG;
    }
    return 0;
}

static int read_all(int fd, char *text, size_t count, size_t *ret_count)
{
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, text + used, count - used);
        if (got < 0 && errno != EINTR)
            return error_sys(errno);
        if (got > 0)
            used += (size_t)got;
        if (got == 0 || used == count)
            break;
    }
    *ret_count = used;
    return 0;
}

static int read_open(const char *path, int fd, char *fault, struct peers_set *ret_set)
{
    struct stat info;
    size_t count = 0;
    if (fstat(fd, &info) < 0)
        return error_sys(errno);
    int rc = check_rights(path, &info, fault);
    if (rc < 0)
        return rc;
    char *text = malloc((size_t)info.st_size + 1);
    if (text == NULL)
        return E_NO_MEMORY;
    rc = read_all(fd, text, (size_t)info.st_size + 1, &count);
    if (rc == 0)
        rc = read_text(path, text, count, fault, ret_set);
    hash_wipe(text, (size_t)info.st_size + 1);
    free(text);
    return rc;
}

static int read_file(const char *path, char fault[PEERS_FAULT_BYTES], struct peers_set *ret_set)
{
    fault[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = fd < 0 ? error_sys(errno) : read_open(path, fd, fault, ret_set);
    if (rc < 0 && fault[0] == '\0')
        (void)snprintf(fault, PEERS_FAULT_BYTES, "cannot read %s: %s", path, ERROR_TEXT(rc));
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

/* ---- outside ---- */

int peers_open(const char *path, char fault[PEERS_FAULT_BYTES], struct peers **ret_peers)
{
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL)
        return E_NO_MEMORY;
    peers->path = path;
    peers->mark = fs_look(path);
    int rc = read_file(path, fault, &peers->set);
    if (rc < 0) {
        free(peers);
        return rc;
    }
    *ret_peers = peers;
    return 0;
}

void peers_close(struct peers *peers)
{
    if (peers == NULL)
        return;
    free_set(&peers->set);
    free(peers);
}

/* The mark is of before the reading: a change meanwhile is seen the next time. */
int peers_refresh(struct peers *peers, char fault[PEERS_FAULT_BYTES])
{
    struct fs_mark mark = fs_look(peers->path);
    struct peers_set set;
    if (fs_is_same_mark(&mark, &peers->mark) && !peers->failed)
        return 0;
    peers->mark = mark;
    int rc = read_file(peers->path, fault, &set);
    peers->failed = rc < 0;
    if (rc < 0)
        return rc;
    free_set(&peers->set);
    peers->set = set;
    return 1;
}

size_t peers_count(const struct peers *peers)
{
    return peers->set.count;
}

const struct peer *peers_find(const struct peers *peers, const void *identity, size_t count)
{
    for (size_t i = 0; i < peers->set.count; i++) {
        const struct peer *peer = &peers->set.peers[i];
        if (strlen(peer->identity) == count && memcmp(peer->identity, identity, count) == 0)
            return peer;
    }
    return NULL;
}

bool peers_may_sensor(const struct peer *peer, const char *sensor)
{
    for (size_t i = 0; i < peer->sensor_count; i++) {
        const char *name = peer->sensors[i];
        size_t count = strlen(name);
        bool begins = count > 0 && name[count - 1] == '*';
        if (begins ? strncmp(name, sensor, count - 1) == 0 : strcmp(name, sensor) == 0)
            return true;
    }
    return peer->sensors == NULL;
}
