/* event.c - names of finish reasons. */
#include "llm/event.h"

const char *
llm_finish_name(enum llm_finish f)
{
    switch (f) {
    case FINISH_UNKNOWN:    /* OpenAI has no matching word, and every client accepts "stop" */
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
