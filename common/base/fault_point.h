/* SPDX-License-Identifier: Apache-2.0
 *
 * Places where a process may die, for crash tests: in builds with BENCHFS_FAULT_POINTS,
 * a process that comes to FAULT_POINT("name") kills itself there once in N times, if
 * the environment says so: BENCHFS_FAULT_POINTS="name=N,other=N". It says which one on
 * stderr. Nothing dies while the file that BENCHFS_FAULT_POINTS_WHILE names isn't
 * there: a service that loses a server before it is up has failed. In other builds
 * there is nothing.
 */
#ifndef BENCHFS_BASE_FAULT_POINT_H
#define BENCHFS_BASE_FAULT_POINT_H

#ifdef BENCHFS_WITH_FAULT_POINTS
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif

#endif
