/* SPDX-License-Identifier: Apache-2.0
 *
 * The direct route: UCX, with MUNGE for proof of identity.
 */
#include "client/remote.h"
#include "transport/auth_munge.h"
#include "transport/rpc_ucx.h"

static int
auth_open(void **ret_state, const struct rpc_auth **ret_auth, struct benchfs_error *err)
{
    struct auth_munge *munge;
    int status = auth_munge_create(NULL, &munge, err);

    if (status < 0)
        return status;
    *ret_state = munge;
    *ret_auth = auth_munge_rpc(munge);
    return 0;
}

static void auth_close(void *state)
{
    auth_munge_destroy(state);
}

const struct client_remote client_remote_ucx = {
    .backend = &rpc_backend_ucx,
    .auth_open = auth_open,
    .auth_close = auth_close,
};
