/* aws.c - keys of AWS: given, from shared files, or lent for a role by one of its endpoints. */
#include "cloud/source.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "sign/sigv4.h"

#define FORM_BYTES (128u * 1024)
#define REREAD_MS (5 * 60 * 1000)    /* of files, which other programs replace */
#define SESSION_NAME "openclaw"
#define STS_VERSION "2011-06-15"

static enum source_next
got_key(struct source_run *r, struct str id, struct str secret, struct str session)
{
    if (!source_is_plain(id) || !source_is_plain(secret) ||
        (session.n != 0 && !source_is_plain(session)))
        return source_fail(r, "the answer has no access key");
    r->key_id = id;
    r->key_secret = secret;
    r->key_session = session;
    return SOURCE_GOT;
}

/* When it expires, as a date; without one, it is asked for again soon. */
static void
set_expiry(struct source_run *r, struct str date)
{
    int64_t at_ms;

    r->expires_ms =
        clock_timestamp(date, &at_ms) && at_ms > 0 ? (uint64_t)at_ms : r->wall_ms + REREAD_MS;
}

static enum source_next
key_next(struct source_run *r)
{
    const struct str *v = r->settings->v;

    return got_key(r, v[SOURCE_ID], v[SOURCE_SECRET], v[SOURCE_SESSION]);
}

const struct cloud_source source_aws_key = { S_INIT("the configuration"), key_next };

/* {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} */
static enum source_next
read_lent(struct source_run *r)
{
    if (r->status != 200)
        return source_refused(r);
    const struct json *doc = json_parse(r->a, r->body, NULL, NULL);
    set_expiry(r, json_str(r->a, json_get(doc, S("Expiration"))));
    return got_key(r, json_str(r->a, json_get(doc, S("AccessKeyId"))),
        json_str(r->a, json_get(doc, S("SecretAccessKey"))),
        json_str(r->a, json_get(doc, S("Token"))));
}

static enum source_next
container_next(struct source_run *r)
{
    struct str proof = r->settings->v[SOURCE_SESSION], file = r->settings->v[SOURCE_FILE];

    if (r->step != 0)
        return read_lent(r);
    if (file.n != 0)
        proof = source_file(r->a, file);
    if (file.n != 0 && !source_is_plain(proof))
        return source_fail(
            r, "the file " STR_FMT " cannot be read, or holds no token", STR_ARG(file));
    struct buf fields;
    buf_init(&fields, FORM_BYTES);
    if (proof.n != 0)
        buf_printf(&fields, "Authorization: " STR_FMT "\r\n", STR_ARG(proof));
    struct str lines = arena_str(r->a, buf_str(&fields));
    buf_fini(&fields);
    return source_get(r, r->settings->v[SOURCE_URL], lines);
}

const struct cloud_source source_aws_container = { S_INIT("the container's credentials endpoint"),
    container_next };

/* IMDSv2: a token of the service, the role's name, the role's key. */
static enum source_next
instance_next(struct source_run *r)
{
    struct str at = source_setting(r, SOURCE_URL, S("http://169.254.169.254"));
    struct str roles =
        arena_printf(r->a, STR_FMT "/latest/meta-data/iam/security-credentials/", STR_ARG(at));

    if (r->step != 0 && r->status != 200)
        return source_refused(r);
    switch (r->step) {
    case 0:
        (void)source_get(r, arena_printf(r->a, STR_FMT "/latest/api/token", STR_ARG(at)),
            S("X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
        r->method = S("PUT");
        return SOURCE_ASK;
    case 1:
        if (!source_is_plain(str_trim(r->body)))
            return source_fail(r, "the answer is not a token");
        r->state = (void *)arena_printf(
            r->a, "X-aws-ec2-metadata-token: " STR_FMT "\r\n", STR_ARG(str_trim(r->body)))
                       .p;
        return source_get(r, roles, str_c(r->state));
    case 2: {
        struct str role = str_trim(str_make(r->body.p, str_chr(r->body, '\n')));

        if (!source_is_plain(role))
            return source_fail(r, "the instance has no role");
        return source_get(r,
            arena_printf(r->a, STR_FMT STR_FMT, STR_ARG(roles), STR_ARG(source_encoded(r, role))),
            str_c(r->state));
    }
    default:
        return read_lent(r);
    }
}

const struct cloud_source source_aws_instance = { S_INIT("the instance metadata service (IMDSv2)"),
    instance_next };

/* --- the security token service --- */

static struct str
tagged(struct str xml, struct str begin, struct str end)
{
    struct str rest = str_skip(str_skip(xml, str_find(xml, begin)), begin.n);
    size_t n = str_find(rest, end);

    return n < rest.n ? str_trim(str_make(rest.p, n)) : S("");
}

#define TAGGED(xml, tag) tagged((xml), S("<" tag ">"), S("</" tag ">"))

static enum source_next
read_assumed(struct source_run *r)
{
    if (r->status != 200)
        return source_refused(r);
    set_expiry(r, TAGGED(r->body, "Expiration"));
    return got_key(r, TAGGED(r->body, "AccessKeyId"), TAGGED(r->body, "SecretAccessKey"),
        TAGGED(r->body, "SessionToken"));
}

static struct str
sts_url(struct source_run *r, struct str region)
{
    struct str usual = region.n != 0
                           ? arena_printf(r->a, "https://sts." STR_FMT ".amazonaws.com%s",
                                 STR_ARG(region), str_starts(region, S("cn-")) ? ".cn" : "")
                           : S("https://sts.amazonaws.com");
    struct str at = source_setting(r, SOURCE_URL, usual);

    while (str_ends(at, S("/")))
        at.n--;
    return arena_printf(r->a, STR_FMT "/", STR_ARG(at));
}

static enum source_next
ask_with_web_identity(struct source_run *r, struct str role, struct str file)
{
    struct str token = source_file(r->a, file);
    struct buf form;

    if (!source_is_plain(token))
        return source_fail(
            r, "the file " STR_FMT " cannot be read, or holds no token", STR_ARG(file));
    buf_init(&form, FORM_BYTES);
    buf_printf(&form,
        "Action=AssumeRoleWithWebIdentity&Version=" STS_VERSION "&RoleArn=" STR_FMT
        "&RoleSessionName=" SESSION_NAME "&WebIdentityToken=",
        STR_ARG(source_encoded(r, role)));
    buf_add(&form, source_encoded(r, token));
    struct str text = arena_str(r->a, buf_str(&form));
    buf_fini(&form);
    return source_post_form(r, sts_url(r, r->settings->v[SOURCE_REGION]), text);
}

static enum source_next
web_identity_next(struct source_run *r)
{
    const struct str *v = r->settings->v;

    return r->step != 0 ? read_assumed(r)
                        : ask_with_web_identity(r, v[SOURCE_ROLE], v[SOURCE_FILE]);
}

const struct cloud_source source_aws_web_identity = { S_INIT("AWS STS"), web_identity_next };

/* --- shared files --- */

struct str
source_profile_value(struct str text, struct str profile, struct str key)
{
    bool inside = false;

    while (text.n != 0) {
        struct str line, name, value;

        (void)str_cut(text, '\n', &line, &text);
        bool nested = line.n != 0 && (line.p[0] == ' ' || line.p[0] == '\t');
        line = str_trim(line);
        if (str_starts(line, S("[")) && str_ends(line, S("]"))) {
            name = str_trim(str_make(line.p + 1, line.n - 2));
            if (str_starts(name, S("profile ")))
                name = str_trim(str_skip(name, S("profile ").n));
            inside = str_eq(name, profile);
        } else if (inside && !nested && str_cut(line, '=', &name, &value) &&
                   str_ieq(str_trim(name), key)) {
            return str_trim(value);
        }
    }
    return S("");
}

struct profile_files {
    struct str credentials, config;
};

static struct str
look_up(const struct profile_files *f, struct str profile, const char *key)
{
    struct str value = source_profile_value(f->credentials, profile, str_c(key));

    return value.n != 0 ? value : source_profile_value(f->config, profile, str_c(key));
}

/* Asks for the role of a profile, as the profile that it names. */
static enum source_next
ask_as_source_profile(
    struct source_run *r, const struct profile_files *f, struct str profile, struct str role)
{
    struct str from = look_up(f, profile, "source_profile");
    struct str external = look_up(f, profile, "external_id"),
               region = look_up(f, profile, "region");
    struct sigv4_key key = { .id = look_up(f, from, "aws_access_key_id"),
        .secret = look_up(f, from, "aws_secret_access_key"),
        .session = look_up(f, from, "aws_session_token") };
    struct buf text;

    if (!source_is_plain(key.id) || !source_is_plain(key.secret))
        return source_fail(r,
            "the profile '" STR_FMT "' has a role_arn, and no source_profile with a key",
            STR_ARG(profile));
    if (r->settings->v[SOURCE_REGION].n != 0)
        region = r->settings->v[SOURCE_REGION];
    buf_init(&text, FORM_BYTES);
    buf_printf(&text,
        "Action=AssumeRole&Version=" STS_VERSION "&RoleArn=" STR_FMT
        "&RoleSessionName=" SESSION_NAME "%s" STR_FMT,
        STR_ARG(source_encoded(r, role)), external.n != 0 ? "&ExternalId=" : "",
        STR_ARG(source_encoded(r, external)));
    struct str form = arena_str(r->a, buf_str(&text)), authority, path;
    (void)source_post_form(r, sts_url(r, region), form);
    struct str rest = str_skip(r->url, str_find(r->url, S("://")) + 3);
    authority = str_make(rest.p, str_chr(rest, '/'));
    path = str_skip(rest, authority.n);
    struct sigv4_request q = { .method = r->method,
        .host = authority,
        .target = path,
        .fields = r->fields,
        .body = &form,
        .body_count = 1 };
    buf_reset(&text, SIZE_MAX);
    buf_add(&text, r->fields);
    bool ok = sigv4_sign(
        &text, &q, &key, region.n != 0 ? region : S("us-east-1"), S("sts"), r->wall_ms, r->a);
    r->fields = arena_str(r->a, buf_str(&text));
    buf_fini(&text);
    return ok ? SOURCE_ASK : source_fail(r, "there is no memory to sign the request");
}

static enum source_next
profile_next(struct source_run *r)
{
    struct str profile = source_setting(r, SOURCE_PROFILE, S("default"));
    struct profile_files f;

    if (r->step != 0)
        return read_assumed(r);
    f.credentials = source_file(r->a, r->settings->v[SOURCE_FILE]);
    f.config = source_file(r->a, r->settings->v[SOURCE_MORE_FILE]);
    struct str role = look_up(&f, profile, "role_arn");
    struct str token_file = look_up(&f, profile, "web_identity_token_file");
    struct str id = look_up(&f, profile, "aws_access_key_id");
    if (role.n != 0 && token_file.n != 0)
        return ask_with_web_identity(r, role, token_file);
    if (role.n != 0)
        return ask_as_source_profile(r, &f, profile, role);
    if (id.n == 0)
        return source_fail(r, "the profile '" STR_FMT "' has no aws_access_key_id in " STR_FMT "%s",
            STR_ARG(profile), STR_ARG(r->settings->v[SOURCE_FILE]),
            look_up(&f, profile, "credential_process").n != 0 ||
                    look_up(&f, profile, "sso_session").n != 0
                ? "; credential_process and sso_session are not supported"
                : "");
    r->expires_ms = r->wall_ms + REREAD_MS;
    return got_key(r, id, look_up(&f, profile, "aws_secret_access_key"),
        look_up(&f, profile, "aws_session_token"));
}

const struct cloud_source source_aws_profile = { S_INIT("AWS's shared files"), profile_next };
