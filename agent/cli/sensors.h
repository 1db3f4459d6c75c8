/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_SENSORS_H
#define RUNNEL_AGENT_CLI_SENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/control/config.h"
#include "agent/control/status_read.h"
#include "platform/base/writer.h"
#include "platform/json/json_write.h"

/** The parts of `runnel sensors`. What the agent says of sensors is JSON, and so is what is made up
 *  for it here where none runs (sensor_view.h): one text is made of either. */

/* ---- sensors_ask.c ---- */

/** Whom the sensors are asked of: the running agent, or the configuration where none answers. */
struct sensors_ask {
    const char *path;      /* of the configuration, or NULL */
    struct config *config; /* NULL: an agent runs */
    char socket[108];      /* where it was asked for */
    int exit_code;         /* on failure, once it was said on stderr */
};

/** Finds out whom to ask. E_STOP: neither, which was said. */
int sensors_ask_open(struct sensors_ask *ask);
void sensors_ask_close(struct sensors_ask *ask);

/** The sensors as they are: an object with each by its name. The caller frees it. E_STOP: said. */
int sensors_ask_list(struct sensors_ask *ask, char **ret_json);

/** Likewise of NAME alone, which is read for it; TIMEOUT_MS is its own. */
int sensors_ask_read(struct sensors_ask *ask, const char *name, int64_t timeout_ms, int64_t wait_ms,
                     char **ret_json);

/* ---- sensors_driver.c ---- */

/** The keys of the driver called NAME. Returns the exit code. */
int sensors_driver(const char *name, bool json);

/** What there is and what was left out: as text, and as members of the object being written. */
void sensors_driver_list_text(struct writer *out);
void sensors_driver_list_json(struct json_write *json);

/* ---- sensors_show.c ---- */

/** All of them, and of whom: "of the running agent". */
void sensors_show_list(const struct status_read *sensors, const char *of_whom, struct writer *out);

/** The one called NAME, which was read: with what to check where there is a fault. */
void sensors_show_read(const struct status_read *sensors, const char *name, bool by_agent,
                       struct writer *out);

/* ---- sensors_path.c ---- */

/** Looks at the path that TEXT names, if it names one, and says what is there, or up to where it
 *  is: "/dev is there, /dev/ttyUSB0 is not". False: there is nothing to say. */
enum { SENSORS_PATH_BYTES = 400 };
bool sensors_path_look(const char *text, char ret_text[SENSORS_PATH_BYTES]);

#endif
