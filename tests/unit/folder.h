/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FOLDER_H
#define RUNNEL_TESTS_UNIT_FOLDER_H

/** Removes the files in the folder at PATH, which has no folders in it and stays. */
void folder_empty(const char *path);

#endif
