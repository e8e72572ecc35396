/* effort.c - maps effort words to token budgets. */
#include "llm/effort.h"

/* A word means `budget` tokens; a budget less than `below` maps to that word. Ascending; rows with
 * `below` 0 are never chosen for a budget. */
static const struct {
    struct str word;
    int64_t budget;
    int64_t below;
} efforts[] = {
    { S_INIT("none"), 0, 1 },
    { S_INIT("minimal"), 1024, 0 },
    { S_INIT("low"), 1536, 2048 },
    { S_INIT("medium"), 8192, 12288 },
    { S_INIT("high"), 16384, 24576 },
    { S_INIT("xhigh"), 32768, INT64_MAX },
    { S_INIT("max"), 32768, 0 },
};

int64_t
effort_budget(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        if (str_eq(word, efforts[i].word))
            return efforts[i].budget;
    return -1;
}

struct str
effort_word(int64_t budget_tokens)
{
    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        if (budget_tokens < efforts[i].below)
            return efforts[i].word;
    return S("xhigh");
}
