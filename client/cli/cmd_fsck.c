/* SPDX-License-Identifier: Apache-2.0
 * benchfs fsck: checks the whole file system, of a running service or of the stores
 * that one has left. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/fsck.h"
#include "launch/program.h"
#include "proto/messages.h"
#include "proto/ops.h"

#define ANSWER_SPACE (256u << 10)
#define STORES_MAX   4096
/* Of a running service: what is wrong this many times, apart by this long, is a fault;
 * once may have been an operation under way. */
#define LOOKS    3
#define PAUSE_US 300000u

/* Faults of a look, sorted lines. */
struct faults {
    char **lines;
    size_t n, capacity;
    bool is_short; /* of memory */
};

static void faults_free(struct faults *faults)
{
    for (size_t i = 0; i < faults->n; i++)
        free(faults->lines[i]);
    free(faults->lines);
    *faults = (struct faults){.lines = NULL};
}

static void faults_add(void *arg, const char *text)
{
    struct faults *faults = arg;

    if (faults->n == faults->capacity) {
        size_t capacity = faults->capacity ? faults->capacity * 2 : 16;
        char **lines = realloc(faults->lines, capacity * sizeof(*lines));

        if (!lines) {
            faults->is_short = true;
            return;
        }
        faults->lines = lines;
        faults->capacity = capacity;
    }
    faults->lines[faults->n] = strdup(text);
    if (faults->lines[faults->n])
        faults->n++;
    else
        faults->is_short = true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keeps in *kept what is in both. */
static void faults_intersect(struct faults *kept, const struct faults *now)
{
    size_t n = 0;

    for (size_t i = 0; i < kept->n; i++) {
        if (now->n > 0
            && bsearch(
                &kept->lines[i], now->lines, now->n, sizeof(*now->lines), by_text))
            kept->lines[n++] = kept->lines[i];
        else
            free(kept->lines[i]);
    }
    kept->n = n;
}

static int records_add(struct fsck *fsck,
                       uint32_t target,
                       const uint8_t *data,
                       size_t len,
                       struct benchfs_error *err)
{
    struct wire_reader r = {.data = data, .length = len};

    while (r.position < r.length) {
        struct survey_record record;

        survey_record_get(&r, &record);
        if (r.failed)
            return benchfs_error_set(
                err, EPROTO, "target %" PRIu32 ": records can't be read", target);
        if (fsck_add(fsck, target, &record))
            return benchfs_error_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

/* ---- of a running service */

static int table_ask(struct client *client,
                     struct fsck *fsck,
                     uint32_t target,
                     uint8_t table,
                     uint8_t *space,
                     struct benchfs_error *err)
{
    uint8_t body[MSG_survey_request_MAX];
    struct msg_survey_request m = {.table = table};
    struct msg_survey_reply reply;
    uint8_t next[WIRE_TEXT_MAX];
    int rc;

    do {
        struct iovec answer = {.iov_base = space, .iov_len = ANSWER_SPACE};
        struct client_request request = {
            .opcode = OP_SURVEY,
            .target = target,
            .body = body,
            .body_len = msg_survey_request_encode(&m, body, sizeof(body)),
            .recv = &answer,
            .n_recv = 1,
        };

        rc = client_request_sync(client, &request);
        if (rc == 0)
            rc = msg_survey_reply_decode(&reply, request.reply, request.reply_len);
        if (rc)
            return benchfs_error_set(
                err, -rc, "target %" PRIu32 ": %s", target, strerror(-rc));
        rc = records_add(fsck, target, space, request.received, err);
        memcpy(next, reply.next.data, reply.next.len);
        m.from = (struct wire_text){(const char *)next, reply.next.len};
    } while (rc == 0 && m.from.len > 0);
    return rc;
}

static int service_ask(struct client *client,
                       struct faults *faults,
                       struct fsck_counts *ret,
                       struct benchfs_error *err)
{
    uint32_t n_targets = client_table(client)->n_endpoints;
    struct fsck *fsck = fsck_create(n_targets);
    uint8_t *space = malloc(ANSWER_SPACE);
    int rc = fsck && space ? 0 : benchfs_error_set(err, ENOMEM, "out of memory");

    /* table by table: what belongs together is looked at close in time */
    for (uint8_t table = 0; rc == 0 && table < SURVEY_N_TABLES; table++) {
        for (uint32_t target = 0; rc == 0 && target < n_targets; target++)
            rc = table_ask(client, fsck, target, table, space, err);
    }
    if (rc == 0 && fsck_run(fsck, faults_add, faults, ret))
        rc = benchfs_error_set(err, ENOMEM, "out of memory");
    fsck_destroy(fsck);
    free(space);
    return rc;
}

static int service_check(struct client *client,
                         struct faults *ret,
                         struct fsck_counts *ret_counts,
                         struct benchfs_error *err)
{
    int rc = 0;

    for (int look = 0; rc == 0 && look < LOOKS; look++) {
        struct faults now = {.lines = NULL};

        if (look > 0 && ret->n == 0)
            return 0;
        if (look > 0)
            usleep(PAUSE_US);
        rc = service_ask(client, look == 0 ? ret : &now, ret_counts, err);
        if (look == 0 && ret->n > 0)
            qsort(ret->lines, ret->n, sizeof(*ret->lines), by_text);
        if (look > 0 && now.n > 0)
            qsort(now.lines, now.n, sizeof(*now.lines), by_text);
        if (look > 0)
            faults_intersect(ret, &now);
        faults_free(&now);
    }
    return rc;
}

/* ---- of stores that no service has open */

struct stored {
    uint32_t target;
    uint8_t *data;
    size_t len;
};

struct stores {
    struct stored *list;
    size_t n, capacity;
    uint32_t n_targets;
    bool was_seen[STORES_MAX];
};

static int stored_read(struct stores *stores, FILE *in)
{
    uint8_t head[8];
    struct wire_reader r = {.data = head, .length = sizeof(head)};

    while (fread(head, sizeof(head), 1, in) == 1) {
        struct stored *one;

        if (stores->n == stores->capacity) {
            size_t capacity = stores->capacity ? stores->capacity * 2 : 64;
            struct stored *list = realloc(stores->list, capacity * sizeof(*list));

            if (!list)
                return -ENOMEM;
            stores->list = list;
            stores->capacity = capacity;
        }
        one = &stores->list[stores->n];
        r.position = 0;
        one->target = wire_get_u32(&r);
        one->len = wire_get_u32(&r);
        if (one->target >= STORES_MAX || one->len > ANSWER_SPACE)
            return -EPROTO;
        one->data = malloc(one->len + 1);
        if (!one->data)
            return -ENOMEM;
        stores->n++;
        if (fread(one->data, 1, one->len, in) != one->len)
            return -EPROTO;
        stores->was_seen[one->target] = true;
        if (one->target >= stores->n_targets)
            stores->n_targets = one->target + 1;
    }
    return ferror(in) ? -EIO : 0;
}

/* The daemon's program, with what it writes in a pipe; no return. */
static void survey_exec(struct arguments *arguments, int out)
{
    dup2(out, STDOUT_FILENO);
    execv(arguments->items[0], arguments->items);
    fprintf(stderr, "benchfs fsck: %s: %s\n", arguments->items[0], strerror(errno));
    _exit(127);
}

/* Has the daemon's program read the stores beneath a directory. */
static int
directory_read(struct stores *stores, const char *path, struct benchfs_error *err)
{
    struct arguments arguments;
    int fds[2], status, rc;
    pid_t pid = -1;
    FILE *in;

    arguments_init(&arguments);
    program_add(&arguments, NULL, "benchfsd");
    arguments_add(&arguments, "--survey");
    arguments_add(&arguments, path);
    if (arguments.status || pipe2(fds, O_CLOEXEC) < 0) {
        arguments_fini(&arguments);
        return benchfs_error_set(err, EMFILE, "%s: no memory or no pipe", path);
    }
    pid = fork();
    if (pid == 0)
        survey_exec(&arguments, fds[1]);
    arguments_fini(&arguments);
    close(fds[1]);
    in = fdopen(fds[0], "r");
    rc = pid > 0 && in ? stored_read(stores, in) : -ENOMEM;
    if (in)
        fclose(in);
    else
        close(fds[0]);
    if (pid > 0 && (waitpid(pid, &status, 0) < 0 || status != 0) && rc == 0)
        return benchfs_error_set(err, EUCLEAN, "%s: can't be read", path);
    return rc ? benchfs_error_set(err, -rc, "%s: %s", path, strerror(-rc)) : 0;
}

static int stores_check(char *const *paths,
                        struct faults *ret,
                        struct fsck_counts *ret_counts,
                        struct benchfs_error *err)
{
    struct stores *stores = calloc(1, sizeof(*stores));
    struct fsck *fsck = NULL;
    int rc = stores ? 0 : benchfs_error_set(err, ENOMEM, "out of memory");

    for (; rc == 0 && *paths; paths++)
        rc = directory_read(stores, *paths, err);
    for (uint32_t t = 0; rc == 0 && t < stores->n_targets; t++) {
        if (!stores->was_seen[t])
            rc = benchfs_error_set(err,
                                   ENOENT,
                                   "the store of target %" PRIu32
                                   " is not there; all nodes' are needed",
                                   t);
    }
    if (rc == 0) {
        fsck = fsck_create(stores->n_targets);
        if (!fsck)
            rc = benchfs_error_set(err, ENOMEM, "out of memory");
    }
    for (size_t i = 0; rc == 0 && i < stores->n; i++)
        rc = records_add(fsck,
                         stores->list[i].target,
                         stores->list[i].data,
                         stores->list[i].len,
                         err);
    if (rc == 0 && fsck_run(fsck, faults_add, ret, ret_counts))
        rc = benchfs_error_set(err, ENOMEM, "out of memory");
    fsck_destroy(fsck);
    for (size_t i = 0; stores && i < stores->n; i++)
        free(stores->list[i].data);
    if (stores)
        free(stores->list);
    free(stores);
    return rc;
}

/* ---- the command */

static int result_print(const struct faults *faults, const struct fsck_counts *counts)
{
    for (size_t i = 0; i < faults->n; i++)
        puts(faults->lines[i]);
    printf("%" PRIu64 " inodes (%" PRIu64 " directories), %" PRIu64 " entries, %" PRIu64
           " chunks, %" PRIu64 " without a name, %" PRIu64 " pending, %zu faults\n",
           counts->n_inodes,
           counts->n_directories,
           counts->n_dentries,
           counts->n_chunks,
           counts->n_orphans,
           counts->n_pending,
           faults->n);
    return faults->n > 0 || faults->is_short || fflush(stdout) < 0 ? CLI_FAILED
                                                                   : CLI_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    struct faults faults = {.lines = NULL};
    struct fsck_counts counts;
    struct client *client;
    int rc;

    if (cli_option_next(command, argc, argv, "", NULL, &common) == '?')
        return CLI_USAGE;
    if (common.wants_help)
        return CLI_OK;
    if (optind < argc) {
        rc = stores_check(argv + optind, &faults, &counts, &err);
    } else {
        rc = cli_client_open(&common, &client, &err);
        if (rc == 0) {
            rc = service_check(client, &faults, &counts, &err);
            client_close(client);
        }
    }
    rc = rc ? cli_fail(command, &err) : result_print(&faults, &counts);
    faults_free(&faults);
    return rc;
}

const struct cli_command cmd_fsck = {
    .name = "fsck",
    .summary = "check the whole file system",
    .usage =
        "usage: benchfs fsck [--socket PATH] [STORE_DIR...]\n"
        "Compares all records of all targets: entries, inodes, links, directories,\n"
        "chunks, blocks. Prints a line for each fault, then what it has seen; exits\n"
        "with 1 if there is a fault. It changes nothing.\n"
        "  STORE_DIR      without a service: the job's store directories of all nodes\n"
        "  --socket PATH  socket of the node's daemon (default: $BENCHFS_SOCKET,\n"
        "                 then the job's)\n",
    .run = run,
};
