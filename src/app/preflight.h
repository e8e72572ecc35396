/* preflight.h - checks of files and of the machine, for `check` and for the start of `serve`. */
#pragma once

#include "gateway/snapshot.h"
#include "net/tls.h"

/* The listeners' certificate and key; NULL without them, or with a problem when they cannot be
 * used. */
struct tls_context *preflight_tls(const struct conf *c, struct conf_problems *problems);

/* Warns of what works but is probably unintended, or will soon stop working: certificates that have
 * expired or soon will, secrets that everybody on this machine may read, names that no
 * target answers. Of a configuration without problems. */
void preflight_doubts(const struct snapshot *s, struct conf_problems *problems);

/* Tries what `serve` does first, and undoes it: opens the addresses, looks whether the logs can be
 * written. What another user or another moment may allow is a warning. */
void preflight_machine(const struct conf *c, struct conf_problems *problems);
