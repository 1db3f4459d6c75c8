/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/commit_now.h"

#include <poll.h>

#include "platform/stop.h"

void commit_now(struct spool *spool, int event_fd, uint64_t sequence)
{
    struct spool_ticket ticket = {.lane = LANE_NORMAL, .sequence = sequence, .event_fd = event_fd};
    spool_commit_soon(spool);
    spool_ticket_wait(spool, &ticket);
    while (!spool_ticket_accepted(spool, &ticket)) {
        struct pollfd fd = {.fd = event_fd, .events = POLLIN};
        (void)poll(&fd, 1, -1);
    }
    stop_event_drain(event_fd);
}
