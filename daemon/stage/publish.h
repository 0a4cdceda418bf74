/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells of stages: progress and errors on stderr, the report file. Both may block, so a
 * thread of its own does it; a stage counts as finished when that has been told.
 */
#ifndef BENCHFS_STAGE_QUEUE_PUBLISH_H
#define BENCHFS_STAGE_QUEUE_PUBLISH_H

#include "stage_queue/queue.h"

enum stage_progress {
    STAGE_PROGRESS_NONE = 0,
    STAGE_PROGRESS_LINES = 1, /* one at the start, one now and then, one at the end */
    STAGE_PROGRESS_BAR = 2,   /* redrawn in place: stderr is a terminal */
};

struct stage_publisher;

/* `report_path`: "" for none; `fd`: where progress goes. 0 or -errno. */
int stage_publisher_create(const char *job,
                           const char *report_path,
                           int fd,
                           struct stage_publisher **ret);
/* Tells what is left and writes the report a last time. NULL is fine. */
void stage_publisher_destroy(struct stage_publisher *publisher);

/* 0 or -ENOMEM. */
int stage_publisher_begin(struct stage_publisher *publisher,
                          uint64_t stage,
                          enum stage_direction direction,
                          enum stage_progress progress);
/* With status->is_finished for the last time. */
void stage_publisher_update(struct stage_publisher *publisher,
                            uint64_t stage,
                            const struct stage_status *status);
/* Whether the end of the stage has been told, and the report written. */
bool stage_publisher_is_done(struct stage_publisher *publisher, uint64_t stage);

/* "stage-in" or "stage-out". */
const char *stage_direction_name(enum stage_direction direction);
/* "5123 files, 1.34 GiB in 2.1 s (653 MiB/s)", and ", 3 failed". Returns text. */
char *stage_summary_format(char *text,
                           size_t size,
                           const struct stage_status *status,
                           uint64_t duration_ns);

#endif
