/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_route.h"

/* ---- where ---- */

static void resolve_bucket(const struct config_route *subject)
{
    const char *bucket = subject->route->bucket;
    if (bucket != NULL && !config_route_is_bucket(bucket)) {
        config_route_fault(subject, "bucket",
                           "is no name of a bucket; use 3 to 63 small letters, digits, \".\" and "
                           "\"-\"");
        subject->route->bucket = NULL;
    }
}

/* What every tool reads back as it was written. */
static bool is_prefix(const char *text)
{
    static const char safe[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=_.-/";
    size_t count = strlen(text);
    return text[strspn(text, safe)] == '\0' && text[0] != '/' &&
           (count == 0 || text[count - 1] == '/') && strstr(text, "//") == NULL &&
           strstr(text, "./") == NULL;
}

static void check_prefix(const struct config_route *subject)
{
    const char *prefix = subject->route->prefix;
    if (prefix != NULL && !is_prefix(prefix))
        config_route_fault(subject, "prefix",
                           "is no prefix; write it like \"raw/\": letters, digits, \"=\", \"_\", "
                           "\".\", \"-\", and a \"/\" behind each part");
}

/* ---- how it is kept ---- */

static void check_encryption(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    bool kms = route->sse == CFG_SSE_KMS || route->sse == CFG_SSE_KMS_DSSE;
    if (route->kms_key_id != NULL && !kms)
        config_route_fault(subject, "kms_key_id",
                           "goes with \"sse\": \"aws:kms\" or \"aws:kms:dsse\"; write one of them");
    if (route->bucket_key && route->sse != CFG_SSE_KMS)
        config_route_fault(subject, "bucket_key",
                           "goes with \"sse\": \"aws:kms\" alone; write that or remove it");
}

static void check_owner_and_class(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    const char *owner = route->expected_bucket_owner;
    const char *class = route->storage_class;
    if (owner != NULL && (strlen(owner) != 12 || strspn(owner, "0123456789") != 12))
        config_route_fault(subject, "expected_bucket_owner", "is no account; write its 12 digits");
    if (class != NULL && class[strspn(class, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] != '\0')
        config_route_fault(subject, "storage_class",
                           "is no storage class; write it like \"STANDARD_IA\"");
}

void config_route_s3(const struct config_route *subject)
{
    resolve_bucket(subject);
    check_prefix(subject);
    check_encryption(subject);
    check_owner_and_class(subject);
    config_route_region(subject, "");
    config_route_bucket_reach(subject);
}
