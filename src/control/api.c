/* api.c - which call it is, who may make it, and the one place that all changes pass. */
#include "control/api.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/url.h"
#include "control/api_call.h"

#define ANSWER_KEPT_MS (24 * 3600 * INT64_C(1000))    /* for the same idempotency key */
#define IDEMPOTENCY_KEY_BYTES 255

/* What was answered to an idempotency key. */
struct earlier_answer {
    struct api_call *c;
    bool found, same;
    struct str fingerprint;
};

static void
on_answer(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct earlier_answer *m = ctx;
    struct str object = row[2].s;

    m->found = true;
    m->same = str_eq(row[0].s, m->fingerprint);
    if (!m->same)
        return;
    m->c->ret->status = (int)row[1].i;
    m->c->ret->location = object.n != 0 ? arena_str(m->c->arena, object) : S("");
    buf_reset(&m->c->ret->body, SIZE_MAX);
    buf_add(&m->c->ret->body, row[3].s);
    m->c->ret->replayed = true;
}

/* What the key is used for: another request with it is a mistake. */
static struct str
fingerprint(struct api_call *c)
{
    const struct str pieces[] = { c->q->method, S("\n"), c->q->path, S("\n"), c->q->body };
    uint8_t hash[DIGEST_SHA256_BYTES];
    char hex[2 * DIGEST_SHA256_BYTES + 1];

    digest_sha256_pieces(pieces, ARRAY_LEN(pieces), hash);
    digest_hex(hash, sizeof(hash), hex);
    return arena_str(c->arena, str_c(hex));
}

/* True: it was answered, or failed. */
static bool
recall(struct api_call *c, struct str print)
{
    struct earlier_answer m = { .c = c, .fingerprint = print };
    const struct store_value args[] = { store_text(c->q->actor.id),
        store_text(c->q->idempotency_key), store_i64(c->now_ms) };
    enum store_result r = store_run(c->store,
        "SELECT request, status, object, body FROM resource_answers WHERE actor = ?1 AND key = ?2 AND "
        "until_ms > ?3",
        args, ARRAY_LEN(args), on_answer, &m);

    if (!call_stored(c, r))
        return true;
    if (m.found && !m.same)
        (void)call_fail(c, 422, "idempotency-key-reused",
            "this Idempotency-Key was used for another request; use a new one");
    return m.found;
}

/* Keeps the answer, but for a secret. */
static bool
remember(struct api_call *c, struct str print)
{
    struct buf body;

    buf_init(&body, API_ANSWER_BYTES);
    if (c->after != NULL)
        api_row_write(&body, c->after, S(""));
    const struct store_value old[] = { store_i64(c->now_ms) };
    const struct store_value args[] = { store_text(c->q->actor.id),
        store_text(c->q->idempotency_key), store_text(print), store_i64(c->ret->status),
        store_text(c->ret->location), store_text(buf_str(&body)),
        store_i64(c->now_ms + ANSWER_KEPT_MS) };
    enum store_result r = store_run(c->store, "DELETE FROM resource_answers WHERE until_ms <= ?1",
        old, ARRAY_LEN(old), NULL, NULL);

    if (r == STORE_OK)
        r = store_run(c->store,
            "INSERT INTO resource_answers (actor, key, request, status, object, body, until_ms) VALUES "
            "(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            args, ARRAY_LEN(args), NULL, NULL);
    buf_fini(&body);
    return call_stored(c, r);
}

/* The one place that all changes of resources pass: c->before and c->after say what `act` did. */
static void
change(struct api_call *c, bool (*act)(struct api_call *c))
{
    bool keyed = c->q->idempotency_key.n != 0;
    struct str print = keyed ? fingerprint(c) : S("");

    if (c->q->idempotency_key.n > IDEMPOTENCY_KEY_BYTES) {
        (void)call_fail(
            c, 400, "invalid", "an Idempotency-Key has at most %d bytes", IDEMPOTENCY_KEY_BYTES);
        return;
    }
    if (!call_stored(c, resource_begin(c->store, &c->revision)))
        return;
    c->now_ms = (int64_t)clock_wall_ms();
    bool good =
        !(keyed && recall(c, print)) && act(c) && call_record(c) && (!keyed || remember(c, print));
    if (!good || !call_stored(c, store_commit(c->store))) {
        store_rollback(c->store);
        return;
    }
    if (c->resources != NULL)
        resources_poll(c->store, c->resources);
}

/* --- which call --- */

struct action {
    struct str method, name;
    bool one;    /* of one resource, not of the whole kind */
    enum verb verb;
    void (*read)(struct api_call *c);
    bool (*change)(struct api_call *c);
};

static const struct action actions[] = {
    { S_INIT("GET"), S_INIT(""), false, VERB_READ, call_list, NULL },
    { S_INIT("POST"), S_INIT(""), false, VERB_CREATE, NULL, call_create },
    { S_INIT("GET"), S_INIT(""), true, VERB_READ, call_get, NULL },
    { S_INIT("PATCH"), S_INIT(""), true, VERB_CHANGE, NULL, call_patch },
    { S_INIT("DELETE"), S_INIT(""), true, VERB_DELETE, NULL, call_delete },
    { S_INIT("POST"), S_INIT("rotate"), true, VERB_ROTATE, NULL, call_rotate },
    { S_INIT("POST"), S_INIT("revoke"), true, VERB_REVOKE, NULL, call_revoke },
};

/* Cuts the path: KIND, KIND/ONE or KIND/ONE/ACTION. False: it has another form. */
static bool
split(struct api_call *c)
{
    struct str kind, one, rest;
    bool more = str_cut(c->q->path, '/', &kind, &rest);

    c->kind = resource_kind_named(kind);
    (void)str_cut(rest, '/', &one, &c->action);
    c->name = url_decode(c->arena, one);
    return c->kind != RESOURCE_KINDS && more == (one.n != 0) && (one.n == 0) == (c->name.n == 0) &&
           c->name.n <= 254 && str_chr(c->action, '/') == c->action.n &&
           !str_ends(c->q->path, S("/")) && (c->action.n == 0 || c->kind == RESOURCE_keys);
}

bool
api_is_path(struct str path)
{
    struct str kind, rest;

    (void)str_cut(path, '/', &kind, &rest);
    return resource_kind_named(kind) != RESOURCE_KINDS || str_eq(kind, S("audit")) ||
           str_eq(path, S("usage"));
}

static const struct action *
find_action(struct api_call *c)
{
    struct str method = str_eq(c->q->method, S("HEAD")) ? S("GET") : c->q->method;
    struct str allowed = S("");

    if (!split(c)) {
        (void)call_fail(c, 404, "not-found",
            "the admin API has no route " STR_FMT "; /openapi.json lists all of them",
            STR_ARG(c->q->path));
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        const struct action *a = &actions[i];

        if (a->one != (c->name.n != 0) || !str_eq(a->name, c->action))
            continue;
        if (str_eq(a->method, method))
            return a;
        allowed = arena_printf(c->arena, STR_FMT "%s" STR_FMT, STR_ARG(allowed),
            allowed.n != 0 ? ", " : "", STR_ARG(a->method));
    }
    if (allowed.n == 0)
        (void)call_fail(c, 404, "not-found",
            "keys have no action '" STR_FMT "'; there are rotate and revoke", STR_ARG(c->action));
    else
        (void)call_fail(c, 405, "method-not-allowed",
            "this route supports " STR_FMT ", not " STR_FMT, STR_ARG(allowed),
            STR_ARG(c->q->method));
    return NULL;
}

void
api_answer(const struct api *api, struct store *s, const struct api_request *q, struct arena *a,
    struct api_answer *ret)
{
    struct api_call c = { .resources = api->resources,
        .store = s,
        .audit = api->audit,
        .pepper = api->pepper,
        .q = q,
        .arena = a,
        .ret = ret };

    *ret = (struct api_answer){ 0 };
    buf_init(&ret->body, API_ANSWER_BYTES);
    faults_init(&c.faults, a);
    if (str_eq(q->path, S("audit")) || str_starts(q->path, S("audit/"))) {
        call_audit(&c);
        return;
    }
    if (str_eq(q->path, S("usage"))) {
        call_usage(&c);
        return;
    }
    const struct action *action = find_action(&c);

    if (action == NULL)
        return;
    c.verb = action->verb;
    c.reach = role_reach(q->actor.role, c.kind, action->verb);
    if (c.reach == REACH_NONE)
        (void)call_fail(&c, 403, "forbidden", "the role " STR_FMT " may not " STR_FMT " " STR_FMT,
            STR_ARG(role_name(q->actor.role)), STR_ARG(verb_name(action->verb)),
            STR_ARG(subject_name(c.kind)));
    else if (action->read != NULL)
        action->read(&c);
    else
        change(&c, action->change);
    if (action->read == NULL && ret->status == 403)
        call_note_refused(&c);
}
