/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONTROL_H
#define RUNNEL_AGENT_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/writer.h"
#include "platform/rights.h"
#include "platform/stop.h"

/**
 * The control socket: how the other sub-commands talk to the running agent. A Unix stream socket
 * (mode 0660), served by one thread that knows no stage: what it says and takes comes through the
 * functions in its options. control_client.h is the other end.
 *
 * Protocol, version 1. Lines end with \n; everything that the server says is ASCII or JSON.
 *
 *   server  runnel-control 1                greeting; the number changes when the rest does
 *   client  status | status text            one command per connection
 *   server  bytes COUNT                     COUNT bytes of answer follow; then it closes
 *   client  send SENSOR [LANE]
 *   server  ready                           documents may follow
 *   client  (JSON objects, one per line)    any number; then it shuts down its writing side
 *   server  accepted LINE COUNT             all lines up to LINE (from 1) are settled, COUNT
 *                                           documents of them are accepted (P1); cumulative
 *   server  refused LINE REASON             this line was not taken; said before a higher LINE
 *                                           is settled
 *   server  done COUNT REFUSED              everything is settled; then it closes
 *   client  spool REQUEST                   show [json] | export [LANE] | check [json] |
 *                                           log [json] [last COUNT | from NUMBER] |
 *                                           dead list WHICH [json] |
 *                                           dead show|export|resend|purge WHICH; WHICH: * | ROUTE |
 *                                           ROUTE/PLACE
 *   client  config REQUEST                  reload | apply CONFIRM_MS | main CONFIRM_MS. This,
 *                                           resend and purge are for root and the agent's own
 *                                           user (SO_PEERCRED), all else is for the group
 *   client  sensor REQUEST                  list | read NAME WAIT_MS: what sensor_view.h writes, of
 *                                           all as they are, or of one that is read for it; a
 *                                           stream is waited for so long to say something new
 *   server  part COUNT                      COUNT bytes of answer follow; any number of these
 *   server  end RECORDS DAMAGED             that was all: so many records were exported or found
 *                                           sound, so many damaged blocks passed over; letters
 *                                           that were changed, and left as they were; of the log
 *                                           the number to go on from, and 0; of config, whose
 *                                           parts are what is wrong: it is done; closes
 *   server  error REASON                    at any time: the server gives up and closes
 *
 * A line ends with LF or CR LF. Empty lines are passed over, and the last line may lack its end.
 * Lines are settled in order: a document counts as accepted when it and all before it are. A
 * connection with CONFIG_CONTROL_IN_FLIGHT documents that are not accepted, or whose next document
 * finds no room, is not read until that changes. What was taken from a sender that then went away
 * keeps its way to flash and cloud.
 *
 * An agent that does not know a command says so with an error: new commands come without a new
 * number. An answer in parts that ends without "end" is not whole.
 *
 * Bounds: CONFIG_CONTROL_CONNECTIONS connections, at least a quarter of which is kept from
 * senders and from answers in parts, so that status can be asked for; a command has to arrive
 * within 5 s; a half line or a reply that is not read ends the connection after 30 s without
 * progress. A line longer than the limit is refused and passed over, whatever its length.
 */
enum { CONTROL_VERSION = 1, CONTROL_SENSOR_BYTES = 64, CONTROL_LANE_BYTES = 16 };
enum { CONTROL_FAULT_BYTES = 256, CONTROL_PATH_BYTES = 108 };

/** A document that somebody sends; valid during the call. */
struct control_document {
    const char *sensor;
    const char *lane;     /* "": the sensor's own, or the default */
    const uint8_t *bytes; /* checked: exactly one JSON object (RFC 8259), valid UTF-8 */
    size_t count;
};

/**
 * What was taken and is to be waited for. submit fills lane and sequence, which mean nothing here.
 * slot: the connection, below CONFIG_CONTROL_CONNECTIONS; at most one ticket of a slot is waited
 * for at a time.
 */
struct control_ticket {
    unsigned slot;
    int event_fd; /* to be signalled (stop.h) when the ticket is accepted; shared by all */
    unsigned lane;
    uint64_t sequence;
};

/** What an answer to "spool" came to. */
struct control_tally {
    uint64_t records;
    uint64_t damaged;
};

/** All are called from the control thread alone, and none may wait. */
struct control_operations {
    /** Writes the status: JSON without a newline behind it, or text for people. */
    void (*status)(void *context, bool text, struct writer *out);

    /**
     * Takes a document. 0 and the ticket's lane and sequence; E_AGAIN: no room at the moment, it
     * is asked again soon; E_REFUSED: the lane is full and its policy refuses; E_TOO_BIG;
     * E_NOT_FOUND: no such lane or sensor; E_UNSUPPORTED: no route carries the lane; E_EXISTS:
     * the agent's own records have that name; E_BUSY: it is one name of a sensor too many; others
     * are told to the sender as they are.
     */
    int (*submit)(void *context, const struct control_document *document,
                  struct control_ticket *ticket);

    /**
     * Whether TICKET is durable or delivered (P1). If not, its event_fd is signalled once it is.
     * Another ticket of the same slot may have been waited for before: it is over.
     */
    bool (*accepted)(void *context, const struct control_ticket *ticket);

    /** Begins with REQUEST of "spool REQUEST" for SLOT. E_INVALID: it is none; E_NOT_FOUND: there
     * is no such lane. What SLOT had begun before is over, by itself. NULL: there is no such
     * command. */
    int (*spool_start)(void *context, unsigned slot, const char *request);

    /** Writes what comes next into OUT, which writes to memory: 0, perhaps after nothing; E_END: it
     *  wrote nothing and is through; E_TOO_BIG: nothing was written or passed, and it wants to be
     *  asked again with more room; E_AGAIN: it wrote nothing and wants to be asked again soon;
     *  others end the answer. The tally is that of the whole. */
    int (*spool_next)(void *context, unsigned slot, struct writer *out,
                      struct control_tally *ret_tally);

    /** Begins with REQUEST of "config REQUEST". E_INVALID: it is none; E_BUSY: another one is not
     *  answered yet. NULL: there is no such command. */
    int (*config_start)(void *context, const char *request);

    /** Writes what is wrong with the configuration, if anything is: as spool_next; others than
     *  those say that it was not taken. */
    int (*config_next)(void *context, struct writer *out);

    /** Nobody waits for that answer any more. */
    void (*config_forget)(void *context);

    /** Begins with REQUEST of "sensor REQUEST" for SLOT. E_INVALID: it is none; E_NOT_FOUND: there
     * is no such sensor; E_BUSY: it is being read for somebody else; others. NULL: there is no such
     *  command. */
    int (*sensor_start)(void *context, unsigned slot, const char *request);

    /** Likewise, as config_next. */
    int (*sensor_next)(void *context, unsigned slot, struct writer *out);

    /** Nobody waits for that answer of SLOT any more. */
    void (*sensor_forget)(void *context, unsigned slot);

    /** Nobody waits for a ticket of SLOT any more. */
    void (*forget)(void *context, unsigned slot);
};

struct control_options {
    const char *path;          /* see control_path; its directory is made if missing */
    size_t document_bytes_max; /* longer lines are refused; a sender costs a buffer of this size */
    const struct control_operations *operations;
    void *context;
    const struct stop *stop;
    int64_t heartbeat_ms; /* how long the thread may sleep in one go, for a watchdog; 0: for ever */
};

struct control;

/**
 * Makes the socket and starts the thread. A socket file that nobody answers on is replaced.
 * FAULT says what is wrong and what helps. E_BUSY: an agent answers on it; E_EXISTS: PATH is no
 * socket; E_TOO_BIG: PATH is too long for a socket; E_NO_MEMORY; error_sys.
 */
int control_open(const struct control_options *options, char fault[CONTROL_FAULT_BYTES],
                 struct control **ret_control);

/** For a watchdog. */
const struct progress *control_progress(const struct control *control);

/**
 * Ends the thread and removes the socket. From the moment when options.stop is requested, no
 * connection and no document is taken any more, but accepted documents are still reported;
 * control_close reports what is accepted by then a last time. So, at the end of the agent: request
 * the stop, make everything durable, control_close, and only then close what the operations use.
 * E_TIMEOUT: the thread was still busy at DEADLINE_MS (clock_mono_ms), and nothing was given back.
 * NULL is allowed.
 */
int control_close(struct control *control, int64_t deadline_ms);

/** Where the socket is: $RUNNEL_SOCKET, else the first of $RUNTIME_DIRECTORY/control.sock, else
 *  /run/runnel/control.sock. E_TOO_BIG. */
int control_path(char path[CONTROL_PATH_BYTES]);

/** As root, the directory in which OWNER will make the socket, where he could not make it himself
 *  (rights_make_directories). */
int control_make_directory(const struct rights *owner);

#endif
