/* preflight.h - checks of files and of the machine, for `check` and for the start of `serve`. */
#pragma once

#include "gateway/snapshot.h"
#include "net/tls.h"

/* The listeners' certificate and key; NULL if none are set, or after reporting a problem. */
struct tls_context *preflight_tls(const struct conf *c, struct conf_problems *problems);

/* Warns of what works but is probably unintended, or will soon stop working: certificates that have
 * expired or soon will, secrets that everybody on this machine may read, names that no
 * target answers. The configuration must have no problems. */
void preflight_doubts(const struct snapshot *s, struct conf_problems *problems);

/* Tries what `serve` does at its start, and undoes it: opens the addresses, checks that the logs
   can be written. What may work for another user or later is a warning. */
void preflight_machine(const struct conf *c, struct conf_problems *problems);
