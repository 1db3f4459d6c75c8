/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a next key, and puts it into use with a certificate: the steps of runnel identity, with
 * texts in the place of both that say whose they are. Reports each step to $POWERCUT_REPORT once it
 * is over: from then on a power cut must not take it back.
 *
 * usage: powercut_pair STATE CERT_FILE KEY_FILE NAME
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control/identity_store.h"
#include "platform/base/error.h"

/* So that both are larger than what a disk writes at once. */
enum { LINES = 60, TEXT_BYTES = 2048 };

static size_t write_text(char text[TEXT_BYTES], const char *kind, const char *name)
{
    size_t used = 0;
    for (int i = 0; i < LINES; i++)
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s %s\n", kind, name);
    return used;
}

static void report(const char *what, const char *name)
{
    char line[64];
    const char *fd = getenv("POWERCUT_REPORT");
    int count = snprintf(line, sizeof line, "%s %s\n", what, name);
    if (fd != NULL && write((int)strtol(fd, NULL, 10), line, (size_t)count) != count)
        exit(1);
}

static int put_next(const struct identity_store_options *options, const char *name,
                    char fault[IDENTITY_STORE_FAULT_BYTES])
{
    char key[TEXT_BYTES];
    size_t count = write_text(key, "key", name);
    struct identity_store *store = NULL;
    int rc = identity_store_open(options, fault, &store);
    if (rc == 0)
        rc = identity_store_put_next(store, key, count, fault);
    identity_store_close(store);
    if (rc == 0)
        report("key", name);
    return rc;
}

static int put_into_use(const struct identity_store_options *options, const char *name,
                        char fault[IDENTITY_STORE_FAULT_BYTES])
{
    char cert[TEXT_BYTES], key[IDENTITY_KEY_BYTES];
    char cert_file[FS_PATH_BYTES], key_file[FS_PATH_BYTES];
    struct identity_store_pair pair = {
        .cert_pem = cert, .cert_count = write_text(cert, "cert", name), .key_pem = key};
    struct identity_store *store = NULL;
    int rc = identity_store_open(options, fault, &store);
    if (rc == 0)
        rc = identity_store_read_key(store, IDENTITY_STORE_NEXT, key, fault);
    pair.key_count = rc < 0 ? 0 : (size_t)rc;
    if (rc >= 0)
        rc = identity_store_stage(store, &pair, fault, cert_file, key_file);
    if (rc == 0)
        rc = identity_store_switch(store, true, fault);
    identity_store_close(store);
    if (rc == 0)
        report("pair", name);
    return rc;
}

int main(int argc, char **argv)
{
    char fault[IDENTITY_STORE_FAULT_BYTES] = "";
    if (argc != 5)
        return 2;
    const struct identity_store_options options = {
        .state = argv[1], .cert_file = argv[2], .key_file = argv[3]};
    int rc = put_next(&options, argv[4], fault);
    if (rc == 0)
        rc = put_into_use(&options, argv[4], fault);
    if (rc < 0)
        (void)fprintf(stderr, "%s (%s)\n", fault, ERROR_TEXT(rc));
    return rc == 0 ? 0 : 1;
}
