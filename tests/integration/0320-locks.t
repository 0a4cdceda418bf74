#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Locks of fcntl(2) and flock(2) between processes of one node and of several: exclusion,
# waiting, signals, deadlocks, and their end with who has them. LOCK_ROUNDS makes the exerciser
# longer.
# shellcheck disable=SC2016,SC2317
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs apilocks >/dev/null || skip_all "benchfs is not built"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_MEMORY_DIR=/dev/shm/benchfs-test-$$
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"
at_exit "rm -rf --one-file-system '$BENCHFS_MEMORY_DIR'"
rounds=${LOCK_ROUNDS:-60}
cp "$test_root/tests/locks/lockturns.py" "$test_dir/"

cat >"$test_dir/one.py" <<'PY'
import errno, fcntl, os, signal, struct, subprocess, sys, time
path = os.environ["BENCHFS_MOUNT"] + "/file"
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

def child(code):
    return subprocess.Popen([sys.executable, "-c", "import errno, fcntl, os, signal, struct, sys, time\n"
        f"fd = os.open({path!r}, os.O_RDWR)\n" + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

def says(process, text):
    line = process.stdout.readline().strip()
    assert line == text, f"{line!r}, not {text!r}"

def ends(process):
    process.stdin.close()
    assert process.wait(30) == 0, process.returncode

# excluded, then in turn; and F_GETLK tells by whom
fcntl.lockf(fd, fcntl.LOCK_EX, 100, 10)
other = child("""
try:
    fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 50)
except OSError as e:
    print(errno.errorcode[e.errno], flush=True)
who = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)))
print(*who[:4], flush=True)
fcntl.lockf(fd, fcntl.LOCK_SH, 1, 50)
print("got it", flush=True)
sys.stdin.read()
""")
says(other, "EAGAIN")
says(other, f"{fcntl.F_WRLCK} 0 10 100")
fcntl.lockf(fd, fcntl.LOCK_UN, 1, 50)
says(other, "got it")
# a signal ends a wait
waiter = child("""
signal.signal(signal.SIGALRM, lambda *a: (_ for _ in ()).throw(TimeoutError()))
signal.setitimer(signal.ITIMER_REAL, 0.3)
start = time.monotonic()
try:
    fcntl.lockf(fd, fcntl.LOCK_EX, 1, 20)
except TimeoutError:
    print("interrupted" if time.monotonic() - start < 20 else "late", flush=True)
""")
says(waiter, "interrupted")
ends(waiter)
# who would wait for ever is told
fcntl.lockf(fd, fcntl.LOCK_EX, 1, 200)
second = child("""
fcntl.lockf(fd, fcntl.LOCK_EX, 1, 300)
print("has 300", flush=True)
fcntl.lockf(fd, fcntl.LOCK_EX, 1, 200)
print("has 200", flush=True)
""")
says(second, "has 300")
def sleeps(process):
    return open(f"/proc/{process.pid}/stat").read().rsplit(")")[-1].split()[0] == "S"
deadline = time.monotonic() + 30
in_a_row = 0
while in_a_row < 10:  # until it waits for the lock: there is nothing else it could wait for
    in_a_row = in_a_row + 1 if sleeps(second) else 0
    assert time.monotonic() < deadline
    time.sleep(0.02)
try:
    fcntl.lockf(fd, fcntl.LOCK_EX, 1, 300)
    sys.exit("locked what the other has")
except OSError as e:
    assert e.errno == errno.EDEADLK, e
fcntl.lockf(fd, fcntl.LOCK_UN, 1, 200)
says(second, "has 200")
ends(second)
ends(other)
# any descriptor's close gives all locks of fcntl back; flock's go with their descriptor
os.close(os.open(path, os.O_RDONLY))
third = child("fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB); print('free', flush=True)")
says(third, "free")
ends(third)
fcntl.flock(fd, fcntl.LOCK_EX)
fourth = child("""
try:
    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
except OSError as e:
    print(errno.errorcode[e.errno], flush=True)
fcntl.flock(fd, fcntl.LOCK_SH)
print("shared", flush=True)
sys.stdin.read()
""")
says(fourth, "EAGAIN")
fcntl.flock(fd, fcntl.LOCK_SH)  # a downgrade lets the other in
says(fourth, "shared")
ends(fourth)
# a killed process keeps nothing
fifth = child("fcntl.flock(fd, fcntl.LOCK_SH); fcntl.lockf(fd, fcntl.LOCK_EX); print('both', flush=True); time.sleep(60)")
says(fifth, "both")
fifth.kill()
fcntl.lockf(fd, fcntl.LOCK_EX)
fcntl.flock(fd, fcntl.LOCK_EX)
# many who wait leave the mount usable
waiters = [child("fcntl.flock(fd, fcntl.LOCK_EX); os.pwrite(fd, struct.pack('<Q', struct.unpack('<Q', os.pread(fd, 8, 0))[0] + 1), 0)")
           for _ in range(30)]
os.pwrite(fd, bytes(8), 0)
os.stat(path)
fcntl.flock(fd, fcntl.LOCK_UN)
for waiter in waiters:
    ends(waiter)
assert struct.unpack("<Q", os.pread(fd, 8, 0))[0] == 30
PY
ok "processes of one node" timeout 120 benchfs run -n 2 -- python3 "$test_dir/one.py"
ok "the C API" timeout 120 benchfs run -n 2 -- apilocks
cat >"$test_dir/turns" <<'SH'
for ((i = 0; i < 4; i++)); do
    python3 "$1/lockturns.py" "$BENCHFS_MOUNT" $i 4 "$2" 7 & pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
SH
ok "four processes in random turns" timeout 200 benchfs run -n 2 -- bash "$test_dir/turns" "$test_dir" "$rounds"
cat >"$test_dir/restart.py" <<'PY'
import fcntl, os, signal, subprocess, sys, time
path = os.environ["BENCHFS_MOUNT"] + "/file"
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)
waiter = subprocess.Popen([sys.executable, "-c", f"import fcntl, os; fd = os.open({path!r}, os.O_RDWR); "
    "fcntl.lockf(fd, fcntl.LOCK_EX, 1, 5); print('got it')"], stdout=subprocess.PIPE)
for pid in subprocess.run(["pgrep", "-f", "--", "benchfsd --server .*" + os.environ["XDG_RUNTIME_DIR"]],
                          capture_output=True, text=True).stdout.split():
    os.kill(int(pid), signal.SIGKILL)
os.stat(path)
try:
    waiter.wait(3)
    sys.exit("a lock was lost with the daemon")
except subprocess.TimeoutExpired:
    pass
fcntl.lockf(fd, fcntl.LOCK_UN, 10, 0)
assert waiter.wait(30) == 0 and waiter.stdout.read() == b"got it\n"
PY
ok "locks, and who waits for them, survive a daemon's restart" \
    timeout 100 benchfs run -n 1 -- python3 "$test_dir/restart.py"

if ((EUID != 0)); then
    skip 3 "needs root"
    done_testing
fi
ok "up of 2 nodes" cluster_up 2 --build "$build"
chmod 0755 "$test_dir"/*.py
ok "processes on two nodes in random turns" as_user srun -N2 -n4 --benchfs=on \
    bash -c 'python3 "$1/lockturns.py" "$BENCHFS_MOUNT" "$SLURM_PROCID" 4 "$2" 8' turns "$test_dir" "$rounds"
cat >"$test_dir/sql" <<'SH'
# One database, hammered from both nodes.
db=$BENCHFS_MOUNT/db
sqlite3 "$db" 'pragma busy_timeout=60000; create table if not exists t(a integer, b text);' >/dev/null || exit 1
for ((i = 0; i < $1; i++)); do
    sqlite3 "$db" "pragma busy_timeout=60000; insert into t values($i, hex(randomblob(200)));" >/dev/null || exit 1
done
for ((i = 0; i < 600; i++)); do
    n=$(sqlite3 "$db" 'pragma busy_timeout=60000; select count(*) from t;' | tail -1)
    ((n == $1 * SLURM_NTASKS)) && break
    sleep 0.1
done
[[ $n == $(($1 * SLURM_NTASKS)) ]] || { echo "rows: $n"; exit 1; }
[[ $(sqlite3 "$db" 'pragma busy_timeout=60000; pragma integrity_check;' | tail -1) == ok ]]
SH
chmod 0755 "$test_dir/sql"
ok "sqlite3 from two nodes" as_user srun -N2 -n4 --benchfs=on bash "$test_dir/sql" 25
done_testing
