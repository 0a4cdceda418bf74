/* SPDX-License-Identifier: Apache-2.0
 * Stage-in before the service is ready: a child process, `benchfs stage-in`, so that
 * the supervisor goes on watching. */
#ifndef BENCHFS_SUPERVISOR_STAGE_CHILD_H
#define BENCHFS_SUPERVISOR_STAGE_CHILD_H

#include "supervisor/supervisor_impl.h"

/* Runs the configuration's stage-in directives, with a word on stdout every second. 0,
 * also when there are none; -errno when a file could not be copied (the child has said
 * which), or what ended the wait. */
int stage_child_run(struct supervisor *supervisor, struct benchfs_error *err);

#endif
