/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/spool/spool.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/*
 * dead_letters STATE ROUTE BYTES EVERY: buries every EVERYth record that ROUTE is owed in the lane
 * normal of the spool of a stopped agent, and prints the sequence number of each: no endpoint of
 * these tests refuses a record for good.
 */
enum { WAIT_MS = 20000, WINDOW_MS = 3600000 };

/* It has no word on when this boot was: the agent's records are not to change by it. */
static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_ESTIMATED};
}

static struct spool *open_spool(const char *path, uint64_t size_bytes)
{
    struct spool *spool;
    char fault[SPOOL_FAULT_BYTES] = "";
    struct spool_options options = {.path = path,
                                    .size_bytes = size_bytes,
                                    .device = "gw-e2e",
                                    .wait_ms = 1,
                                    .ack_window_ms = 1,
                                    .ack_window_records = 1,
                                    .dead_percent = 10,
                                    .clock = read_clock};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] =
            (struct spool_lane_options){.window_ms = WINDOW_MS, .age_ms = WINDOW_MS};
    if (spool_open(&options, fault, &spool) == 0)
        return spool;
    (void)fprintf(stderr, "dead_letters: %s\n", fault);
    return NULL;
}

static int bury(struct spool_route *route, unsigned every)
{
    static struct spool_reader reader;
    struct record record;
    uint64_t previous;
    int rc;
    spool_reader_start(&reader, route, LANE_NORMAL);
    for (unsigned i = 0; (rc = spool_reader_next(&reader, &record, &previous)) == 0; i++) {
        const struct spool_death death = {
            .lane = LANE_NORMAL,
            .mark = {record.sequence, previous},
            .attempts = 3,
            .reason =
                "ValidationException: it was refused, and the words for it are many:\n\x1b[31m"
                " they leave neither their line nor the 80 columns of the table",
        };
        uint64_t identity = record.identity.sequence;
        if (i % every != 0)
            continue;
        rc = spool_dead_bury(route, &death, clock_mono_ms() + WAIT_MS);
        if (rc < 0)
            return rc;
        (void)printf("%" PRIu64 "\n", identity);
    }
    return rc == E_END ? 0 : rc;
}

int main(int argc, char **argv)
{
    struct spool_route *route;
    if (argc != 5)
        return 2;
    struct spool_route_options options = {
        .name = argv[2], .lanes = {true, true, true}, .hold = true};
    struct spool *spool = open_spool(argv[1], strtoull(argv[3], NULL, 10));
    if (spool == NULL)
        return 1;
    int rc = spool_route_open(spool, &options, &route);
    if (rc == 0)
        rc = spool_start(spool);
    if (rc == 0)
        rc = bury(route, (unsigned)strtoul(argv[4], NULL, 10));
    if (rc == 0)
        rc = spool_stop(spool, clock_mono_ms() + WAIT_MS);
    spool_close(spool);
    if (rc < 0)
        (void)fprintf(stderr, "dead_letters: %s\n", ERROR_TEXT(rc));
    return rc < 0 ? 1 : 0;
}
