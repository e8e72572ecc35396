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
buf_reserve_grow(struct buf *b, size_t n)
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
    } else if (!move_to(b, next_cap(b, len + n))) {
        b->overflow = true;
        return NULL;
    }
    return b->p + b->tail;
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

static size_t
count_digits(uint64_t v)
{
    size_t n = 1;

    for (; v >= 10000; v /= 10000)
        n += 4;
    return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Writes the digits of `v` so that they end at `end`, two at a time. */
static inline void
write_digits(char *end, uint64_t v)
{
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";

    for (; v >= 100; v /= 100)
        memcpy(end -= 2, pairs + v % 100 * 2, 2);
    if (v >= 10)
        memcpy(end - 2, pairs + v * 2, 2);
    else
        end[-1] = (char)('0' + v);
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
    size_t n = count_digits(v);
    char *p = buf_reserve(b, n);

    if (p == NULL)
        return;
    write_digits(p + n, v);
    b->tail += n;
}

void
buf_add_decimal(struct buf *b, uint64_t v, unsigned places)
{
    char text[20];
    uint64_t one = 1;

    CHECK(places < sizeof(text));
    for (unsigned i = 0; i < places; i++)
        one *= 10;
    uint64_t rest = v % one;
    buf_add_u64(b, v / one);
    if (rest == 0)
        return;
    for (; rest % 10 == 0; rest /= 10)
        places--;
    for (unsigned i = places; i-- > 0; rest /= 10)
        text[i] = (char)('0' + rest % 10);
    buf_add_c(b, '.');
    buf_add(b, str_make(text, places));
}

void
buf_add_i64(struct buf *b, int64_t v)
{
    bool minus = v < 0;
    uint64_t most = minus ? 0 - (uint64_t)v : (uint64_t)v;
    size_t n = count_digits(most) + minus;
    char *p = buf_reserve(b, n);

    if (p == NULL)
        return;
    write_digits(p + n, most);
    if (minus)
        p[0] = '-';
    b->tail += n;
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
