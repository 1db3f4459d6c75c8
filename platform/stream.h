/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_STREAM_H
#define RUNNEL_PLATFORM_STREAM_H

#include <stddef.h>
#include <stdint.h>

/**
 * A connection, plain or TLS. All waits end at DEADLINE_MS (clock_mono_ms) or when the stop that
 * it was opened with is requested. One thread uses a stream at a time.
 */
struct stream {
    const struct stream_operations *operations;
};

struct stream_operations {
    /**
     * Reads at least one and at most SIZE bytes. Returns the count; E_END at an orderly end (for
     * TLS: close_notify), E_CLOSED if the connection broke off, E_TIMEOUT, E_STOP, error_sys,
     * error_tls. Never returns 0.
     */
    int (*read)(struct stream *stream, void *buffer, size_t size, int64_t deadline_ms);

    /** Writes all COUNT bytes. Returns 0, or as read does; how much was written is then unknown. */
    int (*write)(struct stream *stream, const void *bytes, size_t count, int64_t deadline_ms);

    /** Closes and gives back everything; never waits longer than a moment. */
    void (*close)(struct stream *stream);
};

static inline int stream_read(struct stream *stream, void *buffer, size_t size, int64_t deadline_ms)
{
    return stream->operations->read(stream, buffer, size, deadline_ms);
}

static inline int stream_write(struct stream *stream, const void *bytes, size_t count,
                               int64_t deadline_ms)
{
    return stream->operations->write(stream, bytes, count, deadline_ms);
}

/** NULL is allowed. */
static inline void stream_close(struct stream *stream)
{
    if (stream != NULL)
        stream->operations->close(stream);
}

#endif
