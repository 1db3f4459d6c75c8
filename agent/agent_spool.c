/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_state.h"
#include "agent/spool/spool_walk.h"
#include "platform/base/error.h"

/* The buffer grows for what does not fit by itself, which is a document at most. */
enum { PART_BYTES_MIN = 64 * 1024, PART_BYTES_MAX = 4 * 1024 * 1024 };

struct part {
    char *bytes;
    size_t size;
};

static bool grow(struct part *part)
{
    size_t size = part->size == 0 ? PART_BYTES_MIN : part->size * 2;
    char *bytes = size <= PART_BYTES_MAX ? realloc(part->bytes, size) : NULL;
    if (bytes == NULL)
        return false;
    *part = (struct part){.bytes = bytes, .size = size};
    return true;
}

static int write_part(struct inspect *inspect, struct part *part, const struct control_spool *spool)
{
    struct writer writer;
    writer_to_memory(&writer, part->bytes, part->size);
    int rc = inspect_next(inspect, &writer);
    if (rc == E_TOO_BIG && grow(part))
        return E_OK;
    if (rc < 0)
        return rc;
    size_t count = (size_t)writer_total_bytes(&writer);
    return count == 0 ? E_OK : spool->write(spool->context, part->bytes, count);
}

static int write_all(struct spool *opened, const struct control_spool *spool,
                     struct control_spooled *spooled)
{
    struct part part = {0};
    struct inspect inspect;
    int rc = inspect_start(&inspect, opened, spool->request);
    if (rc < 0)
        return rc;
    inspect.dead.stopped = true;
    rc = grow(&part) ? E_OK : E_NO_MEMORY;
    while (rc == E_OK)
        rc = write_part(&inspect, &part, spool);
    free(part.bytes);
    spooled->records = inspect.records;
    spooled->damaged = inspect.damaged;
    return rc == E_END ? E_OK : rc;
}

/* Says of a damaged file where the damage is. */
static void explain(const char *path, int rc, const char *fault, struct control_spooled *spooled)
{
    char where[VERIFY_FAULT_BYTES] = "its tables";
    if (rc == E_NOT_FOUND)
        (void)snprintf(spooled->reason, sizeof spooled->reason,
                       "there is no spool in %.200s; check -c, RUNNEL_STATE and spool.path", path);
    else if (rc == E_DAMAGED && spool_walk_verify(path, where) != E_NOT_FOUND)
        (void)snprintf(spooled->reason, sizeof spooled->reason, "%.200s (%s)", fault, where);
    else
        (void)snprintf(spooled->reason, sizeof spooled->reason, "%s", fault);
}

int agent_spool(const struct config *config, const struct control_spool *spool,
                struct control_spooled *ret_spooled)
{
    struct agent_clock clock = {.lock = AGENT_CLOCK_LOCK};
    char fault[SPOOL_FAULT_BYTES] = "";
    struct spool *opened;
    struct spool_options options = {
        .path = config->spool.path,
        .size_bytes = config->spool.size_bytes,
        .device = config->device,
        .open_only = true,
        .clock = agent_clock_read,
        .clock_context = &clock,
    };
    *ret_spooled = (struct control_spooled){0};
    int rc = spool_open(&options, fault, &opened);
    if (rc < 0) {
        explain(config->spool.path, rc == error_sys(ENOENT) ? E_NOT_FOUND : rc, fault, ret_spooled);
        return rc;
    }
    rc = write_all(opened, spool, ret_spooled);
    spool_close(opened);
    return rc;
}
