/* fuzz_script.c - any bytes as an expression of a rule: compiled and evaluated within its bounds, twice
 * with the same result, and nothing of it survives.
 *
 * A NUL separates the expression from the text that it reads.
 */
#include "script/lua.h"
#include "script/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAME_TASK, NAME_TOKENS, NAME_LEFT, NAME_TAGS, NAME_UNKNOWN };

static const struct str list[] = { S_INIT("task"), S_INIT("tokens"), S_INIT("budget.left"),
    S_INIT("tags.*"), S_INIT("unknown") };

static bool
read_name(void *subject, size_t name, struct str member, struct script_value *ret)
{
    const struct str *text = subject;

    switch (name) {
    case NAME_TASK:
        *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = *text };
        break;
    case NAME_TOKENS:
        *ret = (struct script_value){ .type = SCRIPT_INTEGER, .integer = (int64_t)text->n };
        break;
    case NAME_LEFT:
        *ret = (struct script_value){ .type = SCRIPT_NUMBER, .number = 0.5 };
        break;
    case NAME_TAGS:
        if (member.n % 2 != 0)
            *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = member };
        break;
    default:
        return false;
    }
    return true;
}

static bool
peek_name(void *subject, size_t name, struct script_value *ret)
{
    return name <= NAME_TOKENS && read_name(subject, name, S(""), ret);
}

static const struct script_names names = { list, ARRAY_LEN(list), read_name, peek_name };

static size_t text_size;

static void
check_name(void *arg, struct str name, struct str member, size_t offset)
{
    (void)arg;
    CHECK(name.n != 0 && offset + name.n <= text_size && member.n <= text_size);
}

static enum script_verdict
evaluate(struct script *s, size_t expression, struct str *subject)
{
    struct script_fault fault = { .text = "" };

    script_begin(s, subject);
    enum script_verdict v = script_test(s, expression, &fault);
    CHECK(v != SCRIPT_FAILED || fault.text[0] != '\0');
    return v;
}

/* Two expressions, the good one first: it holds, unless the text does not fit. Together they are
 * accepted whenever each is. */
static void
check_joined(struct script *s, enum script_verdict first, struct str *subject)
{
    size_t number = 0;

    script_join(s);
    script_begin(s, subject);
    enum script_verdict v = script_first(s, &number);
    CHECK(v == SCRIPT_YES || first == SCRIPT_FAILED || subject->n > SCRIPT_SPENT_MOST / 2);
    CHECK(v != SCRIPT_YES || number == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size), subject;
    struct script *s = script_create(&names);
    struct script_fault fault;
    size_t expression, good;

    CHECK(s != NULL);
    (void)str_cut(text, '\0', &text, &subject);
    text_size = text.n;
    scan_names(text, check_name, NULL);
    CHECK(script_compile(s, S("task == task and tokens >= 0"), &good, &fault));
    if (!script_compile(s, text, &expression, &fault)) {
        CHECK(fault.text[0] != '\0' && fault.offset <= text.n);
    } else {
        enum script_verdict first = evaluate(s, expression, &subject);

        CHECK(evaluate(s, good, &subject) == SCRIPT_YES || subject.n > SCRIPT_SPENT_MOST / 2);
        CHECK(evaluate(s, expression, &subject) == first);
        check_joined(s, first, &subject);
    }
    CHECK(script_held_bytes(s) < SCRIPT_HELD_MOST);
    script_destroy(s);
    return 0;
}
