/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
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

struct file {
    const char *key;
    const char *path; /* NULL: not wanted */
};

/* They may come later, so they are no faults; but what needs them does not work without. */
static void warn_of_files(const char *what, const char *name, const struct file *files,
                          size_t count)
{
    char byte;
    for (size_t i = 0; i < count; i++) {
        int rc = files[i].path == NULL ? 0 : fs_read_file(files[i].path, &byte, sizeof byte);
        if (rc < 0 && rc != E_TOO_BIG)
            (void)fprintf(stderr,
                          "warning: %s %s: %s: %s: %s; it does not work until it can be read\n",
                          what, name, files[i].key, files[i].path, ERROR_TEXT(rc));
    }
}

/* A key beside another's certificate would come to light at the first handshake; one that is still
 * to come was warned of. */
static void warn_of_pair(const char *what, const char *name, const char *cert_file,
                         const char *key_file)
{
    const struct tls_options options = {.cert_file = cert_file, .key_file = key_file};
    struct tls *tls = NULL;
    char where[TLS_WHERE_BYTES];
    if (cert_file == NULL || key_file == NULL || access(cert_file, R_OK) < 0 ||
        access(key_file, R_OK) < 0)
        return;
    int rc = tls_open(&options, where, &tls);
    if (rc < 0)
        (void)fprintf(stderr,
                      "warning: %s %s: cert_file %s and key_file %s do not go together: %s\n", what,
                      name, cert_file, key_file, where[0] != '\0' ? where : ERROR_TEXT(rc));
    tls_close(tls);
}

static void check_route_files(const struct cfg_route *route)
{
    const struct file files[] = {
        {"ca_file", route->ca_file},
        {"cert_file", route->cert_file},
        {"key_file", route->key_file},
        {"api_key_file", route->api.api_key_file},
        {"client_secret_file", route->api.client_secret_file},
        {"token_file", route->api.token_file},
        {"header_value_file", route->api.header_value_file},
    };
    warn_of_files("route", route->name, files, sizeof files / sizeof files[0]);
    warn_of_pair("route", route->name, route->cert_file, route->key_file);
}

static void check_credentials_files(const struct cfg_credentials *credentials)
{
    const struct file files[] = {{"ca_file", credentials->ca_file},
                                 {"cert_file", credentials->cert_file},
                                 {"key_file", credentials->key_file},
                                 {"token_file", credentials->token_file}};
    warn_of_files("credentials", credentials->name, files, sizeof files / sizeof files[0]);
    warn_of_pair("credentials", credentials->name, credentials->cert_file, credentials->key_file);
}

static void check_source_files(const struct cfg_source *source)
{
    const struct file files[] = {{"ca_file", source->ca_file}};
    warn_of_files("config", "source", files, sizeof files / sizeof files[0]);
}

static void check_sensor_files(const struct cfg_sensor *sensor)
{
    for (size_t i = 0; i < sensor->transform_count; i++) {
        const struct file files[] = {{"key_file", sensor->transforms[i].key_file}};
        warn_of_files("sensor", sensor->name, files, sizeof files / sizeof files[0]);
    }
}

#ifdef CONFIG_COAP
static void check_coap_files(const struct cfg_coap *coap)
{
    const struct file files[] = {{"psk_file", coap->psk_file}};
    warn_of_files("coap", "peers", files, sizeof files / sizeof files[0]);
    for (size_t i = 0; i < coap->sensor_count; i++)
        check_sensor_files(&coap->sensors[i].sensor);
}
#endif

static void check_files(const struct config *config)
{
    check_source_files(&config->source);
#ifdef CONFIG_COAP
    check_coap_files(&config->coap);
#endif
    for (size_t i = 0; i < config->sensor_count; i++)
        check_sensor_files(&config->sensors[i]);
    for (size_t i = 0; i < config->route_count; i++)
        check_route_files(&config->routes[i]);
    for (size_t i = 0; i < config->credentials_count; i++)
        check_credentials_files(&config->credentials[i]);
}

/* Without its mount the state directory cannot be judged; that may come later as well. */
static int check_ground(const struct config *config)
{
    char fault[GROUND_FAULT_BYTES];
    const char *file = config->file[0] == '\0' ? "runnel" : config->file;
    int rc = ground_check(&config->spool, fault);
    if (rc < 0)
        (void)fprintf(stderr, "%s: %s%s\n", file, rc == E_CONFIG ? "" : "warning: ", fault);
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
    const struct config_options options = {
        .path = path, .faults = stderr, .layer = path != NULL ? CFG_LAYER_MAIN : CFG_LAYER_RUN};
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
