/* explain_view.c - the table of a decision: what is tried, in which order, and why not the others. */
#include "app/explain_view.h"

#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "cli/output.h"
#include "route/standing.h"

#define TARGET_COLUMNS 36
#define LABEL_COLUMNS 12
#define CELL_ROOM 48

/* What is said of an exclusion where the gateway's own sentence was not recorded. */
static const struct {
    struct str code, says;
} exclusions[] = {
#define EXCLUSION(id, code, docs) { S_INIT(code), S_INIT(docs) },
#include "route/exclusions.def"
#undef EXCLUSION
};

const char *
explain_view_money(int64_t nanousd, char *room)
{
    double usd = (double)nanousd / 1e9;

    if (nanousd < 0)
        return "-";
    /* three digits that say something, and cents at least */
    int digits = usd >= 0.1 ? 2 : nanousd == 0 ? 0 : MIN(2 - (int)floor(log10(usd)), 9);
    (void)snprintf(room, EXPLAIN_MONEY_ROOM, "$%.*f", digits, usd);
    return room;
}

/* "0.4 ms", "310 ms", "1.2 s"; "-" for 0: not known. */
static const char *
view_ms(double ms, char *room)
{
    if (ms <= 0)
        return "-";
    if (ms < 1000)
        (void)snprintf(room, CELL_ROOM, "%.*f ms", ms < 10 ? 1 : 0, ms);
    else
        (void)snprintf(room, CELL_ROOM, "%.1f s", ms / 1000);
    return room;
}

static struct str
text_of(struct arena *a, const struct json *doc, const char *name)
{
    return json_str(a, json_get(doc, str_c(name)));
}

/* "  strategy    " and the text. */
static void
add_label(struct buf *out, const char *label)
{
    buf_printf(out, "  %-*s", LABEL_COLUMNS, label);
}

static void
add_line(struct buf *out, const char *label, struct str text)
{
    if (text.n == 0)
        return;
    add_label(out, label);
    log_add_visible(out, text);
    buf_add_c(out, '\n');
}

static void
add_list(struct buf *out, struct arena *a, const char *before, const struct json *list)
{
    struct json_iter it = json_iter(list);

    for (bool first = true; json_next(&it); first = false) {
        buf_add(out, first ? str_c(before) : S(", "));
        log_add_visible(out, json_str(a, it.value));
    }
}

/* "about 1200 tokens; uses tools, images; an answer of up to 500 tokens; a caller's demand: ..." */
static void
add_needs(struct buf *out, struct arena *a, const struct json *d)
{
    const struct json *needs = json_get(d, S("needs"));

    if (needs == NULL)
        return;
    add_label(out, "request");
    buf_printf(out, "about %lld tokens", (long long)json_i64(json_get(needs, S("input")), 0));
    if (json_get(needs, S("output")) != NULL)
        buf_printf(
            out, "; an answer of up to %lld", (long long)json_i64(json_get(needs, S("output")), 0));
    add_list(out, a, "; uses ", json_get(needs, S("uses")));
    buf_add_c(out, '\n');
}

static void
add_members(struct buf *out, struct arena *a, const char *label, const struct json *map)
{
    struct json_iter it = json_iter(map);
    bool first = true;

    while (json_next(&it)) {
        if (first)
            add_label(out, label);
        else
            buf_add(out, S(", "));
        log_add_visible(out, json_str(a, it.key));
        struct str value =
            it.value->type == JSON_STRING ? json_str(a, it.value) : json_raw(it.value);
        if (value.n != 0)
            buf_add_c(out, '=');
        log_add_visible(out, value);
        first = false;
    }
    if (!first)
        buf_add_c(out, '\n');
}

/* --- candidates --- */

static void
add_number(struct buf *out, const struct json *j)
{
    char room[CELL_ROOM] = "-";

    if (json_is(j, JSON_NUMBER))
        (void)snprintf(room, sizeof(room), "%.4g", json_f64(j, 0));
    buf_printf(out, "%9s  ", room);
}

static void
add_state(struct buf *out, struct arena *a, const struct json *c)
{
    struct str state = text_of(a, c, "state");

    if (state.n == 0 || str_eq(state, S("closed")))
        buf_add(out, state.n != 0 ? S("ok") : S("-"));
    else
        log_add_visible(out, str_eq(state, S("open")) ? S("failing: not used now") : state);
    if (json_i64(json_get(c, S("exhausted_until_ms")), 0) != 0)
        buf_add(out, S(", at its rate limit"));
    if (json_bool(json_get(c, S("late")), false))
        buf_add(out, S(", may be too small: after the others"));
}

/* What a strategy gave it, as a person can compare it. */
static void
add_score(struct buf *out, const struct json *score)
{
    double v = json_f64(score, 0);

    if (score == NULL)
        buf_printf(out, "%9s  ", "-");
    else if (v == SCORE_TRIED || v == SCORE_DRAWN)
        buf_printf(out, "%9s  ", v == SCORE_TRIED ? "on trial" : "drawn");
    else if (v >= SCORE_UNKNOWN)
        buf_printf(out, "%9s  ", "unknown");
    else
        buf_printf(out, fabs(v) >= 1000 ? "%9.0f  " : "%9.3g  ", v);
}

static void
add_candidate(struct buf *out, struct arena *a, const struct json *c, unsigned place)
{
    char money[EXPLAIN_MONEY_ROOM], ms[CELL_ROOM];
    const struct json *cost = json_get(c, S("cost_nanousd"));
    struct str alias = text_of(a, c, "alias");

    buf_printf(out, "  %2u  ", place);
    output_cell(out, text_of(a, c, "target"), TARGET_COLUMNS);
    add_score(out, json_get(c, S("score")));
    buf_printf(out, "%10s  %11s  ",
        explain_view_money(json_is(cost, JSON_NUMBER) ? json_i64(cost, -1) : -1, money),
        view_ms(json_f64(json_get(c, S("first_token_us")), 0) / 1000, ms));
    add_number(out, json_get(c, S("busy")));
    add_state(out, a, c);
    if (alias.n != 0) {
        buf_add(out, S(" (of "));
        log_add_visible(out, alias);
        buf_add_c(out, ')');
    }
    buf_add_c(out, '\n');
}

static void
add_excluded(struct buf *out, struct arena *a, const struct json *c)
{
    struct str code = text_of(a, c, "excluded"), why = text_of(a, c, "why");

    for (size_t i = 0; why.n == 0 && i < ARRAY_LEN(exclusions); i++)
        if (str_eq(exclusions[i].code, code))
            why = exclusions[i].says;
    buf_add(out, S("   -  "));
    output_cell(out, text_of(a, c, "target"), TARGET_COLUMNS);
    buf_add(out, S("excluded: "));
    log_add_visible(out, why.n != 0 ? why : code);
    buf_add_c(out, '\n');
}

/* The candidates in the order in which they are tried, then those that cannot take the request. */
static void
add_candidates(struct buf *out, struct arena *a, const struct json *list)
{
    struct json_iter it = json_iter(list);
    unsigned place = 0;

    buf_printf(out, "\n      %-*s  %9s  %10s  %11s  %9s  %s\n", TARGET_COLUMNS, "TARGET", "SCORE",
        "COST", "FIRST TOKEN", "BUSY", "STATE");
    while (json_next(&it)) {
        if (json_get(it.value, S("excluded")) == NULL)
            add_candidate(out, a, it.value, ++place);
        else
            add_excluded(out, a, it.value);
    }
}

/* The one that is tried first. */
static struct str
first_of(struct arena *a, const struct json *d)
{
    struct json_iter it = json_iter(json_get(d, S("candidates")));

    while (json_next(&it))
        if (json_get(it.value, S("excluded")) == NULL)
            return text_of(a, it.value, "target");
    return S("");
}

/* "smart -> openai/gpt-4o", and what led there. */
static void
add_decision(struct buf *out, struct arena *a, struct str model, const struct json *d)
{
    struct str first = first_of(a, d), alias = text_of(a, d, "alias");
    struct str strategy = text_of(a, d, "strategy"), is = text_of(a, d, "strategy_is");
    const struct json *experiment = json_get(d, S("experiment"));

    log_add_visible(out, model);
    if (alias.n != 0 && !str_eq(alias, model)) {
        buf_add(out, S(" -> "));
        log_add_visible(out, alias);
    }
    buf_add(out, S(" -> "));
    log_add_visible(out, first.n != 0 ? first : S("none of its targets"));
    buf_add_c(out, '\n');
    if (json_get(d, S("rules")) != NULL) {
        add_label(out, "rules");
        add_list(out, a, "", json_get(d, S("rules")));
        buf_add_c(out, '\n');
    }
    if (experiment != NULL)
        add_line(out, "experiment",
            arena_printf(a, STR_FMT ", arm " STR_FMT, STR_ARG(text_of(a, experiment, "name")),
                STR_ARG(text_of(a, experiment, "arm"))));
    add_line(out, "strategy",
        is.n != 0 ? arena_printf(a, STR_FMT ": " STR_FMT, STR_ARG(strategy), STR_ARG(is))
                  : strategy);
    add_needs(out, a, d);
    add_members(out, a, "analysis", json_get(d, S("analysis")));
    add_members(out, a, "tags", json_get(d, S("tags")));
    add_members(out, a, "wishes", json_get(d, S("wishes")));
    add_candidates(out, a, json_get(d, S("candidates")));
}

void
explain_view_answer(struct buf *out, struct arena *a, const struct json *doc)
{
    const struct json *decision = json_get(doc, S("decision"));
    struct str message = text_of(a, doc, "message");

    if (decision != NULL)
        add_decision(out, a, text_of(a, doc, "model"), decision);
    if (message.n == 0)
        return;
    if (decision != NULL)
        buf_add_c(out, '\n');
    buf_add(out, S("refused: "));
    log_add_visible(out, message);
    buf_add_c(out, '\n');
}

/* --- a request that has ended --- */

static void
add_attempts(struct buf *out, struct arena *a, const struct json *list)
{
    struct json_iter it = json_iter(list);

    while (json_next(&it)) {
        char ms[CELL_ROOM];
        struct str message = text_of(a, it.value, "message");

        add_label(out, "attempt");
        log_add_visible(out, text_of(a, it.value, "provider"));
        buf_add_c(out, '/');
        log_add_visible(out, text_of(a, it.value, "model"));
        buf_add(out, S(": "));
        log_add_visible(out, text_of(a, it.value, "outcome"));
        buf_printf(out, ", %s", view_ms(json_f64(json_get(it.value, S("us")), 0) / 1000, ms));
        if (message.n != 0) {
            buf_add(out, S("; "));
            log_add_visible(out, message);
        }
        buf_add_c(out, '\n');
    }
}

/* "200, 12+340 tokens, $0.0012, first token after 310 ms, 1.2 s in all" */
static void
add_outcome(struct buf *out, struct arena *a, const struct json *line)
{
    const struct json *input = json_get(line, S("tokens_input"));
    const struct json *ttft = json_get(line, S("ttft_ms"));
    char money[EXPLAIN_MONEY_ROOM], ms[CELL_ROOM];

    add_label(out, "outcome");
    buf_printf(out, "%lld", (long long)json_i64(json_get(line, S("status")), 0));
    if (json_get(line, S("error")) != NULL) {
        buf_add_c(out, ' ');
        log_add_visible(out, text_of(a, line, "error"));
    }
    if (input != NULL)
        buf_printf(out, ", %lld+%lld tokens", (long long)json_i64(input, 0),
            (long long)json_i64(json_get(line, S("tokens_output")), 0));
    if (json_get(line, S("cost_nanousd")) != NULL)
        buf_printf(out, ", %s",
            explain_view_money(json_i64(json_get(line, S("cost_nanousd")), -1), money));
    if (ttft != NULL)
        buf_printf(out, ", first token after %s", view_ms(json_f64(ttft, 0), ms));
    buf_printf(out, ", %s in all\n", view_ms(json_f64(json_get(line, S("duration_ms")), 0), ms));
    add_line(out, "error", text_of(a, line, "error_message"));
}

void
explain_view_request(struct buf *out, struct arena *a, const struct json *doc)
{
    const struct json *line = json_get(doc, S("request")), *route = json_get(line, S("route"));
    const struct json *feedback = json_get(doc, S("feedback"));
    struct str provider = text_of(a, line, "provider");

    log_add_visible(out, text_of(a, line, "request_id"));
    buf_add(out, S(" at "));
    log_add_visible(out, text_of(a, line, "ts"));
    buf_add_c(out, '\n');
    add_line(out, "key", text_of(a, line, "key"));
    if (provider.n != 0)
        add_line(out, "answered by",
            arena_printf(
                a, STR_FMT "/" STR_FMT, STR_ARG(provider), STR_ARG(text_of(a, line, "model"))));
    add_outcome(out, a, line);
    add_attempts(out, a, json_get(line, S("attempts")));
    if (json_present(feedback))
        add_members(out, a, "feedback", feedback);
    buf_add_c(out, '\n');
    if (route != NULL) {
        add_decision(out, a, text_of(a, line, "model_requested"), route);
        return;
    }
    log_add_visible(out, text_of(a, line, "model_requested"));
    buf_add(out, S(": one target, named directly: there was nothing to decide\n"));
}
