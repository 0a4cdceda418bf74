/* SPDX-License-Identifier: Apache-2.0
 * Checks of this machine alone: programs, FUSE, directories, space, network. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/doctor.h"
#include "launch/arguments.h"
#include "launch/program.h"

/* A store smaller than this is hardly meant. */
#define SPACE_MIN (64 * UNITS_MIB)

static void programs_check(const struct benchfs_config *config,
                           struct doctor_finding *ret)
{
    static const char *const names[] = {"benchfsd", "benchfs-agent"};
    struct arguments paths;

    (void)config;
    arguments_init(&paths);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        program_add(&paths, NULL, names[i]);
    doctor_ok(ret, "benchfsd and benchfs-agent lie beside this command");
    for (size_t i = 0; i < paths.count; i++) {
        if (access(paths.items[i], X_OK) < 0)
            doctor_problem(ret,
                           DOCTOR_BROKEN,
                           "install all of BenchFS into one place",
                           "%s: %s",
                           paths.items[i],
                           strerror(errno));
    }
    arguments_fini(&paths);
}

static void fusermount_check(const struct benchfs_config *config,
                             struct doctor_finding *ret)
{
    static const char *const paths[] = {
        "/usr/bin/fusermount3", "/bin/fusermount3", "/usr/local/bin/fusermount3"};
    struct stat st;

    (void)config;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (stat(paths[i], &st) < 0)
            continue;
        if (st.st_uid == 0 && (st.st_mode & S_ISUID)) {
            doctor_ok(ret, "%s is there and setuid root", paths[i]);
            return;
        }
        doctor_problem(ret,
                       geteuid() == 0 ? DOCTOR_NOTE : DOCTOR_BROKEN,
                       "chown root and chmod u+s it",
                       "%s is not setuid root: users can't mount",
                       paths[i]);
        return;
    }
    doctor_problem(ret, DOCTOR_BROKEN, "install fuse3", "fusermount3 is not there");
}

static void fuse_device_check(const struct benchfs_config *config,
                              struct doctor_finding *ret)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    (void)config;
    if (fd >= 0) {
        doctor_ok(ret, "/dev/fuse can be opened");
        close(fd);
    } else {
        doctor_problem(ret,
                       DOCTOR_BROKEN,
                       "load the fuse module; /dev/fuse must have mode 0666",
                       "/dev/fuse: %s",
                       strerror(errno));
    }
}

/* The directory, or the first above it that exists. */
static const char *existing_ancestor(char *path)
{
    while (access(path, F_OK) < 0) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
            return "/";
        *slash = '\0';
    }
    return path;
}

static void store_space_check(const struct benchfs_config *config,
                              struct doctor_finding *ret)
{
    const char *store = config_store_dir(config);
    char path[4096], free_text[UNITS_TEXT_MAX], wanted_text[UNITS_TEXT_MAX];
    const char *at;
    struct statvfs vfs;
    uint64_t free_bytes;

    snprintf(path, sizeof(path), "%s", store);
    at = existing_ancestor(path);
    if (statvfs(at, &vfs) < 0) {
        doctor_problem(ret, DOCTOR_BROKEN, "mend the directory", "%s: %m", at);
        return;
    }
    free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    units_size_format(free_text, sizeof(free_text), free_bytes);
    units_size_format(wanted_text, sizeof(wanted_text), config->capacity_bytes);
    if (config->capacity_bytes > free_bytes)
        doctor_problem(ret,
                       DOCTOR_BROKEN,
                       "lower the setting capacity, or make room",
                       "%s has %s free, and capacity is %s",
                       at,
                       free_text,
                       wanted_text);
    else if (free_bytes < SPACE_MIN)
        doctor_problem(ret,
                       DOCTOR_BROKEN,
                       "make room, or choose another store",
                       "%s has only %s free",
                       at,
                       free_text);
    else
        doctor_ok(ret, "%s (for %s) has %s free", at, store, free_text);
}

/* A directory of root's, in which only root makes the jobs' own. */
static void
root_dir_check(const char *path, const char *what, struct doctor_finding *ret)
{
    struct stat st;

    if (lstat(path, &st) < 0) {
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "the plugin makes it when a job starts",
                       "%s %s: %s",
                       what,
                       path,
                       strerror(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode))
        doctor_problem(
            ret, DOCTOR_BROKEN, "move it away", "%s %s is no directory", what, path);
    else if (st.st_uid != 0 || (st.st_mode & 022))
        doctor_problem(ret,
                       DOCTOR_BROKEN,
                       "chown root and chmod 0755 it",
                       "%s %s belongs to user %u, mode %04o: others could replace a "
                       "job's directory",
                       what,
                       path,
                       st.st_uid,
                       st.st_mode & 07777);
    else
        doctor_ok(ret, "%s %s is root's", what, path);
}

static void run_dir_check(const struct benchfs_config *config,
                          struct doctor_finding *ret)
{
    root_dir_check(config->run_dir, "run_dir", ret);
}

static void store_dir_check(const struct benchfs_config *config,
                            struct doctor_finding *ret)
{
    if (config->store[0] == '/')
        doctor_ok(ret, "the store is a directory of users': %s", config->store);
    else
        root_dir_check(config_store_dir(config), "store directory", ret);
}

static void network_check(const struct benchfs_config *config,
                          struct doctor_finding *ret)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct ifaddrs *list;

    if (getifaddrs(&list) < 0) {
        doctor_problem(ret, DOCTOR_BROKEN, "?", "network interfaces: %m");
        return;
    }
    for (const struct ifaddrs *e = list; e && !text[0]; e = e->ifa_next) {
        if (!e->ifa_addr || e->ifa_addr->sa_family != AF_INET
            || !(e->ifa_flags & IFF_UP) || (e->ifa_flags & IFF_LOOPBACK))
            continue;
        inet_ntop(AF_INET,
                  &((const struct sockaddr_in *)(const void *)e->ifa_addr)->sin_addr,
                  text,
                  sizeof(text));
        doctor_ok(ret,
                  "%s has address %s%s%s",
                  e->ifa_name,
                  text,
                  config->interface[0] ? "; daemons listen on " : "",
                  config->interface);
    }
    if (!text[0])
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "jobs of several nodes need one",
                       "no interface but loopback is up");
    freeifaddrs(list);
}

static void ucx_check(const struct benchfs_config *config, struct doctor_finding *ret)
{
    char *const argv[] = {(char[]){"ucx_info"}, (char[]){"-d"}, NULL};
    char output[65536];
    int status = doctor_command_run(argv, output, sizeof(output));

    (void)config;
    if (status == -ENOENT)
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "install ucx-utils to see the transports",
                       "ucx_info is not there");
    else if (status != 0 || !strstr(output, "Transport: tcp"))
        doctor_problem(ret,
                       DOCTOR_BROKEN,
                       "run ucx_info -d; look at UCX_TLS and UCX_NET_DEVICES",
                       "UCX offers no tcp transport");
    else
        doctor_ok(ret,
                  "UCX offers tcp%s%s",
                  strstr(output, "Transport: rc_") ? ", InfiniBand" : "",
                  strstr(output, "Transport: sysv") ? ", shared memory" : "");
}

const struct doctor_check doctor_node_checks[] = {
    {"programs", programs_check},
    {"fusermount3", fusermount_check},
    {"/dev/fuse", fuse_device_check},
    {"store space", store_space_check},
    {"store directory", store_dir_check},
    {"run_dir", run_dir_check},
    {"network", network_check},
    {"UCX", ucx_check},
    {NULL, NULL},
};
