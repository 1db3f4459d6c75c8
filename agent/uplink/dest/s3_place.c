/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/s3_place.h"

#include <stdio.h>
#include <string.h>

bool s3_place_is_region(const char *text)
{
    size_t count = strspn(text, "abcdefghijklmnopqrstuvwxyz-0123456789");
    return count > 0 && count < S3_PLACE_REGION_BYTES && text[count] == '\0';
}

bool s3_place_fits(const char *host)
{
    return strlen(host) + S3_PLACE_REGION_BYTES <= S3_PLACE_HOST_BYTES;
}

const char *s3_place_region(const struct s3_place *place)
{
    return place->region[0] != '\0' ? place->region : NULL;
}

const char *s3_place_host(const struct s3_place *place)
{
    return place->host[0] != '\0' ? place->host : NULL;
}

/* The host of the configured region with another one in it. */
static void move_host(struct s3_place *place, const char *region)
{
    char part[S3_PLACE_REGION_BYTES + 2];
    const char *host = place->configured_host;
    if (host == NULL)
        return;
    (void)snprintf(part, sizeof part, ".%s.", place->configured_region);
    const char *at = strstr(host, part);
    if (at != NULL)
        (void)snprintf(place->host, sizeof place->host, "%.*s.%s.%s", (int)(at - host), host,
                       region, at + strlen(part));
}

static bool is_redirect(int status, const char *code)
{
    static const char *const codes[] = {"AuthorizationHeaderMalformed", "PermanentRedirect",
                                        "TemporaryRedirect", "IllegalLocationConstraintException"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return status == 301 || status == 307 || status == 308;
}

bool s3_place_learn(struct s3_place *place, const struct http_reply *head, const char *code,
                    const char *xml_region)
{
    const char *said = head->bucket_region[0] != '\0' ? head->bucket_region : xml_region;
    const char *asked = place->region[0] != '\0' ? place->region : place->configured_region;
    if (!is_redirect(head->status, code) || !s3_place_is_region(said) || strcmp(said, asked) == 0)
        return false;
    (void)snprintf(place->region, sizeof place->region, "%.31s", said);
    move_host(place, said);
    return true;
}
