/* warmth.c - a set-associative table of single words, as a processor's cache is: a word is read and written
 * at once, so nothing is ever half of one entry and half of another. */
#include "route/warmth.h"

#include <stdatomic.h>

#include "base/hash.h"

enum { SETS = 8192, WAYS = 4 };

/* An entry: a tag (24 bits), until when (20 bits, in ticks), tokens (20 bits, in units). 0: free. */
#define TAG_SHIFT 40
#define UNTIL_SHIFT 20
#define FIELD_MASK UINT64_C(0xfffff)
#define TICK_US UINT64_C(4000000)    /* so 48 days until ticks are the same again */
#define UNIT 16

static _Atomic uint64_t table[SETS][WAYS];

/* Until which tick any target may hold a prompt with such a hash: most that is asked for is held by none, and a
 * decision asks for it once for each of its targets. */
enum { FILTER = 16384 };
static _Atomic uint64_t held_until[FILTER];

#define LOAD(p) atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, value) atomic_store_explicit((p), (value), memory_order_relaxed)

static uint64_t
name_of(const struct health *target, uint64_t hash)
{
    return hash_mix(hash ^ HASH_WORD, (uint64_t)(uintptr_t)target ^ HASH_LAST);
}

static uint64_t
tag_of(uint64_t name)
{
    uint64_t tag = name >> TAG_SHIFT;

    return tag != 0 ? tag : 1;
}

/* Ticks left of an entry; 0: it is over. */
static uint64_t
left(uint64_t word, uint64_t now_us)
{
    uint64_t until = word >> UNTIL_SHIFT & FIELD_MASK;
    uint64_t ticks = (until - now_us / TICK_US) & FIELD_MASK;

    return word != 0 && ticks <= FIELD_MASK / 2 ? ticks : 0;
}

/* Where the name's entry is, or else the one that is over first. */
static _Atomic uint64_t *
find(uint64_t name, uint64_t now_us, uint64_t *ret_word)
{
    _Atomic uint64_t *set = table[name % SETS], *oldest = set;
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < WAYS; i++) {
        uint64_t word = LOAD(&set[i]), ticks = left(word, now_us);

        if (word >> TAG_SHIFT == tag_of(name) && ticks != 0) {
            *ret_word = word;
            return &set[i];
        }
        if (ticks < least) {
            least = ticks;
            oldest = &set[i];
        }
    }
    *ret_word = 0;
    return oldest;
}

static int64_t
tokens_of(uint64_t word)
{
    return (int64_t)(word & FIELD_MASK) * UNIT;
}

static void
note(const struct health *target, uint64_t hash, int64_t tokens, bool shortest, uint64_t keeps_ms,
    uint64_t now_us)
{
    uint64_t word, name = name_of(target, hash);

    if (hash == 0 || tokens < UNIT)
        return;
    _Atomic uint64_t *at = find(name, now_us, &word);
    if (shortest && word != 0)
        tokens = MIN(tokens, tokens_of(word));
    uint64_t until = (now_us / TICK_US + keeps_ms * 1000 / TICK_US) & FIELD_MASK;
    uint64_t units = MIN((uint64_t)tokens / UNIT, FIELD_MASK);
    STORE(at, tag_of(name) << TAG_SHIFT | until << UNTIL_SHIFT | units);
    uint64_t last = (now_us + keeps_ms * 1000) / TICK_US;
    if (last > LOAD(&held_until[hash % FILTER]))
        STORE(&held_until[hash % FILTER], last);
}

void
warmth_note(
    const struct health *target, uint64_t hash, int64_t tokens, uint64_t keeps_ms, uint64_t now_us)
{
    note(target, hash, tokens, false, keeps_ms, now_us);
}

void
warmth_note_beginning(
    const struct health *target, uint64_t hash, int64_t tokens, uint64_t keeps_ms, uint64_t now_us)
{
    note(target, hash, tokens, true, keeps_ms, now_us);
}

int64_t
warmth_tokens(const struct health *target, uint64_t hash, uint64_t now_us)
{
    uint64_t word;

    if (hash == 0 || LIKELY(LOAD(&held_until[hash % FILTER]) < now_us / TICK_US))
        return 0;
    (void)find(name_of(target, hash), now_us, &word);
    return tokens_of(word);
}

void
warmth_forget_for_tests(void)
{
    for (size_t i = 0; i < SETS; i++)
        for (size_t k = 0; k < WAYS; k++)
            STORE(&table[i][k], 0);
    for (size_t i = 0; i < FILTER; i++)
        STORE(&held_until[i], 0);
}
