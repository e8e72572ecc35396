/* import_keys.h - organisations, teams, users and keys of a LiteLLM database. */
#pragma once

#include "app/import_report.h"
#include "app/resource_link.h"

/* Makes them over `link`, which is connected, so that callers keep their keys. What is there already stays as it is.
 * `database`: a PostgreSQL URL, which is only read. False after saying on standard error why it ended early. */
bool import_keys(
    struct resource_link *link, const char *database, struct import_report *report) MUST_CHECK;
