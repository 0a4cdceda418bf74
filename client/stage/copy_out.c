/* SPDX-License-Identifier: Apache-2.0
 *
 * From the scratch to the outside. Everything but a directory is made under a temporary
 * name and renamed when it is complete; it is made durable at the end of the stage, for
 * all files at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "stage/copy.h"

#define PRIVATE_MODE 0600 /* until it is complete */

/* A file to copy: what it is in the scratch, where it goes. */
struct target {
    int dirfd;
    const char *name; /* relative to dirfd */
    const char *path; /* whole, for messages and items */
    char temporary[NAME_MAX + 1];
    struct wire_attr attr;
};

static int temporary_name_make(struct work *work, struct target *target)
{
    uint64_t random;
    int rc = random_u64(&random);

    if (rc == 0)
        item_temporary_name(target->name, work->job, random, target->temporary);
    return rc;
}

/* The directory that a path's last name is in, and that name. A descriptor or -errno.
 */
static int parent_open(const char *path, const char **ret_name)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    int fd;

    if (!slash)
        return -EINVAL;
    memcpy(dir, len ? path : "/", len ? len : 1);
    dir[len ? len : 1] = '\0';
    fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *ret_name = slash + 1;
    return fd < 0 ? -errno : fd;
}

/* ---- regular files */

static int temporary_open(struct work *work, struct target *target)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int rc = temporary_name_make(work, target);
    int fd;

    if (rc)
        return rc;
    fd = openat(target->dirfd, target->temporary, flags, PRIVATE_MODE);
    return fd < 0 ? -errno : fd;
}

/* Times come last: everything else may change them. */
static int attributes_set(struct work *work, int fd, const struct wire_attr *attr)
{
    struct timespec times[2] = {
        copy_timespec(attr->atime_ns),
        copy_timespec(attr->mtime_ns),
    };
    int rc = copy_xattrs_out(work->client, attr->ino, fd);

    if (rc)
        return rc;
    if (fchmod(fd, attr->mode & 07777) < 0 || futimens(fd, times) < 0)
        return -errno;
    return 0;
}

static int data_copy(struct work *work,
                     const struct target *target,
                     int fd,
                     const char **ret_where)
{
    const struct wire_attr *attr = &target->attr;
    struct copy_end from;
    struct copy_end to = {.fd = fd};
    enum copy_side side = COPY_READING;
    int rc;

    if (attr->size == 0)
        return 0;
    rc = client_file_open(work->client, attr->ino, OPEN_READ, &from.file);
    if (rc == 0) {
        rc = copy_range(work, &from, &to, 0, attr->size, false, &side);
        client_file_close(from.file);
    }
    if (rc && side == COPY_READING)
        *ret_where = WORK_SCRATCH;
    /* it may end in zeros, which were not written */
    if (rc == 0 && ftruncate(fd, (off_t)attr->size) < 0)
        rc = -errno;
    return rc;
}

static int file_copy(struct work *work, struct target *target, const char **ret_where)
{
    int fd = temporary_open(work, target);
    int rc;

    if (fd < 0)
        return fd;
    rc = data_copy(work, target, fd, ret_where);
    if (rc == 0)
        rc = attributes_set(work, fd, &target->attr);
    /* network file systems tell of a full disk here */
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0
        && renameat(target->dirfd, target->temporary, target->dirfd, target->name) < 0)
        rc = -errno;
    if (rc)
        unlinkat(target->dirfd, target->temporary, 0);
    return rc;
}

/* A large file: made here, filled by all. */
static int file_split(struct work *work, struct target *target)
{
    const struct wire_attr *attr = &target->attr;
    struct item item = {
        .ino = attr->ino,
        .mode = attr->mode & 07777,
        .atime_ns = attr->atime_ns,
        .mtime_ns = attr->mtime_ns,
    };
    struct item end;
    int fd = temporary_open(work, target);
    int rc = 0;

    if (fd < 0)
        return fd;
    if (ftruncate(fd, (off_t)attr->size) < 0)
        rc = -errno;
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc) {
        unlinkat(target->dirfd, target->temporary, 0);
        return rc;
    }
    memcpy(item.path, target->path, strlen(target->path) + 1);
    memcpy(item.name, target->temporary, strlen(target->temporary) + 1);
    end = item;
    copy_ranges_add(work, &item, &end, attr->size);
    return 0;
}

static void regular_copy(struct work *work, struct target *target, bool is_alone)
{
    const char *where = NULL;
    struct item item = {.type = ITEM_FILE, .ino = target->attr.ino};
    bool is_large = target->attr.size >= ITEM_FILE_BYTES;
    int rc;

    if (is_large && !is_alone) {
        memcpy(item.path, target->path, strlen(target->path) + 1);
        work_add(work, &item);
        return;
    }
    work->done.n_known_bytes += target->attr.size;
    if (is_large) {
        rc = file_split(work, target);
    } else {
        rc = file_copy(work, target, &where);
        if (rc == 0) {
            work->done.n_files++;
            work->done.n_bytes += target->attr.size;
            work->n_copied += target->attr.size;
        }
    }
    if (rc && rc != -ECANCELED)
        work_error(work, target->path, where, rc);
}

/* ---- other files */

static int symlink_make(struct work *work, const struct target *target)
{
    char text[WIRE_TEXT_MAX + 1];
    int rc = client_readlink(work->client, target->attr.ino, text, sizeof(text));

    if (rc < 0)
        return rc;
    return symlinkat(text, target->dirfd, target->temporary) < 0 ? -errno : 0;
}

static int fifo_make(struct work *work, const struct target *target)
{
    mode_t mode = target->attr.mode & 07777;

    (void)work;
    if (mkfifoat(target->dirfd, target->temporary, PRIVATE_MODE) < 0)
        return -errno;
    /* the mode given above is cut by the umask */
    return fchmodat(target->dirfd, target->temporary, mode, 0) < 0 ? -errno : 0;
}

static void special_copy(struct work *work,
                         struct target *target,
                         int (*make)(struct work *work, const struct target *target))
{
    const struct wire_attr *attr = &target->attr;
    struct timespec times[2] = {
        copy_timespec(attr->atime_ns),
        copy_timespec(attr->mtime_ns),
    };
    const char *temporary = target->temporary;
    int rc = temporary_name_make(work, target);

    if (rc == 0)
        rc = make(work, target);
    if (rc == 0
        && (utimensat(target->dirfd, temporary, times, AT_SYMLINK_NOFOLLOW) < 0
            || renameat(target->dirfd, temporary, target->dirfd, target->name) < 0))
        rc = -errno;
    if (rc == 0) {
        work->done.n_files++;
        return;
    }
    unlinkat(target->dirfd, temporary, 0);
    work_error(work, target->path, NULL, rc);
}

static void
target_copy(struct work *work, uint64_t ino, struct target *target, bool is_alone)
{
    int rc = client_getattr(work->client, ino, &target->attr);

    if (rc) {
        work_error(work, target->path, WORK_SCRATCH, rc);
        return;
    }
    switch (target->attr.mode & S_IFMT) {
    case S_IFREG:
        regular_copy(work, target, is_alone);
        return;
    case S_IFLNK:
        special_copy(work, target, symlink_make);
        return;
    case S_IFIFO:
        special_copy(work, target, fifo_make);
        return;
    case S_IFSOCK:
        work_skip(work, target->path, "a socket");
        return;
    default:
        work_skip(work, target->path, "a device");
    }
}

static void files_run(struct work *work, struct item *item)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    struct target target = {
        .name = name,
        .path = path,
        .dirfd = open(item->path, O_PATH | O_DIRECTORY | O_CLOEXEC),
    };
    uint64_t ino;
    int rc = 0;

    if (target.dirfd < 0) {
        work_error(work, item->path, NULL, errno);
        return;
    }
    sync_set_note(work->syncs, target.dirfd);
    while (!work_is_stopped(work) && !copy_files_give_up(work, item)) {
        rc = item_entry_next(item, &ino, name);
        if (rc <= 0)
            break;
        rc = item_path_join(item->path, name, path);
        if (rc)
            work_error(work, item->path, name, rc);
        else
            target_copy(work, ino, &target, false);
    }
    if (rc < 0)
        work_error(work, item->path, NULL, rc);
    close(target.dirfd);
}

static void file_run(struct work *work, const struct item *item)
{
    struct target target = {.path = item->path};

    target.dirfd = parent_open(item->path, &target.name);
    if (target.dirfd < 0) {
        work_error(work, item->path, NULL, target.dirfd);
        return;
    }
    sync_set_note(work->syncs, target.dirfd);
    target_copy(work, item->ino, &target, true);
    close(target.dirfd);
}

/* ---- parts of large files */

static int
range_copy(struct work *work, const struct item *item, int fd, const char **ret_where)
{
    struct copy_end from;
    struct copy_end to = {.fd = fd};
    enum copy_side side = COPY_READING;
    int rc = client_file_open(work->client, item->ino, OPEN_READ, &from.file);

    if (rc == 0) {
        rc = copy_range(
            work, &from, &to, item->offset, item->offset + item->length, false, &side);
        client_file_close(from.file);
    }
    if (rc && side == COPY_READING)
        *ret_where = WORK_SCRATCH;
    return rc;
}

static void range_run(struct work *work, const struct item *item)
{
    const char *where = NULL;
    const char *name;
    int dirfd = parent_open(item->path, &name);
    int fd = -1;
    int rc = dirfd < 0 ? dirfd : 0;

    if (rc == 0) {
        sync_set_note(work->syncs, dirfd);
        fd = openat(dirfd, item->name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        rc = fd < 0 ? -errno : 0;
    }
    if (rc == 0)
        rc = range_copy(work, item, fd, &where);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (dirfd >= 0)
        close(dirfd);
    if (rc == 0)
        work->done.n_bytes += item->length;
    else if (rc != -ECANCELED)
        work_error(work, item->path, where, rc);
}

/* Whether the file is what it was when its ranges were given out; *ret_attr is what it
 * was. */
static int
source_check(struct work *work, const struct item *item, struct wire_attr *ret_attr)
{
    int rc = client_getattr(work->client, item->ino, ret_attr);

    if (rc)
        return rc;
    if (ret_attr->size != item->length || ret_attr->mtime_ns != item->mtime_ns)
        return -WORK_CHANGED;
    ret_attr->atime_ns = item->atime_ns;
    return 0;
}

static int
file_complete(struct work *work, const struct item *item, int dirfd, const char *name)
{
    struct wire_attr attr;
    int rc = source_check(work, item, &attr);
    int fd;

    if (rc)
        return rc;
    fd = openat(dirfd, item->name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    rc = attributes_set(work, fd, &attr);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(dirfd, item->name, dirfd, name) < 0)
        rc = -errno;
    return rc;
}

static void file_end_run(struct work *work, const struct item *item)
{
    const char *name;
    int dirfd = parent_open(item->path, &name);
    int rc = dirfd < 0 ? dirfd : 0;

    if (rc == 0 && !work->grant.has_failed)
        rc = file_complete(work, item, dirfd, name);
    if (rc == 0 && !work->grant.has_failed) {
        work->done.n_files++;
    } else {
        if (rc)
            work_error(work, item->path, NULL, rc);
        if (dirfd >= 0)
            unlinkat(dirfd, item->name, 0);
    }
    if (dirfd >= 0)
        close(dirfd);
}

/* ---- directories */

/* Makes the directory, or takes the one that is there. */
static int dir_make(const struct item *item, bool *ret_is_new)
{
    int follow = item->flags & ITEM_IS_ROOT ? 0 : O_NOFOLLOW;
    int fd;

    *ret_is_new = mkdir(item->path, 0700) == 0;
    if (*ret_is_new)
        return 0;
    if (errno != EEXIST)
        return -errno;
    fd = open(item->path, O_PATH | O_DIRECTORY | O_CLOEXEC | follow);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static void dir_entry_add(struct work *work,
                          const struct client_dirent *entry,
                          struct item *dir,
                          struct copy_batch *files)
{
    if (!S_ISDIR(entry->type)) {
        copy_batch_add(work, files, entry->ino, entry->name);
        return;
    }
    dir->ino = entry->ino;
    if (item_path_join(files->item->path, entry->name, dir->path)) {
        work_error(work, files->item->path, entry->name, ENAMETOOLONG);
        return;
    }
    work_add(work, dir);
    work_report_if_much(work);
}

static void dir_list(struct work *work, const struct item *item)
{
    struct item dir = {.type = ITEM_DIR};
    struct item files = {.type = ITEM_FILES};
    struct copy_batch batch;
    struct client_dirent entry;
    struct client_dir *stream;
    int rc = client_dir_open(work->client, item->ino, &stream);

    if (rc) {
        work_error(work, item->path, WORK_SCRATCH, rc);
        return;
    }
    memcpy(files.path, item->path, strlen(item->path) + 1);
    copy_batch_init(&batch, &files, files_run);
    while (!work_is_stopped(work) && (rc = client_dir_read(stream, &entry)) > 0)
        dir_entry_add(work, &entry, &dir, &batch);
    if (rc < 0)
        work_error(work, item->path, WORK_SCRATCH, rc);
    copy_batch_fini(work, &batch);
    client_dir_close(stream);
}

static void dir_run(struct work *work, const struct item *item)
{
    struct item end = {.type = ITEM_DIR_END};
    struct wire_attr attr;
    bool is_new;
    int rc = client_getattr(work->client, item->ino, &attr);

    if (rc) {
        work_error(work, item->path, WORK_SCRATCH, rc);
        return;
    }
    rc = dir_make(item, &is_new);
    if (rc) {
        work_error(work, item->path, NULL, rc);
        return;
    }
    dir_list(work, item);
    if (!is_new && (item->flags & ITEM_IS_ROOT))
        return; /* the user's own: only its content is ours */
    memcpy(end.path, item->path, strlen(item->path) + 1);
    end.mode = attr.mode & 07777;
    end.atime_ns = attr.atime_ns;
    end.mtime_ns = attr.mtime_ns;
    work_after(work, &end);
}

static void dir_end_run(struct work *work, const struct item *item)
{
    struct timespec times[2] = {
        copy_timespec(item->atime_ns),
        copy_timespec(item->mtime_ns),
    };

    if (chmod(item->path, item->mode) < 0
        || utimensat(AT_FDCWD, item->path, times, 0) < 0)
        work_error(work, item->path, NULL, errno);
}

void copy_out_run(struct work *work, struct item *item)
{
    switch (item->type) {
    case ITEM_DIR:
        dir_run(work, item);
        return;
    case ITEM_DIR_END:
        dir_end_run(work, item);
        return;
    case ITEM_FILES:
        files_run(work, item);
        return;
    case ITEM_FILE:
        file_run(work, item);
        return;
    case ITEM_RANGE:
        range_run(work, item);
        return;
    case ITEM_FILE_END:
        file_end_run(work, item);
        return;
    default:
        return;
    }
}
