/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_S3_PLACE_H
#define RUNNEL_AGENT_UPLINK_DEST_S3_PLACE_H

#include <stdbool.h>

#include "agent/http/http_parse.h"

/** Where a bucket is. S3 says so to whoever asks in another region. Pure. */
enum { S3_PLACE_HOST_BYTES = 256, S3_PLACE_REGION_BYTES = 32 /* as the signature's */ };

struct s3_place {
    const char *configured_region;
    const char *configured_host; /* that has this region in it; NULL: the host stays what it is */
    char region[S3_PLACE_REGION_BYTES]; /* that was learnt; "": none was */
    char host[S3_PLACE_HOST_BYTES];     /* likewise */
};

/** Whether TEXT can be a region. */
bool s3_place_is_region(const char *text);

/** Whether the host with any region in it is short enough. */
bool s3_place_fits(const char *host);

/** Whether the reply HEAD with the error CODE says that the bucket is in another region than was
 *  asked: XML_REGION, unless its head has one. Then that is asked from now on. */
bool s3_place_learn(struct s3_place *place, const struct http_reply *head, const char *code,
                    const char *xml_region);

/** What is to be asked now, or NULL: what is configured. */
const char *s3_place_region(const struct s3_place *place);
const char *s3_place_host(const struct s3_place *place);

#endif
