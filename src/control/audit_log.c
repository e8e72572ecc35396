/* audit_log.c - a bounded list of acts that are not recorded yet. */
#include "control/audit_log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

#define EVENT_BYTES (256u * 1024)

struct noted {
    struct noted *next;
    struct arena *arena;
    struct audit_event event;
};

struct audit_log {
    struct auditor *auditor;
    pthread_mutex_t lock;    /* guards the list */
    struct noted *first, **tail;
    unsigned count;
    uint64_t minute;     /* clock_now_ms() / 60000, */
    unsigned refused;    /* and the acts that were refused in it */
    _Atomic uint64_t lost;
};

struct audit_log *
audit_log_create(struct auditor *a)
{
    struct audit_log *l = check_alloc(calloc(1, sizeof(*l)));

    l->auditor = a;
    l->tail = &l->first;
    CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
    return l;
}

static void
noted_free(struct noted *n)
{
    arena_destroy(n->arena);
    free(n);
}

void
audit_log_destroy(struct audit_log *l)
{
    if (l == NULL)
        return;
    for (struct noted *n = l->first, *next; n != NULL; n = next) {
        next = n->next;
        noted_free(n);
    }
    (void)pthread_mutex_destroy(&l->lock);
    auditor_destroy(l->auditor);
    free(l);
}

const struct auditor *
audit_log_auditor(const struct audit_log *l)
{
    return l->auditor;
}

uint64_t
audit_log_lost(const struct audit_log *l)
{
    return atomic_load_explicit(&l->lost, memory_order_relaxed);
}

static struct noted *
copy(const struct audit_event *e)
{
    struct noted *n = check_alloc(calloc(1, sizeof(*n)));
    const struct str *from[] = { &e->actor, &e->action, &e->object, &e->outcome, &e->request_id,
        &e->before, &e->after };
    struct str *to[] = { &n->event.actor, &n->event.action, &n->event.object, &n->event.outcome,
        &n->event.request_id, &n->event.before, &n->event.after };

    n->arena = arena_create(EVENT_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(to); i++)
        *to[i] = from[i]->n != 0 ? arena_str(n->arena, *from[i]) : S("");
    n->event.at_ms = (int64_t)clock_wall_ms();
    return n;
}

/* Is there room for it? Under the lock. */
static bool
has_room(struct audit_log *l, const struct audit_event *e)
{
    uint64_t minute = clock_now_ms() / 60000;

    if (minute != l->minute)
        l->refused = 0;
    l->minute = minute;
    l->refused += str_eq(e->outcome, S("refused"));
    return l->count < AUDIT_LOG_MOST &&
           (!str_eq(e->outcome, S("refused")) || l->refused <= AUDIT_LOG_REFUSED);
}

void
audit_note(struct audit_log *l, const struct audit_event *e)
{
    struct noted *n = l != NULL ? copy(e) : NULL;

    if (n == NULL)
        return;
    (void)pthread_mutex_lock(&l->lock);
    bool room = has_room(l, e);
    if (room) {
        l->count++;
        *l->tail = n;
        l->tail = &n->next;
    }
    (void)pthread_mutex_unlock(&l->lock);
    if (room)
        return;
    (void)atomic_fetch_add(&l->lost, 1);
    log_warn(NULL,
        "the audit record has no room for this act now: " STR_FMT " of " STR_FMT " by " STR_FMT
        ", " STR_FMT,
        STR_ARG(e->action), STR_ARG(e->object), STR_ARG(e->actor), STR_ARG(e->outcome));
    noted_free(n);
}

/* Records the acts up to `last`, all or none. */
static bool
record(struct store *s, struct audit_log *l, const struct noted *first, const struct noted *last)
{
    enum store_result r = store_begin(s);

    for (const struct noted *n = first; r == STORE_OK; n = n->next) {
        r = audit_append(s, l->auditor, &n->event);
        if (n == last)
            break;
    }
    if (r == STORE_OK && store_commit(s) == STORE_OK)
        return true;
    store_rollback(s);
    return false;
}

void
audit_log_drain(struct store *s, void *log)
{
    struct audit_log *l = log;

    (void)pthread_mutex_lock(&l->lock);
    struct noted *first = l->first, *last = first;
    unsigned count = first != NULL;
    for (; last != NULL && last->next != NULL; last = last->next)
        count++;
    (void)pthread_mutex_unlock(&l->lock);
    /* Only this thread takes entries away, so those up to `last` stay. */
    if (first == NULL || !record(s, l, first, last))
        return;
    (void)pthread_mutex_lock(&l->lock);
    l->first = last->next;
    l->count -= count;
    if (l->first == NULL)
        l->tail = &l->first;
    (void)pthread_mutex_unlock(&l->lock);
    last->next = NULL;
    for (struct noted *n = first, *next; n != NULL; n = next) {
        next = n->next;
        noted_free(n);
    }
}
