/* ask.c - writes requests of commands by the provider's side of a wire. */
#include "cli/ask.h"

#include <stdio.h>

#include "http/message.h"
#include "llm/write.h"
#include "net/tls.h"

struct origin *
ask_origin(const char *command, const char *url, bool insecure, struct str *ret_path)
{
    bool https = str_istarts(str_c(url), S("https://"));
    struct tls_context *tls = NULL;
    struct origin *origin = NULL;
    char why[512];

    if (https)
        tls = tls_client_create(NULL, insecure, WHY(why));
    if (tls != NULL || !https)
        origin = origin_create(str_c(url), tls, ret_path, WHY(why));
    tls_context_unref(tls);
    if (origin == NULL)
        (void)fprintf(stderr, "openclaw %s: %s\n", command, why);
    return origin;
}

const struct wire *
ask_wire(const char *command, const char *name)
{
    const struct wire *found = NULL;
    const struct wire *wire;
    unsigned n = 0;

    for (size_t i = 0; (wire = wire_at(i)) != NULL; i++) {
        if (wire->provider == NULL || !str_starts(wire->name, str_c(name)))
            continue;
        found = wire;
        n++;
        if (str_eq(wire->name, str_c(name)))
            return wire;
    }
    if (n == 1)
        return found;
    (void)fprintf(stderr, "openclaw %s: --wire must be one of:", command);
    for (size_t i = 0; (wire = wire_at(i)) != NULL; i++)
        if (wire->provider != NULL)
            (void)fprintf(stderr, " " STR_FMT, STR_ARG(wire->name));
    (void)fprintf(stderr, "\n");
    return NULL;
}

void
ask_add_fields(struct buf *out, const char *command, const struct wire *wire, const char *key)
{
    buf_add(out, S("Content-Type: application/json\r\nAccept: */*\r\n"));
    buf_printf(out, "User-Agent: openclaw-%s\r\n", command);
    buf_add(out, wire->provider->fields);
    if (key != NULL && key[0] != '\0')
        buf_printf(out, STR_FMT STR_FMT "\r\n", STR_ARG(wire->provider->key),
            STR_ARG(str_trim(str_c(key))));    /* a file's last line end may be part of it */
}

void
ask_add_path(struct buf *out, const struct wire *wire, const struct llm_request *r, struct str base)
{
    const struct wire_target t = { .model = r->model };
    struct buf route;

    buf_init(&route, 4096);
    wire->provider->write_path(&route, r, &t);
    buf_add(out, base.n == 0 ? wire->provider->base : base);
    if (!str_ends(base, buf_str(&route)))
        buf_add(out, buf_str(&route));
    buf_fini(&route);
}

void
ask_add_body(struct buf *out, const struct wire *wire, const struct llm_request *r)
{
    const struct wire_target t = { .model = r->model };
    struct wire_drops drops = { .arena = r->arena };
    struct wire_fault fault;

    drops.tail = &drops.names;
    CHECK(write_request(wire, out, r, &t, &drops, &fault) == OK);
}
