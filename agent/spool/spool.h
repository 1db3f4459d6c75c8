/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_SPOOL_H
#define RUNNEL_AGENT_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/block.h"
#include "agent/spool/dictionary.h"
#include "agent/spool/events.h"
#include "agent/spool/gap.h"
#include "agent/spool/lane.h"
#include "agent/spool/record.h"
#include "agent/spool/timeline.h"
#include "drivers/sample.h"
#include "platform/machine.h"
#include "platform/stop.h"

/**
 * The one durable point. Samples go in, routes read records and acknowledge them, one thread
 * commits. Everything here may be called from any thread; a route belongs to one thread.
 *
 * P1 as it is kept here: spool_ticket_accepted() is true only when the record is on flash, or
 * delivered or dead on every holding route of its lane. P2: a record leaves only when each holding
 * route has acknowledged it or it was evicted and counted.
 */
struct spool;
struct spool_route;
struct spool_letter;

enum { SPOOL_ROUTES_MAX = 8, SPOOL_ROUTE_NAME_BYTES = 32, SPOOL_ID_BYTES = 8 };
enum { SPOOL_FAULT_BYTES = 256 };

enum { SPOOL_SOURCES_MAX = 16, SPOOL_ASIDE_FILE_BYTES = 32, SPOOL_ASIDE_REASON_BYTES = 160 };

enum spool_full { SPOOL_DROP_OLDEST, SPOOL_DROP_NEWEST, SPOOL_REFUSE };

struct spool_lane_options {
    enum spool_full full;
    int64_t window_ms; /* the longest time that a sample may exist only in RAM */
    int64_t age_ms;    /* how long a record may wait for a batch to fill */
    unsigned share_percent;
};

/** What is known about the time now: wall = boot + offset_ms. */
struct spool_clock_reading {
    int64_t boot_ms;
    int64_t offset_ms;
    enum time_quality quality;
};

/** A file that was set aside in this run, and why. */
struct spool_set_aside {
    char file[SPOOL_ASIDE_FILE_BYTES]; /* its name, without a directory */
    char reason[SPOOL_ASIDE_REASON_BYTES];
};

/** What came of searching a file that was set aside. */
struct spool_salvaged {
    const char *file;
    uint64_t records; /* brought back */
    uint64_t lost;    /* that it promised, and did not give back */
    bool kept;        /* it stays: there is more in it than this version can take */
};

/** What one spool leaves to the next in the same process: see spool_rescue. */
struct spool_rescued {
    struct spool_set_aside aside;
    uint64_t records; /* of RAM that lie behind the file's end now */
    int error;        /* why not all of them do, or 0 */
    size_t source_count;
    struct {
        char name[SAMPLE_NAME_BYTES];
        enum lane lane;
        struct sample_origin origin;
    } sources[SPOOL_SOURCES_MAX]; /* where followed files were left */
};

struct spool_options {
    const char *path;    /* the state directory; made if missing */
    uint64_t size_bytes; /* of the file; one of another size is fitted to it */
    const char *device;
    struct spool_lane_options lanes[LANE_COUNT];
    int64_t wait_ms;             /* a commit is due so long after somebody began to wait for it */
    int64_t ack_window_ms;       /* acknowledgements of records on flash wait at most so long */
    unsigned ack_window_records; /* or so many */
    unsigned dead_percent;       /* of the file for dead letters; the oldest give way */
    bool open_only;              /* for the command line: no creation, no commit thread */
    void (*clock)(void *context, struct spool_clock_reading *ret_reading);
    void *clock_context;
    struct events *events; /* that commits take along; NULL: none are stored */

    /** The first commit that fails with E_DAMAGED, also because a route finds no way through the
     *  file any more: from now on all do. By the thread that commits, which must not be kept
     *  waiting. NULL: nobody wants to know. */
    void (*on_damaged)(void *context);
    /** A file that was set aside has been searched, with something new to say of it. By the thread
     *  that does that. May be NULL. */
    void (*on_salvaged)(void *context, const struct spool_salvaged *salvaged);
    void *event_context;
    const struct spool_rescued *rescued; /* of the spool before in this process; or NULL */
    int64_t heartbeat_ms; /* how long a thread may sleep in one go, for a watchdog; 0: for ever */
    struct machine_mark machine; /* what is known of the hardware now; zeros: nothing */
};

/**
 * Locks the state directory and opens or creates the spool. A missing file is made by the commit
 * thread, so that the head collects at once. A damaged file, or one of another version or word
 * size, is renamed to spool.mdb.aside-N and a new one begun. One that was written on other hardware
 * (machine_is_other), be it by a copy of the medium, goes on under a new id: what is in it keeps
 * the old one, and nothing that is new bears the number of what the other machine takes. FAULT says
 * what is wrong and what helps. E_BUSY: another process has it; with open_only E_VERSION,
 * E_DAMAGED; E_NO_MEMORY; error_sys; LMDB's.
 */
int spool_open(const struct spool_options *options, char fault[SPOOL_FAULT_BYTES],
               struct spool **ret_spool);

/** Starts the commit thread; routes and sensors may be added before or after. */
int spool_start(struct spool *spool);

/** How the run before this start ended, as far as the spool can tell. */
enum spool_ended {
    SPOOL_ENDED_UNKNOWN, /* there is nothing of it, or nothing that could be read */
    SPOOL_ENDED_CLEAN,
    SPOOL_ENDED_KILLED, /* in this boot, without stopping */
    SPOOL_ENDED_POWER,  /* likewise, and the machine went down */
};
enum spool_ended spool_get_ended(const struct spool *spool);

enum spool_thread { SPOOL_COMMITTER, SPOOL_SALVAGER, SPOOL_THREADS };

/** For a watchdog; one that does not run is not late. */
const struct progress *spool_progress(const struct spool *spool, enum spool_thread thread);

/** Commits what is in RAM, writes the counters and stops the commit thread, at the latest at
 *  DEADLINE_MS. 0; E_TIMEOUT; the error of the last commit. */
int spool_stop(struct spool *spool, int64_t deadline_ms);

/**
 * After spool_stop failed, with no thread of the spool left: the file is renamed to
 * spool.mdb.aside-N whatever it is, and what RAM alone has of records, acknowledgements, counters
 * and names is appended to it, for the next start to salvage. spool_close is to follow. 0, also if
 * appending failed (ret_rescued->error); E_TOO_BIG, error_sys: it has its name still.
 */
int spool_rescue(struct spool *spool, struct spool_rescued *ret_rescued);

/** Ends like a crash, without a last commit: for tests. Closes everything. */
void spool_abandon(struct spool *spool);

/** Closes everything; spool_stop comes first where spool_start was called. NULL is allowed. */
void spool_close(struct spool *spool);

void spool_get_id(const struct spool *spool, uint8_t ret_id[SPOOL_ID_BYTES]);

/** The sequence number of the next record: whatever is there already has a lower one. */
uint64_t spool_next_sequence(struct spool *spool);

/* ---- intake ---- */

/** Finds or adds DEFINITION in the dictionary and returns its number; it is durable with the first
 *  record that uses it. E_FULL, E_TOO_BIG, E_NO_MEMORY. */
int spool_define_sensor(struct spool *spool, const struct sensor_definition *definition,
                        uint32_t *ret_sensor);

/** Likewise for what somebody else makes up, who shall not fill the dictionary, which is never
 *  emptied: E_FULL also if less than LEAVES places would stay free behind a new one. */
int spool_define_sensor_within(struct spool *spool, const struct sensor_definition *definition,
                               size_t leaves, uint32_t *ret_sensor);

/** The definition behind a number, valid until spool_close, or NULL. */
const struct sensor_definition *spool_sensor(struct spool *spool, uint32_t sensor);

struct spool_append {
    enum lane lane;
    uint32_t sensor;
    const struct sample *sample;
    const char *source;  /* the followed file's sensor name when sample->origin is present */
    int64_t deadline_ms; /* how long to wait for room in the head (clock_mono_ms), 0: not */

    /** NULL: the sample was measured just now. Else somebody handed it in when the clock said this,
     *  and its time, which may be any, is as far from that: where the clock is synced it is told
     *  exactly so. Window and age count from when it came. */
    const struct spool_clock_reading *handed_in;
};

/**
 * Gives the sample a sequence number and puts it into the head. 0; E_AGAIN: no room in the head by
 * the deadline (try again; nothing was taken); E_REFUSED: the lane is full and its policy refuses;
 * E_FULL: likewise, for a followed file: wait, the file keeps it; E_TOO_BIG: a document, or the
 * values together, for one block (block.h); E_INVALID.
 */
int spool_append(struct spool *spool, const struct spool_append *append, uint64_t *ret_sequence);

/** Where a followed file was left by what is committed; present is false if it is not known. */
void spool_find_origin(struct spool *spool, const char *source, struct sample_origin *ret_origin);

/** Counts a sample that never became a record. */
void spool_count_refused(struct spool *spool, enum lane lane);

/** A wait for durability. The caller owns it and zeroes it; EVENT_FD is signalled (stop.h) when it
 *  is accepted. Waiting makes a commit due within options.wait_ms. */
struct spool_ticket {
    enum lane lane;
    uint64_t sequence;
    int event_fd;
    struct spool_ticket *next; /* the rest is the spool's */
    int64_t since_ms;
    bool accepted;
};
void spool_ticket_wait(struct spool *spool, struct spool_ticket *ticket);
bool spool_ticket_accepted(struct spool *spool, struct spool_ticket *ticket);
void spool_ticket_forget(struct spool *spool, struct spool_ticket *ticket);

/** Makes everything in RAM due for a commit now. */
void spool_commit_soon(struct spool *spool);

/* ---- routes ---- */

struct spool_route_options {
    const char *name; /* [a-z0-9_-], below SPOOL_ROUTE_NAME_BYTES */
    bool lanes[LANE_COUNT];
    bool hold; /* records are kept until this route has them */
};

/** Opens the cursor called NAME; a new one starts at the oldest stored block. E_FULL: too many. */
int spool_route_open(struct spool *spool, const struct spool_route_options *options,
                     struct spool_route **ret_route);

/** What this route has not yet acknowledged in LANE and may read now. */
struct spool_backlog {
    uint64_t records;
    uint64_t bytes; /* encoded; JSON is about ten times that for readings, the same for documents */
};
void spool_route_backlog(struct spool_route *route, enum lane lane,
                         struct spool_backlog *ret_backlog);

/** What a route waits for: so many records, or so many bytes, in all lanes together, or any record
 * in one of LANES. */
struct spool_wake {
    uint64_t records, bytes;
    bool lanes[LANE_COUNT];
};

/** EVENT_FD is signalled once, when the route has what WAKE, which is copied, says. -1: never. */
void spool_route_arm(struct spool_route *route, int event_fd, const struct spool_wake *wake);

/**
 * Reads the records of one lane that the route has not acknowledged, in order. Holds no
 * transaction and no lock between calls; one block is copied here at a time. Embedded in the
 * caller's memory, about 5 KB. Records that were taken while nobody knew the time are given the
 * time that is known now, or was at spool_time_freeze.
 */
struct spool_reader {
    struct spool_route *route; /* NULL: a walk over everything, see spool_walk.h */
    struct spool *spool;
    enum lane lane;
    uint64_t from;    /* the next record wanted */
    uint64_t last;    /* the record passed last, acknowledged or not */
    uint64_t limit;   /* records from here on wait for their commit */
    uint64_t damaged; /* the first sequence of a block that cannot be read; 0: none */
    bool barren;      /* nothing that is owed was found from the low mark on */
    bool loaded;      /* a block is in hand: */
    uint16_t piece;   /* of a document that continues: the piece in hand */
    bool bound;       /* the clock of its boot is: */
    struct timeline_binding clock;
    struct block_walk walk;
    struct block_header header;
    const struct spool_letter *letter; /* that it reads; NULL: a lane */
    uint8_t block[BLOCK_BYTES];
};

/** Starts at the route's low mark of LANE. */
void spool_reader_start(struct spool_reader *reader, struct spool_route *route, enum lane lane);

/** Likewise, but passes over what is numbered below FROM without reading it. What comes before the
 *  first record is then said to be FROM - 1, so that none of it is acknowledged with that record.
 */
void spool_reader_start_at(struct spool_reader *reader, struct spool_route *route, enum lane lane,
                           uint64_t from);

/**
 * The next unacknowledged record, which stays valid until the next call. ret_previous is the
 * sequence of the record of this lane before it (acknowledged or not), for spool_route_ack.
 * E_END: there is none at present; E_DAMAGED: a block is damaged and was passed over (call on);
 * error_sys and LMDB's: it cannot be read now.
 */
int spool_reader_next(struct spool_reader *reader, struct record *ret_record,
                      uint64_t *ret_previous);

/** Since when RECORD, which the reader has just read, counts as waiting: its boot_ms, unless it was
 *  handed in with a time of its own in this run. */
int64_t spool_reader_came_ms(const struct spool_reader *reader, const struct record *record);

/** The next piece of a document that continues in further blocks: E_END behind the last; E_CHANGED:
 *  the record was deleted meanwhile, which a pin prevents for a route that holds; E_DAMAGED. Until
 *  it is asked for, the record's texts and first piece stay valid. */
int spool_reader_piece(struct spool_reader *reader, const uint8_t **ret_piece, size_t *ret_bytes);

/** Keeps the blocks from the route's low mark to LAST in place while a batch is in flight. */
void spool_route_pin(struct spool_route *route, enum lane lane, uint64_t last);
void spool_route_unpin(struct spool_route *route);

enum spool_outcome { SPOOL_DELIVERED, SPOOL_DEAD };

/** A record, and the one of its lane before it, acknowledged or not (ret_previous). */
struct spool_mark {
    uint64_t sequence;
    uint64_t previous;
};

/**
 * Acknowledges COUNT > 0 records of LANE that follow each other with none between them and none of
 * which this route had acknowledged. What was evicted after it was read counts as delivered, or
 * dead, after all.
 */
void spool_route_ack(struct spool_route *route, enum lane lane, const struct spool_mark *marks,
                     size_t count, enum spool_outcome outcome);

/** Records of one block that follow each other in their lane, none of them acknowledged. */
struct spool_run {
    uint64_t previous; /* the one of the lane before them, acknowledged or not */
    uint64_t last;
    uint32_t count;
    uint32_t entry; /* the caller's */
};

/** Acknowledges COUNT > 0 runs of LANE, each of which begins where the one before it ends. As
 *  spool_route_ack: blocks are evicted whole, so that a run was, or none of it. */
void spool_route_ack_runs(struct spool_route *route, enum lane lane, const struct spool_run *runs,
                          size_t count, enum spool_outcome outcome);

/* ---- time ---- */

/**
 * The time became known: at BOOT_MS of this boot's clock the wall clock was ahead of it by
 * OFFSET_MS. Readings of options.clock that are synced are taken as such by themselves. Goes to
 * flash with the next commit, and causes none. Not from within options.clock.
 */
void spool_time_learn(struct spool *spool, int64_t boot_ms, int64_t offset_ms);

/** Until the next call, or spool_route_unpin, the route's readers give the same record the same
 * time, whatever is learnt meanwhile. */
void spool_time_freeze(struct spool_route *route);

/** Whether the time of records of this boot is known: learnt now, or before a restart. Waits for
 *  nothing. */
bool spool_time_known(const struct spool *spool);

/** What was learnt last of this boot's clock, before this start or since. E_NOT_FOUND: nothing. */
int spool_time_last(struct spool *spool, int64_t *ret_boot_ms, int64_t *ret_offset_ms);

/* ---- gaps ---- */

/** The route's gap with the lowest sequence above AFTER that flash has. E_END: there is none. */
int spool_gap_next(struct spool_route *route, uint64_t after, struct spool_gap *ret_gap);

/** Keeps GAP as it is from now on, for it is being sent. E_CHANGED: it is not so any more. */
int spool_gap_seal(struct spool_route *route, const struct spool_gap *gap);

/** The destination has it. */
void spool_gap_acknowledge(struct spool_route *route, uint64_t sequence);

/* ---- dead letters ---- */

enum { SPOOL_REASON_BYTES = 256 };

struct spool_death {
    enum lane lane;
    struct spool_mark mark;
    unsigned attempts;  /* how often it was sent */
    const char *reason; /* for people; cut to SPOOL_REASON_BYTES - 1 */
};

/**
 * Keeps a record that ROUTE is owed as a dead letter and acknowledges it as dead, once the commit
 * that has the letter holds. E_TOO_BIG: their space is too small for it; E_DAMAGED, E_NOT_FOUND: it
 * cannot be read; E_TIMEOUT: no commit came by DEADLINE_MS (clock_mono_ms); what the commit failed
 * with: in all of these cases it is still owed.
 */
int spool_dead_bury(struct spool_route *route, const struct spool_death *death,
                    int64_t deadline_ms);

/** Gives a record up that cannot be read: it is counted as evicted, and told in a gap. */
void spool_dead_lose(struct spool_route *route, enum lane lane, const struct spool_mark *mark);

struct spool_letter {
    unsigned route; /* its number in the file */
    uint64_t place; /* the two name the letter */
    enum lane lane;
    char route_name[SPOOL_ROUTE_NAME_BYTES];
    char reason[SPOOL_REASON_BYTES];
    int64_t wall_ms; /* when it was given up */
    unsigned attempts;
    bool queued; /* to be sent again at the next start */
};

/** The letter behind AFTER, or the first where that is NULL; what is damaged is passed over. E_END;
 *  LMDB's. */
int spool_dead_next(struct spool *spool, const struct spool_letter *after,
                    struct spool_letter *ret_letter);

/** Opens the record of LETTER, which must outlive the reader. Its pieces come from
 *  spool_reader_piece. E_NOT_FOUND, E_DAMAGED; LMDB's. */
int spool_dead_open(struct spool_reader *reader, struct spool *spool,
                    const struct spool_letter *letter, struct record *ret_record);

/**
 * In a running agent: the next commit removes the letter; with AGAIN it puts the record back into
 * its lane for its route, under its old identity. E_AGAIN: ask later, too much was asked for;
 * E_NOT_FOUND: that route does not run; E_UNSUPPORTED: nothing is held for it.
 */
int spool_dead_ask(struct spool *spool, const struct spool_letter *letter, bool again);

/** In a spool that was opened with open_only: likewise, at once; with AGAIN the letter is sent when
 *  the agent has started. E_NOT_FOUND; LMDB's. */
int spool_dead_change(struct spool *spool, const struct spool_letter *letter, bool again);

void spool_dead_count(struct spool *spool, uint64_t *ret_letters, uint64_t *ret_bytes);

/* ---- numbers ---- */

/** accepted = delivered + stored + dead + evicted, at every moment. */
struct spool_counters {
    uint64_t accepted, delivered, stored, dead, evicted;
};

struct spool_lane_status {
    uint64_t pending, refused, stored, stored_bytes;
    int64_t oldest_age_ms; /* of what is stored or pending; 0 if nothing is */
};

struct spool_status {
    struct spool_lane_status lanes[LANE_COUNT];
    uint64_t commits, flash_bytes; /* flash_bytes: pages handed to the file system */
    /** Of flash_bytes, those since the last midnight in UTC; while the time is not known, those of
     *  this day of the boot. What was written before this start is not in it. */
    uint64_t flash_today_bytes;
    uint64_t size_bytes, used_bytes;
    int64_t counters_since_ms; /* wall time */
    unsigned aside;            /* files that were set aside: damaged, or of another version */
    bool aside_now;            /* one of them since this start */
    bool salvaging;            /* they are being searched for what can be brought back */
    bool durable;              /* the file is there and the last commit succeeded */
    int error;                 /* of the last commit; E_DAMAGED: see spool_rescue */
};
void spool_get_status(struct spool *spool, struct spool_status *ret_status);

/** The id that the spool had before this start found it on other hardware. E_NOT_FOUND: it has not
 *  changed. */
int spool_get_id_before(const struct spool *spool, uint8_t ret_id[SPOOL_ID_BYTES]);

/** E_NOT_FOUND: in this run no file was set aside (spool_status.aside_now). */
int spool_get_set_aside(struct spool *spool, struct spool_set_aside *ret_aside);
void spool_route_counters(struct spool_route *route, enum lane lane,
                          struct spool_counters *ret_counters);

#endif
