/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_RESULTS_H
#define RUNNEL_AGENT_UPLINK_DEST_RESULTS_H

#include "agent/uplink/dest/dest.h"
#include "agent/uplink/dest/xml_error.h"
#include "platform/json/json_scan.h"

/**
 * A reply that has a result for each entry of the request, in its order:
 *
 *   {"FailedRecordCount":1,"Records":[{"SequenceNumber":"495","ShardId":"s"},
 *                                     {"ErrorCode":"InternalFailure","ErrorMessage":"..."}]}
 *
 * An entry is delivered when its result has an id and no ErrorCode. The reply is understood when
 * its status is 200, or any 2xx where somebody may have mapped it, it is whole, has as many results
 * as entries were sent, a count of failures that agrees with them or none, and no error of the
 * whole request (__type). Of any other reply only that error is worth anything, be it JSON or XML.
 * Pure.
 */
enum { RESULTS_ID_BYTES = 136 }; /* a SequenceNumber has at most 129 digits */

/** What a service calls the parts. */
struct results_names {
    const char *list;   /* "Records" */
    const char *failed; /* "FailedRecordCount" */
    const char *id;     /* "SequenceNumber" */
    bool any_success;   /* any 2xx will do; else 200 alone */
};

/** What the scanner is in, at top level and within a result. */
enum results_member {
    RESULTS_OTHER,
    RESULTS_LIST,
    RESULTS_FAILED,
    RESULTS_ID,
    RESULTS_TYPE,
    RESULTS_CODE,
    RESULTS_MESSAGE
};

struct results {
    const struct results_names *names;
    size_t sent;
    uint8_t *delivered;
    size_t index; /* of the result in hand */
    uint64_t bytes;
    bool broken; /* no JSON, or not of the form that answers for what was sent */
    bool list_seen;
    bool in_list;
    bool type_seen;     /* __type: an error of the whole request */
    bool claims_failed; /* the count, which may be absent: */
    uint64_t claimed_failed;
    enum results_member member;
    enum results_member result_member;
    bool result_stored;
    bool result_failed;
    char result_code[DEST_CODE_BYTES];
    char result_message[DEST_MESSAGE_BYTES];
    char id[RESULTS_ID_BYTES];
    struct dest_reply reply;
    struct json_scan scan;
    struct xml_error xml;
};

/** The beginning of a text, cut between characters. */
void results_copy_text(char *to, size_t to_bytes, const char *from);

/** "namespace#Code:url" is told by its Code; the url may have a '#', too. */
void results_copy_code(char to[DEST_CODE_BYTES], const char *from);

/** As dest_operations.reply_start; NAMES must outlive the reply. */
void results_start(struct results *results, const struct results_names *names, size_t sent,
                   uint8_t *delivered);

/** As dest_operations.reply_feed. */
int results_feed(struct results *results, const uint8_t *bytes, size_t count);

/** As dest_operations.reply_end. */
void results_end(struct results *results, const struct http_reply *head,
                 struct dest_reply *ret_reply);

/** The id at top level, as the reply to a single record has it; "": there is none, or a longer one.
 */
const char *results_single_id(const struct results *results);

/** The end of a reply to a single record, which has no list and is delivered if STORED. */
void results_end_single(struct results *results, const struct http_reply *head, bool stored,
                        struct dest_reply *ret_reply);

#endif
