/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"

struct chain {
    struct credentials_provider provider;
    size_t count;
    struct credentials_provider *links[];
};

static struct chain *chain_of(struct credentials_provider *provider)
{
    return (struct chain *)(void *)provider;
}

/* Adds "NAME: FAULT" to what is told when nobody has credentials. */
static void collect_fault(char all[CREDENTIALS_FAULT_BYTES], const char *name, const char *fault)
{
    size_t used = strlen(all);
    struct writer out;
    writer_to_memory(&out, all + used, CREDENTIALS_FAULT_BYTES - 1 - used);
    if (used > 0)
        writer_text(&out, "; ");
    writer_text(&out, name);
    writer_text(&out, ": ");
    writer_text(&out, fault);
    all[used + out.used_bytes] = '\0';
}

static int get_chain(struct credentials_provider *provider, int64_t deadline_ms,
                     char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct chain *chain = chain_of(provider);
    char all[CREDENTIALS_FAULT_BYTES] = "";
    for (size_t i = 0; i < chain->count; i++) {
        int rc = credentials_get(chain->links[i], deadline_ms, fault, ret_credentials);
        if (rc != E_NOT_FOUND)
            return rc;
        collect_fault(all, chain->links[i]->operations->name, fault);
    }
    memcpy(fault, all, sizeof all);
    return E_NOT_FOUND;
}

static void expire_chain(struct credentials_provider *provider, const struct credentials *used)
{
    struct chain *chain = chain_of(provider);
    for (size_t i = 0; i < chain->count; i++)
        credentials_expire(chain->links[i], used);
}

static void close_chain(struct credentials_provider *provider)
{
    struct chain *chain = chain_of(provider);
    for (size_t i = 0; i < chain->count; i++)
        credentials_close(chain->links[i]);
    free(chain);
}

int credentials_chain_open(struct credentials_provider *const *providers, size_t count,
                           struct credentials_provider **ret_provider)
{
    static const struct credentials_operations quick = {
        .name = "chain", .get = get_chain, .expire = expire_chain, .close = close_chain};
    static const struct credentials_operations slow = {.name = "chain",
                                                       .slow = true,
                                                       .get = get_chain,
                                                       .expire = expire_chain,
                                                       .close = close_chain};
    struct chain *chain = malloc(sizeof *chain + count * sizeof chain->links[0]);
    if (chain == NULL)
        return E_NO_MEMORY;
    chain->provider.operations = &quick;
    chain->count = count;
    for (size_t i = 0; i < count; i++) {
        chain->links[i] = providers[i];
        if (providers[i]->operations->slow)
            chain->provider.operations = &slow;
    }
    *ret_provider = &chain->provider;
    return 0;
}
