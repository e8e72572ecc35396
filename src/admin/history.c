/* history.c - an array, newest last, under a lock that only reloads and admin requests take. */
#include "admin/history.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "admin/answer.h"
#include "base/clock.h"
#include "base/digest.h"

#define TEXT_BYTES_MOST (2u * 1024 * 1024)

struct history_entry {
    uint64_t generation, from, wall_ms;
    struct buf text;
    char sha256[2 * DIGEST_SHA256_BYTES + 1];
};

struct history {
    pthread_mutex_t lock;
    struct history_entry list[HISTORY_MOST];
    size_t count;
};

struct history *
history_create(void)
{
    struct history *h = check_alloc(calloc(1, sizeof(*h)));

    CHECK(pthread_mutex_init(&h->lock, NULL) == 0);
    return h;
}

void
history_destroy(struct history *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->count; i++)
        buf_fini(&h->list[i].text);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}

void
history_add(struct history *h, uint64_t generation, uint64_t from, struct str text)
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    struct history_entry e = { .generation = generation, .from = from, .wall_ms = clock_wall_ms() };

    buf_init(&e.text, TEXT_BYTES_MOST);
    buf_add(&e.text, text);
    buf_fit(&e.text);
    digest_sha256(text, hash);
    digest_hex(hash, DIGEST_SHA256_BYTES, e.sha256);
    (void)pthread_mutex_lock(&h->lock);
    if (h->count == HISTORY_MOST) {
        buf_fini(&h->list[0].text);
        memmove(&h->list[0], &h->list[1], (HISTORY_MOST - 1) * sizeof(h->list[0]));
        h->count--;
    }
    h->list[h->count++] = e;
    (void)pthread_mutex_unlock(&h->lock);
}

bool
history_find(struct history *h, uint64_t *generation, struct buf *ret_text)
{
    bool found = false;

    (void)pthread_mutex_lock(&h->lock);
    for (size_t i = h->count; i-- > 0 && !found;) {
        const struct history_entry *e = &h->list[i];
        bool differs = strcmp(e->sha256, h->list[h->count - 1].sha256) != 0;

        if (*generation != 0 ? e->generation != *generation : !differs)
            continue;
        found = true;
        *generation = e->generation;
        buf_add(ret_text, buf_str(&e->text));
    }
    (void)pthread_mutex_unlock(&h->lock);
    return found;
}

uint64_t
history_from(struct history *h)
{
    (void)pthread_mutex_lock(&h->lock);
    uint64_t from = h->count != 0 ? h->list[h->count - 1].from : 0;
    (void)pthread_mutex_unlock(&h->lock);
    return from;
}

static void
write_from(struct json_out *o, const struct history_entry *e)
{
    if (e->from != 0)
        out_i64(o, "rolled_back_to", (int64_t)e->from);
    else
        out_null(o, "rolled_back_to");
}

void
history_write(struct history *h, struct json_out *o)
{
    (void)pthread_mutex_lock(&h->lock);
    CHECK(h->count != 0);
    const struct history_entry *now = &h->list[h->count - 1];

    out_i64(o, "generation", (int64_t)now->generation);
    answer_time(o, S("loaded"), now->wall_ms);
    write_from(o, now);
    out_key_array(o, "history");
    for (size_t i = h->count; i-- > 0;) {
        const struct history_entry *e = &h->list[i];

        out_object(o);
        out_i64(o, "generation", (int64_t)e->generation);
        answer_time(o, S("loaded"), e->wall_ms);
        write_from(o, e);
        out_i64(o, "bytes", (int64_t)buf_len(&e->text));
        out_text(o, "sha256", str_c(e->sha256));
        out_end(o);
    }
    out_end_array(o);
    (void)pthread_mutex_unlock(&h->lock);
}
