/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/fake_route.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/stop.h"

static const struct channel channels[] = {{.name = "temp", .unit = "Cel", .decimals = 1},
                                          {.name = "state"}};
static const struct tag tags[] = {{.name = "site", .value = "pump-4"}};

const struct sensor_definition fake_route_sensor = {.device = "gw-17",
                                                    .name = "board",
                                                    .channel_count = 2,
                                                    .channels = channels,
                                                    .tag_count = 1,
                                                    .tags = tags};

struct spool_route *fake_route_of(struct spool *spool)
{
    return (struct spool_route *)spool;
}

static struct spool *spool_of(struct spool_route *route)
{
    return (struct spool *)route;
}

static bool is_open(const struct fake_record *fake)
{
    return !fake->delivered && !fake->dead;
}

static struct fake_record *add(struct spool *spool, enum lane lane, uint64_t sequence)
{
    assert_true(spool->count < FAKE_RECORDS_MAX);
    assert_true(spool->count == 0 || spool->records[spool->count - 1].record.sequence < sequence);
    struct fake_record *fake = &spool->records[spool->count++];
    *fake = (struct fake_record){.record = {.sequence = sequence,
                                            .identity = {.spool_id = 1, .sequence = sequence},
                                            .lane = lane,
                                            .boot_ms = 1000,
                                            .wall_ms = 1795559486123,
                                            .time_quality = TIME_SYNCED}};
    spool->sensors[0] = &fake_route_sensor;
    return fake;
}

struct fake_record *fake_route_add(struct spool *spool, enum lane lane, uint64_t sequence,
                                   int64_t value)
{
    struct fake_record *fake = add(spool, lane, sequence);
    fake->record.shape = RECORD_VALUES;
    fake->record.value_count = 1;
    fake->record.values[0] =
        (struct value){.kind = VALUE_DECIMAL, .mantissa = value, .decimals = 1};
    return fake;
}

struct fake_record *fake_route_add_document(struct spool *spool, enum lane lane, uint64_t sequence,
                                            const char *document, size_t bytes)
{
    struct fake_record *fake = add(spool, lane, sequence);
    fake->record.shape = RECORD_DOCUMENT;
    fake->record.document = (const uint8_t *)document;
    fake->record.document_bytes = bytes;
    fake->record.document_piece_bytes = bytes;
    if (spool->piece_bytes > 0 && bytes > spool->piece_bytes)
        fake->record.document_piece_bytes = spool->piece_bytes;
    return fake;
}

size_t fake_route_left(const struct spool *spool)
{
    size_t left = 0;
    for (size_t i = 0; i < spool->count; i++)
        left += is_open(&spool->records[i]);
    return left;
}

static bool has_urgent(const struct spool *spool)
{
    for (size_t i = 0; i < spool->count; i++)
        if (is_open(&spool->records[i]) && spool->armed.lanes[spool->records[i].record.lane])
            return true;
    return false;
}

/* Bytes do not count: what tests store is small. */
void fake_route_wake(struct spool *spool)
{
    if (spool->armed_fd > 0 &&
        (fake_route_left(spool) >= spool->armed.records || has_urgent(spool))) {
        stop_event_signal(spool->armed_fd);
        spool->armed_fd = -1;
    }
}

/* ---- spool.h ---- */

void spool_get_id(const struct spool *spool, uint8_t ret_id[SPOOL_ID_BYTES])
{
    (void)spool;
    memcpy(ret_id, "\x9f\x31\xc2\xa4\x7b\xe0\xd8\x15", SPOOL_ID_BYTES);
}

const struct sensor_definition *spool_sensor(struct spool *spool, uint32_t sensor)
{
    return spool->sensors[sensor];
}

int spool_route_open(struct spool *spool, const struct spool_route_options *options,
                     struct spool_route **ret_route)
{
    assert_non_null(options->name);
    if (spool->open_error != E_OK)
        return spool->open_error;
    *ret_route = fake_route_of(spool);
    return E_OK;
}

void spool_route_backlog(struct spool_route *route, enum lane lane,
                         struct spool_backlog *ret_backlog)
{
    const struct spool *spool = spool_of(route);
    *ret_backlog = (struct spool_backlog){0};
    for (size_t i = 0; i < spool->count; i++) {
        const struct record *record = &spool->records[i].record;
        if (record->lane != lane || !is_open(&spool->records[i]))
            continue;
        ret_backlog->records++;
        ret_backlog->bytes += 16 + record->document_bytes;
    }
}

void spool_route_arm(struct spool_route *route, int event_fd, const struct spool_wake *wake)
{
    spool_of(route)->armed_fd = event_fd;
    spool_of(route)->armed = *wake;
    fake_route_wake(spool_of(route));
}

/* reader->last is the sequence returned last; position is how far into the document's pieces. */
void spool_reader_start(struct spool_reader *reader, struct spool_route *route, enum lane lane)
{
    memset(reader, 0, sizeof *reader);
    reader->route = route;
    reader->lane = lane;
}

int64_t spool_reader_came_ms(const struct spool_reader *reader, const struct record *record)
{
    const struct spool *spool = spool_of(reader->route);
    for (size_t i = 0; i < spool->count; i++)
        if (spool->records[i].record.sequence == record->sequence && spool->records[i].came_ms != 0)
            return spool->records[i].came_ms;
    return record->boot_ms;
}

void spool_reader_start_at(struct spool_reader *reader, struct spool_route *route, enum lane lane,
                           uint64_t from)
{
    spool_reader_start(reader, route, lane);
    reader->last = from > 0 ? from - 1 : 0;
}

uint64_t spool_next_sequence(struct spool *spool)
{
    return spool->count == 0 ? 1 : spool->records[spool->count - 1].record.sequence + 1;
}

static struct fake_record *find(struct spool *spool, const struct spool_reader *reader,
                                uint64_t *ret_previous)
{
    *ret_previous = 0;
    for (size_t i = 0; i < spool->count; i++) {
        struct fake_record *fake = &spool->records[i];
        if (fake->record.lane != reader->lane)
            continue;
        if (fake->record.sequence > reader->last && is_open(fake))
            return fake;
        *ret_previous = fake->record.sequence;
    }
    return NULL;
}

int spool_reader_next(struct spool_reader *reader, struct record *ret_record,
                      uint64_t *ret_previous)
{
    struct spool *spool = spool_of(reader->route);
    uint64_t previous;
    if (spool->read_error != E_OK)
        return spool->read_error;
    struct fake_record *fake = find(spool, reader, &previous);
    if (fake == NULL)
        return E_END;
    reader->last = fake->record.sequence;
    reader->header.boot_id[0] = spool->boot_id;
    reader->walk.position = fake->record.document_piece_bytes;
    if (fake->damaged)
        return E_DAMAGED;
    *ret_record = fake->record;
    *ret_previous = previous;
    return E_OK;
}

int spool_reader_piece(struct spool_reader *reader, const uint8_t **ret_piece, size_t *ret_bytes)
{
    struct spool *spool = spool_of(reader->route);
    size_t i = 0;
    if (spool->piece_error != E_OK)
        return spool->piece_error;
    while (spool->records[i].record.sequence != reader->last)
        i++;
    const struct record *record = &spool->records[i].record;
    size_t left = record->document_bytes - reader->walk.position;
    if (left == 0)
        return E_END;
    *ret_piece = record->document + reader->walk.position;
    *ret_bytes = left < spool->piece_bytes ? left : spool->piece_bytes;
    reader->walk.position += *ret_bytes;
    return E_OK;
}

void spool_time_freeze(struct spool_route *route)
{
    (void)route;
}

void spool_route_pin(struct spool_route *route, enum lane lane, uint64_t last)
{
    spool_of(route)->pinned[lane] = last;
}

void spool_route_unpin(struct spool_route *route)
{
    bool held = false;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        held = held || spool_of(route)->pinned[lane] > 0;
    memset(spool_of(route)->pinned, 0, sizeof spool_of(route)->pinned);
    spool_of(route)->releases += held;
}

void spool_route_ack(struct spool_route *route, enum lane lane, const struct spool_mark *marks,
                     size_t count, enum spool_outcome outcome)
{
    struct spool *spool = spool_of(route);
    uint64_t previous = 0;
    size_t found = 0;
    spool->ack_calls++;
    for (size_t i = 0; i < spool->count && found < count; i++) {
        struct fake_record *fake = &spool->records[i];
        if (fake->record.lane != lane)
            continue;
        if (fake->record.sequence >= marks[0].sequence) {
            assert_int_equal(fake->record.sequence, marks[found].sequence);
            assert_int_equal(previous, marks[found].previous);
            assert_true(is_open(fake));
            fake->delivered = outcome == SPOOL_DELIVERED;
            fake->dead = outcome == SPOOL_DEAD;
            found++;
        }
        previous = fake->record.sequence;
    }
    assert_int_equal(found, count);
}

/* Each run is whole, and joins the one before it. */
void spool_route_ack_runs(struct spool_route *route, enum lane lane, const struct spool_run *runs,
                          size_t count, enum spool_outcome outcome)
{
    struct spool *spool = spool_of(route);
    uint64_t previous = 0;
    size_t run = 0;
    uint32_t found = 0;
    spool->ack_calls++;
    for (size_t i = 0; i < spool->count && run < count; i++) {
        struct fake_record *fake = &spool->records[i];
        if (fake->record.lane != lane)
            continue;
        if (previous == runs[run].previous || found > 0) {
            assert_true(is_open(fake));
            assert_true(fake->record.sequence <= runs[run].last);
            fake->delivered = outcome == SPOOL_DELIVERED;
            fake->dead = outcome == SPOOL_DEAD;
            found++;
        }
        previous = fake->record.sequence;
        if (found > 0 && previous == runs[run].last) {
            assert_int_equal(found, runs[run++].count);
            assert_true(run == count || runs[run].previous == previous);
            found = 0;
        }
    }
    assert_int_equal(run, count);
}

int spool_gap_next(struct spool_route *route, uint64_t after, struct spool_gap *ret_gap)
{
    const struct spool *spool = spool_of(route);
    if (spool->gap.sequence <= after || spool->gap_told)
        return E_END;
    *ret_gap = spool->gap;
    return E_OK;
}

int spool_gap_seal(struct spool_route *route, const struct spool_gap *gap)
{
    struct spool *spool = spool_of(route);
    if (gap->count != spool->gap.count)
        return E_CHANGED;
    spool->gap_sealed = true;
    return E_OK;
}

void spool_gap_acknowledge(struct spool_route *route, uint64_t sequence)
{
    assert_int_equal(sequence, spool_of(route)->gap.sequence);
    spool_of(route)->gap_told = true;
}

int spool_dead_bury(struct spool_route *route, const struct spool_death *death, int64_t deadline_ms)
{
    struct spool *spool = spool_of(route);
    (void)deadline_ms;
    (void)snprintf(spool->buried_for, sizeof spool->buried_for, "%s", death->reason);
    if (spool->bury_error < 0)
        return spool->bury_error;
    spool_route_ack(route, death->lane, &death->mark, 1, SPOOL_DEAD);
    return E_OK;
}

void spool_dead_lose(struct spool_route *route, enum lane lane, const struct spool_mark *mark)
{
    spool_route_ack(route, lane, mark, 1, SPOOL_DEAD);
}
