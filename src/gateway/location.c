/* location.c - rewrites a provider's Location field for the client. */
#include "gateway/location.h"

#include "base/url.h"
#include "gateway/endpoints.h"

/* The host without its final dots: "host." is the same host. */
static struct str
host_of(struct str authority)
{
    struct url_host h;

    if (!url_split_host(authority, &h))
        return authority;
    while (str_ends(h.name, S(".")))
        h.name.n--;
    return h.name;
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
    struct url u = url_split(location);
    struct str path = u.rest;

    if (str_chr(location, '\\') != location.n)
        return S("");    /* browsers treat it as '/' */
    if (u.authority.p != NULL) {
        if (!str_ieq(host_of(u.authority), host_of(o->host_header)))
            return location;
        if (u.userinfo.p != NULL ||
            !is_server(o, u.scheme.n != 0 ? u.scheme : o->scheme, u.authority))
            return S("");
    } else if (u.scheme.n != 0 || !str_starts(path, S("/"))) {
        return location;    /* relative, or not an HTTP URL */
    }
    if (!str_starts(path, base_path))
        return S("");
    path = str_skip(path, base_path.n);
    if (path.n != 0 && strchr("/?#", path.p[0]) == NULL)
        return S("");
    return arena_printf(a, ENDPOINT_BASE STR_FMT, STR_ARG(path));
}
