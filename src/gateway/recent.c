/* recent.c - entries lie one after the other in a ring of bytes, and are chained by the hashes of their
 * ids, newest first.
 *
 * Positions count all bytes that were ever used, so that one that is older than the ring's oldest
 * entry is seen to be gone: chains need no repair when entries are overwritten.
 */
#include "gateway/recent.h"

#include <stdlib.h>

#include "base/map.h"

#define LEAST_BYTES (64u * 1024)
#define BYTES_PER_CHAIN 512u    /* about half of an entry */
#define NOWHERE 0u              /* no entry has this position */
#define ALIGNED(n) (((n) + 7) & ~(size_t)7)

enum kind { KIND_REQUEST, KIND_FEEDBACK, KIND_GAP };

struct kept {
    uint64_t hashes[2];    /* of its id; of its answer's: 0: none */
    uint64_t before[2];    /* the next older one of each chain */
    uint64_t feedback;     /* where that is; NOWHERE: nothing was said */
    double score;
    uint32_t bytes;    /* all of it */
    uint32_t line_n;
    uint16_t id_n, key_n;
    enum kind kind;
    char text[];    /* id, hash of the key, line */
};

struct recent {
    char *bytes;
    size_t size;
    uint64_t oldest, next;    /* positions; equal: it is empty */
    size_t chains;            /* a power of two */
    uint64_t *newest;         /* of each chain */
};

struct recent *
recent_create(size_t bytes)
{
    struct recent *r;

    if (bytes < LEAST_BYTES)
        return NULL;
    r = check_alloc(calloc(1, sizeof(*r)));
    r->size = bytes / 8 * 8;
    r->bytes = check_alloc(calloc(1, r->size));    /* pages that are not used yet take no memory */
    r->oldest = r->next = r->size;                 /* not NOWHERE */
    r->chains = 64;
    while (r->chains < r->size / BYTES_PER_CHAIN)
        r->chains *= 2;
    r->newest = check_alloc(calloc(r->chains, sizeof(*r->newest)));
    return r;
}

void
recent_destroy(struct recent *r)
{
    if (r == NULL)
        return;
    free(r->bytes);
    free(r->newest);
    free(r);
}

uint64_t
recent_answer(struct str id)
{
    uint64_t hash = map_hash(id);

    return hash != 0 ? hash : 1;
}

static struct kept *
entry_at(const struct recent *r, uint64_t at)
{
    return (struct kept *)(void *)(r->bytes + at % r->size);
}

/* Room for an entry, at *ret_at: what is oldest goes. */
static struct kept *
make_room(struct recent *r, size_t bytes, uint64_t *ret_at)
{
    size_t offset = r->next % r->size, left = r->size - offset;
    size_t gap = left < bytes ? left : 0;    /* an entry is in one piece */

    while (r->next + gap + bytes > r->oldest + r->size) {
        const struct kept *e = entry_at(r, r->oldest);
        size_t rest = r->size - r->oldest % r->size;

        /* a gap that is too small for the head of an entry has none */
        r->oldest += rest < sizeof(*e) ? rest : e->bytes;
    }
    if (gap >= sizeof(struct kept))
        *entry_at(r, r->next) = (struct kept){ .bytes = (uint32_t)gap, .kind = KIND_GAP };
    *ret_at = r->next + gap;
    r->next += gap + bytes;
    return entry_at(r, *ret_at);
}

static struct kept *
put(struct recent *r, enum kind kind, struct str id, struct str key_hash, struct str line,
    uint64_t *ret_at)
{
    size_t bytes = ALIGNED(sizeof(struct kept) + id.n + key_hash.n + line.n);

    if (bytes > r->size / 8 || id.n > UINT16_MAX || key_hash.n > UINT16_MAX)
        return NULL;
    struct kept *e = make_room(r, bytes, ret_at);
    *e = (struct kept){ .bytes = (uint32_t)bytes,
        .line_n = (uint32_t)line.n,
        .id_n = (uint16_t)id.n,
        .key_n = (uint16_t)key_hash.n,
        .kind = kind };
    char *p = e->text;
    const struct str parts[] = { id, key_hash, line };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].n != 0)
            memcpy(p, parts[i].p, parts[i].n);
        p += parts[i].n;
    }
    return e;
}

void
recent_add(struct recent *r, struct str id, uint64_t answer, struct str key_hash, struct str line)
{
    struct kept *e;
    uint64_t at;

    if (r == NULL || (e = put(r, KIND_REQUEST, id, key_hash, line, &at)) == NULL)
        return;
    e->hashes[0] = recent_answer(id);
    e->hashes[1] = answer;
    for (size_t i = 0; i < 2; i++) {
        uint64_t *newest = &r->newest[e->hashes[i] & (r->chains - 1)];

        if (e->hashes[i] == 0)
            continue;
        e->before[i] = *newest == at ? e->before[0] : *newest;    /* both may be in one chain */
        *newest = at;
    }
}

/* The next older entry of a chain. */
static uint64_t
older(const struct recent *r, const struct kept *e, size_t chain)
{
    for (size_t i = 0; i < 2; i++)
        if (e->hashes[i] != 0 && (e->hashes[i] & (r->chains - 1)) == chain)
            return e->before[i];
    return NOWHERE;
}

static struct kept *
find(const struct recent *r, struct str id, const struct str *key_hash)
{
    uint64_t hash = recent_answer(id), at;
    size_t chain = hash & (r->chains - 1);
    struct kept *e;

    for (at = r->newest[chain]; at >= r->oldest && at < r->next; at = older(r, e, chain)) {
        e = entry_at(r, at);
        struct str own = str_make(e->text, e->id_n);
        struct str key = str_make(e->text + e->id_n, e->key_n);

        if ((e->hashes[1] == hash || (e->hashes[0] == hash && str_eq(own, id))) &&
            (key_hash == NULL || str_eq(key, *key_hash)))
            return e;
    }
    return NULL;
}

/* An answer's id that the gateway made is a prefix and the request's: "chatcmpl-ID", "msg_ID". */
static struct kept *
find_any(const struct recent *r, struct str id, const struct str *key_hash)
{
    struct kept *e = r != NULL ? find(r, id, key_hash) : NULL;
    size_t cut = 0;

    while (cut < id.n && str_is_letter(id.p[cut]))
        cut++;
    if (r == NULL || e != NULL || cut == 0 || cut == id.n || (id.p[cut] != '-' && id.p[cut] != '_'))
        return e;
    return find(r, str_skip(id, cut + 1), key_hash);
}

static struct str
line_of(const struct kept *e)
{
    return str_make(e->text + e->id_n + e->key_n, e->line_n);
}

bool
recent_find(
    const struct recent *r, struct str id, const struct str *key_hash, struct recent_entry *ret)
{
    const struct kept *e = find_any(r, id, key_hash);

    if (e == NULL)
        return false;
    *ret = (struct recent_entry){
        .line = line_of(e), .key_hash = str_make(e->text + e->id_n, e->key_n), .score = e->score
    };
    if (e->feedback >= r->oldest)
        ret->feedback = line_of(entry_at(r, e->feedback));
    return true;
}

bool
recent_say(
    struct recent *r, struct str id, const struct str *key_hash, double score, struct str feedback)
{
    uint64_t at = NOWHERE;

    if (find_any(r, id, key_hash) == NULL)
        return false;
    (void)put(r, KIND_FEEDBACK, S(""), S(""), feedback, &at);
    struct kept *e = find_any(r, id, key_hash);    /* its room may have been needed */
    if (e == NULL)
        return false;
    e->score = score;
    e->feedback = at;
    return true;
}
