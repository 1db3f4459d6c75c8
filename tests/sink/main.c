/* SPDX-License-Identifier: Apache-2.0 */
/* runnel-sink: an endpoint on loopback that speaks Kinesis and Firehose and fails on command. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/sink/server.h"

static const char usage[] =
    "usage: runnel-sink [OPTION VALUE | OPTION=VALUE | SWITCH]...\n"
    "An endpoint on loopback that speaks Kinesis and Firehose and fails on command.\n"
    "\n"
    "  --listen ADDRESS      numeric address to serve on (127.0.0.1)\n"
    "  --port N              its port (0: any free one)\n"
    "  --admin-port N        plain HTTP on 127.0.0.1 for commands (0: any free one)\n"
    "  --dir DIR             where ca.pem, server.pem and server.key are written (.)\n"
    "  --stream NAME         (telemetry)     --region NAME     (us-east-1)\n"
    "  --firehose-stream NAME the Firehose stream (telemetry-lake)\n"
    "  --access-key ID       (AKIDEXAMPLE)   --secret-key KEY  (that of AWS's examples)\n"
    "  --session-token TOKEN requests must carry it (none: they must not carry any)\n"
    "  --shards N            1 to 1000 (4)\n"
    "  --seed N              of the random faults (1)\n"
    "  --dump FILE           one line per stored record: shard, partition key, data\n"
    "  --firehose-dump FILE  what Firehose delivered: the data of its records, joined\n"
    "  --record DIR          every request, head and body, as DIR/NNNNNN.request\n"
    "  --id-member NAME      counts distinct values of this member of \"data\"\n"
    "switches:\n"
    "  --plain               HTTP without TLS\n"
    "  --no-signature        do not check signatures\n"
    "  --certificates-only   write the certificates and end\n"
    "  --die-with-parent     end when the process that started this one ends\n"
    "faults (rates from 0 to 1; also at run time by POST /faults):\n"
    "  --record-failure-rate --throttle-rate --error-rate --refuse-rate --refuse-code CODE\n"
    "  --reset-before-rate --reset-after-rate --cut-rate\n"
    "  --latency-ms --idle-ms --clock-offset-ms\n"
    "\n"
    "SIGUSR1 begins an outage, SIGUSR2 ends it. SIGTERM or POST /stop end the program, which\n"
    "prints its counts as JSON. Exit codes: 0 done, 1 failed, 2 usage.\n";

struct arguments {
    const char *listen;
    const char *port;
    const char *admin_port;
    const char *directory;
    const char *stream;
    const char *firehose_stream;
    const char *firehose_dump;
    const char *region;
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    const char *shards;
    const char *seed;
    const char *dump;
    const char *record;
    const char *id_member;
    int plain;
    int no_signature;
    int certificates_only;
    int die_with_parent;
    struct faults faults;
};

static void fail_usage(const char *what, const char *value)
{
    fprintf(stderr, "sink: %s %s\n%s", what, value, usage);
    exit(2);
}

static unsigned long long number(const char *name, const char *text, unsigned long long highest)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || errno != 0 || value > highest)
        fail_usage(name, text);
    return value;
}

static int take_switch(struct arguments *arguments, const char *name)
{
    const struct {
        const char *name;
        int *value;
    } switches[] = {
        {"plain", &arguments->plain},
        {"no-signature", &arguments->no_signature},
        {"certificates-only", &arguments->certificates_only},
        {"die-with-parent", &arguments->die_with_parent},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (strcmp(switches[i].name, name) == 0)
            return *switches[i].value = 1;
    }
    return 0;
}

static void take_option(struct arguments *arguments, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"listen", &arguments->listen},
        {"port", &arguments->port},
        {"admin-port", &arguments->admin_port},
        {"dir", &arguments->directory},
        {"stream", &arguments->stream},
        {"firehose-stream", &arguments->firehose_stream},
        {"firehose-dump", &arguments->firehose_dump},
        {"region", &arguments->region},
        {"access-key", &arguments->access_key},
        {"secret-key", &arguments->secret_key},
        {"session-token", &arguments->session_token},
        {"shards", &arguments->shards},
        {"seed", &arguments->seed},
        {"dump", &arguments->dump},
        {"record", &arguments->record},
        {"id-member", &arguments->id_member},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].name, name) == 0) {
            *options[i].value = value;
            return;
        }
    }
    if (faults_set(&arguments->faults, name, value) != 0)
        fail_usage("unknown or out of range:", name);
}

static void parse(struct arguments *arguments, int count, char **texts)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(texts[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (strncmp(texts[i], "--", 2) != 0)
            fail_usage("unexpected:", texts[i]);
        char *name = texts[i] + 2;
        char *equals = strchr(name, '=');
        if (equals != NULL)
            *equals = '\0';
        else if (take_switch(arguments, name))
            continue;
        else if (i + 1 == count)
            fail_usage("a value is missing for", texts[i]);
        take_option(arguments, name, equals != NULL ? equals + 1 : texts[++i]);
    }
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int ensure_directory(const char *path)
{
    if (path == NULL || mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    perror(path);
    return -1;
}

/* PATH NULL: none. */
static int open_dump(const char *path, FILE **ret_dump)
{
    *ret_dump = path == NULL ? NULL : fopen(path, "wb");
    if (path == NULL || *ret_dump != NULL)
        return 0;
    perror(path);
    return -1;
}

static int close_dump(const char *path, FILE *dump)
{
    if (dump == NULL || fclose(dump) == 0)
        return 0;
    perror(path);
    return -1;
}

static int open_sink(struct sink *sink, const struct arguments *arguments)
{
    FILE *dump;
    if (open_dump(arguments->dump, &dump) != 0 ||
        open_dump(arguments->firehose_dump, &sink->lake_dump) != 0)
        return -1;
    unsigned long long shards = number("--shards", arguments->shards, STREAM_SHARDS_MAX);
    if (shards == 0)
        fail_usage("--shards", arguments->shards);
    stream_init(&sink->stream, (unsigned)shards, arguments->id_member, dump);
    stream_init(&sink->lake, 1, arguments->id_member, NULL);

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->changed, &monotonic);
    sink->generator = number("--seed", arguments->seed, ~0ull);
    sink->faults = arguments->faults;
    sink->verify = !arguments->no_signature;
    sink->stream_name = arguments->stream;
    sink->lake_name = arguments->firehose_stream;
    sink->record_directory = arguments->record;
    const char *token = arguments->session_token;
    keys_init(&sink->keys);
    if (keys_set(&sink->keys, arguments->access_key, arguments->secret_key,
                 token == NULL ? "" : token) != 0) {
        fprintf(stderr, "sink: --access-key, --secret-key or --session-token is too long\n");
        return -1;
    }
    sink->policy = (struct signature_policy){
        .keys = &sink->keys,
        .region = arguments->region,
    };
    return 0;
}

static int run(struct sink *sink, const struct arguments *arguments)
{
    /* Reachable to the end: a connection that clings on may still use it. */
    static struct server *server;
    struct server_options options = {
        .sink = sink,
        .address = arguments->listen,
        .port = (unsigned short)number("--port", arguments->port, 65535),
        .admin_port = (unsigned short)number("--admin-port", arguments->admin_port, 65535),
    };
    server = server_open(&options);
    if (server == NULL)
        return 1;
    printf("sink: listening on %s://localhost:%u admin http://127.0.0.1:%u ca %s/ca.pem\n",
           arguments->plain ? "http" : "https", (unsigned)server_port(server),
           (unsigned)server_admin_port(server), arguments->directory);
    fflush(stdout);
    server_run(server);

    struct buffer text = {0};
    sink_summary(sink, &text);
    puts(text.bytes);
    buffer_free(&text);
    if (close_dump(arguments->dump, sink->stream.dump) != 0 ||
        close_dump(arguments->firehose_dump, sink->lake_dump) != 0)
        return 1;
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct certificate certificate;
    static struct sink sink;
    struct arguments arguments = {
        .listen = "127.0.0.1",
        .port = "0",
        .admin_port = "0",
        .directory = ".",
        .stream = "telemetry",
        .firehose_stream = "telemetry-lake",
        .region = "us-east-1",
        .access_key = "AKIDEXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .shards = "4",
        .seed = "1",
    };
    faults_default(&arguments.faults);
    parse(&arguments, argc, argv);
    block_signals();
    if (arguments.die_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (ensure_directory(arguments.directory) != 0 || ensure_directory(arguments.record) != 0)
        return 1;
    if (!arguments.plain && certificate_make(&certificate, arguments.directory) != 0)
        return 1;
    if (arguments.certificates_only)
        return 0;
    sink.channels = channel_server_new(arguments.plain ? NULL : &certificate);
    if (sink.channels == NULL || open_sink(&sink, &arguments) != 0)
        return 1;
    return run(&sink, &arguments);
}
