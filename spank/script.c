/* SPDX-License-Identifier: Apache-2.0
 * Prolog and epilog: prepares a node for a job, and takes away what it left. */
#include <stdlib.h>

#include "spank/node.h"
#include "spank/plugin.h"

static int job_load(struct plugin *plugin, spank_t spank, struct benchfs_error *err)
{
    uint32_t id = 0;
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    int status = options_load_admin(plugin->config_file, &plugin->admin, err);

    if (status < 0)
        return status;
    if (spank_get_item(spank, S_JOB_ID, &id) != ESPANK_SUCCESS
        || spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS)
        return benchfs_error_set(err, EINVAL, "no job id");
    /* Slurm does not tell the group here; the daemon step sets it. */
    return job_init(&plugin->job, id, 0, uid, gid, plugin->admin);
}

void script_prolog(struct plugin *plugin, spank_t spank)
{
    const char *json = getenv(JOB_PROLOG_CONFIG);
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status;

    if (!json)
        return;
    status = config_from_json_string(json, &plugin->config, &err);
    if (status == 0)
        status = job_load(plugin, spank, &err);
    if (status == 0)
        status = node_prepare(&plugin->job, plugin->admin, plugin->config->store, &err);
    if (status < 0)
        slurm_error("benchfs: prolog: %s", err.text);
}

void script_epilog(struct plugin *plugin, spank_t spank)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int status = job_load(plugin, spank, &err);

    if (status == 0 && node_has_job(&plugin->job, plugin->admin))
        status = node_remove(&plugin->job, plugin->admin, &err);
    if (status < 0)
        slurm_error("benchfs: epilog: job %u: %s", plugin->job.id, err.text);
}
