/* SPDX-License-Identifier: Apache-2.0
 * One exchange between all supervisors in which any may say that it has failed, so that
 * nobody waits for a deadline because of a peer. */
#ifndef BENCHFS_SUPERVISOR_ROUND_H
#define BENCHFS_SUPERVISOR_ROUND_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "supervisor/bootstrap.h"

enum round_verdict {
    ROUND_OK = 1,
    ROUND_FAILED = 2, /* data is the text */
    ROUND_HELD = 3,   /* the job's lock is held: its service runs already */
};

struct round_record {
    uint8_t verdict;
    uint32_t value;      /* what the round is about */
    const uint8_t *data; /* decoded: points into what was decoded */
    size_t len;
};

int round_record_encode(const struct round_record *record, struct bytes *out);
/* 0 or -EPROTO. */
int round_record_decode(struct round_record *ret, const void *data, size_t len);

/* What all have said, by rank. */
struct round_result {
    uint32_t n;
    struct bytes *buffers;
    struct round_record *records;
};

/* `mine` goes out, everybody's comes in; round_result_fini() in any case. 0;
 * -ECONNABORTED: a peer has failed, err says "node rank 2: its text"; or what
 * bootstrap_exchange() returns. */
int round_run(struct bootstrap *bootstrap,
              const struct round_record *mine,
              struct deadline deadline,
              struct round_result *ret,
              struct benchfs_error *err);
void round_result_fini(struct round_result *result);

#endif
