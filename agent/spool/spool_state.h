/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_SPOOL_STATE_H
#define RUNNEL_AGENT_SPOOL_SPOOL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/spool/came.h"
#include "agent/spool/cursor.h"
#include "agent/spool/spool.h"
#include "agent/spool/store.h"
#include "platform/base/log.h"
#include "platform/fs.h"
#include "platform/thread.h"

/**
 * What the files spool_*.c share; nobody else includes it.
 *
 * spool->lock guards everything below but the store, which has its own. It is never held across
 * I/O. Functions named *_locked are called with it held.
 */

/** A start that finds numbers from here on in use begins a new spool. Numbers up to 2^53 are exact
 *  wherever JSON is read as binary64; what is left is for one run: five years at 100,000 records a
 *  second. */
#define SPOOL_SEQUENCE_END ((UINT64_C(1) << 53) - (UINT64_C(1) << 44))

enum {
    SPOOL_FORMAT = 2,
    SPOOL_FORMAT_UNSEALED = 1, /* values without checksums */
    SPOOL_STATE_BYTES = 192,
    SPOOL_ROUTE_BYTES = 192,
    CURSOR_BIRTH_BYTES = 4, /* before a stored cursor: its route's birth */
    SENSORS_MAX = 1024,
    SOURCES_MAX = SPOOL_SOURCES_MAX,
    EVENT_BYTES = 168, /* at most, as stored */
    EVENTS_STORED_MAX = 256,
    FIRST_BOOT = 4096, /* of a new file: below it are numbers for those of files set aside */
    TIMES_MAX = 3, /* versions of the timeline: today's, and those that batches in flight need */
    RESERVATION = 65536,
    CLOCK_STEP_MS = 500, /* a block is sealed when the offset changes by more */
    DELETES_MAX = 1024,  /* blocks that one commit deletes */
    DEAD_REQUESTS_MAX = 64,
    ROUTE_DAYS = 7,    /* that a route is remembered when it is not configured any more */
    GAPS_PER_LANE = 5, /* of a route: after that, gaps become one */
};

/** A block in RAM. What is accepted stays so: by a commit, or because every holding route has it.
 */
struct head_block {
    struct head_block *next;
    struct block_header header;
    bool open;                /* takes more records */
    bool writing;             /* the commit under way carries it: it must stay */
    bool stored;              /* flash has it, */
    uint16_t stored_bytes;    /* so large, */
    uint16_t stored_count;    /* with so many records; */
    uint16_t committed_count; /* a commit that holds said that it had so many */
    uint16_t accepted_count;
    uint16_t done_count; /* records that every holding route has */
    int64_t last_boot_ms;
    uint8_t bytes[BLOCK_BYTES];
    uint8_t done[BLOCK_RECORDS_MAX]; /* per record: the routes that have it, a bit each */
    uint8_t dead[BLOCK_RECORDS_MAX]; /* of these: those for which it is a dead letter */
};

struct head_lane {
    struct head_block *first;
    struct head_block *last;
    size_t blocks;
};

/** One block of the commit under way: the header as of the moment when the counters were taken. */
struct commit_block {
    struct head_block *block;
    struct block_header header;
};

/** What flash has of a lane, acknowledged or not. */
struct lane_flash {
    uint64_t records;
    uint64_t blocks;
    uint64_t bytes; /* of the blocks as stored */
};

struct lane_state {
    struct head_lane head;
    uint64_t pending;
    uint64_t refused;
    struct lane_flash flash;
    uint64_t hidden_first; /* of the first record that waits for its commit to be served; 0: none */
    uint64_t hidden_records;
    uint64_t hidden_bytes;
    uint64_t later_first; /* likewise, but only what came since the commit under way began */
    uint64_t later_records;
    uint64_t later_bytes;
    int64_t hidden_since_ms; /* boot clock, as all times here */
    int64_t due_ms;          /* when the committer looks again; INT64_MAX: nothing is pending */
    struct came came;        /* when its records came */
    int64_t waited_for_ms;   /* when somebody began to wait for a commit; 0: nobody does */
    bool inexact;            /* a block with an unknown number of records was given up */
    bool full;               /* the policy says that new records find no room */
    uint8_t routes;          /* a bit for each route that reads it */
    uint8_t holders;         /* of these: those that hold records */
};

/** Blocks that left the head, and never were on flash, while a route that does not hold had a batch
 *  with their records in flight: should it deliver them, they were not evicted after all. */
struct left_blocks {
    size_t count;
    struct {
        uint64_t first;
        uint64_t last;
    } ranges[CONFIG_SPOOL_HEAD_BLOCKS];
};

/** A gap on its way. */
struct gap_slot {
    struct spool_gap gap; /* sequence 0: there is none here */
    uint64_t stored;      /* the sequence under which flash has one, or may have; 0: none */
    bool dirty;           /* flash has it otherwise, or not */
    bool sealed;          /* it may have been sent */
    bool acked;           /* its entry waits to be deleted */
};

struct gap_range {
    uint64_t first;
    uint64_t last;
    uint64_t count;
};

/** A dead letter on its way to flash, which the route's thread waits for. */
struct burial {
    bool wanted;
    int result;
    enum lane lane;
    uint64_t place;
    unsigned attempts;
    char reason[SPOOL_REASON_BYTES];
};

struct dead_request {
    unsigned route;
    uint64_t place;
    bool again;
    bool seen;     /* some commit tried */
    bool imported; /* its record is in the head */
    bool done;     /* by the commit under way */
};

struct dead_count {
    uint64_t letters;
    uint64_t bytes;
};

struct spool_route {
    struct spool *spool;
    unsigned index;
    bool used;         /* the entry is in the table of routes */
    bool active;       /* it was open when the table was written last */
    bool counted;      /* its counters were complete when the table was written last */
    bool gone;         /* the commit under way takes it out of the table */
    uint16_t last_day; /* since 1970, on which it was in the configuration; 0: not known */
    uint32_t birth;    /* number of the boot that added it: tells it from another in its place */
    bool open;         /* a thread reads through it */
    bool hold;
    char name[SPOOL_ROUTE_NAME_BYTES];
    bool lanes[LANE_COUNT];
    struct spool_counters counters[LANE_COUNT]; /* stored is derived, not kept here */
    struct spool_backlog waiting[LANE_COUNT];
    struct cursor cursors[LANE_COUNT]; /* changed by the route's own thread alone */
    uint64_t evicted_to[LANE_COUNT];   /* the committer's wish, taken up by that thread */
    uint64_t pinned_to[LANE_COUNT];    /* blocks up to here must stay; 0: none */
    struct left_blocks *left;          /* per lane; NULL if the route holds */
    struct gap_slot gaps[LANE_COUNT][GAPS_PER_LANE];
    struct gap_slot gaps_taken[LANE_COUNT][GAPS_PER_LANE]; /* as the commit under way writes them */
    uint8_t cursor_bytes[LANE_COUNT][CURSOR_BIRTH_BYTES +
                                     CURSOR_BYTES_MAX]; /* as the commit under way writes them */
    size_t cursor_byte_count[LANE_COUNT];
    uint8_t table_bytes[SPOOL_ROUTE_BYTES]; /* likewise */
    bool frozen;                            /* its readers see the timeline as it was: */
    unsigned times;
    struct burial burial;
    int armed_fd; /* -1: not armed */
    struct spool_wake armed;
};

struct sensor_entry {
    struct sensor_definition *definition;
    uint8_t *bytes;
    size_t byte_count;
    bool stored;
};

struct source {
    char name[SAMPLE_NAME_BYTES];
    enum lane lane;
    bool lanes[LANE_COUNT];         /* that its records went to since it was clean */
    struct sample_origin read;      /* behind the last record in the head */
    struct sample_origin committed; /* behind the last record on flash */
    bool dirty;
};

struct spool {
    struct spool_options options;
    char *path; /* of the file */
    char *device;
    int lock_fd;
    uint64_t size_bytes; /* of the file */
    uint64_t room_bytes; /* of these: what the file system has room for, as of the last commit */
    bool elsewhere;      /* fs_writes_elsewhere */
    bool size_failed;    /* it keeps that size until the next start: why is in the log */
    bool size_noted;     /* that it is too large is in the log */
    uint8_t boot_id[BLOCK_BOOT_ID_BYTES];

    pthread_mutex_t lock;
    pthread_cond_t room; /* a block of the head became free, or a reservation was renewed */

    unsigned aside; /* files that were set aside, in this run or before */
    bool aside_now; /* one of them in this run: */
    struct spool_set_aside set_aside;
    bool damage_told;     /* options.on_damaged was called */
    bool unreadable;      /* a route found no way through the file: commits fail with E_DAMAGED */
    uint32_t names_count; /* sensors whose names spool.mdb.names has */
    bool salvaging;
    unsigned format; /* of the file */
    uint64_t id;
    uint64_t
        id_before; /* as it was until this start found itself on other hardware; 0: no change */
    struct machine_mark machine; /* that the file was written on last */
    uint64_t next_sequence;
    uint64_t reserved;     /* durable: sequence numbers below may be given out */
    uint64_t reserve_more; /* so many more are needed at once */
    uint32_t next_event;
    uint32_t next_boot;
    int64_t counters_since_ms;
    enum spool_ended ended;
    bool counted; /* the last run stopped cleanly: the counters are those of its end */

    struct timeline times[TIMES_MAX]; /* one that a route needs does not change */
    unsigned times_now;
    struct timeline times_taken; /* as the commit under way writes it */
    uint32_t times_version;      /* counts what became known, */
    uint32_t times_stored;       /* and as far as flash has it */
    uint32_t lived_boot; /* 0: none; so far did the clock of that boot come, as of the last */
    int64_t lived_ms;    /* commit, of the run before or of this one */
    atomic_bool time_known;

    struct head_block *blocks;
    struct head_block *free_blocks;
    size_t block_count;
    size_t free_count;
    struct lane_state lanes[LANE_COUNT];
    struct spool_route *routes[SPOOL_ROUTES_MAX];
    struct sensor_entry sensors[SENSORS_MAX]; /* number n is at n - 1 */
    uint32_t sensor_count;
    struct source sources[SOURCES_MAX];
    size_t source_count;
    struct spool_ticket *tickets;
    struct dead_request dead_requests[DEAD_REQUESTS_MAX];
    size_t dead_request_count;
    bool dead_queued; /* some letters may be marked to be sent again */
    bool dead_unsure; /* some may have records that are owed all the same */
    struct dead_count dead[SPOOL_ROUTES_MAX];

    bool crowded; /* the file is so full that something must go before anything more comes */
    unsigned squeeze_percent; /* LMDB said that the file is full earlier than reckoned */
    bool commit_now;
    uint64_t acked_on_flash; /* records acknowledged since the last commit that are on flash */
    int64_t ack_due_ms;      /* INT64_MAX: none is due */
    int64_t acked_ms;        /* when a route acknowledged something last, or 0 */
    int64_t events_ms;       /* when a commit took events along last, or 0 */
    int64_t retry_ms;        /* after a failed or deferred commit: not before */
    bool deferred;           /* lanes were, by the last commit */
    unsigned recycling;      /* commits to come that only make freed pages usable again */
    bool unsure;             /* whether the failed commit is on flash has still to be looked up */
    uint64_t commits;
    uint64_t flash_bytes;
    uint64_t flash_today_bytes; /* of these, since the day began */
    int64_t flash_day;          /* since 1970, or since the boot while the clock is not known */
    bool flash_day_known;
    struct store_use use;
    int commit_error;
    struct log_limit commit_log;

    struct store *store; /* NULL until it is created; then never changes */
    atomic_bool store_ready;
    bool create; /* there was no file: the committer makes it */
    struct thread committer;
    struct thread salvager;
    struct stop stop;
    struct stop commit_stop; /* copies, with the progress of the two threads */
    struct stop salvage_stop;
    struct progress progress[SPOOL_THREADS];
    int wake_fd;
    int64_t sleeping_to_ms;             /* when the committer looks again by itself */
    struct commit_block *commit_blocks; /* block_count of them, the committer's */
};

/** One commit from the moment when the counters are taken to its end. */
struct commit {
    struct store_txn *txn;
    bool all;   /* every lane, not only those that are due */
    bool first; /* no route is open yet: nothing is evicted, for nobody would count it */
    bool clean; /* the last one before a stop */
    bool deferred[LANE_COUNT]; /* what is in flight leaves no room: blocks stay in RAM */
    bool lanes[LANE_COUNT];
    uint64_t last[LANE_COUNT]; /* all records of the lane up to here are accepted by this commit */
    struct lane_flash flash[LANE_COUNT];
    struct head_block *deleted_tail[LANE_COUNT];
    size_t block_count;
    size_t deleted;
    uint64_t reserved;
    uint32_t sensor_count;
    uint32_t first_event, end_event;
    uint32_t event_boot; /* the number of this boot */
    struct spool_clock_reading event_clock;
    bool routes[SPOOL_ROUTES_MAX];
    bool sources[SOURCES_MAX];
    struct sample_origin origins[SOURCES_MAX];
    uint64_t acked_on_flash;
    struct burial burials[SPOOL_ROUTES_MAX];
    struct dead_count dead[SPOOL_ROUTES_MAX];
    unsigned letters_dropped;
    uint8_t state[SPOOL_STATE_BYTES];
    size_t state_bytes;
    bool times; /* flash does not have all that is known of boots: so much is */
    uint32_t times_version;
    uint64_t pages;
};

/* ---- spool_head.c: blocks in RAM ---- */

int spool_head_open(struct spool *spool, size_t blocks);
void spool_head_close(struct spool *spool);

/** Puts a record behind the lane's last one. One that was HANDED_IN has its time by CLOCK, and
 * keeps it where that of the block differs. E_AGAIN if there are not enough free blocks;
 * E_TOO_BIG: they would never do. */
int spool_head_append_locked(struct spool *spool, struct record *record,
                             const struct spool_clock_reading *clock, bool handed_in);

/** Whole blocks that come from elsewhere: the fragments of a document, or one. */
struct head_import {
    const struct block_header *headers; /* count of them, as they were opened */
    const uint8_t *blocks;              /* likewise, BLOCK_BYTES each */
    size_t count;
    uint8_t not_for; /* routes that do not get them, beside those that the headers name */
};

/** Puts them behind the lane's last block, with places of their own. E_AGAIN: there is no room for
 *  more than intake needs; E_TOO_BIG: there never will be; E_END: no route is owed them. */
int spool_head_import_locked(struct spool *spool, const struct head_import *import);

/** Whether some of what was put there is not accepted yet. */
bool spool_head_has_imports_locked(const struct spool *spool);

/** Record INDEX of BLOCK counts as accepted from now on, for every route of its lane. */
void spool_head_accept_locked(struct spool *spool, struct head_block *block, uint16_t index);

/** Takes out the blocks of LANE of which nothing is owed any more or that flash has whole. */
void spool_head_settle_lane_locked(struct spool *spool, enum lane lane);

/** When the lane's oldest pending record came (boot clock), INT64_MAX if there is none. */
int64_t spool_head_oldest_pending_locked(const struct spool *spool, enum lane lane);

/* ---- spool_commit.c: the committer ---- */

void spool_commit_run(void *context);
int spool_commit_first(struct spool *spool); /* in spool_open: reserves sequence numbers */
int spool_commit_last(struct spool *spool);  /* in spool_stop */

/** For spool_rescue: all blocks of the head in commit_blocks, and routes and state as they would be
 *  if a commit with them held. */
void spool_commit_take_all_locked(struct spool *spool, struct commit *commit);

/** Where a followed file, or one that is salvaged, was left by what is in the head. */
void spool_note_source_locked(struct spool *spool, const char *name, enum lane lane,
                              const struct sample_origin *origin);

/** Finds COUNT definitions of another spool, NULL among them where one is not known, in the
 *  dictionary or adds them: number N there is BASE + N here. E_FULL, E_DAMAGED, E_NO_MEMORY. */
int spool_adopt_sensors(struct spool *spool, uint8_t *const *definitions, const size_t *bytes,
                        uint32_t count, uint32_t *ret_base);

/** Until a block of the head is free or a commit has ended. */
void spool_wait_for_room_locked(struct spool *spool, int64_t deadline_ms);

/** RECORDS more wait behind one that is not served before its commit. */
void spool_hide_locked(struct lane_state *state, uint64_t records, uint64_t bytes);

/** Wakes the committer if it would sleep beyond DUE_MS. */
void spool_commit_due_locked(struct spool *spool, int64_t due_ms);

/** A commit of everything is due now. */
void spool_commit_now_locked(struct spool *spool);

/** What was in flight is not any more: a commit that was deferred because of it is due now. */
void spool_commit_deferred_locked(struct spool *spool);

/** The sum of what flash took today begins anew, unless it is still the same day at NOW. */
void spool_commit_turn_day_locked(struct spool *spool, const struct spool_clock_reading *now);

/** COUNT things on flash were done with: a commit is due within the ack window. */
void spool_commit_ack_due_locked(struct spool *spool, uint64_t count);

/** Tickets of LANE up to SEQUENCE, or exactly SEQUENCE, are accepted. */
void spool_tickets_up_to_locked(struct spool *spool, enum lane lane, uint64_t sequence);
void spool_tickets_at_locked(struct spool *spool, enum lane lane, uint64_t sequence);

/* ---- spool_gap.c: what routes lost ---- */

/** ROUTE lost RANGE of LANE: adds it to a gap. */
void spool_gap_note_locked(struct spool_route *route, enum lane lane, const struct gap_range *range,
                           enum spool_gap_reason reason);
/** COUNT records were delivered after all that were noted as not held. */
void spool_gap_take_back_locked(struct spool_route *route, enum lane lane, uint64_t count);

/** The gaps as the commit under way writes them; writing them; and after it succeeded. */
void spool_gap_take_locked(struct spool_route *route);
int spool_gap_put(struct store_txn *txn, const struct spool_route *route);
void spool_gap_settle_locked(struct spool_route *route);
/** Instead: takes all of them from flash. */
int spool_gap_delete(struct store_txn *txn, const struct spool_route *route);

int spool_gap_load(struct spool *spool, const struct store_key *key, const uint8_t *content,
                   size_t bytes);

/* ---- spool_dead.c: records that a destination refuses for good ---- */

/** Buries what routes wait for and does what was asked for, in the commit's transaction. */
int spool_dead_put(struct spool *spool, struct commit *commit);
void spool_dead_settle_locked(struct spool *spool, const struct commit *commit, int rc);
int spool_dead_load(struct spool *spool, const struct store_key *key, const uint8_t *value,
                    size_t bytes);

/** A part of a letter's record, for spool_reader_piece. E_NOT_FOUND, E_DAMAGED. */
int spool_dead_part(struct spool *spool, const struct spool_letter *letter, uint16_t fragment,
                    uint8_t bytes[BLOCK_BYTES], struct block_header *ret_header);

/* ---- spool_reader.c ---- */

/** The first record of the block in hand. E_DAMAGED. */
int spool_reader_first(struct spool_reader *reader, struct record *ret_record);

/* ---- spool_room.c ---- */

/** Deletes what every holding route has, then evicts until the commit fits. LMDB's errors. */
int spool_room_make(struct spool *spool, struct commit *commit);

/** Whether what is stored would fit a file of TOTAL_PAGES and leave room for a commit. For the
 *  committer. */
bool spool_room_fits(const struct spool *spool, uint64_t total_pages);

/** Whether the next commits have room for BLOCKS more than the head has, evicting nothing. */
bool spool_room_is_left_locked(const struct spool *spool, size_t blocks);

/** Whether a new record of LANE, which does not make room for itself by evicting older ones, may
 *  find none when it is committed. */
bool spool_room_is_short_locked(const struct spool *spool, enum lane lane);

/* ---- spool_salvage.c ---- */

/** The thread that takes what it can read out of the files that were set aside, and removes those
 *  that have nothing more to give. */
void spool_salvage_run(void *context);

/* ---- spool_size.c: a file that is larger or smaller than options.size_bytes ---- */

/** The size that the options ask for, in whole pages. */
uint64_t spool_size_wanted(const struct spool *spool);

/** Before the file is opened: makes it as large as wanted if it is smaller and sound, and sets
 *  size_bytes. Where that fails it stays as it is, and the log says so. */
void spool_size_grow(struct spool *spool);

/** Between two commits, where not even deletes find a page: makes the file somewhat larger, which
 *  the log says. It shrinks again like any that is too large. E_FULL: it was done too often;
 *  E_NO_MEMORY, error_sys, LMDB's. */
int spool_size_stretch(struct spool *spool);

/** Between two commits: makes the file as small as wanted once what is stored fits. */
void spool_size_shrink(struct spool *spool);

/* ---- spool_aside.c: files that this program cannot use ---- */

enum { ASIDE_MAX = 3 }; /* each is as large as the spool: after this many the last one gives way */

/** The path of file NUMBER, from 1 to ASIDE_MAX. E_TOO_BIG. */
int spool_aside_name(const struct spool *spool, unsigned number, char path[FS_PATH_BYTES]);

/** Renames the spool's file, whole as it is, and its names, and says to what. E_TOO_BIG; error_sys.
 */
int spool_aside_put(struct spool *spool, char path[FS_PATH_BYTES]);
unsigned spool_aside_count(const struct spool *spool);

/** For files beside the spool: writes all, or a seal. error_sys. */
int spool_aside_write(int fd, const void *bytes, size_t count);
int spool_aside_write_seal(int fd, const struct store_key *key, const void *content, size_t bytes);

/* ---- spool_names.c: spool.mdb.names, the dictionary once more ---- */

/** The path of the names of the file at PATH. E_TOO_BIG. */
int spool_names_path(const char *path, char ret_path[FS_PATH_BYTES]);

/** At the start: what of it need not be written again. */
void spool_names_find(struct spool *spool);

/** After a commit: writes the first COUNT definitions if they are more than it has. Where that
 *  fails the log says so, and it is tried again when there are more. */
void spool_names_keep(struct spool *spool, uint32_t count);

/** Writes the first COUNT definitions as seals. error_sys. */
int spool_names_put(const struct spool *spool, uint32_t count, int fd);

/** The names of the file at PATH, whole as they are, for the caller to free, and the id of their
 *  spool. E_NOT_FOUND; E_DAMAGED: it does not say the id; E_NO_MEMORY; error_sys. */
int spool_names_load(const char *path, uint8_t **ret_bytes, size_t *ret_count, uint64_t *ret_id);

/* ---- spool_walk.c ---- */

/** Why a piece of the document in hand is not there: E_CHANGED if its record is gone, too;
 *  E_DAMAGED if not; LMDB's. */
int spool_walk_explain_missing(struct spool_reader *reader);

/* ---- spool_table.c: what is stored beside the blocks ---- */

size_t spool_table_put_state_locked(const struct spool *spool,
                                    const struct lane_flash flash[LANE_COUNT], uint64_t reserved,
                                    bool clean, uint8_t bytes[SPOOL_STATE_BYTES]);
/** What the stored state says that flash has. E_NOT_FOUND, E_DAMAGED, E_VERSION; LMDB's. */
int spool_table_read_flash(struct store_txn *txn, struct lane_flash flash[LANE_COUNT]);
/** The id in a stored state, if that is whole. E_DAMAGED, E_VERSION. */
int spool_table_read_id(const uint8_t *bytes, size_t count, uint64_t *ret_id);

/** Likewise, which boot wrote it and how far its clock had come. E_NOT_FOUND: it does not say. */
int spool_table_read_lived(const uint8_t *bytes, size_t count, uint32_t *ret_boot,
                           int64_t *ret_lived_ms);

/** What a stored route says. E_DAMAGED. */
int spool_table_get_route(const uint8_t *bytes, size_t count, struct spool_route *ret_route);

size_t spool_table_put_route_locked(const struct spool_route *route,
                                    const struct spool_counters counters[LANE_COUNT], bool whole,
                                    uint8_t bytes[SPOOL_ROUTE_BYTES]);

/** Puts an entry of any table but blocks and state, sealed. E_TOO_BIG; LMDB's. */
int spool_table_put(struct store_txn *txn, const struct store_key *key, const void *content,
                    size_t bytes);

/** What a value of such a table holds, in its place: VALUE and BYTES are those of the entry before
 *  and of its content after. E_DAMAGED. */
int spool_table_open(const struct spool *spool, const struct store_key *key, const uint8_t **value,
                     size_t *bytes);

/** Brings a file of an earlier format to this one, in TXN. E_DAMAGED, LMDB's. */
int spool_table_migrate(struct spool *spool, struct store_txn *txn);

/** Reads everything but the blocks. E_DAMAGED, E_VERSION, LMDB's. */
int spool_table_load(struct spool *spool, bool *ret_clean);

/* ---- spool_time.c: when the boots were ---- */

int spool_time_load(struct spool *spool, const struct store_key *key, const uint8_t *value,
                    size_t bytes);

/** After all entries and the state, which has how far the clock of the last run came. */
void spool_time_loaded(struct spool *spool);

/** Whether this boot is known already, from a start before this one. */
bool spool_time_entered(struct spool *spool);

/** After the loading of whatever there was: this boot is the last one. */
void spool_time_enter(struct spool *spool);

/** In the first commit, before anything is taken: brings the table on flash to what is known.
 *  E_DAMAGED; LMDB's. */
int spool_time_put_all(struct spool *spool, struct store_txn *txn);

/** The boots of a file that was set aside, which were before those of this one. */
void spool_time_adopt(struct spool *spool, const struct timeline *boots);

/** What an entry of the table holds, with the number of its key. E_DAMAGED. */
int spool_time_decode(const uint8_t *key, size_t key_bytes, const uint8_t *value, size_t bytes,
                      struct timeline_boot *ret_boot);

/** NOW counts as learnt if it is synced. */
void spool_time_note_locked(struct spool *spool, const struct spool_clock_reading *now);

/** The boots as the commit under way writes them; writing them; and after it succeeded. */
void spool_time_take_locked(struct spool *spool, struct commit *commit);
int spool_time_put(struct spool *spool, struct commit *commit);
void spool_time_settle_locked(struct spool *spool, const struct commit *commit);

/** The clock of the boot that took the block, as ROUTE is to see it or, if that is NULL, as it is
 *  known now. */
void spool_time_bind_locked(const struct spool *spool, const struct spool_route *route,
                            const struct block_header *header, struct timeline_binding *ret_clock);

/** The number of this boot; 0: it has none. A gap keeps its low bits, by which
 *  spool_time_tell_locked finds it again. */
uint32_t spool_time_boot_locked(struct spool *spool);

/** Gives what happened at BOOT_MS of the boot with that NUMBER its wall time, which was thought to
 *  be *WALL_MS, if that was not synced. */
void spool_time_place_locked(const struct spool *spool, uint32_t number, int64_t boot_ms,
                             int64_t *wall_ms, enum time_quality *quality);

/** Gives a gap that was noted by some boot's clock its wall time, as ROUTE is to see it. */
void spool_time_tell_locked(const struct spool_route *route, struct spool_gap *gap);

/* ---- spool_route.c ---- */

/** Nothing of LANE is on flash: what its routes were thought to be owed there was damaged. */
void spool_route_settle_lane_locked(struct spool *spool, enum lane lane);

/** Its entries are gone from flash; nobody has it open. */
void spool_route_forget_locked(struct spool *spool, unsigned index);

/** How many records of the block (its bytes as stored) the route still owes. */
uint64_t spool_route_owed_locked(const struct spool_route *route, enum lane lane,
                                 const struct block_header *header, const uint8_t *block);
uint64_t spool_route_low_locked(const struct spool_route *route, enum lane lane);
void spool_route_wake_locked(struct spool_route *route);

/** The block leaves flash: what the route is still owed of it counts as evicted. BLOCK is NULL
 *  where it cannot be read. */
void spool_route_evict_locked(struct spool_route *route, enum lane lane,
                              const struct block_header *header, const uint8_t *block);
/** Whether the block's leaving the head can be taken note of, and taking note: RECORDS of it the
 *  route has not had. */
bool spool_route_can_leave_locked(const struct spool_route *route,
                                  const struct block_header *header);
void spool_route_leave_locked(struct spool_route *route, const struct block_header *header,
                              uint64_t records);

/** What the route was owed of RANGE has left without it. */
void spool_route_miss_locked(struct spool_route *route, enum lane lane,
                             const struct gap_range *range, enum spool_gap_reason reason);

/** The route's own thread found that COUNT records in (AFTER, LAST] of LANE cannot be read. */
void spool_route_lose(struct spool_route *route, enum lane lane, uint64_t after, uint64_t last,
                      uint64_t count);
/** So much more waits for this route, or for every route of LANE. */
void spool_route_waits_for_locked(struct spool_route *route, enum lane lane, uint64_t records,
                                  uint64_t bytes);
void spool_route_waits_locked(struct spool *spool, enum lane lane, uint64_t records,
                              uint64_t bytes);

#endif
