/* SPDX-License-Identifier: Apache-2.0
 *
 * From outside into the scratch. What is made in the scratch is the user's; an inode's
 * times are set last, after the file is closed, since the close reports the writes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stage/copy.h"

/* A file to copy: where it is, what it is, where it goes. */
struct source {
    int dirfd; /* name is relative to it */
    const char *name;
    const char *path; /* whole, for messages and items */
    uint64_t parent;
    const char *target; /* name in the scratch */
    bool is_root;       /* follow a symbolic link */
    struct stat st;
};

/* Set-id bits are kept for what stays the owner's. */
static uint32_t mode_of(const struct stat *st)
{
    uint32_t mode = st->st_mode & (S_IFMT | 07777);

    if (st->st_uid != geteuid())
        mode &= ~(uint32_t)S_ISUID;
    if (st->st_gid != getegid() && !S_ISDIR(st->st_mode))
        mode &= ~(uint32_t)S_ISGID;
    return mode;
}

static struct msg_create_request create_of(const struct stat *st)
{
    return (struct msg_create_request){
        .mode = mode_of(st),
        .uid = geteuid(),
        .gid = getegid(),
        .base = BASE_HOME,
        .symlink = {.data = ""},
    };
}

static struct msg_setattr_request times_of(uint64_t ino, const struct stat *st)
{
    return (struct msg_setattr_request){
        .ino = ino,
        .mask = SETATTR_ATIME | SETATTR_MTIME,
        .atime_ns = copy_time_ns(st->st_atim),
        .mtime_ns = copy_time_ns(st->st_mtim),
    };
}

static bool is_sparse(const struct stat *st)
{
    return (uint64_t)st->st_blocks * 512 < (uint64_t)st->st_size;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* ---- regular files */

/* Makes the file, or empties the one that is there; something else gives way to it. */
static int file_make(struct work *work,
                     const struct source *source,
                     struct wire_attr *ret_attr,
                     struct client_file **ret)
{
    struct msg_create_request what = create_of(&source->st);
    uint32_t flags = OPEN_WRITE | OPEN_TRUNCATE;
    int rc = client_file_create(
        work->client, source->parent, source->target, &what, flags, ret_attr, ret);

    if (rc != -EEXIST)
        return rc;
    rc = client_unlink(work->client, source->parent, source->target);
    if (rc && rc != -ENOENT)
        return rc;
    return client_file_create(
        work->client, source->parent, source->target, &what, flags, ret_attr, ret);
}

static int attributes_set(struct work *work,
                          const struct source *source,
                          const struct wire_attr *attr)
{
    struct msg_setattr_request change = times_of(attr->ino, &source->st);
    struct wire_attr now;

    if ((attr->mode & 07777) != (mode_of(&source->st) & 07777)) {
        change.mask |= SETATTR_MODE;
        change.mode = mode_of(&source->st) & 07777;
    }
    if (is_sparse(&source->st)) { /* it may end in a hole */
        change.mask |= SETATTR_SIZE;
        change.size = (uint64_t)source->st.st_size;
    }
    return client_setattr(work->client, &change, &now);
}

/* The data, with the file open on both sides. */
static int data_copy(struct work *work,
                     const struct source *source,
                     int fd,
                     struct client_file *file,
                     const char **ret_where)
{
    struct copy_end from = {.fd = fd};
    struct copy_end to = {.file = file};
    enum copy_side side = COPY_READING;
    struct stat after;
    int rc = copy_range(work,
                        &from,
                        &to,
                        0,
                        (uint64_t)source->st.st_size,
                        is_sparse(&source->st),
                        &side);

    if (rc) {
        *ret_where = side == COPY_WRITING ? WORK_SCRATCH : NULL;
        return rc;
    }
    if (fstat(fd, &after) < 0)
        return -errno;
    return is_same(&source->st, &after) ? 0 : -WORK_CHANGED;
}

static int file_copy(struct work *work,
                     const struct source *source,
                     int fd,
                     const char **ret_where)
{
    struct client_file *file;
    struct wire_attr attr;
    int close_rc;
    int rc;

    *ret_where = WORK_SCRATCH;
    rc = file_make(work, source, &attr, &file);
    if (rc)
        return rc;
    *ret_where = NULL;
    rc = data_copy(work, source, fd, file, ret_where);
    close_rc = client_file_close(file);
    if (rc == 0) {
        *ret_where = WORK_SCRATCH;
        rc = close_rc;
    }
    if (rc == 0)
        rc = copy_xattrs_in(work->client, fd, attr.ino);
    if (rc == 0)
        rc = attributes_set(work, source, &attr);
    if (rc)
        client_unlink(work->client, source->parent, source->target);
    return rc;
}

/* A large file: made here, filled by all. */
static int file_split(struct work *work, const struct source *source, int fd)
{
    struct item item = {
        .parent = source->parent,
        .flags = is_sparse(&source->st) ? ITEM_IS_SPARSE : 0,
        .mode = mode_of(&source->st) & 07777,
        .atime_ns = copy_time_ns(source->st.st_atim),
        .mtime_ns = copy_time_ns(source->st.st_mtim),
    };
    struct client_file *file;
    struct wire_attr attr;
    struct item end;
    int rc = file_make(work, source, &attr, &file);

    if (rc)
        return rc;
    rc = client_file_close(file);
    if (rc == 0)
        rc = copy_xattrs_in(work->client, fd, attr.ino);
    if (rc) {
        client_unlink(work->client, source->parent, source->target);
        return rc;
    }
    item.ino = attr.ino;
    memcpy(item.path, source->path, strlen(source->path) + 1);
    memcpy(item.name, source->target, strlen(source->target) + 1);
    end = item;
    copy_ranges_add(work, &item, &end, (uint64_t)source->st.st_size);
    return 0;
}

static int source_open(const struct source *source)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd =
        openat(source->dirfd, source->name, flags | (source->is_root ? 0 : O_NOFOLLOW));

    if (fd < 0)
        return -errno;
    if (source->st.st_size > (off_t)WORK_BUFFER_SIZE)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return fd;
}

static void regular_copy(struct work *work, const struct source *source, bool is_alone)
{
    uint64_t size = (uint64_t)source->st.st_size;
    const char *where = NULL;
    struct item item = {.type = ITEM_FILE, .parent = source->parent};
    int fd, rc;

    if (size >= ITEM_FILE_BYTES && !is_alone) {
        memcpy(item.path, source->path, strlen(source->path) + 1);
        memcpy(item.name, source->target, strlen(source->target) + 1);
        work_add(work, &item);
        return;
    }
    work->done.n_known_bytes += size;
    fd = source_open(source);
    if (fd < 0) {
        work_error(work, source->path, NULL, fd);
        return;
    }
    if (size >= ITEM_FILE_BYTES) {
        where = WORK_SCRATCH;
        rc = file_split(work, source, fd);
    } else {
        rc = file_copy(work, source, fd, &where);
        if (rc == 0) {
            work->done.n_files++;
            work->done.n_bytes += size;
            work->n_copied += size;
        }
    }
    close(fd);
    if (rc && rc != -ECANCELED)
        work_error(work, source->path, where, rc);
}

/* ---- other files */

/* A symbolic link or a FIFO, in place of what is there. */
static void special_make(struct work *work,
                         const struct source *source,
                         const struct msg_create_request *what)
{
    struct msg_setattr_request change;
    struct wire_attr attr;
    int rc = client_create(work->client, source->parent, source->target, what, &attr);

    if (rc == -EEXIST) {
        rc = client_unlink(work->client, source->parent, source->target);
        if (rc == 0)
            rc = client_create(
                work->client, source->parent, source->target, what, &attr);
    }
    if (rc == 0) {
        change = times_of(attr.ino, &source->st);
        rc = client_setattr(work->client, &change, &attr);
    }
    if (rc)
        work_error(work, source->path, WORK_SCRATCH, rc);
    else
        work->done.n_files++;
}

static void symlink_copy(struct work *work, const struct source *source)
{
    struct msg_create_request what = create_of(&source->st);
    char text[WIRE_TEXT_MAX + 1];
    ssize_t len = readlinkat(source->dirfd, source->name, text, sizeof(text));

    if (len < 0 || len > (ssize_t)WIRE_TEXT_MAX) {
        work_error(work, source->path, NULL, len < 0 ? errno : ENAMETOOLONG);
        return;
    }
    what.flags = CREATE_EXCL;
    what.symlink = (struct wire_text){.data = text, .len = (uint16_t)len};
    special_make(work, source, &what);
}

static void fifo_copy(struct work *work, const struct source *source)
{
    struct msg_create_request what = create_of(&source->st);

    what.flags = CREATE_EXCL;
    special_make(work, source, &what);
}

/* The directory was not known to be one: not every file system tells. */
static void dir_add(struct work *work, const struct source *source)
{
    struct item item = {.type = ITEM_DIR, .ino = source->parent};

    memcpy(item.path, source->path, strlen(source->path) + 1);
    memcpy(item.name, source->target, strlen(source->target) + 1);
    work->done.n_known_files--;
    work_add(work, &item);
}

static void source_copy(struct work *work, struct source *source, bool is_alone)
{
    int flags = source->is_root ? 0 : AT_SYMLINK_NOFOLLOW;

    if (fstatat(source->dirfd, source->name, &source->st, flags) < 0) {
        work_error(work, source->path, NULL, errno);
        return;
    }
    switch (source->st.st_mode & S_IFMT) {
    case S_IFREG:
        regular_copy(work, source, is_alone);
        return;
    case S_IFLNK:
        symlink_copy(work, source);
        return;
    case S_IFIFO:
        fifo_copy(work, source);
        return;
    case S_IFDIR:
        dir_add(work, source);
        return;
    case S_IFSOCK:
        work_skip(work, source->path, "a socket");
        return;
    default:
        work_skip(work, source->path, "a device");
    }
}

static void files_run(struct work *work, struct item *item)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    struct source source = {
        .name = name,
        .target = name,
        .path = path,
        .parent = item->ino,
        .dirfd = open(item->path, O_PATH | O_DIRECTORY | O_CLOEXEC),
    };
    uint64_t ino;
    int rc = 0;

    if (source.dirfd < 0) {
        work_error(work, item->path, NULL, errno);
        return;
    }
    while (!work_is_stopped(work) && !copy_files_give_up(work, item)) {
        rc = item_entry_next(item, &ino, name);
        if (rc <= 0)
            break;
        rc = item_path_join(item->path, name, path);
        if (rc)
            work_error(work, item->path, name, rc);
        else
            source_copy(work, &source, false);
    }
    if (rc < 0)
        work_error(work, item->path, NULL, rc);
    close(source.dirfd);
}

static void file_run(struct work *work, const struct item *item)
{
    struct source source = {
        .dirfd = AT_FDCWD,
        .name = item->path,
        .path = item->path,
        .parent = item->parent,
        .target = item->name,
        .is_root = item->flags & ITEM_IS_ROOT,
    };

    source_copy(work, &source, true);
}

/* ---- parts of large files */

static void range_run(struct work *work, const struct item *item)
{
    struct copy_end from = {.fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    struct copy_end to;
    enum copy_side side = COPY_READING;
    int close_rc;
    int rc;

    if (from.fd < 0) {
        work_error(work, item->path, NULL, errno);
        return;
    }
    (void)posix_fadvise(
        from.fd, (off_t)item->offset, (off_t)item->length, POSIX_FADV_SEQUENTIAL);
    rc = client_file_open(work->client, item->ino, OPEN_WRITE, &to.file);
    if (rc) {
        side = COPY_WRITING;
        goto out;
    }
    rc = copy_range(work,
                    &from,
                    &to,
                    item->offset,
                    item->offset + item->length,
                    item->flags & ITEM_IS_SPARSE,
                    &side);
    close_rc = client_file_close(to.file);
    if (rc == 0 && close_rc) {
        side = COPY_WRITING;
        rc = close_rc;
    }
out:
    close(from.fd);
    if (rc == 0)
        work->done.n_bytes += item->length;
    else if (rc != -ECANCELED)
        work_error(work, item->path, side == COPY_WRITING ? WORK_SCRATCH : NULL, rc);
}

/* Whether the source is what it was when the ranges were given out. */
static int source_check(const struct item *item)
{
    struct stat st;

    if (stat(item->path, &st) < 0)
        return -errno;
    return (uint64_t)st.st_size == item->length
                   && copy_time_ns(st.st_mtim) == item->mtime_ns
               ? 0
               : -WORK_CHANGED;
}

static void file_end_run(struct work *work, const struct item *item)
{
    struct msg_setattr_request change = {
        .ino = item->ino,
        .mask = SETATTR_MODE | SETATTR_ATIME | SETATTR_MTIME | SETATTR_SIZE,
        .mode = item->mode,
        .size = item->length,
        .atime_ns = item->atime_ns,
        .mtime_ns = item->mtime_ns,
    };
    const char *where = NULL;
    struct wire_attr attr;
    int rc = 0;

    if (!work->grant.has_failed)
        rc = source_check(item);
    if (rc == 0 && !work->grant.has_failed) {
        where = WORK_SCRATCH;
        rc = client_setattr(work->client, &change, &attr);
    }
    if (rc == 0 && !work->grant.has_failed) {
        work->done.n_files++;
        return;
    }
    if (rc)
        work_error(work, item->path, where, rc);
    client_unlink(work->client, item->parent, item->name);
}

/* ---- directories */

/* Makes the directory, or takes the one that is there. */
static int dir_make(struct work *work,
                    const struct item *item,
                    const struct stat *st,
                    uint64_t *ret_ino)
{
    struct msg_create_request what = create_of(st);
    struct wire_attr attr;
    int rc;

    if (item->name[0] == '\0') {
        *ret_ino = item->ino;
        return 0;
    }
    rc = client_create(work->client, item->ino, item->name, &what, &attr);
    if (rc)
        return rc;
    if (!S_ISDIR(attr.mode))
        return -ENOTDIR;
    *ret_ino = attr.ino;
    return 0;
}

static void dir_entry_add(struct work *work,
                          const struct dirent *entry,
                          struct item *dir,
                          struct copy_batch *files)
{
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    if (entry->d_type != DT_DIR) {
        copy_batch_add(work, files, 0, entry->d_name);
        return;
    }
    memcpy(dir->name, entry->d_name, strlen(entry->d_name) + 1);
    if (item_path_join(files->item->path, entry->d_name, dir->path)) {
        work_error(work, files->item->path, entry->d_name, ENAMETOOLONG);
        return;
    }
    work_add(work, dir);
    work_report_if_much(work);
}

static void dir_list(struct work *work, DIR *stream, const char *path, uint64_t ino)
{
    struct item dir = {.type = ITEM_DIR, .ino = ino};
    struct item files = {.type = ITEM_FILES, .ino = ino};
    struct copy_batch batch;
    const struct dirent *entry;

    memcpy(files.path, path, strlen(path) + 1);
    copy_batch_init(&batch, &files, files_run);
    for (;;) {
        errno = 0;
        entry = readdir(stream);
        if (!entry || work_is_stopped(work))
            break;
        dir_entry_add(work, entry, &dir, &batch);
    }
    if (!entry && errno)
        work_error(work, path, NULL, errno);
    copy_batch_fini(work, &batch);
}

static void dir_run(struct work *work, const struct item *item)
{
    int follow = item->flags & ITEM_IS_ROOT ? 0 : O_NOFOLLOW;
    int fd = open(item->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    struct item end = {.type = ITEM_DIR_END};
    struct stat st;
    int rc;

    if (!stream || fstat(fd, &st) < 0) {
        work_error(work, item->path, NULL, errno);
        goto out;
    }
    rc = dir_make(work, item, &st, &end.ino);
    if (rc) {
        work_error(work, item->path, WORK_SCRATCH, rc);
        goto out;
    }
    dir_list(work, stream, item->path, end.ino);
    if (item->name[0] != '\0') {
        memcpy(end.path, item->path, strlen(item->path) + 1);
        end.mode = mode_of(&st) & 07777;
        end.atime_ns = copy_time_ns(st.st_atim);
        end.mtime_ns = copy_time_ns(st.st_mtim);
        work_after(work, &end);
    }
out:
    if (stream)
        closedir(stream);
    else if (fd >= 0)
        close(fd);
}

static void dir_end_run(struct work *work, const struct item *item)
{
    struct msg_setattr_request change = {
        .ino = item->ino,
        .mask = SETATTR_MODE | SETATTR_ATIME | SETATTR_MTIME,
        .mode = item->mode,
        .atime_ns = item->atime_ns,
        .mtime_ns = item->mtime_ns,
    };
    struct wire_attr attr;
    int rc = client_setattr(work->client, &change, &attr);

    if (rc)
        work_error(work, item->path, WORK_SCRATCH, rc);
}

void copy_in_run(struct work *work, struct item *item)
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
