/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: where one record failed, the whole batch is sent again. */
#include <string.h>

#include "tests/fault/plant_dest.h"

void plant_change(size_t sent, uint8_t *delivered, struct dest_reply *reply)
{
    if (!reply->understood || reply->failed == 0)
        return;
    memset(delivered, 0, (sent + 7) / 8);
    reply->delivered = 0;
    reply->failed = sent;
}
