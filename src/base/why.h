/* why.h - where a function that fails writes why, in words for people. */
#pragma once

#include "base/base.h"

struct why {
    char *room;
    size_t size;
};

/* Of an array. */
#define WHY(array) ((struct why){ (array), sizeof(array) })

/* Writes the reason, cut off where the room ends. Always false: `return why_say(why, ...)`. */
bool why_say(struct why why, const char *format, ...) PRINTF_LIKE(2, 3);
