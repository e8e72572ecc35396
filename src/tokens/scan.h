/* scan.h - cuts text into the pieces that are encoded one by one: words, numbers, runs of spaces ...
 *
 * By hand what tiktoken's regular expressions do, equal to the byte, in linear time.
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

/* General categories that the expressions tell apart. tools/vocab.py makes the tables of them. */
enum token_class {
    CLASS_OTHER,
    CLASS_SPACE,      /* White_Space but the next */
    CLASS_NEWLINE,    /* CR, LF */
    CLASS_NUMBER,     /* \p{N} */
    CLASS_LETTER,     /* \p{Lo} and \p{Lm}: upper and lower case at once */
    CLASS_UPPER,      /* \p{Lu} and \p{Lt} */
    CLASS_LOWER,      /* \p{Ll} */
    CLASS_MARK,       /* \p{M} */
};

/* By the upper bits of a code point, and by its lowest 8. */
extern const uint8_t token_pages[0x1100];
extern const uint8_t token_classes[][256];

/* The length of the first piece of a text, which is not empty; never 0. Bytes that are not UTF-8 are
 * symbols of one byte. */
size_t scan_cl100k(struct str text);
size_t scan_o200k(struct str text);

/* The code point of the character at `p`, which is not ASCII; U+FFFD if it is not UTF-8. */
uint32_t scan_code(const char *p, const char *end);
