/* cmd_status.c - `openclaw status`: what a running gateway is doing, on one page. */
#include <stdio.h>

#include "app/admin_client.h"
#include "app/admin_view.h"
#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024 };

/* What the page is made of: its parts, by the names of their routes. */
static const char *const parts[] = { "status", "config", "health", "rules", "targets",
    "exchanges?limit=20" };
enum { STATUS, CONFIG, HEALTH, RULES, TARGETS, EXCHANGES, PARTS };
enum { TARGETS_MOST = 40 };

static void
add_store(struct buf *out, const struct admin_client *c, const struct json *store)
{
    struct str state = admin_text(c, store, "state");
    char age[OUTPUT_AGE_ROOM];

    if (store == NULL)
        return;
    if (str_eq(state, S("up")) || str_eq(state, S("off")))
        buf_printf(out, "  store          " STR_FMT "\n", STR_ARG(admin_text(c, store, "url")));
    else
        buf_printf(out, "  THE STORE IS %s for %s: " STR_FMT "\n",
            str_eq(state, S("full"))  ? "FULL"
            : str_eq(state, S("bad")) ? "BAD"
                                      : "AWAY",
            output_age(admin_number(store, "since_age_ms"), age),
            STR_ARG(admin_text(c, store, "why")));
}

static void
add_process(struct buf *out, const struct admin_client *c, const struct json *const *doc)
{
    const struct json *s = doc[STATUS];
    char age[OUTPUT_AGE_ROOM], size[OUTPUT_SIZE_ROOM], held[OUTPUT_SIZE_ROOM];
    struct json_iter it = json_iter(json_get(s, S("addresses")));

    buf_printf(out, "openclaw " STR_FMT ", process %llu, up %s: " STR_FMT "\n",
        STR_ARG(admin_text(c, s, "version")), (unsigned long long)admin_number(s, "pid"),
        output_age(admin_number(s, "started_age_ms"), age), STR_ARG(admin_text(c, s, "state")));
    buf_add(out, S("  addresses      "));
    for (bool first = true; json_next(&it); first = false) {
        buf_add(out, first ? S("") : S(", "));
        buf_add(out, admin_shown(c, json_str(c->arena, it.value)));
    }
    buf_printf(out, "; workers: %llu\n", (unsigned long long)admin_number(s, "workers"));
    it = json_iter(json_get(s, S("silent_workers")));
    while (json_next(&it))
        buf_printf(out, "  WORKER %lld DOES NOT ANSWER: its event loop is blocked\n",
            (long long)json_i64(it.value, 0));
    buf_printf(out, "  configuration  " STR_FMT ", generation %llu, loaded %s ago\n",
        STR_ARG(admin_text(c, s, "file")), (unsigned long long)admin_number(s, "generation"),
        output_age(admin_number(doc[CONFIG], "loaded_age_ms"), age));
    if (admin_number(s, "rolled_back_to") != 0)
        buf_printf(out,
            "  ROLLED BACK to generation %llu: the file differs; the next reload uses it again\n",
            (unsigned long long)admin_number(s, "rolled_back_to"));
    if (admin_number(s, "chaos_faults") != 0)
        buf_printf(out, "  CHAOS IS ON: %llu faults on purpose (chaos.faults)\n",
            (unsigned long long)admin_number(s, "chaos_faults"));
    buf_printf(out, "  requests       %llu under way, %llu of them streamed; %llu connections\n",
        (unsigned long long)admin_number(s, "exchanges"),
        (unsigned long long)admin_number(s, "streams"),
        (unsigned long long)admin_number(s, "connections"));
    buf_printf(out, "  memory         %s, of it %s for requests and answers\n",
        output_size(admin_number(s, "resident_bytes"), size),
        output_size(admin_number(s, "held_bytes"), held));
    add_store(out, c, json_get(s, S("store")));
}

/* Providers and keys that are not used as usual, each on a line. */
static void
add_health(struct buf *out, const struct admin_client *c, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("providers")));

    while (json_next(&it)) {
        struct json_iter keys = json_iter(json_get(it.value, S("keys")));

        if (!admin_is_well(c, it.value)) {
            buf_printf(out, "  PROVIDER " STR_FMT " is ", STR_ARG(admin_text(c, it.value, "name")));
            admin_add_state(out, c, it.value);
            buf_add_c(out, '\n');
        }
        while (json_next(&keys)) {
            if (admin_is_well(c, keys.value))
                continue;
            buf_printf(out, "  KEY " STR_FMT " is ", STR_ARG(admin_text(c, keys.value, "name")));
            admin_add_state(out, c, keys.value);
            buf_add_c(out, '\n');
        }
    }
}

/* Rules whose conditions fail, each on a line. */
static void
add_rules(struct buf *out, const struct admin_client *c, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("rules")));

    while (json_next(&it))
        if (admin_number(it.value, "failed") != 0)
            buf_printf(out, "  RULE " STR_FMT " FAILED for %llu requests: " STR_FMT "\n",
                STR_ARG(admin_text(c, it.value, "name")),
                (unsigned long long)admin_number(it.value, "failed"),
                STR_ARG(admin_text(c, it.value, "last_failure")));
}

static void
add_targets(struct buf *out, const struct admin_client *c, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("targets")));
    uint32_t total = json_count(json_get(doc, S("targets")));

    if (total == 0)
        return;
    buf_printf(out, "\n%-36s  %9s  %8s  %8s  %8s  %9s  %9s  %s\n", "TARGET", "UNDER WAY", "OK/MIN",
        "BAD/MIN", "OTHER", "TTFT P50", "P95", "STATE");
    for (unsigned n = 0; n < TARGETS_MOST && json_next(&it); n++) {
        const struct json *t = it.value;
        char p50[ADMIN_MS_ROOM], p95[ADMIN_MS_ROOM];

        output_cell(out, admin_target(c, t), 36);
        buf_printf(out, "%9llu  %8llu  %8llu  %8llu  %9s  %9s  ",
            (unsigned long long)admin_number(t, "under_way"),
            (unsigned long long)admin_number(t, "ok"),
            (unsigned long long)admin_number(t, "failed"),
            (unsigned long long)admin_number(t, "other"),
            admin_ms(admin_number(t, "first_token_p50_ms"), p50),
            admin_ms(admin_number(t, "first_token_p95_ms"), p95));
        admin_add_state(out, c, t);
        buf_add_c(out, '\n');
    }
    if (total > TARGETS_MOST)
        buf_printf(out, "and %u more: GET /admin/v1/targets\n", total - TARGETS_MOST);
}

static void
add_exchanges(struct buf *out, const struct admin_client *c, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("exchanges")));
    uint64_t shown = admin_number(doc, "shown"), total = admin_number(doc, "total");

    if (shown == 0)
        return;
    buf_printf(out, "\n%-32s  %-12s  %-20s  %-12s  %-24s  %3s  %6s  %9s\n", "REQUEST", "KEY",
        "MODEL", "STAGE", "TARGET", "TRY", "AGE", "SENT");
    while (json_next(&it)) {
        const struct json *x = it.value;
        struct str provider = admin_text(c, x, "provider"), model = admin_text(c, x, "target");
        struct str target = arena_printf(c->arena, STR_FMT "%s" STR_FMT, STR_ARG(provider),
            provider.n != 0 && model.n != 0 ? "/" : "", STR_ARG(model));
        char age[OUTPUT_AGE_ROOM], size[OUTPUT_SIZE_ROOM];

        output_cell(out, admin_text(c, x, "id"), 32);
        output_cell(out, admin_text(c, x, "key"), 12);
        output_cell(out, admin_text(c, x, "model"), 20);
        output_cell(out, admin_text(c, x, "stage"), 12);
        output_cell(out, target, 24);
        buf_printf(out, "%3llu  %6s  %9s\n", (unsigned long long)admin_number(x, "attempts"),
            output_age(admin_number(x, "age_ms"), age),
            output_size(admin_number(x, "bytes_out"), size));
    }
    if (total > shown)
        buf_printf(out, "and %llu more: GET /admin/v1/exchanges?limit=1000\n",
            (unsigned long long)(total - shown));
}

/* False after saying what went wrong. */
static bool
show(struct admin_client *c, void *arg UNUSED)
{
    const struct json *doc[PARTS];
    struct str text[PARTS];
    struct buf out;

    for (size_t i = 0; i < PARTS; i++) {
        doc[i] = admin_client_ask(c, parts[i], S(""), &text[i]);
        if (doc[i] == NULL)
            return false;
    }
    buf_init(&out, OUTPUT_MAX);
    if (c->json) {
        for (size_t i = 0; i < PARTS; i++) {
            struct str name, query;

            (void)str_cut(str_c(parts[i]), '?', &name, &query);
            buf_printf(&out, "%s\"" STR_FMT "\":", i == 0 ? "{" : ",\n ", STR_ARG(name));
            buf_add(&out, text[i]);
        }
        buf_add(&out, S("}\n"));
    } else {
        add_process(&out, c, doc);
        add_health(&out, c, doc[HEALTH]);
        add_rules(&out, c, doc[RULES]);
        add_targets(&out, c, doc[TARGETS]);
        add_exchanges(&out, c, doc[EXCHANGES]);
    }
    output_print(&out);
    return true;
}

int
cmd_status(int argc, char **argv)
{
    struct admin_client c = { .command = "status" };
    const struct flag list[] = { ADMIN_FLAG_SOCKET(c), ADMIN_FLAG_URL(c), ADMIN_FLAG_JSON(c) };
    const struct flags flags = {
        .usage = "openclaw status [--socket PATH | --url URL] [--json]",
        .about =
            "Shows what a running gateway is doing: its configuration, the state of "
            "providers, keys and targets, and the oldest requests under way. It asks over the gateway's local socket.",
        .list = list,
        .count = ARRAY_LEN(list),
    };
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, NULL);

    if (verdict != FLAGS_OK)
        return verdict;
    return admin_client_run(&c, show, NULL);
}
