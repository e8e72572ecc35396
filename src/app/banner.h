/* banner.h - what `serve` says to the person who started it: where it is, who answers, what to
 * try. */
#pragma once

#include "route/route.h"

struct banner {
    struct str address;    /* "127.0.0.1:8080" */
    bool tls;
    bool keys;    /* callers need one */
    unsigned workers;
};

/* Written to standard error. */
void banner_print(const struct banner *b, const struct route_table *routes);
