/* fetch.c - one GET on a loop of its own. */
#include "app/fetch.h"

#include <stdio.h>

#include "base/err.h"
#include "cli/ask.h"
#include "http/client.h"
#include "net/loop.h"
#include "net/timer.h"

enum { FETCH_MS = 60000, CONNECT_MS = 10000 };

struct fetch {
    const char *command, *url;
    struct loop *loop;
    struct client_call *call;
    struct buf *out;
    struct timer deadline;
    int status;
    bool good;
};

/* `why` is NULL when all is well. */
static void
finish(struct fetch *f, const char *why)
{
    if (why != NULL)
        (void)fprintf(stderr, "openclaw %s: %s: %s\n", f->command, f->url, why);
    f->good = why == NULL;
    if (f->call != NULL)
        client_cancel(f->call);
    f->call = NULL;
    loop_stop(f->loop);
}

static void
on_head(void *owner, const struct http_head *head)
{
    ((struct fetch *)owner)->status = head->status;
}

static void
on_data(void *owner, struct str bytes)
{
    struct fetch *f = owner;

    buf_add(f->out, bytes);
    if (f->out->overflow)
        finish(f, "it is too large");
}

static void
on_end(void *owner)
{
    struct fetch *f = owner;
    char why[64];

    f->call = NULL;
    (void)snprintf(why, sizeof(why), "it was answered with status %d", f->status);
    finish(f, f->status == 200 ? NULL : why);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct fetch *f = owner;

    f->call = NULL;
    finish(f, detail != NULL && detail[0] != '\0' ? detail : err_row(why)->sentence);
}

static void
on_deadline(void *arg)
{
    finish(arg, "it took longer than a minute");
}

bool
fetch_url(const char *command, const char *url, struct buf *out)
{
    static const struct client_events events = {
        .head = on_head,
        .data = on_data,
        .end = on_end,
        .failed = on_failed,
    };
    const struct client_limits limits = { .head_bytes = 64 * 1024, .fields = 200 };
    struct fetch f = { .command = command, .url = url, .out = out };
    struct str path;
    struct origin *origin = ask_origin(command, url, false, &path);

    if (origin == NULL)
        return false;
    f.loop = loop_create();
    struct client *client = client_create(f.loop, &limits);
    const struct client_request q = {
        .origin = origin,
        .method = S("GET"),
        .path = path.n != 0 ? path : S("/"),
        .fields = S("Accept: application/json\r\nUser-Agent: openclaw\r\n"),
        .dns_ms = CONNECT_MS,
        .connect_ms = CONNECT_MS,
        .first_byte_ms = FETCH_MS,
        .resend_ms = CONNECT_MS,
        .resend_stale = true,
    };

    timer_init(&f.deadline, f.loop, on_deadline, &f);
    timer_set(&f.deadline, FETCH_MS);
    f.call = client_start(client, &q, &events, &f);
    loop_run(f.loop);
    timer_stop(&f.deadline);
    client_destroy(client);
    loop_destroy(f.loop);
    origin_destroy(origin);
    return f.good;
}
