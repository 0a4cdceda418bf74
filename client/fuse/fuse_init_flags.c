/* SPDX-License-Identifier: Apache-2.0
 * Files are opened with FOPEN_DIRECT_IO, so that no node reads stale pages. By itself
 * the kernel then refuses mmap(MAP_SHARED) with ENODEV. Since 6.6 it offers
 * FUSE_DIRECT_IO_ALLOW_MMAP in INIT, which libfuse 3.14 can't ask for: it is set here.
 */
#include "fuse/fuse_init_flags.h"

#include <linux/fuse.h>
#include <string.h>

#include "base/iovec.h"

/* Bits 32 and up of the INIT flags travel in flags2, valid when FUSE_INIT_EXT is set.
 */
#define FLAGS2_DIRECT_IO_ALLOW_MMAP (1u << (36 - 32))

_Static_assert(sizeof(struct fuse_out_header) + sizeof(struct fuse_init_out)
                   == INIT_REPLY_MAX,
               "the INIT reply is 80 bytes since protocol 7.23");

void init_flags_note_request(struct init_flags *flags, const void *request, size_t len)
{
    struct fuse_in_header header;
    struct fuse_init_in init;

    if (len < sizeof(header))
        return;
    memcpy(&header, request, sizeof(header));
    if (header.opcode != FUSE_INIT)
        return;
    flags->is_seen = true;
    flags->unique = header.unique;
    /* Kernels before 5.17 send a shorter one, without flags2. */
    if (len < sizeof(header) + sizeof(init))
        return;
    memcpy(&init, (const uint8_t *)request + sizeof(header), sizeof(init));
    flags->offers_mmap = (init.flags & FUSE_INIT_EXT) != 0
                         && (init.flags2 & FLAGS2_DIRECT_IO_ALLOW_MMAP) != 0;
}

size_t init_flags_patch_reply(struct init_flags *flags,
                              const struct iovec *iov,
                              int n_iov,
                              uint8_t buf[INIT_REPLY_MAX])
{
    struct fuse_out_header header;
    struct fuse_init_out init;
    size_t len = 0;

    if (!flags->is_seen || !flags->offers_mmap || n_iov < 1
        || iovec_length(iov, (size_t)n_iov, &len) < 0 || len != INIT_REPLY_MAX)
        return 0;
    iovec_gather(iov, (size_t)n_iov, 0, buf, INIT_REPLY_MAX);
    memcpy(&header, buf, sizeof(header));
    if (header.unique != flags->unique || header.error != 0)
        return 0;
    memcpy(&init, buf + sizeof(header), sizeof(init));
    if (!(init.flags & FUSE_INIT_EXT))
        init.flags2 = 0;
    init.flags |= FUSE_INIT_EXT;
    init.flags2 |= FLAGS2_DIRECT_IO_ALLOW_MMAP;
    memcpy(buf + sizeof(header), &init, sizeof(init));
    flags->has_mmap = true;
    return INIT_REPLY_MAX;
}
