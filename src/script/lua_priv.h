/* lua_priv.h - what the parts of the sandbox share. */
#pragma once

#include <lauxlib.h>
#include <lua.h>

#include "base/base.h"

#if LUA_VERSION_NUM != 504
#error "the sandbox knows Lua 5.4: other versions have other functions and bounds"
#endif

/* Counts bytes that a function is about to look at; ends the evaluation beyond SCRIPT_LOOKED_MOST. */
void script_look_at(lua_State *L, size_t bytes);

/* For the table at the top of the stack: a member that is not there is an error, not nil. `prefix`
 * ("string.") precedes the name in the message. */
void script_seal(lua_State *L, const char *prefix);

/* Adds the functions of functions.def, and the tables that hold them, to the table at the top of the
 * stack, and gives texts their methods. Raises an error when there is no memory. */
void script_add_functions(lua_State *L);

/* An empty table takes the place of the one at the top of the stack: it shows its members, and
 * changing one is an error. */
void script_protect(lua_State *L);
