/* admin_view.h - how `status` and `top` show the state of a provider, key or target. */
#pragma once

#include "app/admin_client.h"

/* Is it used as usual? */
bool admin_is_well(const struct admin_client *c, const struct json *doc);

/* Appends "open: upstream_error for 12s, next try in 3s", or "ok". */
void admin_add_state(struct buf *out, const struct admin_client *c, const struct json *doc);

/* "provider/model" of a target. */
struct str admin_target(const struct admin_client *c, const struct json *target);

/* "420 ms", "1.2 s", or "-" for 0, into `room`. */
#define ADMIN_MS_ROOM 24
const char *admin_ms(uint64_t ms, char *room) NEVER_NULL;
