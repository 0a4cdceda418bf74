/* SPDX-License-Identifier: Apache-2.0
 * A service in this process: one thread and one listener per target, over the real
 * transport, with a small file system in memory that all targets share. Every request
 * must come to the target that placement says; others get -EREMCHG. */
#ifndef BENCHFS_TEST_FAKE_SERVICE_H
#define BENCHFS_TEST_FAKE_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "unit.h"

#define FAKE_CHUNK_SIZE 4096u
#define FAKE_TARGETS    3u

/* GETATTR of such an inode answers at once, without there being one. */
#define FAKE_ECHO_BIT (UINT64_C(1) << 40)
/* and of such a one with -EIO */
#define FAKE_ERROR_BIT (UINT64_C(1) << 41)
/* and of such a one after FAKE_SLOW_MS */
#define FAKE_SLOW_BIT (UINT64_C(1) << 42)
#define FAKE_SLOW_MS  100

struct fake_service;

/* `n_own`: the first so many targets are node 0's; the rest another node's, on another
 * host, and are forwarded to by the first. Sockets are made in `dir`. */
struct fake_service *fake_service_start(const struct unit_dir *dir, uint32_t n_own);
/* The same, but the other node's are to be reached by this backend, on the loopback
 * interface; nothing is forwarded. */
struct rpc_backend;
struct rpc_auth;
struct fake_service *fake_service_start_remote(const struct unit_dir *dir,
                                               uint32_t n_own,
                                               const struct rpc_backend *backend,
                                               const struct rpc_auth *auth);
void fake_service_stop(struct fake_service *service);

const char *fake_service_socket(const struct fake_service *service);
/* Requests of an op so far. */
unsigned fake_service_count(struct fake_service *service, unsigned opcode);
/* The next `n` requests of an op get -ETIMEDOUT, as from a daemon that passed them on.
 * is_done: OPEN and CLOSE have been done all the same. */
void fake_service_lose(struct fake_service *service,
                       unsigned opcode,
                       unsigned n,
                       bool is_done);
/* Requests of an op wait until it is called again with OP_COUNT. */
void fake_service_hold(struct fake_service *service, unsigned opcode);
/* What another client does with entries of the root directory. A rename raises the
 * epoch of all targets; what is in a directory that is removed goes with it. */
void fake_service_rename(struct fake_service *service,
                         const char *name,
                         const char *new_name);
void fake_service_remove(struct fake_service *service, const char *name);
/* All clients are given up: what they had open is closed. */
void fake_service_give_up(struct fake_service *service);
/* Opens that the home knows of, of all inodes. */
int fake_service_opens(struct fake_service *service);

#endif
