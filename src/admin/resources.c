/* resources.c - hands requests to the thread that has the store, and answers what it says.
 *
 * A request's question and its answer are a job with memory of its own, since its client may leave
 * meanwhile: the exchange and the steward each hold it, and whoever is last frees it.
 */
#include "admin/resources.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/url.h"
#include "control/problem.h"
#include "control/steward.h"
#include "gateway/document.h"
#include "gateway/reply.h"

#define JOB_BYTES (64u * 1024 * 1024)

struct resource_job {
    _Atomic unsigned users;
    const struct api *api;
    struct arena *arena;
    struct api_request request;
    struct api_answer answer;
    /* on the exchange's thread only */
    struct worker *home;
    uint64_t id;
    bool finished;
};

static void
job_drop(void *arg)
{
    struct resource_job *j = arg;

    if (atomic_fetch_sub(&j->users, 1) != 1)
        return;
    buf_fini(&j->answer.body);
    arena_destroy(j->arena);
    free(j);
}

/* On the steward's thread. */
static void
work(struct store *s, void *arg)
{
    struct resource_job *j = arg;

    api_answer(j->api, s, &j->request, j->arena, &j->answer);
}

static void
done(void *arg)
{
    struct resource_job *j = arg;
    struct exchange *x = slots_find(&j->home->awaiting, j->id);

    j->finished = true;
    if (x != NULL)
        exchange_wake(x);
    job_drop(j);
}

/* The exchange has ended. */
static void
on_end(void *arg)
{
    struct resource_job *j = arg;

    slots_drop(&j->home->awaiting, j->id);
    job_drop(j);
}

struct actor
resources_actor(const struct exchange *x)
{
    const struct principal *who = x->who;

    if (server_role(x->q) == WORKER_ROLE_LOCAL)
        return (struct actor){ .role = ROLE_owner, .id = S("local") };
    enum role role = role_named(who->role);
    if (role == ROLE_none && auth_names_route(who, str_c(x->endpoint->id)))
        role = ROLE_auditor;    /* a key of the configuration that may look */
    bool account = str_starts(who->user, resource_kind(RESOURCE_service_accounts)->prefix);
    return (struct actor){ .role = role,
        .id = who->key_id,
        .team = who->team,
        .user = account ? S("") : who->user,
        .service_account = account ? who->user : S("") };
}

static struct str
keep(struct arena *a, struct str s)
{
    return s.n != 0 ? arena_str(a, s) : S("");
}

static struct resource_job *
job_create(const struct api *api, struct exchange *x, struct str path, struct str body)
{
    struct resource_job *j = check_alloc(calloc(1, sizeof(*j)));
    const struct http_head *head = server_head(x->q);
    struct actor actor = resources_actor(x);
    struct arena *a = arena_create(JOB_BYTES);

    j->users = 1;
    j->api = api;
    j->arena = a;
    j->home = x->worker;
    j->id = slots_add(&x->worker->awaiting, x);
    j->request = (struct api_request){
        .method = keep(a, x->method),
        .path = keep(a, path),
        .query = keep(a, head->query),
        .body = keep(a, body),
        .if_match = keep(a, http_field_get(&head->fields, S("if-match"))),
        .idempotency_key = keep(a, http_field_get(&head->fields, S("idempotency-key"))),
        .request_id = keep(a, x->id),
        .actor = { .role = actor.role,
            .id = keep(a, actor.id),
            .team = keep(a, actor.team),
            .user = keep(a, actor.user),
            .service_account = keep(a, actor.service_account) },
    };
    arena_cleanup(x->arena, on_end, j);
    return j;
}

/* Asks the steward. */
static void
begin(const struct api *api, struct exchange *x, struct str path)
{
    struct str body = S("");
    struct steward *steward = x->worker->gateway->steward;

    if (!document_receive(x, API_BODY_BYTES, &body))
        return;
    struct resource_job *j = job_create(api, x, path, body);
    const struct steward_job ask = {
        .work = work, .done = done, .drop = job_drop, .arg = j, .loop = x->worker->loop
    };

    x->admin = j;
    (void)atomic_fetch_add(&j->users, 1);
    if (steward != NULL && steward_ask(steward, &ask))
        return;
    (void)atomic_fetch_sub(&j->users, 1);
    (void)exchange_fail(x, ERR_OVERLOADED,
        steward != NULL ? "too many admin requests wait for the store; try again in a moment"
                        : "this gateway has no store");
}

static void
answer(struct exchange *x, const struct resource_job *j)
{
    const struct api_answer *a = &j->answer;
    struct buf fields;

    buf_init(&fields, 8 * 1024);
    if (a->etag.n != 0)
        http_add_field(&fields, S("ETag"), a->etag);
    if (a->location.n != 0)
        http_add_field(&fields, S("Location"), a->location);
    if (a->replayed)
        buf_add(&fields, S("Idempotency-Replayed: true\r\n"));
    if (a->retry)
        buf_add(&fields, S("Retry-After: 1\r\nx-should-retry: true\r\n"));
    exchange_answer_with(x, a->status,
        a->status >= 400   ? S(PROBLEM_TYPE)
        : a->status == 204 ? S("")
                           : S("application/json"),
        buf_str(&fields), buf_str(&a->body));
    buf_fini(&fields);
}

void
resources_answer(const struct api *api, struct exchange *x, struct str path)
{
    const struct resource_job *j = x->admin;

    if (j == NULL)
        begin(api, x, path);
    else if (j->finished)
        answer(x, j);
}
