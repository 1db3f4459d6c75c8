/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/gap.h"

const char *gap_reason_name(enum spool_gap_reason reason)
{
    static const char *const names[] = {"drop-oldest", "drop-newest", "not-held",
                                        "damaged",     "away",        "lost"};
    return names[reason];
}
