#include "llm/answer.c"
#include "tests/test.h"

static struct arena *arena;
static struct llm_answer ans;

static void
begin(size_t limit)
{
    arena = arena_create(limit);
    answer_init(&ans, arena);
}

static void
end(void)
{
    arena_destroy(arena);
}

static void
emit(struct llm_event ev)
{
    ans.sink.emit(&ans.sink, &ev);
}

static void
emit_text(enum llm_event_kind kind, struct str text)
{
    emit((struct llm_event){ .kind = kind, .text = text });
}

static void
emit_media(enum llm_part_kind kind, const char *mime, const char *data)
{
    emit((struct llm_event){ .kind = EVENT_MEDIA,
        .media = &(struct llm_part){ .kind = kind, .mime = str_c(mime), .data = str_c(data) } });
}

TEST(deltas_of_one_kind_are_one_part)
{
    begin(1 << 20);
    emit((struct llm_event){ .kind = EVENT_START, .id = S("i"), .model = S("m"), .created_s = 5 });
    emit_text(EVENT_REASONING, S("hm"));
    emit_text(EVENT_TEXT, S("Hello, "));
    emit_text(EVENT_TEXT, S("world"));
    emit(
        (struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_STOP, .native = S("end_turn") });
    emit((struct llm_event){ .kind = EVENT_END });

    struct llm_part *p = ans.choices->parts;

    EXPECT_STR(ans.id, "i");
    EXPECT_STR(ans.model, "m");
    EXPECT_INT(ans.created_s, 5);
    EXPECT(!usage_known(&ans.usage));
    EXPECT(p->kind == PART_REASONING);
    EXPECT_STR(p->text, "hm");
    EXPECT(p->next->kind == PART_TEXT);
    EXPECT_STR(p->next->text, "Hello, world");
    EXPECT(p->next->next == NULL);
    EXPECT_INT(ans.choices->finish, FINISH_STOP);
    EXPECT_STR(ans.choices->native, "end_turn");
    EXPECT(ans.complete);
    end();
}

TEST(a_signature_closes_its_block_and_redacted_blocks_stand_alone)
{
    begin(1 << 20);
    emit_text(EVENT_REASONING, S("a"));
    emit((struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("s1") });
    emit_text(EVENT_REASONING, S("b"));
    emit_text(EVENT_REDACTED, S("enc"));
    emit_text(EVENT_REASONING, S("c"));
    emit((struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("s2") });
    emit_text(EVENT_REDACTED, S("enc2"));
    emit((struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("s3") });

    struct llm_part *p = ans.choices->parts;

    EXPECT_STR(p->text, "a");
    EXPECT_STR(p->signature, "s1");
    p = p->next;
    EXPECT_STR(p->text, "b");
    EXPECT_INT(p->signature.n, 0);
    p = p->next;
    EXPECT_STR(p->redacted, "enc");
    p = p->next;
    EXPECT_STR(p->text, "c");
    EXPECT_STR(p->signature, "s2");
    p = p->next;
    EXPECT_STR(p->redacted, "enc2");
    EXPECT_INT(p->signature.n, 0);
    p = p->next;
    EXPECT_INT(p->text.n, 0);
    EXPECT_STR(p->signature, "s3");
    EXPECT(p->next == NULL);
    end();
}

TEST(arguments_of_mixed_calls_find_their_call)
{
    begin(1 << 20);
    emit((struct llm_event){ .kind = EVENT_TOOL_START, .tool = 0, .id = S("a"), .name = S("f") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 0, .text = S("{\"x\"") });
    emit((struct llm_event){ .kind = EVENT_TOOL_START, .tool = 1, .id = S("b"), .name = S("g") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 1, .text = S("[") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 0, .text = S(":1}") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 1, .text = S("]") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 7, .text = S("lost") });

    struct llm_part *p = ans.choices->parts;

    EXPECT_STR(p->args, "{\"x\":1}");
    EXPECT_STR(p->next->args, "[]");
    EXPECT_STR(p->next->id, "b");
    EXPECT(p->next->next == NULL);
    end();
}

TEST(choices_stand_in_order_of_their_index)
{
    begin(1 << 20);
    emit((struct llm_event){ .kind = EVENT_TEXT, .choice = 2, .text = S("c") });
    emit((struct llm_event){ .kind = EVENT_TEXT, .choice = 0, .text = S("a") });
    emit((struct llm_event){ .kind = EVENT_TEXT, .choice = 1, .text = S("b") });
    emit((struct llm_event){ .kind = EVENT_TEXT, .choice = 128, .text = S("none") });
    EXPECT_INT(ans.choices->index, 0);
    EXPECT_INT(ans.choices->next->index, 1);
    EXPECT_STR(ans.choices->next->next->parts->text, "c");
    EXPECT(ans.choices->next->next->next == NULL);
    EXPECT(answer_choice(&ans, 128) == NULL);
    end();
}

TEST(usage_is_overwritten_and_never_added)
{
    begin(1 << 20);
    emit((struct llm_event){ .kind = EVENT_USAGE,
        .usage = { .known = 1u << COUNT_INPUT | 1u << COUNT_OUTPUT, .input = 10, .output = 1 } });
    emit((struct llm_event){ .kind = EVENT_USAGE,
        .usage = { .known = 1u << COUNT_CACHED | 1u << COUNT_OUTPUT, .cached = 4, .output = 7 } });
    EXPECT_INT(ans.usage.input, 10);
    EXPECT_INT(ans.usage.cached, 4);
    EXPECT_INT(ans.usage.output, 7);
    end();
}

TEST(an_error_outlives_its_event)
{
    begin(1 << 20);
    char words[] = "gone";
    struct llm_error e = { .kind = ERR_UPSTREAM_ERROR, .message = str_c(words), .code = S("c") };

    emit((struct llm_event){ .kind = EVENT_ERROR, .error = &e });
    memset(words, 'x', 4);
    e.kind = OK;
    EXPECT_INT(ans.error->kind, ERR_UPSTREAM_ERROR);
    EXPECT_STR(ans.error->message, "gone");
    EXPECT_STR(ans.error->code, "c");
    EXPECT(!ans.complete);
    end();
}

TEST(citations_and_logprobs_are_kept_and_blocks_that_no_wire_writes_are_not)
{
    begin(1 << 20);
    emit((struct llm_event){ .kind = EVENT_OPAQUE, .raw = S("{\"type\":\"x\"}") });
    emit((struct llm_event){ .kind = EVENT_CITATION,
        .citation = &(struct llm_citation){ .url = S("u"), .title = S("t"), .from = 3, .to = 5 } });
    emit((struct llm_event){
        .kind = EVENT_CITATION, .citation = &(struct llm_citation){ .quote = S("q") } });
    emit((struct llm_event){ .kind = EVENT_LOGPROBS, .raw = S("{\"content\":[]}") });
    EXPECT(ans.choices->parts == NULL);

    const struct llm_cited *cited = ans.choices->citations;

    EXPECT_STR(cited->citation.url, "u");
    EXPECT_STR(cited->citation.title, "t");
    EXPECT(cited->citation.from == 3 && cited->citation.to == 5);
    EXPECT_STR(cited->next->citation.quote, "q");
    EXPECT(cited->next->next == NULL);
    EXPECT_STR(json_raw(ans.choices->logprobs->doc), "{\"content\":[]}");
    EXPECT(ans.choices->logprobs->next == NULL);
    end();
}

TEST(media_are_parts_and_pieces_of_sound_are_joined_where_their_base64_can_be)
{
    begin(1 << 20);
    emit_media(PART_IMAGE, "image/png", "AAAA");
    emit_media(PART_IMAGE, "image/png", "BBBB");
    emit_media(PART_AUDIO, "audio/pcm", "CCCC");
    emit_media(PART_AUDIO, "audio/pcm", "DDD=");
    emit_media(PART_AUDIO, "audio/pcm", "EEEE");

    const struct llm_part *part = ans.choices->parts;

    EXPECT(part->kind == PART_IMAGE);
    EXPECT_STR(part->data, "AAAA");
    EXPECT_STR(part->next->data, "BBBB");
    EXPECT_STR(part->next->mime, "image/png");
    part = part->next->next;
    EXPECT(part->kind == PART_AUDIO);
    EXPECT_STR(part->data, "CCCCDDD=");
    EXPECT_STR(part->next->data, "EEEE");
    EXPECT(part->next->next == NULL);
    end();
}

TEST(a_character_split_between_two_deltas_is_one_again)
{
    begin(1 << 20);
    emit_text(EVENT_TEXT, S("a\xed\xa0\xbd"));
    emit_text(EVENT_TEXT, S("\xed\xb8\x80z"));
    EXPECT_STR(ans.choices->parts->text, "a\xf0\x9f\x98\x80z");

    /* halves that do not belong together stay as they are */
    emit_text(EVENT_REASONING, S("\xed\xb8\x80"));
    emit_text(EVENT_REASONING, S("\xed\xb8\x80"));
    EXPECT_STR(ans.choices->parts->next->text, "\xed\xb8\x80\xed\xb8\x80");
    emit_text(EVENT_REFUSAL, S("\xed\xa0\xbd"));
    emit_text(EVENT_REFUSAL, S("\xed\x9f\xbf"));
    EXPECT_STR(ans.choices->parts->next->next->text, "\xed\xa0\xbd\xed\x9f\xbf");
    end();
}

TEST(an_answer_beyond_the_limit_says_so)
{
    begin(4096);
    for (int i = 0; i < 1000; i++)
        emit_text(EVENT_TEXT, S("0123456789"));
    EXPECT(ans.too_large);
    EXPECT(ans.choices->parts->text.n < 4096);
    end();
}

static bool
is_whole(void)
{
    const struct llm_part *p = ans.choices->parts;

    return str_eq(ans.id, S("i")) && str_eq(p->text, S("text")) && str_eq(p->next->args, S("{}")) &&
           str_eq(p->next->name, S("f")) && ans.choices->logprobs != NULL;
}

TEST(an_answer_that_lost_something_for_want_of_memory_says_so)
{
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        begin(1 << 20);
        arena_fail_after_for_tests(n);
        emit((struct llm_event){ .kind = EVENT_START, .id = S("i") });
        emit_text(EVENT_TEXT, S("text"));
        emit((struct llm_event){ .kind = EVENT_TOOL_START, .id = S("a"), .name = S("f") });
        emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .text = S("{}") });
        emit((struct llm_event){ .kind = EVENT_LOGPROBS, .raw = S("[1]") });
        emit((struct llm_event){ .kind = EVENT_FINISH, .native = S("stop") });
        failed = !arena_fail_after_for_tests(0);
        EXPECT(ans.too_large || is_whole());
        EXPECT(failed || !ans.too_large);
        EXPECT(n < 100);
        end();
    }
}

TEST(text_beyond_what_is_left_is_not_kept_and_the_answer_marked)
{
    char text[1000];

    memset(text, 'x', sizeof(text));
    begin(SIZE_MAX);
    ans.left = 10000;
    for (int i = 0; i < 100000; i++)
        emit_text(i % 2 ? EVENT_TEXT : EVENT_REASONING, str_make(text, sizeof(text)));
    EXPECT(ans.too_large && ans.choices->parts->text.n == sizeof(text));
    EXPECT(arena_held_bytes(arena) < 100000);
    end();
}

/* --- unfolding --- */

/* Everything of an answer as text, so that two can be compared. */
static struct str
tell(const struct llm_answer *a)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    buf_printf(&b, STR_FMT "|" STR_FMT "|%d|%d|%d", STR_ARG(a->id), STR_ARG(a->model),
        (int)a->created_s, a->complete, a->error != NULL);
    for (const struct llm_answer_choice *c = a->choices; c != NULL; c = c->next) {
        buf_printf(&b, "\n%u:%d:" STR_FMT ":" STR_FMT, c->index, (int)c->finish, STR_ARG(c->native),
            STR_ARG(c->stop_sequence));
        for (const struct llm_part *p = c->parts; p != NULL; p = p->next)
            buf_printf(&b, "\n %d %d <" STR_FMT "> <" STR_FMT "> <" STR_FMT "> <" STR_FMT ">",
                (int)p->kind, p->custom, STR_ARG(p->text), STR_ARG(p->id), STR_ARG(p->signature),
                STR_ARG(p->name));
        for (const struct llm_cited *d = c->citations; d != NULL; d = d->next)
            buf_printf(&b, "\n c " STR_FMT " " STR_FMT " " STR_FMT " %d %d",
                STR_ARG(d->citation.url), STR_ARG(d->citation.title), STR_ARG(d->citation.quote),
                (int)d->citation.from, (int)d->citation.to);
        for (const struct llm_fragment *f = c->logprobs; f != NULL; f = f->next)
            buf_printf(&b, "\n l " STR_FMT, STR_ARG(json_raw(f->doc)));
    }
    struct str s = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

TEST(an_answer_unfolds_into_events_that_fold_into_the_same_answer)
{
    struct llm_answer again;

    begin(1 << 20);
    emit((struct llm_event){ .kind = EVENT_START, .id = S("i"), .model = S("m"), .created_s = 5 });
    emit_text(EVENT_REASONING, S("hm"));
    emit((struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("sig") });
    emit_text(EVENT_REDACTED, S("secret"));
    emit_text(EVENT_TEXT, S("one "));
    emit_text(EVENT_TEXT, S("two"));
    emit((struct llm_event){ .kind = EVENT_TOOL_START, .id = S("a"), .name = S("f") });
    emit((struct llm_event){
        .kind = EVENT_TOOL_START, .tool = 1, .id = S("b"), .name = S("g"), .custom = true });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 1, .text = S("free") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = 0, .text = S("{\"x\":1}") });
    emit((struct llm_event){ .kind = EVENT_CITATION,
        .citation = &(struct llm_citation){
            .url = S("u"), .title = S("t"), .quote = S("q"), .from = 1, .to = 2 } });
    emit((struct llm_event){ .kind = EVENT_LOGPROBS, .raw = S("{\"content\":[]}") });
    emit((struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_TOOLS, .native = S("t") });
    emit((struct llm_event){ .kind = EVENT_REFUSAL, .choice = 2, .text = S("no") });
    emit((struct llm_event){ .kind = EVENT_FINISH,
        .choice = 2,
        .finish = FINISH_STOP,
        .native = S("stop_sequence"),
        .stop_sequence = S("END") });
    emit((struct llm_event){ .kind = EVENT_END });
    EXPECT(str_find(tell(&ans), S("<free>")) != tell(&ans).n);

    answer_init(&again, arena);
    answer_unfold(&ans, &again.sink);
    EXPECT(str_eq(tell(&again), tell(&ans)));

    answer_init(&again, arena);    /* one that was cut stays so */
    ans.complete = false;
    answer_unfold(&ans, &again.sink);
    EXPECT(!again.complete);
    end();
}
