/* SPDX-License-Identifier: Apache-2.0
 * PMIx for the daemons of a service: one byte string per rank is put, and everybody
 * gets all of them; and for programs: the service's endpoint table. With pmix_status,
 * pmix_op and pmix_table the only user of pmix.h. */
#ifndef BENCHFS_PMIX_PMIX_SERVICE_H
#define BENCHFS_PMIX_PMIX_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "pmix/pmix_op.h"

/* A limit on what one rank puts. */
#define PMIX_SERVICE_RECORD_MAX (1u << 20)

struct pmix_service;

/* Whether a PMIx server has started this process. */
bool pmix_service_is_offered(void);

/* PMIx_Init as a member of the step. `wait` is used by all waits; NULL: plain poll.
 * Returns 0 or -errno; -ETIMEDOUT when the server did not answer, after which the
 * process had better exit. Not thread-safe. */
int pmix_service_create(pmix_wait_fn wait,
                        void *wait_arg,
                        struct deadline deadline,
                        struct pmix_service **ret,
                        struct benchfs_error *err);
/* PMIx_Finalize. NULL is fine. */
void pmix_service_destroy(struct pmix_service *service);

uint32_t pmix_service_rank(const struct pmix_service *service);
uint32_t pmix_service_size(const struct pmix_service *service);

/* Puts this rank's bytes and gets everybody's: every rank must call it, the same number
 * of times. `ret` has one initialised buffer per rank, which are filled; on failure
 * some of them may be. Returns 0, -ETIMEDOUT, what `wait` returned, or -errno. */
int pmix_service_exchange(struct pmix_service *service,
                          const void *mine,
                          size_t len,
                          struct bytes *ret,
                          struct deadline deadline,
                          struct benchfs_error *err);

/* Returns when every rank has called it. As pmix_service_exchange. */
int pmix_service_barrier(struct pmix_service *service,
                         struct deadline deadline,
                         struct benchfs_error *err);

/* ---- for programs: pmix_table.c --------------------------------------------- */

/* The endpoint table of the service of `job`, from the namespace "benchfs.<job>" that
 * the plugin has registered. PMIx must be initialised in this process already (an MPI
 * program after MPI_Init) unless may_init: then this does PMIx_Init, and the caller
 * must call pmix_service_table_release() last, at exit. Only a program may ask for
 * that: PMIx_Init in a helper breaks a later MPI_Init of the same rank. free()
 * *ret_blob. Returns 0, -ENOTCONN (PMIx is not initialised, or this is no PMIx
 * program), -ENOENT (no such service), -ETIMEDOUT or -errno. Any thread. */
int pmix_service_table_get(const char *job,
                           bool may_init,
                           unsigned timeout_ms,
                           void **ret_blob,
                           size_t *ret_len,
                           struct benchfs_error *err);

/* Undoes the PMIx_Init of one pmix_service_table_get(.., true, ..). */
void pmix_service_table_release(void);

#endif
