/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_TEXT_H
#define RUNNEL_AGENT_CONTROL_TEXT_H

#include "platform/base/writer.h"

/** Lines for people, of plain ASCII: what is foreign cannot leave its line or reach the terminal.
 */
enum { TEXT_LINE_BYTES = 81 };

/** printf, cut at 80 columns. */
void text_line(struct writer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** A text of any length two columns in, broken between words; the first line begins with HEAD, the
 *  others stand under what follows it. */
void text_headed(struct writer *out, const char *head, const char *text);

/** Likewise without one. */
void text_paragraph(struct writer *out, const char *text);

#endif
