/* cmd_usage.c - `openclaw usage`: what was used and spent, as a table, CSV or JSON. */
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/resource_link.h"
#include "base/url.h"
#include "cli/output.h"
#include "store/ledger.h"

enum { OUTPUT_MAX = 256 * 1024 * 1024, PATH_ROOM = 16384, CELL_MOST = 40, TIME_CHARS = 16 };

struct usage_command {
    struct resource_link link;
    const char *by, *since, *until, *zone;
    const char *only[LEDGER_DIMS];
    bool csv;
};

static void
add_parameter(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "%c%s=", str_chr(buf_str(path), '?') == buf_len(path) ? '?' : '&', name);
    url_add_segment(path, str_c(value));
}

static const struct json *
ask(struct usage_command *c, struct str *ret_text)
{
    struct buf path;

    buf_init(&path, PATH_ROOM);
    buf_add(&path, S("usage"));
    add_parameter(&path, "by", c->by);
    add_parameter(&path, "since", c->since);
    add_parameter(&path, "until", c->until);
    add_parameter(&path, "zone", c->zone);
    for (size_t i = 0; i < LEDGER_DIMS; i++)
        add_parameter(&path, ledger_dims[i].p, c->only[i]);
    buf_add_c(&path, '\0');
    const struct json *doc =
        resource_link_ask(&c->link, S("GET"), buf_str(&path).p, S(""), ret_text);
    buf_fini(&path);
    return doc;
}

/* The names of the columns before the sums, as the first row has them. */
struct usage_columns {
    struct str names[LEDGER_DIMS + 1];
    unsigned widths[LEDGER_DIMS + 1];
    size_t count;
};

static struct usage_columns
find_columns(const struct usage_command *c)
{
    struct usage_columns cols = { .count = 0 };
    struct str rest = str_c(c->by), name;

    while (rest.n != 0 && cols.count < ARRAY_LEN(cols.names)) {
        (void)str_cut(rest, ',', &name, &rest);
        bool time = str_eq(name, S("hour")) || str_eq(name, S("day")) || str_eq(name, S("week")) ||
                    str_eq(name, S("month"));

        cols.names[cols.count] = time ? S("starts") : name;
        cols.widths[cols.count++] = time ? TIME_CHARS : (unsigned)name.n;
    }
    return cols;
}

/* --- CSV (RFC 4180) --- */

/* What a spreadsheet would take for a formula is not one. */
static void
add_csv_text(struct buf *out, struct str text)
{
    bool formula = text.n != 0 && memchr("=+-@\t\r", text.p[0], 6) != NULL;

    buf_add_c(out, '"');
    if (formula)
        buf_add_c(out, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            buf_add_c(out, '"');
        buf_add_c(out, text.p[i]);
    }
    buf_add_c(out, '"');
}

static void
add_csv_row(struct usage_command *c, struct buf *out, const struct usage_columns *cols,
    const struct json *row)
{
    for (size_t i = 0; i < cols->count; i++) {
        char name[64];

        str_copy_c(name, sizeof(name), cols->names[i]);
        add_csv_text(out, admin_text(&c->link.client, row, name));
        buf_add_c(out, ',');
    }
#define SUM(name) buf_printf(out, "%llu,", (unsigned long long)admin_number(row, #name));
    LEDGER_SUMS(SUM)
#undef SUM
    buf_add_decimal(out, admin_number(row, "spent_nanousd"), 9);
    buf_add(out, S("\r\n"));
}

static void
write_csv(struct usage_command *c, const struct usage_columns *cols, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("data")));
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    for (size_t i = 0; i < cols->count; i++)
        buf_printf(&out, STR_FMT ",", STR_ARG(cols->names[i]));
#define SUM(name) buf_add(&out, S(#name ","));
    LEDGER_SUMS(SUM)
#undef SUM
    buf_add(&out, S("spent_usd\r\n"));
    while (json_next(&it))
        add_csv_row(c, &out, cols, it.value);
    output_print(&out);
}

/* --- a table --- */

static void
add_number(struct buf *out, uint64_t n, unsigned width)
{
    char digits[32], grouped[48];
    int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    int at = 0;

    for (int i = 0; i < count; i++) {
        if (i != 0 && (count - i) % 3 == 0)
            grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    grouped[at] = '\0';
    buf_printf(out, "%*s", (int)width, grouped);
}

static void
add_table_row(struct usage_command *c, struct buf *out, const struct usage_columns *cols,
    const struct json *row, bool total)
{
    for (size_t i = 0; i < cols->count; i++) {
        char name[64];

        str_copy_c(name, sizeof(name), cols->names[i]);
        struct str text = admin_text(&c->link.client, row, name);
        if (str_eq(cols->names[i], S("starts")))
            text.n = MIN(text.n, TIME_CHARS);
        if (total)
            text = i == 0 ? S("total") : S("");
        else if (text.n == 0)
            text = S("-");
        output_cell(out, text, cols->widths[i]);
    }
    add_number(out, admin_number(row, "requests"), 10);
    add_number(out, admin_number(row, "failed"), 8);
    add_number(out, admin_number(row, "input"), 15);
    add_number(out, admin_number(row, "cached"), 13);
    add_number(out, admin_number(row, "output"), 15);
    uint64_t nanousd = admin_number(row, "spent_nanousd");
    char money[32];
    (void)snprintf(money, sizeof(money), "%llu.%06llu", (unsigned long long)(nanousd / 1000000000),
        (unsigned long long)(nanousd % 1000000000 / 1000));
    buf_printf(out, "%15s", money);
    if (admin_number(row, "unpriced") != 0)
        buf_printf(
            out, "  and %llu without a price", (unsigned long long)admin_number(row, "unpriced"));
    buf_add_c(out, '\n');
}

static void
widen(struct usage_command *c, struct usage_columns *cols, const struct json *data)
{
    struct json_iter it = json_iter(data);

    if (cols->count != 0)
        cols->widths[0] = MAX(cols->widths[0], (unsigned)strlen("total"));
    while (json_next(&it))
        for (size_t i = 0; i < cols->count; i++) {
            char name[64];

            str_copy_c(name, sizeof(name), cols->names[i]);
            size_t n = admin_text(&c->link.client, it.value, name).n;
            if (!str_eq(cols->names[i], S("starts")))
                cols->widths[i] = MAX(cols->widths[i], (unsigned)MIN(n, CELL_MOST));
        }
}

static void
write_table(struct usage_command *c, struct usage_columns *cols, const struct json *doc)
{
    const struct json *data = json_get(doc, S("data"));
    struct json_iter it = json_iter(data);
    struct buf out;

    widen(c, cols, data);
    buf_init(&out, OUTPUT_MAX);
    for (size_t i = 0; i < cols->count; i++) {
        char upper[64];
        size_t n = MIN(cols->names[i].n, sizeof(upper));

        for (size_t k = 0; k < n; k++)
            upper[k] =
                (char)(cols->names[i].p[k] >= 'a' ? cols->names[i].p[k] - 32 : cols->names[i].p[k]);
        output_cell(&out, str_make(upper, n), cols->widths[i]);
    }
    buf_add(&out,
        S("  REQUESTS  FAILED          INPUT       CACHED         OUTPUT      SPENT (USD)\n"));
    while (cols->count != 0 && json_next(&it))
        add_table_row(c, &out, cols, it.value, false);
    add_table_row(c, &out, cols, json_get(doc, S("total")), true);
    output_print(&out);
}

static bool
act(struct resource_link *l UNUSED, void *arg)
{
    struct usage_command *c = arg;
    struct str text;
    const struct json *doc = ask(c, &text);

    if (doc == NULL)
        return false;
    struct usage_columns cols = find_columns(c);
    if (c->link.client.json)
        (void)printf(STR_FMT "\n", STR_ARG(str_trim(text)));
    else if (c->csv)
        write_csv(c, &cols, doc);
    else
        write_table(c, &cols, doc);
    return true;
}

int
cmd_usage(int argc, char **argv)
{
    struct usage_command c = { .link.client.command = "usage" };
#define ONLY(dim, words)                                                                           \
    {                                                                                              \
#dim, 0, FLAG_TEXT, "NAME", words, &c.only[LEDGER_##dim], NULL                             \
    }
    const struct flag flag_list[] = {
        { "by", 'b', FLAG_TEXT, "A,B",
            "what it is summed up by: key, user, team, project, org, model, provider, endpoint, "
            "environment, tag or session; hour, day, week or month",
            &c.by, NULL },
        { "since", 0, FLAG_TEXT, "TIME", "2027-01-31, 2027-01-31T12:00:00Z, 36h or 7d ago (30d)",
            &c.since, NULL },
        { "until", 0, FLAG_TEXT, "TIME", "the same (now); what was at that time does not count",
            &c.until, NULL },
        { "zone", 'z', FLAG_TEXT, "ZONE", "of days, weeks and months, such as Europe/Berlin (UTC)",
            &c.zone, NULL },
        ONLY(key, "only this key"),
        ONLY(user, "only this user"),
        ONLY(team, "only this team"),
        ONLY(project, "only this project"),
        ONLY(org, "only this organisation"),
        ONLY(model, "only this model"),
        ONLY(provider, "only this provider"),
        ONLY(endpoint, "only this route, such as openai_chat"),
        ONLY(environment, "only this environment"),
        ONLY(tag, "only this tag, such as team=search"),
        ONLY(session, "only this session"),
        { "csv", 0, FLAG_BOOL, NULL, "print it as CSV, money in nano-dollars", &c.csv, NULL },
        ADMIN_FLAG_SOCKET(c.link.client),
        ADMIN_FLAG_URL(c.link.client),
        RESOURCE_LINK_FLAG_CONFIG(c.link),
        RESOURCE_LINK_FLAG_OFFLINE(c.link),
        ADMIN_FLAG_JSON(c.link.client),
    };
#undef ONLY
    const struct flags flags = {
        .usage = "openclaw usage [options]",
        .about = "Shows what was used and spent, summed up by whom and when, to the nano-dollar. "
                 "Through the gateway that runs on this machine, or from its store if none does.",
        .list = flag_list,
        .count = ARRAY_LEN(flag_list),
    };
    int rest = 0;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return (int)verdict;
    return resource_link_run(&c.link, act, &c);
}
