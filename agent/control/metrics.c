/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there is ---- */

enum scope {
    OF_AGENT,
    OF_LANE,
    OF_ROUTE,
    OF_ROUTE_LANE,
    OF_SENSOR,
    OF_VALUE,
    OF_COAP_CODE,
    OF_COAP_SENSOR,
};

enum kind {
    KIND_NUMBER,
    KIND_MILLI,   /* of the unit that the name says, a thousandth */
    KIND_DAYS,    /* which become seconds */
    KIND_BOOLEAN, /* 1 or 0 */
    KIND_WORD,    /* a label of the member's name; the value is 1 */
    KIND_COUNT,   /* how many elements the list has */
};

struct metric {
    const char *name;
    enum scope scope;
    const char *path; /* below what the scope names */
    enum kind kind;
    const char *help; /* a counter's name ends in _total */
};

/* What can go down is no counter: records leave the spool, letters are sent again. */
static const struct metric metrics[] = {
    {"healthy", OF_AGENT, "healthy", KIND_BOOLEAN, "1 unless data is due and none is delivered"},
    {"durable", OF_AGENT, "durable", KIND_BOOLEAN, "1 if the spool survives a power cut"},
    {"uptime_seconds", OF_AGENT, "uptime_s", KIND_NUMBER, "Since the agent started"},
    {"warnings", OF_AGENT, "warnings", KIND_COUNT, "What an operator should see to"},
    {"config_state", OF_AGENT, "config/state", KIND_WORD, "Whether the configuration is on trial"},
    {"config_trial_left_seconds", OF_AGENT, "config/left_s", KIND_NUMBER,
     "Until the configuration on trial is taken back unless it delivers"},
    {"clock_quality", OF_AGENT, "clock/quality", KIND_WORD, "What is known of the time now"},
    {"clock_offset_seconds", OF_AGENT, "clock/offset_ms", KIND_MILLI,
     "Wall clock less the clock of this boot"},
    {"certificate_valid_seconds", OF_AGENT, "certificate/days", KIND_DAYS,
     "Until the device's certificate expires, in whole days; negative: since"},

    {"lane_pending_records", OF_LANE, "pending", KIND_NUMBER, "On their way in RAM alone"},
    {"lane_refused_records_total", OF_LANE, "refused", KIND_NUMBER, "Never taken: no room"},
    {"lane_stored_records", OF_LANE, "stored", KIND_NUMBER, "In the spool's file"},
    {"lane_stored_bytes", OF_LANE, "stored_bytes", KIND_NUMBER, "In the spool's file"},
    {"lane_oldest_age_seconds", OF_LANE, "oldest_age_s", KIND_NUMBER,
     "Of the oldest record that is stored or pending"},

    {"route_accepted_records_total", OF_ROUTE_LANE, "accepted", KIND_NUMBER,
     "Ever: delivered + stored + dead + evicted"},
    {"route_delivered_records_total", OF_ROUTE_LANE, "delivered", KIND_NUMBER,
     "That the destination has"},
    {"route_stored_records", OF_ROUTE_LANE, "stored", KIND_NUMBER,
     "That the destination is still owed"},
    {"route_dead_records", OF_ROUTE_LANE, "dead", KIND_NUMBER, "Refused for good"},
    {"route_evicted_records_total", OF_ROUTE_LANE, "evicted", KIND_NUMBER,
     "Lost to a full spool, as its policy is"},

    {"route_state", OF_ROUTE, "state", KIND_WORD, "What the route is doing"},
    {"route_hold", OF_ROUTE, "hold", KIND_BOOLEAN, "1 if records are kept until it has them"},
    {"route_requests_total", OF_ROUTE, "requests", KIND_NUMBER, "Since the agent started"},
    {"route_retried_records_total", OF_ROUTE, "retried", KIND_NUMBER, "Records sent again"},
    {"route_throttled_requests_total", OF_ROUTE, "throttled", KIND_NUMBER,
     "Replies that asked to slow down"},
    {"route_sent_bytes_total", OF_ROUTE, "bytes_out", KIND_NUMBER, "On the wire, with TLS"},
    {"route_received_bytes_total", OF_ROUTE, "bytes_in", KIND_NUMBER, "On the wire, with TLS"},
    {"route_handshakes_total", OF_ROUTE, "handshakes", KIND_NUMBER, "Of TLS"},
    {"route_resumed_handshakes_total", OF_ROUTE, "resumed", KIND_NUMBER, "Those that were short"},
    {"route_credentials_failures_total", OF_ROUTE, "credentials_failures", KIND_NUMBER,
     "Tries that there were no keys for"},
    {"route_dns_failures_total", OF_ROUTE, "dns_failures", KIND_NUMBER,
     "How often no name server gave an address"},
    {"route_delivered_age_seconds", OF_ROUTE, "delivered_age_s", KIND_NUMBER,
     "Since a record was delivered"},

    {"sensor_samples_total", OF_SENSOR, "samples", KIND_NUMBER, "Taken since the agent started"},
    {"sensor_errors_total", OF_SENSOR, "errors", KIND_NUMBER, "Readings that failed"},
    {"sensor_missed_total", OF_SENSOR, "missed", KIND_NUMBER,
     "Slots of the schedule that passed unused"},
    {"sensor_suppressed_samples_total", OF_SENSOR, "suppressed", KIND_NUMBER,
     "That transforms made no record of"},
    {"sensor_unfit_values_total", OF_SENSOR, "unfit", KIND_NUMBER,
     "Absent, because they left the range of numbers in a transform"},
    {"sensor_age_seconds", OF_SENSOR, "age_s", KIND_NUMBER, "Since the last sample"},
    {"sensor_value", OF_VALUE, "", KIND_NUMBER, "Of the last sample, in the channel's unit"},

#ifdef CONFIG_COAP
    {"coap_messages_total", OF_AGENT, "coap/messages", KIND_NUMBER,
     "That peers sent, repeats left out"},
    {"coap_accepted_messages_total", OF_AGENT, "coap/accepted", KIND_NUMBER,
     "Whose records are, or will be, durable"},
    {"coap_repeated_messages_total", OF_AGENT, "coap/repeated", KIND_NUMBER,
     "That were answered from memory"},
    {"coap_throttled_total", OF_AGENT, "coap/throttled", KIND_NUMBER,
     "Messages that were too many"},
    {"coap_failed_handshakes_total", OF_AGENT, "coap/handshakes_failed", KIND_NUMBER,
     "Of DTLS: an unknown identity, a wrong key"},
    {"coap_answers_total", OF_COAP_CODE, "", KIND_NUMBER, "By their code"},
    {"coap_sessions", OF_AGENT, "coap/sessions", KIND_NUMBER, "Peers that are known now"},
    {"coap_waiting", OF_AGENT, "coap/waiting", KIND_NUMBER, "Messages that wait for flash now"},
    {"coap_transfers", OF_AGENT, "coap/transfers", KIND_NUMBER,
     "Messages in blocks that are under way now"},
    {"coap_identities", OF_AGENT, "coap/identities", KIND_NUMBER, "That have a key"},
    {"coap_sensor_messages_total", OF_COAP_SENSOR, "messages", KIND_NUMBER, "That were accepted"},
    {"coap_sensor_records_total", OF_COAP_SENSOR, "records", KIND_NUMBER, "Made of these"},
    {"coap_sensor_refused_total", OF_COAP_SENSOR, "refused", KIND_NUMBER,
     "Messages that there was no room for"},
    {"coap_sensor_faults_total", OF_COAP_SENSOR, "faults", KIND_NUMBER, "Messages that were bad"},
    {"coap_sensor_age_seconds", OF_COAP_SENSOR, "age_s", KIND_NUMBER,
     "Since a message was accepted"},
#endif

    {"dead_letters", OF_AGENT, "dead/letters", KIND_NUMBER, "Kept, of all routes"},
    {"dead_bytes", OF_AGENT, "dead/bytes", KIND_NUMBER, "Of the letters that are kept"},
    {"link_month_bytes", OF_AGENT, "link/month_bytes", KIND_NUMBER,
     "Both ways, since the month of the data budget began"},
    {"link_month_limit_bytes", OF_AGENT, "link/month_limit", KIND_NUMBER, "The data budget"},
    {"link_paused", OF_AGENT, "link/paused", KIND_BOOLEAN, "1 if the data budget is spent"},
    {"flash_commits_total", OF_AGENT, "flash/commits", KIND_NUMBER, "Since the agent started"},
    {"flash_written_bytes_total", OF_AGENT, "flash/bytes", KIND_NUMBER, "Since the agent started"},
    {"flash_today_bytes", OF_AGENT, "flash/today_bytes", KIND_NUMBER,
     "Of these, since midnight in UTC"},
    {"spool_size_bytes", OF_AGENT, "flash/size_bytes", KIND_NUMBER, "Of the spool's file"},
    {"spool_used_bytes", OF_AGENT, "flash/used_bytes", KIND_NUMBER, "Of the spool's file"},
    {"spool_set_aside_files", OF_AGENT, "set_aside", KIND_NUMBER, "Damaged, or of other versions"},
    {"memory_resident_bytes", OF_AGENT, "memory/rss", KIND_NUMBER, "Of the agent"},
    {"memory_private_bytes", OF_AGENT, "memory/private", KIND_NUMBER,
     "Of these what nobody shares and the kernel cannot drop"},
};

/* ---- writing ---- */

struct page {
    const struct status_read *status;
    FILE *to;
    const struct metric *metric;
    bool begun; /* its HELP and TYPE are there */
};

static bool is_counter(const char *name)
{
    size_t count = strlen(name);
    return count > 6 && strcmp(name + count - 6, "_total") == 0;
}

static void begin(struct page *page)
{
    const char *name = page->metric->name;
    if (!page->begun)
        (void)fprintf(page->to, "# HELP runnel_%s %s.\n# TYPE runnel_%s %s\n", name,
                      page->metric->help, name, is_counter(name) ? "counter" : "gauge");
    page->begun = true;
}

static void write_label(struct page *page, bool first, const char *name, const char *value)
{
    (void)fprintf(page->to, "%s%s=\"", first ? "{" : ",", name);
    for (const char *c = value; *c != '\0'; c++)
        if (*c == '\n')
            (void)fputs("\\n", page->to);
        else
            (void)fprintf(page->to, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    (void)fputc('"', page->to);
}

/* Labels come as pairs of name and value, up to a NULL. */
static void write_sample(struct page *page, const char *const labels[], const char *value)
{
    begin(page);
    (void)fprintf(page->to, "runnel_%s", page->metric->name);
    for (size_t i = 0; labels[i] != NULL; i += 2)
        write_label(page, i == 0, labels[i], labels[i + 1]);
    (void)fprintf(page->to, "%s %s\n", labels[0] != NULL ? "}" : "", value);
}

/* As JSON spells numbers; what a sensor says in words is none. */
static bool is_number(const char *text)
{
    char *end;
    (void)strtod(text, &end);
    return *text != '\0' && *end == '\0' && text[strspn(text, "0123456789+-.eE")] == '\0';
}

static void write_milli(struct page *page, const char *const labels[], const char *text)
{
    char value[32];
    int64_t milli = strtoll(text, NULL, 10);
    (void)snprintf(value, sizeof value, "%s%" PRId64 ".%03" PRId64, milli < 0 ? "-" : "",
                   milli / 1000 * (milli < 0 ? -1 : 1), milli % 1000 * (milli < 0 ? -1 : 1));
    write_sample(page, labels, value);
}

static void write_days(struct page *page, const char *const labels[], const char *text)
{
    char value[32];
    int64_t days = strtoll(text, NULL, 10);
    (void)snprintf(value, sizeof value, "%" PRId64, days * 86400);
    write_sample(page, labels, value);
}

/* What stands at BASE and the metric's path behind it. */
static void write_one(struct page *page, const char *base, const char *const labels[])
{
    enum { LABELS_MAX = 4 };
    const struct metric *metric = page->metric;
    const char *text = status_read_text(page->status, NULL, "%s%s", base, metric->path);
    const char *word = strrchr(metric->path, '/');
    if (text == NULL)
        return;
    if (metric->kind == KIND_NUMBER && is_number(text))
        write_sample(page, labels, text);
    else if (metric->kind == KIND_MILLI && is_number(text))
        write_milli(page, labels, text);
    else if (metric->kind == KIND_DAYS && is_number(text))
        write_days(page, labels, text);
    else if (metric->kind == KIND_BOOLEAN)
        write_sample(page, labels, strcmp(text, "true") == 0 ? "1" : "0");
    if (metric->kind != KIND_WORD)
        return;
    const char *more[LABELS_MAX + 3] = {NULL};
    size_t count = 0;
    for (; count < LABELS_MAX && labels[count] != NULL; count++)
        more[count] = labels[count];
    more[count] = word != NULL ? word + 1 : metric->path;
    more[count + 1] = text;
    write_sample(page, more, "1");
}

static void write_count(struct page *page)
{
    static const char *const none[] = {NULL};
    char value[24];
    size_t count = 0;
    while (status_read_element(page->status, count, "%s", page->metric->path) != NULL)
        count++;
    (void)snprintf(value, sizeof value, "%zu", count);
    write_sample(page, none, value);
}

/* ---- of everything that the status has of a scope ---- */

enum { BASE_BYTES = 256 };

static void write_of_each(struct page *page, const char *list, const char *label)
{
    const char *name;
    char base[BASE_BYTES];
    for (size_t i = 0; (name = status_read_member(page->status, i, "%s", list)) != NULL; i++) {
        const char *const labels[] = {label, name, NULL};
        bool leaf = page->metric->path[0] == '\0';
        (void)snprintf(base, sizeof base, "%s/%s%s", list, name, leaf ? "" : "/");
        write_one(page, base, labels);
    }
}

/* Each member of the list NAMES[0], which is labelled NAMES[1], has a list INNER with members that
 * are labelled LABEL. */
static void write_of_inner(struct page *page, const char *const names[2], const char *inner,
                           const char *label)
{
    const char *name;
    const char *part;
    char base[BASE_BYTES];
    for (size_t i = 0; (name = status_read_member(page->status, i, "%s", names[0])) != NULL; i++)
        for (size_t j = 0; (part = status_read_member(page->status, j, "%s/%s/%s", names[0], name,
                                                      inner)) != NULL;
             j++) {
            const char *const labels[] = {names[1], name, label, part, NULL};
            bool leaf = page->metric->path[0] == '\0';
            (void)snprintf(base, sizeof base, "%s/%s/%s/%s%s", names[0], name, inner, part,
                           leaf ? "" : "/");
            write_one(page, base, labels);
        }
}

static void write_metric(struct page *page)
{
    static const char *const none[] = {NULL};
    static const char *const routes[] = {"routes", "route"};
    static const char *const sensors[] = {"sensors", "sensor"};
    switch (page->metric->scope) {
    case OF_AGENT:
        if (page->metric->kind == KIND_COUNT)
            write_count(page);
        else
            write_one(page, "", none);
        break;
    case OF_LANE:
        write_of_each(page, "lanes", "lane");
        break;
    case OF_ROUTE:
        write_of_each(page, "routes", "route");
        break;
    case OF_SENSOR:
        write_of_each(page, "sensors", "sensor");
        break;
    case OF_ROUTE_LANE:
        write_of_inner(page, routes, "lanes", "lane");
        break;
    case OF_COAP_CODE:
        write_of_each(page, "coap/answers", "code");
        break;
    case OF_COAP_SENSOR:
        write_of_each(page, "coap/sensors", "sensor");
        break;
    case OF_VALUE:
        write_of_inner(page, sensors, "values", "channel");
        break;
    }
}

/* Who it is, and with what: to join with. */
static void write_info(struct page *page)
{
    static const struct metric info = {"info", OF_AGENT, "", KIND_NUMBER, "Always 1"};
    static const char *const names[] = {"device", "spool", "version", "config_id"};
    const char *labels[2 * sizeof names / sizeof *names + 1] = {NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        labels[2 * i] = names[i];
        labels[2 * i + 1] = status_read_text(page->status, "", "%s", names[i]);
    }
    page->metric = &info;
    write_sample(page, labels, "1");
}

void metrics_write(const struct status_read *status, FILE *to)
{
    struct page page = {.status = status, .to = to};
    write_info(&page);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        page.metric = &metrics[i];
        page.begun = false;
        write_metric(&page);
    }
}
