/* doubts.h - settings that are valid and do nothing, or not what they seem to.
 *
 * Only what somebody wrote is doubted: a default that another setting makes useless is nobody's
 * mistake.
 */
#pragma once

#include "conf/conf.h"

/* Warns of such settings for retries, hedging, the queue, broken streams and faults on purpose. */
void doubts_resilience(const struct conf *c, struct conf_problems *problems);
