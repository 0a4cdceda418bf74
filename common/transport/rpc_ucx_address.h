/* SPDX-License-Identifier: Apache-2.0
 *
 * The address the UCX listener binds to: text to socket address, and errors that name
 * it, which UCX's own would not. */
#ifndef BENCHFS_TRANSPORT_RPC_UCX_ADDRESS_H
#define BENCHFS_TRANSPORT_RPC_UCX_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

/* A numeric IPv4 or IPv6 address. 0, or -EINVAL. */
int ucx_address_parse(const char *text,
                      uint16_t port,
                      struct sockaddr_storage *ret_address,
                      socklen_t *ret_len,
                      struct benchfs_error *err);

/* Whether the address can be bound to and listened on now; it is free again after. */
int ucx_address_probe(const struct sockaddr_storage *address,
                      socklen_t len,
                      struct benchfs_error *err);

#endif
