/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"

/* mdb.c: MDB_page, MDB_node, MDB_meta, MDB_db; numbers lie in memory order. */
enum {
    WORD = sizeof(size_t),
    AT_FLAGS = WORD + 2,
    AT_LOWER = WORD + 4,
    AT_UPPER = WORD + 6,
    AT_PAGES = WORD + 4, /* of an overflow page, in place of lower and upper */
    HEADER_BYTES = WORD + 8,
    NODE_BYTES = 8,
    AT_META_VERSION = 4,
    AT_META_DBS = 8 + 2 * WORD,
    DB_BYTES = 8 + 5 * WORD,
    AT_META_LAST = AT_META_DBS + 2 * DB_BYTES,
    AT_META_TXN = AT_META_LAST + WORD,
    META_BYTES = AT_META_TXN + WORD,
};
enum { IS_BRANCH = 0x01, IS_LEAF = 0x02, IS_OVERFLOW = 0x04, IS_META = 0x08, KINDS = 0x6F };
enum { NODE_BIG = 0x01 };
enum { MAGIC = (int)0xBEEFC0DE, VERSION = 1 };
enum { PAGE_BYTES_MIN = 512, PAGE_BYTES_MAX = 32768, DEPTH_MAX = 32, KEY_BYTES_MAX = 511 };
enum { FREE_TREE = 0, MAIN_TREE = 1 };
enum { ORDER_FLAGS = 0x7E, INTEGER_KEYS = 0x08 }; /* how LMDB compares keys, and keeps values */

struct tree {
    uint16_t depth, flags;
    size_t branches, leaves, overflows, entries;
    size_t root;
};

struct level {
    size_t number;
    unsigned next; /* the child to visit */
    unsigned count;
    uint8_t *page;
};

struct look {
    const struct verify_file *file;
    char *fault;
    size_t page_bytes;
    size_t last;
    struct tree trees[2];
    uint8_t *seen; /* a bit per page */
    uint8_t *pages;
    struct level levels[DEPTH_MAX];
    uint8_t key[KEY_BYTES_MAX]; /* the one before in the tree's order */
    size_t key_bytes;
    bool first;
    bool parted; /* it is a branch's: the next one may be the same */
    struct tree found;
};

__attribute__((format(printf, 2, 3))) static int damaged(struct look *look, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(look->fault, VERIFY_FAULT_BYTES, format, arguments);
    va_end(arguments);
    return E_DAMAGED;
}

static size_t get_word(const uint8_t *at)
{
    size_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---- metas ---- */

static void get_tree(const uint8_t *db, struct tree *ret_tree)
{
    *ret_tree = (struct tree){.flags = get_u16(db + 4),
                              .depth = get_u16(db + 6),
                              .branches = get_word(db + 8),
                              .leaves = get_word(db + 8 + WORD),
                              .overflows = get_word(db + 8 + 2 * WORD),
                              .entries = get_word(db + 8 + 3 * WORD),
                              .root = get_word(db + 8 + 4 * WORD)};
}

/* A file of the other word size has its magic elsewhere. */
static bool is_of_another_kind(const uint8_t *page)
{
    enum { OTHER_HEADER = WORD == 8 ? 12 : 16 };
    uint32_t magic = get_u32(page + HEADER_BYTES);
    return get_u32(page + OTHER_HEADER) == (uint32_t)MAGIC || magic == 0xDEC0EFBEU;
}

static int read_meta(struct look *look, unsigned number, uint8_t page[HEADER_BYTES + META_BYTES])
{
    const struct verify_file *file = look->file;
    size_t count = HEADER_BYTES + META_BYTES;
    uint64_t offset = (uint64_t)number * look->page_bytes;
    if (file->bytes < offset + count)
        return damaged(look, "meta %u: the file ends before it", number);
    int rc = file->read(file->context, offset, page, count);
    if (rc < 0)
        return rc;
    const uint8_t *meta = page + HEADER_BYTES;
    if (get_u32(meta) != (uint32_t)MAGIC)
        return is_of_another_kind(page) ? E_VERSION
                                        : damaged(look, "meta %u: this is no LMDB file", number);
    if (get_u32(meta + AT_META_VERSION) != VERSION)
        return E_VERSION;
    if ((get_u16(page + AT_FLAGS) & IS_META) == 0)
        return damaged(look, "meta %u: its flags are %#x", number, get_u16(page + AT_FLAGS));
    return E_OK;
}

/* Transactions are numbered one by one and take turns with the metas: other numbers would let an
 * older state pass for the newest. A new file has 0 in both. */
static bool follow_each_other(size_t first, size_t second)
{
    size_t distance = first > second ? first - second : second - first;
    return first % 2 == 0 && (distance == 1 || (first == 0 && second == 0));
}

/* The page size stands in the first meta; the newer of both counts. */
static int read_metas(struct look *look)
{
    uint8_t pages[2][HEADER_BYTES + META_BYTES];
    look->page_bytes = 0;
    int rc = read_meta(look, 0, pages[0]);
    if (rc < 0)
        return rc;
    look->page_bytes = get_u32(pages[0] + HEADER_BYTES + AT_META_DBS);
    if (look->page_bytes < PAGE_BYTES_MIN || look->page_bytes > PAGE_BYTES_MAX ||
        (look->page_bytes & (look->page_bytes - 1)) != 0)
        return damaged(look, "meta 0: a page size of %zu", look->page_bytes);
    rc = read_meta(look, 1, pages[1]);
    if (rc < 0)
        return rc;
    const uint8_t *meta[2] = {pages[0] + HEADER_BYTES, pages[1] + HEADER_BYTES};
    if (get_u32(meta[1] + AT_META_DBS) != look->page_bytes) /* LMDB takes that of the newer one */
        return damaged(look, "meta 1: another page size than meta 0");
    size_t txns[2] = {get_word(meta[0] + AT_META_TXN), get_word(meta[1] + AT_META_TXN)};
    if (!follow_each_other(txns[0], txns[1]))
        return damaged(look, "the metas are of transactions %zu and %zu", txns[0], txns[1]);
    const uint8_t *newer = meta[txns[1] > txns[0]];
    look->last = get_word(newer + AT_META_LAST);
    get_tree(newer + AT_META_DBS, &look->trees[FREE_TREE]);
    get_tree(newer + AT_META_DBS + DB_BYTES, &look->trees[MAIN_TREE]);
    if (look->last < 1 || look->last >= look->file->bytes / look->page_bytes)
        return damaged(look, "the last page, %zu, lies behind the end of the file", look->last);
    return E_OK;
}

/* ---- pages ---- */

/* Every page has one user. */
static int claim(struct look *look, size_t number, size_t count)
{
    if (number < 2 || number > look->last || count > look->last - number + 1)
        return damaged(look, "page %zu: it does not exist", number);
    for (size_t i = number; i < number + count; i++) {
        if ((look->seen[i / 8] >> i % 8 & 1) != 0)
            return damaged(look, "page %zu: it is used twice", i);
        look->seen[i / 8] = (uint8_t)(look->seen[i / 8] | 1U << i % 8);
    }
    return E_OK;
}

static int read_page(struct look *look, size_t number, uint8_t *buffer, size_t count)
{
    const struct verify_file *file = look->file;
    int rc = file->read(file->context, (uint64_t)number * look->page_bytes, buffer, count);
    if (rc == E_OK && get_word(buffer) != number)
        return damaged(look, "page %zu: it says that it is %zu", number, get_word(buffer));
    return rc;
}

struct node {
    const uint8_t *key;
    size_t key_bytes;
    const uint8_t *data; /* of a leaf */
    size_t data_bytes;
    size_t child; /* of a branch */
    bool big;
};

static int get_node(struct look *look, const struct level *level, unsigned index, bool leaf,
                    struct node *ret_node)
{
    const uint8_t *page = level->page;
    size_t at = get_u16(page + HEADER_BYTES + 2 * (size_t)index);
    if (at < get_u16(page + AT_UPPER) || at > look->page_bytes - NODE_BYTES)
        return damaged(look, "page %zu: entry %u lies outside", level->number, index);
    const uint8_t *node = page + at;
    size_t low = get_u32(node);
    uint16_t flags = get_u16(node + 4);
    size_t room = look->page_bytes - at - NODE_BYTES;
    *ret_node = (struct node){.key = node + NODE_BYTES, .key_bytes = get_u16(node + 6)};
    if (ret_node->key_bytes > KEY_BYTES_MAX || ret_node->key_bytes > room)
        return damaged(look, "page %zu: the key of entry %u is too long", level->number, index);
    if (!leaf) {
        ret_node->child = low;
#if SIZE_MAX > UINT32_MAX
        ret_node->child |= (size_t)flags << 32;
#endif
        return E_OK;
    }
    ret_node->data = ret_node->key + ret_node->key_bytes;
    ret_node->data_bytes = low;
    ret_node->big = (flags & NODE_BIG) != 0;
    if ((flags & ~NODE_BIG) != 0 ||
        (ret_node->big ? WORD : ret_node->data_bytes) > room - ret_node->key_bytes)
        return damaged(look, "page %zu: entry %u is not sound", level->number, index);
    return E_OK;
}

/* Below 0, 0 or above for a key less than, equal to or greater than the one before. */
static int compare(const struct look *look, unsigned kind, const struct node *node)
{
    if (kind == FREE_TREE) {
        size_t before = get_word(look->key);
        return (get_word(node->key) > before) - (get_word(node->key) < before);
    }
    size_t least = node->key_bytes < look->key_bytes ? node->key_bytes : look->key_bytes;
    int order = memcmp(node->key, look->key, least);
    return order != 0 ? order
                      : (node->key_bytes > look->key_bytes) - (node->key_bytes < look->key_bytes);
}

/* Keys ascend, by memcmp or as numbers, from leaf to leaf. A branch's key parts what is before it
 * from what follows, the next key of a leaf included. */
static int check_key(struct look *look, unsigned kind, const struct level *level, unsigned index,
                     const struct node *node, bool leaf)
{
    if (kind == FREE_TREE && node->key_bytes != WORD)
        return damaged(look, "page %zu: the key of entry %u is no number", level->number, index);
    int order = look->first ? 1 : compare(look, kind, node);
    if (order < 0 || (order == 0 && !look->parted))
        return damaged(look, "page %zu: the key of entry %u is out of order", level->number, index);
    memcpy(look->key, node->key, node->key_bytes);
    look->key_bytes = node->key_bytes;
    look->first = false;
    look->parted = !leaf;
    return E_OK;
}

/* ---- values ---- */

static bool is_overflow(const uint8_t *header, size_t pages)
{
    return (get_u16(header + AT_FLAGS) & KINDS) == IS_OVERFLOW &&
           get_u32(header + AT_PAGES) == pages;
}

static size_t overflow_pages(size_t bytes, size_t page_bytes)
{
    return (HEADER_BYTES - 1 + bytes) / page_bytes + 1;
}

static int check_overflow(struct look *look, size_t number, size_t count,
                          uint8_t header[HEADER_BYTES + VERIFY_VALUE_BYTES])
{
    int rc = claim(look, number, count);
    look->found.overflows += count;
    if (rc == E_OK)
        rc = read_page(look, number, header, HEADER_BYTES + VERIFY_VALUE_BYTES);
    if (rc < 0)
        return rc;
    if (!is_overflow(header, count))
        return damaged(look, "page %zu: flags %#x and %u pages instead of %zu", number,
                       get_u16(header + AT_FLAGS), get_u32(header + AT_PAGES), count);
    return E_OK;
}

static int get_list_word(struct look *look, const uint8_t *inline_data, uint64_t offset, size_t at,
                         size_t *ret_word)
{
    uint8_t word[WORD];
    if (inline_data != NULL) {
        *ret_word = get_word(inline_data + at);
        return E_OK;
    }
    int rc = look->file->read(look->file->context, offset + at, word, WORD);
    if (rc == E_OK)
        *ret_word = get_word(word);
    return rc;
}

/* A list of free pages: their number, then they themselves, descending. It may have room left. */
static int check_free_list(struct look *look, const uint8_t *inline_data, size_t page, size_t bytes)
{
    uint64_t offset = (uint64_t)page * look->page_bytes + HEADER_BYTES;
    size_t previous = SIZE_MAX;
    size_t count;
    int rc = get_list_word(look, inline_data, offset, 0, &count);
    if (rc == E_OK && count > bytes / WORD - 1)
        return damaged(look, "a list of free pages is longer than its entry");
    for (size_t i = 1; rc == E_OK && i <= count; i++) {
        size_t number;
        rc = get_list_word(look, inline_data, offset, i * WORD, &number);
        if (rc == E_OK && number >= previous)
            return damaged(look, "a list of free pages is out of order");
        if (rc == E_OK)
            rc = claim(look, number, 1);
        previous = number;
    }
    return rc;
}

static int check_value(struct look *look, unsigned kind, const struct node *node)
{
    uint8_t page_begin[HEADER_BYTES + VERIFY_VALUE_BYTES];
    const struct verify_file *file = look->file;
    size_t page = node->big ? get_word(node->data) : 0;
    int rc = E_OK;
    if (kind == FREE_TREE && (node->data_bytes < WORD || node->data_bytes % WORD != 0))
        return damaged(look, "a list of free pages has %zu bytes", node->data_bytes);
    if (node->big)
        rc = check_overflow(look, page, overflow_pages(node->data_bytes, look->page_bytes),
                            page_begin);
    if (rc == E_OK && kind == FREE_TREE)
        return check_free_list(look, node->big ? NULL : node->data, page, node->data_bytes);
    if (rc == E_OK && file->takes != NULL &&
        !file->takes(file->takes_context, node->key, node->key_bytes,
                     node->big ? page_begin + HEADER_BYTES : node->data, node->data_bytes))
        return damaged(look, "the entry %zu does not fit what lies there", look->found.entries);
    return rc;
}

/* ---- trees ---- */

/* Entries lie side by side up to the end of the page: LMDB moves them by their sizes. */
static int check_sizes(struct look *look, const struct level *level, bool leaf)
{
    size_t used = 0;
    for (unsigned i = 0; i < level->count; i++) {
        struct node node;
        int rc = get_node(look, level, i, leaf, &node);
        if (rc < 0)
            return rc;
        used += NODE_BYTES + node.key_bytes + (node.big ? WORD : node.data_bytes);
        used += used % 2;
    }
    if (used != look->page_bytes - get_u16(level->page + AT_UPPER))
        return damaged(look, "page %zu: its entries have %zu bytes", level->number, used);
    return E_OK;
}

static int enter(struct look *look, unsigned kind, size_t number, unsigned depth)
{
    struct level *level = &look->levels[depth];
    bool leaf = depth + 1U == look->trees[kind].depth;
    *level = (struct level){.number = number, .page = look->pages + depth * look->page_bytes};
    int rc = claim(look, number, 1);
    if (rc == E_OK)
        rc = read_page(look, number, level->page, look->page_bytes);
    if (rc < 0)
        return rc;
    size_t lower = get_u16(level->page + AT_LOWER);
    size_t upper = get_u16(level->page + AT_UPPER);
    if ((get_u16(level->page + AT_FLAGS) & KINDS) != (leaf ? IS_LEAF : IS_BRANCH))
        return damaged(look, "page %zu: its flags are %#x", number,
                       get_u16(level->page + AT_FLAGS));
    if (lower < HEADER_BYTES || lower % 2 != 0 || lower > upper || upper > look->page_bytes)
        return damaged(look, "page %zu: its bounds are %zu and %zu", number, lower, upper);
    level->count = (unsigned)(lower - HEADER_BYTES) / 2;
    if (level->count < (leaf ? 1 : 2))
        return damaged(look, "page %zu: it has %u entries", number, level->count);
    *(leaf ? &look->found.leaves : &look->found.branches) += 1;
    return check_sizes(look, level, leaf);
}

static int check_leaf(struct look *look, unsigned kind, const struct level *level)
{
    for (unsigned i = 0; i < level->count; i++) {
        struct node node;
        int rc = get_node(look, level, i, true, &node);
        if (rc == E_OK)
            rc = check_key(look, kind, level, i, &node, true);
        if (rc == E_OK)
            rc = check_value(look, kind, &node);
        if (rc < 0)
            return rc;
        look->found.entries++;
    }
    return E_OK;
}

/* The first key of a branch is not used and may be empty. */
static int descend(struct look *look, unsigned kind, struct level *level, unsigned depth)
{
    struct node node;
    unsigned index = level->next++;
    int rc = get_node(look, level, index, false, &node);
    if (rc == E_OK && index > 0)
        rc = check_key(look, kind, level, index, &node, false);
    return rc < 0 ? rc : enter(look, kind, node.child, depth);
}

static int walk(struct look *look, unsigned kind)
{
    const struct tree *tree = &look->trees[kind];
    unsigned depth = 0;
    int rc = enter(look, kind, tree->root, 0);
    while (rc == E_OK) {
        struct level *level = &look->levels[depth];
        if (depth + 1U == tree->depth) {
            rc = check_leaf(look, kind, level);
            level->next = level->count;
        }
        if (level->next == level->count) {
            if (depth-- == 0)
                break;
            continue;
        }
        if (rc == E_OK)
            rc = descend(look, kind, level, ++depth);
    }
    return rc;
}

static int check_tree(struct look *look, unsigned kind)
{
    static const char *const names[] = {"of free pages", "of entries"};
    const struct tree *tree = &look->trees[kind];
    look->first = true;
    look->parted = false;
    look->key_bytes = 0;
    look->found = (struct tree){0};
    if ((tree->flags & ORDER_FLAGS) != (kind == FREE_TREE ? INTEGER_KEYS : 0))
        return damaged(look, "the tree %s has flags %#x", names[kind], tree->flags);
    if (tree->depth > DEPTH_MAX)
        return damaged(look, "the tree %s is %u deep", names[kind], tree->depth);
    if (tree->depth == 0 || tree->root == SIZE_MAX)
        return tree->depth == 0 && tree->root == SIZE_MAX && tree->entries == 0
                   ? E_OK
                   : damaged(look, "the tree %s has no root", names[kind]);
    int rc = walk(look, kind);
    if (rc < 0)
        return rc;
    const struct tree *found = &look->found;
    if (found->branches != tree->branches || found->leaves != tree->leaves ||
        found->overflows != tree->overflows || found->entries != tree->entries)
        return damaged(look, "the tree %s has other numbers than it says", names[kind]);
    return E_OK;
}

int verify_pages(const struct verify_file *file, char fault[VERIFY_FAULT_BYTES])
{
    struct look *look = calloc(1, sizeof *look);
    if (look == NULL)
        return E_NO_MEMORY;
    look->file = file;
    look->fault = fault;
    int rc = read_metas(look);
    if (rc < 0)
        goto end;
    look->seen = calloc(look->last / 8 + 1, 1);
    look->pages = malloc(DEPTH_MAX * look->page_bytes);
    rc = look->seen == NULL || look->pages == NULL ? E_NO_MEMORY : check_tree(look, MAIN_TREE);
    if (rc == E_OK)
        rc = check_tree(look, FREE_TREE);
end:
    free(look->seen);
    free(look->pages);
    free(look);
    return rc;
}

/* A value in a leaf lies behind the page's list of entries, never directly behind its header. */
bool verify_value_is_bad(const uint8_t *value, size_t bytes, size_t page_bytes)
{
    if (((uintptr_t)value & (page_bytes - 1)) != HEADER_BYTES)
        return false;
    return !is_overflow(value - HEADER_BYTES, overflow_pages(bytes, page_bytes));
}
