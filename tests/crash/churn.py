#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Changes names as fast as it can, for others to kill daemons under it: renames over files and
directories, exchanges, links, removals, truncations. Names are few, so that operations meet.
Any error that a local file system would not give is a failure.
usage: churn.py DIRECTORY SECONDS PROCESSES SEED"""
import ctypes, errno, multiprocessing, os, random, sys, time

EXCHANGE, AT_FDCWD = 2, -100
ALLOWED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR, errno.EINVAL,
           errno.EBUSY, errno.EPERM, errno.ESTALE}
libc = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    if libc.renameat2(AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), EXCHANGE) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def write(path, size):
    with open(path, "wb") as f:
        f.write(b"x" * size)


class Churn:
    def __init__(self, top, seed):
        self.top, self.random = top, random.Random(seed)
        self.counts = {}

    def directory(self):
        return os.path.join(self.top, self.random.choice(["", "d0", "d1", "d2", "d0/d3", "d1/d4"]))

    def file(self):
        return os.path.join(self.directory(), "f%d" % self.random.randrange(8))

    def any(self):
        r = self.random
        return self.file() if r.random() < 0.6 else os.path.join(self.directory(), "d%d" % r.randrange(5))

    def step(self):
        r = self.random
        size = r.choice([0, 1000, 100000, 300000])
        name, call = r.choice([
            ("create", lambda: write(self.file(), size)),
            ("truncate", lambda: os.truncate(self.file(), size)),
            ("unlink", lambda: os.unlink(self.file())),
            ("link", lambda: os.link(self.file(), self.file())),
            ("mkdir", lambda: os.mkdir(os.path.join(self.directory(), "d%d" % r.randrange(5)))),
            ("rmdir", lambda: os.rmdir(os.path.join(self.directory(), "d%d" % r.randrange(5)))),
            ("rename", lambda: os.rename(self.any(), self.any())),
            ("exchange", lambda: exchange(self.any(), self.any())),
        ] + 4 * [("rename", lambda: os.rename(self.file(), self.file()))])
        try:
            call()
            self.counts[name] = self.counts.get(name, 0) + 1
        except OSError as e:
            if e.errno not in ALLOWED:
                print(f"{name}: {e}", file=sys.stderr)
                raise SystemExit(1)


OPERATIONS = {"create", "unlink", "link", "mkdir", "rmdir", "rename", "exchange"}


def run(top, seconds, seed, done):
    churn, end = Churn(top, seed), time.monotonic() + seconds
    while time.monotonic() < end:
        churn.step()
    print(f"seed {seed}:", ", ".join(f"{n} {k}" for k, n in sorted(churn.counts.items())), flush=True)
    done.put(set(churn.counts))


def main():
    top, seconds, n, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    done = multiprocessing.SimpleQueue()
    processes = [multiprocessing.Process(target=run, args=(top, seconds, seed + i, done))
                 for i in range(n)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    if any(p.exitcode for p in processes):
        sys.exit(1)
    missing = OPERATIONS.difference(*(done.get() for _ in processes))
    if missing:
        sys.exit(f"never done: {missing}")


main()
