/* cmd_experiments.c - `openclaw experiments`: what the arms of experiments have achieved so far. */
#include <stdio.h>

#include "app/admin_client.h"
#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"

enum { OUTPUT_MAX = 4 * 1024 * 1024, CELL_ROOM = 64 };

/* The columns: a name, a member of an arm, what it is multiplied by, what comes before and after the
 * number, and its digits after the point; of money those that say something. */
static const struct column {
    const char *name, *member;
    double scale;
    const char *before, *after;
    int digits;
    bool money;
} columns[] = {
    { "ERRORS", "error_share", 100, "", "%", 2, false },
    { "COST", "cost_usd", 1, "$", "", 3, true },
    { "FIRST TOKEN", "first_token_ms", 1, "", " ms", 0, false },
    { "DURATION", "duration_ms", 1, "", " ms", 0, false },
    { "SCORE", "score", 1, "", "", 2, false },
};

static void
format(char *room, const struct column *c, const struct json *value)
{
    double v = json_f64(value, 0) * c->scale;

    if (!json_is(value, JSON_NUMBER))
        (void)snprintf(room, CELL_ROOM, "-");
    else if (c->money)
        (void)snprintf(room, CELL_ROOM, "%s%.*g%s", c->before, c->digits, v, c->after);
    else
        (void)snprintf(room, CELL_ROOM, "%s%.*f%s", c->before, c->digits, v, c->after);
}

/* The interval of a member: of a mean it is one level deeper. */
static const struct json *
interval_of(const struct json *of, const char *member)
{
    const struct json *m = json_get(of, str_c(member)), *mean = json_get(m, S("mean"));

    return mean != NULL ? mean : m;
}

/* "openai/a   1234   0.10%   $0.002 ...", then the differences, each with its interval. */
static void
add_arm(struct buf *out, const struct admin_client *c, const struct json *arm)
{
    const struct json *more = json_get(arm, S("against_first"));
    char room[CELL_ROOM], low[CELL_ROOM], high[CELL_ROOM];

    buf_add(out, S("  "));
    output_cell(out, admin_text(c, arm, "name"), 16);
    output_cell(out, admin_text(c, arm, "use"), 28);
    buf_printf(out, "%9llu", (unsigned long long)admin_number(arm, "requests"));
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        format(room, &columns[i], json_get(interval_of(arm, columns[i].member), S("value")));
        buf_printf(out, "  %11s", room);
    }
    buf_add_c(out, '\n');
    for (size_t i = 0; more != NULL && i < ARRAY_LEN(columns); i++) {
        const struct json *d = json_get(more, str_c(columns[i].member));
        double from = json_f64(json_get(d, S("low")), 0), to = json_f64(json_get(d, S("high")), 0);

        if (!json_is(json_get(d, S("low")), JSON_NUMBER))
            continue;
        format(room, &columns[i], json_get(d, S("value")));
        format(low, &columns[i], json_get(d, S("low")));
        format(high, &columns[i], json_get(d, S("high")));
        buf_printf(out, "      %-12s %s against the first (95%%: %s to %s)%s\n", columns[i].name,
            room, low, high, from > 0 || to < 0 ? "" : ": may be chance");
    }
}

static void
add_experiment(struct buf *out, const struct admin_client *c, const struct json *e)
{
    struct json_iter it = json_iter(json_get(e, S("arms")));
    struct str tag = admin_text(c, e, "tag");

    output_cell(out, admin_text(c, e, "name"), 24);
    buf_add(out, S("of "));
    output_cell(out, admin_text(c, e, "alias"), 24);
    buf_printf(out, "by " STR_FMT "%s" STR_FMT ", %llu%%\n", STR_ARG(admin_text(c, e, "by")),
        tag.n != 0 ? ":" : "", STR_ARG(tag), (unsigned long long)admin_number(e, "share"));
    buf_printf(out, "  %-16s  %-28s  %9s", "ARM", "USES", "REQUESTS");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        buf_printf(out, "  %11s", columns[i].name);
    buf_add_c(out, '\n');
    while (json_next(&it))
        add_arm(out, c, it.value);
}

static bool
show(struct admin_client *c, void *arg UNUSED)
{
    struct str text;
    const struct json *doc = admin_client_ask(c, "experiments", S(""), &text);
    struct json_iter it = json_iter(json_get(doc, S("experiments")));
    struct buf out;
    bool any = false;

    if (doc == NULL)
        return false;
    buf_init(&out, OUTPUT_MAX);
    if (c->json)
        buf_printf(&out, STR_FMT "\n", STR_ARG(text));
    for (; !c->json && json_next(&it); any = true) {
        if (any)
            buf_add_c(&out, '\n');
        add_experiment(&out, c, it.value);
    }
    if (!c->json && !any)
        buf_add(&out, S("there are no experiments in this configuration\n"));
    output_print(&out);
    return true;
}

int
cmd_experiments(int argc, char **argv)
{
    struct admin_client c = { .command = "experiments" };
    const struct flag list[] = { ADMIN_FLAG_SOCKET(c), ADMIN_FLAG_URL(c), ADMIN_FLAG_JSON(c) };
    const struct flags flags = {
        .usage = "openclaw experiments [--socket PATH | --url URL] [--json]",
        .about =
            "Shows what the arms of a running gateway's experiments have achieved, and how they "
            "differ from the first, with 95 % confidence intervals: Welch's for means, Newcombe's "
            "for shares of errors.",
        .list = list,
        .count = ARRAY_LEN(list),
    };
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, NULL);

    if (verdict != FLAGS_OK)
        return verdict;
    return admin_client_run(&c, show, NULL);
}
