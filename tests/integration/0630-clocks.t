#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nodes whose clocks differ: sizes and data are as they are, only times are not.
source "$(dirname "$0")/lib.sh"

build=${BENCHFS_BUILD:-$test_root/build/release}
export PATH=${BENCHFS_BIN:-$build/bin}:$build/tests:$PATH
command -v benchfs python3 >/dev/null || skip_all "benchfs is not built, or no python3"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip_all "/dev/fuse can't be opened"
export XDG_RUNTIME_DIR=$test_dir/runtime BENCHFS_CHUNK_SIZE=64KiB
unset BENCHFS_MOUNT BENCHFS_SOCKET
mkdir -m 0700 "$XDG_RUNTIME_DIR"

printf '0123456789' >"$test_dir/ten"
cat >"$test_dir/cut.py" <<'PY'
import os, subprocess, sys, time
mount = os.environ["BENCHFS_MOUNT"]
CHUNK = 65536
ahead = 0
def write_and_cut(path, chunks, cut):
    """The size after a file with an open writer was cut, and the writer has closed it."""
    writer = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(writer, b"x" * CHUNK * chunks, 0)
    cut(path)
    os.close(writer)
    return os.stat(path).st_size
def replace(path):
    """Not by the mount, which would know."""
    subprocess.run(["benchfs", "cp", sys.argv[1], ":" + path.removeprefix(mount)], check=True)
for i in range(8):  # of both homes, and with the last chunk on both
    for chunks in 1, 2, 3:
        path = f"{mount}/{i}-{chunks}"
        assert write_and_cut(path, chunks, replace) == 10, path
        assert write_and_cut(path, chunks, lambda path: None) == chunks * CHUNK, path
        assert write_and_cut(path, chunks, lambda path: os.truncate(path, 20)) == 20, path
        ahead += os.stat(path).st_ctime > time.time() + 50
        with open(path, "wb") as f:  # cut and longer again: what was there is not
            f.truncate(chunks * CHUNK)
        with open(path, "rb") as f:
            assert f.read() == bytes(chunks * CHUNK), path
assert 0 < ahead < 24, "the clocks are the same"
PY
ok "a file that is cut between a write and its close" \
    env LD_PRELOAD="$build/tests/skewed_clock.so" benchfs run -n 2 -- python3 "$test_dir/cut.py" "$test_dir/ten"
done_testing
