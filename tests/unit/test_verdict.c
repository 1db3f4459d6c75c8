/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "agent/uplink/verdict.h"
#include "platform/base/error.h"

static enum verdict ask(int error, int status, const char *code, const char *message)
{
    const struct verdict_question question = {
        .error = error, .status = status, .code = code, .message = message};
    return verdict_of_request(&question);
}

/* One row per error of the wire reference. "Exception" may be there or not. */
static void test_every_code(void **state)
{
    static const struct {
        int status;
        const char *code;
        enum verdict verdict;
    } rows[] = {
        /* Kinesis and Firehose: 400 throughout */
        {400, "ProvisionedThroughputExceededException", VERDICT_THROTTLE},
        {400, "LimitExceededException", VERDICT_THROTTLE},
        {400, "ThrottlingException", VERDICT_THROTTLE},
        {400, "Throttling", VERDICT_THROTTLE},
        {400, "KMSThrottlingException", VERDICT_THROTTLE},
        {400, "RequestLimitExceeded", VERDICT_THROTTLE},
        {429, "TooManyRequestsException", VERDICT_THROTTLE},
        {503, "SlowDown", VERDICT_THROTTLE},
        {500, "InternalFailure", VERDICT_RETRY_BATCH},
        {500, "InternalFailureException", VERDICT_RETRY_BATCH},
        {503, "ServiceUnavailable", VERDICT_RETRY_BATCH},
        {503, "ServiceUnavailableException", VERDICT_THROTTLE}, /* of Firehose */
        {400, "RequestTimeout", VERDICT_RETRY_BATCH},
        {400, "ExpiredTokenException", VERDICT_REFRESH_CREDENTIALS},
        {400, "ExpiredToken", VERDICT_REFRESH_CREDENTIALS},
        {400, "UnrecognizedClientException", VERDICT_REFRESH_CREDENTIALS},
        {403, "InvalidAccessKeyId", VERDICT_REFRESH_CREDENTIALS},
        {400, "MissingAuthenticationTokenException", VERDICT_REFRESH_CREDENTIALS},
        {400, "IncompleteSignature", VERDICT_REFRESH_CREDENTIALS},
        {400, "IncompleteSignatureException", VERDICT_REFRESH_CREDENTIALS},
        {403, "RequestTimeTooSkewed", VERDICT_FIX_CLOCK},
        {400, "InvalidSignatureException", VERDICT_OPERATOR},
        {403, "SignatureDoesNotMatch", VERDICT_OPERATOR},
        {400, "AccessDeniedException", VERDICT_OPERATOR},
        {403, "AccessDenied", VERDICT_OPERATOR},
        {400, "ResourceNotFoundException", VERDICT_OPERATOR},
        {400, "ResourceInUseException", VERDICT_OPERATOR},
        {400, "KMSAccessDeniedException", VERDICT_OPERATOR},
        {400, "KMSDisabledException", VERDICT_OPERATOR},
        {400, "KMSInvalidStateException", VERDICT_OPERATOR},
        {400, "KMSNotFoundException", VERDICT_OPERATOR},
        {400, "KMSOptInRequired", VERDICT_OPERATOR},
        {400, "SerializationException", VERDICT_OPERATOR},
        {400, "UnknownOperationException", VERDICT_OPERATOR},
        {400, "InvalidArgumentException", VERDICT_BISECT},
        {400, "InvalidRequest", VERDICT_OPERATOR},
        {400, "ValidationException", VERDICT_BISECT},
        {400, "InvalidSourceException", VERDICT_OPERATOR},
        {400, "InvalidKMSResourceException", VERDICT_OPERATOR},

        /* API Gateway */
        {400, "BadRequestException", VERDICT_BISECT},
        {401, "UnauthorizedException", VERDICT_REFRESH_CREDENTIALS},
        {403, "ForbiddenException", VERDICT_OPERATOR},
        {403, "MissingAuthenticationTokenException", VERDICT_REFRESH_CREDENTIALS},
        {403, "AccessDeniedException", VERDICT_OPERATOR},
        {403, "InvalidSignatureException", VERDICT_OPERATOR},
        {403, "ExpiredTokenException", VERDICT_REFRESH_CREDENTIALS},
        {413, "RequestTooLargeException", VERDICT_TOO_LARGE},
        {415, "BadRequestException", VERDICT_OPERATOR},
        {415, "UnsupportedMediaTypeException", VERDICT_OPERATOR},
        {429, "LimitExceededException", VERDICT_OPERATOR},
        {500, "InternalServerErrorException", VERDICT_RETRY_BATCH},
        {504, "InternalServerErrorException", VERDICT_RETRY_BATCH},
        {404, "ResourceNotFoundException", VERDICT_OPERATOR},

        /* S3 */
        {500, "InternalError", VERDICT_RETRY_BATCH},
        {409, "ConditionalRequestConflict", VERDICT_RETRY_BATCH},
        {400, "BadDigest", VERDICT_RETRY_BATCH},
        {400, "InvalidDigest", VERDICT_RETRY_BATCH},
        {404, "NoSuchBucket", VERDICT_OPERATOR},
        {301, "PermanentRedirect", VERDICT_OPERATOR},
        {307, "TemporaryRedirect", VERDICT_OPERATOR},
        {400, "IllegalLocationConstraintException", VERDICT_OPERATOR},
        {400, "InvalidBucketName", VERDICT_OPERATOR},
        {400, "InvalidStorageClass", VERDICT_OPERATOR},
        {501, "NotImplemented", VERDICT_OPERATOR},
        {400, "AuthorizationHeaderMalformed", VERDICT_OPERATOR},
        {400, "EntityTooLarge", VERDICT_TOO_LARGE},
        {400, "KMS.DisabledException", VERDICT_OPERATOR},
        {400, "KMS.NotFoundException", VERDICT_OPERATOR},
        {403, "KMS.KMSInvalidStateException", VERDICT_OPERATOR},
        {400, "KMS.InvalidStateException", VERDICT_OPERATOR},
        {400, "TokenRefreshRequired", VERDICT_REFRESH_CREDENTIALS},

        /* STS, and what all have in common */
        {400, "IDPCommunicationError", VERDICT_RETRY_BATCH},
        {403, "IDPRejectedClaim", VERDICT_OPERATOR},
        {400, "InvalidIdentityToken", VERDICT_REFRESH_CREDENTIALS},
        {403, "InvalidClientTokenId", VERDICT_REFRESH_CREDENTIALS},
        {403, "AuthFailure", VERDICT_OPERATOR},
        {400, "NotAuthorized", VERDICT_OPERATOR},
        {403, "OptInRequired", VERDICT_OPERATOR},
        {400, "RequestExpired", VERDICT_FIX_CLOCK},
        {400, "RequestInTheFuture", VERDICT_FIX_CLOCK},
        {400, "PriorRequestNotComplete", VERDICT_RETRY_BATCH},
        {400, "RequestTimeoutException", VERDICT_RETRY_BATCH},
        {400, "ThrottledException", VERDICT_THROTTLE},
        {400, "RequestThrottledException", VERDICT_THROTTLE},
        {400, "RequestThrottled", VERDICT_THROTTLE},
        {400, "TransactionInProgressException", VERDICT_THROTTLE},
        {400, "BandwidthLimitExceeded", VERDICT_THROTTLE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ask(E_OK, rows[i].status, rows[i].code, ""), rows[i].verdict);
}

static void test_signature_of_the_wrong_time(void **state)
{
    static const char *const codes[] = {"InvalidSignatureException", "SignatureDoesNotMatch"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(E_OK, 400, codes[i],
                             "Signature expired: 20260115T120000Z is now earlier than "
                             "20260115T122956Z (20260115T123456Z - 5 min.)"),
                         VERDICT_FIX_CLOCK);
        assert_int_equal(ask(E_OK, 400, codes[i],
                             "Signature not yet current: 20260115T124000Z is still later than "
                             "20260115T123956Z (20260115T123456Z + 5 min.)"),
                         VERDICT_FIX_CLOCK);
        assert_int_equal(ask(E_OK, 400, codes[i], "The request signature we calculated does not"),
                         VERDICT_OPERATOR);
    }
}

static void test_server_time_in_a_message(void **state)
{
    static const char *const none[] = {"",
                                       "(",
                                       "Signature expired (20260115)",
                                       "(20261315T123456Z - 5 min.)",
                                       "(20260115T123456 - 5",
                                       "(-0260115T123456Z)",
                                       "20260115T123456Z"};
    int64_t wall_ms = 17;
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(verdict_server_time(none[i], &wall_ms));
    assert_int_equal(wall_ms, 17);
    assert_true(verdict_server_time("Signature expired: 20260115T120000Z is now earlier than "
                                    "20260115T122956Z (20260115T123456Z - 5 min.)",
                                    &wall_ms));
    assert_int_equal(wall_ms, INT64_C(1768480496000));
    assert_true(verdict_server_time("(what) is (19700101T000001Z)", &wall_ms));
    assert_int_equal(wall_ms, 1000);
}

/* Authorizers say it with any code, or none; a signature that expired is another matter. */
static void test_expired_tokens(void **state)
{
    static const char *const messages[] = {
        "The incoming token has expired",
        "The security token included in the request is expired",
        "Token is expired",
    };
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(ask(E_OK, 401, "", messages[i]), VERDICT_REFRESH_CREDENTIALS);
        assert_int_equal(ask(E_OK, 403, "AccessDeniedException", messages[i]),
                         VERDICT_REFRESH_CREDENTIALS);
        assert_int_equal(ask(E_OK, 500, "", messages[i]), VERDICT_RETRY_BATCH);
    }
    assert_int_equal(ask(E_OK, 403, "AccessDeniedException", "the invitation has expired"),
                     VERDICT_OPERATOR);
}

static void test_request_that_is_too_large(void **state)
{
    (void)state;
    assert_int_equal(ask(E_OK, 400, "InvalidArgumentException", "Records size exceeds 5 MB limit"),
                     VERDICT_TOO_LARGE);
    assert_int_equal(ask(E_OK, 400, "ValidationException",
                         "Member must have length less than or equal to 1048576"),
                     VERDICT_BISECT);
}

/* With a Date far off, what looks like a wrong key is a wrong clock. */
static void test_skew_explains_refusals(void **state)
{
    static const char *const codes[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                        "AccessDeniedException", "AuthFailure"};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const struct verdict_question question = {
            .status = 400, .code = codes[i], .message = "", .skewed = true};
        assert_int_equal(verdict_of_request(&question), VERDICT_FIX_CLOCK);
    }
    const struct verdict_question other = {
        .status = 400, .code = "ResourceNotFoundException", .message = "", .skewed = true};
    assert_int_equal(verdict_of_request(&other), VERDICT_OPERATOR);
}

/* An object is refused for what the route or the bucket is, never for a record. */
static void test_nothing_in_an_object_is_looked_for(void **state)
{
    struct verdict_question question = {.status = 400, .code = "InvalidArgument", .message = ""};
    (void)state;
    assert_int_equal(verdict_of_request(&question), VERDICT_BISECT);
    question.whole = true;
    assert_int_equal(verdict_of_request(&question), VERDICT_OPERATOR);
    question.code = "EntityTooLarge";
    assert_int_equal(verdict_of_request(&question), VERDICT_TOO_LARGE);
}

static void test_statuses_without_a_code(void **state)
{
    static const struct {
        int status;
        enum verdict verdict;
    } rows[] = {{204, VERDICT_RETRY_BATCH},
                {301, VERDICT_OPERATOR},
                {302, VERDICT_OPERATOR},
                {400, VERDICT_RETRY_BATCH},
                {401, VERDICT_REFRESH_CREDENTIALS},
                {403, VERDICT_OPERATOR},
                {404, VERDICT_OPERATOR},
                {405, VERDICT_OPERATOR},
                {407, VERDICT_OPERATOR},
                {408, VERDICT_RETRY_BATCH},
                {409, VERDICT_RETRY_BATCH},
                {413, VERDICT_TOO_LARGE},
                {415, VERDICT_OPERATOR},
                {429, VERDICT_THROTTLE},
                {500, VERDICT_RETRY_BATCH},
                {502, VERDICT_RETRY_BATCH},
                {503, VERDICT_RETRY_BATCH},
                {504, VERDICT_RETRY_BATCH},
                {511, VERDICT_RETRY_BATCH},
                {599, VERDICT_RETRY_BATCH}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ask(E_OK, rows[i].status, "", ""), rows[i].verdict);
        assert_int_equal(ask(E_OK, rows[i].status, "NeverHeardOf", "x"), rows[i].verdict);
    }
}

/* Only a reply of status 200 that answers for each record delivers; nothing ever drops data. */
static void test_only_an_answer_delivers(void **state)
{
    static const int errors[] = {E_OK,   E_TIMEOUT, E_CLOSED, E_SYNTAX,     E_TOO_BIG,
                                 E_NAME, E_CHANGED, E_STOP,   E_CERTIFICATE};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        for (int status = 100; status < 600; status++)
            for (int understood = 0; understood <= 1; understood++) {
                const struct verdict_question question = {.error = errors[i],
                                                          .status = status,
                                                          .understood = understood,
                                                          .code = "",
                                                          .message = ""};
                enum verdict verdict = verdict_of_request(&question);
                bool good = errors[i] == E_OK && understood;
                assert_int_equal(verdict == VERDICT_DELIVERED, good);
            }
    assert_int_equal(ask(E_OK, 200, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(E_OK, 200, "ThrottlingException", ""), VERDICT_THROTTLE);
}

static void test_transport_errors(void **state)
{
    (void)state;
    assert_int_equal(ask(E_TIMEOUT, 0, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(E_CLOSED, 200, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(error_sys(111), 0, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(error_tls(-0x7200), 0, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(E_CERTIFICATE, 0, "", ""), VERDICT_OPERATOR);
    assert_int_equal(ask(E_REFUSED, 407, "", ""), VERDICT_OPERATOR); /* by a proxy */
    assert_int_equal(ask(E_REFUSED, 403, "", ""), VERDICT_OPERATOR);
    assert_int_equal(ask(E_REFUSED, 302, "", ""), VERDICT_OPERATOR);
    assert_int_equal(ask(E_REFUSED, 502, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(E_REFUSED, 413, "", ""), VERDICT_RETRY_BATCH); /* no record's fault */
    assert_int_equal(ask(E_REFUSED, 429, "", ""), VERDICT_RETRY_BATCH);
    assert_int_equal(ask(E_INVALID, 0, "", ""), VERDICT_OPERATOR);
}

static void test_records(void **state)
{
    (void)state;
    assert_int_equal(verdict_of_record("ProvisionedThroughputExceededException"), VERDICT_THROTTLE);
    assert_int_equal(verdict_of_record("ServiceUnavailableException"), VERDICT_THROTTLE);
    assert_int_equal(verdict_of_record("ServiceUnavailable"), VERDICT_RETRY_RECORD);
    assert_int_equal(verdict_of_record("InternalFailure"), VERDICT_RETRY_RECORD);
    assert_int_equal(verdict_of_record("KMSDisabledException"), VERDICT_RETRY_RECORD);
    assert_int_equal(verdict_of_record("AccessDeniedException"), VERDICT_RETRY_RECORD);
    assert_int_equal(verdict_of_record("NeverHeardOf"), VERDICT_RETRY_RECORD);
    assert_int_equal(verdict_of_record(""), VERDICT_RETRY_RECORD);
}

/* Whenever somebody must act, the message says how. */
static void test_remedies(void **state)
{
    static const char *const codes[] = {"", "AccessDeniedException", "KMSDisabledException",
                                        "ResourceNotFoundException", "UnrecognizedClientException"};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        for (int status = 200; status < 600; status++) {
            const struct verdict_question question = {
                .status = status, .code = codes[i], .message = ""};
            if (verdict_of_request(&question) == VERDICT_OPERATOR)
                assert_non_null(verdict_remedy(&question));
        }
    const struct verdict_question certificate = {.error = E_CERTIFICATE, .code = "", .message = ""};
    assert_non_null(strstr(verdict_remedy(&certificate), "ca_file"));
    struct verdict_question absent = {.error = error_sys(ENOENT), .code = "", .message = ""};
    assert_int_equal(verdict_of_request(&absent), VERDICT_RETRY_BATCH);
    absent.files_unfit = true;
    assert_int_equal(verdict_of_request(&absent), VERDICT_OPERATOR);
    assert_non_null(strstr(verdict_remedy(&absent), "ca_file"));
    const struct verdict_question timeout = {.error = E_TIMEOUT, .code = "", .message = ""};
    assert_null(verdict_remedy(&timeout));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code),
        cmocka_unit_test(test_signature_of_the_wrong_time),
        cmocka_unit_test(test_server_time_in_a_message),
        cmocka_unit_test(test_expired_tokens),
        cmocka_unit_test(test_request_that_is_too_large),
        cmocka_unit_test(test_skew_explains_refusals),
        cmocka_unit_test(test_statuses_without_a_code),
        cmocka_unit_test(test_only_an_answer_delivers),
        cmocka_unit_test(test_transport_errors),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_remedies),
        cmocka_unit_test(test_nothing_in_an_object_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
