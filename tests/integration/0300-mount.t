#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The mount: everyday programs and the POSIX behaviour they lean on. Runs itself beneath
# `benchfs run`; with BENCHFS_MOUNT set (in a job, say) it tests what is mounted there.
# shellcheck disable=SC2016,SC2317
if [[ -z ${BENCHFS_MOUNT:-} ]]; then
    root=$(cd "$(dirname "$0")/../.." && pwd)
    exec "${BENCHFS_BIN:-$root/build/release/bin}/benchfs" run -n 2 -- "$0"
fi
source "$(dirname "$0")/lib.sh"

work=$BENCHFS_MOUNT/mount-test.$$
readonly local=$test_dir/local
mkdir "$work" "$local" || exit 1
at_exit "rm -rf '$work'"
cd "$work" || exit 1
at_exit "cd /"

# For what a shell can't do: py SCRIPT... prints nothing unless asked.
py() { python3 -c "$1" "${@:2}"; }
same() { diff -r --no-dereference "$1" "$2"; }
random() { head -c "$1" /dev/urandom; }

# ---- files ----
is "$(findmnt -n -o FSTYPE -T .)" fuse.benchfs "it is our mount"
echo one >a
is "$(cat a)" one "write and read back"
echo two >>a
is "$(cat a)" $'one\ntwo' "append"
is "$(stat -c '%s %a %F' a)" "8 644 regular file" "attributes"
random 5242881 >"$local/big"
ok "a file over many chunks" cp "$local/big" big
ok "is the same" cmp "$local/big" big
is "$(stat -c %s big)" 5242881 "and as long"
ok "unaligned pieces" dd if=big of=pieces bs=99991 status=none
ok "are the same" cmp big pieces
: >a
is "$(stat -c %s a)" 0 "truncated by open"
truncate -s 3000000 a
is "$(stat -c %s a)" 3000000 "grown by truncate"
is "$(tr -d '\0' <a | wc -c)" 0 "with zeros"
truncate -s 5 big
is "$(stat -c %s big)" 5 "shrunk by truncate"
truncate -s 5242881 big
is "$(tail -c +6 big | tr -d '\0' | wc -c)" 0 "what was cut off does not come back"
printf x | dd of=hole bs=1 seek=10485760 status=none
is "$(stat -c %s hole)" 10485761 "a write far out"
is "$(head -c 10485760 hole | tr -d '\0' | wc -c)" 0 "leaves zeros before it"
ok "punch a hole, seek, allocate" py '
import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
f = os.open("punch", os.O_RDWR | os.O_CREAT)
os.write(f, b"x" * 3000000)
assert libc.fallocate(f, 3, 1048576, 1048576) == 0, os.strerror(ctypes.get_errno())
assert os.pread(f, 1048576, 1048576) == bytes(1048576)
assert os.pread(f, 1, 1048575) == b"x" and os.pread(f, 1, 2097152) == b"x"
assert os.lseek(f, 0, os.SEEK_DATA) == 0
assert os.lseek(f, 0, os.SEEK_HOLE) == 1048576
assert os.lseek(f, 1048576, os.SEEK_DATA) == 2097152
assert 3000000 == os.lseek(f, 2097152, os.SEEK_HOLE)
os.posix_fallocate(f, 0, 4000000)
assert os.fstat(f).st_size == 4000000
'
ok "pread, pwrite, readv, writev beyond the end" py '
import os
f = os.open("vec", os.O_RDWR | os.O_CREAT)
assert os.pwritev(f, [b"ab", b"cde"], 1048574) == 5
assert os.pread(f, 100, 1048570) == b"\0\0\0\0abcde"
assert os.pread(f, 10, 9999999) == b""
'
ok "O_APPEND from two descriptors keeps all" py '
import os
fs = [os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2)]
for i in range(500):
    os.write(fs[i % 2], b"%03d\n" % i)
assert open("log").read() == "".join("%03d\n" % i for i in range(500))
'
ok "O_EXCL" py '
import os
os.close(os.open("excl", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
try: os.open("excl", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
except FileExistsError: raise SystemExit(0)
raise SystemExit(1)
'
ok "unlinked while open: readable, writable, sized" py '
import os
f = os.open("gone", os.O_RDWR | os.O_CREAT)
os.write(f, b"before")
os.unlink("gone")
assert not os.path.exists("gone")
os.write(f, b" after")
assert os.pread(f, 100, 0) == b"before after"
assert os.fstat(f).st_size == 12 and os.fstat(f).st_nlink == 0
'
ok "fsync, fdatasync, sync" py '
import os
f = os.open("synced", os.O_RDWR | os.O_CREAT)
os.write(f, b"x"); os.fsync(f); os.fdatasync(f)
d = os.open(".", os.O_RDONLY); os.fsync(d)
os.write(os.open("synced", os.O_WRONLY | os.O_SYNC), b"y")
'
ok "copy_file_range" py '
import os
a = os.open("pieces", os.O_RDONLY); b = os.open("copy", os.O_WRONLY | os.O_CREAT)
left = os.fstat(a).st_size
while left: left -= os.copy_file_range(a, b, left)
'
ok "copies all" cmp pieces copy
# Requests of an opcode that all targets have had so far.
requests() {
    "${BENCHFS_BIN:-$test_root/build/release/bin}/benchfs" stats --json |
        python3 -c 'import json, sys; print(sum(t["ops"].get(sys.argv[1], 0) for t in json.load(sys.stdin)))' "$1"
}
random 3000000 >whole && truncate -s 6M whole && echo end >>whole
writes=$(requests WRITE) copies=$(requests COPY)
ok "cp of a file with a hole" cp --reflink=auto --sparse=never whole whole-copy
ok "is the same" cmp whole whole-copy
is "$(($(requests COPY) - copies))" 7 "by one request per chunk"
is "$(($(requests WRITE) - writes))" 0 "and no bytes through the mount"
ok "the hole is there" py '
import os
f = os.open("whole-copy", os.O_RDONLY)
assert os.lseek(f, 3 << 20, os.SEEK_DATA) >= 6 << 20, os.lseek(f, 3 << 20, os.SEEK_DATA)
'
exits 1 "not over itself" py '
import os
f = os.open("whole", os.O_RDWR)
os.copy_file_range(f, f, 100, 0, 50)
'

# ---- mappings ----
has_shared=1
py '
import mmap, os
f = os.open("map", os.O_RDWR | os.O_CREAT); os.ftruncate(f, 4096); mmap.mmap(f, 4096)
' 2>/dev/null || has_shared=0
if ((has_shared)); then
    ok "a shared mapping: another descriptor sees it, and it sees others" py '
import mmap, os
f = os.open("map", os.O_RDWR); os.ftruncate(f, 2097152)
m = mmap.mmap(f, 2097152)
m[1048570:1048580] = b"0123456789"
g = os.open("map", os.O_RDWR)
assert os.pread(g, 10, 1048570) == b"0123456789"
m.flush()
os.pwrite(g, b"written", 0)
assert m[0:7] == b"written"
m[7:10] = b"end"
m.close()
assert open("map", "rb").read(10) == b"writtenend"
'
else
    skip 1 "no MAP_SHARED: kernel older than 6.6"
fi
ok "a private mapping" py '
import mmap, os
open("priv", "wb").write(b"abc" * 1000)
m = mmap.mmap(os.open("priv", os.O_RDWR), 3000, mmap.MAP_PRIVATE)
assert m[0:3] == b"abc"; m[0:3] = b"xyz"
assert open("priv", "rb").read(3) == b"abc"
'

# ---- names ----
ok "mkdir, nested" mkdir -p d/e/f
exits 1 "rmdir of a full one fails" rmdir d
is "$(rmdir d 2>&1 | grep -c 'not empty')" 1 "with ENOTEMPTY"
ok "rename over a file" bash -c 'echo new >n1; echo old >n2; mv n1 n2; [[ $(cat n2) == new && ! -e n1 ]]'
ok "rename between directories" bash -c 'mv n2 d/e/n3 && [[ $(cat d/e/n3) == new ]]'
ok "rename a directory" bash -c 'mv d/e dd && [[ $(cat dd/n3) == new && -d dd/f && ! -e d/e ]]'
ok "a directory not into itself" bash -c '! mv dd dd/f/x 2>/dev/null && [[ -d dd/f ]]'
ok "the open file follows the rename" bash -c 'exec 5>r1; mv r1 r2; echo x >&5; [[ $(cat r2) == x ]]'
is "$(stat -c %h d) $(stat -c %h dd)" "2 3" "link counts of directories"
ok "hard links" bash -c 'ln dd/n3 hard && [[ $(stat -c %h hard) == 2 && hard -ef dd/n3 ]] && rm dd/n3 && [[ $(cat hard) == new && $(stat -c %h hard) == 1 ]]'
ok "symlinks" bash -c 'ln -s ../hard d/s && [[ $(readlink d/s) == ../hard && $(cat d/s) == new ]]'
ok "a dangling one and a loop" bash -c 'ln -s nowhere dang && ! cat dang 2>/dev/null; ln -s l2 l1; ln -s l1 l2; cat l1 2>&1 | grep -q "Too many levels"'
long=$(printf 'n%.0s' {1..255})
ok "a name of 255 bytes" touch "$long"
is "$(touch "${long}n" 2>&1 | grep -c 'too long')" 1 "not of 256"
ok "a name of any bytes" py '
import os
name = bytes(b for b in range(1, 256) if b != ord("/"))[:255]
open(name, "w").close(); assert name in os.listdir(b"."); os.unlink(name)
'
ok "a FIFO between two processes" bash -c 'mkfifo p; echo through >p & [[ $(cat p) == through ]]'
ok "a socket" py '
import socket, os
os.chdir(os.getcwd()); s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect("sock")
'
mkdir many
ok "2000 files" bash -c 'for i in {1..2000}; do : >many/$i; done'
is "$(find many -mindepth 1 -printf "%f\n" | sort -n | md5sum)" "$(seq 2000 | md5sum)" "each listed once"
is "$(find many -type f | wc -l)" 2000 "find finds them"
ok "removed while listing" py '
import os
seen = set()
with os.scandir("many") as it:
    for e in it:
        assert e.name not in seen; seen.add(e.name)
        os.unlink("many/" + e.name)
assert len(seen) == 2000 and os.listdir("many") == []
'
ok "seekdir goes back to an entry" py '
import ctypes, os
libc = ctypes.CDLL(None)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
libc.telldir.argtypes = libc.readdir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
for i in range(50): open("many/%d" % i, "w").close()
d = libc.opendir(b"many")
def name():
    e = libc.readdir(d)
    return ctypes.string_at(e + 19) if e else None
where = [(libc.telldir(d), name()) for _ in range(40)]
rest = []
while (n := name()): rest.append(n)
libc.seekdir(d, where[20][0])
again = [name() for _ in range(20)]
assert again == [n for _, n in where[20:]], again
assert [name() for _ in range(len(rest))] == rest and name() is None
'
is "$(cd dd && pwd -P && cd .. && pwd -P)" "$work/dd
$work" "getcwd, and .. of a directory"
ok "d_ino of . and .." py '
import ctypes, os
libc = ctypes.CDLL(None); libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.readdir.argtypes = [ctypes.c_void_p]
d = libc.opendir(b"many"); seen = {}
while (e := libc.readdir(d)): seen[ctypes.string_at(e + 19)] = ctypes.c_uint64.from_address(e).value
assert seen[b"."] == os.stat("many").st_ino and seen[b".."] == os.stat(".").st_ino
'

# ---- attributes ----
umask 027
touch um && mkdir umd
is "$(stat -c %a um umd | xargs)" "640 750" "umask"
umask 022
chmod 4751 um
is "$(stat -c %a um)" 4751 "chmod"
touch -d '2001-02-03 04:05:06.123456789 UTC' um
is "$(TZ=UTC stat -c %y um)" "2001-02-03 04:05:06.123456789 +0000" "nanosecond times"
touch -a -d '@1' um
is "$(stat -c '%X %Y' um)" "1 981173106" "atime alone"
touch um
ok "now is now" test $(($(date +%s) - $(stat -c %Y um))) -le 2
chmod 2755 umd && mkdir umd/sub && touch umd/file
is "$(stat -c %a umd/sub)" 2755 "set-group-id is inherited"
ok "times change as they should" py '
import os, time
def times(p): s = os.stat(p); return s.st_mtime_ns, s.st_ctime_ns
os.mkdir("t"); t0 = times("t"); time.sleep(0.02)
open("t/x", "w").close(); t1 = times("t"); assert t1 > t0
x0 = times("t/x"); time.sleep(0.02); os.chmod("t/x", 0o600); x1 = times("t/x")
assert x1[0] == x0[0] and x1[1] > x0[1]
time.sleep(0.02); open("t/x", "a").write("y"); x2 = times("t/x"); assert x2[0] > x1[0]
time.sleep(0.02); os.rename("t/x", "t/y"); assert times("t") > t1
'
ok "extended attributes" py '
import os, errno
open("xa", "w").close()
os.setxattr("xa", "user.one", b"1"); os.setxattr("xa", "user.big", b"b" * 4000)
assert os.getxattr("xa", "user.one") == b"1" and len(os.getxattr("xa", "user.big")) == 4000
assert sorted(os.listxattr("xa")) == ["user.big", "user.one"]
os.removexattr("xa", "user.one")
for call, code in ((lambda: os.getxattr("xa", "user.one"), errno.ENODATA),
                   (lambda: os.setxattr("xa", "user.big", b"", os.XATTR_CREATE), errno.EEXIST),
                   (lambda: os.getxattr("xa", "security.none"), errno.EOPNOTSUPP)):
    try: call()
    except OSError as e: assert e.errno == code, e
    else: raise SystemExit("no error")
'
ok "statfs" py '
import os
s = os.statvfs("."); assert s.f_blocks > 0 and s.f_bfree <= s.f_blocks and s.f_namemax == 255
'
if ((EUID != 0)); then
    echo secret >sec && chmod 000 sec
    exits 1 "no read permission" cat sec
    chmod 400 sec
    exits 1 "no write permission" bash -c 'echo x >sec'
    mkdir closed && touch closed/f && chmod 600 closed
    exits 1 "no search permission" cat closed/f
    chmod 500 closed
    exits 1 "no new entries" touch closed/g
    chmod 700 closed
    ok "until it is given back" touch closed/g
    exits 1 "chown to root" chown root sec
else
    skip 6 "root may do everything"
fi

# ---- programs ----
printf '#!/bin/sh\necho ran "$1"\n' >script && chmod +x script
is "$(./script it)" "ran it" "a script is run"
mkdir "$local/tree"
cp -a /usr/include/linux /usr/share/doc/bash "$local/tree/" 2>/dev/null
ln -s linux/fs.h "$local/tree/link"
random 3000000 >"$local/tree/data"
ok "tar | tar" bash -c "tar -C '$local/tree' -cf - . | (mkdir tar && tar -C tar -xf -)"
ok "gives the same tree" same "$local/tree" tar
ok "cp -a inside" cp -a tar cp
ok "gives the same" same tar cp
is "$(cd tar && find . -printf '%y %m %s %p\n' | grep -v '^d' | sort | md5sum)" \
    "$(cd "$local/tree" && find . -printf '%y %m %s %p\n' | grep -v '^d' | sort | md5sum)" "find -printf agrees"
if command -v rsync >/dev/null; then
    ok "rsync in" rsync -a "$local/tree/" rs/
    echo changed >>rs/data
    ok "rsync --checksum mends it" rsync -a --checksum "$local/tree/" rs/
    ok "the same" same "$local/tree" rs
else
    skip 3 "no rsync"
fi
ok "rm -r" rm -r cp
mkdir build && cat >build/Makefile <<'M'
OBJS = $(patsubst %,f%.o,0 1 2 3 4 5 6 7 8 9)
prog: main.o $(OBJS)
	$(CC) -o $@ $^
M
for i in {0..9}; do echo "int f$i(void) { return $i; }" >"build/f$i.c"; done
{
    for i in {0..9}; do echo "int f$i(void);"; done
    echo 'int main(void) { return f0()+f1()+f2()+f3()+f4()+f5()+f6()+f7()+f8()+f9(); }'
} >build/main.c
ok "make -j4 with gcc" make -s -C build -j4
exits 45 "the program runs" build/prog
ok "make again has nothing to do" make -q -C build prog
export GIT_CONFIG_GLOBAL=$local/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --file "$GIT_CONFIG_GLOBAL" user.name t
git config --file "$GIT_CONFIG_GLOBAL" user.email t@example.org
ok "git init, add, commit" bash -c "git init -q repo && cp -r '$local/tree/linux' repo/ && cd repo && git add . && git commit -qm one && git mv linux/fs.h moved.h && git commit -qam two"
ok "git clone, gc, fsck" bash -c 'git clone -q repo clone && cd clone && git gc -q && git fsck --strict'
is "$(git -C clone status --porcelain)$(git -C clone log --format=%s | xargs)" "two one" "all is there"
ok "sqlite3 in one process" py '
import sqlite3
for mode in ("delete", "truncate", "persist"):
    db = sqlite3.connect("db-" + mode); db.execute("pragma journal_mode=" + mode)
    db.execute("create table t (a integer primary key, b text)")
    for i in range(20):
        with db: db.executemany("insert into t (b) values (?)", [("x" * i,)] * 50)
    try:
        with db: db.execute("delete from t"); raise KeyError
    except KeyError: pass
    db.execute("vacuum")
    assert db.execute("select count(*), sum(length(b)) from t").fetchone() == (1000, 9500)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
'
ok "four writers side by side" bash -c '
    for i in 1 2 3 4; do
        (dd if=/dev/zero bs=1M count=8 2>/dev/null | tr "\0" "$i" >par.$i) &
    done; wait
    for i in 1 2 3 4; do
        [[ $(tr -d "$i" <par.$i | wc -c) == 0 && $(stat -c %s par.$i) == 8388608 ]] || exit 1
    done'
ok "four writers to one file" bash -c '
    for i in 1 2 3 4; do
        (dd if=/dev/zero bs=1M count=4 2>/dev/null | tr "\0" "$i" |
            dd of=one bs=1M seek=$(((i - 1) * 4)) conv=notrunc iflag=fullblock status=none) &
    done; wait
    for i in 1 2 3 4; do
        [[ $(dd if=one bs=1M skip=$(((i - 1) * 4)) count=4 status=none | tr -d "$i" | wc -c) == 0 ]] || exit 1
    done; [[ $(stat -c %s one) == 16777216 ]]'
done_testing
