/* why.h - where a sentence goes that says why something failed. */
#pragma once

#include <stddef.h>

struct why {
    char *room;
    size_t size;
};
