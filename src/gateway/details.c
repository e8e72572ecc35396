/* details.c - facts about a model as JSON members. */
#include "gateway/details.h"

#include <stdio.h>

#include "base/json_out.h"
#include "catalog/words.h"

/* OpenRouter's name of a parameter, and the ability that it takes. */
static const struct {
    const char *name;
    enum model_ability ability;
} parameters[] = {
    { "tools", CAN_tools },
    { "tool_choice", CAN_tool_choice },
    { "parallel_tool_calls", CAN_parallel_tools },
    { "structured_outputs", CAN_json_schema },
    { "response_format", CAN_json_mode },
    { "reasoning", CAN_reasoning },
    { "temperature", CAN_temperature },
    { "logprobs", CAN_logprobs },
};

static const struct {
    const char *name;
    enum price_unit unit;
} prices[] = {
    { "prompt", PRICE_input },
    { "completion", PRICE_output },
    { "input_cache_read", PRICE_cached_input },
    { "input_cache_write", PRICE_cache_write },
    { "internal_reasoning", PRICE_reasoning },
    { "audio", PRICE_audio_input },
    { "request", PRICE_per_request },
    { "image", PRICE_per_input_image },
    { "web_search", PRICE_per_web_search },
};

/* Dollars for one unit, as a decimal in a text: "0.0000025". */
static void
add_usd(struct json_out *o, int64_t nanousd_per_1k)
{
    out_string(o);
    buf_add_decimal(o->b, (uint64_t)nanousd_per_1k, 12);
    out_end_string(o);
}

static void
add_prices(struct json_out *o, const struct price_sheet *sheet)
{
    if (sheet == NULL || sheet->plan)
        return;
    out_key_object(o, "pricing");
    for (size_t i = 0; i < ARRAY_LEN(prices); i++) {
        int64_t price = price_of(&sheet->list, prices[i].unit);

        if (price < 0)
            continue;
        out_key_str(o, str_c(prices[i].name));
        add_usd(o, price);
    }
    out_end(o);
}

static void
add_media(struct json_out *o, struct str name, unsigned bits)
{
    struct str word;

    out_key_str(o, name);
    out_array(o);
    for (unsigned i = 0; (word = model_media_word(i)).n != 0; i++)
        if ((bits & 1u << i) != 0)
            out_text_value(o, word);
    out_end_array(o);
}

void
details_write(struct buf *out, const struct model_row *row, int64_t wall_s)
{
    struct json_out o = { .b = out, .comma = true };
    char room[MODEL_DATE_ROOM];

    if (row == NULL)
        return;
    if (row->context_tokens != 0)
        out_i64(&o, "context_length", row->context_tokens);
    if (row->output_tokens != 0)
        out_i64(&o, "max_output_tokens", row->output_tokens);
    out_key_object(&o, "architecture");
    add_media(&o, S("input_modalities"), row->takes);
    add_media(&o, S("output_modalities"), row->makes);
    out_end(&o);
    add_prices(&o, price_sheet_at(row->price, wall_s));
    out_key_array(&o, "supported_parameters");
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (model_can(row, parameters[i].ability) == YES)
            out_text_value(&o, str_c(parameters[i].name));
    out_end_array(&o);
    if (row->ends != 0)
        out_text(&o, "deprecation_date", model_date_text(row->ends, room));
}
