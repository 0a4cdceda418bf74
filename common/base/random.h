/* SPDX-License-Identifier: Apache-2.0
 * Random numbers of the kernel, fit for nonces and instance numbers. */
#ifndef BENCHFS_BASE_RANDOM_H
#define BENCHFS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Return 0 or -errno. Any thread. */
int random_bytes(void *data, size_t size);
int random_u64(uint64_t *ret_value);

#endif
