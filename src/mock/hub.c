/* hub.c - counters that tests compare with the gateway's own, and the last requests that it
 * sent. */
#include "mock/hub.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_out.h"

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
mock_hub_create(const struct mock_options *o, struct why why)
{
    struct mock_cases *cases = NULL;

    if (o->replay_path != NULL) {
        cases = mock_cases_load(o->replay_path, why);
        if (cases == NULL)
            return NULL;
    }

    struct mock_hub *hub = check_alloc(calloc(1, sizeof(*hub)));
    hub->options = *o;
    hub->began_us = clock_now_us();
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

void
mock_remember(struct mock_hub *hub, const struct http_head *head, struct str body)
{
    struct mock_memory *m = hub->memory;
    struct buf out;
    struct json_out o = json_out(&out);

    if (m == NULL)
        return;
    buf_init(&out, MEMORY_BYTES);
    out_object(&o);
    out_i64(&o, "time_ms", (int64_t)clock_wall_ms());
    out_text(&o, "method", head->method);
    out_text(&o, "target", head->target);
    out_key_array(&o, "headers");
    for (size_t i = 0; i < head->fields.count; i++) {
        out_array(&o);
        out_text_value(&o, head->fields.list[i].name);
        out_text_value(&o, head->fields.list[i].value);
        out_end_array(&o);
    }
    out_end_array(&o);
    out_i64(&o, "body_bytes", (int64_t)body.n);
    out_text(&o, "body", body);
    out_end(&o);

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

static int64_t
get(atomic_ullong *counter)
{
    return (int64_t)atomic_load_explicit(counter, memory_order_relaxed);
}

void
mock_write_stats(struct mock_hub *hub, struct buf *out)
{
    struct mock_counters *c = &hub->count;
    int64_t ended = get(&c->completed) + get(&c->refused) + get(&c->faulted) + get(&c->aborted);
    int64_t requests = get(&c->requests);
    struct json_out o = json_out(out);

    out_object(&o);
    out_i64(&o, "requests", requests);
    out_i64(&o, "open", MAX(requests - ended, 0));
    out_i64(&o, "completed", get(&c->completed));
    out_i64(&o, "refused", get(&c->refused));
    out_i64(&o, "faulted", get(&c->faulted));
    out_i64(&o, "aborted", get(&c->aborted));
    out_i64(&o, "input_tokens", get(&c->input_tokens));
    out_i64(&o, "output_tokens", get(&c->output_tokens));
    out_key_object(&o, "faults");
    for (int f = MOCK_FAULT_STATUS; f < MOCK_FAULT_COUNT; f++) {
        const char *word =
            f == MOCK_FAULT_STATUS ? "status" : mock_fault_row((enum mock_fault)f)->word;
        if (get(&c->faults[f]) == 0)
            continue;
        out_key_str(&o, str_c(word));
        out_i64_value(&o, get(&c->faults[f]));
    }
    out_end(&o);
    out_end(&o);
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
    atomic_store_explicit(&hub->began_us, clock_now_us(), memory_order_relaxed);
    if (hub->memory != NULL) {
        CHECK(pthread_mutex_lock(&hub->memory->lock) == 0);
        memory_clear(hub->memory);
        CHECK(pthread_mutex_unlock(&hub->memory->lock) == 0);
    }
}
