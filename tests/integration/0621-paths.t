#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Directories that clients keep: what they find is what is there, also while directories get
# other names and daemons are killed. SWAP_SECONDS makes it longer.
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs swappeddirs >/dev/null || skip_all "benchfs is not built"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_RESTART_LIMIT=1000
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
seconds=${SWAP_SECONDS:-5}

ok "one target" timeout 60 benchfs run -n 1 -- swappeddirs "$seconds" 3
ok "three targets" timeout 60 benchfs run -n 3 -- swappeddirs "$seconds" 4
cat >"$test_dir/kill" <<'SH'
swappeddirs "$1" 4 & swaps=$!
kills=0
while kill -0 "$swaps" 2>/dev/null; do
    sleep "0.$((RANDOM % 4 + 1))"
    pid=$(pgrep -f -- "benchfsd --server .*$XDG_RUNTIME_DIR/" | shuf -n 1)
    [[ $pid ]] && kill -KILL "$pid" 2>/dev/null && kills=$((kills + 1))
done
wait "$swaps" && echo "$kills kills" && ((kills > 4))
SH
ok "three targets, whose daemons are killed" \
    timeout 100 benchfs run -n 3 -- bash "$test_dir/kill" "$seconds"
done_testing
