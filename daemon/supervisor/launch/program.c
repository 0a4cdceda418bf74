/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/program.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

void program_add(struct arguments *arguments, const char *path, const char *name)
{
    char self[PATH_MAX];
    ssize_t n = path ? 0 : readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (path) {
        arguments_add(arguments, path);
        return;
    }
    self[n < 0 ? 0 : n] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    /* without /proc: by PATH */
    arguments_printf(arguments, "%s%s", self, name);
}
