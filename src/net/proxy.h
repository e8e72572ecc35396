/* proxy.h - the proxy that the environment configures, read as curl and most SDKs do. */
#pragma once

#include "base/base.h"

/* The environment's settings: slices of its variables, or empty. */
struct proxy_env {
    struct str https;
    struct str http;
    struct str all;
    struct str no;
};

/* Reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; lower case goes first unless it is empty.
 * In upper case HTTP_PROXY is not trusted where CGI could have made it from a request's Proxy
 * header. */
struct proxy_env proxy_env_read(void);

/* The proxy's URL for an origin; empty: none. `is_https` tells the origin's scheme. "localhost" and
 * loopback addresses never take one: models served on this machine, and the simulated provider. */
struct str proxy_find(const struct proxy_env *env, bool is_https, struct str host, uint16_t port);
