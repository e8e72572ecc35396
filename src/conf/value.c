/* value.c - references and units. */
#include "conf/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

struct value_unit {
    struct str name;
    uint64_t factor;
};

/* Largest first, so that the first exact unit gives the shortest text. */
static const struct value_unit durations[] = {
    { S_INIT("h"), 3600000 },
    { S_INIT("m"), 60000 },
    { S_INIT("s"), 1000 },
    { S_INIT("ms"), 1 },
};
static const struct value_unit sizes[] = {
    { S_INIT("GB"), 1024 * 1024 * 1024 },
    { S_INIT("MB"), 1024 * 1024 },
    { S_INIT("KB"), 1024 },
    { S_INIT(""), 1 },
};

static bool
parse_unit(struct str v, const struct value_unit *units, size_t count, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t number;

    while (digits < v.n && str_is_digit(v.p[digits]))
        digits++;
    if (!str_u64(str_make(v.p, digits), &number))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(str_skip(v, digits), units[i].name))
            return !__builtin_mul_overflow(number, units[i].factor, ret);
    }
    return false;
}

static struct str
unit_text(struct arena *a, uint64_t v, const struct value_unit *units, size_t count)
{
    size_t i = 0;

    while (i + 1 < count && (v == 0 || v % units[i].factor != 0))
        i++;
    return arena_printf(
        a, "%llu" STR_FMT, (unsigned long long)(v / units[i].factor), STR_ARG(units[i].name));
}

bool
value_duration(struct str v, uint64_t *ret_ms)
{
    return parse_unit(v, durations, ARRAY_LEN(durations), ret_ms);
}

bool
value_size(struct str v, uint64_t *ret_bytes)
{
    return parse_unit(v, sizes, ARRAY_LEN(sizes), ret_bytes);
}

bool
value_decimal(struct str v, int64_t *ret_billionths)
{
    bool negative = str_starts(v, S("-")), percent = str_ends(v, S("%"));
    struct str whole, fraction;
    uint64_t units;
    int64_t value;

    v = str_skip(v, negative ? 1 : 0);
    v.n -= percent ? 1 : 0;
    bool pointed = str_cut(v, '.', &whole, &fraction);
    if (whole.n > 9 || !str_u64(whole, &units) || (pointed && (fraction.n == 0 || fraction.n > 9)))
        return false;
    value = (int64_t)units;
    for (size_t i = 0; i < 9; i++) {
        char c = pointed && i < fraction.n ? fraction.p[i] : '0';

        if (!str_is_digit(c))
            return false;
        value = value * 10 + (c - '0');
    }
    value = percent ? value / 100 : value;
    *ret_billionths = negative ? -value : value;
    return true;
}

struct str
value_duration_text(struct arena *a, uint64_t ms)
{
    return ms == 0 ? S("0s") : unit_text(a, ms, durations, ARRAY_LEN(durations));
}

struct str
value_size_text(struct arena *a, uint64_t bytes)
{
    return unit_text(a, bytes, sizes, ARRAY_LEN(sizes));
}

static bool
is_variable_name(struct str s)
{
    return s.n != 0 && s.n <= 128 && str_has_only(s, "_") && !str_is_digit(s.p[0]);
}

/* The part between the braces of ${...}. */
static const char *
add_variable(struct arena *a, struct buf *out, struct str inner)
{
    size_t at = str_find(inner, S(":-"));
    struct str name = str_make(inner.p, at);

    if (!is_variable_name(name))
        return "has a reference without a valid name; write ${NAME} or ${NAME:-default}";

    struct str c_name = arena_printf(a, STR_FMT, STR_ARG(name));
    struct str v = str_c(getenv(c_name.p));    /* NOLINT(concurrency-mt-unsafe): never modified */

    if (v.n == 0 && at != inner.n)
        v = str_skip(inner, at + 2);
    else if (v.p == NULL)
        return arena_printf(a,
            "needs the environment variable %s, which is not set; set it, or write ${%s:-default}",
            c_name.p, c_name.p)
            .p;
    else if (v.n == 0)
        return arena_printf(a,
            "needs the environment variable %s, which is empty; set it, or write ${%s:-default}",
            c_name.p, c_name.p)
            .p;
    buf_add(out, v);
    return NULL;
}

/* Copies `raw` and replaces the references in it. */
static const char *
add_resolved(struct arena *a, struct buf *out, struct str raw)
{
    while (raw.n != 0) {
        size_t at = str_chr(raw, '$');
        struct str inner;

        buf_add(out, str_make(raw.p, at));
        raw = str_skip(raw, at);
        if (raw.n == 0)
            break;
        if (str_starts(raw, S("$$"))) {
            buf_add_c(out, '$');
            raw = str_skip(raw, 2);
            continue;
        }
        if (!str_starts(raw, S("${")))
            return "has a single $; write ${NAME} for an environment variable, or $$ for a dollar sign";
        if (!str_cut(str_skip(raw, 2), '}', &inner, &raw))
            return "has a ${ without its }; write ${NAME} or ${NAME:-default}";

        const char *reason = add_variable(a, out, inner);
        if (reason != NULL)
            return reason;
    }
    return NULL;
}

/* Appends the contents of a regular file. NULL, or the error message. */
static const char *
add_file(struct buf *out, const char *path)
{
    struct stat st;
    /* does not block on a pipe */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *reason = NULL;
    ssize_t n = 1;

    if (fd < 0)
        return strerrordesc_np(errno);
    if (fstat(fd, &st) != 0)
        reason = strerrordesc_np(errno);
    else if (!S_ISREG(st.st_mode))
        reason = "Not a regular file";
    else if (st.st_size > VALUE_BYTES_MAX)
        reason = "Larger than 64KB";
    while (reason == NULL && n > 0) {
        char *room = buf_reserve(out, 4096);

        n = room != NULL ? read(fd, room, 4096) : 0;    /* the file grew: out->overflow is set */
        if (n < 0)
            reason = strerrordesc_np(errno);
        else if (n > 0)
            buf_commit(out, (size_t)n);
    }
    (void)close(fd);
    return reason;
}

/* Replaces the resolved text "file:/path" with the contents of that file. */
static const char *
follow_file(struct arena *a, struct buf *text, bool path_is_ours, struct str *ret_file)
{
    struct buf content;
    struct str path = str_skip(buf_str(text), 5);

    if (path.n == 0 || path.p[0] != '/')
        return "has a file: reference without an absolute path; write file:/path";

    struct str c_path = *ret_file = arena_printf(a, STR_FMT, STR_ARG(path));
    buf_init(&content, VALUE_BYTES_MAX + 2 * 4096);
    const char *reason = add_file(&content, c_path.p);
    if (reason != NULL) {
        reason = arena_printf(a,
            "needs the file %s, which cannot be read (%s); check the path and its permissions",
            path_is_ours ? c_path.p : "of its reference", reason)
                     .p;
    } else {
        struct str v = buf_str(&content);

        if (str_ends(v, S("\n")))
            v.n--;
        if (str_ends(v, S("\r")))
            v.n--;
        buf_reset(text, 0);
        buf_add(text, v);
    }
    buf_fini(&content);
    return reason;
}

const char *
value_resolve(struct arena *a, struct str raw, struct str *ret_file, struct str *ret)
{
    struct buf text;
    bool file = ret_file != NULL && str_starts(raw, S("file:"));

    if (ret_file != NULL)
        *ret_file = S("");
    buf_init(&text, VALUE_BYTES_MAX);
    const char *reason = add_resolved(a, &text, raw);
    if (reason == NULL && file && !text.overflow)
        reason = follow_file(a, &text, str_chr(raw, '$') == raw.n, ret_file);
    if (reason == NULL && text.overflow)
        reason = "is longer than 64KB; write a shorter text";
    if (reason == NULL) {
        *ret = arena_str(a, buf_str(&text));
        if (ret->p == NULL)
            reason = "does not fit: the configuration holds too much text; make it smaller";
    }
    buf_fini(&text);
    return reason;
}
