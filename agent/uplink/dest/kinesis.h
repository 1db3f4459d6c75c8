/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_KINESIS_H
#define RUNNEL_AGENT_UPLINK_DEST_KINESIS_H

#include "agent/uplink/dest/dest.h"

/**
 * Kinesis Data Streams, PutRecords (API Reference, version 2013-12-02):
 *
 *   {"StreamName":"telemetry","Records":[{"Data":"e30=","PartitionKey":"k"},...]}
 *
 * A reply of status 200 may hold failed records: a record is delivered when its entry has a
 * SequenceNumber and no ErrorCode, and when there are as many entries as records were sent. Any
 * other reply leaves every record undelivered. Pure.
 *
 * With options->strict it is PutRecord, one record a request, in the order of each partition key:
 *
 *   {"StreamName":"telemetry","Data":"e30=","PartitionKey":"k","SequenceNumberForOrdering":"495"}
 *
 * where the number is what the last reply for that key said. The numbers of a few keys are kept: a
 * key without one, as all are at the start, goes without. So does the retry behind an
 * InvalidArgument, at once, before that is said of the record: a stream that was made anew does not
 * know the old one's numbers, and one that spreads records by itself takes none (where three were
 * refused in a row, none is sent any more).
 */
int kinesis_open(const struct dest_options *options, struct dest **ret_dest);

#endif
