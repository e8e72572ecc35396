/* issuer.c - asks for the discovery document, then for the keys. */
#include "policy/issuer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/registry.h"
#include "cloud/source.h"
#include "http/ask.h"
#include "net/tls.h"
#include "net/waiter.h"

#define ANSWER_BYTES (256u * 1024)
#define DEADLINE_MS 10000u
#define CONNECT_MS 5000u
#define MISSED_MS 30000u    /* tokens with unknown keys make it be asked so often at most */
#define RETRY_MS 1000u      /* after a failure, doubled after each further one */
#define RETRY_MOST_MS 60000u

struct issuer {
    struct str id;           /* in the registry; empty: just made */
    struct str name, url;    /* url: of the keys; empty: to be discovered */
    bool from_file;
    uint64_t refresh_ms;
    struct tls_context *tls;
    struct jwks *keys;
    bool asking;
    unsigned failures;    /* since the last success */
    uint64_t asked_ms;    /* when an answer came last; 0: never; clock_now_ms() */
    uint64_t due_ms;      /* 0: at once */
    char trouble[300];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards all but name and url */

static void
issuer_fini(void *entry)
{
    struct issuer *i = entry;

    jwks_drop(i->keys);
    tls_context_unref(i->tls);
    free((char *)i->id.p);
    free((char *)i->name.p);
    free((char *)i->url.p);
}

static const struct registry_kind issuer_kind = { "token issuers", sizeof(struct issuer),
    issuer_fini };

static bool
read_file(struct issuer *i, const struct conf_issuer *c, struct why why)
{
    char said[200] = "";
    struct arena *a = arena_create(ANSWER_BYTES);
    struct str text = source_file(a, c->jwks_file.v);
    bool ok = text.p != NULL || why_say(WHY(said), "it cannot be read");
    struct jwks *keys = ok ? jwks_read(text, WHY(said)) : NULL;

    arena_destroy(a);
    if (keys == NULL)
        return why_say(why, "the file " STR_FMT " has no keys: %s", STR_ARG(c->jwks_file.v), said);
    (void)pthread_mutex_lock(&lock);
    struct jwks *before = i->keys;

    i->keys = keys;
    i->due_ms = UINT64_MAX;
    (void)pthread_mutex_unlock(&lock);
    jwks_drop(before);
    return true;
}

struct issuer *
issuer_hold(const struct conf_issuer *c, struct why why)
{
    struct buf id;

    buf_init(&id, ANSWER_BYTES);
    buf_printf(&id, STR_FMT "\n" STR_FMT "\n" STR_FMT, STR_ARG(c->issuer.v), STR_ARG(c->jwks_url.v),
        STR_ARG(c->jwks_file.v));
    struct issuer *i = registry_hold(&issuer_kind, buf_str(&id));

    (void)pthread_mutex_lock(&lock);
    if (i->id.n == 0) {
        i->id = str_c(str_dup_c(buf_str(&id)));
        i->name = str_c(str_dup_c(c->issuer.v));
        i->url = str_c(str_dup_c(c->jwks_url.v));
        i->from_file = c->jwks_file.v.n != 0;
    }
    i->refresh_ms = c->refresh_ms;
    (void)pthread_mutex_unlock(&lock);
    buf_fini(&id);
    if (i->from_file && !read_file(i, c, why)) {
        registry_drop(i);
        return NULL;
    }
    return i;
}

void
issuer_drop(struct issuer *i)
{
    registry_drop(i);
}

struct jwks *
issuer_keys(struct issuer *i)
{
    (void)pthread_mutex_lock(&lock);
    struct jwks *keys = i->keys != NULL ? jwks_hold(i->keys) : NULL;
    (void)pthread_mutex_unlock(&lock);
    return keys;
}

bool
issuer_has_keys(struct issuer *i, const struct jwks *keys)
{
    (void)pthread_mutex_lock(&lock);
    bool same = i->keys == keys;
    (void)pthread_mutex_unlock(&lock);
    return same;
}

struct str
issuer_trouble(struct issuer *i, struct arena *a)
{
    (void)pthread_mutex_lock(&lock);
    struct str s = arena_str(a, str_c(i->trouble));
    (void)pthread_mutex_unlock(&lock);
    return s;
}

/* --- asking --- */

struct issuer_fetch {
    struct issuer_asker *asker;
    struct issuer_fetch *prev, *next;
    struct issuer *issuer;
    struct origin *origin;
    struct http_ask *ask;
    bool discovered;
};

/* Ends it, with the keys (taken over), or with why there are none. */
static void
end(struct issuer_fetch *f, struct jwks *keys, const char *trouble)
{
    struct issuer *i = f->issuer;
    struct log_context who = { .subject = i->name };
    uint64_t now_ms = clock_now_ms();
    struct jwks *before = NULL;

    if (keys == NULL)
        log_warn(&who,
            "the keys of the token issuer " STR_FMT
            " could not be fetched: %s; those from before, if there are any, are used",
            STR_ARG(i->name), trouble);
    (void)pthread_mutex_lock(&lock);
    i->asking = false;
    i->asked_ms = now_ms;
    str_copy_c(i->trouble, sizeof(i->trouble), keys == NULL ? str_c(trouble) : S(""));
    if (keys != NULL) {
        before = i->keys;
        i->keys = keys;
        i->failures = 0;
        i->due_ms = now_ms + i->refresh_ms;
    } else {
        i->due_ms = now_ms + MIN((uint64_t)RETRY_MS << MIN(i->failures, 16u), RETRY_MOST_MS);
        i->failures++;
    }
    (void)pthread_mutex_unlock(&lock);
    jwks_drop(before);
    waiter_wake_all();
    LIST_REMOVE(f->asker->first, f);
    origin_destroy(f->origin);
    issuer_drop(i);
    free(f);
}

static struct tls_context *
tls_of(struct issuer *i, struct why why)
{
    (void)pthread_mutex_lock(&lock);
    if (i->tls == NULL)
        i->tls = tls_client_create(NULL, false, why);
    struct tls_context *tls = i->tls;
    (void)pthread_mutex_unlock(&lock);
    return tls;
}

static void on_answer(void *owner, const struct http_answer *answer);

static bool
get(struct issuer_fetch *f, struct str url, struct why why)
{
    bool https = str_istarts(url, S("https:"));
    struct tls_context *tls = https ? tls_of(f->issuer, why) : NULL;
    struct str after = str_skip(url, str_find(url, S("://")) + 3);
    struct str target = str_skip(after, str_chr(after, '/'));
    struct str path;

    origin_destroy(f->origin);
    f->origin = https && tls == NULL
                    ? NULL
                    : origin_create(str_make(url.p, url.n - target.n), tls, &path, why);
    if (f->origin == NULL)
        return false;
    struct client_request q = {
        .origin = f->origin,
        .method = S("GET"),
        .path = target.n != 0 ? target : S("/"),
        .fields = S("Accept: application/json\r\nUser-Agent: openclaw\r\n"),
        .connect_ms = CONNECT_MS,
        .first_byte_ms = DEADLINE_MS,
        .resend_ms = DEADLINE_MS,
        .resend_stale = true,
    };
    f->ask = http_ask_start(
        f->asker->loop, f->asker->client, &q, DEADLINE_MS, ANSWER_BYTES, on_answer, f);
    return true;
}

/* Plain HTTP is for issuers that are themselves asked so, which the configuration decides. */
static bool
is_good_url(struct str url, struct str issuer)
{
    if (url.n > 2048 || str_find(url, S("@")) != url.n || str_find(url, S("#")) != url.n)
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~')
            return false;
    return str_istarts(url, S("https://")) ||
           (str_istarts(url, S("http://")) && str_istarts(issuer, S("http://")));
}

/* The discovery document: it must be of this issuer, and says where the keys are. */
static bool
go_to_keys(struct issuer_fetch *f, struct str body, struct why why)
{
    struct arena *a = arena_create(ANSWER_BYTES * 8);
    const struct json *doc = json_parse(a, body, NULL, NULL);
    struct str url = json_str(a, json_get(doc, S("jwks_uri")));
    bool ok = json_str_is(json_get(doc, S("issuer")), f->issuer->name) ||
              why_say(why, "its discovery document is malformed, or of another issuer");

    ok = ok && (is_good_url(url, f->issuer->name) ||
                   why_say(why, "its discovery document has no jwks_uri that can be used"));
    f->discovered = true;
    ok = ok && get(f, url, why);
    arena_destroy(a);
    return ok;
}

static void
on_answer(void *owner, const struct http_answer *answer)
{
    struct issuer_fetch *f = owner;
    char why[300] = "";
    struct jwks *keys = NULL;
    bool told = answer->detail != NULL && *answer->detail != '\0';
    bool discovering = f->issuer->url.n == 0 && !f->discovered;

    f->ask = NULL;
    if (answer->why != OK)
        (void)why_say(WHY(why), "its answer did not come: %s",
            told ? answer->detail : err_row(answer->why)->sentence);
    else if (answer->status != 200)
        (void)why_say(WHY(why), "it answered with status %d", answer->status);
    else if (discovering && go_to_keys(f, answer->body, WHY(why)))
        return;
    else if (!discovering)
        keys = jwks_read(answer->body, WHY(why));
    end(f, keys, why);
}

static void
begin(struct issuer_asker *k, struct issuer *i)
{
    struct issuer_fetch *f = check_alloc(calloc(1, sizeof(*f)));
    char why[300] = "";
    struct buf url;

    f->asker = k;
    f->issuer = registry_hold(&issuer_kind, i->id);
    LIST_ADD(k->first, f);
    buf_init(&url, ANSWER_BYTES);
    if (i->url.n != 0) {
        buf_add(&url, i->url);
    } else {    /* OpenID Connect Discovery 1.0, 4: a slash at the end is removed first */
        buf_add(&url, str_ends(i->name, S("/")) ? str_make(i->name.p, i->name.n - 1) : i->name);
        buf_add(&url, S("/.well-known/openid-configuration"));
    }
    if (!get(f, buf_str(&url), WHY(why)))
        end(f, NULL, why);
    buf_fini(&url);
}

bool
issuer_is_asked(struct issuer *i)
{
    (void)pthread_mutex_lock(&lock);
    bool asking = i->asking;
    (void)pthread_mutex_unlock(&lock);
    return asking;
}

bool
issuer_look(struct issuer_asker *k, struct issuer *i, bool missed)
{
    uint64_t now_ms = clock_now_ms();

    if (i->from_file)
        return false;
    (void)pthread_mutex_lock(&lock);
    bool old = now_ms >= i->due_ms;
    bool early =
        missed && i->failures == 0 && (i->asked_ms == 0 || now_ms >= i->asked_ms + MISSED_MS);
    bool mine = !i->asking && (old || early);

    i->asking = i->asking || mine;
    (void)pthread_mutex_unlock(&lock);
    if (mine)
        begin(k, i);
    return issuer_is_asked(i);
}

void
issuer_stop(struct issuer_asker *k)
{
    for (struct issuer_fetch *f = k->first, *next; f != NULL; f = next) {
        next = f->next;
        http_ask_cancel(f->ask);
        end(f, NULL, "the gateway is shutting down");
    }
}
