/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_daemons.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/random.h"
#include "launch/arguments.h"
#include "launch/private_dir.h"
#include "launch/program.h"
#include "launch/space.h"

#define STOP_MS  40000
#define GRACE_MS 5000

/* ---- directories ------------------------------------------------------------ */

/* $XDG_RUNTIME_DIR/benchfs, or /tmp/benchfs-<uid>. */
static int base_dir_make(struct run_daemons *daemons, struct benchfs_error *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    bool has_runtime = runtime && runtime[0] == '/' && access(runtime, W_OK) == 0;
    int n = has_runtime ? asprintf(&daemons->base_dir, "%s/benchfs", runtime)
                        : asprintf(&daemons->base_dir, "/tmp/benchfs-%u", geteuid());
    int fd;

    if (n < 0) {
        daemons->base_dir = NULL;
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    }
    fd = private_dir_open(daemons->base_dir, false, err);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* A subdirectory of this run's; the store's lies where the settings say, but beside
 * what the cluster's jobs have there. */
static int dirs_make(struct run_daemons *daemons,
                     const struct run_daemons_config *config,
                     struct benchfs_error *err)
{
    const struct benchfs_config *settings = config->settings;
    bool is_users = settings->store[0] == '/';
    const char *store = config_store_dir(settings);
    const char *store_base = store;
    int fd = base_dir_make(daemons, err), n;

    if (fd)
        return fd;
    if (!is_users) {
        if (asprintf(&daemons->store_base_dir, "%s-%u", store, geteuid()) < 0)
            daemons->store_base_dir = NULL;
        store_base = daemons->store_base_dir;
    }
    n = asprintf(&daemons->run_dir, "%s/%s", daemons->base_dir, daemons->job);
    if (n < 0)
        daemons->run_dir = NULL;
    n = store_base ? asprintf(&daemons->store_dir,
                              "%s/%s%s",
                              store_base,
                              is_users ? "benchfs-" : "",
                              daemons->job)
                   : -1;
    if (n < 0)
        daemons->store_dir = NULL;
    if (!daemons->run_dir || !daemons->store_dir)
        return benchfs_error_set(err, ENOMEM, "no memory for paths");
    fd = private_dir_open(daemons->run_dir, false, err);
    if (fd >= 0) {
        close(fd);
        fd = private_dir_open(daemons->store_dir, !is_users, err);
    }
    return fd;
}

static void dirs_remove(struct run_daemons *daemons)
{
    char *paths[] = {daemons->run_dir, daemons->store_dir};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char *slash = paths[i] ? strrchr(paths[i], '/') : NULL;
        int dir_fd;

        if (!slash)
            continue;
        *slash = '\0';
        dir_fd = open(paths[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        *slash = '/';
        if (dir_fd < 0)
            continue;
        (void)fs_tree_remove_at(dir_fd, slash + 1);
        close(dir_fd);
    }
    /* the last run to leave takes them away */
    if (daemons->base_dir)
        (void)rmdir(daemons->base_dir);
    if (daemons->store_base_dir)
        (void)rmdir(daemons->store_base_dir);
}

static int mount_choose(struct run_daemons *daemons,
                        const struct run_daemons_config *config,
                        struct benchfs_error *err)
{
    struct stat st;
    int n = 0;

    if (config->mount)
        daemons->mount = strdup(config->mount);
    else
        n = asprintf(&daemons->mount, "%s/mnt", daemons->run_dir);
    if (n < 0 || !daemons->mount) {
        daemons->mount = NULL;
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    }
    if (asprintf(&daemons->socket_path, "%s/node0/shard-0.sock", daemons->run_dir)
        < 0) {
        daemons->socket_path = NULL;
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    }
    if (config->mount && stat(config->mount, &st) == 0 && !S_ISDIR(st.st_mode))
        return benchfs_error_set(
            err, ENOTDIR, "--mount: %s is not a directory", config->mount);
    return 0;
}

/* ---- start ------------------------------------------------------------------ */

/* What one daemon gets of the machine's: they share one file system. */
static int capacity_share(const struct benchfs_config *settings,
                          uint32_t count,
                          int store_fd,
                          const char *store_dir,
                          uint64_t *ret_bytes,
                          struct benchfs_error *err)
{
    uint64_t total;
    int rc;

    if (settings->capacity_bytes > UINT64_MAX / count)
        return benchfs_error_set(err, EOVERFLOW, "capacity: too large");
    rc = space_capacity(
        store_fd, store_dir, settings->capacity_bytes * count, &total, err);
    if (rc == 0)
        *ret_bytes =
            settings->capacity_bytes ? settings->capacity_bytes : total / count;
    return rc;
}

static int settings_text(const struct run_daemons_config *config,
                         uint64_t capacity_bytes,
                         char **ret,
                         struct benchfs_error *err)
{
    struct benchfs_config settings = *config->settings;
    int rc;

    settings.capacity_bytes = capacity_bytes;
    rc = config_to_json_string(&settings, false, ret);
    return rc ? benchfs_error_set(err, -rc, "settings: %s", strerror(-rc)) : 0;
}

static int daemon_start(struct run_daemons *daemons,
                        uint32_t rank,
                        const char *settings,
                        uint64_t host,
                        int words_fd,
                        struct benchfs_error *err)
{
    const struct child_options options = {
        .socket_fd = hub_child_fd(daemons->hub, rank),
        .stdout_fd = rank == 0 ? words_fd : 0,
        .is_own_session = true,
    };
    struct arguments arguments;
    int rc;

    arguments_init(&arguments);
    program_add(&arguments, NULL, "benchfsd");
    arguments_add_pair(&arguments, "--config-json", settings);
    arguments_add_pair(&arguments, "--job", daemons->job);
    arguments_printf(&arguments, "--host-id=%016" PRIx64, host);
    arguments_printf(&arguments, "--run-dir=%s/node%u", daemons->run_dir, rank);
    arguments_printf(&arguments, "--store-dir=%s/node%u", daemons->store_dir, rank);
    if (rank == 0)
        arguments_add_pair(&arguments, "--mount", daemons->mount);
    else
        arguments_add(&arguments, "--no-mount");
    rc = arguments.status;
    if (rc)
        benchfs_error_set(err, -rc, "no memory to start a daemon");
    else
        rc = child_start(&daemons->children[rank], arguments.items, &options, err);
    arguments_fini(&arguments);
    hub_child_fd_close(daemons->hub, rank);
    return rc;
}

static int daemons_spawn(struct run_daemons *daemons,
                         const char *settings,
                         struct benchfs_error *err)
{
    char fd_text[16];
    uint64_t host;
    int words[2], rc = random_u64(&host);

    if (rc)
        return benchfs_error_set(err, -rc, "random numbers: %s", strerror(-rc));
    if (pipe2(words, O_CLOEXEC) < 0)
        return benchfs_error_set(err, errno, "pipe: %m");
    daemons->words_fd = words[0];
    snprintf(fd_text, sizeof(fd_text), "%d", CHILD_CONTROL_FD);
    setenv(HUB_FD_ENV, fd_text, 1);
    for (uint32_t i = 0; rc == 0 && i < daemons->count; i++)
        rc = daemon_start(daemons, i, settings, host, words[1], err);
    unsetenv(HUB_FD_ENV);
    close(words[1]);
    return rc;
}

static int signals_block(struct run_daemons *daemons, struct benchfs_error *err)
{
    sigset_t signals;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    daemons->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return daemons->signal_fd < 0 ? benchfs_error_set(err, errno, "signalfd: %m") : 0;
}

static int daemons_init(struct run_daemons *daemons,
                        const struct run_daemons_config *config,
                        struct benchfs_error *err)
{
    *daemons = (struct run_daemons){
        .words_fd = -1,
        .signal_fd = -1,
        .children = calloc(config->count, sizeof(*daemons->children)),
    };
    if (!daemons->children)
        return benchfs_error_set(err, ENOMEM, "no memory for the daemons");
    daemons->count = config->count;
    for (uint32_t i = 0; i < daemons->count; i++)
        daemons->children[i] = (struct child)CHILD_INIT("daemon");
    snprintf(daemons->job, sizeof(daemons->job), "run-%d", getpid());
    return hub_create(config->count, &daemons->hub, err);
}

int run_daemons_start(struct run_daemons *daemons,
                      const struct run_daemons_config *config,
                      struct benchfs_error *err)
{
    char *settings = NULL;
    uint64_t capacity = 0;
    int store_fd, rc = daemons_init(daemons, config, err);

    if (rc == 0)
        rc = signals_block(daemons, err);
    if (rc)
        return rc;
    store_fd = dirs_make(daemons, config, err);
    if (store_fd < 0)
        return store_fd;
    rc = mount_choose(daemons, config, err);
    if (rc == 0)
        rc = capacity_share(config->settings,
                            config->count,
                            store_fd,
                            daemons->store_dir,
                            &capacity,
                            err);
    close(store_fd);
    if (rc == 0)
        rc = settings_text(config, capacity, &settings, err);
    if (rc == 0)
        rc = daemons_spawn(daemons, settings, err);
    free(settings);
    return rc;
}

/* ---- events ----------------------------------------------------------------- */

enum { POLL_SIGNAL, POLL_WORDS, POLL_OTHER, POLL_FIXED };

/* The next whole line of the first daemon, as an event. */
static enum run_event words_take(struct run_daemons *daemons)
{
    char c;

    while (read(daemons->words_fd, &c, 1) == 1) {
        if (c != '\n') {
            if (daemons->word_len < sizeof(daemons->word) - 1)
                daemons->word[daemons->word_len++] = c;
            continue;
        }
        daemons->word[daemons->word_len] = '\0';
        daemons->word_len = 0;
        if (strcmp(daemons->word, "ready") == 0)
            return RUN_EVENT_READY;
        if (strcmp(daemons->word, "stage-in") == 0)
            return RUN_EVENT_STAGE_IN;
    }
    proc_fd_close(&daemons->words_fd);
    return RUN_EVENT_NONE;
}

static enum run_event event_find(struct run_daemons *daemons,
                                 const struct pollfd *pollers,
                                 uint32_t *ret_rank,
                                 struct signalfd_siginfo *ret_signal)
{
    uint32_t n = daemons->count;

    for (uint32_t i = 0; i < n; i++) {
        if (pollers[POLL_FIXED + i].revents)
            (void)hub_receive(daemons->hub, i);
    }
    if (pollers[POLL_SIGNAL].revents
        && read(daemons->signal_fd, ret_signal, sizeof(*ret_signal))
               == (ssize_t)sizeof(*ret_signal))
        return RUN_EVENT_SIGNAL;
    if (pollers[POLL_OTHER].revents)
        return RUN_EVENT_OTHER;
    if (pollers[POLL_WORDS].revents) {
        enum run_event event = words_take(daemons);

        if (event != RUN_EVENT_NONE)
            return event;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (pollers[POLL_FIXED + n + i].revents
            && child_wait(&daemons->children[i], deadline_after_ms(0)) == 0) {
            *ret_rank = i;
            return RUN_EVENT_DAEMON;
        }
    }
    return RUN_EVENT_NONE;
}

enum run_event run_daemons_wait(struct run_daemons *daemons,
                                int other_fd,
                                struct deadline deadline,
                                uint32_t *ret_rank,
                                struct signalfd_siginfo *ret_signal)
{
    struct pollfd pollers[POLL_FIXED + 2 * HUB_DAEMONS_MAX];
    bool is_forever = deadline.at_ns == UINT64_MAX;
    uint32_t n = daemons->count;

    for (;;) {
        enum run_event event;

        pollers[POLL_SIGNAL] =
            (struct pollfd){.fd = daemons->signal_fd, .events = POLLIN};
        pollers[POLL_WORDS] =
            (struct pollfd){.fd = daemons->words_fd, .events = POLLIN};
        pollers[POLL_OTHER] = (struct pollfd){.fd = other_fd, .events = POLLIN};
        for (uint32_t i = 0; i < n; i++) {
            pollers[POLL_FIXED + i] =
                (struct pollfd){.fd = hub_fd(daemons->hub, i), .events = POLLIN};
            pollers[POLL_FIXED + n + i] =
                (struct pollfd){.fd = daemons->children[i].pid_fd, .events = POLLIN};
        }
        if (poll(pollers,
                 POLL_FIXED + 2 * n,
                 is_forever ? -1 : deadline_remaining_ms(deadline))
            > 0) {
            event = event_find(daemons, pollers, ret_rank, ret_signal);
            if (event != RUN_EVENT_NONE)
                return event;
        } else if (!is_forever && deadline_expired(deadline)) {
            return RUN_EVENT_NONE;
        }
    }
}

/* ---- stop ------------------------------------------------------------------- */

static bool is_any_running(const struct run_daemons *daemons)
{
    for (uint32_t i = 0; i < daemons->count; i++) {
        if (child_is_running(&daemons->children[i]))
            return true;
    }
    return false;
}

/* They meet once more, through us, before their servers end. */
static void daemons_end(struct run_daemons *daemons)
{
    struct deadline deadline = deadline_after_ms(STOP_MS);
    struct signalfd_siginfo info;
    uint32_t rank;

    for (uint32_t i = 0; i < daemons->count; i++) {
        if (child_is_running(&daemons->children[i]))
            kill(daemons->children[i].pid, SIGTERM);
    }
    while (is_any_running(daemons) && !deadline_expired(deadline))
        (void)run_daemons_wait(daemons, -1, deadline, &rank, &info);
    for (uint32_t i = 0; i < daemons->count; i++)
        child_end(&daemons->children[i], deadline_after_ms(0), GRACE_MS);
}

void run_daemons_stop(struct run_daemons *daemons)
{
    if (daemons->hub)
        daemons_end(daemons);
    for (uint32_t i = 0; i < daemons->count; i++)
        child_fini(&daemons->children[i]);
    dirs_remove(daemons);
    hub_destroy(daemons->hub);
    proc_fd_close(&daemons->words_fd);
    proc_fd_close(&daemons->signal_fd);
    free(daemons->children);
    free(daemons->base_dir);
    free(daemons->run_dir);
    free(daemons->store_base_dir);
    free(daemons->store_dir);
    free(daemons->mount);
    free(daemons->socket_path);
}
