/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>

#include "base/units.h"

struct subnet {
    int family; /* 0: none */
    unsigned prefix_bits;
    uint8_t bytes[16];
};

static unsigned family_size(int family)
{
    return family == AF_INET ? 4 : 16;
}

/* false: no subnet, so a name. */
static bool subnet_parse(const char *text, struct subnet *ret)
{
    const char *slash = strchr(text, '/');
    char address[ADDRESS_TEXT_MAX];
    uint64_t bits;

    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    ret->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(ret->family, address, ret->bytes) != 1
        || units_count_parse(slash + 1, &bits, NULL)
        || bits > 8 * family_size(ret->family))
        return false;
    ret->prefix_bits = (unsigned)bits;
    return true;
}

static const uint8_t *address_bytes(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)
            ->sin_addr;
    return (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)address)
        ->sin6_addr;
}

static bool subnet_contains(const struct subnet *subnet, const struct sockaddr *address)
{
    const uint8_t *bytes = address_bytes(address);
    unsigned whole = subnet->prefix_bits / 8, rest = subnet->prefix_bits % 8;

    if (address->sa_family != subnet->family
        || memcmp(bytes, subnet->bytes, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ subnet->bytes[whole]) >> (8 - rest)) == 0;
}

static bool is_link_local(const struct sockaddr *address)
{
    const uint8_t *bytes = address_bytes(address);

    if (address->sa_family == AF_INET)
        return bytes[0] == 169 && bytes[1] == 254;
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/* The higher the better; 0: not this one. */
static int address_rank(const struct ifaddrs *entry,
                        const char *interface,
                        const struct subnet *subnet)
{
    const struct sockaddr *address = entry->ifa_addr;
    int family = address ? address->sa_family : AF_UNSPEC;

    if ((family != AF_INET && family != AF_INET6) || !(entry->ifa_flags & IFF_UP)
        || is_link_local(address))
        return 0;
    if (subnet->family && !subnet_contains(subnet, address))
        return 0;
    if (!subnet->family && interface[0] && strcmp(entry->ifa_name, interface) != 0)
        return 0;
    if (!interface[0] && (entry->ifa_flags & IFF_LOOPBACK))
        return 0;
    return family == AF_INET ? 2 : 1;
}

static const struct ifaddrs *address_best(const struct ifaddrs *list,
                                          const char *interface,
                                          const struct subnet *subnet)
{
    const struct ifaddrs *best = NULL;
    int best_rank = 0;

    for (const struct ifaddrs *entry = list; entry; entry = entry->ifa_next) {
        int rank = address_rank(entry, interface, subnet);

        if (rank > best_rank) {
            best = entry;
            best_rank = rank;
        }
    }
    return best;
}

int address_choose(const char *interface,
                   bool is_remote,
                   char text[ADDRESS_TEXT_MAX],
                   struct benchfs_error *err)
{
    struct subnet subnet = {.family = 0};
    const struct ifaddrs *best;
    struct ifaddrs *list;
    int rc = 0;

    if (!subnet_parse(interface, &subnet))
        subnet.family = 0;
    if (getifaddrs(&list) < 0)
        return benchfs_error_set(err, errno, "can't list network interfaces: %m");
    best = address_best(list, interface, &subnet);
    if (!best && interface[0])
        rc = benchfs_error_set(err,
                               EADDRNOTAVAIL,
                               "interface: %s: no address of this node fits",
                               interface);
    else if (!best)
        rc =
            benchfs_error_set(err, EADDRNOTAVAIL, "interface: none is up but loopback");
    else if (is_remote && (best->ifa_flags & IFF_LOOPBACK))
        rc = benchfs_error_set(err,
                               EADDRNOTAVAIL,
                               "interface: %s: other nodes can't reach loopback",
                               interface);
    else
        inet_ntop(best->ifa_addr->sa_family,
                  address_bytes(best->ifa_addr),
                  text,
                  ADDRESS_TEXT_MAX);
    freeifaddrs(list);
    return rc;
}
