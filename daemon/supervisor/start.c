/* SPDX-License-Identifier: Apache-2.0
 * From nothing to "ready", as a sequence of steps; between them the nodes meet in
 * rounds, in which each tells the others that it goes on, or why it can't. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "launch/space.h"
#include "supervisor/agent.h"
#include "supervisor/endpoints.h"
#include "supervisor/join.h"
#include "supervisor/round.h"
#include "supervisor/service_request.h"
#include "supervisor/stage_child.h"
#include "supervisor/supervisor_impl.h"
#include "supervisor/words.h"

#define TELL_MS 3000

/* place, endpoints, connected, mounted */
#define ROUNDS 4

/* ---- rounds ----------------------------------------------------------------- */

static int rank_meet(struct supervisor *supervisor,
                     const struct round_record *mine,
                     struct round_result *ret,
                     struct benchfs_error *err)
{
    int rc =
        round_run(supervisor->bootstrap, mine, supervisor->start_deadline, ret, err);

    supervisor->n_rounds++;
    supervisor->is_peer_failed = rc == -ECONNABORTED;
    /* a round that did not come about has no next one */
    supervisor->is_told = rc != 0;
    if (rc == -EINTR || rc == -ECHILD || rc == -ENOLINK)
        supervisor_wait_error(supervisor, rc, err);
    return rc;
}

/* "I have come this far." */
static int rank_meet_plain(struct supervisor *supervisor, struct benchfs_error *err)
{
    const struct round_record mine = {.verdict = ROUND_OK};
    struct round_result result;
    int rc = rank_meet(supervisor, &mine, &result, err);

    round_result_fini(&result);
    return rc;
}

void supervisor_failure_tell(struct supervisor *supervisor,
                             const struct benchfs_error *err)
{
    const struct round_record mine = {
        .verdict = ROUND_FAILED,
        .data = (const uint8_t *)err->text,
        .len = strlen(err->text),
    };
    struct benchfs_error ignored = BENCHFS_ERROR_INIT;
    struct round_result result;

    if (!supervisor->bootstrap || supervisor->is_told || supervisor->n_rounds >= ROUNDS)
        return;
    supervisor->is_stopping = true;
    (void)round_run(
        supervisor->bootstrap, &mine, deadline_after_ms(TELL_MS), &result, &ignored);
    round_result_fini(&result);
    supervisor->is_told = true;
}

/* ---- the place -------------------------------------------------------------- */

static bool is_first(const struct supervisor *supervisor)
{
    return bootstrap_rank(supervisor->bootstrap) == 0;
}

static int path_make(char **ret,
                     const char *given,
                     const char *base,
                     const char *name,
                     struct benchfs_error *err)
{
    if (given)
        *ret = strdup(given);
    else if (asprintf(ret, "%s/%s", base, name) < 0)
        *ret = NULL;
    return *ret ? 0 : benchfs_error_set(err, ENOMEM, "no memory for a path");
}

static int place_find(struct supervisor *supervisor, struct benchfs_error *err)
{
    const struct supervisor_options *options = supervisor->options;
    const struct benchfs_config *config = supervisor->config;
    char *run_dir = NULL, *store_dir = NULL;
    int rc = path_make(&run_dir, options->run_dir, config->run_dir, options->job, err);

    if (rc == 0)
        rc = path_make(&store_dir,
                       options->store_dir,
                       config_store_dir(config),
                       options->job,
                       err);
    if (rc == 0)
        rc = path_make(&supervisor->socket_path, NULL, run_dir, "shard-0.sock", err);
    if (rc == 0 && options->has_mount)
        rc = path_make(&supervisor->mount, options->mount, run_dir, "mnt", err);
    if (rc == 0)
        rc = place_open(&supervisor->place, run_dir, store_dir, err);
    free(store_dir);
    free(run_dir);
    return rc;
}

/* srun may have bound its task to one CPU; the cgroup's limit stays in force. */
static unsigned cpus_take(void)
{
    cpu_set_t cpus;

    memset(&cpus, 0xff, sizeof(cpus));
    (void)sched_setaffinity(0, sizeof(cpus), &cpus);
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&cpus);
}

/* All nodes must have the same number of shards: the smallest that any proposes. */
static void shards_agree(struct supervisor *supervisor,
                         const struct round_result *result)
{
    supervisor->n_shards = result->records[0].value;
    for (uint32_t i = 1; i < result->n; i++) {
        if (result->records[i].value < supervisor->n_shards)
            supervisor->n_shards = result->records[i].value;
    }
    if (supervisor->n_shards == 0)
        supervisor->n_shards = 1;
}

/* The first node's lock decides whose service this is: SUPERVISOR_JOINED, or it is ours
 * and the other nodes take theirs. */
static int place_claim(struct supervisor *supervisor, struct benchfs_error *err)
{
    struct round_record mine = {
        .verdict = ROUND_OK,
        .value = config_shard_count(supervisor->config, cpus_take()),
    };
    struct round_result result = {.n = 0};
    pid_t holder = 0;
    int rc = place_find(supervisor, err);

    if (rc == 0 && is_first(supervisor)) {
        rc = place_lock(&supervisor->place, &holder, err);
        if (rc == -EBUSY) {
            mine.verdict = ROUND_HELD;
            rc = 0;
        }
    }
    if (rc == 0)
        rc = rank_meet(supervisor, &mine, &result, err);
    if (rc == 0 && result.records[0].verdict == ROUND_HELD)
        rc = SUPERVISOR_JOINED;
    if (rc == 0)
        shards_agree(supervisor, &result);
    round_result_fini(&result);
    if (rc == 0 && !is_first(supervisor))
        rc = place_lock(&supervisor->place, &holder, err);
    if (rc == -EBUSY)
        benchfs_error_append(err, " (process %d)", holder);
    return rc;
}

/* The service's own from here on: directories empty, settings on record, sized. */
static int place_prepare(struct supervisor *supervisor, struct benchfs_error *err)
{
    const struct benchfs_config *config = supervisor->config;
    struct place *place = &supervisor->place;
    /* a directory that a user names must be there */
    bool may_create_parent = config->store[0] != '/';
    char *text;
    int rc = place_store_open(place, may_create_parent, err);

    if (rc == 0)
        rc = agent_mount_clear(supervisor, err);
    if (rc == 0)
        rc = place_clear(place, err);
    if (rc == 0)
        rc = space_capacity(place->store_fd,
                            place->store_dir,
                            config->capacity_bytes,
                            &supervisor->capacity_bytes,
                            err);
    if (rc)
        return rc;
    rc = config_to_json_string(config, true, &text);
    if (rc)
        return benchfs_error_set(err, -rc, "settings: %s", strerror(-rc));
    rc = place_file_write(place, JOIN_CONFIG_NAME, text, err);
    free(text);
    return rc;
}

/* ---- the servers ------------------------------------------------------------ */

/* Daemons of one launcher share the host it gave them; those of a Slurm job are never
 * taken for neighbours, since they need not see each other's sockets. */
static uint64_t host_id(const struct supervisor *supervisor)
{
    const struct supervisor_options *options = supervisor->options;
    uint64_t rank = bootstrap_rank(supervisor->bootstrap);

    if (options->has_host)
        return options->host;
    return hash_bytes(rank + 1, options->job, strlen(options->job));
}

static int table_exchange(struct supervisor *supervisor,
                          const struct bytes *record,
                          struct bytes *ret_table,
                          struct benchfs_error *err)
{
    const struct round_record mine = {
        .verdict = ROUND_OK, .data = record->data, .len = record->size};
    struct round_result result;
    int rc = rank_meet(supervisor, &mine, &result, err);

    if (rc == 0)
        rc = endpoints_table_build(supervisor->config,
                                   supervisor->options->job,
                                   supervisor->n_shards,
                                   &result,
                                   ret_table,
                                   err);
    round_result_fini(&result);
    return rc;
}

static int servers_start(struct supervisor *supervisor, struct benchfs_error *err)
{
    struct bytes record = BYTES_INIT(BOOTSTRAP_RECORD_MAX);
    int rc;

    supervisor->host = host_id(supervisor);
    rc = server_child_start(supervisor, NULL, &record, err);
    supervisor_phase_end(supervisor, "server-start");
    if (rc == 0)
        rc = table_exchange(supervisor, &record, &supervisor->table, err);
    supervisor_phase_end(supervisor, "table");
    if (rc == 0)
        rc = server_child_connect(supervisor, &supervisor->table, err);
    supervisor_phase_end(supervisor, "connect");
    if (rc == 0)
        rc = rank_meet_plain(supervisor, err);
    supervisor_phase_end(supervisor, "connected");
    bytes_fini(&record);
    return rc;
}

/* ---- all -------------------------------------------------------------------- */

static int agents_start(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc = agent_start(supervisor, err);

    supervisor_phase_end(supervisor, "agent-start");
    if (rc == 0)
        rc = rank_meet_plain(supervisor, err);
    supervisor_phase_end(supervisor, "mounted");
    return rc;
}

static int service_open(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    if (!is_first(supervisor))
        return 0;
    rc = stage_child_run(supervisor, err);
    if (rc == 0)
        rc = service_request_state_set(supervisor->socket_path, SERVICE_RUNNING, err);
    if (rc == 0)
        words_ready();
    return rc;
}

static int supervisor_join(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    supervisor->is_told = true; /* the others have ended, or are about to */
    rc = is_first(supervisor) ? join_service(supervisor, err) : 0;
    if (rc)
        return rc;
    if (is_first(supervisor))
        words_joined();
    return SUPERVISOR_JOINED;
}

/* The end of stdin will do as well as a word. */
static int go_wait(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    if (!supervisor->options->waits_for_go)
        return 0;
    rc = supervisor_wait(supervisor, STDIN_FILENO, supervisor->start_deadline);
    if (rc == -ETIMEDOUT)
        return benchfs_error_set(
            err, ETIMEDOUT, "not all nodes of the job have started their daemons");
    return rc ? supervisor_wait_error(supervisor, rc, err) : 0;
}

int supervisor_start(struct supervisor *supervisor, struct benchfs_error *err)
{
    int rc;

    if (supervisor->options->waits_for_go)
        words_up();
    rc = bootstrap_create(supervisor_wait,
                          supervisor,
                          supervisor->start_deadline,
                          &supervisor->bootstrap,
                          err);
    if (rc)
        return rc;
    supervisor_phase_end(supervisor, "bootstrap");
    rc = go_wait(supervisor, err);
    supervisor_phase_end(supervisor, "go");
    if (rc)
        return rc;
    rc = place_claim(supervisor, err);
    supervisor_phase_end(supervisor, "claim");
    if ((rc == 0 || rc == SUPERVISOR_JOINED) && is_first(supervisor)
        && supervisor->options->waits_for_go)
        words_met();
    if (rc == SUPERVISOR_JOINED)
        return supervisor_join(supervisor, err);
    if (rc == 0)
        rc = place_prepare(supervisor, err);
    supervisor_phase_end(supervisor, "prepare");
    if (rc == 0)
        rc = servers_start(supervisor, err);
    if (rc == 0)
        rc = agents_start(supervisor, err);
    supervisor->is_started = rc == 0;
    if (rc == 0)
        rc = service_open(supervisor, err);
    supervisor_phase_end(supervisor, "open");
    return rc;
}
