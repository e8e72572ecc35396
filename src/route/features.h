/* features.h - what is counted of a text so that linear models can judge it (route/analyze.h).
 *
 * A text becomes a few counts of kinds of bytes and a list of row numbers of the learnt table: hashes of
 * its words and of neighbouring words. The program that learns the table (tools/analysis_train.py) uses
 * this same function, so the two cannot disagree. Linear in the text, integers only, no allocation; any bytes are a text.
 */
#pragma once

#include "base/base.h"

/* Longer texts are looked at up to here; the sample (llm/sample.h) is shorter. */
#define FEATURES_BYTES_MAX 2048

/* Of these many bytes at either end each word is looked at. */
#define FEATURES_WORDS_BYTES 256

/* So many words are looked at. */
#define FEATURES_WORDS_MAX 80
/* And so many at the beginning and at the end, where instructions are, once more: as such, and the outermost
 * of them in pairs. */
#define FEATURES_EDGE_WORDS 12
#define FEATURES_EDGE_PAIRS 4
#define FEATURES_EDGE_ROWS (2 * (FEATURES_EDGE_WORDS + FEATURES_EDGE_PAIRS))

#define FEATURES_ROW_BITS 13

enum count {
    COUNT_LINES,    /* line ends */
    COUNT_DIGITS,
    COUNT_HIGH,       /* bytes of characters beyond ASCII */
    COUNT_LETTERS,    /* letters, and those bytes */
    COUNT_CODE,       /* ( ) ; < = > [ \ ] _ { | } */
    COUNT_BYTES,      /* not counted: the length */
    COUNT_WORDS,      /* runs of letters */
    COUNT_COUNT
};

#define FEATURES_BLOCKS (FEATURES_BYTES_MAX / 64)

struct features {
    uint32_t counts[COUNT_COUNT];
    unsigned words, edges;
    uint16_t word[FEATURES_WORDS_MAX];
    uint16_t edge[FEATURES_EDGE_ROWS];
    /* of each 64 bytes: which are letters (of any script), digits, and ASCII letters or digits; and how many
     * are signs of code */
    unsigned blocks;
    uint64_t letters[FEATURES_BLOCKS + 1];
    uint64_t digits[FEATURES_BLOCKS + 1];
    uint64_t ascii[FEATURES_BLOCKS + 1];
    uint8_t code[FEATURES_BLOCKS];
};

/* Counts, and finds the words of, the first FEATURES_BYTES_MAX bytes of `text`. */
void features_find(struct str text, struct features *f);
