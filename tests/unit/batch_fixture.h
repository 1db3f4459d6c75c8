/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_BATCH_FIXTURE_H
#define RUNNEL_TESTS_UNIT_BATCH_FIXTURE_H

#include "agent/batch/batch.h"
#include "tests/unit/fake_route.h"

/** A batch over a fake route, and room for the body that it writes. */
enum { BODY_BYTES_MAX = 1 << 20 };

struct fixture {
    struct spool spool;
    struct batch batch;
    char body[BODY_BYTES_MAX];
    struct writer out;
};

/* Frames that show what they were called with: <0:data/key,1:data/key,> */
extern const struct batch_frame frame;         /* in base64 */
extern const struct batch_frame frame_plain;   /* as it is */
extern const struct batch_frame frame_lines;   /* likewise, with newlines */
extern const struct batch_frame frame_newline; /* in base64, with newlines in it */
extern const struct batch_frame frame_keyless; /* likewise, without keys */
extern const struct batch_frame frame_counted; /* in base64, and the body counts */
extern const struct batch_frame frame_object;  /* plain lines and nothing else, answered together */

int set_up(void **state);
int tear_down(void **state);

/** Raw documents, all lanes, the partition key "key", the frame in base64. */
struct batch_options usual_options(struct fixture *fixture);
void open_batch(struct fixture *fixture, const struct batch_options *options);
void open_usual(struct fixture *fixture);

void add(struct fixture *fixture, enum lane lane, uint64_t sequence, const char *document);

/** The second pass, into fixture->body; what batch_write returned. */
int write_body(struct fixture *fixture);

/** The second pass gives what the first announced. */
void assert_passes_agree(struct fixture *fixture);

/** A build takes what makes EXPECTED. */
void assert_builds(struct fixture *fixture, const char *expected);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
