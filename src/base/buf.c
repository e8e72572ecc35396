/* buf.c - appending, consuming and the one place where a buffer grows. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CAP_MIN = 64,
    NUL_ROOM = 1,    /* allocated in addition to `cap`, for the NUL that vsnprintf() writes */
};

void
buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf){ .limit = limit_bytes };
}

void
buf_fini(struct buf *b)
{
    free(b->p);
    buf_init(b, b->limit);
}

/* The capacity to grow to when `needed` bytes must fit: doubles, so that appending stays cheap, but
 * never exceeds the limit, so that a full buffer wastes nothing. */
static size_t
next_cap(const struct buf *b, size_t needed)
{
    size_t cap = MAX(b->cap, CAP_MIN);

    while (cap < needed)
        cap = cap > SIZE_MAX / 2 ? needed : cap * 2;
    return MAX(MIN(cap, b->limit), needed);
}

/* Moves the unread bytes to the front of an allocation of `cap` bytes. False if there is no memory.
 */
static bool
move_to(struct buf *b, size_t cap)
{
    size_t len = buf_len(b);
    char *p = NULL;

    if (cap >= PTRDIFF_MAX)
        return false;
    if (b->head == 0) {
        p = realloc(b->p, cap + NUL_ROOM);
        if (p == NULL)
            return false;
    } else {
        p = malloc(cap + NUL_ROOM);
        if (p == NULL)
            return false;
        if (len != 0)
            memcpy(p, b->p + b->head, len);
        free(b->p);
    }
    b->p = p;
    b->cap = cap;
    b->head = 0;
    b->tail = len;
    return true;
}

char *
buf_reserve(struct buf *b, size_t n)
{
    size_t len = buf_len(b);

    if (UNLIKELY(b->overflow || n > b->limit || len > b->limit - n)) {
        b->overflow = true;
        return NULL;
    }
    if (LIKELY(b->p != NULL && n <= b->cap - b->tail))
        return b->p + b->tail;

    if (b->p != NULL && len + n <= b->cap && b->head >= len) {
        /* At least half was consumed: moving the rest is cheaper than growing. */
        memmove(b->p, b->p + b->head, len);
        b->head = 0;
        b->tail = len;
    } else if (!move_to(b, next_cap(b, MAX(len + n, 1)))) {
        b->overflow = true;
        return NULL;
    }
    return b->p + b->tail;
}

void
buf_commit(struct buf *b, size_t n)
{
    CHECK(n <= b->cap - b->tail);
    b->tail += n;
}

void
buf_add_grow(struct buf *b, struct str s)
{
    if (s.n == 0)
        return;

    char *room = buf_reserve(b, s.n);
    if (room != NULL) {
        memcpy(room, s.p, s.n);
        b->tail += s.n;
    }
}

enum { DIGITS_MAX = 20 };

/* Writes the digits of `v` so that they end at `end`; returns where they start. */
static char *
format_u64(char *end, uint64_t v)
{
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    return end;
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
    char digits[DIGITS_MAX];
    char *end = digits + sizeof(digits);
    char *p = format_u64(end, v);

    buf_add(b, str_make(p, (size_t)(end - p)));
}

void
buf_add_i64(struct buf *b, int64_t v)
{
    char digits[DIGITS_MAX + 1];
    char *end = digits + sizeof(digits);
    char *p = format_u64(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);

    if (v < 0)
        *--p = '-';
    buf_add(b, str_make(p, (size_t)(end - p)));
}

void
buf_printf(struct buf *b, const char *format, ...)
{
    size_t room = b->p != NULL && !b->overflow ? b->cap - b->tail + NUL_ROOM : 0;
    va_list args;

    /* Most texts fit into the allocation: then one pass is enough. */
    va_start(args, format);
    int n = vsnprintf(room != 0 ? b->p + b->tail : NULL, room, format, args);
    va_end(args);
    CHECK(n >= 0);

    char *p = buf_reserve(b, (size_t)n);
    if (p == NULL)
        return;
    if ((size_t)n >= room) {
        va_start(args, format);
        (void)vsnprintf(p, (size_t)n + NUL_ROOM, format, args);
        va_end(args);
    }
    buf_commit(b, (size_t)n);
}

void
buf_consume(struct buf *b, size_t n)
{
    CHECK(n <= buf_len(b));
    b->head += n;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}

void
buf_truncate(struct buf *b, size_t len)
{
    CHECK(len <= buf_len(b));
    b->tail = b->head + len;
    b->overflow = false;
}

void
buf_reset(struct buf *b, size_t keep_bytes)
{
    if (b->cap > keep_bytes) {
        buf_fini(b);
        return;
    }
    b->head = b->tail = 0;
    b->overflow = false;
}

void
buf_fit(struct buf *b)
{
    char *p = b->head == 0 && b->tail != 0 ? realloc(b->p, b->tail) : NULL;

    if (p == NULL)
        return;
    b->p = p;
    b->cap = b->tail;
}
