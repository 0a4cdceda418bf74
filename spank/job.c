/* SPDX-License-Identifier: Apache-2.0
 * Paths of a job, roles of steps, and ids of threads. */
#include "spank/job.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const role_names[] = {
    [JOB_ROLE_NONE] = "none",
    [JOB_ROLE_DAEMON] = "daemon",
    [JOB_ROLE_OWNER] = "owner",
    [JOB_ROLE_MEMBER] = "member",
    [JOB_ROLE_OFF] = "off",
    [JOB_ROLE_FAILED] = "failed",
};

int job_init(struct job *job,
             uint32_t id,
             uint32_t step,
             uid_t uid,
             gid_t gid,
             const struct benchfs_config *config)
{
    int length;

    *job = (struct job){.id = id, .step = step, .uid = uid, .gid = gid};
    snprintf(job->id_text, sizeof(job->id_text), "%u", id);
    if (gethostname(job->host, sizeof(job->host) - 1) < 0)
        strcpy(job->host, "?");
    job->host[strcspn(job->host, ".")] = '\0';
    length = snprintf(job->dir, sizeof(job->dir), "%s/%u", config->run_dir, id);
    if (length < 0 || (size_t)length + sizeof("/shard-0.sock") > sizeof(job->dir))
        return -ENAMETOOLONG;
    stpcpy(stpcpy(job->socket, job->dir), "/shard-0.sock");
    stpcpy(stpcpy(job->mount, job->dir), "/mnt");
    return 0;
}

const char *job_role_name(enum job_role role)
{
    return role_names[role];
}

enum job_role job_role_parse(const char *name)
{
    for (int role = JOB_ROLE_NONE; name && role <= JOB_ROLE_FAILED; role++) {
        if (strcmp(name, role_names[role]) == 0)
            return (enum job_role)role;
    }
    return JOB_ROLE_NONE;
}

static int thread_euid_set(uid_t uid)
{
    return syscall(SYS_setresuid, (uid_t)-1, uid, (uid_t)-1) < 0 ? -errno : 0;
}

static int thread_egid_set(gid_t gid)
{
    return syscall(SYS_setresgid, (gid_t)-1, gid, (gid_t)-1) < 0 ? -errno : 0;
}

int identity_become(uid_t uid, gid_t gid, struct identity *ret_saved)
{
    struct identity saved = {.uid = geteuid(), .gid = getegid()};
    int status;

    /* Only root may choose a group, so by way of root. */
    if (saved.uid == uid && saved.gid == gid) {
        *ret_saved = saved;
        return 0;
    }
    status = thread_euid_set(0);
    if (status == 0)
        status = thread_egid_set(gid);
    if (status == 0)
        status = thread_euid_set(uid);
    if (status < 0) {
        identity_restore(&saved);
        return status;
    }
    *ret_saved = saved;
    return 0;
}

void identity_restore(const struct identity *saved)
{
    if (geteuid() == saved->uid && getegid() == saved->gid)
        return;
    if (geteuid() != 0 && thread_euid_set(0) < 0)
        abort();
    if (thread_egid_set(saved->gid) < 0 || thread_euid_set(saved->uid) < 0)
        abort();
}

int identity_drop(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups)
{
    if (geteuid() != 0 && thread_euid_set(0) < 0)
        return -errno;
    /* The raw calls: this is the only thread, and locks of the C library may be held.
     */
    if (syscall(SYS_setgroups, n_groups, groups) < 0
        || syscall(SYS_setresgid, gid, gid, gid) < 0
        || syscall(SYS_setresuid, uid, uid, uid) < 0)
        return -errno;
    if (uid != 0 && syscall(SYS_setresuid, (uid_t)-1, 0, (uid_t)-1) == 0)
        return -EPERM;
    return 0;
}
