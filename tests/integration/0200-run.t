#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# benchfs run: exit statuses, environment, ls and cp, staging, bad input, and nothing left
# behind, whoever is killed.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

export PATH=${BENCHFS_BIN:-${BENCHFS_BUILD:-$test_root/build/release}/bin}:$PATH
command -v benchfs >/dev/null || skip_all "benchfs is not built"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
# Directories of our own, so that what is left can be told from another run's.
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
mkdir -m 0700 "$XDG_RUNTIME_DIR"
unset BENCHFS_MOUNT BENCHFS_SOCKET

remains() {
    find "$XDG_RUNTIME_DIR" -mindepth 2
    find /dev/shm -mindepth 1 -path "$BENCHFS_MEMORY_DIR*"
    grep "$XDG_RUNTIME_DIR" /proc/self/mountinfo
    pgrep -af "benchfs.*$XDG_RUNTIME_DIR/"
}
nothing_left() { [[ -z $(remains) ]]; }

# ---- the contract ----
exits 0 "the exit status is CMD's: 0" benchfs run -- true
exits 7 "7" benchfs run -n 2 -- bash -c 'exit 7'
exits 137 "killed: 128 + signal" benchfs run -- bash -c 'kill -KILL $$'
exits 127 "not found" benchfs run -- no-such-command
exits 126 "not executable" benchfs run -- /etc/passwd
like "$(benchfs run -- bash -c 'findmnt -n -o FSTYPE -T "$BENCHFS_MOUNT"')" '^fuse.benchfs$' \
    "CMD finds the scratch at \$BENCHFS_MOUNT"
is "$(echo text | benchfs run -- cat)" text "CMD has our stdin and stdout"
is "$(benchfs run --mount "$test_dir/m" -- bash -c 'cd "$BENCHFS_MOUNT" && pwd')" \
    "$test_dir/m" "--mount"
ok "is removed again" test ! -e "$test_dir/m"
mkdir "$test_dir/mine"
is "$(cd "$test_dir" && benchfs run --mount mine -- bash -c 'echo $BENCHFS_MOUNT')" \
    "$test_dir/mine" "--mount of a relative path"
ok "a directory that was there stays" test -d "$test_dir/mine"
is "$(benchfs run --capacity 32M -- bash -c 'df --output=size -B1M "$BENCHFS_MOUNT" | tail -1 | xargs')" \
    32 "--capacity"
is "$(benchfs run -n 3 --capacity 32M -- bash -c 'df --output=size -B1M "$BENCHFS_MOUNT" | tail -1 | xargs')" \
    96 "of each daemon"
mkdir "$test_dir/store"
is "$(benchfs run --store "$test_dir/store" --capacity 32M -- bash -c \
    'echo x >"$BENCHFS_MOUNT/f"; ls '"$test_dir/store"' | wc -l')" 1 "--store DIR"
is "$(ls -A "$test_dir/store")" "" "which is empty afterwards"

# ---- the other commands, inside ----
cat >"$test_dir/inside" <<'SH'
set -ex
benchfs status | grep -E '^state +running$'
benchfs status --json | python3 -c 'import json, sys; s = json.load(sys.stdin)
assert s["n_nodes"] == s["n_targets"] == len(s["nodes"]) == 3, s'
valid() { python3 -c 'import json, sys
try:
    import jsonschema
except ImportError:
    sys.exit(0)
jsonschema.validate(json.load(sys.stdin), json.load(open(sys.argv[1])))' "$SCHEMAS/$1.schema.json"; }
benchfs status --json | valid status
benchfs status --table | valid endpoint_table
benchfs stats --json | python3 -c 'import json, sys; assert len(json.load(sys.stdin)) == 3'
cd "$BENCHFS_MOUNT"
mkdir -p tree/deep/er
head -c 3000000 /dev/urandom >tree/deep/big
echo small >tree/small
ln -s small tree/link
ln -s /tree/deep tree/absolute
truncate -s 5M tree/hole
benchfs cp -r -p :/tree "$OUT/copy"
diff -r --no-dereference tree "$OUT/copy"
benchfs cp -r -p "$OUT/copy" :/back
diff -r --no-dereference tree back
benchfs cp -r :/tree :/within
diff -r --no-dereference tree within
benchfs cp :/tree/link "$OUT/plain"
test ! -L "$OUT/plain"
cmp tree/small "$OUT/plain"
benchfs cp "$OUT/plain" :/tree/absolute/er
cmp tree/deep/er/plain tree/small
test "$(benchfs ls /tree/deep/er)" = plain
test "$(benchfs ls tree/small)" = /tree/small
benchfs ls -l :/tree | grep -E '^lrwx.* link -> small$'
benchfs ls -R --json :/ | python3 -c 'import json, sys
assert any(e["path"] == "/tree/deep/big" and e["size"] == 3000000 for e in json.load(sys.stdin))'
! benchfs ls /no/such
! benchfs cp /no/such :/
! benchfs cp :/tree "$OUT/directory-without-r"
! benchfs cp -r :/tree :/tree/into-itself
SH
export OUT=$test_dir/out SCHEMAS=$test_root/schemas
mkdir "$OUT"
ok "status, stats, ls, cp on 3 daemons" benchfs run -n 3 -- bash "$test_dir/inside"

# ---- staging ----
mkdir -p "$test_dir/in/a/b"
for i in {1..50}; do echo "$i" >"$test_dir/in/a/f$i"; done
head -c 5000000 /dev/urandom >"$test_dir/in/a/b/big"
ok "--stage-in and --stage-out" benchfs run -n 2 --stage-in "$test_dir/in:/in" \
    --stage-out "/in:$test_dir/staged" -- bash -c 'test -e "$BENCHFS_MOUNT/in/a/b/big"'
ok "the same comes out" diff -r "$test_dir/in" "$test_dir/staged"
start=$SECONDS
exits 1 "a source that does not exist" benchfs run --stage-in "$test_dir/none:/in" -- \
    touch "$test_dir/ran"
like "$(cat "$test_dir/.output")" "$test_dir/none" "is named"
ok "CMD does not run" test ! -e "$test_dir/ran"
ok "and nobody waits" test $((SECONDS - start)) -le 5

# ---- bad input ----
bad() { # DESCRIPTION REGEX ARGS...
    local description=$1 regex=$2 output
    shift 2
    output=$(benchfs run "$@" -- touch "$test_dir/ran" 2>&1) && fail "$description: exit 0"
    like "$output" "$regex" "$description"
}
bad "capacity above what there is" 'capacity=900.0 TiB: more than the .* free in' --capacity 900T
bad "a size that is none" '--benchfs-capacity=12Q: not a size' --capacity 12Q
bad "an unknown store" '--benchfs-store=tape: not memory' --store tape
bad "a store that is not there" '/no/such/dir: No such file' --store /no/such/dir
bad "a mount that is a file" '/etc/passwd is not a directory' --mount /etc/passwd
bad "no daemons" '-n 0: not 1 to 256' -n 0
ok "nothing ran" test ! -e "$test_dir/ran"
ok "nothing is left of all these" nothing_left || remains | diag

# ---- memory ----
cat >"$test_dir/gives-back" <<'SH'
used() { du -sm "$BENCHFS_MEMORY_DIR"-* | cut -f1; }
head -c 300M /dev/urandom >"$BENCHFS_MOUNT/f" && (($(used) >= 300)) && rm "$BENCHFS_MOUNT/f" || exit 1
for ((i = 0; i < 300; i++)); do
    (($(used) < 100)) && break
    sleep 0.1
done
used
sum=$(head -c 300M /dev/urandom | tee "$BENCHFS_MOUNT/f" | sha256sum)
((i < 300)) && [[ $(sha256sum <"$BENCHFS_MOUNT/f") == "$sum" ]]
SH
ok "memory of what is removed goes back to the machine" \
    benchfs run -n 1 -- bash "$test_dir/gives-back"

# ---- kills ----
# killed DESCRIPTION STATUS ACTION: ACTION, with $runner and $command, must end the run.
killed() {
    rm -f "$test_dir/info"
    benchfs run -n 2 -- bash -c 'echo $$ $BENCHFS_MOUNT >'"$test_dir/info"'.new
        mv '"$test_dir/info"'.new '"$test_dir/info"'; exec sleep 60' 2>"$test_dir/errors" &
    runner=$!
    wait_for 20 test -e "$test_dir/info"
    read -r command _ <"$test_dir/info"
    eval "$3"
    wait "$runner" 2>/dev/null
    is "$?" "$2" "$1"
    ok "... nothing is left" wait_for 10 nothing_left || remains | diag
    kill "$command" 2>/dev/null
}
killed "SIGTERM" 143 'kill -TERM $runner'
killed "SIGKILL" 137 'kill -KILL $runner'
killed "CMD killed" 137 'kill -KILL $command'
children() { pgrep -x -P "$1" "$2"; }
killed "a daemon killed, then SIGTERM" 143 \
    'kill -KILL $(children $runner benchfsd | head -1); wait_for 5 grep -q ended "$test_dir/errors"; kill -TERM $runner'
killed "the agent killed, then SIGTERM" 143 \
    'kill -KILL $(children $(children $runner benchfsd | head -1) benchfs-agent)
     wait_for 5 grep -q "agent was killed" "$test_dir/errors"; kill -TERM $runner'
killed "a server killed, then SIGTERM" 143 \
    'kill -KILL $(children $(children $runner benchfsd | tail -1) benchfsd)
     wait_for 5 grep -q "server process was killed" "$test_dir/errors"; kill -TERM $runner'
done_testing
