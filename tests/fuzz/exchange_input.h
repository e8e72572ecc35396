/* exchange_input.h - the fuzzer's bytes, taken one decision at a time. */
#pragma once

#include <stdio.h>

#include "base/buf.h"

/* With EXCHANGE_TRACE in the environment every action is told: for who looks into a crash. */
static bool tracing;
#define TRACE(...) (tracing ? (void)fprintf(stderr, __VA_ARGS__) : (void)0)

struct input {
    const uint8_t *p;
    size_t n;
};

/* The next byte; zero when there are none left. */
static inline unsigned
input_byte(struct input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

static inline unsigned
input_u16(struct input *in)
{
    unsigned high = input_byte(in);

    return high << 8 | input_byte(in);
}

static inline struct str
input_bytes(struct input *in, size_t n)
{
    struct str s = str_make((const char *)in->p, MIN(n, in->n));

    in->p += s.n;
    in->n -= s.n;
    return s;
}

/* Changes up to three places of the bytes from `from` on: overwrites, inserts, cuts or repeats. */
static inline void
input_mutate(struct input *in, struct buf *b, size_t from)
{
    for (unsigned rounds = input_byte(in) % 4; rounds != 0 && buf_len(b) > from; rounds--) {
        struct buf next;
        struct str whole = buf_str(b);
        size_t at = from + input_u16(in) % (whole.n - from);
        size_t n = input_byte(in);
        unsigned how = input_byte(in) % 4;

        n = MIN(n, whole.n - at);
        buf_init(&next, SIZE_MAX);
        buf_add(&next, str_make(whole.p, at));
        if (how == 0)
            buf_add(&next, input_bytes(in, MIN(n, 16)));
        if (how == 1)
            buf_add(&next, str_make(whole.p + at, n));
        if (how == 3)
            buf_add_c(&next, (char)input_byte(in));
        buf_add(&next, str_skip(whole, at + (how == 2 ? n : how == 3 ? 1 : 0)));
        buf_fini(b);
        *b = next;
    }
}
