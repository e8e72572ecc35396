/* sensitive.h - hints that a text holds personal data or secrets, by their form. */
#pragma once

#include "route/features.h"

/* Hints, not proofs: of the sample alone, and by form. */
enum sensitive {
    SENSITIVE_EMAIL = 1,
    SENSITIVE_PHONE = 2,
    SENSITIVE_CARD = 4,            /* the number of a payment card, by its check digit */
    SENSITIVE_ACCOUNT = 8,         /* an IBAN, by its check digits */
    SENSITIVE_NATIONAL_ID = 16,    /* written as a US social security number */
    SENSITIVE_SECRET = 32,         /* an API key, a token, a private key, "password: ..." */
};

/* Bits of enum sensitive. `f` is what features_find() found in `text`. Linear. */
unsigned sensitive_find(struct str text, const struct features *f);

/* "email", for a single hint; NULL for any other number. */
const char *sensitive_name(unsigned hint);
