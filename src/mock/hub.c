/* hub.c - counters that tests compare with the gateway's own, and the last requests that it
 * sent. */
#include "mock/hub.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"

enum { MEMORIES_MAX = 100000, MEMORY_BYTES = 64 * 1024 * 1024 };

/* One request, already written as JSON. */
struct memory {
    char *text;
    size_t n;
};

struct mock_memory {
    pthread_mutex_t lock;
    struct memory *ring;
    size_t room;
    size_t next;    /* where the next one goes */
    size_t count;
};

static const struct str default_models[] = {
    S_INIT("mock-gpt"),
    S_INIT("mock-claude"),
    S_INIT("mock-embed"),
    S_INIT("fault-429"),
    S_INIT("fault-reset-mid"),
    S_INIT("tools-1"),
};

void
mock_count_add(atomic_ullong *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static struct mock_memory *
memory_create(uint64_t room)
{
    struct mock_memory *m = check_alloc(calloc(1, sizeof(*m)));

    m->room = MIN(room, MEMORIES_MAX);
    m->ring = check_alloc(calloc(m->room, sizeof(*m->ring)));
    CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
    return m;
}

static void
memory_clear(struct mock_memory *m)
{
    for (size_t i = 0; i < m->room; i++) {
        free(m->ring[i].text);
        m->ring[i] = (struct memory){ NULL, 0 };
    }
    m->next = m->count = 0;
}

struct mock_hub *
mock_hub_create(const struct mock_options *o, char *why, size_t why_size)
{
    struct mock_cases *cases = NULL;

    if (o->replay_path != NULL) {
        cases = mock_cases_load(o->replay_path, why, why_size);
        if (cases == NULL)
            return NULL;
    }

    struct mock_hub *hub = check_alloc(calloc(1, sizeof(*hub)));
    hub->options = *o;
    hub->cases = cases;
    hub->model_count = o->model_count != 0 ? o->model_count : ARRAY_LEN(default_models);
    hub->models = check_alloc(calloc(hub->model_count, sizeof(*hub->models)));
    memcpy(hub->models, o->model_count != 0 ? o->models : default_models,
        hub->model_count * sizeof(*hub->models));
    if (o->record != 0)
        hub->memory = memory_create(o->record);
    return hub;
}

void
mock_hub_destroy(struct mock_hub *hub)
{
    if (hub == NULL)
        return;
    if (hub->memory != NULL) {
        memory_clear(hub->memory);
        pthread_mutex_destroy(&hub->memory->lock);
        free(hub->memory->ring);
        free(hub->memory);
    }
    mock_cases_destroy(hub->cases);
    free(hub->models);
    free(hub);
}

static void
add_member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, ",\"%s\":", name);
    json_add_str(out, value);
}

void
mock_remember(struct mock_hub *hub, const struct http_head *head, struct str body)
{
    struct mock_memory *m = hub->memory;
    struct buf out;

    if (m == NULL)
        return;
    buf_init(&out, MEMORY_BYTES);
    buf_printf(&out, "{\"time_ms\":%llu", (unsigned long long)clock_wall_ms());
    add_member(&out, "method", head->method);
    add_member(&out, "target", head->target);
    buf_add(&out, S(",\"headers\":["));
    for (size_t i = 0; i < head->fields.count; i++) {
        buf_add(&out, i > 0 ? S(",[") : S("["));
        json_add_str(&out, head->fields.list[i].name);
        buf_add_c(&out, ',');
        json_add_str(&out, head->fields.list[i].value);
        buf_add_c(&out, ']');
    }
    buf_printf(&out, "],\"body_bytes\":%zu", body.n);
    add_member(&out, "body", body);
    buf_add_c(&out, '}');

    if (!out.overflow) {
        CHECK(pthread_mutex_lock(&m->lock) == 0);
        free(m->ring[m->next].text);
        m->ring[m->next] = (struct memory){ str_dup_c(buf_str(&out)), buf_len(&out) };
        m->next = (m->next + 1) % m->room;
        m->count = MIN(m->count + 1, m->room);
        CHECK(pthread_mutex_unlock(&m->lock) == 0);
    }
    buf_fini(&out);
}

void
mock_write_requests(struct mock_hub *hub, uint64_t n, struct buf *out)
{
    struct mock_memory *m = hub->memory;

    buf_add_c(out, '[');
    if (m != NULL) {
        CHECK(pthread_mutex_lock(&m->lock) == 0);
        size_t count = MIN(n, m->count);
        for (size_t i = 0; i < count; i++) {
            const struct memory *one = &m->ring[(m->next + m->room - count + i) % m->room];
            if (i > 0)
                buf_add_c(out, ',');
            buf_add(out, str_make(one->text, one->n));
        }
        CHECK(pthread_mutex_unlock(&m->lock) == 0);
    }
    buf_add_c(out, ']');
}

static unsigned long long
get(atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void
mock_write_stats(struct mock_hub *hub, struct buf *out)
{
    struct mock_counters *c = &hub->count;
    unsigned long long ended =
        get(&c->completed) + get(&c->refused) + get(&c->faulted) + get(&c->aborted);
    unsigned long long requests = get(&c->requests);
    bool first = true;

    buf_printf(out,
        "{\"requests\":%llu,\"open\":%llu,\"completed\":%llu,\"refused\":%llu,\"faulted\":%llu,"
        "\"aborted\":%llu,\"input_tokens\":%llu,\"output_tokens\":%llu,\"faults\":{",
        requests, requests > ended ? requests - ended : 0, get(&c->completed), get(&c->refused),
        get(&c->faulted), get(&c->aborted), get(&c->input_tokens), get(&c->output_tokens));
    for (int f = MOCK_FAULT_STATUS; f < MOCK_FAULT_COUNT; f++) {
        const char *word =
            f == MOCK_FAULT_STATUS ? "status" : mock_fault_row((enum mock_fault)f)->word;
        if (get(&c->faults[f]) == 0)
            continue;
        buf_printf(out, "%s\"%s\":%llu", first ? "" : ",", word, get(&c->faults[f]));
        first = false;
    }
    buf_add(out, S("}}"));
}

void
mock_hub_reset(struct mock_hub *hub)
{
    struct mock_counters *c = &hub->count;
    atomic_ullong *all[] = { &c->requests, &c->completed, &c->refused, &c->faulted, &c->aborted,
        &c->input_tokens, &c->output_tokens };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        atomic_store_explicit(all[i], 0, memory_order_relaxed);
    for (size_t i = 0; i < MOCK_FAULT_COUNT; i++)
        atomic_store_explicit(&c->faults[i], 0, memory_order_relaxed);
    if (hub->memory != NULL) {
        CHECK(pthread_mutex_lock(&hub->memory->lock) == 0);
        memory_clear(hub->memory);
        CHECK(pthread_mutex_unlock(&hub->memory->lock) == 0);
    }
}
