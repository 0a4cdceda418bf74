# SPDX-License-Identifier: Apache-2.0
# For tests of a job with a shell on each of its nodes: commands go to them without a launch
# each. Use: source lib.sh and this, cluster_up, nodes=N, job_start, `on 1 'command'`,
# `everywhere`, `agree`, job_end. Needs $test_dir open to all: chmod 0777.
# shellcheck shell=bash

command_s=60 # a command may take so long
job_env=()   # VARIABLE=value for the job
chmod 0777 "$test_dir"

# A step with one task per node, which runs what comes on its pipe (the directory is the same
# for all nodes: they share this machine's /var/tmp). So a command costs no launch.
cat >"$test_dir/task" <<'TASK'
#!/bin/bash
pipes=$1
export LC_ALL=C GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null node=$SLURMD_NODENAME rank=$SLURM_PROCID
cd "$BENCHFS_MOUNT" || exit 1
exec 3<>"$pipes/in.$node" 4<>"$pipes/out.$node"
while IFS= read -r -d '' -u 3 command; do
    # `keep COMMAND`: in this shell, so that descriptors stay open.
    if [[ $command == 'keep '* ]]; then
        eval "${command#keep }" >"$pipes/text.$node" 2>&1
    else
        (exec 3<&- 4<&-; eval "$command") >"$pipes/text.$node" 2>&1 </dev/null
    fi
    echo $? >&4
done
TASK
chmod 0755 "$test_dir/task"

post() { printf '%s\0' "$2" >"$pipes/in.n$1"; } # NODE COMMAND
# The status of what was posted last; its output is in `text`.
collect() { # NODE
    local status=''
    read -r -t "$command_s" status <>"$pipes/out.n$1" || status=124
    text=$(cat "$pipes/text.n$1" 2>/dev/null)
    return "$status"
}
on() { # NODE COMMAND: prints its output
    local status=0 text
    post "$1" "$2"
    collect "$1" || status=$?
    [[ -z $text ]] || echo "$text"
    return "$status"
}
# At the same time on all nodes; prints the output of each, 1 if one failed.
everywhere() { # COMMAND
    local i text failed=0
    for ((i = 1; i <= nodes; i++)); do post "$i" "$1"; done
    for ((i = 1; i <= nodes; i++)); do
        collect "$i" || failed=$?
        [[ -z $text ]] || echo "$text"
        ((failed == 0)) || echo "n$i: status $failed"
    done
    return "$failed"
}
# The same output on all nodes, and all succeed; prints it.
agree() { # COMMAND
    local i first='' text failed=0
    for ((i = 1; i <= nodes; i++)); do post "$i" "$1"; done
    for ((i = 1; i <= nodes; i++)); do
        collect "$i" || failed=$?
        ((i == 1)) && first=$text
        [[ $text == "$first" ]] || { failed=1; diff <(echo "$first") <(echo "$text"); }
    done
    # A difference is what a failed check shows.
    ((failed)) || echo "$first"
    return "$failed"
}

job_start() {
    local i
    at_exit 'jobs -p | xargs -r kill 2>/dev/null'
    pipes=$test_dir/pipes.$nodes
    install -d -m 0777 "$pipes"
    for ((i = 1; i <= nodes; i++)); do
        mkfifo -m 0666 "$pipes/in.n$i" "$pipes/out.n$i"
        # Kept open here, so that neither side waits for the other, or loses it.
        eval "exec $((20 + 2 * i))<>$pipes/in.n$i $((21 + 2 * i))<>$pipes/out.n$i"
    done
    as_user env "${job_env[@]}" srun -N"$nodes" --ntasks-per-node=1 --mpi=none --benchfs=on \
        "$test_dir/task" "$pipes" >"$test_dir/srun.$nodes" 2>&1 &
    srun=$!
}

job_end() {
    local i
    for ((i = 1; i <= nodes; i++)); do post "$i" 'keep exit 0'; done
    wait_for 20 eval "! kill -0 $srun" || kill "$srun"
    wait "$srun"
}

remains() {
    local i
    for ((i = 1; i <= nodes; i++)); do
        in_node "n$i" bash -c 'ls -A /run/benchfs /dev/shm/benchfs 2>/dev/null | grep -v ":\|^$"
            grep "benchfs.*fuse" /proc/self/mountinfo
            ps ax -o args | grep "[b]enchfsd\|[b]enchfs-agent"'
    done
}
is_clean() { [[ -z $(remains) && -z $(as_root squeue -h) ]]; }
