#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# More than a daemon can take at once: no descriptors left, a listener's backlog that overruns,
# half of its clients killed in one moment. Nobody else gets an error, and what was taken is given
# back.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs manyclients >/dev/null || skip_all "benchfs or manyclients is not built"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
require_root

# ---- on one node ----
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
at_exit "rm -rf --one-file-system '$BENCHFS_MEMORY_DIR'"
cat >"$test_dir/common" <<'SH'
server=$(pgrep -f -- "benchfsd --server .*$XDG_RUNTIME_DIR/")
fds() { ls "/proc/$server/fd" | wc -l; }
space() { benchfs status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["used_bytes"])'; }
before=$(fds) space_before=$(space)
# back_to_before: descriptors and space are what they were, within seconds.
back_to_before() {
    local i
    for ((i = 0; i < 100; i++)); do
        (($(fds) <= before + 2 && $(space) <= space_before)) && return 0
        sleep 0.1
    done
    echo "descriptors: $before, then $(fds); space: $space_before, then $(space)"
    return 1
}
SH
cat >"$test_dir/descriptors" <<'SH'
source "$1/common"
prlimit --pid "$server" --nofile=$((before + 40)):
manyclients 300 60 3 && back_to_before
SH
ok "a daemon without descriptors for its clients" benchfs run -n 1 -- bash "$test_dir/descriptors" "$test_dir"

cat >"$test_dir/backlog" <<'SH'
source "$1/common"
kill -STOP "$server"
for ((i = 0; i < 60; i++)); do benchfs ls / >"$1/ls-$i" 2>&1 & pids+=($!); done
sleep 1
kill -CONT "$server"
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
cat "$1"/ls-*
((!failed)) && back_to_before
SH
ok "a listener with a backlog of 8, and 60 clients while it is stopped" unshare --net \
    bash -c 'ip link set lo up && sysctl -qw net.core.somaxconn=8 && exec "$@"' sh \
    benchfs run -n 1 -- bash "$test_dir/backlog" "$test_dir"

cat >"$test_dir/half" <<'SH'
source "$1/common"
for ((i = 0; i < 20; i++)); do
    manyclients 1000000 5 10 "/doomed-$i" & doomed+=($!)
    manyclients 300 5 10 "/others-$i" & others+=($!)
done
for ((i = 0; i < 100; i++)); do # all have begun
    (($(benchfs ls / | wc -l) >= 40)) && break
    sleep 0.05
done
kill -KILL "${doomed[@]}"
for pid in "${others[@]}"; do wait "$pid" || failed=1; done
((!failed)) && back_to_before
SH
ok "half of 200 clients are killed at once" benchfs run -n 1 -- bash "$test_dir/half" "$test_dir"

# ---- from another node ----
ok "up of 2 nodes" cluster_up 2 --build "$build"
in_node n2 sysctl -qw net.core.somaxconn=4
work=$test_dir/work
mkdir -m 777 "$work"
cat >"$work/task" <<'SH'
#!/bin/bash
work=$2
wait_for_file() { for ((i = 0; i < 600; i++)); do [[ -e $work/$1 ]] && return; sleep 0.1; done; exit 1; }
((SLURM_PROCID)) && { wait_for_file end; exit 0; }
touch "$work/ready"
wait_for_file few-descriptors
"$1/tests/manyclients" 200 40 3 || exit 1
touch "$work/many-done"
wait_for_file stopped
for ((i = 0; i < 40; i++)); do "$1/bin/benchfs" ls / >"$work/ls-$i" 2>&1 & pids+=($!); done
sleep 1
touch "$work/waiting"
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
cat "$work"/ls-*
touch "$work/answered"
wait_for_file counted
touch "$work/end"
exit "${failed:-0}"
SH
chmod 755 "$work/task"
reached() { [[ -e $work/$1 ]] || ! kill -0 "$pid" 2>/dev/null; }
as_user bash -c "ulimit -n \$(ulimit -Hn); exec srun -N2 --benchfs=on '$work/task' '$build' '$work'" \
    >"$work/out" 2>&1 &
pid=$!
wait_for 60 reached ready
server=$(cluster exec --name "$test_cluster" n2 -- pgrep -f -- "benchfsd --server")
fds() { in_node n2 bash -c "ls /proc/$server/fd | wc -l"; }
before=$(fds)
like "$(in_node n2 cat "/proc/$server/environ" | tr '\0' '\n')" \
    'UCX_ASYNC_MAX_EVENTS=65536' "a server can have more than 1024 connections"
in_node n2 setpriv --reuid="$(id -u benchuser)" --regid="$(id -g benchuser)" --clear-groups \
    prlimit --pid "$server" --nofile=$((before + 60)):
touch "$work/few-descriptors"
wait_for 120 reached many-done
in_node n2 kill -STOP "$server"
touch "$work/stopped"
wait_for 60 reached waiting
in_node n2 kill -CONT "$server"
wait_for 60 reached answered
few_fds() { local -i now; now=$(fds) && ((now > 0 && now <= before + 2)); }
ok "its descriptors are free again" wait_for 20 few_fds
touch "$work/counted"
wait "$pid"
is $? 0 "clients of another node: few descriptors, a backlog of 4" || tail -n 20 "$work/out" | diag

# ---- a program that closes its connections ----
cat >"$work/pool" <<'SH'
#!/bin/bash
((SLURM_PROCID)) || exec "$1/tests/clients/pool.py" "$2/lib/libbenchfs.so"
SH
chmod 755 "$work/pool"
ok "a program that closes its connections keeps what it has open" as_user env \
    BENCHFS_REQUEST_TIMEOUT=2s srun -N2 --benchfs=on "$work/pool" "$test_root" "$build"
done_testing
