/* why.c - formats the reason. */
#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>

bool
why_say(struct why why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why.room, why.size, format, args);
    va_end(args);
    return false;
}
