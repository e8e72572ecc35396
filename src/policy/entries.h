/* entries.h - the limits and budgets of a configuration, as entries of scopes. */
#pragma once

#include "conf/conf.h"
#include "policy/scope.h"

/* Checks what conf/form.h cannot: time zones, amounts. */
void entries_check(const struct conf *c, struct conf_problems *problems);

/* Puts those of a configuration that was checked in the place of those before. */
void entries_publish(struct scopes *s, const struct conf *c);
