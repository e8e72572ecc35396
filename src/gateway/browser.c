/* browser.c - CORS (Fetch standard, section 3.2), and requests that CORS does not prevent. */
#include "gateway/browser.h"

#include "base/url.h"
#include "net/address.h"

/* Is the origin in the list? */
static bool
is_allowed(const struct conf_strs *allowed, struct str origin)
{
    for (size_t i = 0; i < allowed->count; i++)
        if (str_eq(allowed->list[i].v, S("*")) || str_ieq(allowed->list[i].v, origin))
            return true;
    return false;
}

/* Is this the address of the listener? A wildcard listener accepts any address. */
static bool
is_listened_on(const struct conf_str *listen, const struct address *a)
{
    char room[ADDRESS_TEXT_ROOM], own_room[ADDRESS_TEXT_ROOM];
    struct address own;
    struct str host;
    uint16_t port;

    if (!address_split(listen->v, &host, &port))
        return false;    /* a unix socket */
    if (host.n == 0)
        return true;
    if (!address_parse(host, 0, &own))
        return false;
    struct str text = address_text(&own, own_room);
    return str_eq(text, S("0.0.0.0")) || str_eq(text, S("::")) ||
           str_eq(text, address_text(a, room));
}

static bool
is_loopback(const struct address *a)
{
    const uint8_t *v6 = a->v6.sin6_addr.s6_addr;

    if (a->any.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr) && v6[12] == 127);
}

static bool
is_our_address(const struct conf_server *server, const struct address *a)
{
    if (is_loopback(a))
        return true;
    for (size_t i = 0; i < server->listen.count; i++)
        if (is_listened_on(&server->listen.list[i], a))
            return true;
    return is_listened_on(&server->admin_listen, a);
}

static bool
is_our_name(const struct conf_server *server, struct str name)
{
    if (str_ends(name, S(".")))
        name.n--;
    if (str_ieq(name, S("localhost")))
        return true;
    if (name.n > 10 && str_ieq(str_skip(name, name.n - 10), S(".localhost")))
        return true;
    for (size_t i = 0; i < server->hosts.count; i++)
        if (str_eq(server->hosts.list[i].v, S("*")) || str_ieq(server->hosts.list[i].v, name))
            return true;
    return false;
}

bool
browser_is_our_host(const struct conf_server *server, struct str host)
{
    struct address a;
    struct url_host h;

    if (host.n == 0)
        return true;    /* HTTP/1.0: not a browser, they always send Host */
    if (!url_split_host(host, &h))
        return false;
    if (!address_parse(h.name, 0, &a))
        return !h.bracketed && is_our_name(server, h.name);
    return h.bracketed == (a.any.sa_family == AF_INET6) &&
           (is_our_address(server, &a) || is_our_name(server, h.name));
}

/* Programs that embed a browser, such as editors, use schemes of their own (vscode-file://), which
 * a web page cannot have. */
static bool
is_program(const struct url *origin)
{
    return origin->authority.p != NULL && !str_ieq(origin->scheme, S("http")) &&
           !str_ieq(origin->scheme, S("https")) && !str_ends(origin->scheme, S("-extension"));
}

bool
browser_is_foreign_page(const struct conf_server *server, const struct http_head *head)
{
    struct str origin = http_field_get(&head->fields, S("origin"));
    struct str host = http_field_get(&head->fields, S("host"));

    if (origin.n == 0)
        return false;
    struct url u = url_split(origin);
    if (is_program(&u) || is_allowed(&server->cors_origins, origin))
        return false;
    return !(str_ieq(u.scheme, S("http")) || str_ieq(u.scheme, S("https"))) ||
           u.userinfo.p != NULL || u.rest.n != 0 || !str_ieq(u.authority, host) ||
           !browser_is_our_host(server, host);
}

void
browser_add_fields(const struct conf_strs *allowed, const struct http_head *head, struct buf *out)
{
    struct str origin, wanted;

    if (allowed->count == 0)
        return;
    buf_add(out, S("Vary: Origin\r\n"));    /* without an Origin too: that answer differs */
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
