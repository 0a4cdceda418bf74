#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The mount against a local file system: the same random operations on both, as root and as an
# ordinary user, on one to three daemons and on two nodes; any difference fails. Chunks are
# small, so that borders between them, and between targets, are met all the time.
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs fsdiff fsturns >/dev/null || skip_all "benchfs or fsdiff is not built"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
export BENCHFS_CHUNK_SIZE=64KiB
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
reference=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
chmod 0755 "$reference" # as the scratch's root has it
export reference
at_exit "rm -rf --one-file-system '$reference' '$BENCHFS_MEMORY_DIR'"

# fsdiff on DAEMONS daemons; the seed is fixed: a failure can be repeated.
differs_not() { # DESCRIPTION DAEMONS [fsdiff options]
    ok "$1" benchfs run -n "$2" -- bash -c 'fsdiff "$@" "$BENCHFS_MOUNT" "$reference"' \
        fsdiff --shrink 10 "${@:3}"
}

differs_not "one daemon" 1 --seed 100000 --sequences 20
differs_not "two daemons" 2 --seed 200000 --sequences 30
differs_not "three daemons, three processes" 3 --seed 300000 --sequences 8 --processes 3
ok "one file in turns of three processes" benchfs run -n 2 -- \
    bash -c 'mkdir "$BENCHFS_MOUNT/turns" && fsturns -p 3 -t 40 "$BENCHFS_MOUNT/turns"'

ok "the time of a file that was appended to" benchfs run -n 4 -- appendtimes

if ((EUID != 0)); then
    skip 3 "needs root"
    done_testing
fi

ok "up of 2 nodes" cluster_up 2 --build "$build"
cat >"$test_dir/different" <<'SH'
#!/bin/bash
# Each task has sequences of its own; as an ordinary user, so that permissions count.
own=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
"$1/tests/fsdiff" --shrink 10 --seed $((400000 + SLURM_PROCID * 1000)) --sequences 20 \
    "$BENCHFS_MOUNT" "$own"
status=$?
rm -rf "$own"
exit $status
SH
cat >"$test_dir/turns" <<'SH'
#!/bin/bash
mkdir -p "$BENCHFS_MOUNT/turns" && exec "$1/tests/fsturns" -r slurm -t 60 "$BENCHFS_MOUNT/turns"
SH
chmod 0755 "$test_dir/different" "$test_dir/turns"
# Where ordinary users of the nodes see it, if it is in /tmp.
shown=/run/benchfs-cluster/$test_cluster/build
[[ -d $shown ]] && build=$shown
ok "an ordinary user on two nodes" as_user env BENCHFS_CHUNK_SIZE=64KiB \
    srun -N2 -n2 --ntasks-per-node=1 --benchfs=on "$test_dir/different" "$build"
ok "one file in turns of four tasks on two nodes" as_user env BENCHFS_CHUNK_SIZE=64KiB \
    srun -N2 -n4 --ntasks-per-node=2 --benchfs=on "$test_dir/turns" "$build"
done_testing
