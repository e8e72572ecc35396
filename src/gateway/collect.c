/* collect.c - one lock guards all collections. A collection is freed by the last of those who need
 * it: its exchange, and the messages that are under way for it. */
#include "gateway/collect.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "net/timer.h"

#define PLACES_MOST (WORKERS_MOST + 1)
#define ROWS_BYTES_MOST (4u * 1024 * 1024)

struct collection;

/* A thread's part of a collection. */
struct collection_part {
    struct collection *of;
    void *owner;
    struct collected told;
};

struct collection {
    struct collection *prev, *next;
    struct collector *collector;
    struct worker *home;    /* the exchange's worker */
    uint64_t id;            /* of the exchange in its worker's table; that worker's thread only */
    struct timer patience;
    bool over;    /* by time */
    bool gone;    /* the exchange has ended */
    unsigned users;
    unsigned left;    /* parts that have not answered */
    collect_fn *ask;
    struct str question;
    struct collected *answers;    /* as the exchange sees them: what was there when it looked */
    unsigned count;
    struct collection_part parts[];
};

struct collector {
    pthread_mutex_t lock;
    bool closed;
    struct {
        struct loop *loop;
        void *owner;
    } places[PLACES_MOST];
    unsigned count;
    struct collection *first;
};

struct collector *
collector_create(void)
{
    struct collector *c = check_alloc(calloc(1, sizeof(*c)));

    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    return c;
}

void
collector_add(struct collector *c, struct loop *loop, void *owner)
{
    CHECK(c->count < PLACES_MOST);
    c->places[c->count].loop = loop;
    c->places[c->count].owner = owner;
    c->count++;
}

void
collector_close(struct collector *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->closed = true;
    (void)pthread_mutex_unlock(&c->lock);
}

static void
collection_free(struct collection *n)
{
    LIST_REMOVE(n->collector->first, n);
    for (unsigned i = 0; i < n->count; i++)
        buf_fini(&n->parts[i].told.rows);
    free((void *)(uintptr_t)n->question.p);
    free(n->answers);
    free(n);
}

void
collector_destroy(struct collector *c)
{
    if (c == NULL)
        return;
    while (c->first != NULL)    /* its message was in the queue of a loop that ended */
        collection_free(c->first);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Under the lock. */
static void
drop(struct collection *n)
{
    if (--n->users == 0)
        collection_free(n);
}

/* --- on the exchange's thread --- */

static void
wake(struct collection *n)
{
    struct exchange *x = slots_find(&n->home->awaiting, n->id);

    if (x != NULL)
        exchange_wake(x);
}

static void
on_all(void *arg)
{
    struct collection *n = arg;
    struct collector *c = n->collector;

    (void)pthread_mutex_lock(&c->lock);
    if (!n->gone)
        wake(n);
    drop(n);
    (void)pthread_mutex_unlock(&c->lock);
}

static void
on_patience(void *arg)
{
    struct collection *n = arg;

    n->over = true;
    wake(n);
}

/* The exchange has ended. */
static void
on_end(void *arg)
{
    struct collection *n = arg;
    struct collector *c = n->collector;

    timer_stop(&n->patience);
    slots_drop(&n->home->awaiting, n->id);
    (void)pthread_mutex_lock(&c->lock);
    n->gone = true;
    drop(n);
    (void)pthread_mutex_unlock(&c->lock);
}

/* --- on the threads that are asked --- */

static void
on_asked(void *arg)
{
    struct collection_part *p = arg;
    struct collection *n = p->of;
    struct collector *c = n->collector;
    struct collected told = { .answered = true };

    buf_init(&told.rows, ROWS_BYTES_MOST);
    (void)pthread_mutex_lock(&c->lock);
    bool closed = c->closed;
    (void)pthread_mutex_unlock(&c->lock);
    if (!closed)    /* else what it asks for may be gone */
        n->ask(p->owner, n->question, &told);
    (void)pthread_mutex_lock(&c->lock);
    p->told = told;
    if (--n->left == 0 && !n->gone && !c->closed) {
        n->users++;
        if (!loop_post(n->home->loop, on_all, n))
            n->users--;    /* the exchange looks when its patience ends */
    }
    drop(n);
    (void)pthread_mutex_unlock(&c->lock);
}

/* --- asking --- */

static struct collection *
begin(struct collector *c, struct exchange *x, unsigned first, unsigned end, collect_fn *ask,
    struct str question, uint64_t patience_ms)
{
    unsigned count = end - first;
    struct collection *n = check_alloc(calloc(1, sizeof(*n) + count * sizeof(n->parts[0])));

    n->collector = c;
    n->home = x->worker;
    n->id = slots_add(&x->worker->awaiting, x);
    n->ask = ask;
    n->question = str_c(str_dup_c(question));
    n->answers = check_alloc(calloc(count, sizeof(*n->answers)));
    n->count = count;
    n->users = 1;
    timer_init(&n->patience, x->worker->loop, on_patience, n);
    timer_set(&n->patience, patience_ms);

    (void)pthread_mutex_lock(&c->lock);
    LIST_ADD(c->first, n);
    for (unsigned i = 0; i < count; i++) {
        n->parts[i] = (struct collection_part){ .of = n, .owner = c->places[first + i].owner };
        n->users++;
        n->left++;
        if (!c->closed && loop_post(c->places[first + i].loop, on_asked, &n->parts[i]))
            continue;
        n->users--;
        n->left--;
    }
    bool asked = n->left != 0;
    (void)pthread_mutex_unlock(&c->lock);
    if (!asked)
        timer_set(&n->patience, 0);
    arena_cleanup(x->arena, on_end, n);
    return n;
}

bool
collect(struct collector *c, struct exchange *x, unsigned first, unsigned end, collect_fn *ask,
    struct str question, uint64_t patience_ms, const struct collected **ret_list)
{
    struct collection *n = x->admin;

    CHECK(first < end && end <= c->count);
    if (n == NULL) {
        x->admin = begin(c, x, first, end, ask, question, patience_ms);
        return false;
    }
    (void)pthread_mutex_lock(&c->lock);
    bool over = n->left == 0 || n->over;
    for (unsigned i = 0; over && i < n->count; i++)
        n->answers[i] = n->parts[i].told;    /* one that answers later is not seen */
    (void)pthread_mutex_unlock(&c->lock);
    *ret_list = n->answers;
    return over;
}
