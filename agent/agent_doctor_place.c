/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_doctor.h"
#include "agent/http/http_client.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/net.h"
#include "platform/net_links.h"
#include "platform/tls.h"

enum { REMEDY_BYTES = 400, RESOLV_BYTES = 2048, SOON_DAYS = 30 };

/* Whom the connection is made to, in words and as it is. */
struct hop {
    const char *host;
    unsigned port;
    bool is_proxy;
};

static struct hop hop_of(const struct doctor_place *place)
{
    const struct cfg_endpoint *endpoint = place->endpoint;
    bool near = net_is_loopback(endpoint->host) || net_is_metadata(endpoint->host);
    bool direct = endpoint->proxy.host == NULL || !endpoint->tls || near;
    return direct ? (struct hop){endpoint->host, endpoint->port, false}
                  : (struct hop){endpoint->proxy.host, endpoint->proxy.port, true};
}

/* Which key of the configuration has the hop's address. */
static const char *key_of(const struct doctor_place *place, const struct hop *hop)
{
    return hop->is_proxy ? "\"proxy\" (or HTTPS_PROXY)" : place->where;
}

/* ---- link ---- */

static const struct net_link *find_best(const struct net_link *links, size_t count)
{
    const struct net_link *best = NULL;
    unsigned most = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned points = links[i].up + 2U * links[i].carrier + 4U * links[i].has_address +
                          8U * (links[i].has_default && links[i].carrier);
        if (best == NULL || points > most) {
            best = &links[i];
            most = points;
        }
    }
    return best;
}

static void say_link(struct doctor_run *run, const struct net_link *link)
{
    char remedy[REMEDY_BYTES];
    if (!link->up) {
        (void)snprintf(remedy, sizeof remedy, "switch it on: ip link set %s up", link->name);
        agent_doctor_say(run, "link", DOCTOR_FAIL, remedy, "%s is switched off", link->name);
    } else if (!link->carrier)
        agent_doctor_say(run, "link", DOCTOR_FAIL,
                         "plug in the cable, and see that the lamps of both sockets are lit; of a "
                         "modem or WLAN: see that it is connected",
                         "%s has no carrier: nothing is at its other end", link->name);
    else if (!link->has_address)
        agent_doctor_say(run, "link", DOCTOR_FAIL,
                         "see whether a DHCP server answers, or give it an address",
                         "%s is connected, but has no address", link->name);
    else if (!link->has_default)
        agent_doctor_say(run, "link", DOCTOR_WARN,
                         "fine if the endpoint is a neighbour; else set the gateway (ip route)",
                         "%s has an address, but there is no default route", link->name);
    else
        agent_doctor_say(run, "link", DOCTOR_OK, NULL,
                         "%s is connected, has an address and the default route", link->name);
}

static void look_at_link(struct doctor_run *run, const struct hop *hop)
{
    struct net_link links[NET_LINKS_MAX];
    size_t count;
    if (net_is_loopback(hop->host)) {
        agent_doctor_say(run, "link", DOCTOR_OK, NULL, "none is needed: %s is this machine",
                         hop->host);
        return;
    }
    int rc = net_links(links, &count);
    if (rc < 0)
        agent_doctor_say(run, "link", DOCTOR_UNTRIED, NULL, "the kernel does not tell: %s",
                         ERROR_TEXT(rc));
    else if (count == 0)
        agent_doctor_say(run, "link", DOCTOR_FAIL,
                         "plug in the modem or adapter; dmesg says whether its driver knows it",
                         "this machine has no network interface");
    else
        say_link(run, find_best(links, count));
}

/* ---- the device's own certificate ---- */

static void say_dates(struct doctor_run *run, const char *path,
                      const struct certificate *certificate)
{
    static const char renew[] =
        "runnel identity create, csr and install: make, sign and install a new one";
    char date[HUMAN_DATE_BYTES];
    bool known;
    int64_t now_ms = agent_time_wall(&run->agent, &known);
    (void)agent_doctor_date(certificate->not_after_ms, date);
    if (known && now_ms > certificate->not_after_ms)
        agent_doctor_say(run, "certificate", DOCTOR_FAIL, renew, "%s expired %s", path, date);
    else if (known && now_ms < certificate->not_before_ms)
        agent_doctor_say(run, "certificate", DOCTOR_FAIL, "set the clock, or wait",
                         "%s is not valid before %s", path,
                         agent_doctor_date(certificate->not_before_ms, date));
    else if (known && certificate_days(certificate->not_after_ms, now_ms) < SOON_DAYS)
        agent_doctor_say(run, "certificate", DOCTOR_WARN, renew, "%s expires soon: %s", path, date);
    else
        agent_doctor_say(run, "certificate", DOCTOR_OK, NULL,
                         "%s (%s) fits its key and is valid until %s", path, certificate->subject,
                         date);
}

static void look_at_certificate(struct doctor_run *run, const struct doctor_place *place)
{
    const struct tls_options options = {.cert_file = place->cert_file, .key_file = place->key_file};
    char where[TLS_WHERE_BYTES];
    char remedy[REMEDY_BYTES];
    struct certificate certificate;
    struct tls *tls = NULL;
    if (place->cert_file == NULL)
        return;
    if (agent_doctor_is_barred(run, "certificate", place->cert_file) ||
        agent_doctor_is_barred(run, "certificate", place->key_file)) {
        run->broken = "certificate";
        return;
    }
    int rc = certificate_read_file(place->cert_file, &certificate);
    if (rc < 0)
        (void)snprintf(where, sizeof where, "%.90s: %s", place->cert_file, ERROR_TEXT(rc));
    int key_rc = rc == E_OK ? tls_open(&options, where, &tls) : rc;
    tls_close(tls);
    if (key_rc == E_OK) {
        say_dates(run, place->cert_file, &certificate);
        return;
    }
    if (rc == E_OK && error_tls_code(key_rc) != 0) /* the library says it in other words */
        (void)snprintf(where, sizeof where, "%.100s is not the key of this certificate",
                       place->key_file);
    (void)snprintf(remedy, sizeof remedy,
                   "put the certificate and its own key there, or correct \"cert_file\" and "
                   "\"key_file\" of %s",
                   place->owner);
    agent_doctor_say(run, "certificate", DOCTOR_FAIL, remedy, "%s", where);
}

/* ---- DNS, TCP, proxy ---- */

/* "10.0.0.1, 10.0.0.2". */
static void list_name_servers(char *text, size_t text_bytes)
{
    char file[RESOLV_BYTES] = "";
    size_t used = 0;
    (void)fs_read_file("/etc/resolv.conf", file, sizeof file);
    (void)snprintf(text, text_bytes, "none");
    for (char *line = file; line != NULL; line = strchr(line, '\n')) {
        char server[NET_TEXT_BYTES];
        line += *line == '\n';
        if (sscanf(line, "nameserver %45s", server) != 1)
            continue;
        int count = snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? ", " : "", server);
        if (count < 0 || (size_t)count >= text_bytes - used)
            return;
        used += (size_t)count;
    }
}

static void say_no_name(struct doctor_run *run, const struct doctor_place *place,
                        const struct hop *hop, int rc)
{
    char servers[128];
    char remedy[REMEDY_BYTES];
    list_name_servers(servers, sizeof servers);
    if (rc == E_NAME)
        (void)snprintf(remedy, sizeof remedy,
                       "correct %s of %s, or ask for another name server in /etc/resolv.conf "
                       "(now %s)",
                       key_of(place, hop), place->owner, servers);
    else
        (void)snprintf(remedy, sizeof remedy,
                       "correct \"nameserver\" in /etc/resolv.conf (now %s), and let UDP port 53 "
                       "out of the firewall",
                       servers);
    agent_doctor_say(run, "DNS", DOCTOR_FAIL, remedy,
                     rc == E_NAME ? "there is no name %s" : "no name server told the address of %s",
                     hop->host);
}

static void say_names(struct doctor_run *run, const struct hop *hop,
                      const struct net_memory *addresses)
{
    char text[NET_TEXT_BYTES];
    (void)net_address_text(&addresses->addresses[0], text);
    if (strcmp(text, hop->host) == 0)
        agent_doctor_say(run, "DNS", DOCTOR_OK, NULL, "none is needed: %s is an address",
                         hop->host);
    else if (addresses->count > 1)
        agent_doctor_say(run, "DNS", DOCTOR_OK, NULL, "%s is %s, and %u more", hop->host, text,
                         addresses->count - 1);
    else
        agent_doctor_say(run, "DNS", DOCTOR_OK, NULL, "%s is %s", hop->host, text);
}

static void say_no_tcp(struct doctor_run *run, const struct doctor_place *place,
                       const struct hop *hop, int rc)
{
    char remedy[REMEDY_BYTES];
    const char *what = hop->is_proxy ? "the proxy " : "";
    switch (error_errno(rc)) {
    case ECONNREFUSED:
        (void)snprintf(remedy, sizeof remedy,
                       "correct the port in %s of %s; see whether a firewall refuses it, and "
                       "whether the server runs",
                       key_of(place, hop), place->owner);
        break;
    case ENETUNREACH:
    case EHOSTUNREACH:
        (void)snprintf(remedy, sizeof remedy,
                       "set the default route (ip route), or see the router");
        break;
    default:
        (void)snprintf(remedy, sizeof remedy,
                       "let TCP port %u out of the firewall; where only a proxy leads out, set "
                       "\"proxy\" of %s",
                       hop->port, place->owner);
    }
    if (rc == E_TIMEOUT)
        agent_doctor_say(run, "TCP", DOCTOR_FAIL, remedy, "%s%s port %u does not answer", what,
                         hop->host, hop->port);
    else
        agent_doctor_say(run, "TCP", DOCTOR_FAIL, remedy, "%s%s port %u: %s", what, hop->host,
                         hop->port, ERROR_TEXT(rc));
}

#ifdef CONFIG_HTTP_PROXY
static void say_no_proxy(struct doctor_run *run, const struct doctor_place *place,
                         const struct http_outcome *outcome, int rc)
{
    const struct cfg_endpoint *endpoint = place->endpoint;
    const char *remedy = http_connect_remedy(rc, outcome->proxy_status);
    char why[ERROR_TEXT_BYTES];
    if (rc == E_REFUSED)
        (void)snprintf(why, sizeof why, "answers %d", outcome->proxy_status);
    else
        (void)snprintf(why, sizeof why, "fails: %.60s", ERROR_TEXT(rc));
    agent_doctor_say(run, "proxy", DOCTOR_FAIL,
                     remedy[0] == '\0' ? "check \"proxy\", or HTTPS_PROXY" : remedy + 2,
                     "%s port %u, asked for %s port %u, %s", endpoint->proxy.host,
                     (unsigned)endpoint->proxy.port, endpoint->host, (unsigned)endpoint->port, why);
}
#else
static void say_no_proxy(struct doctor_run *run, const struct doctor_place *place,
                         const struct http_outcome *outcome, int rc)
{
    (void)run, (void)place, (void)outcome, (void)rc; /* there is none in this program */
}
#endif

/* ---- TLS ---- */

static const char *name_trusted(const struct tls_peer *peer)
{
    return peer->trusted != NULL ? peer->trusted : "Amazon's roots, which are built in";
}

static void say_untrusted(struct doctor_run *run, const struct doctor_place *place,
                          const struct tls_peer *peer)
{
    char remedy[REMEDY_BYTES];
    if (peer->trusted == NULL)
        (void)snprintf(remedy, sizeof remedy,
                       "a firewall opens TLS on the way: let it pass this host unopened, or set "
                       "\"ca_file\" of %s to its certificate",
                       place->owner);
    else
        (void)snprintf(remedy, sizeof remedy,
                       "put the certificate of that issuer, if it is the right one, into "
                       "\"ca_file\" of %s (or AWS_CA_BUNDLE)",
                       place->owner);
    agent_doctor_say(run, "TLS", DOCTOR_FAIL, remedy,
                     "%s is not trusted: its certificate (%s) was issued by %s, which is not in %s",
                     place->endpoint->host, peer->certificate.subject, peer->certificate.issuer,
                     name_trusted(peer));
}

static void say_dates_of_peer(struct doctor_run *run, const struct doctor_place *place,
                              const struct tls_peer *peer)
{
    char date[HUMAN_DATE_BYTES];
    bool expired = (peer->objections & TLS_EXPIRED) != 0;
    agent_doctor_say(run, "TLS", DOCTOR_FAIL,
                     "if the clock above is right, who runs the server has to renew it; else set "
                     "the clock",
                     expired ? "the certificate of %s (%s) expired %s"
                             : "the certificate of %s (%s) is not valid before %s",
                     place->endpoint->host, peer->certificate.subject,
                     agent_doctor_date(expired ? peer->certificate.not_after_ms
                                               : peer->certificate.not_before_ms,
                                       date));
}

/* Each objection has a finding of its own. */
static void say_objections(struct doctor_run *run, const struct doctor_place *place,
                           const struct tls_peer *peer)
{
    char remedy[REMEDY_BYTES];
    if ((peer->objections & TLS_UNTRUSTED) != 0)
        say_untrusted(run, place, peer);
    if ((peer->objections & (TLS_EXPIRED | TLS_FUTURE)) != 0)
        say_dates_of_peer(run, place, peer);
    if ((peer->objections & TLS_OTHER_NAME) != 0) {
        (void)snprintf(remedy, sizeof remedy,
                       "correct %s of %s: whoever answers there is somebody else", place->where,
                       place->owner);
        agent_doctor_say(run, "TLS", DOCTOR_FAIL, remedy,
                         "the certificate (%s) is not for the name %s", peer->certificate.subject,
                         place->endpoint->host);
    }
    if ((peer->objections & TLS_OTHERWISE) != 0)
        agent_doctor_say(run, "TLS", DOCTOR_FAIL, "ask who runs the server for another certificate",
                         "the certificate of %s (%s) is not fit for this", place->endpoint->host,
                         peer->certificate.subject);
}

static void say_no_tls(struct doctor_run *run, const struct doctor_place *place,
                       const struct http_outcome *outcome, const struct tls_peer *peer)
{
    char fault[HTTP_FAULT_BYTES];
    if (peer->seen && peer->objections != 0) {
        say_objections(run, place, peer);
        return;
    }
    (void)snprintf(fault, sizeof fault, "%s", outcome->fault);
    agent_doctor_say(run, "TLS", DOCTOR_FAIL,
                     place->cert_file != NULL
                         ? "the server may refuse the certificate above: is it active, and known "
                           "there?"
                         : "see whether a TLS server, and no firewall, answers at this port",
                     "%s", fault);
}

static void say_tls(struct doctor_run *run, const struct doctor_place *place,
                    const struct http_outcome *outcome, const struct tls_peer *peer)
{
    char date[HUMAN_DATE_BYTES];
    (void)agent_doctor_date(peer->certificate.not_after_ms, date);
    if (outcome->dates_unverified)
        agent_doctor_say(run, "TLS", DOCTOR_WARN, "set the clock",
                         "%s is trusted by %s; dates were passed over, as the time is not known",
                         place->endpoint->host, name_trusted(peer));
    else
        agent_doctor_say(run, "TLS", DOCTOR_OK, NULL, "%s (%s) is trusted by %s, until %s",
                         place->endpoint->host, peer->certificate.subject, name_trusted(peer),
                         date);
}

static void say_files(struct doctor_run *run, const struct doctor_place *place,
                      const struct http_outcome *outcome)
{
    char remedy[REMEDY_BYTES];
    (void)snprintf(remedy, sizeof remedy,
                   "put the file there, or correct \"ca_file\" of %s or AWS_CA_BUNDLE",
                   place->owner);
    agent_doctor_say(run, "TLS", DOCTOR_FAIL, remedy, "%s", outcome->fault);
}

/* ---- all of it ---- */

/* The rungs below where it ended are fine. */
static void say_passed(struct doctor_run *run, const struct doctor_place *place,
                       const struct http_client *client, const struct http_outcome *outcome)
{
    const struct hop hop = hop_of(place);
    if (outcome->stage > HTTP_STAGE_NAME)
        say_names(run, &hop, http_client_addresses(client));
    if (outcome->stage > HTTP_STAGE_TCP)
        agent_doctor_say(run, "TCP", DOCTOR_OK, NULL, "%s%s port %u answers",
                         hop.is_proxy ? "the proxy " : "", hop.host, hop.port);
    if (outcome->stage > HTTP_STAGE_PROXY && hop.is_proxy)
        agent_doctor_say(run, "proxy", DOCTOR_OK, NULL, "it leads on to %s port %u",
                         place->endpoint->host, (unsigned)place->endpoint->port);
}

static void say_end(struct doctor_run *run, const struct doctor_place *place,
                    const struct http_client *client, const struct http_outcome *outcome, int rc)
{
    const struct hop hop = hop_of(place);
    struct tls_peer peer;
    http_client_get_peer(client, &peer);
    switch (outcome->stage) {
    case HTTP_STAGE_FILES:
        say_files(run, place, outcome);
        break;
    case HTTP_STAGE_NAME:
        say_no_name(run, place, &hop, rc);
        break;
    case HTTP_STAGE_TCP:
        say_no_tcp(run, place, &hop, rc);
        break;
    case HTTP_STAGE_PROXY:
        say_no_proxy(run, place, outcome, rc);
        break;
    case HTTP_STAGE_TLS:
        say_no_tls(run, place, outcome, &peer);
        break;
    case HTTP_STAGE_REQUEST:
        if (place->endpoint->tls)
            say_tls(run, place, outcome, &peer);
        break;
    }
}

/* The rungs above the one that failed. */
static void pass_over_from(struct doctor_run *run, const struct doctor_place *place,
                           enum http_stage stage)
{
    if (stage <= HTTP_STAGE_NAME)
        (void)agent_doctor_pass_over(run, "DNS");
    if (stage <= HTTP_STAGE_TCP)
        (void)agent_doctor_pass_over(run, "TCP");
    if (stage <= HTTP_STAGE_PROXY && hop_of(place).is_proxy)
        (void)agent_doctor_pass_over(run, "proxy");
    if (stage <= HTTP_STAGE_TLS && place->endpoint->tls)
        (void)agent_doctor_pass_over(run, "TLS");
}

static void climb(struct doctor_run *run, const struct doctor_place *place)
{
    const struct cfg_endpoint *endpoint = place->endpoint;
    const struct http_client_options options = {.tls = endpoint->tls,
                                                .host = endpoint->host,
                                                .port = endpoint->port,
                                                .proxy = agent_credentials_proxy(&endpoint->proxy),
                                                .tls_options = {.ca_file = place->ca_file,
                                                                .cert_file = place->cert_file,
                                                                .key_file = place->key_file,
                                                                .wall_ms = agent_time_wall,
                                                                .wall_context = &run->agent},
                                                .connect_ms = DOCTOR_CONNECT_MS,
                                                .idle_ms = DOCTOR_CONNECT_MS,
                                                .total_ms = DOCTOR_CONNECT_MS,
                                                .stop = &run->stop};
    struct http_client *client;
    struct http_outcome outcome;
    int rc = http_client_open(&options, &client);
    if (rc < 0) {
        agent_doctor_say(run, "TCP", DOCTOR_FAIL, "correct the endpoint",
                         "%s cannot be reached: %s", endpoint->host, ERROR_TEXT(rc));
        return;
    }
    rc = http_client_connect(client, &outcome);
    say_passed(run, place, client, &outcome);
    say_end(run, place, client, &outcome, rc);
    http_client_close(client);
    if (run->broken != NULL && outcome.stage != HTTP_STAGE_FILES)
        pass_over_from(run, place, outcome.stage + 1);
}

void agent_doctor_place(struct doctor_run *run, const struct doctor_place *place)
{
    const struct hop hop = hop_of(place);
    look_at_certificate(run, place);
    look_at_link(run, &hop);
    if (run->broken == NULL && agent_doctor_is_barred(run, "TLS", place->ca_file))
        run->broken = "TLS";
    else if (run->broken != NULL)
        pass_over_from(run, place, HTTP_STAGE_NAME);
    else
        climb(run, place);
}
