/* location.c - rewrites a provider's Location field for the client. */
#include "gateway/location.h"

#include "gateway/endpoints.h"

/* The length of the scheme in "scheme:...", or 0. */
static size_t
scheme_length(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == ':')
            return i;
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
            (i == 0 || strchr("0123456789+-.", c) == NULL))
            return 0;
    }
    return 0;
}

/* Splits the authority off "host:port/path". */
static struct str
take_authority(struct str *rest)
{
    size_t n = 0;

    while (n < rest->n && strchr("/?#", rest->p[n]) == NULL)
        n++;
    struct str authority = str_make(rest->p, n);
    *rest = str_skip(*rest, n);
    return authority;
}

/* The host of "host:port" or "user@host:port": some programs ignore the user part, others do
 * not. */
static struct str
host_of(struct str authority)
{
    struct str user, host;

    while (str_cut(authority, '@', &user, &host))
        authority = host;
    if (str_starts(authority, S("[")))
        authority.n = MIN(str_chr(authority, ']') + 1, authority.n);
    else
        authority.n = str_chr(authority, ':');
    while (str_ends(authority, S(".")))
        authority.n--;
    return authority;
}

/* Does the authority name exactly this server? The scheme's default port may be present or not. */
static bool
is_server(const struct origin *o, struct str scheme, struct str authority)
{
    struct str port = str_ieq(scheme, S("https")) ? S(":443") : S(":80");

    if (str_ends(authority, port) && !str_ends(o->host_header, port))
        authority.n -= port.n;
    return str_ieq(scheme, o->scheme) && str_ieq(authority, o->host_header);
}

struct str
location_for_caller(
    struct arena *a, const struct origin *o, struct str base_path, struct str location)
{
    struct str scheme = o->scheme, path = location;
    size_t n = scheme_length(location);

    if (str_chr(location, '\\') != location.n)
        return S("");    /* browsers treat it as '/' */
    if (n != 0) {
        scheme = str_make(location.p, n);
        path = str_skip(location, n + 1);
    }
    if (str_starts(path, S("//"))) {
        path = str_skip(path, 2);
        struct str authority = take_authority(&path);

        if (!str_ieq(host_of(authority), host_of(o->host_header)))
            return location;
        if (!is_server(o, scheme, authority))
            return S("");
    } else if (n != 0 || !str_starts(path, S("/"))) {
        return location;    /* relative, or not an HTTP URL */
    }
    if (!str_starts(path, base_path))
        return S("");
    path = str_skip(path, base_path.n);
    if (path.n != 0 && strchr("/?#", path.p[0]) == NULL)
        return S("");
    return arena_printf(a, ENDPOINT_BASE STR_FMT, STR_ARG(path));
}
