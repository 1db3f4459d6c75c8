/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "platform/json/json_write.h"

/* RUNNEL_VERSION, RUNNEL_BOARD and RUNNEL_FEATURES (Kconfig symbols that are y, with blanks between
 * them) are defined by CMakeLists.txt for this file alone. */

enum { OUTPUT_BYTES = 4096 };

static const char usage[] = "usage: runnel version [--json]\n\n"
                            "Says which version this is, for which board it was built and what "
                            "Kconfig put into it.\n";

static void write_features(struct json_write *out)
{
    const char *at = RUNNEL_FEATURES;
    json_write_array_begin(out, "features");
    while (*at != '\0') {
        size_t count = strcspn(at, " ");
        json_write_text_bytes(out, NULL, at, count);
        at += count;
        at += strspn(at, " ");
    }
    json_write_array_end(out);
}

static int print_json(void)
{
    char text[OUTPUT_BYTES];
    struct writer writer;
    struct json_write out;
    writer_to_memory(&writer, text, sizeof text - 1);
    json_write_start(&out, &writer);
    json_write_object_begin(&out, NULL);
    json_write_text(&out, "version", RUNNEL_VERSION);
    json_write_text(&out, "board", RUNNEL_BOARD);
    write_features(&out);
    json_write_object_end(&out);
    if (writer_finish(&writer) < 0)
        return CLI_FAILED;
    return puts(text) >= 0 && fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static int print_text(void)
{
    (void)printf("runnel %s\nboard    %s\nfeatures %s\n", RUNNEL_VERSION, RUNNEL_BOARD,
                 RUNNEL_FEATURES);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cmd_version(int argc, char **argv)
{
    static const struct option table[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return CLI_DONE;
        }
        if (option != 'j') {
            (void)fputs(usage, stderr);
            return CLI_USAGE;
        }
        json = true;
    }
    if (optind != argc) {
        (void)fputs(usage, stderr);
        return CLI_USAGE;
    }
    return json ? print_json() : print_text();
}
