/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_COAP_NODE_H
#define RUNNEL_TESTS_UNIT_COAP_NODE_H

#include <stdbool.h>
#include <stdint.h>

/** A node that speaks DTLS with a CoAP door, by libcoap in a process of its own. */
#define COAP_NODE_IDENTITY "node"
#define COAP_NODE_KEY      "0123456789abcdef"

/** Whether libcoap can DTLS. */
bool coap_node_is_possible(void);

/** Hands {} in at 127.0.0.1:PORT from OWN_PORT, as pump, and loses power before it can say that it
 *  goes. 0: it got its 2.04; else it did not within 2 s. */
int coap_node_post(uint16_t own_port, uint16_t port);

#endif
