/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_CREDENTIALS_REPLY_H
#define RUNNEL_AGENT_AWS_CREDENTIALS_REPLY_H

#include "agent/aws/credentials.h"
#include "agent/aws/xml_scan.h"
#include "platform/json/json_scan.h"

/**
 * Reads what those who give temporary credentials answer, as it arrives, split anywhere. Pure.
 * Sources: IoT Developer Guide, "Authorizing direct calls to AWS services using AWS IoT Core
 * credential provider"; IAM User Guide, "Retrieve security credentials from instance metadata"; STS
 * API Reference; RFC 6749, 5.
 */
enum credentials_form {
    CREDENTIALS_FORM_IOT,    /* {"credentials":{"accessKeyId",...}} */
    CREDENTIALS_FORM_FLAT,   /* {"AccessKeyId",...}: containers and instances */
    CREDENTIALS_FORM_STS,    /* <...Response><...Result><Credentials><AccessKeyId>... */
    CREDENTIALS_FORM_OAUTH2, /* {"access_token",...} (RFC 6749, 5): a session token without keys */
};

enum {
    CREDENTIALS_CODE_BYTES = 64,
    CREDENTIALS_MESSAGE_BYTES = 128,
    CREDENTIALS_DATE_BYTES = 40,
    CREDENTIALS_TYPE_BYTES = 16,
};

struct credentials_reply {
    /* The result, from credentials_reply_end on. The lifetime is not: it needs a clock. */
    struct credentials credentials;
    int64_t expiration_ms;             /* since 1970 UTC */
    int64_t life_ms;                   /* of a token, instead */
    char code[CREDENTIALS_CODE_BYTES]; /* "" for none; so is message; visible ASCII and blanks */
    char message[CREDENTIALS_MESSAGE_BYTES];
    const char *why; /* E_SYNTAX, E_UNSUPPORTED: what is wrong with it, for people */
    /* Private. */
    enum credentials_form form;
    int error;
    int field;
    bool cut[7];       /* by field: it did not fit */
    bool inside;       /* of the member or element that the keys stand in, or the error */
    size_t used_bytes; /* of the field in hand */
    char date[CREDENTIALS_DATE_BYTES]; /* or, of a token, its life */
    char type[CREDENTIALS_TYPE_BYTES];
    union {
        struct {
            struct json_scan scan;
            char token[CREDENTIALS_TOKEN_BYTES];
        } json;
        struct xml_scan xml;
    } in;
};

void credentials_reply_start(struct credentials_reply *reply, enum credentials_form form);

/** Takes COUNT bytes. 0, or an error that is final: E_SYNTAX, E_TOO_BIG. */
int credentials_reply_feed(struct credentials_reply *reply, const void *bytes, size_t count);

/** The reply ended. 0: it has credentials; E_NOT_FOUND: it is whole, but has none (code and message
 *  may say why); E_SYNTAX: it is cut off or none of ours, or a value in it cannot be;
 * E_UNSUPPORTED: a token that cannot be used, and none of the next will be. */
int credentials_reply_end(struct credentials_reply *reply);

/** Overwrites all of it; called also when it has failed. */
void credentials_reply_wipe(struct credentials_reply *reply);

#endif
