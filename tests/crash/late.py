#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes that are given up while a daemon is stopped, and files that are closed, cut or removed
after it: when the daemon goes on, nothing of those writes may show up where no file is.
usage: late.py DIRECTORY READY STOPPED   READY is made when a daemon is to be stopped, which is
done when there is STOPPED; it goes on some seconds later."""
import concurrent.futures, errno, os, sys, time

top, ready, stopped = sys.argv[1:4]
DATA = b"x" * 100000  # two chunks
FILES = 8
REMOVED, CUT, CLOSED_AND_CUT, CLOSED = range(4)  # file number modulo 4


def until(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)


def insist(call, *args):
    """For as long as it takes too long."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call(*args)
        except OSError as e:
            if e.errno != errno.ETIMEDOUT or time.monotonic() > deadline:
                raise


def used():
    s = os.statvfs(top)
    return (s.f_blocks - s.f_bfree) * s.f_frsize


os.makedirs(top, exist_ok=True)
used_before = used()
files = [os.open(f"{top}/{i}", os.O_RDWR | os.O_CREAT) for i in range(FILES)]
open(ready, "w").close()
until(60, lambda: os.path.exists(stopped))


def write(fd):
    """Whether it was given up."""
    try:
        os.pwrite(fd, DATA, 0)
    except OSError as e:
        assert e.errno == errno.ETIMEDOUT, e
        return True
    return False


with concurrent.futures.ThreadPoolExecutor(FILES) as pool:
    n_late = sum(pool.map(write, files))
assert n_late > FILES // 2, n_late
for i, fd in enumerate(files):
    if i % 4 != CUT:
        os.close(fd)
for i, fd in enumerate(files):
    if i % 4 == REMOVED:
        insist(os.unlink, f"{top}/{i}")
    elif i % 4 == CUT:
        insist(os.ftruncate, fd, 0)
    elif i % 4 == CLOSED_AND_CUT:
        insist(os.truncate, f"{top}/{i}", 0)
for i, fd in enumerate(files):
    size = insist(os.stat, f"{top}/{i}").st_size if i % 4 != REMOVED else 0
    assert size == 0 or (i % 4 == CLOSED and size <= len(DATA)), (i, size)
    if i % 4 == CUT:
        assert os.pread(fd, 10, 0) == b""
        os.close(fd)
until(30, lambda: used() <= used_before + FILES // 4 * (len(DATA) + 4096))
print(f"{n_late} writes were given up")
