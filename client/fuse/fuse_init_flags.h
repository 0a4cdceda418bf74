/* SPDX-License-Identifier: Apache-2.0
 * Turning on what the kernel offers in the INIT exchange and this libfuse can't ask
 * for. See fuse_init_flags.c. */
#ifndef BENCHFS_FUSE_FUSE_INIT_FLAGS_H
#define BENCHFS_FUSE_FUSE_INIT_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The longest INIT reply: header and struct fuse_init_out. */
#define INIT_REPLY_MAX 80u

struct init_flags {
    uint64_t unique;  /* of the INIT request */
    bool is_seen;     /* the request was read */
    bool offers_mmap; /* the kernel knows FUSE_DIRECT_IO_ALLOW_MMAP */
    bool has_mmap;    /* and got it: shared mappings work */
};

/* Looks at a request as read from the kernel; anything but INIT is ignored. */
void init_flags_note_request(struct init_flags *flags, const void *request, size_t len);

/*
 * Looks at a reply about to be written. If it is the successful one to INIT and there
 * is something to turn on, writes the changed reply to `buf` and returns its length; 0:
 * send the reply as it is.
 */
size_t init_flags_patch_reply(struct init_flags *flags,
                              const struct iovec *iov,
                              int n_iov,
                              uint8_t buf[INIT_REPLY_MAX]);

#endif
