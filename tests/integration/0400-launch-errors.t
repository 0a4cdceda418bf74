#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What bad options and daemons that don't start get: one line with the cause, a status, no
# task run, and nothing left. The daemons are scripts here, so that they fail as told.
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -f $build/lib/benchfs_spank.so ]] || skip_all "no plugin in $build"

# What a daemon does is read from $test_dir/mode.
mkdir -m 0755 "$test_dir/bin"
cat >"$test_dir/bin/benchfsd" <<DAEMON
#!/bin/bash
mode=\$(cat "$test_dir/mode")
if [[ \$mode == "fail \$(hostname)" ]]; then
    echo "benchfsd[\$(hostname)]: error: store: No space left on device" >&2
    exit 1
fi
[[ \$mode == silent ]] && exit 1
[[ \$mode == "die \$(hostname)" ]] && kill -KILL \$\$
exec sleep 600
DAEMON
chmod 0755 "$test_dir/bin/benchfsd"
mode() { echo "$1" >"$test_dir/mode"; }

mode none
ok "cluster of 2 nodes" cluster_up 2 --build "$build" \
    --plugin-args "benchfsd=$test_dir/bin/benchfsd"

# refused OPTION... REGEX: fails before any task, with a line that matches.
refused() {
    local regex=${*: -1} text status=0
    set -- "${@:1:$#-1}"
    text=$(as_user srun -N2 "$@" touch "$test_dir/ran" 2>&1) || status=$?
    [[ $status != 0 && ! -e $test_dir/ran ]] && like "$text" "$regex" "refused: $*" && return
    fail "refused: $*"
    printf 'status %s: %s\n' "$status" "$text" | diag
}

refused --benchfs=maybe "--benchfs=maybe: not on or off"
refused --benchfs=on --benchfs-capacity=12Q "--benchfs-capacity=12Q: not a size"
refused --benchfs=on --benchfs-mount=scratch "--benchfs-mount=scratch: not an absolute path"
refused --benchfs=on --benchfs-store=tape "--benchfs-store=tape: "
refused --benchfs=on --benchfs-chunk-size=3000 "--benchfs-chunk-size=3000: "
refused --benchfs=on --benchfs-stage-in=here "--benchfs-stage-in=here: not SRC:DST"
refused --benchfs-capacity=1G "add --benchfs=on"
like "$(BENCHFS_CAPACITY=oink as_user srun --benchfs=on true 2>&1)" \
    "BENCHFS_CAPACITY=oink: not a size" "a bad environment variable is named"
like "$(as_user sbatch --benchfs=on --benchfs-capacity=12Q --wrap true 2>&1)" \
    "--benchfs-capacity=12Q: not a size" "sbatch refuses at the submit"
like "$(as_user salloc --benchfs=on --benchfs-stage-out=/a:/b true 2>&1)" \
    "--benchfs-stage-out=/a:/b: not with salloc" "salloc has no end to stage out at"

# What is left of jobs on the nodes.
remains() {
    local node
    for node in n1 n2; do
        in_node "$node" bash -c 'ls -A /run/benchfs /dev/shm/benchfs 2>/dev/null |
            grep -v ":\|^$"; ps ax -o args | grep "[b]enchfsd"'
    done
}
is_clean() { [[ -z $(remains) && -z $(as_root squeue -h) ]]; }

fails() { # REGEX DESCRIPTION SRUN-OPTION...
    local text status=0 start=$SECONDS
    text=$(as_user srun -N2 --benchfs=on "${@:3}" touch "$test_dir/ran" 2>&1) || status=$?
    is "$status" 1 "$2: status"
    like "$text" "$1" "$2: cause"
    ok "$2: within 10 s" test $((SECONDS - start)) -le 10
    ok "$2: no task ran" test ! -e "$test_dir/ran"
    ok "$2: nothing is left" wait_for 10 is_clean || remains | diag
}

mode "fail n2"
fails "benchfsd\[n2\]: error: store: No space left" "one node has no space"
mode silent
fails "srun: error: n[12]: task.*Exited with exit code 1" "a daemon that says nothing"
mode "die n1"
fails "n1: task 0: Killed" "a daemon killed at its start"
mode hang
BENCHFS_START_TIMEOUT=2s fails "not ready after 2000 ms" "a daemon that hangs"

in_node n2 mkdir -p /dev/shm/benchfs
in_node n2 chown benchuser /dev/shm/benchfs
mode none
BENCHFS_START_TIMEOUT=5s fails "node n2: /dev/shm/benchfs: owner [0-9]+" \
    "a directory that a user has planted"
in_node n2 rm -r /dev/shm/benchfs

# A batch job: the reason is in its output, its script has not run, the node stays in.
mode "fail n2"
cat >"$test_dir/job.sh" <<'JOB'
#!/bin/bash
echo script has run
JOB
install -d -o benchuser "$test_dir/out"
exits 1 "a batch job fails" as_user sbatch -W -N2 --benchfs=on -o "$test_dir/out/job" \
    "$test_dir/job.sh"
like "$(cat "$test_dir/out/job")" "benchfsd\[n2\]: error: store: No space left" \
    "its output says why"
is "$(grep -c "script has run" "$test_dir/out/job")" 0 "its script has not run"
ok "nothing is left of it" wait_for 10 is_clean || remains | diag
is "$(as_root sinfo -h -t idle -o %D)" 2 "the nodes are still in service"

# In an allocation: the step fails, and leaves the next one its place.
text=$(as_user salloc -N2 bash -c '
    srun --benchfs=on true; echo "first $?"
    timeout 10 srun -N2 true; echo "second $?"' 2>&1)
like "$text" "first 1" "a step in an allocation fails"
like "$text" "second 0" "the next one runs"

mode hang
as_user srun -N2 --benchfs=on touch "$test_dir/ran" >"$test_dir/cancelled" 2>&1 &
srun=$!
daemons_run() { in_node n1 bash -c 'ps ax -o args | grep -q "[s]leep 600"'; }
ok "daemons are starting" wait_for 10 daemons_run
as_root scancel -u benchuser
ok "scancel ends the start" wait_for 5 eval "! kill -0 $srun"
wait "$srun" 2>/dev/null
ok "nothing is left" wait_for 10 is_clean || remains | diag
ok "no task ran" test ! -e "$test_dir/ran"

exits 0 "without the option, nothing is asked of anyone" as_user srun -N2 true
done_testing
