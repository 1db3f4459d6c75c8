/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/came.h"

#include <stdbool.h>

static const struct came_mark *mark_at(const struct came *came, unsigned index)
{
    return &came->marks[(came->first + index) % CAME_MARKS];
}

void came_note(struct came *came, uint64_t sequence, int64_t boot_ms, int64_t span_ms)
{
    came->apart_ms = span_ms / CAME_PARTS;
    if (came->count > 0 && boot_ms - mark_at(came, came->count - 1)->boot_ms < came->apart_ms)
        return;
    if (came->count == CAME_MARKS)
        came->first = (came->first + 1) % CAME_MARKS;
    else
        came->count++;
    came->marks[(came->first + came->count - 1) % CAME_MARKS] =
        (struct came_mark){.sequence = sequence, .boot_ms = boot_ms};
}

int64_t came_ms(const struct came *came, uint64_t sequence, int64_t own_ms)
{
    unsigned index = came->count;
    if (index == 0)
        return own_ms;
    while (index > 0 && mark_at(came, index - 1)->sequence > sequence)
        index--;
    const struct came_mark *mark = mark_at(came, index > 0 ? index - 1 : 0);
    if (index == 0) /* before all that is known */
        return own_ms < mark->boot_ms ? own_ms : mark->boot_ms;
    bool plausible = own_ms >= mark->boot_ms && own_ms - mark->boot_ms <= came->apart_ms;
    return plausible ? own_ms : mark->boot_ms;
}
