/* models.c - one GET per provider; the names are taken from the JSON answer. */
#include "gateway/models.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "http/ask.h"
#include "net/waiter.h"

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
    struct http_ask *call;
};

static uint64_t
now_ms(void)
{
    return clock_now_us() / 1000;
}

/* --- a query --- */

static void
ask_end(struct models_ask *q, struct offer_list *list, const char *why, int status)
{
    struct log_context who = { .provider = q->provider->id };

    if (list == NULL && status == 0)
        log_info(&who, "the provider's models could not be listed: %s", why);
    else if (list == NULL)
        log_info(&who, "the provider's models could not be listed: %s (status %d)", why, status);
    offer_settle(q->provider->offer, list, now_ms());
    waiter_wake_all();
    LIST_REMOVE(q->asker->first, q);
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
read_answer(const struct models_ask *q, struct str body)
{
    const struct json_limits limits = { .depth = ANSWER_DEPTH, .values = ANSWER_VALUES };
    struct arena *a = arena_create(ANSWER_ARENA_BYTES);
    const struct json *doc = json_parse(a, body, &limits, NULL);
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
            if (str_starts(names[n], S("models/")))    /* Google's */
                names[n] = str_skip(names[n], S("models/").n);
            n += is_name(q->snapshot, names[n]);
        }
        list = offer_list_create(names, n);
        free(names);
    }
    arena_destroy(a);
    return list;
}

static void
on_answer(void *owner, const struct http_answer *answer)
{
    struct models_ask *q = owner;
    bool large = answer->why == ERR_UPSTREAM_TOO_LARGE || answer->why == ERR_UPSTREAM_TIMEOUT;

    if (answer->why == OK)
        ask_end(q, answer->status == 200 ? read_answer(q, answer->body) : NULL,
            "the answer is not a list of models", answer->status);
    else
        ask_end(q, NULL, large ? answer->detail : err_row(answer->why)->sentence, answer->status);
}

struct client_request
models_request(const struct provider *p, struct buf *fields, struct buf *path, uint64_t limit_ms)
{
    const struct wire_provider *wire = p->wire->provider;
    struct str base = p->address.base_path;

    buf_init(fields, FIELDS_BYTES);
    buf_init(path, FIELDS_BYTES);
    buf_add(fields, S("Accept: application/json\r\nUser-Agent: openclaw\r\n"));
    if (p->credential_count != 0)
        buf_add(fields, p->credentials[0]);
    buf_add(fields, wire->fields);
    buf_add(fields, p->fields);
    if (wire->models_base.n != 0 && str_ends(base, wire->base)) {
        base.n -= wire->base.n;
        buf_add(path, base);
        buf_add(path, wire->models_base);
    } else {
        buf_add(path, base);
    }
    buf_add(path, wire->models_path);
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
    LIST_ADD(a->first, q);
    struct buf fields, path;
    struct client_request r = models_request(p, &fields, &path, MODELS_DEADLINE_MS);
    q->call =
        http_ask_start(a->loop, a->client, &r, MODELS_DEADLINE_MS, ANSWER_BYTES, on_answer, q);
    buf_fini(&fields);
    buf_fini(&path);
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
        http_ask_cancel(q->call);
        ask_end(q, NULL, "the gateway is shutting down", 0);
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
