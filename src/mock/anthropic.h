/* anthropic.h - shared by the reading and the writing half of the simulated Anthropic API. */
#pragma once

#include "mock/wire.h"

bool mock_anthropic_check_key(struct mock_ask *ask, struct str key, struct mock_refusal *why);
bool mock_anthropic_read(struct mock_ask *ask, struct mock_refusal *why);
