#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that can't be reached for longer than its programs' files stay open. usage: givenup.py
WORK, as task 0 on a node, and as task 1 on the one whose link goes. In WORK task 1 makes `ready`
and waits for `cut`; task 0 makes `taken` when it has its locks; task 1 makes `tried` when it has
tried to write all the same, and waits for `mended`. Chunks are of 64 KiB, and there is one target
on each node, so a file's second chunk is not where its home is."""
import errno, fcntl, os, sys, time

top, work, task = os.environ["BENCHFS_MOUNT"], sys.argv[1], int(os.environ["SLURM_PROCID"])
FILES, SECOND, SIZE = 12, 65536, 65536 + 1000
GONE = ("EHOSTDOWN", "ETIMEDOUT")


def say(name, text=""):
    with open(f"{work}/{name}.new", "w") as f:
        f.write(text)
    os.rename(f"{work}/{name}.new", f"{work}/{name}")


def until(name):
    deadline = time.monotonic() + 60
    while not os.path.exists(f"{work}/{name}"):
        assert time.monotonic() < deadline, name
        time.sleep(0.02)
    with open(f"{work}/{name}") as f:
        return [int(word) for word in f.read().split()]


def attempt(call, *args):
    """What it gives: "ok", or the error's name."""
    try:
        call(*args)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]


def insist(call, *args):
    """The same, when the other node can be reached again."""
    deadline = time.monotonic() + 30
    while (result := attempt(call, *args)) in GONE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result


def take(i):
    """Whether the other node's file could be taken over; not if its home is there."""
    deadline = time.monotonic() + 30
    while True:
        try:
            fd = os.open(f"{top}/{i}", os.O_RDWR)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(fd, b"new", 0)
            return True
        except OSError as e:
            if errno.errorcode[e.errno] in GONE:
                return False
            assert e.errno == errno.EAGAIN and time.monotonic() < deadline, (i, e)
        time.sleep(0.1)


if task == 0:
    until("cut")
    taken = [i for i in range(FILES) if take(i)]
    assert 0 < len(taken) < FILES, taken
    say("taken", " ".join(map(str, taken)))
    until("tried")
    until("done")  # the locks are held until then
    sys.exit(0)

files = []
for i in range(FILES):
    files.append(os.open(f"{top}/{i}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    assert os.pwrite(files[i], b"old" * SIZE, 0) == 3 * SIZE
    fcntl.lockf(files[i], fcntl.LOCK_EX)
say("ready")
taken = until("taken")
for i in taken:  # the target is this node's own
    result = attempt(os.pwrite, files[i], b"late", SECOND)
    assert result in GONE + ("EIO",), result
say("tried")
until("mended")
for i in taken:
    for at in 0, SECOND:
        result = insist(os.pwrite, files[i], b"late", at)
        assert result == "EIO", (i, at, result)
    assert attempt(os.fsync, files[i]) == attempt(os.ftruncate, files[i], 0) == "EIO"
    os.close(files[i])
    fd = os.open(f"{top}/{i}", os.O_RDWR)
    data = os.pread(fd, 3 * SIZE, 0)
    assert data == b"new" + (b"old" * SIZE)[3:], i
    assert attempt(fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB) == "EAGAIN"
    assert os.pwrite(fd, b"again", SECOND) == 5
    os.close(fd)
for i in set(range(FILES)) - set(taken):  # their home is this node
    assert insist(os.pwrite, files[i], b"late", 0) == "ok"
    assert attempt(os.fsync, files[i]) == "ok"
    os.close(files[i])
print(f"{len(taken)} of {FILES} files were given up", flush=True)
say("done")
