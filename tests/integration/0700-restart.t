#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons that are killed, over and over, at random moments, under programs whose every answer
# is compared with a local file system's: they wait, and see nothing. CRASH_SEQUENCES makes it
# longer than CI has time for.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs fsdiff >/dev/null || skip_all "benchfs or fsdiff is not built"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
export BENCHFS_CHUNK_SIZE=64KiB BENCHFS_RESTART_LIMIT=1000
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
reference=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
export reference
at_exit "rm -rf --one-file-system '$reference' '$BENCHFS_MEMORY_DIR'"
sequences=${CRASH_SEQUENCES:-20}

servers() { pgrep -f -- "benchfsd --server .*$XDG_RUNTIME_DIR/"; }
export -f servers

# ---- what one kill does ----
cat >"$test_dir/once" <<'SH'
cd "$BENCHFS_MOUNT" || exit 1
mkdir dir && echo kept >dir/file && echo more >dir/other
exec 7<>dir/file 8>>dir/log
rm dir/file
echo one >&8
for pid in $(servers); do
    kill -KILL "$pid" && echo two >&8
done
for ((i = 0; i < 200; i++)); do [[ $(servers | wc -l) == "$1" ]] && break; sleep 0.05; done
read -r line <&7
[[ $line == kept ]] || { echo "a file that is open and has no name: '$line'"; exit 1; }
[[ $(cat dir/other) == more ]] || { echo "dir/other: $(cat dir/other)"; exit 1; }
[[ $(grep -c two dir/log) == "$1" && $(grep -c one dir/log) == 1 ]] ||
    { echo "dir/log: $(cat dir/log)"; exit 1; }
[[ $(ls dir | xargs) == "log other" ]] || { echo "dir: $(ls dir)"; exit 1; }
benchfs status | grep -Eq '^state +running$' || { echo "state: $(benchfs status)"; exit 1; }
exec 7<&-
rm -r dir
SH
ok "one daemon killed: open files, also without a name, and the state stay" \
    benchfs run -n 1 -- bash "$test_dir/once" 1
ok "each of three killed" benchfs run -n 3 -- bash "$test_dir/once" 3
log=$(benchfs run -n 1 -- bash "$test_dir/once" 1 2>&1)
like "$log" 'server process was killed by signal 9 \(Killed\); it is started again' \
    "the log says so"
like "$log" 'serves again after [0-9]+ ms' "and how long it took"

# What nobody has open any more is not kept.
cat >"$test_dir/freed" <<'SH'
used() { df --output=used -B1 "$BENCHFS_MOUNT" | tail -1; }
before=$(used)
bash -c 'exec 7>"$BENCHFS_MOUNT/big"; head -c 8M /dev/zero >&7; rm "$BENCHFS_MOUNT/big"
    for pid in $(servers); do kill -KILL "$pid"; done; : <"$BENCHFS_MOUNT"'
for ((i = 0; i < 200; i++)); do (($(used) <= before)) && exit 0; sleep 0.05; done
echo "used: $before, then $(used)"
exit 1
SH
ok "space of a file without a name comes back when its owner ends" \
    benchfs run -n 2 -- bash "$test_dir/freed"

# A daemon that dies again and again is not started for ever.
cat >"$test_dir/limit" <<'SH'
for ((i = 0; i < 3; i++)); do
    pid=$(servers)
    [[ -n $pid ]] && kill -KILL "$pid"
    for ((k = 0; k < 100; k++)); do
        now=$(servers)
        [[ -n $now && $now != "$pid" ]] && break
        sleep 0.02
    done
done
for ((i = 0; i < 400; i++)); do
    ls "$BENCHFS_MOUNT" >/dev/null 2>&1 || exit 77
    sleep 0.05
done
SH
log=$(BENCHFS_RESTART_LIMIT=2 timeout 40 benchfs run -n 1 -- bash "$test_dir/limit" 2>&1)
is $? 77 "a daemon that dies too often ends the service, and programs get an error"
like "$log" "the service can't go on: the server process was killed by signal 9" \
    "which says why"

# A request whose answer is lost is not done twice, also when the daemon died after it.
cat >"$test_dir/repeat" <<'SH'
coproc repeat "$BENCHFS_SOCKET"
repeat_pid=$COPROC_PID
exec 6<&"${COPROC[0]}" 7>&"${COPROC[1]}"
read -r -t 30 word <&6 && [[ $word == ready ]] || exit 1
for pid in $(servers); do kill -KILL "$pid"; done
echo >&7
wait "$repeat_pid"
SH
ok "a repeated request is answered as before, also after a restart" \
    benchfs run -n 1 -- bash "$test_dir/repeat"

# ---- hundreds of kills ----
cat >"$test_dir/storm" <<'SH'
kills=0
killer() {
    while :; do
        sleep 0.1
        pid=$(servers | shuf -n 1)
        [[ -n $pid ]] && kill -KILL "$pid" && echo >>"$reference.kills"
    done
}
killer & killer=$!
fsdiff "$@" "$BENCHFS_MOUNT" "$reference"
status=$?
kill "$killer" && wait "$killer" 2>/dev/null
echo "killed $(wc -l <"$reference.kills") daemons"
exit "$status"
SH
at_exit "rm -f '$reference.kills'"
storm() { # DESCRIPTION DAEMONS [fsdiff options]
    ok "$1" benchfs run -n "$2" -- bash "$test_dir/storm" --shrink 0 "${@:3}"
}
storm "random operations, one daemon" 1 --seed 100000 --sequences "$sequences"
storm "two daemons" 2 --seed 200000 --sequences "$sequences"
storm "three daemons, three processes" 3 --seed 300000 --sequences "$sequences" --processes 3
ok "a hundred daemons and more were killed" test "$(wc -l <"$reference.kills")" -gt 100

# ---- on two nodes, over UCX ----
if ((EUID != 0)); then
    skip 2 "needs root"
    done_testing
fi
ok "up of 2 nodes" cluster_up 2 --build "$build"
cat >"$test_dir/task" <<'SH'
#!/bin/bash
# Each task kills its node's daemon.
own=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
killer() {
    while :; do
        sleep 0.3
        pkill -KILL -u "$(id -u)" -f -- "benchfsd --server .*/$SLURM_JOB_ID" && echo >>"$own.kills"
    done
}
killer & killer=$!
"$1/tests/fsdiff" --shrink 0 --seed $((400000 + SLURM_PROCID * 1000)) --sequences "$2" \
    "$BENCHFS_MOUNT" "$own"
status=$?
kill "$killer" && wait "$killer" 2>/dev/null
echo "killed $(wc -l <"$own.kills") daemons"
[[ -s $own.kills ]] || status=99
rm -rf "$own" "$own.kills"
exit $status
SH
chmod 755 "$test_dir/task"
ok "random operations from two nodes" as_user env BENCHFS_RESTART_LIMIT=1000 \
    BENCHFS_CHUNK_SIZE=64KiB srun -N2 --benchfs=on "$test_dir/task" "$build" "$sequences"
done_testing
