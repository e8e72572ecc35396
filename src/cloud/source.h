/* source.h - the ways to get credentials of a cloud: what is asked of whom, and what the answers mean.
 *
 * A source is pure: cloud/keeper.h sends its requests. It is called with the answer to what it asked
 * before, and either asks again, or has got the credential, or has failed. Files are read here, for
 * they may be replaced while the process runs.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

/* What a source is told, by the configuration and the environment. Any may be empty. */
enum source_setting {
    SOURCE_URL,        /* where it is asked, instead of the usual place */
    SOURCE_REGION,     /* AWS: of its token service */
    SOURCE_ID,         /* the key's or the client's */
    SOURCE_SECRET,     /* that belongs to it */
    SOURCE_SESSION,    /* AWS: token of a session; Azure App Service and ECS: proof for the endpoint */
    SOURCE_FILE,       /* of a key or a token */
    SOURCE_MORE_FILE,    /* AWS: the file "config", besides "credentials" */
    SOURCE_PROFILE,      /* AWS: in these files */
    SOURCE_ROLE,         /* AWS: to be assumed */
    SOURCE_TENANT,       /* Entra ID */
    SOURCE_SCOPE,        /* Entra ID: what the token is for */
    SOURCE_FIELD,    /* the header field that a token becomes, up to it; empty: Authorization: Bearer */
    SOURCE_CA_FILE,    /* authorities to trust instead of the system's */
    SOURCE_SERVER,     /* of a secret: where its manager is asked, instead of the usual place */
    SOURCE_NAME,       /* of a secret */
    SOURCE_MEMBER,     /* of a secret that is a JSON object */
    SOURCE_REFRESH,    /* of a secret: after so many milliseconds it is asked for again */
    SOURCE_SETTINGS
};

struct source_settings {
    const struct cloud_source *source;
    const struct cloud_source
        *lender;    /* of the credential that a manager of secrets wants; or NULL */
    struct str v[SOURCE_SETTINGS];
};

enum source_next { SOURCE_ASK, SOURCE_GOT, SOURCE_FAILED };

/* One fetch. */
struct source_run {
    const struct source_settings *settings;
    struct arena *a;     /* of the fetch */
    uint64_t wall_ms;    /* now */

    /* What was asked before; all zero the first time. */
    unsigned step;    /* how many requests were answered */
    int status;       /* of the answer */
    struct str body;
    void *state;         /* the source's own */
    bool lent;           /* what the lender gives is there, */
    unsigned lent_at;    /* since so many answers */

    /* SOURCE_ASK: the request. */
    struct str method, url, fields, content;

    /* SOURCE_GOT: a token for Authorization: Bearer, or AWS's key. */
    struct str token;
    struct str key_id, key_secret, key_session;
    uint64_t expires_ms;    /* wall clock; 0: it does not */
    uint64_t
        renew_ms;    /* of one that does not: when to look whether there is a newer one; 0: never */

    /* SOURCE_FAILED: a sentence's end without any secret: "the file ... has no key". */
    struct str why;
};

struct cloud_source {
    struct str name;    /* for people: "the instance metadata service" */
    enum source_next (*next)(struct source_run *r);
};

extern const struct cloud_source source_aws_key;          /* from the configuration or environment */
extern const struct cloud_source source_aws_profile;      /* from shared files */
extern const struct cloud_source source_aws_container;    /* ECS, EKS Pod Identity */
extern const struct cloud_source source_aws_instance;     /* EC2: IMDSv2 */
extern const struct cloud_source source_aws_web_identity;    /* STS, with a token from a file */
extern const struct cloud_source source_google_key;          /* a JSON file: service account or user */
extern const struct cloud_source source_google_metadata;     /* Compute Engine, GKE, Cloud Run */
extern const struct cloud_source source_entra_client;        /* a client with a secret */
extern const struct cloud_source source_entra_workload;      /* a client with a token from a file */
extern const struct cloud_source source_entra_managed;       /* managed identity: IMDS, App Service */

/* Secrets: their text is the token. vault.c */
extern const struct cloud_source source_vault;            /* HashiCorp Vault, OpenBao */
extern const struct cloud_source source_aws_secret;       /* Secrets Manager */
extern const struct cloud_source source_google_secret;    /* Secret Manager */
extern const struct cloud_source source_azure_secret;     /* Key Vault */

/* --- what sources share --- */

/* Fails with that sentence; at most 300 bytes of it are kept. */
enum source_next source_fail(struct source_run *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* Fails because of the answer's status, with the error that its JSON or XML names. */
enum source_next source_refused(struct source_run *r);

/* Asks for a document. `fields` are complete lines. */
enum source_next source_get(struct source_run *r, struct str url, struct str fields);

/* Sends a form, whose values are encoded already. */
enum source_next source_post_form(struct source_run *r, struct str url, struct str form);

/* A text percent-encoded, in the fetch's arena. */
struct str source_encoded(struct source_run *r, struct str text);

/* The setting, or the fallback if it is empty. */
struct str source_setting(const struct source_run *r, enum source_setting s, struct str fallback);

/* A small file's text in `a`, without blanks around it; NULL if it cannot be read. */
struct str source_file(struct arena *a, struct str path);

/* The value of a setting in a profile of AWS's shared files; empty if there is none. In the file
 * "config", all profiles but the default one have a word before their names. */
struct str source_profile_value(struct str text, struct str profile, struct str key);

/* Reads {"access_token", "expires_in" or "expires_on"}. */
enum source_next source_read_token(struct source_run *r);

/* Is it a text that may be part of a header field or a URL: printable ASCII without blanks? */
bool source_is_plain(struct str s);
