/* lua.c - the interpreter, its environment, and the bounds of what it evaluates. */
#include "script/lua.h"

#include <stdlib.h>

#include "base/buf.h"
#include "script/lua_priv.h"
#include "script/scan.h"

/* Garbage is collected when there is this much of it, and never in the middle of an evaluation: to
 * collect takes longer than to evaluate many expressions. */
#define GARBAGE_MOST (64u * 1024)

/* What compiling may leave, garbage and functions, before it is collected; and as much as there was. So
 * many expressions take time in proportion to their number. */
#define COMPILED_MOST (256u * 1024)

#define JOINED_MOST (64u * 1024)    /* bytes of expressions that are joined into one function */

/* Where things are on the stack of the interpreter, to its end. */
enum { AT_FUNCTIONS = 1, AT_SHOWN, AT_KEYS, AT_JOINED };

struct expression {
    bool loops;    /* it may: it has a function of its own */
};

/* A name that is not a member. */
struct plain_name {
    bool used;                    /* by an expression */
    bool shown;                   /* its value is in the table of what is shown, */
    struct script_value value;    /* and is this; a text is Lua's own */
};

struct script {
    lua_State *L;
    const struct script_names *names;
    void *subject;
    struct expression *list;
    size_t count, room;
    struct plain_name *plain;    /* by the numbers of names */
    struct buf texts;            /* of all expressions, as one function; overflow: too long */
    bool joined, joined_loops;
    size_t held;          /* bytes */
    size_t held_clean;    /* as it was after garbage was collected */
    bool evaluating;
    size_t spent, looked;    /* in this evaluation */
};

/* What an error is that the sandbox itself raises: their addresses are. */
static const char too_long, too_much_looked, undecided;

static struct script *
script_of(lua_State *L)
{
    return *(struct script **)lua_getextraspace(L);
}

/* --- bounds --- */

static void *
allocate(void *script, void *p, size_t old_size, size_t size)
{
    struct script *s = script;
    size_t had = p != NULL ? old_size : 0;

    if (size == 0) {
        free(p);
        s->held -= had;
        return NULL;
    }
    if (size > had) {
        if (size - had > SCRIPT_HELD_MOST - s->held)
            return NULL;
        if (s->evaluating && size > SCRIPT_SPENT_MOST - MIN(s->spent, SCRIPT_SPENT_MOST))
            return NULL;
        s->spent += size;
    }
    void *q = realloc(p, size);
    if (q == NULL)
        return size <= had ? p : NULL;    /* Lua expects that a block can always shrink */
    s->held = s->held - had + size;
    return q;
}

static NORETURN void
raise(lua_State *L, const char *what)
{
    lua_pushlightuserdata(L, (void *)what);
    (void)lua_error(L);
    CHECK_UNREACHABLE();
}

static void
count_hook(lua_State *L, lua_Debug *at UNUSED)
{
    raise(L, &too_long);
}

void
script_look_at(lua_State *L, size_t bytes)
{
    struct script *s = script_of(L);

    s->looked += bytes;
    if (s->looked > SCRIPT_LOOKED_MOST)
        raise(L, &too_much_looked);
}

/* --- tables that cannot be changed --- */

static int
refuse_change(lua_State *L)
{
    return luaL_error(L, "an expression can change nothing but its own local variables");
}

/* The member that is read, whose name is the second argument, does not exist. */
static int
refuse_member(lua_State *L, const char *prefix)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "the members of a table are read by their names");
    return luaL_error(L, "there is no '%s%s'", prefix, lua_tostring(L, 2));
}

static int
refuse_sealed(lua_State *L)
{
    return refuse_member(L, lua_tostring(L, lua_upvalueindex(1)));
}

void
script_seal(lua_State *L, const char *prefix)
{
    lua_createtable(L, 0, 1);
    lua_pushstring(L, prefix);
    lua_pushcclosure(L, refuse_sealed, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

void
script_protect(lua_State *L)
{
    lua_createtable(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_change);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

/* --- names --- */

static void
push_value(lua_State *L, const struct script_value *v)
{
    switch (v->type) {
    case SCRIPT_NIL:
        lua_pushnil(L);
        break;
    case SCRIPT_BOOL:
        lua_pushboolean(L, v->yes);
        break;
    case SCRIPT_INTEGER:
        lua_pushinteger(L, v->integer);
        break;
    case SCRIPT_NUMBER:
        lua_pushnumber(L, v->number);
        break;
    case SCRIPT_TEXT:
        lua_pushlstring(L, v->text.n != 0 ? v->text.p : "", v->text.n);
        break;
    }
}

/* Asks for the value of a name, and pushes it. */
static void
push_read(lua_State *L, size_t name, struct str member)
{
    struct script *s = script_of(L);
    struct script_value v = { .type = SCRIPT_NIL };

    if (!s->names->read(s->subject, name, member, &v))
        raise(L, &undecided);
    push_value(L, &v);
}

/* __index of what is shown: (table, name). The first time that a name is read for a subject. */
static int
read_name(lua_State *L)
{
    struct script *s = script_of(L);

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNUMBER)
        return refuse_member(L, "");
    size_t name = (size_t)lua_tointeger(L, -1);
    push_read(L, name, S(""));
    if (!lua_isnil(L, -1)) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        s->plain[name].shown = true;
        s->plain[name].value.type = SCRIPT_NIL;    /* it equals no other, and is replaced */
        lua_rawset(L, 1);
    }
    return 1;
}

/* __index of a table of certain members. Upvalues: its name with a dot, and the numbers of its members'
 * names. */
static int
read_member(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNUMBER)
        return refuse_sealed(L);
    push_read(L, (size_t)lua_tointeger(L, -1), S(""));
    return 1;
}

/* __index of a table with any members, whose name's number is the first upvalue. */
static int
read_any_member(lua_State *L)
{
    size_t n;

    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "the members of a table are read by their names");
    const char *member = lua_tolstring(L, 2, &n);
    push_read(L, (size_t)lua_tointeger(L, lua_upvalueindex(1)), str_make(member, n));
    return 1;
}

/* Gives the empty table at the top of the stack an __index, a function that is at the top above it. */
static void
show_through(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_change);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
}

/* A table of the members of `group` ("budget"), pushed. */
static void
push_group(lua_State *L, const struct script_names *names, struct str group)
{
    struct str head, member;

    lua_createtable(L, 0, 0);
    lua_pushlstring(L, group.p, group.n);
    lua_pushliteral(L, ".");
    lua_concat(L, 2);
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < names->count; i++) {
        if (!str_cut(names->list[i], '.', &head, &member) || !str_eq(head, group))
            continue;
        lua_pushlstring(L, member.p, member.n);
        lua_pushinteger(L, (lua_Integer)i);
        lua_rawset(L, -3);
    }
    lua_pushcclosure(L, read_member, 2);
    show_through(L);
}

/* Puts the tables of names into the table of what is shown, which is at the top of the stack, and
 * pushes a table of the other names with their numbers. */
static void
add_names(lua_State *L, const struct script_names *names)
{
    struct str group, member;

    lua_createtable(L, 0, (int)names->count);
    for (size_t i = 0; i < names->count; i++) {
        if (!str_cut(names->list[i], '.', &group, &member)) {
            lua_pushlstring(L, names->list[i].p, names->list[i].n);
            lua_pushvalue(L, -1);
            lua_rawseti(L, AT_KEYS, (lua_Integer)i + 1);
            lua_pushinteger(L, (lua_Integer)i);
            lua_rawset(L, -3);
            continue;
        }
        lua_pushlstring(L, group.p, group.n);
        if (str_eq(member, S("*"))) {
            lua_createtable(L, 0, 0);
            lua_pushinteger(L, (lua_Integer)i);
            lua_pushcclosure(L, read_any_member, 1);
            show_through(L);
        } else {
            push_group(L, names, group);
        }
        lua_rawset(L, AT_SHOWN);
    }
}

/* What is shown is a table with a first layer that stays empty, so that an assignment never finds a
 * member to change: environment -> what is shown (functions, tables, and the names that were read) ->
 * read_name(). */
static int
set_up(lua_State *L)
{
    struct script *s = script_of(L);

    lua_createtable(L, 16, 0);
    lua_createtable(L, 0, 64);
    lua_createtable(L, (int)s->names->count, 0);
    lua_pushboolean(L, false);
    CHECK(lua_gettop(L) == AT_JOINED);

    lua_pushvalue(L, AT_SHOWN);
    script_add_functions(L);
    lua_createtable(L, 0, 1);
    add_names(L, s->names);
    lua_pushcclosure(L, read_name, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    script_protect(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    return AT_JOINED;
}

struct script *
script_create(const struct script_names *names)
{
    struct script *s = check_alloc(calloc(1, sizeof(*s)));

    s->names = names;
    s->plain = check_alloc(calloc(names->count + 1, sizeof(*s->plain)));
    buf_init(&s->texts, JOINED_MOST);
    s->L = lua_newstate(allocate, s);
    if (s->L == NULL) {
        script_destroy(s);
        return NULL;
    }
    *(struct script **)lua_getextraspace(s->L) = s;
    (void)lua_gc(s->L, LUA_GCSTOP);
    lua_pushcfunction(s->L, set_up);
    if (lua_pcall(s->L, 0, AT_JOINED, 0) != LUA_OK) {
        script_destroy(s);
        return NULL;
    }
    s->held_clean = s->held;
    return s;
}

void
script_destroy(struct script *s)
{
    if (s == NULL)
        return;
    if (s->L != NULL)
        lua_close(s->L);
    free(s->list);
    free(s->plain);
    buf_fini(&s->texts);
    free(s);
}

size_t
script_held_bytes(const struct script *s)
{
    return s->held;
}

/* --- faults --- */

/* Lua's message without its place, "rule:2: attempt to ...". */
static void
fault_from_message(const char *message, struct script_fault *ret)
{
    struct str line, text = str_c(message);
    uint64_t number;

    ret->line = 0;
    if (str_starts(text, S("rule:")) && str_cut(str_skip(text, 5), ':', &line, &text) &&
        str_u64(line, &number)) {
        ret->line = (unsigned)number;
        text = str_trim(text);
    } else {
        text = str_c(message);
    }
    str_copy_c(ret->text, sizeof(ret->text), text);
}

static void
fault_say(struct script_fault *ret, unsigned line, const char *text)
{
    ret->line = line;
    str_copy_c(ret->text, sizeof(ret->text), str_c(text));
}

/* What is on the stack after an error, and is removed. */
static enum script_verdict
take_fault(lua_State *L, int status, struct script_fault *ret)
{
    const void *what = lua_touserdata(L, -1);
    enum script_verdict verdict = SCRIPT_FAILED;

    if (what == &undecided)
        verdict = SCRIPT_UNDECIDED;
    else if (what == &too_long)
        fault_say(ret, 0, "it takes more than 10000 instructions");
    else if (what == &too_much_looked)
        fault_say(ret, 0, "its functions look at more than 1MB of text");
    else if (status == LUA_ERRMEM)
        fault_say(ret, 0, "it makes more than 128KB of texts, tables and calls");
    else if (lua_type(L, -1) == LUA_TSTRING)
        fault_from_message(lua_tostring(L, -1), ret);
    else
        fault_say(ret, 0, "it failed");
    lua_pop(L, 1);
    return verdict;
}

/* --- compiling --- */

/* Gives the compiler one byte at a time, so that after a mistake it is known how far it has read. */
struct source {
    struct str head, text, tail;    /* "return ", the expression */
    size_t fed;                     /* of the text */
};

static const char *
feed(lua_State *L UNUSED, void *source, size_t *ret_n)
{
    struct source *f = source;
    struct str *part = f->head.n != 0 ? &f->head : &f->tail;
    const char *p;

    if (f->head.n == 0 && f->fed < f->text.n) {
        *ret_n = 1;
        return f->text.p + f->fed++;
    }
    *ret_n = part->n;
    p = part->p;
    part->n = 0;
    return *ret_n != 0 ? p : NULL;
}

/* Where the token is that the compiler stopped at, which its message names: "... near 'x'". It has
 * read one byte more, or the next token too. */
static size_t
token_offset(struct str message, const struct source *f)
{
    size_t at = str_find(message, S(" near '"));

    if (at == message.n || message.p[message.n - 1] != '\'')
        return f->fed;
    struct str token = str_skip(message, at + sizeof(" near '") - 1);
    token.n--;
    if (token.n == 0 || token.n > f->fed)
        return 0;
    for (size_t from = f->fed - token.n + 1; from-- > 0;)
        if (memcmp(f->text.p + from, token.p, token.n) == 0)
            return from;
    return 0;
}

/* What Lua says in its own words, for those who write one expression. */
static const char *
mistake_sentence(struct str message)
{
    if (str_starts(message, S("<eof> expected")))
        return "the expression is complete before this; 'and', 'or', '..' or a comparison is missing";
    if (str_find(message, S("C stack overflow")) != message.n ||
        str_find(message, S("too many C levels")) != message.n)
        return "it is nested too deeply";
    return NULL;
}

/* Called in protected mode with the source: leaves the function. */
static int
load_source(lua_State *L)
{
    struct source *f = lua_touserdata(L, 1);

    if (lua_load(L, feed, f, "=rule", "t") != LUA_OK)
        return lua_error(L);
    return 1;
}

/* Pushes the function. False with *ret_fault. */
static bool
load(struct script *s, struct source *f, struct script_fault *ret_fault)
{
    lua_State *L = s->L;
    struct str whole = f->text;

    lua_pushcfunction(L, load_source);
    lua_pushlightuserdata(L, f);
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_OK)
        return true;
    (void)take_fault(L, status, ret_fault);
    if (status == LUA_ERRMEM) {
        fault_say(ret_fault, 0, "there is no room for more expressions");
        return false;
    }
    struct str message = str_c(ret_fault->text);
    ret_fault->offset = MIN(token_offset(message, f), whole.n);
    const char *sentence = mistake_sentence(message);
    if (sentence != NULL)
        fault_say(ret_fault, ret_fault->line, sentence);
    return false;
}

/* The environment of the function at the top of the stack. Only a function within it can assign to a
 * name; where there is none, what is shown needs no protection, and is found faster without. */
static void
set_environment(struct script *s, bool functions)
{
    if (functions)
        return;
    lua_pushvalue(s->L, AT_SHOWN);
    (void)lua_setupvalue(s->L, -2, 1);
}

/* Two compilations: as an expression list, whose mistakes have the better messages, and in brackets,
 * which hold exactly one expression. */
static bool
load_expression(struct script *s, struct str text, struct script_fault *ret_fault)
{
    struct source list = { .head = S("return "), .text = text };
    struct source one = { .head = S("return ("), .text = text, .tail = S("\n)") };

    if (!load(s, &list, ret_fault))
        return false;
    if (!load(s, &one, ret_fault)) {
        lua_pop(s->L, 1);
        fault_say(ret_fault, ret_fault->line,
            "this is not one expression; write a condition, like tokens > 4000");
        return false;
    }
    lua_pop(s->L, 1);
    return true;
}

/* The table of functions has room before, so that storing one needs no memory. */
static int
grow_functions(lua_State *L)
{
    lua_Integer from = lua_tointeger(L, 2), to = lua_tointeger(L, 3);

    for (lua_Integer i = from; i <= to; i++) {
        lua_pushboolean(L, false);
        lua_rawseti(L, 1, i);
    }
    return 0;
}

static bool
make_room(struct script *s)
{
    if (s->count < s->room)
        return true;
    size_t room = s->room != 0 ? 2 * s->room : 16;

    lua_pushcfunction(s->L, grow_functions);
    lua_pushvalue(s->L, AT_FUNCTIONS);
    lua_pushinteger(s->L, (lua_Integer)s->room + 1);
    lua_pushinteger(s->L, (lua_Integer)room);
    if (lua_pcall(s->L, 3, 0, 0) != LUA_OK) {
        lua_pop(s->L, 1);
        return false;
    }
    s->list = check_alloc(realloc(s->list, room * sizeof(*s->list)));
    s->room = room;
    return true;
}

static void
collect(struct script *s)
{
    (void)lua_gc(s->L, LUA_GCCOLLECT);
    s->held_clean = s->held;
}

static void
note_used(void *script, struct str name, struct str member UNUSED, size_t offset UNUSED)
{
    struct script *s = script;

    for (size_t i = 0; i < s->names->count; i++)
        s->plain[i].used |= str_eq(s->names->list[i], name);
}

bool
script_compile(struct script *s, struct str text, size_t *ret, struct script_fault *ret_fault)
{
    *ret_fault = (struct script_fault){ .line = 0 };
    if (text.n > SCRIPT_TEXT_MOST) {
        fault_say(ret_fault, 0, "it is longer than 16KB");
        return false;
    }
    /* the one variable of an expression that would outlive an evaluation */
    ret_fault->offset = str_find(text, S("_ENV"));
    if (ret_fault->offset != text.n) {
        fault_say(ret_fault, 0, "_ENV cannot be used");
        return false;
    }
    if (!make_room(s)) {
        fault_say(ret_fault, 0, "there is no room for more expressions");
        return false;
    }
    bool ok = load_expression(s, text, ret_fault);
    if (ok) {
        bool functions = str_find(text, S("function")) != text.n;

        s->list[s->count].loops = functions;
        set_environment(s, functions);
        *ret = s->count++;
        lua_rawseti(s->L, AT_FUNCTIONS, (lua_Integer)s->count);
        scan_names(text, note_used, s);
        buf_printf(&s->texts, "if(");
        buf_add(&s->texts, text);
        buf_printf(&s->texts, "\n)then return %zu end ", *ret);
    }
    if (s->held > 2 * s->held_clean + COMPILED_MOST)
        collect(s);
    return ok;
}

void
script_join(struct script *s)
{
    struct source f = { .head = S(" "), .text = buf_str(&s->texts) };
    struct script_fault fault;

    if (s->texts.overflow || !load(s, &f, &fault))
        return;
    s->joined = true;
    for (size_t i = 0; i < s->count; i++)
        s->joined_loops |= s->list[i].loops;
    set_environment(s, s->joined_loops);
    lua_replace(s->L, AT_JOINED);
    collect(s);
}

/* --- evaluating --- */

/* Is this what is shown already? Most values are those of the request before. */
static bool
is_shown(const struct plain_name *p, const struct script_value *v)
{
    if (!p->shown)
        return v->type == SCRIPT_NIL;
    if (p->value.type != v->type)
        return false;
    switch (v->type) {
    case SCRIPT_NIL:
        return false;
    case SCRIPT_BOOL:
        return p->value.yes == v->yes;
    case SCRIPT_INTEGER:
        return p->value.integer == v->integer;
    case SCRIPT_NUMBER:
        return p->value.number == v->number;
    case SCRIPT_TEXT:
        return str_eq(p->value.text, v->text);
    }
    return false;
}

/* Puts the values of names that are used into the table of what is shown, as far as they are known;
 * and takes those of the last subject out of it. In protected mode: texts need memory. */
static int
show_names(lua_State *L)
{
    struct script *s = script_of(L);

    for (size_t i = 0; i < s->names->count; i++) {
        struct script_value v = { .type = SCRIPT_NIL };
        struct plain_name *p = &s->plain[i];

        if (p->used)
            (void)s->names->peek(s->subject, i, &v);
        if (is_shown(p, &v))
            continue;
        (void)lua_rawgeti(L, 2, (lua_Integer)i + 1);
        push_value(L, &v);
        if (v.type == SCRIPT_TEXT)
            v.text.p = lua_tostring(L, -1);
        lua_rawset(L, 1);
        p->shown = v.type != SCRIPT_NIL;
        p->value = v;
    }
    return 0;
}

/* Needs no memory: the members are there. */
static void
hide_names(struct script *s)
{
    for (size_t i = 0; i < s->names->count; i++) {
        if (!s->plain[i].shown)
            continue;
        s->plain[i].shown = false;
        (void)lua_rawgeti(s->L, AT_KEYS, (lua_Integer)i + 1);
        lua_pushnil(s->L);
        lua_rawset(s->L, AT_SHOWN);
    }
}

void
script_begin(struct script *s, void *subject)
{
    lua_State *L = s->L;

    s->subject = subject;
    s->spent = 0;
    lua_pushcfunction(L, show_names);
    lua_pushvalue(L, AT_SHOWN);
    lua_pushvalue(L, AT_KEYS);
    if (UNLIKELY(lua_pcall(L, 2, 0, 0) != LUA_OK)) {
        lua_pop(L, 1);
        hide_names(s);
    }
    if (s->held - MIN(s->held, s->held_clean) > GARBAGE_MOST)
        collect(s);
}

/* Calls the function at the top of the stack, which is removed; one result is left, or an error. */
static int
call(struct script *s, bool loops)
{
    lua_State *L = s->L;

    s->spent = s->looked = 0;
    if (loops)
        lua_sethook(L, count_hook, LUA_MASKCOUNT, SCRIPT_INSTRUCTIONS_MOST);
    s->evaluating = true;
    int status = lua_pcall(L, 0, 1, 0);
    s->evaluating = false;
    if (loops)
        lua_sethook(L, NULL, 0, 0);
    return status;
}

static void
collect_much(struct script *s)
{
    if (UNLIKELY(s->held > s->held_clean + 2 * SCRIPT_SPENT_MOST))
        collect(s);
}

enum script_verdict
script_first(struct script *s, size_t *ret)
{
    lua_State *L = s->L;
    struct script_fault UNINITIALIZED fault;
    enum script_verdict verdict = SCRIPT_NO;

    if (!s->joined)
        return SCRIPT_FAILED;
    lua_pushvalue(L, AT_JOINED);
    int status = call(s, s->joined_loops);
    if (LIKELY(status == LUA_OK)) {
        if (lua_type(L, -1) == LUA_TNUMBER) {
            verdict = SCRIPT_YES;
            *ret = (size_t)lua_tointeger(L, -1);
        }
        lua_pop(L, 1);
    } else {
        verdict = take_fault(L, status, &fault);
    }
    collect_much(s);
    return verdict;
}

enum script_verdict
script_test(struct script *s, size_t expression, struct script_fault *ret_fault)
{
    lua_State *L = s->L;
    enum script_verdict verdict;

    CHECK(expression < s->count);
    (void)lua_rawgeti(L, AT_FUNCTIONS, (lua_Integer)expression + 1);
    int status = call(s, s->list[expression].loops);
    if (LIKELY(status == LUA_OK)) {
        verdict = lua_toboolean(L, -1) ? SCRIPT_YES : SCRIPT_NO;
        lua_pop(L, 1);
    } else {
        verdict = take_fault(L, status, ret_fault);
    }
    collect_much(s);
    return verdict;
}
