/* bpe.c - merges the two neighbours that make the token of lowest rank, the leftmost of equals, until none
 * make one.
 *
 * The next merge is found by a tournament: a binary tree over the positions in which each node has the
 * lesser of its two below. A merge changes three positions, each in log(n) steps.
 *
 * The memory is that of a window: a longer piece is encoded window by window, without a difference in the
 * result. If x and y are neighbours in the encoding of some text, they are what xy encodes to; and if the
 * encoding of A ends with x, and that of B begins with y, then that of AB is the two one after the other.
 * So a window is cut between two tokens some way before its end, and if the next window, which begins
 * there, begins with the same token, then the end of the window had no influence on that place, and the cut
 * is right. Otherwise it is made further back. The influence of an end goes from merge to merge of ever
 * higher rank; a chain that is as long as a window is not known.
 */
#include "tokens/bpe.h"

enum {
    WINDOW_BITS = 12,
    WINDOW = 1 << WINDOW_BITS,
    CUTS = 3,    /* places to cut a window at, each twice as far from its end */
    NEAREST_CUT = WINDOW / 8,
};
#define KEY_NONE UINT32_MAX

/* A text that is being encoded. The tree has a key of each position at which a token begins: the rank of
 * that token and the next one as one, and the position, in one number so that the least is the leftmost. */
struct bpe_window {
    const struct vocab *vocab;
    const char *p;
    uint32_t n, leaves;                             /* bytes; leaves of the tree, a power of 2 */
    uint16_t next[WINDOW + 1], prev[WINDOW + 1];    /* beginnings of the neighbours */
    uint32_t tree[2 * WINDOW];                      /* from 1 on: node i is over 2i and 2i+1 */
};

/* Of the token at `i` and its next one. */
static inline uint32_t
key_at(const struct bpe_window *w, uint32_t i)
{
    uint32_t next = w->next[i];

    if (next >= w->n)
        return KEY_NONE;

    uint32_t rank = vocab_rank(w->vocab, w->p + i, w->next[next] - i);

    return rank == VOCAB_NO_RANK ? KEY_NONE : rank << WINDOW_BITS | i;
}

static inline void
set_key(struct bpe_window *w, uint32_t i, uint32_t key)
{
    uint32_t at = w->leaves + i;

    w->tree[at] = key;
    while (at > 1) {
        uint32_t least = MIN(w->tree[at], w->tree[at ^ 1]);

        at /= 2;
        if (w->tree[at] == least)
            break;
        w->tree[at] = least;
    }
}

static void
encode(struct bpe_window *w, const struct vocab *v, const char *p, uint32_t n)
{
    w->vocab = v, w->p = p, w->n = n;
    w->leaves = 1;
    while (w->leaves < n)
        w->leaves *= 2;
    for (uint32_t i = 0; i <= n; i++) {
        w->next[i] = (uint16_t)(i + 1);
        w->prev[i] = (uint16_t)(i - 1);
    }
    for (uint32_t i = 0; i < w->leaves; i++)
        w->tree[w->leaves + i] = i < n ? key_at(w, i) : KEY_NONE;
    for (uint32_t i = w->leaves - 1; i > 0; i--)
        w->tree[i] = MIN(w->tree[2 * i], w->tree[2 * i + 1]);

    while (w->tree[1] != KEY_NONE) {
        uint32_t i = w->tree[1] & (WINDOW - 1), gone = w->next[i];

        w->next[i] = w->next[gone];
        w->prev[w->next[i]] = (uint16_t)i;
        set_key(w, gone, KEY_NONE);
        set_key(w, i, key_at(w, i));
        if (i != 0)
            set_key(w, w->prev[i], key_at(w, w->prev[i]));
    }
}

/* Where the window may be cut: a token begins there. */
struct cut {
    size_t at;         /* in the piece */
    size_t tokens;     /* before it */
    uint32_t first;    /* bytes of the token there */
};

/* The tokens of the window, which begins at `begun`; *ret_cuts has the last place first. */
static size_t
count_window(const struct bpe_window *w, const struct cut *begun, struct cut ret_cuts[CUTS])
{
    uint32_t most[CUTS];
    size_t tokens = begun->tokens;

    for (int c = 0; c < CUTS; c++)
        most[c] = w->n - MIN(w->n, (uint32_t)NEAREST_CUT << c);
    for (uint32_t i = 0; i < w->n; i = w->next[i], tokens++)
        for (int c = 0; c < CUTS && i <= most[c]; c++)
            ret_cuts[c] = (struct cut){ begun->at + i, tokens, w->next[i] - i };
    return tokens;
}

static NOINLINE size_t
count_long(const struct vocab *v, struct str piece)
{
    UNINITIALIZED struct bpe_window w;
    struct cut begun = { .at = 0 }, cuts[CUTS];

    encode(&w, v, piece.p, (uint32_t)MIN(piece.n, WINDOW));
    for (;;) {
        size_t tokens = count_window(&w, &begun, cuts);
        int c = 0;

        if (begun.at + w.n == piece.n)
            return tokens;
        do {
            begun = cuts[c];
            encode(&w, v, piece.p + begun.at, (uint32_t)MIN(piece.n - begun.at, WINDOW));
        } while (w.next[0] != begun.first && ++c < CUTS);
    }
}

size_t
bpe_count(const struct vocab *v, struct str piece)
{
    if (piece.n <= 1 || vocab_rank(v, piece.p, piece.n) != VOCAB_NO_RANK)
        return piece.n != 0;
    return count_long(v, piece);
}
