/* wrong_url.c - a wrong host or path in base_url is a common configuration mistake; what answers
 * there is usually not an API. */
#include "gateway/wrong_url.h"

#include "base/url.h"
#include "route/route.h"

#define LOCATION_BYTES 300

/* The target of a redirect, as it may be shown: without a query, and no secrets. */
static struct str
told_location(const struct intake *in)
{
    struct str to = in->location, hidden;

    (void)str_cut(to, '?', &to, &hidden);
    (void)str_cut(to, '#', &to, &hidden);
    struct url u = url_split(to);
    /* Browsers also find user and password where the slashes before them are missing or wrong. */
    bool has_user = u.userinfo.p != NULL ||
                    (u.authority.p == NULL &&
                        str_chr(u.rest, '@') < (u.scheme.n != 0 ? u.rest.n : str_chr(u.rest, '/')));

    if (to.n == 0 || to.n > LOCATION_BYTES || has_user || secrets_in(in->secrets, to))
        return S("another place");
    return to;
}

static struct str
told_url(const struct intake *in, const struct origin *o, struct str path)
{
    struct str query;

    (void)str_cut(path, '?', &path, &query);
    struct str url =
        arena_printf(in->reader.keep, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(o->scheme),
            STR_ARG(o->unix_path.n != 0 ? o->unix_path : o->host_header), STR_ARG(path));
    return secrets_in(in->secrets, url) ? o->host_header : url;
}

bool
wrong_url_explain(
    const struct intake *in, const struct provider *p, struct str path, struct llm_error *e)
{
    struct arena *keep = in->reader.keep;
    int status = in->status;
    bool redirect = status >= 300 && status < 400;
    bool missing = (status == 404 || status == 405) && !in->json;

    if (path.n == 0 || !(redirect || in->html || missing))
        return false;
    struct str url = told_url(in, p->origin, path);
    if (redirect)
        e->message = arena_printf(keep,
            STR_FMT " was redirected with status %d to " STR_FMT
                    "; redirects are not followed, the base_url of '" STR_FMT "' may be wrong",
            STR_ARG(url), status, STR_ARG(told_location(in)), STR_ARG(p->id));
    else
        e->message = arena_printf(keep, STR_FMT " answered with status %d and %s%s" STR_FMT "%s",
            STR_ARG(url), status, in->html ? "an HTML page" : "no JSON",
            status < 500 ? "; the base_url of '" : " ('", STR_ARG(p->id),
            status < 500 ? "' may be wrong" : "')");
    if (redirect || status < 300 || status == 405)    /* of a 404 the status says enough */
        e->kind = ERR_UPSTREAM_PROTOCOL;
    e->permanent = redirect || missing;    /* a page with status 200 may be that of an outage */
    e->quotes = false;
    return true;
}
