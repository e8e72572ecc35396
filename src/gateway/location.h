/* location.h - rewrites a provider's Location field for the client.
 *
 * A client that follows it sends its API key of the gateway along. Locations below the provider's
 * base URL are therefore replaced by the gateway's own path to the same resource.
 */
#pragma once

#include "base/arena.h"
#include "net/dial.h"

/* The value to send to the client: the gateway's path for a location below the base URL; unchanged
 * if it is relative or on another server; empty if it is on the provider's server but not below the
 * base URL, because the gateway has no path to it. */
struct str location_for_caller(
    struct arena *a, const struct origin *o, struct str base_path, struct str location);
