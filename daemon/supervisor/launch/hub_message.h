/* SPDX-License-Identifier: Apache-2.0
 * What passes between the launcher on one machine (`benchfs run`) and its daemons, in
 * the framing of control.h, over a stream socketpair per daemon. The launcher speaks
 * first (WELCOME). A closed socket means that the other one has gone. */
#ifndef BENCHFS_LAUNCH_HUB_MESSAGE_H
#define BENCHFS_LAUNCH_HUB_MESSAGE_H

#include <stdint.h>

#include "base/bytes.h"

/* The daemon finds its descriptor's number here. */
#define HUB_FD_ENV "BENCHFS_BOOTSTRAP_FD"

#define HUB_DAEMONS_MAX 256u
#define HUB_RECORD_MAX  (1u << 20)

enum hub_type {
    HUB_WELCOME = 64,  /* launcher -> daemon: hub_welcome_encode() */
    HUB_EXCHANGE = 65, /* daemon -> launcher: its record */
    HUB_ALL = 66,      /* launcher -> daemon: hub_all_encode() */
};

struct hub_welcome {
    uint32_t rank;
    uint32_t size;
};

/* Return 0, -ENOMEM, or of decoding -EPROTO. */
int hub_welcome_encode(const struct hub_welcome *welcome, struct bytes *out);
int hub_welcome_decode(struct hub_welcome *ret, const void *data, size_t len);

/* Records of all ranks, in order. Decoding fills n initialised buffers. */
int hub_all_encode(const struct bytes *records, uint32_t n, struct bytes *out);
int hub_all_decode(struct bytes *ret, uint32_t n, const void *data, size_t len);

#endif
