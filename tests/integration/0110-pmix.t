#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pmix/: exchange of records between the tasks of a real step, with a deadline that holds.
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -x $build/tests/pmix_exchange ]] || skip_all "$build/tests/pmix_exchange is not built"

ok "up of 2 nodes" cluster_up 2 --no-plugin
# Where ordinary users of the nodes see it, if it is in /tmp.
shown=/run/benchfs-cluster/$test_cluster/build
[[ -d $shown ]] && build=$shown
exchange=$build/tests/pmix_exchange

like "$(as_user srun -N2 --ntasks-per-node=1 --mpi=pmix "$exchange")" "^2 ranks" \
    "one task per node, several rounds"
like "$(as_user srun -N2 -n8 --mpi=pmix "$exchange")" "^8 ranks" "four tasks per node"
like "$(as_user srun -N1 -n1 --mpi=pmix "$exchange")" "^1 ranks" "one task"
start=$SECONDS
like "$(as_user srun -N2 --ntasks-per-node=1 --mpi=pmix "$exchange" desert 2>&1)" \
    "PMIx_Fence: not all daemons came in time" "a task that leaves: the others' deadline holds"
ok "and is not passed by much" test $((SECONDS - start)) -le 6
like "$(as_user srun -N1 -n1 --mpi=none "$exchange" 2>&1)" "PMIx_Init" "without PMIx: an error"
done_testing
