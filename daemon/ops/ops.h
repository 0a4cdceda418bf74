/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of the op table, by file, and the few helpers they share. Handlers
 * decode their request, work on the shard's store, and set the reply; see op.h for
 * their results.
 */
#ifndef BENCHFS_DAEMON_OPS_OPS_H
#define BENCHFS_DAEMON_OPS_OPS_H

#include "daemon/op.h"

struct intent;

/* What a new entry may change in the store: itself, and the directory's part. */
#define INSERT_CHANGES 4u

/* dentry.c: entries of directories and the inodes made and removed with them */
int op_lookup(struct op *op);
int op_create(struct op *op);
int op_unlink(struct op *op);
int op_link(struct op *op);
int op_readdir(struct op *op);

/* walk.c */
int op_walk(struct op *op);
int op_namespace_raise(struct op *op);

/* rename.c */
int op_rename(struct op *op);

/* inode.c */
int op_getattr(struct op *op);
int op_setattr(struct op *op);
int op_readlink(struct op *op);
int op_open(struct op *op);
int op_open_check(struct op *op);
int op_close(struct op *op);
int op_sync(struct op *op);
int op_store_sync(struct op *op);
int op_append(struct op *op);
int op_fallocate(struct op *op);
int op_inode_link(struct op *op);
int op_inode_moved(struct op *op);
int op_dir_stat(struct op *op);

/* xattr.c */
int op_getxattr(struct op *op);
int op_setxattr(struct op *op);
int op_listxattr(struct op *op);
int op_removexattr(struct op *op);

/* data.c */
int op_read(struct op *op);
int op_write(struct op *op);
int op_seek(struct op *op);
int op_settle(struct op *op);
int op_chunk_truncate(struct op *op);
int op_chunk_end(struct op *op);
int op_chunk_fallocate(struct op *op);

/* copy.c */
int op_copy(struct op *op);

/* peer_locks.c: what a rename or a removal asks of other targets */
int op_dentry_lock(struct op *op);
int op_dentry_apply(struct op *op);
int op_dir_seal(struct op *op);
int op_namespace_lock(struct op *op);
int op_claim_end(struct op *op);
int op_claim_check(struct op *op);

/* directory.c: directories as a whole */
int op_rmdir(struct op *op);
int op_dir_members(struct op *op);
int op_dir_member(struct op *op);

/* service.c */
int op_ping(struct op *op);
int op_table_get(struct op *op);
int op_client_gone(struct op *op);
int op_lock(struct op *op);
int op_lock_test(struct op *op);
int op_lock_cancel(struct op *op);
int op_client_alive(struct op *op); /* daemon/watch.c */
int op_statfs(struct op *op);
int op_status(struct op *op);
int op_stats(struct op *op);
int op_task_exit(struct op *op);
int op_shutdown(struct op *op);
int op_set_state(struct op *op);

/* survey.c */
int op_survey(struct op *op);

/* stage.c */
int op_stage_start(struct op *op);
int op_stage_wait(struct op *op);
int op_stage_pull(struct op *op);
int op_stage_done(struct op *op);

/* ---- shared helpers */

/* inode_state.c */

/* The attributes as of now, asking other targets where they know more (sizes of files
 * that are being written, parts of directories). 0, -errno or OP_NEEDS_FIBER. */
int inode_attr_get(struct op *op,
                   struct store_inode *inode,
                   struct wire_attr *ret_attr);
/* The directory is about to be given a time: its parts' own do not count any more. In a
 * fiber, with several targets. */
int directory_time_forget(struct op *op, uint64_t ino);
/* Attributes of an inode made this moment, or as far as its home knows them. */
void inode_attr_new(const struct store_inode *inode, struct wire_attr *ret_attr);
/* Brings size and times in the store up to date with what the chunks say. */
int inode_fold(struct op *op, struct store_inode *inode);
/* What a client reports of its writes, as in CLOSE and SYNC. */
struct write_report {
    uint64_t end;
    uint64_t cuts;
    int64_t mtime_ns;
};

/* Takes over a client's report of its writes. */
int inode_fold_report(struct op *op, uint64_t ino, const struct write_report *report);
/* The size alone, with mtime and ctime. */
int inode_size_set(struct shard *shard, uint64_t ino, uint64_t size, int64_t now);
/* Whether it has, or may have, chunks on other targets. */
bool inode_is_striped(const struct shard *shard, const struct store_inode *inode);
/* A CHUNK_TRUNCATE to `size`; owner 0: not to be remembered. The body's length. */
size_t chunk_truncate_encode(struct op *op,
                             const struct store_inode *inode,
                             uint64_t owner,
                             uint64_t size,
                             uint8_t body[MSG_chunk_truncate_request_MAX]);
/* Cuts or extends a file homed here, on all its targets. */
int inode_truncate(struct op *op, struct store_inode *inode, uint64_t size);
/* The targets, other than this one, which may hold chunks of the file: bounded by the
 * known size, or all if `may_be_longer`. *ret is malloc'ed. */
int inode_chunk_targets(struct shard *shard,
                        const struct store_inode *inode,
                        bool may_be_longer,
                        uint32_t **ret,
                        unsigned *ret_n);

/* inode_end.c */
/* Adds or drops a link of an inode homed here, at once. */
int inode_link_add(struct op *op, uint64_t ino, struct store_inode *ret);
int inode_link_drop_note(struct shard *shard, uint64_t ino, struct store_inode *ret);
/* After that: at no link the inode goes, with its data, as soon as nobody has it open.
 * May take a fiber's time, and goes on in the background if it fails. */
int inode_dropped(struct op *op, const struct store_inode *inode);
/* Takes back a link that was added; no inode is fine. Never waits. */
int inode_link_undo(struct op *op, uint64_t ino);
/* Whether dropping a link is the end of an inode with data on other targets. */
bool inode_end_is_striped(struct shard *shard, uint64_t ino);
/* In a fiber, when the shard starts: ends inodes without a name that nobody has open.
 */
int inode_orphans_delete(struct op *op);
/* Closes a dead client's opens. In a fiber. */
void inode_close_all(struct op *op,
                     uint64_t ino,
                     unsigned n_readers,
                     unsigned n_appenders,
                     unsigned n_free_writers);
/* The last close of an inode without names. */
int inode_closed(struct op *op, uint64_t ino);

/* data.c */
bool chunk_range_is_valid(uint32_t offset, uint32_t length);
/* At the home the end of a write is noted at once: *ret_noted, nothing to report later.
 */
int data_size_note(
    struct op *op, uint64_t ino, uint64_t end, int64_t now, uint8_t *ret_noted);
/* One chunk of a fallocate(), here. */
int chunk_fallocate(struct op *op, const struct msg_chunk_fallocate_request *m);

/* dentry.c */
/* A step: the inode's home drops a link. */
void intent_link_drop(struct op *op, struct intent *intent, uint64_t ino);
/* After -EAGAIN: waits a little, and says whether to try again; else *rc is -EBUSY. */
bool op_try_again(struct op *op, unsigned *tries, int *rc);

/* directory.c */
/* Targets, without the own one. */
struct dir_members {
    uint32_t *targets; /* malloc'ed */
    unsigned n, capacity;
};
/* At the directory's home: who else may have entries of it. 0 or -errno. */
int directory_members_get(struct shard *shard, uint64_t dir, struct dir_members *ret);
void directory_members_fini(struct dir_members *members);
/* The answer of DIR_MEMBERS and DIR_SEAL. */
int directory_members_reply(struct op *op, uint64_t dir);
bool directory_members_have(const struct dir_members *members, uint32_t target);

/* Before an entry is made here: the directory's home knows of it. -ENOENT: there is no
 * such directory (any more). May want a fiber; before keys are taken. */
int directory_part_ensure(struct op *op, uint64_t dir);
/* 0, -ENOENT (the directory is no more) or -ENOSPC: whether it takes an entry. */
int directory_insert_check(struct op *op, uint64_t dir);
/* In a fiber that coordinates: closes all parts of a directory, or none, and takes its
 * key; *ret are those with a claim. -ENOTEMPTY; -EAGAIN: an entry is being made by an
 * operation that may be waiting for this one, which has to let go of all; transport
 * errors. */
int directory_seal(struct op *op, uint64_t dir, struct dir_members *ret);
/* Opens it again, ends all claims of the operation at these, and frees `members`. */
void directory_unseal(struct op *op, uint64_t dir, struct dir_members *members);
/* The operation does not happen: its claims at these targets end, if they can be told.
 */
void claims_abort(struct op *op, const uint32_t *targets, unsigned n);
/* A step: the claims at these targets end. */
void intent_claims_end(struct op *op,
                       struct intent *intent,
                       const uint32_t *targets,
                       unsigned n);
/* A target does not answer: claims are left for it to ask about. */
bool is_cut_off(int status);

/* dentry.c */
/* What a name stands for; -ENOENT. May want a fiber. */
int dentry_look(struct op *op,
                uint64_t parent,
                struct wire_text name,
                struct msg_lookup_reply *ret);

/* walk.c */
/* In a fiber, before a directory that clients may have kept leaves its name, with the
 * name locked: after it nobody believes in it any more. */
int namespace_raise(struct op *op);

/* peer_locks.c */
/* Sets (or, with ino 0, removes) a dentry here. */
int dentry_apply(struct shard *shard,
                 uint64_t parent,
                 struct wire_text name,
                 const struct store_dentry *dentry);
/* On target 0: the lock under which directories change their place. */
uint64_t namespace_key(void);

/* inode.c */
/* The last thing of an open, after all that may wait: meanwhile the inode may have lost
 * its last name. -ENOENT then. */
int inode_open(struct op *op, uint64_t ino, uint32_t flags);
/* Notes a rename of an inode homed here: its parent if a directory, its ctime. */
int inode_moved_local(struct shard *shard, uint64_t ino, uint64_t new_parent);

#endif
