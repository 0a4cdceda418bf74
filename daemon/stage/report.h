/* SPDX-License-Identifier: Apache-2.0
 *
 * The job's report: what was staged, how long it and the run took. A plain record and
 * its JSON form (schemas/report.schema.json). One thread.
 */
#ifndef BENCHFS_STAGE_QUEUE_REPORT_H
#define BENCHFS_STAGE_QUEUE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/messages.h"

/* Sums over all stages of one direction. */
struct report_stage {
    uint64_t n_stages;
    uint64_t n_files;
    uint64_t n_bytes;
    uint64_t n_errors;
    uint64_t duration_ns;
};

struct report {
    const char *job;
    struct report_stage stage_in;
    struct report_stage stage_out;
    uint64_t run_from_ns; /* the last stage-in's end; clock_now_ns() */
    uint64_t run_to_ns;   /* the first stage-out's start, 0: it has not come */
};

void report_init(struct report *report, const char *job, uint64_t now_ns);
void report_stage_started(struct report *report,
                          enum stage_direction direction,
                          uint64_t now_ns);
void report_stage_finished(struct report *report,
                           enum stage_direction direction,
                           const struct report_stage *stage,
                           uint64_t now_ns);

/* Writes it as a file, readers see the old or the new one. 0 or -errno. */
int report_write(const struct report *report, const char *path, uint64_t now_ns);

#endif
