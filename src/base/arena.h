/* arena.h - memory that is released all at once, at the end of an exchange.
 *
 * Whatever is parsed, translated or formatted for an exchange is allocated here; nothing is freed
 * individually. An arena belongs to one thread and takes no locks. Stream decoders set a mark
 * before each event and rewind to it afterwards, so that a long stream allocates nothing per token.
 */
#pragma once

#include "base/base.h"
#include "base/quota.h"

struct arena;

/* A new arena that hands out at most `limit_bytes` through arena_try(). */
struct arena *arena_create(size_t limit_bytes) NEVER_NULL;

/* The same with a first page of `first_bytes`, which an arena that is reused for a known purpose
 * keeps: large enough for the usual case, and no larger. */
struct arena *arena_create_sized(size_t limit_bytes, size_t first_bytes) NEVER_NULL;

/* Resets the arena for its next user: runs the cleanups and releases everything but the first
 * page. */
void arena_reset(struct arena *a);

/* Counts what the arena allocates beyond its first page in `share`, which must belong to the thread
 * that uses the arena and must outlive it. Once the quota is exceeded, arena_try() and arena_grow()
 * return NULL. */
void arena_count_in(struct arena *a, struct quota_share *share);

/* True once the quota was exceeded by this arena. */
bool arena_was_refused(const struct arena *a);

/* Runs the cleanups, newest first, then releases everything. NULL is a no-op. */
void arena_destroy(struct arena *a);

/* Zeroed memory of a size that the program chose, not its input. Never NULL; `align` is a power of
 * two. */
void *arena_alloc(struct arena *a, size_t size, size_t align) NEVER_NULL;
/* The same, not zeroed. */
void *arena_alloc_raw(struct arena *a, size_t size, size_t align) NEVER_NULL;
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type), alignof(type)))

/* Zeroed array of a small number of elements that the program chose. */
#define arena_array(a, type, count)                                                                \
    ((type *)arena_alloc((a), sizeof(type) * (count), alignof(type)))

/* Memory, not zeroed, of a size that depends on outside data: a body, a JSON document, a stream
 * event. Aligned for any type. NULL if it would exceed the limit; the caller answers with 413. */
void *arena_try(struct arena *a, size_t size) MUST_CHECK;

/* Grows the newest arena_try() block in place, or moves it; contents are kept. `p` may be NULL with
 * old_size 0. NULL (and `p` unharmed) once the limit is reached. */
void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size) MUST_CHECK;

/* Appends to a text that is empty or that only arena_append() has written. Its room doubles, so
 * that many pieces cost in proportion. False, and *text as it was, once the limit is reached. */
bool arena_append(struct arena *a, struct str *text, struct str more) MUST_CHECK;

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

/* Bytes allocated from the system, for metrics and tests. */
size_t arena_held_bytes(const struct arena *a);

/* For tests: makes the n-th arena_try() or arena_grow() from now on in this thread fail, once; 0
 * cancels that. True if an earlier failure is still pending, so that a loop over n can end. */
bool arena_fail_after_for_tests(unsigned n);
