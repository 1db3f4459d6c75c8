/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/batch_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

static void begin(const void *context, struct writer *out)
{
    writer_text(out, context);
}

static void record_begin(const void *context, struct writer *out, size_t index)
{
    (void)context;
    writer_unsigned(out, index);
    writer_char(out, ':');
}

static void record_end(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    (void)context;
    writer_char(out, '/');
    writer_bytes(out, key, key_bytes);
    writer_char(out, ',');
}

static void end(const void *context, struct writer *out)
{
    (void)context;
    writer_char(out, '>');
}

static void nothing(const void *context, struct writer *out)
{
    (void)context;
    (void)out;
}

static void no_index(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)out;
    (void)index;
}

static void no_key(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    (void)context;
    (void)out;
    (void)key;
    (void)key_bytes;
}

#define SHOWN .begin = begin, .record_begin = record_begin, .record_end = record_end, .end = end

const struct batch_frame frame = {SHOWN};
const struct batch_frame frame_plain = {SHOWN, .plain = true};
const struct batch_frame frame_lines = {SHOWN, .plain = true, .newline = true};
const struct batch_frame frame_newline = {SHOWN, .newline = true};
const struct batch_frame frame_keyless = {SHOWN, .newline = true, .keyless = true};
const struct batch_frame frame_counted = {SHOWN, .counts_body = true};
const struct batch_frame frame_object = {.begin = nothing,
                                         .record_begin = no_index,
                                         .record_end = no_key,
                                         .end = nothing,
                                         .plain = true,
                                         .newline = true,
                                         .together = true};

int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    return fixture == NULL ? -1 : 0;
}

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    batch_close(&fixture->batch);
    free(fixture);
    return 0;
}

struct batch_options usual_options(struct fixture *fixture)
{
    return (struct batch_options){.spool = &fixture->spool,
                                  .route = fake_route_of(&fixture->spool),
                                  .lanes = {true, true, true},
                                  .format = BATCH_RAW,
                                  .partition = {.kind = PARTITION_FIXED, .fixed = "key"},
                                  .limits = {500, 1 << 20, 1 << 20},
                                  .frame = &frame,
                                  .frame_context = "<"};
}

void open_batch(struct fixture *fixture, const struct batch_options *options)
{
    assert_int_equal(batch_open(options, &fixture->batch), E_OK);
}

void open_usual(struct fixture *fixture)
{
    const struct batch_options options = usual_options(fixture);
    open_batch(fixture, &options);
}

void add(struct fixture *fixture, enum lane lane, uint64_t sequence, const char *document)
{
    (void)fake_route_add_document(&fixture->spool, lane, sequence, document, strlen(document));
}

int write_body(struct fixture *fixture)
{
    writer_to_memory(&fixture->out, fixture->body, sizeof fixture->body);
    int rc = batch_write(&fixture->batch, &fixture->out);
    (void)writer_finish(&fixture->out);
    return rc;
}

void assert_passes_agree(struct fixture *fixture)
{
    uint8_t digest[HASH_SHA256_BYTES];
    char text[BATCH_HASH_TEXT_BYTES];
    assert_int_equal(write_body(fixture), E_OK);
    assert_int_equal(fixture->out.used_bytes, fixture->batch.summary.body_bytes);
    hash_sha256(fixture->body, fixture->out.used_bytes, digest);
    bytes_put_hex(text, digest, sizeof digest);
    assert_string_equal(text, fixture->batch.summary.body_hash);
}

void assert_builds(struct fixture *fixture, const char *expected)
{
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
    assert_string_equal(fixture->body, expected);
}
