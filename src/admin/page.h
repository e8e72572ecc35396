/* page.h - docs/admin-api.md, made from the tables of the admin API. */
#pragma once

#include "base/buf.h"

void page_write(struct buf *b);
