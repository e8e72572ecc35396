/* test_facts.c - the whole table of models against the collected facts, figure by figure.
 *
 * The facts are in ../shared/catalog, or where OPENCLAW_SHARED says. On the build machine (CI=1) they must be
 * there.
 */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "catalog/model.h"
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"

static struct arena *arena;
static const struct json *facts;       /* models.json */
static const struct json *quality;     /* quality.json */
static const struct model_row *row;    /* being compared */
static int differences;

#define DIFFERS(...) (differences++ < 40 ? print_error(__VA_ARGS__) : (void)0)

static const struct json *
read_facts(const char *name)
{
    static const struct json_limits limits = { .depth = 32, .values = 4000000 };
    struct str folder = arena_printf(arena, "%s/../../catalog", recorded_root());
    struct str text = recorded_file(arena, folder.p, str_c(name));
    return text.n != 0 ? json_parse(arena, text, &limits, NULL) : NULL;
}

/* False: this machine does not have them. */
static bool
have_facts(void)
{
    if (arena == NULL) {
        arena = arena_create(256u * 1024 * 1024);
        facts = read_facts("models.json");
        quality = read_facts("quality.json");
    }
    if (facts != NULL && quality != NULL)
        return true;
    EXPECT(getenv("CI") == NULL || strcmp(getenv("CI"), "1") != 0);
    return false;
}

static struct str
text_of(const struct json *from, const char *key)
{
    return json_str(arena, json_get(from, str_c(key)));
}

static void
same_number(const struct json *from, const char *key, int64_t ours)
{
    int64_t theirs = json_i64(json_get(from, str_c(key)), 0);

    if (theirs != ours)
        DIFFERS(STR_FMT ": %s is %lld, we have %lld\n", STR_ARG(row->id), key, (long long)theirs,
            (long long)ours);
}

static void
same_text(const struct json *from, const char *key, struct str ours)
{
    if (!str_eq(text_of(from, key), ours))
        DIFFERS(STR_FMT ": %s is '" STR_FMT "', we have '" STR_FMT "'\n", STR_ARG(row->id), key,
            STR_ARG(text_of(from, key)), STR_ARG(ours));
}

static void
same_date(const struct json *from, const char *key, uint32_t ours)
{
    char text[16] = "";

    if (ours % 100 != 0)
        snprintf(text, sizeof(text), "%04u-%02u-%02u", ours / 10000, ours / 100 % 100, ours % 100);
    else if (ours % 10000 != 0)
        snprintf(text, sizeof(text), "%04u-%02u", ours / 10000, ours / 100 % 100);
    else if (ours != 0)
        snprintf(text, sizeof(text), "%04u", ours / 10000);
    same_text(from, key, str_c(text));
}

static unsigned
place(struct str word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(word, str_c(words[i])))
            return (unsigned)i;
    DIFFERS(STR_FMT ": '" STR_FMT "' has no place in our table\n", STR_ARG(row->id), STR_ARG(word));
    return 0;
}

static void
same_bits(
    const struct json *list, const char *key, const char *const *words, size_t n, unsigned ours)
{
    struct json_iter it = json_iter(json_get(list, str_c(key)));
    unsigned theirs = 0;

    while (json_next(&it))
        theirs |= 1u << place(json_str(arena, it.value), words, n);
    if (theirs != ours)
        DIFFERS(STR_FMT ": %s is %#x, we have %#x\n", STR_ARG(row->id), key, theirs, ours);
}

/* --- abilities --- */

static const char *const abilities[] = {
#define ABILITY(name, what) #name,
#include "catalog/abilities.def"
#undef ABILITY
};

static void
same_abilities(const struct json *model)
{
    static const char *const renamed[][2] = { { "vision", "images" }, { "pdf_input", "files" },
        { "audio_input", "audio" }, { "video_input", "video" },
        { "assistant_prefill", "prefill" } };
    struct json_iter it = json_iter(json_get(model, S("capabilities")));
    const struct json *open = json_get(model, S("open_weights"));
    uint32_t can = 0, cannot = 0;

    while (json_next(&it)) {
        struct str name = json_str(arena, it.key);

        if (it.value->type != JSON_TRUE && it.value->type != JSON_FALSE)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
            if (str_eq(name, str_c(renamed[i][0])))
                name = str_c(renamed[i][1]);
        *(it.value->type == JSON_TRUE ? &can : &cannot) |=
            1u << place(name, abilities, ARRAY_LEN(abilities));
    }
    if (json_present(open))
        *(open->type == JSON_TRUE ? &can : &cannot) |= 1u << CAN_open_weights;
    if (can != row->can || cannot != row->cannot)
        DIFFERS(STR_FMT ": can %#x and cannot %#x, we have %#x and %#x\n", STR_ARG(row->id), can,
            cannot, row->can, row->cannot);
}

/* --- prices --- */

static const struct {
    const char *name;
    double per;
} units[] = {
#define PRICE(name, per, what) { #name, per },
#include "catalog/prices.def"
#undef PRICE
};

static void
same_prices(const struct json *from, const struct price_list *ours)
{
    for (unsigned i = 0; i < PRICES; i++) {
        const struct json *usd = json_get(from, str_c(units[i].name));
        int64_t theirs =
            json_present(usd) ? llround(json_f64(usd, 0) * 1e12 / units[i].per) : PRICE_UNKNOWN;

        if (theirs != price_of(ours, i))
            DIFFERS(STR_FMT ": %s is %lld, we have %lld\n", STR_ARG(row->id), units[i].name,
                (long long)theirs, (long long)price_of(ours, i));
    }
}

/* No price is left that our table could not say. */
static void
all_prices_have_a_unit(const struct json *from)
{
    struct json_iter it = json_iter(from);

    while (json_next(&it)) {
        bool found = json_str_is(it.key, S("batch_discount")) ||    /* follows from the prices */
                     json_str_is(it.key, S("above_input_tokens")) ||
                     json_str_is(it.key, S("scope")) || json_str_is(it.key, S("name")) ||
                     json_str_is(it.key, S("utc"));

        for (unsigned i = 0; i < PRICES && !found; i++)
            found = json_str_is(it.key, str_c(units[i].name));
        if (!found)
            DIFFERS(STR_FMT ": we have no price '" STR_FMT "'\n", STR_ARG(row->id),
                STR_ARG(json_raw(it.key)));
    }
}

static void
same_windows(const struct json *model)
{
    struct json_iter it = json_iter(json_get(model, S("price_windows")));
    size_t n = 0;

    for (; json_next(&it); n++) {
        const struct price_window *w = &row->price->windows[n];

        EXPECT(n < row->price->window_count);
        /* the only one there is, in words */
        EXPECT(str_eq(text_of(it.value, "utc"),
            S("all hours except Mon-Fri 01:00-04:00 and 06:00-10:00 (Chinese public holidays are "
              "off-peak)")));
        EXPECT(w->outside && w->span_count == 2 && w->spans[0].days == 0x1f &&
               w->spans[1].days == 0x1f && w->spans[0].from_min == 60 &&
               w->spans[0].to_min == 240 && w->spans[1].from_min == 360 &&
               w->spans[1].to_min == 600);
        same_text(it.value, "name", w->name);
        all_prices_have_a_unit(it.value);
        same_prices(it.value, &w->list);
    }
    EXPECT_INT(n, row->price->window_count);
}

static void
same_price_sheet(const struct json *model)
{
    const struct price_sheet *sheet = row->price;
    struct json_iter it = json_iter(json_get(model, S("price_tiers")));
    size_t n = 0;

    EXPECT(sheet != NULL && sheet->since_s == 0 && sheet->older == NULL);
    all_prices_have_a_unit(json_get(model, S("price")));
    same_prices(json_get(model, S("price")), &sheet->list);
    for (; json_next(&it); n++) {
        EXPECT(n < sheet->tier_count);
        EXPECT(str_eq(text_of(it.value, "scope"), S("whole_request")));
        same_number(it.value, "above_input_tokens", sheet->tiers[n].above_tokens);
        all_prices_have_a_unit(it.value);
        same_prices(it.value, &sheet->tiers[n].list);
    }
    EXPECT_INT(n, sheet->tier_count);
    same_windows(model);
    if (sheet->plan != str_eq(text_of(model, "price_kind"), S("free_or_plan")))
        DIFFERS(STR_FMT ": whether a plan pays differs\n", STR_ARG(row->id));
}

/* --- models --- */

static void
same_names(const struct json *model)
{
    struct json_iter it = json_iter(json_get(model, S("aliases")));
    struct str provider = text_of(model, "provider");

    while (json_next(&it)) {
        struct str name = json_str(arena, it.value);

        if (model_row(arena_printf(arena, STR_FMT "/" STR_FMT, STR_ARG(provider), STR_ARG(name))) !=
            row)
            DIFFERS(STR_FMT ": is not found as '" STR_FMT "'\n", STR_ARG(row->id), STR_ARG(name));
    }
}

static void
same_model(const struct json *model)
{
    static const char *const modes[] = { "", "chat", "embedding", "rerank", "image",
        "audio_transcription", "audio_speech", "moderation", "realtime" };
    static const char *const statuses[] = { "", "active", "preview", "deprecated" };
    static const char *const media[] = { "text", "image", "audio", "video", "pdf", "embedding",
        "score", "label" };
    static const char *const efforts[] = { "none", "minimal", "low", "medium", "high", "xhigh",
        "max", "default" };

    same_text(model, "mode", str_c(modes[row->mode]));
    same_text(model, "status", str_c(statuses[row->status]));
    same_text(model, "base", row->base != NULL ? row->base->id : S(""));
    same_text(model, "replacement", str_c(row->replacement));
    same_text(model, "inference_profile", str_c(row->region));
    same_number(model, "context_window", row->context_tokens);
    same_number(model, "max_input", row->input_tokens);
    same_number(model, "max_output", row->output_tokens);
    same_number(model, "embedding_dims", row->dimensions);
    same_number(json_get(model, S("capabilities")), "prompt_cache_min_tokens", row->cache_tokens);
    same_date(model, "released", row->released);
    same_date(model, "deprecation_date", row->ends);
    same_bits(model, "input_modalities", media, ARRAY_LEN(media), row->takes);
    same_bits(model, "output_modalities", media, ARRAY_LEN(media), row->makes);
    same_bits(json_get(model, S("capabilities")), "reasoning_efforts", efforts, ARRAY_LEN(efforts),
        row->efforts);
    EXPECT(row->floating == json_is(json_get(model, S("floating_alias")), JSON_TRUE));
    same_abilities(model);
    same_price_sheet(model);
    same_names(model);
}

TEST(every_figure_of_every_model_is_the_collected_one)
{
    size_t n = 0;

    if (!have_facts())
        SKIP("no ../shared/catalog");
    struct json_iter it = json_iter(json_get(facts, S("models")));
    for (; json_next(&it); n++) {
        struct str id = text_of(it.value, "id");

        row = model_row(id);
        if (row == NULL || !str_eq(row->id, id)) {
            DIFFERS(STR_FMT " is not in our table\n", STR_ARG(id));
            continue;
        }
        same_model(it.value);
    }
    EXPECT_INT(differences, 0);
    EXPECT_INT(n, model_table_count);
}

/* --- priors --- */

static int
tenths(const struct json *value)
{
    return json_present(value) ? MAX((int)llround(json_f64(value, 0) * 10), 1) : 0;
}

/* The measurement of the model's usual configuration, without reasoning where it has several. */
static const struct json *
usual_speed(const struct json *known)
{
    static const char *const variants[] = { "default", "non-reasoning", NULL };

    for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
        struct json_iter it = json_iter(json_get(known, S("perf")));

        while (json_next(&it))
            if (variants[i] == NULL || str_eq(text_of(it.value, "variant"), str_c(variants[i])))
                return it.value;
    }
    return NULL;
}

TEST(every_prior_is_the_collected_one_or_marked_as_assumed)
{
    if (!have_facts())
        SKIP("no ../shared/catalog");
    const struct json *models = json_get(quality, S("models"));
    const struct json *instead = json_at(quality, "prior_fallback.map");
    size_t found = 0;

    for (size_t i = 0; i < model_base_count; i++) {
        const struct model_base *b = &model_bases[i];
        const struct json *own = json_get(models, b->id), *speed = usual_speed(own);
        const struct json *prior = json_get(own, S("prior"));

        if (b->quality_assumed) {
            EXPECT(json_get(prior, S("general")) == NULL);
            prior =
                json_get(json_get(models, json_str(arena, json_get(instead, b->id))), S("prior"));
            EXPECT(prior != NULL);
        }
        found += own != NULL;
        if (b->quality_permille != tenths(json_get(prior, S("general"))) ||
            b->quality_coding_permille != tenths(json_get(prior, S("coding"))) ||
            b->quality_agentic_permille != tenths(json_get(prior, S("agentic"))))
            DIFFERS(STR_FMT ": the priors differ\n", STR_ARG(b->id));
        if (b->tokens_per_s !=
                (int)floor(json_f64(json_get(speed, S("output_tokens_per_s")), 0) + 0.5) ||
            b->first_token_ms != (int)floor(json_f64(json_get(speed, S("ttft_s")), 0) * 1000 + 0.5))
            DIFFERS(STR_FMT ": the speed differs\n", STR_ARG(b->id));
    }
    EXPECT_INT(differences, 0);
    EXPECT_INT(found, json_count(models));
}

/* --- sums of real prices, worked out by hand --- */

TEST(the_long_context_price_of_a_real_model)
{
    /* GPT-5.6: $4 and $20 a million; above 272,000 tokens $8 and $30. 300,000 of which 200,000 cached at
     * $0.80, and 2,000 out: 0.8 + 0.16 + 0.06 dollars. */
    struct llm_usage u = { 0 };
    struct price_when when = { .wall_s = 1795503600 };

    usage_set(&u, COUNT_INPUT, 300000);
    usage_set(&u, COUNT_CACHED, 200000);
    usage_set(&u, COUNT_OUTPUT, 2000);
    EXPECT_INT(model_cost_nanousd(model_row(S("openai/gpt-5.6")), &u, &when), 1020000000);
    /* 272,000 with the same cache: 0.288 + 0.08 + 0.04 */
    usage_set(&u, COUNT_INPUT, 272000);
    EXPECT_INT(model_cost_nanousd(model_row(S("openai/gpt-5.6")), &u, &when), 408000000);
    /* in a batch, where the cache is half as dear as well */
    when.service = SERVICE_BATCH;
    EXPECT_INT(model_cost_nanousd(model_row(S("openai/gpt-5.6")), &u, &when), 204000000);
    when.service = SERVICE_PRIORITY;
    EXPECT_INT(model_cost_nanousd(model_row(S("openai/gpt-5.6")), &u, &when), 816000000);
}

TEST(the_night_price_of_a_real_model)
{
    /* 1,000,000 in, half of it cached, 100,000 out, on a Tuesday at 07:00 and at 12:00 UTC:
     * 0.15 + 0.003 + 0.12 dollars, or half of it. */
    const struct model_row *flash = model_row(S("deepseek/deepseek-flash"));
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, 1000000);
    usage_set(&u, COUNT_CACHED, 500000);
    usage_set(&u, COUNT_OUTPUT, 100000);
    EXPECT_INT(
        model_cost_nanousd(flash, &u, &(struct price_when){ .wall_s = 1795503600 }), 273000000);
    EXPECT_INT(
        model_cost_nanousd(flash, &u, &(struct price_when){ .wall_s = 1795521600 }), 136500000);
}

TEST(a_trial_is_not_free)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, 10);
    EXPECT(model_row(S("zai/glm-4.7-flash"))->price->plan);
    EXPECT_INT(model_cost_nanousd(
                   model_row(S("zai/glm-4.7-flash")), &u, &(struct price_when){ .wall_s = 0 }),
        COST_UNKNOWN);
}
