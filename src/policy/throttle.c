/* throttle.c - GCRA rate limiting with one timestamp per address: the time at which its last wrong
 * key would have been allowed at the configured rate. An address may be up to a minute ahead of it.
 * */
#include "policy/throttle.h"

#include <stdlib.h>

#include "base/map.h"
#include "net/address.h"

enum { WAYS = 4, SETS = 256 };

#define MINUTE_US UINT64_C(60000000)

struct entry {
    uint64_t address;    /* its hash */
    uint64_t due_us;     /* in the past: the entry is free */
};

struct throttle {
    struct entry sets[SETS][WAYS];
};

struct throttle *
throttle_create(void)
{
    return check_alloc(calloc(1, sizeof(struct throttle)));
}

void
throttle_destroy(struct throttle *t)
{
    free(t);
}

/* IPv4 counts by address, IPv6 by /64 network. */
static uint64_t
hash_address(struct str address)
{
    char room[ADDRESS_TEXT_ROOM];
    struct str scope, plain;
    struct address a;

    (void)str_cut(address, '%', &plain, &scope);
    if (!address_parse(plain, 0, &a))
        return map_hash(address);
    struct str text = address_text(&a, room);
    if (str_chr(text, ':') == text.n)
        return map_hash(text);
    return map_hash(str_make((const char *)&a.v6.sin6_addr, 8));
}

/* The entry of the address, or the oldest one of its set, reset for this address. */
static struct entry *
find(struct throttle *t, uint64_t address)
{
    struct entry *set = t->sets[address % SETS];
    struct entry *oldest = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].address == address)
            return &set[i];
        if (set[i].due_us < oldest->due_us)
            oldest = &set[i];
    }
    *oldest = (struct entry){ .address = address };
    return oldest;
}

uint64_t
throttle_wrong_key(struct throttle *t, struct str address, uint64_t per_minute, uint64_t now_us)
{
    if (per_minute == 0 || str_eq(address, S("unix")))
        return 0;

    struct entry *e = find(t, hash_address(address));
    uint64_t due_us = MAX(e->due_us, now_us) + MINUTE_US / per_minute;

    if (due_us > now_us + MINUTE_US)
        return (due_us - now_us - MINUTE_US + 999) / 1000;
    e->due_us = due_us;
    return 0;
}
