/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/batch/partition.h"
#include "agent/batch/partition_table.h"
#include "platform/base/bytes.h"
#include "platform/hash.h"

/* How evenly each kind of partition key loads a stream: the load of the most loaded shard over what
 * its share of the hash space would have. Shards are equal, or halved at random as autoscaling
 * leaves them, or cut anywhere. Prints the table of which agent/DESIGN.md has an excerpt. */
enum { SHARDS_MAX = 1000, RECORDS_MIN = 40000, DEVICES_MAX = 10000, KINDS = 5 };
enum { EQUAL, HALVED, CUT, SPLITS };

static const char *const kind_names[KINDS] = {"even", "device", "sensor", "random", "fixed"};
static const char *const split_names[SPLITS] = {"equal", "halved", "cut"};
static const unsigned shard_counts[] = {1, 2, 3, 5, 16, 60, 250, 1000};
static const unsigned device_counts[] = {1, 10, 100, 1000, DEVICES_MAX};

/* The bounds of shards as the first 64 bits of the 128, the last one open. */
struct stream {
    unsigned shards;
    uint64_t first[SHARDS_MAX + 1];
};

/* Where the records of a fleet lie. */
struct fleet {
    size_t count;
    uint64_t places[DEVICES_MAX * 4];
};

static uint64_t mix(uint64_t *state)
{
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return *state >> 33;
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static uint64_t width_of(const struct stream *stream, unsigned shard)
{
    return stream->first[shard + 1] - stream->first[shard];
}

/* So many of the narrowest shards make the whole. */
static unsigned narrowest(unsigned shards)
{
    return shards < 128 ? 256 : 2 * shards;
}

static void split_stream(struct stream *stream, unsigned shards, int split)
{
    const uint64_t narrow = UINT64_MAX / narrowest(shards);
    uint64_t random = shards;
    stream->shards = split == EQUAL ? shards : 1;
    for (unsigned i = 0; i <= shards; i++)
        stream->first[i] = i == shards ? UINT64_MAX : UINT64_MAX / shards * i;
    if (split != EQUAL)
        stream->first[1] = UINT64_MAX;
    while (stream->shards < shards) {
        unsigned shard = (unsigned)(mix(&random) % stream->shards);
        uint64_t width = width_of(stream, shard);
        if (width < 2 * narrow)
            continue;
        uint64_t part = split == HALVED
                            ? width / 2
                            : narrow + (width - 2 * narrow) / 1024 * (mix(&random) % 1024);
        stream->first[++stream->shards] = stream->first[shard] + part;
        qsort(stream->first, stream->shards + 1, sizeof stream->first[0], compare);
    }
}

static unsigned shard_of(const struct stream *stream, uint64_t place)
{
    unsigned low = 0;
    unsigned high = stream->shards;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (stream->first[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double evenness(const struct stream *stream, const struct fleet *fleet)
{
    static unsigned loads[SHARDS_MAX];
    double worst = 0;
    memset(loads, 0, sizeof loads);
    for (size_t i = 0; i < fleet->count; i++)
        loads[shard_of(stream, fleet->places[i])]++;
    for (unsigned shard = 0; shard < stream->shards; shard++) {
        double share = (double)width_of(stream, shard) / (double)UINT64_MAX;
        double load = loads[shard] / (share * (double)fleet->count);
        worst = load > worst ? load : worst;
    }
    return worst;
}

static uint64_t place_of(const char *key, size_t count)
{
    uint8_t digest[HASH_MD5_BYTES];
    hash_md5(key, count, digest);
    return bytes_get_be64(digest);
}

/* Device after device, record after record, five sensors in turn. PLANTED: a table of which only
 * the lower half is used. */
static void fill_fleet(struct fleet *fleet, enum partition_kind kind, unsigned devices,
                       bool planted)
{
    unsigned each = RECORDS_MIN / devices;
    char key[PARTITION_KEY_BYTES];
    fleet->count = 0;
    for (unsigned device = 0; device < devices; device++) {
        static const char *const sensors[] = {"board", "meter", "plc", "pump", "tank"};
        char name[32];
        (void)snprintf(name, sizeof name, "gw-%05u", device);
        const struct partition partition = {
            .kind = kind, .seed = device, .start = partition_start(name), .fixed = "telemetry"};
        for (unsigned i = 1; i <= each; i++) {
            const struct sensor_definition sensor = {.device = name, .name = sensors[i % 5]};
            const struct record record = {.sequence = i};
            size_t count = partition_key(&partition, i, &record, &sensor, key);
            if (planted)
                count = partition_table_key((partition.start + i * 2529) % PARTITION_TABLE_KEYS / 2,
                                            key);
            fleet->places[fleet->count++] = place_of(key, count);
        }
    }
}

/* Chance makes one or the other a little better where ten thousand devices send four records each:
 * then `even` is as good as random. */
static bool is_best(const double worst[KINDS], double slack)
{
    for (int kind = 1; kind < KINDS; kind++)
        if (worst[0] > worst[kind] * slack)
            return false;
    return true;
}

static void measure(const struct stream *stream, const struct fleet fleets[KINDS],
                    double ret_worst[KINDS])
{
    for (int kind = 0; kind < KINDS; kind++)
        ret_worst[kind] = evenness(stream, &fleets[kind]);
}

static struct fleet fleets[KINDS];

static void test_even_is_best(void **state)
{
    (void)state;
    printf("%8s %7s %7s", "devices", "shards", "split");
    for (int kind = 0; kind < KINDS; kind++)
        printf(" %8s", kind_names[kind]);
    printf("\n");
    for (size_t d = 0; d < sizeof device_counts / sizeof device_counts[0]; d++) {
        for (int kind = 0; kind < KINDS; kind++)
            fill_fleet(&fleets[kind], (enum partition_kind)kind, device_counts[d], false);
        for (size_t s = 0; s < sizeof shard_counts / sizeof shard_counts[0]; s++)
            for (int split = EQUAL; split < SPLITS; split++) {
                struct stream stream;
                double worst[KINDS];
                split_stream(&stream, shard_counts[s], split);
                measure(&stream, fleets, worst);
                printf("%8u %7u %7s", device_counts[d], shard_counts[s], split_names[split]);
                for (int kind = 0; kind < KINDS; kind++)
                    printf(" %8.2f", worst[kind]);
                printf("\n");
                /* A shard that is cut out anywhere may hold a key of the table too many. */
                double key = (double)narrowest(shard_counts[s]) / PARTITION_TABLE_KEYS;
                assert_true(is_best(worst, split == CUT ? 1.1 + key : 1.1));
                /* One device alone: by the resolution of the table, which has 4,096 keys. */
                if (device_counts[d] == 1 && split != CUT)
                    assert_true(worst[0] < (shard_counts[s] <= 60 ? 1.03 : 1.26));
            }
    }
}

/* The judge sees a table that leaves out half of the space. */
static void test_bad_table_is_seen(void **state)
{
    struct stream stream;
    double worst[KINDS];
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        fill_fleet(&fleets[kind], (enum partition_kind)kind, 100, kind == PARTITION_EVEN);
    split_stream(&stream, 16, EQUAL);
    measure(&stream, fleets, worst);
    assert_false(is_best(worst, 1.3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_is_best),
        cmocka_unit_test(test_bad_table_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
