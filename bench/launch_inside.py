# SPDX-License-Identifier: Apache-2.0
"""Times srun with and without a burst buffer, and the phases in between, on a login node.

usage: python3 launch_inside.py NODES RUNS TOTAL_NODES; prints JSON. All nodes of the cluster
share this machine's CLOCK_MONOTONIC, so their times stand on one line.
"""
import json
import os
import re
import subprocess
import sys
import time

IDLE_TIMEOUT_S = 30
SRUN_TIMEOUT_S = 60
TRIES = 3
# In the order in which they end on a node.
START = ("bootstrap", "claim", "prepare", "server-start", "table", "connect", "connected",
         "agent-start", "mounted", "open")
STOP = ("service", "agent-stop", "agents-stopped", "server-stop")
PHASE = re.compile(r"benchfsd\[(\S+)\]: info: phase (\S+): ([\d.]+) ms, ended at ([\d.]+) s")


class LaunchFailed(Exception):
    """srun did not end with status 0."""


def idle_wait(total):
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while time.monotonic() < deadline:
        idle = subprocess.run(["sinfo", "-h", "-t", "idle", "-o", "%D"], text=True, check=True,
                              stdout=subprocess.PIPE).stdout.strip()
        if idle == str(total):
            return
        time.sleep(0.02)
    sys.exit("the nodes do not become idle")


def srun(nodes, options, command, env=None):
    """(start, end, stdout, stderr)"""
    start = time.monotonic()
    done = subprocess.run(["srun", f"-N{nodes}", *options, *command], env=env, text=True,
                          check=False, timeout=SRUN_TIMEOUT_S, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    end = time.monotonic()
    if done.returncode:
        raise LaunchFailed(f"srun: status {done.returncode}\n{done.stderr}")
    return start, end, done.stdout, done.stderr


def srun_retried(result, total, *args):
    """A launch that fails is counted, told and tried again: the times are of good ones."""
    for _ in range(TRIES):
        idle_wait(total)
        try:
            return srun(*args)
        except LaunchFailed as failure:
            result["failures"].append(str(failure))
            print(failure, file=sys.stderr)
    sys.exit(f"{TRIES} launches in a row have failed")


def clocks(stdout):
    return [int(line.split()[1]) / 1e9 for line in stdout.splitlines()
            if line.startswith("clock ")]


def milestones(start, end, stdout, stderr):
    """What happened when: the last node's time for each."""
    ends, begins = {}, []
    for _, name, ms, at in PHASE.findall(stderr):
        ends[name] = max(ends.get(name, 0), float(at))
        if name == START[0]:
            begins.append(float(at) - float(ms) / 1000)
    tasks = clocks(stdout)
    line = []
    if begins:
        line += [("srun to daemons running", max(begins))]
        line += [(name, ends[name]) for name in START if name in ends]
    line += [("tasks launched, scratch joined", max(tasks))]
    if "service" in ends:
        line += [("tasks' end to daemons' stop", ends["service"])]
        line += [(name, ends[name]) for name in STOP[1:] if name in ends]
    line += [("to srun's end", end)]
    result, last = [], start
    for name, at in line:
        result.append((name, at - last))
        last = at
    return result


def main():
    nodes, runs, total = (int(word) for word in sys.argv[1:4])
    verbose = dict(os.environ, BENCHFS_LOG_LEVEL="info")
    result = {"nodes": nodes, "off_s": [], "on_s": [], "off_phases": [], "on_phases": [],
              "failures": []}
    for run in range(runs + 1):
        for key, options in (("off_s", []), ("on_s", ["--benchfs=on"])):
            start, end, _, _ = srun_retried(result, total, nodes, options, ["true"])
            if run > 0:  # the first one warms up
                result[key].append(end - start)
    for _ in range(runs):
        for key, options in (("off_phases", []), ("on_phases", ["--benchfs=on"])):
            result[key].append(milestones(*srun_retried(
                result, total, nodes, options, ["bench_io", "--clock"], verbose)))
    json.dump(result, sys.stdout)


main()
