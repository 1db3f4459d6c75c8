/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_NEAREST_H
#define RUNNEL_AGENT_CONTROL_NEAREST_H

#include <stddef.h>

/**
 * Finds the word that was likely meant: the candidate with the fewest insertions, deletions,
 * replacements and swaps of neighbours, if these are at most a third of the word. Pure.
 */
enum { NEAREST_WORD_BYTES = 64 };

struct nearest {
    const char *word;
    unsigned distance;
    char best[NEAREST_WORD_BYTES];
};

void nearest_start(struct nearest *nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *candidate, size_t count);

/** The best candidate offered, or NULL if none is near. Lives in NEAREST. */
const char *nearest_result(const struct nearest *nearest);

#endif
