/* ask.c - a call whose answer is collected. */
#include "http/ask.h"

#include <stdlib.h>

#include "base/buf.h"
#include "net/timer.h"

struct http_ask {
    struct client_call *call;
    struct timer deadline;
    struct buf sent;    /* the path, the fields and the body, in one piece */
    struct str content;
    struct buf body;
    int status;
    void (*done)(void *owner, const struct http_answer *answer);
    void *owner;
};

static void
finish(struct http_ask *k, enum err why, const char *detail)
{
    struct http_answer answer = {
        .why = why, .detail = detail, .status = k->status, .body = buf_str(&k->body)
    };

    timer_stop(&k->deadline);
    if (k->call != NULL)
        client_cancel(k->call);
    if (k->done != NULL)
        k->done(k->owner, &answer);
    buf_fini(&k->sent);
    buf_fini(&k->body);
    free(k);
}

static void
on_head(void *owner, const struct http_head *head)
{
    ((struct http_ask *)owner)->status = head->status;
}

static void
on_data(void *owner, struct str bytes)
{
    struct http_ask *k = owner;

    buf_add(&k->body, bytes);
    if (k->body.overflow)
        finish(k, ERR_UPSTREAM_TOO_LARGE, "the answer is too large");
}

static void
on_end(void *owner)
{
    struct http_ask *k = owner;

    k->call = NULL;
    finish(k, OK, "");
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct http_ask *k = owner;

    k->call = NULL;
    finish(k, why, detail);
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
    finish(arg, ERR_UPSTREAM_TIMEOUT, "it took too long");
}

struct http_ask *
http_ask_start(struct loop *l, struct client *c, const struct client_request *q,
    uint64_t deadline_ms, size_t limit_bytes,
    void (*done)(void *owner, const struct http_answer *answer), void *owner)
{
    struct http_ask *k = check_alloc(calloc(1, sizeof(*k)));
    struct client_request own = *q;

    k->done = done;
    k->owner = owner;
    buf_init(&k->sent, SIZE_MAX / 2);
    buf_init(&k->body, limit_bytes);
    buf_add(&k->sent, q->path);
    buf_add(&k->sent, q->fields);
    for (size_t i = 0; i < q->body_count; i++)
        buf_add(&k->sent, q->body[i]);
    CHECK(!k->sent.overflow);
    own.path = str_make(buf_str(&k->sent).p, q->path.n);
    own.fields = str_make(own.path.p + own.path.n, q->fields.n);
    k->content = str_skip(buf_str(&k->sent), q->path.n + q->fields.n);
    own.body = &k->content;
    own.body_count = q->body_count != 0;
    timer_init(&k->deadline, l, on_deadline, k);
    timer_set(&k->deadline, deadline_ms);
    k->call = client_start(c, &own, &events, k);
    return k;
}

void
http_ask_cancel(struct http_ask *k)
{
    if (k == NULL)
        return;
    k->done = NULL;
    finish(k, ERR_CLIENT_GONE, "");
}
