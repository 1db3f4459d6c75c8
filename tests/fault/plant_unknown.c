/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: a reply of status 200 that nobody understands counts as delivered. */
#include "tests/fault/plant_dest.h"

void plant_change(size_t sent, uint8_t *delivered, struct dest_reply *reply)
{
    if (!reply->understood && reply->code[0] == '\0')
        plant_believe(sent, delivered, reply);
}
