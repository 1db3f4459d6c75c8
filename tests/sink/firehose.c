/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/firehose.h"

#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/sink/blob.h"
#include "tests/sink/kinesis.h"

#define VALIDATION  "1 validation error detected: Value "
#define UNSATISFIED " failed to satisfy constraint: Member must "

static int refuse_null(struct refusal *refusal, const char *place)
{
    return signature_refuse(refusal, 400, "ValidationException",
                            VALIDATION "null at '%s'" UNSATISFIED "not be null", place);
}

static int parse_record(struct firehose_call *call, const cJSON *record, const char *place,
                        struct refusal *refusal)
{
    size_t start = call->data.used_bytes;
    if (!cJSON_IsObject(record))
        return signature_refuse(refusal, 400, "SerializationException", "%s is no structure",
                                place);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(record, "Data");
    if (blob_parse(data, place, &call->data, refusal) != 0)
        return -1;
    size_t bytes = call->data.used_bytes - start;
    if (bytes > FIREHOSE_RECORD_BYTES_MAX)
        return signature_refuse(refusal, 400, "ValidationException",
                                VALIDATION "'java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]' at "
                                           "'%s'" UNSATISFIED
                                           "have length less than or equal to %d",
                                bytes, bytes, place, FIREHOSE_RECORD_BYTES_MAX);
    call->ends[call->record_count++] = call->data.used_bytes;
    return 0;
}

static int parse_single(struct firehose_call *call, const cJSON *json, struct refusal *refusal)
{
    const cJSON *record = cJSON_GetObjectItemCaseSensitive(json, "Record");
    if (record == NULL || cJSON_IsNull(record))
        return refuse_null(refusal, "record");
    return parse_record(call, record, "record.data", refusal);
}

static int parse_batch(struct firehose_call *call, const cJSON *json, struct refusal *refusal)
{
    const cJSON *records = cJSON_GetObjectItemCaseSensitive(json, "Records");
    char place[48];
    if (!cJSON_IsArray(records))
        return refuse_null(refusal, "records");
    int count = cJSON_GetArraySize(records);
    if (count < 1 || count > FIREHOSE_RECORDS_MAX)
        return signature_refuse(refusal, 400, "ValidationException",
                                VALIDATION "'[%d records]' at 'records'" UNSATISFIED
                                           "have length %s than or equal to %d",
                                count, count < 1 ? "greater" : "less",
                                count < 1 ? 1 : FIREHOSE_RECORDS_MAX);
    const cJSON *item;
    cJSON_ArrayForEach(item, records)
    {
        snprintf(place, sizeof place, "records.%zu.member.data", call->record_count + 1);
        if (parse_record(call, item, place, refusal) != 0)
            return -1;
    }
    if (call->data.used_bytes > FIREHOSE_REQUEST_BYTES_MAX)
        return signature_refuse(refusal, 400, "InvalidArgumentException",
                                "Records size exceeds 4 MB limit");
    return 0;
}

static int check_stream(const cJSON *json, const char *stream_name, struct refusal *refusal)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "DeliveryStreamName");
    if (!cJSON_IsString(name))
        return refuse_null(refusal, "deliveryStreamName");
    if (strcmp(name->valuestring, stream_name) != 0)
        return signature_refuse(refusal, 400, "ResourceNotFoundException",
                                "Firehose %.64s under account " KINESIS_ACCOUNT " not found.",
                                name->valuestring);
    return 0;
}

int firehose_parse(struct firehose_call *call, enum firehose_action action,
                   const struct buffer *body, const char *stream_name, struct refusal *refusal)
{
    cJSON *json = cJSON_ParseWithLength(body->bytes, body->used_bytes);
    int error = -1;
    call->data = (struct buffer){0};
    call->record_count = 0;
    if (!cJSON_IsObject(json))
        signature_refuse(refusal, 400, "SerializationException", "The body is not a JSON object");
    else if (check_stream(json, stream_name, refusal) == 0)
        error = action == FIREHOSE_PUT_RECORD ? parse_single(call, json, refusal)
                                              : parse_batch(call, json, refusal);
    cJSON_Delete(json);
    if (error != 0)
        firehose_free(call);
    return error;
}

void firehose_free(struct firehose_call *call)
{
    buffer_free(&call->data);
}
