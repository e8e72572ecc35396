/* place.h - where the gateway keeps what must outlive it, when nobody said where. */
#pragma once

#include "base/arena.h"
#include "base/why.h"

/* The folder for state: $STATE_DIRECTORY (systemd), $XDG_STATE_HOME/openclaw or
 * ~/.local/state/openclaw; with `of_system`, for a process of root that becomes another user,
 * /var/lib/openclaw instead of the last two. Empty if none is known. */
struct str place_folder(struct arena *a, bool of_system);

/* The address of the store for a value of store.url: `auto` is a file in that folder; the rest stays as
 * it is. "off" if there is no folder. */
struct str place_store(struct arena *a, struct str setting, bool of_system);

/* Makes a folder for our user alone (0700), and those above it. False if there is none afterwards, or
 * it cannot be written, with the reason. */
bool place_make(const char *folder, struct why why) MUST_CHECK;
