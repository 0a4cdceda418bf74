/* SPDX-License-Identifier: Apache-2.0
 * Reading directories. */
#include <errno.h>

#include "fuse/convert.h"
#include "fuse/create.h"
#include "fuse/mount_internal.h"
#include "fuse/reply.h"

/* Entries of one READDIR reply. */
struct dir_page {
    fuse_req_t req;
    char *data;
    size_t size;
    size_t used;
};

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount *mount = mount_of(req);
    struct client_dir *dir;
    struct handle *handle;
    int rc = client_dir_open(mount->client, ino, &dir);

    if (rc == 0)
        rc = handle_open(&mount->handles, NULL, dir, &handle);
    if (rc != 0) {
        reply_status(req, rc);
        return;
    }
    handle->dir_offset = CONVERT_DIR_FIRST; /* position 0 of the stream */
    fi->fh = handle_to_fh(handle);
    if (fuse_reply_open(req, fi) < 0)
        handle_close(&mount->handles, handle);
}

/* False when it does not fit any more. */
static bool page_add(struct dir_page *page,
                     const char *name,
                     uint64_t ino,
                     uint32_t type,
                     uint64_t next_offset)
{
    struct stat st = {.st_ino = ino, .st_mode = type};
    size_t left = page->size - page->used;
    size_t need = fuse_add_direntry(
        page->req, page->data + page->used, left, name, &st, (off_t)next_offset);

    if (need > left)
        return false;
    page->used += need;
    return true;
}

/* "." and "..", as far as they are wanted. 1: go on, 0: page full, -errno. */
static int page_add_dots(struct dir_page *page, uint64_t ino, uint64_t *offset)
{
    struct dir_fact fact;
    int rc;

    if (*offset < CONVERT_DIR_AFTER_DOT) {
        if (!page_add(page, ".", ino, S_IFDIR, CONVERT_DIR_AFTER_DOT))
            return 0;
        *offset = CONVERT_DIR_AFTER_DOT;
    }
    if (*offset < CONVERT_DIR_AFTER_DOTDOT) {
        rc = dir_fact_get(mount_of(page->req), ino, &fact);
        if (rc < 0)
            return rc;
        if (!page_add(page, "..", fact.parent, S_IFDIR, CONVERT_DIR_AFTER_DOTDOT))
            return 0;
        *offset = CONVERT_DIR_AFTER_DOTDOT;
    }
    return 1;
}

/* Brings the stream to where the kernel wants to read: most often it is there. */
static void stream_seek(struct handle *handle, uint64_t offset)
{
    if (handle->dir_offset == offset)
        return;
    client_dir_seek(handle->dir, convert_dir_offset_to_position(offset));
    handle->has_dir_entry = false;
    handle->dir_offset = offset;
}

/* 0, also at the end; or -errno. */
static int page_add_entries(struct dir_page *page, struct handle *handle)
{
    for (;;) {
        const struct client_dirent *entry = &handle->dir_entry;
        uint64_t next;

        if (!handle->has_dir_entry) {
            int rc = client_dir_read(handle->dir, &handle->dir_entry);

            if (rc <= 0)
                return rc;
            handle->has_dir_entry = true;
        }
        next = convert_dir_position_to_offset(entry->next);
        if (!page_add(page, entry->name, entry->ino, entry->type, next))
            return 0;
        handle->has_dir_entry = false;
        handle->dir_offset = next;
    }
}

static int
page_fill(struct dir_page *page, struct handle *handle, uint64_t ino, uint64_t offset)
{
    uint64_t at = offset;
    int rc = page_add_dots(page, ino, &at);

    if (rc <= 0)
        return rc;
    stream_seek(handle, at);
    return page_add_entries(page, handle);
}

void op_readdir(fuse_req_t req,
                fuse_ino_t ino,
                size_t size,
                off_t offset,
                struct fuse_file_info *fi)
{
    struct handle *handle = handle_from_fh(fi->fh);
    struct dir_page page = {
        .req = req,
        .data = (char *)mount_reply_buffer(mount_of(req)),
        .size = size < MOUNT_IO_MAX ? size : MOUNT_IO_MAX,
    };
    int rc;

    pthread_mutex_lock(&handle->dir_lock);
    rc = page_fill(&page, handle, ino, (uint64_t)offset);
    pthread_mutex_unlock(&handle->dir_lock);
    /* An error after some entries comes again with the next request. */
    if (rc < 0 && page.used == 0)
        reply_status(req, rc);
    else
        fuse_reply_buf(req, page.data, page.used);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    handle_close(&mount_of(req)->handles, handle_from_fh(fi->fh));
    reply_status(req, 0);
}

void op_fsyncdir(fuse_req_t req,
                 fuse_ino_t ino,
                 int datasync,
                 struct fuse_file_info *fi)
{
    (void)datasync;
    (void)fi;
    reply_status(req, client_inode_sync(mount_of(req)->client, ino));
}
