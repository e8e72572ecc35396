/* audit.c - entries of the audit record, their chain, and its signatures. */
#include "store/audit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json_out.h"
#include "sign/ed25519.h"

#define HEX_BYTES (2 * DIGEST_SHA256_BYTES)
#define ENTRY_BYTES (1024u * 1024)
#define START "0000000000000000000000000000000000000000000000000000000000000000"

struct auditor {
    struct ed25519 *key;
    char public_hex[2 * ED25519_KEY_BYTES + 1];
};

struct auditor *
auditor_create(struct str folder, struct why why)
{
    uint8_t public_key[ED25519_KEY_BYTES];
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), STR_FMT "/audit.key", STR_ARG(folder));
    struct ed25519 *key = ed25519_open(path, why);
    if (key == NULL)
        return NULL;
    struct auditor *a = check_alloc(calloc(1, sizeof(*a)));

    a->key = key;
    ed25519_public(key, public_key);
    digest_hex(public_key, sizeof(public_key), a->public_hex);
    return a;
}

void
auditor_destroy(struct auditor *a)
{
    if (a == NULL)
        return;
    ed25519_close(a->key);
    free(a);
}

struct str
auditor_key(const struct auditor *a)
{
    return str_c(a->public_hex);
}

/* --- entries --- */

struct audit_entry {
    int64_t seq;
    struct audit_event e;
    struct str prev, hash;    /* in hexadecimal */
};

/* All but the hashes, as it is hashed: members in alphabetical order. */
static void
write_event(struct json_out *o, const struct audit_entry *n)
{
    out_text(o, "action", n->e.action);
    out_text(o, "actor", n->e.actor);
    out_text(o, "after", n->e.after);
    out_i64(o, "at", n->e.at_ms);
    out_text(o, "before", n->e.before);
    out_text(o, "object", n->e.object);
    out_text(o, "outcome", n->e.outcome);
    out_text(o, "request_id", n->e.request_id);
    out_i64(o, "seq", n->seq);
}

static void
hash_entry(const struct audit_entry *n, char out[HEX_BYTES + 1])
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    struct buf text;

    buf_init(&text, ENTRY_BYTES * 8);
    struct json_out o = json_out(&text);
    out_object(&o);
    write_event(&o, n);
    out_end(&o);
    const struct str pieces[] = { n->prev, buf_str(&text) };
    digest_sha256_pieces(pieces, ARRAY_LEN(pieces), digest);
    digest_hex(digest, sizeof(digest), out);
    buf_fini(&text);
}

/* "NUMBER:HASH", which is what is signed. */
static struct str
checkpoint_text(char *room, size_t size, int64_t seq, struct str hash)
{
    int n = snprintf(room, size, "%lld:" STR_FMT, (long long)seq, STR_ARG(hash));

    CHECK(n > 0 && (size_t)n < size);
    return str_make(room, (size_t)n);
}

struct audit_head {
    int64_t seq;
    char hash[HEX_BYTES + 1];
};

static void
on_head(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct audit_head *h = ctx;

    h->seq = row[0].i;
    str_copy_c(h->hash, sizeof(h->hash), row[1].s);
}

static enum store_result
sign(struct store *s, const struct auditor *a, int64_t seq, struct str hash, int64_t at_ms)
{
    uint8_t signature[ED25519_SIGNATURE_BYTES];
    char hex[2 * ED25519_SIGNATURE_BYTES + 1], text[HEX_BYTES + 32];

    ed25519_sign(a->key, checkpoint_text(text, sizeof(text), seq, hash), signature);
    digest_hex(signature, sizeof(signature), hex);
    const struct store_value head[] = { store_text(hash), store_text(str_c(a->public_hex)),
        store_text(str_c(hex)) };
    enum store_result r = store_run(s,
        "UPDATE audit_head SET hash = ?1, public_key = ?2, signature = ?3 WHERE one = 1", head,
        ARRAY_LEN(head), NULL, NULL);

    if (r != STORE_OK || seq % AUDIT_CHECKPOINT != 0)
        return r;
    const struct store_value args[] = { store_i64(seq), store_text(hash), store_i64(at_ms),
        store_text(str_c(a->public_hex)), store_text(str_c(hex)) };
    return store_run(s,
        "INSERT INTO audit_checkpoints (seq, hash, at_ms, public_key, signature) "
        "VALUES (?1, ?2, ?3, ?4, ?5)",
        args, ARRAY_LEN(args), NULL, NULL);
}

enum store_result
audit_append(struct store *s, const struct auditor *a, const struct audit_event *e)
{
    struct audit_head head = { 0, "" };
    char hash[HEX_BYTES + 1];
    /* other replicas wait here until this transaction ends */
    enum store_result r =
        store_run(s, "UPDATE audit_head SET seq = seq + 1 WHERE one = 1 RETURNING seq, hash", NULL,
            0, on_head, &head);

    if (r != STORE_OK)
        return r;
    struct audit_entry n = { .seq = head.seq, .e = *e, .prev = str_c(head.hash) };
    hash_entry(&n, hash);
    const struct store_value args[] = { store_i64(n.seq), store_i64(e->at_ms), store_text(e->actor),
        store_text(e->action), store_text(e->object), store_text(e->outcome),
        store_text(e->request_id), store_text(e->before), store_text(e->after), store_text(n.prev),
        store_text(str_c(hash)) };
    r = store_run(s,
        "INSERT INTO audit (seq, at_ms, actor, action, object, outcome, request_id, before_state, "
        "after_state, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        args, ARRAY_LEN(args), NULL, NULL);
    return r == STORE_OK ? sign(s, a, n.seq, str_c(hash), e->at_ms) : r;
}

/* In the order of COLUMNS. */
#define COLUMNS                                                                                    \
    "seq, at_ms, actor, action, object, outcome, request_id, before_state, after_state, prev, hash"
static struct audit_entry
read_entry(const struct store_value *row)
{
    return (struct audit_entry){ .seq = row[0].i,
        .e = { .at_ms = row[1].i,
            .actor = row[2].s,
            .action = row[3].s,
            .object = row[4].s,
            .outcome = row[5].s,
            .request_id = row[6].s,
            .before = row[7].s,
            .after = row[8].s },
        .prev = row[9].s,
        .hash = row[10].s };
}

/* --- verifying --- */

struct audit_check {
    struct audit_report *ret;
    struct str trusted;
    int64_t seq;    /* of the last entry that was seen */
    char hash[HEX_BYTES + 1];
    int64_t noted_seq;
    struct str noted_hash;
    /* hashes of checkpoints, to be compared with those of entries: by number */
    struct arena *arena;
    struct signed_hash {
        int64_t seq;
        char hash[HEX_BYTES + 1];
    } * signed_hashes;
    size_t signed_count, signed_room, next_signed;
};

static void
bad(struct audit_check *c, int64_t seq, const char *what)
{
    if (c->ret->first_bad != 0 && c->ret->first_bad <= seq)
        return;
    c->ret->first_bad = seq;
    str_copy_c(c->ret->why, sizeof(c->ret->why), str_c(what));
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
from_hex(struct str hex, uint8_t *out, size_t n)
{
    if (hex.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool
is_signed(struct audit_check *c, int64_t seq, struct str hash, struct str key, struct str signature)
{
    uint8_t public_key[ED25519_KEY_BYTES], sig[ED25519_SIGNATURE_BYTES];
    char text[HEX_BYTES + 32];

    if (hash.n != HEX_BYTES || (c->trusted.n != 0 && !str_eq(key, c->trusted)) ||
        !from_hex(key, public_key, sizeof(public_key)) || !from_hex(signature, sig, sizeof(sig)))
        return false;
    if (!str_eq(key, str_c(c->ret->key))) {
        c->ret->keys++;
        str_copy_c(c->ret->key, sizeof(c->ret->key), key);
    }
    return ed25519_verify(public_key, checkpoint_text(text, sizeof(text), seq, hash), sig);
}

static void
on_checkpoint(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct audit_check *c = ctx;

    c->ret->checkpoints++;
    if (!is_signed(c, row[0].i, row[1].s, row[2].s, row[3].s))
        bad(c, row[0].i, "its checkpoint has no good signature");
    if (c->signed_count == c->signed_room) {
        c->signed_room = c->signed_room * 2 + 64;
        c->signed_hashes =
            check_alloc(realloc(c->signed_hashes, c->signed_room * sizeof(*c->signed_hashes)));
    }
    struct signed_hash *h = &c->signed_hashes[c->signed_count++];

    h->seq = row[0].i;
    str_copy_c(h->hash, sizeof(h->hash), row[1].s);
}

static void
on_entry(void *ctx, const struct store_value *row, size_t count UNUSED)
{
    struct audit_check *c = ctx;
    struct audit_entry n = read_entry(row);
    char hash[HEX_BYTES + 1];

    if (n.seq != c->seq + 1)
        bad(c, c->seq + 1, "it is missing");
    else if (!str_eq(n.prev, str_c(c->hash)))
        bad(c, n.seq, "it does not follow the entry before it");
    hash_entry(&n, hash);
    if (!str_eq(n.hash, str_c(hash)))
        bad(c, n.seq, "it was changed: its hash is another one");
    while (c->next_signed < c->signed_count && c->signed_hashes[c->next_signed].seq < n.seq)
        c->next_signed++;
    if (c->next_signed < c->signed_count && c->signed_hashes[c->next_signed].seq == n.seq &&
        !str_eq(n.hash, str_c(c->signed_hashes[c->next_signed].hash)))
        bad(c, n.seq, "its hash is not the one that was signed");
    if (n.seq == c->noted_seq && !str_eq(n.hash, c->noted_hash))
        bad(c, n.seq, "its hash is not the one that was noted");
    if (n.seq % AUDIT_CHECKPOINT == 0 &&
        (c->next_signed >= c->signed_count || c->signed_hashes[c->next_signed].seq != n.seq))
        bad(c, n.seq, "its checkpoint is missing");
    c->seq = n.seq;
    str_copy_c(c->hash, sizeof(c->hash), n.hash);
    c->ret->entries++;
}

static void
on_last(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct audit_check *c = ctx;
    struct str hash = row[1].s;

    if (row[0].i > c->seq)
        bad(c, c->seq + 1, "it is missing, with all that followed it");
    else if (row[0].i < c->seq)
        bad(c, row[0].i + 1, "it was added without being signed");
    else if (c->seq != 0 && !str_eq(hash, str_c(c->hash)))
        bad(c, c->seq, "its hash is not the one that was signed last");
    if (row[0].i != 0 && !is_signed(c, row[0].i, hash, row[2].s, row[3].s))
        bad(c, MAX(row[0].i, 1), "the last entry's signature is not good");
}

enum store_result
audit_verify(struct store *s, struct str trusted, struct str noted, struct audit_report *ret)
{
    struct audit_check c = { .ret = ret, .trusted = trusted, .hash = START };
    uint64_t number = 0;
    struct str seq;

    *ret = (struct audit_report){ .entries = 0 };
    (void)str_cut(noted, ':', &seq, &c.noted_hash);
    if (str_u64(seq, &number))
        c.noted_seq = (int64_t)number;
    enum store_result r = store_begin(s);
    if (r == STORE_OK)
        r = store_run(s,
            "SELECT seq, hash, public_key, signature FROM audit_checkpoints ORDER BY seq", NULL, 0,
            on_checkpoint, &c);
    if (r == STORE_OK)
        r = store_run(s, "SELECT " COLUMNS " FROM audit ORDER BY seq", NULL, 0, on_entry, &c);
    if (r == STORE_OK)
        r = store_run(s, "SELECT seq, hash, public_key, signature FROM audit_head WHERE one = 1",
            NULL, 0, on_last, &c);
    store_rollback(s);
    if (r == STORE_OK && c.signed_count != 0 && c.signed_hashes[c.signed_count - 1].seq > c.seq)
        bad(&c, c.seq + 1, "it is missing, with all that followed it");
    if (r == STORE_OK && c.noted_seq > c.seq)
        bad(&c, c.seq + 1, "it is missing, with all that followed it");
    str_copy_c(ret->head, sizeof(ret->head), str_c(c.hash));
    free(c.signed_hashes);
    return r;
}

/* --- reading --- */

struct audit_listing {
    struct buf *out;
    int64_t last;
};

static void
on_listed(void *ctx, const struct store_value *row, size_t count UNUSED)
{
    struct audit_listing *l = ctx;
    struct audit_entry n = read_entry(row);
    struct json_out o = json_out(l->out);
    char stamp[CLOCK_STAMP_ROOM];

    out_object(&o);
    out_i64(&o, "seq", n.seq);
    out_text(&o, "time", clock_stamp((uint64_t)MAX(n.e.at_ms, 0), stamp));
    out_text(&o, "actor", n.e.actor);
    out_text(&o, "action", n.e.action);
    out_text(&o, "object", n.e.object);
    out_text(&o, "outcome", n.e.outcome);
    out_text(&o, "request_id", n.e.request_id);
    if (n.e.before.n != 0)
        out_raw(&o, "before", n.e.before);
    if (n.e.after.n != 0)
        out_raw(&o, "after", n.e.after);
    out_text(&o, "prev", n.prev);
    out_text(&o, "hash", n.hash);
    out_end(&o);
    buf_add_c(l->out, '\n');
    l->last = n.seq;
}

#define WHERE                                                                                      \
    " FROM audit WHERE seq < ?1 AND at_ms >= ?2 AND at_ms < ?3 AND (?4 = '' OR actor = ?4) AND "   \
    "(?5 = '' OR action = ?5) AND (?6 = '' OR object = ?6)"

enum store_result
audit_list(struct store *s, const struct audit_query *q, struct buf *out, int64_t *ret_last)
{
    struct audit_listing l = { .out = out };
    const struct store_value args[] = { store_i64(q->before_seq != 0 ? q->before_seq : INT64_MAX),
        store_i64(q->since_ms), store_i64(q->until_ms != 0 ? q->until_ms : INT64_MAX),
        store_text(q->actor), store_text(q->action), store_text(q->object),
        store_i64(q->limit != 0 ? q->limit : INT64_MAX) };
    enum store_result r = store_run(s,
        q->oldest_first ? "SELECT " COLUMNS WHERE " ORDER BY seq LIMIT ?7"
                        : "SELECT " COLUMNS WHERE " ORDER BY seq DESC LIMIT ?7",
        args, ARRAY_LEN(args), on_listed, &l);

    if (ret_last != NULL)
        *ret_last = l.last;
    return r;
}
