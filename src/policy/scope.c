/* scope.c - a table of scopes that is read without locks, and the entries that limit them.
 *
 * Scopes stand in segments, each twice as large as the one before, at one of a few places that their
 * hash names. A scope that nobody holds and whose counters say nothing any more gives its place to
 * another; whoever finds one holds it first and looks then whether it is still the same.
 */
#include "policy/scope.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "policy/auth.h"

#define FIRST_PLACES 1024u
#define SEGMENTS 13u           /* 8 million places */
#define CALLERS_SEGMENTS 7u    /* for those that callers make up: 130,000 places */
#define PROBES 8u              /* of a hash in each segment */
#define FREE 0u
#define BUSY 1u    /* its place is being given to another */
#define BURST_S UINT64_C(10)
#define KEY_BYTES 512u     /* of a kind and an id */
#define FORGET_S 86400u    /* sessions that were not heard of for so long */

#define NS_PER_S UINT64_C(1000000000)

const uint64_t scope_window_ns[SCOPE_RATES] = {
    60 * NS_PER_S,
    3600 * NS_PER_S,
    86400 * NS_PER_S,
    60 * NS_PER_S,
    3600 * NS_PER_S,
    86400 * NS_PER_S,
};

struct placed_entry {
    struct scope_entry said;    /* its texts belong to it */
    enum scope_kind kind;
    struct str pattern;    /* in said.scope */
    bool exact;
    struct placed_entry *next;    /* of the same scope, or the next pattern */
};

struct scopes {
    pthread_mutex_t lock;
    struct map *by_id;    /* struct placed_entry by its id */
    struct map *exact;    /* the first struct placed_entry by its scope's text */
    struct placed_entry *patterns;
    struct map *names;    /* heap text by "team:ID" */
    unsigned count[SCOPE_KINDS];
    _Atomic unsigned kinds;
    _Atomic uint32_t revision;
    struct scope *_Atomic segments[SEGMENTS];
    struct scope overflow[SCOPE_KINDS];    /* shared by those that find no place */
};

/* --- words --- */

const char *
scope_kind_name(enum scope_kind kind)
{
    static const char *const names[SCOPE_KINDS] = { "all", "org", "team", "project", "user", "key",
        "tag", "address", "session", "model", "provider", "purse" };

    return names[kind];
}

const char *
scope_rate_name(enum scope_rate rate)
{
    static const char *const names[SCOPE_RATES] = { "rpm", "rph", "rpd", "tpm", "tph", "tpd" };

    return names[rate];
}

bool
scope_parse(struct str text, enum scope_kind *ret_kind, struct str *ret_pattern)
{
    struct str word;

    *ret_kind = SCOPE_ALL;
    *ret_pattern = S("");
    if (str_eq(text, S("all")))
        return true;
    if (!str_cut(text, ':', &word, ret_pattern) || ret_pattern->n == 0)
        return false;
    for (unsigned k = SCOPE_ALL + 1; k < SCOPE_PURSE; k++)
        if (str_eq(word, str_c(scope_kind_name((enum scope_kind)k)))) {
            *ret_kind = (enum scope_kind)k;
            return true;
        }
    return false;
}

/* "team:ID" in `room`, of KEY_BYTES; empty if it is longer. */
static struct str
kind_and_id(char *room, enum scope_kind kind, struct str id)
{
    struct str word = str_c(scope_kind_name(kind));

    if (id.n == 0 || word.n + 1 + id.n > KEY_BYTES)
        return S("");
    memcpy(room, word.p, word.n);
    room[word.n] = ':';
    memcpy(room + word.n + 1, id.p, id.n);
    return str_make(room, word.n + 1 + id.n);
}

/* --- entries --- */

struct scopes *
scopes_create(void)
{
    struct scopes *s = check_alloc(calloc(1, sizeof(*s)));

    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    s->by_id = map_create();
    s->exact = map_create();
    s->names = map_create();
    atomic_store(&s->revision, 1);
    return s;
}

static void
entry_free(struct placed_entry *e)
{
    free((char *)e->said.id.p);
    free((char *)e->said.scope.p);
    free((char *)e->said.budget.alias.p);
    free(e);
}

static bool
has_budget(const struct budget_terms *t)
{
    return t->nanousd != 0 || t->request_nanousd != 0 || t->session_nanousd != 0;
}

bool
scope_entry_says(const struct scope_entry *e)
{
    uint64_t any = e->concurrent | e->streams;

    for (unsigned r = 0; r < SCOPE_RATES; r++)
        any |= e->rates[r];
    return any != 0 || has_budget(&e->budget);
}

static struct str
copy(struct str s)
{
    return str_c(str_dup_c(s));
}

/* Takes the entry out of its list. */
static void
unlink_entry(struct scopes *s, struct placed_entry *e)
{
    struct placed_entry *first = e->exact ? map_get(s->exact, e->said.scope) : s->patterns,
                        **at = &first;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    if (!e->exact)
        s->patterns = first;
    else if (first == NULL)
        (void)map_remove(s->exact, e->said.scope);
    else
        (void)map_put(s->exact, e->said.scope, first);
}

/* Those that stand first go before. */
static void
link_entry(struct scopes *s, struct placed_entry *e)
{
    struct placed_entry *first = e->exact ? map_get(s->exact, e->said.scope) : s->patterns,
                        **at = &first;

    while (*at != NULL)
        at = &(*at)->next;
    *at = e;
    if (!e->exact)
        s->patterns = first;
    else
        (void)map_put(s->exact, e->said.scope, first);
}

static void
count_entry(struct scopes *s, const struct placed_entry *e, int by)
{
    unsigned bit = 1u << e->kind, kinds = atomic_load(&s->kinds);

    s->count[e->kind] += (unsigned)by;
    atomic_store(&s->kinds, s->count[e->kind] != 0 ? kinds | bit : kinds & ~bit);
}

static void
remove_entry(struct scopes *s, struct str id)
{
    struct placed_entry *e = map_remove(s->by_id, id);

    if (e == NULL)
        return;
    unlink_entry(s, e);
    count_entry(s, e, -1);
    entry_free(e);
}

static void
add_entry(struct scopes *s, const struct scope_entry *said, enum scope_kind kind)
{
    struct placed_entry *e = check_alloc(calloc(1, sizeof(*e)));

    e->said = *said;
    e->said.id = copy(said->id);
    e->said.scope = copy(said->scope);
    e->said.budget.alias = copy(said->budget.alias);
    e->kind = kind;
    e->pattern = str_skip(e->said.scope, kind != SCOPE_ALL ? strlen(scope_kind_name(kind)) + 1 : 3);
    e->exact = str_chr(e->pattern, '*') == e->pattern.n;
    (void)map_put(s->by_id, e->said.id, e);
    link_entry(s, e);
    count_entry(s, e, 1);
}

static bool
set_entry(struct scopes *s, const struct scope_entry *said)
{
    enum scope_kind kind;
    struct str pattern;

    remove_entry(s, said->id);
    if (!scope_parse(said->scope, &kind, &pattern))
        return false;
    add_entry(s, said, kind);
    return true;
}

bool
scopes_set(struct scopes *s, const struct scope_entry *e)
{
    (void)pthread_mutex_lock(&s->lock);
    bool ok = set_entry(s, e);
    (void)atomic_fetch_add(&s->revision, 1);
    (void)pthread_mutex_unlock(&s->lock);
    return ok;
}

void
scopes_unset(struct scopes *s, struct str id)
{
    (void)pthread_mutex_lock(&s->lock);
    if (map_get(s->by_id, id) != NULL) {
        remove_entry(s, id);
        (void)atomic_fetch_add(&s->revision, 1);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void
scopes_set_all(struct scopes *s, struct str prefix, const struct scope_entry *list, size_t count)
{
    struct str id;
    void *e;

    (void)pthread_mutex_lock(&s->lock);
    for (size_t pos = 0; map_next(s->by_id, &pos, &id, &e);) {
        if (!str_starts(id, prefix))
            continue;
        remove_entry(s, ((struct placed_entry *)e)->said.id);
        pos = 0;    /* removing moves others */
    }
    for (size_t i = 0; i < count; i++)
        (void)set_entry(s, &list[i]);
    (void)atomic_fetch_add(&s->revision, 1);
    (void)pthread_mutex_unlock(&s->lock);
}

void
scopes_name(struct scopes *s, enum scope_kind kind, struct str id, struct str name)
{
    char room[KEY_BYTES];

    (void)pthread_mutex_lock(&s->lock);
    struct str key = kind_and_id(room, kind, id);
    if (key.n != 0)
        free(name.n != 0 ? map_put(s->names, key, str_dup_c(name)) : map_remove(s->names, key));
    (void)atomic_fetch_add(&s->revision, 1);
    (void)pthread_mutex_unlock(&s->lock);
}

unsigned
scopes_kinds(const struct scopes *s)
{
    return atomic_load_explicit(&s->kinds, memory_order_relaxed);
}

/* --- which entries hold for a scope; under the lock --- */

/* The entries that name the scope, and then those whose patterns match it. */
struct finding {
    const struct scopes *all;
    const struct scope *scope;
    struct str name;
    unsigned step;
    const struct placed_entry *at;
};

static const struct placed_entry *
named(const struct finding *f, struct str id)
{
    char room[KEY_BYTES];

    if (f->scope->kind == SCOPE_ALL)
        return map_get(f->all->exact, S("all"));
    return map_get(f->all->exact, kind_and_id(room, f->scope->kind, id));
}

/* The name that it was held by, or else what scopes_name() said. */
static struct finding
find_for(const struct scopes *s, const struct scope *sc)
{
    struct finding f = { .all = s, .scope = sc, .name = sc->name };
    char room[KEY_BYTES];
    const char *name = NULL;

    if (f.name.n == 0)
        name = map_get(s->names, kind_and_id(room, sc->kind, sc->id));
    if (name != NULL)
        f.name = str_c(name);
    return f;
}

static const struct placed_entry *
next_entry(struct finding *f)
{
    const struct scope *sc = f->scope;

    for (;;) {
        f->at = f->at != NULL ? f->at->next : NULL;
        while (f->at == NULL) {
            if (f->step == 3)
                return NULL;
            f->step++;
            f->at = f->step == 1 ? named(f, sc->id)
                    : f->step == 2 && sc->kind != SCOPE_ALL && !str_eq(sc->id, f->name)
                        ? named(f, f->name)
                    : f->step == 3 ? f->all->patterns
                                   : NULL;
        }
        if (f->step < 3 || (f->at->kind == sc->kind &&
                               (auth_glob(f->at->pattern, sc->id) ||
                                   (f->name.n != 0 && auth_glob(f->at->pattern, f->name)))))
            return f->at;
    }
}

static uint64_t
usual_burst(uint64_t limit, uint64_t window_ns)
{
    __extension__ typedef unsigned __int128 wide;

    return MAX((uint64_t)((wide)limit * BURST_S * NS_PER_S / window_ns), 1);
}

static void
set_rate(struct gcra *g, enum scope_rate rate, const struct placed_entry *e)
{
    uint64_t limit = e != NULL ? e->said.rates[rate] : 0;
    uint64_t burst = limit == 0 || e->said.burst == 0 ? usual_burst(limit, scope_window_ns[rate])
                     /* it counts requests */
                     : rate >= RATE_TOKENS ? usual_burst(limit, scope_window_ns[rate])
                                           : MIN(e->said.burst, limit);

    if (limit != atomic_load(&g->limit))
        atomic_store(&g->due_ns, 0);    /* what is owed was counted in another measure */
    atomic_store(&g->burst, burst);
    atomic_store(&g->limit, limit);
}

/* Gives the scope the budget of an entry, with what was spent of it if it had it before. */
static void
set_budget(struct scope *sc, unsigned place, const struct placed_entry *e)
{
    uint64_t id = map_hash(e->said.id);
    struct budget *found = NULL;
    unsigned at = 0;

    for (; at < SCOPE_BUDGETS && found == NULL; at++) {
        struct budget *b = atomic_load(&sc->budgets[at]);

        if (b == NULL)
            break;
        found = b->id == id ? b : NULL;
    }
    if (found == NULL && at == SCOPE_BUDGETS) {    /* one that no entry names any more */
        for (at = place; at < SCOPE_BUDGETS; at++)
            if (atomic_load(&atomic_load(&sc->budgets[at])->terms) == NULL)
                break;
        if (at == SCOPE_BUDGETS)
            return;
        found = atomic_load(&sc->budgets[at]);
        for (unsigned i = 0; i < ARRAY_LEN(found->cells); i++)
            atomic_store(&found->cells[i].began_ms, 0);
        atomic_store(&found->ends_ms, 0);
        free((char *)found->name.p);
        found->name = copy(e->said.id);
        found->id = id;
    } else if (found == NULL) {
        found = check_alloc(calloc(1, sizeof(*found)));
        found->name = copy(e->said.id);
        found->id = id;
        atomic_store(&sc->budgets[at], found);
    }
    const struct budget_terms *before = atomic_load(&found->terms);
    const struct budget_terms *now = budget_terms_keep(&e->said.budget);
    if (before != NULL && (before->period != now->period || before->zone != now->zone))
        atomic_store(&found->ends_ms, 0);    /* the period is looked at again */
    atomic_store(&found->terms, now);
}

/* A pattern's budget does not hold where the scope has one of its own for the same period. */
static bool
is_replaced(const struct scopes *s, const struct scope *sc, const struct placed_entry *e)
{
    struct finding f = find_for(s, sc);
    const struct placed_entry *other;

    if (e->exact)
        return false;
    while ((other = next_entry(&f)) != NULL && other->exact)
        if (has_budget(&other->said.budget) && other->said.budget.period == e->said.budget.period)
            return true;
    return false;
}

static void
resolve_budgets(const struct scopes *s, struct scope *sc, bool *limited)
{
    struct finding f = find_for(s, sc);
    const struct placed_entry *e;
    unsigned n = 0;

    for (unsigned i = 0; i < SCOPE_BUDGETS; i++) {    /* those that stay are set again */
        struct budget *b = atomic_load(&sc->budgets[i]);
        bool stays = false;

        while (b != NULL && !stays && (e = next_entry(&f)) != NULL)
            stays = has_budget(&e->said.budget) && map_hash(e->said.id) == b->id &&
                    !is_replaced(s, sc, e);
        if (b != NULL && !stays)
            atomic_store(&b->terms, NULL);
        f = find_for(s, sc);
    }
    while (n < SCOPE_BUDGETS && (e = next_entry(&f)) != NULL)
        if (has_budget(&e->said.budget) && !is_replaced(s, sc, e)) {
            set_budget(sc, 0, e);
            n++;
        }
    *limited = *limited || n != 0;
}

static void
resolve(struct scopes *s, struct scope *sc)
{
    const struct placed_entry *rates[SCOPE_RATES] = { NULL }, *e;
    uint64_t concurrent = 0, streams = 0;
    bool limited = false;
    struct finding f = find_for(s, sc);

    while ((e = next_entry(&f)) != NULL) {
        for (unsigned r = 0; r < SCOPE_RATES; r++)
            if (rates[r] == NULL && e->said.rates[r] != 0)
                rates[r] = e;
        concurrent = concurrent != 0 ? concurrent : e->said.concurrent;
        streams = streams != 0 ? streams : e->said.streams;
    }
    for (unsigned r = 0; r < SCOPE_RATES; r++) {
        set_rate(&sc->rates[r], r, rates[r]);
        limited = limited || rates[r] != NULL;
    }
    atomic_store(&sc->concurrent_most, (uint32_t)MIN(concurrent, UINT32_MAX));
    atomic_store(&sc->streams_most, (uint32_t)MIN(streams, UINT32_MAX));
    limited = limited || concurrent != 0 || streams != 0;
    resolve_budgets(s, sc, &limited);
    atomic_store(&sc->limited, limited);
    atomic_store_explicit(&sc->revision, atomic_load(&s->revision), memory_order_release);
}

/* --- the table --- */

static uint64_t
hash_of(enum scope_kind kind, struct str id)
{
    uint64_t h = hash_mix(map_hash(id) + kind, HASH_WORD);

    return h > BUSY ? h : h + 2;
}

static struct scope *
place_in(struct scope *segment, unsigned number, uint64_t hash, unsigned probe)
{
    size_t mask = ((size_t)FIRST_PLACES << number) - 1;

    return &segment[(hash + probe) & mask];
}

/* Holds the place of that hash; NULL: it has none. */
static struct scope *
find(struct scopes *s, uint64_t hash)
{
    struct scope *segment;

    for (unsigned n = 0; n < SEGMENTS; n++) {
        if ((segment = atomic_load_explicit(&s->segments[n], memory_order_acquire)) == NULL)
            break;
        for (unsigned i = 0; i < PROBES; i++) {
            struct scope *sc = place_in(segment, n, hash, i);

            if (atomic_load_explicit(&sc->hash, memory_order_relaxed) != hash)
                continue;
            (void)atomic_fetch_add(&sc->users, 1);
            if (LIKELY(atomic_load(&sc->hash) == hash))
                return sc;
            (void)atomic_fetch_sub(&sc->users, 1);
        }
    }
    return NULL;
}

/* Would a new one count the same? Under the lock. */
static bool
is_idle(struct scope *sc)
{
    uint64_t now_us = clock_now_us(), wall_ms = clock_wall_ms();
    uint64_t unused_s = now_us / 1000000 - atomic_load(&sc->used_s);
    bool forgotten = (sc->kind == SCOPE_SESSION || sc->kind == SCOPE_PURSE) && unused_s >= FORGET_S;

    if (atomic_load(&sc->users) != 0 || atomic_load(&sc->concurrent) != 0 ||
        atomic_load(&sc->streams) != 0)
        return false;
    for (unsigned r = 0; r < SCOPE_RATES; r++)
        if (atomic_load(&sc->rates[r].due_ns) > now_us * 1000)
            return false;
    for (unsigned i = 0; i < SCOPE_BUDGETS && !forgotten; i++) {
        struct budget *b = atomic_load(&sc->budgets[i]);

        if (b == NULL)
            break;
        struct budget_view v = budget_look(b, wall_ms);
        if (v.spent != 0 || v.reserved != 0)
            return false;
    }
    return true;
}

static void
clear(struct scope *sc)
{
    for (unsigned i = 0; i < SCOPE_BUDGETS; i++) {
        struct budget *b = atomic_load(&sc->budgets[i]);

        if (b != NULL)
            free((char *)b->name.p);
        free(b);
    }
    free((char *)sc->id.p);
    free((char *)sc->name.p);
    memset((char *)sc + offsetof(struct scope, revision), 0,
        sizeof(*sc) - offsetof(struct scope, revision));
}

/* Takes the place if it is free, or its scope says nothing any more. */
static bool
take_place(struct scope *sc)
{
    uint64_t hash = atomic_load(&sc->hash);

    if (hash == FREE)
        return true;
    if (atomic_load(&sc->users) != 0 || !is_idle(sc))
        return false;
    atomic_store(&sc->hash, BUSY);
    if (atomic_load(&sc->users) == 0 && is_idle(sc)) {
        clear(sc);
        return true;
    }
    atomic_store(&sc->hash, hash);
    return false;
}

/* A place for a new one, which is held; NULL: there is none left. Under the lock. */
static struct scope *
make_place(struct scopes *s, uint64_t hash, enum scope_kind kind)
{
    bool made_up =
        kind == SCOPE_TAG || kind == SCOPE_ADDRESS || kind == SCOPE_SESSION || kind == SCOPE_PURSE;

    for (unsigned n = 0; n < (made_up ? CALLERS_SEGMENTS : SEGMENTS); n++) {
        struct scope *segment = atomic_load(&s->segments[n]);

        if (segment == NULL) {
            segment = calloc((size_t)FIRST_PLACES << n, sizeof(*segment));
            if (segment == NULL)
                return NULL;
            atomic_store_explicit(&s->segments[n], segment, memory_order_release);
        }
        for (unsigned i = 0; i < PROBES; i++) {
            struct scope *sc = place_in(segment, n, hash, i);

            if (!take_place(sc))
                continue;
            (void)atomic_fetch_add(&sc->users, 1);
            return sc;
        }
    }
    return NULL;
}

COLD static struct scope *
insert(struct scopes *s, uint64_t hash, enum scope_kind kind, struct str id, struct str name)
{
    (void)pthread_mutex_lock(&s->lock);
    struct scope *sc = find(s, hash);    /* another thread may have been faster */
    if (sc == NULL && (sc = make_place(s, hash, kind)) != NULL) {
        sc->kind = kind;
        sc->id = copy(id);
        sc->name = copy(name);
        if (kind != SCOPE_PURSE)
            resolve(s, sc);
        atomic_store(&sc->hash, hash);
    }
    if (sc == NULL) {
        sc = &s->overflow[kind];
        sc->kind = kind;
        (void)atomic_fetch_add(&sc->users, 1);
        if (kind != SCOPE_PURSE)
            resolve(s, sc);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return sc;
}

COLD static void
refresh(struct scopes *s, struct scope *sc)
{
    (void)pthread_mutex_lock(&s->lock);
    if (atomic_load(&sc->revision) != atomic_load(&s->revision))
        resolve(s, sc);
    (void)pthread_mutex_unlock(&s->lock);
}

struct scope *
scope_hold(struct scopes *s, enum scope_kind kind, struct str id, struct str name)
{
    if ((scopes_kinds(s) & 1u << kind) == 0 || (id.n == 0 && kind != SCOPE_ALL))
        return NULL;
    uint64_t hash = hash_of(kind, id);
    struct scope *sc = find(s, hash);
    if (UNLIKELY(sc == NULL))
        sc = insert(s, hash, kind, id, name);
    else if (UNLIKELY(atomic_load_explicit(&sc->revision, memory_order_acquire) !=
                      atomic_load_explicit(&s->revision, memory_order_relaxed)))
        refresh(s, sc);
    if (atomic_load_explicit(&sc->limited, memory_order_relaxed))
        return sc;
    (void)atomic_fetch_sub(&sc->users, 1);
    return NULL;
}

struct scope *
scope_hold_purse(struct scopes *s, struct str id, int64_t nanousd)
{
    uint64_t hash = hash_of(SCOPE_PURSE, id);
    struct scope *sc = find(s, hash);

    if (sc == NULL)
        sc = insert(s, hash, SCOPE_PURSE, id, S(""));
    struct budget *b = atomic_load(&sc->budgets[0]);
    const struct budget_terms *t = b != NULL ? atomic_load(&b->terms) : NULL;
    if (LIKELY(t != NULL && t->nanousd == nanousd))
        return sc;
    (void)pthread_mutex_lock(&s->lock);
    b = atomic_load(&sc->budgets[0]);
    if (b == NULL)
        b = check_alloc(calloc(1, sizeof(*b)));
    const struct budget_terms terms = { .nanousd = nanousd, .period = BUDGET_TOTAL };
    atomic_store(&b->terms, budget_terms_keep(&terms));
    atomic_store(&sc->budgets[0], b);
    atomic_store(&sc->limited, true);
    (void)pthread_mutex_unlock(&s->lock);
    return sc;
}

void
scope_drop(struct scope *sc)
{
    if (sc == NULL)
        return;
    if (sc->kind == SCOPE_SESSION || sc->kind == SCOPE_PURSE)
        atomic_store_explicit(
            &sc->used_s, (uint32_t)(clock_now_us() / 1000000), memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&sc->users, 1, memory_order_release);
}

size_t
scopes_periods(struct scopes *s, uint64_t wall_ms, struct scope_period *list, size_t room)
{
    size_t n = 0;
    struct str id;
    void *value;

    (void)pthread_mutex_lock(&s->lock);
    for (size_t pos = 0; map_next(s->by_id, &pos, &id, &value);) {
        const struct placed_entry *e = value;
        size_t i = 0;

        if (!has_budget(&e->said.budget))
            continue;
        uint64_t begins_ms = budget_period_begins(&e->said.budget, wall_ms);
        while (i < n && (list[i].kind != e->kind || list[i].begins_ms != begins_ms))
            i++;
        if (i == n && n < room)
            list[n++] = (struct scope_period){ e->kind, begins_ms };
    }
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

void
scopes_raise(struct scopes *s, enum scope_kind kind, struct str id, struct str name,
    int64_t spent_nanousd, uint64_t begins_ms)
{
    struct scope *sc = scope_hold(s, kind, id, name);

    for (unsigned i = 0; sc != NULL && i < SCOPE_BUDGETS; i++) {
        struct budget *b = atomic_load(&sc->budgets[i]);

        if (b == NULL)
            break;
        budget_raise(b, spent_nanousd, begins_ms, clock_wall_ms());
    }
    scope_drop(sc);
}

static void
each_in(struct scopes *s, bool (*each)(void *arg, struct scope *scope), void *arg)
{
    for (unsigned n = 0; n < SEGMENTS; n++) {
        struct scope *segment = atomic_load(&s->segments[n]);

        for (size_t i = 0; segment != NULL && i < (size_t)FIRST_PLACES << n; i++)
            if (atomic_load(&segment[i].hash) > BUSY && !each(arg, &segment[i]))
                return;
    }
}

void
scopes_each(struct scopes *s, bool (*each)(void *arg, struct scope *scope), void *arg)
{
    (void)pthread_mutex_lock(&s->lock);
    each_in(s, each, arg);
    (void)pthread_mutex_unlock(&s->lock);
}

static bool
clear_one(void *arg UNUSED, struct scope *sc)
{
    clear(sc);    /* one whose holder was ended with its worker may count users still */
    return true;
}

void
scopes_destroy(struct scopes *s)
{
    struct str id;
    void *e;

    if (s == NULL)
        return;
    each_in(s, clear_one, NULL);
    for (unsigned k = 0; k < SCOPE_KINDS; k++)
        clear(&s->overflow[k]);
    for (unsigned n = 0; n < SEGMENTS; n++)
        free(atomic_load(&s->segments[n]));
    for (size_t pos = 0; map_next(s->by_id, &pos, &id, &e);)
        entry_free(e);
    map_destroy(s->by_id);
    map_destroy(s->exact);
    for (size_t pos = 0; map_next(s->names, &pos, &id, &e);)
        free(e);
    map_destroy(s->names);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- taking and giving --- */

static uint64_t
amount(const struct scope_need *need, unsigned rate)
{
    return rate >= RATE_TOKENS ? need->tokens : need->requests;
}

/* Gives back those of one scope, of the rates up to `end`. */
static void
give_rates(struct scope *sc, const struct scope_need *need, unsigned end)
{
    for (unsigned r = 0; r < end; r++)
        gcra_give(&sc->rates[r], scope_window_ns[r], amount(need, r));
}

static bool
count_in(_Atomic uint32_t *count, _Atomic uint32_t *most)
{
    uint32_t limit = atomic_load_explicit(most, memory_order_relaxed);
    uint32_t now = atomic_load_explicit(count, memory_order_relaxed);

    do {
        if (limit != 0 && now >= limit)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        count, &now, now + 1, memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void
leave(struct scope *sc, const struct scope_need *need)
{
    if (need->concurrent)
        (void)atomic_fetch_sub_explicit(&sc->concurrent, 1, memory_order_relaxed);
    if (need->stream)
        (void)atomic_fetch_sub_explicit(&sc->streams, 1, memory_order_relaxed);
}

static bool
enter(struct scope *sc, const struct scope_need *need, struct scope_refusal *ret)
{
    if (need->concurrent && !count_in(&sc->concurrent, &sc->concurrent_most)) {
        *ret = (struct scope_refusal){
            .scope = sc, .why = REFUSED_CONCURRENT, .limit = atomic_load(&sc->concurrent_most)
        };
        return false;
    }
    if (need->stream && !count_in(&sc->streams, &sc->streams_most)) {
        *ret = (struct scope_refusal){
            .scope = sc, .why = REFUSED_STREAMS, .limit = atomic_load(&sc->streams_most)
        };
        if (need->concurrent)
            (void)atomic_fetch_sub_explicit(&sc->concurrent, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

static bool
take_from(
    struct scope *sc, const struct scope_need *need, uint64_t now_ns, struct scope_refusal *ret)
{
    unsigned percent = need->background ? 50 : 100;

    if (!enter(sc, need, ret))
        return false;
    for (unsigned r = 0; r < SCOPE_RATES; r++) {
        uint64_t n = amount(need, r);
        uint64_t wait_ns =
            n != 0 ? gcra_take(&sc->rates[r], scope_window_ns[r], n, percent, now_ns) : 0;

        if (LIKELY(wait_ns == 0))
            continue;
        *ret = (struct scope_refusal){ .scope = sc,
            .why = REFUSED_RATE,
            .rate = r,
            .limit = atomic_load(&sc->rates[r].limit),
            .wait_ns = wait_ns };
        give_rates(sc, need, r);
        leave(sc, need);
        return false;
    }
    return true;
}

bool
scopes_take(struct scope *const *list, size_t count, const struct scope_need *need, uint64_t now_ns,
    struct scope_refusal *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == NULL || take_from(list[i], need, now_ns, ret))
            continue;
        scopes_give(list, i, need);
        return false;
    }
    return true;
}

void
scopes_give(struct scope *const *list, size_t count, const struct scope_need *need)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == NULL)
            continue;
        give_rates(list[i], need, SCOPE_RATES);
        leave(list[i], need);
    }
}

void
scopes_settle(struct scope *const *list, size_t count, const struct scope_need *need,
    uint64_t tokens, uint64_t now_ns)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == NULL)
            continue;
        for (unsigned r = RATE_TOKENS; r < SCOPE_RATES; r++) {
            struct gcra *g = &list[i]->rates[r];

            if (tokens <= need->tokens)
                gcra_give(g, scope_window_ns[r], need->tokens - tokens);
            else
                gcra_force(g, scope_window_ns[r], tokens - need->tokens, now_ns);
        }
        leave(list[i], need);
    }
}

bool
scopes_left(
    struct scope *const *list, size_t count, bool tokens, uint64_t now_ns, struct scope_left *ret)
{
    unsigned first = tokens ? RATE_TOKENS : 0;
    double least = 2;

    for (size_t i = 0; i < count; i++)
        for (unsigned r = first; list[i] != NULL && r < first + RATE_TOKENS; r++) {
            struct gcra *g = &list[i]->rates[r];
            uint64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed), reset_ns;

            if (limit == 0)
                continue;
            uint64_t left = gcra_left(g, scope_window_ns[r], now_ns, &reset_ns);
            double part = (double)left / (double)atomic_load(&g->burst);
            if (part >= least)
                continue;
            least = part;
            *ret = (struct scope_left){
                .scope = list[i], .rate = r, .limit = limit, .left = left, .reset_ns = reset_ns
            };
        }
    return least < 2;
}
