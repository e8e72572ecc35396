/* wrong_url.c - a wrong host or path in base_url is a common configuration mistake; what answers
 * there is usually not an API. */
#include "gateway/wrong_url.h"

#define LOCATION_BYTES 300

/* The target of a redirect, as it may be shown: without a query, and no secrets. */
static struct str
told_location(const struct attempt *a)
{
    struct str to = a->intake.location, scheme, rest, before, after;

    (void)str_cut(to, '?', &to, &rest);
    (void)str_cut(to, '#', &to, &rest);
    size_t at = str_find(to, S("://"));
    scheme = str_make(to.p, at != to.n ? at + 3 : 0);
    rest = str_skip(to, scheme.n);
    size_t authority = str_chr(rest, '/');
    (void)str_cut(str_make(rest.p, authority), '@', &before, &after);
    if (to.n == 0 || to.n > LOCATION_BYTES || after.n != 0 || secrets_in(a->intake.secrets, to))
        return S("another place");
    return to;
}

static struct str
told_url(const struct attempt *a)
{
    const struct origin *o = a->target->provider->origin;
    struct str path, query;

    (void)str_cut(a->path, '?', &path, &query);
    struct str url = arena_printf(a->arena, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(o->scheme),
        STR_ARG(o->unix_path.n != 0 ? o->unix_path : o->host_header), STR_ARG(path));
    return secrets_in(a->intake.secrets, url) ? o->host_header : url;
}

bool
wrong_url_explain(struct attempt *a, struct llm_error *e)
{
    struct str id = a->target->provider->id;
    int status = a->intake.status;
    bool redirect = status >= 300 && status < 400;
    bool missing = (status == 404 || status == 405) && !a->intake.json;

    if (a->path.n == 0 || !(redirect || a->intake.html || missing))
        return false;
    if (redirect)
        e->message = arena_printf(a->arena,
            STR_FMT " was redirected with status %d to " STR_FMT
                    "; redirects are not followed, the base_url of '" STR_FMT "' may be wrong",
            STR_ARG(told_url(a)), status, STR_ARG(told_location(a)), STR_ARG(id));
    else
        e->message =
            arena_printf(a->arena, STR_FMT " answered with status %d and %s%s" STR_FMT "%s",
                STR_ARG(told_url(a)), status, a->intake.html ? "an HTML page" : "no JSON",
                status < 500 ? "; the base_url of '" : " ('", STR_ARG(id),
                status < 500 ? "' may be wrong" : "')");
    if (redirect || status < 300 || status == 405)    /* of a 404 the status says enough */
        e->kind = ERR_UPSTREAM_PROTOCOL;
    e->permanent = redirect || missing;    /* a page with status 200 may be that of an outage */
    e->quotes = false;
    return true;
}
