/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/cli/cli.h"
#include "agent/cli/identity_device.h"
#include "agent/control/human.h"
#include "platform/base/error.h"
#include "platform/certificate.h"
#include "platform/hash.h"
#include "platform/identity.h"
#include "platform/json/json_write.h"
#include "platform/tls.h"

enum { OUTPUT_BYTES = 4096 };

/* What is there. Codes: 0, else why not. */
struct shown {
    struct certificate certificate;
    int certificate_rc;
    int pair_rc; /* E_NOT_FOUND: the key is another one's; else why that cannot be told */
    bool has_next;
    bool clock_known;
    int64_t days; /* left, negative behind the end */
};

static int check_pair(const struct identity_device *device)
{
    char key[IDENTITY_KEY_BYTES];
    char *cert = malloc(CERTIFICATE_FILE_BYTES_MAX);
    int cert_count = cert == NULL
                         ? E_NO_MEMORY
                         : fs_read_file(device->cert_file, cert, CERTIFICATE_FILE_BYTES_MAX);
    int key_count = fs_read_file(device->key_file, key, sizeof key);
    int rc = cert_count < 0 ? cert_count
             : key_count < 0
                 ? key_count
                 : identity_check_pair(cert, (size_t)cert_count, key, (size_t)key_count);
    hash_wipe(key, sizeof key);
    free(cert);
    return rc;
}

static void look(const struct identity_device *device, struct shown *shown)
{
    struct stat status;
    int64_t now_ms = tls_system_wall_ms(NULL, &shown->clock_known);
    shown->certificate_rc = certificate_read_file(device->cert_file, &shown->certificate);
    shown->pair_rc = shown->certificate_rc < 0 ? shown->certificate_rc : check_pair(device);
    shown->has_next = stat(device->next_key_file, &status) == 0;
    shown->days = certificate_days(shown->certificate.not_after_ms, now_ms);
}

static const char *key_words(const struct shown *shown, char text[ERROR_TEXT_BYTES])
{
    if (shown->pair_rc == 0)
        return "it is the certificate's";
    if (shown->pair_rc == E_NOT_FOUND)
        return "it is NOT the certificate's";
    if (error_tls_code(shown->pair_rc) != 0)
        return IDENTITY_UNREADABLE;
    return error_text(shown->pair_rc, text, ERROR_TEXT_BYTES);
}

static void print_certificate(const struct identity_device *device, const struct shown *shown)
{
    const struct certificate *certificate = &shown->certificate;
    char begin[HUMAN_DATE_BYTES], end[HUMAN_DATE_BYTES], words[ERROR_TEXT_BYTES];
    (void)printf("certificate  %s\n", device->cert_file);
    if (certificate->count > 1)
        (void)printf("chain        %zu certificates\n", certificate->count);
    (void)printf("subject      %s\nissuer       %s\nserial       %s\nsha256       %s\n",
                 certificate->subject, certificate->issuer, certificate->serial,
                 certificate->fingerprint);
    (void)printf("not before   %.19sZ\nnot after    %.19sZ\n",
                 human_date(certificate->not_before_ms, begin),
                 human_date(certificate->not_after_ms, end));
    if (!shown->clock_known)
        (void)printf("days left    not known: the clock of this machine is not set\n");
    else
        (void)printf("days left    %lld%s\n", (long long)shown->days,
                     shown->days < 0 ? ": it is EXPIRED" : "");
    (void)printf("key          %s: %s\n", device->key_file, key_words(shown, words));
}

static void print_text(const struct identity_device *device, const struct shown *shown)
{
    if (device->name != NULL)
        (void)printf("name         %s\n", device->name);
    if (shown->certificate_rc == 0)
        print_certificate(device, shown);
    else
        (void)printf("certificate  %s: %s\n", device->cert_file, ERROR_TEXT(shown->certificate_rc));
    if (shown->has_next)
        (void)printf("next key     %s\n             has no certificate yet; runnel identity csr "
                     "asks for one\n",
                     device->next_key_file);
}

static void write_date(struct json_write *json, const char *key, int64_t wall_ms)
{
    char date[HUMAN_DATE_BYTES];
    json_write_text(json, key, human_date(wall_ms, date));
}

static void write_certificate(struct json_write *json, const struct shown *shown)
{
    const struct certificate *certificate = &shown->certificate;
    json_write_text(json, "subject", certificate->subject);
    json_write_text(json, "issuer", certificate->issuer);
    json_write_text(json, "serial", certificate->serial);
    json_write_text(json, "fingerprint", certificate->fingerprint);
    json_write_unsigned(json, "chain", certificate->count);
    write_date(json, "not_before", certificate->not_before_ms);
    write_date(json, "not_after", certificate->not_after_ms);
    if (shown->clock_known)
        json_write_signed(json, "days", shown->days);
    else
        json_write_null(json, "days");
}

static int print_json(const struct identity_device *device, const struct shown *shown)
{
    char text[OUTPUT_BYTES];
    struct writer writer;
    struct json_write json;
    writer_to_memory(&writer, text, sizeof text - 1);
    json_write_start(&json, &writer);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "name", device->name);
    json_write_text(&json, "cert_file", device->cert_file);
    json_write_text(&json, "key_file", device->key_file);
    json_write_text(&json, "error",
                    shown->certificate_rc == 0 ? NULL : ERROR_TEXT(shown->certificate_rc));
    if (shown->certificate_rc == 0)
        write_certificate(&json, shown);
    if (shown->pair_rc == 0 || shown->pair_rc == E_NOT_FOUND)
        json_write_boolean(&json, "key_matches", shown->pair_rc == 0);
    else
        json_write_null(&json, "key_matches");
    json_write_text(&json, "next_key_file", shown->has_next ? device->next_key_file : NULL);
    json_write_object_end(&json);
    if (writer_finish(&writer) < 0)
        return CLI_FAILED;
    return puts(text) >= 0 ? CLI_DONE : CLI_FAILED;
}

int identity_show(const struct identity_device *device, const struct identity_options *options)
{
    struct shown shown = {0};
    look(device, &shown);
    if (options->json && print_json(device, &shown) != CLI_DONE)
        return CLI_FAILED;
    if (!options->json)
        print_text(device, &shown);
    return shown.certificate_rc == 0 ? CLI_DONE : CLI_FAILED;
}
