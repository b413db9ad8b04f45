# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long opening a model takes and what it holds: warm start to the first token, `tern inspect`, memory of one process
and of two.

python bench/loading.py --tern build/tools/tern MODEL...

Every file is read once before. Times are medians; CPU time (user and system, all threads) stands beside the clock's, for
machines that do other work. Linux.
"""

import argparse
import collections
import os
import pathlib
import statistics
import subprocess
import time


Run = collections.namedtuple("Run", "wall user cpu resident")


def run(*command):
    """Seconds of the clock, of the CPU in user mode, of the CPU; the most that was resident."""
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: ended with {child.returncode}")
    return Run(time.monotonic() - start, usage.ru_utime, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def measure(repeat, *command):
    return Run(*map(statistics.median, zip(*(run(*command) for _ in range(repeat)))))


def rollup(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}


def pair(options, model):
    """What each of two processes holds that have both said something."""
    command = [options.tern, "generate", "--threads", "1", "--raw", "--prompt", "Hello", "--max-tokens", "1000",
               "--model", model]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) for _ in range(2)]
    try:
        for child in children:
            child.stdout.read(1)
        return [rollup(child.pid) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("models", nargs="+")
    a.add_argument("--tern", default="build/tools/tern")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--repeat", type=int, default=5)
    options = a.parse_args()

    empty = measure(options.repeat, options.tern, "--version")
    print(f"tern --version: {1000 * empty.wall:.0f} ms, CPU {1000 * empty.cpu:.0f} ms")
    print("| file | MB | first token ms (CPU) | inspect ms (CPU) | --json ms (CPU) | resident at most MB | two processes: "
          "resident, shared, own share of it all MB |\n" + "| --- " * 7 + "|")
    for model in options.models:
        with open(model, "rb") as file:
            while file.read(1 << 24):
                pass
        token = measure(options.repeat, options.tern, "generate", "--threads", options.threads, "--raw", "--prompt",
                        "Hello", "--max-tokens", "1", "--model", model)
        inspect = measure(options.repeat, options.tern, "inspect", model)
        as_json = measure(options.repeat, options.tern, "inspect", "--json", model)
        times = " | ".join(f"{1000 * r.wall:.0f} ({1000 * r.cpu:.0f})" for r in (token, inspect, as_json))
        two = pair(options, model)
        shared = "; ".join(f"{p['Rss'] / 1e6:.0f}, {(p['Shared_Clean'] + p['Shared_Dirty']) / 1e6:.0f}, {p['Pss'] / 1e6:.0f}"
                           for p in two)
        print(f"| {os.path.basename(model)} | {os.path.getsize(model) / 1e6:.0f} | {times} | {token.resident / 1e6:.0f} | "
              f"{shared} |", flush=True)


if __name__ == "__main__":
    main()
