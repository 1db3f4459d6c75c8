/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_APIGATEWAY_H
#define RUNNEL_AGENT_UPLINK_DEST_APIGATEWAY_H

#include "agent/uplink/dest/dest.h"

/**
 * An API of our users' own behind API Gateway (REST or HTTP), by POST:
 *
 *   records  {"Records":[{"Data":"e30=","PartitionKey":"k"},...]}   as PutRecords takes them
 *   lines    a record a line                                        application/x-ndjson
 *   array    {"records":[{...},...]}
 *   single   {...}                                                  one record a request
 *
 * With per_record a reply of status 200 has a result for each record, as PutRecords ("Records") or
 * PutRecordBatch ("RequestResponses") give them; see results.h. Otherwise it is the status that
 * counts: any 2xx delivers all, if the reply is empty or JSON that tells no error. A mapping of
 * every status to 200 lets __type of a service or errorMessage of a function through, and
 * FailedRecordCount or FailedPutCount above 0 say that some were not stored: those are errors. A
 * page of HTML and a redirect, such as those of a captive portal, deliver nothing. Pure.
 *
 * What counts against the limits is the body: so does API Gateway, and so does a firewall. The time
 * is learnt by a GET, since a body without records may be stored as an empty one.
 */
int apigateway_open(const struct dest_options *options, struct dest **ret_dest);

/** What helps against a reply of STATUS with CODE ("" for none) and MESSAGE, where the API is asked
 *  with AUTH; NULL: nothing but what helps everywhere. */
const char *apigateway_remedy(enum dest_auth auth, int status, const char *code,
                              const char *message);

#endif
