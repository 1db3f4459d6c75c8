/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/coap_node.h"

#include <arpa/inet.h>
#include <coap3/coap.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"

enum { ANSWER_MS = 2000, FORMAT_JSON = 50 };

static coap_response_t note_answer(coap_session_t *session, const coap_pdu_t *sent,
                                   const coap_pdu_t *received, const coap_mid_t mid)
{
    bool *is_answered = coap_session_get_app_data(session);
    (void)sent;
    (void)mid;
    *is_answered = coap_pdu_get_code(received) == COAP_RESPONSE_CODE_CHANGED;
    return COAP_RESPONSE_OK;
}

static coap_address_t loopback(uint16_t port)
{
    coap_address_t address;
    coap_address_init(&address);
    address.size = sizeof address.addr.sin;
    address.addr.sin.sin_family = AF_INET;
    address.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.addr.sin.sin_port = htons(port);
    return address;
}

static _Noreturn void be_node(uint16_t own_port, uint16_t port)
{
    static const char key[] = COAP_NODE_KEY;
    static const char identity[] = COAP_NODE_IDENTITY;
    const coap_address_t own = loopback(own_port);
    const coap_address_t door = loopback(port);
    bool is_answered = false;
    coap_dtls_cpsk_t setup = {.version = COAP_DTLS_CPSK_SETUP_VERSION};
    setup.psk_info.identity =
        (coap_bin_const_t){.s = (const uint8_t *)identity, .length = sizeof identity - 1};
    setup.psk_info.key = (coap_bin_const_t){.s = (const uint8_t *)key, .length = sizeof key - 1};
    coap_context_t *context = coap_new_context(NULL);
    coap_register_response_handler(context, note_answer);
    coap_session_t *session =
        coap_new_client_session_psk2(context, &own, &door, COAP_PROTO_DTLS, &setup);
    if (session == NULL)
        _exit(2);
    coap_session_set_app_data(session, &is_answered);
    coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_POST, session);
    (void)coap_add_option(pdu, COAP_OPTION_URI_PATH, 1, (const uint8_t *)"t");
    (void)coap_add_option(pdu, COAP_OPTION_URI_PATH, 4, (const uint8_t *)"pump");
    (void)coap_add_option(pdu, COAP_OPTION_CONTENT_FORMAT, 1, (const uint8_t[]){FORMAT_JSON});
    (void)coap_add_data(pdu, 2, (const uint8_t *)"{}");
    (void)coap_send(session, pdu);
    for (int64_t until_ms = clock_mono_ms() + ANSWER_MS;
         !is_answered && clock_mono_ms() < until_ms;)
        (void)coap_io_process(context, 100);
    _exit(is_answered ? 0 : 1);
}

bool coap_node_is_possible(void)
{
    return coap_dtls_is_supported() != 0;
}

int coap_node_post(uint16_t own_port, uint16_t port)
{
    int status;
    pid_t node = fork();
    if (node == 0)
        be_node(own_port, port);
    if (node < 0 || waitpid(node, &status, 0) != node || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
