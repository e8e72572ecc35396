/* caller.c - identifies callers, and refuses those whose key may not be used in this way. */
#include "gateway/caller.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/attempt.h"
#include "control/audit_log.h"
#include "gateway/reply.h"
#include "net/waiter.h"

#define MINUTE_MS 60000u
#define PATIENCE_MS 10000u    /* for an issuer to tell its keys */

static void
wake(void *worker, uint64_t id)
{
    struct exchange *x = slots_find(&((struct worker *)worker)->awaiting, id);

    if (x != NULL)
        exchange_wake(x);
}

/* Is the issuer being asked, so that waiting is worth it? It is asked once for each exchange. */
static bool
waits_for_keys(struct exchange *x, struct issuer *issuer)
{
    struct worker *w = x->worker;

    if (x->waiter != NULL || !issuer_look(&w->issuers, issuer, true))
        return x->waiter != NULL && timer_is_set(&x->waiter->patience) && issuer_is_asked(issuer);
    x->waiter = arena_new(x->arena, struct waiter);
    *x->waiter =
        (struct waiter){ .loop = w->loop, .wake = wake, .to = w, .id = slots_add(&w->awaiting, x) };
    waiter_join(x->waiter, PATIENCE_MS);
    return true;
}

/* It sent a token. */
static enum err
identify_token(struct exchange *x, const struct token_answer *answer, enum step *ret_step)
{
    if (answer->verdict == TOKEN_NO_KEY && waits_for_keys(x, answer->issuer)) {
        *ret_step = STEP_WAIT;
        return ERR_AUTH;
    }
    if (x->waiter != NULL)
        exchange_stop_waiting(x);
    x->who = answer->who;
    if (answer->verdict == TOKEN_GOOD)
        return OK;
    x->fault = arena_str(x->arena, str_c(answer->why));
    if (answer->verdict == TOKEN_DENIED)
        return ERR_FORBIDDEN;
    if (answer->verdict != TOKEN_NO_KEY)
        return ERR_AUTH;
    struct str trouble = issuer_trouble(answer->issuer, x->arena);
    if (trouble.n == 0)
        return ERR_AUTH;
    x->fault = arena_printf(
        x->arena, "its issuer's keys could not be fetched: " STR_FMT, STR_ARG(trouble));
    return ERR_OVERLOADED;
}

/* It sent a key: of the configuration, or of the store. Where no key is required, only what looks like one of
 * ours is looked up. */
static enum err
identify_key(struct exchange *x, struct str credential, uint64_t wall_ms)
{
    enum err e = auth_identify(x->hold->snapshot->auth, credential, wall_ms, &x->who);
    struct callers *callers = x->worker->callers;

    if (x->who != NULL && x->who->key_id.n != 0)
        return OK;
    if (callers == NULL || (e == OK && !key_form_is_ours(credential)))
        return e;
    struct principal *who = callers_find(callers, credential, wall_ms);
    if (who == NULL)
        return e;
    x->who = who;    /* held already */
    return OK;
}

enum err
caller_identify(struct exchange *x, struct str credential, enum step *ret_step)
{
    const struct snapshot *s = x->hold->snapshot;
    struct token_answer answer;

    *ret_step = STEP_NEXT;
    if (x->who != NULL)
        return OK;    /* the stage runs again, for an answer that takes its time */
    if (UNLIKELY(s->tokens != NULL)) {
        tokens_identify(
            s->tokens, x->worker->tokens, credential, clock_wall_ms(), x->arena, &answer);
        if (answer.verdict != TOKEN_NONE)
            return identify_token(x, &answer, ret_step);
    }
    return identify_key(x, credential, clock_wall_ms());
}

/* Requests with a valid key never get here. */
enum step
caller_refuse(struct exchange *x, enum err why, struct str credential)
{
    uint64_t per_minute = exchange_conf(x)->server.limit_wrong_keys;
    uint64_t wait_ms;

    /* of its signature only AWS knows the secret */
    if (credential.n == 0 &&
        str_istarts(http_field_get(&server_head(x->q)->fields, S("authorization")), S("AWS4-")))
        return exchange_fail(x, ERR_AUTH,
            "requests signed with AWS credentials cannot be checked here; set "
            "AWS_BEARER_TOKEN_BEDROCK to a key of this gateway (SDKs send it over https only), or "
            "send the key in x-api-key");
    if (credential.n == 0)
        return exchange_fail(x, ERR_AUTH,
            "no API key was sent; send 'Authorization: Bearer KEY' or 'x-api-key: KEY'");
    if (why != ERR_AUTH)
        return exchange_fail(x, why, "the token was not accepted: " STR_FMT, STR_ARG(x->fault));
    wait_ms = throttle_wrong_key(x->worker->throttle, x->client_ip, per_minute, clock_now_us());
    if (wait_ms == 0 && x->fault.n != 0)
        return exchange_fail(
            x, ERR_AUTH, "the token was not accepted: " STR_FMT, STR_ARG(x->fault));
    if (wait_ms == 0)
        return exchange_fail(x, ERR_AUTH,
            "the API key is not one of this gateway's keys (auth.keys), or it is not valid any more");
    metric_add(&x->worker->metrics->wrong_keys_throttled, 1);
    return exchange_fail_with(
        x, &(struct llm_error){ .kind = ERR_RATE_LIMIT,
               .message = S("too many wrong API keys from this address (server.limits.wrong_keys); "
                            "requests with a valid key are still served"),
               .retry_after_ms = (int64_t)wait_ms });
}

/* Is the key sent in the clear where `auth.plain_http` does not allow that? The address is that of the
 * connection: what a proxy says of its own clients would not protect what comes from the proxy. */
static bool
is_exposed(const struct exchange *x)
{
    struct str allowed = exchange_conf(x)->auth.plain_http.v;

    if (server_is_tls(x->q) || server_is_local(x->q) || str_eq(allowed, S("allow")))
        return false;
    return str_eq(allowed, S("refuse")) || !cidr_is_private(x->client_ip);
}

enum step
caller_check(struct exchange *x)
{
    const struct principal *who = x->who;

    if (who->key_id.n == 0)
        return STEP_NEXT;    /* no key was needed */
    if (is_exposed(x))
        return exchange_fail(x, ERR_FORBIDDEN,
            "an API key was sent without TLS from another machine; use https, and replace the key, or "
            "see auth.plain_http");
    if (!auth_allows_address(who, x->client_ip))
        return exchange_fail(x, ERR_FORBIDDEN,
            "this API key may not be used from the address " STR_FMT, STR_ARG(x->client_ip));
    if (who->origins.count != 0 &&
        !auth_allows_origin(who, http_field_get(&server_head(x->q)->fields, S("origin"))))
        return exchange_fail(x, ERR_FORBIDDEN, "web pages of this origin may not use this API key");
    if (!auth_allows_endpoint(who, str_c(x->endpoint->id), x->method, x->path.text))
        return exchange_fail(x, ERR_FORBIDDEN,
            "this API key may not use the route '%s'; its endpoints do not name it",
            x->endpoint->id);
    return STEP_NEXT;
}

bool
caller_may_use_route(const struct exchange *x)
{
    return auth_allows_route(x->who, str_c(x->endpoint->id), x->method, x->path.text);
}

/* Over the network only with a key that is meant for it, because an application's key must not show what
 * others do; what it may do depends on its role (admin/admin.c, control/api.c). The local socket is
 * open to its owner alone, and no web page reaches a Unix socket. */
enum step
caller_check_control(struct exchange *x, enum err known, struct str credential)
{
    const struct http_head *head = server_head(x->q);

    if (known != OK)
        return caller_refuse(x, known, credential);
    if (caller_check(x) == STEP_STOP)
        return STEP_STOP;
    if (x->who->role.n == 0 && !auth_names_route(x->who, str_c(x->endpoint->id))) {
        audit_note(x->worker->gateway->audit, &(struct audit_event){ .actor = x->who->key_id,
                                                  .action = S("admin.access"),
                                                  .object = x->path.text,
                                                  .outcome = S("refused"),
                                                  .request_id = x->id });
        return exchange_fail(x, ERR_FORBIDDEN,
            "the admin API is open at the local socket (server.admin_socket: use `openclaw "
            "status`), and elsewhere to API keys that have a role, or whose routes name '%s'",
            x->endpoint->id);
    }
    if (http_field_get(&head->fields, S("origin")).n != 0)
        return exchange_fail(x, ERR_FORBIDDEN, "web pages may not use the admin API");
    return STEP_NEXT;
}

static void
end_session(struct exchange *x)
{
    struct log_context who = exchange_log(x);

    log_info(&who, "the session ends: its API key is not valid any more");
    for (struct attempt *a = x->under_way; a != NULL; a = a->next)
        if (a->state != ATTEMPT_OVER)
            attempt_stop(a, OK);
    (void)exchange_fail(x, ERR_AUTH, "the API key of the session is not valid any more");
    exchange_wake(x);
}

void
caller_tick(struct worker *w)
{
    uint64_t wall_ms = clock_wall_ms();

    if (w->callers != NULL && wall_ms / MINUTE_MS != w->uses_minute) {
        w->uses_minute = wall_ms / MINUTE_MS;
        worker_note_uses(w);
    }
    if (w->callers != NULL && !callers_tick(w->callers, wall_ms))
        return;
    for (struct worker_link *l = w->exchanges, *next; l != NULL; l = next) {
        struct exchange *x = exchange_of(l);

        next = l->next;
        if (x->status != 101 || x->answered || x->gone)
            continue;
        /* tokens and keys of the configuration end, too */
        if (auth_is_expired(x->who, wall_ms) ||
            (w->callers != NULL && !callers_allow(w->callers, x->who, wall_ms)))
            end_session(x);
    }
}
