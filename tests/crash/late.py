#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes that are given up while a daemon is stopped, and files that are cut or removed after it:
when the daemon goes on, nothing of those writes may show up.
usage: late.py DIRECTORY READY STOPPED   READY is made when a daemon is to be stopped, which is
done when there is STOPPED; it goes on some seconds later."""
import errno, os, sys, time

top, ready, stopped = sys.argv[1:4]
DATA = b"x" * 400000
FILES = 12


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
n_late = 0
for fd in files:
    try:
        os.pwrite(fd, DATA, 0)
    except OSError as e:
        assert e.errno == errno.ETIMEDOUT, e
        n_late += 1
    if n_late == 3:
        break
assert n_late > 0
# removed and closed, cut and kept, closed and cut
for i, fd in enumerate(files):
    if i % 3 == 0:
        insist(os.unlink, f"{top}/{i}")
        os.close(fd)
    elif i % 3 == 1:
        insist(os.ftruncate, fd, 0)
    else:
        os.close(fd)
        insist(os.truncate, f"{top}/{i}", 0)
for i in range(FILES):
    if i % 3:
        assert insist(os.stat, f"{top}/{i}").st_size == 0, i
until(30, lambda: used() == used_before)
for i, fd in enumerate(files):
    if i % 3 == 1:
        assert os.pread(fd, 10, 0) == b""
        os.close(fd)
    if i % 3:
        assert os.stat(f"{top}/{i}").st_size == 0, i
print(f"{n_late} writes were given up")
