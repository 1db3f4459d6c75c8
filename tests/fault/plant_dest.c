/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/plant_dest.h"

/* One route at a time: a scenario with a planted bug has no more. */
static const struct dest_operations *real;
static struct dest_operations changed;
static size_t sent_count;
static uint8_t *delivered_bits;

int __real_dest_open(const char *name, const struct dest_options *options, struct dest **ret_dest);
int __wrap_dest_open(const char *name, const struct dest_options *options, struct dest **ret_dest);

static void start(struct dest *dest, size_t sent, uint8_t *delivered)
{
    sent_count = sent;
    delivered_bits = delivered;
    real->reply_start(dest, sent, delivered);
}

static void end(struct dest *dest, const struct http_reply *head, struct dest_reply *ret_reply)
{
    real->reply_end(dest, head, ret_reply);
    plant_change(sent_count, delivered_bits, ret_reply);
}

int __wrap_dest_open(const char *name, const struct dest_options *options, struct dest **ret_dest)
{
    int rc = __real_dest_open(name, options, ret_dest);
    if (rc < 0)
        return rc;
    real = (*ret_dest)->operations;
    changed = *real;
    changed.reply_start = start;
    changed.reply_end = end;
    (*ret_dest)->operations = &changed;
    return rc;
}

void plant_believe(size_t sent, uint8_t *delivered, struct dest_reply *reply)
{
    for (size_t i = 0; i < sent; i++)
        delivered[i / 8] |= (uint8_t)(1 << i % 8);
    *reply = (struct dest_reply){.understood = true, .delivered = sent};
}
