/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and mapping the shared memory of a node-local connection.
 */
#include "transport/local/local_region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define REGION_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static size_t region_control_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (sizeof(struct local_control) + page - 1) / page * page;
}

static size_t region_size(void)
{
    return region_control_size() + 2 * LOCAL_RING_SIZE + LOCAL_BOUNCE_SIZE;
}

static int region_map(struct local_region *region, int fd)
{
    uint8_t *base;

    /* Pages come with use: an ordinary connection never touches the bounce area. */
    base = mmap(NULL, region_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    region->base = base;
    region->control = (struct local_control *)(void *)base;
    region->rings[LOCAL_CLIENT] = base + region_control_size();
    region->rings[LOCAL_SERVER] = region->rings[LOCAL_CLIENT] + LOCAL_RING_SIZE;
    region->bounce = region->rings[LOCAL_SERVER] + LOCAL_RING_SIZE;
    return 0;
}

int local_region_create(struct local_region *region, int *ret_fd)
{
    int fd = memfd_create("benchfs-local", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int rc;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)region_size()) || fcntl(fd, F_ADD_SEALS, REGION_SEALS)) {
        rc = -errno;
        goto fail;
    }
    rc = region_map(region, fd);
    if (rc)
        goto fail;
    *ret_fd = fd;
    return 0;
fail:
    close(fd);
    return rc;
}

int local_region_map(struct local_region *region, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (fstat(fd, &st))
        return -errno;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || st.st_size != (off_t)region_size())
        return -EPROTO;
    return region_map(region, fd);
}

void local_region_unmap(struct local_region *region)
{
    if (region->base)
        munmap(region->base, region_size());
    region->base = NULL;
}
