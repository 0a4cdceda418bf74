/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying the data of a file, or of a part of it, holes left out; and what both
 * directions do with attributes and items.
 */
#ifndef BENCHFS_STAGE_COPY_H
#define BENCHFS_STAGE_COPY_H

#include <sys/stat.h>

#include "stage/work.h"

/* An open file of either side: outside (file is NULL) or in the scratch. */
struct copy_end {
    int fd;
    struct client_file *file;
};

enum copy_side {
    COPY_READING,
    COPY_WRITING,
};

/* Copies [offset, end). is_sparse: the source, which is outside, has holes, left out.
 * A target outside must be empty there: zeros are not written. 0; -ECANCELED: the
 * worker stops; -WORK_CHANGED: the source is shorter; else the -errno of the side in
 * *ret_side. */
int copy_range(struct work *work,
               const struct copy_end *from,
               const struct copy_end *to,
               uint64_t offset,
               uint64_t end,
               bool is_sparse,
               enum copy_side *ret_side);

/* Extended attributes user.*, if there are any. A side that has none at all is fine. */
int copy_xattrs_in(struct client *client, int fd, uint64_t ino);
int copy_xattrs_out(struct client *client, uint64_t ino, int fd);

/* The items of a directory's files as they are found. */
struct copy_batch {
    struct item *item; /* ITEM_FILES but for its entries */
    struct bytes entries;
    unsigned n_files;
    /* does the item at once, when the queue is full */
    void (*run)(struct work *work, struct item *item);
};

void copy_batch_init(struct copy_batch *batch,
                     struct item *item,
                     void (*run)(struct work *work, struct item *item));
void copy_batch_add(struct work *work,
                    struct copy_batch *batch,
                    uint64_t ino,
                    const char *name);
/* What is left. The batch is gone. */
void copy_batch_fini(struct work *work, struct copy_batch *batch);

/* Hands what is left of an ITEM_FILES to others, if it has become much; true: it has.
 */
bool copy_files_give_up(struct work *work, const struct item *item);

/* The ranges of a large file, and its end. `range` and `end` are complete but for type,
 * offset and length. */
void copy_ranges_add(struct work *work,
                     struct item *range,
                     struct item *end,
                     uint64_t size);

/* copy_in.c, copy_out.c: do an item of their direction. */
void copy_in_run(struct work *work, struct item *item);
void copy_out_run(struct work *work, struct item *item);

static inline int64_t copy_time_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline struct timespec copy_timespec(int64_t ns)
{
    int64_t sec = ns / 1000000000;
    int64_t rest = ns % 1000000000;

    if (rest < 0) { /* before 1970 */
        sec--;
        rest += 1000000000;
    }
    return (struct timespec){.tv_sec = sec, .tv_nsec = rest};
}

#endif
