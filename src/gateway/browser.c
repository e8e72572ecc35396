/* browser.c - CORS (the Fetch standard, section 3.2), and the requests that it lets pass unasked. */
#include "gateway/browser.h"

#include "net/address.h"

/* Is the origin one of those whose pages may call? */
static bool
is_allowed(const struct conf_strs *allowed, struct str origin)
{
    for (size_t i = 0; i < allowed->count; i++)
        if (str_eq(allowed->list[i].v, S("*")) || str_ieq(allowed->list[i].v, origin))
            return true;
    return false;
}

/* "localhost:8080", "127.0.0.1", "[::1]:8080". A page that came by another name may be a stranger's,
 * whose name was pointed here after it was loaded (DNS rebinding). */
static bool
is_host_without_dns(struct str host)
{
    bool v6 = str_starts(host, S("["));
    struct address a;
    struct str name;
    struct str rest;

    (void)str_cut(v6 ? str_skip(host, 1) : host, v6 ? ']' : ':', &name, &rest);
    return str_ieq(name, S("localhost")) || address_parse(name, 0, &a);
}

/* Programs with a browser inside, editors say, have schemes of their own, which no web page has. */
static bool
is_program(struct str origin)
{
    size_t n = str_find(origin, S("://"));
    struct str scheme = str_make(origin.p, n);

    return n != origin.n && !str_eq(scheme, S("http")) && !str_eq(scheme, S("https")) &&
           !str_ends(scheme, S("-extension"));
}

bool
browser_is_foreign_page(const struct conf_strs *allowed, const struct http_head *head)
{
    struct str origin = http_field_get(&head->fields, S("origin"));
    struct str host = http_field_get(&head->fields, S("host"));
    size_t scheme = str_starts(origin, S("https://"))  ? 8
                    : str_starts(origin, S("http://")) ? 7
                                                       : 0;

    if (origin.n == 0 || is_program(origin) || is_allowed(allowed, origin))
        return false;
    return scheme == 0 || !str_ieq(str_skip(origin, scheme), host) || !is_host_without_dns(host);
}

void
browser_add_fields(const struct conf_strs *allowed, const struct http_head *head, struct buf *out)
{
    struct str origin, wanted;

    if (allowed->count == 0)
        return;
    buf_add(out, S("Vary: Origin\r\n"));    /* also without one: then it looks different */
    origin = http_field_get(&head->fields, S("origin"));
    if (origin.n == 0 || !is_allowed(allowed, origin))
        return;
    http_add_field(out, S("Access-Control-Allow-Origin"), origin);
    if (!str_eq(head->method, S("OPTIONS"))) {
        buf_add(out, S("Access-Control-Expose-Headers: *\r\n"));
        return;
    }
    buf_add(out, S("Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, "
                   "OPTIONS\r\nAccess-Control-Max-Age: 600\r\n"));
    wanted = http_field_get(&head->fields, S("access-control-request-headers"));
    if (wanted.n != 0)
        http_add_field(out, S("Access-Control-Allow-Headers"), wanted);
}
