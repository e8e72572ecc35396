/* callers.c - a table of fixed size from keyed hashes of keys to principals. */
#include "policy/callers.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/siphash.h"

enum { WAYS = 8, SETS = 2048 };

#define CALLER_BYTES                                                                               \
    (1024u * 1024)    /* of what is made of one key; the store's limits are far below */
#define CALLER_FIRST_BYTES 512u
#define MINUTE_MS 60000u

/* Of the directory that a principal was made from. */
struct version {
    uint64_t stamp, owners, generation;
};

struct caller {
    struct principal p;     /* what exchanges see */
    struct arena *arena;    /* holds this, too */
    uint8_t hash[SIPHASH_BYTES];
    uint8_t digest[KEY_DIGEST_BYTES];
    struct version version;
    uint64_t used_ms, reported_ms;    /* clock_wall_ms() */
};

struct callers {
    struct directory *directory;
    struct directory_reader *reader;
    struct siphash_key secret;
    uint64_t generation, minute;    /* of the last tick */
    callers_used_fn *used;          /* NULL: nothing is reported */
    void *used_arg;
    struct caller *sets[SETS][WAYS];
};

/* --- making one --- */

static struct str
copy(struct arena *a, struct str s)
{
    return s.n != 0 ? arena_str(a, s) : S("");
}

/* The texts of a JSON array. */
static struct conf_strs
read_texts(struct arena *a, struct str text)
{
    const struct json *doc = text.n != 0 ? json_parse(a, copy(a, text), NULL, NULL) : NULL;
    struct json_iter it = json_iter(json_is(doc, JSON_ARRAY) ? doc : NULL);
    struct conf_strs list = { NULL, 0 };

    if (!json_is(doc, JSON_ARRAY) || json_is_empty(doc))
        return list;
    list.list = arena_array(a, struct conf_str, json_count(doc));
    while (json_next(&it))
        list.list[list.count++].v = json_str(a, it.value);
    return list;
}

/* The members of a JSON object, in front of `next`. */
static const struct ask_tag *
read_tags(struct arena *a, struct str text, const struct ask_tag *next)
{
    const struct json *doc = text.n != 0 ? json_parse(a, copy(a, text), NULL, NULL) : NULL;
    struct json_iter it = json_iter(json_is(doc, JSON_OBJECT) ? doc : NULL);

    while (json_next(&it)) {
        struct ask_tag *tag = arena_new(a, struct ask_tag);

        tag->name = json_str(a, it.key);
        tag->value = json_str(a, it.value);
        tag->next = (struct ask_tag *)next;    /* not changed here, nor by who reads the list */
        next = tag;
    }
    return next;
}

/* What the key belongs to. */
struct owners {
    struct directory_owner user, account, project, team, org;
};

/* False: it is disabled, or gone. */
static bool
look_up(struct directory_reader *r, struct str id, struct directory_owner *ret)
{
    if (directory_find_owner(r, id, ret))
        return !ret->disabled;
    *ret = (struct directory_owner){ .id = id };
    return id.n == 0;
}

static struct str
first_of(struct str a, struct str b, struct str c, struct str d)
{
    return a.n != 0 ? a : b.n != 0 ? b : c.n != 0 ? c : d;
}

/* What the key says itself goes before what follows from that. False: one of them is disabled or
 * gone. */
static bool
find_owners(struct directory_reader *r, const struct directory_key *k, struct owners *o)
{
    const struct directory_terms *t = &k->terms;
    bool user = look_up(r, k->user, &o->user);
    bool account = look_up(r, t->service_account, &o->account);
    bool project = look_up(r, first_of(t->project, o->account.project, S(""), S("")), &o->project);
    bool team =
        look_up(r, first_of(t->team, o->project.team, o->account.team, o->user.team), &o->team);
    bool org = look_up(r, first_of(t->org, o->team.org, o->account.org, o->user.org), &o->org);

    return user && account && project && team && org;
}

static void
free_caller(struct principal *p)
{
    struct caller *c = CONTAINER_OF(p, struct caller, p);

    registry_drop(p->in_flight);
    arena_destroy(c->arena);
}

/* Who it is, and whose. */
static void
name_it(struct arena *a, const struct directory_key *k, const struct owners *o, struct principal *p)
{
    const struct directory_terms *t = &k->terms;
    uint8_t hash[DIGEST_SHA256_BYTES];

    /* of the id, not of the key: it stays the same when the key is rotated */
    digest_sha256(k->id, hash);
    digest_hex(hash, AUTH_HASH_HEX_BYTES / 2, p->hash_hex);
    p->key_id = copy(a, k->id);
    p->name = k->name.n != 0 ? copy(a, k->name) : p->key_id;
    p->user = copy(a, k->user.n != 0 ? k->user : t->service_account);
    p->user_name = copy(a, k->user.n != 0 ? o->user.name : o->account.name);
    p->project = copy(a, o->project.id);
    p->project_name = copy(a, o->project.name);
    p->team = copy(a, o->team.id);
    p->team_name = copy(a, o->team.name);
    p->org = copy(a, o->org.id);
    p->org_name = copy(a, o->org.name);
    p->environment = copy(a, t->environment);
    p->role = copy(a, t->role);
}

/* What it may do. */
static void
permit_it(
    struct arena *a, const struct directory_key *k, const struct owners *o, struct principal *p)
{
    const struct directory_terms *t = &k->terms;
    const struct conf_strs addresses = read_texts(a, t->addresses);

    p->tags = read_tags(a, t->tags,
        read_tags(a, o->user.tags,
            read_tags(
                a, o->project.tags, read_tags(a, o->team.tags, read_tags(a, o->org.tags, NULL)))));
    p->models = read_texts(a, t->models);
    p->owner_models[0] = read_texts(a, o->project.models);
    p->owner_models[1] = read_texts(a, o->team.models);
    p->routes = read_texts(a, t->routes);
    p->endpoints = read_texts(a, t->endpoints);
    p->providers = read_texts(a, t->providers);
    p->origins = read_texts(a, t->origins);
    /* what cannot be read must not open the key to everywhere */
    if (auth_read_cidrs(a, &addresses, p) != addresses.count)
        p->nowhere = true;
    p->expires_ms = k->expires_ms;
    p->concurrent = t->concurrent;
    p->priority = t->priority;
    p->explain = true;
    p->shares = true;
    p->stored = true;
}

/* NULL: what it belongs to is disabled or gone. */
static struct caller *
make(struct callers *c, const struct directory_key *k, struct version version)
{
    struct owners owners;

    if (!find_owners(c->reader, k, &owners))
        return NULL;
    struct arena *a = arena_create_sized(CALLER_BYTES, CALLER_FIRST_BYTES);
    struct caller *made = arena_new(a, struct caller);

    made->arena = a;
    made->version = version;
    made->p.users = 1;    /* the table */
    made->p.free = free_caller;
    name_it(a, k, &owners, &made->p);
    permit_it(a, k, &owners, &made->p);
    made->p.in_flight = in_flight_hold(made->p.key_id);
    return made;
}

/* --- the table --- */

static struct caller **
set_of(struct callers *c, const uint8_t hash[SIPHASH_BYTES])
{
    uint64_t n;

    memcpy(&n, hash, sizeof(n));
    return c->sets[n % SETS];
}

/* Its place in the set; NULL: it is not there. */
static struct caller **
place_of(struct caller **set, const uint8_t hash[SIPHASH_BYTES])
{
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i] != NULL && memcmp(set[i]->hash, hash, SIPHASH_BYTES) == 0)
            return &set[i];
    return NULL;
}

static void
report(struct callers *c, struct caller *k)
{
    if (c->used == NULL || k->used_ms == k->reported_ms)
        return;
    k->reported_ms = k->used_ms;
    c->used(c->used_arg, k->p.key_id, k->used_ms);
}

static void
forget(struct callers *c, struct caller **place)
{
    struct caller *was = *place;

    *place = NULL;
    report(c, was);
    principal_drop(&was->p);
}

/* A place for another: one that is free, or that of the key that was not used for longest. */
static struct caller **
make_room(struct callers *c, struct caller **set)
{
    struct caller **oldest = set;

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i] == NULL)
            return &set[i];
        if (set[i]->used_ms < (*oldest)->used_ms)
            oldest = &set[i];
    }
    forget(c, oldest);
    return oldest;
}

/* Does the directory say the same as when it was made? Then it is up to date now. */
static bool
is_current(struct callers *c, struct caller *known)
{
    const struct version now = { .generation = directory_generation(c->directory),
        .owners = directory_owners_generation(c->directory) };
    struct directory_key k;
    uint64_t stamp = 0;

    if (LIKELY(known->version.generation == now.generation))
        return true;
    directory_enter(c->reader);
    bool found = directory_find(c->reader, known->digest, &k, &stamp);
    directory_leave(c->reader);
    if (!found || stamp != known->version.stamp || now.owners != known->version.owners)
        return false;
    known->version.generation = now.generation;
    return true;
}

/* Asks the directory, and remembers the answer. */
static struct caller *
ask(struct callers *c, struct str credential, const uint8_t hash[SIPHASH_BYTES])
{
    /* before looking: what changes meanwhile is looked at again */
    struct version version = { .generation = directory_generation(c->directory),
        .owners = directory_owners_generation(c->directory) };
    uint8_t digest[KEY_DIGEST_BYTES];
    struct caller *made = NULL;
    struct directory_key k;

    key_digest(directory_pepper(c->directory), credential, digest);
    directory_enter(c->reader);
    if (directory_find(c->reader, digest, &k, &version.stamp))
        made = make(c, &k, version);
    directory_leave(c->reader);
    if (made == NULL)
        return NULL;
    memcpy(made->hash, hash, sizeof(made->hash));
    memcpy(made->digest, digest, sizeof(made->digest));
    *make_room(c, set_of(c, hash)) = made;
    return made;
}

static struct caller *
find(struct callers *c, struct str credential, uint64_t wall_ms)
{
    uint8_t hash[SIPHASH_BYTES];

    siphash(&c->secret, credential, hash);
    struct caller **place = place_of(set_of(c, hash), hash);
    struct caller *found = place != NULL ? *place : NULL;
    if (found != NULL && UNLIKELY(!is_current(c, found))) {
        forget(c, place);
        found = NULL;
    }
    if (found == NULL)
        found = ask(c, credential, hash);
    if (found == NULL || UNLIKELY(auth_is_expired(&found->p, wall_ms)))
        return NULL;
    return found;
}

struct principal *
callers_find(struct callers *c, struct str credential, uint64_t wall_ms)
{
    struct caller *found = credential.n != 0 ? find(c, credential, wall_ms) : NULL;

    if (found == NULL)
        return NULL;
    found->used_ms = wall_ms;
    return principal_hold(&found->p);
}

bool
callers_know(struct callers *c, struct str text)
{
    uint8_t digest[KEY_DIGEST_BYTES];
    struct directory_key k;
    uint64_t stamp;

    key_digest(directory_pepper(c->directory), text, digest);
    directory_enter(c->reader);
    bool found = directory_find(c->reader, digest, &k, &stamp);
    directory_leave(c->reader);
    return found;
}

bool
callers_allow(struct callers *c, const struct principal *p, uint64_t wall_ms)
{
    const struct caller *caller = CONTAINER_OF(p, struct caller, p);
    struct owners owners;
    struct directory_key k;
    uint64_t stamp;

    if (p->free != free_caller)
        return true;
    directory_enter(c->reader);
    bool allowed = directory_find(c->reader, caller->digest, &k, &stamp) &&
                   find_owners(c->reader, &k, &owners) &&
                   (k.expires_ms == 0 || wall_ms < k.expires_ms);
    directory_leave(c->reader);
    return allowed;
}

bool
callers_tick(struct callers *c, uint64_t wall_ms)
{
    uint64_t generation = directory_generation(c->directory), minute = wall_ms / MINUTE_MS;

    if (generation == c->generation && minute == c->minute)
        return false;
    c->generation = generation;
    c->minute = minute;
    for (struct caller **at = c->sets[0]; at < c->sets[0] + SETS * WAYS; at++)
        if (*at != NULL && (!is_current(c, *at) || auth_is_expired(&(*at)->p, wall_ms)))
            forget(c, at);
    return true;
}

void
callers_report_used(struct callers *c, callers_used_fn *fn, void *arg)
{
    c->used = fn;
    c->used_arg = arg;
    for (struct caller **at = c->sets[0]; at < c->sets[0] + SETS * WAYS; at++)
        if (*at != NULL)
            report(c, *at);
}

struct callers *
callers_create(struct directory *d)
{
    struct callers *c = check_alloc(calloc(1, sizeof(*c)));

    c->directory = d;
    c->reader = directory_reader(d);
    c->secret = siphash_key_make();
    return c;
}

void
callers_destroy(struct callers *c)
{
    if (c == NULL)
        return;
    for (struct caller **at = c->sets[0]; at < c->sets[0] + SETS * WAYS; at++)
        if (*at != NULL)
            principal_drop(&(*at)->p);
    free(c);
}
