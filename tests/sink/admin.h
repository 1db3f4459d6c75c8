/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_ADMIN_H
#define RUNNEL_TESTS_SINK_ADMIN_H

#include "tests/sink/server.h"

/**
 * Serves the plain admin port: GET /summary, GET /faults, POST /faults {"name":value,...} (merged
 * into those in force; a fault in it changes nothing), POST /outage {"seconds":n,"mode":"refuse"}
 * (mode "silent" as well; without seconds until the next; 0 ends one), POST /stop.
 */
enum sink_end admin_serve(struct sink *sink, struct server *server,
                          const struct http_request *request, struct buffer *reply);

#endif
