/* model.h - what we know about models: limits, abilities, traits, prices, priors.
 *
 * models.txt and bases.txt hold the facts; tools/models.py makes sorted tables of them at build time.
 * A row of the configuration or of a catalog file looks the same (catalog.h) and goes before them.
 */
#pragma once

#include "catalog/price.h"
#include "llm/traits.h"
#include "tokens/tokens.h"

#define MODEL_BYTES 256    /* longest name of a model that a caller may ask for */

enum model_mode {
    MODE_UNSAID,
    MODE_CHAT,
    MODE_EMBEDDING,
    MODE_RERANK,
    MODE_IMAGE,
    MODE_TRANSCRIPTION,
    MODE_SPEECH,
    MODE_MODERATION,
    MODE_REALTIME,
    MODES
};

enum model_status { STATUS_UNSAID, STATUS_ACTIVE, STATUS_PREVIEW, STATUS_DEPRECATED, STATUSES };

enum model_ability {
#define ABILITY(name, what) CAN_##name,
#include "catalog/abilities.def"
#undef ABILITY
    ABILITIES
};

/* Kinds of content, as bits. */
enum model_media {
    MEDIA_TEXT = 1 << 0,
    MEDIA_IMAGE = 1 << 1,
    MEDIA_AUDIO = 1 << 2,
    MEDIA_VIDEO = 1 << 3,
    MEDIA_FILE = 1 << 4,    /* PDF */
    MEDIA_EMBEDDING = 1 << 5,
    MEDIA_SCORE = 1 << 6,
    MEDIA_LABEL = 1 << 7,
};

/* Words of reasoning effort that a model takes, as bits. */
enum model_effort {
    EFFORT_NONE = 1 << 0,
    EFFORT_MINIMAL = 1 << 1,
    EFFORT_LOW = 1 << 2,
    EFFORT_MEDIUM = 1 << 3,
    EFFORT_HIGH = 1 << 4,
    EFFORT_XHIGH = 1 << 5,
    EFFORT_MAX = 1 << 6,
    EFFORT_DEFAULT = 1 << 7,
};

/* The same weights, wherever they are served: "deepseek/deepseek-v4-pro". Priors are from public
 * leaderboards, tenths of a percentile from 1 to 1000; 0: not known. */
struct model_base {
    struct str id;
    int quality_permille;            /* in general */
    int quality_coding_permille;     /* at writing code */
    int quality_agentic_permille;    /* at work with tools over many turns */
    bool quality_assumed;            /* newer than the leaderboards: its predecessor's */
    int tokens_per_s;                /* of output; median of what was measured; 0: not known */
    int first_token_ms;              /* the same */
};

struct model_row {
    struct str id;                      /* "openai/gpt-4o-mini" */
    const struct model_base *base;      /* NULL: not known */
    const struct price_sheet *price;    /* newest; NULL: not known */
    const struct traits *traits;        /* not NULL */
    int64_t context_tokens;             /* 0: not known; also of what follows */
    int64_t input_tokens;               /* most, where the provider says it apart from the context */
    int64_t output_tokens;              /* most */
    int64_t cache_tokens;               /* least that the prompt cache keeps */
    uint32_t can, cannot;               /* 1 << enum model_ability; see model_can() */
    uint8_t mode;                       /* enum model_mode */
    uint8_t status;                     /* enum model_status */
    uint8_t takes, makes;               /* enum model_media */
    uint8_t efforts;                    /* enum model_effort */
    uint8_t tokenizer;                  /* 1 + enum tokens_family; 0: see model_tokenizer() */
    bool floating;                      /* the name stands for the newest of a family */
    uint16_t dimensions;                /* of an embedding, by default */
    uint32_t released;                  /* 20260807; 20260800: the day is not known; 0: not known */
    uint32_t ends;                      /* the same, from when on the provider refuses it */
    const char *replacement;            /* model that its provider names in its place; NULL: none */
    const char *region;                 /* "us": where it is served; NULL: as the provider says */
};

/* Another name of a row of the table. */
struct model_alias {
    struct str id;
    const struct model_row *row;
};

/* What tools/models.py makes, each sorted by id. */
extern const struct model_row model_table[];
extern const size_t model_table_count;
extern const struct model_alias model_aliases[];
extern const size_t model_alias_count;
/* By hash of a name (FNV-1a, and the next slots while taken): a row's number from 1 on, and after those the
 * aliases'; 0: free. */
extern const uint16_t model_slots[];
extern const uint32_t model_slots_mask;
extern const struct model_base model_bases[];
extern const size_t model_base_count;

/* The built-in row of "provider/model" or of another name of it, or NULL. */
const struct model_row *model_row(struct str id);

/* The built-in rows, sorted by id; NULL after the last one. */
const struct model_row *model_row_at(size_t i);

/* What is known of a model wherever it is served, by its name there, or NULL. */
const struct model_base *model_base(struct str id);

/* Whether the model can do it; UNSAID when that is not known, and for a row that is NULL. */
enum llm_tri model_can(const struct model_row *row, enum model_ability ability);

/* How its tokens are counted: as the row says, or as its names and `name` (the provider's) do. `row`
 * may be NULL. */
enum tokens_family model_tokenizer(const struct model_row *row, struct str name);

/* Is there a price for it, other than that a trial or a plan pays? `row` may be NULL. */
bool model_is_priced(const struct model_row *row);

/* The prior of its quality, from 1 to 1000; 0: not known. `row` may be NULL. */
int model_quality_permille(const struct model_row *row);

/* What the usage costs in nano-dollars, or COST_UNKNOWN; see price.h. `row` may be NULL. */
int64_t model_cost_nanousd(
    const struct model_row *row, const struct llm_usage *u, const struct price_when *when);

/* What the request will probably cost in nano-dollars, or COST_UNKNOWN. `row` may be NULL. */
int64_t model_expect_nanousd(const struct model_row *row, const struct price_guess *guess);
