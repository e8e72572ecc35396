/* url.c - linear in the length of the text; nothing is copied but what was percent-encoded. */
#include "base/url.h"

#include <arpa/inet.h>

enum { NAME_MAX_BYTES = 253 };    /* of a DNS name */

/* --- splitting --- */

/* The length of the scheme of "scheme:...", or 0. */
static size_t
scheme_length(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ':')
            return i;
        if (!str_is_letter(s.p[i]) &&
            (i == 0 || !(str_is_digit(s.p[i]) || memchr("+-.", s.p[i], 3) != NULL)))
            return 0;
    }
    return 0;
}

struct url
url_split_authority(struct str text)
{
    struct url u = { .authority = str_make(text.p, 0) };

    while (u.authority.n < text.n && memchr("/?#", text.p[u.authority.n], 3) == NULL)
        u.authority.n++;
    u.rest = str_make(text.p + u.authority.n, text.n - u.authority.n);
    for (size_t i = u.authority.n; i-- != 0;) {
        if (u.authority.p[i] == '@') {
            u.userinfo = str_make(u.authority.p, i);
            u.authority = str_make(u.authority.p + i + 1, u.authority.n - i - 1);
            break;
        }
    }
    return u;
}

struct url
url_split(struct str text)
{
    struct url u = { .rest = text.p != NULL ? text : S("") };
    size_t n = scheme_length(u.rest);
    struct str scheme = { NULL, 0 };

    if (n != 0) {
        scheme = str_make(text.p, n);
        u.rest = str_make(text.p + n + 1, text.n - n - 1);
    }
    if (str_starts(u.rest, S("//")))
        u = url_split_authority(str_make(u.rest.p + 2, u.rest.n - 2));
    u.scheme = scheme;
    return u;
}

bool
url_split_host(struct str s, struct url_host *ret)
{
    size_t n = str_chr(s, ':');

    *ret = (struct url_host){ .bracketed = str_starts(s, S("[")) };
    if (ret->bracketed) {
        n = str_chr(s, ']') + 1;
        if (n > s.n || (n < s.n && s.p[n] != ':'))
            return false;
    }
    ret->name = ret->bracketed ? str_make(s.p + 1, n - 2) : str_make(s.p, n);
    if (n < s.n)
        ret->port = str_make(s.p + n + 1, s.n - n - 1);
    return true;
}

bool
url_port(struct str port, uint16_t *ret)
{
    uint64_t v = 0;

    if (port.n > 5 || !str_u64(port, &v) || v > UINT16_MAX)
        return false;
    *ret = (uint16_t)v;
    return true;
}

/* --- hosts --- */

static bool
is_literal(int family, struct str s)
{
    unsigned char address[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];

    if (s.n >= sizeof(text) || str_chr(s, '\0') != s.n)
        return false;
    str_copy_c(text, sizeof(text), s);
    return inet_pton(family, text, address) == 1;
}

bool
url_is_ipv4(struct str s)
{
    return is_literal(AF_INET, s);
}

bool
url_is_ipv6(struct str s)
{
    struct str address, zone;

    if (str_cut(s, '%', &address, &zone) && (zone.n == 0 || !str_has_only(zone, "-_.")))
        return false;
    return is_literal(AF_INET6, address);
}

bool
url_is_host(const struct url_host *h)
{
    bool numeric = true;

    if (h->bracketed)
        return url_is_ipv6(h->name);
    for (size_t i = 0; i < h->name.n; i++)
        numeric = numeric && (str_is_digit(h->name.p[i]) || h->name.p[i] == '.');
    if (numeric)    /* old spellings ("1.2.3", "127.1") are not names either */
        return url_is_ipv4(h->name);
    return h->name.n <= NAME_MAX_BYTES && str_is_alnum(h->name.p[0]) &&
           str_has_only(h->name, "-._");
}

/* --- percent-encoding --- */

bool
url_is_unreserved(char c)
{
    return str_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int
url_escaped_byte(struct str s)
{
    int high = s.n > 2 ? str_hex_digit(s.p[1]) : -1;
    int low = s.n > 2 ? str_hex_digit(s.p[2]) : -1;

    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool
url_decode_into(struct str s, char *room, size_t size, struct str *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        int c = s.p[i] == '%' ? url_escaped_byte(str_skip(s, i)) : (unsigned char)s.p[i];

        if (c < 0 || n == size)
            return false;
        if (s.p[i] == '%')
            i += 2;
        room[n++] = (char)c;
    }
    *ret = str_make(room, n);
    return true;
}

struct str
url_decode(struct arena *a, struct str s)
{
    struct str plain;

    if (str_chr(s, '%') == s.n)
        return s.n != 0 ? s : S("");

    char *room = arena_try(a, s.n);
    if (room == NULL || !url_decode_into(s, room, s.n, &plain))
        return (struct str){ NULL, 0 };
    return plain;
}

struct str
url_query_get(struct arena *a, struct str query, struct str name)
{
    struct str pair, key, value;

    while (query.n != 0) {
        (void)str_cut(query, '&', &pair, &query);
        (void)str_cut(pair, '=', &key, &value);
        key = url_decode(a, key);
        if (key.p != NULL && str_eq(key, name))
            return url_decode(a, value);
    }
    return (struct str){ NULL, 0 };
}

void
url_add_segment(struct buf *b, struct str segment)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < segment.n; i++) {
        unsigned char c = (unsigned char)segment.p[i];

        if (url_is_unreserved(segment.p[i]))
            buf_add_c(b, segment.p[i]);
        else
            buf_add(b, str_make((char[]){ '%', digits[c >> 4], digits[c & 15] }, 3));
    }
}
