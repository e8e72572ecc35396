/* banner.h - what `serve` prints at its start: address, providers, a command to try. */
#pragma once

#include "gateway/snapshot.h"

struct banner {
    struct str address;    /* "127.0.0.1:8080" */
    bool tls;
    bool keys;    /* clients need a key */
    unsigned workers;
};

/* Written to standard error. */
void banner_print(const struct banner *b, const struct snapshot *s);
