#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# benchfs start and stop in a job script, without the plugin.
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"
require_root
[[ -x ${BENCHFS_BUILD:-$test_root/build/release}/bin/benchfsd ]] || skip_all "benchfsd is not built"
ok "up of 2 nodes" cluster_up 2 --no-plugin
chmod 0777 "$test_dir"

# job SCRIPT: runs it as a batch job on both nodes; its output is in $output.
job() {
    local script=$test_dir/job.sh
    printf '#!/bin/bash\n%s\n' "$1" >"$script"
    chmod 0755 "$script"
    rm -f "$test_dir/job.out"
    as_user sbatch --wait -N2 -o "$test_dir/job.out" "$script" >/dev/null 2>&1
    job_status=$?
    output=$(cat "$test_dir/job.out")
}
left_in_nodes() {
    local node
    for node in n1 n2; do
        # other users' mounts of the machine are seen in the nodes too
        in_node "$node" bash -c "ls -d /tmp/benchfs-* /dev/shm/benchfs-*
            grep '/tmp/benchfs-$(id -u benchuser)/' /proc/mounts
            ps -e -o args= | grep '[b]enchfsd '" 2>/dev/null
    done
}
nothing_left() { [[ -z $(left_in_nodes) ]]; }

job 'set -e
eval "$(benchfs start --capacity=64M)"
benchfs status | grep "^state *running"
echo from-script >$BENCHFS_MOUNT/a
srun --mpi=none bash -c "cat \$BENCHFS_MOUNT/a; cd \$BENCHFS_MOUNT; hostname >h.\$(hostname)"
sort $BENCHFS_MOUNT/h.n1 $BENCHFS_MOUNT/h.n2 | xargs
benchfs start >/dev/null && echo joined
benchfs start --capacity=65M 2>&1 >/dev/null || echo refused
benchfs stop
test ! -e $BENCHFS_SOCKET && echo stopped'
is "$job_status" 0 "the job ends well" || diag <<<"$output"
is "$(grep -c '^from-script$' <<<"$output")" 2 "both nodes see the script's file"
like "$output" $'\nn1 n2\n' "the script sees both nodes' files"
like "$output" $'\njoined\n' "a second start joins"
like "$output" "benchfs-capacity=.*runs with .*refused" "with another capacity it is refused"
like "$output" "stopped$" "stop waits for the end"
ok "nothing is left" wait_for 10 nothing_left || left_in_nodes | diag

# fails DESCRIPTION REGEX START-ARGS
fails() {
    job "start=\$(date +%s%N); $3 && echo bad; echo took \$(((\$(date +%s%N) - start) / 1000000)) ms"
    like "$output" "$2" "$1"
    ok "... within 5 s" test "$(sed -n 's/^took \(.*\) ms$/\1/p' <<<"$output")" -le 5000
    ok "... nothing is left" wait_for 10 nothing_left || left_in_nodes | diag
}
in_node n1 mkdir -m 1777 /dev/shm/only-n1
fails "a store on one node only: that node is named" \
    'benchfsd\[n2\]: error: --benchfs-store: directory /dev/shm/only-n1: No such file' \
    'benchfs start --store=/dev/shm/only-n1'
fails "an interface on one node only" \
    'benchfsd\[n2\]: error: interface: [0-9./]*: no address of this node fits' \
    'BENCHFS_INTERFACE=$(hostname -I | xargs)/32 benchfs start'
fails "loopback" "interface: lo: other nodes can't reach loopback" \
    'BENCHFS_INTERFACE=lo benchfs start'
# The nodes' second network: IPv6 alone.
for node in 1 2; do in_node "n$node" ip -6 addr add "fd00:bf5::$node/64" dev eth0 nodad; done
for interface in eth0 10.88.0.0/16 fd00:bf5::/64; do
    family='"10\.88\.'
    [[ $interface == fd00* ]] && family='"\[?fd00:bf5::'
    job "export BENCHFS_INTERFACE=$interface; "'eval "$(benchfs start)" || exit 1
        benchfs status --table
        srun bash -c "echo \$SLURM_PROCID >$BENCHFS_MOUNT/by-\$SLURM_PROCID"
        srun bash -c "cat $BENCHFS_MOUNT/by-*" | sort | xargs
        benchfs stop'
    is "$job_status" 0 "interface $interface: the job ends well" || diag <<<"$output"
    like "$output" $'\n0 0 1 1' "... the nodes see each other's files"
    is "$(grep -cE "socket_address.*$family" <<<"$output")" 2 "... and listen there" ||
        grep address <<<"$output" | diag
done

fails "capacity" 'benchfsd\[n1\]: error: --benchfs-capacity=900.0 TiB: more than' \
    'benchfs start --capacity=900T'
fails "a stage-in source that is not there" '/no/such/source' \
    'benchfs start --stage-in=/no/such/source:/in'

job 'eval "$(benchfs start)"; echo data >$BENCHFS_MOUNT/f; exit 3'
is "$job_status" 3 "a job that does not stop it ends all the same"
done_testing
