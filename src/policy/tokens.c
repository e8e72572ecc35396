/* tokens.c - issuers, the rules for their tokens, and what each worker remembers of tokens that it has
 * checked. */
#include "policy/tokens.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/map.h"
#include "base/siphash.h"
#include "policy/jwt.h"

#define TABLE_BYTES (16u * 1024 * 1024)
#define PRINCIPAL_BYTES (256u * 1024)
#define TEXT_BYTES_MOST 256u    /* that a claim may add to a text */
#define STORE_ID_TAIL_BYTES 16u
#define REMEMBERED 2048u    /* tokens in each half of a worker's memory */

struct grant_rule {
    const struct json *when;    /* an object; NULL: always */
    const struct conf_grant *grant;
};

struct token_issuer {
    const struct conf_issuer *conf;
    struct issuer *issuer;
    struct grant_rule *rules;
};

struct tokens {
    uint64_t serial;    /* of all tables there ever were */
    struct arena *arena;
    struct token_issuer *list;
    size_t count;
};

/* --- the table --- */

/* What a claim may be compared with. */
static bool
is_comparable(const struct json *v)
{
    struct json_iter it = json_iter(v);

    if (v->type == JSON_ARRAY) {
        while (json_next(&it))
            if (it.value->type == JSON_ARRAY || !is_comparable(it.value))
                return false;
        return !json_is_empty(v);
    }
    return v->type == JSON_STRING || v->type == JSON_NUMBER || v->type == JSON_TRUE ||
           v->type == JSON_FALSE;
}

static void
read_rule(struct tokens *t, const struct conf_grant *g, struct grant_rule *ret,
    struct conf_problems *problems)
{
    const struct conf_str *texts[] = { &g->org, &g->team, &g->project, &g->user };
    struct json_iter it;

    ret->grant = g;
    if (g->when.n != 0) {
        ret->when = json_parse(t->arena, g->when, NULL, NULL);
        for (it = json_iter(ret->when); json_next(&it);)
            if (!is_comparable(it.value))
                conf_problem(problems, g->mark,
                    "'auth.issuers[].rules[].when': the claim " STR_FMT
                    " must be compared with a text, a number, true, false, or a list of these",
                    STR_ARG(json_raw(it.key)));
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str rest = texts[i]->v, before;

        while (str_cut(rest, '{', &before, &rest))
            if (!str_cut(rest, '}', &before, &rest) || before.n == 0)
                conf_problem(problems, texts[i]->mark,
                    "'" STR_FMT "' has a '{' that is not the beginning of a {claim}",
                    STR_ARG(texts[i]->v));
    }
}

static void
check_issuer(const struct conf_issuer *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->algorithms.count; i++)
        if (jwk_algorithm_named(c->algorithms.list[i].v) == NULL)
            conf_problem(problems, c->algorithms.list[i].mark,
                "'" STR_FMT
                "' is not an algorithm that is accepted; there are RS256, RS384, RS512, "
                "PS256, PS384, PS512, ES256, ES384 and EdDSA",
                STR_ARG(c->algorithms.list[i].v));
    if (c->jwks_url.v.n == 0 && c->jwks_file.v.n == 0 && !str_starts(c->issuer.v, S("https://")) &&
        !str_starts(c->issuer.v, S("http://")))
        conf_problem(problems, c->issuer.mark,
            "'" STR_FMT
            "' is not a URL, so its keys cannot be found there; write jwks_url or jwks_file",
            STR_ARG(c->issuer.v));
    if (c->rule_count == 0)
        conf_problem(problems, c->mark,
            "'auth.issuers[].rules' is missing, so each of its tokens would be refused; write rules: "
            "[{when: {CLAIM: VALUE}, team: NAME}], or [{user: \"{sub}\"}] to admit all");
}

static void
add_issuer(struct tokens *t, const struct conf_issuer *c, struct conf_problems *problems)
{
    struct token_issuer *one = &t->list[t->count];
    char why[300] = "";

    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->list[i].conf->issuer.v, c->issuer.v))
            conf_problem(
                problems, c->issuer.mark, "'auth.issuers' has this issuer twice; join them");
    check_issuer(c, problems);
    one->conf = c;
    one->rules = arena_array(t->arena, struct grant_rule, c->rule_count + 1);
    for (size_t i = 0; i < c->rule_count; i++)
        read_rule(t, &c->rules[i], &one->rules[i], problems);
    one->issuer = issuer_hold(c, WHY(why));
    if (one->issuer == NULL)
        conf_problem(problems, c->jwks_file.mark, "'auth.issuers[].jwks_file': %s", why);
    t->count++;
}

struct tokens *
tokens_create(const struct conf *c, struct conf_problems *problems)
{
    static _Atomic uint64_t serial;

    if (c->auth.mode != AUTH_KEYS || c->auth.issuer_count == 0)
        return NULL;
    struct tokens *t = check_alloc(calloc(1, sizeof(*t)));

    t->serial = atomic_fetch_add(&serial, 1) + 1;
    t->arena = arena_create(TABLE_BYTES);
    t->list = arena_array(t->arena, struct token_issuer, c->auth.issuer_count);
    for (size_t i = 0; i < c->auth.issuer_count; i++)
        add_issuer(t, &c->auth.issuers[i], problems);
    return t;
}

void
tokens_destroy(struct tokens *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        issuer_drop(t->list[i].issuer);
    arena_destroy(t->arena);
    free(t);
}

struct issuer *
tokens_issuer(const struct tokens *t, size_t i)
{
    return t != NULL && i < t->count ? t->list[i].issuer : NULL;
}

/* --- rules --- */

static bool matches_any(struct arena *a, const struct json *claim, const struct json *wanted);

/* Does one value of a claim match one value of a rule? */
static bool
matches(struct arena *a, const struct json *claim, const struct json *wanted)
{
    if (wanted->type == JSON_ARRAY)
        return matches_any(a, claim, wanted);
    if (claim->type != wanted->type)
        return false;
    if (claim->type == JSON_STRING)
        return auth_glob(json_str(a, wanted), json_str(a, claim));
    return claim->type != JSON_NUMBER || str_eq(json_raw(claim), json_raw(wanted));
}

static bool
matches_any(struct arena *a, const struct json *claim, const struct json *wanted)
{
    struct json_iter it = json_iter(wanted);

    while (json_next(&it))
        if (matches(a, claim, it.value))
            return true;
    return false;
}

/* RFC 8693 4.2: scopes are words of one text. */
static bool
has_scope(struct arena *a, struct str scopes, const struct json *wanted)
{
    struct json_iter it = json_iter(wanted);
    struct str word;

    if (wanted->type == JSON_ARRAY) {
        while (json_next(&it))
            if (has_scope(a, scopes, it.value))
                return true;
        return false;
    }
    for (struct str rest = scopes; rest.n != 0;) {
        (void)str_cut(rest, ' ', &word, &rest);
        if (word.n != 0 && wanted->type == JSON_STRING && auth_glob(json_str(a, wanted), word))
            return true;
    }
    return false;
}

static bool
rule_holds(const struct grant_rule *r, const struct jwt *t, struct arena *a)
{
    struct json_iter it = json_iter(r->when), element;

    while (json_next(&it)) {
        struct str name = json_str(a, it.key);
        const struct json *claim = jwt_claim(t, name);
        bool held = false;

        if (claim == NULL)
            return false;
        if (claim->type == JSON_STRING && (str_eq(name, S("scope")) || str_eq(name, S("scp"))))
            held = has_scope(a, json_str(a, claim), it.value);
        else if (claim->type != JSON_ARRAY)
            held = matches(a, claim, it.value);
        else
            for (element = json_iter(claim); !held && json_next(&element);)
                held = matches(a, element.value, it.value);
        if (!held)
            return false;
    }
    return true;
}

/* Does it look like an id of the store ("user_" and 16 letters and digits)? What an issuer lets people call
 * themselves must not give them another identity here. */
static bool
is_store_id(struct str s)
{
    static const struct str prefixes[] = { S_INIT("org_"), S_INIT("team_"), S_INIT("proj_"),
        S_INIT("user_"), S_INIT("sa_"), S_INIT("key_") };

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (str_starts(s, prefixes[i]) && s.n == prefixes[i].n + STORE_ID_TAIL_BYTES &&
            str_has_only(str_skip(s, prefixes[i].n), ""))
            return true;
    return false;
}

/* A claim as a text that may stand in names. Empty: it is none. */
static struct str
claim_text(const struct jwt *t, struct str name, struct arena *a)
{
    const struct json *v = jwt_claim(t, name);
    struct str s = json_is(v, JSON_STRING) ? json_str(a, v)
                   : json_is(v, JSON_NUMBER) || json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE)
                       ? json_raw(v)
                       : S("");

    if (s.n > TEXT_BYTES_MOST || is_store_id(s))
        return S("");
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return S("");
    return s;
}

/* The text with its {claims} filled in, in `a`. False if the token lacks one. */
static bool
fill(struct arena *a, const struct jwt *t, struct str text, struct str *ret, struct why why)
{
    struct str before, name, rest = text;

    *ret = S("");
    while (str_cut(rest, '{', &before, &rest)) {
        (void)str_cut(rest, '}', &name, &rest);
        struct str value = claim_text(t, name, a);
        if (value.n == 0)
            return why_say(why, "it has no claim '" STR_FMT "' that can be used", STR_ARG(name));
        *ret = arena_printf(
            a, STR_FMT STR_FMT STR_FMT, STR_ARG(*ret), STR_ARG(before), STR_ARG(value));
    }
    *ret = ret->n == 0 ? text : arena_printf(a, STR_FMT STR_FMT, STR_ARG(*ret), STR_ARG(before));
    return true;
}

/* --- principals --- */

/* What a worker remembers of a token. */
struct remembered {
    struct principal who;
    struct arena *arena;
    struct jwks *keys;        /* one of which has signed it; only compared */
    struct issuer *issuer;    /* the table's */
    uint64_t serial;          /* of the table */
};

static void
forget(struct principal *p)
{
    struct remembered *r = CONTAINER_OF(p, struct remembered, who);

    registry_drop(p->in_flight);
    jwks_drop(r->keys);
    arena_destroy(r->arena);
    free(r);
}

/* Whom the token stands for under that rule; the caller's. NULL with a sentence's end in `why`. */
static struct remembered *
make(const struct jwt *t, const struct token_issuer *from, const struct conf_grant *g,
    uint64_t until_ms, struct why why)
{
    struct remembered *r = check_alloc(calloc(1, sizeof(*r)));
    struct principal *p = &r->who;
    uint8_t hash[DIGEST_SHA256_BYTES];

    r->arena = arena_create(PRINCIPAL_BYTES);
    p->users = 1;
    p->free = forget;
    struct str name = claim_text(t, from->conf->name.v, r->arena);
    struct str subject = claim_text(t, S("sub"), r->arena);
    bool ok = subject.n != 0 || why_say(why, "its 'sub' cannot be used as a name");

    ok = ok && fill(r->arena, t, g->org.v, &p->org, why) &&
         fill(r->arena, t, g->team.v, &p->team, why) &&
         fill(r->arena, t, g->project.v, &p->project, why) &&
         fill(r->arena, t, g->user.v.n != 0 ? g->user.v : S("{sub}"), &p->user, why);
    struct str id = arena_printf(
        r->arena, STR_FMT "#" STR_FMT, STR_ARG(from->conf->issuer.v), STR_ARG(subject));
    /* The texts are slices of the token, which is gone before the principal is. */
    p->name = arena_str(r->arena, name.n != 0 ? name : subject);
    p->key_id = arena_printf(r->arena, "token:" STR_FMT, STR_ARG(id));
    p->org = arena_str(r->arena, p->org);
    p->team = arena_str(r->arena, p->team);
    p->project = arena_str(r->arena, p->project);
    p->user = arena_str(r->arena, p->user);
    p->environment = g->environment.v;
    p->role = g->role.v;
    p->tags = auth_tags(r->arena, &g->tags);
    p->models = g->models;
    p->routes = g->routes;
    p->endpoints = g->endpoints;
    p->providers = g->providers;
    p->expires_ms = until_ms;
    p->priority = priority_named(g->priority.v);
    p->concurrent = g->concurrent;
    p->explain = true;
    p->shares = true;
    digest_sha256(id, hash);
    digest_hex(hash, AUTH_HASH_HEX_BYTES / 2, p->hash_hex);
    p->in_flight = in_flight_hold(p->key_id);
    if (ok)
        return r;
    forget(p);
    return NULL;
}

/* --- remembering --- */

/* Two halves: when the newer one is full, it becomes the older, which is forgotten. */
struct token_cache {
    struct siphash_key secret;
    struct map *newer, *older;    /* SIPHASH_BYTES -> struct remembered */
};

struct token_cache *
token_cache_create(void)
{
    struct token_cache *c = check_alloc(calloc(1, sizeof(*c)));

    c->secret = siphash_key_make();
    c->newer = map_create();
    c->older = map_create();
    return c;
}

static void
forget_all(struct map *m)
{
    struct str key;
    size_t at = 0;
    void *r;

    while (map_next(m, &at, &key, &r))
        principal_drop(&((struct remembered *)r)->who);
    map_destroy(m);
}

void
token_cache_destroy(struct token_cache *c)
{
    if (c == NULL)
        return;
    forget_all(c->newer);
    forget_all(c->older);
    free(c);
}

/* Takes over a reference to it. */
static void
remember(struct token_cache *c, struct str hash, struct remembered *r)
{
    struct remembered *before;

    if (map_count(c->newer) >= REMEMBERED) {
        forget_all(c->older);
        c->older = c->newer;
        c->newer = map_create();
    }
    before = map_put(c->newer, hash, r);
    if (before != NULL)
        principal_drop(&before->who);
}

/* What is remembered of the token, if it still holds: under the same rules, and with the same keys, since one may
 * have been withdrawn. */
static struct remembered *
recall(const struct tokens *t, struct token_cache *c, struct str hash, uint64_t wall_ms)
{
    struct remembered *r = map_get(c->newer, hash);

    if (r == NULL && (r = map_remove(c->older, hash)) != NULL)
        remember(c, hash, r);
    if (r == NULL || r->serial != t->serial || auth_is_expired(&r->who, wall_ms) ||
        !issuer_has_keys(r->issuer, r->keys))
        return NULL;
    return r;
}

/* --- */

static const struct token_issuer *
find_issuer(const struct tokens *t, struct str name)
{
    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->list[i].conf->issuer.v, name))
            return &t->list[i];
    return NULL;
}

/* Checks a token that is not remembered. NULL: `ret` says why. */
static struct remembered *
check(const struct tokens *t, const struct jwt *jwt, uint64_t wall_ms, struct arena *scratch,
    struct token_answer *ret)
{
    const struct token_issuer *from = find_issuer(t, jwt->issuer);
    struct remembered *r = NULL;
    uint64_t until_ms;

    if (from == NULL || !jwt_allows_algorithm(from->conf, jwt->algorithm_name)) {
        (void)why_say(WHY(ret->why), from == NULL
                                         ? "its issuer (iss) is not one of auth.issuers"
                                         : "its algorithm is not one that its issuer may use");
        return NULL;
    }
    struct jwks *keys = issuer_keys(from->issuer);
    enum jwk_verdict signature =
        keys != NULL ? jwks_verify(keys, jwt->algorithm, jwt->kid, jwt->text, jwt->signature)
                     : JWK_NO_KEY;
    if (signature == JWK_NO_KEY) {
        ret->verdict = TOKEN_NO_KEY;
        ret->issuer = from->issuer;
        (void)why_say(WHY(ret->why), "it was signed with a key that its issuer does not have");
    } else if (signature == JWK_BAD) {
        (void)why_say(WHY(ret->why), "its signature is wrong");
    } else if (jwt_check(jwt, from->conf, wall_ms, &until_ms, WHY(ret->why))) {
        ret->verdict = TOKEN_DENIED;
        (void)why_say(WHY(ret->why), "no rule of its issuer (auth.issuers) admits it");
        for (size_t i = 0; r == NULL && i < from->conf->rule_count; i++)
            if (rule_holds(&from->rules[i], jwt, scratch)) {
                r = make(jwt, from, from->rules[i].grant, until_ms, WHY(ret->why));
                break;
            }
    }
    if (r != NULL) {
        r->keys = jwks_hold(keys);
        r->issuer = from->issuer;
        r->serial = t->serial;
    }
    jwks_drop(keys);
    return r;
}

void
tokens_identify(const struct tokens *t, struct token_cache *c, struct str credential,
    uint64_t wall_ms, struct arena *scratch, struct token_answer *ret)
{
    uint8_t digest[SIPHASH_BYTES];
    struct jwt jwt;

    *ret = (struct token_answer){ .verdict = TOKEN_NONE };
    if (t == NULL || !jwt_is_one(credential))
        return;
    siphash(&c->secret, credential, digest);
    struct str hash = str_make((const char *)digest, sizeof(digest));
    struct remembered *r = recall(t, c, hash, wall_ms);

    if (r == NULL) {
        ret->verdict = TOKEN_BAD;
        struct arena_mark mark = arena_mark(scratch);
        if (jwt_read(scratch, credential, &jwt, WHY(ret->why)))
            r = check(t, &jwt, wall_ms, scratch, ret);
        arena_rewind(scratch, mark);
        if (r == NULL)
            return;
        remember(c, hash, r);
    }
    ret->verdict = TOKEN_GOOD;
    ret->who = principal_hold(&r->who);
}
