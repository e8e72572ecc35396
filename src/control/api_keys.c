/* api_keys.c - what is particular to keys: their secrets, and how these end. */
#include "base/clock.h"
#include "base/digest.h"
#include "conf/conf.h"
#include "conf/value.h"
#include "control/api_call.h"
#include "policy/key_form.h"

#define OVERLAP_DEFAULT_MS (24 * 3600 * UINT64_C(1000))
#define OVERLAP_MOST_MS (90 * 24 * 3600 * UINT64_C(1000))

static void
set_text(struct resource_value *v, struct str text)
{
    *v = (struct resource_value){ .set = text.n != 0, .text = text };
}

static void
set_time(struct resource_value *v, int64_t ms)
{
    *v = (struct resource_value){ .set = ms != 0, .number = ms };
}

static void
set_digest(struct api_call *c, struct resource_value *v, const uint8_t digest[KEY_DIGEST_BYTES])
{
    char hex[2 * KEY_DIGEST_BYTES + 1];

    digest_hex(digest, KEY_DIGEST_BYTES, hex);
    set_text(v, arena_str(c->arena, str_c(hex)));
}

/* What is kept of a key: its digest and its hint. */
static void
set_key(
    struct api_call *c, struct resource_value *digest, struct resource_value *hint, struct str key)
{
    uint8_t bytes[KEY_DIGEST_BYTES];
    char room[KEY_HINT_ROOM];

    key_digest(c->pepper, key, bytes);
    set_digest(c, digest, bytes);
    set_text(hint, arena_str(c->arena, key_form_hint(key, room)));
}

/* Makes a new key, which the answer shows. */
static void
make_key(
    struct api_call *c, struct resource_value *digest, struct resource_value *hint, bool for_admin)
{
    char room[KEY_FORM_ROOM];

    c->secret = arena_str(c->arena, key_form_make(for_admin ? S("admin") : S("key"), room));
    set_key(c, digest, hint, c->secret);
}

static bool
has_pepper(struct api_call *c)
{
    return c->pepper.n != 0 ||
           call_fail(c, 503, "no-pepper", "the secret that keys are kept with is not known yet");
}

/* A key that exists elsewhere, of which only the SHA-256 is known. */
static void
set_sha256(
    struct api_call *c, struct resource_value *digest, struct resource_value *hint, struct str hex)
{
    uint8_t sha256[DIGEST_SHA256_BYTES], bytes[KEY_DIGEST_BYTES];

    for (size_t i = 0; i < sizeof(sha256); i++)
        sha256[i] = (uint8_t)(str_hex_digit(hex.p[2 * i]) << 4 | str_hex_digit(hex.p[2 * i + 1]));
    key_digest_of_sha256(c->pepper, sha256, bytes);
    set_digest(c, digest, bytes);
    set_text(hint, S("imported"));
}

/* Roles are for keys that are for the admin API, which need one. */
static void
check_role(struct api_call *c, struct resource_draft *d)
{
    bool for_admin = str_eq(draft_value(d, FIELD_keys_kind)->text, S("admin"));
    bool has_role = draft_value(d, FIELD_keys_role)->set;

    if (for_admin && !has_role)
        faults_add(&c->faults, S("/role"), "is required of a key for the admin API");
    if (!for_admin && has_role)
        faults_add(&c->faults, S("/role"), "is for keys of the kind admin");
}

bool
key_complete(struct api_call *c, struct resource_draft *d)
{
    struct resource_value *key = draft_value(d, FIELD_keys_key);
    struct resource_value *sha256 = draft_value(d, FIELD_keys_sha256);
    struct resource_value *digest = draft_value(d, FIELD_keys_digest);
    struct resource_value *hint = draft_value(d, FIELD_keys_hint);
    int64_t expires_ms = draft_value(d, FIELD_keys_expires_at)->number;

    if (!has_pepper(c))
        return false;
    check_role(c, d);
    if (key->set && sha256->set)
        faults_add(&c->faults, S("/sha256"), "cannot be given together with key");
    if (key->set && !key_form_is_usable(key->text))
        faults_add(&c->faults, S("/key"),
            "must have %d to %d characters: letters, digits and signs, no blanks", KEY_OWN_LEAST,
            KEY_OWN_MOST);
    if (expires_ms != 0 && expires_ms <= c->now_ms)
        faults_add(&c->faults, S("/expires_at"), "must be in the future");
    if (c->faults.count != 0)
        return call_fail_faults(c);
    if (key->set)
        set_key(c, digest, hint, key->text);
    else if (sha256->set)
        set_sha256(c, digest, hint, sha256->text);
    else
        make_key(c, digest, hint, str_eq(draft_value(d, FIELD_keys_kind)->text, S("admin")));
    *key = *sha256 = (struct resource_value){ .set = false };
    return true;
}

/* Reads {"overlap": "24h"}; the body may be left out. */
static bool
read_overlap(struct api_call *c, uint64_t *ret_ms)
{
    const struct json *doc =
        c->q->body.n != 0 ? json_parse(c->arena, c->q->body, NULL, NULL) : NULL;
    struct json_iter it = json_iter(doc);

    *ret_ms = OVERLAP_DEFAULT_MS;
    if (c->q->body.n != 0 && !json_is(doc, JSON_OBJECT))
        return call_fail(c, 400, "not-json", "the body must be a JSON object, or left out");
    while (json_next(&it)) {
        struct str name = json_str(c->arena, it.key);
        bool known = str_eq(name, S("overlap"));

        if (!known)
            faults_add(&c->faults, fault_pointer(c->arena, S(""), name),
                "there is only overlap: how long the old secret works on");
        else if (!value_duration(json_str(c->arena, it.value), ret_ms) || *ret_ms > OVERLAP_MOST_MS)
            faults_add(&c->faults, S("/overlap"), "must be a time up to 2160h, like 24h or 0s");
    }
    return c->faults.count == 0 || call_fail_faults(c);
}

static struct resource_value *
value_of(struct api_row *row, enum resource_field field)
{
    return &row->values[field - FIELD_FIRST_keys];
}

/* The key of the path, and a copy that is to be changed. */
static bool
find_key(struct api_call *c)
{
    if (!call_find_before(c))
        return false;
    c->after = api_row_copy(c->arena, &c->before->row);
    return true;
}

bool
call_rotate(struct api_call *c)
{
    uint64_t overlap_ms;

    if (!find_key(c) || !call_is_not_another(c, c->after) || !has_pepper(c) ||
        !read_overlap(c, &overlap_ms))
        return false;
    struct api_row *row = c->after;
    if (value_of(row, FIELD_keys_revoked_at)->set)
        return call_fail(c, 409, "revoked", "the key is revoked; make a new one");
    bool for_admin = str_eq(value_of(row, FIELD_keys_kind)->text, S("admin"));

    *value_of(row, FIELD_keys_old_digest) = *value_of(row, FIELD_keys_digest);
    set_time(value_of(row, FIELD_keys_old_until), c->now_ms + (int64_t)overlap_ms);
    set_time(value_of(row, FIELD_keys_rotated_at), c->now_ms);
    if (overlap_ms == 0) {
        set_text(value_of(row, FIELD_keys_old_digest), S(""));
        set_time(value_of(row, FIELD_keys_old_until), 0);
    }
    make_key(c, value_of(row, FIELD_keys_digest), value_of(row, FIELD_keys_hint), for_admin);
    if (!call_write(c))
        return false;
    call_answer_row(c, 200, row);
    return true;
}

bool
call_revoke(struct api_call *c)
{
    if (!find_key(c))
        return false;
    struct api_row *row = c->after;
    if (!value_of(row, FIELD_keys_revoked_at)->set) {
        set_time(value_of(row, FIELD_keys_revoked_at), c->now_ms);
        set_text(value_of(row, FIELD_keys_old_digest), S(""));
        set_time(value_of(row, FIELD_keys_old_until), 0);
        if (!call_write(c))
            return false;
    }
    call_answer_row(c, 200, row);
    return true;
}
