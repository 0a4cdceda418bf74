#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A node that can't be reached for so long that the files of its programs are closed, and their
# locks another's: when it is back, nothing that it still does with them is done.
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
require_root
ok "up of 2 nodes" cluster_up 2 --build "$build"

work=$test_dir/work
mkdir -m 777 "$work"
link() { in_node n2 ip link set eth0 "$1"; }
# State NAME is reached when the program says so; it has ended if it never does.
reached() { [[ -e $work/$1 ]] || ! kill -0 "$pid" 2>/dev/null; }

# Nothing but silence tells the daemons: TCP says nothing while something it has sent is under way.
as_user env UCX_TCP_KEEPIDLE=600s UCX_KEEPALIVE_INTERVAL=600s \
    BENCHFS_REQUEST_TIMEOUT=2s BENCHFS_CONNECT_TIMEOUT=1s \
    BENCHFS_CHUNK_SIZE=64KiB srun -N2 --benchfs=on "$test_root/tests/crash/givenup.py" "$work" \
    >"$work/out" 2>&1 &
pid=$!
wait_for 60 reached ready
link down && touch "$work/cut"
wait_for 90 reached tried
link up && touch "$work/mended"
wait "$pid"
is $? 0 "what is done with files that were given up is an error, and not done" ||
    tail -n 30 "$work/out" | diag
like "$(cat "$work/out")" "of 12 files were given up" "and some were"
done_testing
