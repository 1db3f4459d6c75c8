/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores objects in an archive and reports the name of each once it is stored, one a line, to the
 * descriptor $POWERCUT_REPORT: from then on a power cut must not take it.
 *
 * usage: powercut_archive DIRECTORY SEED
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/uplink/dest/dest.h"
#include "agent/uplink/dest/object.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/hash.h"

enum { OBJECTS = 200, OBJECTS_PER_HOUR = 7, BODY_BYTES_MAX = 60000, LINE_BYTES = 512 };
#define DEVICE "gw-17"

static const int64_t begin_ms = 1768478400000; /* 2026-01-15T12:00:00Z */
static const int64_t hour_ms = 3600000;

struct body {
    size_t bytes;
    uint8_t data[BODY_BYTES_MAX];
};

static void fill(struct body *body, unsigned *random)
{
    body->bytes = 1 + (size_t)rand_r(random) % BODY_BYTES_MAX;
    for (size_t i = 0; i < body->bytes; i++)
        body->data[i] = (uint8_t)rand_r(random);
}

static int write_body(void *context, struct writer *out)
{
    const struct body *body = context;
    writer_bytes(out, body->data, body->bytes);
    return out->error;
}

static void report(int fd, const struct batch_summary *batch)
{
    char day[16], hour[8], name[OBJECT_NAME_BYTES], line[LINE_BYTES];
    object_hour(batch->wall_ms, day, hour);
    object_name(batch, false, name);
    int count = snprintf(line, sizeof line, "%s/%s/" DEVICE "/%s\n", day, hour, name);
    if (write(fd, line, (size_t)count) != count)
        exit(1);
}

static int store(struct dest *dest, uint64_t number, unsigned *random, int report_fd)
{
    static struct body body;
    uint8_t digest[HASH_SHA256_BYTES];
    struct dest_stored stored;
    fill(&body, random);
    struct batch_summary batch = {.entry_count = 1,
                                  .body_bytes = body.bytes,
                                  .spool_id = 1,
                                  .first = number,
                                  .last = number,
                                  .wall_ms =
                                      begin_ms + (int64_t)(number / OBJECTS_PER_HOUR) * hour_ms};
    hash_sha256(body.data, body.bytes, digest);
    bytes_put_hex(batch.body_hash, digest, sizeof digest);
    int rc = dest->operations->store(dest, &batch, write_body, &body, &stored);
    if (rc == E_OK)
        report(report_fd, &batch);
    return rc;
}

int main(int argc, char **argv)
{
    const char *report_fd = getenv("POWERCUT_REPORT");
    if (argc != 3 || report_fd == NULL)
        return 2;
    const struct dest_options options = {
        .device = DEVICE, .archive = {.path = argv[1], .size_bytes = (uint64_t)1 << 30}};
    unsigned random = (unsigned)strtoul(argv[2], NULL, 10);
    struct dest *dest = NULL;
    int rc = dest_open("archive", &options, &dest);
    for (uint64_t number = 0; rc == E_OK && number < OBJECTS; number++)
        rc = store(dest, number, &random, (int)strtol(report_fd, NULL, 10));
    dest_close(dest);
    return rc == E_OK ? 0 : 1;
}
