/* SPDX-License-Identifier: Apache-2.0
 * How the daemons of a service find each other before they are one: every rank gives a
 * byte string and gets all of them. By PMIx (a Slurm step), by the launcher on one
 * machine (`benchfs run`), or alone. Not thread-safe. */
#ifndef BENCHFS_SUPERVISOR_BOOTSTRAP_H
#define BENCHFS_SUPERVISOR_BOOTSTRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

#define BOOTSTRAP_RECORD_MAX (1u << 20)

struct bootstrap;

/* Waits until fd is readable: 0, -ETIMEDOUT, or an error that ends the wait early. */
typedef int (*bootstrap_wait_fn)(void *arg, int fd, struct deadline deadline);

/* Picks by the environment: the launcher's descriptor, else PMIx, else alone. */
int bootstrap_create(bootstrap_wait_fn wait,
                     void *wait_arg,
                     struct deadline deadline,
                     struct bootstrap **ret,
                     struct benchfs_error *err);
void bootstrap_destroy(struct bootstrap *bootstrap); /* NULL is fine */

uint32_t bootstrap_rank(const struct bootstrap *bootstrap);
uint32_t bootstrap_size(const struct bootstrap *bootstrap);
/* All daemons were started on this machine, by a launcher or by hand. */
bool bootstrap_is_embedded(const struct bootstrap *bootstrap);
/* Readable when the launcher has gone; -1: there is none to watch. */
int bootstrap_launcher_fd(const struct bootstrap *bootstrap);

/* Every rank calls it, the same number of times. `len` is 1..BOOTSTRAP_RECORD_MAX.
 * Fills `ret`, one initialised buffer per rank. 0, -ETIMEDOUT, what wait returned, or
 * -errno. */
int bootstrap_exchange(struct bootstrap *bootstrap,
                       const void *mine,
                       size_t len,
                       struct bytes *ret,
                       struct deadline deadline,
                       struct benchfs_error *err);
/* Returns when every rank has called it. */
int bootstrap_barrier(struct bootstrap *bootstrap,
                      struct deadline deadline,
                      struct benchfs_error *err);

#endif
