/* prompt.h - reads lines from the user, with editing and history on a terminal. */
#pragma once

#include "base/base.h"
#include "base/str.h"

struct chat_prompt;

/* `editing`: standard input and output are a terminal. `keep`: the history is kept between
   conversations, in $XDG_STATE_HOME/openclaw/chat_history or below ~/.local/state. */
struct chat_prompt *chat_prompt_create(bool editing, bool keep) NEVER_NULL;
void chat_prompt_destroy(struct chat_prompt *p);    /* NULL is a no-op */

enum chat_prompt_outcome { PROMPT_LINE, PROMPT_INTERRUPTED, PROMPT_END };

/* Waits for the next line; *ret is valid until the next call. */
enum chat_prompt_outcome chat_prompt_read(struct chat_prompt *p, struct str *ret);
