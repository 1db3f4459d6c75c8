/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the door. */
#include <stdio.h>
#include <string.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/hash.h"

enum { PATH_BYTES = 64, QUERY_BYTES = 64, FULL_AGE_S = 30, WAITING_AGE_S = 1, TRANSFER_AGE_S = 5 };

static const char formats[] =
    "say Content-Format: 50 JSON, 60 CBOR, 110 or 112 SenML, 0 a number, 42 octets";

static const char sensor_prefix[] = "t/";

/* ---- reading it ---- */

/* Appends an option's text to TEXT behind SEPARATOR; false if it does not fit, or holds a NUL. */
static bool append(char *text, size_t text_bytes, char separator, const coap_opt_t *option)
{
    size_t used = strlen(text);
    size_t count = coap_opt_length(option);
    const uint8_t *bytes = coap_opt_value(option);
    if (count > 0 && memchr(bytes, '\0', count) != NULL)
        return false;
    if (used + count + 2 > text_bytes)
        return false;
    if (separator != '\0')
        text[used++] = separator;
    if (count > 0)
        memcpy(text + used, bytes, count);
    text[used + count] = '\0';
    return true;
}

/* The segments of the path with slashes between them. A slash inside of one is none of ours. */
static bool read_path(const coap_pdu_t *request, char path[PATH_BYTES])
{
    coap_opt_iterator_t iterator;
    coap_opt_filter_t filter;
    const coap_opt_t *option;
    bool is_first = true;
    coap_option_filter_clear(&filter);
    (void)coap_option_filter_set(&filter, COAP_OPTION_URI_PATH);
    (void)coap_option_iterator_init(request, &iterator, &filter);
    path[0] = '\0';
    while ((option = coap_option_next(&iterator)) != NULL) {
        size_t count = coap_opt_length(option);
        if (count > 0 && memchr(coap_opt_value(option), '/', count) != NULL)
            return false;
        if (!append(path, PATH_BYTES, is_first ? '\0' : '/', option))
            return false;
        is_first = false;
    }
    return true;
}

struct query {
    char text[QUERY_BYTES]; /* the last one read */
    char lane[QUERY_BYTES]; /* "": none is asked for */
};

/* False: QUERY's text is not known here. */
static bool read_query(const coap_pdu_t *request, struct query *query)
{
    static const char lane[] = "lane=";
    coap_opt_iterator_t iterator;
    coap_opt_filter_t filter;
    const coap_opt_t *option;
    coap_option_filter_clear(&filter);
    (void)coap_option_filter_set(&filter, COAP_OPTION_URI_QUERY);
    (void)coap_option_iterator_init(request, &iterator, &filter);
    *query = (struct query){.lane = ""};
    while ((option = coap_option_next(&iterator)) != NULL) {
        query->text[0] = '\0';
        if (!append(query->text, sizeof query->text, '\0', option) ||
            strncmp(query->text, lane, sizeof lane - 1) != 0 || query->lane[0] != '\0')
            return false;
        memcpy(query->lane, query->text + sizeof lane - 1, strlen(query->text) - sizeof lane + 2);
        if (query->lane[0] == '\0')
            return false;
    }
    return true;
}

/* ---- answering ---- */

static void refuse(struct coap_door_exchange *exchange, coap_pdu_code_t code, const char *text)
{
    coap_door_answer_refuse(exchange, code, 0, text);
}

static void count(struct coap_door *door, uint64_t *counter)
{
    (void)pthread_mutex_lock(&door->lock);
    (*counter)++;
    (void)pthread_mutex_unlock(&door->lock);
}

static void refuse_size(struct coap_door_exchange *exchange, size_t bytes_max)
{
    char text[64];
    int used = snprintf(text, sizeof text, "more than %zu bytes", bytes_max);
    const struct coap_door_answer answer = {
        .code = COAP_RESPONSE_CODE(413),
        .size = bytes_max,
        .body = text,
        .body_bytes = coap_door_answer_fits(exchange, (size_t)used) ? (size_t)used : 0};
    coap_door_answer(exchange, &answer);
}

static coap_pdu_code_t code_of(int error)
{
    switch (error) {
    case E_SYNTAX:
    case E_RANGE:
    case E_INVALID:
        return COAP_RESPONSE_CODE(400);
    case E_TOO_BIG:
        return COAP_RESPONSE_CODE(413);
    case E_UNSUPPORTED:
        return COAP_RESPONSE_CODE(415);
    case E_NOT_FOUND:
        return COAP_RESPONSE_CODE(404);
    case E_EXISTS:
    case E_DENIED:
        return COAP_RESPONSE_CODE(403);
    default:
        return COAP_RESPONSE_CODE(503);
    }
}

static void refuse_put(struct coap_door_exchange *exchange, const struct handin_request *request,
                       const struct handin_receipt *receipt, int error, const char *fault)
{
    coap_pdu_code_t code = code_of(error);
    unsigned age_s = code == COAP_RESPONSE_CODE(503) ? FULL_AGE_S : 0;
    if (error == E_TOO_BIG && receipt->bytes_max != 0 && request->count > receipt->bytes_max)
        refuse_size(exchange, receipt->bytes_max);
    else
        coap_door_answer_refuse(exchange, code, age_s, fault);
}

/* ---- handing in ---- */

/* A request to /t/SENSOR. */
struct put {
    struct handin_request request;
    struct query query;
    bool has_block;
    uint32_t block; /* the value of its Block1 */
    struct transfer_block part;
};

/* What is not confirmable is accepted without a promise, and nothing is said to it. */
static void take(struct coap_door_exchange *exchange, const struct put *put)
{
    struct coap_door *door = exchange->door;
    struct handin_receipt receipt = {.bytes_max = 0};
    char fault[PAYLOAD_FAULT_BYTES] = "";
    struct coap_door_wait *wait = coap_door_wait_place(door, exchange->peer != NULL);
    if (exchange->is_confirmable && wait == NULL) {
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(503), WAITING_AGE_S,
                                "too many messages wait for flash");
        return;
    }
    int rc = handin_put(door->options.handin, &put->request, &receipt, fault);
    if (rc < 0) {
        refuse_put(exchange, &put->request, &receipt, rc, fault);
        return;
    }
    count(door, &door->status.accepted);
    if (exchange->is_confirmable) {
        coap_door_wait_begin(wait, exchange, &receipt, put->has_block ? &put->block : NULL);
        return;
    }
    seen_add(door->seen, exchange->seen, SEEN_ANSWERED, clock_mono_ms());
    coap_door_answer_hold(exchange);
}

enum { BLOCK_MORE = 8, BLOCK_SIZE = 7 }; /* of the value of Block1: RFC 7959 section 2.2 */

static void go_on(struct coap_door_exchange *exchange, const struct put *put)
{
    const struct coap_door_answer answer = {
        .code = COAP_RESPONSE_CODE(231), .has_block = true, .block = put->block};
    coap_door_answer(exchange, &answer);
}

/* Puts the block to those before it. */
static void take_block(struct coap_door_exchange *exchange, struct put *put)
{
    struct coap_door *door = exchange->door;
    int rc = transfer_put(door->transfers, &put->part, clock_mono_ms(), &put->request.bytes,
                          &put->request.count);
    if (rc == 1)
        take(exchange, put);
    else if (rc == 0)
        go_on(exchange, put);
    else if (rc == E_RANGE)
        refuse(exchange, COAP_RESPONSE_CODE(408), "the block before this one did not come");
    else if (rc == E_TOO_BIG)
        refuse_size(exchange, door->options.document_bytes_max);
    else
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(503), TRANSFER_AGE_S,
                                "too many block-wise transfers");
}

static bool is_throttled(struct coap_door_exchange *exchange, const struct throttle_load *load)
{
    struct coap_door *door = exchange->door;
    unsigned long silenced;
    unsigned wait_s = throttle_take(door->throttle, load, clock_mono_ms());
    if (wait_s == 0)
        return false;
    count(door, &door->status.throttled);
    if (log_limit_passes(&door->throttled, clock_mono_ms(), &silenced))
        log_warning("coap-throttled peer=\"%s\" wait=%us silenced=%lu",
                    coap_session_str(exchange->session), wait_s, silenced);
    if (exchange->is_confirmable)
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(429), wait_s, "too much at once");
    else
        coap_door_answer_hold(exchange);
    return true;
}

static bool throttle(struct coap_door_exchange *exchange, uint64_t messages, uint64_t bytes)
{
    struct throttle_load load = {
        .has_identity = exchange->peer != NULL, .messages = messages, .bytes = bytes};
    _Static_assert((int)THROTTLE_PEER_BYTES == (int)COAP_DOOR_HASH_BYTES, "hashes");
    memcpy(load.peer, exchange->who, sizeof load.peer);
    return is_throttled(exchange, &load);
}

/* Whether it was taken already, and has got its answer. */
static bool is_repeat(struct coap_door_exchange *exchange, const struct put *put)
{
    struct coap_door *door = exchange->door;
    enum seen_state state = seen_find(door->seen, exchange->seen, clock_mono_ms());
    if (state == SEEN_NOT)
        return false;
    count(door, &door->status.repeated);
    if (state == SEEN_WAITS) {
        coap_door_wait_repeat(exchange);
    } else if (exchange->is_confirmable) {
        const struct coap_door_answer answer = {
            .code = COAP_RESPONSE_CODE(204), .has_block = put->has_block, .block = put->block};
        coap_door_answer(exchange, &answer);
    } else {
        coap_door_answer_hold(exchange);
    }
    return true;
}

/* Blocks belong together if they come from one place, and all but the payload is the same. */
static void hash_part(const struct coap_door_exchange *exchange, struct put *put)
{
    static const coap_option_num_t numbers[] = {COAP_OPTION_URI_PATH, COAP_OPTION_URI_QUERY,
                                                COAP_OPTION_CONTENT_FORMAT, COAP_OPTION_RTAG};
    uint8_t digest[HASH_SHA256_BYTES];
    struct hash_sha256 hash;
    coap_opt_iterator_t iterator;
    coap_opt_filter_t filter;
    const coap_opt_t *option;
    coap_option_filter_clear(&filter);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)coap_option_filter_set(&filter, numbers[i]);
    hash_sha256_start(&hash);
    hash_sha256_add(&hash, exchange->from, sizeof exchange->from);
    (void)coap_option_iterator_init(exchange->request, &iterator, &filter);
    while ((option = coap_option_next(&iterator)) != NULL) {
        const uint32_t head[] = {iterator.number, coap_opt_length(option)};
        hash_sha256_add(&hash, head, sizeof head);
        hash_sha256_add(&hash, coap_opt_value(option), coap_opt_length(option));
    }
    hash_sha256_finish(&hash, digest);
    memcpy(put->part.key, digest, sizeof put->part.key);
}

/* What its Block1 says of it. False: it does not agree with what came. */
static bool read_block(struct coap_door_exchange *exchange, struct put *put)
{
    unsigned block = 0;
    put->has_block = coap_door_exchange_uint(exchange, COAP_OPTION_BLOCK1, &block);
    put->block = block;
    if (!put->has_block)
        return true;
    size_t size = (size_t)16 << (block & BLOCK_SIZE);
    put->part = (struct transfer_block){.has_identity = exchange->peer != NULL,
                                        .is_last = (block & BLOCK_MORE) == 0,
                                        .offset = (size_t)(block >> 4) * size,
                                        .bytes = put->request.bytes,
                                        .count = put->request.count};
    memcpy(put->part.peer, exchange->who, sizeof put->part.peer);
    hash_part(exchange, put);
    return (block & BLOCK_SIZE) != BLOCK_SIZE && block >> 24 == 0 &&
           (put->part.is_last ? put->part.count <= size : put->part.count == size);
}

/* Fills in PUT, or says what is wrong with it. */
static coap_pdu_code_t read_put(struct coap_door_exchange *exchange, struct put *put,
                                const char **ret_text)
{
    unsigned size = 0;
    (void)coap_get_data(exchange->request, &put->request.count, &put->request.bytes);
    *ret_text = "only ?lane=NAME may stand behind the path";
    if (!read_query(exchange->request, &put->query))
        return COAP_RESPONSE_CODE(400);
    *ret_text = formats;
    if (!coap_door_exchange_uint(exchange, COAP_OPTION_CONTENT_FORMAT, &put->request.format))
        return COAP_RESPONSE_CODE(415);
    *ret_text = "Block1 does not agree with the payload";
    if (!read_block(exchange, put))
        return COAP_RESPONSE_CODE(400);
    if (put->has_block && coap_door_exchange_uint(exchange, COAP_OPTION_SIZE1, &size) &&
        size > exchange->door->options.document_bytes_max)
        return COAP_RESPONSE_CODE(413);
    return COAP_EMPTY_CODE;
}

static void give_rights(const struct coap_door_exchange *exchange, struct put *put)
{
    for (size_t i = 0; i < LANE_COUNT; i++)
        put->request.may_lane[i] = exchange->peer == NULL || exchange->peer->lanes[i];
    put->request.lane = put->query.lane[0] != '\0' ? put->query.lane : NULL;
}

/* Repeats cost nothing: whoever repeats has not heard the answer. */
static void hand_in(struct coap_door_exchange *exchange, const char *sensor)
{
    struct coap_door *door = exchange->door;
    struct put put = {.request = {.sensor = sensor}};
    const char *text;
    coap_pdu_code_t fault = read_put(exchange, &put, &text);
    if (fault == COAP_EMPTY_CODE && is_repeat(exchange, &put))
        return;
    count(door, &door->status.messages);
    bool continues = fault == COAP_EMPTY_CODE && put.has_block &&
                     transfer_continues(door->transfers, &put.part, clock_mono_ms());
    if (throttle(exchange, continues ? 0 : 1, put.request.count))
        return;
    if (fault == COAP_RESPONSE_CODE(413)) {
        refuse_size(exchange, door->options.document_bytes_max);
        return;
    }
    if (fault != COAP_EMPTY_CODE) {
        refuse(exchange, fault, text);
        return;
    }
    if (exchange->peer != NULL && !peers_may_sensor(exchange->peer, sensor)) {
        refuse(exchange, COAP_RESPONSE_CODE(403), "this identity may not use that sensor");
        return;
    }
    give_rights(exchange, &put);
    if (put.has_block)
        take_block(exchange, &put);
    else
        take(exchange, &put);
}

static bool is_put(const coap_pdu_t *request)
{
    coap_pdu_code_t code = coap_pdu_get_code(request);
    return code == COAP_REQUEST_CODE_POST || code == COAP_REQUEST_CODE_PUT;
}

/* What of PATH is the name of a sensor; NULL: it does not lead to one. */
static const char *sensor_of(const char *path)
{
    const char *sensor = path + sizeof sensor_prefix - 1;
    if (strncmp(path, sensor_prefix, sizeof sensor_prefix - 1) != 0)
        return NULL;
    return *sensor == '\0' || strchr(sensor, '/') != NULL ? NULL : sensor;
}

static void route(struct coap_door_exchange *exchange)
{
    char path[PATH_BYTES];
    const char *sensor = NULL;
    bool is_path = read_path(exchange->request, path);
    if (is_path)
        sensor = sensor_of(path);
    if (sensor != NULL && is_put(exchange->request))
        hand_in(exchange, sensor);
    else if (throttle(exchange, 1, 0))
        return;
    else if (sensor != NULL)
        refuse(exchange, COAP_RESPONSE_CODE(405), "only POST or PUT");
    else if (!is_path || !coap_door_page(exchange, path))
        refuse(exchange, COAP_RESPONSE_CODE(404), "there is no such path");
}

static void handle(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                   const coap_string_t *query, coap_pdu_t *response)
{
    struct coap_door_exchange exchange = {.door = coap_resource_get_userdata(resource),
                                          .session = session,
                                          .request = request,
                                          .response = response,
                                          .is_confirmable =
                                              coap_pdu_get_type(request) == COAP_MESSAGE_CON};
    (void)query;
    if (coap_door_exchange_begin(&exchange))
        route(&exchange);
    else
        refuse(&exchange, COAP_RESPONSE_CODE(401), "this identity may not come any more");
}

static int serve(struct coap_door *door, coap_resource_t *resource)
{
    static const coap_request_t methods[] = {
        COAP_REQUEST_GET,   COAP_REQUEST_POST,  COAP_REQUEST_PUT,   COAP_REQUEST_DELETE,
        COAP_REQUEST_FETCH, COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH};
    if (resource == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        coap_register_request_handler(resource, methods[i], handle);
    coap_resource_set_userdata(resource, door);
    coap_add_resource(door->context, resource);
    return 0;
}

/* All paths lead to the one handler: libcoap's own answers are not measured against the request. */
int coap_door_request_serve(struct coap_door *door)
{
    int rc = serve(door, coap_resource_unknown_init(handle));
    if (rc == 0)
        rc = serve(door, coap_resource_init(coap_make_str_const(".well-known/core"), 0));
    return rc;
}
