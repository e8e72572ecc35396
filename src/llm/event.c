/* event.c - the words for how an answer ended. */
#include "llm/event.h"

const char *
llm_finish_name(enum llm_finish f)
{
    switch (f) {
    case FINISH_UNKNOWN:    /* no word of theirs fits, and every client survives "stop" */
    case FINISH_STOP:
        return "stop";
    case FINISH_LENGTH:
        return "length";
    case FINISH_TOOLS:
        return "tool_calls";
    case FINISH_FILTER:
        return "content_filter";
    }
    CHECK_UNREACHABLE();
}
