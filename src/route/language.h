/* language.h - in which language a text is written.
 *
 * The script decides where one language has it to itself. Latin, Cyrillic, Arabic and Devanagari
 * letters are judged by groups of them, with a table that was learnt (docs/routing.md). */
#pragma once

#include "route/features.h"

enum script {
    SCRIPT_NONE,
    SCRIPT_LATIN,
    SCRIPT_CYRILLIC,
    SCRIPT_ARABIC,
    SCRIPT_DEVANAGARI,
    SCRIPT_GREEK,
    SCRIPT_HEBREW,
    SCRIPT_ARMENIAN,
    SCRIPT_GEORGIAN,
    SCRIPT_THAI,
    SCRIPT_LAO,
    SCRIPT_KHMER,
    SCRIPT_MYANMAR,
    SCRIPT_TIBETAN,
    SCRIPT_ETHIOPIC,
    SCRIPT_BENGALI,
    SCRIPT_GURMUKHI,
    SCRIPT_GUJARATI,
    SCRIPT_ODIA,
    SCRIPT_TAMIL,
    SCRIPT_TELUGU,
    SCRIPT_KANNADA,
    SCRIPT_MALAYALAM,
    SCRIPT_SINHALA,
    SCRIPT_HANGUL,
    SCRIPT_KANA,
    SCRIPT_HAN,
    SCRIPT_COUNT
};

/* The script of most of the text, by a bounded number of its characters. */
enum script language_script(struct str text, const struct features *f);

/* Groups of letters that are looked at: at most that many places, evenly distributed; and so many words. */
#define LANGUAGE_GRAMS_MAX 80
#define LANGUAGE_WORDS_MAX 48
#define LANGUAGE_ROWS_MAX (LANGUAGE_GRAMS_MAX + LANGUAGE_WORDS_MAX)

/* Does a text in that script need a look at groups of letters? */
static inline bool
language_shares(enum script s)
{
    return s >= SCRIPT_LATIN && s <= SCRIPT_DEVANAGARI;
}

/* The rows of the learnt table (weights_latin, or weights_wide for other scripts) for `text`, which is in
 * the script `s`, one that language_shares(). Returns their number; 0 for less than eight bytes. */
unsigned language_rows(
    struct str text, const struct features *f, enum script s, uint16_t *ret_rows);

/* The ISO 639-1 code of the text's language; "" if it has too few letters to tell, or no script that is
 * known. `f` is what features_find() found in the text, `s` its language_script(). */
const char *language_find(struct str text, const struct features *f, enum script s) NEVER_NULL;
