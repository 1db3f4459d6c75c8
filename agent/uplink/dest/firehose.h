/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_FIREHOSE_H
#define RUNNEL_AGENT_UPLINK_DEST_FIREHOSE_H

#include "agent/uplink/dest/dest.h"

/**
 * Amazon Data Firehose, PutRecordBatch (API Reference, version 2015-08-04):
 *
 *   {"DeliveryStreamName":"telemetry","Records":[{"Data":"e30K"},...]}
 *
 * Firehose joins the data of records without anything between them, so each ends with a newline. A
 * record has no key and Firehose keeps no order. A reply of status 200 may hold failed records,
 * see results.h; its results have a RecordId. Firehose says of them that they might have failed:
 * one that is sent again may arrive twice. Pure.
 *
 * E_INVALID: options->stream is missing, or options->strict is wanted.
 */
int firehose_open(const struct dest_options *options, struct dest **ret_dest);

#endif
