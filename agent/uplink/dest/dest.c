/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/dest.h"

#include <string.h>

#include "agent/uplink/dest/apigateway.h"
#include "agent/uplink/dest/archive.h"
#include "agent/uplink/dest/firehose.h"
#include "agent/uplink/dest/kinesis.h"
#include "agent/uplink/dest/s3.h"
#include "platform/base/error.h"

static const struct {
    const char *name;
    int (*open)(const struct dest_options *options, struct dest **ret_dest);
} destinations[] = {
#ifdef CONFIG_DEST_KINESIS
    {"kinesis", kinesis_open},
#endif
#ifdef CONFIG_DEST_FIREHOSE
    {"firehose", firehose_open},
#endif
#ifdef CONFIG_DEST_APIGATEWAY
    {"apigateway", apigateway_open},
#endif
#ifdef CONFIG_DEST_S3
    {"s3", s3_open},
#endif
#ifdef CONFIG_DEST_ARCHIVE
    {"archive", archive_open},
#endif
    {NULL, NULL},
};

int dest_open(const char *name, const struct dest_options *options, struct dest **ret_dest)
{
    for (size_t i = 0; destinations[i].name != NULL; i++)
        if (strcmp(destinations[i].name, name) == 0)
            return destinations[i].open(options, ret_dest);
    return E_UNSUPPORTED;
}

void dest_add_header(struct dest_head *head, const char *name, const char *value)
{
    if (value != NULL)
        head->headers[head->header_count++] = (struct dest_header){name, value};
}

void dest_close(struct dest *dest)
{
    if (dest != NULL)
        dest->operations->close(dest);
}
