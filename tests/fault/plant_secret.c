/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: the log shows the keys. */
#include "agent/aws/credentials.h"
#include "platform/base/log.h"

int __real_credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES],
                           struct credentials *ret_credentials);
int __wrap_credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES],
                           struct credentials *ret_credentials);

int __wrap_credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    int rc = __real_credentials_get(provider, deadline_ms, fault, ret_credentials);
    if (rc == 0)
        log_info("credentials key=%s secret=%s", ret_credentials->access_key_id,
                 ret_credentials->secret_access_key);
    return rc;
}
