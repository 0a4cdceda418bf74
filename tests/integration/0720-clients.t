#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# More clients than a daemon keeps connections of, and daemons and clients that have nothing to
# do. MANY_CLIENTS and MANY_AT_ONCE make the first longer.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs manyclients >/dev/null || skip_all "benchfs or manyclients is not built"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
at_exit "rm -rf --one-file-system '$BENCHFS_MEMORY_DIR'"
total=${MANY_CLIENTS:-10000} at_once=${MANY_AT_ONCE:-2000}
ulimit -n "$(ulimit -Hn)"

cat >"$test_dir/many" <<'SH'
server_fds() { ls /proc/"$(pgrep -f -- "benchfsd --server .*$XDG_RUNTIME_DIR/")"/fd | wc -l; }
before=$(server_fds)
manyclients "$1" "$2" 3 || exit 1
for ((i = 0; i < 100; i++)); do after=$(server_fds); ((after <= before + 10)) && exit 0; sleep 0.1; done
echo "descriptors of the server: $before, then $after"
exit 1
SH
if (($(ulimit -n) < 8 * at_once)); then
    skip 1 "needs $((8 * at_once)) descriptors"
else
    BENCHFS_CLIENT_LIMIT=256 ok "$total clients, $at_once at once, with 256 connections" \
        timeout 500 benchfs run -n 1 -- bash "$test_dir/many" "$total" "$at_once"
fi
cat >"$test_dir/counted.py" <<'PY'
import json, subprocess
stats = json.loads(subprocess.run(["benchfs", "stats", "--json"], check=True,
                                  stdout=subprocess.PIPE).stdout)
for target in stats:
    counts = {key: target[key] for key in ("connects", "reuses", "evictions", "reconnects")}
    print(target["target"], counts, target["peers"])
    assert all(counts.values()), "each has happened"
    assert counts["connects"] >= counts["evictions"] >= counts["reconnects"] / 2
    assert [(p["target"], p["state"], p["connects"]) for p in target["peers"]] == \
        [(1 - target["target"], "connected", 1)]
PY
BENCHFS_CLIENT_LIMIT=16 ok "on two daemons with 16 connections, which are counted" \
    timeout 200 benchfs run -n 2 -- bash -c 'manyclients 300 100 5 && python3 "$1"' \
    sh "$test_dir/counted.py"

# ---- nothing to do ----
cat >"$test_dir/idle" <<'SH'
switches() {
    local pid
    for pid in $(pgrep -f -- "(benchfsd|benchfs-agent).*$XDG_RUNTIME_DIR/"); do
        cat /proc/"$pid"/task/*/status
    done | awk '/^voluntary_ctxt_switches/ {n += $2} END {print n}'
}
exec 7>"$BENCHFS_MOUNT/open"
echo something >&7
sleep 2
before=$(switches)
sleep 10 # what is measured
after=$(switches)
echo "$((after - before)) voluntary context switches in 10 s"
# long polls for work and keep-alives: a few a second for all threads of two daemons
((after - before <= 100))
SH
ok "idle daemons and mount sleep" benchfs run -n 2 -- bash "$test_dir/idle"
done_testing
