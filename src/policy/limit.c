/* limit.c - the kind of entry that counts requests in flight. */
#include "policy/limit.h"

const struct registry_kind in_flight_kind = { "requests in flight", sizeof(struct in_flight),
    NULL };
