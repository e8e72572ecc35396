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

/* The fast path for strings that need no escapes and fit the allocated buffer. False for others. */
static inline bool
add_plain(struct buf *b, struct str s)
{
    if (b->overflow || b->cap - b->tail < 2 || s.n > b->cap - b->tail - 2 || s.n == 0 ||
        json_skip_plain(s.p, s.p + s.n) != s.p + s.n)
        return false;

    char *p = b->p + b->tail;
    p[0] = '"';
    memcpy(p + 1, s.p, s.n);
    p[s.n + 1] = '"';
    b->tail += s.n + 2;
    return true;
}

void
json_add_str(struct buf *b, struct str s)
{
    if (LIKELY(add_plain(b, s)))
        return;
    buf_add_c(b, '"');
    json_add_escaped(b, s);
    buf_add_c(b, '"');
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
