/* functions.c - the functions that expressions can call, instead of Lua's libraries.
 *
 * Lua's pattern functions can take exponential time, and string.rep or table.concat any amount of
 * memory, within one instruction. What is here takes time and memory in proportion to its arguments,
 * and counts what it looks at. A text that is nil is not an error for the questions (contains,
 * starts, ...): nothing is found in it; a header field that was not sent needs no extra condition.
 */
#include <math.h>

#include "script/lua.h"
#include "script/lua_priv.h"

/* --- texts --- */

/* The text at this position; numbers are not taken for texts. Raises an error. */
static struct str
text_at(lua_State *L, int at)
{
    size_t n = 0;

    luaL_checktype(L, at, LUA_TSTRING);
    const char *p = lua_tolstring(L, at, &n);
    return str_make(p, n);
}

/* The text and what is asked about it. False: the text is nil. */
static bool
two_texts(lua_State *L, struct str *ret_text, struct str *ret_what)
{
    *ret_what = text_at(L, 2);
    if (lua_isnoneornil(L, 1))
        return false;
    *ret_text = text_at(L, 1);
    script_look_at(L, ret_text->n + ret_what->n);
    return true;
}

static int
answer(lua_State *L, bool yes)
{
    lua_pushboolean(L, yes);
    return 1;
}

static int
text_contains(lua_State *L)
{
    struct str s, what;

    return answer(L, two_texts(L, &s, &what) && (what.n == 0 || str_find(s, what) != s.n));
}

static int
text_starts(lua_State *L)
{
    struct str s, what;

    return answer(L, two_texts(L, &s, &what) && str_starts(s, what));
}

static int
text_ends(lua_State *L)
{
    struct str s, what;

    return answer(L, two_texts(L, &s, &what) && str_ends(s, what));
}

/* Each piece between two stars is looked for after the one before it; the first and the last one
 * are tied to the ends. */
static bool
matches(struct str s, struct str pattern)
{
    struct str piece, rest;

    if (!str_cut(pattern, '*', &piece, &rest))
        return str_eq(s, pattern);
    if (!str_starts(s, piece))
        return false;
    s = str_skip(s, piece.n);
    while (str_cut(rest, '*', &piece, &rest)) {
        size_t at = piece.n != 0 ? str_find(s, piece) : 0;

        if (piece.n != 0 && at == s.n)
            return false;
        s = str_skip(s, at + piece.n);
    }
    return str_ends(s, piece);
}

static int
text_glob(lua_State *L)
{
    struct str s, pattern;

    return answer(L, two_texts(L, &s, &pattern) && matches(s, pattern));
}

/* A position as Lua counts them: from 1, or from the end if it is negative. From 1 to n + 1. */
static size_t
place(lua_Integer at, size_t n)
{
    if (at > 0)
        return (size_t)at > n ? n + 1 : (size_t)at;
    if (at == 0 || at < -(lua_Integer)n)
        return 1;
    return (size_t)((lua_Integer)n + at + 1);
}

static int
text_find(lua_State *L)
{
    struct str s, what;
    lua_Integer from = luaL_optinteger(L, 3, 1);

    if (!two_texts(L, &s, &what) || from > (lua_Integer)s.n + 1) {
        lua_pushnil(L);
        return 1;
    }
    size_t skipped = place(from, s.n) - 1;
    struct str rest = str_skip(s, skipped);
    size_t at = what.n != 0 ? str_find(rest, what) : 0;
    if (what.n != 0 && at == rest.n) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)(skipped + at + 1));
    lua_pushinteger(L, (lua_Integer)(skipped + at + what.n));
    return 2;
}

static char
to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static char
to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

static int
each_byte(lua_State *L, char (*change)(char c))
{
    luaL_Buffer b;

    if (lua_isnoneornil(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    struct str s = text_at(L, 1);
    script_look_at(L, s.n);
    char *room = luaL_buffinitsize(L, &b, s.n);
    for (size_t i = 0; i < s.n; i++)
        room[i] = change(s.p[i]);
    luaL_pushresultsize(&b, s.n);
    return 1;
}

static int
text_lower(lua_State *L)
{
    return each_byte(L, to_lower);
}

static int
text_upper(lua_State *L)
{
    return each_byte(L, to_upper);
}

static int
text_trim(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    struct str s = text_at(L, 1);
    script_look_at(L, s.n);
    s = str_trim(s);
    lua_pushlstring(L, s.n != 0 ? s.p : "", s.n);
    return 1;
}

static int
text_sub(lua_State *L)
{
    struct str s = text_at(L, 1);
    lua_Integer last = luaL_optinteger(L, 3, -1);
    size_t from = place(luaL_checkinteger(L, 2), s.n);
    size_t to = last == 0 || last < -(lua_Integer)s.n ? 0 : MIN(place(last, s.n), s.n);

    script_look_at(L, s.n);
    if (from > to)
        lua_pushlstring(L, "", 0);
    else
        lua_pushlstring(L, s.p + from - 1, to - from + 1);
    return 1;
}

static int
text_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)text_at(L, 1).n);
    return 1;
}

/* --- numbers --- */

/* Texts are not taken for numbers. */
static double
number_at(lua_State *L, int at)
{
    luaL_checktype(L, at, LUA_TNUMBER);
    return lua_tonumber(L, at);
}

/* The smallest or largest argument stays what it is, a whole number or not. */
static int
extreme(lua_State *L, bool largest)
{
    int best = 1, n = lua_gettop(L);

    (void)number_at(L, 1);
    for (int i = 2; i <= n; i++) {
        (void)number_at(L, i);
        if (largest ? lua_compare(L, best, i, LUA_OPLT) : lua_compare(L, i, best, LUA_OPLT))
            best = i;
    }
    lua_pushvalue(L, best);
    return 1;
}

static int
math_min(lua_State *L)
{
    return extreme(L, false);
}

static int
math_max(lua_State *L)
{
    return extreme(L, true);
}

static int
math_abs(lua_State *L)
{
    if (lua_isinteger(L, 1)) {
        lua_Integer n = lua_tointeger(L, 1);

        lua_pushinteger(L, n < 0 ? (lua_Integer)(0u - (lua_Unsigned)n) : n);
    } else {
        lua_pushnumber(L, fabs(number_at(L, 1)));
    }
    return 1;
}

/* A whole number where one is large enough to hold it. */
static int
push_whole(lua_State *L, double v)
{
    lua_Integer n;

    if (lua_numbertointeger(v, &n))
        lua_pushinteger(L, n);
    else
        lua_pushnumber(L, v);
    return 1;
}

static int
math_floor(lua_State *L)
{
    if (!lua_isinteger(L, 1))
        return push_whole(L, floor(number_at(L, 1)));
    lua_settop(L, 1);
    return 1;
}

static int
math_ceil(lua_State *L)
{
    if (!lua_isinteger(L, 1))
        return push_whole(L, ceil(number_at(L, 1)));
    lua_settop(L, 1);
    return 1;
}

/* --- values of any type --- */

static int
plain_one_of(lua_State *L)
{
    int n = lua_gettop(L);
    size_t len = 0;

    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING)
        (void)lua_tolstring(L, 1, &len);
    script_look_at(L, len * (size_t)n);
    for (int i = 2; i <= n; i++)
        if (lua_rawequal(L, 1, i))
            return answer(L, true);
    return answer(L, false);
}

static int
plain_tonumber(lua_State *L)
{
    size_t n = 0;

    if (lua_type(L, 1) == LUA_TNUMBER) {
        lua_settop(L, 1);
        return 1;
    }
    if (lua_type(L, 1) == LUA_TSTRING) {
        const char *p = lua_tolstring(L, 1, &n);

        script_look_at(L, n);
        if (lua_stringtonumber(L, p) == n + 1)
            return 1;
    }
    lua_pushnil(L);
    return 1;
}

static int
plain_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) > LUA_TSTRING || lua_type(L, 1) == LUA_TLIGHTUSERDATA)
        return luaL_error(L, "a %s is not a text", luaL_typename(L, 1));
    (void)luaL_tolstring(L, 1, NULL);
    return 1;
}

static int
plain_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, luaL_typename(L, 1));
    return 1;
}

/* --- the tables of them --- */

enum place { PLACE_TEXT, PLACE_MATH, PLACE_PLAIN };

static const struct {
    enum place place;
    const char *name;
    lua_CFunction fn;
} functions[] = {
#define FUNCTION(place, name, fn, usage, docs) { PLACE_##place, name, fn },
#include "script/functions.def"
};

bool
script_has_function(struct str name, struct str member)
{
    bool text = str_eq(name, S("string")), math = str_eq(name, S("math"));

    if ((text || math) && (member.n == 0 || (math && str_eq(member, S("huge")))))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        enum place at = functions[i].place;
        bool there = text ? at == PLACE_TEXT : math ? at == PLACE_MATH : at != PLACE_MATH;

        if (there && str_eq(str_c(functions[i].name), text || math ? member : name))
            return true;
    }
    return false;
}

static void
push_table(lua_State *L, enum place place)
{
    lua_createtable(L, 0, 16);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (functions[i].place == place) {
            lua_pushcfunction(L, functions[i].fn);
            lua_setfield(L, -2, functions[i].name);
        }
    }
}

void
script_add_functions(lua_State *L)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (functions[i].place == PLACE_MATH)
            continue;
        lua_pushcfunction(L, functions[i].fn);
        lua_setfield(L, -2, functions[i].name);
    }

    push_table(L, PLACE_MATH);
    lua_pushnumber(L, (lua_Number)HUGE_VAL);
    lua_setfield(L, -2, "huge");
    script_seal(L, "math.");
    script_protect(L);
    lua_setfield(L, -2, "math");

    push_table(L, PLACE_TEXT);
    script_seal(L, "string.");
    lua_pushlstring(L, "", 0);    /* all texts have one metatable */
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    script_protect(L);
    lua_setfield(L, -2, "string");
}
