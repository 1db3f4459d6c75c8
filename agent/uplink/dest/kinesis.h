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
 */
int kinesis_open(const struct dest_options *options, struct dest **ret_dest);

#endif
