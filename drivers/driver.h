/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_DRIVER_H
#define RUNNEL_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"
#include "platform/stop.h"

/**
 * The contract between collect (agent/intake) and a family of sensors.
 *
 * A driver is a const struct driver, listed in drivers.def behind its Kconfig symbol. An instance
 * is one configured sensor; its memory (instance_bytes, zeroed) is the caller's, and one thread
 * uses it at a time. open takes the hardware, fetch talks to it in bounded time, read only converts
 * what fetch got, close gives everything back and may follow a failed open.
 *
 * A polled driver is fetched on its schedule and read once per fetch. A stream driver (wait_fd is
 * not NULL) is fetched, read until E_AGAIN, and so on until fetch says E_AGAIN too; then its
 * descriptor is waited for.
 */

enum driver_key_kind {
    DRIVER_KEY_TEXT,
    DRIVER_KEY_INTEGER,  /* a JSON whole number */
    DRIVER_KEY_DECIMAL,  /* a JSON number */
    DRIVER_KEY_BOOLEAN,  /* "true" or "false" */
    DRIVER_KEY_DURATION, /* "5s" */
    DRIVER_KEY_SIZE,     /* "64KiB" */
    DRIVER_KEY_UNIT,     /* a SenML unit name: "Cel" */
};

/** A key that the driver takes in runnel.json beside name, driver, interval, timeout, lane, tags.
 */
struct driver_key {
    const char *name; /* NULL ends the table; "list[].member" for members of an array's objects */
    enum driver_key_kind kind;
    bool required;
    const char *help; /* one line; says the default */
};

/** What a key may say beyond its kind, checked with the configuration, where a fault has a line and
 *  a column. What this cannot say is for check, what depends on hardware is left to open. */
struct driver_limit {
    const char *key;     /* as in struct driver_key; NULL ends the table */
    const char *choices; /* "a|b|c" of a text or whole number; NULL: */
    int64_t low, high;   /* of a whole number, both included */
};

/** A configured key as text, checked against its kind; a list's member as "list[3].member". */
struct driver_setting {
    const char *key;
    const char *value;
};

enum { DRIVER_FAULT_BYTES = 200 };

/** What the agent knows of itself, for the driver "self", of all routes together. delivered, dead
 * and evicted are of the spool's lifetime, the other counters since the agent started. */
struct driver_health {
    int64_t uptime_ms;
    uint64_t private_bytes; /* of memory; 0: the kernel does not say */
    uint64_t pending, stored, stored_bytes;
    int64_t oldest_age_ms;
    uint64_t spool_bytes, spool_used_bytes; /* of its file */
    uint64_t delivered, retried, throttled, dead, evicted;
    uint64_t flash_commits, flash_bytes;
    uint64_t link_bytes; /* of the month */
    uint64_t failing;    /* sensors */
    uint64_t warnings;
    bool healthy;
    const char *clock; /* "synced", "corrected", "estimated" */
};

/** How it is asked, from any thread of a driver. */
struct driver_agent {
    void (*look)(void *context, struct driver_health *ret_health);
    void *context;
};

/**
 * Sensors of one driver on one bus are used by one thread, and may share what is there once for all
 * of them, such as a serial line: bus_state leads to a pointer that is NULL at first and that stays
 * where it is from the first open to the last close. The first open puts there what it allocated,
 * the last close frees it and puts NULL back.
 */
struct driver_context {
    const char *sensor; /* its name */
    const char *root;   /* put before absolute paths of /proc, /sys and /dev; "" but in tests */
    const struct driver_setting *settings;
    size_t setting_count;
    int64_t interval_ms; /* of the sensor; 0: a stream without one */
    int64_t timeout_ms;  /* the longest that one fetch may take */
    size_t document_bytes_max;
    bool drain;                       /* finite inputs are read to their end, then E_END */
    struct sample_origin resume;      /* where a followed file was left, if present */
    const struct stop *stop;          /* ends every wait */
    const struct driver_agent *agent; /* NULL: this process is not the agent */
    void **bus_state;                 /* what sensors of one bus share; NULL: it is alone there */
    char *fault;                      /* DRIVER_FAULT_BYTES: which path, what, what to check */
};

struct driver {
    const char *name;
    const char *summary; /* one line for `runnel sensors` */
    const struct driver_key *keys;
    const struct driver_limit *limits; /* NULL: none */
    size_t instance_bytes;

    /** The key whose value names the bus that a polled sensor is on: those of the driver with the
     *  same value wait for each other, no others do. NULL, or a sensor without it: all of those. */
    const char *bus_key;

    bool at_events; /* without "interval" in the settings it has none: a record for each event */

    bool alone; /* no two of its sensors share a bus, whatever they have for bus_key */

    /** Looks at the settings alone, each of which keeps to its kind and limit. Returns the key that
     *  is at fault ("list[3].member" too), and what is wrong with it in context->fault, to be read
     *  behind its value: "is negative; write it without a sign"; NULL: none is. May be NULL
     *  itself. */
    const char *(*check)(const struct driver_context *context);

    /** Likewise what CONTEXT cannot have otherwise than OTHER, a sensor that has the same bus. Both
     *  have passed check. May be NULL itself. */
    const char *(*check_beside)(const struct driver_context *context,
                                const struct driver_context *other);

    /** Returns 0; E_INVALID for settings that contradict each other; error_sys and others for
     *  hardware that is not there (yet): it will be tried again. Says why in context->fault. */
    int (*open)(void *instance, const struct driver_context *context);

    /** The channels, at most SAMPLE_CHANNELS_MAX; returns their number (0 for documents alone).
     *  May be asked once open has succeeded; the answer does not change until close. */
    int (*channels)(const void *instance, struct channel *ret_channels);

    /** Gets the next raw reading. 0; E_AGAIN: nothing new; E_END: a finite input is used up;
     *  E_TIMEOUT: no answer; E_REFUSED: the answer is no; E_STOP; any other error means: close, and
     *  open again after a back-off. */
    int (*fetch)(void *instance, int64_t deadline_ms);

    /** Converts. 0; E_AGAIN: fetch first; E_SYNTAX, E_RANGE, E_TOO_BIG, E_DAMAGED: this reading
     *  is refused (and counted), read or fetch on. Leaves boot_ms at 0 for "now". */
    int (*read)(void *instance, struct sample *ret_sample);

    /** The descriptor to poll for reading before fetch; -1 while there is none to wait for, then
     *  fetch is called on the schedule. NULL for polled drivers. */
    int (*wait_fd)(const void *instance);

    /** Says, after an error of fetch or read, what it was about (path, line, register). Or NULL. */
    const char *(*fault)(const void *instance);

    /** Says what was configured and is missing from the last sample, which was good without it
     *  (path, interface, what to check), or NULL. May be NULL itself. */
    const char *(*lack)(const void *instance);

    void (*close)(void *instance);
};

/** The driver called NAME, or NULL if this program has none (left out by Kconfig, or unknown). */
const struct driver *driver_find(const char *name);

/** The INDEX-th driver that is compiled in, or NULL behind the last. */
const struct driver *driver_at(size_t index);

/** Whether Kconfig has a driver called NAME and left it out of this program. */
bool driver_left_out(const char *name);

/** The name of the INDEX-th driver that was left out, or NULL behind the last. */
const char *driver_left_out_at(size_t index);

/** The symbol of Kconfig that brings the driver called NAME: "CONFIG_DRIVER_MODBUS". */
enum { DRIVER_SYMBOL_BYTES = 48 };
void driver_symbol(const char *name, char ret_symbol[DRIVER_SYMBOL_BYTES]);

/** What KEY of DRIVER may say beyond its kind, or NULL: anything. */
const struct driver_limit *driver_limit_of(const struct driver *driver, const char *key);

/** The value of KEY among the context's settings, or NULL. */
const char *driver_setting(const struct driver_context *context, const char *key);

/** printf into FAULT, cut to DRIVER_FAULT_BYTES. */
void driver_say(char fault[DRIVER_FAULT_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** What UNIT measures ("Cel": "degrees Celsius") if it is a SenML unit name (units.def), or NULL.
 */
const char *driver_unit_meaning(const char *unit);

#endif
