/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/kinesis.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/sink/blob.h"
#include "tests/sink/hashkey.h"

#define VALIDATION  "1 validation error detected: Value "
#define UNSATISFIED " failed to satisfy constraint: Member must "

enum { PLACE_BYTES = 48, SEQUENCE_DIGITS_MAX = 129 };

/* What AWS calls MEMBER of the record that is being read. */
static const char *place(const struct kinesis_call *call, const char *member,
                         char text[PLACE_BYTES])
{
    if (call->action == KINESIS_PUT_RECORD)
        return member;
    snprintf(text, PLACE_BYTES, "records.%zu.member.%s", call->record_count + 1, member);
    return text;
}

static int refuse_type(struct refusal *refusal, const char *member)
{
    return signature_refuse(refusal, 400, "SerializationException",
                            "%s: a value of this type can not be converted to a String", member);
}

static int parse_data(struct kinesis_call *call, struct kinesis_record *record, const cJSON *data,
                      struct refusal *refusal)
{
    char text[PLACE_BYTES];
    record->data_offset = call->data.used_bytes;
    if (blob_parse(data, place(call, "data", text), &call->data, refusal) != 0)
        return -1;
    record->data_bytes = call->data.used_bytes - record->data_offset;
    return 0;
}

static int parse_key(struct kinesis_call *call, struct kinesis_record *record, const cJSON *key,
                     struct refusal *refusal)
{
    char text[PLACE_BYTES];
    if (key == NULL || cJSON_IsNull(key))
        return signature_refuse(refusal, 400, "ValidationException",
                                VALIDATION "null at '%s'" UNSATISFIED "not be null",
                                place(call, "partitionKey", text));
    if (!cJSON_IsString(key))
        return refuse_type(refusal, "PartitionKey");
    size_t characters = 0;
    for (const char *at = key->valuestring; *at != '\0'; at++)
        characters += ((unsigned char)*at & 0xc0) != 0x80;
    if (characters < 1 || characters > KINESIS_KEY_CHARS_MAX)
        return signature_refuse(
            refusal, 400, "ValidationException",
            VALIDATION "'%.300s' at '%s'" UNSATISFIED "have length %s than or equal to %d",
            key->valuestring, place(call, "partitionKey", text),
            characters < 1 ? "greater" : "less", characters < 1 ? 1 : KINESIS_KEY_CHARS_MAX);
    record->partition_key = key->valuestring;
    return 0;
}

static int parse_hash_key(struct kinesis_record *record, const cJSON *key, struct refusal *refusal)
{
    struct hashkey ignored;
    if (key == NULL || cJSON_IsNull(key))
        return 0;
    if (!cJSON_IsString(key))
        return refuse_type(refusal, "ExplicitHashKey");
    if (hashkey_parse(key->valuestring, &ignored) != 0)
        return signature_refuse(refusal, 400, "InvalidArgumentException",
                                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: "
                                "[0, 2^128-1]. Specified value was %.64s",
                                key->valuestring);
    record->hash_key = key->valuestring;
    return 0;
}

static int parse_record(struct kinesis_call *call, const cJSON *item, struct refusal *refusal)
{
    struct kinesis_record record = {0};
    char text[PLACE_BYTES];
    if (!cJSON_IsObject(item))
        return refuse_type(refusal, "Records");
    if (parse_data(call, &record, cJSON_GetObjectItemCaseSensitive(item, "Data"), refusal) != 0)
        return -1;
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(item, "PartitionKey");
    if (parse_key(call, &record, key, refusal) != 0)
        return -1;
    const cJSON *hash_key = cJSON_GetObjectItemCaseSensitive(item, "ExplicitHashKey");
    if (parse_hash_key(&record, hash_key, refusal) != 0)
        return -1;
    if (record.data_bytes + strlen(record.partition_key) > KINESIS_RECORD_BYTES_MAX)
        return signature_refuse(refusal, 400, "ValidationException",
                                VALIDATION "'java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]' at "
                                           "'%s'" UNSATISFIED
                                           "have length less than or equal to %d",
                                record.data_bytes, record.data_bytes, place(call, "data", text),
                                KINESIS_RECORD_BYTES_MAX);
    call->records[call->record_count++] = record;
    return 0;
}

static int parse_records(struct kinesis_call *call, const cJSON *records, struct refusal *refusal)
{
    if (!cJSON_IsArray(records))
        return records != NULL && !cJSON_IsNull(records)
                   ? refuse_type(refusal, "Records")
                   : signature_refuse(refusal, 400, "ValidationException",
                                      VALIDATION "null at 'records'" UNSATISFIED "not be null");
    int count = cJSON_GetArraySize(records);
    if (count < 1 || count > KINESIS_RECORDS_MAX)
        return signature_refuse(refusal, 400, "ValidationException",
                                VALIDATION "'[%d records]' at 'records'" UNSATISFIED
                                           "have length %s than or equal to %d",
                                count, count < 1 ? "greater" : "less",
                                count < 1 ? 1 : KINESIS_RECORDS_MAX);
    size_t keys_bytes = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, records)
    {
        if (parse_record(call, item, refusal) != 0)
            return -1;
        keys_bytes += strlen(call->records[call->record_count - 1].partition_key);
    }
    if (call->data.used_bytes + keys_bytes > KINESIS_REQUEST_BYTES_MAX)
        return signature_refuse(refusal, 400, "InvalidArgumentException",
                                "Records size exceeds 10 MB limit");
    return 0;
}

static int parse_after(struct kinesis_call *call, const cJSON *after, struct refusal *refusal)
{
    if (after == NULL || cJSON_IsNull(after))
        return 0;
    if (!cJSON_IsString(after))
        return refuse_type(refusal, "SequenceNumberForOrdering");
    const char *text = after->valuestring;
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > SEQUENCE_DIGITS_MAX || text[digits] != '\0' ||
        (text[0] == '0' && digits > 1))
        return signature_refuse(refusal, 400, "ValidationException",
                                VALIDATION
                                "'%.140s' at 'sequenceNumberForOrdering'" UNSATISFIED
                                "satisfy regular expression pattern: 0|([1-9]\\d{0,128})",
                                text);
    call->after = text;
    return 0;
}

static int parse_single(struct kinesis_call *call, const cJSON *json, struct refusal *refusal)
{
    if (parse_record(call, json, refusal) != 0)
        return -1;
    return parse_after(call, cJSON_GetObjectItemCaseSensitive(json, "SequenceNumberForOrdering"),
                       refusal);
}

static int check_stream(const cJSON *json, const char *stream_name, const char *region,
                        struct refusal *refusal)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "StreamName");
    const cJSON *arn = cJSON_GetObjectItemCaseSensitive(json, "StreamARN");
    if (name == NULL && arn == NULL)
        return signature_refuse(refusal, 400, "InvalidArgumentException",
                                "Either StreamName or StreamARN must be given.");
    if (name != NULL && !cJSON_IsString(name))
        return refuse_type(refusal, "StreamName");
    if (arn != NULL && !cJSON_IsString(arn))
        return refuse_type(refusal, "StreamARN");

    char expected[256];
    snprintf(expected, sizeof expected, "arn:aws:kinesis:%s:" KINESIS_ACCOUNT ":stream/%s", region,
             stream_name);
    if (arn != NULL && strcmp(arn->valuestring, expected) != 0)
        return signature_refuse(refusal, 400, "ResourceNotFoundException", "%.300s not found.",
                                arn->valuestring);
    if (name != NULL && strcmp(name->valuestring, stream_name) != 0)
        return signature_refuse(refusal, 400, "ResourceNotFoundException",
                                "Stream %.128s under account " KINESIS_ACCOUNT " not found.",
                                name->valuestring);
    return 0;
}

int kinesis_parse(struct kinesis_call *call, enum kinesis_action action, const struct buffer *body,
                  const char *stream_name, const char *region, struct refusal *refusal)
{
    cJSON *json = cJSON_ParseWithLength(body->bytes, body->used_bytes);
    call->json = json;
    call->action = action;
    call->after = NULL;
    call->data = (struct buffer){0};
    call->record_count = 0;
    if (!cJSON_IsObject(json)) {
        signature_refuse(refusal, 400, "SerializationException", "The body is not a JSON object");
        goto err;
    }
    if (check_stream(json, stream_name, region, refusal) != 0)
        goto err;
    const cJSON *records = cJSON_GetObjectItemCaseSensitive(json, "Records");
    int error = action == KINESIS_PUT_RECORD ? parse_single(call, json, refusal)
                                             : parse_records(call, records, refusal);
    if (error != 0)
        goto err;
    return 0;
err:
    kinesis_free(call);
    return -1;
}

void kinesis_free(struct kinesis_call *call)
{
    cJSON_Delete(call->json);
    buffer_free(&call->data);
    call->json = NULL;
}

void kinesis_error(struct buffer *body, const struct refusal *refusal)
{
    /* AWS spells this member of this one error in upper case. */
    int is_serialization = strcmp(refusal->code, "SerializationException") == 0;
    buffer_format(body, "{\"__type\":\"%s\",\"%s\":", refusal->code,
                  is_serialization ? "Message" : "message");
    buffer_json_text(body, refusal->message.used_bytes == 0 ? "" : refusal->message.bytes);
    buffer_text(body, "}");
}
