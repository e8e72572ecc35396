/* cross.h - what must be true between the settings of a configuration. */
#pragma once

#include "conf/conf.h"

/* Reports what contradicts, and settles what the file left open: who may call. */
void cross_check(struct conf *c, struct conf_problems *problems);
