/* jwt.c - tokens in compact form, and their registered claims. */
#include "policy/jwt.h"

#include "base/digest.h"

#define DEPTH_MOST 16u
#define VALUES_MOST 2048u
#define SECONDS_MOST INT64_C(253402300799)    /* the year 9999 */

bool
jwt_is_one(struct str credential)
{
    unsigned dots = 0;

    for (size_t i = 0; i < credential.n && dots < 3; i++)
        dots += credential.p[i] == '.';
    /* {" in base64: the beginning of each header */
    return dots == 2 && str_starts(credential, S("eyJ"));
}

static bool
decode(struct arena *a, struct str text, struct str *ret)
{
    uint8_t *bytes = arena_alloc(a, 3 * ((text.n + 3) / 4) + 1, 1);
    size_t n;

    if (text.n == 0 || !digest_base64url_decode(text, bytes, &n))
        return false;
    *ret = str_make((const char *)bytes, n);
    return true;
}

/* A part that is a JSON object; duplicate members are refused by the parser. */
static const struct json *
decode_object(struct arena *a, struct str text)
{
    const struct json_limits limits = { .depth = DEPTH_MOST, .values = VALUES_MOST };
    struct str bytes;
    const struct json *doc = decode(a, text, &bytes) ? json_parse(a, bytes, &limits, NULL) : NULL;

    return json_is(doc, JSON_OBJECT) ? doc : NULL;
}

/* A member that, where it is, is a text. */
static bool
read_text(struct arena *a, const struct json *doc, struct str name, struct str *ret)
{
    const struct json *v = json_get(doc, name);

    *ret = json_str(a, v);
    return v == NULL || v->type == JSON_STRING;
}

bool
jwt_read(struct arena *a, struct str token, struct jwt *ret, struct why why)
{
    struct str header, rest, claims, signature;

    *ret = (struct jwt){ .claims = NULL };
    if (token.n > JWT_BYTES_MOST)
        return why_say(why, "it is longer than %u bytes", JWT_BYTES_MOST);
    if (!str_cut(token, '.', &header, &rest) || !str_cut(rest, '.', &claims, &signature))
        return why_say(why, "it does not have three parts");
    const struct json *head = decode_object(a, header);
    ret->claims = decode_object(a, claims);
    ret->text = str_make(token.p, header.n + 1 + claims.n);
    if (head == NULL || ret->claims == NULL || !decode(a, signature, &ret->signature))
        return why_say(why, "its parts are not JSON objects and a signature in base64url");
    if (!read_text(a, head, S("alg"), &ret->algorithm_name) ||
        !read_text(a, head, S("kid"), &ret->kid) || !read_text(a, head, S("typ"), &ret->type) ||
        !read_text(a, ret->claims, S("iss"), &ret->issuer) ||
        !read_text(a, ret->claims, S("sub"), &ret->subject) ||
        !read_text(a, ret->claims, S("jti"), &ret->id))
        return why_say(why, "one of alg, kid, typ, iss, sub and jti is not a text");
    ret->algorithm = jwk_algorithm_named(ret->algorithm_name);
    if (ret->algorithm == NULL)
        return why_say(why, "its algorithm is not one of those that are accepted");
    if (json_get(head, S("crit")) != NULL)
        return why_say(why, "its header has extensions that must be understood (crit)");
    /* RFC 9068 2.1, RFC 7519 5.1; a token for another use must not pass as one of these (RFC 8725 3.11) */
    if (ret->type.n != 0 && !str_ieq(ret->type, S("JWT")) && !str_ieq(ret->type, S("at+jwt")) &&
        !str_ieq(ret->type, S("application/at+jwt")))
        return why_say(why, "its type (typ) is neither JWT nor at+jwt");
    return true;
}

bool
jwt_allows_algorithm(const struct conf_issuer *issuer, struct str name)
{
    static const struct str usual[] = { S_INIT("RS256"), S_INIT("PS256"), S_INIT("ES256"),
        S_INIT("EdDSA") };

    for (size_t i = 0; i < issuer->algorithms.count; i++)
        if (str_eq(issuer->algorithms.list[i].v, name))
            return true;
    for (size_t i = 0; issuer->algorithms.count == 0 && i < ARRAY_LEN(usual); i++)
        if (str_eq(usual[i], name))
            return true;
    return false;
}

static bool
is_among(const struct conf_strs *list, struct str text)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(list->list[i].v, text))
            return true;
    return false;
}

static bool
is_for_us(const struct json *aud, const struct conf_strs *audience)
{
    struct json_iter it = json_iter(aud);

    for (size_t i = 0; i < audience->count; i++)
        if (json_str_is(aud, audience->list[i].v))
            return true;
    while (json_is(aud, JSON_ARRAY) && json_next(&it))
        for (size_t i = 0; i < audience->count; i++)
            if (json_str_is(it.value, audience->list[i].v))
                return true;
    return false;
}

/* A time in seconds (NumericDate), perhaps with a fraction, which is dropped. False: it is something else. */
static bool
read_time(const struct json *claims, struct str name, bool *ret_there, int64_t *ret_s)
{
    const struct json *v = json_get(claims, name);

    *ret_there = v != NULL;
    *ret_s = json_i64(v, 0);
    return v == NULL || (v->type == JSON_NUMBER && *ret_s >= 0 && *ret_s <= SECONDS_MOST);
}

bool
jwt_check(const struct jwt *t, const struct conf_issuer *issuer, uint64_t wall_ms,
    uint64_t *ret_until_ms, struct why why)
{
    int64_t now_s = (int64_t)(wall_ms / 1000), leeway_s = (int64_t)(issuer->leeway_ms / 1000);
    int64_t max_age_s = (int64_t)(issuer->max_age_ms / 1000);
    int64_t exp_s, nbf_s, iat_s;
    bool has_exp, has_nbf, has_iat;

    if (!str_eq(t->issuer, issuer->issuer.v))
        return why_say(why, "its issuer (iss) is another one");
    if (!is_for_us(json_get(t->claims, S("aud")), &issuer->audience))
        return why_say(why, "it is not meant for this gateway (aud)");
    if (!read_time(t->claims, S("exp"), &has_exp, &exp_s) ||
        !read_time(t->claims, S("nbf"), &has_nbf, &nbf_s) ||
        !read_time(t->claims, S("iat"), &has_iat, &iat_s) || !has_exp)
        return why_say(why, "it does not say until when it is valid (exp), or a time is malformed");
    if (now_s >= exp_s + leeway_s)
        return why_say(why, "it has expired");
    if ((has_nbf && now_s < nbf_s - leeway_s) || (has_iat && now_s < iat_s - leeway_s))
        return why_say(why, "it is not valid yet");
    if (max_age_s != 0 && (!has_iat || now_s >= iat_s + max_age_s + leeway_s))
        return why_say(why, "it was issued too long ago");
    if (t->subject.n == 0)
        return why_say(why, "it does not say whose it is (sub)");
    if (is_among(&issuer->denied, t->subject) || (t->id.n != 0 && is_among(&issuer->denied, t->id)))
        return why_say(why, "it was revoked");
    int64_t until_s = exp_s + leeway_s;

    if (max_age_s != 0)
        until_s = MIN(until_s, iat_s + max_age_s + leeway_s);
    *ret_until_ms = (uint64_t)until_s * 1000;
    return true;
}

const struct json *
jwt_claim(const struct jwt *t, struct str name)
{
    const struct json *at = t->claims, *whole = json_get(t->claims, name);
    struct str part;

    if (whole != NULL)
        return whole;    /* claims that are URLs have dots of their own */
    while (name.n != 0 && at != NULL) {
        (void)str_cut(name, '.', &part, &name);
        at = json_get(at, part);
    }
    return at;
}
