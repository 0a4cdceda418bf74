#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What docs/semantics.md says is relaxed, row by row: that it is so, and no worse. (Rows on
# locks are also in 0320-locks.t, on a service that is gone in 0700-restart.t and 0711-lost.t,
# on a file that is replaced while it is opened in 0310-nodes.t.)
# shellcheck disable=SC2016,SC2034,SC2317
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
for file in lib/benchfs_spank.so bin/benchfsd bin/benchfs-agent; do
    [[ -e $build/$file ]] || skip_all "no $file in $build"
done
source "$(dirname "$0")/nodes.sh"
nodes=2

# python NODE: runs the program on stdin there, in the mount.
python() {
    local file
    file=$(mktemp "$test_dir/XXXXXX.py")
    { echo 'import ctypes, errno, fcntl, mmap, os, stat, struct, sys, time'; cat; } >"$file"
    chmod 0644 "$file"
    on "$1" "python3 $file"
}

# ---- locks ----

locks_are_told_of() {
    python 1 <<'PY' || return 1
f = os.open("lock2", os.O_RDWR | os.O_CREAT, 0o644)
if os.fork() == 0:
    fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
    open("lock2.pid", "w").write(str(os.getpid()))
    end = time.monotonic() + 30
    while not os.path.exists("lock2.done") and time.monotonic() < end:
        time.sleep(0.02)
    os._exit(0)
while not os.path.exists("lock2.pid") or not open("lock2.pid").read():
    time.sleep(0.02)
PY
    python 2 <<'PY'
f = os.open("lock2", os.O_RDWR)
asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 5, 1, 0)
kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(f, fcntl.F_GETLK, asked))
assert (kind, start, length) == (fcntl.F_WRLCK, 0, 10), (kind, start, length)
there = int(open("lock2.pid").read())
assert pid in (0, there), (pid, there)
open("lock2.done", "w").close()
PY
}

cycles_on_one_target_are_seen() {
    python 1 <<'PY'
f = os.open("cycle", os.O_RDWR | os.O_CREAT, 0o644)
fcntl.lockf(f, fcntl.LOCK_EX, 1, 0)
child = os.fork()
if child == 0:
    fcntl.lockf(f, fcntl.LOCK_EX, 1, 1)
    open("cycle.ready", "w").close()
    fcntl.lockf(f, fcntl.LOCK_EX, 1, 0)  # granted when the parent gives up
    os._exit(0)
while not os.path.exists("cycle.ready"):
    time.sleep(0.01)
time.sleep(0.3)  # the child may not wait yet: then it is the child that is told
try:
    fcntl.lockf(f, fcntl.LOCK_EX, 1, 1)
    sys.exit("no EDEADLK")
except OSError as e:
    assert e.errno == errno.EDEADLK, e
os.close(f)
assert os.waitpid(child, 0)[1] == 0
PY
}

# ---- mappings ----

shared_mappings_reach_others() {
    on 1 'head -c 100000 /dev/zero >map' || return 1
    python 1 <<'PY' || return 1
f = os.open("map", os.O_RDWR)
try:
    m = mmap.mmap(f, 100000)
except OSError as e:  # before Linux 6.6
    assert e.errno == errno.ENODEV, e
    open("no-map", "w").close()
    sys.exit(0)
m[70000:70005] = b"hello"
assert os.pread(f, 5, 70000) == b"hello"
m.flush()
PY
    on 1 'test ! -e no-map' || return 0
    [[ $(on 2 'tail -c +70001 map | head -c 5') == hello ]] || return 1
    python 2 <<'PY'
f = os.open("map", os.O_RDWR)
m = mmap.mmap(f, 100000)
assert m[70000:70005] == b"hello"
open("map.ready", "w").close()
end = time.monotonic() + 20
while not os.path.exists("map.changed") and time.monotonic() < end:
    if not os.path.exists("map.changed"):
        os.pwrite(f, b"HELLO", 70000)  # agrees with the mapping at once
        assert m[70000:70005] == b"HELLO"
        open("map.changed", "w").close()
PY
}

others_changes_after_a_stat() {
    on 1 'test ! -e no-map' || return 0
    on 1 'keep exec 7<>map' || return 1
    python 1 <<'PY' &&
f = os.open("map", os.O_RDWR)
m = mmap.mmap(f, 100000)
assert m[80000:80001] == b"\0"
if os.fork():
    sys.exit(0)
for fd in 0, 1, 2:
    os.close(fd)
end = time.monotonic() + 30
while not os.path.exists("map.other") and time.monotonic() < end:
    time.sleep(0.02)
os.stat("map")
open("map.seen", "w").write(m[80000:80005].decode())
PY
        on 2 'printf other | dd of=map bs=1 seek=80000 conv=notrunc status=none; touch map.other
            for i in {1..400}; do [[ -s map.seen ]] && break; sleep 0.05; done; cat map.seen' |
        grep -qx other
}

programs_run() {
    on 1 'cp /bin/echo run-me && chmod 755 run-me' && [[ $(agree './run-me fine') == fine ]] &&
        python 2 <<'PY'
f = os.open("run-me", os.O_RDONLY)
m = mmap.mmap(f, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
assert m[:4] == b"\x7fELF"
PY
}

# ---- attributes and permission of directories ----

directory_attributes() {
    on 1 'mkdir -m 755 dir && echo x >dir/f' && [[ $(agree 'stat -c %a dir; cat dir/f') == $'755\nx' ]] &&
        on 1 'chmod 700 dir; test "$(stat -c %a dir)" = 700' &&
        wait_for 2 on 2 'test "$(stat -c %a dir)" = 700'
}

directory_permission() {
    on 1 'chmod 0 dir; ! cat dir/f 2>/dev/null' &&
        wait_for 2 on 2 '! cat dir/f 2>/dev/null' && on 1 'chmod 755 dir; cat dir/f' >/dev/null &&
        wait_for 2 on 2 'cat dir/f'
}

renamed_directory_changes_its_ctime() {
    on 1 'mkdir moved; stat -c %Z moved >/dev/null; sleep 1.1; before=$(stat -c %z moved)
        mv moved moved2; sleep 1.1; test "$(stat -c %z moved2)" != "$before"'
}

# ---- data ----

position_after_an_append() {
    on 1 'keep exec 5>>log; printf 1 >&5' && on 2 'printf 2222 >>log' &&
        on 1 'keep printf 3 >&5; python3 -c "import os; assert os.lseek(5, 0, 2) == 6; assert os.lseek(5, 0, 1) == 6"' &&
        [[ $(agree 'cat log') == 122223 ]] && on 1 'keep exec 5>&-'
}

rwf_append() {
    python 1 <<'PY'
f = os.open("rwf", os.O_RDWR | os.O_CREAT, 0o644)
os.pwrite(f, b"abc", 0)
assert os.pwritev(f, [b"def"], 0, os.RWF_APPEND) == 3
assert os.pread(f, 10, 0) == b"abcdef"
PY
}

# In a few pieces, which may lie between another node's, and nothing is lost. (The kernel cuts at
# pages of the program's memory, so the first may be shorter than a mebibyte.)
one_write_of_several_requests() {
    everywhere 'python3 -c "
import os, sys
f = os.open(\"big\", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
for i in range(4): assert os.write(f, sys.argv[1].encode() * (3 << 20)) == 3 << 20
" $rank' || return 1
    python 2 <<'PY'
data = open("big", "rb").read()
assert len(data) == 24 << 20, len(data)
assert data.count(b"0") == data.count(b"1")
changes = data.count(b"01") + data.count(b"10")
assert changes < 2 * 4 * 4, changes
PY
}

set_id_bits() {
    on 1 'echo x >suid && chmod 4755 suid && echo y >>suid && test "$(stat -c %a suid)" = 4755 &&
        truncate -s 1 suid && test "$(stat -c %a suid)" = 755 &&
        chmod 2755 suid && chown "$(id -u)" suid && test "$(stat -c %a suid)" = 755' &&
        on 2 'test "$(stat -c %a suid)" = 755'
}

access_time() {
    on 1 'echo x >at && touch -a -d @1000 at && cat at && cat at >/dev/null' >/dev/null &&
        [[ $(agree 'cat at >/dev/null; stat -c %X at') == 1000 ]]
}

blocks_of_striped_files() {
    on 1 'truncate -s 20M holes && printf x | dd of=holes bs=1 seek=10M conv=notrunc status=none' &&
        python 2 <<'PY'
f = os.open("holes", os.O_RDONLY)
assert os.fstat(f).st_blocks * 512 == 20 << 20
data = os.lseek(f, 0, os.SEEK_DATA)
hole = os.lseek(f, data, os.SEEK_HOLE)
assert data <= 10 << 20 < hole and hole - data <= 4096, (data, hole)
assert os.lseek(f, 0, os.SEEK_HOLE) == 0
PY
}

fsync_of_a_directory() {
    python 1 <<'PY'
d = os.open("dir", os.O_RDONLY | os.O_DIRECTORY)
os.fsync(d)
PY
}

# ---- what is removed while open ----

removed_directory() {
    python 1 <<'PY'
os.mkdir("gone")
d = os.open("gone", os.O_RDONLY | os.O_DIRECTORY)
os.rmdir("gone")
for call in (lambda: os.fstat(d), lambda: os.fchmod(d, 0o700)):
    try:
        call()
        sys.exit("it works on")
    except OSError as e:
        assert e.errno == errno.ENOENT, e
PY
}

removed_fifo() {
    python 1 <<'PY'
os.mkfifo("fifo")
before = os.stat("fifo").st_mtime_ns
f = os.open("fifo", os.O_RDWR)
os.write(f, b"through")
assert os.stat("fifo").st_mtime_ns == before
os.unlink("fifo")
assert os.read(f, 7) == b"through"
try:
    os.fstat(f)
    sys.exit("fstat works on")
except OSError as e:
    assert e.errno == errno.ESTALE, e
PY
}

# ---- what is not there ----

refused_calls() {
    python 1 <<'PY'
def refused(call, *wanted):
    try:
        call()
        sys.exit("not refused")
    except OSError as e:
        assert e.errno in wanted, e
f = os.open("refused", os.O_RDWR | os.O_CREAT, 0o644)
g = os.open("refused2", os.O_RDWR | os.O_CREAT, 0o644)
os.write(f, b"x" * 4096)
refused(lambda: os.setxattr("refused", "trusted.x", b"1"), errno.EOPNOTSUPP, errno.EPERM)
refused(lambda: os.setxattr("refused", "system.posix_acl_access", b"\2\0\0\0"), errno.EOPNOTSUPP)
os.setxattr("refused", "user.x", b"1")
FS_IOC_GETFLAGS, FICLONE = 0x80086601, 0x40049409
refused(lambda: fcntl.ioctl(f, FS_IOC_GETFLAGS, b"\0" * 8), errno.ENOTTY, errno.EOPNOTSUPP)
refused(lambda: fcntl.ioctl(g, FICLONE, f), errno.EOPNOTSUPP)
PY
}

inotify_sees_own_changes() {
    on 1 'mkdir watched' || return 1
    python 1 <<'PY' || return 1
libc = ctypes.CDLL(None, use_errno=True)
i = libc.inotify_init1(os.O_NONBLOCK)
assert libc.inotify_add_watch(i, b"watched", 0x100) >= 0  # IN_CREATE
open("watched/own", "w").close()
assert b"own" in os.read(i, 4096)
if os.fork():
    sys.exit(0)
for fd in 0, 1, 2:
    os.close(fd)
end = time.monotonic() + 30
while not os.path.exists("watched/other") and time.monotonic() < end:
    time.sleep(0.02)
try:
    said = str(os.read(i, 4096))
except BlockingIOError:
    said = "nothing"
open("inotify", "w").write(said)
PY
    [[ $(on 2 'touch watched/other; for i in {1..400}; do [[ -s inotify ]] && break; sleep 0.05; done
        cat inotify') == nothing ]]
}

# The mount of the node, as another user and as root see it.
others_are_refused() {
    local mount
    mount=$(in_node n1 bash -c 'grep -m 1 "fuse.benchfs" /proc/self/mountinfo | cut -d " " -f 5')
    [[ $mount ]] || { echo "no mount"; return 1; }
    ! in_node n1 ls "$mount" 2>"$test_dir/refused" && grep "Permission denied" "$test_dir/refused" &&
        ! in_node n1 setpriv --reuid 65534 --regid 65534 --clear-groups ls "$mount" 2>"$test_dir/refused" &&
        grep "Permission denied" "$test_dir/refused"
}

device_files() {
    local runtime=$test_dir/runtime
    mkdir -m 0700 "$runtime" || return 1
    XDG_RUNTIME_DIR=$runtime PATH=$build/bin:$PATH benchfs run -n 1 -- bash -c '
        cd "$BENCHFS_MOUNT" && mknod null c 1 3 && test -c null && ! cat null 2>text && grep "Permission denied" text'
}

ok "cluster of 2 nodes" cluster_up 2 --build "$build"
job_start
is "$(agree 'findmnt -n -o FSTYPE -T . | tail -n 1')" fuse.benchfs "every node has the mount" ||
    { diag <"$test_dir/srun.2"; kill "$srun"; done_testing; }
ok "F_GETLK tells of a lock of the other node" locks_are_told_of
ok "EDEADLK within one file" cycles_on_one_target_are_seen
ok "a shared mapping, msync, and the other node" shared_mappings_reach_others
ok "a mapping sees other nodes' changes after a stat" others_changes_after_a_stat
ok "programs and private mappings" programs_run
ok "attributes of a directory: within a second" directory_attributes
ok "permission to pass a directory: within a second" directory_permission
ok "a renamed directory's ctime" renamed_directory_changes_its_ctime
ok "the position after an append" position_after_an_append
ok "RWF_APPEND on one node" rwf_append
ok "one write of more than a mebibyte" one_write_of_several_requests
ok "set-user-ID bits" set_id_bits
ok "reading sets no access time" access_time
ok "st_blocks and SEEK_HOLE of a striped file" blocks_of_striped_files
ok "fsync of a directory" fsync_of_a_directory
ok "a directory that is removed while open" removed_directory
ok "a FIFO that is removed while open, and its mtime" removed_fifo
ok "other extended attributes, ACLs, ioctls, clones" refused_calls
ok "inotify" inotify_sees_own_changes
ok "root and other users" others_are_refused
ok "device files" device_files
ok "the job ends well" job_end || diag <"$test_dir/srun.2"
ok "and leaves nothing" wait_for 10 is_clean || remains | diag
done_testing
