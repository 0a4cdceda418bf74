/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of the whole service, kept by target 0: in which phase of its life it is,
 * which tasks of which steps have ended, and the staging under way.
 */
#ifndef BENCHFS_DAEMON_SERVICE_H
#define BENCHFS_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/messages.h"

struct service;
struct stage_host;

struct store;

/* 0 or -ENOMEM. */
int service_create(struct service **ret);
/* In a transaction: what was known before a restart. The state and the tasks that have
 * ended are stored by those who change them. */
int service_load(struct service *service, struct store *store);
int service_state_store(struct store *store, enum service_state state);
int service_task_store(struct store *store,
                       uint32_t step,
                       uint32_t task,
                       uint32_t n_tasks);
void service_destroy(struct service *service); /* NULL is fine */

enum service_state service_state_get(const struct service *service);
void service_state_set(struct service *service, enum service_state state);
const char *service_state_name(enum service_state state);

/* The stages; belongs to the service from when it is set. NULL before. */
struct stage_host *service_stage(const struct service *service);
void service_stage_set(struct service *service, struct stage_host *stage);

/* A task of a step has ended. *ret_is_last: none of its n_tasks is left. Telling it
 * twice counts once. 0, -EINVAL (no such task number), -ENOMEM. */
int service_task_exit(struct service *service,
                      uint32_t step,
                      uint32_t task,
                      uint32_t n_tasks,
                      bool *ret_is_last);

#endif
