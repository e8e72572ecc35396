/* conversations.c - a map with a list from the newest turn to the oldest, in each shard. */
#include "gateway/conversations.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"

enum { SHARDS = 16, TEXTS = 6, TURN_BYTES = 256 };    /* charged for a turn besides its texts */

struct kept_turn {
    struct kept_turn *prev, *next;
    struct conversation_turn turn;    /* its texts are in `bytes` */
    uint64_t ends_ms;
    size_t size;
    char bytes[];
};

struct shard {
    pthread_mutex_t lock;
    struct map *by_id;
    struct kept_turn *newest, *oldest;
    uint64_t held;
};

struct conversations {
    struct shard shards[SHARDS];
};

struct conversations *
conversations_create(void)
{
    struct conversations *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        CHECK(pthread_mutex_init(&c->shards[i].lock, NULL) == 0);
        c->shards[i].by_id = map_create();
    }
    return c;
}

static void
drop(struct shard *s, struct kept_turn *k)
{
    (void)map_remove(s->by_id, k->turn.id);
    if (s->oldest == k)
        s->oldest = k->prev;
    LIST_REMOVE(s->newest, k);
    s->held -= k->size;
    free(k);
}

void
conversations_destroy(struct conversations *c)
{
    for (size_t i = 0; c != NULL && i < SHARDS; i++) {
        struct shard *s = &c->shards[i];

        while (s->newest != NULL)
            drop(s, s->newest);
        map_destroy(s->by_id);
        pthread_mutex_destroy(&s->lock);
    }
    free(c);
}

/* The texts of a turn, to be copied one after the other. */
static void
texts_of(struct conversation_turn *t, struct str *ret[TEXTS])
{
    struct str *texts[TEXTS] = { &t->id, &t->owner, &t->previous, &t->input, &t->answer,
        &t->provider };

    memcpy(ret, texts, sizeof(texts));
}

static struct kept_turn *
copy_of(const struct conversation_turn *turn)
{
    struct conversation_turn t = *turn;
    struct str *texts[TEXTS];
    size_t bytes = 0;

    texts_of(&t, texts);
    for (size_t i = 0; i < TEXTS; i++)
        bytes += texts[i]->n;

    struct kept_turn *k = malloc(sizeof(*k) + bytes);

    if (k == NULL)
        return NULL;
    k->turn = t;
    k->size = bytes + TURN_BYTES;
    texts_of(&k->turn, texts);
    bytes = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->n > 0)
            memcpy(k->bytes + bytes, texts[i]->p, texts[i]->n);
        texts[i]->p = k->bytes + bytes;
        bytes += texts[i]->n;
    }
    return k;
}

static struct shard *
shard_of(struct conversations *c, struct str id)
{
    return &c->shards[map_hash(id) % SHARDS];
}

void
conversations_put(struct conversations *c, const struct conversation_turn *turn,
    uint64_t limit_bytes, uint64_t ttl_ms, uint64_t now_ms)
{
    uint64_t room = limit_bytes / SHARDS;

    if (c == NULL || turn->id.n == 0 ||
        turn->input.n + turn->answer.n + turn->id.n + TURN_BYTES > room / 8)
        return;

    struct kept_turn *k = copy_of(turn);
    struct shard *s = shard_of(c, turn->id);

    if (k == NULL)
        return;
    k->ends_ms = now_ms + ttl_ms;
    pthread_mutex_lock(&s->lock);
    struct kept_turn *old = map_get(s->by_id, turn->id);
    if (old != NULL)
        drop(s, old);
    (void)map_put(s->by_id, k->turn.id, k);
    LIST_ADD(s->newest, k);
    if (s->oldest == NULL)
        s->oldest = k;
    s->held += k->size;
    while (s->oldest != k && (s->held > room || s->oldest->ends_ms <= now_ms))
        drop(s, s->oldest);
    pthread_mutex_unlock(&s->lock);
}

static bool
copy_into(struct arena *a, const struct kept_turn *k, struct conversation_turn *ret)
{
    struct str *texts[TEXTS];

    *ret = k->turn;
    texts_of(ret, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        *texts[i] = arena_str(a, *texts[i]);
        if (texts[i]->p == NULL)
            return false;
    }
    return true;
}

enum turn_found
conversations_get(struct conversations *c, struct arena *a, struct str id, struct str owner,
    uint64_t now_ms, struct conversation_turn *ret)
{
    enum turn_found found = TURN_UNKNOWN;

    if (c == NULL)
        return found;

    struct shard *s = shard_of(c, id);

    pthread_mutex_lock(&s->lock);
    const struct kept_turn *k = map_get(s->by_id, id);
    if (k != NULL && k->ends_ms > now_ms) {
        if (!str_eq(k->turn.owner, owner))
            found = TURN_ANOTHERS;
        else if (copy_into(a, k, ret))
            found = TURN_KEPT;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

bool
conversations_remove(struct conversations *c, struct str id, struct str owner)
{
    bool found = false;

    if (c == NULL)
        return false;

    struct shard *s = shard_of(c, id);

    pthread_mutex_lock(&s->lock);
    struct kept_turn *k = map_get(s->by_id, id);
    if (k != NULL && str_eq(k->turn.owner, owner)) {
        drop(s, k);
        found = true;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}
