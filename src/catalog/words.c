/* words.c - the words for the facts about models. */
#include "catalog/words.h"

#include <stdio.h>

static const char *const modes[] = { "", "chat", "embedding", "rerank", "image", "transcription",
    "speech", "moderation", "realtime" };
static const char *const statuses[] = { "", "active", "preview", "deprecated" };
static const char *const media[] = { "text", "image", "audio", "video", "file", "embedding",
    "score", "label" };
static const char *const efforts[] = { "none", "minimal", "low", "medium", "high", "xhigh", "max",
    "default" };
static const char *const days[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
static const char *const abilities[] = {
#define ABILITY(name, what) #name,
#include "catalog/abilities.def"
#undef ABILITY
};
static const char *const tokenizers[] = {
    "",
#define EXACT(id) #id,
#define ESTIMATE(id, base) #id,
#include "tokens/families.def"
#undef EXACT
#undef ESTIMATE
};
static const struct {
    const char *name;
    double per;
} units[] = {
#define PRICE(name, per, what) { #name, per },
#include "catalog/prices.def"
#undef PRICE
};

const struct word_list words_modes = { modes, ARRAY_LEN(modes) };
const struct word_list words_statuses = { statuses, ARRAY_LEN(statuses) };
const struct word_list words_media = { media, ARRAY_LEN(media) };
const struct word_list words_efforts = { efforts, ARRAY_LEN(efforts) };
const struct word_list words_days = { days, ARRAY_LEN(days) };
const struct word_list words_abilities = { abilities, ARRAY_LEN(abilities) };
const struct word_list words_tokenizers = { tokenizers, ARRAY_LEN(tokenizers) };

static struct str
word_of(const struct word_list *words, unsigned i)
{
    return i < words->count ? str_c(words->list[i]) : S("");
}

struct str
model_mode_word(unsigned mode)
{
    return word_of(&words_modes, mode);
}

struct str
model_status_word(unsigned status)
{
    return word_of(&words_statuses, status);
}

struct str
model_ability_word(unsigned ability)
{
    return word_of(&words_abilities, ability);
}

struct str
model_media_word(unsigned bit)
{
    return word_of(&words_media, bit);
}

struct str
model_date_text(uint32_t date, char *room)
{
    unsigned year = date / 10000, month = date / 100 % 100, day = date % 100;
    int n = date == 0    ? 0
            : day != 0   ? snprintf(room, MODEL_DATE_ROOM, "%04u-%02u-%02u", year, month, day)
            : month != 0 ? snprintf(room, MODEL_DATE_ROOM, "%04u-%02u", year, month)
                         : snprintf(room, MODEL_DATE_ROOM, "%04u", year);

    return str_make(room, (size_t)n);
}

struct str
price_unit_word(unsigned unit)
{
    return unit < ARRAY_LEN(units) ? str_c(units[unit].name) : S("");
}

double
price_unit_per(enum price_unit unit)
{
    return units[unit].per;
}
