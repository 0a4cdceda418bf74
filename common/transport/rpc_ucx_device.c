/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc_ucx_device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define PORTS_PATTERN "/sys/class/infiniband/*/ports/*"
#define NAME_MAX_LEN  80

struct device_list {
    char *text;
    size_t size, len;
    int status;
};

static bool has(const struct device_list *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list->text; *at;) {
        size_t n = strcspn(at, ",");

        if (n == len && memcmp(at, name, len) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static void add(struct device_list *list, const char *name)
{
    int n;

    if (list->status || has(list, name))
        return;
    n = snprintf(list->text + list->len,
                 list->size - list->len,
                 "%s%s",
                 list->len > 0 ? "," : "",
                 name);
    if (n < 0 || (size_t)n >= list->size - list->len)
        list->status = -ENOSPC;
    else
        list->len += (size_t)n;
}

static void interfaces_add(struct device_list *list)
{
    struct ifaddrs *all;

    if (getifaddrs(&all)) {
        list->status = -errno;
        return;
    }
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        if ((one->ifa_flags & IFF_UP) && !(one->ifa_flags & IFF_LOOPBACK)
            && one->ifa_addr
            && (one->ifa_addr->sa_family == AF_INET
                || one->ifa_addr->sa_family == AF_INET6))
            add(list, one->ifa_name);
    }
    freeifaddrs(all);
}

/* /sys/class/infiniband/mlx5_0/ports/1 is "mlx5_0:1". */
static void ports_add(struct device_list *list)
{
    char name[NAME_MAX_LEN];
    glob_t found;

    if (glob(PORTS_PATTERN, 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *device = found.gl_pathv[i] + strlen("/sys/class/infiniband/");
        const char *port = strrchr(found.gl_pathv[i], '/') + 1;

        snprintf(
            name, sizeof(name), "%.*s:%s", (int)strcspn(device, "/"), device, port);
        add(list, name);
    }
    globfree(&found);
}

int ucx_device_list(char *text, size_t size)
{
    struct device_list list = {.text = text, .size = size};

    text[0] = '\0';
    interfaces_add(&list);
    ports_add(&list);
    if (list.status)
        return list.status;
    return list.len > 0 ? 0 : -ENOENT;
}

bool ucx_address_is_loopback(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
