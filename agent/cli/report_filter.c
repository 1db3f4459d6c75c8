/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/report_filter.h"

#include <stdarg.h>
#include <string.h>

enum { LINE_BYTES = 512 };

static const char scheme_end[] = "://";

static void put(struct report_filter *filter, char c)
{
    bool plain = (c >= ' ' && c <= '~') || c == '\n' || c == '\t';
    (void)fputc(plain ? c : '?', filter->to);
}

static void put_all(struct report_filter *filter, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(filter, bytes[i]);
}

/* A password may have any characters, so what stands before the last "@" is not looked at. */
static void put_url(struct report_filter *filter)
{
    const char *at = memrchr(filter->url, '@', filter->url_bytes);
    const char *end = filter->url + filter->url_bytes;
    const char *from = at != NULL ? at + 1 : filter->url;
    const char *query = memchr(from, '?', (size_t)(end - from));
    if (at != NULL)
        (void)fputs("***@", filter->to);
    put_all(filter, from, (size_t)((query != NULL ? query : end) - from));
    if (query != NULL)
        (void)fputs("?***", filter->to);
}

void report_filter_end(struct report_filter *filter)
{
    if (filter->in_url && filter->too_long)
        (void)fputs("***", filter->to);
    else if (filter->in_url)
        put_url(filter);
    filter->in_url = filter->too_long = false;
    filter->url_bytes = 0;
    filter->matched = 0;
}

static bool ends_url(char c)
{
    return (unsigned char)c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>';
}

static void take_url(struct report_filter *filter, char c)
{
    if (filter->url_bytes == sizeof filter->url)
        filter->too_long = true;
    else
        filter->url[filter->url_bytes++] = c;
}

static void take(struct report_filter *filter, char c)
{
    if (filter->in_url && !ends_url(c)) {
        take_url(filter, c);
        return;
    }
    if (filter->in_url)
        report_filter_end(filter);
    put(filter, c);
    if (c == scheme_end[filter->matched])
        filter->matched++;
    else
        filter->matched = c == scheme_end[0];
    filter->in_url = filter->matched == sizeof scheme_end - 1;
}

void report_filter_write(struct report_filter *filter, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        take(filter, bytes[i]);
}

void report_filter_line(struct report_filter *filter, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    report_filter_write(filter, line, strlen(line));
    report_filter_end(filter);
}
