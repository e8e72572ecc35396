/* test_proofs.c - what proves an answer's reasoning is found again by what clients keep of it. */
#include "llm/proofs.c"
#include "tests/test.h"

static char room[PROOFS_NAME_BYTES];
static char other[PROOFS_NAME_BYTES];

static void
take(struct proofs *p, enum llm_event_kind kind, const char *text)
{
    struct llm_event ev = { .kind = kind, .origin = ORIGIN_ANTHROPIC };

    if (kind == EVENT_SIGNATURE)
        ev.signature = str_c(text);
    else
        ev.text = str_c(text);
    proofs_take(p, &ev);
}

static void
take_call(struct proofs *p, uint32_t number, const char *id, const char *signature)
{
    proofs_take(p, &(struct llm_event){ .kind = EVENT_TOOL_START,
                       .tool = number,
                       .id = str_c(id),
                       .name = S("f"),
                       .signature = str_c(signature) });
}

/* An assistant's message: "t..." is text, "c..." a call with that id. */
static struct llm_message *
message(struct arena *a, const char *first, const char *second)
{
    struct llm_message *m = arena_new(a, struct llm_message);
    struct llm_part **tail = &m->parts;
    const char *said[] = { first, second };

    m->role = ROLE_ASSISTANT;
    for (size_t i = 0; i < ARRAY_LEN(said) && said[i] != NULL; i++) {
        bool call = said[i][0] == 'c';
        struct llm_part *part = llm_part_add(a, &tail, call ? PART_TOOL_CALL : PART_TEXT);

        if (call) {
            part->id = str_c(said[i] + 1);
            part->name = S("f");
            part->args = S("{ }");
        } else {
            part->text = str_c(said[i] + 1);
        }
    }
    return m;
}

TEST(a_block_comes_back_with_its_text_and_its_proof)
{
    struct arena *a = arena_create(1 << 20);
    struct llm_request r = { .arena = a };
    struct llm_message *m = message(a, "tHi", NULL);
    struct proofs p;

    proofs_init(&p);
    take(&p, EVENT_REASONING, "so ");
    take(&p, EVENT_REASONING, "what\n");
    take(&p, EVENT_SIGNATURE, "c2ln");
    take(&p, EVENT_REDACTED, "eHl6");
    take(&p, EVENT_TEXT, "H");
    take(&p, EVENT_TEXT, "i ");
    EXPECT(str_eq(proofs_name(&p, BY_WORDS, room), proofs_name_of(m, BY_WORDS, other)));
    EXPECT_INT(proofs_name(&p, BY_CALL, room).n, 0);
    proofs_restore(&r, m, proofs_kept(&p));

    const struct llm_part *part = m->parts;
    EXPECT_INT(part->kind, PART_REASONING);
    EXPECT_STR(part->text, "so what\n");
    EXPECT_STR(part->signature, "c2ln");
    EXPECT_INT(part->origin, ORIGIN_ANTHROPIC);
    EXPECT_STR(part->next->redacted, "eHl6");
    EXPECT_STR(part->next->next->text, "Hi");
    EXPECT(part->next->next->next == NULL);
    EXPECT_INT(proofs_name_of(m, BY_WORDS, other).n, 0);    /* it has some now */
    proofs_fini(&p);
    arena_destroy(a);
}

TEST(a_message_is_recognised_by_its_first_call_or_by_all_that_it_says)
{
    struct arena *a = arena_create(1 << 20);
    struct proofs p;

    proofs_init(&p);
    take(&p, EVENT_TEXT, "Look");
    take_call(&p, 0, "one", "");
    take(&p, EVENT_TOOL_ARGS, "{}");
    EXPECT_STR(proofs_name(&p, BY_CALL, room), "call one");
    EXPECT_STR(proofs_name_of(message(a, "cone", NULL), BY_CALL, other), "call one");
    (void)proofs_name(&p, BY_WORDS, room);
    EXPECT_STR(proofs_name_of(message(a, "t Look\n", "ctwo"), BY_WORDS, other), room);
    EXPECT(strcmp(proofs_name_of(message(a, "tLooks", "ctwo"), BY_WORDS, other).p, room) != 0);
    EXPECT(strcmp(proofs_name_of(message(a, "tLook", NULL), BY_WORDS, other).p, room) != 0);
    EXPECT_INT(proofs_name_of(message(a, NULL, NULL), BY_WORDS, other).n, 0);
    EXPECT_INT(proofs_kept(&p).n, 0);    /* it has no proofs */
    proofs_fini(&p);
    arena_destroy(a);
}

TEST(signed_calls_get_their_signatures_back_by_their_order)
{
    struct arena *a = arena_create(1 << 20);
    struct llm_request r = { .arena = a };
    struct llm_message *m = message(a, "cx", "cy");
    struct proofs p;

    proofs_init(&p);
    take_call(&p, 0, "one", "");
    take_call(&p, 1, "two", "AbC=");
    proofs_restore(&r, m, proofs_kept(&p));
    EXPECT_INT(m->parts->signature.n, 0);
    EXPECT_STR(m->parts->next->signature, "AbC=");
    proofs_fini(&p);
    arena_destroy(a);
}

TEST(too_much_is_not_kept_rather_than_a_part_of_it)
{
    struct proofs p;
    char block[8192];

    memset(block, 'x', sizeof(block) - 1);
    block[sizeof(block) - 1] = '\0';
    proofs_init(&p);
    for (size_t n = 0; n <= PROOFS_MOST_BYTES; n += sizeof(block) - 1)
        take(&p, EVENT_REASONING, block);
    take(&p, EVENT_SIGNATURE, "c2ln");
    take(&p, EVENT_TEXT, "Hi");
    EXPECT_INT(proofs_kept(&p).n, 0);
    proofs_fini(&p);
}

TEST(other_choices_do_not_count)
{
    struct proofs p;

    proofs_init(&p);
    proofs_take(
        &p, &(struct llm_event){ .kind = EVENT_SIGNATURE, .choice = 1, .signature = S("c2ln") });
    EXPECT_INT(proofs_kept(&p).n, 0);
    proofs_fini(&p);
}
