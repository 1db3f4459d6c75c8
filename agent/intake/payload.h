/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_PAYLOAD_H
#define RUNNEL_AGENT_INTAKE_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/**
 * What a peer sent, as samples. Pure: time and memory come from the caller.
 *
 * text/plain is one number, which becomes the value of the channel "value"; octets become the
 * document {"octets":"<base64>"}; a JSON object is a document as it is, a CBOR map the document
 * that RFC 8949 section 6.1 makes of it. A SenML pack (RFC 8428) becomes samples with times of
 * their own: base fields are resolved, records of one time make one sample. The channel is called
 * n, or "value" where n is empty; bn is told beside it; vb is 0 or 1, vd a text, a sum the channel
 * n_sum. Records of which no sample can be made go as a document {"senml":[...]} as they came.
 *
 * Numbers stay exact as far as 64 bits and 18 decimals reach, and are binary64 beyond. In no object
 * may a key stand twice.
 */

/** Content-Formats: RFC 7252 section 12.3, RFC 8428 section 12.3. */
enum payload_format {
    PAYLOAD_TEXT = 0,
    PAYLOAD_OCTETS = 42,
    PAYLOAD_JSON = 50,
    PAYLOAD_CBOR = 60,
    PAYLOAD_SENML_JSON = 110,
    PAYLOAD_SENML_CBOR = 112,
};

enum {
    PAYLOAD_FAULT_BYTES = 160,
    PAYLOAD_BASE_BYTES = 256,
    PAYLOAD_KEYS_MAX = 1024, /* of an object and all those around it */
};

struct payload {
    unsigned format; /* of enum payload_format */
    const uint8_t *bytes;
    size_t count;
    int64_t now_boot_ms; /* when it came */
    int64_t offset_ms;   /* wall = boot + offset_ms */
    bool knows_time;     /* else times that are not relative to now go as a document */
};

/** One sample. All of it is valid until the handler returns. */
struct payload_record {
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sample sample;  /* with its boot_ms; a time before this boot is negative */
    bool has_own_time;     /* the peer said it */
    const char *base_name; /* SenML's bn of its records; "" */
};

/** Negative ends the reading, which returns it. */
typedef int payload_handler(void *context, const struct payload_record *record);

/** Room for what is made of a payload: documents in TEXT, of which none gets longer than that. The
 *  rest is payload_read's. */
struct payload_room {
    struct payload_record record;
    uint64_t keys[PAYLOAD_KEYS_MAX];
    uint8_t *text;
    size_t text_bytes;
};

/** Whether FORMAT is one of those above. */
bool payload_is_known(unsigned format);

/**
 * Gives the samples of PAYLOAD to HANDLER, in the order of their first records. Reading it twice
 * gives the same, so that all can be judged before the first is kept. What was wrong, and where, is
 * said in FAULT for the peer, in ASCII: at "byte 17", counted from 0, or in "record 3" of a pack,
 * from 1. E_UNSUPPORTED: the format is not known; E_SYNTAX: it is not what its format says;
 * E_RANGE: a number or a time cannot be kept; E_INVALID: nothing is in it, it is no object, or
 * SenML does not allow what it says; E_TOO_BIG: nested too deep, too many keys or a key of more
 * than 511 bytes, or a document longer than ROOM; the handler's, without a word in FAULT.
 */
int payload_read(const struct payload *payload, struct payload_room *room, payload_handler *handler,
                 void *context, char fault[PAYLOAD_FAULT_BYTES]);

#endif
