/* buf.h - a growable byte buffer with a limit that is set when it is initialised.
 *
 * Written at the end, consumed at the front. Once an append would exceed the limit (or there is no
 * memory) the buffer is marked `overflow`, keeps its contents and refuses further appends: writers
 * can append freely and check once.
 */
#pragma once

#include "base/base.h"

struct buf {
    char *p;          /* the allocation */
    size_t head;      /* first unread byte */
    size_t tail;      /* one past the last byte */
    size_t cap;       /* size of the allocation */
    size_t limit;     /* most unread bytes it may hold */
    bool overflow;    /* an append was refused */
};

void buf_init(struct buf *b, size_t limit_bytes);

/* Releases the memory; the buffer is empty and usable again. */
void buf_fini(struct buf *b);

static inline size_t
buf_len(const struct buf *b)
{
    return b->tail - b->head;
}

/* The unread bytes; valid until the next append or consume. */
static inline struct str
buf_str(const struct buf *b)
{
    return (struct str){ b->p != NULL ? b->p + b->head : "", b->tail - b->head };
}

/* The slow halves of buf_reserve() and buf_add(). */
char *buf_reserve_grow(struct buf *b, size_t n) MUST_CHECK;
void buf_add_grow(struct buf *b, struct str s);

/* Are there `n` bytes, at least one, of room in the allocation? Its size never exceeds the
 * limit. */
static inline bool
buf_has_room(const struct buf *b, size_t n)
{
    return LIKELY(n - 1 < b->cap - b->tail && !b->overflow);
}

/* Room for `n` more bytes, to be filled by the caller and then announced with buf_commit().
 * NULL when the limit or memory forbids it (marks overflow). */
MUST_CHECK static inline char *
buf_reserve(struct buf *b, size_t n)
{
    return buf_has_room(b, n) ? b->p + b->tail : buf_reserve_grow(b, n);
}

static inline void
buf_commit(struct buf *b, size_t n)
{
    CHECK(n <= b->cap - b->tail);
    b->tail += n;
}

/* buf_add() for the places that append many literals for each request: always inlined, for copying
 * a text of constant length takes a few instructions. */
static INLINED void
buf_add_inlined(struct buf *b, struct str s)
{
    if (buf_has_room(b, s.n)) {
        memcpy(b->p + b->tail, s.p, s.n);
        b->tail += s.n;
    } else {
        buf_add_grow(b, s);
    }
}

/* Appends. Text that fits the allocation is only copied: heads and log lines take hundreds of
 * appends. */
static inline void
buf_add(struct buf *b, struct str s)
{
    buf_add_inlined(b, s);
}

static inline void
buf_add_c(struct buf *b, char c)
{
    buf_add(b, str_make(&c, 1));
}

void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_i64(struct buf *b, int64_t v);

/* Appends v / 10^places, exactly and without zeros at its end: 1500 with 3 places is 1.5. At most 18
 * places. */
void buf_add_decimal(struct buf *b, uint64_t v, unsigned places);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Removes `n` bytes from the front. */
void buf_consume(struct buf *b, size_t n);

/* Truncates to `len` unread bytes, as before a failed append, and clears `overflow`. */
void buf_truncate(struct buf *b, size_t len);

/* Releases unused memory: for a buffer that is complete and kept for a while. */
void buf_fit(struct buf *b);

/* Empties it; keeps at most `keep_bytes` of allocation. */
void buf_reset(struct buf *b, size_t keep_bytes);
