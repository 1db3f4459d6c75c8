/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/cli/identity_device.h"
#include "agent/control/human.h"
#include "agent/control/identity_store.h"
#include "platform/base/error.h"
#include "platform/base/pem.h"
#include "platform/certificate.h"
#include "platform/hash.h"
#include "platform/identity.h"
#include "platform/tls.h"

enum {
    SKEW_MS = 5 * 60 * 1000, /* a clock may be behind that of who signed just now */
    FAULT_BYTES = IDENTITY_STORE_FAULT_BYTES,
};

_Static_assert((int)FAULT_BYTES >= (int)AGENT_IDENTITY_FAULT_BYTES, "what the trial says fits");

/* What is being installed; on the heap, for a chain is large. */
struct install {
    const struct identity_device *device;
    const struct identity_options *options;
    struct identity_store *store;
    struct certificate certificate;
    char fault[FAULT_BYTES];
    char given[CERTIFICATE_FILE_BYTES_MAX];
    char cert[CERTIFICATE_FILE_BYTES_MAX];
    size_t cert_count;
    char key[IDENTITY_KEY_BYTES];
    size_t key_count;
    bool is_next; /* the key is the next one */
};

static int fail(struct install *install, int code, const char *what)
{
    (void)snprintf(install->fault, FAULT_BYTES, "%s", what);
    return code;
}

/* ---- reading ---- */

static int read_input(struct install *install)
{
    size_t used = 0;
    if (isatty(STDIN_FILENO))
        (void)fprintf(stderr, "Paste the certificate, then Ctrl-D at the beginning of a line.\n");
    while (used < sizeof install->given) {
        ssize_t got = read(STDIN_FILENO, install->given + used, sizeof install->given - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_sys(errno);
        if (got == 0)
            return (int)used;
        used += (size_t)got;
    }
    return E_TOO_BIG;
}

static int read_given(struct install *install)
{
    const char *file = install->options->file;
    bool piped = file == NULL || strcmp(file, "-") == 0;
    int rc =
        piped ? read_input(install) : fs_read_file(file, install->given, sizeof install->given);
    if (rc < 0)
        (void)snprintf(install->fault, FAULT_BYTES, "%s: %s", piped ? "standard input" : file,
                       rc == E_TOO_BIG ? "is too large for a certificate with its chain"
                                       : ERROR_TEXT(rc));
    return rc;
}

static int clean(struct install *install, size_t count)
{
    char why[PEM_WHY_BYTES];
    struct writer out;
    writer_to_memory(&out, install->cert, sizeof install->cert - 1);
    int blocks = pem_clean_certificates(install->given, count, &out, why);
    if (blocks < 0)
        return fail(install, blocks, why);
    int rc = writer_finish(&out);
    if (rc < 0)
        return fail(install, rc, "it is too large for a certificate with its chain");
    install->cert_count = out.used_bytes;
    rc = certificate_read(install->cert, install->cert_count, &install->certificate);
    if (rc == 0 && install->certificate.count != (size_t)blocks)
        rc = E_SYNTAX;
    return rc < 0 ? fail(install, rc, "this is no certificate; was it copied whole?") : 0;
}

/* ---- judging ---- */

static int check_dates(struct install *install)
{
    const struct certificate *certificate = &install->certificate;
    char now[HUMAN_DATE_BYTES], at[HUMAN_DATE_BYTES];
    bool known;
    int64_t now_ms = tls_system_wall_ms(NULL, &known);
    bool over = certificate->not_after_ms <= now_ms;
    (void)human_date(now_ms, now);
    if (certificate->not_after_ms <= certificate->not_before_ms)
        return fail(install, E_RANGE, "the certificate ends before it begins to be valid");
    if (!known)
        (void)fprintf(stderr,
                      "runnel: the clock of this machine is not set (%.10s): the dates of the "
                      "certificate are not checked\n",
                      now);
    if (!known || (!over && certificate->not_before_ms <= now_ms + SKEW_MS))
        return 0;
    (void)human_date(over ? certificate->not_after_ms : certificate->not_before_ms, at);
    (void)snprintf(install->fault, FAULT_BYTES,
                   over ? "the certificate was valid until %.19sZ, and it is %.19sZ now; have one "
                          "signed anew"
                        : "the certificate is valid from %.19sZ on, and it is %.19sZ now; is the "
                          "clock right?",
                   at, now);
    return E_RANGE;
}

/* 0: WHICH is the certificate's key, and in install. E_NOT_FOUND: it is not, or there is none. */
static int try_key(struct install *install, enum identity_store_key which)
{
    int rc = identity_store_read_key(install->store, which, install->key, install->fault);
    if (rc < 0)
        return rc;
    install->key_count = (size_t)rc;
    install->is_next = which == IDENTITY_STORE_NEXT;
    return identity_check_pair(install->cert, install->cert_count, install->key,
                               install->key_count);
}

static int find_key(struct install *install)
{
    int next_rc = try_key(install, IDENTITY_STORE_NEXT);
    int rc = next_rc == 0 ? 0 : try_key(install, IDENTITY_STORE_IN_USE);
    if (rc == 0)
        return 0;
    (void)snprintf(install->fault, FAULT_BYTES,
                   "the certificate (%.100s) belongs to no key of this device%s; have that signed "
                   "which runnel identity csr prints here",
                   install->certificate.subject,
                   install->certificate.count > 1 ? ", or it is not the first in its chain" : "");
    return next_rc != E_NOT_FOUND ? next_rc : rc;
}

static bool is_installed(const struct install *install)
{
    struct certificate now;
    return !install->is_next && certificate_read_file(install->device->cert_file, &now) == 0 &&
           now.count == install->certificate.count &&
           strcmp(now.fingerprint, install->certificate.fingerprint) == 0;
}

static int judge(struct install *install)
{
    int rc = read_given(install);
    if (rc >= 0)
        rc = clean(install, (size_t)rc);
    if (rc < 0)
        return rc;
    if (!install->certificate.p256)
        return fail(install, E_UNSUPPORTED,
                    "the certificate's key is not of the kind that runnel makes (P-256); have that "
                    "signed which runnel identity csr prints here");
    rc = find_key(install);
    return rc < 0 ? rc : check_dates(install);
}

/* ---- trying ---- */

static int try_pair(struct install *install, const char *cert_file, const char *key_file)
{
    const struct identity_device *device = install->device;
    const struct agent_identity identity = {.config = device->config,
                                            .credentials = device->credentials,
                                            .route = device->route,
                                            .cert_file = cert_file,
                                            .key_file = key_file};
    char fault[AGENT_IDENTITY_FAULT_BYTES];
    if (install->options->untested || !agent_identity_can_try(&identity)) {
        (void)fprintf(stderr, "runnel: warning: the certificate was not tried%s\n",
                      install->options->untested
                          ? ""
                          : ": nobody who would take it is in the configuration yet");
        return 0;
    }
    int rc = agent_identity_try(&identity, fault);
    if (rc < 0)
        (void)snprintf(install->fault, FAULT_BYTES,
                       "nothing was installed, what was in use stays so. The trial failed: %s. "
                       "Where nobody can be reached, --untested does without",
                       fault);
    return rc;
}

static int put_into_use(struct install *install)
{
    const struct identity_store_pair pair = {.cert_pem = install->cert,
                                             .cert_count = install->cert_count,
                                             .key_pem = install->key,
                                             .key_count = install->key_count};
    char cert_file[FS_PATH_BYTES], key_file[FS_PATH_BYTES];
    int rc = identity_store_stage(install->store, &pair, install->fault, cert_file, key_file);
    if (rc == 0)
        rc = try_pair(install, cert_file, key_file);
    return rc < 0 ? rc : identity_store_switch(install->store, install->is_next, install->fault);
}

static int run(struct install *install)
{
    const struct identity_device *device = install->device;
    const struct identity_store_options options = identity_device_store(device);
    char until[HUMAN_DATE_BYTES];
    int rc = identity_store_open(&options, install->fault, &install->store);
    if (rc == 0)
        rc = judge(install);
    bool installed = rc == 0 && is_installed(install);
    if (rc == 0 && !installed)
        rc = put_into_use(install);
    identity_store_close(install->store);
    if (rc < 0)
        return rc;
    (void)printf("%s %s: %s, until %.10s\n", device->cert_file,
                 installed ? "is this certificate already" : "installed",
                 install->certificate.subject,
                 human_date(install->certificate.not_after_ms, until));
    return 0;
}

int identity_install(const struct identity_device *device, const struct identity_options *options)
{
    struct install *install = calloc(1, sizeof *install);
    if (install == NULL) {
        (void)fprintf(stderr, "runnel: %s\n", ERROR_TEXT(E_NO_MEMORY));
        return CLI_FAILED;
    }
    install->device = device;
    install->options = options;
    int rc = run(install);
    if (rc < 0)
        (void)fprintf(stderr, "runnel: %s\n", install->fault);
    hash_wipe(install, sizeof *install);
    free(install);
    return rc < 0 ? CLI_FAILED : CLI_DONE;
}
