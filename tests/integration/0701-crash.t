#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names are changed as fast as can be while daemons are killed: renames between targets, links,
# removals, truncations of striped files. Afterwards, and whenever all daemons are stopped on the
# way, the records of all targets must agree: nothing half done, no block leaked or shared.
# CRASH_SECONDS makes it longer than CI has time for.
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$test_root/tests/crash:$PATH
command -v benchfs python3 >/dev/null || skip_all "benchfs is not built, or there is no python3"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
export BENCHFS_CHUNK_SIZE=64KiB BENCHFS_RESTART_LIMIT=1000
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR" "$test_dir/disk"
copy=$(mktemp -d /dev/shm/benchfs-copy-XXXXXX) || exit 1
export copy stores=$BENCHFS_MEMORY_DIR-$EUID
at_exit "rm -rf --one-file-system '$copy' '$BENCHFS_MEMORY_DIR'"
seconds=${CRASH_SECONDS:-8}

servers() { pgrep -f -- "benchfsd --server .*$XDG_RUNTIME_DIR/"; }
export -f servers

# ---- the check itself ----
cat >"$test_dir/sound" <<'SH'
cd "$BENCHFS_MOUNT" || exit 1
mkdir a b && for i in {1..20}; do echo "$i" >"a/$i"; done
head -c 1M /dev/urandom >b/large && ln a/1 b/link && mv a/2 b/moved && ln -s x b/symlink
mkdir a/d && mv a/d b && rmdir b/d
exec 7>b/open && rm b/open
benchfs fsck
SH
log=$(benchfs run -n 3 -- bash "$test_dir/sound" 2>&1)
is $? 0 "a sound file system"
like "${log##*$'\n'}" \
    "26 inodes .3 directories., 25 entries, 36 chunks, 1 without a name, [0-9]+ pending, 0 faults" \
    "is counted in full"
log=$(benchfs fsck "$test_dir" 2>&1)
is $? 1 "a directory without stores is refused"
like "$log" "no store of BenchFS" "which says why"

# ---- daemons that die ----
cat >"$test_dir/crash" <<'SH'
churn.py "$BENCHFS_MOUNT" "$1" 16 "$2" & churn=$!
kills=0 looks=0
while kill -0 "$churn" 2>/dev/null; do
    sleep "0.0$((RANDOM % 8 + 2))"
    if ((++n % 25)); then
        # One stands still, so that others wait for it half-way, when another one dies.
        mapfile -t pids < <(servers | shuf -n 2)
        ((${#pids[@]} == 2)) && kill -STOP "${pids[0]}" 2>/dev/null || continue
        sleep 0.03
        kill -KILL "${pids[1]}" 2>/dev/null && kills=$((kills + 1))
        kill -CONT "${pids[0]}"
        continue
    fi
    # All at once, as if all had been killed in this moment; their stores stay for a look.
    mapfile -t pids < <(servers)
    ((${#pids[@]} == 3)) || continue
    kill -STOP "${pids[@]}" 2>/dev/null || { kill -CONT "${pids[@]}" 2>/dev/null; continue; }
    rm -rf "$copy/stores" && cp -r "$stores" "$copy/stores"
    kill -CONT "${pids[@]}"
    find "$copy/stores" -name 'shard-*' -printf '%h\n' | sort -u >"$copy/dirs"
    (($(wc -l <"$copy/dirs") == 3)) || continue
    mapfile -t dirs <"$copy/dirs"
    benchfs fsck "${dirs[@]}" >"$copy/log" 2>&1 || { cat "$copy/log"; failed=1; }
    looks=$((looks + 1))
done
wait "$churn" || exit 1
echo "killed $kills, looked $looks times"
((kills > 10 && looks > 1)) || exit 1
# What was under way when the last one died is finished soon.
for ((i = 0; i < 20; i++)); do benchfs fsck >"$copy/log" 2>&1 && break; sleep 0.5; done
cat "$copy/log"
exit $((failed || i == 20))
SH
ok "names change while daemons are killed: nothing is half done" \
    benchfs run -n 3 -- bash "$test_dir/crash" "$seconds" "${CRASH_SEED:-1}"
ok "the same with stores on a disk" env "stores=$test_dir/disk" \
    benchfs run -n 3 --store "$test_dir/disk" -- bash "$test_dir/crash" "$seconds" "${CRASH_SEED:-1}"
done_testing
