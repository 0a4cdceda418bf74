/* SPDX-License-Identifier: Apache-2.0
 *
 * Proof of identity between nodes with MUNGE: a credential over the other side's
 * challenge, that only the own user can decode, for a few seconds, once.
 */
#ifndef BENCHFS_TRANSPORT_AUTH_MUNGE_H
#define BENCHFS_TRANSPORT_AUTH_MUNGE_H

#include "transport/rpc.h"

struct auth_munge;

/*
 * `socket_path`: munged's socket; NULL: $MUNGE_SOCKET, else libmunge's own default. No
 * traffic yet. 0 or -errno with err set. Not thread-safe: one for each struct rpc.
 *
 * make() and check() ask munged and block for it: 0.2 ms each as a rule. libmunge fails
 * at once when there is no daemon, and after ten seconds when it does not answer (seen
 * with 0.5.15; it offers no other bound).
 */
int auth_munge_create(const char *socket_path,
                      struct auth_munge **ret,
                      struct benchfs_error *err);
void auth_munge_destroy(struct auth_munge *munge); /* NULL is fine */

/* For rpc_config.auth; lives as long as `munge`. */
const struct rpc_auth *auth_munge_rpc(struct auth_munge *munge);

#endif
