/* slug.h - what callers of OpenRouter's API call providers: its slugs, or ids of the catalog and of the
 * configuration, in any case. "deepinfra/turbo" is one of several offers of a provider; of those here only
 * the region is known ("google-vertex/eu"), so that other variants name nothing.
 */
#pragma once

#include "catalog/providers.h"

/* Does one of the slugs name the provider? */
bool slug_in(const struct provider *p, const struct llm_word *slugs);

/* The place of the first one that does; their number, if none does. */
size_t slug_place(const struct provider *p, const struct llm_word *slugs);
