/* arena.c - two lists: chunks shared by small allocations, and a block for each large one.
 *
 *     arena ─► chunk ─► chunk ─► first chunk (holds the arena itself)
 *         └──► block ─► block
 *
 * A large arena_try() does not close the chunk in use, and its block can grow by realloc(): a body
 * or a JSON document that doubles again and again moves pages instead of bytes. Blocks carry a
 * serial number, so that a rewind knows which of them are younger than the mark.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

#if defined(ARENA_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
enum { RED_ZONE = 16 };    /* between two allocations, so that an overrun is detected */
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { RED_ZONE = 0 };
#endif

enum {
    MALLOC_OVERHEAD = 16,
    FIRST_CHUNK = 4096 - MALLOC_OVERHEAD,    /* bytes of the first malloc unless said otherwise */
    SECOND_CHUNK = 512 - MALLOC_OVERHEAD,    /* the next ones double up to CHUNK_MAX */
    CHUNK_MAX = 64 * 1024 - MALLOC_OVERHEAD,
    SPARE_MAX = 16 * 1024,    /* largest chunk that a rewind keeps for the next event */
    OWN_BLOCK = 2048,         /* an arena_try() of this size that does not fit gets its own block */
    PRINTF_MAX = 4096,
};

#define SIZE_LAST ((size_t)PTRDIFF_MAX / 2)    /* larger sizes are bugs; sums cannot overflow */

struct arena_chunk {
    struct arena_chunk *older;
    size_t size;    /* of `data` */
    size_t used;
    alignas(max_align_t) char data[];
};

struct block {
    struct block *older;
    uint64_t serial;
    size_t size;
    alignas(max_align_t) char data[];
};

struct cleanup {
    struct cleanup *older;
    void (*fn)(void *arg);
    void *arg;
};

struct arena {
    struct arena_chunk *chunk;    /* newest */
    struct arena_chunk *spare;    /* emptied by a rewind, or NULL */
    struct block *block;          /* newest */
    struct cleanup *cleanup;
    void *grows;          /* the newest arena_try() when it ends the chunk, else NULL */
    size_t first;         /* bytes of the first malloc */
    size_t next_chunk;    /* bytes of the next malloc for a chunk */
    size_t limit;
    size_t tried;
    size_t held;
    uint64_t serial;              /* of the newest block */
    struct quota_share *share;    /* counts what is held beyond the first chunk; may be NULL */
    bool refused;                 /* the quota was exceeded: arena_try() fails from now on */
};

/* The first chunk is in the same allocation as the arena, after it. */
enum {
    FIRST_CHUNK_AT = (sizeof(struct arena) + alignof(struct arena_chunk) - 1) /
                     alignof(struct arena_chunk) * alignof(struct arena_chunk),
};

static inline struct arena_chunk *
first_chunk(struct arena *a)
{
    return (struct arena_chunk *)(void *)((char *)a + FIRST_CHUNK_AT);
}

static _Thread_local unsigned fail_after;

bool
arena_fail_after_for_tests(unsigned n)
{
    bool waiting = fail_after != 0;

    fail_after = n;
    return waiting;
}

/* True if a test wants this allocation to fail. */
static inline bool
fails_for_test(void)
{
    return UNLIKELY(fail_after != 0) && --fail_after == 0;
}

struct arena *
arena_create_sized(size_t limit_bytes, size_t first_bytes)
{
    CHECK(first_bytes > FIRST_CHUNK_AT + sizeof(struct arena_chunk) && first_bytes <= CHUNK_MAX);

    struct arena *a = check_alloc(malloc(first_bytes));
    struct arena_chunk *first = first_chunk(a);

    *a = (struct arena){
        .chunk = first,
        .first = first_bytes,
        .next_chunk = SECOND_CHUNK,
        .limit = limit_bytes,
        .held = first_bytes,
    };
    *first = (struct arena_chunk){ .size = first_bytes - FIRST_CHUNK_AT - sizeof(*first) };
    POISON(first->data, first->size);
    return a;
}

struct arena *
arena_create(size_t limit_bytes)
{
    return arena_create_sized(limit_bytes, FIRST_CHUNK);
}

void
arena_count_in(struct arena *a, struct quota_share *share)
{
    CHECK(a->share == NULL && a->held == a->first);
    a->share = share;
}

bool
arena_was_refused(const struct arena *a)
{
    return a->refused;
}

/* Counts `bytes` in the quota. False, from then on, once it is exceeded. */
static bool
may_take(struct arena *a, size_t bytes)
{
    if (a->refused || (a->share != NULL && !quota_share_add(a->share, bytes, true))) {
        a->refused = true;
        return false;
    }
    return true;
}

static void
give_back(struct arena *a, size_t bytes)
{
    if (a->share != NULL)
        quota_share_give(a->share, bytes);
}

static void
free_chunk(struct arena *a, struct arena_chunk *c)
{
    a->held -= sizeof(*c) + c->size;
    give_back(a, sizeof(*c) + c->size);
    free(c);
}

static void
free_block(struct arena *a, struct block *b)
{
    a->held -= sizeof(*b) + b->size;
    give_back(a, sizeof(*b) + b->size);
    free(b);
}

void
arena_reset(struct arena *a)
{
    struct arena_chunk *first = first_chunk(a);

    while (a->cleanup != NULL) {
        struct cleanup *c = a->cleanup;

        a->cleanup = c->older;
        c->fn(c->arg);
    }
    while (a->block != NULL) {
        struct block *b = a->block;

        a->block = b->older;
        free_block(a, b);
    }
    while (a->chunk != first) {
        struct arena_chunk *c = a->chunk;

        a->chunk = c->older;
        free_chunk(a, c);
    }
    if (a->spare != NULL)
        free_chunk(a, a->spare);
    a->spare = NULL;
    a->grows = NULL;
    a->next_chunk = SECOND_CHUNK;
    a->tried = 0;
    a->refused = false;
    first->used = 0;
    POISON(first->data, first->size);
}

void
arena_destroy(struct arena *a)
{
    if (a == NULL)
        return;
    arena_reset(a);
    free(a);
}

/* Returns where `size` bytes (at most SIZE_LAST) fit into the newest chunk, or NULL. */
static inline char *
fit(const struct arena *a, size_t size, size_t align)
{
    struct arena_chunk *c = a->chunk;
    uintptr_t at = (uintptr_t)(c->data + c->used);
    size_t pad = (size_t)(-at & (align - 1));
    size_t room = c->size - c->used;

    if (UNLIKELY(pad + size + RED_ZONE > room))
        return NULL;
    return c->data + c->used + pad;
}

/* Allocates `size` bytes at `p`, as found by fit(). */
static inline void
claim(struct arena *a, char *p, size_t size)
{
    a->chunk->used = (size_t)(p - a->chunk->data) + size + RED_ZONE;
    UNPOISON(p, size);
}

/* Adds a chunk in which `size` bytes fit at any alignment up to `align`. NULL if memory is
 * exhausted or the quota is exceeded (with `ours`, exceeding the quota is counted but allowed). */
static struct arena_chunk *
add_chunk(struct arena *a, size_t size, size_t align, bool ours)
{
    size_t needed = size + align + RED_ZONE;
    struct arena_chunk *c = a->spare;

    if (c != NULL && c->size >= needed) {
        a->spare = NULL;
    } else {
        size_t total = MAX(a->next_chunk, sizeof(*c) + needed);

        if (!ours && !may_take(a, total))
            return NULL;
        c = malloc(total);
        if (c == NULL) {
            if (!ours)
                give_back(a, total);
            return NULL;
        }
        if (ours && a->share != NULL && !quota_share_force(a->share, total))
            a->refused = true;
        c->size = total - sizeof(*c);
        a->held += total;
        a->next_chunk = MIN(2 * (a->next_chunk + MALLOC_OVERHEAD) - MALLOC_OVERHEAD, CHUNK_MAX);
    }
    c->used = 0;
    c->older = a->chunk;
    a->chunk = c;
    POISON(c->data, c->size);
    return c;
}

void *
arena_alloc(struct arena *a, size_t size, size_t align)
{
    return memset(arena_alloc_raw(a, size, align), 0, size);
}

void *
arena_alloc_raw(struct arena *a, size_t size, size_t align)
{
    CHECK(size <= SIZE_LAST);

    char *p = fit(a, size, align);
    if (UNLIKELY(p == NULL)) {
        (void)check_alloc(add_chunk(a, size, align, true));
        p = fit(a, size, align);
    }
    claim(a, p, size);
    a->grows = NULL;
    return p;
}

/* A separate block of `size` bytes. NULL if memory is exhausted. */
static void *
add_block(struct arena *a, size_t size)
{
    if (!may_take(a, sizeof(struct block) + size))
        return NULL;

    struct block *b = malloc(sizeof(*b) + size);

    if (b == NULL) {
        give_back(a, sizeof(*b) + size);
        return NULL;
    }
    b->older = a->block;
    b->serial = ++a->serial;
    b->size = size;
    a->block = b;
    a->held += sizeof(*b) + size;
    return b->data;
}

void *
arena_try(struct arena *a, size_t size)
{
    if (UNLIKELY(fails_for_test() || a->refused || size > a->limit - a->tried || size > SIZE_LAST))
        return NULL;

    char *p = fit(a, size, alignof(max_align_t));
    if (UNLIKELY(p == NULL)) {
        if (size >= OWN_BLOCK) {
            p = add_block(a, size);
            a->tried += p != NULL ? size : 0;
            return p;
        }
        if (add_chunk(a, size, alignof(max_align_t), false) == NULL)
            return NULL;
        p = fit(a, size, alignof(max_align_t));
    }
    claim(a, p, size);
    a->grows = p;
    a->tried += size;
    return p;
}

/* Can the newest allocation of the newest chunk, `p`, have `size` bytes without moving? */
static bool
fits_in_place(const struct arena *a, const char *p, size_t size)
{
    size_t room = a->chunk->size - (size_t)(p - a->chunk->data);

    return size <= SIZE_LAST && size + RED_ZONE <= room;
}

/* Resizes the newest block. NULL if memory is exhausted. */
static void *
resize_block(struct arena *a, size_t new_size)
{
    size_t old_size = a->block->size;

    if (new_size > old_size && !may_take(a, new_size - old_size))
        return NULL;

    struct block *b = realloc(a->block, sizeof(*b) + new_size);

    if (b == NULL) {
        give_back(a, new_size > old_size ? new_size - old_size : 0);
        return NULL;
    }
    if (new_size < old_size)
        give_back(a, old_size - new_size);
    a->held = a->held - b->size + new_size;
    b->size = new_size;
    a->block = b;
    return b->data;
}

/* Copies to a new place; the old one stays allocated until the arena is destroyed. */
static void *
move_block(struct arena *a, const void *p, size_t old_size, size_t new_size)
{
    void *moved = arena_try(a, new_size);

    if (moved != NULL && old_size != 0)
        memcpy(moved, p, MIN(old_size, new_size));
    return moved;
}

void *
arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size)
{
    bool newest_block = p != NULL && a->block != NULL && p == a->block->data;
    bool in_place = p != NULL && p == a->grows && fits_in_place(a, p, new_size);

    if (!newest_block && !in_place)
        return p != NULL && new_size <= old_size ? p : move_block(a, p, old_size, new_size);

    size_t more = new_size > old_size ? new_size - old_size : 0;
    size_t less = old_size > new_size ? old_size - new_size : 0;
    if (UNLIKELY(
            fails_for_test() || a->refused || more > a->limit - a->tried || new_size > SIZE_LAST))
        return NULL;

    if (newest_block) {
        p = resize_block(a, new_size);
        if (p == NULL)
            return NULL;
    } else {
        POISON(p, old_size);
        claim(a, p, new_size);
    }
    a->tried = a->tried + more - less;
    return p;
}

/* The room of an appended text: a power of two, so that it need not be stored. */
static size_t
room_for(size_t n)
{
    size_t room = n != 0 ? 16 : 0;

    while (room < n)
        room *= 2;
    return room;
}

bool
arena_append(struct arena *a, struct str *text, struct str more)
{
    size_t had = room_for(text->n);
    size_t room = room_for(text->n + more.n);
    char *p = (char *)(uintptr_t)text->p;

    if (room != had)
        p = arena_grow(a, had != 0 ? p : NULL, had, room);
    if (p == NULL && room != had)
        return false;
    if (more.n > 0)
        memcpy(p + text->n, more.p, more.n);
    text->p = p;
    text->n += more.n;
    return true;
}

struct str
arena_str(struct arena *a, struct str s)
{
    char *p = arena_try(a, s.n + 1);

    if (p == NULL)
        return str_make(NULL, 0);
    str_copy_c(p, s.n + 1, s);
    return str_make(p, s.n);
}

struct str
arena_printf(struct arena *a, const char *format, ...)
{
    UNINITIALIZED char text[PRINTF_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(n >= 0);

    size_t len = MIN((size_t)n, sizeof(text) - 1);
    char *p = arena_alloc(a, len + 1, 1);
    memcpy(p, text, len);
    return str_make(p, len);
}

void
arena_cleanup(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct cleanup *c = arena_new(a, struct cleanup);

    *c = (struct cleanup){ .older = a->cleanup, .fn = fn, .arg = arg };
    a->cleanup = c;
}

struct arena_mark
arena_mark(struct arena *a)
{
    return (struct arena_mark){
        .chunk = a->chunk,
        .cleanup = a->cleanup,
        .used = a->chunk->used,
        .tried = a->tried,
        .serial = a->serial,
    };
}

void
arena_rewind(struct arena *a, struct arena_mark mark)
{
    CHECK(a->cleanup == mark.cleanup);

    while (a->block != NULL && a->block->serial > mark.serial) {
        struct block *b = a->block;

        a->block = b->older;
        free_block(a, b);
    }
    while (a->chunk != mark.chunk) {
        struct arena_chunk *c = a->chunk;

        CHECK(c != first_chunk(a));    /* the mark belongs to another arena, or was rewound past */
        a->chunk = c->older;
        if (a->spare == NULL && c->size <= SPARE_MAX)
            a->spare = c;
        else
            free_chunk(a, c);
    }
    a->chunk->used = mark.used;
    a->grows = NULL;
    a->tried = mark.tried;
    POISON(a->chunk->data + mark.used, a->chunk->size - mark.used);
}

size_t
arena_held_bytes(const struct arena *a)
{
    return a->held;
}
