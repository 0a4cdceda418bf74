#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The store on a disk: fsync reaches the disks of all who have a part, space that is freed is there
# for the next write, and all else is as in memory. (What is left after the loss of power is
# tests/unit/store/test_power.c.)
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs fsdiff python3 >/dev/null || skip_all "benchfs is not built, or no python3"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_CHUNK_SIZE=64KiB BENCHFS_STORE=$test_dir/disk
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR" "$BENCHFS_STORE"
reference=$(mktemp -d /dev/shm/benchfs-reference-XXXXXX) || exit 1
export reference
at_exit "rm -rf --one-file-system '$reference'"

cat >"$test_dir/sync.py" <<'PY'
import json, os, subprocess, sys
mount = os.environ["BENCHFS_MOUNT"]
def syncs():
    stats = subprocess.run(["benchfs", "stats", "--json"], stdout=subprocess.PIPE, check=True)
    return {name: sum(t["ops"].get(name, 0) for t in json.loads(stats.stdout))
            for name in ("SYNC", "STORE_SYNC")}
def cost(call):
    before = syncs()
    call()
    after = syncs()
    return {name: after[name] - before[name] for name in after}
fd = os.open(mount + "/f", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"x" * 1000, 0)
os.close(fd)
fd = os.open(mount + "/f", os.O_RDONLY)
others = int(sys.argv[1])
assert cost(lambda: os.fsync(fd)) == {"SYNC": 1, "STORE_SYNC": 0}
fd = os.open(mount + "/f", os.O_RDWR)
os.pwrite(fd, b"x" * 65536 * 9, 0)
assert cost(lambda: os.fsync(fd)) == {"SYNC": 1, "STORE_SYNC": others}, "all have chunks"
os.mkdir(mount + "/d")
fd = os.open(mount + "/d", os.O_RDONLY)
assert cost(lambda: os.fsync(fd)) == {"SYNC": 1, "STORE_SYNC": 0}, "an empty directory"
for i in range(50):
    open(f"{mount}/d/{i}", "w").close()
assert cost(lambda: os.fsync(fd)) == {"SYNC": 1, "STORE_SYNC": others}, "all have entries"
PY
ok "fsync asks those who have a part" benchfs run -n 3 -- python3 "$test_dir/sync.py" 2
ok "and nobody where there is no disk" env -u BENCHFS_STORE \
    benchfs run -n 3 -- python3 "$test_dir/sync.py" 0

cat >"$test_dir/full.py" <<'PY'
import errno, os, time
mount = os.environ["BENCHFS_MOUNT"]
def fill(name):
    fd, n = os.open(f"{mount}/{name}", os.O_RDWR | os.O_CREAT), 0
    while True:
        try:
            n += os.write(fd, bytes([n % 251 + 1]) * (1 << 20))
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
            os.close(fd)
            return n
first = fill("a")
assert first > 100 << 20, first
for name in "bcd":  # what the last one had is there at once, synced or not
    os.unlink(f"{mount}/{chr(ord(name) - 1)}")
    assert fill(name) >= first - (4 << 20)
with open(f"{mount}/d", "r+b") as f:
    os.fsync(f.fileno())
    assert f.read(3) == b"\1\1\1"
os.unlink(f"{mount}/d")
deadline = time.monotonic() + 30
while True:  # without anybody asking
    used = os.statvfs(mount)
    if (used.f_blocks - used.f_bfree) * used.f_frsize < 1 << 20:
        break
    assert time.monotonic() < deadline
    time.sleep(0.1)
PY
ok "a full disk: what is freed can be written to" \
    benchfs run -n 2 --capacity 96MiB -- python3 "$test_dir/full.py"

cat >"$test_dir/slow.py" <<'PY'
import os, time
mount = os.environ["BENCHFS_MOUNT"]
fd = os.open(mount + "/f", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"x" * 65536 * 9, 0)
open(os.environ["SLOW_DISK"], "w").close()
begun = time.monotonic()
os.fsync(fd)
assert time.monotonic() - begun > 3, "the disk isn't slow"
os.fsync(os.open(mount, os.O_RDONLY))
PY
cat >"$test_dir/slow.json" <<'JSON'
{"request_timeout": "3s"}
JSON
ok "an fsync may take longer than other requests" env SLOW_DISK="$test_dir/slow" BENCHFS_CONFIG="$test_dir/slow.json" \
    LD_PRELOAD="$build/tests/slow_disk.so" benchfs run -n 3 -- python3 "$test_dir/slow.py"

ok "random operations on three daemons, three processes" benchfs run -n 3 -- \
    bash -c 'fsdiff "$@" "$BENCHFS_MOUNT" "$reference"' \
    fsdiff --shrink 10 --seed 640000 --sequences 8 --processes 3
is "$(ls -A "$BENCHFS_STORE")" "" "nothing is left of the stores"
done_testing
