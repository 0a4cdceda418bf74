/* SPDX-License-Identifier: Apache-2.0
 * The end, in reverse of the start. */
#include <signal.h>

#include "base/log.h"
#include "supervisor/agent.h"
#include "supervisor/supervisor_impl.h"

#define STAGE_GRACE_MS 3000
/* The other nodes' agents may take as long as ours may. */
#define BARRIER_MS 6000

static void agents_await(struct supervisor *supervisor)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    if (bootstrap_barrier(supervisor->bootstrap, deadline_after_ms(BARRIER_MS), &err))
        log_info("other agents: %s", err.text);
}

void supervisor_stop(struct supervisor *supervisor, bool is_clean)
{
    supervisor->is_stopping = true;
    child_end(&supervisor->stage, deadline_after_ms(0), STAGE_GRACE_MS);
    child_fini(&supervisor->stage);
    agent_stop(supervisor);
    supervisor_phase_end(supervisor, "agent-stop");
    /* a mount of another node may still write to our server */
    if (is_clean)
        agents_await(supervisor);
    supervisor_phase_end(supervisor, "agents-stopped");
    server_child_stop(supervisor);
    supervisor_phase_end(supervisor, "server-stop");
    if (supervisor->place.lock_fd >= 0)
        place_remove(&supervisor->place,
                     supervisor->bootstrap
                         && bootstrap_is_embedded(supervisor->bootstrap));
}
