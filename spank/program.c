/* SPDX-License-Identifier: Apache-2.0
 * Where programs are: ours beside the plugin, srun beside the process we run in. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spank/plugin.h"

#ifndef BENCHFS_BINDIR
#define BENCHFS_BINDIR "/usr/bin"
#endif

static bool
is_program(const char *dir, const char *sub, const char *name, char *ret, size_t size)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s%s/%s", dir, sub, name);

    if (length < 0 || (size_t)length >= sizeof(path) || access(path, X_OK) < 0)
        return false;
    snprintf(ret, size, "%s", path);
    return true;
}

/* Cuts the last component off. */
static void directory_of(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash)
        *slash = '\0';
}

int program_find(const struct plugin *plugin,
                 const char *name,
                 char *ret_path,
                 size_t size)
{
    char dir[PATH_MAX];
    Dl_info info;

    if (plugin->benchfsd) {
        snprintf(dir, sizeof(dir), "%s", plugin->benchfsd);
        directory_of(dir);
        if (strcmp(name, "benchfsd") == 0) {
            snprintf(ret_path, size, "%s", plugin->benchfsd);
            return access(ret_path, X_OK) < 0 ? -errno : 0;
        }
        return is_program(dir, "", name, ret_path, size) ? 0 : -ENOENT;
    }
    /* The address of anything in this file of ours. */
    if (dladdr((void *)(uintptr_t)program_find, &info) && info.dli_fname
        && realpath(info.dli_fname, dir)) {
        directory_of(dir);
        /* lib/ of a build, <prefix>/lib/benchfs/ or <prefix>/lib/<arch>/benchfs/ */
        for (int level = 0; level < 3; level++) {
            directory_of(dir);
            if (is_program(dir, "/bin", name, ret_path, size))
                return 0;
        }
    }
    return is_program(BENCHFS_BINDIR, "", name, ret_path, size) ? 0 : -ENOENT;
}

void srun_find(char *ret_path, size_t size)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    snprintf(ret_path, size, "srun");
    if (length <= 0)
        return;
    self[length] = '\0';
    if (strncmp(strrchr(self, '/') + 1, "srun", 4) == 0) {
        snprintf(ret_path, size, "%s", self);
        return;
    }
    /* <prefix>/sbin/slurmstepd, or <prefix>/sbin/slurmstepd-wlm as Debian has it */
    directory_of(self);
    directory_of(self);
    is_program(self, "/bin", "srun", ret_path, size);
}
