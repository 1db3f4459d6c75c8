/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_FAULT_H
#define RUNNEL_AGENT_CONTROL_CONFIG_FAULT_H

#include <stdbool.h>
#include <stdio.h>

#include "platform/json/json_read.h"

/**
 * Collects what is wrong with a configuration, so that one run shows everything, in the order of
 * the text.
 */
enum { CONFIG_FAULT_BYTES = 400, CONFIG_FAULTS_KEPT = 50 };

struct config_fault_line {
    const char *file;
    unsigned line; /* 0: no place in a file */
    unsigned column;
    bool warning;
    char text[CONFIG_FAULT_BYTES];
};

struct config_faults {
    unsigned kept;
    unsigned left_out;
    unsigned faults;  /* warnings apart */
    unsigned awaited; /* of the faults: what may come by itself, such as a file on a late medium */
    struct config_fault_line lines[CONFIG_FAULTS_KEPT];
};

/** Something at a place without a key. FILE must outlive the collection. */
void config_fault_at(struct config_faults *faults, const char *file, unsigned line, unsigned column,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/**
 * Something about NODE's value, or about its member MEMBER (if not NULL) that is not there: at
 * NODE, or at the null that took it away. NODE NULL: about MEMBER of a configuration that says
 * nothing of it.
 */
void config_fault(struct config_faults *faults, const struct json_node *node, const char *member,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/** Something about NODE's key rather than its value. */
void config_fault_key(struct config_faults *faults, const struct json_node *node,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

/** As config_fault, but the configuration is used all the same. */
void config_fault_warn(struct config_faults *faults, const struct json_node *node,
                       const char *member, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

enum { CONFIG_FAULT_PATH_BYTES = 200 };

/** "sensors[0].interval", for what is said of NODE elsewhere. */
void config_fault_path(const struct json_node *node, char ret_path[CONFIG_FAULT_PATH_BYTES]);

/** Prints everything as `FILE:LINE:COL: KEY: what; remedy`, in the order of the places. */
void config_fault_print(struct config_faults *faults, FILE *to);

#endif
