/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_reader.h"

/* Objects of the file, by the key that holds them, from what is misplaced most often. */
static const struct {
    const char *key;
    const char *words;
} homes[] = {
    {"sensors", "one of \"sensors\""},
    {"routes", "one of \"routes\""},
    {"spool", "\"spool\""},
    {"link", "\"link\""},
    {"coap", "\"coap\""},
    {"config", "\"config\""},
    {"credentials", "one of \"credentials\""},
};

static bool is_transform(const char *name)
{
#ifdef CONFIG_TRANSFORMS
    for (int i = 0; i < CFG_TRANSFORMS; i++)
        if (strcmp(schema_transform[i].name, name) == 0)
            return true;
#else
    (void)name;
#endif
    return false;
}

static bool has_lane_key(const char *name)
{
    const struct schema_key *spool = schema_find(&schema_root, "spool");
    const struct schema_key *lanes = schema_find(spool->members, "lanes");
    return schema_find(schema_find(lanes->members, "normal")->members, name) != NULL;
}

const char *config_home(const char *name)
{
    if (is_transform(name))
        return "\"transforms\" of a sensor";
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        const struct schema_key *key = schema_find(&schema_root, homes[i].key);
        if (key->members != NULL && schema_find(key->members, name) != NULL)
            return homes[i].words;
    }
    if (has_lane_key(name))
        return "a lane of \"spool\"";
    return schema_find(&schema_root, name) != NULL ? "the outermost { }" : NULL;
}
