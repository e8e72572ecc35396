/* path.c - linear in the length of the path; a path in normal form is not copied. */
#include "http/path.h"

#include <string.h>

#include "base/json_scan.h"
#include "base/url.h"

static bool
is_delimiter(unsigned char c)
{
    return c == '/' || c == '\\' || c == '?' || c == '#' || c == ';';
}

/* Checks the fully decoded path. NULL, or what is wrong. */
static const char *
check_decoded(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        int n = c < 0x80 ? 1 : json_utf8_step(s.p + i, s.p + s.n);

        if (n < 0)
            return "the decoded path is not valid UTF-8";
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0))
            return "the path contains a control character";
        i += (size_t)n;
    }
    return NULL;
}

/* Writes the path with normalised escapes to `out`, and the fully decoded path to `plain`. */
static const char *
normalise_escapes(struct str path, char *out, char *plain, struct http_path *ret)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    size_t plain_n = 0;

    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];

        if (c == '%') {
            int escaped = url_escaped_byte(str_skip(path, i));

            if (escaped < 0)
                return "the path contains a '%' without two hexadecimal digits after it";
            c = (unsigned char)escaped;
            i += 2;
            if (!url_is_unreserved((char)c)) {
                ret->has_delimiter = ret->has_delimiter || is_delimiter(c);
                memcpy(out + n, (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3);
                n += 3;
                plain[plain_n++] = (char)c;
                continue;
            }
        }
        out[n++] = (char)c;
        plain[plain_n++] = (char)c;
    }
    ret->text = str_make(out, n);
    return check_decoded(str_make(plain, plain_n));
}

/* Is the path in normal form and acceptable? Almost all are. */
static bool
is_normal(struct str path)
{
    char before = '\0';

    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];

        if (c == '%' || c == ';' || c == '\\' || (before == '/' && (c == '/' || c == '.')))
            return false;
        before = c;
    }
    return before != '/' || path.n == 1;
}

const char *
http_path_normalise(struct arena *a, struct str path, struct http_path *ret)
{
    const char *why = NULL;

    *ret = (struct http_path){ .text = path };
    if (path.n == 0 || path.p[0] != '/' || is_normal(path))
        return NULL;    /* "*" and the like are not paths */
    if (str_chr(path, '%') != path.n) {
        char *room = arena_try(a, 2 * path.n);

        why = room != NULL ? normalise_escapes(path, room, room + path.n, ret)
                           : "the path is too long";
    }
    for (struct str rest = str_skip(ret->text, 1); why == NULL && rest.n != 0;) {
        struct str segment;
        bool more = str_cut(rest, '/', &segment, &rest);

        if (segment.n == 0)
            why = "the path contains an empty segment ('//')";
        else if (str_eq(segment, S(".")) || str_eq(segment, S("..")))
            why = "the path contains a segment '.' or '..'";
        else if (str_chr(segment, '\\') != segment.n)
            why = "the path contains a backslash";
        ret->has_delimiter = ret->has_delimiter || str_chr(segment, ';') != segment.n;
        if (more && rest.n == 0)
            ret->text.n--;    /* remove a trailing slash */
    }
    if (why != NULL)
        ret->text = path;
    return why;
}
