# SPDX-License-Identifier: Apache-2.0
"""What the measurements share: clusters, programs, tables, results as JSON."""
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
USER = "benchuser"


def build_dir():
    return os.environ.get("BENCHFS_BUILD") or os.path.join(ROOT, "build", "release")


def program(name):
    """A built program of this project."""
    path = os.path.join(build_dir(), "bin", name)
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not built; 'cmake --preset release && cmake --build --preset "
                 "release' does it")
    return path


def source(name):
    with open(os.path.join(ROOT, "bench", name), encoding="utf-8") as file:
        return file.read()


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


class Cluster:
    """A cluster of ci/cluster, up for as long as the with block."""

    def __init__(self, name, nodes):
        self.name = name
        self.nodes = nodes

    def _command(self, verb, *args):
        return [os.path.join(ROOT, "ci", "cluster"), verb, "--name", self.name, *args]

    def __enter__(self):
        say(f"cluster of {self.nodes} nodes")
        subprocess.run(self._command("up", "-n", str(self.nodes), "--build", build_dir(),
                                     "--shm-size", "6G"),
                       check=True, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *exception):
        subprocess.run(self._command("down"), check=True, stdout=subprocess.DEVNULL)

    def run(self, command, timeout_s=300, **options):
        """CMD as the ordinary user on the login node; its stdout."""
        return self._output(self._command("run", "--user", USER, "--", *command),
                            timeout_s, options)

    def exec(self, node, command, timeout_s=60, **options):
        """CMD as root in a node; its stdout."""
        return self._output(self._command("exec", node, "--", *command), timeout_s, options)

    def exec_start(self, node, command):
        return subprocess.Popen(self._command("exec", node, "--", *command),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def _output(command, timeout_s, options):
        return subprocess.run(command, check=True, timeout=timeout_s, text=True,
                              stdout=subprocess.PIPE, **options).stdout


@contextlib.contextmanager
def running(process):
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file
                  if line.startswith("model name")]
    return {
        "cpus": os.cpu_count(),
        "cpu_model": models[0] if models else platform.machine(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "load_at_end": os.getloadavg()[0],
    }


def save(name, result, path=None):
    """Writes build/bench/NAME.json, or another file."""
    path = path or os.path.join(ROOT, "build", "bench", name + ".json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    document = {"benchmark": name, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "machine": machine(), **result}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    say(f"wrote {os.path.relpath(path)}")


def table_print(title, head, rows):
    """First column left, others right; numbers as they are given."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
    sys.stdout.flush()
