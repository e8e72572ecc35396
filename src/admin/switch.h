/* switch.h - POST /admin/v1/off/NAME and /admin/v1/on/NAME: a provider, a key or a target is not used
 * until it is switched on again, or the gateway starts anew. */
#pragma once

#include "gateway/exchange.h"

/* `name`: "openai", "openai#2" or the name of a key as in the log, "openai/gpt-4o". */
void switch_answer(struct exchange *x, struct str name, bool off);
