/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_REPORT_FILTER_H
#define RUNNEL_AGENT_CLI_REPORT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/**
 * What leaves in a report: plain ASCII, and of every URL neither user and password nor the query,
 * wherever in a text it stands. The commands that a report is made of say no secrets by themselves;
 * what servers and drivers say in their errors nobody knows.
 */
enum { REPORT_URL_BYTES = 1024 };

/** All zeros but TO to begin with. */
struct report_filter {
    FILE *to;
    unsigned matched; /* of "://" */
    bool in_url;
    bool too_long;
    size_t url_bytes;
    char url[REPORT_URL_BYTES];
};

void report_filter_write(struct report_filter *filter, const char *bytes, size_t count);

/** As printf, and ends what was held back. At most 511 bytes. */
void report_filter_line(struct report_filter *filter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** What is held back of a URL that was not ended. */
void report_filter_end(struct report_filter *filter);

#endif
