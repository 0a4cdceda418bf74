/* SPDX-License-Identifier: Apache-2.0
 * Slurm has opened libpmix with RTLD_GLOBAL, and is the one to choose which: its
 * functions are found by name, and its structures filled by hand instead of by macros
 * that call into a library we don't link. */
#include "spank/namespace.h"

#include <dlfcn.h>
#include <errno.h>
#include <pmix_common.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

typedef pmix_status_t register_nspace_fn(const pmix_nspace_t nspace,
                                         int n_local,
                                         pmix_info_t info[],
                                         size_t n_info,
                                         pmix_op_cbfunc_t done,
                                         void *arg);

/* Belongs to the PMIx server until it says that it is done; if it never does, it is
 * left to it. */
struct registration {
    int event_fd;
    pmix_status_t status;
    pmix_nspace_t name;
    pmix_info_t info[2];
    char table[];
};

static void registration_free(struct registration *registration)
{
    close(registration->event_fd);
    free(registration);
}

/* In a thread of the PMIx server's. */
static void on_registered(pmix_status_t status, void *arg)
{
    struct registration *registration = arg;
    uint64_t one = 1;

    registration->status = status;
    atomic_thread_fence(memory_order_release);
    (void)!write(registration->event_fd, &one, sizeof(one));
}

static int registration_wait(const struct registration *registration,
                             unsigned timeout_ms)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);
    struct pollfd fd = {.fd = registration->event_fd, .events = POLLIN};

    for (;;) {
        int ready = poll(&fd, 1, deadline_remaining_ms(deadline));

        if (ready > 0) {
            atomic_thread_fence(memory_order_acquire);
            return 0;
        }
        if (ready == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

static struct registration *
registration_new(const char *job, const void *table, size_t size, uint32_t n_targets)
{
    struct registration *registration = calloc(1, sizeof(*registration) + size);

    if (!registration)
        return NULL;
    registration->event_fd = eventfd(0, EFD_CLOEXEC);
    if (registration->event_fd < 0) {
        free(registration);
        return NULL;
    }
    snprintf(registration->name, sizeof(registration->name), "benchfs.%s", job);
    memcpy(registration->table, table, size);
    snprintf(registration->info[0].key, PMIX_MAX_KEYLEN, "%s", PMIX_JOB_SIZE);
    registration->info[0].value.type = PMIX_UINT32;
    registration->info[0].value.data.uint32 = n_targets;
    snprintf(registration->info[1].key, PMIX_MAX_KEYLEN, "%s", NAMESPACE_KEY_ENDPOINTS);
    registration->info[1].value.type = PMIX_BYTE_OBJECT;
    registration->info[1].value.data.bo.bytes = registration->table;
    registration->info[1].value.data.bo.size = size;
    return registration;
}

int namespace_register(const char *job,
                       const void *table,
                       size_t size,
                       uint32_t n_targets,
                       unsigned timeout_ms,
                       struct benchfs_error *err)
{
    register_nspace_fn *register_nspace;
    struct registration *registration;
    pmix_status_t result;
    int status = 0;

    /* POSIX's way to get a function out of dlsym() without a forbidden cast. */
    *(void **)&register_nspace = dlsym(RTLD_DEFAULT, "PMIx_server_register_nspace");
    if (!register_nspace)
        return -ENOSYS;
    registration = registration_new(job, table, size, n_targets);
    if (!registration)
        return benchfs_error_set(err, ENOMEM, "PMIx namespace: %m");
    result = register_nspace(
        registration->name, 0, registration->info, 2, on_registered, registration);
    if (result == PMIX_SUCCESS) {
        status = registration_wait(registration, timeout_ms);
        if (status < 0)
            return benchfs_error_set(
                err, status, "PMIx namespace: %s", strerror(-status));
        result = registration->status;
    }
    registration_free(registration);
    /* The library is there, but no server was started in this process. */
    if (result == PMIX_ERR_INIT)
        return -ENOSYS;
    if (result != PMIX_SUCCESS && result != PMIX_OPERATION_SUCCEEDED)
        return benchfs_error_set(err, EIO, "PMIx namespace: PMIx error %d", result);
    return 0;
}
