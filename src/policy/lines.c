/* lines.c - lines by key and priority, whose turns go round. */
#include "policy/lines.h"

#include <stdlib.h>

#include "base/map.h"

#define KEYS_ASKED_MOST 32
#define RATE_US 10000000.0    /* how long what was measured counts */
#define RATE_LEAST 4.0        /* served so many: the rate means something */
#define RETRY_LEAST_MS 1000.0
#define RETRY_MOST_MS 60000.0

/* How much of the queue each priority may use. */
static const unsigned room_percent[PRIORITIES] = {
    [PRIORITY_HIGH] = 100,
    [PRIORITY_NORMAL] = 90,
    [PRIORITY_LOW] = 50,
};

/* Requests of one key and priority, oldest first. While there are any it is in the ring of its
 * priority. */
struct line {
    struct lines_link *first, *last;
    struct line *prev, *next;
    struct tenant *tenant;
    enum priority priority;
};

/* A key of which something waits. */
struct tenant {
    const void *key;
    unsigned count;
    struct line lines[PRIORITIES];
};

struct lines {
    struct map *tenants;              /* by the bytes of the pointer `key` */
    struct line *turn[PRIORITIES];    /* whose turn it is */
    unsigned lines[PRIORITIES];
    unsigned waiting[PRIORITIES];
    unsigned count;
    /* The rate at which requests were served while some waited: how many, in how long, both fading.
     */
    double served;
    double took_us;
    uint64_t since_us;    /* the last was served, or the first began to wait */
};

struct lines *
lines_create(void)
{
    struct lines *q = check_alloc(calloc(1, sizeof(*q)));

    q->tenants = map_create();
    return q;
}

void
lines_destroy(struct lines *q)
{
    if (q == NULL)
        return;
    CHECK(q->count == 0 && map_count(q->tenants) == 0);
    map_destroy(q->tenants);
    free(q);
}

unsigned
lines_count(const struct lines *q)
{
    return q->count;
}

static struct str
key_text(const void *const *key)
{
    return str_make((const char *)key, sizeof(*key));
}

bool
lines_has_key(const struct lines *q, const void *key)
{
    return map_get(q->tenants, key_text(&key)) != NULL;
}

/* --- the rate --- */

/* Microseconds from one to the next; 0: not known yet. A longer silence counts at once. */
static double
interval_us(const struct lines *q, uint64_t now_us)
{
    if (q->served < RATE_LEAST)
        return 0;
    double since = q->count != 0 ? (double)(now_us - q->since_us) : 0;
    return MAX(q->took_us / q->served, since / 2);
}

static void
note_served(struct lines *q, uint64_t now_us)
{
    double took = (double)(now_us - q->since_us);
    double fade = RATE_US / (RATE_US + took);

    q->took_us = q->took_us * fade + took;
    q->served = q->served * fade + 1;
    q->since_us = now_us;
}

int64_t
lines_retry_after_ms(const struct lines *q, uint64_t now_us, uint64_t random)
{
    double ms = (double)(q->count + 1) * interval_us(q, now_us) / 1000;

    ms = MIN(MAX(ms, RETRY_LEAST_MS), RETRY_MOST_MS);
    return (int64_t)(ms + ms / 2 * (double)(random % 1024) / 1024);
}

/* --- lines --- */

static void
ring_add(struct lines *q, struct line *line)
{
    struct line **turn = &q->turn[line->priority];

    q->lines[line->priority]++;
    if (*turn == NULL) {
        *turn = line->prev = line->next = line;
        return;
    }
    line->next = *turn;    /* the last to have its turn */
    line->prev = (*turn)->prev;
    line->prev->next = line->next->prev = line;
}

static void
ring_remove(struct lines *q, struct line *line)
{
    struct line **turn = &q->turn[line->priority];

    q->lines[line->priority]--;
    if (line->next == line) {
        *turn = NULL;
        return;
    }
    line->prev->next = line->next;
    line->next->prev = line->prev;
    if (*turn == line)
        *turn = line->next;
}

static struct tenant *
tenant_of(struct lines *q, const void *key)
{
    struct tenant *t = map_get(q->tenants, key_text(&key));

    if (t != NULL)
        return t;
    t = check_alloc(calloc(1, sizeof(*t)));
    t->key = key;
    for (int p = 0; p < PRIORITIES; p++)
        t->lines[p] = (struct line){ .tenant = t, .priority = (enum priority)p };
    (void)map_put(q->tenants, key_text(&key), t);
    return t;
}

static unsigned
part(unsigned whole, unsigned percent)
{
    return (unsigned)(((uint64_t)whole * percent + 99) / 100);
}

/* Those that will be served before a new one of that priority, whose key has `own` waiting: keys
 * take turns, so each other one is served as often as its own before it. */
static unsigned
ahead_of(const struct lines *q, enum priority p, unsigned own)
{
    uint64_t turns = (own + UINT64_C(1)) * MAX(q->lines[p], 1);
    unsigned n = (unsigned)MIN(q->waiting[p], turns);

    for (int i = 0; i < (int)p; i++)
        n += q->waiting[i];
    return n;
}

enum lines_verdict
lines_add(struct lines *q, struct lines_link *l, const void *key, enum priority p,
    const struct lines_limits *limits, uint64_t now_us)
{
    const struct tenant *known = map_get(q->tenants, key_text(&key));

    CHECK(l->line == NULL && p < PRIORITIES);
    unsigned ahead = ahead_of(q, p, known != NULL ? known->count : 0);
    if (q->count >= part(limits->length, room_percent[p]))
        return LINES_FULL;
    if (known != NULL && known->count >= part(limits->length, limits->share_percent))
        return LINES_KEY_FULL;
    /* The first to wait measures the rate for the others. */
    if (ahead != 0 && (double)ahead * interval_us(q, now_us) > (double)limits->wait_us)
        return LINES_TOO_SLOW;

    struct tenant *t = tenant_of(q, key);
    struct line *line = &t->lines[p];

    if (q->count++ == 0)
        q->since_us = now_us;
    q->waiting[p]++;
    t->count++;
    if (line->first == NULL)
        ring_add(q, line);
    *l = (struct lines_link){ .prev = line->last, .line = line };
    if (line->last != NULL)
        line->last->next = l;
    else
        line->first = l;
    line->last = l;
    return LINES_WAITS;
}

void
lines_remove(struct lines *q, struct lines_link *l)
{
    struct line *line = l->line;
    struct tenant *t = line->tenant;

    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        line->first = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    else
        line->last = l->prev;
    l->line = NULL;
    q->count--;
    q->waiting[line->priority]--;
    if (line->first == NULL)
        ring_remove(q, line);
    if (--t->count != 0)
        return;
    (void)map_remove(q->tenants, key_text(&t->key));
    free(t);
}

struct lines_link *
lines_next(
    struct lines *q, bool (*may)(void *arg, struct lines_link *l), void *arg, uint64_t now_us)
{
    for (int p = 0; p < PRIORITIES; p++) {
        unsigned asked = 0;    /* of each priority: those above may all be at limits of their own */

        for (unsigned n = q->lines[p]; n > 0 && asked < KEYS_ASKED_MOST; n--, asked++) {
            struct line *line = q->turn[p];
            struct lines_link *l = line->first;

            q->turn[p] = line->next;
            if (!may(arg, l))
                continue;
            lines_remove(q, l);
            note_served(q, now_us);
            return l;
        }
    }
    return NULL;
}

void
lines_note_idle(struct lines *q, uint64_t now_us)
{
    q->since_us = now_us;
}
