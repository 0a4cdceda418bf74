/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks on files, as flock(2) and fcntl(2) have them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "client/api.h"

/* Of locks that belong to the handle; those of descriptors have numbers of addresses.
 */
#define OWNER_HANDLE 1u

static uint64_t flock_owner(const struct api_file *file)
{
    return (uintptr_t)file;
}

int benchfs_flock(struct benchfs *fs, int fd, int operation)
{
    struct client_lock lock = {.space = LOCK_SPACE_WHOLE, .end = UINT64_MAX};
    struct api_file *file;
    int status = api_enter(fs);

    switch (operation & ~LOCK_NB) {
    case LOCK_SH:
        lock.type = LOCK_TYPE_READ;
        break;
    case LOCK_EX:
        lock.type = LOCK_TYPE_WRITE;
        break;
    case LOCK_UN:
        break;
    default:
        return -EINVAL;
    }
    if (status)
        return status;
    file = api_fd_get(fs, fd);
    if (!file)
        return -EBADF;
    lock.owner = flock_owner(file);
    status = client_lock(fs->client, file->ino, &lock, !(operation & LOCK_NB), NULL);
    if (status == 0)
        atomic_store(&file->has_flock, lock.type != LOCK_TYPE_NONE);
    api_fd_put(fs, file);
    return status;
}

/* The range's first byte; -errno. */
static int64_t
range_start(struct benchfs *fs, struct api_file *file, const struct flock *range)
{
    struct wire_attr attr;
    int64_t base = 0;
    int status;

    if (range->l_whence == SEEK_CUR) {
        pthread_mutex_lock(&file->position_lock);
        base = (int64_t)file->position;
        pthread_mutex_unlock(&file->position_lock);
    } else if (range->l_whence == SEEK_END) {
        status = client_getattr(fs->client, file->ino, &attr);
        if (status)
            return status;
        base = (int64_t)attr.size;
    } else if (range->l_whence != SEEK_SET) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, range->l_start, &base))
        return -EOVERFLOW;
    return base < 0 ? -EINVAL : base;
}

static int range_set(struct benchfs *fs,
                     struct api_file *file,
                     const struct flock *range,
                     struct client_lock *ret)
{
    int64_t start = range_start(fs, file, range);
    int64_t last;

    if (start < 0)
        return (int)start;
    if (range->l_len < 0) { /* the bytes before */
        if (start + range->l_len < 0)
            return -EINVAL;
        last = start - 1;
        start += range->l_len;
    } else if (__builtin_add_overflow(start, range->l_len - 1, &last)) {
        return -EOVERFLOW;
    }
    ret->start = (uint64_t)start;
    ret->end = range->l_len == 0 ? UINT64_MAX : (uint64_t)last;
    switch (range->l_type) {
    case F_RDLCK:
        ret->type = LOCK_TYPE_READ;
        return file->open_flags & OPEN_READ ? 0 : -EBADF;
    case F_WRLCK:
        ret->type = LOCK_TYPE_WRITE;
        return file->open_flags & OPEN_WRITE ? 0 : -EBADF;
    case F_UNLCK:
        ret->type = LOCK_TYPE_NONE;
        return 0;
    default:
        return -EINVAL;
    }
}

static void range_get(const struct client_lock *lock, struct flock *ret)
{
    ret->l_type = lock->type == LOCK_TYPE_WRITE  ? F_WRLCK
                  : lock->type == LOCK_TYPE_READ ? F_RDLCK
                                                 : F_UNLCK;
    if (lock->type == LOCK_TYPE_NONE)
        return;
    ret->l_whence = SEEK_SET;
    ret->l_start = (off_t)lock->start;
    ret->l_len = lock->end == UINT64_MAX ? 0 : (off_t)(lock->end - lock->start + 1);
    ret->l_pid = (pid_t)lock->pid;
}

int benchfs_lock(struct benchfs *fs, int fd, int command, struct flock *range)
{
    struct client_lock lock = {.space = LOCK_SPACE_RANGE, .owner = OWNER_HANDLE};
    struct api_file *file;
    int status = api_enter(fs);

    if (status)
        return status;
    if (command != F_GETLK && command != F_SETLK && command != F_SETLKW)
        return -EINVAL;
    file = api_fd_get(fs, fd);
    if (!file)
        return -EBADF;
    lock.pid = (uint32_t)getpid();
    status = range_set(fs, file, range, &lock);
    if (status == 0 && command == F_GETLK) {
        status = client_lock_test(fs->client, file->ino, &lock);
        if (status == 0)
            range_get(&lock, range);
    } else if (status == 0) {
        if (lock.type != LOCK_TYPE_NONE)
            atomic_store(&fs->has_range_locks, true);
        status = client_lock(fs->client, file->ino, &lock, command == F_SETLKW, NULL);
    }
    api_fd_put(fs, file);
    return status;
}

static void unlock(struct benchfs *fs, uint64_t ino, uint8_t space, uint64_t owner)
{
    struct client_lock lock = {.space = space, .owner = owner, .end = UINT64_MAX};

    /* a service that can't be reached gives them back when this process ends */
    (void)client_lock(fs->client, ino, &lock, false, NULL);
}

void api_lock_closed(struct benchfs *fs, const struct api_file *file)
{
    if (file->file && atomic_load(&fs->has_range_locks))
        unlock(fs, file->ino, LOCK_SPACE_RANGE, OWNER_HANDLE);
}

void api_lock_ended(struct benchfs *fs, const struct api_file *file)
{
    if (atomic_load(&file->has_flock))
        unlock(fs, file->ino, LOCK_SPACE_WHOLE, flock_owner(file));
}
