/* SPDX-License-Identifier: Apache-2.0
 * The journal of a durable store: every change of the index, in order, in a file that
 * is only appended to. The index itself is safe against the death of the process, and
 * not against that of the node: LMDB's pages reach the disk in any order. After that it
 * is made anew from the journal, up to its last mark.
 *
 *   header  magic "BFSJ", version, generation, boot id, hash
 *   frame   magic "FRAM", length, transaction, hash; then that many bytes of records
 *   record  database | 0x80 for a removal, key's and value's length, key, value
 *   mark    magic "MARK", length, 0, hash; then where the frames end that are safe: all
 *           they speak of is on the disk
 *
 * A frame is one transaction, and is written before LMDB commits it; the index notes
 * where it ends ("journal-end"), so that after the death of the process alone what was
 * not committed is cut off. After the loss of power, what follows the last mark's place
 * is. When the journal has become much longer than the index, a new generation of it is
 * begun with the index's content. One thread. */
#ifndef BENCHFS_STORE_JOURNAL_H
#define BENCHFS_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define JOURNAL_BOOT_SIZE 16u

struct journal;

/* Opens or makes <directory>/journal. `boot` names the kernel's boot.
 * *ret_is_intact: it was written since this boot, so the index holds its frames. */
int journal_open(const char *directory,
                 const uint8_t boot[JOURNAL_BOOT_SIZE],
                 struct journal **ret,
                 bool *ret_is_intact,
                 struct benchfs_error *err);
void journal_close(struct journal *journal); /* NULL is fine */

/* Reads the frames that the last mark says are safe, in order; cuts off what follows.
 * `each` is called for a frame's records, then with value NULL and db -1 at its end; it
 * stops with what that returns if it is not 0. */
struct journal_record {
    int db;
    bool is_removal;
    const uint8_t *key, *value;
    size_t key_size, value_size;
};
int journal_replay(struct journal *journal,
                   int (*each)(void *arg, const struct journal_record *record),
                   void *arg);
/* Notes that the index has been made anew: from now on this boot's. Waits for the disk.
 */
int journal_adopt(struct journal *journal);

/* What the index has noted of it. Cuts off what is behind, unless a new generation was
 * begun since. -EUCLEAN: it is shorter. */
int journal_resume(struct journal *journal, uint64_t generation, uint64_t end);
/* The same when it has noted nothing: no frame was committed. */
int journal_restart(struct journal *journal);
uint64_t journal_generation(const struct journal *journal);

/* Adds to the frame in the making; value NULL: to be filled in, see below. -ENOMEM */
int journal_put(struct journal *journal,
                int db,
                const void *key,
                size_t key_size,
                const void *value,
                size_t value_size);
/* The last record's value, until the next is added. */
uint8_t *journal_last_value(struct journal *journal, size_t value_size);
int journal_remove(struct journal *journal, int db, const void *key, size_t key_size);
size_t journal_frame_size(const struct journal *journal); /* in the making */
bool journal_has_records(const struct journal *journal);
/* Where the frame would end, if it was written now. */
uint64_t journal_next_end(const struct journal *journal);
/* Writes the frame. -ENOSPC and the like: nothing is written, the frame is forgotten.
 */
int journal_append(struct journal *journal, uint64_t transaction);
/* Where a mark made now would point to; and one that points there. */
struct journal_place {
    uint64_t generation, end;
};
struct journal_place journal_place_get(const struct journal *journal);
/* When all that the frames up to there speak of is on the disk. -EAGAIN: of another
 * generation. */
int journal_mark(struct journal *journal, struct journal_place place);
/* Takes back what was appended last: it was not committed. */
void journal_take_back(struct journal *journal);
/* Forgets the frame in the making. */
void journal_forget(struct journal *journal);

bool journal_is_empty(const struct journal *journal);
uint64_t journal_length(const struct journal *journal);
/* How many bytes the file system has allocated for what is to be appended, after trying
 * to have JOURNAL_AHEAD of them. */
#define JOURNAL_AHEAD (UINT64_C(32) << 20)
uint64_t journal_room(struct journal *journal);
/* A descriptor of the file for fdatasync(), the caller's to close. -errno */
int journal_dup(const struct journal *journal);

/* A new generation, of what is on the disk: journal_put() and journal_append() go to
 * another file, until journal_rewrite_end() puts it in place of this one, on the disk,
 * or with a status < 0 removes it. *ret_is_placed: it has taken the place, also if the
 * status is < 0, and it is not known what the disk has. */
int journal_rewrite_begin(struct journal *journal);
int journal_rewrite_end(struct journal *journal, int status, bool *ret_is_placed);

#endif
