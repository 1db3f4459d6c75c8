/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/identity_device.h"
#include "agent/control/identity_store.h"
#include "platform/base/error.h"
#include "platform/hash.h"
#include "platform/identity.h"
#include "platform/random.h"
#include "platform/tls.h"

static const char usage[] =
    "usage: runnel identity create [--next | --force]\n"
    "       runnel identity csr [--subject NAME]\n"
    "       runnel identity install [--untested] [FILE | -]\n"
    "       runnel identity show [--json]\n\n"
    "The device's own key and its certificate. The key is made here and never leaves.\n\n"
    "  create       makes a key, unless there is one\n"
    "  csr          prints the request for a certificate (PKCS#10, PEM), to be signed\n"
    "  install      reads the certificate (PEM, with its chain if it has one), checks it, tries "
    "it\n"
    "               and puts it, with its key, into use\n"
    "  show         what is installed, and what is not\n\n"
    "  --next       a key beside the one in use, which goes on until its certificate is installed\n"
    "  --force      the same, in the place of one that has no certificate yet\n"
    "  --subject    such as CN=gw-17,O=Pumps, instead of CN= and the name of thing or device\n"
    "  --untested   nobody is asked whether he takes the certificate\n"
    "  --json       for programs\n"
    "  -c FILE      the configuration, as in runnel run\n"
    "  --state DIR  the state directory, where the configuration is not complete yet\n";

/* ---- create ---- */

static bool has_key(const struct identity_store *store, enum identity_store_key which,
                    char fault[IDENTITY_STORE_FAULT_BYTES], int *ret_rc)
{
    char key[IDENTITY_KEY_BYTES];
    int rc = identity_store_read_key(store, which, key, fault);
    hash_wipe(key, sizeof key);
    *ret_rc = rc < 0 && rc != E_NOT_FOUND && rc != E_TOO_BIG ? rc : 0;
    return rc >= 0 || rc == E_TOO_BIG;
}

/* 0; E_EXISTS with FAULT: it would take a key's place. */
static int may_create(const struct identity_device *device, const struct identity_options *options,
                      const struct identity_store *store, char fault[IDENTITY_STORE_FAULT_BYTES])
{
    int rc;
    if (options->force)
        return 0;
    if (has_key(store, IDENTITY_STORE_NEXT, fault, &rc)) {
        (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES,
                       "%s is there already and waits for its certificate: runnel identity csr; "
                       "--force makes another one in its place",
                       device->next_key_file);
        return E_EXISTS;
    }
    if (rc < 0 || options->next)
        return rc;
    if (has_key(store, IDENTITY_STORE_IN_USE, fault, &rc)) {
        (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES,
                       "%s is there already; --next makes a key beside it, which takes its place "
                       "once its certificate is installed",
                       device->key_file);
        return E_EXISTS;
    }
    return rc;
}

static int make_key(struct identity_store *store, char fault[IDENTITY_STORE_FAULT_BYTES])
{
    char key[IDENTITY_KEY_BYTES];
    if (!random_is_seeded())
        (void)fprintf(stderr, "runnel: the kernel has no random numbers yet, so early after it "
                              "started; waiting for them\n");
    int rc = identity_make_key(key);
    if (rc < 0)
        (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES, "no key can be made: %s", ERROR_TEXT(rc));
    else
        rc = identity_store_put_next(store, key, (size_t)rc, fault);
    hash_wipe(key, sizeof key);
    return rc;
}

static int create(const struct identity_device *device, const struct identity_options *options)
{
    const struct identity_store_options store_options = identity_device_store(device);
    char fault[IDENTITY_STORE_FAULT_BYTES];
    struct identity_store *store = NULL;
    int rc = identity_store_open(&store_options, fault, &store);
    if (rc == 0)
        rc = may_create(device, options, store, fault);
    if (rc == 0)
        rc = make_key(store, fault);
    identity_store_close(store);
    if (rc < 0) {
        (void)fprintf(stderr, "runnel: %s\n", fault);
        return CLI_FAILED;
    }
    (void)printf("%s made; runnel identity csr prints the request for its certificate\n",
                 device->next_key_file);
    return CLI_DONE;
}

/* ---- csr ---- */

static int find_subject(const struct identity_device *device,
                        const struct identity_options *options,
                        char ret_subject[IDENTITY_SUBJECT_BYTES])
{
    if (options->subject != NULL && identity_check_subject(options->subject) == 0) {
        (void)snprintf(ret_subject, IDENTITY_SUBJECT_BYTES, "%s", options->subject);
        return CLI_DONE;
    }
    if (options->subject != NULL) {
        cli_fault("--subject", options->subject, "is none; write it like CN=gw-17,O=Pumps");
        return CLI_USAGE;
    }
    if (device->name == NULL) {
        (void)fprintf(stderr, "runnel: the device has no name yet; say --subject CN=NAME\n");
        return CLI_FAILED;
    }
    int rc = identity_name_subject(device->name, ret_subject);
    if (rc == 0)
        return CLI_DONE;
    cli_fault("device", device->name,
              rc == E_TOO_BIG ? "is longer than the 64 characters that CN may have; say --subject"
                              : "cannot stand in a subject; say --subject");
    return CLI_FAILED;
}

/* The next key, else that in use, which gets another certificate. Who may not see whether there is
 * a next one is not told of another. */
static int read_key(const struct identity_device *device, char key[IDENTITY_KEY_BYTES],
                    const char **ret_path)
{
    *ret_path = device->next_key_file;
    int rc = fs_read_file(device->next_key_file, key, IDENTITY_KEY_BYTES);
    if (error_errno(rc) != ENOENT && error_errno(rc) != ENOTDIR)
        return rc;
    *ret_path = device->key_file;
    return fs_read_file(device->key_file, key, IDENTITY_KEY_BYTES);
}

static int print_request(const struct identity_device *device, const char *subject)
{
    char key[IDENTITY_KEY_BYTES];
    char request[IDENTITY_REQUEST_BYTES];
    const char *path;
    int rc = read_key(device, key, &path);
    if (rc >= 0)
        rc = identity_write_request(key, (size_t)rc, subject, request);
    hash_wipe(key, sizeof key);
    if (rc >= 0)
        return fputs(request, stdout) >= 0 ? CLI_DONE : CLI_FAILED;
    (void)fprintf(stderr, "runnel: %s: %s%s\n", path, ERROR_TEXT(rc),
                  error_errno(rc) == ENOENT   ? "; runnel identity create makes one"
                  : error_errno(rc) == EACCES ? "; ask as root, or as the user whose key it is"
                  : error_tls_code(rc) != 0   ? ": " IDENTITY_UNREADABLE
                                              : "");
    return CLI_FAILED;
}

static int csr(const struct identity_device *device, const struct identity_options *options)
{
    char subject[IDENTITY_SUBJECT_BYTES];
    int code = find_subject(device, options, subject);
    return code == CLI_DONE ? print_request(device, subject) : code;
}

/* ---- the command line ---- */

static const struct action {
    const char *name;
    int (*run)(const struct identity_device *device, const struct identity_options *options);
} actions[] = {
    {"create", create}, {"csr", csr}, {"install", identity_install}, {"show", identity_show}};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static bool are_possible(const struct action *action, const struct identity_options *options)
{
    if (action == NULL)
        return false;
    return (action->run == create || !(options->next || options->force)) &&
           !(options->next && options->force) && (action->run == csr || options->subject == NULL) &&
           (action->run == identity_install || (!options->untested && options->file == NULL)) &&
           (action->run == identity_show || !options->json);
}

static int read_option(int option, struct identity_options *options)
{
    switch (option) {
    case 'n':
        options->next = true;
        return 0;
    case 'f':
        options->force = true;
        return 0;
    case 's':
        options->subject = optarg;
        return 0;
    case 'u':
        options->untested = true;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case 'c':
        options->config = optarg;
        return 0;
    case 'd':
        options->state = optarg;
        return 0;
    default:
        return option == 'h' ? E_STOP : E_INVALID;
    }
}

static int read_options(int argc, char **argv, struct identity_options *options,
                        const struct action **ret_action)
{
    static const struct option table[] = {{"next", no_argument, NULL, 'n'},
                                          {"force", no_argument, NULL, 'f'},
                                          {"subject", required_argument, NULL, 's'},
                                          {"untested", no_argument, NULL, 'u'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"state", required_argument, NULL, 'd'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        int rc = read_option(option, options);
        if (rc < 0)
            return rc;
    }
    if (optind >= argc || argc - optind > 2)
        return E_INVALID;
    options->file = argv[optind + 1];
    *ret_action = find_action(argv[optind]);
    return are_possible(*ret_action, options) ? 0 : E_INVALID;
}

int cmd_identity(int argc, char **argv)
{
    struct identity_options options = {0};
    const struct action *action = NULL;
    struct identity_device device;
    int rc = read_options(argc, argv, &options, &action);
    if (rc < 0) {
        (void)fputs(usage, rc == E_STOP ? stdout : stderr);
        return rc == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    int code = identity_device_open(&options, &device);
    if (code != CLI_DONE)
        return code;
    rc = tls_prepare();
    code = rc < 0 ? CLI_FAILED : action->run(&device, &options);
    identity_device_close(&device);
    return code;
}
