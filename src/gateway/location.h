/* location.h - where a provider's Location leads, as the caller has to read it.
 *
 * A caller that follows it sends along the key that it has for the gateway. So what is within the
 * provider's base URL becomes the gateway's own path to it.
 */
#pragma once

#include "base/arena.h"
#include "net/dial.h"

/* The value for the caller: the gateway's path to what is within the base URL; as it is when it is
 * relative, or on another server. Empty for what the gateway has no path to: the provider's server
 * beside the base URL. */
struct str location_for_caller(
    struct arena *a, const struct origin *o, struct str base_path, struct str location);
