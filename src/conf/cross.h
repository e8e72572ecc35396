/* cross.h - what must be true between the settings of a configuration. */
#pragma once

#include "conf/conf.h"

/* Reports contradictions, and decides what the file left open: whether callers need keys. */
void cross_check(struct conf *c, struct conf_problems *problems);
