/* SPDX-License-Identifier: Apache-2.0
 *
 * The descriptors of a handle. Blocks of slots are never moved and a slot changes with
 * one store, so that a child finds the table whole whenever its parent forked.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/api.h"

struct api_file *api_file_new(uint64_t ino, int flags, uint32_t open_flags)
{
    struct api_file *file = calloc(1, sizeof(*file));

    if (!file)
        return NULL;
    file->ino = ino;
    file->flags = flags;
    file->open_flags = open_flags;
    file->references = 1;
    pthread_mutex_init(&file->position_lock, NULL);
    return file;
}

void api_file_free(struct api_file *file)
{
    if (!file)
        return;
    pthread_mutex_destroy(&file->position_lock);
    free(file);
}

/* The slot of a number within the limits, NULL: its block was never made. */
static struct api_file **slot_of(struct benchfs *fs, int fd)
{
    struct api_file **block;

    if (fd < 0 || fd >= API_FD_BLOCK * API_FD_BLOCKS)
        return NULL;
    block = fs->fds[fd / API_FD_BLOCK];
    return block ? &block[fd % API_FD_BLOCK] : NULL;
}

/* With fd_lock: the lowest free number, or -errno. */
static int fd_find_free(struct benchfs *fs)
{
    for (int i = 0; i < API_FD_BLOCKS; i++) {
        if (!fs->fds[i])
            fs->fds[i] = calloc(API_FD_BLOCK, sizeof(struct api_file *));
        if (!fs->fds[i])
            return -ENOMEM;
        for (int j = 0; j < API_FD_BLOCK; j++) {
            if (!fs->fds[i][j])
                return i * API_FD_BLOCK + j;
        }
    }
    return -EMFILE;
}

int api_fd_add(struct benchfs *fs, struct api_file *file)
{
    int fd;

    pthread_mutex_lock(&fs->fd_lock);
    fd = fd_find_free(fs);
    if (fd >= 0)
        *slot_of(fs, fd) = file;
    pthread_mutex_unlock(&fs->fd_lock);
    return fd;
}

struct api_file *api_fd_get(struct benchfs *fs, int fd)
{
    struct api_file **slot;
    struct api_file *file = NULL;

    pthread_mutex_lock(&fs->fd_lock);
    slot = slot_of(fs, fd);
    if (slot && *slot) {
        file = *slot;
        file->references++;
    }
    pthread_mutex_unlock(&fs->fd_lock);
    return file;
}

int api_fd_put(struct benchfs *fs, struct api_file *file)
{
    bool is_last;
    int status = 0;

    pthread_mutex_lock(&fs->fd_lock);
    is_last = --file->references == 0;
    pthread_mutex_unlock(&fs->fd_lock);
    if (!is_last)
        return 0;
    api_lock_ended(fs, file);
    if (file->file)
        status = client_file_close(file->file);
    api_file_free(file);
    return status;
}

int api_fd_close(struct benchfs *fs, int fd)
{
    struct api_file **slot;
    struct api_file *file = NULL;

    pthread_mutex_lock(&fs->fd_lock);
    slot = slot_of(fs, fd);
    if (slot) {
        file = *slot;
        *slot = NULL;
    }
    pthread_mutex_unlock(&fs->fd_lock);
    if (!file)
        return -EBADF;
    api_lock_closed(fs, file);
    return api_fd_put(fs, file);
}

int api_fd_close_all(struct benchfs *fs)
{
    int status = 0;

    for (int i = 0; i < API_FD_BLOCKS && fs->fds[i]; i++) {
        for (int j = 0; j < API_FD_BLOCK; j++) {
            int rc = api_fd_close(fs, i * API_FD_BLOCK + j);

            if (rc < 0 && rc != -EBADF && status == 0)
                status = rc;
        }
        free(fs->fds[i]);
        fs->fds[i] = NULL;
    }
    return status;
}

/* The parent's struct may be in the middle of anything: it is left alone. */
static int slot_reopen(struct benchfs *fs, struct api_file **slot)
{
    const struct api_file *old = *slot;
    struct api_file *file = api_file_new(old->ino, old->flags, old->open_flags);

    if (!file)
        return -ENOMEM;
    file->position = old->position;
    file->status = old->status;
    if (old->file)
        file->status = client_file_open(fs->client,
                                        old->ino,
                                        old->open_flags & ~(uint32_t)OPEN_TRUNCATE,
                                        &file->file);
    *slot = file;
    return 0;
}

int api_fd_reopen_all(struct benchfs *fs)
{
    int status = 0;

    for (int i = 0; i < API_FD_BLOCKS && fs->fds[i]; i++) {
        for (int j = 0; j < API_FD_BLOCK && status == 0; j++) {
            if (fs->fds[i][j])
                status = slot_reopen(fs, &fs->fds[i][j]);
        }
    }
    return status;
}
