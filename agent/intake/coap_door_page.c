/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer may read: what there is, the time, the state. */
#include <string.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/crc32c.h"

enum { FORMAT_LINKS = 40, NO_TIME_AGE_S = 60 }; /* RFC 6690 section 7.4 */

/* RFC 6690. ct: RFC 7252 section 7.2.1. */
static const char links[] = "</t>;rt=\"runnel.t\";title=\"POST or PUT to /t/SENSOR\","
                            "</time>;rt=\"runnel.time\";ct=\"110 112\","
                            "</status>;rt=\"runnel.status\";ct=50";

static bool accepts(const struct coap_door_exchange *exchange, unsigned *ret_format)
{
    return coap_door_exchange_uint(exchange, COAP_OPTION_ACCEPT, ret_format);
}

/* Leaves of ANSWER's body what Block2 asks for (RFC 7959 section 2.4), if it is there. False: there
 * is no such part. The etag tells whether two parts are of one body. */
static bool cut(const struct coap_door_exchange *exchange, struct coap_door_answer *answer)
{
    enum { MORE = 8, SIZE = 7 };
    unsigned part;
    if (!coap_door_exchange_uint(exchange, COAP_OPTION_BLOCK2, &part))
        return true;
    size_t size = (size_t)16 << (part & SIZE);
    size_t offset = (size_t)(part >> 4) * size;
    if ((part & SIZE) == SIZE || part >> 24 != 0 || offset >= answer->body_bytes)
        return false;
    size_t left = answer->body_bytes - offset;
    answer->has_part = true;
    answer->etag = crc32c(0, answer->body, answer->body_bytes);
    answer->part = (part & ~(uint32_t)MORE) | (left > size ? MORE : 0U);
    answer->body = (const uint8_t *)answer->body + offset;
    answer->body_bytes = left < size ? left : size;
    return true;
}

static void give(struct coap_door_exchange *exchange, unsigned format, const void *body,
                 size_t body_bytes)
{
    struct coap_door_answer answer = {.code = COAP_RESPONSE_CODE(205),
                                      .has_format = true,
                                      .format = format,
                                      .body = body,
                                      .body_bytes = body_bytes};
    if (!cut(exchange, &answer))
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(400), 0, "there is no such block");
    else if (!coap_door_answer_fits(exchange, answer.body_bytes))
        coap_door_exchange_challenge(exchange);
    else
        coap_door_answer(exchange, &answer);
}

static void refuse_format(struct coap_door_exchange *exchange, const char *text)
{
    coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(406), 0, text);
}

static void give_links(struct coap_door_exchange *exchange)
{
    unsigned format = FORMAT_LINKS;
    if (accepts(exchange, &format) && format != FORMAT_LINKS)
        refuse_format(exchange, "only 40, link-format");
    else
        give(exchange, format, links, sizeof links - 1);
}

/* One record whose time is its value too, in seconds: RFC 8428 wants it to have one. */
static void write_time_json(struct writer *out, int64_t wall_ms)
{
    writer_text(out, "[{\"n\":\"time\",\"u\":\"s\",\"t\":");
    writer_decimal(out, wall_ms, 3);
    writer_text(out, ",\"v\":");
    writer_decimal(out, wall_ms, 3);
    writer_text(out, "}]");
}

/* A decimal fraction, tag 4 of RFC 8949 section 3.4.4: wall_ms * 10^-3. */
static void write_cbor_seconds(struct writer *out, int64_t wall_ms)
{
    static const uint8_t head[] = {0xc4, 0x82, 0x22, 0x1b};
    writer_bytes(out, head, sizeof head);
    for (int shift = 56; shift >= 0; shift -= 8)
        writer_char(out, (char)(uint8_t)((uint64_t)wall_ms >> shift));
}

/* Labels of RFC 8428 section 6: 0 n, 1 u, 2 v, 6 t. */
static void write_time_cbor(struct writer *out, int64_t wall_ms)
{
    static const uint8_t head[] = {0x81, 0xa4, 0x00, 0x64, 't', 'i',
                                   'm',  'e',  0x01, 0x61, 's', 0x06};
    writer_bytes(out, head, sizeof head);
    write_cbor_seconds(out, wall_ms);
    writer_char(out, 0x02);
    write_cbor_seconds(out, wall_ms);
}

static void give_time(struct coap_door_exchange *exchange)
{
    const struct coap_door_options *options = &exchange->door->options;
    struct spool_clock_reading now;
    uint8_t text[96];
    struct writer out;
    unsigned format = PAYLOAD_SENML_JSON;
    if (accepts(exchange, &format) && format != PAYLOAD_SENML_JSON &&
        format != PAYLOAD_SENML_CBOR) {
        refuse_format(exchange, "only 110 or 112, SenML");
        return;
    }
    if (!options->knows_time(options->context)) {
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(503), NO_TIME_AGE_S,
                                "the time is not known yet");
        return;
    }
    options->clock(options->context, &now);
    writer_to_memory(&out, text, sizeof text);
    if (format == PAYLOAD_SENML_JSON)
        write_time_json(&out, now.boot_ms + now.offset_ms);
    else
        write_time_cbor(&out, now.boot_ms + now.offset_ms);
    (void)writer_finish(&out);
    give(exchange, format, text, out.used_bytes);
}

static void give_status(struct coap_door_exchange *exchange)
{
    const struct coap_door_options *options = &exchange->door->options;
    char text[COAP_DOOR_STATUS_BYTES];
    struct writer out;
    unsigned format = PAYLOAD_JSON;
    if (accepts(exchange, &format) && format != PAYLOAD_JSON) {
        refuse_format(exchange, "only 50, JSON");
        return;
    }
    writer_to_memory(&out, text, sizeof text);
    options->write_status(options->context, &out);
    if (writer_finish(&out) < 0)
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(503), NO_TIME_AGE_S,
                                "the state is too long");
    else
        give(exchange, format, text, out.used_bytes);
}

bool coap_door_page(struct coap_door_exchange *exchange, const char *path)
{
    static const struct {
        const char *path;
        void (*give)(struct coap_door_exchange *exchange);
    } pages[] = {{".well-known/core", give_links}, {"time", give_time}, {"status", give_status}};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(path, pages[i].path) != 0)
            continue;
        if (coap_pdu_get_code(exchange->request) == COAP_REQUEST_CODE_GET)
            pages[i].give(exchange);
        else
            coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(405), 0, "only GET");
        return true;
    }
    return false;
}
