#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program sees of a node that goes. usage: lost.py DIRECTORY WORK [once]
In WORK it makes `ready`, waits for `cut` (a node can't be reached), makes `cut-seen`, waits for
`mended`, makes `mended-seen`, waits for `lost` (it can't be reached again, and Slurm knows), and
ends when it has seen that the rest is usable. once: ends after `cut-seen`."""
import collections, errno, json, os, subprocess, sys, time

top, work = sys.argv[1:3]
FILES, LIMIT = 60, 15.0  # seconds for one operation


def say(name):
    open(f"{work}/{name}", "w").close()


def until(name):
    deadline = time.monotonic() + 120
    while not os.path.exists(f"{work}/{name}"):
        assert time.monotonic() < deadline, name
        time.sleep(0.05)


def attempt(call, *args):
    """What it gives: "ok", or the error's name; in bounded time."""
    begin = time.monotonic()
    try:
        call(*args)
        result = "ok"
    except OSError as e:
        result = errno.errorcode[e.errno]
    took = time.monotonic() - begin
    assert took < LIMIT, (result, took)
    return result


def read(i):
    with open(f"{top}/{i}", "rb") as f:
        assert f.read() == b"%d" % i * 1000


def create(name):
    with open(f"{top}/{name}", "xb") as f:
        f.write(b"new")


def survey(tag):
    """Reads all files, makes as many new ones, and looks at the whole."""
    reads = [attempt(read, i) for i in range(FILES)]
    creates = [attempt(create, f"{tag}-{i}") for i in range(FILES)]
    for i, result in enumerate(creates):
        if result == "ok":
            assert os.stat(f"{top}/{tag}-{i}").st_size == 3
            os.unlink(f"{top}/{tag}-{i}")
    assert attempt(os.stat, top) == "ok"
    assert attempt(os.statvfs, top) == "ok"
    return collections.Counter(reads), collections.Counter(creates)


def lost_nodes():
    """As `benchfs status` has them."""
    status = subprocess.run([os.environ["STATUS_COMMAND"], "status", "--json"],
                            stdout=subprocess.PIPE, check=True)
    return [node["node"] for node in json.loads(status.stdout)["nodes"] if node["is_lost"]]


def survey_cut(tag):
    """Some of the files are on the node that is gone; the others are as before."""
    # Each daemon finds out by a request of its own, which ends with ETIMEDOUT; whether it was
    # done nobody knows.
    deadline, n = time.monotonic() + 60, 0
    while attempt(os.listdir, top) != "EHOSTDOWN" or any(
            "ETIMEDOUT" in (attempt(read, i), attempt(create, f"../first/{tag}-{n}-{i}"))
            for i in range(FILES)):
        n += 1
        assert time.monotonic() < deadline
    begin = time.monotonic()
    for counts in survey(tag):
        print(tag, dict(counts), flush=True)
        assert set(counts) == {"ok", "EHOSTDOWN"}, counts
        assert FILES / 4 < counts["ok"] < FILES
    # it is known by then, and nobody waits
    assert time.monotonic() - begin < 5, time.monotonic() - begin
    assert lost_nodes() == [2], lost_nodes()
    with os.scandir(top) as entries:  # those of the others come, and then the error
        n = 0
        try:
            for _ in entries:
                n += 1
        except OSError as e:
            assert e.errno == errno.EHOSTDOWN, e
        assert FILES / 4 < n < FILES, n


os.mkdir(top)
os.mkdir(f"{top}/../first")
for i in range(FILES):
    with open(f"{top}/{i}", "wb") as f:
        f.write(b"%d" % i * 1000)
say("ready")
until("cut")
survey_cut("cut")
say("cut-seen")
if sys.argv[3:]:
    sys.exit(0)
until("mended")
deadline = time.monotonic() + 60
while attempt(os.listdir, top) != "ok":
    assert time.monotonic() < deadline
    time.sleep(0.2)
assert len(os.listdir(top)) == FILES
reads, creates = survey("mended")
assert set(reads) == {"ok"} and set(creates) == {"ok"}, (reads, creates)
say("mended-seen")
until("lost")
survey_cut("lost")
