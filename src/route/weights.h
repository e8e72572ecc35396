/* weights.h - what the request analysis learnt: tables that tools/weights.py makes of
 * analysis_weights.txt when OpenClaw is built, and that tools/analysis_train.py learns.
 */
#pragma once

#include <stdint.h>

enum {
    WEIGHTS_ROWS = 8192,     /* of words, and of words and pairs at the ends of a text */
    WEIGHTS_COLUMNS = 16,    /* tasks, complexity, sentiment, code; the rest is 0 */
    WEIGHTS_COUNTS = 7,      /* enum count */
    WEIGHTS_LEVELS = 24,     /* of each count */
    WEIGHTS_LATIN = 3328,    /* of groups of Latin letters, and of words */
    WEIGHTS_LANGUAGES = 32,
    WEIGHTS_WIDE = 3072,    /* of groups of letters of other scripts */
    WEIGHTS_WIDE_LANGUAGES = 16,
    WEIGHTS_SCRIPTS = 27
};

extern const int8_t weights_rows[WEIGHTS_ROWS][WEIGHTS_COLUMNS];    /* -15 to 15 */
extern const int16_t weights_scale[WEIGHTS_COLUMNS];    /* what 1 of a row is, in 4096ths */
extern const int16_t weights_levels[WEIGHTS_COUNTS][WEIGHTS_LEVELS]
                                   [WEIGHTS_COLUMNS];                      /* in 1024ths */
extern const int32_t weights_bias[WEIGHTS_COLUMNS];                        /* in 1024ths */
extern const int8_t weights_latin[WEIGHTS_LATIN][WEIGHTS_LANGUAGES];       /* -15 to 15 */
extern const int8_t weights_wide[WEIGHTS_WIDE][WEIGHTS_WIDE_LANGUAGES];    /* -15 to 15 */
extern const int16_t weights_tokens[WEIGHTS_COUNTS];          /* tokens of each, in 1024ths */
extern const int16_t weights_tokens_high[WEIGHTS_SCRIPTS];    /* of a byte beyond ASCII, by script */
/* so many signs in 64 bytes are code: in a text that looks like code, in one that does not */
extern const int16_t weights_signs[2];
