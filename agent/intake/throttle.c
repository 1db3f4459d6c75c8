/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/throttle.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"

/* Buckets hold millionths of tokens: per_mil_s of them come back in each millisecond. */
enum { MILLION = 1000000, WAIT_S_MAX = 3600 };
static const uint32_t NOBODY = UINT32_MAX;

struct bucket {
    uint64_t level;
    int64_t at_ms;
};

/* Linked by age, and with those whose hash falls into the same slot. */
struct place {
    uint8_t peer[THROTTLE_PEER_BYTES];
    struct bucket messages, bytes;
    uint32_t newer, older, next;
};

struct places {
    struct place *places;
    uint32_t *slots; /* count_max of them */
    uint32_t count, count_max, newest, oldest;
};

struct throttle {
    struct throttle_options options;
    struct bucket messages, bytes;
    struct places strangers, known;
};

/* ---- buckets ---- */

static uint64_t capacity(const struct coap_door_rate *rate)
{
    return rate->burst < UINT64_MAX / MILLION ? rate->burst * MILLION : UINT64_MAX;
}

static void fill(struct bucket *bucket, const struct coap_door_rate *rate, int64_t now_ms)
{
    uint64_t missing = capacity(rate) - bucket->level;
    uint64_t elapsed_ms = now_ms > bucket->at_ms ? (uint64_t)(now_ms - bucket->at_ms) : 0;
    bucket->at_ms = now_ms;
    if (rate->per_mil_s == 0 || elapsed_ms >= missing / rate->per_mil_s + 1)
        bucket->level = capacity(rate);
    else if (elapsed_ms * rate->per_mil_s < missing)
        bucket->level += elapsed_ms * rate->per_mil_s;
    else
        bucket->level += missing;
}

/* What must be in the bucket for COUNT tokens to leave it with KEPT. */
static uint64_t needed(const struct coap_door_rate *rate, uint64_t count, uint64_t kept)
{
    uint64_t full = capacity(rate);
    if (count >= full / MILLION || count * MILLION > full - kept)
        return full;
    return count * MILLION + kept;
}

/* In ms; 0: it is there. */
static uint64_t lacks(const struct bucket *bucket, const struct coap_door_rate *rate,
                      uint64_t needed_level)
{
    if (rate->per_mil_s == 0 || bucket->level >= needed_level)
        return 0;
    return (needed_level - bucket->level - 1) / rate->per_mil_s + 1;
}

static void take(struct bucket *bucket, uint64_t count)
{
    uint64_t level = count < UINT64_MAX / MILLION ? count * MILLION : UINT64_MAX;
    bucket->level -= level < bucket->level ? level : bucket->level;
}

/* ---- places ---- */

static int open_places(struct places *places, size_t count)
{
    *places = (struct places){.count_max = (uint32_t)count, .newest = NOBODY, .oldest = NOBODY};
    places->places = calloc(count, sizeof *places->places);
    places->slots = calloc(count, sizeof *places->slots);
    if (places->places == NULL || places->slots == NULL)
        return E_NO_MEMORY;
    memset(places->slots, 0xff, count * sizeof *places->slots); /* NOBODY */
    return 0;
}

static void close_places(struct places *places)
{
    free(places->places);
    free(places->slots);
}

static uint32_t *slot_of(struct places *places, const uint8_t peer[THROTTLE_PEER_BYTES])
{
    uint32_t hash;
    memcpy(&hash, peer, sizeof hash);
    return &places->slots[hash % places->count_max];
}

static uint32_t find(struct places *places, const uint8_t peer[THROTTLE_PEER_BYTES])
{
    uint32_t index = *slot_of(places, peer);
    while (index != NOBODY && memcmp(places->places[index].peer, peer, THROTTLE_PEER_BYTES) != 0)
        index = places->places[index].next;
    return index;
}

static void unlink_age(struct places *places, uint32_t index)
{
    struct place *place = &places->places[index];
    if (place->newer == NOBODY)
        places->newest = place->older;
    else
        places->places[place->newer].older = place->older;
    if (place->older == NOBODY)
        places->oldest = place->newer;
    else
        places->places[place->older].newer = place->newer;
}

static void link_newest(struct places *places, uint32_t index)
{
    struct place *place = &places->places[index];
    place->newer = NOBODY;
    place->older = places->newest;
    if (places->newest == NOBODY)
        places->oldest = index;
    else
        places->places[places->newest].newer = index;
    places->newest = index;
}

static void unlink_slot(struct places *places, uint32_t index)
{
    uint32_t *link = slot_of(places, places->places[index].peer);
    while (*link != index)
        link = &places->places[*link].next;
    *link = places->places[index].next;
}

/* One that nobody has, or had for long. */
static uint32_t make_room(struct places *places)
{
    if (places->count < places->count_max)
        return places->count++;
    uint32_t index = places->oldest;
    unlink_age(places, index);
    unlink_slot(places, index);
    return index;
}

static struct place *enter(struct throttle *throttle, const struct throttle_load *load,
                           int64_t now_ms)
{
    struct places *places = load->has_identity ? &throttle->known : &throttle->strangers;
    uint32_t index = find(places, load->peer);
    if (index != NOBODY) {
        unlink_age(places, index);
        link_newest(places, index);
        return &places->places[index];
    }
    index = make_room(places);
    struct place *place = &places->places[index];
    memcpy(place->peer, load->peer, sizeof place->peer);
    place->messages =
        (struct bucket){.level = capacity(&throttle->options.peer_messages), .at_ms = now_ms};
    place->bytes =
        (struct bucket){.level = capacity(&throttle->options.peer_bytes), .at_ms = now_ms};
    place->next = *slot_of(places, load->peer);
    *slot_of(places, load->peer) = index;
    link_newest(places, index);
    return place;
}

/* ---- outside ---- */

int throttle_open(const struct throttle_options *options, struct throttle **ret_throttle)
{
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL)
        return E_NO_MEMORY;
    throttle->options = *options;
    throttle->messages.level = capacity(&options->all_messages);
    throttle->bytes.level = capacity(&options->all_bytes);
    int rc = open_places(&throttle->strangers, options->peers_max);
    if (rc == 0)
        rc = open_places(&throttle->known, options->peers_max);
    if (rc < 0) {
        throttle_close(throttle);
        return rc;
    }
    *ret_throttle = throttle;
    return 0;
}

void throttle_close(struct throttle *throttle)
{
    if (throttle == NULL)
        return;
    close_places(&throttle->strangers);
    close_places(&throttle->known);
    free(throttle);
}

size_t throttle_count(const struct throttle *throttle)
{
    return (size_t)throttle->strangers.count + throttle->known.count;
}

unsigned throttle_take(struct throttle *throttle, const struct throttle_load *load, int64_t now_ms)
{
    struct place *place = enter(throttle, load, now_ms);
    const struct throttle_options *options = &throttle->options;
    const struct {
        struct bucket *bucket;
        const struct coap_door_rate *rate;
        uint64_t count;
        bool is_shared;
    } parts[] = {{&place->messages, &options->peer_messages, load->messages, false},
                 {&place->bytes, &options->peer_bytes, load->bytes, false},
                 {&throttle->messages, &options->all_messages, load->messages, true},
                 {&throttle->bytes, &options->all_bytes, load->bytes, true}};
    uint64_t longest_ms = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        bool keeps = parts[i].is_shared && !load->has_identity && parts[i].count > 0;
        uint64_t kept = keeps ? capacity(parts[i].rate) / 2 : 0;
        fill(parts[i].bucket, parts[i].rate, now_ms);
        uint64_t lacks_ms =
            lacks(parts[i].bucket, parts[i].rate, needed(parts[i].rate, parts[i].count, kept));
        longest_ms = lacks_ms > longest_ms ? lacks_ms : longest_ms;
    }
    for (size_t i = 0; longest_ms == 0 && i < sizeof parts / sizeof parts[0]; i++)
        take(parts[i].bucket, parts[i].count);
    uint64_t wait_s = (longest_ms + 999) / 1000;
    return wait_s < WAIT_S_MAX ? (unsigned)wait_s : WAIT_S_MAX;
}
