/* keeper.c - runs a source: sends what it asks for, until it has got the credential or failed. */
#include "cloud/keeper.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "http/ask.h"
#include "net/waiter.h"

#define DEADLINE_MS 10000u    /* for each answer */
#define CONNECT_MS 5000u
#define ANSWER_BYTES (256u * 1024)
#define ARENA_BYTES (4u * 1024 * 1024)
#define STEPS_MOST 8u

struct keeper_fetch {
    struct keeper *keeper;
    struct keeper_fetch *prev, *next;
    struct identity *identity;
    struct arena *arena;
    struct source_run run;
    struct origin *origin;
    struct http_ask *ask;
};

static void
end(struct keeper_fetch *f, enum source_next how)
{
    if (how == SOURCE_GOT)
        identity_settle(f->identity, &f->run, clock_wall_ms());
    else
        identity_settle_failed(f->identity, f->run.why, clock_wall_ms());
    waiter_wake_all();
    LIST_REMOVE(f->keeper->first, f);
    origin_destroy(f->origin);
    arena_destroy(f->arena);
    identity_drop(f->identity);
    free(f);
}

static void step(struct keeper_fetch *f);

static void
on_answer(void *owner, const struct http_answer *answer)
{
    struct keeper_fetch *f = owner;

    f->ask = NULL;
    if (answer->why != OK) {
        bool told = answer->detail != NULL && *answer->detail != '\0';

        (void)source_fail(&f->run, "its answer did not come: %s",
            told ? answer->detail : err_row(answer->why)->sentence);
        end(f, SOURCE_FAILED);
        return;
    }
    f->run.status = answer->status;
    f->run.body = arena_str(f->arena, answer->body);
    f->run.step++;
    step(f);
}

static bool
send_step(struct keeper_fetch *f)
{
    char why[256] = "";
    struct str path;
    bool https = str_istarts(f->run.url, S("https:"));
    struct tls_context *tls = https ? identity_tls(f->identity, WHY(why)) : NULL;

    struct str after = str_skip(f->run.url, str_find(f->run.url, S("://")) + 3);
    struct str target = str_skip(after, str_chr(after, '/'));
    struct str server = str_make(f->run.url.p, f->run.url.n - target.n);

    origin_destroy(f->origin);
    f->origin = https && tls == NULL ? NULL : origin_create(server, tls, &path, WHY(why));
    if (f->origin == NULL) {
        (void)source_fail(&f->run, "%s", why);
        return false;
    }
    struct buf fields;
    buf_init(&fields, ANSWER_BYTES);
    buf_add(&fields, S("Accept: */*\r\nUser-Agent: openclaw\r\n"));
    buf_add(&fields, f->run.fields);
    struct client_request q = {
        .origin = f->origin,
        .method = f->run.method,
        .path = target.n != 0 ? target : S("/"),
        .fields = buf_str(&fields),
        .body = &f->run.content,
        .body_count = f->run.content.n != 0,
        .connect_ms = CONNECT_MS,
        .first_byte_ms = DEADLINE_MS,
        .resend_ms = DEADLINE_MS,
        .resend_stale = true,
    };
    f->ask = http_ask_start(
        f->keeper->loop, f->keeper->client, &q, DEADLINE_MS, ANSWER_BYTES, on_answer, f);
    buf_fini(&fields);
    return true;
}

static void
step(struct keeper_fetch *f)
{
    f->run.wall_ms = clock_wall_ms();
    enum source_next next = f->run.step < STEPS_MOST
                                ? f->run.settings->source->next(&f->run)
                                : source_fail(&f->run, "it wants too many requests");

    if (next != SOURCE_ASK || !send_step(f))
        end(f, next == SOURCE_GOT ? SOURCE_GOT : SOURCE_FAILED);
}

bool
keeper_look(struct keeper *k, struct identity *id, bool wanted)
{
    if (identity_begin(id, wanted, clock_wall_ms())) {
        struct keeper_fetch *f = check_alloc(calloc(1, sizeof(*f)));

        f->keeper = k;
        f->identity = identity_hold(identity_settings(id));
        f->arena = arena_create(ARENA_BYTES);
        f->run.settings = identity_settings(id);
        f->run.a = f->arena;
        LIST_ADD(k->first, f);
        step(f);
    }
    return identity_is_fetched(id);
}

void
keeper_stop(struct keeper *k)
{
    for (struct keeper_fetch *f = k->first, *next; f != NULL; f = next) {
        next = f->next;
        http_ask_cancel(f->ask);
        (void)source_fail(&f->run, "the gateway is shutting down");
        end(f, SOURCE_FAILED);
    }
}
