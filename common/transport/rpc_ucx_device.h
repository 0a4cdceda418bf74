/* SPDX-License-Identifier: Apache-2.0
 * Which devices UCX may use between nodes. */
#ifndef BENCHFS_TRANSPORT_RPC_UCX_DEVICE_H
#define BENCHFS_TRANSPORT_RPC_UCX_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

/* "eth0,ib0,mlx5_0:1": interfaces that are up, but loopback, and ports of InfiniBand
 * devices; for UCX_NET_DEVICES. -ENOENT: there are none; -ENOSPC: `size` is too small.
 */
int ucx_device_list(char *text, size_t size);

/* Whether this numeric address, IPv4 or IPv6, is one of this machine alone. */
bool ucx_address_is_loopback(const char *address);

#endif
