/* conf.h - the configuration: one YAML file turned into one checked struct.
 *
 * options.def is the schema: parsing, defaults, limits, validation, the JSON
 * Schema for editors, the starter file and the reference page all come from it.
 * A struct conf is immutable once loaded and owns all it points to. What needs
 * other layers (do the wires, providers and target models exist?) is
 * checked when the snapshot is built, and reported through conf_problem()
 * with the marks kept here, so that all errors are reported at once.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

/* Room for a configuration's text: more than one may have, so that a larger one is noticed. */
#define CONF_FILE_BYTES_MAX (1024u * 1024 + 32 * 1024)

/* The position of a value in the file, from 1; line 0: a default or a command-line --set. */
struct conf_mark {
    unsigned line;
    unsigned column;
};

struct conf_str {
    /* after ${ENV} and file: references were resolved; followed by a NUL */
    struct str v;
    struct conf_mark mark;
    bool secret;    /* never print it */
};

struct conf_strs {
    struct conf_str *list;
    size_t count;
};

/* A pair of a free-form map: HTTP fields. */
struct conf_pair {
    struct conf_str key;
    struct conf_str value;
};

struct conf_timeouts {    /* 0: not set here */
    uint64_t dns_ms;
    uint64_t connect_ms;
    uint64_t first_byte_ms;
    uint64_t first_token_ms;
    uint64_t between_tokens_ms;
    uint64_t total_ms;
};

/* Defaults that do not hold for callers on this machine. Without keys, they do not hold at all. */
#define CONF_CONNECTIONS_PER_ADDRESS 2000u
#define CONF_STREAMS_PER_KEY 1000u

struct conf_server {
    struct conf_strs listen;      /* "0.0.0.0:8080", "unix:/run/openclaw.sock" */
    struct conf_str unix_mode;    /* "0660"; these three are empty when not set */
    struct conf_str unix_owner;
    struct conf_str unix_group;
    struct conf_str admin_listen;    /* metrics and health; empty: none */
    struct conf_str admin_socket;    /* "auto", "off" or a path */
    struct conf_str user;            /* to become after a start as root; empty: none */
    bool core_dumps;
    uint64_t thoughts_bytes;    /* for proofs of reasoning; 0: none are remembered */
    uint64_t thoughts_ms;
    uint64_t workers;            /* 0: one per core ("auto") */
    struct conf_str tls_cert;    /* both or neither */
    struct conf_str tls_key;
    struct conf_strs dns;             /* name servers, "IP" or "IP:PORT"; empty: the system's */
    struct conf_strs cors_origins;    /* "*" or exact origins; empty: CORS off */
    struct conf_strs hosts;           /* names that a Host field may have without keys */
    uint64_t drain_grace_ms;          /* SIGTERM: keep accepting this long with /readyz at 503 */
    uint64_t drain_deadline_ms;       /* then streams may finish for this long */
    uint64_t keepalive_ms;            /* SSE comment to the caller when the upstream is silent */
    uint64_t queue_length;            /* requests per worker that may wait for a slot; 0: none */
    uint64_t queue_wait_ms;
    uint64_t queue_background_ms;
    uint64_t queue_key_share;    /* percent */
    uint64_t limit_body_bytes;
    uint64_t limit_held_bytes;       /* kept for requests and answers under way, in the process */
    struct conf_str limit_memory;    /* "auto", "off" or a size: of the process */
    uint64_t limit_head_bytes;
    uint64_t limit_fields;
    uint64_t limit_head_ms;    /* header_deadline */
    uint64_t limit_idle_ms;
    uint64_t limit_body_rate_bytes_per_s;
    uint64_t limit_body_ms;
    uint64_t limit_write_stall_ms;
    uint64_t limit_connections;    /* per worker */
    uint64_t limit_connections_per_address;
    uint64_t limit_requests;           /* exchanges under way per worker: 503 beyond */
    uint64_t limit_key_share;          /* percent of limit_requests: 429 beyond; 100: no limit */
    uint64_t limit_streams_per_key;    /* exchanges under way per key: 429 beyond; 0: no limit */
    /* a minute, per address and worker: 429 beyond; 0: no limit */
    uint64_t limit_wrong_keys;
    uint64_t limit_json_depth;
    uint64_t limit_json_values;
    uint64_t limit_event_bytes;        /* one event of a provider's stream */
    uint64_t limit_answer_bytes;       /* a provider's whole answer */
    uint64_t limit_continued_bytes;    /* a request, and its text so far, kept for a continuation */
    uint64_t limit_metric_series;      /* distinct model names in metrics */
};

enum conf_auth_mode { AUTH_DEFAULT, AUTH_NONE, AUTH_KEYS };

struct conf_key {
    struct conf_str name;
    struct conf_str key;           /* secret */
    struct conf_strs models;       /* allowed names and globs; empty: all */
    struct conf_strs routes;       /* ids and paths; empty: see auth_allows_route() */
    struct conf_strs endpoints;    /* the same, of all routes; empty: all */
    struct conf_strs providers;
    struct conf_str org, team, project, user, environment;
    struct conf_strs tags;     /* "name" or "name=value" */
    struct conf_strs cidrs;    /* networks, or "unix"; empty: all */
    struct conf_strs origins;
    struct conf_str expires;        /* RFC 3339; empty: never */
    struct conf_str priority;       /* "high", "normal", "low" */
    uint64_t concurrent;            /* requests under way; 0: as for all keys */
    uint64_t rpm, tpm, rpd, tpd;    /* 0: no limit */
    struct conf_str budget;         /* "10/month"; empty: none */
    bool explain;                   /* answers say how they were routed */
    struct conf_mark mark;
};

/* How much may be asked. */
struct conf_limit {
    struct conf_str scope;    /* "key:*" */
    uint64_t rates[6];        /* requests a minute, hour and day, and tokens; 0: no limit */
    uint64_t concurrent, streams, burst;
    struct conf_mark mark;
};

/* Money that may be spent; texts are decimal numbers of dollars. */
struct conf_budget {
    struct conf_str scope, name;
    struct conf_str amount;
    struct conf_str period;    /* "day", "week", "month", "total" */
    struct conf_str time_zone;
    struct conf_strs alerts;    /* "80%" */
    bool strict;
    struct conf_str then;    /* "refuse", "throttle", "alias" */
    struct conf_str alias;
    struct conf_str per_request, per_session;
    struct conf_mark mark;
};

/* What tokens for which `when` holds may do. */
struct conf_grant {
    struct str when;    /* JSON: claims and what they must be; empty: always */
    struct conf_str org, team, project, user;    /* with {claim} */
    struct conf_str environment, role;
    struct conf_strs models, routes, endpoints, providers, tags;    /* as of a key */
    struct conf_str priority;
    uint64_t concurrent;
    struct conf_mark mark;
};

struct conf_issuer {
    struct conf_str issuer;
    struct conf_strs audience;
    struct conf_strs algorithms;    /* empty: the usual ones */
    struct conf_str jwks_url, jwks_file;
    uint64_t refresh_ms, leeway_ms, max_age_ms;
    struct conf_str name;       /* a claim */
    struct conf_strs denied;    /* jti or sub */
    struct conf_grant *rules;
    size_t rule_count;
    struct conf_mark mark;
};

struct conf_auth {
    /* default: keys when there are keys or issuers, none on loopback listeners, else an error */
    enum conf_auth_mode mode;
    bool mode_implied;    /* not set explicitly */
    struct conf_mark mode_mark;
    struct conf_str plain_http;    /* allow, private, refuse */
    struct conf_str pepper;        /* secret; empty: that in the folder for state */
    struct conf_key *keys;
    size_t key_count;
    struct conf_issuer *issuers;
    size_t issuer_count;
};

/* What a provider does with what it is sent; empty: as its row has it. */
struct conf_data {
    struct conf_str retention;    /* "none", "unknown", "30d" */
    struct conf_str training;     /* "true" or "false" */
};

struct conf_probe {
    uint64_t every_ms;    /* 0: never */
};

/* In whose name requests to AWS are signed. */
struct conf_aws {
    struct conf_str region;
    struct conf_str profile;
    struct conf_str access_key_id;
    struct conf_str secret_access_key;
    struct conf_str session_token;
    struct conf_str role_arn;
    struct conf_str web_identity_token_file;
    struct conf_str token_url;
};

/* Where in Google's cloud, and in whose name. */
struct conf_google {
    struct conf_str project;
    struct conf_str location;
    struct conf_str credentials;    /* a file */
    struct conf_str token_url;
};

/* In whose name requests to Azure are made, instead of with a key. */
struct conf_entra {
    struct conf_str tenant;
    struct conf_str client_id;
    struct conf_str client_secret;
    bool managed;
    struct conf_str scope;
    struct conf_str token_url;
};

struct conf_vault {
    struct conf_str url, token, role_id, secret_id, kubernetes_role, service_account_file, mount,
        namespace, ca_file;
};

/* Where secrets are kept. */
struct conf_secrets {
    uint64_t refresh_ms;
    struct conf_str server;
    struct conf_vault vault;
    struct conf_aws aws;
    struct conf_google google;
    struct conf_entra entra;
};

struct conf_provider {
    struct conf_str id;          /* the key in the file */
    struct conf_str wire;        /* empty: from the built-in row */
    struct conf_str host;        /* the same */
    struct conf_str base_url;    /* the same */
    struct conf_str api_version;
    struct conf_strs api_keys;    /* one or several; secret */
    bool api_keys_set;            /* if all given keys were refused, there is a problem for each */
    struct conf_aws aws;
    struct conf_google google;
    struct conf_entra entra;
    struct conf_pair *fields;    /* extra HTTP fields ("headers:") */
    size_t field_count;
    struct conf_str ca_file;
    struct conf_str client_cert;
    struct conf_str client_key;    /* empty: in client_cert */
    bool tls_insecure;
    struct conf_str http;           /* "auto" or "1" */
    struct conf_str concurrency;    /* "off" or "adaptive" */
    struct conf_probe probe;
    bool disabled;
    struct conf_strs models;    /* names offered in /v1/models; empty: from the catalog */
    struct conf_strs quirks;    /* some traits by name, instead of the row's */
    bool quirks_set;
    struct str traits;    /* JSON object text, or empty; see llm/traits.def */
    struct conf_str region;
    struct conf_data data;
    struct conf_timeouts timeouts;
    struct conf_mark mark;
};

struct conf_target {
    struct conf_str model;    /* "provider/model" or another alias */
    uint64_t weight;
    struct str params;    /* JSON object text of overrides, or empty */
    struct str traits;    /* JSON object text, or empty */
    struct conf_timeouts timeouts;
    struct conf_mark mark;
};

struct conf_hedge {
    uint64_t share_percent;    /* 0: off */
    uint64_t percentile;
    uint64_t cost_percent;
};

/* A model that judges answers. */
struct conf_judge {
    struct conf_str model;    /* empty: none */
    uint64_t below;
    uint64_t timeout_ms;
    struct conf_str prompt;    /* empty: the usual one */
};

struct conf_cascade {
    struct conf_strs escalate;    /* names of llm/judgements.def; none: the usual ones */
    struct conf_str min_logprob;
    struct conf_judge judge;
    struct conf_str last;    /* give, refuse */
};

struct conf_fuse {
    uint64_t ask;
    struct conf_str choose;     /* rule, vote, judge */
    struct conf_strs reject;    /* as cascade.escalate */
    uint64_t wait_ms;
    struct conf_judge judge;
};

struct conf_shadow {
    struct conf_str target;    /* empty: none */
    struct conf_str sample;
    struct conf_str usd_per_day;
};

struct conf_sticky {
    struct conf_str by;    /* conversation, prefix, key */
};

/* How much each respect counts. */
struct conf_score {
    uint64_t cost, latency, quality, load;
};

/* What an alias demands of its targets; empty: nothing. */
struct conf_require {
    struct conf_strs regions;
    struct conf_str training;     /* "false" */
    struct conf_str retention;    /* "none", "30d" */
    struct conf_str max_usd;
};

struct conf_alias {
    struct conf_str name;
    struct conf_str strategy;
    struct conf_hedge hedge;
    struct conf_require require;
    struct conf_cascade cascade;
    struct conf_fuse fuse;
    struct conf_shadow shadow;
    struct conf_sticky sticky;
    struct conf_score score;
    struct conf_str quality;            /* form_share() reads it */
    struct str on_error;                /* JSON object text, or empty; see route/failure.h */
    struct conf_str on_stream_break;    /* auto, continue, error */
    struct conf_target *targets;
    size_t target_count;
    struct conf_mark mark;
};

/* What is done with requests of a kind: route/rules.h. */
struct conf_rule {
    struct conf_str name;        /* empty: by its number */
    struct conf_str when;        /* an expression; empty: always */
    struct conf_str use;         /* the model's name instead; empty: as asked for */
    struct conf_str strategy;    /* empty: the alias's */
    struct conf_strs targets;    /* instead of the alias's; none: those */
    struct str params, cap;      /* JSON object texts, or empty */
    struct conf_strs tags;       /* "name" or "name=value" */
    struct conf_str reject;      /* the sentence for the caller; empty: it is not rejected */
    struct conf_str status;      /* "403" */
    struct conf_shadow shadow;
    struct conf_str experiment;
    bool goes_on;    /* later rules are looked at, too */
    struct conf_mark mark;
};

/* Facts about a model; 0 and empty: not said. */
struct conf_known {
    struct conf_str id;    /* "provider/model" */
    struct conf_str base;
    struct conf_str mode;
    struct conf_str region;
    struct conf_str tokenizer;
    uint64_t context, max_input, output;    /* tokens */
    uint64_t quality;                       /* percentile */
    uint64_t tokens_per_s;
    uint64_t first_token_ms;
    struct str capabilities;    /* JSON object text, or empty; see catalog/entry.h */
    struct str price;           /* the same */
    struct conf_mark mark;
};

struct conf_catalog {
    struct conf_str file;             /* empty: none */
    struct conf_str source;           /* of `openclaw catalog refresh`; empty: none */
    struct conf_str unknown_price;    /* "alert", "deny" or "estimate" */
    struct conf_known *models;
    size_t model_count;
};

struct conf_arm {
    struct conf_str name;
    struct conf_str use;    /* an alias, or provider/model */
    uint64_t weight;
    struct conf_mark mark;
};

struct conf_experiment {
    struct conf_str name;
    struct conf_str alias;
    struct conf_str by;    /* caller, conversation, request, tag:NAME */
    uint64_t share_percent;
    struct conf_arm *arms;
    size_t arm_count;
    struct conf_mark mark;
};

struct conf_retry {
    uint64_t attempts;    /* of one request */
    uint64_t budget_percent;
    uint64_t base_ms;    /* backoff */
    uint64_t cap_ms;
    uint64_t wait_ms;        /* for a target, while there are others */
    uint64_t patience_ms;    /* of a caller that does not say */
    uint64_t slow_ms;        /* 0: never */
    bool breakers;
};

struct conf_responses {
    uint64_t store_bytes;    /* for conversations, of all workers; 0: none are kept */
    uint64_t ttl_ms;
};

struct conf_store {
    struct conf_str url;    /* auto, off, sqlite:PATH, postgres://...; may contain a password */
    uint64_t keep_ledger_ms, keep_usage_ms, keep_deleted_ms;    /* 0: for ever */
    uint64_t journal_bytes;                                     /* of all workers */
    struct conf_str journal_full;                               /* unrecorded, refuse */
    struct conf_str journal_folder;                             /* auto, or a path */
};

struct conf_observe {
    struct conf_str log_path;      /* error log: stdout, stderr, a file */
    struct conf_str log_level;     /* debug, info, warn, error */
    struct conf_str log_format;    /* auto, json, text */
    struct conf_str access_format;
    struct conf_str access_path;    /* access log; "off" */
    bool explain;                   /* answers say how they were routed */
    uint64_t recent_bytes;          /* for requests that have ended, of all workers */
    bool metrics;
};

/* In the order of options.def. */
enum conf_fault_kind { CHAOS_NOT, CHAOS_DELAY, CHAOS_STATUS, CHAOS_RESET, CHAOS_CUT, CHAOS_STALL };

struct conf_fault {
    struct conf_str target;    /* "provider", "provider/model" with globs */
    enum conf_fault_kind kind;
    struct conf_mark kind_mark;
    uint64_t share_percent;
    uint64_t delay_ms;
    uint64_t status;
    uint64_t retry_after_ms;
    uint64_t after_bytes;
    struct conf_mark mark;
};

struct conf_chaos {
    struct conf_fault *faults;
    size_t fault_count;    /* 0: off */
    uint64_t seed;
};

/* What the file itself holds, whatever --set adds to it: how a reload tells a small configuration
 * from a file that was emptied or cut short. */
struct conf_given {
    bool anything;
    bool auth;
    bool providers;
    bool models;
    bool unknown;    /* an unknown section, perhaps one of the above misspelt */
};

struct map;

struct conf {
    struct arena *arena;
    struct str path;    /* the file, or "(built in)" */
    struct conf_given given;
    struct conf_server server;
    struct conf_auth auth;
    struct conf_secrets secrets;
    struct conf_provider *providers;
    size_t provider_count;
    struct conf_alias *models;
    size_t model_count;
    struct conf_rule *rules;
    size_t rule_count;
    struct conf_experiment *experiments;
    size_t experiment_count;
    struct conf_limit *limits;
    size_t limit_count;
    struct conf_budget *budgets;
    size_t budget_count;
    /* for routes that name no model, and model names without a provider */
    struct conf_str default_provider;
    struct conf_timeouts timeouts;    /* defaults for all targets */
    struct conf_retry retry;
    struct conf_catalog catalog;
    struct conf_responses responses;
    struct conf_store store;
    struct conf_observe observe;
    struct conf_chaos chaos;
    /* paths as written: certificates, keys, files that hold secrets (`secret`); also those that
     * could not be read */
    struct conf_strs files;
    struct map *spots;    /* see conf_mark_of() and conf_is_faulty() */
};

/* Errors in a configuration and warnings about it: each in file order, limited to 100. */
struct conf_problem {
    struct conf_mark mark;
    struct str text;    /* "what is wrong; what to write instead" */
    struct conf_problem *next;
};
struct conf_problems {
    struct arena *arena;
    struct conf_problem *first;
    size_t count;    /* 0: it can be used */
    struct conf_problem *first_warning;
    size_t warning_count;
};
void conf_problems_init(struct conf_problems *p, struct arena *a);
void conf_problem(struct conf_problems *p, struct conf_mark mark, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* What works but is probably unintended, or will soon stop working. */
void conf_warn(struct conf_problems *p, struct conf_mark mark, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Calls fn(arg, "file:line:col: text") for each problem, or fn(arg, "file:line:col: warning: text")
 * for each warning. */
typedef void conf_line_fn(void *arg, struct str line);
void conf_problems_each(
    const struct conf_problems *p, struct str path, conf_line_fn *fn, void *arg);
void conf_warnings_each(
    const struct conf_problems *p, struct str path, conf_line_fn *fn, void *arg);

/* Prints the lines of both to a descriptor of the caller's. */
void conf_problems_print(const struct conf_problems *p, struct str path, int fd);

struct buf;

/* Appends a whole file, or a pipe up to its end, to `out`. If `ret_once` is NULL, it must
 * be a regular file; otherwise *ret_once is set if it is not one and so can be read only once.
 * False with a problem if it cannot be read; `out` is empty then. */
bool conf_read_file(
    const char *path, struct buf *out, bool *ret_once, struct conf_problems *problems) MUST_CHECK;

/* Reads a file. `sets` are "key.path=value" strings from --set, applied over it. `path` NULL: the
 * defaults and the sets alone. Always returns a conf, complete with defaults; it is usable only
 * when problems->count stayed 0. */
struct conf *conf_load(const char *path, const char *const *sets, size_t set_count,
    struct conf_problems *problems) NEVER_NULL;

/* The same from the text of a file that is called `name`. */
struct conf *conf_load_text(struct str text, struct str name, const char *const *sets,
    size_t set_count, struct conf_problems *problems) NEVER_NULL;

/* The same without --set, for tests and the fuzzer. */
struct conf *conf_parse(
    struct str text, struct str name, struct conf_problems *problems) NEVER_NULL;

/* Reports why `next`, although valid by itself, must not replace `now` in a running process: it has
 * lost its providers, or it would require no key at an address that is open and stays open. */
void conf_check_reload(const struct conf *now, const struct conf_strs *open,
    const struct conf *next, struct conf_problems *problems);

void conf_destroy(struct conf *c);

/* Where a field of this configuration was set; line 0: not in the file. */
struct conf_mark conf_mark_of(const struct conf *c, const void *field);

/* Where a byte of this text is in the file: `offset` bytes from its begin. If the file has the text in
 * another form (folded, escaped), where the text begins. */
struct conf_mark conf_mark_in(const struct conf *c, const struct conf_str *field, size_t offset);

/* Did the file or a --set give this field a value? */
bool conf_is_given(const struct conf *c, const void *field);

/* Was anything in this field, entry or section refused? Then what seems to be missing from it may
 * be what was refused, and must not be reported as well. */
bool conf_is_faulty(const struct conf *c, const void *thing);
/* Whether "[::]:PORT" leaves IPv4 alone, because another of the addresses takes it at this port. */
bool conf_listens_v6_only(const struct conf_server *s, struct str address);

/* The starter file, the JSON Schema and the reference page: tools/options.py makes them from
 * options.def at build time. */
extern const char conf_starter[];
extern const char conf_schema[];
extern const char conf_reference[];

/* The closest of `count` names to `word`, or an empty slice: for "did you mean". */
struct str conf_closest(struct str word, const struct str *names, size_t count);

/* `base`, with what `over` sets. */
struct conf_timeouts conf_timeouts_over(struct conf_timeouts base, struct conf_timeouts over);
