/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void sync_set_init(struct sync_set *set)
{
    pthread_mutex_init(&set->lock, NULL);
    set->n_devices = 0;
    set->is_everything = false;
}

void sync_set_fini(struct sync_set *set)
{
    for (unsigned i = 0; i < set->n_devices; i++)
        close(set->devices[i].fd);
    pthread_mutex_destroy(&set->lock);
}

static bool is_known(const struct sync_set *set, dev_t device)
{
    for (unsigned i = 0; i < set->n_devices; i++) {
        if (set->devices[i].device == device)
            return true;
    }
    return false;
}

static bool device_add(struct sync_set *set, dev_t device, int dirfd)
{
    int fd;

    if (set->n_devices == SYNC_DEVICES_MAX)
        return false;
    /* syncfs() takes no O_PATH descriptor */
    fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    set->devices[set->n_devices++] = (struct sync_device){device, fd};
    return true;
}

void sync_set_note(struct sync_set *set, int dirfd)
{
    struct stat st;

    if (fstat(dirfd, &st) < 0)
        return;
    pthread_mutex_lock(&set->lock);
    if (!is_known(set, st.st_dev) && !device_add(set, st.st_dev, dirfd))
        set->is_everything = true;
    pthread_mutex_unlock(&set->lock);
}

int sync_set_run(struct sync_set *set)
{
    unsigned n_devices;
    bool is_everything;
    int status = 0;

    pthread_mutex_lock(&set->lock);
    n_devices = set->n_devices; /* they are only ever added */
    is_everything = set->is_everything;
    pthread_mutex_unlock(&set->lock);
    for (unsigned i = 0; i < n_devices; i++) {
        if (syncfs(set->devices[i].fd) < 0 && status == 0)
            status = -errno;
    }
    if (is_everything)
        sync();
    return status;
}
