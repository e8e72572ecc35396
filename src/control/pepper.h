/* pepper.h - the secret that the digests of keys are made with (policy/key_form.h): where it lives.
 *
 * It is `auth.pepper` of the configuration, which several gateways with one store must share, or else the file
 * "pepper" in the folder for state, which the first start makes. The store has a digest of it, so that a
 * gateway with another one notices instead of refusing all keys without a word. Whoever loses it loses
 * all keys of the store: they have to be made anew, or imported again.
 */
#pragma once

#include "base/why.h"
#include "store/store.h"

#define PEPPER_LEAST_BYTES 16
#define PEPPER_ROOM 72    /* of that in a file: 64 hexadecimal digits */

/* Reads the file "pepper" in that folder, which is made if there is none (0600, of random bytes). Several processes may
 * do that at once. Empty with the reason if that fails. */
struct str pepper_load(const char *folder, char room[PEPPER_ROOM], struct why why);

/* Is it the one that the store's keys were made with? The first one that asks makes it that. STORE_CONFLICT: it is
 * another. */
enum store_result pepper_check(struct store *s, struct str pepper);
