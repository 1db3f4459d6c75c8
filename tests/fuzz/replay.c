/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the directories that are given, so that any compiler's
 * build goes through the corpus. Fails if there is none. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { INPUT_BYTES = 1 << 16, PATH_BYTES = 1024 };

/* Each prefix in memory of its own size, so that a sanitizer sees who reads behind the end. */
static void replay_prefix(const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count + (count == 0));
    if (copy == NULL)
        exit(EXIT_FAILURE);
    memcpy(copy, bytes, count);
    (void)LLVMFuzzerTestOneInput(copy, count);
    free(copy);
}

static void replay_file(const char *path)
{
    static uint8_t bytes[INPUT_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t count = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    for (size_t prefix = 0; prefix <= count; prefix++)
        replay_prefix(bytes, prefix);
}

static int replay_directory(const char *directory)
{
    DIR *entries = opendir(directory);
    int files = 0;
    if (entries == NULL) {
        perror(directory);
        exit(EXIT_FAILURE);
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[PATH_BYTES];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        replay_file(path);
        files++;
    }
    (void)closedir(entries);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++)
        files += replay_directory(argv[i]);
    printf("%d files, each with all its prefixes\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
