/* text.c - the text of simulated answers, and how it is split into tokens. */
#include "mock/text.h"

enum { TOKEN_BYTES_MAX = 12 };    /* longer words are several tokens */

/* Every word has a leading blank, so that the text can be repeated without a break. */
static const char tide[] =
    " The tide comes in twice a day and nobody has to ask for it. A crab under the pier counts the"
    " waves, loses count, and starts again with the same patience. Boats lean on their ropes, gulls"
    " argue about nothing in particular, and the lighthouse keeper writes one line in a book: wind"
    " from the west, all well. When the water leaves it takes the footprints along and gives back a"
    " few shells in exchange, which seems a fair price. Children sort them by colour, then by size,"
    " then by how much sea can still be heard inside. In the evening the light turns once every ten"
    " seconds, and whoever is out there knows where the land begins.";

static const char thoughts[] = " The user wants an answer. I should look at what was asked, keep "
                               "it short, and say plainly that"
                               " this is a simulation.";

static size_t
character_length(struct str s, size_t at)
{
    size_t n = 1;

    while (at + n < s.n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80)
        n++;
    return n;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The token of `s` that starts at `at`: leading blanks, then letters up to the next blank. */
static struct str
token_at(struct str s, size_t at)
{
    size_t end = at;

    while (end < s.n && is_blank(s.p[end]) && end - at < TOKEN_BYTES_MAX)
        end++;
    while (end < s.n && !is_blank(s.p[end]) && end - at < TOKEN_BYTES_MAX)
        end += character_length(s, end);
    return str_make(s.p + at, end - at);
}

struct str
mock_run_next(const struct mock_run *run, size_t *at)
{
    if (*at >= run->base.n)
        *at = 0;

    struct str token = token_at(run->base, *at);
    *at += token.n;
    return token;
}

struct mock_run
mock_run_of(struct str text)
{
    struct mock_run run = { .base = text };

    for (size_t at = 0; at < text.n; run.tokens++)
        at += token_at(text, at).n;
    return run;
}

static struct mock_run
endless(const char *text, uint64_t tokens)
{
    return (struct mock_run){ .base = str_c(text), .start = 1, .tokens = tokens };
}

struct mock_run
mock_run_endless(uint64_t tokens)
{
    return endless(tide, tokens);
}

struct mock_run
mock_run_thoughts(uint64_t tokens)
{
    return endless(thoughts, tokens);
}

struct str
mock_text_head(struct str text, size_t most)
{
    size_t n = 0;

    while (n < text.n && n < most)
        n += character_length(text, n);
    return str_make(text.p, n);
}
