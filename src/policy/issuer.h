/* issuer.h - the keys of a token issuer: asked for, kept, and renewed.
 *
 * An issuer is an entry of the registry: its keys survive a reload. They are one immutable set, replaced as
 * a whole; while it does not answer, the old ones are used. It is asked on a worker's loop, by one at a
 * time: by the first worker when they are old, and by whichever worker meets a token whose key is not among
 * them. OpenID Connect Discovery 1.0 says where the keys are, unless the configuration does.
 */
#pragma once

#include "conf/conf.h"
#include "http/client.h"
#include "sign/jwk.h"

struct issuer;
struct issuer_fetch;

/* Takes a reference. Keys in a file are read now. NULL with a sentence in `why` if the file has none. */
struct issuer *issuer_hold(const struct conf_issuer *c, struct why why);
void issuer_drop(struct issuer *i);    /* NULL is a no-op */

/* The keys with a reference for the caller; NULL: none were got yet. Any thread. */
struct jwks *issuer_keys(struct issuer *i);

/* Are these the keys in force? Without a reference, for those that only compare. */
bool issuer_has_keys(struct issuer *i, const struct jwks *keys);

/* Asks on one loop. Initialised to zero, except for `loop` and `client`. */
struct issuer_asker {
    struct loop *loop;
    struct client *client;
    struct issuer_fetch *first;    /* those under way */
};

/* Asks if the keys are old, or, `missed`: if a token needs one that is not among them and the last answer is not
 * of just now. True: it is being asked, here or elsewhere; waiter_wake_all() follows. */
bool issuer_look(struct issuer_asker *k, struct issuer *i, bool missed);

/* Is it being asked? */
bool issuer_is_asked(struct issuer *i);

/* Cancels all. */
void issuer_stop(struct issuer_asker *k);

/* Why the last answer was of no use: a sentence's end in `a`; empty if it was. */
struct str issuer_trouble(struct issuer *i, struct arena *a);
