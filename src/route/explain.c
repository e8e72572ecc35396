/* explain.c - decisions as JSON and as a header field; explain_read.c reads them back. */
#include "route/explain.h"

#include "llm/wire.h"
#include "route/analyze.h"
#include "route/constraint.h"
#include "route/show.h"
#include "route/strategy.h"

#define TEXT_BYTES 128       /* of a tag's name or value: longer ones are not recorded */
#define WISHES_BYTES 1024    /* the same, of all wishes together */
#define NAME_BYTES 100u      /* of a name in the header field; longer ones are cut */

static void
write_real(struct json_out *o, double v)
{
    out_comma(o);
    json_add_f64(o->b, v);
}

/* 64 bits do not fit into a number of JSON. */
static void
write_hex(struct json_out *o, uint64_t v)
{
    char room[18] = { '"' };

    for (int i = 16; i > 0; i--, v >>= 4)
        room[i] = "0123456789abcdef"[v & 15];
    room[17] = '"';
    out_raw_value(o, str_make(room, sizeof(room)));
}

static void
write_hex_if(struct json_out *o, struct str name_with_comma, uint64_t v)
{
    if (v == 0)
        return;
    out_name(o, name_with_comma);
    write_hex(o, v);
}

/* --- what was known of the request --- */

static void
write_needs(struct json_out *o, const struct needs *n)
{
    out_key_object(o, "needs");
    out_i64(o, "input", n->input_tokens);
    if (n->output_tokens != 0)
        out_i64(o, "output", n->output_tokens);
    if (n->bits != 0) {
        out_key_array(o, "uses");
        for (unsigned i = 0; i < NEED_COUNT; i++)
            if ((n->bits & 1u << i) != 0)
                out_text_value(o, str_c(need_name((enum need)i)));
        out_end_array(o);
    }
    if (n->messages != 0)
        out_i64(o, "messages", n->messages);
    if (n->tools != 0)
        out_i64(o, "tools", n->tools);
    write_hex_if(o, S(",\"prefix\":"), n->prefix);
    write_hex_if(o, S(",\"conversation\":"), n->conversation);
    out_end(o);
}

static void
write_analysis(struct json_out *o, const struct analysis *a)
{
    out_key_object(o, "analysis");
    out_text_if(o, "language", str_c(a->language));
    out_text(o, "task", str_c(task_name(a->task)));
    out_i64(o, "tokens", a->tokens);
    out_i64(o, "complexity_permille", a->complexity_permille);
    out_i64(o, "code_permille", a->code_permille);
    out_i64(o, "sentiment_permille", a->sentiment_permille);
    out_i64(o, "sensitivity", a->sensitivity);
    out_end(o);
}

static void
write_words(struct json_out *o, const struct llm_word *list)
{
    out_array(o);
    for (; list != NULL; list = list->next)
        out_text_value(o, list->text);
    out_end_array(o);
}

/* False: they are too large to be recorded, and what was written has to be taken back. */
static bool
write_wishes(struct json_out *o, const struct wishes *w)
{
    static const char *const sorts[] = { "", "price", "throughput", "latency" };
    size_t before = buf_len(o->b);

    out_key_object(o, "wishes");
#define WISH_WORDS(member)                                                                         \
    if (w->member != NULL) {                                                                       \
        out_key(o, #member);                                                                       \
        write_words(o, w->member);                                                                 \
    }
#define WISH_TRI(member)                                                                           \
    if (w->member != UNSAID)                                                                       \
        out_bool(o, #member, w->member == YES);
#define WISH_FLAG(member)                                                                          \
    if (w->member)                                                                                 \
        out_bool(o, #member, true);
#define WISH_MONEY(member)                                                                         \
    if (w->member >= 0)                                                                            \
        out_i64(o, #member, w->member);
#define WISH_REAL(member)                                                                          \
    if (w->member != 0) {                                                                          \
        out_key(o, #member);                                                                       \
        write_real(o, w->member);                                                                  \
    }
#include "route/explain.def"
    if (w->sort != SORT_UNSAID)
        out_text(o, "sort", str_c(sorts[w->sort]));
    out_end(o);
    return buf_len(o->b) - before <= WISHES_BYTES;
}

/* An object has no name twice. */
static bool
is_first(const struct ask_tag *all, const struct ask_tag *t)
{
    while (all != t && !str_eq(all->name, t->name))
        all = all->next;
    return all == t;
}

/* False: one is too long to be recorded. */
static bool
write_tags(struct json_out *o, const struct ask_tag *list)
{
    const struct ask_tag *first = list;
    bool all = true;

    out_key_object(o, "tags");
    for (; list != NULL; list = list->next) {
        if (!is_first(first, list))
            continue;
        if (list->name.n > TEXT_BYTES || list->value.n > TEXT_BYTES) {
            all = false;
            continue;
        }
        out_key_str(o, list->name);
        out_text_value(o, list->value);
    }
    out_end(o);
    return all;
}

/* The rules that matched, and the header fields that rules read. False: one is too long to be recorded. */
static bool
write_rules(struct json_out *o, const struct explain_decision *d)
{
    const struct rule_result *r = d->ruling;
    bool all = true;

    if (r == NULL)
        return true;
    if (r->matched_count != 0) {
        out_key_array(o, "rules");
        for (size_t i = 0; i < r->matched_count; i++)
            out_text_value(o, r->matched[i]->name);
        out_end_array(o);
    }
    if (r->member_count == 0)
        return true;
    out_key_object(o, "headers");
    for (size_t i = 0; i < r->member_count; i++) {
        const struct rule_read *m = &r->members[i];

        if (strcmp(m->name, "headers.*") != 0)
            continue;
        if (m->member.n > TEXT_BYTES || m->value.n > TEXT_BYTES) {
            all = false;
            continue;
        }
        out_key_str(o, m->member);
        out_text_value(o, m->value);
    }
    out_end(o);
    return all && r->member_count < RULES_READ_MOST;
}

/* The end user and the session are told apart, and not named. */
static void
write_ask(struct json_out *o, const struct explain_decision *d)
{
    const struct ask *ask = d->ask;
    bool partial = !write_rules(o, d);

    out_text(o, "op", str_c(llm_op_name(ask->op)));
    out_text(o, "wire", ask->wire->name);
    out_i64(o, "at_ms", (int64_t)ask->wall_ms);
    out_key(o, "seed");
    write_hex(o, ask->seed);
    if (ask->turn_count != 0) {
        out_key_array(o, "turns");
        for (unsigned i = 0; i < ask->turn_count; i++)
            out_i64_value(o, (int64_t)ask->turns[i]);
        out_end_array(o);
    }
    write_hex_if(o, S(",\"user\":"), ask->user_hash != 0 ? ask->user_hash : ask_hash(ask->user));
    write_hex_if(o, S(",\"session\":"), ask_session(ask));
    if ((ask->known & ASK_NEEDS) != 0)
        write_needs(o, &ask->needs);
    if ((ask->known & ASK_ANALYSIS) != 0)
        write_analysis(o, ask->analysis);
    if (d->tags != NULL)
        partial = !write_tags(o, d->tags) || partial;
    if (ask->wishes != NULL) {
        struct json_out before = *o;
        size_t length = buf_len(o->b);

        if (!write_wishes(o, ask->wishes)) {
            buf_truncate(o->b, length);
            *o = before;
            partial = true;
        }
    }
    if (partial)
        out_bool(o, "partial", true);
}

/* --- the candidates --- */

/* That of a plan with an alias. */
static const struct strategy *
strategy_of(const struct explain_decision *d)
{
    return d->strategy != NULL ? d->strategy : d->plan->alias->strategy;
}

static void
write_look(struct json_out *o, const struct look *l)
{
    if ((l->taken & LOOK_HEALTH) != 0)
        out_text(o, "state", str_c(health_state_name(l->state)));
#define SEEN_COUNT(at, type, member, name)                                                         \
    if ((l->taken & LOOK_##at) != 0)                                                               \
        out_i64(o, name, (int64_t)l->member);
#define SEEN_KNOWN(at, member, name)                                                               \
    if ((l->taken & LOOK_##at) != 0) {                                                             \
        if (l->member >= 0)                                                                        \
            out_i64(o, name, l->member);                                                           \
        else                                                                                       \
            out_null(o, name);                                                                     \
    }
#define SEEN_REAL(at, member, name)                                                                \
    if ((l->taken & LOOK_##at) != 0) {                                                             \
        if (l->member >= 0) {                                                                      \
            out_key(o, name);                                                                      \
            write_real(o, (double)l->member);                                                      \
        } else {                                                                                   \
            out_null(o, name);                                                                     \
        }                                                                                          \
    }
#include "route/explain.def"
    if (l->stale)
        out_bool(o, "stale", true);
    if ((l->taken & LOOK_HEADROOM) != 0)
        out_i64(o, "exhausted_until_ms", l->exhausted ? (int64_t)l->exhausted_until_ms : 0);
}

static void
write_candidate(
    struct json_out *o, const struct explain_decision *d, const struct candidate *c, bool words)
{
    const struct target *t = c->target;
    struct look look = c->look;

    out_object(o);
    out_key(o, "target");
    out_string(o);
    out_piece(o, t->provider->id);
    buf_add_c(o->b, '/');
    out_piece(o, t->wire.model);
    out_end_string(o);
    if (c->excluded != EXCLUDED_NOT)
        out_text(o, "excluded", str_c(exclusion_code(c->excluded)));
    if (c->excluded != EXCLUDED_NOT && words)
        out_text(o, "why", constraint_text(t, c->excluded, d->ask, d->ask->arena));
    if (c->late)
        out_bool(o, "late", true);
    if (c->alias != NULL && c->alias != d->plan->alias) {
        out_text(o, "alias", c->alias->name);
        if (words)
            out_text(o, "strategy", str_c(c->alias->strategy->name));
    }
    if (c->excluded == EXCLUDED_NOT && c->score != 0) {
        out_key(o, "score");
        write_real(o, c->score);
    }
    if (words)
        look_take(&look, t, d->ask, LOOK_ALL);
    write_look(o, &look);
    out_end(o);
}

void
explain_write(struct json_out *o, const struct explain_decision *d, bool words)
{
    const struct alias *al = d->plan->alias;

    out_object(o);
    out_i64(o, "v", EXPLAIN_VERSION);
    if (al != NULL) {
        out_text(o, "alias", al->name);
        out_text(o, "strategy", str_c(strategy_of(d)->name));
        if (words)
            out_text(o, "strategy_is", str_c(strategy_of(d)->docs));
    }
    if (d->arm != NULL) {
        out_key_object(o, "experiment");
        out_text(o, "name", d->experiment->name);
        out_text(o, "arm", d->arm->name);
        out_end(o);
    }
    write_ask(o, d);
    out_key_array(o, "candidates");
    for (size_t i = 0; i < d->plan->count; i++)
        write_candidate(o, d, &d->plan->list[i], words);
    out_end_array(o);
    out_end(o);
}

/* --- the header field --- */

static bool
is_token(struct str s)
{
    return s.n != 0 && (str_is_letter(s.p[0]) || s.p[0] == '*') &&
           str_has_only(s, "!#$%&'*+-.^_`|~:/");
}

/* A token if it can be one, else a string; what neither can hold is shown as '?'. */
static void
add_item(struct buf *out, struct str s)
{
    s.n = MIN(s.n, NAME_BYTES);
    if (is_token(s)) {
        buf_add(out, s);
        return;
    }
    buf_add_c(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '"' || c == '\\')
            buf_add_c(out, '\\');
        buf_add_c(out, c < 0x20 || c > 0x7e ? '?' : c);
    }
    buf_add_c(out, '"');
}

static void
add_param(struct buf *out, struct str name, struct str value)
{
    if (value.n == 0)
        return;
    buf_add(out, S("; "));
    buf_add(out, name);
    buf_add_c(out, '=');
    add_item(out, value);
}

static void
add_count(struct buf *out, struct str name, uint64_t n)
{
    buf_add(out, S("; "));
    buf_add(out, name);
    buf_add_c(out, '=');
    buf_add_u64(out, n);
}

void
explain_field(struct buf *out, const struct explain_decision *d, const struct target *target,
    unsigned attempts)
{
    const struct alias *al = d->plan->alias;
    char room[NAME_BYTES + 1];
    size_t excluded = 0, n = 0;

    for (size_t i = 0; i < d->plan->count; i++)
        excluded += d->plan->list[i].excluded != EXCLUDED_NOT;
    const struct str parts[] = { target->provider->id, S("/"), target->wire.model };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t some = MIN(parts[i].n, sizeof(room) - n);

        if (some != 0)
            memcpy(room + n, parts[i].p, some);
        n += some;
    }
    add_item(out, d->ask->model);
    if (al != NULL)
        add_param(out, S("strategy"), str_c(strategy_of(d)->name));
    add_param(out, S("target"), str_make(room, n));
    add_count(out, S("attempts"), attempts);
    if (d->ruling != NULL && d->ruling->matched_count != 0)
        add_param(out, S("rule"), d->ruling->matched[0]->name);
    if (d->arm != NULL)
        add_param(out, S("arm"), d->arm->name);
    if (excluded != 0)
        add_count(out, S("excluded"), excluded);
}
