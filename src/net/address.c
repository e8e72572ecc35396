/* address.c - IP addresses with ports, from text and back. */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

#include "base/url.h"

bool
address_from(const struct sockaddr *from, struct address *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (from->sa_family == AF_INET)
        memcpy(&ret->v4, from, sizeof(ret->v4));
    else if (from->sa_family == AF_INET6)
        memcpy(&ret->v6, from, sizeof(ret->v6));
    else
        return false;
    return true;
}

socklen_t
address_len(const struct address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

void
address_set_port(struct address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

uint16_t
address_port(const struct address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

struct str
address_text(const struct address *a, char room[ADDRESS_TEXT_ROOM])
{
    char scope[IF_NAMESIZE];

    room[0] = '\0';
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, room, ADDRESS_TEXT_ROOM);
    } else if (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
        inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], room, ADDRESS_TEXT_ROOM);
    } else if (a->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, room, ADDRESS_TEXT_ROOM);
        if (a->v6.sin6_scope_id != 0 && if_indextoname(a->v6.sin6_scope_id, scope) != NULL) {
            size_t n = strlen(room);
            snprintf(room + n, ADDRESS_TEXT_ROOM - n, "%%%s", scope);
        }
    }
    return str_c(room);
}

struct str
address_text_port(const struct address *a, char room[ADDRESS_TEXT_ROOM])
{
    char host[ADDRESS_TEXT_ROOM];
    bool v6 = str_chr(address_text(a, host), ':') != strlen(host);

    snprintf(room, ADDRESS_TEXT_ROOM, v6 ? "[%.64s]:%u" : "%.64s:%u", host, address_port(a));
    return str_c(room);
}

bool
address_parse(struct str text, uint16_t port, struct address *ret)
{
    char room[ADDRESS_TEXT_ROOM];
    struct str host, scope;
    bool scoped = str_cut(text, '%', &host, &scope);

    memset(ret, 0, sizeof(*ret));
    if (host.n == 0 || host.n >= sizeof(room) || memchr(host.p, '\0', host.n) != NULL)
        return false;
    str_copy_c(room, sizeof(room), host);
    if (!scoped && inet_pton(AF_INET, room, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, room, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        if (scoped) {
            str_copy_c(room, sizeof(room), scope);
            ret->v6.sin6_scope_id = if_nametoindex(room);
            if (ret->v6.sin6_scope_id == 0)
                return false;
        }
    } else {
        return false;
    }
    address_set_port(ret, port);
    return true;
}

bool
address_split(struct str text, struct str *ret_host, uint16_t *ret_port)
{
    struct url_host h;

    if (!url_split_host(text, &h) || !url_port(h.port, ret_port))
        return false;
    *ret_host = h.name;
    return true;
}
