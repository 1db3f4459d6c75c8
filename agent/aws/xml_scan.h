/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_XML_SCAN_H
#define RUNNEL_AGENT_AWS_XML_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Reads the XML of AWS's query protocol as it arrives, split anywhere, in bounded memory: elements
 * and their text. Attributes, comments and processing instructions are passed over. Document types
 * and CDATA are refused (nothing here needs them, and entities of one's own are how XML bites).
 * Pure.
 */
enum { XML_NAME_BYTES = 48, XML_DEPTH_MAX = 12, XML_ENTITY_BYTES = 9 };

enum xml_event { XML_BEGIN, XML_TEXT, XML_END };

/** NAME is that of the element; DEPTH is 0 for the outermost one. TEXT is a piece of what stands
 *  directly in it, entities resolved, and not terminated. */
struct xml_token {
    enum xml_event event;
    unsigned depth;
    const char *name;
    const char *text;
    size_t text_bytes;
};

/** Returns 0 to go on; another value (< 0) ends the scan and becomes xml_scan_feed's result. */
typedef int xml_handler(void *context, const struct xml_token *token);

/** All fields are private. */
struct xml_scan {
    xml_handler *handler;
    void *context;
    int state;
    int error;
    unsigned depth;
    bool root_seen;
    char quote;      /* that ends the attribute's value */
    unsigned dashes; /* of a comment's ends */
    size_t entity_bytes;
    char entity[XML_ENTITY_BYTES];
    size_t name_bytes; /* of the name in hand */
    char names[XML_DEPTH_MAX + 1][XML_NAME_BYTES];
};

void xml_scan_start(struct xml_scan *scan, xml_handler *handler, void *context);

/** Takes COUNT bytes. 0; E_SYNTAX; E_TOO_BIG: nested too deeply or a name is too long; the
 *  handler's. An error is final. */
int xml_scan_feed(struct xml_scan *scan, const void *bytes, size_t count);

/** The input ended: 0 if it was exactly one element with what may stand around it, else E_SYNTAX
 *  or the error that ended it before. */
int xml_scan_end(struct xml_scan *scan);

#endif
