/* mock_anthropic.h - what the two halves of the simulated Anthropic API share: reading and
 * writing. */
#pragma once

#include "app/mock_wire.h"

bool mock_anthropic_check_key(struct mock_ask *ask, struct str key, struct mock_refusal *why);
bool mock_anthropic_read(struct mock_ask *ask, struct mock_refusal *why);
