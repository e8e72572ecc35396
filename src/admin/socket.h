/* socket.h - where the local socket of the admin API is, for the gateway and for the commands that
 * look for it. */
#pragma once

#include "base/arena.h"

/* The path that server.admin_socket means; empty: none. `address` is the first that the gateway
 * listens on: its port tells two gateways of one user apart. */
struct str admin_socket_path(struct arena *a, struct str setting, struct str address);

#define ADMIN_SOCKETS_MOST 64

/* The sockets in all places that "auto" may mean, in the order in which to try them: perhaps of
 * processes that are gone. In a folder that all users write to, only our own are taken. Returns
 * their number. */
size_t admin_socket_find(struct arena *a, struct str *ret_list);
