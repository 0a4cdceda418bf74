/* SPDX-License-Identifier: Apache-2.0
 *
 * struct rpc_auth with libmunge. */
#include "transport/auth_munge.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <munge.h>

/* Long enough for clocks that are a little apart; a replay is refused anyway. */
#define CREDENTIAL_TTL_SEC 60

struct auth_munge {
    struct rpc_auth auth;
    char *socket_path; /* NULL: libmunge's default */
};

static int munge_errno(munge_err_t status)
{
    switch (status) {
    case EMUNGE_SUCCESS:
        return 0;
    case EMUNGE_NO_MEMORY:
        return ENOMEM;
    case EMUNGE_SOCKET:
        return ECONNREFUSED;
    case EMUNGE_TIMEOUT:
        return ETIMEDOUT;
    case EMUNGE_BAD_ARG:
    case EMUNGE_BAD_LENGTH:
    case EMUNGE_OVERFLOW:
        return EINVAL;
    default:
        return EACCES;
    }
}

static int munge_error(struct benchfs_error *err,
                       const char *what,
                       munge_ctx_t context,
                       munge_err_t status)
{
    const char *text = context ? munge_ctx_strerror(context) : NULL;

    return benchfs_error_set(err,
                             munge_errno(status),
                             "MUNGE: %s: %s",
                             what,
                             text ? text : munge_strerror(status));
}

/* A context for one operation: decoding changes it, so it can't be kept. */
static int context_create(const struct auth_munge *munge,
                          munge_ctx_t *ret_context,
                          struct benchfs_error *err)
{
    munge_ctx_t context = munge_ctx_create();
    munge_err_t status = EMUNGE_SUCCESS;

    if (!context)
        return benchfs_error_set(err, ENOMEM, "MUNGE: out of memory");
    if (munge->socket_path)
        status = munge_ctx_set(context, MUNGE_OPT_SOCKET, munge->socket_path);
    if (status != EMUNGE_SUCCESS) {
        int rc = munge_error(err, munge->socket_path, context, status);

        munge_ctx_destroy(context);
        return rc;
    }
    *ret_context = context;
    return 0;
}

static int munge_make(void *arg,
                      const void *challenge,
                      size_t len,
                      char *buf,
                      size_t cap,
                      struct benchfs_error *err)
{
    const struct auth_munge *munge = arg;
    munge_ctx_t context;
    munge_err_t status;
    char *credential = NULL;
    size_t length;
    int rc;

    if (len > INT_MAX)
        return benchfs_error_set(err, EINVAL, "MUNGE: challenge of %zu bytes", len);
    rc = context_create(munge, &context, err);
    if (rc < 0)
        return rc;
    status = munge_ctx_set(context, MUNGE_OPT_TTL, CREDENTIAL_TTL_SEC);
    if (status == EMUNGE_SUCCESS)
        status = munge_ctx_set(context, MUNGE_OPT_UID_RESTRICTION, geteuid());
    if (status == EMUNGE_SUCCESS)
        status = munge_encode(&credential, context, challenge, (int)len);
    if (status != EMUNGE_SUCCESS) {
        rc = munge_error(err, "cannot make a credential", context, status);
        goto out;
    }
    length = strlen(credential);
    if (length > cap) {
        rc = benchfs_error_set(err, ENOBUFS, "MUNGE: credential of %zu bytes", length);
        goto out;
    }
    memcpy(buf, credential, length);
    rc = (int)length;
out:
    free(credential);
    munge_ctx_destroy(context);
    return rc;
}

/* What a credential that decoded says, against what it must say. */
static int payload_check(const void *payload,
                         int payload_len,
                         uid_t owner,
                         const void *challenge,
                         size_t len,
                         uint32_t uid,
                         struct benchfs_error *err)
{
    if (owner != uid)
        return benchfs_error_set(err,
                                 EACCES,
                                 "MUNGE: credential of uid %u, not %u",
                                 (unsigned)owner,
                                 (unsigned)uid);
    if (payload_len < 0 || (size_t)payload_len != len
        || (len > 0 && memcmp(payload, challenge, len) != 0))
        return benchfs_error_set(
            err, EACCES, "MUNGE: credential for another connection");
    return 0;
}

static int munge_check(void *arg,
                       const char *cred,
                       size_t cred_len,
                       const void *challenge,
                       size_t len,
                       uint32_t uid,
                       struct benchfs_error *err)
{
    const struct auth_munge *munge = arg;
    munge_ctx_t context;
    munge_err_t status;
    char *credential;
    void *payload = NULL;
    int payload_len = 0;
    uid_t owner = (uid_t)-1;
    gid_t group;
    int rc = context_create(munge, &context, err);

    if (rc < 0)
        return rc;
    credential = strndup(cred, cred_len); /* libmunge wants it terminated */
    if (!credential) {
        rc = benchfs_error_set(err, ENOMEM, "MUNGE: out of memory");
        goto out;
    }
    status = munge_decode(credential, context, &payload, &payload_len, &owner, &group);
    if (status != EMUNGE_SUCCESS)
        rc = munge_error(err, "credential refused", context, status);
    else
        rc = payload_check(payload, payload_len, owner, challenge, len, uid, err);
out:
    free(payload);
    free(credential);
    munge_ctx_destroy(context);
    return rc;
}

int auth_munge_create(const char *socket_path,
                      struct auth_munge **ret,
                      struct benchfs_error *err)
{
    struct auth_munge *munge = calloc(1, sizeof(*munge));

    if (!munge)
        goto fail;
    if (!socket_path)
        socket_path = getenv("MUNGE_SOCKET");
    if (socket_path) {
        munge->socket_path = strdup(socket_path);
        if (!munge->socket_path)
            goto fail;
    }
    munge->auth = (struct rpc_auth){
        .make = munge_make,
        .check = munge_check,
        .arg = munge,
    };
    *ret = munge;
    return 0;
fail:
    auth_munge_destroy(munge);
    return benchfs_error_set(err, ENOMEM, "MUNGE: out of memory");
}

void auth_munge_destroy(struct auth_munge *munge)
{
    if (!munge)
        return;
    free(munge->socket_path);
    free(munge);
}

const struct rpc_auth *auth_munge_rpc(struct auth_munge *munge)
{
    return &munge->auth;
}
