#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What operations cost in requests, as the daemons count them: the same on 8 targets as on 2.
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -x $build/bin/benchfs ]] || skip_all "benchfs is not built"
command -v python3 >/dev/null || skip_all "there is no python3"
log=$test_dir/log
BENCHFS_BUILD=$build "$test_root/bench/messages" --targets 2 8 --output "$test_dir/messages.json" \
    >"$log" 2>&1
is $? 0 "requests are counted" || diag <"$log"

# same OPERATION MOST: on 8 targets at most MOST requests, and at most one and a half more than on 2.
same() {
    local numbers
    numbers=$(python3 - "$test_dir/messages.json" "$1" <<'PY'
import json, sys
results = json.load(open(sys.argv[1]))["results"]
print(*(sum(r["requests_per_operation"][sys.argv[2]].values()) for r in results))
PY
)
    python3 -c 'import sys; a, b, most = map(float, sys.argv[1:]); sys.exit(not b <= min(a + 1.5, most))' \
        ${numbers:-0 1000} "$2" && pass "$1" || { fail "$1"; echo "$numbers" | diag; }
}
same create 5
same stat 2
same stat-deep 2
same write-close 6
same open-read-close 5
same rename 7
same unlink 5
same unlink-data 3
same mkdir 4
same readdir 5
same rmdir 7
same read-64-chunks 69
done_testing
