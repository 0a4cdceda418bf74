/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault_point.h"

#ifdef BENCHFS_WITH_FAULT_POINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"

/* The N of a name; 0: not there. */
static unsigned long rate_of(const char *text, const char *name)
{
    size_t len = strlen(name);

    while (text && *text) {
        if (strncmp(text, name, len) == 0 && text[len] == '=')
            return strtoul(text + len + 1, NULL, 10);
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
    return 0;
}

void fault_point(const char *name)
{
    unsigned long rate = rate_of(getenv("BENCHFS_FAULT_POINTS"), name);
    const char *file = getenv("BENCHFS_FAULT_POINTS_WHILE");
    uint64_t random;

    if (rate == 0 || random_u64(&random) || random % rate != 0)
        return;
    if (file && access(file, F_OK) != 0)
        return;
    dprintf(STDERR_FILENO, "fault point %s\n", name);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

#else
extern int fault_points_are_not_built;
#endif
