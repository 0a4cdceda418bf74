/* SPDX-License-Identifier: Apache-2.0
 * What the files of the mount share: its state, and the handlers of the operations. */
#ifndef BENCHFS_FUSE_MOUNT_INTERNAL_H
#define BENCHFS_FUSE_MOUNT_INTERNAL_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "client/client.h"
#include "fuse/dir_attrs.h"
#include "fuse/dir_facts.h"
#include "fuse/fuse_init_flags.h"
#include "fuse/handle.h"
#include "fuse/lock_owners.h"
#include "fuse/mount.h"

#define MOUNT_IO_MAX  (1u << 20) /* bytes of one read or write request */
#define MOUNT_OPCODES 64u        /* counters; the kernel's numbers are below */

struct mount_worker {
    struct mount *mount;
    pthread_t thread;
    bool is_started;
    struct fuse_buf request; /* libfuse allocates */
    uint8_t *reply;          /* MOUNT_IO_MAX bytes, of the request under way */
};

struct mount {
    struct client *client;
    struct fuse_session *session;
    char *mountpoint;
    bool is_mounted;
    bool is_agreed; /* INIT went well */
    double dir_attr_timeout_s;
    struct dir_facts *dir_facts;
    struct dir_attrs *dir_attrs;
    struct handles handles;
    struct lock_owners lock_owners;
    pthread_mutex_t lock_waits_lock;
    pthread_cond_t lock_waits_changed;
    struct list lock_waits; /* ops_lock.c */
    bool is_stopping;       /* under lock_waits_lock */

    struct init_flags init;   /* used before the workers start, then constant */
    pthread_key_t worker_key; /* the thread's struct mount_worker */
    bool has_worker_key;
    struct mount_worker *workers;
    unsigned n_workers;
    int gone_fd; /* eventfd */

    _Atomic uint64_t n_requests[MOUNT_OPCODES];
};

static inline struct mount *mount_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static inline struct client *client_of(fuse_req_t req)
{
    return mount_of(req)->client;
}

/* The calling worker's buffer of MOUNT_IO_MAX bytes. */
uint8_t *mount_reply_buffer(struct mount *mount);

/* mount_io.c: how bytes come from and go to /dev/fuse */
extern const struct fuse_custom_io mount_io;

/* ops_*.c, each answers its request exactly once */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_mknod(
    fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *text, fuse_ino_t parent, const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req,
               fuse_ino_t parent,
               const char *name,
               fuse_ino_t new_parent,
               const char *new_name,
               unsigned flags);
void op_link(fuse_req_t req,
             fuse_ino_t ino,
             fuse_ino_t new_parent,
             const char *new_name);

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req,
                fuse_ino_t ino,
                struct stat *st,
                int to_set,
                struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_setxattr(fuse_req_t req,
                 fuse_ino_t ino,
                 const char *name,
                 const char *value,
                 size_t size,
                 int flags);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

void op_create(fuse_req_t req,
               fuse_ino_t parent,
               const char *name,
               mode_t mode,
               struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

void op_read(fuse_req_t req,
             fuse_ino_t ino,
             size_t size,
             off_t offset,
             struct fuse_file_info *fi);
void op_write(fuse_req_t req,
              fuse_ino_t ino,
              const char *data,
              size_t size,
              off_t offset,
              struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req,
                  fuse_ino_t ino,
                  int mode,
                  off_t offset,
                  off_t length,
                  struct fuse_file_info *fi);
void op_lseek(fuse_req_t req,
              fuse_ino_t ino,
              off_t offset,
              int whence,
              struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req,
                        fuse_ino_t from_ino,
                        off_t from_offset,
                        struct fuse_file_info *from,
                        fuse_ino_t to_ino,
                        off_t to_offset,
                        struct fuse_file_info *to,
                        size_t length,
                        int flags);

void op_setlk(fuse_req_t req,
              fuse_ino_t ino,
              struct fuse_file_info *fi,
              struct flock *range,
              int waits);
void op_getlk(fuse_req_t req,
              fuse_ino_t ino,
              struct fuse_file_info *fi,
              struct flock *range);
void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int operation);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void lock_release_flock(struct mount *mount, uint64_t ino, uint64_t owner);
/* Ends requests that wait for locks, within some seconds. */
void lock_waits_end(struct mount *mount);

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req,
                fuse_ino_t ino,
                size_t size,
                off_t offset,
                struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req,
                 fuse_ino_t ino,
                 int datasync,
                 struct fuse_file_info *fi);

#endif
