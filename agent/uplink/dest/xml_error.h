/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_XML_ERROR_H
#define RUNNEL_AGENT_UPLINK_DEST_XML_ERROR_H

#include "agent/aws/xml_scan.h"
#include "agent/uplink/dest/dest.h"

enum { XML_ERROR_REGION_BYTES = 48 };

/**
 * The error in a reply that is XML: <Error><Code> of S3, <ErrorResponse><Error><Code> of the query
 * services, <SomeException><Message> of what stands before the JSON services and finds a request
 * unfit for them. Pure.
 */
struct xml_error {
    bool is_xml; /* so far */
    bool has_code;
    size_t code_bytes, message_bytes;
    char code[DEST_CODE_BYTES];
    char message[DEST_MESSAGE_BYTES];
    size_t region_bytes;
    char region[XML_ERROR_REGION_BYTES]; /* what S3 says of where a bucket is; cut; or "" */
    struct xml_scan scan;
};

void xml_error_start(struct xml_error *error);

/** Pieces of any size. */
void xml_error_feed(struct xml_error *error, const uint8_t *bytes, size_t count);

/** Whether the whole was XML and tells an error, which RET_REPLY's code and message then have. */
bool xml_error_end(struct xml_error *error, struct dest_reply *ret_reply);

#endif
