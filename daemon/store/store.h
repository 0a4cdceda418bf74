/* SPDX-License-Identifier: Apache-2.0
 *
 * One shard's part of the file system: inodes, dentries, xattrs and the chunk index in
 * an LMDB environment, file data in an arena file mapped into memory.
 *
 * One thread owns a store. All changes happen inside a write transaction; what a
 * committed transaction holds survives the death of the process. Pointers into the
 * arena stay valid until the extents they name are freed by a committed transaction, or
 * longer: see store_pin(). 0 or -errno throughout; -ENOSPC for data space as well as
 * for metadata space; -EUCLEAN for a record that cannot be right (damage). Except where
 * it says otherwise, a call needs an open transaction; one that fails has changed
 * nothing.
 */
#ifndef BENCHFS_STORE_STORE_H
#define BENCHFS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

struct store;

struct store_config {
    const char *directory;   /* made if missing (its parent must exist) */
    const char *job;         /* recorded; another job's store is refused */
    uint32_t target;         /* recorded; also the home part of new inode numbers */
    uint64_t capacity_bytes; /* data space of this shard; may grow from open to open */
    uint64_t inode_limit;    /* 0: from the metadata space alone */
    bool is_durable;         /* keeps a journal: see store_sync_begin() */
    const char *boot_id;     /* of the kernel's boot; NULL: asks the kernel */
};

/* Opens or makes the store; recovers the allocator's state from the index. The text in
 * err names the file and the record at fault. -EBUSY: another process has it open.
 * -EINVAL: of another job, target or format. -EUCLEAN: damaged. */
int store_open(const struct store_config *config,
               struct store **ret,
               struct benchfs_error *err);
/* Aborts an open transaction. No prepared write and no pin may be left. NULL is fine.
 */
void store_close(struct store *store);
/* Removes the files of a store and its directory; a directory that is not there is
 * fine. -EBUSY: a process has it open. -ENOTEMPTY: there is something else in it. */
int store_remove(const char *directory, struct benchfs_error *err);

/* The arena's address space. Only memory named by store_write or store_read may be
 * touched: the rest is not backed by the file yet, so registering it as a whole with a
 * network card fails, or pins everything. */
void store_arena_get(const struct store *store, void **ret_base, size_t *ret_size);

struct store_usage {
    uint64_t capacity_bytes, used_bytes; /* data; used counts allocated blocks */
    uint64_t metadata_capacity_bytes, metadata_used_bytes;
    uint64_t inodes_used, inodes_free; /* free: an estimate unless there is a limit */
};
/* For statfs, not for every request: walks LMDB's list of free pages. No transaction
 * needed. */
void store_usage_get(const struct store *store, struct store_usage *ret);

/* What of the data space is free, and still takes space of the file system below: the
 * least since the last call. It is kept for what is written next; store_trim() gives
 * some of it back, 16 MiB at a time, and returns how many bytes that were: 0 if it is
 * not to be had so. No transaction needed. */
uint64_t store_idle_bytes(const struct store *store);
uint64_t store_idle_low(struct store *store);
uint64_t store_trim(struct store *store);

/* ---- transactions: at most one, begun lazily by the shard once per batch */
int store_txn_begin(struct store *store); /* a write transaction; reads use it too */
/* Frees of blocks take effect here. On failure (-ENOSPC, -EUCLEAN, …) it was aborted:
 * nothing of the batch happened, and all its requests get the error. */
int store_txn_commit(struct store *store);
/* Does nothing if there is none. */
void store_txn_abort(struct store *store);
/*
 * A durable store survives the loss of power: it is then as it was when its last sync
 * that has succeeded, or a later one, began. One goes on at a time. The thread that
 * owns the store begins it, marks it and ends it, between transactions. Its two halves
 * are for the caller to have done meanwhile, and to put their `status` in:
 * fdatasync(arena_fd) before the mark, and fdatasync(journal_fd) after it. What has
 * been freed since the last sync is not given out again before the next has ended: the
 * old content may be wanted back.
 */
struct store_sync {
    int arena_fd;             /* the store's own */
    int journal_fd;           /* once marked; closed by the end */
    uint64_t generation, end; /* what will be safe, as a place in the journal */
    int status;               /* 0, or -errno of a half */
    bool is_unmarked;         /* the disk is fine, there was only no mark */
};
bool store_is_durable(const struct store *store);
/* 0 or -errno; -EIO: one has failed before, and nobody knows what the disk has. */
int store_sync_begin(struct store *store, struct store_sync *ret);
/* 0, then comes the second half; else -errno, then store_sync_end(). */
int store_sync_mark(struct store *store, struct store_sync *sync);
int store_sync_end(struct store *store, struct store_sync *sync); /* its status */
/* Whether something was committed since the last sync began; how much of it was freed.
 */
bool store_has_unsynced(const struct store *store);
uint64_t store_unsynced_free_bytes(const struct store *store);

bool store_txn_is_open(const struct store *store);
/* The batch should be committed before the next request: what one transaction can
 * change is limited (some hundreds of creates), and beyond it the answer is -ENOSPC. */
bool store_txn_is_large(const struct store *store);
/* Makes the open transaction's commit fail with this error: a change that belongs to
 * another could not be made. */
void store_txn_fail(struct store *store, int status);
/* 0 or -ENOSPC: whether that many growing changes of names and inodes could be made. */
int store_room_check(struct store *store, unsigned changes);
/* Until turned off, or the end of the transaction: changes may use the reserve, as part
 * of what was let in already. */
void store_reserve_use(struct store *store, bool use);

/* ---- inodes */
struct store_inode {
    uint64_t ino;
    uint64_t parent; /* directories: the parent directory; else the first one, a hint */
    uint32_t mode;
    uint32_t uid, gid;
    uint32_t nlink; /* directories: as of a directory without subdirectories: 2 */
    uint64_t size;
    uint64_t cuts; /* how often the size was set, and not by writing */
    int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
    uint64_t rdev;
    uint32_t chunk_size;
    uint8_t layout;
    uint32_t base;
};
/* A fresh inode number of this target; never handed out again, also after a crash.
 * -ENOSPC when the metadata space or the inode limit is reached: there is room for what
 * creating a file takes, or the number is not given out. */
int store_inode_allocate(struct store *store, uint64_t *ret_ino);
int store_inode_get(struct store *store,
                    uint64_t ino,
                    struct store_inode *ret); /* -ENOENT */
int store_inode_put(struct store *store, const struct store_inode *inode);
/* Also removes the symlink text, all xattrs, and a directory's members; not the chunks.
 * -ENOENT */
int store_inode_remove(struct store *store, uint64_t ino);
/* Inodes with no name left that are still open or not yet cleaned up; survive a
 * restart. Adding one that is there, and removing one that is not, is fine. */
int store_orphan_add(struct store *store, uint64_t ino);
int store_orphan_remove(struct store *store, uint64_t ino);
/* The first one above `after`. -ENOENT: none. */
int store_orphan_next(struct store *store, uint64_t after, uint64_t *ret_ino);

#define STORE_SYMLINK_MAX 4095u
/* -ENAMETOOLONG beyond STORE_SYMLINK_MAX, -EINVAL for an empty text. */
int store_symlink_put(struct store *store, uint64_t ino, const char *text, size_t len);
/* Points into the transaction: valid until the next change or its end. -ENOENT */
int store_symlink_get(struct store *store,
                      uint64_t ino,
                      const char **ret_text,
                      size_t *ret_len);

/* ---- dentries and directory parts */
#define STORE_NAME_MAX 255u

struct store_dentry {
    uint64_t ino;
    uint32_t type; /* S_IFMT bits */
};
/* This target's part of a directory, kept up to date by the dentry calls below. */
struct store_dirpart {
    uint64_t n_entries, n_subdirs;
    int64_t mtime_ns; /* of the last change of an entry here; 0: never */
    bool is_sealed;   /* no new entries: the directory has been removed */
    bool is_member;   /* the directory's home knows that there may be entries here */
};
/* Names: 1..STORE_NAME_MAX bytes, else -EINVAL or -ENAMETOOLONG; what is in them is the
 * caller's concern. */
int store_dentry_get(struct store *store,
                     uint64_t dir,
                     const char *name,
                     size_t len,
                     struct store_dentry *ret); /* -ENOENT */
/* -EEXIST if there is one, -ENOENT if the directory part is sealed. */
int store_dentry_insert(struct store *store,
                        uint64_t dir,
                        const char *name,
                        size_t len,
                        const struct store_dentry *dentry,
                        int64_t now_ns);
/* Replaces what an existing dentry points to. -ENOENT */
int store_dentry_replace(struct store *store,
                         uint64_t dir,
                         const char *name,
                         size_t len,
                         const struct store_dentry *dentry,
                         int64_t now_ns);
/* -ENOENT */
int store_dentry_remove(
    struct store *store, uint64_t dir, const char *name, size_t len, int64_t now_ns);
/* Zeros if there is none. */
int store_dirpart_get(struct store *store, uint64_t dir, struct store_dirpart *ret);
/* The time of the last change becomes "never": the directory was given another one. */
int store_dirpart_forget_time(struct store *store, uint64_t dir);
/* Notes that the directory's home knows of this part. */
int store_dirpart_member_set(struct store *store, uint64_t dir);
/* -ENOTEMPTY */
int store_dirpart_seal(struct store *store, uint64_t dir, bool seal);
/* Drops the record of a part without entries, sealed or not: once nobody can come with
 * the number of the removed directory any more. -ENOTEMPTY; none is fine. */
int store_dirpart_remove(struct store *store, uint64_t dir);

/* At a directory's home: other targets that have, or had, entries of it. Adding one
 * that is there is fine. The scan goes upwards; as store_open_scan(). */
int store_dirmember_add(struct store *store, uint64_t dir, uint32_t target);
int store_dirmember_scan(struct store *store,
                         uint64_t dir,
                         int (*each)(void *arg, uint32_t target),
                         void *arg);

struct store_dirent {
    uint64_t ino;
    uint32_t type;
    uint64_t cookie;  /* 48 bits, not 0; grows along the scan; no two names of a
                       * directory  on this target have the same; stays with the name
                       * until it is  removed */
    const char *name; /* into the transaction: valid during the callback */
    uint16_t name_len;
};
/* Calls `each` for entries after `cookie` (0: all) until it returns non-zero (which is
 * then returned, and means: not taken, scan again from the last cookie taken) or the
 * end (0). The cookie's entry need not exist any more. `each` must not change the
 * store. */
int store_dentry_scan(struct store *store,
                      uint64_t dir,
                      uint64_t cookie,
                      int (*each)(void *arg, const struct store_dirent *entry),
                      void *arg);

/* ---- extended attributes */
#define STORE_XATTR_MAX 65536u

/* Names as for dentries (-ERANGE when too long). *ret_value points into the
 * transaction: valid until the next change or its end. -ENODATA */
int store_xattr_get(struct store *store,
                    uint64_t ino,
                    const char *name,
                    size_t len,
                    const void **ret_value,
                    size_t *ret_len);
/* flags: XATTR_CREATE (-EEXIST), XATTR_REPLACE (-ENODATA) or 0. -E2BIG beyond
 * STORE_XATTR_MAX. Does not look whether the inode exists. */
int store_xattr_set(struct store *store,
                    uint64_t ino,
                    const char *name,
                    size_t len,
                    const void *value,
                    size_t value_len,
                    int flags);
int store_xattr_remove(struct store *store,
                       uint64_t ino,
                       const char *name,
                       size_t len); /* -ENODATA */
/* Stops with what `each` returns if that is not 0. `each` must not change the store. */
int store_xattr_scan(struct store *store,
                     uint64_t ino,
                     int (*each)(void *arg, const char *name, size_t len),
                     void *arg);

/* ---- answers of requests that must be applied once, by client and slot */
struct store_reply {
    uint16_t opcode;
    uint64_t request;
    const void *body; /* of store_reply_get(): valid until the next change */
    size_t body_len;
};
/* Replaces what is there. */
int store_reply_put(struct store *store,
                    uint64_t client,
                    uint16_t slot,
                    const struct store_reply *reply);
int store_reply_get(struct store *store,
                    uint64_t client,
                    uint16_t slot,
                    struct store_reply *ret); /* -ENOENT */
/* All slots of the client; none is fine. */
int store_reply_remove_all(struct store *store, uint64_t client);
/* Stops with what `each` returns if that is not 0. `each` must not change the store. */
int store_reply_scan(
    struct store *store,
    int (*each)(void *arg, uint64_t client, uint16_t slot, uint64_t request),
    void *arg);

/* ---- clients, and what they have open */
struct store_client {
    uint32_t node; /* UINT32_MAX: not known */
    uint32_t pid;  /* of a process of this node, and when it started; 0: not known */
    uint64_t pid_start;
    bool has_forwarded; /* requests of it went on to other targets */
};
int store_client_put(struct store *store,
                     uint64_t client,
                     const struct store_client *what);
int store_client_remove(struct store *store, uint64_t client); /* none is fine */
/* This and the next two stop with what `each` returns if that is not 0; it must not
 * change the store. */
int store_client_scan(struct store *store,
                      int (*each)(void *arg,
                                  uint64_t client,
                                  const struct store_client *what),
                      void *arg);

struct store_open {
    uint32_t n_readers, n_appenders, n_free_writers;
};
/* All counts 0: removes it. */
int store_open_put(struct store *store,
                   uint64_t client,
                   uint64_t ino,
                   const struct store_open *what);
int store_open_scan(struct store *store,
                    int (*each)(void *arg,
                                uint64_t client,
                                uint64_t ino,
                                const struct store_open *what),
                    void *arg);

/* ---- locks on files; what the numbers mean is the caller's concern */
struct store_lock_key {
    uint64_t ino;
    uint8_t space;
    uint64_t client, owner;
};
struct store_lock {
    uint64_t start, end;
    uint8_t type;
    uint32_t pid;
};
/* Replaces the owner's lock with the same start. */
int store_lock_put(struct store *store,
                   const struct store_lock_key *key,
                   const struct store_lock *lock);
/* All of the owner's, or of the client's, on the file; none is fine. */
int store_lock_remove(struct store *store, const struct store_lock_key *key);
int store_lock_remove_client(struct store *store, uint64_t ino, uint64_t client);
/* As store_open_scan(). */
int store_lock_scan(struct store *store,
                    int (*each)(void *arg,
                                const struct store_lock_key *key,
                                const struct store_lock *lock),
                    void *arg);

/* ---- operations that span several targets; what kinds and ids mean is the caller's
 * concern. Claims are what such an operation holds at a target that takes part. */
struct store_claim {
    uint32_t target; /* that runs the operation */
    uint64_t owner;  /* the operation */
    uint8_t kind;
    uint64_t id;
    uint64_t dir; /* not part of the key */
};
/* Replaces the one with the same key. May use the reserve, as the next two. */
int store_claim_put(struct store *store, const struct store_claim *claim);
/* 0, or -ENOENT: whether there is one with this key. */
int store_claim_get(struct store *store, const struct store_claim *claim);
int store_claim_remove(struct store *store,
                       const struct store_claim *claim); /* none is fine */
/* As store_open_scan(). */
int store_claim_scan(struct store *store,
                     int (*each)(void *arg, const struct store_claim *claim),
                     void *arg);

/* Intents are what the target that runs the operation has still to do, once it is
 * decided. May use the reserve. */
int store_intent_put(struct store *store, uint64_t owner, const void *body, size_t len);
int store_intent_remove(struct store *store, uint64_t owner); /* none is fine */
/* As store_open_scan(); `body` is valid until the next change. */
int store_intent_scan(
    struct store *store,
    int (*each)(void *arg, uint64_t owner, const void *body, size_t len),
    void *arg);

/* ---- small facts; what they mean is the caller's concern */
struct store_note {
    uint8_t kind;
    uint32_t a, b;
    uint32_t value;
};
/* Replaces the one with the same kind, a and b. */
int store_note_put(struct store *store, const struct store_note *note);
int store_note_scan(struct store *store,
                    int (*each)(void *arg, const struct store_note *note),
                    void *arg);

/* ---- chunks */
#define STORE_BLOCK_SIZE 4096u
#define STORE_CHUNK_MAX  (64u << 20)

/* Ranges are within a chunk: offset + length beyond STORE_CHUNK_MAX is -EINVAL. A chunk
 * ends where the farthest write ended (or a truncation cut it); what was never written
 * before that reads as zeros. */

/* A write in two steps, so that the network can put data straight into the arena:
 * prepare reserves space and names the memory, commit makes it part of the chunk. The
 * struct may be moved. */
struct store_write {
    uint64_t ino, chunk;
    uint32_t offset, length;
    struct iovec
        *iov; /* total: length bytes of arena memory; owned by the store_write */
    int n_iov;
    struct store_write_parts *parts; /* private */
};
/* Needs a transaction, but is not part of it: the write outlives its commit or abort.
 * Parts of fresh blocks outside [offset, offset+length) are zeroed. Blocks the chunk
 * already has are written in place. Two writes prepared at the same time for the same
 * missing blocks each reserve their own; commit merges: the later commit's bytes win,
 * and nothing outside its range changes. Truncation and removal in between are fine
 * too: the memory stays reserved, and the commit makes the write happen after them.
 * length 0 is -EINVAL. */
int store_write_prepare(struct store *store,
                        uint64_t ino,
                        uint64_t chunk,
                        uint32_t offset,
                        uint32_t length,
                        struct store_write *ret);
/* The memory holds the data. The write is consumed, whatever is returned. */
int store_write_commit(struct store *store, struct store_write *write, int64_t now_ns);
/* No transaction needed. Nobody may write to the memory any more. What was written in
 * place stays (it is a write that failed half-way), but never grows the chunk. Fine on
 * a consumed or all-zeros write. */
void store_write_abort(struct store *store, struct store_write *write);

/* The bytes of [offset, offset+length) that lie before the chunk's end, as arena memory
 * and, for holes, shared zeros (read-only). *ret_iov is malloc'ed, NULL when there is
 * nothing; total = *ret_length (0: nothing there). */
int store_read(struct store *store,
               uint64_t ino,
               uint64_t chunk,
               uint32_t offset,
               uint32_t length,
               struct iovec **ret_iov,
               int *ret_n_iov,
               uint32_t *ret_length);

/* Whoever hands memory from store_read() to the network pins it until the transfer has
 * ended, or a truncation in between gives the blocks to another file. The array may be
 * freed after the call. No transaction needed for either. */
struct store_pin;
int store_pin(struct store *store,
              const struct iovec *iov,
              int n_iov,
              struct store_pin **ret);                        /* -ENOMEM */
void store_unpin(struct store *store, struct store_pin *pin); /* NULL is fine */

/* Keeps the first `size` bytes of the file (chunks are chunk_size bytes each), frees
 * all blocks behind; should the chunk grow again, what was cut off reads as zeros. size
 * 0: everything. */
int store_chunk_truncate(struct store *store,
                         uint64_t ino,
                         uint64_t size,
                         uint32_t chunk_size);
/* Frees whole blocks in the range, zeroes the edges. The chunk's end stays. */
int store_chunk_punch(struct store *store,
                      uint64_t ino,
                      uint64_t chunk,
                      uint32_t offset,
                      uint32_t length);
/* Reserves blocks (reading as zeros) for the range. The chunk's end stays. */
int store_chunk_allocate(struct store *store,
                         uint64_t ino,
                         uint64_t chunk,
                         uint32_t offset,
                         uint32_t length);
/* Next data (or hole) at or after offset within the chunk; behind its data is a hole,
 * up to the size that chunks of the file have, which the caller knows. -ENXIO: there is
 * none. */
int store_chunk_seek(struct store *store,
                     uint64_t ino,
                     uint64_t chunk,
                     uint32_t offset,
                     bool data,
                     uint32_t *ret_offset);

struct store_file_usage {
    bool has_data;
    uint64_t last_chunk; /* highest chunk with data here … */
    uint32_t last_end;   /* … and the end of data in it */
    uint64_t bytes;      /* allocated */
    int64_t mtime_ns;    /* latest store_write_commit */
};
/* Zeros if there is nothing. Takes time in proportion to the file's chunks here. */
int store_file_usage_get(struct store *store,
                         uint64_t ino,
                         struct store_file_usage *ret);

#endif
