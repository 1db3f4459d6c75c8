/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/control/config.h"
#include "agent/control/ground.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "platform/tls.h"

#ifdef CONFIG_CHECK_ESTIMATE
#define HAS_ESTIMATE      true
#define ESTIMATE_ARGUMENT " [--estimate]"
#define ESTIMATE_USAGE                                                                             \
    "  --estimate   what it costs in a month as well: requests, link, bill and flash\n"
#else
#define HAS_ESTIMATE      false
#define ESTIMATE_ARGUMENT ""
#define ESTIMATE_USAGE    ""
#endif

static const char usage[] =
    "usage: runnel check [-c FILE]" ESTIMATE_ARGUMENT "\n\n"
    "Validates the configuration and says what would run. Faults go to stderr, one a line, as\n"
    "FILE:LINE:COL: KEY: what is wrong; remedy. The exit code is then 78, or 1 where all that is\n"
    "missing may come by itself: a file, a network interface.\n\n"
    "  -c FILE      instead of $RUNNEL_CONFIG, else /etc/runnel/runnel.json\n" ESTIMATE_USAGE;

/* ---- what may come later ---- */

/* About the value at ADDRESS, as a fault is said, but no fault: it may come by itself. */
static void warn(const struct config *config, const void *address, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void warn(const struct config *config, const void *address, const char *format, ...)
{
    const struct config_place *place = config_place(config, address);
    va_list arguments;
    if (place != NULL && place->key != NULL)
        (void)fprintf(stderr, "%s:%u: warning: %s: ", place->where, place->column, place->key);
    else
        (void)fprintf(stderr, "warning: %s: ", place != NULL ? place->where : "default");
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

/* PATH, a member of CONFIG, may be NULL: not wanted. */
static void check_file(const struct config *config, const char *const *path)
{
    char byte;
    int rc = *path == NULL ? 0 : fs_read_file(*path, &byte, sizeof byte);
    if (rc < 0 && rc != E_TOO_BIG)
        warn(config, path, "%s: %s; it does not work until that can be read", *path,
             ERROR_TEXT(rc));
}

/* Likewise one that holds a secret, which others had better not read, and cannot be allowed to
 * write: the agent does not take it then. */
static void check_secret(const struct config *config, const char *const *path)
{
    struct stat status;
    check_file(config, path);
    if (*path == NULL || stat(*path, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        warn(config, path,
             "%s may be written by others than its owner, so it is not taken; "
             "chmod go-w it",
             *path);
    else if ((status.st_mode & S_IROTH) != 0)
        warn(config, path, "%s may be read by everybody; chmod o-r it", *path);
}

/* A key beside another's certificate would come to light at the first handshake; one that is still
 * to come was warned of. */
static void check_pair(const struct config *config, const char *const *cert_file,
                       const char *const *key_file)
{
    const struct tls_options options = {.cert_file = *cert_file, .key_file = *key_file};
    struct tls *tls = NULL;
    char where[TLS_WHERE_BYTES];
    if (*cert_file == NULL || *key_file == NULL || access(*cert_file, R_OK) < 0 ||
        access(*key_file, R_OK) < 0)
        return;
    int rc = tls_open(&options, where, &tls);
    if (rc < 0)
        warn(config, key_file, "%s and cert_file %s do not go together: %s; replace one of them",
             *key_file, *cert_file, where[0] != '\0' ? where : ERROR_TEXT(rc));
    tls_close(tls);
}

static void check_route_files(const struct config *config, const struct cfg_route *route)
{
    const char *const *const secrets[] = {
        &route->key_file,       &route->api.api_key_file,      &route->api.client_secret_file,
        &route->api.token_file, &route->api.header_value_file,
    };
    check_file(config, &route->ca_file);
    check_file(config, &route->cert_file);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        check_secret(config, secrets[i]);
    check_pair(config, &route->cert_file, &route->key_file);
}

static void check_credentials_files(const struct config *config,
                                    const struct cfg_credentials *credentials)
{
    check_file(config, &credentials->ca_file);
    check_file(config, &credentials->cert_file);
    check_secret(config, &credentials->key_file);
    check_secret(config, &credentials->token_file);
    check_pair(config, &credentials->cert_file, &credentials->key_file);
}

static void check_sensor_files(const struct config *config, const struct cfg_sensor *sensor)
{
    for (size_t i = 0; i < sensor->transform_count; i++)
        check_secret(config, &sensor->transforms[i].key_file);
}

#ifdef CONFIG_COAP
static void check_coap_files(const struct config *config)
{
    check_secret(config, &config->coap.psk_file);
    for (size_t i = 0; i < config->coap.sensor_count; i++)
        check_sensor_files(config, &config->coap.sensors[i].sensor);
}
#endif

static void check_files(const struct config *config)
{
    check_file(config, &config->source.ca_file);
#ifdef CONFIG_COAP
    check_coap_files(config);
#endif
    for (size_t i = 0; i < config->sensor_count; i++)
        check_sensor_files(config, &config->sensors[i]);
    for (size_t i = 0; i < config->route_count; i++)
        check_route_files(config, &config->routes[i]);
    for (size_t i = 0; i < config->credentials_count; i++)
        check_credentials_files(config, &config->credentials[i]);
}

/* Without its mount the state directory cannot be judged; that may come later as well. */
static int check_ground(const struct config *config)
{
    char fault[GROUND_FAULT_BYTES];
    int rc = ground_check(&config->spool, fault);
    const void *address = rc == E_CONFIG ? &config->spool.path : (const void *)&config->spool.mount;
    const struct config_place *place = config_place(config, address);
    if (rc == E_OK)
        return CLI_DONE;
    if (place != NULL && place->key != NULL)
        (void)fprintf(stderr, "%s:%u: ", place->where, place->column);
    else
        (void)fprintf(stderr, "%s: ", place != NULL ? place->where : "default");
    (void)fprintf(stderr, "%s%s\n", rc == E_CONFIG ? "" : "warning: ", fault);
    return rc == E_CONFIG ? CLI_CONFIG : CLI_DONE;
}

static int estimate(const struct config *config)
{
    int rc = agent_estimate(config, stdout);
    if (rc == E_OK)
        return CLI_DONE;
    (void)fprintf(stderr, "runnel: what it costs cannot be told: %s\n",
                  rc == E_AGAIN ? "records are so many, or so large, that RAM does not hold them "
                                  "until they are due; lower age or batch"
                                : ERROR_TEXT(rc));
    return CLI_FAILED;
}

static int check(const char *path, bool estimates)
{
    /* Who names a file wants to know of that, whatever was applied in its place. */
    const struct config_options options = {.path = path,
                                           .faults = stderr,
                                           .layer = path != NULL ? CFG_LAYER_MAIN : CFG_LAYER_RUN,
                                           .places = true};
    struct config *config = NULL;
    int rc = config_load(&options, &config);
    if (rc == E_CONFIG)
        return CLI_CONFIG;
    if (rc == E_AGAIN)
        return CLI_FAILED;
    if (rc < 0) {
        (void)fprintf(stderr, "runnel: the configuration cannot be read: %s\n", ERROR_TEXT(rc));
        return CLI_FAILED;
    }
    check_files(config);
    int code = check_ground(config);
    if (code == CLI_DONE)
        config_print(config, stdout);
    if (HAS_ESTIMATE && code == CLI_DONE && estimates)
        code = estimate(config);
    config_free(config);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}

int cmd_check(int argc, char **argv)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"estimate", no_argument, NULL, 'e'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *path = NULL;
    bool estimates = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return CLI_DONE;
        }
        if (option == '?') {
            (void)fputs(usage, stderr);
            return CLI_USAGE;
        }
        if (option == 'c')
            path = optarg;
        else
            estimates = true;
    }
    if (estimates && !HAS_ESTIMATE)
        return cli_left_out("--estimate", "CONFIG_CHECK_ESTIMATE");
    if (optind == argc)
        return check(path, estimates);
    (void)fputs(usage, stderr);
    return CLI_USAGE;
}
