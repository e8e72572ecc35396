/* preflight.c - meets what `serve` will meet, and says it with its place in the file. */
#include "app/preflight.h"

struct tls_context *
preflight_tls(const struct conf *c, struct conf_problems *problems)
{
    char why[256];

    if (c->server.tls_cert.v.n == 0 || c->server.tls_key.v.n == 0)
        return NULL;
    struct tls_context *tls =
        tls_server_create(c->server.tls_cert.v.p, c->server.tls_key.v.p, why, sizeof(why));
    if (tls == NULL)
        conf_problem(problems, c->server.tls_cert.mark, "'server.tls' cannot be used: %s", why);
    return tls;
}
