/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_reply.h"
#include "platform/base/error.h"
#include "tests/fuzz/fuzz.h"

static int read_reply(struct credentials_reply *reply, enum credentials_form form,
                      const uint8_t *bytes, size_t count, size_t piece)
{
    credentials_reply_start(reply, form);
    for (size_t at = 0; at < count; at += piece)
        (void)credentials_reply_feed(reply, bytes + at, count - at < piece ? count - at : piece);
    return credentials_reply_end(reply);
}

static void check(const struct credentials_reply *reply, int rc)
{
    const struct credentials *keys = &reply->credentials;
    bool token = reply->form == CREDENTIALS_FORM_OAUTH2;
    if (rc != 0 && rc != E_NOT_FOUND && rc != E_SYNTAX && (rc != E_UNSUPPORTED || !token))
        abort();
    if ((rc == E_SYNTAX || rc == E_UNSUPPORTED) != (reply->why != NULL))
        abort();
    if (rc == 0 && !token && (keys->access_key_id[0] == '\0' || keys->secret_access_key[0] == '\0'))
        abort();
    if (rc == 0 && token && (keys->session_token[0] == '\0' || reply->life_ms < 0))
        abort();
    for (const char *at = reply->message; *at != '\0'; at++)
        if (*at < ' ' || *at >= 0x7f)
            abort();
}

/* The first byte says in which form it is, the last one how it is cut: the result is the same. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct credentials_reply whole, cut;
    if (count < 2)
        return 0;
    enum credentials_form form = (enum credentials_form)(bytes[0] % 4);
    int whole_rc = read_reply(&whole, form, bytes + 1, count - 1, count - 1);
    int cut_rc = read_reply(&cut, form, bytes + 1, count - 1, 1 + bytes[count - 1] % 7);
    check(&whole, whole_rc);
    check(&cut, cut_rc);
    if (whole_rc != cut_rc || (whole_rc == 0 && memcmp(&whole.credentials, &cut.credentials,
                                                       sizeof cut.credentials) != 0))
        abort();
    return 0;
}
