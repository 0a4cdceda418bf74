#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A million random operations through the library and on tmpfs, compared one by one, on one, two
# and four daemons, by four processes. A failure prints the seed and the shortest sequence.
# BENCHFS_TEST_OPERATIONS=N: so many; BENCHFS_TEST_SEED=N: others than last time.
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs fsdiff-library >/dev/null || skip_all "fsdiff-library is not built"
operations=${BENCHFS_TEST_OPERATIONS:-1000000} seed=${BENCHFS_TEST_SEED:-1000000}
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
export BENCHFS_CHUNK_SIZE=64KiB
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
reference=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
chmod 0755 "$reference" # as the scratch's root has it
export reference
at_exit "rm -rf --one-file-system '$reference' '$BENCHFS_MEMORY_DIR'"

# Of 1000 operations of a sequence 957 are of a kind that the library has.
readonly processes=4 length=1000
sequences=$((operations / (3 * processes * length * 95 / 100) + 1))
total=0
for daemons in 1 2 4; do
    ok "$daemons daemons, $processes processes" benchfs run -n "$daemons" -- bash -c 'fsdiff-library \
        -x mkfifo -x mmap_read -x mmap_write --facts 20 --shrink 30 "$@" benchfs:/ "$reference"' \
        fsdiff --seed "$seed" --sequences "$sequences" --length "$length" --processes "$processes" || grep -h DIFFERENCE "$test_dir/.output" | cut -c1-300 | diag
    n=$(sed -n 's/^process .*: \([0-9]*\) operations.*/\1/p' "$test_dir/.output" | paste -sd+ | bc)
    total=$((total + n)) seed=$((seed + processes * sequences))
done
ok "$total operations" test "$total" -ge "$operations"
done_testing
