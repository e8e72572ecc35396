/* exchanges.c - each worker writes its oldest exchanges; they are merged by their age. */
#include "admin/exchanges.h"

#include "admin/answer.h"
#include "base/clock.h"
#include "base/url.h"
#include "gateway/attempt.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"

#define LIMIT_USUAL 100
#define LIMIT_MOST 1000

/* Before the JSON of each exchange that a worker tells. */
struct row_head {
    uint64_t started_us;
    size_t bytes;
};

/* Is it a client's, and not a health check or an admin request? */
static bool
is_shown(const struct exchange *x)
{
    return endpoint_needs_key(x->endpoint) || x->endpoint == &endpoints[ENDPOINT_none];
}

static void
write_exchange(struct buf *out, const struct exchange *x, uint64_t now_us)
{
    const struct target *t = x->attempt != NULL ? x->attempt->target : NULL;
    uint64_t written = x->q != NULL ? server_bytes_out(x->q) : x->bytes_out;
    uint64_t waiting = x->q != NULL ? server_backlog(x->q) : 0;
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "id", x->id);
    out_text(&o, "key", x->who != NULL ? x->who->name : S(""));
    out_text(&o, "client_ip", x->client_ip);
    out_text(&o, "endpoint", str_c(x->endpoint->id));
    out_text(&o, "model", exchange_shown(x, x->model));
    out_bool(&o, "stream", x->stream);
    out_text(&o, "stage", str_c(gateway_stage(x)));
    if (t != NULL) {
        out_text(&o, "provider", t->provider->id);
        out_text(&o, "target", exchange_shown(x, t->wire.model));
    } else {
        out_null(&o, "provider");
        out_null(&o, "target");
    }
    out_i64(&o, "attempts", x->attempts);
    out_i64(&o, "age_ms", (int64_t)((now_us - MIN(x->started_us, now_us)) / 1000));
    out_i64(&o, "bytes_in", (int64_t)x->bytes_in);
    out_i64(&o, "bytes_out", (int64_t)(written - MIN(written, waiting)));
    out_i64(&o, "bytes_waiting", (int64_t)waiting);
    out_i64(&o, "worker", x->worker->index);
    out_end(&o);
}

static void
tell(void *owner, struct str question, struct collected *ret)
{
    struct worker *w = owner;
    struct worker_link *oldest = NULL;
    uint64_t limit = 0, now_us = 0;
    struct str first, second;
    struct buf text;

    (void)str_cut(question, ' ', &first, &second);
    (void)str_u64(first, &limit);
    (void)str_u64(second, &now_us);
    buf_init(&text, 64 * 1024);
    for (struct worker_link *l = w->exchanges; l != NULL; l = l->next) {
        ret->count += is_shown(exchange_of(l));
        oldest = l;
    }
    for (struct worker_link *l = oldest; l != NULL && limit != 0; l = l->prev) {
        const struct exchange *x = exchange_of(l);

        if (!is_shown(x))
            continue;
        buf_reset(&text, SIZE_MAX);
        write_exchange(&text, x, now_us);
        struct row_head head = { x->started_us, buf_len(&text) };

        buf_add(&ret->rows, str_make((const char *)&head, sizeof(head)));
        buf_add(&ret->rows, buf_str(&text));
        limit--;
    }
    buf_fini(&text);
}

/* Takes the oldest of the rows that are left. False when there is none. */
static bool
next_row(struct str *left, unsigned workers, struct str *ret)
{
    struct row_head oldest = { .started_us = UINT64_MAX };
    unsigned at = workers;

    for (unsigned i = 0; i < workers; i++) {
        struct row_head head;

        if (left[i].n < sizeof(head))
            continue;
        memcpy(&head, left[i].p, sizeof(head));
        if (at != workers && head.started_us >= oldest.started_us)
            continue;
        oldest = head;
        at = i;
    }
    if (at == workers || left[at].n < sizeof(oldest) + oldest.bytes)
        return false;
    *ret = str_make(left[at].p + sizeof(oldest), oldest.bytes);
    left[at] = str_skip(left[at], sizeof(oldest) + oldest.bytes);
    return true;
}

void
exchanges_answer(struct collector *c, unsigned workers, struct exchange *x)
{
    struct str wish = url_query_get(x->arena, server_head(x->q)->query, S("limit"));
    uint64_t limit = LIMIT_USUAL, total = 0, shown = 0;
    const struct collected *told;
    struct str row;

    if (wish.n != 0 && (!str_u64(wish, &limit) || limit > LIMIT_MOST)) {
        (void)exchange_fail(x, ERR_BAD_REQUEST, "limit is not a number up to %d", LIMIT_MOST);
        return;
    }
    /* Workers answer one after the other; ages are those of one moment. */
    struct str question = arena_printf(
        x->arena, "%llu %llu", (unsigned long long)limit, (unsigned long long)clock_now_us());
    if (!collect(c, x, 0, workers, tell, question, ANSWER_PATIENCE_MS, &told))
        return;

    struct str *left = arena_array(x->arena, struct str, workers);
    struct buf body;
    struct json_out o = answer_begin(&body);

    out_key_array(&o, "exchanges");
    for (unsigned i = 0; i < workers; i++) {
        left[i] = buf_str(&told[i].rows);
        total += told[i].count;
    }
    for (; shown < limit && next_row(left, workers, &row); shown++)
        out_raw_value(&o, row);
    out_end_array(&o);
    out_i64(&o, "shown", (int64_t)shown);
    out_i64(&o, "total", (int64_t)total);
    answer_silent(&o, told, workers);
    answer_end(x, &o);
}
