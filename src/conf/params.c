/* params.c - YAML 1.2's core schema, written as JSON. */
#include "conf/params.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "conf/value.h"

struct writer {
    struct arena *arena;
    struct buf out;
    const char *reason;       /* error message, or NULL */
    const struct yaml *at;    /* position of the error */
};

static bool
is_one_of(struct str s, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(s, str_c(words[i])))
            return true;
    }
    return false;
}
#define IS_ONE_OF(s, ...)                                                                          \
    is_one_of((s), (const char *const[]){ __VA_ARGS__ },                                           \
        ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

/* How many digits of the base the text begins with. */
static size_t
digits(struct str s, int base)
{
    size_t n = 0;

    while (n < s.n && str_hex_digit(s.p[n]) >= 0 && str_hex_digit(s.p[n]) < base)
        n++;
    return n;
}

/* [-+]?[0-9]+ as JSON writes it: no plus, no zeros in front. */
static bool
add_integer(struct buf *out, struct str s)
{
    bool minus = s.n != 0 && s.p[0] == '-';

    if (s.n != 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    if (s.n == 0 || digits(s, 10) != s.n)
        return false;
    while (s.n > 1 && s.p[0] == '0')
        s = str_skip(s, 1);
    if (minus && !str_eq(s, S("0")))
        buf_add_c(out, '-');
    buf_add(out, s);
    return true;
}

/* 0x1F and 0o17, up to 64 bits. */
static bool
add_based_integer(struct buf *out, struct str s)
{
    int base = str_starts(s, S("0x")) ? 16 : str_starts(s, S("0o")) ? 8 : 0;
    struct str rest = str_skip(s, 2);

    if (base == 0 || rest.n == 0 || rest.n > 16 || digits(rest, base) != rest.n)
        return false;
    buf_add_u64(out, strtoull(rest.p, NULL, base));    /* the text ends with a NUL */
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool
add_real(struct buf *out, struct str whole)
{
    struct str s = whole;

    if (s.n != 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    size_t before = digits(s, 10), after = 0;
    s = str_skip(s, before);
    if (s.n != 0 && s.p[0] == '.') {
        after = digits(str_skip(s, 1), 10);
        s = str_skip(s, 1 + after);
    }
    if (before + after == 0)
        return false;
    if (s.n != 0) {
        if (s.p[0] != 'e' && s.p[0] != 'E')
            return false;
        s = str_skip(s, 1);
        if (s.n != 0 && (s.p[0] == '-' || s.p[0] == '+'))
            s = str_skip(s, 1);
        if (s.n == 0 || digits(s, 10) != s.n)
            return false;
    }

    double v = strtod(whole.p, NULL);    /* the text ends with a NUL */
    if (!isfinite(v))
        return false;
    json_add_f64(out, v);
    return true;
}

static void
fail(struct writer *w, const struct yaml *at, const char *reason)
{
    if (w->reason != NULL)
        return;
    w->reason = reason;
    w->at = at;
}

static void
write_scalar(struct writer *w, const struct yaml *y)
{
    struct str v;
    const char *reason = value_resolve(w->arena, y->text, NULL, &v);

    if (reason != NULL)
        fail(w, y, reason);
    else if (y->quoted)
        json_add_str(&w->out, v);
    else if (IS_ONE_OF(v, "true", "True", "TRUE"))
        buf_add(&w->out, S("true"));
    else if (IS_ONE_OF(v, "false", "False", "FALSE"))
        buf_add(&w->out, S("false"));
    else if (IS_ONE_OF(v, "", "~", "null", "Null", "NULL"))
        buf_add(&w->out, S("null"));
    else if (!add_integer(&w->out, v) && !add_based_integer(&w->out, v) && !add_real(&w->out, v))
        json_add_str(&w->out, v);
}

/* Recursion is as deep as the tree, which is bounded. */
static void
write_value(struct writer *w, const struct yaml *y)
{
    if (w->reason != NULL || w->out.overflow)
        return;
    if (y->type == YAML_NULL) {
        buf_add(&w->out, S("null"));
        return;
    }
    if (y->type == YAML_SCALAR) {
        write_scalar(w, y);
        return;
    }
    buf_add_c(&w->out, y->type == YAML_MAP ? '{' : '[');
    for (const struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        if (e != y->first)
            buf_add_c(&w->out, ',');
        if (y->type == YAML_MAP) {
            json_add_str(&w->out, e->key);
            buf_add_c(&w->out, ':');
        }
        write_value(w, e->value);
    }
    buf_add_c(&w->out, y->type == YAML_MAP ? '}' : ']');
}

const char *
params_text(struct arena *a, const struct yaml *y, struct str *ret_text, const struct yaml **ret_at)
{
    struct writer w = { .arena = a, .at = y };

    buf_init(&w.out, VALUE_BYTES_MAX);
    write_value(&w, y);
    if (w.out.overflow)
        fail(&w, y, "is longer than 64KB; write less");
    if (w.reason == NULL) {
        *ret_text = arena_str(a, buf_str(&w.out));
        if (ret_text->p == NULL)
            fail(&w, y, "does not fit: the configuration holds too much text; make it smaller");
    }
    *ret_at = w.at;
    buf_fini(&w.out);
    return w.reason;
}
