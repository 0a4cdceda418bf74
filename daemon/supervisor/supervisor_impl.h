/* SPDX-License-Identifier: Apache-2.0
 * Private to this component: the supervisor's state and its parts' interfaces. */
#ifndef BENCHFS_SUPERVISOR_SUPERVISOR_IMPL_H
#define BENCHFS_SUPERVISOR_SUPERVISOR_IMPL_H

#include "launch/child.h"
#include "proto/endpoint_table.h"
#include "supervisor/bootstrap.h"
#include "supervisor/place.h"
#include "supervisor/supervisor.h"

struct supervisor {
    const struct supervisor_options *options;
    const struct benchfs_config *config;
    struct deadline start_deadline;
    uint64_t phase_start_ns;
    char host_name[ENDPOINT_HOST_MAX + 1];
    struct bootstrap *bootstrap;
    unsigned n_rounds; /* exchanges done */
    struct place place;
    char *socket_path; /* of the node's first shard */
    char *mount;       /* where the agent mounts; NULL: no agent */
    bool has_made_mount;
    int signal_fd;
    int stop_signal;     /* the signal that asked for the end, or 0 */
    bool is_stopping;    /* waits look at nothing but what they wait for */
    bool is_told;        /* the others know of the failure, or can't be told */
    bool is_peer_failed; /* the cause is another node's, which tells it */
    bool is_started;     /* all rounds are done: the service is there on all nodes */
    uint64_t host;
    uint32_t n_shards;
    uint64_t capacity_bytes;    /* of this node */
    struct bytes table;         /* of all endpoints, once it is known */
    uint64_t n_restarts;        /* of the server process, since … */
    uint64_t restarts_since_ns; /* … then: clock_now_ns() */
    struct child server;
    struct child agent;
    struct child stage;
};

/* ---- supervisor.c ----------------------------------------------------------- */

/* At log level info: how long the phase took that ends now, and when that is
 * (CLOCK_MONOTONIC). The next one begins. */
void supervisor_phase_end(struct supervisor *supervisor, const char *name);

/* ---- events.c --------------------------------------------------------------- */

/* From here on the process ends in order on SIGTERM, SIGINT and SIGHUP. */
int supervisor_events_open(struct supervisor *supervisor, struct benchfs_error *err);
void supervisor_events_close(struct supervisor *supervisor);

/* Waits until fd (or -1) is readable. 0; -ETIMEDOUT; -EINTR: a signal asked for the end
 * (stop_signal); -ECHILD: a child has ended, see supervisor_dead_child(); -ENOLINK: the
 * launcher has gone. `arg` is a struct supervisor. */
int supervisor_wait(void *arg, int fd, struct deadline deadline);

/* The child that has ended without being asked to, or NULL. */
struct child *supervisor_dead_child(struct supervisor *supervisor);

/* Sets err to what a dead child, or the launcher's end, means; for -ECHILD, -ENOLINK
 * and -EINTR of supervisor_wait(). Returns rc. */
int supervisor_wait_error(struct supervisor *supervisor,
                          int rc,
                          struct benchfs_error *err);

/* ---- server_child.c --------------------------------------------------------- */

/* Starts the server process and takes its endpoint record. restart_ports: NULL, or the
 * ports that a server which has died listened on, "4711,4712". */
int server_child_start(struct supervisor *supervisor,
                       const char *restart_ports,
                       struct bytes *ret_record,
                       struct benchfs_error *err);
/* Gives it the table and waits until it has reached all its peers. */
int server_child_connect(struct supervisor *supervisor,
                         const struct bytes *table,
                         struct benchfs_error *err);
void server_child_stop(struct supervisor *supervisor);

/* Takes a message the server sent by itself: -ESHUTDOWN: a client wants the end;
 * otherwise the server has failed, with its text in err. */
int server_child_message(struct supervisor *supervisor, struct benchfs_error *err);

/* ---- server_restart.c ------------------------------------------------------- */

/* The server process has ended by itself, as err says: starts it again. -errno, with
 * another text in err: it can't be had any more, or has died too often. */
int server_child_restart(struct supervisor *supervisor, struct benchfs_error *err);

/* ---- start.c ---------------------------------------------------------------- */

/* All steps up to "ready". 0: running. SUPERVISOR_JOINED: nothing to do here. -errno:
 * the text is in err, the other ranks know. */
#define SUPERVISOR_JOINED 1
int supervisor_start(struct supervisor *supervisor, struct benchfs_error *err);

/* Ranks that fail still take part in the exchange that the others are waiting in. */
void supervisor_failure_tell(struct supervisor *supervisor,
                             const struct benchfs_error *err);

/* ---- stop.c ----------------------------------------------------------------- */

/* In reverse of the start, whatever was reached. is_clean: all nodes end together, so
 * the servers stay until every agent has unmounted. */
void supervisor_stop(struct supervisor *supervisor, bool is_clean);

#endif
