/* SPDX-License-Identifier: Apache-2.0
 *
 * Which handler serves which operation. HELLO and AUTH never come here: the transport
 * answers them.
 */
#include "daemon/op.h"
#include "daemon/ops/ops.h"

const struct op_row op_table[OP_COUNT] = {
    [OP_PING] = {op_ping},
    [OP_TABLE] = {op_table_get},
    [OP_CLIENT_GONE] = {op_client_gone},
    [OP_CLIENT_ALIVE] = {op_client_alive},

    [OP_LOOKUP] = {op_lookup},
    [OP_WALK] = {op_walk},
    [OP_GETATTR] = {op_getattr},
    [OP_SETATTR] = {op_setattr},
    [OP_CREATE] = {op_create},
    [OP_UNLINK] = {op_unlink},
    [OP_RMDIR] = {op_rmdir},
    [OP_RENAME] = {op_rename},
    [OP_LINK] = {op_link},
    [OP_READLINK] = {op_readlink},
    [OP_READDIR] = {op_readdir},
    [OP_OPEN] = {op_open},
    [OP_OPEN_CHECK] = {op_open_check},
    [OP_CLOSE] = {op_close},
    [OP_SYNC] = {op_sync},
    [OP_STORE_SYNC] = {op_store_sync},
    [OP_GETXATTR] = {op_getxattr},
    [OP_SETXATTR] = {op_setxattr},
    [OP_LISTXATTR] = {op_listxattr},
    [OP_REMOVEXATTR] = {op_removexattr},
    [OP_STATFS] = {op_statfs},
    [OP_DIR_MEMBERS] = {op_dir_members},

    [OP_READ] = {op_read},
    [OP_WRITE] = {op_write},
    [OP_APPEND] = {op_append},
    [OP_FALLOCATE] = {op_fallocate},
    [OP_SEEK] = {op_seek},
    [OP_SETTLE] = {op_settle},
    [OP_LOCK] = {op_lock},
    [OP_LOCK_TEST] = {op_lock_test},
    [OP_LOCK_CANCEL] = {op_lock_cancel},
    [OP_COPY] = {op_copy},

    [OP_CHUNK_TRUNCATE] = {op_chunk_truncate},
    [OP_CHUNK_END] = {op_chunk_end},
    [OP_CHUNK_FALLOCATE] = {op_chunk_fallocate},
    [OP_INODE_LINK] = {op_inode_link},
    [OP_INODE_MOVED] = {op_inode_moved},
    [OP_DENTRY_LOCK] = {op_dentry_lock},
    [OP_DENTRY_APPLY] = {op_dentry_apply},
    [OP_DIR_SEAL] = {op_dir_seal},
    [OP_DIR_STAT] = {op_dir_stat},
    [OP_NAMESPACE_LOCK] = {op_namespace_lock},
    [OP_NAMESPACE_RAISE] = {op_namespace_raise},
    [OP_CLAIM_END] = {op_claim_end},
    [OP_CLAIM_CHECK] = {op_claim_check},
    [OP_DIR_MEMBER] = {op_dir_member},

    [OP_STAGE_START] = {op_stage_start},
    [OP_STAGE_WAIT] = {op_stage_wait},
    [OP_STAGE_PULL] = {op_stage_pull},
    [OP_STAGE_DONE] = {op_stage_done},

    [OP_STATUS] = {op_status},
    [OP_STATS] = {op_stats},
    [OP_TASK_EXIT] = {op_task_exit},
    [OP_SHUTDOWN] = {op_shutdown},
    [OP_SET_STATE] = {op_set_state},
    [OP_SURVEY] = {op_survey},
};
