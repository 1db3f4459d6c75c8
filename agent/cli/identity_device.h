/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_IDENTITY_DEVICE_H
#define RUNNEL_AGENT_CLI_IDENTITY_DEVICE_H

#include <stdbool.h>

#include "agent/control/config.h"
#include "agent/control/identity_store.h"
#include "platform/fs.h"

/** Whose key and certificate `runnel identity` is about, and its sub-commands. */
struct identity_options {
    const char *config;  /* -c */
    const char *state;   /* --state, or NULL: as the configuration says */
    const char *subject; /* --subject, or NULL */
    const char *file;    /* of install, "-" for standard input */
    bool force, next, untested, json;
};

/**
 * The certificate is that of the first source of keys that has one, else of the first route; where
 * none is named, device.pem and device.key in the state directory.
 */
struct identity_device {
    struct config *config; /* NULL: there is none, and the state directory was named */
    const char *state;
    const char *cert_file;
    const char *key_file;
    const struct cfg_credentials *credentials; /* whose certificate it is, or */
    const struct cfg_route *route;             /* whose; both NULL: nobody's yet */
    const char *name;                          /* of the thing, else of the device; NULL: unknown */
    char folder[FS_PATH_BYTES];                /* of the configuration; "": there is none */
    char default_cert_file[FS_PATH_BYTES];
    char default_key_file[FS_PATH_BYTES];
    char next_key_file[FS_PATH_BYTES];
};

/** What a fault of TLS means where a key is read. */
#define IDENTITY_UNREADABLE "no private key that can be read, and without a password"

/** The exit code; after CLI_DONE identity_device_close. Faults are on stderr. */
int identity_device_open(const struct identity_options *options,
                         struct identity_device *ret_device);
void identity_device_close(struct identity_device *device);

/** How its store is opened. */
struct identity_store_options identity_device_store(const struct identity_device *device);

/* ---- identity_install.c, identity_show.c: the exit codes ---- */

int identity_install(const struct identity_device *device, const struct identity_options *options);
int identity_show(const struct identity_device *device, const struct identity_options *options);

#endif
