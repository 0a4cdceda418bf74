/* SPDX-License-Identifier: Apache-2.0
 *
 * The address the UCX listener binds to. */
#include "transport/rpc_ucx_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int ucx_address_parse(const char *text,
                      uint16_t port,
                      struct sockaddr_storage *ret_address,
                      socklen_t *ret_len,
                      struct benchfs_error *err)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(ret_address, 0, sizeof(*ret_address));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(ret_address, &in, sizeof(in));
        *ret_len = sizeof(in);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        memcpy(ret_address, &in6, sizeof(in6));
        *ret_len = sizeof(in6);
        return 0;
    }
    return benchfs_error_set(err, EINVAL, "\"%s\" is not an IP address", text);
}

static int probe_error(const struct sockaddr_storage *address,
                       struct benchfs_error *err)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    bool is_v4 = address->ss_family == AF_INET;
    char text[INET6_ADDRSTRLEN] = "?";
    int error = errno;

    inet_ntop(address->ss_family,
              is_v4 ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr,
              text,
              sizeof(text));
    errno = error;
    return benchfs_error_set(err,
                             error,
                             "cannot listen on %s port %u: %m",
                             text,
                             ntohs(is_v4 ? in->sin_port : in6->sin6_port));
}

int ucx_address_probe(const struct sockaddr_storage *address,
                      socklen_t len,
                      struct benchfs_error *err)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1, rc = 0;

    if (fd < 0)
        return benchfs_error_set(err, errno, "cannot make a socket: %m");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0
        || bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, 1) < 0)
        rc = probe_error(address, err);
    close(fd);
    return rc;
}
