/* json_write.c - writes strings and doubles as JSON. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"

static void
add_escape_u(struct buf *b, unsigned code)
{
    static const char hex[] = "0123456789abcdef";
    char text[] = "\\u0000";

    for (int i = 5; i >= 2; i--) {
        text[i] = hex[code & 0xf];
        code >>= 4;
    }
    buf_add(b, str_make(text, sizeof(text) - 1));
}

static void
add_ascii_escape(struct buf *b, char c)
{
    static const char needing[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *at = c != '\0' ? strchr(needing, c) : NULL;

    if (at == NULL) {
        add_escape_u(b, (unsigned char)c);
        return;
    }
    char text[2] = { '\\', names[at - needing] };
    buf_add(b, str_make(text, sizeof(text)));
}

/* Writes the character at `p`, which must be escaped; returns what follows it. */
static const char *
add_escape(struct buf *b, const char *p, const char *end)
{
    if ((unsigned char)*p < 0x80) {
        add_ascii_escape(b, *p);
        return p + 1;
    }

    unsigned surrogate = json_wtf8_surrogate(p, end);
    if (surrogate != 0) {
        add_escape_u(b, surrogate);
        return p + 3;
    }
    buf_add(b, S("\xef\xbf\xbd"));    /* U+FFFD */
    return p - json_utf8_step(p, end);
}

void
json_add_escaped(struct buf *b, struct str s)
{
    const char *run = s.n != 0 ? s.p : "";
    const char *end = run + s.n;
    const char *p = run;

    while ((p = json_skip_plain(p, end)) != end) {
        int n = (unsigned char)*p >= 0x80 ? json_utf8_step(p, end) : 0;

        if (n > 0) {
            p += n;
            continue;
        }
        buf_add(b, str_make(run, (size_t)(p - run)));
        p = run = add_escape(b, p, end);
    }
    buf_add(b, str_make(run, (size_t)(end - run)));
}

/* Copies `n` bytes, which must not be 0, unless one of them has to be escaped: then false, and some
 * of them are copied. What is left of a word is done together with bytes before it. */
static inline bool
copy_plain(char *to, const char *from, size_t n)
{
#ifdef __SSE2__
    if (n >= 16) {
        size_t last = n - 16;

        for (size_t i = 0; i < last; i += 16) {
            if (json_special_mask(from + i) != 0)
                return false;
            memcpy(to + i, from + i, 16);
        }
        memcpy(to + last, from + last, 16);
        return json_special_mask(from + last) == 0;
    }
#endif
    if (n >= 8) {
        size_t last = n - 8;

        for (size_t i = 0; i < last; i += 8) {
            if (json_special_bytes(json_load64(from + i)) != 0)
                return false;
            memcpy(to + i, from + i, 8);
        }
        memcpy(to + last, from + last, 8);
        return json_special_bytes(json_load64(from + last)) == 0;
    }
    if (n >= 4) {
        uint32_t first, last;

        memcpy(&first, from, 4);
        memcpy(&last, from + n - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + n - 4, &last, 4);
        return json_special_bytes((uint64_t)first << 32 | last) == 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!json_is_plain(from[i]))
            return false;
        to[i] = from[i];
    }
    return true;
}

/* The fast path for strings that need no escapes and fit the allocated buffer. False for others. */
static inline bool
add_plain(struct buf *b, struct str s)
{
    if (s.n == 0 || !buf_has_room(b, s.n + 2) || !copy_plain(b->p + b->tail + 1, s.p, s.n))
        return false;
    b->p[b->tail] = '"';
    b->p[b->tail + s.n + 1] = '"';
    b->tail += s.n + 2;
    return true;
}

NOINLINE static void
add_any(struct buf *b, struct str s)
{
    buf_add_c(b, '"');
    json_add_escaped(b, s);
    buf_add_c(b, '"');
}

void
json_add_str(struct buf *b, struct str s)
{
    if (!add_plain(b, s))
        add_any(b, s);
}

void
json_add_line(struct buf *b, struct str json)
{
    while (json.n > 0) {
        size_t n = 0;

        while (n < json.n && json.p[n] != '\n' && json.p[n] != '\r')
            n++;
        buf_add(b, str_make(json.p, n));
        json = str_skip(json, n + 1);
    }
}

void
json_add_f64(struct buf *b, double v)
{
    enum { DIGITS_MAX = 17 };    /* always enough to read back as the same double */
    char text[32] = "";

    if (!isfinite(v)) {
        buf_add(b, S("null"));
        return;
    }
    if (fabs(v) < 1e15 && v == trunc(v) && !(v == 0 && signbit(v))) {
        buf_add_i64(b, (int64_t)v);    /* readers of integers reject 1e+02 */
        return;
    }
    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_add(b, str_c(text));
}
