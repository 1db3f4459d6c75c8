/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_SCHEMA_PARTS_H
#define RUNNEL_AGENT_CONTROL_SCHEMA_PARTS_H

#include <stddef.h>

#include "agent/control/config.h"
#include "agent/control/schema.h"

/** For the files schema*.c alone. */
#define SCHEMA_KIB       ((int64_t)1024)
#define SCHEMA_MIB       (1024 * SCHEMA_KIB)
#define SCHEMA_SECOND_MS ((int64_t)1000)
#define SCHEMA_MINUTE_MS (60 * SCHEMA_SECOND_MS)
#define SCHEMA_DAY_MS    (1440 * SCHEMA_MINUTE_MS)
#define SCHEMA_MINUTE_S  ((int64_t)60)
#define SCHEMA_HOUR_S    (60 * SCHEMA_MINUTE_S)

#define SCHEMA_QUOTED(token)  #token
#define SCHEMA_TEXT_OF(macro) SCHEMA_QUOTED(macro)

#define SCHEMA_AT(structure, member) .offset = offsetof(struct structure, member)

/** One of "routes". */
extern const struct schema_table schema_route;

/** "coap", where Kconfig did not leave out COAP. */
extern const struct schema_table schema_coap;

#endif
