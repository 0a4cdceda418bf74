/* SPDX-License-Identifier: Apache-2.0
 * Checks of an installation. Each finds out one thing and says what to mend. */
#ifndef BENCHFS_CLI_DOCTOR_H
#define BENCHFS_CLI_DOCTOR_H

#include <stddef.h>

#include "config/config.h"

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_NOTE, /* something is missing that not everybody needs */
    DOCTOR_BROKEN,
};

#define DOCTOR_TEXT_MAX 400

struct doctor_finding {
    enum doctor_verdict verdict;
    char text[DOCTOR_TEXT_MAX]; /* what was found */
    char mend[DOCTOR_TEXT_MAX]; /* what to do about it; empty when all is well */
};

/* config: valid settings; the defaults when those given are broken. */
struct doctor_check {
    const char *name;
    void (*run)(const struct benchfs_config *config, struct doctor_finding *ret);
};

/* Each list ends with a NULL name. */
extern const struct doctor_check doctor_node_checks[];
extern const struct doctor_check doctor_slurm_checks[];

void doctor_ok(struct doctor_finding *finding, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* fmt is what was found; `mend` what to do. */
void doctor_problem(struct doctor_finding *finding,
                    enum doctor_verdict verdict,
                    const char *mend,
                    const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));

/* Output of a command, all of stdout and stderr, cut to size. Its exit status, or
 * -errno (also -ETIMEDOUT: it was killed). */
int doctor_command_run(char *const argv[], char *output, size_t size);

#endif
