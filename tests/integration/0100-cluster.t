#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ci/cluster: what the other integration tests stand on. Two nodes that look like hosts, exit
# statuses passed through, clusters side by side, nothing left behind, also after a kill.
source "$(dirname "$0")/lib.sh"
require_root

readonly other=$test_cluster-b

# Everything of a cluster that could be left: one line each, nothing if all is gone.
remains() { # NAME
    ls -d "/run/benchfs-cluster/$1" 2>/dev/null
    ip link show | grep -x " *alias benchfs-cluster $1"
    grep -lsxzF "BENCHFS_CLUSTER_DAEMON=$1" /proc/[0-9]*/environ
    grep "/run/benchfs-cluster/$1" /proc/self/mountinfo
}

is_claimed() { [[ -e /run/benchfs-cluster/$1/env ]]; }

# The variable VARIABLE of cluster NAME.
cluster_get() { (source "/run/benchfs-cluster/$1/env" && echo "${!2}"); } # NAME VARIABLE

ok "up of 2 nodes" cluster_up 2
exits 1 "a second up of the same name is refused" cluster up --name "$test_cluster"
like "$(cluster status)" "$test_cluster +up +2 nodes" "status shows it"

is "$(as_user srun -N2 hostname | sort | xargs)" "n1 n2" "srun as ordinary user on both nodes"
is "$(as_user srun -n1 id -un)" benchuser "tasks are the user's"
exits 7 "run passes the exit status on" as_user bash -c 'exit 7'
exits 3 "srun's exit status too" as_user srun -n1 bash -c 'exit 3'
exits 9 "exec passes the exit status on" in_node n2 bash -c 'exit 9'
exits 2 "unknown option is refused" cluster up --no-such-option 1
exits 1 "exec on an unknown node fails" in_node n9 true
is "$(in_node n2 hostname)" n2 "exec is inside the node"
ok "nodes find each other by name" in_node n1 getent hosts n2
is "$(in_node n1 bash -c 'ls /sys/class/net | xargs')" "eth0 lo" "a node sees its own network"
is "$(in_node n1 stat -f -c %T /dev/shm /benchfs /run/benchfs | sort -u)" tmpfs \
    "private /dev/shm, /benchfs and /run/benchfs"
in_node n1 touch /dev/shm/only-here /tmp/only-here
exits 2 "another node does not see this one's files" \
    in_node n2 ls /dev/shm/only-here /tmp/only-here
like "$(in_node n1 bash -c 'munge -n | unmunge')" "Success" "munge's default socket in a node"

if command -v mpicc >/dev/null; then
    cat >"$test_dir/hello.c" <<'C'
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    int rank, size, sum;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf("size %d sum %d\n", size, sum);
    return MPI_Finalize();
}
C
    mpicc -o "$test_dir/hello" "$test_dir/hello.c"
    is "$(as_user srun -N2 -n4 --ntasks-per-node=2 --mpi=pmix "$test_dir/hello")" \
        "size 4 sum 6" "MPI over two nodes with --mpi=pmix"
else
    skip 1 "no mpicc"
fi

# libfuse opens /dev/fuse itself first, and asks fusermount3 to mount only after that.
ok "an ordinary user may open /dev/fuse in a node" as_user srun -n1 bash -c 'exec 3<>/dev/fuse'
ok "fusermount3 is there and setuid" in_node n1 bash -c 'test -u "$(command -v fusermount3)"'

at_exit "cluster down --name $other >/dev/null"
ok "another cluster beside it" cluster up -n 1 --name "$other"
is "$(cluster run --name "$other" -- srun hostname)" n1 "which works"
is "$(as_user srun -N2 hostname | sort | xargs)" "n1 n2" "and the first one still does"
exits 1 "a node of one does not reach the other" \
    in_node n1 bash -c "exec 3<>/dev/tcp/$(cluster_get "$other" net).11/$(cluster_get "$other" node_port)"
credential=$(cluster exec --name "$other" n1 -- munge -n)
like "$(in_node n1 unmunge 2>&1 <<<"$credential")" "Invalid credential" \
    "a credential of one is worth nothing in the other"
ok "down of the other" cluster down --name "$other"
is "$(remains "$other")" "" "nothing of it is left"
is "$(as_user srun -N2 hostname | sort | xargs)" "n1 n2" "the first one still works"

as_user srun -N2 sleep 600 >/dev/null 2>&1 &
job=$!
job_runs() { [[ $(as_root squeue -h -t running -o %D) == 2 ]]; }
ok "a job runs" wait_for 20 job_runs
start=$(date +%s)
ok "down with a job running" cluster down --name "$test_cluster"
ok "is quick" test $(($(date +%s) - start)) -le 4
ok "the job's srun is gone" wait_for 5 eval "! kill -0 $job"
wait "$job" 2>/dev/null
is "$(remains "$test_cluster")" "" "nothing of it is left"
ok "down of what is not there is fine" cluster down --name "$test_cluster"
exits 1 "run without a cluster fails" as_root true

# Killed at several moments: the first is when the name has been claimed, then later ones.
for delay in 0 0.05 0.15; do
    setsid "$test_root/ci/cluster" up -n 2 --name "$other" >/dev/null 2>&1 &
    up=$!
    wait_for 10 is_claimed "$other"
    sleep "$delay"
    kill -KILL "$up" 2>/dev/null
    wait "$up" 2>/dev/null
    ok "down after up was killed (+$delay s)" cluster down --name "$other"
    is "$(remains "$other")" "" "nothing of it is left"
done
setsid "$test_root/ci/cluster" up -n 2 --name "$other" >/dev/null 2>&1 &
up=$!
wait_for 10 is_claimed "$other"
kill -KILL "$up" 2>/dev/null
wait "$up" 2>/dev/null
cluster down --name none-such >/dev/null
if [[ -e /run/benchfs-cluster/$other/ready ]]; then
    skip 1 "up was done before it could be killed"
else
    ok "up over the remains of a killed up" cluster up -n 1 --name "$other"
fi
cluster down --name "$other" >/dev/null

exits 1 "up fails when a slurmd cannot start" \
    cluster up -n 1 --name "$other" --plugin /dev/null --timeout 5
is "$(remains "$other")" "" "and leaves nothing"
done_testing
