#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exercises locks from several processes on several nodes, all with one directory.

lockturns.py DIR MEMBER MEMBERS ROUNDS SEED

Each member takes random range locks of fcntl(2), some shared and some not, with and without
waiting, and flock(2) locks. What a lock protects is checked: under a write lock of a range a
member writes its number over each byte's counter cell and finds it unchanged afterwards; under
a read lock no cell changes. A counter that all increase under flock must end as the sum."""
import errno
import fcntl
import os
import random
import struct
import sys
import time

CELLS = 16
CELL = 8
DEADLINE_S = 120


def pread_cell(fd, cell):
    return struct.unpack("<Q", os.pread(fd, CELL, cell * CELL))[0]


def locked(fd, kind, first, n, waits):
    try:
        fcntl.lockf(fd, kind if waits else kind | fcntl.LOCK_NB, n * CELL, first * CELL)
        return True
    except OSError as error:
        if error.errno == (errno.EDEADLK if waits else errno.EAGAIN):
            return False
        raise


def range_turn(fd, rng, member):
    first = rng.randrange(CELLS)
    n = rng.randint(1, CELLS - first)
    is_write = rng.random() < 0.6
    kind = fcntl.LOCK_EX if is_write else fcntl.LOCK_SH
    if not locked(fd, kind, first, n, rng.random() < 0.7):
        return False
    cells = range(first, first + n)
    if is_write:
        marks = {cell: rng.getrandbits(48) << 16 | member for cell in cells}
        for cell, mark in marks.items():
            os.pwrite(fd, struct.pack("<Q", mark), cell * CELL)
    else:
        marks = {cell: pread_cell(fd, cell) for cell in cells}
    if rng.random() < 0.3:
        time.sleep(rng.random() * 0.002)
    for cell, mark in marks.items():
        found = pread_cell(fd, cell)
        if found != mark:
            sys.exit(f"member {member}: cell {cell} changed under a lock: {found:x}, not {mark:x}")
    fcntl.lockf(fd, fcntl.LOCK_UN, n * CELL, first * CELL)
    return True


def counter_turn(path):
    fd = os.open(path, os.O_RDWR)  # a description, and so a lock, of its own
    fcntl.flock(fd, fcntl.LOCK_EX)
    value = struct.unpack("<Q", os.pread(fd, CELL, 0))[0]
    os.pwrite(fd, struct.pack("<Q", value + 1), 0)
    os.close(fd)  # gives the lock back


def await_value(path, wanted):
    deadline = time.monotonic() + DEADLINE_S
    fd = os.open(path, os.O_RDONLY)
    while struct.unpack("<Q", os.pread(fd, CELL, 0))[0] != wanted:
        if time.monotonic() > deadline:
            sys.exit(f"{path}: {os.pread(fd, CELL, 0)!r} is not {wanted}")
        time.sleep(0.01)
    os.close(fd)


def main():
    directory, member, members, rounds, seed = sys.argv[1], *map(int, sys.argv[2:6])
    rng = random.Random(seed * 1000 + member)
    cells, counter, ready = (os.path.join(directory, name) for name in ("cells", "counter", "ready"))
    for path, size in ((cells, CELLS * CELL), (counter, CELL), (ready, CELL)):
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if os.fstat(fd).st_size < size:
            os.ftruncate(fd, size)
        os.close(fd)
    counter_turn(ready)
    await_value(ready, members)
    fd = os.open(cells, os.O_RDWR)
    taken = 0
    for _ in range(rounds):
        taken += range_turn(fd, rng, member)
        counter_turn(counter)
    await_value(counter, members * rounds)
    print(f"member {member}: {taken} locks")


main()
