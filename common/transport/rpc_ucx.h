/* SPDX-License-Identifier: Apache-2.0
 *
 * The remote route of the RPC layer: active messages over UCX, whatever transports UCX
 * finds. Give it as rpc_config.remote; with rpc_config.listen_address it also listens.
 *
 * Its environment is UCX's own, the UCX_* variables (UCX_TLS, UCX_NET_DEVICES, ...).
 * Where they leave it open, it sets UCX_CM_REUSEADDR=y (a restarted daemon gets its
 * port back), UCX_KEEPALIVE_INTERVAL=5s, UCX_TCP_KEEPIDLE=2s, UCX_TCP_KEEPINTVL=1s and
 * UCX_TCP_KEEPCNT=3, so that an idle client notices in about five seconds that a host
 * vanished without a word; calls under way have their deadlines. UCX's log level is
 * left alone.
 */
#ifndef BENCHFS_TRANSPORT_RPC_UCX_H
#define BENCHFS_TRANSPORT_RPC_UCX_H

struct rpc_backend;

extern const struct rpc_backend rpc_backend_ucx;

#endif
