/* SPDX-License-Identifier: Apache-2.0
 * What the kernel has open: files and directories. */
#include "fuse/handle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

/* Nobody is left who could be told: close(2) has returned before RELEASE is sent. */
static void file_close(struct client_file *file)
{
    uint64_t ino = client_file_ino(file);
    int rc = client_file_close(file);

    if (rc < 0)
        log_debug("close of inode %llu: status %d", (unsigned long long)ino, rc);
}

static void handle_free(struct handle *handle)
{
    if (handle->file != NULL)
        file_close(handle->file);
    if (handle->dir != NULL)
        client_dir_close(handle->dir);
    pthread_mutex_destroy(&handle->dir_lock);
    free(handle);
}

void handles_init(struct handles *handles)
{
    pthread_mutex_init(&handles->lock, NULL);
    list_init(&handles->open);
}

void handles_fini(struct handles *handles)
{
    list_for_each(node, &handles->open)
        handle_free(list_entry(node, struct handle, node));
    pthread_mutex_destroy(&handles->lock);
}

int handle_open(struct handles *handles,
                struct client_file *file,
                struct client_dir *dir,
                struct handle **ret)
{
    struct handle *handle = calloc(1, sizeof(*handle));

    if (handle == NULL) {
        if (file != NULL)
            file_close(file);
        if (dir != NULL)
            client_dir_close(dir);
        return -ENOMEM;
    }
    handle->file = file;
    handle->dir = dir;
    pthread_mutex_init(&handle->dir_lock, NULL);
    pthread_mutex_lock(&handles->lock);
    list_push_back(&handles->open, &handle->node);
    pthread_mutex_unlock(&handles->lock);
    *ret = handle;
    return 0;
}

void handle_close(struct handles *handles, struct handle *handle)
{
    pthread_mutex_lock(&handles->lock);
    list_remove(&handle->node);
    pthread_mutex_unlock(&handles->lock);
    handle_free(handle);
}
