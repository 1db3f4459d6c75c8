/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/sink/buffer.h"

void stream_init(struct stream *stream, unsigned shard_count, const char *id_member, FILE *dump)
{
    *stream = (struct stream){.shard_count = shard_count, .id_member = id_member, .dump = dump};
    for (unsigned i = 0; i < shard_count; i++)
        stream->starts[i] = hashkey_start(i, shard_count);
}

void stream_free(struct stream *stream)
{
    identities_free(&stream->identities);
    identities_free(&stream->ids);
    free(stream->lost);
    stream->lost = NULL;
}

uint32_t stream_begin_lost(struct stream *stream)
{
    struct lost_batch *lost =
        realloc(stream->lost, (stream->lost_count + 1) * sizeof *stream->lost);
    if (lost == NULL) {
        fputs("sink: out of memory\n", stderr);
        exit(1);
    }
    lost[stream->lost_count] = (struct lost_batch){0};
    stream->lost = lost;
    return ++stream->lost_count;
}

unsigned stream_shard_of(const struct stream *stream, const struct hashkey *hash)
{
    unsigned shard = stream->shard_count - 1;
    while (memcmp(hash->bytes, stream->starts[shard].bytes, sizeof hash->bytes) < 0)
        shard--;
    return shard;
}

/* A raw control character would forge a line or a column; JSON has none inside. */
static void dump_text(FILE *dump, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((unsigned char)text[i] < 0x20)
            fprintf(dump, "\\x%02x", (unsigned)(unsigned char)text[i]);
        else
            putc(text[i], dump);
    }
}

static void dump_record(FILE *dump, unsigned shard, const struct stream_record *record)
{
    fprintf(dump, "%u\t", shard);
    dump_text(dump, record->partition_key, strlen(record->partition_key));
    putc('\t', dump);
    dump_text(dump, record->data, record->data_bytes);
    putc('\n', dump);
}

static void count_identity(struct stream *stream, const cJSON *record, uint32_t lost)
{
    const cJSON *device = cJSON_GetObjectItemCaseSensitive(record, "device");
    const cJSON *spool = cJSON_GetObjectItemCaseSensitive(record, "spool");
    const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(record, "seq");
    if (!cJSON_IsString(device) || !cJSON_IsString(spool) || !cJSON_IsNumber(sequence)) {
        stream->anonymous++;
        return;
    }

    struct buffer text = {0};
    buffer_format(&text, "%s\n%s\n%.0f", device->valuestring, spool->valuestring,
                  sequence->valuedouble);
    struct identity *identity = identities_find(&stream->identities, text.bytes, text.used_bytes);
    buffer_free(&text);

    if (identity->seen++ > 0) {
        stream->duplicates++;
        if (identity->lost != STREAM_NO_BATCH)
            stream->lost[identity->lost - 1].duplicated++;
        else
            stream->duplicates_unexplained++;
    }
    identity->lost = lost;
    if (lost != STREAM_NO_BATCH)
        stream->lost[lost - 1].records++;
}

static void count_id(struct stream *stream, const cJSON *record)
{
    const cJSON *document = cJSON_GetObjectItemCaseSensitive(record, "data");
    const cJSON *id =
        cJSON_GetObjectItemCaseSensitive(document != NULL ? document : record, stream->id_member);
    char *text = id == NULL ? NULL : cJSON_PrintUnformatted(id);
    if (text == NULL) {
        stream->id_absent++;
        return;
    }
    if (identities_find(&stream->ids, text, strlen(text))->seen++ > 0)
        stream->id_duplicates++;
    cJSON_free(text);
}

/* 56 digits, rising within a shard, as those of AWS are today. */
static void write_sequence(char ret_sequence[STREAM_SEQUENCE_BYTES], unsigned shard,
                           uint64_t number)
{
    snprintf(ret_sequence, STREAM_SEQUENCE_BYTES, "49600000000000000000000000000000%04u%020" PRIu64,
             shard, number);
}

int stream_gave(const struct stream *stream, const struct hashkey *hash, const char *sequence)
{
    char next[STREAM_SEQUENCE_BYTES];
    unsigned shard = stream_shard_of(stream, hash);
    size_t shard_end = strlen("49600000000000000000000000000000") + 4;
    write_sequence(next, shard, stream->shard_records[shard]);
    return strlen(sequence) == strlen(next) && memcmp(sequence, next, shard_end) == 0 &&
           strcmp(sequence, next) < 0;
}

unsigned stream_put(struct stream *stream, const struct stream_record *record, uint32_t lost,
                    char ret_sequence[STREAM_SEQUENCE_BYTES])
{
    unsigned shard = stream_shard_of(stream, &record->hash);
    uint64_t number = stream->shard_records[shard]++;
    stream->records++;
    stream->data_bytes += record->data_bytes;
    write_sequence(ret_sequence, shard, number);

    cJSON *json = cJSON_ParseWithLength(record->data, record->data_bytes);
    count_identity(stream, json, lost);
    if (stream->id_member != NULL)
        count_id(stream, json);
    cJSON_Delete(json);

    if (stream->dump != NULL)
        dump_record(stream->dump, shard, record);
    return shard;
}

uint32_t stream_lost_whole(const struct stream *stream)
{
    uint32_t whole = 0;
    for (uint32_t i = 0; i < stream->lost_count; i++)
        whole += stream->lost[i].records == stream->lost[i].duplicated;
    return whole;
}
