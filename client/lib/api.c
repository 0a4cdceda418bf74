/* SPDX-License-Identifier: Apache-2.0
 *
 * The handle of the path-based API: making it, ending it, and starting afresh in a
 * child after fork.
 */
#include "client/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "client/remote.h"

#define FORK_MARK_SIZE 4096u

enum fork_state {
    FORK_FRESH = 0, /* what the kernel leaves in a child */
    FORK_READY,
    FORK_BUSY, /* a thread is starting afresh */
};

/* ---- set-up ---------------------------------------------------------- */

static int string_own(const char **text)
{
    if (!*text)
        return 0;
    *text = strdup(*text);
    return *text ? 0 : -ENOMEM;
}

static int options_own(struct benchfs *fs, const struct benchfs_options *given)
{
    struct benchfs_options *options = &fs->options;
    int status = 0;

    benchfs_options_init(options);
    if (given)
        memcpy(options,
               given,
               given->size < sizeof(*options) ? given->size : sizeof(*options));
    options->error = NULL;
    options->error_size = 0;
    if (!options->mount)
        options->mount = getenv("BENCHFS_MOUNT");
    /* Both, so that what is freed is ours whatever fails. */
    if (string_own(&options->mount) < 0)
        status = -ENOMEM;
    if (string_own(&options->socket_path) < 0)
        status = -ENOMEM;
    if (status == 0 && options->mount) {
        fs->mount_len = strlen(options->mount);
        while (fs->mount_len > 0 && options->mount[fs->mount_len - 1] == '/')
            fs->mount_len--;
    }
    return status;
}

/* umask(2) can only be asked for by setting it, which other threads would see. */
static mode_t umask_get(void)
{
    char *text;
    const char *line;
    unsigned value = 022;

    if (fs_file_read("/proc/self/status", 64u << 10, &text, NULL) < 0)
        return value;
    line = strstr(text, "\nUmask:");
    if (line && sscanf(line + strlen("\nUmask:"), "%o", &value) != 1)
        value = 022;
    free(text);
    return value & 0777;
}

static int groups_get(struct benchfs *fs)
{
    int n = getgroups(0, NULL);

    if (n <= 0)
        return 0;
    fs->groups = calloc((size_t)n, sizeof(gid_t));
    if (!fs->groups)
        return -ENOMEM;
    fs->n_groups = getgroups(n, fs->groups);
    if (fs->n_groups < 0)
        fs->n_groups = 0;
    return 0;
}

static int fork_mark_create(struct benchfs *fs)
{
    void *page = mmap(NULL,
                      FORK_MARK_SIZE,
                      PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS,
                      -1,
                      0);

    if (page == MAP_FAILED)
        return -errno;
    if (madvise(page, FORK_MARK_SIZE, MADV_WIPEONFORK) < 0) {
        int status = -errno;

        munmap(page, FORK_MARK_SIZE);
        return status;
    }
    fs->fork_mark = page;
    atomic_store(fs->fork_mark, FORK_READY);
    return 0;
}

static int client_connect(struct benchfs *fs,
                          bool is_child,
                          struct client **ret,
                          struct benchfs_error *err)
{
    struct client_config config = {
        .route = fs->options.route == BENCHFS_ROUTE_LOCAL ? CLIENT_ROUTE_LOCAL
                                                          : CLIENT_ROUTE_AUTO,
        .socket_path = fs->options.socket_path,
        .kind = HELLO_CLIENT,
        .timeout_ms = fs->options.timeout_ms,
        .remote = &client_remote_ucx,
    };
    void *table = NULL;
    int status = 0;

    /* A child is no PMIx process of its own. */
    if (!is_child)
        status = api_table_get(
            &fs->options, &table, &config.table_len, &fs->must_release_pmix, err);
    if (status < 0)
        return status;
    config.table = table;
    status = client_open(&config, ret, err);
    free(table);
    return status;
}

static void handle_free(struct benchfs *fs)
{
    if (!fs)
        return;
    if (fs->must_release_pmix && atomic_load(fs->fork_mark) == FORK_READY)
        api_table_release();
    if (fs->fork_mark)
        munmap(fs->fork_mark, FORK_MARK_SIZE);
    free((char *)fs->options.mount);
    free((char *)fs->options.socket_path);
    free(fs->groups);
    pthread_mutex_destroy(&fs->fd_lock);
    free(fs);
}

static int handle_new(struct benchfs **ret, const struct benchfs_options *options)
{
    struct benchfs *fs = calloc(1, sizeof(*fs));
    int status;

    if (!fs)
        return -ENOMEM;
    pthread_mutex_init(&fs->fd_lock, NULL);
    status = options_own(fs, options);
    if (status == 0)
        status = groups_get(fs);
    if (status == 0)
        status = fork_mark_create(fs);
    if (status < 0) {
        handle_free(fs);
        return status;
    }
    fs->umask = umask_get();
    *ret = fs;
    return 0;
}

int benchfs_init(struct benchfs **ret, const struct benchfs_options *options)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct benchfs *fs = NULL;
    int status;

    if (!ret || (options && options->size < offsetof(struct benchfs_options, error)))
        return -EINVAL;
    status = handle_new(&fs, options);
    if (status < 0)
        benchfs_error_set(&err, status, "cannot start: %s", strerror(-status));
    else
        status = client_connect(fs, false, &fs->client, &err);
    if (status < 0) {
        if (options && options->size >= sizeof(*options) && options->error
            && options->error_size > 0)
            snprintf(options->error, options->error_size, "%s", err.text);
        handle_free(fs);
        return status;
    }
    *ret = fs;
    return 0;
}

int benchfs_fini(struct benchfs *fs)
{
    int status = 0;

    if (!fs)
        return 0;
    /* A child that never used it has nothing of its own to close, and must not touch
     * what it shares with its parent. */
    if (atomic_load(fs->fork_mark) == FORK_READY) {
        status = api_fd_close_all(fs);
        client_close(fs->client);
    }
    handle_free(fs);
    return status;
}

/* ---- fork ------------------------------------------------------------ */

/* The parent's client can't be ended here: its locks may be held by threads that the
 * child does not have, and what it would say goodbye to is the parent's. It is left. */
static int start_afresh(struct benchfs *fs)
{
    struct client *client;
    int status;

    pthread_mutex_init(&fs->fd_lock, NULL);
    status = client_connect(fs, true, &client, NULL);
    if (status < 0)
        return status;
    fs->client = client;
    fs->must_release_pmix = false;
    fs->generation++;
    atomic_store(&fs->has_range_locks, false);
    status = api_fd_reopen_all(fs);
    if (status < 0)
        client_close(client);
    return status;
}

static int fork_recover(struct benchfs *fs)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int expected = FORK_FRESH;
    int status;

    if (atomic_compare_exchange_strong(fs->fork_mark, &expected, FORK_BUSY)) {
        status = start_afresh(fs);
        atomic_store(fs->fork_mark, status < 0 ? FORK_FRESH : FORK_READY);
        return status;
    }
    /* Ends with the connect timeout of the thread that is at it. */
    while (atomic_load(fs->fork_mark) == FORK_BUSY)
        nanosleep(&pause, NULL);
    return atomic_load(fs->fork_mark) == FORK_READY ? 0 : -EHOSTDOWN;
}

int api_enter(struct benchfs *fs)
{
    if (atomic_load_explicit(fs->fork_mark, memory_order_acquire) == FORK_READY)
        return 0;
    return fork_recover(fs);
}
