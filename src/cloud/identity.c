/* identity.c - identities as entries of the registry, and their credentials. */
#include "cloud/identity.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/registry.h"
#include "net/tls.h"
#include "sign/sigv4.h"

#define SETTINGS_BYTES (1024u * 1024)
#define CREDENTIAL_BYTES (256u * 1024)
#define AHEAD_MOST_MS 300000u    /* before it expires, it is replaced */
#define MARGIN_MOST_MS 10000u    /* so long before it expires, it is not used again */
#define RETRY_MS 1000u           /* after a failure, doubled after each further one */
#define RETRY_MOST_MS 60000u
#define NEW_MS 15000u    /* one that was refused so soon is not to blame for its age */

struct credential {
    _Atomic unsigned holders;
    struct arena *arena;
    struct str line;    /* a token's field line; or empty, and: */
    struct sigv4_key key;
    struct secrets *secrets;
    uint64_t got_ms;
    uint64_t expires_ms;    /* 0: never */
};

struct identity {
    struct arena *arena;    /* of the settings; NULL: just made */
    struct source_settings settings;
    struct tls_context *tls;
    struct credential *current;
    bool fetching;
    unsigned failures;    /* since the last success */
    uint64_t due_ms;      /* the next fetch; 0: at once; wall clock */
    char trouble[400];    /* why the last fetch failed */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards all but the settings */

void
credential_drop(struct credential *c)
{
    if (c == NULL || atomic_fetch_sub(&c->holders, 1) != 1)
        return;
    secrets_destroy(c->secrets);
    arena_destroy(c->arena);
    free(c);
}

const struct secrets *
credential_secrets(const struct credential *c)
{
    return c->secrets;
}

static void
identity_fini(void *entry)
{
    struct identity *id = entry;

    credential_drop(id->current);
    tls_context_unref(id->tls);
    arena_destroy(id->arena);
}

static const struct registry_kind identity_kind = { "identities", sizeof(struct identity),
    identity_fini };

/* What stands for the settings: none of them can be read from it. */
static struct str
stable_name(const struct source_settings *s, char hex[2 * DIGEST_SHA256_BYTES + 1])
{
    struct str pieces[2 * SOURCE_SETTINGS + 2];
    uint8_t digest[DIGEST_SHA256_BYTES];
    size_t n = 0;

    pieces[n++] = str_make((const char *)&s->source, sizeof(s->source));
    pieces[n++] = str_make((const char *)&s->lender, sizeof(s->lender));
    for (size_t i = 0; i < SOURCE_SETTINGS; i++) {
        pieces[n++] = str_make((const char *)&s->v[i].n, sizeof(s->v[i].n));
        pieces[n++] = s->v[i];
    }
    digest_sha256_pieces(pieces, n, digest);
    digest_hex(digest, sizeof(digest), hex);
    return str_c(hex);
}

struct identity *
identity_hold(const struct source_settings *settings)
{
    char hex[2 * DIGEST_SHA256_BYTES + 1];
    struct identity *id = registry_hold(&identity_kind, stable_name(settings, hex));

    (void)pthread_mutex_lock(&lock);
    if (id->arena == NULL) {
        id->arena = arena_create(SETTINGS_BYTES);
        id->settings.source = settings->source;
        id->settings.lender = settings->lender;
        for (size_t i = 0; i < SOURCE_SETTINGS; i++)
            id->settings.v[i] = arena_str(id->arena, settings->v[i]);
    }
    (void)pthread_mutex_unlock(&lock);
    return id;
}

void
identity_drop(struct identity *id)
{
    registry_drop(id);
}

const struct source_settings *
identity_settings(const struct identity *id)
{
    return &id->settings;
}

struct tls_context *
identity_tls(struct identity *id, struct why why)
{
    (void)pthread_mutex_lock(&lock);
    if (id->tls == NULL)
        id->tls = tls_client_create(
            id->settings.v[SOURCE_CA_FILE].n != 0 ? id->settings.v[SOURCE_CA_FILE].p : NULL, false,
            why);
    struct tls_context *tls = id->tls;
    (void)pthread_mutex_unlock(&lock);
    return tls;
}

/* --- the current credential --- */

/* A part of its life, at most so much. */
static uint64_t
part_ms(const struct credential *c, unsigned parts, uint64_t most_ms)
{
    uint64_t life_ms = c->expires_ms > c->got_ms ? c->expires_ms - c->got_ms : 0;

    return MIN(life_ms / parts, most_ms);
}

static bool
is_valid(const struct credential *c, uint64_t wall_ms)
{
    return c != NULL &&
           (c->expires_ms == 0 || wall_ms < c->expires_ms - part_ms(c, 10, MARGIN_MOST_MS));
}

struct credential *
identity_credential(struct identity *id, uint64_t wall_ms)
{
    (void)pthread_mutex_lock(&lock);
    struct credential *c = is_valid(id->current, wall_ms) ? id->current : NULL;
    if (c != NULL)
        (void)atomic_fetch_add(&c->holders, 1);
    (void)pthread_mutex_unlock(&lock);
    return c;
}

void
identity_doubt(struct identity *id, const struct credential *c, uint64_t wall_ms)
{
    (void)pthread_mutex_lock(&lock);
    if (c != NULL && id->current == c && wall_ms > c->got_ms + NEW_MS && !id->fetching)
        id->due_ms = 0;
    (void)pthread_mutex_unlock(&lock);
}

/* --- fetching --- */

bool
identity_begin(struct identity *id, bool wanted, uint64_t wall_ms)
{
    (void)pthread_mutex_lock(&lock);
    bool early = wanted && id->failures == 0 && !is_valid(id->current, wall_ms);
    bool mine = !id->fetching && (wall_ms >= id->due_ms || early);
    if (mine)
        id->fetching = true;
    (void)pthread_mutex_unlock(&lock);
    return mine;
}

bool
identity_is_fetched(struct identity *id)
{
    (void)pthread_mutex_lock(&lock);
    bool fetched = id->fetching;
    (void)pthread_mutex_unlock(&lock);
    return fetched;
}

static struct credential *
make(const struct source_run *got, struct str field, uint64_t wall_ms)
{
    struct credential *c = check_alloc(calloc(1, sizeof(*c)));
    const struct str secret[] = { got->token, got->key_secret, got->key_session };
    struct buf line;

    atomic_init(&c->holders, 1);
    c->arena = arena_create(CREDENTIAL_BYTES);
    c->secrets = secrets_create();
    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        secrets_add(c->secrets, secret[i]);
    c->got_ms = wall_ms;
    c->expires_ms = got->expires_ms;
    c->key = (struct sigv4_key){ .id = arena_str(c->arena, got->key_id),
        .secret = arena_str(c->arena, got->key_secret),
        .session = arena_str(c->arena, got->key_session) };
    if (got->token.n != 0) {
        buf_init(&line, CREDENTIAL_BYTES);
        buf_add(&line, field.n != 0 ? field : S("Authorization: Bearer "));
        buf_add(&line, got->token);
        buf_add(&line, S("\r\n"));
        c->line = arena_str(c->arena, buf_str(&line));
        buf_fini(&line);
    }
    return c;
}

void
identity_settle(struct identity *id, const struct source_run *got, uint64_t wall_ms)
{
    struct credential *next = make(got, id->settings.v[SOURCE_FIELD], wall_ms);

    (void)pthread_mutex_lock(&lock);
    CHECK(id->fetching);
    struct credential *before = id->current;
    id->current = next;
    id->fetching = false;
    id->failures = 0;
    id->due_ms = got->renew_ms != 0      ? got->renew_ms
                 : next->expires_ms == 0 ? UINT64_MAX
                                         : next->expires_ms - part_ms(next, 4, AHEAD_MOST_MS);
    /* One that has expired already would be asked for all the time. */
    id->due_ms = MAX(id->due_ms, wall_ms + RETRY_MS);
    (void)pthread_mutex_unlock(&lock);
    credential_drop(before);
}

void
identity_settle_failed(struct identity *id, struct str why, uint64_t wall_ms)
{
    struct log_context who = { .subject = id->settings.source->name };

    log_warn(&who, "credentials could not be fetched from " STR_FMT ": " STR_FMT,
        STR_ARG(id->settings.source->name), STR_ARG(why));
    (void)pthread_mutex_lock(&lock);
    CHECK(id->fetching);
    id->fetching = false;
    id->due_ms = wall_ms + MIN((uint64_t)RETRY_MS << MIN(id->failures, 16u), RETRY_MOST_MS);
    id->failures++;
    str_copy_c(id->trouble, sizeof(id->trouble), why);
    (void)pthread_mutex_unlock(&lock);
}

struct str
identity_trouble(struct identity *id, struct arena *a)
{
    struct str from = id->settings.source->name;

    (void)pthread_mutex_lock(&lock);
    struct str s = id->failures != 0
                       ? arena_printf(a, STR_FMT ": %s", STR_ARG(from), id->trouble)
                       : arena_printf(a, STR_FMT " has not answered yet", STR_ARG(from));
    (void)pthread_mutex_unlock(&lock);
    return s;
}

/* --- using it --- */

/* Of the header fields, those that AWS wants to be signed: others may be changed on the way. */
static bool
add_signed(struct buf *out, struct str fields)
{
    while (fields.n != 0) {
        struct str line;

        (void)str_cut(fields, '\n', &line, &fields);
        if (str_istarts(line, S("content-type:")) || str_istarts(line, S("x-amz-"))) {
            buf_add(out, line);
            buf_add_c(out, '\n');
        }
    }
    return !out->overflow;
}

bool
credential_authorize(const struct credential *c, struct buf *out,
    const struct credential_request *q, uint64_t wall_ms, struct arena *scratch)
{
    struct buf fields;

    if (c->line.n != 0) {
        buf_add(out, c->line);
        return !out->overflow;
    }
    buf_init(&fields, SETTINGS_BYTES);
    bool ok = add_signed(&fields, q->fields);
    struct sigv4_request to_sign = { .method = q->method,
        .host = q->host,
        .target = q->target,
        .fields = buf_str(&fields),
        .body = q->body,
        .body_count = q->body_count };
    ok = ok && sigv4_sign(out, &to_sign, &c->key, q->region, q->service, wall_ms, scratch);
    buf_fini(&fields);
    return ok;
}
