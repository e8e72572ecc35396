/* preflight.h - what can be known before serving: `check` tells it, `serve` heeds it. */
#pragma once

#include "conf/conf.h"
#include "net/tls.h"

/* The listeners' certificate and key; NULL without them, or with a problem when they cannot be
 * used. */
struct tls_context *preflight_tls(const struct conf *c, struct conf_problems *problems);
