/* words.h - the words that people, models.txt and JSON have for the facts about models. */
#pragma once

#include "catalog/model.h"

/* In the order of the enumeration that they stand for; an empty one stands for what is not said. */
struct word_list {
    const char *const *list;
    size_t count;
};
extern const struct word_list words_modes, words_statuses, words_media, words_efforts, words_days,
    words_tokenizers, words_abilities;

/* One of them; empty after the last one. */
struct str model_mode_word(unsigned mode);
struct str model_status_word(unsigned status);
struct str model_media_word(unsigned bit);
struct str model_ability_word(unsigned ability);
struct str price_unit_word(unsigned unit);

/* A date of a row as "2026-08-07", "2026-08" or "2026", in `room` of MODEL_DATE_ROOM; empty: not known. */
#define MODEL_DATE_ROOM 16
struct str model_date_text(uint32_t date, char *room);

/* How many units the price is for, as people write it. */
double price_unit_per(enum price_unit unit);
