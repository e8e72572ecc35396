/* directory.c - records, the tables that find them, and when they may be freed.
 *
 * The tables use open addressing: an array of pointers to records, at most half full, in which a thread
 * that looks sees either the old or the new pointer. A table that is too full is replaced by a larger
 * one; only its pointers are copied.
 *
 * What was taken out of a table is freed once every reader that was looking at that moment has
 * stopped: readers note the epoch at which they began, and each publishing begins another one.
 */
#include "policy/directory.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"

#define LEAST_PLACES 1024u
#define LINE_BYTES 64

/* In a place: a pointer to a record, of which OLD says that it is there by its old digest; or one of these. */
#define FREE ((uintptr_t)0)
#define DROPPED ((uintptr_t)2)    /* something was here: go on looking */
#define OLD ((uintptr_t)1)

/* What many keys have in common: the texts of struct directory_terms, one after another. */
struct terms {
    uint32_t users;    /* records */
    uint32_t concurrent;
    uint8_t priority;
    uint32_t n;
    char text[];
};

struct old_secret {
    uint8_t digest[KEY_DIGEST_BYTES];
    uint64_t until_ms;
};

struct key_record {
    uint8_t digest[KEY_DIGEST_BYTES];
    struct old_secret *old;    /* NULL: none */
    struct terms *terms;
    uint64_t expires_ms;
    uint64_t stamp;
    uint8_t id_n, user_n;
    uint16_t name_n;
    char text[];    /* id, user, name */
};

struct owner_record {
    bool disabled;
    uint8_t id_n;
    uint32_t n;
    char text[];    /* id, then the texts of struct directory_owner */
};

struct places {
    size_t mask;    /* places - 1 */
    _Atomic(uintptr_t) at[];
};

/* A table, and what is in it. */
struct key_table {
    _Atomic(struct places *) places;
    size_t used;     /* places that are not FREE */
    size_t count;    /* of them those that are not DROPPED */
    uint64_t (*hash)(uintptr_t entry);
};

struct directory_reader {
    alignas(
        LINE_BYTES) _Atomic uint64_t epoch;    /* at which it began to look; 0: it is not looking */
    struct directory *directory;
};

struct retired {
    struct retired *next;
    uint64_t epoch;
    void *what;
};

struct directory {
    struct key_table digests;    /* of struct key_record */
    struct key_table ids;        /* the same; used by the writer alone */
    struct key_table owners;     /* of struct owner_record */
    struct key_table terms;      /* of struct terms; used by the writer alone */
    struct buf scratch;
    struct str pepper;
    uint64_t stamps;
    size_t bytes;
    struct retired *retired, **retired_tail;    /* oldest first */
    size_t retired_count;
    _Atomic uint64_t epoch;
    _Atomic uint64_t generation, owners_generation;
    _Atomic unsigned reader_count;
    struct directory_reader readers[DIRECTORY_READERS];
};

/* --- memory --- */

static void *
take(struct directory *d, size_t n)
{
    d->bytes += n;
    return check_alloc(malloc(n));
}

/* Frees it once no reader can be looking at it. */
static void
retire(struct directory *d, void *what, size_t n)
{
    struct retired *r = check_alloc(malloc(sizeof(*r)));

    d->bytes -= n;
    *r = (struct retired){ .epoch = UINT64_MAX, .what = what };
    *d->retired_tail = r;
    d->retired_tail = &r->next;
    d->retired_count++;
}

/* The epoch of the reader that has been looking for longest; UINT64_MAX: none is. */
static uint64_t
oldest_epoch(struct directory *d)
{
    unsigned count = atomic_load(&d->reader_count);
    uint64_t oldest = UINT64_MAX;

    for (unsigned i = 0; i < count; i++) {
        uint64_t epoch = atomic_load(&d->readers[i].epoch);

        if (epoch != 0)
            oldest = MIN(oldest, epoch);
    }
    return oldest;
}

/* Readers that begin from now on see none of what was retired so far. */
static void
reclaim(struct directory *d)
{
    uint64_t now = atomic_fetch_add(&d->epoch, 1) + 1;

    for (struct retired *r = d->retired; r != NULL; r = r->next)
        if (r->epoch == UINT64_MAX)
            r->epoch = now;
    uint64_t oldest = oldest_epoch(d);
    while (d->retired != NULL && d->retired->epoch <= oldest) {
        struct retired *r = d->retired;

        d->retired = r->next;
        free(r->what);
        free(r);
        d->retired_count--;
    }
    if (d->retired == NULL)
        d->retired_tail = &d->retired;
}

/* --- texts one after another, each with its length in front --- */

static void
add_text(struct buf *b, struct str s)
{
    uint32_t n = (uint32_t)s.n;

    buf_add(b, str_make((const char *)&n, sizeof(n)));
    buf_add(b, s);
}

static struct str
next_text(const char **p)
{
    uint32_t n;

    memcpy(&n, *p, sizeof(n));
    struct str s = str_make(*p + sizeof(n), n);
    *p += sizeof(n) + n;
    return s;
}

/* --- tables --- */

static struct key_record *
record_of(uintptr_t entry)
{
    return (struct key_record *)(entry & ~OLD);    /* NOLINT(performance-no-int-to-ptr) */
}

static struct owner_record *
owner_of(uintptr_t entry)
{
    return (struct owner_record *)entry;    /* NOLINT(performance-no-int-to-ptr) */
}

static struct terms *
terms_of(uintptr_t entry)
{
    return (struct terms *)entry;    /* NOLINT(performance-no-int-to-ptr) */
}

static const uint8_t *
digest_of(uintptr_t entry)
{
    const struct key_record *r = record_of(entry);

    return (entry & OLD) != 0 ? r->old->digest : r->digest;
}

/* A digest is as good as random. */
static uint64_t
hash_of_digest(const uint8_t *digest)
{
    uint64_t hash;

    memcpy(&hash, digest, sizeof(hash));
    return hash;
}

static uint64_t
hash_digest(uintptr_t entry)
{
    return hash_of_digest(digest_of(entry));
}

static struct str
id_of(uintptr_t entry)
{
    return str_make(record_of(entry)->text, record_of(entry)->id_n);
}

static uint64_t
hash_id(uintptr_t entry)
{
    return map_hash(id_of(entry));
}

static struct str
owner_id(uintptr_t entry)
{
    return str_make(owner_of(entry)->text, owner_of(entry)->id_n);
}

static uint64_t
hash_owner(uintptr_t entry)
{
    return map_hash(owner_id(entry));
}

static uint64_t
hash_of_terms(struct str text, uint64_t concurrent, unsigned priority)
{
    return map_hash(text) ^ (concurrent << 2 | priority);
}

static uint64_t
hash_terms(uintptr_t entry)
{
    const struct terms *t = terms_of(entry);

    return hash_of_terms(str_make(t->text, t->n), t->concurrent, t->priority);
}

static struct places *
make_places(struct directory *d, size_t count)
{
    size_t bytes = sizeof(struct places) + count * sizeof(_Atomic(uintptr_t));
    struct places *s = check_alloc(calloc(1, bytes));

    d->bytes += bytes;
    s->mask = count - 1;
    return s;
}

static size_t
places_bytes(const struct places *s)
{
    return sizeof(*s) + (s->mask + 1) * sizeof(_Atomic(uintptr_t));
}

static void
table_init(struct directory *d, struct key_table *t, uint64_t (*hash)(uintptr_t entry))
{
    t->hash = hash;
    atomic_store(&t->places, make_places(d, LEAST_PLACES));
}

static void
table_fini(struct key_table *t, void (*fini)(uintptr_t entry))
{
    struct places *s = atomic_load(&t->places);

    for (size_t i = 0; i <= s->mask && fini != NULL; i++) {
        uintptr_t entry = atomic_load(&s->at[i]);

        if (entry != FREE && entry != DROPPED && (entry & OLD) == 0)
            fini(entry);
    }
    free(s);
}

static void
put_into(struct places *s, uint64_t hash, uintptr_t entry)
{
    size_t i = hash & s->mask;

    while (atomic_load_explicit(&s->at[i], memory_order_relaxed) != FREE)
        i = (i + 1) & s->mask;
    atomic_store_explicit(&s->at[i], entry, memory_order_release);
}

/* A larger one, or one of the same size without what was dropped. */
static void
rebuild(struct directory *d, struct key_table *t)
{
    struct places *from = atomic_load(&t->places);
    size_t count = from->mask + 1;
    struct places *to = make_places(d, t->count * 4 >= count ? count * 2 : count);

    for (size_t i = 0; i < count; i++) {
        uintptr_t entry = atomic_load_explicit(&from->at[i], memory_order_relaxed);

        if (entry != FREE && entry != DROPPED)
            put_into(to, t->hash(entry), entry);
    }
    t->used = t->count;
    atomic_store_explicit(&t->places, to, memory_order_release);
    retire(d, from, places_bytes(from));
}

static void
table_add(struct directory *d, struct key_table *t, uintptr_t entry)
{
    struct places *s = atomic_load(&t->places);

    if ((t->used + 1) * 2 > s->mask + 1) {
        rebuild(d, t);
        s = atomic_load(&t->places);
    }
    put_into(s, t->hash(entry), entry);
    t->used++;
    t->count++;
}

/* Puts `now` in the place of `entry`; FREE: nothing. */
static void
table_replace(struct key_table *t, uintptr_t entry, uintptr_t now)
{
    struct places *s = atomic_load(&t->places);
    size_t i = t->hash(entry) & s->mask;

    while (atomic_load_explicit(&s->at[i], memory_order_relaxed) != entry)
        i = (i + 1) & s->mask;
    atomic_store_explicit(&s->at[i], now != FREE ? now : DROPPED, memory_order_release);
    if (now == FREE)
        t->count--;
}

/* Entries with another hash are passed over in a few steps, so that it costs the same however many there are on the
 * way; which tells nothing, as nobody can choose a digest. */
static uintptr_t
find_digest(const struct key_table *t, const uint8_t *digest)
{
    const struct places *s = atomic_load_explicit(&t->places, memory_order_acquire);
    const struct str wanted = str_make((const char *)digest, KEY_DIGEST_BYTES);
    const uint64_t hash = hash_of_digest(digest);
    uintptr_t entry;

    for (size_t i = hash & s->mask;; i = (i + 1) & s->mask) {
        entry = atomic_load_explicit(&s->at[i], memory_order_acquire);
        if (entry == FREE)
            return FREE;
        if (entry != DROPPED && hash_digest(entry) == hash &&
            str_eq_secret(str_make((const char *)digest_of(entry), KEY_DIGEST_BYTES), wanted))
            return entry;
    }
}

/* The entry of `t` whose id (as `id` has it) is that. */
static uintptr_t
find_id(const struct key_table *t, struct str wanted, struct str (*id)(uintptr_t entry))
{
    const struct places *s = atomic_load_explicit(&t->places, memory_order_acquire);
    uintptr_t entry;

    for (size_t i = map_hash(wanted) & s->mask;; i = (i + 1) & s->mask) {
        entry = atomic_load_explicit(&s->at[i], memory_order_acquire);
        if (entry == FREE || (entry != DROPPED && str_eq(id(entry), wanted)))
            return entry;
    }
}

/* --- terms --- */

static void
write_terms(struct buf *b, const struct directory_terms *t)
{
    const struct str texts[] = { t->org, t->team, t->project, t->service_account, t->environment,
        t->models, t->providers, t->endpoints, t->routes, t->addresses, t->origins, t->tags,
        t->role };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        add_text(b, texts[i]);
}

static void
read_terms(const struct terms *from, struct directory_terms *ret)
{
    struct str *const texts[] = { &ret->org, &ret->team, &ret->project, &ret->service_account,
        &ret->environment, &ret->models, &ret->providers, &ret->endpoints, &ret->routes,
        &ret->addresses, &ret->origins, &ret->tags, &ret->role };
    const char *p = from->text;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = next_text(&p);
    ret->concurrent = from->concurrent;
    ret->priority = (enum priority)from->priority;
}

/* Those that are equal to `t`, with one more user; made if there are none. */
static struct terms *
hold_terms(struct directory *d, const struct directory_terms *t)
{
    uint32_t concurrent = (uint32_t)MIN(t->concurrent, UINT32_MAX);
    struct places *s = atomic_load(&d->terms.places);
    struct terms *found;
    uintptr_t entry;

    buf_reset(&d->scratch, SIZE_MAX);
    write_terms(&d->scratch, t);
    struct str text = buf_str(&d->scratch);
    for (size_t i = hash_of_terms(text, concurrent, t->priority) & s->mask;;
         i = (i + 1) & s->mask) {
        entry = atomic_load_explicit(&s->at[i], memory_order_relaxed);
        if (entry == FREE)
            break;
        found = terms_of(entry);
        if (entry != DROPPED && found->concurrent == concurrent && found->priority == t->priority &&
            str_eq(str_make(found->text, found->n), text)) {
            found->users++;
            return found;
        }
    }
    found = take(d, sizeof(*found) + text.n);
    found->users = 1;
    found->concurrent = concurrent;
    found->priority = (uint8_t)t->priority;
    found->n = (uint32_t)text.n;
    memcpy(found->text, text.p, text.n);
    table_add(d, &d->terms, (uintptr_t)found);
    return found;
}

static void
drop_terms(struct directory *d, struct terms *t)
{
    if (--t->users != 0)
        return;
    table_replace(&d->terms, (uintptr_t)t, FREE);
    retire(d, t, sizeof(*t) + t->n);
}

/* --- changes --- */

static struct key_record *
make_record(struct directory *d, const struct directory_key *k)
{
    size_t id_n = MIN(k->id.n, UINT8_MAX), user_n = MIN(k->user.n, UINT8_MAX);
    size_t name_n = MIN(k->name.n, UINT16_MAX);
    struct key_record *r = take(d, sizeof(*r) + id_n + user_n + name_n);
    struct str texts[] = { { k->id.p, id_n }, { k->user.p, user_n }, { k->name.p, name_n } };
    char *p = r->text;

    memcpy(r->digest, k->digest, sizeof(r->digest));
    r->old = NULL;
    if (k->old_digest != NULL) {
        r->old = take(d, sizeof(*r->old));
        memcpy(r->old->digest, k->old_digest, sizeof(r->old->digest));
        r->old->until_ms = k->old_until_ms;
    }
    r->terms = hold_terms(d, &k->terms);
    r->expires_ms = k->expires_ms;
    r->stamp = ++d->stamps;
    r->id_n = (uint8_t)id_n;
    r->user_n = (uint8_t)user_n;
    r->name_n = (uint16_t)name_n;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].n != 0)
            memcpy(p, texts[i].p, texts[i].n);
        p += texts[i].n;
    }
    return r;
}

/* It is in no table any more. */
static void
retire_record(struct directory *d, struct key_record *r)
{
    drop_terms(d, r->terms);
    if (r->old != NULL)
        retire(d, r->old, sizeof(*r->old));
    retire(d, r, sizeof(*r) + r->id_n + r->user_n + r->name_n);
}

/* Is it another key's, so that it must not be this one's? */
static bool
is_taken(struct directory *d, const uint8_t *digest, struct str id)
{
    uintptr_t entry = digest != NULL ? find_digest(&d->digests, digest) : FREE;

    return entry != FREE && !str_eq(id_of(entry), id);
}

bool
directory_put_key(struct directory *d, const struct directory_key *k)
{
    uintptr_t was = find_id(&d->ids, k->id, id_of);

    if (is_taken(d, k->digest, k->id) || is_taken(d, k->old_digest, k->id))
        return false;
    struct key_record *now = make_record(d, k), *before = record_of(was);
    uintptr_t entry = (uintptr_t)now;

    if (was == FREE) {
        table_add(d, &d->digests, entry);
        table_add(d, &d->ids, entry);
    } else {
        bool same = memcmp(before->digest, now->digest, sizeof(now->digest)) == 0;

        /* the new ones first, so that a key that stays is found at every moment */
        if (same)
            table_replace(&d->digests, was, entry);
        else
            table_add(d, &d->digests, entry);
        if (now->old != NULL)
            table_add(d, &d->digests, entry | OLD);
        if (!same)
            table_replace(&d->digests, was, FREE);
        if (before->old != NULL)
            table_replace(&d->digests, was | OLD, FREE);
        table_replace(&d->ids, was, entry);
        retire_record(d, before);
        return true;
    }
    if (now->old != NULL)
        table_add(d, &d->digests, entry | OLD);
    return true;
}

void
directory_drop_key(struct directory *d, struct str id)
{
    uintptr_t was = find_id(&d->ids, id, id_of);

    if (was == FREE)
        return;
    struct key_record *r = record_of(was);
    table_replace(&d->digests, was, FREE);
    if (r->old != NULL)
        table_replace(&d->digests, was | OLD, FREE);
    table_replace(&d->ids, was, FREE);
    retire_record(d, r);
}

void
directory_put_owner(struct directory *d, const struct directory_owner *o)
{
    const struct str texts[] = { o->name, o->org, o->team, o->project, o->models, o->tags };
    struct buf *b = &d->scratch;
    uintptr_t was = find_id(&d->owners, o->id, owner_id);

    CHECK(o->id.n <= UINT8_MAX);
    buf_reset(b, SIZE_MAX);
    buf_add(b, o->id);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        add_text(b, texts[i]);
    struct owner_record *now = take(d, sizeof(*now) + buf_len(b));
    now->disabled = o->disabled;
    now->id_n = (uint8_t)o->id.n;
    now->n = (uint32_t)buf_len(b);
    memcpy(now->text, buf_str(b).p, now->n);
    if (was == FREE) {
        table_add(d, &d->owners, (uintptr_t)now);
    } else {
        table_replace(&d->owners, was, (uintptr_t)now);
        retire(d, owner_of(was), sizeof(struct owner_record) + owner_of(was)->n);
    }
    (void)atomic_fetch_add(&d->owners_generation, 1);
}

void
directory_drop_owner(struct directory *d, struct str id)
{
    uintptr_t was = find_id(&d->owners, id, owner_id);

    if (was == FREE)
        return;
    table_replace(&d->owners, was, FREE);
    retire(d, owner_of(was), sizeof(struct owner_record) + owner_of(was)->n);
    (void)atomic_fetch_add(&d->owners_generation, 1);
}

void
directory_publish(struct directory *d)
{
    (void)atomic_fetch_add(&d->generation, 1);
    reclaim(d);
}

/* --- looking --- */

struct directory_reader *
directory_reader(struct directory *d)
{
    unsigned i = atomic_fetch_add(&d->reader_count, 1);

    CHECK(i < DIRECTORY_READERS);
    return &d->readers[i];
}

uint64_t
directory_generation(const struct directory *d)
{
    return atomic_load_explicit(&d->generation, memory_order_acquire);
}

uint64_t
directory_owners_generation(const struct directory *d)
{
    return atomic_load_explicit(&d->owners_generation, memory_order_acquire);
}

void
directory_enter(struct directory_reader *r)
{
    /* both in the one order that all threads agree on: either the writer sees this, or this thread
     * sees what the writer did before it looked */
    atomic_store(&r->epoch, atomic_load(&r->directory->epoch));
    atomic_thread_fence(memory_order_seq_cst);
}

void
directory_leave(struct directory_reader *r)
{
    atomic_store_explicit(&r->epoch, 0, memory_order_release);
}

bool
directory_find(struct directory_reader *r, const uint8_t digest[KEY_DIGEST_BYTES],
    struct directory_key *ret, uint64_t *ret_stamp)
{
    uintptr_t entry = find_digest(&r->directory->digests, digest);

    if (entry == FREE)
        return false;
    const struct key_record *rec = record_of(entry);
    const char *p = rec->text;
    *ret = (struct directory_key){ .id = str_make(p, rec->id_n),
        .user = str_make(p + rec->id_n, rec->user_n),
        .name = str_make(p + rec->id_n + rec->user_n, rec->name_n),
        .expires_ms = rec->expires_ms };
    if ((entry & OLD) != 0 && (ret->expires_ms == 0 || rec->old->until_ms < ret->expires_ms))
        ret->expires_ms = rec->old->until_ms;
    read_terms(rec->terms, &ret->terms);
    *ret_stamp = rec->stamp;
    return true;
}

bool
directory_find_owner(struct directory_reader *r, struct str id, struct directory_owner *ret)
{
    uintptr_t entry = id.n != 0 ? find_id(&r->directory->owners, id, owner_id) : FREE;
    struct str *const texts[] = { &ret->name, &ret->org, &ret->team, &ret->project, &ret->models,
        &ret->tags };

    if (entry == FREE)
        return false;
    const struct owner_record *o = owner_of(entry);
    const char *p = o->text + o->id_n;
    ret->id = str_make(o->text, o->id_n);
    ret->disabled = o->disabled;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = next_text(&p);
    return true;
}

/* --- its life --- */

void
directory_set_pepper(struct directory *d, struct str pepper)
{
    d->pepper = pepper;
}

struct str
directory_pepper(const struct directory *d)
{
    return d->pepper;
}

struct directory *
directory_create(void)
{
    struct directory *d = check_alloc(aligned_alloc(LINE_BYTES, sizeof(*d)));

    memset(d, 0, sizeof(*d));
    buf_init(&d->scratch, SIZE_MAX);
    atomic_store(&d->epoch, 1);
    atomic_store(&d->generation, 1);
    atomic_store(&d->owners_generation, 1);
    d->retired_tail = &d->retired;
    table_init(d, &d->digests, hash_digest);
    table_init(d, &d->ids, hash_id);
    table_init(d, &d->owners, hash_owner);
    table_init(d, &d->terms, hash_terms);
    for (unsigned i = 0; i < DIRECTORY_READERS; i++)
        d->readers[i].directory = d;
    return d;
}

static void
free_record(uintptr_t entry)
{
    free(record_of(entry)->old);
    free(record_of(entry));
}

static void
free_owner(uintptr_t entry)
{
    free(owner_of(entry));
}

static void
free_terms(uintptr_t entry)
{
    free(terms_of(entry));
}

void
directory_destroy(struct directory *d)
{
    if (d == NULL)
        return;
    CHECK(oldest_epoch(d) == UINT64_MAX);
    reclaim(d);
    table_fini(&d->digests, NULL);
    table_fini(&d->ids, free_record);
    table_fini(&d->owners, free_owner);
    table_fini(&d->terms, free_terms);
    buf_fini(&d->scratch);
    free(d);
}

struct directory_size
directory_size(const struct directory *d)
{
    return (struct directory_size){ .keys = d->ids.count,
        .owners = d->owners.count,
        .terms = d->terms.count,
        .bytes = d->bytes,
        .retired = d->retired_count };
}
