#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A node that can't be reached any more: what it holds gives an error in bounded time, the rest is
# usable, and the job's log says which node and when; also when Slurm has given the node up. When
# it comes back, so does what it holds.
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
require_root
ok "up of 3 nodes" cluster_up 3 --build "$build"

work=$test_dir/work
mkdir -m 777 "$work"
cat >"$work/task" <<'SH'
#!/bin/bash
((SLURM_PROCID == 2)) && exec sleep 600
((SLURM_PROCID)) && exit 0
exec "$1/tests/crash/lost.py" "$BENCHFS_MOUNT/d" "$2" ${3:+"$3"}
SH
chmod 755 "$work/task"
link() { in_node n3 ip link set eth0 "$1"; }
# State NAME is reached when the program says so; it has ended if it never does.
reached() { [[ -e $work/$1 ]] || ! kill -0 "$pid" 2>/dev/null; }

as_user env BENCHFS_REQUEST_TIMEOUT=4s BENCHFS_CONNECT_TIMEOUT=2s STATUS_COMMAND="$build/bin/benchfs" srun --no-kill -N3 --benchfs=on \
    "$work/task" "$test_root" "$work" >"$work/out" 2>&1 &
pid=$!
wait_for 60 reached ready
cut_at=$(date +%FT%H:%M)
link down && touch "$work/cut"
wait_for 120 reached cut-seen
link up && touch "$work/mended"
wait_for 120 reached mended-seen
link down && as_root scontrol update nodename=n3 state=down reason=test && touch "$work/lost"
wait "$pid"
is $? 0 "the rest of the scratch is usable" || tail -n 30 "$work/out" | diag
# It was heard of last before the cut, and that is what counts.
minute() { date -d "${cut_at/T/ } $1 minutes" '+%F %H:%M'; }
like "$(cat "$work/out")" \
    "warn: n3 shard 0 has not been reached since ($(minute -1)|$(minute 0)|$(minute 1))" \
    "the job's log says which node, and when"
like "$(cat "$work/out")" "warn: n3 shard 0 is back" "and when it is back" || diag <"$work/out"

# ---- a daemon that can't be started again ----
as_root scontrol update nodename=n3 state=resume
link up
nodes_idle() { [[ $(as_root sinfo --noheader --states=idle --format=%D) == 3 ]]; }
ok "the node is back" wait_for 60 nodes_idle
rm -f "$work"/ready "$work"/cut*
as_user env BENCHFS_RESTART_LIMIT=0 BENCHFS_REQUEST_TIMEOUT=4s BENCHFS_CONNECT_TIMEOUT=2s STATUS_COMMAND="$build/bin/benchfs" \
    srun --no-kill -N3 --benchfs=on "$work/task" "$test_root" "$work" once >"$work/out" 2>&1 &
pid=$!
wait_for 60 reached ready
# the first job's may not have heard of its end yet
server=$(cluster exec --name "$test_cluster" n3 -- pgrep -n -f -- "benchfsd --server")
in_node n3 kill -KILL "$server" && touch "$work/cut"
wait_for 120 reached cut-seen
ok "a daemon that can't be started again: the rest is usable" test -e "$work/cut-seen" ||
    tail -n 30 "$work/out" | diag
like "$(cat "$work/out")" 'benchfsd\[n3\]: error: .*killed by signal 9' "and the log says why"
as_user scancel --me
wait "$pid"
done_testing
