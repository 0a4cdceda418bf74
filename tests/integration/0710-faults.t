#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Faults under load on two nodes: a daemon that is stopped, a link that is down, clients that are
# killed. Programs wait and see nothing, if it is over within their deadline; and what killed
# ones had is given back.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -x $build/tests/fsdiff ]] || skip_all "fsdiff is not built"
require_root
ok "up of 2 nodes" cluster_up 2 --build "$build"

# Compares random operations with a local file system until there is a file "stop".
cat >"$test_dir/load" <<'SH'
#!/bin/bash
own=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
trap 'rm -rf "$own"' EXIT
seed=$((500000 + SLURM_PROCID * 10000))
while [[ ! -e $2/stop ]]; do
    "$1/tests/fsdiff" --shrink 0 --seed $((seed++)) --sequences 1 "$BENCHFS_MOUNT" "$own" || exit 1
    touch "$2/ran-$SLURM_PROCID"
done
SH
chmod 755 "$test_dir/load"

in_node() { cluster exec --name "$test_cluster" "$@"; }
server_of() { in_node "$1" -- pgrep -f -- "benchfsd --server"; }
loaded() { [[ -e $work/ran-0 && -e $work/ran-1 ]]; }
ran_again() { rm -f "$work"/ran-*; wait_for 60 loaded; }

# under_load DESCRIPTION CMD...: while programs run on both nodes; they go on after it.
under_load() {
    local description=$1 status=0 pid
    shift
    work=$(mktemp -d "$test_dir/load.XXXXXX") && chmod 777 "$work"
    as_user env BENCHFS_CHUNK_SIZE=64KiB srun -N2 --benchfs=on "$test_dir/load" "$build" "$work" \
        >"$work/out" 2>&1 &
    pid=$!
    wait_for 60 loaded || status=91
    ((status)) || "$@" >>"$work/out" 2>&1 || status=92
    ((status)) || ran_again || status=93
    touch "$work/stop"
    wait "$pid" || status=$?
    ((status == 0)) && pass "$description" && return
    fail "$description"
    { echo "status $status"; tail -n 30 "$work/out"; } | diag
}

stop_daemon() {
    local pid
    pid=$(server_of n2) || return 1
    in_node n2 -- kill -STOP "$pid"
    sleep "$1"
    in_node n2 -- kill -CONT "$pid"
}
under_load "a daemon that is stopped for 5 s" stop_daemon 5

cut_link() {
    in_node n2 -- ip link set eth0 down || return 1
    sleep "$1"
    in_node n2 -- ip link set eth0 up
}
under_load "a link that is down for 5 s" cut_link 5
under_load "a link that is down for 12 s" cut_link 12

# Every connection of n1's daemon with the other node, and of n2's mount with it.
break_connections() {
    local i broken=0 pids
    pids=$(in_node n1 -- pgrep -f -- 'benchfsd --server|benchfs-agent' | paste -sd '|')
    for ((i = 0; i < 20; i++)); do
        broken=$((broken + $(in_node n1 -- bash -c '
            ss -Htnp state established dst 10.0.0.0/8 | grep -E "pid=($1)," |
            while read -r _ _ here there _; do ss -K src "$here" dst "$there" | tail -n +2; done | wc -l' \
            break "$pids")))
        sleep 0.2
    done
    echo "$broken connections broken"
    ((broken >= 20))
}
under_load "connections that are broken again and again" break_connections

# ---- longer than requests wait ----
cat >"$test_dir/ledger" <<'SH'
#!/bin/bash
"$1/tests/crash/ledger.py" "$BENCHFS_MOUNT/$SLURM_PROCID" "$3/stop" "$3/ran-$SLURM_PROCID" 8 \
    ETIMEDOUT || exit 1
((SLURM_PROCID)) && exit 0
for ((i = 0; i < 20; i++)); do
    "$2/bin/benchfs" fsck && exit 0
    sleep 0.5
done
exit 1
SH
chmod 755 "$test_dir/ledger"
work=$(mktemp -d "$test_dir/load.XXXXXX") && chmod 777 "$work"
as_user env BENCHFS_REQUEST_TIMEOUT=2s BENCHFS_CHUNK_SIZE=64KiB srun -N2 --benchfs=on \
    "$test_dir/ledger" "$test_root" "$build" "$work" >"$work/out" 2>&1 &
pid=$!
ok "programs with requests of 2 s" wait_for 60 loaded
ok "a daemon that is stopped for 7 s" stop_daemon 7
ok "afterwards they go on" ran_again
touch "$work/stop"
wait "$pid"
is $? 0 "no more than errors in time has come of it" || tail -n 30 "$work/out" | diag
like "$(cat "$work/out")" "'ETIMEDOUT': [0-9]+" "and these there were" || tail "$work/out" | diag

cat >"$test_dir/late" <<'SH'
#!/bin/bash
((SLURM_PROCID)) && exit 0
"$1/tests/crash/late.py" "$BENCHFS_MOUNT/d" "$3/ready" "$3/stopped" || exit 1
for ((i = 0; i < 40; i++)); do
    "$2/bin/benchfs" fsck | tee "$3/fsck" | grep ' 0 without a name, 0 pending, 0 faults' && exit 0
    sleep 0.5
done
cat "$3/fsck"
exit 1
SH
chmod 755 "$test_dir/late"
work=$(mktemp -d "$test_dir/load.XXXXXX") && chmod 777 "$work"
as_user env BENCHFS_REQUEST_TIMEOUT=2s BENCHFS_CHUNK_SIZE=64KiB srun -N2 --benchfs=on \
    "$test_dir/late" "$test_root" "$build" "$work" >"$work/out" 2>&1 &
pid=$!
wait_for 60 test -e "$work/ready"
server=$(server_of n2)
in_node n2 -- kill -STOP "$server"
touch "$work/stopped"
sleep 7
in_node n2 -- kill -CONT "$server"
wait "$pid"
is $? 0 "of writes that were given up nothing comes later" || tail -n 30 "$work/out" | diag

# ---- clients that are killed ----
cat >"$test_dir/victim.py" <<'PY'
import fcntl, os, subprocess, sys, time
mount, rank = os.environ["BENCHFS_MOUNT"], os.environ["SLURM_PROCID"]
code = """
import fcntl, os, sys, time
mount, name = sys.argv[1:3]
lock = os.open(mount + "/lock-" + name, os.O_RDWR | os.O_CREAT)
fcntl.lockf(lock, fcntl.LOCK_EX)
open_file = os.open(mount + "/gone-" + name, os.O_RDWR | os.O_CREAT)
os.unlink(mount + "/gone-" + name)
os.pwrite(open_file, bytes(4 << 20), 0)
print("ready", flush=True)
while True:
    os.pwrite(open_file, bytes(1 << 20), 0)
"""
victims = [subprocess.Popen([sys.executable, "-c", code, mount, f"{rank}-{i}"], stdout=subprocess.PIPE)
           for i in range(10)]
for victim in victims:
    assert victim.stdout.readline() == b"ready\n"
used = os.statvfs(mount)
used_before = (used.f_blocks - used.f_bfree) * used.f_frsize
assert used_before >= 40 << 20, used_before
for victim in victims:
    victim.kill()
for victim in victims:
    victim.wait()
for i in range(10):
    fd = os.open(f"{mount}/lock-{rank}-{i}", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)  # waits for ever if it was not given back
deadline = time.monotonic() + 60
while True:
    used = os.statvfs(mount)
    if (used.f_blocks - used.f_bfree) * used.f_frsize < 1 << 20:
        break
    assert time.monotonic() < deadline, (used.f_blocks - used.f_bfree) * used.f_frsize
    time.sleep(0.1)
PY
ok "killed programs give back locks, and space of files without a name" timeout 200 \
    "$test_root/ci/cluster" run --name "$test_cluster" --user benchuser -- \
    srun -N2 --benchfs=on python3 "$test_dir/victim.py"
done_testing
