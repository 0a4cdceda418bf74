/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps that several functions of the path-based API begin with.
 */
#ifndef BENCHFS_CLIENT_API_FILE_H
#define BENCHFS_CLIENT_API_FILE_H

#include "client/api.h"

/* Enters the API and gets a descriptor's file, to be put with api_fd_put(). */
int api_file_get(struct benchfs *fs, int fd, struct api_file **ret);
/* The same for a regular file: -EISDIR. */
int api_data_get(struct benchfs *fs, int fd, struct api_file **ret);

/* A CREATE of `mode` (type and permissions, the umask applied) at the place. */
void api_create_fill(const struct benchfs *fs,
                     const struct api_place *place,
                     mode_t mode,
                     struct msg_create_request *ret);

#endif
