/* plan.c - one table of knobs for the command line, header fields, the query and model
   names. */
#include "mock/plan.h"

#include <stdio.h>

#include "cli/flags.h"
#include "base/clock.h"

struct knob {
    const char *name;
    enum flag_kind kind;
    size_t offset;
    const char *arg;
    const char *help;
};

static const struct knob knobs[] = {
#define KNOB(name, kind, field, arg, help)                                                         \
    { name, kind, offsetof(struct mock_plan, field), arg, help },
#include "mock/knobs.def"
#undef KNOB
};

static const struct mock_fault_row fault_rows[] = {
    { "none", false, "nothing goes wrong" },
#define FAULT(name, word, incomplete, help) { word, incomplete, help },
#include "mock/faults.def"
#undef FAULT
};

/* Special prefixes of model names, for --help. */
static const struct {
    const char *form;
    const char *help;
} name_forms[] = {
    { "fault-KIND", "the same as NAME;fault=KIND" },
    { "tools-N", "the same as NAME;tools=N" },
    { "replay:CASE", "the same as NAME;case=CASE" },
    { "anything else", "a healthy model of that name" },
    { "NAME;knob=value;...", "any name, with knobs set" },
};

const struct mock_fault_row *
mock_fault_row(enum mock_fault f)
{
    CHECK((size_t)f < ARRAY_LEN(fault_rows));
    return &fault_rows[f];
}

bool
mock_table_row(enum mock_table table, size_t i, struct mock_row *ret)
{
    static const size_t counts[] = {
        [MOCK_NAMES] = ARRAY_LEN(name_forms),
        [MOCK_KNOBS] = ARRAY_LEN(knobs),
        [MOCK_FAULTS] = ARRAY_LEN(fault_rows) - 1,
    };

    if (i >= counts[table])
        return false;
    if (table == MOCK_NAMES)
        *ret = (struct mock_row){ name_forms[i].form, NULL, name_forms[i].help };
    else if (table == MOCK_KNOBS)
        *ret = (struct mock_row){ knobs[i].name, knobs[i].arg, knobs[i].help };
    else
        *ret = (struct mock_row){ fault_rows[i + 1].word, NULL, fault_rows[i + 1].help };
    return true;
}

/* "10s-40s", or "10s-" for ever. */
static bool
read_period(struct str text, uint64_t *ret_from_us, uint64_t *ret_to_us)
{
    struct str from;
    struct str to;

    if (!str_cut(text, '-', &from, &to) || !flags_time(from, ret_from_us))
        return false;
    return to.n == 0 || (flags_time(to, ret_to_us) && *ret_from_us < *ret_to_us);
}

/* "reset-mid", "429", "429=0.05" or "429:0.05" (a model's name cannot have a second '='), each with
 * a period ("429@10s-40s") and a model ("429/gpt-4o"). */
static bool
read_chance(struct str text, struct mock_chance *ret)
{
    struct str word;
    struct str share;
    struct str period;
    uint64_t status;

    *ret = (struct mock_chance){ .share = 1.0, .to_us = MOCK_UNSET };
    if (str_cut(text, '/', &word, &ret->model)) {
        if (ret->model.n == 0)
            return false;
        text = word;
    }
    if (str_cut(text, '@', &word, &period)) {
        if (!read_period(period, &ret->from_us, &ret->to_us))
            return false;
        text = word;
    }
    if ((str_cut(text, '=', &word, &share) || str_cut(text, ':', &word, &share)) &&
        (!flags_rate(share, &ret->share) || ret->share > 1.0))
        return false;
    if (str_u64(word, &status) && status >= 400 && status <= 599) {
        ret->fault = MOCK_FAULT_STATUS;
        ret->status = (int)status;
        return true;
    }
    for (int f = MOCK_FAULT_STATUS + 1; f < MOCK_FAULT_COUNT; f++) {
        if (str_eq(word, str_c(fault_rows[f].word))) {
            ret->fault = (enum mock_fault)f;
            return true;
        }
    }
    return false;
}

static bool
add_chance(struct mock_plan *p, struct str value, struct why why)
{
    struct mock_chance chance;

    if (str_eq(value, S("none"))) {
        p->fault_count = 0;
        return true;
    }
    if (!read_chance(value, &chance)) {
        why_say(why,
            "there is no fault '" STR_FMT
            "'; 'openclaw mock --help' lists them, a share is 0 to 1, "
            "a period is like 10s-40s",
            STR_ARG(str_make(value.p, MIN(value.n, 60))));
        return false;
    }
    if (p->fault_count == MOCK_CHANCES) {
        return why_say(why, "at most %d faults may be set", MOCK_CHANCES);
    }
    p->faults[p->fault_count++] = chance;
    return true;
}

static bool
set_value(struct mock_plan *p, const struct knob *k, struct str value, struct why why)
{
    void *field = (char *)p + k->offset;

    switch (k->kind) {
    case FLAG_BOOL:
        *(bool *)field = !str_eq(value, S("0")) && !str_eq(value, S("false"));
        return true;
    case FLAG_TEXT:
        *(struct str *)field = value;
        return true;
    case FLAG_COUNT:
        return str_u64(value, field);
    case FLAG_RATE:
        return flags_rate(value, field);
    case FLAG_TIME:
        return flags_time(value, field);
    case FLAG_BYTES:
        return flags_bytes(value, field);
    case FLAG_CALL:
        return add_chance(p, value, why);
    }
    CHECK_UNREACHABLE();
}

static bool
is_valid(const struct mock_plan *p, struct why why)
{
    if (p->event_tokens == 0 || p->event_tokens > 1000)
        why_say(why, "event-tokens must be from 1 to 1000");
    else if (p->tokens > 10000000 || (p->reasoning > 10000000 && p->reasoning != MOCK_UNSET))
        why_say(why, "tokens and reasoning must be at most 10000000");
    else if (p->tools > 128)
        why_say(why, "tools must be at most 128");
    else if (p->finish.n != 0 && !str_eq(p->finish, S("stop")) && !str_eq(p->finish, S("length")) &&
             !str_eq(p->finish, S("filter")))
        why_say(why, "finish must be stop, length or filter");
    else if (p->how.n != 0 && !str_eq(p->how, S("close")) && !str_eq(p->how, S("end")))
        why_say(why, "how must be close or end");
    else
        return true;
    return false;
}

bool
mock_plan_set(struct mock_plan *p, struct str name, struct str value, struct why why)
{
    for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
        if (!str_ieq(name, str_c(knobs[i].name)))
            continue;
        why.room[0] = '\0';
        if (set_value(p, &knobs[i], value, why))
            return is_valid(p, why);
        if (why.room[0] == '\0')
            why_say(why, "'" STR_FMT "' is not a valid value for %s; expected %s",
                STR_ARG(str_make(value.p, MIN(value.n, 60))), knobs[i].name, knobs[i].arg);
        return false;
    }
    why_say(why, "there is no knob '" STR_FMT "'; 'openclaw mock --help' lists them",
        STR_ARG(str_make(name.p, MIN(name.n, 60))));
    return false;
}

/* Special prefixes of model names; *ret_name is the knob's name. */
static bool
read_name(struct mock_plan *p, struct str name, struct why why)
{
    uint64_t tools;

    if (str_starts(name, S("fault-"))) {
        p->fault_count = 0;
        return mock_plan_set(p, S("fault"), str_skip(name, strlen("fault-")), why);
    }
    if (str_starts(name, S("tools-")) && str_u64(str_skip(name, strlen("tools-")), &tools))
        return mock_plan_set(p, S("tools"), str_skip(name, strlen("tools-")), why);
    if (str_starts(name, S("replay:")))
        return mock_plan_set(p, S("case"), str_skip(name, strlen("replay:")), why);
    return true;
}

bool
mock_plan_read_model(struct mock_plan *p, struct str model, struct why why)
{
    struct str word;
    struct str rest;
    bool faults_replaced = false;

    str_cut(model, ';', &word, &rest);
    if (!read_name(p, word, why))
        return false;
    while (rest.n > 0) {
        struct str name;
        struct str value;

        str_cut(rest, ';', &word, &rest);
        str_cut(word, '=', &name, &value);
        if (str_eq(name, S("fault")) && !faults_replaced) {
            faults_replaced = true;
            p->fault_count = 0;
        }
        if (word.n != 0 && !mock_plan_set(p, name, value, why))
            return false;
    }
    return true;
}

bool
mock_plan_read_query(struct mock_plan *p, struct str query, struct why why)
{
    static const struct str prefix = S_INIT("x-mock-");
    struct str pair;

    while (query.n > 0) {
        struct str name;
        struct str value;

        str_cut(query, '&', &pair, &query);
        str_cut(pair, '=', &name, &value);
        if (!str_istarts(name, prefix))
            continue;
        name = str_skip(name, prefix.n);
        if (str_ieq(name, S("fault")))
            p->fault_count = 0;
        if (!mock_plan_set(p, name, value, why))
            return false;
    }
    return true;
}

struct mock_plan
mock_plan_outlive(const struct mock_plan *p)
{
    struct mock_plan q = *p;

    q.how = str_eq(p->how, S("end")) ? S("end") : S("close");
    q.text = q.finish = q.case_name = (struct str){ NULL, 0 };
    q.fault_count = 0;    /* it has been drawn */
    return q;
}

enum mock_fault
mock_plan_draw(const struct mock_plan *p, struct str model, uint64_t at_us, int *ret_status)
{
    if (p->fault_count == 0)
        return MOCK_FAULT_NONE;

    double dice = clock_random_unit();
    for (size_t i = 0; i < p->fault_count; i++) {
        const struct mock_chance *c = &p->faults[i];

        if (at_us < c->from_us || at_us >= c->to_us)
            continue;
        if (c->model.n != 0 && !str_eq(c->model, model))
            continue;
        if (dice < c->share) {
            *ret_status = c->status;
            return c->fault;
        }
        dice -= c->share;
    }
    return MOCK_FAULT_NONE;
}
