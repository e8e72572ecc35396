/* stops.h - a filter over events: ends the text at stop sequences that the provider was not told.
 *
 * Some protocols take few stop sequences, none, or none of blanks alone. The writer of a request names
 * those that are left (write_cut_stop()), and this filter acts on them: text that may be the beginning
 * of one is held back until that is known; after one nothing follows but the finish, which names it,
 * and the usage. For answers of one choice.
 */
#pragma once

#include "base/buf.h"
#include "llm/event.h"
#include "llm/request.h"

#define STOPS_MOST 16    /* of a request, and bytes of each, that can be cut here */
#define STOPS_MOST_BYTES 256

struct stops {
    struct event_sink *to;
    const struct llm_word *words;
    struct buf held;               /* the text that may be the beginning of one; shorter than any */
    const struct llm_word *hit;    /* the one that came; NULL: none did */
};

/* `words`, at least one and at most STOPS_MOST, must outlive it. stops_fini() frees what is held. */
void stops_init(struct stops *s, const struct llm_word *words, struct event_sink *to);
void stops_fini(struct stops *s);
void stops_take(struct stops *s, const struct llm_event *ev);
