/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sys/stat.h>

#include "agent/spool/spool_state.h"
#include "platform/base/error.h"

enum { PAGE_BYTES = 4096, STRETCH_PAGES = 64, STRETCHES = 8 };

uint64_t spool_size_wanted(const struct spool *spool)
{
    return spool->options.size_bytes / PAGE_BYTES * PAGE_BYTES;
}

static void keep(struct spool *spool, const char *why)
{
    spool->size_failed = true;
    log_warning("spool-size-kept path=%s bytes=%" PRIu64 " wanted=%" PRIu64 " error=\"%s\"",
                spool->path, spool->size_bytes, spool_size_wanted(spool), why);
}

/* A file that ends too early must not be made to look whole: it is looked at before. */
void spool_size_grow(struct spool *spool)
{
    char fault[VERIFY_FAULT_BYTES];
    struct stat file;
    uint64_t wanted = spool_size_wanted(spool);
    store_forget_copy(spool->path);
    if (stat(spool->path, &file) != 0)
        return; /* it will be made as it is wanted */
    int rc = (uint64_t)file.st_size < wanted ? store_verify(spool->path, fault) : E_OK;
    if (rc == E_DAMAGED || rc == E_VERSION)
        return; /* it will be set aside */
    spool->size_bytes = (uint64_t)file.st_size;
    if (spool->size_bytes >= wanted)
        return;
    if (rc == E_OK)
        rc = store_grow(spool->path, wanted);
    if (rc < 0) {
        keep(spool, ERROR_TEXT(rc));
        return;
    }
    log_info("spool-grown path=%s bytes=%" PRIu64 " before=%" PRIu64, spool->path, wanted,
             spool->size_bytes);
    spool->size_bytes = wanted;
}

int spool_size_stretch(struct spool *spool)
{
    const uint64_t step = STRETCH_PAGES * PAGE_BYTES;
    uint64_t bytes = spool->size_bytes + step;
    if (bytes > spool_size_wanted(spool) + STRETCHES * step)
        return E_FULL;
    int rc = store_stretch(spool->store, bytes);
    if (rc < 0)
        return rc;
    log_warning("spool-stretched path=%s bytes=%" PRIu64 " before=%" PRIu64
                " error=\"without a free page nothing can be deleted\"",
                spool->path, bytes, spool->size_bytes);
    (void)pthread_mutex_lock(&spool->lock);
    spool->size_bytes = spool->room_bytes = bytes;
    (void)pthread_mutex_unlock(&spool->lock);
    return E_OK;
}

static void note_shrunk(struct spool *spool, uint64_t wanted)
{
    log_info("spool-shrunk path=%s bytes=%" PRIu64 " before=%" PRIu64, spool->path, wanted,
             spool->size_bytes);
    (void)pthread_mutex_lock(&spool->lock);
    spool->size_bytes = spool->room_bytes = wanted;
    spool->use.total_pages = wanted / spool->use.page_bytes;
    (void)pthread_mutex_unlock(&spool->lock);
}

void spool_size_shrink(struct spool *spool)
{
    uint64_t wanted = spool_size_wanted(spool);
    if (spool->size_bytes <= wanted || spool->size_failed || !atomic_load(&spool->store_ready))
        return;
    if (!spool_room_fits(spool, wanted / spool->use.page_bytes)) {
        if (!spool->size_noted)
            log_info("spool-larger path=%s bytes=%" PRIu64 " wanted=%" PRIu64
                     " remedy=\"it shrinks by itself once what is stored fits\"",
                     spool->path, spool->size_bytes, wanted);
        spool->size_noted = true;
        return;
    }
    int rc = store_shrink(spool->store, wanted, &spool->commit_stop);
    if (rc == E_OK)
        note_shrunk(spool, wanted);
    else if (rc != E_STOP)
        keep(spool, ERROR_TEXT(rc));
}
