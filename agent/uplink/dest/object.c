/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/aws/sigv4.h"

enum { ID_DIGITS = 16, NUMBER_DIGITS = 16, HASH_DIGITS = 16 };

static const char digits[] = "0123456789";
static const char hex_digits[] = "0123456789abcdef";

/* ---- names ---- */

static bool is_plain(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           strchr("_-.", c) != NULL;
}

void object_device(const char *device, char ret_name[OBJECT_DEVICE_BYTES])
{
    size_t used = 0;
    for (const char *c = device; *c != '\0' && used + 3 < OBJECT_DEVICE_BYTES; c++) {
        bool hidden = c == device && *c == '.';
        if (is_plain(*c) && !hidden)
            ret_name[used++] = *c;
        else
            used += (size_t)sprintf(ret_name + used, "=%02X", (unsigned)(unsigned char)*c);
    }
    ret_name[used] = '\0';
}

/* A signature's date has the same parts. */
void object_hour(int64_t wall_ms, char ret_day[16], char ret_hour[8])
{
    char date[SIGV4_DATE_BYTES];
    sigv4_date(wall_ms, date);
    (void)snprintf(ret_day, 16, "dt=%.4s-%.2s-%.2s", date, date + 4, date + 6);
    (void)snprintf(ret_hour, 8, "hour=%.2s", date + 9);
}

void object_name(const struct batch_summary *batch, bool gzip, char ret_name[OBJECT_NAME_BYTES])
{
    (void)snprintf(ret_name, OBJECT_NAME_BYTES,
                   "%016" PRIx64 "-%016" PRIu64 "-%016" PRIu64 "-%.*s.ndjson%s", batch->spool_id,
                   batch->first, batch->last, (int)HASH_DIGITS, batch->body_hash,
                   gzip ? ".gz" : "");
}

/* Takes COUNT characters out of SET off TEXT, and the one behind them. NULL: it has others. */
static const char *pass(const char *text, size_t count, const char *set, char behind)
{
    if (text == NULL || strspn(text, set) != count || text[count] != behind)
        return NULL;
    return text + count + 1;
}

bool object_is_name(const char *name)
{
    name = pass(name, ID_DIGITS, hex_digits, '-');
    name = pass(name, NUMBER_DIGITS, digits, '-');
    name = pass(name, NUMBER_DIGITS, digits, '-');
    name = pass(name, HASH_DIGITS, hex_digits, '.');
    return name != NULL && (strcmp(name, "ndjson") == 0 || strcmp(name, "ndjson.gz") == 0);
}

/* ---- body ---- */

void object_nothing(const void *context, struct writer *out)
{
    (void)context;
    (void)out;
}

void object_nothing_before(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)out;
    (void)index;
}

void object_nothing_behind(const void *context, struct writer *out, const char *key,
                           size_t key_bytes)
{
    (void)context;
    (void)out;
    (void)key;
    (void)key_bytes;
}
