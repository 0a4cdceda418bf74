/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/bootstrap.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/proc.h"
#include "base/units.h"
#include "launch/hub_message.h"
#include "pmix/pmix_service.h"
#include "supervisor/bootstrap_impl.h"

/* ---- alone ------------------------------------------------------------------ */

static int alone_exchange(struct bootstrap *bootstrap,
                          const void *mine,
                          size_t len,
                          struct bytes *ret,
                          struct deadline deadline,
                          struct benchfs_error *err)
{
    int rc = bytes_append(ret, mine, len);

    (void)bootstrap;
    (void)deadline;
    return rc ? benchfs_error_set(err, -rc, "no memory for a record") : 0;
}

static int alone_barrier(struct bootstrap *bootstrap,
                         struct deadline deadline,
                         struct benchfs_error *err)
{
    (void)bootstrap;
    (void)deadline;
    (void)err;
    return 0;
}

static void alone_close(struct bootstrap *bootstrap)
{
    (void)bootstrap;
}

static const struct bootstrap_impl alone = {
    .is_embedded = true,
    .exchange = alone_exchange,
    .barrier = alone_barrier,
    .close = alone_close,
};

/* ---- any -------------------------------------------------------------------- */

static int hub_open(struct bootstrap *bootstrap,
                    const char *text,
                    struct deadline deadline,
                    struct benchfs_error *err)
{
    uint64_t fd;

    if (units_count_parse(text, &fd, NULL) || fd > INT_MAX
        || proc_fd_cloexec_set((int)fd, true))
        return benchfs_error_set(
            err, EINVAL, "%s: not an open descriptor: %s", HUB_FD_ENV, text);
    return bootstrap_hub_open(bootstrap, (int)fd, deadline, err);
}

int bootstrap_create(bootstrap_wait_fn wait,
                     void *wait_arg,
                     struct deadline deadline,
                     struct bootstrap **ret,
                     struct benchfs_error *err)
{
    struct bootstrap *bootstrap = calloc(1, sizeof(*bootstrap));
    const char *hub_fd = getenv(HUB_FD_ENV);
    int rc = 0;

    if (!bootstrap)
        return benchfs_error_set(err, ENOMEM, "no memory to start");
    *bootstrap = (struct bootstrap){
        .impl = &alone,
        .wait = wait,
        .wait_arg = wait_arg,
        .size = 1,
        .launcher_fd = -1,
    };
    if (hub_fd)
        rc = hub_open(bootstrap, hub_fd, deadline, err);
    else if (pmix_service_is_offered())
        rc = bootstrap_pmix_open(bootstrap, deadline, err);
    if (rc) {
        free(bootstrap);
        return rc;
    }
    *ret = bootstrap;
    return 0;
}

void bootstrap_destroy(struct bootstrap *bootstrap)
{
    if (!bootstrap)
        return;
    bootstrap->impl->close(bootstrap);
    free(bootstrap);
}

uint32_t bootstrap_rank(const struct bootstrap *bootstrap)
{
    return bootstrap->rank;
}

uint32_t bootstrap_size(const struct bootstrap *bootstrap)
{
    return bootstrap->size;
}

bool bootstrap_is_embedded(const struct bootstrap *bootstrap)
{
    return bootstrap->impl->is_embedded;
}

int bootstrap_launcher_fd(const struct bootstrap *bootstrap)
{
    return bootstrap->launcher_fd;
}

int bootstrap_exchange(struct bootstrap *bootstrap,
                       const void *mine,
                       size_t len,
                       struct bytes *ret,
                       struct deadline deadline,
                       struct benchfs_error *err)
{
    return bootstrap->impl->exchange(bootstrap, mine, len, ret, deadline, err);
}

int bootstrap_barrier(struct bootstrap *bootstrap,
                      struct deadline deadline,
                      struct benchfs_error *err)
{
    return bootstrap->impl->barrier(bootstrap, deadline, err);
}
