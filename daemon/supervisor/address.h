/* SPDX-License-Identifier: Apache-2.0
 * Which of the node's IP addresses the daemon listens on. */
#ifndef BENCHFS_SUPERVISOR_ADDRESS_H
#define BENCHFS_SUPERVISOR_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/error.h"

#define ADDRESS_TEXT_MAX INET6_ADDRSTRLEN

/* A numeric address into `text`: of the interface or subnet ("eth0", "10.1.0.0/16",
 * "fd00::/8"), or for "" of the first interface that is up and no loopback, IPv4 before
 * IPv6. is_remote: other nodes must reach it, so loopback is an error. 0 or -errno. */
int address_choose(const char *interface,
                   bool is_remote,
                   char text[ADDRESS_TEXT_MAX],
                   struct benchfs_error *err);

#endif
