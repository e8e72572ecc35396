/* models.c - one GET per provider; the names are taken from the JSON answer. */
#include "gateway/models.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "net/loop.h"

enum {
    ANSWER_BYTES = 4 * 1024 * 1024,
    ANSWER_ARENA_BYTES = 64 * 1024 * 1024,
    ANSWER_DEPTH = 32,
    ANSWER_VALUES = 500 * 1000,
    NAMES_MOST = 5000,
    FIELDS_BYTES = 32 * 1024,
};

struct models_ask {
    struct models_asker *asker;
    struct models_ask *prev, *next;
    struct snapshot *snapshot;    /* owns the provider */
    struct provider *provider;
    struct client_call *call;
    struct buf fields, path;
    struct buf body;
    int status;
    struct timer deadline;
};

static uint64_t
now_ms(void)
{
    return clock_now_us() / 1000;
}

/* --- those who wait --- */

struct wake_up {
    void (*wake)(void *to, uint64_t id);
    void *to;
    uint64_t id;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards the list */
static struct models_waiter *waiters;

static void
on_wake_up(void *arg)
{
    struct wake_up u = *(struct wake_up *)arg;

    free(arg);
    u.wake(u.to, u.id);
}

static void
wake_all(void)
{
    (void)pthread_mutex_lock(&lock);
    for (const struct models_waiter *w = waiters; w != NULL; w = w->next) {
        struct wake_up *u = check_alloc(malloc(sizeof(*u)));

        *u = (struct wake_up){ w->wake, w->to, w->id };
        if (!loop_post(w->loop, on_wake_up, u))
            free(u);    /* its patience ends anyway */
    }
    (void)pthread_mutex_unlock(&lock);
}

static void
on_patience(void *arg)
{
    struct models_waiter *w = arg;

    w->wake(w->to, w->id);
}

void
models_wait(struct models_waiter *w, uint64_t patience_ms)
{
    timer_init(&w->patience, w->loop, on_patience, w);
    timer_set(&w->patience, patience_ms);
    (void)pthread_mutex_lock(&lock);
    LIST_ADD(waiters, w);
    (void)pthread_mutex_unlock(&lock);
}

void
models_unwait(struct models_waiter *w)
{
    timer_stop(&w->patience);
    (void)pthread_mutex_lock(&lock);
    LIST_REMOVE(waiters, w);
    (void)pthread_mutex_unlock(&lock);
}

/* --- a query --- */

static void
ask_end(struct models_ask *q, struct offer_list *list, const char *why)
{
    struct log_context who = { .provider = q->provider->id };

    if (list == NULL && q->status == 0)
        log_info(&who, "the provider's models could not be listed: %s", why);
    else if (list == NULL)
        log_info(&who, "the provider's models could not be listed: %s (status %d)", why, q->status);
    timer_stop(&q->deadline);
    if (q->call != NULL)
        client_cancel(q->call);
    offer_settle(q->provider->offer, list, now_ms());
    wake_all();
    LIST_REMOVE(q->asker->first, q);
    buf_fini(&q->fields);
    buf_fini(&q->path);
    buf_fini(&q->body);
    snapshot_unref(q->snapshot);
    free(q);
}

/* Is this a usable name: printable ASCII, not too long, without a secret? */
static bool
is_name(const struct snapshot *s, struct str name)
{
    if (name.n == 0 || name.n > MODEL_BYTES)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~')
            return false;
    return !secrets_in(s->secrets, name);
}

/* Reads {"data": [{"id": "..."}]}, the format of OpenAI and Anthropic. Some servers send a bare
 * array, or use "models" and "name" instead. NULL for anything else. */
static struct offer_list *
read_answer(const struct models_ask *q)
{
    const struct json_limits limits = { ANSWER_DEPTH, ANSWER_VALUES };
    struct arena *a = arena_create(ANSWER_ARENA_BYTES);
    const struct json *doc = json_parse(a, buf_str(&q->body), &limits, NULL);
    const struct json *data = json_is(doc, JSON_OBJECT) ? json_get(doc, S("data")) : doc;
    struct offer_list *list = NULL;

    if (data == NULL)
        data = json_get(doc, S("models"));
    if (json_is(data, JSON_ARRAY)) {
        struct str *names = check_alloc(calloc(NAMES_MOST, sizeof(*names)));
        struct json_iter it = json_iter(data);
        size_t n = 0;

        while (n < NAMES_MOST && json_next(&it)) {
            const struct json *id = json_get(it.value, S("id"));

            names[n] = json_str(a, id != NULL ? id : json_get(it.value, S("name")));
            n += is_name(q->snapshot, names[n]);
        }
        list = offer_list_create(names, n);
        free(names);
    }
    arena_destroy(a);
    return list;
}

static void
on_head(void *owner, const struct http_head *head)
{
    struct models_ask *q = owner;

    q->status = head->status;
}

static void
on_data(void *owner, struct str bytes)
{
    struct models_ask *q = owner;

    buf_add(&q->body, bytes);
    if (q->body.overflow)
        ask_end(q, NULL, "the answer is too large");
}

static void
on_end(void *owner)
{
    struct models_ask *q = owner;
    struct offer_list *list = q->status == 200 ? read_answer(q) : NULL;

    q->call = NULL;
    ask_end(q, list, "the answer is not a list of models");
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct models_ask *q = owner;

    (void)detail;
    q->call = NULL;
    ask_end(q, NULL, err_row(why)->sentence);
}

static const struct client_events events = {
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .failed = on_failed,
};

static void
on_deadline(void *arg)
{
    ask_end(arg, NULL, "it took too long");
}

struct client_request
models_request(const struct provider *p, struct buf *fields, struct buf *path, uint64_t limit_ms)
{
    buf_init(fields, FIELDS_BYTES);
    buf_init(path, FIELDS_BYTES);
    buf_add(fields, S("Accept: application/json\r\nUser-Agent: openclaw\r\n"));
    if (p->credential_count != 0)
        buf_add(fields, p->credentials[0]);
    buf_add(fields, p->wire->provider->fields);
    buf_add(fields, p->fields);
    buf_add(path, p->address.base_path);
    buf_add(path, p->wire->provider->models_path);
    return (struct client_request){
        .origin = p->origin,
        .method = S("GET"),
        .path = buf_str(path),
        .fields = buf_str(fields),
        .dns_ms = p->timeouts.dns_ms,
        .connect_ms = p->timeouts.connect_ms,
        .first_byte_ms = limit_ms,
        .resend_ms = limit_ms,
        .resend_stale = true,
    };
}

static void
ask(struct models_asker *a, struct snapshot *s, struct provider *p)
{
    struct models_ask *q = check_alloc(calloc(1, sizeof(*q)));

    q->asker = a;
    q->snapshot = snapshot_ref(s);
    q->provider = p;
    timer_init(&q->deadline, a->loop, on_deadline, q);
    timer_set(&q->deadline, MODELS_DEADLINE_MS);
    LIST_ADD(a->first, q);
    buf_init(&q->body, ANSWER_BYTES);
    struct client_request r = models_request(p, &q->fields, &q->path, MODELS_DEADLINE_MS);
    q->call = client_start(a->client, &r, &events, q);
}

static bool
is_in_catalog(const struct snapshot *s, const struct provider *p)
{
    const struct catalog *catalog = providers_catalog(s->providers);
    const struct model_row *row;
    size_t pos = 0;

    while ((row = catalog_next(catalog, &pos)) != NULL)
        if (row->id.n > p->id.n && row->id.p[p->id.n] == '/' && str_starts(row->id, p->id))
            return true;
    return false;
}

unsigned
models_ask(struct models_asker *a, struct snapshot *s)
{
    struct provider *p;
    unsigned unknown = 0;

    for (size_t i = 0; (p = providers_at(s->providers, i)) != NULL; i++) {
        if (p->offer == NULL)
            continue;
        if (offer_begin(p->offer, now_ms()))
            ask(a, s, p);
        if (offer_is_awaited(p->offer) && !is_in_catalog(s, p))
            unknown++;
    }
    return unknown;
}

void
models_stop(struct models_asker *a)
{
    struct models_ask *next;

    for (struct models_ask *q = a->first; q != NULL; q = next) {
        next = q->next;
        ask_end(q, NULL, "the gateway is shutting down");
    }
}

/* --- the list of all names --- */

struct names {
    char room[2 * MODEL_BYTES + 2];
    const struct catalog *catalog;
    void (*each)(void *arg, struct str id, struct str owner);
    void *arg;
};

static void
tell(struct names *n, const struct provider *p, struct str model)
{
    if (p->id.n + 1 + model.n > sizeof(n->room))
        return;
    memcpy(n->room, p->id.p, p->id.n);
    n->room[p->id.n] = '/';
    memcpy(n->room + p->id.n + 1, model.p, model.n);
    n->each(n->arg, str_make(n->room, p->id.n + 1 + model.n), p->id);
}

static void
tell_provider(struct names *n, const struct provider *p)
{
    struct offer_list *list = p->offer != NULL ? offer_list(p->offer) : NULL;
    const struct model_row *row;
    size_t pos = 0;

    for (size_t i = 0; i < p->models.count; i++)
        tell(n, p, p->models.list[i].v);
    if (p->simulated)
        tell(n, p, S("simulated"));
    for (size_t i = 0; list != NULL && i < list->count; i++)
        tell(n, p, list->names[i]);
    while (p->models.count == 0 && list == NULL && (row = catalog_next(n->catalog, &pos)) != NULL)
        if (row->id.n > p->id.n && row->id.p[p->id.n] == '/' && str_starts(row->id, p->id))
            n->each(n->arg, row->id, p->id);
    offer_list_drop(list);
}

void
models_each(
    const struct snapshot *s, void (*each)(void *arg, struct str id, struct str owner), void *arg)
{
    struct names n = { .catalog = providers_catalog(s->providers), .each = each, .arg = arg };
    const struct alias *al;
    const struct provider *p;

    for (size_t i = 0; (al = table_alias_at(s->routes, i)) != NULL; i++)
        if (al->count != 0)
            each(arg, al->name, S("openclaw"));
    for (size_t i = 0; (p = providers_at(s->providers, i)) != NULL; i++)
        tell_provider(&n, p);
}
