/* map.h - a hash table with string keys, for tables that are built once and read often.
 *
 * Open addressing; the hash is seeded because keys may come from outside. The map copies the keys
 * and does not own the values.
 */
#pragma once

#include "base/base.h"

struct map;

struct map *map_create(void) NEVER_NULL;
void map_destroy(struct map *m);

/* Inserts or replaces; returns the previous value, or NULL. `value` must not be NULL. */
void *map_put(struct map *m, struct str key, void *value);

/* The value, or NULL. */
void *map_get(const struct map *m, struct str key);

/* Removes an entry; returns its value, or NULL. */
void *map_remove(struct map *m, struct str key);

size_t map_count(const struct map *m);

/* Iterates in insertion order: start with *pos = 0; false at the end. */
bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value);

/* The seeded 64-bit hash that the map uses (wyhash-like mixing); stable within one process. */
uint64_t map_hash(struct str key);
