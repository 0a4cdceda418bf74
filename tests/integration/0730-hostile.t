#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Somebody else with the endpoint table in hand, on the same node and on another one, gets
# nothing; and what is no message harms nobody, also when it comes from the job's own user.
# HOSTILE_SEEDS are more seeds for that.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -x $build/tests/intruder ]] || skip_all "intruder is not built"
require_root
ok "up of 2 nodes" cluster_up 2 --build "$build"
chmod 0777 "$test_dir"

# On each node: files are made and removed all the time, until there is a file "stop".
cat >"$test_dir/task" <<'SH'
#!/bin/bash
((SLURM_PROCID == 0)) && benchfs status --table >"$1/table.new" && mv "$1/table.new" "$1/table"
cd "$BENCHFS_MOUNT" || exit 1
while [[ ! -e $1/stop ]]; do
    mkdir "$SLURM_PROCID" && echo "$SLURM_PROCID" >"$SLURM_PROCID/file" &&
        [[ $(cat "$SLURM_PROCID/file") == "$SLURM_PROCID" ]] && rm -r "$SLURM_PROCID" || exit 1
    touch "$1/ran-$SLURM_PROCID"
done
SH
chmod 0755 "$test_dir/task"
as_user srun -N2 --benchfs=on "$test_dir/task" "$test_dir" >"$test_dir/out" 2>&1 &
job=$!
loaded() { [[ -e $test_dir/table && -e $test_dir/ran-0 && -e $test_dir/ran-1 ]]; }
ran_again() { rm -f "$test_dir"/ran-*; wait_for 30 loaded; }
ok "a job runs" wait_for 60 loaded
read -r address port id uid < <(python3 - "$test_dir/table" <<'PY'
import json, sys
table = json.load(open(sys.argv[1]))
address = next(e for e in table["endpoints"] if e["node"] == 0)["socket_address"]
host, port = address.rsplit(":", 1)
print(host, port, table["job"], table["uid"])
PY
)
like "$address $port $id" '^10\.[0-9.]+ [0-9]+ [0-9]+$' "the table says where node 0 listens" ||
    head -c 2000 "$test_dir/table" | diag

server() { in_node n1 pgrep -f -- "benchfsd --server"; }
descriptors() { in_node n1 bash -c "ls /proc/$pid/fd | wc -l"; }
resident() { in_node n1 awk '/^VmRSS/ {print $2}' "/proc/$pid/status"; } # KiB
pid=$(server)
before=$(descriptors)

# intrude NODE USER WHAT...: tries it on the daemon of n1.
intrude() {
    in_node "$1" setpriv --reuid="$2" --regid="$2" --clear-groups env UCX_TLS=tcp \
        timeout 120 "$build/tests/intruder" "$address" "$port" "$id" "$uid" "${@:3}"
}
other=65534
ok "another user, same node: every operation without a proof" intrude n1 "$other" operations
ok "another user, other node: every operation without a proof" intrude n2 "$other" operations
ok "another user, same node: its own credential" intrude n1 "$other" own
ok "another user, other node: its own credential" intrude n2 "$other" own
ok "a credential of the job's user" intrude n2 "$uid" make "$test_dir/credential"
chmod 0644 "$test_dir/credential"
ok "is worth nothing on another connection" intrude n2 "$other" credential "$test_dir/credential"
ok "also for that user" intrude n2 "$uid" credential "$test_dir/credential"
socket=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["endpoints"][0]["local_path"])' "$test_dir/table")
text=$(in_node n1 setpriv --reuid="$other" --regid="$other" --clear-groups \
    "$build/bin/benchfs" status --socket "$socket" 2>&1)
is $? 1 "another user, same node: the local socket is refused"
like "$text" "Permission denied" "by the file system" || echo "$socket" | diag
ok "the job has not noticed" ran_again

for seed in 1 2 ${HOSTILE_SEEDS:-}; do
    ok "no messages at all from the job's own user, seed $seed" intrude n2 "$uid" bytes "$seed"
done
resident_before=$(resident)
ok "and once more" intrude n1 "$uid" bytes 3
ok "the job has not noticed that either" ran_again
is "$(server)" "$pid" "the daemon is the same"
back() { (($(descriptors) <= before + 2)); }
ok "it has given descriptors back" wait_for 30 back
(($(resident) <= resident_before + 16384)) && pass "and memory" ||
    { fail "and memory"; echo "$resident_before KiB, then $(resident)" | diag; }

# Nobody finds a secret where others may look.
words() { in_node n1 bash -c 'for p in $(pgrep "benchfs"); do cat /proc/$p/cmdline /proc/$p/environ; done'; }
words | grep -aq 'MUNGE:[A-Za-z0-9+/=]\{20\}' && fail "no credential in arguments or environments" ||
    pass "no credential in arguments or environments"
touch "$test_dir/stop"
wait "$job"
is $? 0 "the job ends well" || tail -n 20 "$test_dir/out" | diag
grep -q 'MUNGE:' "$test_dir/out" && fail "and has told no secret" || pass "and has told no secret"
done_testing
