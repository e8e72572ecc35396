/* stops.c - ends the text at stop sequences that the provider was not told. */
#include "llm/stops.h"

#include <string.h>

void
stops_init(struct stops *s, const struct llm_word *words, struct event_sink *to)
{
    *s = (struct stops){ .to = to, .words = words };
    buf_init(&s->held, SIZE_MAX);
}

void
stops_fini(struct stops *s)
{
    buf_fini(&s->held);
}

static void
pass_text(struct stops *s, struct str text)
{
    if (text.n > 0)
        s->to->emit(s->to, &(struct llm_event){ .kind = EVENT_TEXT, .text = text });
}

/* Where the first stop sequence begins; text.n if there is none. Of two at one place the one that is
 * earlier in the list counts. */
static size_t
find(const struct stops *s, struct str text, const struct llm_word **ret_hit)
{
    size_t first = text.n;

    for (const struct llm_word *w = s->words; w != NULL; w = w->next) {
        size_t at = str_find(text, w->text);

        if (at < first) {
            first = at;
            *ret_hit = w;
        }
    }
    return first;
}

/* The bytes at the end of a text that may be the beginning of a stop sequence. */
static size_t
open_bytes(const struct stops *s, struct str text)
{
    size_t most = 0;

    for (const struct llm_word *w = s->words; w != NULL; w = w->next)
        for (size_t n = MIN(w->text.n - 1, text.n); n > most; n--)
            if (memcmp(text.p + text.n - n, w->text.p, n) == 0)
                most = n;
    return most;
}

static void
take_text(struct stops *s, struct str text)
{
    bool joined = buf_len(&s->held) > 0;
    size_t at;

    if (joined) {
        buf_add(&s->held, text);
        text = buf_str(&s->held);
    }
    at = find(s, text, &s->hit);
    if (s->hit == NULL)
        at = text.n - open_bytes(s, text);
    pass_text(s, str_make(text.p, at));
    if (s->hit != NULL)
        buf_reset(&s->held, SIZE_MAX);
    else if (joined)
        buf_consume(&s->held, at);
    else
        buf_add(&s->held, str_skip(text, at));
}

static void
let_go(struct stops *s)
{
    pass_text(s, buf_str(&s->held));
    buf_reset(&s->held, SIZE_MAX);
}

void
stops_take(struct stops *s, const struct llm_event *ev)
{
    switch (ev->kind) {
    case EVENT_NONE:
    case EVENT_START:
    case EVENT_USAGE:
        break;
    case EVENT_TEXT:
        if (s->hit == NULL && ev->text.n > 0)
            take_text(s, ev->text);
        return;
    case EVENT_FINISH:
        if (s->hit == NULL) {
            let_go(s);
            break;
        }
        s->to->emit(s->to, &(struct llm_event){ .kind = EVENT_FINISH,
                               .finish = FINISH_STOP,
                               .native = S("stop_sequence"),
                               .stop_sequence = s->hit->text });
        return;
    case EVENT_ERROR:
    case EVENT_END:
        let_go(s);
        break;
    default:
        if (s->hit != NULL)
            return;
        let_go(s);
        break;
    }
    s->to->emit(s->to, ev);
}
