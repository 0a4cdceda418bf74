#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pool of connections as a program has it: made at once, closed and made again, and what the
program has open stays. usage: pool.py LIBRARY; on one of two nodes, with a request_timeout of 2 s"""
import ctypes, errno, fcntl, os, sys, time

lib = ctypes.CDLL(sys.argv[1])
lib.benchfs_pwrite.argtypes = lib.benchfs_pread.argtypes = [
    ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int64]
lib.benchfs_pwrite.restype = lib.benchfs_pread.restype = ctypes.c_ssize_t
lib.benchfs_connections.restype = ctypes.c_ssize_t


class Connection(ctypes.Structure):
    _fields_ = [("target", ctypes.c_uint), ("host", ctypes.c_char * 64),
                ("is_local", ctypes.c_int), ("is_connected", ctypes.c_int),
                ("n_connects", ctypes.c_ulong)]


def connections():
    table = (Connection * 64)()
    n = lib.benchfs_connections(fs, table, ctypes.c_size_t(64))
    assert 0 <= n <= 64, n
    return [c for c in table[:n] if c.is_connected]


def descriptors():
    return len(os.listdir("/proc/self/fd"))


fs = ctypes.c_void_p()
other = ctypes.c_void_p()  # as another program
assert lib.benchfs_init(ctypes.byref(fs), None) == 0
assert lib.benchfs_init(ctypes.byref(other), None) == 0
assert lib.benchfs_connect(other) == 0
assert lib.benchfs_connect(fs) == 0
there = connections()
hosts = {c.host for c in there}
far = [c for c in there if not c.is_local]
assert len(hosts) == 2 and 0 < len(far) < len(there), hosts
most = descriptors()
files, rivals = [], []
for i in range(8):  # without a name: gone, if a daemon thinks that we are
    name = b"/pool-%d" % i
    fd = lib.benchfs_creat(fs, name, 0o600)
    assert lib.benchfs_pwrite(fs, fd, b"%d" % i * 1000, 1000, 0) == 1000
    assert lib.benchfs_close(fs, fd) == 0
    fd, rival = lib.benchfs_open(fs, name, os.O_RDWR, 0), lib.benchfs_open(other, name, os.O_RDWR, 0)
    assert fd >= 0 and rival >= 0 and lib.benchfs_unlink(fs, name) == 0
    assert lib.benchfs_flock(fs, fd, fcntl.LOCK_EX) == 0
    files.append(fd)
    rivals.append(rival)
assert lib.benchfs_disconnect(fs) == len(far)
assert lib.benchfs_disconnect(fs) == 0
assert all(c.is_local for c in connections())
assert descriptors() < most, (descriptors(), most)
time.sleep(6)  # longer than a client is missed
for rival in rivals:
    assert lib.benchfs_flock(other, rival, fcntl.LOCK_EX | fcntl.LOCK_NB) == -errno.EAGAIN
for i, fd in enumerate(files):
    buffer = ctypes.create_string_buffer(1000)
    assert lib.benchfs_pread(fs, fd, buffer, 1000, 0) == 1000
    assert buffer.raw == b"%d" % i * 1000
assert len(connections()) == len(there)
assert max(c.n_connects for c in connections()) == 2
for fd in files:
    assert lib.benchfs_close(fs, fd) == 0
for rival in rivals:
    assert lib.benchfs_flock(other, rival, fcntl.LOCK_EX | fcntl.LOCK_NB) == 0
assert lib.benchfs_fini(fs) == 0
assert lib.benchfs_fini(other) == 0
