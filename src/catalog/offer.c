/* offer.c - offers, as entries of the registry. */
#include "catalog/offer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/registry.h"

struct offer {
    struct offer_list *list;
    bool asking;
    unsigned failures;    /* since the last list */
    uint64_t due_ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards all of them */

struct offer_list *
offer_list_create(const struct str *names, size_t count)
{
    size_t bytes = sizeof(struct offer_list) + count * sizeof(struct str);

    for (size_t i = 0; i < count; i++)
        bytes += names[i].n;
    struct offer_list *list = check_alloc(malloc(bytes));
    char *text = (char *)&list->names[count];

    atomic_init(&list->holders, 1);
    list->count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(text, names[i].p, names[i].n);
        list->names[i] = str_make(text, names[i].n);
        text += names[i].n;
    }
    return list;
}

void
offer_list_drop(struct offer_list *list)
{
    if (list != NULL && atomic_fetch_sub(&list->holders, 1) == 1)
        free(list);
}

static void
offer_fini(void *entry)
{
    offer_list_drop(((struct offer *)entry)->list);
}

static const struct registry_kind offer_kind = { "models of a provider", sizeof(struct offer),
    offer_fini };

struct offer *
offer_hold(struct str name)
{
    return registry_hold(&offer_kind, name);
}

void
offer_drop(struct offer *o)
{
    registry_drop(o);
}

bool
offer_begin(struct offer *o, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&lock);
    bool mine = !o->asking && now_ms >= o->due_ms;
    if (mine)
        o->asking = true;
    (void)pthread_mutex_unlock(&lock);
    return mine;
}

void
offer_settle(struct offer *o, struct offer_list *list, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&lock);
    CHECK(o->asking);
    o->asking = false;
    if (list != NULL) {
        offer_list_drop(o->list);
        o->list = list;
        o->failures = 0;
        o->due_ms = now_ms + OFFER_FRESH_MS;
    } else {
        o->due_ms = now_ms + MIN((uint64_t)OFFER_RETRY_MS << MIN(o->failures, 16u),
                                 (uint64_t)OFFER_RETRY_MOST_MS);
        o->failures++;
    }
    (void)pthread_mutex_unlock(&lock);
}

bool
offer_is_awaited(struct offer *o)
{
    (void)pthread_mutex_lock(&lock);
    bool awaited = o->asking && o->list == NULL && o->failures == 0;
    (void)pthread_mutex_unlock(&lock);
    return awaited;
}

struct offer_list *
offer_list(struct offer *o)
{
    (void)pthread_mutex_lock(&lock);
    struct offer_list *list = o->list;
    if (list != NULL)
        (void)atomic_fetch_add(&list->holders, 1);
    (void)pthread_mutex_unlock(&lock);
    return list;
}
