/* why.h - a buffer for the reason of a failure. */
#pragma once

#include <stddef.h>

struct why {
    char *room;
    size_t size;
};
