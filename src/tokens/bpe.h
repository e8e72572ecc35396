/* bpe.h - byte-pair encoding of a piece, of which only the number of tokens is wanted. */
#pragma once

#include "base/str.h"
#include "tokens/vocab.h"

/* How many tokens a piece is. In time O(n), with memory on the stack only. */
size_t bpe_count(const struct vocab *v, struct str piece);
