/* arena.h - memory that lives exactly as long as one exchange.
 *
 * Whatever is parsed, translated or formatted for an exchange is allocated
 * here and given back in one go; nothing is freed piece by piece. An arena
 * belongs to one thread and takes no locks. Stream decoders mark and rewind
 * it around each event, so that a long stream allocates nothing per token.
 */
#pragma once

#include "base/base.h"
#include "base/quota.h"

struct arena;

/* A new arena that hands out at most `limit_bytes` through arena_try(). */
struct arena *arena_create(size_t limit_bytes) NEVER_NULL;

/* Makes the arena as new, for its next user: runs the cleanups and releases everything but the
 * first page. */
void arena_reset(struct arena *a);

/* From now on what the arena takes beyond its first page counts in `share`, which must belong to the
 * thread that uses the arena and outlive it. When the quota has no room, arena_try() and
 * arena_grow() return NULL from then on. */
void arena_count_in(struct arena *a, struct quota_share *share);

/* True once the quota had no room for the arena. */
bool arena_was_refused(const struct arena *a);

/* Runs the cleanups, newest first, then releases everything. NULL is a no-op. */
void arena_destroy(struct arena *a);

/* Zeroed memory for something small whose size the program chose. Never NULL; `align` is a power of
 * two. */
void *arena_alloc(struct arena *a, size_t size, size_t align) NEVER_NULL;
/* The same, not zeroed. */
void *arena_alloc_raw(struct arena *a, size_t size, size_t align) NEVER_NULL;
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type), alignof(type)))

/* Zeroed array of a small number of elements that the program chose. */
#define arena_array(a, type, count)                                                                \
    ((type *)arena_alloc((a), sizeof(type) * (count), alignof(type)))

/* Memory, not zeroed, for something whose size an outsider chose: a body, a JSON document, a stream
 * event. Aligned for any type. NULL once the limit is reached; the caller answers 413. */
void *arena_try(struct arena *a, size_t size) MUST_CHECK;

/* Grows the newest arena_try() block in place, or moves it; contents are kept. `p` may be NULL with
 * old_size 0. NULL (and `p` unharmed) once the limit is reached. */
void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size) MUST_CHECK;

/* A NUL-terminated copy of `s`; an empty slice with p == NULL once the limit is reached. */
struct str arena_str(struct arena *a, struct str s);

/* A formatted, NUL-terminated string; truncated at 4 KB. */
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);

/* Calls fn(arg) when the arena is destroyed. */
void arena_cleanup(struct arena *a, void (*fn)(void *arg), void *arg);

/* arena_rewind() releases everything that was allocated after the mark. Between the two, register
 * no cleanup and grow nothing that is older than the mark. */
struct arena_mark {
    const void *chunk;
    const void *cleanup;
    size_t used;
    size_t tried;
    uint64_t serial;
};
struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

/* Bytes held from the system, for metrics and tests. */
size_t arena_held_bytes(const struct arena *a);

/* Tests only: the n-th arena_try() or arena_grow() from now on this thread fails, once; 0 cancels
 * that. True if an earlier failure is still pending, so that a loop over n can end. */
bool arena_fail_after_for_tests(unsigned n);
