/* SPDX-License-Identifier: Apache-2.0
 *
 * Has files copied into the scratch or out of it, by the workers of all nodes.
 */
#ifndef BENCHFS_STAGE_STAGE_H
#define BENCHFS_STAGE_STAGE_H

#include "client/client.h"
#include "config/config.h"

struct stage_result {
    bool is_finished;
    uint64_t n_files; /* done: all but directories */
    uint64_t n_bytes;
    uint64_t n_known_files; /* found so far */
    uint64_t n_known_bytes;
    uint64_t n_errors;  /* files that could not be copied */
    uint64_t n_skipped; /* sockets and devices */
    double seconds;
    char *texts[STAGE_TEXTS_MAX]; /* the first errors, "path: reason" */
    unsigned n_texts;
};

struct stage_options {
    /* The daemon of target 0 shows errors and progress on its stderr: 0 nothing, 1 now
     * and then a line, 2 a bar on a terminal. */
    uint8_t daemon_progress;
    unsigned timeout_ms;  /* of all; 0: none */
    unsigned interval_ms; /* of the callback; 0: 500 */
    /* NULL: none. Called while it lasts; non-zero (-errno) gives up waiting. */
    int (*on_progress)(void *arg, const struct stage_result *so_far);
    void *arg;
};

/*
 * Runs the directives (see stage/resolve.h for what they mean). Blocks to the end; any
 * thread. `options` may be NULL. 0: everything was copied. -EIO: the stage has ended,
 * but *ret has errors; err names the first. Anything else: it could not be started or
 * followed. stage_result_fini() *ret in any case.
 */
int stage_run(struct client *client,
              enum stage_direction direction,
              const struct config_stage_list *directives,
              const struct stage_options *options,
              struct stage_result *ret,
              struct benchfs_error *err);
void stage_result_fini(struct stage_result *result);

#endif
