/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/ask_spool.h"
#include "agent/cli/cli.h"
#include "platform/base/error.h"

enum { ROUTE_BYTES_MAX = 31, PLACE_BYTES_MAX = 20, REQUEST_BYTES = 96 };

static const char usage[] =
    "usage: runnel dead list [--route NAME] [--json] [-c FILE]\n"
    "       runnel dead show LETTER [-c FILE]\n"
    "       runnel dead export [--route NAME] [-c FILE]\n"
    "       runnel dead resend|purge LETTER... | --all [--route NAME] [-c FILE]\n\n"
    "Dead letters: records that a destination refused for good. Of the running agent or, when "
    "none\n"
    "answers, of a stopped one.\n\n"
    "  list          a line for each, with the reason; the first column names the LETTER\n"
    "  show          everything about one, and its record as it is sent\n"
    "  export        their records, a line of JSON each, as they are sent\n"
    "  resend        sends them again, under their old identity; of a stopped agent when it "
    "starts\n"
    "  purge         deletes them\n"
    "  --route NAME  only those of this route\n"
    "  --all         all of them\n"
    "  --json        for programs: everything but the record, a line of JSON each\n"
    "  -c FILE       where a stopped agent's spool is (spool.path); instead of $RUNNEL_CONFIG,\n"
    "                else /etc/runnel/runnel.json\n";

struct options {
    const char *action;
    bool json, all;
    const char *route;
    const char *config;
    char **letters; /* up to a NULL */
    uint64_t done;
    bool stopped;
};

static bool changes(const struct options *options)
{
    return strcmp(options->action, "resend") == 0 || strcmp(options->action, "purge") == 0;
}

static bool is_route(const char *text, size_t count)
{
    return count > 0 && count <= ROUTE_BYTES_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") >= count;
}

/* ROUTE/PLACE: nothing else may be taken for more than one letter. */
static bool is_letter(const char *text)
{
    size_t route = strcspn(text, "/");
    const char *place = text + route + (text[route] == '/');
    size_t digits = strspn(place, "0123456789");
    return is_route(text, route) && text[route] == '/' && digits > 0 && *place != '0' &&
           digits <= PLACE_BYTES_MAX && place[digits] == '\0';
}

/* ---- asking ---- */

/* WHICH: see control.h. What a change leaves as it was is told on stderr. */
static int ask_for(struct options *options, const char *which, struct control_spooled *ret_spooled)
{
    char request[REQUEST_BYTES];
    struct ask_spool ask = {
        .config = options->config, .request = request, .to = changes(options) ? stderr : stdout};
    (void)snprintf(request, sizeof request, "dead %s %s%s", options->action, which,
                   options->json ? " json" : "");
    int result = ask_spool(&ask, ret_spooled);
    options->done += ret_spooled->records;
    options->stopped = ask.stopped;
    if (result == E_STOP)
        return ask.exit_code;
    if (result < 0)
        return ask_spool_fail(&ask, result, ret_spooled, false);
    return changes(options) && ret_spooled->damaged > 0 ? CLI_FAILED : CLI_DONE;
}

static int ask_for_letter(struct options *options, const char *letter)
{
    struct control_spooled spooled = {0};
    int code = is_letter(letter) ? ask_for(options, letter, &spooled) : CLI_DONE;
    if (code != CLI_DONE || spooled.records > 0)
        return code;
    cli_fault("dead letter", letter,
              spooled.damaged > 0 ? "is damaged" : "is none; see runnel dead list");
    return CLI_FAILED;
}

static void say_done(const struct options *options)
{
    const char *what = "sent again";
    if (strcmp(options->action, "purge") == 0)
        what = "purged";
    else if (options->stopped)
        what = "marked, to be sent again when the agent starts";
    (void)printf("%" PRIu64 " dead letter%s %s\n", options->done, options->done == 1 ? "" : "s",
                 what);
}

static int run(struct options *options)
{
    struct control_spooled spooled = {0};
    int code = CLI_DONE;
    if (*options->letters == NULL)
        code = ask_for(options, options->route != NULL ? options->route : "*", &spooled);
    for (char **letter = options->letters; *letter != NULL; letter++) {
        int own = ask_for_letter(options, *letter);
        code = own > code ? own : code;
    }
    if (changes(options))
        say_done(options);
    else if (code == CLI_DONE && spooled.damaged > 0)
        (void)fprintf(stderr, "runnel: %" PRIu64 " damaged letters passed over\n", spooled.damaged);
    return code;
}

/* ---- the command line ---- */

static bool are_possible(const struct options *options, int letters)
{
    bool list = strcmp(options->action, "list") == 0;
    if (options->json && !list)
        return false;
    if (strcmp(options->action, "show") == 0)
        return letters == 1 && options->route == NULL && !options->all;
    if (changes(options))
        return options->all ? letters == 0 : letters > 0 && options->route == NULL;
    return (list || strcmp(options->action, "export") == 0) && letters == 0 && !options->all;
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"all", no_argument, NULL, 'a'},         {"json", no_argument, NULL, 'j'},
        {"route", required_argument, NULL, 'r'}, {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},        {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'a')
            options->all = true;
        else if (option == 'j')
            options->json = true;
        else if (option == 'c')
            options->config = optarg;
        else if (option == 'h')
            return E_STOP;
        else if (option == 'r' && is_route(optarg, strlen(optarg)))
            options->route = optarg;
        else
            return E_INVALID;
    }
    if (optind >= argc)
        return E_INVALID;
    options->action = argv[optind];
    options->letters = argv + optind + 1;
    return are_possible(options, argc - optind - 1) ? 0 : E_INVALID;
}

int cmd_dead(int argc, char **argv)
{
    struct options options = {0};
    int result = read_options(argc, argv, &options);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return run(&options);
}
