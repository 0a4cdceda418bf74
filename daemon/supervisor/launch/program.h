/* SPDX-License-Identifier: Apache-2.0
 * Where the programs lie that ours start: beside them. */
#ifndef BENCHFS_LAUNCH_PROGRAM_H
#define BENCHFS_LAUNCH_PROGRAM_H

#include "launch/arguments.h"

/* Adds `path`, or, when it is NULL, program `name` in this program's directory. */
void program_add(struct arguments *arguments, const char *path, const char *name);

#endif
