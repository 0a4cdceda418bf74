#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes, renames and removes files until there is a file STOP, and keeps account of what was
acknowledged. An operation that fails with one of ERRNOS may have happened or not; any other error
is a failure, and so is an operation that takes longer than LIMIT seconds. In the end everything
that is certain must be so. Touches PROGRESS after each operation that succeeded.
usage: ledger.py DIRECTORY STOP PROGRESS LIMIT [ERRNOS, comma-separated names]"""
import collections, errno, os, random, sys, time

top, stop, progress, limit = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
allowed = {getattr(errno, name) for name in sys.argv[5].split(",")} if len(sys.argv) > 5 else set()
there, gone, unknown = {}, set(), set()  # name -> content; names; names
errors, slowest, done = collections.Counter(), 0.0, 0
choose = random.Random(len(top))


def attempt(names, call):
    """Whether it was acknowledged."""
    global slowest, done
    begin, ok = time.monotonic(), True
    try:
        call()
    except OSError as e:
        ok = False
        errors[errno.errorcode[e.errno]] += 1
        if e.errno not in allowed:
            sys.exit(f"{names}: {e}")
        for name in names:
            unknown.add(name)
            there.pop(name, None)
            gone.discard(name)
    slowest = max(slowest, time.monotonic() - begin)
    done += ok
    if ok:
        open(progress, "w").close()
    return ok


def write(name, content):
    with open(os.path.join(top, name), "xb", buffering=0) as f:
        assert f.write(content) == len(content)


def read(name):
    with open(os.path.join(top, name), "rb") as f:
        return f.read()


def step(number):
    name = f"a{number}"
    content = b"%d " % number * choose.choice([1, 10, 40000])
    if attempt([name], lambda: write(name, content)):
        there[name] = content
    if not there:
        return
    old, new = choose.choice(list(there)), f"b{number}"
    if attempt([old, new], lambda: os.rename(os.path.join(top, old), os.path.join(top, new))):
        there[new] = there.pop(old)
        gone.add(old)
    if len(there) > 40:
        old = choose.choice(list(there))
        if attempt([old], lambda: os.unlink(os.path.join(top, old))):
            del there[old]
            gone.add(old)


def main():
    number = 0
    os.makedirs(top, exist_ok=True)
    while not os.path.exists(stop):
        step(number)
        number += 1
    allowed.clear()
    names = set(os.listdir(top))
    for name, content in there.items():
        if read(name) != content:
            sys.exit(f"{name}: another content")
    if set(there) - names or gone & names or names - set(there) - unknown:
        sys.exit(f"lost: {set(there) - names}, come back: {gone & names}, "
                 f"from nowhere: {names - set(there) - unknown}")
    print(f"{done} operations, errors {dict(errors)}, {len(unknown)} unknown, slowest {slowest:.1f} s")
    if slowest > limit:
        sys.exit(f"an operation took {slowest:.1f} s")


main()
